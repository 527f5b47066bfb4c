"""What a reader came for: the answer in a few words and numbers, and the command that comes next."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import NamedTuple

from ..data.reading import Reading
from ..formatting import explained_share, latent, listed, mse, plural
from ..measure import verdict
from ..measure.answer import claim
from ..measure.checks import GATES
from ..measure.gates import bounding
from ..measure.headline import flat_text
from ..recipe import RECIPES
from ..results import ModelResult, NotAsked, Results, SizeResult, Verdict
from .chosen import answered


class Fact(NamedTuple):
    """A number of the answer: its name, the number, and what it rests on."""

    name: str
    value: str
    beside: str = ""


class Tile(NamedTuple):
    """The answer: in a few large words and a small line, in numbers, and what to do next with the command for it."""

    large: str
    small: str
    facts: list[Fact]
    next: str
    command: str | None


def tile(results: Results, source: str | None) -> Tile | None:
    """The answer of a study; None where its images hold no variance, or no network could be trained."""
    if flat_text(results) or not results.first:
        return None
    asked = results.verdict
    if isinstance(asked, NotAsked):
        sizes = {size.latent_dim: size for size in results.sizes if size.test_mse}
        ends = [sizes[k] for k in sorted({min(sizes), max(sizes)})]
        errors = [f"{mse(size.test_mse.mean)} with {size.latent_dim}" for size in ends if size.test_mse]
        large, small = f"Test error {' and '.join(errors)}", "latent dimensions; no share of the variance was asked for"
        facts = [fact for size in ends for fact in (_explained(results, size), *_pca_equivalent(results, size))]
    else:
        large, small = _head(results, asked)
        facts = _facts(results, asked)
    return Tile(large, small, [*facts, *_trust(results)], *_next(results, source))


def _head(results: Results, asked: Verdict) -> tuple[str, str]:
    if asked.keep != "knee":
        return claim(asked, verdict.sizes(results.models))
    if asked.latent_dim is None:
        return "No knee", "explained variance does not significantly stop rising at any size"
    better = "; better training may change that" if bounding(asked.gates) else ""
    return latent(asked.latent_dim), f"after which explained variance stops rising{better}"


def _facts(results: Results, asked: Verdict) -> list[Fact]:
    """What the answer's size keeps, what the size below keeps, and what PCA needs."""
    sizes, best = {size.latent_dim: size for size in results.sizes}, answered(results)
    facts = [_explained(results, sizes[best])] if best is not None else []
    below = [k for k in sizes if best is not None and k < best]
    if below:
        facts.append(_explained(results, sizes[below[-1]]))
    elif best is not None and best > 1:
        facts.append(Fact("Smaller sizes", "not tried"))
    if asked.explained_variance is not None:
        needs = "no number" if asked.pca_components is None else f"{asked.pca_components:,}"
        wanted = "as much" if asked.keep == "knee" else "the same share"
        facts.append(Fact("PCA needs", needs, f"components for {wanted}"))
    return facts


def _explained(results: Results, size: SizeResult) -> Fact:
    """The variance that a size explains, and how sure that is."""
    explained, name = size.test_explained_variance, f"{size.latent_dim} explain{'s' * (size.latent_dim == 1)}"
    if explained is None:
        return Fact(name, "-", "training failed")
    beside = f"trained once, seed {results.seeds[0]}" if len(results.seeds) == 1 else "trained once"
    if explained.interval:
        half = 50 * (explained.interval[1] - explained.interval[0])
        beside = f"± {half:.2g} points (95 %, {plural(size.seeds, 'seed')} and the test images)"
    return Fact(name, explained_share(explained.mean), beside)


def _pca_equivalent(results: Results, size: SizeResult) -> list[Fact]:
    """How many PCA components have the same error as a size."""
    components = results.components[size.latent_dim]
    if size.test_mse is None or not components:
        return []
    return [Fact("PCA needs", f"{components:,}", f"components for the error of {size.latent_dim}")]


def _trust(results: Results) -> list[Fact]:
    """Which training checks failed at which sizes, and how much more of the training images is explained."""
    fired = {size.latent_dim: size.gates for size in results.sizes if size.gates}
    names = dict.fromkeys(name for gates in fired.values() for name in gates)
    facts = [Fact("Training", "sound", "no training check failed at any size")]
    if fired:
        sizes = f"at {listed([*map(str, fired)])}" if len(fired) < len(results.sizes) else "at every size"
        facts = [Fact("Failed checks", listed([GATES[name].short for name in names]), sizes)]
    k = answered(results) or results.first[-1].latent_dim
    train, test = (results.mean(k, of) for of in (_train_explained, _test_explained))
    if train is None or test is None:
        return facts
    gap = f"{100 * max(train - test, 0):.1f} points"
    return [*facts, Fact("Train - test gap", gap, f"of explained variance with {k}; more images may reduce it")]


def _train_explained(model: ModelResult) -> float | None:
    return model.train_explained_variance


def _test_explained(model: ModelResult) -> float | None:
    return model.test_explained_variance


def _next(results: Results, source: str | None) -> tuple[str, str | None]:
    """What to do next, in words, and the command for it where there is one."""
    asked = results.verdict
    again = None
    if source and source.isprintable() and not results.recipe.is_own:  # a network of the user's own is for Python
        again = f"latentfit study {shlex.quote(source)}{_reading(results)}"
    if isinstance(asked, NotAsked):
        how = "Say how much of the variance to keep:" if again else "Say with keep= how much of the variance to keep."
        return f"How many do you need? {how}", again and f"{again} --keep 0.9"
    keep, closed = asked.keep, ":" if again else "."
    if any(GATES[name].advice is None for name in bounding(asked.gates)) and not results.recipe.holds_out:
        until = "until it is:" if again else "train for more epochs, or with recipe converged."
        return f"Training was not finished; {until}", again and f"{again} --keep {keep}"
    if asked.more_seeds:
        count = len(results.seeds) + asked.more_seeds
        more = command(results, source, seeds=count) or (again and f"{again} --keep {keep} --seeds {count}")
        return f"More seeds would settle it{':' if more else '.'}", more
    if asked.next and keep != "knee":
        sizes = listed([*map(str, asked.next)])
        more = command(results, source, also=asked.next) or (again and f"{again} --keep {keep}")
        why = "Sizes between were not tested" if asked.status == "found" else "The question is still open"
        return f"{why}; next to train, {sizes}{':' if more else '.'}", more
    if asked.open and keep != "knee" and asked.status == "found":
        which, verb = listed([*map(str, asked.open)]), "are" if len(asked.open) > 1 else "is"
        count = 3 * len(results.seeds)
        told = f"More test images, or more seeds, may tell whether {which} {verb} enough too"
        return f"{told}{closed}", again and f"{again} --keep {keep} --seeds {count}"
    if keep == "knee":
        return f"Or say how much of the variance to keep{closed}", again and f"{again} --keep 0.9"
    other = next((k for k in verdict.KEEPS if k > float(keep)), verdict.KEEPS[0])
    return f"Another share, from the same folder{closed}", again and f"{again} --keep {other}"


def _reading(results: Results) -> str:
    dataset = results.dataset
    if dataset.flags is not None:
        return f" {dataset.flags}"
    return Reading(dataset.value_range, test_share=dataset.test_share).flags  # a study of an earlier version


def command(results: Results, source: str | None, seeds: int | None = None, also: tuple[int, ...] = ()) -> str | None:
    """The one command that makes a study again, see `commands`, with another number of seeds or more sizes.

    None where no single one does.
    """
    lines = commands(results, source, seeds, also)
    return lines[0] if len(lines) == 1 else None


def commands(results: Results, source: str | None, seeds: int | None = None, also: tuple[int, ...] = ()) -> list[str]:
    """The commands that make a study again in one folder, without `--out`: one for each number of seeds.

    Args:
        results: The study's.
        source: The name or path that its images came from, None where they were made by hand.
        seeds: Another number of seeds than each size has.
        also: More sizes.

    Returns:
        None of them where its images, its recipe or its seeds can only be given in Python.
    """
    recipe, seeds_of = results.recipe, dict[int, list[int]]()
    for job in sorted(model.job for model in results.models):
        seeds_of.setdefault(job.latent_dim, []).append(job.seed)
    known = RECIPES.get(recipe.name)
    fitted = known and known.fitting(results.dataset.train_images)
    if fitted and results.dataset.is_rows and fitted.output != "sigmoid":
        fitted = fitted.for_rows()
    same = fitted is not None and replace(fitted, epochs=recipe.epochs) == recipe
    from_0 = all(these == [*range(len(these))] for these in seeds_of.values())
    if source is None or not source.isprintable() or not same or not from_0:
        return []
    sizes_with: dict[int, list[int]] = {}
    for k, these in seeds_of.items():
        sizes_with.setdefault(len(these), []).append(k)
    keep, environment = results.verdict.keep, results.environment
    flags = (f" --keep {keep}" if keep is not None else "") + (" --curve" if results.curve is not None else "")
    return [
        f"latentfit study {shlex.quote(source)} --latent-dims {' '.join(map(str, sorted({*sizes, *also})))} "
        f"--seeds {seeds or count}{flags}{_reading(results)} --recipe {recipe.name} "
        f"--epochs {recipe.epochs} --precision {environment.precision} --device {environment.device}"
        for count, sizes in sorted(sizes_with.items(), reverse=True)
    ]
