"""Means, intervals and tests: what chance alone would do.

Over images a test is paired, over seeds it is Welch's; the p-values of a family are Holm's.

N images, S seeds, J networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CONFIDENCE = 0.95


def mean_interval(values: Sequence[float]) -> dict[str, Any]:
    """Mean of some values with the 95 % interval of Student's t; the interval is None for a single value."""
    from scipy.stats import t

    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return {"mean": mean, "interval": None}
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return {"mean": mean, "interval": [mean - half, mean + half]}


def seeds_needed(values: Sequence[float], limit: float, most: int = 1000) -> int | None:
    """How many values it takes, at this mean and spread, until the interval lies above a limit; None beyond `most`."""
    from scipy.stats import t

    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    counts = range(len(values), most + 1)
    return next((n for n in counts if mean - t.ppf((1 + CONFIDENCE) / 2, n - 1) * spread / n**0.5 >= limit), None)


def paired(a: Array, b: Array) -> dict[str, Any]:
    """Student's paired test of two networks over the same images.

    Args:
        a: The first network's value of each image, (N,).
        b: The second's, (N,).

    Returns:
        Means of both, the mean difference b - a with its 95 % interval, the two-sided p-value, and the shares
        of images where b is lower and where it is higher. Interval and p are None for fewer than two images.
    """
    from scipy.stats import t

    difference = b - a
    mean, n = float(difference.mean()), len(difference)
    result = {
        "means": [float(a.mean()), float(b.mean())],
        "difference": mean,
        "share_lower": float((b < a).mean()),
        "share_higher": float((b > a).mean()),
    }
    if n < 2:
        return result | {"interval": None, "p": None}
    error = float(difference.std(ddof=1)) / math.sqrt(n)
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    p = 2 * float(t.sf(abs(mean) / error, n - 1)) if error > 0 else float(mean == 0)
    return result | {"interval": [mean - half, mean + half], "p": p}


def welch(a: Sequence[float], b: Sequence[float]) -> dict[str, Any]:
    """Welch's test of two sizes over their seeds.

    Args:
        a: Value of each training of the first size.
        b: Of the second.

    Returns:
        Means of both, the difference b - a with its 95 % interval, and the two-sided p-value. Interval and p are
        None where a size was trained fewer than twice.
    """
    from scipy.stats import t

    mean = float(np.mean(b) - np.mean(a))
    result = {"means": [float(np.mean(a)), float(np.mean(b))], "difference": mean}
    if min(len(a), len(b)) < 2:
        return result | {"interval": None, "p": None}
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (a, b)]
    error = math.sqrt(sum(parts))
    if error == 0:
        return result | {"interval": [mean, mean], "p": float(mean == 0)}
    freedom = sum(parts) ** 2 / sum(p**2 / (len(v) - 1) for p, v in zip(parts, (a, b), strict=True))
    half = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return result | {"interval": [mean - half, mean + half], "p": 2 * float(t.sf(abs(mean) / error, freedom))}


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p-values (1979) of a family of tests; a test without one keeps None."""
    adjusted: list[float | None] = [None] * len(p)
    known = sorted((value, i) for i, value in enumerate(p) if value is not None)
    highest = 0.0
    for rank, (value, i) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - rank)))
        adjusted[i] = highest
    return adjusted


def family(tests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tests with Holm's p-values, and as `family` how many of them have one."""
    adjusted = holm([test["p"] for test in tests])
    count = sum(p is not None for p in adjusted)
    return [test | {"p": p, "family": count} for test, p in zip(tests, adjusted, strict=True)]


def resampled(values: Array, weights: Array | None = None, count: int = 1000, seed: int = 0) -> Array:
    """Means of images drawn with replacement, the same images for every column: a paired bootstrap.

    Args:
        values: Of each image, (N, J).
        weights: Divides: the result is Σ values / Σ weights over the drawn images, (N,); 1 if not given.
        count: How often.
        seed: Of the drawing.

    Returns:
        (count, J) float64.
    """
    rng, n = np.random.default_rng(seed), len(values)
    means = np.empty((count, values.shape[1]))
    for i in range(count):
        times = np.bincount(rng.integers(0, n, n), minlength=n)  # how often each image was drawn
        total = n if weights is None else float(times @ weights)
        means[i] = times @ values / (total or 1.0)  # no weight at all: nothing was lost either
    return means


def middle(draws: Array) -> list[float]:
    """The ends of the middle 95 % of some draws."""
    return [float(end) for end in np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])]
