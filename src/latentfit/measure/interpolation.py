"""Interpolation between images in numbers: how even, how straight, how near to real images, how faithful.

Each number is a mean over some hundred random pairs of training images, and is compared with two references that need
no network: the cross-fade of the two images, and the straight line between their scores of as many PCA components.

P pairs, S steps, K latent dimensions, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from .. import evaluate, latent
from ..data.images import ImageSet
from ..data.large import at_most
from ..model import BATCH, Codec, to_unit
from ..parts import (
    Interpolation,
    InterpolationMeans,
    NetworkInterpolation,
    PCAInterpolation,
    References,
    ReferenceTests,
    TestedInterpolation,
)
from ..pca import PCA
from ..recipe import Job
from ..stats import family, paired

Array = NDArray[Any]

SHOWN_PAIRS = 4  # in the pictures
MEASURED_PAIRS = 500  # behind the numbers
STEPS = 5
TESTED = ("evenness", "detour", "midpoint_distance", "midpoint_sharpness")  # against the references
AMONG = 10_000  # training images among which the nearest is searched, at most
TOGETHER = BATCH // STEPS  # pairs whose pictures are in memory at once: those of a batch


def choose(count: int, labels: Array | None, n: int, seed: int) -> NDArray[np.int64]:
    """Indices of `count` of n images, drawn by the seed; with labels the classes take turns.

    Neighbours in the result are of different classes where there are two. Images repeat only when a class
    has no others left.
    """
    rng = np.random.default_rng([seed, n])
    order = rng.permutation(n)
    if labels is None:
        return np.resize(order, count)
    classes = rng.permutation(np.unique(labels))
    queues = [order[labels[order] == c] for c in classes]
    turns = (divmod(i, len(queues)) for i in range(count))
    return np.array([queues[q][lap % len(queues[q])] for lap, q in turns])


def shown_pairs(images: ImageSet, seed: int) -> NDArray[np.int64]:
    """Pairs of training images in the pictures, indices (SHOWN_PAIRS, 2), of as many classes as there are."""
    return choose(2 * SHOWN_PAIRS, images.y_train, len(images.x_train), seed).reshape(SHOWN_PAIRS, 2)


def random_pairs(images: ImageSet, seed: int) -> NDArray[np.int64]:
    """At most MEASURED_PAIRS pairs of training images, indices (P, 2), of different classes where there are labels.

    No image is in two pairs, so that they are independent of each other.
    """
    order = np.random.default_rng([seed, len(images.x_train), 1]).permutation(len(images.x_train))
    couples = np.resize(order, (max(1, len(order) // 2), 2))
    if images.y_train is not None and (differ := np.diff(images.y_train[couples].astype(int))[:, 0] != 0).any():
        couples = couples[differ]
    return couples[:MEASURED_PAIRS]


@dataclass(frozen=True)
class PairValues:
    """Values of each pair's interpolation, all (P,)."""

    evenness: Array
    detour: Array
    drift: Array
    midpoint_sharpness: Array  # mean gradient magnitude
    midpoint_distance: Array  # to the nearest training image, in units of the usual distance


class Nearest:
    """Distances to the nearest training image, in units of the usual one.

    The unit is the median distance of a training image to the nearest other one. At most AMONG training images, drawn
    by the seed, are searched.
    """

    def __init__(self, images: ImageSet, seed: int) -> None:
        from sklearn.neighbors import NearestNeighbors  # 1 s

        rng = np.random.default_rng([seed, len(images.x_train), 2])
        chosen = np.sort(rng.permutation(len(images.x_train))[: at_most(AMONG, images.pixels)])
        among = _flat(images.x_train[chosen])  # (M, D)
        self.search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(among)
        others = self._search(among[:MEASURED_PAIRS], min(2, len(among)))[:, -1]
        self.usual = float(np.median(others)) or 1.0  # if all images are equal, any unit will do

    def distances(self, pictures: Array) -> Array:
        """Of pictures (P, H, W[, 3]), uint8 or floats in [0, 1]: (P,)."""
        return self._search(_flat(pictures), 1)[:, 0] / self.usual

    def _search(self, flat: Array, count: int) -> Array:
        with threadpool_limits(1):  # here, after the import: it limits the libraries that are loaded by now
            distances: Array = self.search.kneighbors(flat, n_neighbors=count)[0]
        return distances


def _flat(x: Array) -> Array:
    flat: Array = to_unit(np.ascontiguousarray(x)).numpy().reshape(len(x), -1)
    return flat


@dataclass(frozen=True)
class Ground:
    """What all interpolations of a study share: the pairs, their images, the training images, and the references."""

    pairs: NDArray[np.int64]  # (P, 2)
    real: Array  # (2, P, H, W[, 3]), floats in [0, 1]
    nearest: Nearest
    along_pca: dict[int, PairValues] = field(default_factory=dict)  # those computed so far, by number of components

    @classmethod
    def of(cls, images: ImageSet, seed: int) -> Ground:
        """Draw the pairs of a study whose first seed this is."""
        pairs = random_pairs(images, seed)
        real = np.stack([to_unit(images.x_train[pairs[:, end]]).numpy() for end in (0, 1)])
        return cls(pairs, real, Nearest(images, seed))

    def interpolate(self, network: Codec, spherical: bool = False) -> PairValues:
        """Interpolate with a network between the images of each pair."""
        z_a, z_b = (latent.encode(network, x) for x in self.real)
        z = latent.interpolate(z_a, z_b, STEPS, spherical)  # (P, S, K)
        shape = self.real.shape[2:]
        return self._values(lambda some: latent.decode_steps(network, z[some], shape), latent.drift(network, z, shape))

    @cached_property
    def cross_fade(self) -> PairValues:
        """Fade one image of each pair into the other."""
        t = np.linspace(0, 1, STEPS, dtype=np.float32).reshape(1, -1, *[1] * (self.real.ndim - 2))
        return self._values(
            lambda some: (1 - t) * self.real[0, some, None] + t * self.real[1, some, None],
            np.full(len(self.pairs), np.nan),
        )

    def interpolate_pca(self, pca: PCA, components: int) -> PairValues:
        """Interpolate between the PCA scores of the images of each pair; encoded again, no point moves."""
        if components not in self.along_pca:
            ends = [np.asarray(pca.reconstruct(x, components)) for x in self.real]
            t = np.linspace(0, 1, STEPS).reshape(1, -1, *[1] * (self.real.ndim - 2))
            self.along_pca[components] = self._values(
                lambda some: ((1 - t) * ends[0][some, None] + t * ends[1][some, None]).astype(np.float32),
                np.zeros(len(self.pairs)),
            )
        return self.along_pca[components]

    def prepare(self, pca: PCA, sizes: Iterable[int]) -> None:
        """Compute the references of these sizes, so that they are there when the networks are."""
        _ = self.cross_fade
        for k in sizes:
            self.interpolate_pca(pca, k)

    def _values(self, pictures: Callable[[slice], Array], drift: Array) -> PairValues:
        """Values of interpolations, from a function that makes those of some pairs, (P, S, H, W[, 3])."""
        even, longer, middle = np.empty(len(self.pairs)), np.empty(len(self.pairs)), np.empty_like(self.real[0])
        for start in range(0, len(self.pairs), TOGETHER):
            some = slice(start, start + TOGETHER)
            made = pictures(some)
            even[some], longer[some], middle[some] = latent.evenness(made), latent.detour(made), made[:, STEPS // 2]
        return PairValues(
            evenness=even,
            detour=longer,
            drift=drift,
            midpoint_sharpness=evaluate.sharpness(middle),
            midpoint_distance=self.nearest.distances(middle),
        )

    def means(self, values: PairValues) -> InterpolationMeans:
        """Means over the pairs; sharpness is a share of that of the real images at both ends."""
        sharp = float(evaluate.sharpness(self.real.reshape(-1, *self.real.shape[2:])).mean())
        drift, midpoint = float(values.drift.mean()), float(values.midpoint_sharpness.mean())
        return InterpolationMeans(
            evenness=float(values.evenness.mean()),
            detour=float(values.detour.mean()),
            midpoint_distance=float(values.midpoint_distance.mean()),
            drift=None if np.isnan(drift) else drift,
            midpoint_sharpness=midpoint / sharp if sharp > 0 else None,
        )

    def interpolate_all(
        self, networks: Mapping[Job, Codec], pca: PCA, shown: NDArray[np.int64]
    ) -> tuple[dict[Job, PairValues], Interpolation]:
        """Interpolate with each network, and sum up.

        Args:
            networks: One of each size.
            pca: The reference at each size.
            shown: The pairs in the pictures, indices (SHOWN_PAIRS, 2).

        Returns:
            The values of linear interpolation by network, and the means over the pairs of each network and reference
            with the tests of the former against the latter.
        """
        linear, spherical = ({job: self.interpolate(n, way) for job, n in networks.items()} for way in (False, True))
        scores = {k: self.interpolate_pca(pca, k) for k in sorted({job.latent_dim for job in networks})}
        fade_tests = against(linear, dict.fromkeys(linear, self.cross_fade))
        pca_tests = against(linear, {job: scores[job.latent_dim] for job in linear})
        means = {job: asdict(self.means(values)) for job, values in linear.items()}
        return linear, Interpolation(
            pairs=tuple((int(a), int(b)) for a, b in shown),
            measured_pairs=len(self.pairs),
            models=tuple(
                TestedInterpolation(*job, **means[job], against=References(fade_tests[job], pca_tests[job]))
                for job in linear
            ),
            spherical=tuple(NetworkInterpolation(*job, **asdict(self.means(v))) for job, v in spherical.items()),
            cross_fade=self.means(self.cross_fade),
            pca=tuple(PCAInterpolation(k, **asdict(self.means(values))) for k, values in scores.items()),
        )


def against(networks: Mapping[Job, PairValues], references: Mapping[Job, PairValues]) -> dict[Job, ReferenceTests]:
    """Tests of each network (b) against its reference (a), paired over the pairs; Holm's over the networks."""
    columns = {
        name: family([paired(getattr(references[job], name), getattr(networks[job], name)) for job in networks])
        for name in TESTED
    }
    return {
        job: ReferenceTests(**{name: tests[i] for name, tests in columns.items()}) for i, job in enumerate(networks)
    }
