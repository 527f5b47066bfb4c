"""Latent sizes × seeds -> one folder.

A study is a list of independent jobs. They run on any `concurrent.futures` executor; by default that is a
pool of local processes, one thread each. Jobs only compute: this process alone writes, and a job whose
files are there and whole is not run again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import data, hardware
from ..data import quality
from ..data.images import ImageSet
from ..errors import InputError
from ..hardware import reproducible
from ..measure import network, rule, verdict
from ..measure.network import PerImage, Yardsticks
from ..recipe import Job, Recipe
from ..train import Trained
from . import lock, pool, store, summary
from .pool import Progress, Work
from .request import Request, describe, describe_images, environment, joined, recipe_dict
from .timing import Clock
from .workers import Crew


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
    value_range: float | None = None,
    test_share: float | None = None,
    precision: str = "auto",
    device: str = "auto",
    fresh: bool = False,
    executor: Executor | None = None,
    workers: int | None = None,
    early: pool.Workers | None = None,
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
        curve: Train one more network of the largest size whose codes are cut at random lengths: it screens sizes
            from the smallest to the largest at once, see `screening.screen`.
        recipe: A name, or a `Recipe` of your own.
        epochs: In place of the recipe's own number.
        out: The study's folder, `runs/<name of the data set>` if it is not given.
        data_dir: Where Fashion-MNIST's files are looked for first.
        value_range: Pixel values in the source's files run from 0 to this, see `data.load`.
        test_share: Share of the images of an `.npy` to draw as test images, see `data.load`.
        precision: Of the training's matrix products: `fp32`, `bf16` (factors in bfloat16, sums in fp32), or `auto`:
            bf16 where the processor is faster with it. Decided once for a study and recorded.
        device: `cpu`, `cuda`, `mps`, or `auto`: CUDA where there is one, otherwise the CPU.
        fresh: Start over in a folder that holds another study.
        executor: Runs the jobs; local processes if it is not given. Not shut down.
        workers: Local processes that train at once; as many as networks, cores and memory allow if it is not given.
            Results do not depend on it.
        early: Local processes that were started before; taken, and stopped in the end, where as many train at once.
        progress: Called with (job, row) after each epoch, and with (job, None) when a network is finished;
            from a thread of its own, and only where jobs run in local processes.
        tell: Called with a line when a phase begins, with what is odd about the images, and after each training of a
            search with what is known.

    Returns:
        The finished study. A network that diverged is a row whose status is `failed`.

    Raises:
        InputError: Something asked for cannot be used, or another process works in the folder; nothing was started
            or written.
        Lost: Workers died again and again, or the folder was removed while the study ran.
    """
    clock = Clock()
    request = Request.of(latent_dims, seeds, recipe, epochs, precision, device, keep, curve)
    crew = Crew(workers, tell)
    images = _loaded(source, data_dir, value_range, test_share)
    if not isinstance(source, ImageSet):
        request = replace(request, source=images.name if _is_found_name(source, images) else str(source))
    request = request.fitting(images)
    folder = Path(out) if out is not None else default_folder(images)
    with lock.held(folder) as check:
        asked = _open(folder, request, images, fresh)
        clock.lap("load")
        if not _is_finished(folder, asked, images):
            try:
                with reproducible():
                    _run(folder, asked, Trainings(images, executor, progress, tell, clock, check, crew, early))
            except (InputError, OSError):
                check()
                raise
        return store.load(folder)


def _run(folder: Path, asked: Request, ground: Trainings) -> None:
    """Train and measure all that is missing, and write the results."""
    while True:
        ground.train(folder, asked)
        ground.clock.lap("train")
        wider = _widened(folder, asked, ground.images)
        if wider is None:
            break
        asked = wider
    if asked.screens:
        ground.screen(folder, asked)
        ground.clock.lap("screen")
    ground.check()
    if ground.tell:
        ground.tell("measuring and summing up")
    _sum_up(folder, asked, ground)
    ground.clock.lap("sum up")
    ground.clock.write(folder)


def _loaded(
    source: str | Path | ImageSet, data_dir: str | Path | None, value_range: float | None, test_share: float | None
) -> ImageSet:
    """The images of a source.

    Raises:
        InputError: They cannot be read so; an `ImageSet` is read already.
    """
    if not isinstance(source, ImageSet):
        return data.load(source, data_dir, value_range=value_range, test_share=test_share)
    if value_range is not None or test_share is not None:
        raise InputError(f"{source.name}: value_range and test_share are for a path; expected an ImageSet without them")
    return source


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
        if not (folder / "study.json").exists() and not store.is_free(folder):
            raise InputError(f"{folder} holds other files and no study; give an empty or new folder with --out")
        before = None if fresh else store.read_request(folder)
        request = request.on_this_machine(before or {})
        if before is not None:
            request = joined(folder, before, request, images)
        missing = any(store.finished_row(folder, job) is None for job in request.jobs)
        if fresh or missing or (request.screens and _screened(folder, request) is None):
            hardware.check(request.products, request.device)
        if fresh:
            store.clear(folder)
        store.remove_leftovers(folder)
        if (wanted := describe(request, images)) != before:
            store.write_json(folder / "study.json", wanted)
        (folder / "models").mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be used: {error.strerror}; give another --out") from None
    return request


@dataclass
class Trainings:
    """Trains what is missing of a study, and holds what its parent process measures and takes from its workers."""

    images: ImageSet
    executor: Executor | None
    progress: Progress | None
    tell: Callable[[str], None] | None
    clock: Clock
    check: Callable[[], None]  # raises where the folder is no longer this study's
    crew: Crew
    early: pool.Workers | None = None  # of the first training
    taken: dict[Job, PerImage] = field(default_factory=dict)
    measured: Yardsticks | None = None

    @cached_property
    def found(self) -> quality.Findings:
        """What is odd about the images."""
        return quality.look(self.images)

    def yard(self, request: Request) -> Yardsticks:
        """What the images alone say, measured when it is first asked for; what is odd about them is then told."""
        if self.measured is None:
            if self.tell:
                for note in quality.notes(self.found):
                    self.tell(note)
            self.measured = Yardsticks.of(self.images, request.jobs)
        return self.measured

    def train(self, folder: Path, request: Request) -> None:
        """Train the networks that the folder lacks, and keep each as it comes."""
        rows = {job: store.finished_row(folder, job) for job in request.jobs}
        missing = [job for job, row in rows.items() if row is None]
        if not missing:
            return
        work = Work(self.images, request.recipe, request.products, request.device)
        early, self.early = self.early, None
        with pool.training(missing, work, self.executor, self.progress, self.crew, early) as results:
            yard = self.yard(request)  # measured while workers train
            yard.walk({job.latent_dim for job in request.jobs})
            for trained in results:
                self.check()
                rows[trained.job] = _keep(folder, trained, request, self.images, yard)
                if (measured := trained.measured) is not None:
                    self.taken[trained.job] = PerImage(measured.test_errors, measured.test_sharpness)
                self.clock.note(trained)
                self.clock.write(folder)
                if self.progress:
                    self.progress(trained.job, None)
                if self.tell and request.search and request.keep is not None:
                    self.tell(verdict.known_now([row for row in rows.values() if row], request.keep))

    def screen(self, folder: Path, request: Request) -> None:
        """Train the one network for all sizes, where the folder lacks what it found."""
        if _screened(folder, request) is not None:
            return
        sizes = _screened_sizes(request)
        expected = {k: max(self.yard(request).pca.at("train", k), 1e-6) for k in sizes}
        work = Work(self.images, request.recipe, request.products, request.device, expected)
        job = Job(sizes[-1], request.jobs[0].seed)
        if self.tell:
            self.tell(f"screening all sizes from {sizes[0]} to {sizes[-1]} with one network")
        with pool.training([job], work, self.executor) as results:
            for trained in results:
                self.check()
                self.clock.worker_memory.append(trained.peak_memory or 0)
                store.write_json(folder / "curve.json", network.curve_row(trained, sizes))


def _screened_sizes(request: Request) -> list[int]:
    """The sizes that a screening is told of: those of the study, and some between them."""
    sizes = {job.latent_dim for job in request.jobs}
    return sorted(sizes | {k for k in network.CURVE if min(sizes) <= k <= max(sizes)})


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
    if any(row["status"] == "ok" and row["test_explained_variance"] is None for row in rows):
        return set()  # the images hold next to no variance, of which no size keeps a share
    found = rule.answer(verdict.explained(rows), keep, images.pixels, verdict.unable(rows))
    return {Job(size, row["seed"]) for size in found["next"] for row in rows}


def _sum_up(folder: Path, request: Request, ground: Trainings) -> None:
    asked = {
        "dataset": describe_images(ground.images),
        "recipe": recipe_dict(request.recipe),
        "environment": environment(request),
        "quality": {**asdict(ground.found), "notes": quality.notes(ground.found)},
        "keep": request.keep,
        "curve": _screened(folder, request) if request.screens else None,
    }
    summary.write(folder, request.jobs, asked, ground.images, ground.yard(request), ground.taken)


def _keep(folder: Path, trained: Trained, request: Request, images: ImageSet, yard: Yardsticks) -> dict[str, Any]:
    """Write one network: weights, history, and last of all the row that says it is finished, which is returned."""
    at = store.model_folder(folder, trained.job)
    at.mkdir(exist_ok=True)
    store.write_history(at, trained.history)
    if trained.reason is None:
        store.save_network(at, trained.weights, images, request.recipe, trained.job)
    row = network.row(trained, images, request.recipe, yard)
    store.write_json(at / "metrics.json", row)
    return row


def _is_finished(folder: Path, request: Request, images: ImageSet) -> bool:
    """Whether every network is there, and the results are those of this request."""
    if any(store.finished_row(folder, job) is None for job in request.jobs) or not (folder / "timing.json").exists():
        return False
    with suppress(InputError, KeyError, TypeError):
        done = store.load(folder)
        found, _ = done.results, done.shown["map"]  # both can be read, and are of this version
        jobs = tuple(Job(m["latent_dim"], m["seed"]) for m in found["models"])
        same = found["dataset"] == describe_images(images) and found["environment"] == environment(request)
        asked = same and jobs == request.jobs and found["verdict"]["keep"] == request.keep
        asked = asked and found["recipe"] == recipe_dict(request.recipe)
        asked = asked and (found["curve"] is not None) == request.screens
        return asked and not (request.search and _following(found["models"], found["verdict"]["keep"], images))
    return False
