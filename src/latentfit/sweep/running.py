"""One process that works on a study: what it trains, measures and writes, until its folder is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from .. import hardware, pca
from ..data import quality
from ..data.images import ImageSet
from ..errors import InputError, Lost
from ..formatting import dims, listed, of_rows, percent
from ..measure import answer
from ..measure import network as measure
from ..measure.network import Baselines, ImageValues
from ..measure.rows import Units
from ..measure.search import Step
from ..measure.summary import summarize
from ..measure.verdict import Size
from ..model import Codec
from ..pca import PCA
from ..recipe import Job, first_seeds
from ..results import Model, ModelResult, NestedCurve
from . import files, memory, pool, scaling, searching, store
from .job import TrainedNetwork, build
from .pool import Progress, TimeUp, Work
from .remote import Remote
from .request import Request, largest_size
from .searching import Forecast, Scout
from .study_file import describe, joined, read_request
from .timing import Clock
from .weights import from_weights, load_network, save_network
from .workers import Crew


@dataclass
class Run:
    """One run of a study; whether a network in the folder is finished and whole is verified once."""

    folder: Path
    images: ImageSet  # in the data's units
    request: Request
    remote: Remote | None  # workers that are not this machine's
    progress: Progress | None
    tell: Callable[[str], None] | None
    clock: Clock
    check: Callable[[], None]  # raises where the folder is no longer this study's
    crew: Crew
    models: dict[Job, Model] = field(default_factory=dict)
    networks: dict[Job, Codec] = field(default_factory=dict)
    values: dict[Job, ImageValues] = field(default_factory=dict)
    forecast: Forecast | None = None  # of a search

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
            self.request = self.request.with_own_described(self.seen)
            trains = fresh or self.missing() or (self.request.nested and self.read_curve() is None)
            if trains:
                hardware.check(self.request.products, self.request.device)
            if self.request.own is not None and (trains or not self.request.jobs):
                self.request.check_own(self.trained_on, self.request.tried_sizes(self.trained_on))
            if (trains or not self.request.jobs) and self.remote is None:
                memory.check(self.request, self.seen, self.crew, self.say)
            if fresh:
                store.clear(folder)
            store.remove_leftovers(folder)
            self.write_request()
            (folder / "models").mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be used: {error.strerror}; give another --out") from None

    def write_request(self) -> None:
        """Write `study.json`, unless it says the same."""
        path, wanted = self.folder / "study.json", files.dump_json(describe(self.request, self.images))
        if not path.exists() or path.read_bytes() != wanted:
            files.write(path, wanted)

    def missing(self) -> list[Job]:
        """The networks that are not finished."""
        for job in self.request.jobs:
            if job not in self.models and (found := store.finished(self.folder, job, self.images, self.request.own)):
                self.models[job] = found
        return [job for job in self.request.jobs if job not in self.models]

    def is_finished(self) -> bool:
        """Whether every network is there, and the results are those of this request."""
        if self.missing() or not (self.folder / "timing.json").exists():
            return False
        with suppress(InputError):
            is_whole = store.load(self.folder).is_of(self.request, self.images)
            return is_whole and (not self.request.search or self.next_step() == Step())
        return False

    def finish(self) -> None:
        """Train and measure everything that is missing, and write the results."""
        self.complete()
        try:
            self.train()
            while self.search():
                pass
            in_time = True
        except TimeUp:
            self.give_up()
            in_time = False
        self.crew.stop()
        if self.remote is not None:
            self.remote.stop()
        self.clock.lap("train")
        if self.request.nested and in_time:
            self.train_nested()
            self.clock.lap("screen")
        self.check()
        self.say("measuring and summing up")
        self.sum_up()
        self.clock.lap("sum up")
        self.clock.write(self.folder)

    def complete(self) -> None:
        """Add to networks of earlier versions what these did not measure."""
        for job, model in self.models.items():
            if isinstance(model, ModelResult) and model.explained_variance_error is None and self.baselines.varies:
                at = store.model_folder(self.folder, job)
                self.values[job] = ImageValues.of(self.load(at), self.seen.x_test)
                error = self.baselines.explained_error(self.values[job].test_mse)
                self.models[job] = replace(model, explained_variance_error=error)
                files.write_json(at / "metrics.json", self.models[job])

    def say(self, text: str) -> None:
        """Pass a line to the `tell` callback."""
        if self.tell:
            self.tell(of_rows(text, self.images.description.names) if self.images.is_rows else text)

    @property
    def seen(self) -> ImageSet:
        """The images as networks see them."""
        return self.images.seen

    def load(self, folder: Path) -> Codec:
        """A stored network, as a function of these."""
        return scaling.seen(load_network(folder, self.request.own), self.seen.scaling)

    @cached_property
    def quality(self) -> quality.Quality:
        """What is odd about the images."""
        return quality.of(self.images)

    @cached_property
    def trained_on(self) -> ImageSet:
        """The images that networks are trained on, with those that are held out where the recipe stops by them."""
        return self.seen.with_held_out() if self.request.recipe.holds_out else self.seen

    @cached_property
    def trained_pca(self) -> PCA:
        """PCA of the images trained on."""
        return pca.fit(self.trained_on.x_train, self.seen.x_test)

    @cached_property
    def baselines(self) -> Baselines:
        """Measurements of the images alone, computed on first use, with the notes on them."""
        for note in self.quality.notes:
            self.say(note)
        units = Units.of(self.images)
        return Baselines.of(self.seen, self.request.seeds[0], self.trained_on, self.trained_pca, units)

    def work(self, jobs: Iterable[Job], expected: Mapping[int, float] | None = None) -> Work:
        """What workers need to train these networks."""
        request = self.request
        start = None
        if request.recipe.starts_as_pca:
            start = self.trained_pca.start(max(job.latent_dim for job in jobs))
        return Work(self.trained_on, request.recipe, request.products, request.device, expected, start, request.own)

    def training(
        self, jobs: Sequence[Job], expected: Mapping[int, float] | None = None, left: float | None = None
    ) -> AbstractContextManager[Iterator[TrainedNetwork]]:
        """Start to train networks here or elsewhere, see `pool.training` and `Remote.train`."""
        if self.remote is None:
            crew, progress = (self.crew, self.progress) if expected is None else (None, None)
            return pool.training(jobs, self.work(jobs, expected), progress, crew, left)
        ahead, largest = None, max(job.latent_dim for job in jobs)
        if self.request.search and expected is None and self.request.own is None:  # which is tried while nothing runs
            largest = min(2 * largest, largest_size(self.trained_on))
            known = (self.models, self.baselines, self.known_scouts)  # models come while it trains
            ahead = partial(searching.likely_next, self.request, *known, largest)
        return nullcontext(self.remote.train(jobs, self.work([Job(largest, 0)], expected), left, ahead))

    def train(self) -> None:
        """Train the networks that are missing, and save each when it finishes."""
        if not (missing := self.missing()):
            return
        request, left = self.request, self.clock.left()
        if left is not None and left <= 0:
            raise TimeUp
        searching.try_own(request, self.trained_on, missing)
        with self.training(missing, left=left) as results:
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
                    self.say(answer.progress_text(list(self.models.values()), request.keep) + self.time_left())

    def save(self, trained: TrainedNetwork) -> None:
        """Write one network: history, weights, and last `metrics.json`, which marks it as finished."""
        at = store.model_folder(self.folder, trained.job)
        at.mkdir(exist_ok=True)
        store.write_history(at, trained.history)
        recipe, job = self.request.recipe, trained.job
        if trained.measurement is None:
            model: Model = measure.failed(job, trained.reason or "")
        else:
            save_network(at, trained.weights, self.images, recipe, job, self.request.own)
            model = measure.model_result(job, trained.measurement, trained.history, self.seen, recipe, self.baselines)
            self.values[job] = trained.measurement.per_image
            others = {o: n for o, n in self.networks.items() if o.latent_dim != job.latent_dim}
            first = all(job < other for other in self.networks.keys() - others.keys())  # of each size one is kept
            if first and self.request.own is None:  # which may be drawing elsewhere in this process
                blank = build(self.images, recipe, job)
                stored = scaling.seen(from_weights(blank, trained.weights), self.seen.scaling)
                self.networks = others | {job: stored}
        files.write_json(at / "metrics.json", model)
        self.models[job] = model

    @cached_property
    def scouts(self) -> dict[int, Scout]:
        """The short trainings of a search so far."""
        return searching.read_scouts(self.folder)

    @property
    def known_scouts(self) -> dict[int, Size] | None:
        """What they say to the search; None where the recipe has none."""
        if not self.request.recipe.starts_as_pca or self.trained_on.x_val is None:
            return None
        return searching.as_sizes(self.scouts, self.request.keep)

    def next_step(self) -> Step:
        """What a search trains next; nothing where it has ended, or nothing is searched."""
        models = [self.models[j] for j in self.request.jobs]  # in order, not as they came: sums depend on it
        return searching.next_step(self.request, models, self.baselines, self.known_scouts)

    def search(self) -> bool:
        """Train what a search wants next; whether there was anything."""
        step = self.next_step()
        if step != Step() and self.forecast is None:
            remote, likely = self.remote, self.crew.likely(len(self.request.seeds) * 2)
            workers = likely if remote is None else remote.count() or 1
            self.forecast = searching.forecast(self.request, self.work([Job(1, 0)]), workers, len(self.models))
            self.say(f"expected to take {self.forecast}")
        if step.scouts:
            jobs = [Job(k, self.request.seeds[0]) for k in step.scouts]
            self.say(f"looking for the size with a short training of {listed([*map(dims, step.scouts)])}")
            for scout in searching.train(jobs, self.work(jobs), self.baselines, self.remote, self.clock):
                explained = (
                    "diverged" if scout.explained is None else f"explained variance {percent(scout.explained, 1)}"
                )
                self.say(f"{dims(scout.latent_dim)}: {explained}")
                searching.write_scout(self.folder, scout)
                self.scouts[scout.latent_dim] = scout
        elif step.jobs:
            self.request = replace(self.request, jobs=tuple(sorted(step.jobs.union(self.request.jobs))))
            self.write_request()
            self.train()
        return step != Step()

    def time_left(self) -> str:
        """What a search says of the time that is left, by the networks that it has trained so far."""
        seconds, missing = self.clock.trained, len(self.missing())
        if self.forecast is None or not seconds:
            return ""
        left = self.forecast.after(seconds, missing)
        return f"; remaining: {left}" if left.networks else ""

    def give_up(self) -> None:
        """End a search before its end: the results are of the networks that are there, the request stays."""
        self.request = replace(self.request, jobs=tuple(job for job in self.request.jobs if job in self.models))
        if not self.request.jobs:
            raise Lost(searching.nothing_trained(self.request, self.baselines, self.scouts, self.forecast))
        self.say(f"the minutes are over; the same command goes on{self.time_left()}")

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
        self.say(f"training one nested network for the sizes from {sizes[0]} to {sizes[-1]}")
        with self.training([job], expected) as results:
            for trained in results:
                self.check()
                self.clock.worker_memory.append(trained.peak_memory or 0)
                curve = measure.nested_curve(trained.job, trained.errors, trained.reason, sizes, self.seen.is_rows)
                files.write_json(self.folder / "curve.json", curve)

    def sum_up(self) -> None:
        """Measure what needs all networks, and write `shown.safetensors` and then `results.json`."""
        request = self.request
        models = [self.models[job] for job in request.jobs]
        trained = [model.job for model in models if isinstance(model, ModelResult)]
        first, networks = first_seeds(trained), dict[Job, Codec]()
        for job in trained:
            if job in first or job not in self.values:
                network = self.networks.get(job) or self.load(store.model_folder(self.folder, job))
                networks |= {job: network} if job in first else {}
                self.values[job] = self.values.get(job) or ImageValues.of(network, self.seen.x_test)
        curve = self.read_curve() if request.nested else None
        settings = request.settings(self.images.description, self.quality, self.known_scouts, curve)
        values = {job: self.values[job] for job in trained}
        results, shown = summarize(settings, models, networks, values, self.seen, self.baselines)
        store.write_shown(self.folder, shown, self.seen.scaling)
        files.write_json(self.folder / "results.json", results)
