"""Memory of a study of a file larger than memory: `python benchmarks/memory.py --gigabytes 8`.

Makes an `.npy` of smooth coloured blobs, runs `latentfit study` on it in processes of its own, and looks twice a second
at their anonymous memory together: that is what they hold themselves, without the pages of mapped files, which the
system takes back when memory is short. Prints one row, and with `--keep` adds it to results/memory.json. Linux.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import clock
import numpy as np
from scale import anonymous

RESULT = Path(__file__).parent / "results" / "memory.json"
PARTS = 2_000  # images made at once
SHAPES = 256  # blobs that these are sums of
EVERY = 0.5  # seconds between two looks


def make(path: Path, gigabytes: float, side: int, seed: int = 0) -> tuple[int, ...]:
    """Write images (N, side, side, 3) of bytes, each a sum of four of SHAPES blobs in some colour."""
    draw = np.random.default_rng(seed)
    shape = (int(gigabytes * 10**9 / (3 * side**2)), side, side, 3)
    down, across = np.mgrid[:side, :side] / side
    centre, width = draw.uniform(0, 1, (2, SHAPES, 1, 1)), draw.uniform(0.05, 0.3, (SHAPES, 1, 1))
    blobs = np.exp(-((down - centre[0]) ** 2 + (across - centre[1]) ** 2) / (2 * width**2))  # (SHAPES, side, side)
    basis = blobs.reshape(SHAPES, -1).astype(np.float32)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    for start in range(0, len(images), PARTS):
        part = images[start : start + PARTS]
        weights = np.zeros((len(part), 3, SHAPES), np.float32)
        chosen = draw.integers(0, SHAPES, (len(part), 4))
        strength = draw.uniform(-80, 120, (len(part), 3, 4))
        np.put_along_axis(weights, np.repeat(chosen[:, None], 3, axis=1), strength, axis=2)
        made = (weights.reshape(-1, SHAPES) @ basis).reshape(len(part), 3, -1)  # of each colour
        made += draw.uniform(60, 140, (len(part), 3, 1))
        part[:] = made.clip(0, 255).transpose(0, 2, 1).reshape(part.shape)
    images.flush()
    return shape


def below(process: int) -> list[int]:
    """A process and all processes below it."""
    found = [process]
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            found += [pid for child in task.read_text().split() for pid in below(int(child))]
    return found


def watched(command: Sequence[str]) -> tuple[int, float]:
    """The most anonymous bytes of a command and all processes below it, and its seconds."""
    began, most = time.perf_counter(), 0
    running = subprocess.Popen(command)
    while running.poll() is None:
        most = max(most, sum(map(anonymous, below(running.pid))))
        time.sleep(EVERY)
    if running.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {running.returncode}")
    return most, time.perf_counter() - began


def main() -> None:
    """Make the file, run the study, print the row and remove both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=8)
    parser.add_argument("--side", type=int, default=48, help="pixels along a side of the colour images")
    parser.add_argument("--keep", action="store_true", help="add the row to benchmarks/results/memory.json")
    parser.add_argument("flags", nargs="*", default=["--latent-dims", "8", "--epochs", "1"], help="of the study")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="latentfit-memory-"))
    try:
        shape = make(folder / "big.npy", options.gigabytes, options.side)
        size = (folder / "big.npy").stat().st_size
        command = [sys.executable, "-c", "from latentfit.cli import run; run()", "study", str(folder / "big.npy")]
        most, seconds = watched([*command, *options.flags, "--out", str(folder / "study")])
    finally:
        shutil.rmtree(folder)
    row: dict[str, Any] = {"images": shape, "flags": options.flags, "bytes": size, "most": most, "seconds": seconds}
    print(f"{' × '.join(map(str, shape))}: {size / 1e9:.2f} GB, {most / 1e9:.2f} GB anonymous, {seconds:.0f} s")
    if options.keep:
        kept = clock.earlier(RESULT)
        clock.keep(RESULT, kept | {f"{options.gigabytes:g} GB": row})


if __name__ == "__main__":
    main()
