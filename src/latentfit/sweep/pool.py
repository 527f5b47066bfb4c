"""Local workers: a pool of processes, one thread each, that trains networks side by side.

Workers only compute. They report each epoch through a pipe, ignore Ctrl-C (the parent decides) and end within a second
of their parent. They share one copy of the images, mapped from a temporary file of the run. A pool that loses a worker
is replaced, and the new one gets what is missing.

PyTorch takes a second to import, here and in each worker, so this module does not import it, and workers can be started
early: they import it while the parent does.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import loky
from loky.backend import get_context

from ..data.images import ImageSet
from ..errors import Lost
from ..recipe import Epoch, Job, Recipe
from .workers import Crew, need

if TYPE_CHECKING:
    from ..model import Start
    from .job import TrainedNetwork
    from .own import Own

Progress = Callable[[Job, Epoch | None], None]

RENEWALS = 3  # how often a broken pool is replaced before a study ends


class TimeUp(Exception):
    """The minutes that a study was given are over."""


class WorkersLost(Lost):
    """Worker processes ended again and again, which is nearly always a lack of memory."""


@dataclass(frozen=True)
class Work:
    """What is the same for all networks of a study.

    Attributes:
        images: What to train on.
        recipe: How.
        products: How the matrix products of the training are computed, a name in `hardware.PRODUCTS`.
        device: `cpu`, `cuda` or `mps`.
        expected: Of a nested network: latent size to the error expected there, see `sweep.nested`.
        start: Of networks that start as PCA, see `train.build`.
        own: The user's function that makes the networks.
    """

    images: ImageSet
    recipe: Recipe
    products: str = "fp32"
    device: str = "cpu"
    expected: Mapping[int, float] | None = None
    start: Start | None = None
    own: Own | None = None

    def need(self, latent_dim: int) -> int:
        """Bytes of memory that a worker needs for a network of this size."""
        images, recipe = self.images, self.recipe
        if self.own is not None:
            return self.own.need(images, latent_dim, recipe.batch_size)
        return need((images.pixels, *recipe.hidden, latent_dim), recipe.starts_as_pca)

    def train(
        self, jobs: Sequence[Job], progress: Callable[[Job, Epoch], object] | None = None
    ) -> list[TrainedNetwork]:
        """Train networks in this process, see `job.train_group`."""
        from .job import train_group

        rest = (progress, self.expected, self.start, self.own)
        return train_group(jobs, self.images, self.recipe, self.products, self.device, *rest)


@contextmanager
def training(
    jobs: Sequence[Job],
    work: Work,
    progress: Progress | None = None,
    crew: Crew | None = None,
    seconds: float | None = None,
) -> Iterator[Iterator[TrainedNetwork]]:
    """Start to train networks in local processes; the value is an iterator over them in the order in which they finish.

    On exit, what still runs is stopped.

    Args:
        jobs: Which networks.
        work: What is the same for all of them.
        progress: Called from another thread after each epoch.
        crew: How many processes there are at once; its spare ones are used if they are enough, and left to it.
        seconds: How long it may take.

    Raises:
        WorkersLost: Local workers died, and again in each new pool.
        TimeUp: After so many seconds.
    """
    end = None if seconds is None else time.monotonic() + seconds
    with _shared(work) as (shared, folder):
        pools = _LocalPools(jobs, shared, folder, progress, crew or Crew(), end)
        try:
            yield pools.results()
        finally:
            pools.leave()


def _in_time(futures: Sequence[Future[Any]], end: float | None) -> Iterator[Future[Any]]:
    """The futures as they finish; TimeUp at the end, after those that have finished by then."""
    left = {*futures}
    del futures  # a list would keep every result until the last
    try:
        for future in as_completed({*left}, None if end is None else max(0.0, end - time.monotonic())):
            left.discard(future)
            yield future
    except FutureTimeout:  # in Python 3.11 an OSError
        yield from (future for future in left if future.done())
        raise TimeUp from None


@contextmanager
def _shared(work: Work) -> Iterator[tuple[Work, str]]:
    """The same work with its images in a temporary folder, and that folder."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="latentfit-", ignore_cleanup_errors=True))
            images = work.images.put_down(Path(folder))
        except OSError as error:
            what = f"the images for the workers do not go into the temporary folder {tempfile.gettempdir()}"
            why = error.strerror or error  # NumPy's error of a full disk has no number
            raise OSError(error.errno or errno.ENOSPC, f"{what}: {why}; make room there, or set TMPDIR") from None
        yield replace(work, images=images), folder


class Workers:
    """Local processes that import what a training needs; a context, which stops them at its end.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.reader, self.writer = get_context().Pipe(duplex=False)
        self.executor = loky.ProcessPoolExecutor(count, initializer=_start_worker, initargs=(self.writer, os.getpid()))
        self.executor.submit(os.getpid)  # loky starts its processes with the first task
        self.progress: Progress | None = None
        self.failure: Exception | None = None  # raised by a callback, for the caller's thread
        self.listens = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def listen(self, progress: Progress | None) -> None:
        """From now on call this function, in another thread, with each epoch."""
        self.progress = progress
        if not self.listens:
            self.listens = True
            threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with self.reader:
            while True:
                try:
                    job, epoch = self.reader.recv()
                except (EOFError, OSError):
                    return
                try:
                    if self.progress and self.failure is None:
                        self.progress(job, epoch)
                except Exception as error:
                    self.failure = error  # and read on: a full pipe would stop the workers

    def stop(self) -> None:
        """Stop what still runs; a second call does nothing."""
        self.executor.shutdown(wait=True, kill_workers=True)
        self.writer.close()


class _LocalPools:
    """One pool at a time, started at once; `results` replaces it when it breaks."""

    def __init__(
        self,
        jobs: Sequence[Job],
        work: Work,
        folder: str,
        progress: Progress | None,
        crew: Crew,
        end: float | None,
    ) -> None:
        self.missing = set(jobs)
        self.work, self.folder, self.progress, self.crew, self.end = work, folder, progress, crew, end
        spare, crew.spare = crew.spare, None
        each = work.need(max(job.latent_dim for job in jobs))
        self.workers = crew.size(len(self.missing), each, work.device, spare.count if spare else 0)
        if spare and spare.count != self.workers and not spare.count > self.workers == len(self.missing):
            spare.stop()
            spare = None
        self.start(spare)

    def start(self, spare: Workers | None = None) -> None:
        self.pool = spare or Workers(min(len(self.missing), self.workers))
        jobs = sorted(self.missing)
        try:
            self.futures = [self.pool.executor.submit(_train, job, self.work, self.folder) for job in jobs]
        except BrokenProcessPool:  # a worker died before its first task: `results` replaces the pool
            self.futures = []
        self.pool.listen(self.progress)

    def results(self) -> Iterator[TrainedNetwork]:
        for attempt in range(1 + RENEWALS):
            if attempt:
                self.pool.stop()
                self.start()
            finished, self.futures = _in_time(self.futures, self.end), []  # release each result once it was passed on
            for future in finished:
                try:
                    trained = future.result()
                except BrokenProcessPool:
                    continue
                self.missing.discard(trained.job)
                self.crew.note(trained.seconds)
                yield trained
                if self.pool.failure is not None:
                    raise self.pool.failure
            if self.pool.failure is not None:
                raise self.pool.failure
            if not self.missing:
                return
        raise WorkersLost(
            f"worker processes ended unexpectedly {1 + RENEWALS} times, most likely for lack of memory; "
            "finished models are kept, run the same command again to go on"
        )

    def leave(self) -> None:
        """Leave the workers to the crew if they have done everything, and stop them otherwise."""
        if self.missing or self.pool.failure is not None:
            self.pool.stop()
        else:
            self.crew.spare = self.pool


_parent: Connection  # in a worker: where it reports its epochs
_folder: str | None = None  # and the folder of the images


def _start_worker(writer: Connection, parent: int) -> None:
    global _parent
    _parent = writer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    import_module("latentfit.sweep.job")


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    if _folder:
        shutil.rmtree(_folder, ignore_errors=True)  # since a killed parent could not
    os._exit(1)


# A message is far shorter than PIPE_BUF: workers share one pipe without a lock, which could die with one of them.
def _train(job: Job, work: Work, folder: str) -> TrainedNetwork:
    global _folder
    _folder = folder

    def send(job: Job, epoch: Epoch) -> None:
        with suppress(OSError):  # a parent that does not listen does not matter
            _parent.send((job, epoch))

    return work.train([job], send)[0]
