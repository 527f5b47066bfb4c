"""Latent sizes × seeds -> one folder.

A study is a list of independent jobs. They run on any `concurrent.futures` executor; by default that is a
pool of local processes, one thread each. Jobs only compute: this process alone writes, and a job whose
files are there and whole is not run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from .. import data, hardware, pca
from ..data.images import ImageSet
from ..data.quality import Quality, look, notes
from ..errors import InputError
from ..hardware import reproducible
from ..measure import network as measure
from ..measure import verdict
from ..measure.network import Baselines, ImageValues
from ..measure.summary import Settings, summarize
from ..model import Network
from ..pca import PCA
from ..recipe import Job, Recipe, first_seeds
from ..results import Model, ModelResult, NestedCurve
from ..train import build
from . import files, lock, pool, store
from .job import TrainedNetwork
from .pool import Progress, Work
from .request import Request, default_recipe, describe, joined, largest_size, read_request, recipe_of
from .timing import Clock
from .weights import from_weights, load_network, save_network
from .workers import Crew


def study(
    source: str | Path | ImageSet = "fashion-mnist",
    latent_dims: Sequence[int] | None = None,
    *,
    seeds: int | None = None,
    keep: float | None = None,
    curve: bool = False,
    recipe: str | Recipe | None = None,
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

    Networks that are finished in the folder are kept: more sizes or seeds train only what is missing, and the same
    call after a crash resumes.

    Args:
        source: What `data.load` takes (a name or a path), or an `ImageSet`.
        latent_dims: The sizes, each from 1 to the number of pixels; 16 and 48 if they are not given, or with `keep`
            a search: doubling from 2 until a size is enough, then bisection.
        seeds: Seeds per size; 5 means seeds 0 to 4. 1 if it is not given, or 3 with `keep`.
        keep: The share of the variance of the test images to keep, between 0 and 1: the study then says how many
            dimensions that takes, see `measure.verdict`.
        curve: Also train one nested network, which estimates the error at every size, see `sweep.nested`.
        recipe: A name, or a `Recipe` of your own; `reference` for a data set with a name and no share to keep, and
            `converged` for everything else, if it is not given.
        epochs: In place of the recipe's own number.
        out: The study's folder; `runs/<name>` or `runs/<name>-<recipe>` if it is not given, see `store.default_folder`.
        data_dir: Where Fashion-MNIST's files are looked for first.
        value_range: Pixel values in the source's files run from 0 to this, see `data.load`.
        test_share: Share of the images of an `.npy` to draw as test images, see `data.load`.
        precision: Of the training's matrix products: `fp32`, `bf16`, or `auto`: bf16 where the processor is faster
            with it. Decided once for a study and recorded.
        device: `cpu`, `cuda`, `mps`, or `auto`: CUDA where there is one, otherwise the CPU.
        fresh: Start over in a folder that holds another study.
        executor: Runs the jobs; local processes if it is not given. Not shut down.
        workers: Local processes that train at once, which results do not depend on; as many as networks, cores and
            memory allow if it is not given.
        early: Local processes that were started before: used for the first training if their number fits, else stopped.
        progress: Called with (job, row) after each epoch, and with (job, None) when a network is finished;
            from a thread of its own, and only where jobs run in local processes.
        tell: Called with a line when a phase begins, with each note on the images, and after each training of a
            search with what is known.

    Returns:
        The finished study. A network that diverged is a row whose status is `failed`.

    Raises:
        InputError: Something asked for cannot be used, or another process works in the folder; nothing was started
            or written.
        Lost: Workers died again and again, or the folder was removed while the study ran.
    """
    clock = Clock()
    recipe = recipe_of(recipe, source, keep, None if fresh else out)
    request = Request.of(latent_dims, seeds, recipe, epochs, precision, device, keep, curve)
    crew = Crew(workers, tell)
    images = _load(source, data_dir, value_range, test_share)
    if not isinstance(source, ImageSet):
        by_name = source in data.NAMES and not images.stand_in
        request = replace(request, source=images.name if by_name else str(source))
    request = request.fitting(images)
    folder = Path(out) if out is not None else store.default_folder(images, request.recipe.name, default_recipe(source))
    with lock.hold(folder) as check:
        run = Run(folder, images, request, executor, progress, tell, clock, check, crew, early)
        run.open(fresh)
        clock.lap("load")
        if not run.is_finished():
            try:
                with reproducible():
                    run.finish()
            except (InputError, OSError):
                check()  # a removed folder is the better error
                raise
        return store.load(folder)


def _load(
    source: str | Path | ImageSet, data_dir: str | Path | None, value_range: float | None, test_share: float | None
) -> ImageSet:
    if not isinstance(source, ImageSet):
        return data.load(source, data_dir, value_range=value_range, test_share=test_share)
    if value_range is not None or test_share is not None:
        raise InputError(f"{source.name}: value_range and test_share are for a path; expected an ImageSet without them")
    return source


@dataclass
class Run:
    """One run of a study; whether a network in the folder is finished and whole is verified once."""

    folder: Path
    images: ImageSet
    request: Request
    executor: Executor | None
    progress: Progress | None
    tell: Callable[[str], None] | None
    clock: Clock
    check: Callable[[], None]  # raises where the folder is no longer this study's
    crew: Crew
    early: pool.Workers | None  # for the first training
    models: dict[Job, Model] = field(default_factory=dict)
    networks: dict[Job, Network] = field(default_factory=dict)
    values: dict[Job, ImageValues] = field(default_factory=dict)

    def open(self, fresh: bool) -> None:
        """Check the folder against the request, add what was asked before, and write `study.json`."""
        folder = self.folder
        try:
            if not (folder / "study.json").exists() and not store.is_free(folder):
                raise InputError(f"{folder} holds other files and no study; give an empty or new folder with --out")
            before = None if fresh else read_request(folder)
            self.request = self.request.on_this_machine(before)
            if before is not None:
                self.request = joined(folder, before, self.request, self.images)
            if fresh or self.missing() or (self.request.nested and self.read_curve() is None):
                hardware.check(self.request.products, self.request.device)
            if fresh:
                store.clear(folder)
            store.remove_leftovers(folder)
            path, wanted = folder / "study.json", files.dump_json(describe(self.request, self.images))
            if not path.exists() or path.read_bytes() != wanted:
                files.write(path, wanted)
            (folder / "models").mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be used: {error.strerror}; give another --out") from None

    def missing(self) -> list[Job]:
        """The networks that are not finished."""
        for job in self.request.jobs:
            if job not in self.models and (found := store.finished(self.folder, job, self.images)):
                self.models[job] = found
        return [job for job in self.request.jobs if job not in self.models]

    def is_finished(self) -> bool:
        """Whether every network is there, and the results are those of this request."""
        if self.missing() or not (self.folder / "timing.json").exists():
            return False
        with suppress(InputError):
            return store.load(self.folder).is_of(self.request, self.images) and not self.next_jobs()
        return False

    def finish(self) -> None:
        """Train and measure everything that is missing, and write the results."""
        while True:
            self.train()
            self.clock.lap("train")
            if not (following := self.next_jobs()):
                break
            self.request = replace(self.request, jobs=tuple(sorted(following.union(self.request.jobs))))
            files.write_json(self.folder / "study.json", describe(self.request, self.images))
        if self.request.nested:
            self.train_nested()
            self.clock.lap("screen")
        self.check()
        self.say("measuring and summing up")
        self.sum_up()
        self.clock.lap("sum up")
        self.clock.write(self.folder)

    def say(self, text: str) -> None:
        """Pass a line to the `tell` callback."""
        if self.tell:
            self.tell(text)

    @cached_property
    def quality(self) -> Quality:
        """What is unusual about the images."""
        found = look(self.images)
        return Quality(**vars(found), notes=tuple(notes(found)))

    @cached_property
    def trained_on(self) -> ImageSet:
        """The images that networks are trained on, with those that are held out where the recipe stops by them."""
        return self.images.with_held_out() if self.request.recipe.holds_out else self.images

    @cached_property
    def trained_pca(self) -> PCA:
        """PCA of the images trained on."""
        return pca.fit(self.trained_on.x_train, self.images.x_test)

    @cached_property
    def baselines(self) -> Baselines:
        """Measurements of the images alone, computed on first use, with the notes on them."""
        for note in self.quality.notes:
            self.say(note)
        return Baselines.of(self.images, self.request.jobs, self.trained_on, self.trained_pca)

    def work(self, jobs: Iterable[Job], expected: Mapping[int, float] | None = None) -> Work:
        """What workers need to train these networks."""
        request = self.request
        start = None
        if request.recipe.starts_as_pca:
            start = self.trained_pca.start(max(job.latent_dim for job in jobs))
        return Work(self.trained_on, request.recipe, request.products, request.device, expected, start)

    def train(self) -> None:
        """Train the networks that are missing, and save each when it finishes."""
        if not (missing := self.missing()):
            return
        request, early, self.early = self.request, self.early, None
        with pool.training(missing, self.work(missing), self.executor, self.progress, self.crew, early) as results:
            # while workers train
            self.baselines.ground.prepare(self.baselines.pca, {job.latent_dim for job in request.jobs})
            for trained in results:
                self.check()
                self.save(trained)
                self.clock.note(trained)
                self.clock.write(self.folder)
                if self.progress:
                    self.progress(trained.job, None)
                if request.search and request.keep is not None:
                    self.say(verdict.progress_text(list(self.models.values()), request.keep))

    def save(self, trained: TrainedNetwork) -> None:
        """Write one network: history, weights, and last `metrics.json`, which marks it as finished."""
        at = store.model_folder(self.folder, trained.job)
        at.mkdir(exist_ok=True)
        store.write_history(at, trained.history)
        recipe, job = self.request.recipe, trained.job
        if trained.measurement is None:
            model: Model = measure.failed(job, trained.reason or "")
        else:
            save_network(at, trained.weights, self.images, recipe, job)
            model = measure.model_result(job, trained.measurement, trained.history, self.images, recipe, self.baselines)
            self.values[job] = trained.measurement.per_image
            others = {o: n for o, n in self.networks.items() if o.latent_dim != job.latent_dim}
            if all(job < other for other in self.networks.keys() - others.keys()):  # of each size one is kept
                self.networks = others | {job: from_weights(build(self.images.pixels, recipe, *job), trained.weights)}
        files.write_json(at / "metrics.json", model)
        self.models[job] = model

    def next_jobs(self) -> set[Job]:
        """The networks that a search trains next; none where it has ended, or nothing is searched."""
        if not self.request.search or self.request.keep is None:
            return set()
        models = [self.models[j] for j in self.request.jobs]  # in order, not as they came: sums depend on it
        sizes = verdict.next_sizes(models, self.request.keep, largest_size(self.images))
        return {Job(size, job.seed) for size in sizes for job in self.request.jobs}

    def read_curve(self) -> NestedCurve | None:
        """The errors of a finished nested network for these sizes; None where there are none."""
        return store.read_curve(self.folder, self.request.nested_sizes, self.request.jobs[0].seed)

    def train_nested(self) -> None:
        """Train the nested network, unless `curve.json` has its errors."""
        if self.read_curve() is not None:
            return
        sizes, request = self.request.nested_sizes, self.request
        expected = {k: max(self.baselines.pca.at("train", k), 1e-6) for k in sizes}
        job = Job(sizes[-1], request.jobs[0].seed)
        self.say(f"screening all sizes from {sizes[0]} to {sizes[-1]} with one network")
        with pool.training([job], self.work([job], expected), self.executor) as results:
            for trained in results:
                self.check()
                self.clock.worker_memory.append(trained.peak_memory or 0)
                curve = measure.nested_curve(trained.job, trained.errors, trained.reason, sizes)
                files.write_json(self.folder / "curve.json", curve)

    def sum_up(self) -> None:
        """Measure what needs all networks, and write `shown.safetensors` and then `results.json`."""
        request = self.request
        models = [self.models[job] for job in request.jobs]
        trained = [model.job for model in models if isinstance(model, ModelResult)]
        first, networks = first_seeds(trained), dict[Job, Network]()
        for job in trained:
            if job in first or job not in self.values:
                network = self.networks.get(job) or load_network(store.model_folder(self.folder, job))
                networks |= {job: network} if job in first else {}
                self.values[job] = self.values.get(job) or ImageValues.of(network, self.images.x_test)
        settings = Settings(
            dataset=self.images.description,
            recipe=request.recipe,
            environment=request.environment,
            quality=self.quality,
            keep=request.keep,
            curve=self.read_curve() if request.nested else None,
        )
        values = {job: self.values[job] for job in trained}
        results, shown = summarize(settings, models, networks, values, self.images, self.baselines)
        store.write_shown(self.folder, shown)
        files.write_json(self.folder / "results.json", results)
