"""How fast images become codes, from a file to a file, against the encoder's products alone: prints the ratio.

Both take the same number of images through layers of the same sizes, with the same threads, in turns, in one run. The
products have no biases, no activations, no bytes that become floats, and no files. With a second number the peak of
memory of a process that encodes so many images is printed beside that of a thousand.

    python benchmarks/encode.py                    100,000 images of 28 × 28 through 784-512-256-16
    python benchmarks/encode.py 100000 1000000     and the memory for a million
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import clock
import numpy as np
import torch

import latentfit
from latentfit import codes
from latentfit.data.images import ImageSet
from latentfit.model import BATCH
from latentfit.recipe import REFERENCE
from latentfit.sweep.store import Study

K = 16
ROUNDS = 7
GOAL = 0.6
MEMORY = """
import resource, sys, latentfit
from latentfit import codes
codes.encode(latentfit.load(sys.argv[1]), sys.argv[2], sys.argv[3], 16)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def study_of(folder: Path) -> Study:
    """A study of one network, hardly trained."""
    x = np.random.default_rng(0).integers(0, 256, (200, 28, 28), np.uint8)
    images = ImageSet("noise", x[:150], x[150:])
    return latentfit.study(images, [K], recipe=REFERENCE, epochs=1, out=folder / "study")


def write(path: Path, count: int) -> None:
    """Write images of noise into an `.npy`, some at a time."""
    some = np.random.default_rng(0).integers(0, 256, (BATCH, 28, 28), np.uint8)
    with path.open("wb") as file:  # not mapped: a process that is started inherits the peak of this one
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 28, 28)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, count, BATCH):
            file.write(some[: count - start].tobytes())


def products(count: int) -> Callable[[], None]:
    """The encoder's products for so many images."""
    widths = clock.sizes(K)[:4]
    weights = [torch.randn(out, into).mul_(0.05) for into, out in pairwise(widths)]
    x = [torch.randn(BATCH, width) for width in widths]

    def work() -> None:
        for _ in range(0, count, BATCH):
            for i, weight in enumerate(weights):
                torch.mm(x[i], weight.t(), out=x[i + 1])

    return work


def seconds(work: Callable[[], object]) -> float:
    """How long this takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def megabytes(study: Study, images: Path, out: Path) -> float:
    """Peak memory of a process that encodes these images."""
    command = [sys.executable, "-c", MEMORY, str(study.folder), str(images), str(out)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024


def main(count: int = 100_000, many: int = 0) -> None:
    """Print rates and their ratio, and perhaps memory."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study = study_of(folder)
        images, out = folder / "images.npy", folder / "codes.npy"
        write(images, count)
        bare = products(count)
        turns = [(seconds(bare), seconds(lambda: codes.encode(study, images, out, K, 0))) for _ in range(ROUNDS)][1:]
        alone, whole = (statistics.median(column) for column in zip(*turns, strict=True))
        print(
            f"{count:,} images, {torch.get_num_threads()} threads: products alone {count / alone:,.0f} images "
            f"a second, encode {count / whole:,.0f}, ratio {alone / whole:.2f} (goal {GOAL})"
        )
        for number in (1000, many) if many else ():
            write(images, number)
            print(f"{number:,} images: {megabytes(study, images, out):,.0f} MB at most")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
