"""More networks and more images: time should follow, memory a worker should not.

`models`: eight networks against two, on the same cores. `images`: an epoch of ten times the images against
ten epochs of them once. Both print the peak of anonymous memory of the largest worker (Linux).
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from latentfit.data import load
from latentfit.data.images import ImageSet
from latentfit.hardware import products_of
from latentfit.recipe import Epoch, Job, Recipe
from latentfit.sweep.pool import Work, training


def times_ten(images: ImageSet) -> ImageSet:
    """All images ten times over."""
    x_train, x_test = (np.tile(x, (10, 1, 1)) for x in (images.x_train, images.x_test))
    return ImageSet(f"{images.name} × 10", x_train, x_test)


def train(images: ImageSet, jobs: Sequence[Job], epochs: int) -> dict[str, float]:
    """Train networks as a study does.

    `seconds_per_epoch` is the mean of the networks' own epochs after their first; `seconds` goes from one such
    epoch before the first end of an epoch, which leaves the start of the workers out, to the last result.
    """
    ends: dict[Job, list[float]] = {job: [] for job in jobs}

    def note(job: Job, row: Epoch | None) -> None:
        if row is not None:
            ends[job].append(time.perf_counter())

    work = Work(images, Recipe(epochs=epochs), products_of("auto", "cpu"))
    watch = Watch()
    with watch, training(jobs, work, progress=note) as results:
        for _ in results:
            pass
        last = time.perf_counter()
    an_epoch = sum((times[-1] - times[0]) / (epochs - 1) for times in ends.values()) / len(ends)
    first = min(times[0] for times in ends.values()) - an_epoch
    return {"seconds": last - first, "seconds_per_epoch": an_epoch, "worker_bytes": watch.peak or float("nan")}


class Watch(threading.Thread):
    """Looks at the workers of this process twenty times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.over = threading.Event()

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()

    def run(self) -> None:
        """Keep the largest figure."""
        while not self.over.wait(0.05):
            self.peak = max([self.peak, *(anonymous(pid) for pid in children())])


def children() -> list[int]:
    """Processes below this one."""
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            found += [int(pid) for pid in task.read_text().split()]
    return found


def anonymous(pid: int) -> int:
    """Anonymous bytes of a process now; 0 where /proc does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(lines[0]) * 1024 if lines else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["two", "eight", "once", "ten-times"])
    what = parser.parse_args().what
    images, sizes = load("auto"), (16, 48)
    two = [Job(k, 0) for k in sizes]
    if what == "two":
        found = train(images, two, epochs=2)
    elif what == "eight":
        found = train(images, [Job(k, seed) for k in sizes for seed in range(4)], epochs=2)
    elif what == "once":
        found = train(images, two, epochs=5)
    else:
        found = train(times_ten(images), two, epochs=2)
    print(json.dumps(found))
