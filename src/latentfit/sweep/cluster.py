"""Dask: workers on many machines, found by their scheduler.

Its futures are used as they are: of those of `Client.get_executor()` one whose result was lost on its way never ends.
The images and what else is the same for all networks are scattered once. Each worker fetches them from another when it
first needs them, one that came late too; Dask drops them with the study. When all workers that had them are gone Dask
cancels what depends on them, and they are scattered anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any

from ..data.images import ImageSet
from ..errors import KEPT, InputError, Lost
from ..formatting import dims, plural
from ..recipe import Job
from . import remote
from .pool import RENEWALS, Work, WorkersLost
from .remote import Remote, Reply

CONNECT = 10  # seconds in which a scheduler answers


class SchedulerLost(Lost):
    """The scheduler of a cluster went away."""


class Unwanted(Exception):
    """In a worker: nobody waits for this network any more."""


def is_of_dask(executor: Any) -> bool:
    """Whether it is a Dask client, or the executor of one."""
    return type(executor).__module__.partition(".")[0] == "distributed"


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """A Dask client of the scheduler at an address; of `tls://` the certificates are those of Dask's settings.

    Raises:
        InputError: Dask is not installed, or no scheduler answers there.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError("a cluster takes Dask; expected it installed: pip install 'latentfit[cluster]'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)  # an error of ours is one line
    try:
        asyncio.run(_reach(address))  # a client that fails while it is made waits, and tells it twice
        client = Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"no scheduler answers at {address} ({why}); expected that of a Dask cluster") from None
    try:
        yield client
    finally:
        with suppress(Exception):
            client.close(timeout=2)


async def _reach(address: str) -> None:
    from distributed import Security, comm

    found = await comm.connect(address, timeout=CONNECT, **Security().get_connection_args("client"))
    await found.close()


def run(jobs: Sequence[Job], work: Work, images: ImageSet, wanted: Mapping[str, str]) -> Reply:
    """Train one network in a worker of Dask; ends early where its task was cancelled."""
    return remote.run(jobs, work, images, "", wanted, _end_if_unwanted)


def _end_if_unwanted(*_: object) -> None:
    from distributed.worker import thread_state

    worker = thread_state.execution_state["worker"]
    task = worker.state.tasks.get(thread_state.key)
    if task is None or task.state != "executing":
        raise Unwanted


class Cluster(Remote):
    """The workers of a Dask cluster.

    Args:
        client: A `distributed.Client`, or its executor.
        patience: As of `Remote`.
        tell: As of `Remote`.

    Raises:
        InputError: The client is asynchronous.
    """

    def __init__(self, client: Any, patience: float | None = None, tell: Callable[[str], None] | None = None) -> None:
        options = dict[str, Any]()
        if not hasattr(client, "get_executor"):
            client, options = client._client, client._kwargs
        if client.asynchronous:
            raise InputError("the Dask client is asynchronous; expected one that was made without asynchronous=True")
        super().__init__(client, patience, tell)
        self.client, self.options = client, options | {"pure": False}
        self.there: list[Any] = [None, None]  # work and images, as futures
        self.sent: dict[Job, list[Any]] = {}
        self.threads: Mapping[str, int] = {}  # of each worker
        self.told: bool | None = None  # whether there was one
        self.failures: Counter[str] = Counter()  # of each question, since it was last answered

    def __exit__(self, *_: object) -> None:
        if self.client.status != "running":
            self.under_way.clear()
        super().__exit__()

    def cancel(self, jobs: Collection[Job]) -> None:
        """Take back jobs that are under way."""
        if jobs:
            self.client.cancel([self.under_way.pop(job) for job in jobs])

    def prepare(self, work: Work) -> None:
        """Take what is the same for all networks that follow; the images are scattered once."""
        before = self.images
        super().prepare(work)
        self.there = [None, self.there[1] if self.images is before else None]

    def count(self) -> int:
        """The number of workers, as it was when this was last ready."""
        return len(self.threads or self._ask("workers", self.client.nthreads, {}))

    def idle(self) -> int:
        """How many workers have nothing to do."""
        return self.count() - len(self.under_way)

    def is_ready(self) -> bool:
        """Whether there are workers, and they can have the work and the images."""
        self.threads = self._ask("workers", self.client.nthreads, {})
        self._tell()
        if self.threads and None in self.there:
            whole = zip(self.there, (self.work, self.images), strict=True)
            self.there = [self._scatter(value) if future is None else future for future, value in whole]
        return bool(self.threads) and None not in self.there

    def _scatter(self, value: Any) -> Any:
        return self._ask("scatter", lambda: self.client.scatter(value, hash=False), None)

    def _tell(self) -> None:
        if self.tell and self.told is not (ready := bool(self.threads)):
            self.told = ready
            self.tell(f"{plural(len(self.threads), 'worker')} at {self.address}")
            if max(self.threads.values(), default=1) > 1:
                self.tell("a worker trains one network at a time, whatever its threads: start each with --nthreads 1")

    @property
    def address(self) -> str:
        """Of the scheduler."""
        return str(self.client.scheduler.address)

    def submit(self, job: Job, _: ImageSet | None = None, /) -> None:
        """Hand a job to Dask."""
        self.sent[job] = self.there
        work, images = self.there
        self._watch(job, self.client.submit(run, [job], work, images, self.versions, **self.options))

    def reply(self, job: Job, future: Any, /) -> Reply | None:
        """What a worker answered; None where that, or the images for it, are lost with the workers that had them.

        Raises:
            Lost: The scheduler is gone, or each worker that trained it died, or one cannot read the job.
        """
        from distributed import KilledWorker

        there = self.sent[job]
        try:
            return super().reply(job, future)
        except OSError:  # the result does not arrive: its worker or the scheduler is gone
            if future.status == "error":  # of the job itself
                raise
            self._ask("cancel", lambda: self.client.cancel([future]), None)
            return None
        except KilledWorker:
            whose = f"{dims(job.latent_dim)}, seed {job.seed}"
            raise WorkersLost(
                f"several workers died that trained {whose}, most likely for lack of memory; {KEPT}"
            ) from None
        except WorkersLost:
            self._check()
            if any(ours is lost for ours, lost in zip(self.there, there, strict=True)):  # or another job said so first
                self.there = [None, None]
            return None
        except RuntimeError as error:
            if "different environments" not in str(error):  # as the scheduler says that it cannot read a job
                raise
            raise self.misfit("the scheduler", error.__cause__ or error) from error

    def _check(self) -> None:
        if self.client.status != "running":
            raise SchedulerLost(f"the scheduler at {self.address} went away; with a new one {KEPT}")

    def _ask(self, name: str, question: Callable[[], Any], otherwise: Any) -> Any:
        """The scheduler's answer; something else where that fails, and an error where it fails again and again."""
        self._check()
        try:
            answer = question()
            self.failures[name] = 0
            return answer
        except (OSError, CancelledError, asyncio.CancelledError) as error:  # also if a worker died, not the scheduler
            self._check()
            self.failures[name] += 1
            if self.failures[name] > RENEWALS:
                why = str(error) or type(error).__name__
                raise SchedulerLost(f"the scheduler at {self.address} does not answer ({why}); {KEPT}") from None
            return otherwise
