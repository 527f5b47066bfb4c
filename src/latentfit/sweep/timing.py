"""Seconds, memory and dates: what `timing.json` holds, and no other file."""

from __future__ import annotations

import platform
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..hardware import peak_memory, processor
from ..parts import OfNetwork
from .files import from_json, read_json, write_json
from .job import TrainedNetwork

RESERVE, RESERVED = 15, 0.05  # seconds, or a share of a run's minutes, for the summing up and the report


@dataclass(frozen=True)
class Timed(OfNetwork):
    """Seconds that the training of a network took."""

    seconds: float


class Clock:
    """Seconds, memory and dates of one run: what `timing.json` holds, and no other file.

    Args:
        minutes: The run's time, None if it has all it needs.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self.started = datetime.now(UTC)
        self.last = time.perf_counter()
        self.end = None if minutes is None else self.last + 60 * minutes - max(RESERVE, RESERVED * 60 * minutes)
        self.seconds: dict[str, float] = {}
        self.networks: list[Timed] = []
        self.worker_memory: list[int] = []

    def left(self) -> float | None:
        """Seconds that are left for training; None if there is no end."""
        return None if self.end is None else self.end - time.perf_counter()

    @property
    def trained(self) -> list[float]:
        """Seconds of each network that this run trained."""
        return [network.seconds for network in self.networks]

    def lap(self, what: str) -> None:
        """Add the seconds since the last lap to what there is of that name."""
        now = time.perf_counter()
        self.seconds[what], self.last = self.seconds.get(what, 0.0) + now - self.last, now

    def note(self, trained: TrainedNetwork) -> None:
        """Keep the seconds and the memory of a network that was trained."""
        self.networks.append(Timed(*trained.job, trained.seconds))
        self.worker_memory.append(trained.peak_memory or 0)

    def write(self, folder: Path) -> None:
        """Write `timing.json`; what it holds of networks that were trained before stays."""
        before: tuple[Timed, ...] = ()
        with suppress(ValueError, KeyError, TypeError):
            before = from_json(tuple[Timed, ...], read_json(folder / "timing.json")["models"])
        models = {network.job: network for network in (*before, *self.networks)}
        write_json(folder / "timing.json", self._report() | {"models": [models[job] for job in sorted(models)]})

    def _report(self) -> dict[str, object]:
        return {
            "started": self.started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": self.seconds,
            "peak_memory_bytes": {
                "parent": peak_memory(),
                "worker": max(self.worker_memory, default=None),
            },
            "machine": {
                "processor": processor(),
                "system": platform.platform(),
                "python": platform.python_version(),
            },
        }
