"""How long a folder of pictures takes to read, against Pillow alone on the same cores: prints the ratio.

Both read the same files, in turns, in one run. The second reading finds the pixels in the cache; its time is compared
with that of looking at the names, sizes and times of all files, which is what it has to do.

    python benchmarks/read_pictures.py            60,000 PNGs of 28 × 28
    python benchmarks/read_pictures.py 2000 512   2,000 of 512 × 512
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import loky
import numpy as np
from PIL import Image

from latentfit import data
from latentfit.data.layout import scan

ROUNDS = 3


def write(folder: Path, count: int, side: int) -> None:
    """Write smooth pictures of ten classes."""
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 5), np.uint8))
        path = folder / str(i % 10) / f"{i:05}.png"
        path.parent.mkdir(exist_ok=True)
        coarse.resize((side, side)).save(path)


def decode(paths: Sequence[str]) -> int:
    """Decode files as a loop over Pillow does, and return the number of their pixels."""
    total = 0
    for path in paths:
        with Image.open(path) as image:
            total += np.asarray(image).size
    return total


def with_pillow(paths: Sequence[str]) -> None:
    """Decode all files on all cores, in processes that are ready."""
    size = max(1, len(paths) // 100)
    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    sum(loky.get_reusable_executor().map(decode, parts))


def seconds(work: Callable[[], object]) -> float:
    """How long this takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(count: int = 60_000, side: int = 28) -> None:
    """Print the times and their ratios."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "pictures"
        folder.mkdir()
        write(folder, count, side)
        paths = [str(path) for path in folder.glob("*/*.png")]
        with_pillow(paths)  # starts the processes, and brings the files into memory
        for turn in range(ROUNDS):
            os.environ["LATENTFIT_CACHE_DIR"] = f"{temporary}/cache{turn}"
            pillow, first = seconds(lambda: with_pillow(paths)), seconds(lambda: data.load(folder))
            again, look = seconds(lambda: data.load(folder)), seconds(lambda: scan(folder))
            print(
                f"{count:,} of {side} × {side}: Pillow alone {pillow:.2f} s, data.load {first:.2f} s, "
                f"ratio {first / pillow:.2f} (goal 3); again {again:.2f} s, of which the look at the files {look:.2f} s"
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
