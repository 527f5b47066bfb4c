"""Small networks on a Dask cluster of two workers against two local processes, in turns; and limits of a cluster.

Both sides have their processes there before, with everything imported, one thread each, and each turn is a whole study
in a new folder. With `--limits` it measures instead what the arithmetic of docs/cluster.md takes: bytes of the images
of a result and of what is kept of it in memory of the reference study, and the processor's seconds for each result in
the parent, and for each task in the scheduler.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import distributed
import psutil
from clock import keep, kind

from latentfit.data import garments, load
from latentfit.recipe import REFERENCE, Job, Recipe
from latentfit.sweep import remote, run
from latentfit.sweep.job import TrainedNetwork
from latentfit.sweep.pool import Work, Workers
from latentfit.sweep.running import Run

RESULTS = Path(__file__).parent / "results" / "cluster.json"
TASKS = 2_000


def main() -> None:
    """Time both sides, print medians and ratio, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=64)
    parser.add_argument("--images", type=int, default=4_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--limits", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, machines(Path(folder)) as (client, scheduler):
        client.run(_imported)
        found = limits(client, scheduler) if asked.limits else turns(asked, client)
    before = json.loads(RESULTS.read_text()).get(kind(), {}) if RESULTS.exists() else {}
    keep(RESULTS, before | found)
    print(f"{kind()}: {json.dumps(found)}")


@contextmanager
def machines(folder: Path) -> Iterator[tuple[Any, int]]:
    """A client of a scheduler with two workers, as their commands start them, and the scheduler's process."""
    dask, file = [sys.executable, "-m", "dask"], str(folder / "scheduler.json")
    options = ["--scheduler-file", file, "--no-dashboard"]
    commands = [[*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *options]]
    commands += [[*dask, "worker", "--nthreads", "1", "--no-nanny", *options]] * 2
    with ExitStack() as stack:
        for command in commands:
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=folder))
            stack.callback(process.kill)
        while not Path(file).exists():
            time.sleep(0.1)
        client = stack.enter_context(distributed.Client(scheduler_file=file, set_as_default=False, timeout=300))
        client.wait_for_workers(2)
        children = psutil.Process().children()
        yield client, next(child.pid for child in children if "scheduler" in child.cmdline())


def turns(asked: argparse.Namespace, client: Any) -> dict[str, Any]:
    """Seconds of both sides, wall and processor."""
    images = garments.draw(asked.images, asked.images // 10, 0)
    recipe = Recipe(name="small", hidden=(64,), epochs=asked.epochs, batch_size=128)
    sizes, seconds = range(1, asked.networks // 2 + 1), dict[str, list[tuple[float, float]]](local=[], cluster=[])
    for _ in range(asked.turns):
        for name, times in seconds.items():
            with tempfile.TemporaryDirectory() as out, Workers(2) as early:
                early.executor.submit(os.getpid).result()  # a worker begins with its imports
                where = {"early": early, "workers": 2} if name == "local" else {"executor": client}
                begun, busy = time.perf_counter(), processor_seconds()
                run.study(images, sizes, seeds=2, recipe=recipe, out=out, **where)
                times.append((time.perf_counter() - begun, processor_seconds() - busy))
                print(name, *(f"{t:.1f}" for t in times[-1]), flush=True)
    wall, used = ({name: [t[i] for t in times] for name, times in seconds.items()} for i in (0, 1))
    return {
        "asked": {key: value for key, value in vars(asked).items() if key != "limits"},
        "seconds": wall,
        "ratio": statistics.median(wall["cluster"]) / statistics.median(wall["local"]),
        "processor_seconds": used,
        "processor_ratio": statistics.median(used["cluster"]) / statistics.median(used["local"]),
    }


def limits(client: Any, scheduler: int) -> dict[str, Any]:
    """What the arithmetic of docs/cluster.md takes, of the reference study."""
    images = load("fashion-mnist")
    part = replace(images, x_train=images.x_train[:6000], y_train=images.y_train[:6000])  # type: ignore[index]
    short = replace(REFERENCE, epochs=1)
    (trained,) = Work(part, short).train([Job(16, 0)])
    with tempfile.TemporaryDirectory() as out:
        times: list[float] = []
        save = Run.save

        def timed(self: Run, trained: TrainedNetwork) -> None:
            begun = time.thread_time()
            save(self, trained)
            times.append(time.thread_time() - begun)

        Run.save = timed  # type: ignore[method-assign]
        run.study(part, (8, 16, 24), seeds=2, recipe=short, out=out, executor=client)
    executor = client.get_executor(pure=False)
    before = sum(psutil.Process(scheduler).cpu_times()[:2])
    for done in [executor.submit(_nothing, number) for number in range(TASKS)]:
        done.result()
    busy = sum(psutil.Process(scheduler).cpu_times()[:2]) - before
    assert trained.measurement is not None
    return {
        "image_bytes": len(pickle.dumps(images, 5)),
        "result_bytes": len(pickle.dumps(remote.Reply(trained), 5)),
        "parent_seconds": statistics.median(times),
        "kept_bytes": len(pickle.dumps(trained.measurement.per_image, 5)),
        "scheduler_seconds": busy / TASKS,
    }


def _imported() -> None:
    import latentfit.measure.network
    import latentfit.sweep.job  # noqa: F401


def _nothing(number: int) -> int:
    return number


def processor_seconds() -> float:
    """Of this process, of those that it started, and of those of these that have ended."""
    own = psutil.Process()
    return sum(sum(each.cpu_times()[:4]) for each in [own, *own.children(recursive=True)])


if __name__ == "__main__":
    main()
