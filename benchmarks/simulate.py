"""What thousands of studies would show: how often an answer is wrong, how far off, how many trainings: `make evidence`.

Explained variance is a power law of the size, seeds and test images are normal, and the search is the real one. `gap`
is the difference between the two sizes beside the share to keep, in spreads of seeds; `images` the standard error over
the test images, in the same unit, and the same error for every size. `docs/verdict.md` has the table.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentfit.measure.search import Search, Step, bracket
from latentfit.measure.verdict import Size, decide

RESULT = Path(__file__).parent / "results" / "simulation.json"
GAPS, IMAGES = (20, 5, 2, 1, 0.5), (0, 1, 4)
STUDIES = 1000  # of each gap and error over images
TRUE = (2, 4, 8, 16, 40, 80)
KEEP, SEEDS = 0.9, (0, 1, 2)
LARGEST = 400


@dataclass
class World:
    """The truth of one simulated study: what PCA, short trainings and networks explain of each size."""

    rng: np.random.Generator
    true: int
    gap: float
    images: float
    pca: NDArray[np.float64] = field(init=False)
    left: NDArray[np.float64] = field(init=False)  # not explained, by size

    def __post_init__(self) -> None:
        power, self.crossing = self.rng.uniform(0.35, 0.9), self.true - self.rng.uniform(0, 1)
        ratio = self.rng.uniform(1.5, 6)  # of PCA's size to a network's
        sizes = np.maximum(np.arange(min(LARGEST, max(6, int(4 * self.true * ratio))) + 1), 0.3)
        self.left = np.minimum(1, (1 - KEEP) * (sizes / self.crossing) ** -power)
        below = max(self.true - 1, 1)
        self.spread = float(self.left[below] - self.left[below + 1]) / self.gap
        linear = (1 - KEEP) * (sizes / (self.crossing * ratio)) ** (-power * self.rng.uniform(0.8, 1.1))
        surely = np.flatnonzero(1 - np.maximum(linear, self.left) - 1.96 * self.error >= KEEP)
        self.pca = 1 - np.clip(linear, self.left, 1)[: int(surely[0]) + 1 if len(surely) else None]
        self.shift = self.rng.normal() * self.error  # of these test images
        self.above = self.rng.normal(0.08, 0.08), self.rng.normal(0, 0.05)  # a short training's share more, in log

    @property
    def error(self) -> float:
        """Standard error over test images."""
        return self.images * self.spread

    def network(self, size: int) -> float:
        """What one more network explains."""
        return float(1 - self.left[size] + self.shift + self.spread * self.rng.normal())

    def scout(self, size: int) -> float:
        """What a short training explains."""
        more = self.above[0] + self.above[1] * math.log(size / self.true) + self.rng.normal(0, 0.01)
        return float(1 - self.left[size] * math.exp(more) + self.shift)

    def holds(self, size: int, found: Size) -> bool:
        """Whether an interval contains the true value."""
        low, high = found.mean.interval or (0.0, 1.0)
        return bool(low <= 1 - self.left[size] <= high)


def study(world: World) -> dict[str, Any]:
    """One search, and what its answer is worth."""
    sizes, scouts = dict[int, Size](), dict[int, Size]()
    first: list[bool] = []
    while True:
        tried = {k: size.seeds for k, size in sizes.items()}
        step = Search(KEEP, SEEDS, world.pca, len(world.pca) - 1, tried, sizes, scouts).next()
        if step == Step():
            break
        scouts |= {k: Size((world.scout(k),), (world.error,), (0,)) for k in step.scouts}
        for size, seed in sorted(step.jobs):
            old = sizes.get(size, Size((), (), ()))
            sizes[size] = Size((*old.explained, world.network(size)), (*old.errors, world.error), (*old.seeds, seed))
            if len(sizes[size].seeds) == len(SEEDS):
                first.append(world.holds(size, sizes[size]))
        sizes = dict(sorted(sizes.items()))
    answer = decide(sizes, KEEP)
    k, lacking = answer.latent_dim, answer.not_enough
    return {
        "true": world.true,
        "excess": None if k is None else k - world.true,
        "enough_wrong": k is not None and bool(1 - world.left[k] < KEEP),
        "not_enough_wrong": lacking is not None and bool(1 - world.left[lacking] >= KEEP),
        "held": first,
        "held_of_enough": None if k is None else world.holds(k, sizes[k]),
        "trainings": len(scouts) + sum(len(size.seeds) for size in sizes.values()),
    }


def mean(rows: list[dict[str, Any]], name: str) -> float:
    """The mean of a number or a truth value."""
    return float(np.mean([row[name] for row in rows]))


def main() -> None:
    """Simulate, and keep the rates."""
    rows = []
    for images in IMAGES:
        for gap in GAPS:
            rng = np.random.default_rng([int(10 * gap), images])
            done = [study(World(rng, int(rng.choice(TRUE)), gap, images)) for _ in range(STUDIES)]
            found = [row for row in done if row["excess"] is not None]
            held = [one for row in done for one in row["held"]]
            excess = np.array([row["excess"] for row in found])
            allowed = np.array([bracket(row["true"]) for row in found])
            rows.append(
                {
                    "images": images,
                    "gap": gap,
                    "studies": STUDIES,
                    "found": len(found) / STUDIES,
                    "enough_wrong": mean(done, "enough_wrong"),
                    "not_enough_wrong": mean(done, "not_enough_wrong"),
                    "held": float(np.mean(held)),
                    "held_of_enough": mean(found, "held_of_enough"),
                    "excess": mean(found, "excess"),
                    "excess_in_brackets": float((excess / allowed).mean()),
                    "trainings": float(np.median([row["trainings"] for row in done])),
                }
            )
            print(rows[-1], flush=True)
    RESULT.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
