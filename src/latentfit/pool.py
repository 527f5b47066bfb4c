"""Local workers: a pool of processes, one thread each, that trains networks side by side.

Workers only compute. They tell of each epoch through a pipe, ignore Ctrl-C (the parent decides) and end
within a second of their parent. A pool that loses a worker is made anew and given what is missing.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

import loky
from loky.backend import get_context

from .data.images import ImageSet
from .train import Epoch, Job, Recipe, Trained, train_group

Progress = Callable[[Job, Epoch | None], None]

RENEWALS = 3  # how often a broken pool is made anew before a study gives up


class WorkersLost(RuntimeError):
    """Worker processes ended again and again, which is nearly always a lack of memory."""


@contextmanager
def training(
    jobs: Sequence[Job],
    images: ImageSet,
    recipe: Recipe,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Iterator[Iterator[Trained]]:
    """Begin to train networks, and give an iterator over them in the order in which they are finished.

    On leaving, what still runs is stopped.

    Args:
        jobs: Which networks.
        images: What to train on.
        recipe: How.
        executor: Where; it is not shut down. Local processes if it is not given.
        progress: Called from another thread after each epoch; only local processes tell of epochs.

    Raises:
        WorkersLost: Local workers died, and again in each pool that was made anew.
    """
    runner = (
        _LocalPools(jobs, images, recipe, progress) if executor is None else _Elsewhere(executor, jobs, images, recipe)
    )
    try:
        yield runner.results()
    finally:
        runner.stop()


class _Elsewhere:
    """Jobs on an executor of somebody else's."""

    def __init__(self, executor: Executor, jobs: Sequence[Job], images: ImageSet, recipe: Recipe) -> None:
        self.futures = [executor.submit(train_group, [job], images, recipe) for job in jobs]

    def results(self) -> Iterator[Trained]:
        for future in as_completed(self.futures):
            yield from future.result()

    def stop(self) -> None:
        for future in self.futures:
            future.cancel()


class _LocalPools:
    """One pool at a time, begun at once; `results` makes the next one where it breaks."""

    def __init__(self, jobs: Sequence[Job], images: ImageSet, recipe: Recipe, progress: Progress | None) -> None:
        self.missing = set(jobs)
        self.images, self.recipe, self.progress = images, recipe, progress
        self.failure: Exception | None = None  # what a callback raised, for the caller's own thread
        self.start()

    def start(self) -> None:
        context = get_context()
        reader, writer = context.Pipe(duplex=False)
        workers = min(len(self.missing), loky.cpu_count())
        self.executor = loky.ProcessPoolExecutor(workers, initializer=_start_worker, initargs=(writer, os.getpid()))
        submit = self.executor.submit
        self.futures = [submit(_train_and_tell, j, self.images, self.recipe) for j in sorted(self.missing)]
        threading.Thread(target=self._listen, args=(reader,), daemon=True).start()
        self.writer = writer

    def results(self) -> Iterator[Trained]:
        for attempt in range(1 + RENEWALS):
            if attempt:
                self.stop()
                self.start()
            for future in as_completed(self.futures):
                try:
                    trained = future.result()
                except BrokenProcessPool:
                    continue
                self.missing.discard(trained.job)
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
        self.executor.shutdown(wait=True, kill_workers=True)
        self.writer.close()

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
                    self.failure = error  # and go on reading: a full pipe would stop the workers


_parent: Connection  # in a worker: where it tells of its epochs


def _start_worker(writer: Connection, parent: int) -> None:
    global _parent
    _parent = writer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


# A message is far shorter than PIPE_BUF: workers share one pipe without a lock, which could die with one of them.
def _train_and_tell(job: Job, images: ImageSet, recipe: Recipe) -> Trained:
    def tell(job: Job, epoch: Epoch) -> None:
        with suppress(OSError):  # a parent that does not listen is no reason to stop
            _parent.send((job, epoch))

    return train_group([job], images, recipe, tell)[0]
