"""What bf16 costs in error: the reference recipe in fp32 and in bf16, ten seeds each: `make bench-precision`.

The two take turns, a seed of one after a seed of the other. benchmarks/results/precision.json keeps one entry a
processor. A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import clock
from quality import SIZES, table

import latentfit

SEEDS = 10
RESULT = Path(__file__).parent / "results" / "precision.json"


def main() -> None:
    """Run what is missing and keep the errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/precision"), help="where the studies are kept")
    out = parser.parse_args().out
    images = latentfit.load_data("fashion-mnist")
    for seeds in range(1, 1 + SEEDS):
        found: dict[str, Any] = {
            precision: latentfit.study(images, SIZES, seeds=seeds, precision=precision, out=out / precision)
            for precision in ("fp32", "bf16")
        }
        print(f"{seeds} of {SEEDS} seeds", flush=True)
        if seeds > 1:
            products = found["bf16"].results["environment"]["products"]
            clock.keep(RESULT, {"products": products} | {name: table(study) for name, study in found.items()})


if __name__ == "__main__":
    main()
