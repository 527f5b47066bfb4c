"""Ratios of speed with their goals, measured in turns: `make bench`.

A shared machine speeds up and slows down, so the variants take turns, and the ratio within a turn is reported.
`ladder`, from the notebook to latentfit one change at a time, is not part of the default.

The notebook's time for 20 epochs is extrapolated from 4: each of the other 16 counts as the mean of the last two.
latentfit's 20 epochs are all run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clock

from latentfit import hardware
from latentfit.data import load

HERE = Path(__file__).parent
RESULT = HERE / "results" / "speed.json"
PRODUCTS = hardware.products_of("auto", "cpu")
EPOCHS = 20
SIZES = (16, 48)
GOALS = {  # name: what it is, goal, whether more is better; `with AMX` where products round their factors
    "whole": ("whole command: notebook / ours", 4.5, True),
    "whole, with AMX": ("whole command: notebook / ours", 5.0, True),
    "floor": ("training: ours / product floor", 1.4, False),
    "floor, with AMX": ("training: ours / product floor", 1.6, False),
    "precision": ("products: the other precision / that of auto", 1.0, True),
    "jax": ("training: JAX / ours", 1.5, True),
    "models": ("8 networks / 4 × 2 networks", 1.05, False),
    "images": ("epoch of 600,000 / 10 epochs of 60,000", 1.1, False),
    "memory": ("anonymous MB a worker, 60,000 images", 600, False),
    "memory, eight": ("anonymous MB a worker, 8 networks", 600, False),
    "memory, ten times": ("anonymous MB a worker, 600,000 images", 600, False),
}


def main() -> None:
    """Run the turns, print the table, and keep the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", default=["speed", "scale"], help="speed, scale, ladder")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/speed.json")
    options = parser.parse_args()
    here = {
        "processor": hardware.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "products": PRODUCTS,
        "data": load("auto").name,
    }
    kept: dict[str, Any] = clock.earlier(RESULT)
    for group in options.groups:
        turns = []
        for number in range(options.turns):
            turns.append(GROUPS[group]())
            text = ", ".join(f"{name} {value:.3g}" for name, value in turns[-1].items())
            print(f"{group}, turn {number + 1}: {text}", file=sys.stderr, flush=True)
        kept[group] = {"machine": here, "seconds": {name: [turn[name] for turn in turns] for name in turns[0]}}
    print(f"{', '.join(map(str, here.values()))}; {options.turns} turns\n")
    print(f"{'':46}{'median':>9}{'least':>9}{'most':>9}   goal")
    for group in options.groups:
        for name, values in kept[group]["seconds"].items():
            print(line(name, values, PRODUCTS))
    if options.keep:
        clock.keep(RESULT, kept)


def goal_of(name: str, products: str) -> tuple[str, float | None, bool]:
    """What a figure is, its goal where there is one, and whether more is better."""
    amx = ", with AMX" if products == "rounded-factors" else ""
    return GOALS.get(name + amx) or GOALS.get(name) or (f"seconds, {name}", None, False)


def line(name: str, values: list[float], products: str) -> str:
    """A row of the table."""
    text, goal, more = goal_of(name, products)
    row = f"{text:46}{statistics.median(values):9.3g}{min(values):9.3g}{max(values):9.3g}"
    return row if goal is None else f"{row}   {'at least' if more else 'at most'} {goal:g}"


def speed() -> dict[str, float]:
    """The whole command against the notebook; the training against the floor and JAX."""
    seconds, plain = timed("notebook.py", "--epochs", "4")
    notebook = seconds + (EPOCHS - 4) * plain["seconds_per_epoch"]
    whole, training = ours()
    floors = {name: side_by_side("floor.py", name) for name, can in hardware.PRODUCTS.items() if can()}
    floor = min(floors.values())
    mine = hardware.precision_of(PRODUCTS)
    others = [seconds for name, seconds in floors.items() if hardware.precision_of(name) != mine]
    jax = min(side_by_side("jax_epoch.py", precision) for precision in ("fp32", "bf16"))
    return {
        "whole": notebook / whole,
        "floor": training / floor,
        "jax": jax / training,
        **({"precision": min(others) / floors[PRODUCTS]} if others else {}),
        "the notebook's whole study": notebook,
        "latentfit study, whole": whole,
        "ours outside the training": whole - EPOCHS * training,
        "an epoch of ours, both networks": training,
        **{f"an epoch of products, {name}": seconds for name, seconds in floors.items()},
        "an epoch of JAX, both networks": jax,
    }


def ours() -> tuple[float, float]:
    """Seconds of `latentfit study`, and of an epoch of its training, both networks side by side."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("latentfit")), "study", "auto", "--quiet", "--out", folder]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        timing = json.loads((Path(folder) / "timing.json").read_text())
    return seconds, max(m["seconds"] for m in timing["models"]) / EPOCHS


def scale() -> dict[str, float]:
    """More networks, more images."""
    two, eight, once, ten = (timed("scale.py", what)[1] for what in ("two", "eight", "once", "ten-times"))
    return {
        "models": eight["seconds"] / (4 * two["seconds"]),
        "images": ten["seconds_per_epoch"] / (10 * once["seconds_per_epoch"]),
        "memory": once["worker_bytes"] / 1e6,
        "memory, eight": eight["worker_bytes"] / 1e6,
        "memory, ten times": ten["worker_bytes"] / 1e6,
    }


def ladder() -> dict[str, float]:
    """Seconds of an epoch of both networks, a change at a time."""
    alone = ("notebook", "tensor", "fused", "no-denormals", "bf16")
    return {name: one_after_the_other("ladder.py", name) for name in alone} | {
        "processes": side_by_side("ladder.py", "bf16"),
        "by-hand": side_by_side("ladder.py", "by-hand"),
    }


def one_after_the_other(script: str, variant: str) -> float:
    """Seconds of an epoch of both networks where each has both threads for itself."""
    return sum(timed(script, variant, "--latent-dim", str(k), "--threads", "2")[1]["seconds"] for k in SIZES)


def side_by_side(script: str, variant: str) -> float:
    """Seconds of an epoch of both networks at once, a process and a thread each."""
    running = [start(script, variant, "--latent-dim", str(k), "--core", str(i)) for i, k in enumerate(SIZES)]
    return max(result(process)["seconds"] for process in running)


def timed(script: str, *arguments: str) -> tuple[float, dict[str, float]]:
    """Seconds of a script as a process of its own, and what it printed."""
    begin = time.perf_counter()
    found = result(start(script, *arguments))
    return time.perf_counter() - begin, found


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Begin a script of this folder."""
    command = [sys.executable, str(HERE / script), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> dict[str, float]:
    """What a script printed, once it has ended well."""
    text, _ = process.communicate()
    if process.returncode:
        sys.exit(f"{process.args!r} failed")
    found: dict[str, float] = json.loads(text)
    return found


GROUPS: dict[str, Callable[[], dict[str, float]]] = {"speed": speed, "scale": scale, "ladder": ladder}

if __name__ == "__main__":
    main()
