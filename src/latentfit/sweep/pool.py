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
from concurrent.futures import Executor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import loky
from loky.backend import get_context

from ..data.images import ImageSet
from ..errors import Lost
from ..recipe import Epoch, Job, Recipe
from .workers import Crew, need

if TYPE_CHECKING:
    from ..model import Start
    from .job import TrainedNetwork

Progress = Callable[[Job, Epoch | None], None]

RENEWALS = 3  # how often a broken pool is replaced before a study ends


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
    """

    images: ImageSet
    recipe: Recipe
    products: str = "fp32"
    device: str = "cpu"
    expected: Mapping[int, float] | None = None
    start: Start | None = None


@contextmanager
def training(
    jobs: Sequence[Job],
    work: Work,
    executor: Executor | None = None,
    progress: Progress | None = None,
    crew: Crew | None = None,
    early: Workers | None = None,
) -> Iterator[Iterator[TrainedNetwork]]:
    """Start to train networks; the value is an iterator over them in the order in which they finish.

    On exit, what still runs is stopped.

    Args:
        jobs: Which networks.
        work: What is the same for all of them.
        executor: Where they are trained; it is not shut down. Local processes if it is not given.
        progress: Called from another thread after each epoch; only local processes report epochs.
        crew: How many local processes there are at once.
        early: Local processes that were started before; replaced if their number is not the right one.

    Raises:
        WorkersLost: Local workers died, and again in each new pool.
    """
    if executor is not None:
        from .job import train_group

        rest = (work.images, work.recipe, work.products, work.device, None, work.expected, work.start)
        futures = [executor.submit(train_group, [job], *rest) for job in jobs]
        try:
            yield (trained for future in as_completed(futures) for trained in future.result())
        finally:
            for future in futures:
                future.cancel()
        return
    with _shared(work) as (shared, folder):
        pools = _LocalPools(jobs, shared, folder, progress, crew or Crew(), early)
        try:
            yield pools.results()
        finally:
            pools.stop()


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

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

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
        early: Workers | None,
    ) -> None:
        self.missing = set(jobs)
        self.work, self.folder, self.progress, self.crew = work, folder, progress, crew
        sizes = (work.images.pixels, *work.recipe.hidden, max(job.latent_dim for job in jobs))
        self.workers = crew.size(
            len(self.missing), need(sizes, work.recipe.starts_as_pca), work.device, early.count if early else 0
        )
        self.failure: Exception | None = None  # raised by a callback, for the caller's thread
        if early and early.count != self.workers:
            early.stop()
            early = None
        self.start(early)

    def start(self, early: Workers | None = None) -> None:
        self.pool = early or Workers(min(len(self.missing), self.workers))
        jobs = sorted(self.missing)
        try:
            self.futures = [self.pool.executor.submit(_train, job, self.work, self.folder) for job in jobs]
        except BrokenProcessPool:  # a worker died before its first task: `results` replaces the pool
            self.futures = []
        threading.Thread(target=self._listen, args=(self.pool.reader,), daemon=True).start()

    def results(self) -> Iterator[TrainedNetwork]:
        for attempt in range(1 + RENEWALS):
            if attempt:
                self.stop()
                self.start()
            finished, self.futures = as_completed(self.futures), []  # release each result once it was passed on
            for future in finished:
                try:
                    trained = future.result()
                except BrokenProcessPool:
                    continue
                self.missing.discard(trained.job)
                self.crew.note(trained.seconds)
                yield trained
                if self.failure is not None:
                    raise self.failure
            if not self.missing:
                return
        raise WorkersLost(
            f"worker processes ended unexpectedly {1 + RENEWALS} times, most likely for lack of memory; "
            "finished models are kept, run the same command again to go on"
        )

    def stop(self) -> None:
        self.pool.stop()

    def _listen(self, reader: Connection) -> None:
        with reader:
            while True:
                try:
                    job, epoch = reader.recv()
                except (EOFError, OSError):
                    return
                try:
                    if self.progress and self.failure is None:
                        self.progress(job, epoch)
                except Exception as error:
                    self.failure = error  # and read on: a full pipe would stop the workers


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
    from .job import train_group

    global _folder
    _folder = folder

    def send(job: Job, epoch: Epoch) -> None:
        with suppress(OSError):  # a parent that does not listen does not matter
            _parent.send((job, epoch))

    rest = (work.images, work.recipe, work.products, work.device, send, work.expected, work.start)
    return train_group([job], *rest)[0]
