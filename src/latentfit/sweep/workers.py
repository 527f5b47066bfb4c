"""How many workers train at once: as many as there are networks, cores and memory for.

A container, a batch system or `taskset` may allow a process less than the machine has. What is allowed is read here
from `/proc` and `/sys`, so elsewhere than on Linux only the affinity mask counts, where there is one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import loky

from ..errors import whole_number

BASE = 400 * 10**6  # bytes of a worker besides its network, mostly imports: "memory" in benchmarks/results/speed.json
COPIES = 7  # of the weights, with gradient, Adam's moments and what is measured: 5 to 8 for weights of 50 to 420 MB


@dataclass
class Crew:
    """The number of workers of a study, and what a person is told about it.

    Attributes:
        asked: How many train at once; as many as are of use if it is not given.
        tell: Called with a line when workers start, and when one of many networks is trained.
    """

    asked: int | None = None
    tell: Callable[[str], None] | None = None
    jobs: int = 0
    count: int = 0
    seconds: list[float] = field(default_factory=list)
    has_explained: bool = False

    def __post_init__(self) -> None:
        if self.asked is not None:
            self.asked = whole_number("number of workers", self.asked)

    def size(self, jobs: int, need: int, device: str = "cpu", running: int = 0) -> int:
        """The number of workers for so many networks, each of which needs so many bytes; a GPU has one.

        What workers that are running already hold is not free, and is theirs.
        """
        cores, reason = os.cpu_count() or 1, ""
        self.jobs, self.seconds = jobs, []
        if device != "cpu":
            self.count = 1
        elif self.asked:
            self.count = min(jobs, self.asked)
        else:
            self.count, reason = of_use(jobs, cores, allowed(need, running=running))
        if reason and not self.has_explained:
            self.has_explained = True
            self._say(f"{self.count} of {cores} cores are used: {reason} allows {self._workers()} (--workers N)")
        self._say(f"starting {self._workers()} for {jobs} network{'s' * (jobs > 1)}")
        return self.count

    def note(self, seconds: float) -> None:
        """Take the seconds of a network that is trained."""
        self.seconds.append(seconds)
        done, left = len(self.seconds), self.jobs - len(self.seconds)
        if self.jobs > self.count and left >= self.count:
            about = sum(self.seconds) / done * left / self.count
            self._say(f"network {done} of {self.jobs} is trained, about {about:.0f} s left for the others")

    def _workers(self) -> str:
        return f"{self.count} worker{'s' * (self.count > 1)}"

    def _say(self, text: str) -> None:
        if self.tell:
            self.tell(text)


def of_use(jobs: int, cores: int, limits: Mapping[str, int]) -> tuple[int, str]:
    """The number of workers, at least 1, and where it is less than cores and jobs the limit that makes it so."""
    reason = min(limits, key=lambda name: limits[name], default="")
    count = max(1, min(jobs, cores, limits.get(reason, cores)))
    return count, reason if count < min(jobs, cores) else ""


def need(sizes: Sequence[int]) -> int:
    """The bytes of memory that a worker needs for a network whose encoder has layers of these sizes."""
    weights = 2 * sum(a * b for a, b in pairwise(sizes))
    return BASE + COPIES * 4 * weights


def allowed(need: int, root: Path = Path("/"), running: int = 0) -> dict[str, int]:
    """The workers that each limit of this process allows, if each needs so many bytes and some run already."""
    limits = {}
    if memory := free_memory(root):
        limits["the memory"] = (memory - BASE + running * BASE) // need  # this process measures while they train
    if quota := cpu_quota(root):
        limits["the cgroup's CPU quota"] = quota
    if hasattr(os, "sched_getaffinity"):
        limits["the affinity mask"] = len(os.sched_getaffinity(0))
    return limits | {"LOKY_MAX_CPU_COUNT": loky.cpu_count()}  # the last: loky counts some of the others too


def cpu_quota(root: Path) -> int | None:
    """The processors that the control groups of this process allow, rounded up; None without a limit."""
    found = []
    for group in _groups("cpu", root):
        quota = _numbers(group / "cpu.max") or [
            *_numbers(group / "cpu.cfs_quota_us"),  # -1 without a limit
            *_numbers(group / "cpu.cfs_period_us"),
        ]
        if len(quota) == 2 and min(quota) > 0:
            found.append(math.ceil(quota[0] / quota[1]))
    return min(found, default=None)


def free_memory(root: Path) -> int | None:
    """The bytes that this process and its workers may still take; None where the system does not say."""
    found = []
    if (available := _table(root / "proc/meminfo").get("MemAvailable:")) is not None:
        found.append(available * 1024)
    for group in _groups("memory", root):
        limit = _numbers(group / "memory.max") or _numbers(group / "memory.limit_in_bytes")
        used = _numbers(group / "memory.current") or _numbers(group / "memory.usage_in_bytes")
        told = _table(group / "memory.stat")
        cache = told.get("total_inactive_file", told.get("inactive_file", 0))  # given back where it is needed
        if limit and used:
            found.append(max(1, limit[0] - used[0] + cache))
    return min(found, default=None)


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """The folders of this process's control group and of those around it, of version 2 and of version 1.

    A container may see its own group's path and yet have it mounted at the top, so some are not there.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        own = top / path.lstrip("/")
        yield from (group for group in (own, *own.parents) if group.is_relative_to(top))


def _table(path: Path) -> dict[str, int]:
    """A file of lines with a name and a number."""
    words = (line.split() for line in _read(path).splitlines())
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdigit()}


def _numbers(path: Path) -> list[int]:
    """The numbers of a file; none where it is not there, and `max` is none."""
    return [int(word) for word in _read(path).split() if word.lstrip("-").isdigit()]


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text()
    return ""
