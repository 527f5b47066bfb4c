"""Means, intervals and tests.

Two networks are compared in pairs over the same images, two sizes by Welch's test for other seeds and other images
together; p-values of a family of tests are adjusted by Holm's method.

N images, J networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Interval = tuple[float, float]

CONFIDENCE = 0.95
LEVEL = 0.05
NORMAL = 1.959964  # half of a 95 % interval in standard errors, where they are known well


@dataclass(frozen=True)
class Mean:
    """A mean with the 95 % interval of Student's t; `interval` is None for a single value."""

    mean: float
    interval: Interval | None


class _Significance:
    """Anything with a p-value."""

    p: float | None

    @property
    def significant(self) -> bool:
        """Whether p is below LEVEL."""
        return self.p is not None and self.p < LEVEL


@dataclass(frozen=True)
class PairedTest(_Significance):
    """Student's paired test of two networks a and b on the same images.

    Attributes:
        means: Mean of a and of b.
        difference: Mean of b - a.
        share_lower: Share of the images where b is lower.
        share_higher: Share of the images where b is higher.
        interval: 95 % interval of the difference, None for fewer than two images.
        p: Two-sided p-value, adjusted over the family; None for fewer than two images.
        family: Number of tests that p is adjusted for.
    """

    means: tuple[float, float]
    difference: float
    share_lower: float
    share_higher: float
    interval: Interval | None
    p: float | None
    family: int = 1


@dataclass(frozen=True)
class WelchTest(_Significance):
    """Test of two latent sizes for other seeds and other images together; attributes as of `PairedTest`.

    `interval` and `p` are None where a size was trained fewer than twice.
    """

    means: tuple[float, float]
    difference: float
    interval: Interval | None
    p: float | None
    family: int = 1


Test = TypeVar("Test", PairedTest, WelchTest)


def mean_interval(values: Sequence[float]) -> Mean:
    """Mean of one or more values and its 95 % interval."""
    from scipy.stats import t

    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Mean(mean, None)
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Mean(mean, (mean - half, mean + half))


def mean_over_both(values: Sequence[float], errors: Sequence[float]) -> Mean:
    """Mean over seeds and its 95 % interval for other seeds and other test images together.

    The squared standard error is that over the seeds plus that over the images, and its factor is the mean of Student's
    t for the seeds and the normal quantile for the images, weighted by the two parts (Cochran, Biometrics 7, 1951).

    Args:
        values: One a seed, one or more, all on the same test images.
        errors: The standard error of each over the images, see `ratio_error`; what differs from seed to seed in them
            counts in full.
    """
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Mean(mean, None)
    half = _half(float(np.var(values, ddof=1)), n, float(np.mean(np.square(errors))))
    return Mean(mean, (mean - half, mean + half))


def ratio_error(a: Array, b: Array) -> float:
    """Standard error of Σa / Σb over other images, for values of the same images (N,), linearised.

    Cochran, Sampling Techniques, 1977, section 2.11. Where images are few it is widened, so that NORMAL times it is
    half of a 95 % interval by Student's t; of a single image, which says nothing of others, it is 1.
    """
    from scipy.stats import t

    if len(a) < 2:
        return 1.0
    apart = a - float(a.mean()) / float(b.mean()) * b
    wider = float(t.ppf((1 + CONFIDENCE) / 2, len(a) - 1)) / NORMAL
    return wider * float(apart.std(ddof=1)) / math.sqrt(len(a)) / float(b.mean())


def mean_error(values: Array) -> float:
    """Standard error of the mean of images' values (N,), see `ratio_error`."""
    return ratio_error(values, np.ones(len(values)))


def _half(spread: float, n: int, of_images: float) -> float:
    """Half of the interval of `mean_over_both`, for a variance over n seeds and a squared error over the images."""
    return _half_of(spread / n, n - 1, of_images, LEVEL)


def _half_of(of_seeds: float, freedom: float, of_images: float, level: float) -> float:
    """Half of an interval, by the squared standard errors over seeds (with its degrees of freedom) and over images."""
    from scipy.stats import norm, t

    if not (both := of_seeds + of_images):
        return 0.0
    return float(t.isf(level / 2, freedom) * of_seeds + norm.isf(level / 2) * of_images) / math.sqrt(both)


def seeds_needed(values: Sequence[float], errors: Sequence[float], limit: float, most: int = 1000) -> int | None:
    """Number of seeds, at this mean and spread, for which the interval lies above a limit; None beyond `most`."""
    mean, spread = float(np.mean(values)), float(np.var(values, ddof=1))
    of_images = float(np.mean(np.square(errors)))
    return next((n for n in range(len(values), most + 1) if mean - _half(spread, n, of_images) >= limit), None)


def paired(a: Array, b: Array) -> PairedTest:
    """Paired test of the values of two networks for the same images, (N,) each."""
    from scipy.stats import t

    difference = b - a
    mean, n = float(difference.mean()), len(difference)
    means = float(a.mean()), float(b.mean())
    shares = float((b < a).mean()), float((b > a).mean())
    if n < 2:
        return PairedTest(means, mean, *shares, None, None)
    error = float(difference.std(ddof=1)) / math.sqrt(n)
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    p = 2 * float(t.sf(abs(mean) / error, n - 1)) if error > 0 else float(mean == 0)
    return PairedTest(means, mean, *shares, (mean - half, mean + half), p)


def welch(a: Sequence[float], b: Sequence[float], error: float = 0.0) -> WelchTest:
    """Test of the values of two sizes, one value a seed, for other seeds and other images together.

    Welch's test for the seeds; the images come to it as in `mean_over_both`. p is the level whose interval ends at 0.

    Args:
        a: Of one size.
        b: Of the other.
        error: Standard error over the images of the difference of the two means.
    """
    from scipy.optimize import brentq

    means, mean = (float(np.mean(a)), float(np.mean(b))), float(np.mean(b) - np.mean(a))
    if min(len(a), len(b)) < 2:
        return WelchTest(means, mean, None, None)
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (a, b)]
    of_seeds, of_images = sum(parts), error**2
    if of_seeds + of_images == 0:
        return WelchTest(means, mean, (mean, mean), float(mean == 0))
    down = sum(p**2 / (len(v) - 1) for p, v in zip(parts, (a, b), strict=True))
    freedom = of_seeds**2 / down if down else len(a) + len(b) - 2.0
    half = _half_of(of_seeds, freedom, of_images, LEVEL)

    def beyond(log_p: float) -> float:
        return _half_of(of_seeds, freedom, of_images, math.exp(log_p)) - abs(mean)

    least = -300.0  # quantiles beyond e ** -300 are not computed soundly
    p = math.exp(brentq(beyond, least, 0.0)) if beyond(least) > 0 > beyond(0.0) else float(mean == 0)
    return WelchTest(means, mean, (mean - half, mean + half), p)


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p-values (1979) of a family of tests; None stays None."""
    adjusted: list[float | None] = [None] * len(p)
    known = sorted((value, i) for i, value in enumerate(p) if value is not None)
    highest = 0.0
    for rank, (value, i) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - rank)))
        adjusted[i] = highest
    return adjusted


def family(tests: Sequence[Test]) -> list[Test]:
    """The tests as one family: with Holm's p-values, and as `family` the number of tests that have one."""
    adjusted = holm([test.p for test in tests])
    count = sum(p is not None for p in adjusted)
    return [replace(test, p=p, family=count) for test, p in zip(tests, adjusted, strict=True)]


def bootstrap(values: Array, weights: Array | None = None, count: int = 1000, seed: int = 0) -> Array:
    """Means of images drawn with replacement, the same images for every column (paired bootstrap).

    Args:
        values: Of each image, (N, J).
        weights: Divides: each result is Σ values / Σ weights over the drawn images, (N,); 1 if not given.
        count: Number of draws.
        seed: Of the drawing.

    Returns:
        (count, J) float64.
    """
    rng, n = np.random.default_rng(seed), len(values)
    means = np.empty((count, values.shape[1]))
    for i in range(count):
        times = np.bincount(rng.integers(0, n, n), minlength=n)  # how often each image was drawn
        total = n if weights is None else float(times @ weights)
        means[i] = times @ values / (total or 1.0)  # without weight there is no error either
    return means


def percentile_interval(draws: Array) -> Interval:
    """The middle 95 % of bootstrap draws (count,)."""
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
