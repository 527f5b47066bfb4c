"""The answer in words: how many dimensions are enough, what is not, what PCA needs, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..formatting import BELOW, alike, explained_share, latent, listed, plural
from ..recipe import REFERENCE, Recipe
from ..results import Keep, Knee, Model, ModelResult, Verdict
from . import gates
from .checks import GATES
from .verdict import SEEDS, Size, all_failed, decide, of_knee, sizes

HARDLY = 0.1  # of PCA's components: a network that saves no more is not worth its training
WORSE = "on average every size reconstructs them worse than the mean training image would, so no size is recommended"


def answer(
    models: Sequence[Model],
    keep: float,
    following: Sequence[int] = (),
    recipe: Recipe = REFERENCE,
    components: int | None = None,
    knee: Knee | None = None,
    no_variance: str | None = None,
    limit: int | None = None,
) -> Verdict:
    """The smallest size that is enough to keep a share of the variance, see `verdict.decide`, with checks and sentence.

    Args:
        models: All networks of a study.
        keep: The share to keep, between 0 and 1.
        following: The sizes that a search would train next.
        recipe: How they were trained: what the sentence advises depends on it.
        components: The fewest components with which PCA keeps that share; None where none do.
        knee: That of these networks, whatever the share.
        no_variance: The sentence where the images hold next to no variance, of which no size keeps a share.
        limit: The largest size there could be.

    Returns:
        `gates` are the failed checks of the sizes that the sentence is about: the one that is named, the largest that
        is not enough, and those in between.
    """
    known = sizes(models)
    found = replace(decide(known, keep, following), pca_components=components, knee=knee)
    about = {found.best, found.not_enough, *found.open}
    found = replace(found, gates=gates.names(model for model in models if model.latent_dim in about))
    if no_variance:
        return replace(found, next=(), sentence=no_variance)
    if found.status == "not_reached":
        told = _not_reached(found, keep, known, recipe, limit)
    else:
        told = {"found": _found, "undecided": _undecided}[found.status](found, keep, known, recipe)
    told += _against_pca(found)
    told += f" {_of_knee(knee)}" if knee else ""
    return replace(found, sentence=told + _rest(found, models, recipe))


def answer_of_knee(
    models: Sequence[Model],
    knee: Knee | None,
    following: Sequence[int] = (),
    recipe: Recipe = REFERENCE,
    components: int | None = None,
    no_variance: str | None = None,
    looked: Sequence[int] = (),
) -> Verdict:
    """The size where explained variance stops rising, see `measure.knee`, with checks and sentence.

    Args:
        models: All networks of a study.
        knee: That of these networks.
        following: As of `answer`.
        recipe: As of `answer`.
        components: The fewest components with which PCA keeps as much as the knee; None where none do.
        no_variance: As of `answer`.
        looked: The sizes of the short trainings of a search.

    Returns:
        `gates` are the failed checks of the knee and of the sizes beside it.
    """
    known = sizes(models)
    about = {knee.latent_dim + i for i in (-1, 0, 1)} if knee else set()
    fired = gates.names(model for model in models if model.latent_dim in about)
    found = replace(of_knee(known, knee, following), pca_components=components, gates=fired)
    if no_variance:
        return replace(found, next=(), sentence=no_variance)
    told = f"{_of_knee(knee)} {_explained_by(found)}" if knee else _no_knee(known, looked)
    if bounding := gates.bounding(fired):
        told += f" Better training may change that: {check_text(bounding, recipe)}."
    return replace(found, sentence=told + _rest(found, models, recipe))


def _rest(a: Verdict, models: Sequence[Model], recipe: Recipe) -> str:
    """What ends every answer: checks of the images, the next sizes, failed trainings."""
    told = ""
    if others := [name for name in a.gates if not GATES[name].bounds]:
        told += f" About the images: {check_text(others, recipe)}."
    if a.next:
        told += f" Next {'size' if len(a.next) == 1 else 'sizes'} to try: {listed([*map(str, a.next)])}."
    if count := sum(not isinstance(model, ModelResult) for model in models):
        told += f" {plural(count, 'training')} failed and cannot be counted."
    return told


def share(keep: float) -> str:
    """A share that was asked for, as a percentage with the digits it has."""
    return f"{100 * keep:.10g} %"


def at_most(a: Verdict) -> bool:
    """Whether a size that is enough is an upper bound: a check of the network failed, or no smaller size was tried.

    A size was tried if it has several seeds, see `verdict.decide`.
    """
    return bool(gates.bounding(a.gates)) or (not a.not_enough and not a.open and a.latent_dim != 1)


def claim(a: Verdict, known: Mapping[int, Size]) -> tuple[str, str]:
    """What an answer says of a share, in a few large words and a small line; its sentence has the same words.

    Args:
        a: The answer for a share of the variance.
        known: The sizes that were trained, see `verdict.sizes`.
    """
    wanted = f"{share(float(a.keep or 0))} of the variance"
    if a.latent_dim is not None:
        verb, size = "is" if a.latent_dim == 1 else "are", latent(a.latent_dim)
        if not at_most(a):
            return size, f"{verb} enough to keep {wanted}"
        training = " with this training" if gates.bounding(a.gates) else ""
        return f"At most {size}", f"{verb} needed{training} to keep {wanted}"
    if a.status == "undecided" and a.best is not None:
        return "Undecided", f"{latent(a.best)} may be enough to keep {wanted}"
    below = [size.mean.interval is not None and size.mean.interval[1] < float(a.keep or 0) for size in known.values()]
    surely = bool(below) and all(below)
    return "Not reached", f"no size of this study {'keeps' if surely else 'is shown to keep'} {wanted}"


def explained_text(size: Size, keep: float) -> str:
    """`91.2 %, 95 % interval 90.8 to 91.6 % over 3 seeds and the test images`, rounded to their sides of the share."""
    mean, interval = f"{_sided(size.mean.mean, keep)} %", size.mean.interval
    if interval is None:
        return f"{mean}, trained once"
    percents = [100 * end for end in interval]
    low, high = alike(percents, [_sided(end, keep) for end in interval])
    exact = [f"{100 * end:.3f}" for end in interval]
    if low == high and exact[0] != exact[1]:
        low, high = exact
    low, high = "below 0" if interval[0] < 0 else low, "100" if interval[1] > 1 else high
    return f"{mean}, 95 % interval {low} to {high} % over {len(size.explained)} seeds and the test images"


def _mean(size: Size, keep: float) -> str:
    mean = size.mean.mean
    return f"{_sided(mean, keep)} %" if mean >= 0 else BELOW


def _sided(value: float, keep: float) -> str:
    """A share in per cent, rounded no further than to its own side of the share to keep."""
    texts = [f"{100 * value:.{digits}f}" for digits in (1, 2, 3, 4)]
    return next((text for text in texts if (float(text) >= 100 * keep) == (value >= keep)), texts[-1])


def _found(a: Verdict, keep: float, known: Mapping[int, Size], recipe: Recipe) -> str:
    k = a.latent_dim
    assert k is not None
    head = " ".join(claim(a, known))
    bounding = gates.bounding(a.gates)
    parts = [f"{head} of the test images ({explained_text(known[k], keep)})", *_below(a, keep, known)]
    told = ["; ".join(parts) + "."]
    if bounding:
        told.append(f"That is an upper bound: {check_text(bounding, recipe)}.")
    if larger := [j for j in known if j > k and known[j].standing(keep) == "not enough"]:
        told.append(f"More dimensions are not enough at {listed([*map(str, larger)])}: see how those were trained.")
    return " ".join(told)


def _below(a: Verdict, keep: float, known: Mapping[int, Size]) -> list[str]:
    """What is said of the sizes below the one that is enough."""
    k, lacking = a.latent_dim or 0, a.not_enough or 0
    enough = " enough" if at_most(a) else ""  # which the claim has said where it is no upper bound
    parts = [f"{j} may be{enough} ({explained_text(known[j], keep)})" for j in a.open if j > lacking]
    if lacking:
        parts.append(f"{lacking} {'is' if lacking == 1 else 'are'} not{enough} ({_mean(known[lacking], keep)})")
    if not parts:
        return ["no smaller size was tried"] if k > 1 else []
    nearest = max(j for j in (lacking, *a.open) if j < k)
    if k - nearest <= 1:
        return parts
    once = any(nearest < j < k for j in known)
    return [*parts, f"sizes between were not tested{' with every seed' if once else ''}"]


def _undecided(a: Verdict, keep: float, known: Mapping[int, Size], recipe: Recipe) -> str:
    k = a.best
    assert k is not None
    if a.interval is None:
        smaller = [j for j in known if j < k]
        beside = f", and {smaller[-1]} kept {explained_share(known[smaller[-1]].mean.mean)}" if smaller else ""
        text = (
            f"With one training of a size there is no interval, so it cannot be called enough to keep "
            f"{share(keep)} of the variance of the test images: the smallest network that did has "
            f"{latent(k)} ({explained_share(known[k].mean.mean)}){beside}. Train each size again with --seeds {SEEDS}."
        )
    else:
        count = a.more_seeds
        more = f"; at this spread {plural(count, 'more seed')} a size would settle it" if count else ""
        text = (
            f"These runs do not decide how many dimensions keep {share(keep)} of the variance of the test images: "
            f"{latent(k)} kept it on average ({explained_text(known[k], keep)}), but the interval contains the "
            f"share{more}."
        )
        if a.not_enough is not None:
            text += f" Not enough: {a.not_enough}."
    bounding = gates.bounding(a.gates)
    return text + (f" Fewer may be enough with better training: {check_text(bounding, recipe)}." if bounding else "")


def _not_reached(a: Verdict, keep: float, known: Mapping[int, Size], recipe: Recipe, limit: int | None) -> str:
    k = a.best
    if k is None or a.explained_variance is None:
        return "Every training failed, so no size can be recommended."
    bounding = gates.bounding(a.gates)
    better = f" Better training may get further: {check_text(bounding, recipe)}." if bounding else ""
    told = claim(a, known)[1]
    none = f"{told[0].upper()}{told[1:]} of the test images"
    if a.explained_variance < 0:
        return f"{none}; {WORSE}.{better}"
    text = f"{none}; the best it got is {explained_text(known[k], keep)} with {latent(k)}.{better}"
    if a.stuck:
        text += f" More dimensions did not help: {gates.better_training(recipe)}."
    elif limit is not None and max(known) >= limit:
        text += " There is no larger size to try."
    return text


def _of_knee(knee: Knee) -> str:
    """Where the rise of explained variance stops, and what that says of the images."""
    n, before, after = knee.latent_dim, 100 * knee.gain_before, 100 * knee.gain_after
    return (
        f"Explained variance rises by {before:.2g} points at {n} and by {max(after, 0):.1g} at {n + 1}, at "
        f"least {knee.at_least:.0f} times less with 95 % confidence: these images behave like "
        f"{plural(n, 'continuous factor')}."
    )


def _no_knee(known: Mapping[int, Size], looked: Sequence[int]) -> str:
    """Why there is none: it was not seen, is not sure, or was not looked for."""
    if any(all(k in known and len(known[k].explained) > 1 for k in (n - 1, n, n + 1) if k) for n in known):
        return "No significant knee: explained variance does not stop rising significantly at any trained size."
    if looked:
        return (
            f"No knee: in short trainings of {min(looked)} to {max(looked)} dimensions explained variance goes on "
            "rising, and no number of factors stands out."
        )
    return "No knee was looked for: three consecutive sizes, each with two seeds or more, are required."


def _explained_by(a: Verdict) -> str:
    """What the size of the knee keeps, and how many components PCA needs for that."""
    assert a.explained_variance is not None
    if a.pca_components is None:
        return f"They keep {explained_share(a.explained_variance)}, which PCA does not with any number of components."
    return (
        f"They keep {explained_share(a.explained_variance)} of the variance of the test images, for which PCA needs "
        f"{plural(a.pca_components, 'component')}."
    )


def _against_pca(a: Verdict) -> str:
    """What PCA needs for the same share, and whether a network is worth its training."""
    if a.explained_variance is None:
        return ""
    if a.pca_components is None:
        return " PCA does not keep it with any number of components."
    needs = f" PCA needs {plural(a.pca_components, 'component')}"
    if a.latent_dim is None:
        return f"{needs} for that."
    saved = a.pca_components - a.latent_dim
    if saved <= HARDLY * a.pca_components:
        return f"{needs}, so PCA will do."
    at_least = "" if a.not_enough == a.latent_dim - 1 or a.latent_dim == 1 else " at least"
    return f"{needs}; the network saves{at_least} {saved}."


def check_text(names: Sequence[str], recipe: Recipe) -> str:
    """The failed checks in words, and what to do about them."""
    advice = dict.fromkeys(gates.advice(name, recipe) for name in names)
    return f"{listed([gates.check_of(name, recipe).words for name in names])} ({', '.join(advice)})"


def progress_text(models: Sequence[Model], keep: Keep) -> str:
    """One line while a search runs: each size so far with its explained variance, its state and its failed checks."""
    parts, known = [], sizes(models)
    for k, size in known.items():
        fired = [GATES[name].short for name in gates.names(m for m in models if m.latent_dim == k)]
        beside = f"; failed checks: {', '.join(fired)}" if fired else ""
        if keep == "knee":
            parts.append(f"{k}: {explained_share(size.mean.mean, 2)}{beside}")
        else:
            parts.append(f"{k}: {_mean(size, keep)} ({size.standing(keep)}{beside})")
    failed = all_failed(models)
    flat = {model.latent_dim for model in models} - {*known, *failed}
    parts += [f"{k}: no variance to keep" for k in sorted(flat)]
    parts += [f"{k}: failed" for k in sorted(failed)]
    return f"{'explained' if keep == 'knee' else f'to keep {share(keep)}'}: {', '.join(parts)}"
