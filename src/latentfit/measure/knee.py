"""The knee: where explained variance rises up to a size and then stops, as on images that are made of so many factors.

Images of n continuous factors lie on a surface of n dimensions. A network that is trained until it is done keeps nearly
everything with n numbers, and next to nothing more with n + 1. On other images the gain falls slowly from size to size,
and there is no knee. How often the rule errs, either way, and its limits are in `docs/verdict.md`.

N images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..recipe import Job
from ..results import Knee
from ..stats import mean_over_both, ratio_error

STOP = 5  # the gain up to a knee is surely more than so many times the gain after it
LEAST = 0.005  # of the variance: the gain up to a knee is no less
MOST = 1_000  # a ratio beyond this says no more

Array = NDArray[np.float64]


def find(errors: Mapping[Job, Array], distances: Array) -> Knee | None:
    """The knee of the sizes of a study; None where there is none, or none is sure.

    A size n is one if n - 1, n and n + 1 were trained with two seeds or more, and the gain in explained variance from
    n - 1 to n is surely more than STOP times that from n to n + 1. Of several, the one with the largest such number.

    Args:
        errors: Error of each test image, (N,), by network.
        distances: Squared distance of each test image from the mean training image, a pixel, (N,).
    """
    by_size: dict[int, dict[int, Array]] = {}
    for (k, seed), of_images in errors.items():
        by_size.setdefault(k, {})[seed] = of_images
    found = [_at(n, by_size, distances) for n in sorted(by_size)]
    return max((knee for knee in found if knee), key=lambda knee: knee.at_least, default=None)


def _at(n: int, by_size: Mapping[int, Mapping[int, Array]], distances: Array) -> Knee | None:
    """The knee at a size; None where it is none, or its neighbours were not trained."""
    at, after = by_size[n], by_size.get(n + 1, {})
    before = by_size.get(n - 1, {}) if n > 1 else dict.fromkeys(at, distances)  # nothing is kept with no number
    seeds = sorted(at.keys() & after.keys() & before.keys())
    if len(seeds) < 2:
        return None
    gained = [(before[seed] - at[seed], at[seed] - after[seed]) for seed in seeds]  # (N,) and (N,) a seed
    up, on = (float(np.mean(gains)) / float(distances.mean()) for gains in zip(*gained, strict=True))
    at_least = _times(gained, distances)
    return Knee(n, up, on, at_least) if at_least > STOP and up >= LEAST else None


def _times(gained: Sequence[tuple[Array, Array]], distances: Array) -> float:
    """How many times the first gain surely exceeds the second, from 0 to MOST.

    The largest c for which the 95 % interval of the first gain less c times the second lies above 0 (Fieller's way to
    an interval of a ratio), for other seeds and other test images together. A loss counts as a gain as large: where the
    next size is worse, something else is wrong.
    """
    sign = 1.0 if np.mean([float(on.mean()) for _, on in gained]) >= 0 else -1.0

    def is_above(c: float) -> bool:
        differences = [up - c * sign * on for up, on in gained]
        values = [float(each.mean()) / float(distances.mean()) for each in differences]
        interval = mean_over_both(values, [ratio_error(each, distances) for each in differences]).interval
        return interval is not None and interval[0] > 0

    low, high = 0.0, float(MOST)
    if not is_above(low) or is_above(high):
        return high if is_above(high) else 0.0
    while high - low > 0.01 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if is_above(middle) else (low, middle)
    return low
