"""Latent sizes × seeds -> one folder.

A study is a list of independent jobs. They run on any `concurrent.futures` executor; by default that is a
pool of local processes, one thread each. Jobs only compute: this process alone writes, and a job whose
files are there and whole is not run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from . import answer, data, machine, measure, pool, rule, store, summary
from .data.images import ImageSet
from .errors import InputError, whole_number
from .machine import best_device, best_precision, processor, reproducible
from .measure import PerImage, Yardsticks
from .pool import Progress, Work
from .timing import Clock
from .train import RECIPES, Job, Recipe, Trained

SIZES = (16, 48)  # of a study that names none
GROWING = ("latent_dims", "seeds", "models", "keep", "search", "curve")  # what may be added to a study that is there
NOT_COMPARED = (*GROWING, "source", "dataset.stand_in")  # the same images may come by another way


@dataclass(frozen=True)
class Request:
    """One study, resolved: everything that decides its numbers but the images.

    Attributes:
        jobs: (latent_dim, seed) of every network, sorted.
        recipe: How they are trained, epochs included.
        source: The path of the images as it was given; None for a set with a name.
        precision: Of the training's products: `fp32`, `bf16`, or `auto` while that is open.
        device: Where training runs: `cpu`, `cuda`, `mps`, or `auto` while that is open.
        keep: The share of the variance that the study is asked about, None if it is not.
        search: Whether sizes are added until the answer is found.
        curve: Whether one more network is trained for all sizes at once, see `screening.screen`.
    """

    jobs: tuple[Job, ...]
    recipe: Recipe
    source: str | None = None
    precision: str = "auto"
    device: str = "auto"
    keep: float | None = None
    search: bool = False
    curve: bool = False

    @classmethod
    def of(
        cls,
        latent_dims: Iterable[int] | None,
        seeds: int | None,
        recipe: str | Recipe,
        epochs: int | None,
        precision: str = "auto",
        device: str = "auto",
        keep: float | None = None,
        curve: bool = False,
    ) -> Request:
        """Resolve what a user said; `auto` stays open until the study's folder was looked into.

        Without sizes a share to keep asks for a search, and without a number of seeds for `rule.SEEDS`.

        Raises:
            InputError: A size, seed count, recipe or number of epochs that is not allowed.
        """
        search = latent_dims is None and keep is not None
        wanted = ([rule.FIRST] if search else SIZES) if latent_dims is None else latent_dims
        sizes = sorted({whole_number("latent size", size) for size in wanted})
        if not sizes:
            raise InputError("no latent size was given; expected at least one, for example 16 48")
        seeds = whole_number("number of seeds", (rule.SEEDS if keep is not None else 1) if seeds is None else seeds)
        keep = None if keep is None else rule.check(keep)
        chosen = recipe if isinstance(recipe, Recipe) else _named(recipe)
        if epochs is not None:
            chosen = replace(chosen, epochs=epochs)
        machine.check(*(best if asked == "auto" else asked for asked, best in ((precision, "fp32"), (device, "cpu"))))
        jobs = tuple(Job(size, seed) for size in sizes for seed in range(seeds))
        return cls(jobs, chosen, precision=precision, device=device, keep=keep, search=search, curve=curve)

    def on_this_machine(self, before: Mapping[str, Any]) -> Request:
        """The request with `auto` decided: as the study was begun (its `study.json`), or as this machine does best."""
        device, precision = (
            before.get(name, asked) if asked == "auto" else asked
            for name, asked in (("device", self.device), ("precision", self.precision))
        )
        if device == "auto":
            device = "cpu" if precision == "bf16" else best_device()
        return replace(self, device=device, precision=best_precision(device) if precision == "auto" else precision)

    def fitting(self, images: ImageSet) -> Request:
        """The request for these images: a search begins with no more dimensions than they have pixels.

        Raises:
            InputError: A latent size that was asked for is larger than the images.
        """
        if self.search:
            return replace(self, jobs=tuple(Job(min(k, images.pixels), seed) for k, seed in self.jobs))
        largest = self.jobs[-1].latent_dim
        if largest > images.pixels:
            raise InputError(
                f"latent size {largest} is larger than an image of {images.name}; "
                f"expected at most its {images.pixels} pixels"
            )
        return self


def _named(recipe: str) -> Recipe:
    if recipe not in RECIPES:
        raise InputError(f"recipe {recipe!r} is not known; expected {', '.join(RECIPES)}")
    return RECIPES[recipe]


def study(
    source: str | Path | ImageSet = "fashion-mnist",
    latent_dims: Sequence[int] | None = None,
    *,
    seeds: int | None = None,
    keep: float | None = None,
    curve: bool = False,
    recipe: str | Recipe = "reference",
    epochs: int | None = None,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    precision: str = "auto",
    device: str = "auto",
    fresh: bool = False,
    executor: Executor | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> store.Study:
    """Train an autoencoder of each latent size and seed, and measure them.

    What is finished in the folder already is kept: more sizes or seeds train only what is missing, and the
    same call after a crash goes on where it stopped.

    Args:
        source: What `data.load` takes (a name or a path), or an `ImageSet`.
        latent_dims: The sizes, each from 1 to the number of pixels; 16 and 48 if they are not given, or with `keep`
            a search: doubling from 2 until a size is enough, then bisection.
        seeds: Trainings a size; 5 means seeds 0 to 4. 1 if it is not given, or 3 with `keep`.
        keep: The share of the variance of the test images to keep, between 0 and 1: the study then says how many
            dimensions that takes, see `rule.answer`.
        curve: Train one more network of the largest size whose codes are cut at random lengths: it screens all sizes
            from the smallest to the largest at once, see `screening.screen`.
        recipe: A name, or a `Recipe` of your own.
        epochs: In place of the recipe's own number.
        out: The study's folder, `runs/<name of the data set>` if it is not given.
        data_dir: Where Fashion-MNIST's files are looked for first.
        precision: Of the training's products: `fp32`, `bf16` (factors rounded to bfloat16, sums in fp32), or
            `auto`: bf16 where the processor has instructions for it. Decided once for a study and recorded.
        device: `cpu`, `cuda`, `mps`, or `auto`: CUDA where there is one, otherwise the CPU.
        fresh: Start over in a folder that holds another study.
        executor: Runs the jobs; local processes if it is not given. Not shut down.
        progress: Called with (job, row) after each epoch, and with (job, None) when a network is finished;
            from a thread of its own, and only where jobs run in local processes.
        tell: Called with a line of what is known, after each training of a search.

    Returns:
        The finished study. A network that diverged is a row whose status is `failed`.

    Raises:
        InputError: Something asked for cannot be used; nothing was started or written.
    """
    clock = Clock()
    request = Request.of(latent_dims, seeds, recipe, epochs, precision, device, keep, curve)
    images = source if isinstance(source, ImageSet) else data.load(source, data_dir)
    if not isinstance(source, ImageSet):
        request = replace(request, source=images.name if _is_found_name(source, images) else str(source))
    request = request.fitting(images)
    folder = Path(out) if out is not None else default_folder(images)
    asked = _open(folder, request, images, fresh)
    clock.lap("load")
    if not _is_finished(folder, asked, images):
        with reproducible():
            ground = Trainings(images, executor, progress, tell, clock)
            while True:
                ground.train(folder, asked)
                clock.lap("train")
                wider = _widened(folder, asked, images)
                if wider is None:
                    break
                asked = wider
            if asked.curve:
                ground.screen(folder, asked, tell)
                clock.lap("screen")
            _sum_up(folder, asked, images, ground)
            clock.lap("sum up")
            clock.write(folder)
    return store.load(folder)


def _is_found_name(source: str | Path, images: ImageSet) -> bool:
    """Whether the source is a name, and the images are those of that name and not a stand-in."""
    return source in data.NAMES and not images.stand_in


def default_folder(images: ImageSet) -> Path:
    """`runs/<name of the data set>`, with what a file system may refuse taken out of the name."""
    name = "".join(c if c.isalnum() or c in "-_. " else "-" for c in images.name).strip(". ")
    return Path("runs") / (name[:100] or "images")


def _open(folder: Path, request: Request, images: ImageSet, fresh: bool) -> Request:
    """Settle what the folder is for, and write it down: the request with all that was asked before."""
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; expected a folder, or a name that is free; give another --out")
        if not (folder / "study.json").exists() and not store.is_free(folder):
            raise InputError(f"{folder} holds other files and no study; give an empty or new folder with --out")
        before = None if fresh else store.read_request(folder)
        request = request.on_this_machine(before or {})
        if before is not None:
            request = _joined(folder, before, request, images)
        if fresh or any(store.finished_row(folder, job) is None for job in request.jobs):
            machine.check(request.precision, request.device)
        if fresh:
            store.clear(folder)
        store.remove_leftovers(folder)
        if (wanted := describe(request, images)) != before:
            store.write_json(folder / "study.json", wanted)
    except OSError as error:
        raise InputError(f"{folder} cannot be used: {error.strerror}; give another --out") from None
    return request


def _joined(folder: Path, before: dict[str, Any], request: Request, images: ImageSet) -> Request:
    """The request with the networks that were asked for before, where it is the same study otherwise."""
    older = before
    if isinstance(recipe := before.get("recipe"), dict):
        older = before | {"recipe": recipe_dict(Recipe()) | recipe}  # there were fewer keys once
    if differences := _differences(older, describe(request, images)):
        raise InputError(
            f"{folder} holds another study; give another --out, or start over with --fresh", tuple(differences)
        )
    jobs = {Job(m["latent_dim"], m["seed"]) for m in before["models"]}
    source = request.source if images.stand_in else before["source"]
    jobs.update(request.jobs)
    if request.search:  # all sizes that it finds there with all seeds, or it would compare what cannot be
        jobs = {Job(size, seed) for size in {j.latent_dim for j in jobs} for seed in {j.seed for j in jobs}}
    keep = before.get("keep") if request.keep is None else request.keep
    curve = request.curve or before.get("curve", False)
    return replace(request, jobs=tuple(sorted(jobs)), source=source, keep=keep, curve=curve)


def describe(request: Request, images: ImageSet) -> dict[str, Any]:
    """What `study.json` says: everything that was asked, nothing that was found."""
    return {
        "schema": store.SCHEMA,
        "source": request.source,
        "dataset": describe_images(images),
        "recipe": recipe_dict(request.recipe),
        "latent_dims": sorted({job.latent_dim for job in request.jobs}),
        "seeds": sorted({job.seed for job in request.jobs}),
        "models": [job._asdict() for job in request.jobs],
        "precision": request.precision,
        "device": request.device,
        "keep": request.keep,
        "search": request.search,
        "curve": request.curve,
    }


def describe_images(images: ImageSet) -> dict[str, Any]:
    """The `dataset` of `study.json` and `results.json`."""
    return {
        "name": images.name,
        "fingerprint": images.fingerprint,
        "train_images": len(images.x_train),
        "test_images": len(images.x_test),
        "image_shape": list(images.image_shape),
        "classes": None if images.classes is None else list(images.classes),
        "stand_in": images.stand_in,
    }


def recipe_dict(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON has it."""
    return asdict(recipe) | {"hidden": list(recipe.hidden)}


def _differences(before: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What two studies differ in beside their networks, a line each."""
    old, new = _flat(before), _flat(wanted)
    keys = [key for key in {**old, **new} if key not in NOT_COMPARED]
    return [f"{k}: there {old.get(k)!r}, asked {new.get(k)!r}" for k in keys if old.get(k) != new.get(k)]


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {prefix + key: inner}
    return flat


def environment(request: Request) -> dict[str, str]:
    """Versions and hardware that the numbers depend on."""
    return {
        "latentfit": version("latentfit"),
        "torch": torch.__version__,
        "device": request.device,
        "precision": request.precision,
        "processor": processor(),
    }


@dataclass
class Trainings:
    """Trains what is missing of a study, and holds what its parent process measures and takes from its workers."""

    images: ImageSet
    executor: Executor | None
    progress: Progress | None
    tell: Callable[[str], None] | None
    clock: Clock
    taken: dict[Job, PerImage] = field(default_factory=dict)

    @cached_property
    def yard(self) -> Yardsticks:
        """What the images alone say, measured when it is first asked for."""
        return Yardsticks.of(self.images)

    def train(self, folder: Path, request: Request) -> None:
        """Train the networks that the folder lacks, and keep each as it comes."""
        rows = {job: store.finished_row(folder, job) for job in request.jobs}
        missing = [job for job, row in rows.items() if row is None]
        if not missing:
            return
        work = Work(self.images, request.recipe, request.precision, request.device)
        with pool.training(missing, work, self.executor, self.progress) as results:
            yard = self.yard  # measured while workers train
            for trained in results:
                rows[trained.job] = _keep(folder, trained, request, self.images, yard)
                if (measured := trained.measured) is not None:
                    self.taken[trained.job] = PerImage(measured.test_errors, measured.test_sharpness)
                self.clock.note(trained)
                self.clock.write(folder)
                if self.progress:
                    self.progress(trained.job, None)
                if self.tell and request.search and request.keep is not None:
                    self.tell(answer.known_now([row for row in rows.values() if row], request.keep))

    def screen(self, folder: Path, request: Request, tell: Callable[[str], None] | None) -> None:
        """Train the one network for all sizes, where the folder lacks what it found."""
        if _screened(folder, request) is not None:
            return
        sizes = _screened_sizes(request)
        expected = {k: max(self.yard.pca.at("train", k), 1e-6) for k in sizes}
        work = Work(self.images, request.recipe, request.precision, request.device, expected)
        job = Job(sizes[-1], request.jobs[0].seed)
        if tell:
            tell(f"screening all sizes from {sizes[0]} to {sizes[-1]} with one network")
        with pool.training([job], work, self.executor) as results:
            for trained in results:
                store.write_json(folder / "curve.json", measure.curve_row(trained, sizes))


def _screened_sizes(request: Request) -> list[int]:
    """The sizes that a screening is told of: those of the study, and some between them."""
    sizes = {job.latent_dim for job in request.jobs}
    return sorted(sizes | {k for k in measure.CURVE if min(sizes) <= k <= max(sizes)})


def _screened(folder: Path, request: Request) -> dict[str, Any] | None:
    """What a finished screening of these sizes found; None where there is none."""
    with suppress(InputError, KeyError, TypeError):
        found: dict[str, Any] = store.read_json(folder / "curve.json")
        if found["sizes"] == _screened_sizes(request) and found["seed"] == request.jobs[0].seed:
            return found
    return None


def _widened(folder: Path, asked: Request, images: ImageSet) -> Request | None:
    """The request with the size that a search tries next, written down; None where it has ended."""
    if not asked.search or asked.keep is None:
        return None
    rows = [store.read_json(store.model_folder(folder, job) / "metrics.json") for job in asked.jobs]
    following = _following(rows, asked.keep, images)
    if not following:
        return None
    wider = replace(asked, jobs=tuple(sorted(following.union(asked.jobs))))
    store.write_json(folder / "study.json", describe(wider, images))
    return wider


def _following(rows: Sequence[Mapping[str, Any]], keep: float, images: ImageSet) -> set[Job]:
    """The networks that a search trains next."""
    found = rule.answer(answer.explained(rows), keep, images.pixels, answer.unable(rows))
    return {Job(size, row["seed"]) for size in found["next"] for row in rows}


def _sum_up(folder: Path, request: Request, images: ImageSet, ground: Trainings) -> None:
    asked = {
        "dataset": describe_images(images),
        "recipe": recipe_dict(request.recipe),
        "environment": environment(request),
        "keep": request.keep,
        "curve": _screened(folder, request) if request.curve else None,
    }
    summary.write(folder, request.jobs, asked, images, ground.yard, ground.taken)


def _keep(folder: Path, trained: Trained, request: Request, images: ImageSet, yard: Yardsticks) -> dict[str, Any]:
    """Write one network: weights, history, and last of all the row that says it is finished, which is returned."""
    at = store.model_folder(folder, trained.job)
    store.write_history(at, trained.history)
    if trained.reason is None:
        store.save_network(at, trained.weights, images, request.recipe, trained.job)
    row = measure.row(trained, images, request.recipe, yard)
    store.write_json(at / "metrics.json", row)
    return row


def _is_finished(folder: Path, request: Request, images: ImageSet) -> bool:
    """Whether every network is there, and the results are those of this request."""
    if any(store.finished_row(folder, job) is None for job in request.jobs) or not (folder / "timing.json").exists():
        return False
    with suppress(InputError, KeyError, TypeError):
        done = store.load(folder)
        found, _ = done.results, done.shown  # both can be read
        jobs = tuple(Job(m["latent_dim"], m["seed"]) for m in found["models"])
        same = found["dataset"] == describe_images(images) and found["environment"] == environment(request)
        asked = same and jobs == request.jobs and found["verdict"]["keep"] == request.keep
        asked = asked and (found["curve"] is not None) == request.curve
        return asked and not (request.search and _following(found["models"], found["verdict"]["keep"], images))
    return False
