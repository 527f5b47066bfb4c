"""Workers that somebody else started: any `concurrent.futures` executor, whose processes may be on other machines.

A job carries everything but the images. A worker that does not have them says so, gets them with the next try and keeps
them, so that no shared disk is needed. Twice as many jobs are under way as there are workers: none waits for this
process, and results do not pile up here. PyTorch is not imported, so that what a job names is light to import.
"""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from math import inf, isfinite
from numbers import Real
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from ..data.images import ImageSet
from ..errors import KEPT, InputError, Lost
from ..formatting import dims, duration
from ..recipe import Epoch, Job
from .pool import RENEWALS, TimeUp, Work, WorkersLost

if TYPE_CHECKING:
    from .job import TrainedNetwork

Ahead = Callable[[Collection[Job]], Collection[Job]]

LIBRARIES = ("latentfit", "torch", "numpy", "scipy", "scikit-learn")  # that numbers depend on
GATHER = 60.0  # seconds in which a result that is there arrives
POLL = 1.0  # seconds after which workers are counted again
MISFITS = (ImportError, AttributeError)  # of a worker that cannot unpickle a job


class Refused(Lost):
    """A worker lacks what a study needs."""


class NothingCame(Lost):
    """No network came back for as long as was allowed."""


@dataclass(frozen=True)
class Reply:
    """The answer of a worker: a network, or why it refuses, or neither where it lacks the images."""

    trained: TrainedNetwork | None = None
    refusal: str | None = None


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that the numbers of a study depend on."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


_own: dict[str, ImageSet] = {}  # images of the studies of this process, for executors that run jobs in it
_kept: dict[str, ImageSet] = {}  # in a worker: those of the study that it last worked for


def run(
    jobs: Sequence[Job],
    work: Work,
    images: ImageSet | None,
    key: str,
    wanted: Mapping[str, str],
    check: Callable[[Job, Epoch], object] | None = None,
) -> Reply:
    """Train one network in a worker.

    Args:
        jobs: The network, in a list.
        work: What is the same for all, without the images.
        images: None where the worker may have kept them.
        key: Under which it keeps them; empty where it should not.
        wanted: `versions` where the study is.
        check: Called after each epoch.
    """
    worker, here = f"worker {platform.node()}, process {os.getpid()}", versions()
    if different := [name for name in wanted if here.get(name) != wanted[name]]:
        there, asked = (", ".join(f"{name} {having.get(name)}" for name in different) for having in (here, wanted))
        return Reply(refusal=f"{worker} has {there}, and the study {asked}; install the same there")
    if images is None:
        images = _own.get(key, _kept.get(key))
    elif key:
        _kept.clear()
        _kept[key] = images
    if images is None:
        return Reply()
    try:
        return Reply(replace(work, images=images).train(jobs, check)[0])
    except InputError as error:
        return Reply(refusal=f"{worker} refuses: {error}")


class Remote:
    """The workers of an executor, as a context that stops what still runs at its end; the executor is left as it is.

    Args:
        executor: Any.
        patience: Minutes without a network that comes back, after which a study ends; none if it is not given.
        tell: Called with lines about the workers.
    """

    def __init__(self, executor: Any, patience: float | None = None, tell: Callable[[str], None] | None = None) -> None:
        self.executor, self.patience, self.tell = executor, patience, tell
        self.under_way: dict[Job, Future[Reply]] = {}
        self.early: dict[Job, TrainedNetwork] = {}  # trained before they were asked for
        self.came: SimpleQueue[tuple[Job, Future[Reply]]] = SimpleQueue()
        self.submitted: Counter[Job] = Counter()
        self.waiting: list[Job] = []
        self.source: ImageSet | None = None  # as the study has them
        self.images: ImageSet | None = None  # as workers get them
        self.key, self.versions, self.heard = "", versions(), time.monotonic()

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        _own.pop(self.key, None)

    def stop(self) -> None:
        """Stop what is under way, and forget what was not asked for."""
        self.cancel([*self.under_way])
        self.early.clear()

    def cancel(self, jobs: Collection[Job]) -> None:
        """Take back jobs that are under way."""
        for job in jobs:
            self.under_way.pop(job).cancel()

    def count(self) -> int | None:
        """The number of workers; None where it is not known."""
        names = ("_max_workers", "num_workers", "max_workers")  # of the standard library and loky, of MPI, of others
        found = [value for name in names if isinstance(value := getattr(self.executor, name, None), int)]
        return max(1, found[0]) if found else None

    def is_ready(self) -> bool:
        """Whether jobs can be submitted."""
        return True

    def idle(self) -> int:
        """How many workers have nothing to do and could be stopped if they had; 0 where that is not known."""
        return 0

    def train(
        self, jobs: Collection[Job], work: Work, seconds: float | None = None, ahead: Ahead | None = None
    ) -> Iterator[TrainedNetwork]:
        """Start to train networks; the value is an iterator over them in the order in which they come.

        Args:
            jobs: Which.
            work: What is the same for all of them.
            seconds: How long it may take.
            ahead: The networks that are likely to be wanted once some others were trained. Idle workers begin with
                them; a later call that wants them has them sooner, and others are dropped.

        Raises:
            TimeUp: After so many seconds.
            Lost: The workers or their scheduler are gone, one refuses the study, or nothing came for too long.
        """
        end = inf if seconds is None else time.monotonic() + seconds
        wanted = {*jobs}
        self.cancel(self.under_way.keys() - wanted - {*(ahead(wanted) if ahead else ())})
        self.waiting = sorted(wanted - self.under_way.keys() - self.early.keys(), reverse=True)
        self.submitted.clear()
        self.heard = time.monotonic()
        self.prepare(work)
        self.fill(wanted, ahead)
        return self._results(wanted, end, ahead)

    def _results(self, wanted: set[Job], end: float, ahead: Ahead | None) -> Iterator[TrainedNetwork]:
        yield from self._arrived(wanted)
        began, count = time.monotonic(), len(wanted)
        while wanted:
            for job, reply in self.next(end):
                self.heard = time.monotonic()
                if reply is None:
                    self.again(job)
                elif reply.refusal is not None:
                    raise Refused(f"{reply.refusal}; {KEPT}")
                elif reply.trained is None:
                    self.submit(job, self.images)
                else:
                    self.early[job] = reply.trained
            self.fill(wanted, ahead)  # before the caller works on what came
            before = len(wanted)
            yield from self._arrived(wanted)
            if self.tell and before > len(wanted) > 0:
                done = count - len(wanted)
                left = duration((time.monotonic() - began) / done * len(wanted))
                self.tell(f"network {done} of {count} is trained, about {left} left for the others")

    def _arrived(self, wanted: set[Job]) -> Iterator[TrainedNetwork]:
        """Those of the networks that are there; they are wanted no more."""
        for job in sorted(wanted & self.early.keys()):
            wanted.discard(job)
            yield self.early.pop(job)

    def prepare(self, work: Work) -> None:
        """Take what is the same for all networks that follow."""
        if work.images is not self.source:
            self.source, self.images, self.key = work.images, replace(work.images, names=None), uuid4().hex
            _own[self.key] = self.images
        self.work = replace(work, images=cast("ImageSet", None))  # which travel alone

    def fill(self, wanted: Collection[Job], ahead: Ahead | None) -> None:
        """Submit jobs until they are twice as many as workers, and to idle workers what is likely to come next."""
        if not (self.waiting or ahead) or not self.is_ready():
            return
        count = self.count()
        while self.waiting and (count is None or len(self.under_way) < 2 * count):
            self.submit(self.waiting.pop())
        while ahead and not self.waiting and (idle := self.idle()) > 0:
            known = {*wanted, *self.under_way, *self.early}
            likely = sorted({*ahead(known)} - known)[:idle]
            for job in likely:
                self.submit(job)
            if not likely:
                return

    def submit(self, job: Job, images: ImageSet | None = None, /) -> None:
        """Hand a job to the executor, with the images where its worker lacked them."""
        try:
            future = self.executor.submit(run, [job], self.work, images, self.key, self.versions)
        except BrokenExecutor as error:
            raise executor_lost(error) from None
        self._watch(job, future)

    def _watch(self, job: Job, future: Future[Reply]) -> None:
        self.under_way[job] = future
        future.add_done_callback(lambda done: self.came.put((job, done)))

    def again(self, job: Job) -> None:
        """Submit a job whose worker died.

        Raises:
            WorkersLost: That happened too often.
        """
        self.submitted[job] += 1
        name = f"{dims(job.latent_dim)}, seed {job.seed}"
        if self.submitted[job] > RENEWALS:
            why = "its workers died, most likely for lack of memory, or its results did not arrive"
            raise WorkersLost(f"{name} came {1 + RENEWALS} times to nothing: {why}; {KEPT}")
        if self.tell:
            self.tell(f"{name}: a worker was lost, or what it sent; trained again")
        self.waiting.append(job)

    def next(self, end: float) -> list[tuple[Job, Reply | None]]:
        """A job and its reply, None where it has to be submitted again; nothing where workers may have come.

        Raises:
            TimeUp: It is later than `end`, by the monotonic clock.
            Lost: As of `train`.
        """
        limit = inf if self.patience is None else self.heard + 60 * self.patience
        try:
            job, future = self.came.get(timeout=max(0.0, min(POLL, min(end, limit) - time.monotonic())))
        except Empty:
            if (now := time.monotonic()) >= end:
                raise TimeUp from None
            if now >= limit:
                raise NothingCame(f"no network came back in {self.patience:g} minutes (--patience); {KEPT}") from None
            return []
        if self.under_way.get(job) is not future:  # it was cancelled
            return []
        del self.under_way[job]
        return [(job, self.reply(job, future))]

    def reply(self, _: Job, future: Future[Reply], /) -> Reply | None:
        """What a worker answered; None where that is lost, so that the job has to be submitted again.

        Raises:
            Lost: There are no workers any more, or one cannot read the job.
        """
        try:
            return future.result(GATHER)
        except (BrokenExecutor, CancelledError) as error:
            raise executor_lost(error) from None
        except MISFITS as error:
            raise self.misfit("a worker", error) from error

    def misfit(self, where: str, error: BaseException) -> Refused:
        """The error of who cannot read a job."""
        here = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        why = f"{type(error).__name__}: {error}"
        return Refused(f"{where} cannot read the job ({why}); expected there as here {here}; {KEPT}")


def executor_lost(error: Exception) -> WorkersLost:
    """The error of an executor that has no workers any more."""
    why = f" ({error})" if str(error) else ""
    return WorkersLost(f"the executor lost its workers{why}; with a new one {KEPT}")


def of(executor: Any, patience: float | None, tell: Callable[[str], None] | None) -> Remote | None:
    """The workers of an executor or of a Dask client; None without.

    Raises:
        InputError: It is something else, or the patience is not possible.
    """
    from . import cluster

    if patience is not None and not (isinstance(patience, Real) and isfinite(patience) and patience > 0):
        raise InputError(f"patience {patience!r}; expected a number of minutes above 0: 30")
    if executor is None:
        if patience is not None:
            raise InputError("patience is for workers of a cluster or an executor; expected one, or no patience")
        return None
    if cluster.is_of_dask(executor):
        return cluster.Cluster(executor, patience, tell)
    if not isinstance(executor, Executor):
        raise InputError(
            f"executor is a {type(executor).__name__}; expected a concurrent.futures.Executor or a Dask Client"
        )
    return Remote(executor, patience, tell)
