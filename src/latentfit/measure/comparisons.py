"""Networks compared with each other and with PCA over the same images, and sizes over their seeds.

N images, J networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..recipe import Job, first_seeds
from ..results import Apart, Comparison, NestedCurve, PCAComparison, Sampling, SizeComparison, SizeResult
from ..stats import bootstrap, family, mean_error, paired, percentile_interval, welch
from .interpolation import PairValues
from .network import Baselines, ImageValues

T = TypeVar("T")
Array = NDArray[Any]


def compare_networks(
    values: Mapping[Job, ImageValues], interpolations: Mapping[Job, PairValues]
) -> tuple[Comparison, ...]:
    """Each size's first network with that of the next larger size, and the smallest with the largest.

    Every quantity is tested in pairs over the same images (or pairs of images), and its p-values are Holm's over all
    the comparisons of that quantity.
    """
    couples = _couples(first_seeds(values))
    tests = {
        name: family([paired(getattr(of[a], name), getattr(of[b], name)) for a, b in couples])
        for of, names in (
            (values, ("test_mse", "sharpness")),
            (interpolations, ("evenness", "midpoint_sharpness", "detour", "midpoint_distance", "drift")),
        )
        for name in names
    }
    return tuple(
        Comparison(
            a.seed if a.seed == b.seed else None,
            (a.latent_dim, b.latent_dim),
            **{name: column[i] for name, column in tests.items()},
        )
        for i, (a, b) in enumerate(couples)
    )


def _couples(items: Sequence[T]) -> list[tuple[T, T]]:
    """Each with the next, and the first with the last."""
    couples = list(pairwise(items))
    return [*couples, (items[0], items[-1])] if len(items) > 2 else couples


def compare_sizes(values: Mapping[Job, ImageValues]) -> tuple[SizeComparison, ...]:
    """Each size with the next larger one, and the smallest with the largest: `stats.welch`, Holm's over all."""
    by_size: dict[int, list[Array]] = {}
    for job in sorted(values):
        by_size.setdefault(job.latent_dim, []).append(values[job].test_mse)
    means = {k: np.mean(errors, axis=0) for k, errors in by_size.items()}  # (N,) a size
    errors = {k: [float(of_images.mean()) for of_images in each] for k, each in by_size.items()}
    couples = _couples(list(by_size))
    tests = family([welch(errors[a], errors[b], mean_error(means[b] - means[a])) for a, b in couples])
    return tuple(SizeComparison(couple, test) for couple, test in zip(couples, tests, strict=True))


def compare_with_pca(values: Mapping[Job, ImageValues], baselines: Baselines) -> tuple[PCAComparison, ...]:
    """Each network with as many PCA components, paired over the test images; Holm's over the networks."""
    most = baselines.pca.test_images.shape[1] - 1
    components = [min(job.latent_dim, most) for job in values]
    pca_errors = [baselines.pca.of_test_images(k) for k in components]
    tests = family([paired(a, b.test_mse) for a, b in zip(pca_errors, values.values(), strict=True)])
    return tuple(PCAComparison(*job, k, test) for job, k, test in zip(values, components, tests, strict=True))


def sampling(values: Mapping[Job, ImageValues], baselines: Baselines) -> tuple[Sampling, ...]:
    """95 % intervals of the same networks over other test images, by a paired bootstrap over the images.

    Of each size, over its networks' mean error of each image; the same images are drawn for all sizes. Empty for a
    single test image, and where the images do not vary.
    """
    sizes = sorted({job.latent_dim for job in values})
    if not sizes or len(baselines.pca.test_images) < 2 or not baselines.varies:
        return ()
    errors = np.stack(
        [np.mean([v.test_mse for job, v in values.items() if job.latent_dim == k], axis=0) for k in sizes], axis=1
    )  # (N, sizes)
    distance = baselines.pca.of_test_images(0)  # (N,), from the mean training image
    mse, unexplained = bootstrap(errors), bootstrap(errors, distance)
    return tuple(
        Sampling(k, percentile_interval(mse[:, i]), percentile_interval(1 - unexplained[:, i]))
        for i, k in enumerate(sizes)
    )


def compare_nested(curve: NestedCurve, sizes: Sequence[SizeResult]) -> tuple[Apart, ...]:
    """The nested network's error above the mean of the networks trained for a size, as a share of that mean."""
    means = {size.latent_dim: size.test_mse.mean for size in sizes if size.test_mse}
    nested = {k: error for k, error in zip(curve.sizes, curve.test_mse, strict=True) if error}
    return tuple(Apart(k, nested[k] / mean - 1) for k, mean in means.items() if k in nested and mean > 0)
