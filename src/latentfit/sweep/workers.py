"""Number of workers that train at once: limited by networks, cores and memory.

A container, a batch system or `taskset` may allow a process less than the machine has. The limits are read from `/proc`
and `/sys`; on other systems than Linux only the affinity mask counts, if there is one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import loky

from ..errors import whole_number
from ..formatting import duration

if TYPE_CHECKING:
    from .pool import Workers

BASE = 400 * 10**6  # bytes of a worker besides its network, mostly imports: "memory" in benchmarks/results/speed.json
COPIES = 7  # of the weights, with gradient, Adam's moments and what is measured: 5 to 8 for weights of 50 to 420 MB

MEASURED = 4 * 4  # bytes for each number of a batch of at most 1,000 images, when errors are measured: four copies


@dataclass
class Crew:
    """The number of workers of a study, and the lines about it.

    Attributes:
        requested: Number that train at once; as many as are of use if it is not given.
        tell: Called with a line when workers start, and when one of many networks is trained.
        spare: Workers that are there for the next training.
    """

    requested: int | None = None
    tell: Callable[[str], None] | None = None
    spare: Workers | None = None
    jobs: int = 0
    count: int = 0
    seconds: list[float] = field(default_factory=list)
    has_explained: bool = False

    def __post_init__(self) -> None:
        if self.requested is not None:
            self.requested = whole_number("number of workers", self.requested)

    def size(self, jobs: int, need: int, device: str = "cpu", running: int = 0) -> int:
        """The number of workers for `jobs` networks that need `need` bytes each; one on a GPU.

        Memory of workers that are running already is not free, but theirs.
        """
        cores, reason = os.cpu_count() or 1, ""
        before, self.jobs, self.seconds = self.seconds, jobs, []
        if device != "cpu":
            self.count = 1
        elif self.requested:
            self.count = min(jobs, self.requested)
        else:
            self.count, reason = of_use(jobs, cores, allowed(need, running=running))
        if reason and not self.has_explained:
            self.has_explained = True
            self._say(f"{self.count} of {cores} cores are used: {reason} allows {self._workers()} (--workers N)")
        about = f", about {-(-jobs // self.count) * sum(before) / len(before):.0f} s" if before else ""
        self._say(f"{self._workers()} for {jobs} network{'s' * (jobs > 1)}{about}")
        return self.count

    def likely(self, jobs: int, need: int = BASE) -> int:
        """The number of workers for so many networks of this need, as far as it is known before they are."""
        return self.requested or of_use(jobs, os.cpu_count() or 1, allowed(need))[0]

    def stop(self) -> None:
        """Stop the workers that are left."""
        if self.spare:
            self.spare.stop()
            self.spare = None

    def note(self, seconds: float) -> None:
        """Record the seconds of a trained network."""
        self.seconds.append(seconds)
        done, left = len(self.seconds), self.jobs - len(self.seconds)
        if self.jobs > self.count and left >= self.count:
            about = sum(self.seconds) / done * left / self.count
            self._say(f"network {done} of {self.jobs} is trained, about {duration(about)} left for the others")

    def _workers(self) -> str:
        return f"{self.count} worker{'s' * (self.count > 1)}"

    def _say(self, text: str) -> None:
        if self.tell:
            self.tell(text)


def of_use(jobs: int, cores: int, limits: Mapping[str, int]) -> tuple[int, str]:
    """The number of workers, at least 1, and the name of the limit if it is below cores and jobs."""
    reason = min(limits, key=lambda name: limits[name], default="")
    count = max(1, min(jobs, cores, limits.get(reason, cores)))
    return count, reason if count < min(jobs, cores) else ""


def need(sizes: Sequence[int], linear: bool = False, images: int = 1000) -> int:
    """Bytes of memory that a worker needs for a network whose encoder has these sizes, and perhaps a linear path."""
    return BASE + COPIES * 4 * weights_of(sizes, linear) + MEASURED * sizes[0] * min(images, 1000)


def weights_of(sizes: Sequence[int], linear: bool) -> int:
    """The number of weights of such a network."""
    return 2 * (sum(a * b for a, b in pairwise(sizes)) + linear * sizes[0] * sizes[-1])


def allowed(need: int, root: Path = Path("/"), running: int = 0) -> dict[str, int]:
    """The number of workers that each limit allows, if each needs `need` bytes and `running` run already."""
    limits = {}
    if memory := free_memory(root):
        limits["the memory"] = (memory - BASE + running * BASE) // need  # this process measures meanwhile
    if quota := cpu_quota(root):
        limits["the cgroup's CPU quota"] = quota
    if hasattr(os, "sched_getaffinity"):
        limits["the affinity mask"] = len(os.sched_getaffinity(0))
    return limits | {"LOKY_MAX_CPU_COUNT": loky.cpu_count()}  # last: loky includes some of the others


def cpu_quota(root: Path) -> int | None:
    """Processors that the control groups of this process allow, rounded up; None without a limit."""
    found = []
    for group in _groups("cpu", root):
        quota = _numbers(group / "cpu.max") or [
            *_numbers(group / "cpu.cfs_quota_us"),  # -1 without a limit
            *_numbers(group / "cpu.cfs_period_us"),
        ]
        if len(quota) == 2 and min(quota) > 0:
            found.append(math.ceil(quota[0] / quota[1]))
    return min(found, default=None)


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process and its workers may still allocate; None if unknown."""
    found = []
    if (available := _table(root / "proc/meminfo").get("MemAvailable:")) is not None:
        found.append(available * 1024)
    for group in _groups("memory", root):
        limit = _numbers(group / "memory.max") or _numbers(group / "memory.limit_in_bytes")
        used = _numbers(group / "memory.current") or _numbers(group / "memory.usage_in_bytes")
        stat = _table(group / "memory.stat")
        cache = stat.get("total_inactive_file", stat.get("inactive_file", 0))  # released on demand
        if limit and used:
            found.append(max(1, limit[0] - used[0] + cache))
    return min(found, default=None)


def anonymous() -> int:
    """Bytes of memory that this process holds itself; 0 if unknown."""
    return _table(Path("/proc/self/status")).get("RssAnon:", 0) * 1024


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Folders of this process's control group and of its parents, of version 2 and of version 1.

    A container may have its own group mounted at the top, so some do not exist.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        own = top / path.lstrip("/")
        yield from (group for group in (own, *own.parents) if group.is_relative_to(top))


def _table(path: Path) -> dict[str, int]:
    """The lines of a file that have a name and a number."""
    words = (line.split() for line in _read(path).splitlines())
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdigit()}


def _numbers(path: Path) -> list[int]:
    """The numbers of a file; `max` is none, and a missing file has none."""
    return [int(word) for word in _read(path).split() if word.lstrip("-").isdigit()]


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text()
    return ""
