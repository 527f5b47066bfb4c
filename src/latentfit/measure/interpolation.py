"""Walks between images as numbers: how even, how straight, how near to real images, how faithful.

Each is measured over some hundred random pairs, and held against two ways that need no network: fading one picture
into the other, and the straight line between the scores of as many PCA components.

P pairs, S steps, K latent dimensions, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from .. import evaluate, latent
from ..data.images import ImageSet
from ..evaluate import PCAErrors
from ..model import Network, to_unit
from ..recipe import Job
from ..stats import family, paired

Array = NDArray[Any]

SHOWN_PAIRS = 4  # walks in the pictures
MEASURED_PAIRS = 500  # walks behind the numbers
STEPS = 5
REFERRED = ("evenness", "detour", "midpoint_distance", "midpoint_sharpness")  # what a walk without a network has too
AMONG = 10_000  # training images that the nearest is looked for among, at most


def choose(count: int, labels: Array | None, n: int, seed: int) -> NDArray[np.int64]:
    """Indices of `count` of n images, drawn by the seed; with labels the classes take turns.

    Neighbours in the result are of different classes where there are two. Images repeat only when a class
    has run out of them.
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
    """The pairs of training images in the pictures, indices (SHOWN_PAIRS, 2): as many classes as there are."""
    return choose(2 * SHOWN_PAIRS, images.y_train, len(images.x_train), seed).reshape(SHOWN_PAIRS, 2)


def random_pairs(images: ImageSet, seed: int) -> NDArray[np.int64]:
    """Pairs of training images to measure on, indices (P, 2): of different classes where labels tell.

    At most MEASURED_PAIRS. No image is in two pairs, so that they are independent of each other.
    """
    order = np.random.default_rng([seed, len(images.x_train), 1]).permutation(len(images.x_train))
    couples = np.resize(order, (max(1, len(order) // 2), 2))
    if images.y_train is not None and (differ := np.diff(images.y_train[couples].astype(int))[:, 0] != 0).any():
        couples = couples[differ]
    return couples[:MEASURED_PAIRS]


@dataclass(frozen=True)
class Walked:
    """Values of each walk, all (P,)."""

    evenness: Array
    detour: Array
    drift: Array
    midpoint_sharpness: Array  # in brightness a pixel
    midpoint_distance: Array  # to the nearest training image, in units of the usual distance


class Nearest:
    """Distances to the nearest of the training images, in units of the usual one.

    Usual is the median distance of a training image to the nearest other one. At most AMONG training images, drawn by
    the seed, are looked at.
    """

    def __init__(self, images: ImageSet, seed: int) -> None:
        from sklearn.neighbors import NearestNeighbors  # 1 s

        rng = np.random.default_rng([seed, len(images.x_train), 2])
        chosen = np.sort(rng.permutation(len(images.x_train))[:AMONG])
        among = _flat(images.x_train[chosen])  # (M, D)
        self.search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(among)
        some = among[:MEASURED_PAIRS]
        others = self._search(some, min(2, len(among)))[:, -1]
        self.usual = float(np.median(others)) or 1.0  # images that are all the same: any unit will do

    def distances(self, pictures: Array) -> Array:
        """Of pictures (P, H, W[, 3]), uint8 or floats in [0, 1]: (P,)."""
        return self._search(_flat(pictures), 1)[:, 0] / self.usual

    def _search(self, flat: Array, count: int) -> Array:
        with threadpool_limits(1):  # here, after the import: it limits the libraries that are loaded by now
            far: Array = self.search.kneighbors(flat, n_neighbors=count)[0]
        return far


def _flat(x: Array) -> Array:
    flat: Array = to_unit(np.ascontiguousarray(x)).numpy().reshape(len(x), -1)
    return flat


@dataclass(frozen=True)
class Ground:
    """What all walks of a study share: the pairs, their real pictures, and the training images around them."""

    pairs: NDArray[np.int64]  # (P, 2)
    real: Array  # (2, P, H, W[, 3]), floats in [0, 1]
    nearest: Nearest
    lines: dict[int, Walked] = field(default_factory=dict)  # those of PCA that were asked for, by their components

    @classmethod
    def of(cls, images: ImageSet, seed: int) -> Ground:
        """Draw the pairs of a study whose first seed this is."""
        pairs = random_pairs(images, seed)
        real = np.stack([to_unit(images.x_train[pairs[:, end]]).numpy() for end in (0, 1)])
        return cls(pairs, real, Nearest(images, seed))

    def walk(self, network: Network, spherical: bool = False) -> Walked:
        """Walk with a network from one picture of each pair to the other."""
        z_a, z_b = (latent.encode(network, x) for x in self.real)
        z = latent.interpolate(z_a, z_b, STEPS, spherical)  # (P, S, K)
        pictures = latent.decode_walks(network, z, self.real.shape[2:])
        return self._walked(pictures, latent.drift(network, z, self.real.shape[2:]))

    @cached_property
    def faded(self) -> Walked:
        """One picture of each pair faded into the other."""
        t = np.linspace(0, 1, STEPS, dtype=np.float32).reshape(1, -1, *[1] * (self.real.ndim - 2))
        return self._walked((1 - t) * self.real[0][:, None] + t * self.real[1][:, None], None)

    def along_pca(self, pca: PCAErrors, components: int) -> Walked:
        """Go straight between the scores of PCA; what comes back from it is where it went, so nothing drifts."""
        if components in self.lines:
            return self.lines[components]
        ends = [np.asarray(pca.reconstruct(x, components)) for x in self.real]
        t = np.linspace(0, 1, STEPS).reshape(1, -1, *[1] * (self.real.ndim - 2))
        pictures = ((1 - t) * ends[0][:, None] + t * ends[1][:, None]).astype(np.float32)
        self.lines[components] = self._walked(pictures, np.zeros(len(self.pairs)))
        return self.lines[components]

    def _walked(self, pictures: Array, drift: Array | None) -> Walked:
        middle = pictures[:, STEPS // 2]
        return Walked(
            evenness=latent.evenness(pictures),
            detour=latent.detour(pictures),
            drift=np.full(len(pictures), np.nan) if drift is None else drift,
            midpoint_sharpness=evaluate.sharpness(middle),
            midpoint_distance=self.nearest.distances(middle),
        )

    def told(self, walked: Walked) -> dict[str, float | None]:
        """Means over the walks; sharpness is a share of that of the real pictures at both ends."""
        sharp = float(evaluate.sharpness(self.real.reshape(-1, *self.real.shape[2:])).mean())
        half_way = float(walked.midpoint_sharpness.mean())
        means = {name: float(getattr(walked, name).mean()) for name in ("evenness", "detour", "midpoint_distance")}
        drift = float(walked.drift.mean())
        return {
            **means,
            "drift": None if np.isnan(drift) else drift,
            "midpoint_sharpness": half_way / sharp if sharp > 0 else None,
        }


def interpolation(
    ground: Ground,
    walked: Mapping[Job, Walked],
    spherical: Mapping[Job, Walked],
    pca: PCAErrors,
    shown: NDArray[np.int64],
) -> dict[str, Any]:
    """How the walks of each network go, how those of the references do, and how surely they differ."""
    linear = {k: ground.along_pca(pca, k) for k in sorted({job.latent_dim for job in walked})}
    references = {
        "cross_fade": dict.fromkeys(walked, ground.faded),
        "pca": {job: linear[job.latent_dim] for job in walked},
    }
    tests = {name: against(walked, reference) for name, reference in references.items()}
    return {
        "pairs": shown.tolist(),
        "measured_pairs": len(ground.pairs),
        "models": [
            job._asdict() | ground.told(value) | {"against": {name: of[job] for name, of in tests.items()}}
            for job, value in walked.items()
        ],
        "spherical": [job._asdict() | ground.told(value) for job, value in spherical.items()],
        "cross_fade": ground.told(ground.faded),
        "pca": [{"latent_dim": k} | ground.told(value) for k, value in linear.items()],
    }


def against(walked: Mapping[Job, Walked], references: Mapping[Job, Walked]) -> dict[Job, dict[str, Any]]:
    """Each network's walks against its reference's, in pairs over the same walks (the first of a test's means is its).

    The p-values are Holm's over the networks.
    """
    found: dict[Job, dict[str, Any]] = {job: {} for job in walked}
    for name in REFERRED:
        tests = [paired(getattr(references[job], name), getattr(value, name)) for job, value in walked.items()]
        for job, test in zip(walked, family(tests), strict=True):
            found[job][name] = test
    return found
