"""How an epoch is timed here: a part of it at a time, and the median of the parts.

A pause of the machine changes one part and not the median. Of two processes side by side each is bound to a core of its
own, and the end of its run is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BATCH = 128
STEPS = 469  # batches in an epoch of 60,000 images
PART = 67  # a seventh of them


def sizes(latent_dim: int) -> list[int]:
    """Widths of the reference network, from image to image."""
    return [784, 512, 256, latent_dim, 256, 512, 784]


def starts() -> list[int]:
    """The first step of each part of an epoch."""
    return list(range(0, STEPS - PART, PART))


def epoch(part: Callable[[int], None], parts: int = 9) -> float:
    """Seconds of an epoch, from the last seven of some parts: `part(first)` does the PART steps from this one on."""
    seconds = []
    for number in range(parts):
        start = time.perf_counter()
        part(starts()[number % len(starts())])
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[-7:]) * STEPS / PART


def kind() -> str:
    """What this machine's processor is called, and how it computes products: results hold for one kind only."""
    from latentfit import hardware

    products = ", ".join(name for name, can in hardware.PRODUCTS.items() if can())
    return f"{hardware.processor()} ({products})"


def earlier(path: Path) -> dict[str, Any]:
    """Earlier results on this kind of processor."""
    entry: dict[str, Any] = json.loads(path.read_text()).get(kind(), {}) if path.exists() else {}
    return entry


def keep(path: Path, found: dict[str, Any]) -> None:
    """Write results into a file that holds an entry for each kind of processor."""
    entries = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(entries | {kind(): found}, indent=1) + "\n")


def main(document: str | None, variants: dict[str, Callable[[int], float]]) -> None:
    """Time one variant for one network, in this process, and print its seconds an epoch."""
    parser = argparse.ArgumentParser(description=document)
    parser.add_argument("variant", choices=variants)
    parser.add_argument("--latent-dim", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--core", type=int, help="bind this process to a core")
    options = parser.parse_args()
    if options.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[options.core]})
    import torch

    torch.set_num_threads(options.threads)
    print(json.dumps({"seconds": variants[options.variant](options.latent_dim)}))
