"""What a study measures: one row a network, comparisons of networks, and the walks between images.

Everything here is a number about trained networks; what the numbers mean is said in `verdict.py`.

N images, P pairs, H × W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import evaluate, latent
from .data.images import ImageSet
from .evaluate import PCAErrors
from .model import Network, to_unit
from .train import Epoch, Job, Measured, Trained

Array = NDArray[Any]

SHOWN = 8  # reconstructions of each split in the pictures
SHOWN_PAIRS = 4  # walks in the pictures
MEASURED_PAIRS = 500  # walks behind the numbers
STEPS = 5
CURVE = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True)
class Yardsticks:
    """What the images alone say, and every network of a study is held against."""

    pca: PCAErrors
    variance: dict[str, float]
    test_sharpness: Array  # (N,), of the original test images

    @classmethod
    def of(cls, images: ImageSet) -> Yardsticks:
        """Measure a set of images."""
        mean = evaluate.mean_image(images.x_train)
        return cls(
            pca=evaluate.pca(images.x_train, images.x_test),
            variance={
                "train": evaluate.variance(images.x_train, mean),
                "test": evaluate.variance(images.x_test, mean),
            },
            test_sharpness=evaluate.sharpness(images.x_test),
        )


@dataclass(frozen=True)
class PerImage:
    """What comparisons need of a network: its values for the same test images and the same pairs."""

    test_mse: Array  # (N,)
    sharpness: Array  # (N,)
    evenness: Array  # (P,)
    midpoint_sharpness: Array  # (P,)


def row(trained: Trained, images: ImageSet, yard: Yardsticks) -> dict[str, Any]:
    """The numbers of one network, as a study's `models` lists them; failed where they are not finite."""
    job, found = trained.job, trained.measured
    if found is None:
        return failed_row(job, trained.reason)
    test_mse = float(found.test_errors.mean())
    if not max(found.train_mse, test_mse) <= 1:  # NaN included
        worst = f"{max(found.train_mse, test_mse):.3g}"
        return failed_row(job, f"its error of {worst} is larger than that of any picture with pixels in [0, 1]")
    return _identity(job, "ok", None) | {
        "train_mse": found.train_mse,
        "test_mse": test_mse,
        "test_psnr": _finite(evaluate.psnr(test_mse)),
        "test_ssim": _finite(found.test_ssim),
        "test_mse_by_class": by_class(found.test_errors, images),
        "effective_dim": found.effective_dim,
        "train_explained_variance": _explained(found.train_mse, yard.variance["train"]),
        "test_explained_variance": _explained(test_mse, yard.variance["test"]),
        "test_sharpness": _ratio(found.test_sharpness, yard.test_sharpness),
        "pca_components_for_test_mse": yard.pca.components_for(test_mse),
        "last_tenth_fall": last_tenth_fall(trained.history),
    }


def failed_row(job: Job, reason: str | None) -> dict[str, Any]:
    """The row of a network that could not be trained: the same keys, every number null."""
    return _identity(job, "failed", reason) | dict.fromkeys(NUMBERS)


NUMBERS = (
    "train_mse",
    "test_mse",
    "test_psnr",
    "test_ssim",
    "test_mse_by_class",
    "effective_dim",
    "train_explained_variance",
    "test_explained_variance",
    "test_sharpness",
    "pca_components_for_test_mse",
    "last_tenth_fall",
)


def _identity(job: Job, status: str, reason: str | None) -> dict[str, Any]:
    return {"latent_dim": job.latent_dim, "seed": job.seed, "status": status, "reason": reason, "gates": []}


def by_class(errors: Array, images: ImageSet) -> list[float | None] | None:
    """Mean error of each class of the test images in class order; None without labels."""
    if images.y_test is None or images.classes is None:
        return None
    return evaluate.by_class(errors, images.y_test, len(images.classes))


def pca_rows(yard: Yardsticks, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Error of PCA with each of these numbers of components."""
    splits = ("train", "test")
    return [{"latent_dim": k} | {f"{s}_mse": yard.pca.at(s, k) for s in splits} for k in sizes]


def last_tenth_fall(history: Sequence[Epoch]) -> float | None:
    """Share of the training error that the last tenth of the epochs took away; None for a single epoch."""
    before = len(history) - max(1, round(len(history) / 10))
    if before < 1 or history[before - 1].train_mse == 0:
        return None
    return 1 - history[-1].train_mse / history[before - 1].train_mse


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


def per_image(
    network: Network, images: ImageSet, chosen: NDArray[np.int64], measured: Measured | None = None
) -> PerImage:
    """A network's values for each test image, and for each walk between the chosen pairs (P, 2).

    What was measured where it was trained is not measured again: the same numbers, to the last bit.
    """
    if measured is None:
        errors = evaluate.image_errors(network, images.x_test)
        sharp = evaluate.sharpness(evaluate.reconstruct(network, images.x_test))
    else:
        errors, sharp = measured.test_errors, measured.test_sharpness
    walks = latent.walk(network, images.x_train[chosen[:, 0]], images.x_train[chosen[:, 1]], STEPS)
    return PerImage(
        test_mse=errors,
        sharpness=sharp,
        evenness=latent.evenness(walks),
        midpoint_sharpness=evaluate.sharpness(walks[:, STEPS // 2]),
    )


def interpolation(
    values: Mapping[Job, PerImage], images: ImageSet, shown: NDArray[np.int64], chosen: NDArray[np.int64]
) -> dict[str, Any]:
    """How the walks of each network go, and how fading one picture into the other would.

    Sharpness is that of the pictures half way, as a share of that of the real pictures at both ends.
    """
    ends = np.stack([to_unit(images.x_train[chosen[:, end]]).numpy() for end in (0, 1)])  # (2, P, H, W[, 3])
    real = evaluate.sharpness(ends.reshape(-1, *images.image_shape))
    fade = evaluate.sharpness(ends.mean(axis=0))
    return {
        "pairs": shown.tolist(),
        "measured_pairs": len(chosen),
        "models": [
            {
                "latent_dim": job.latent_dim,
                "seed": job.seed,
                "evenness": float(value.evenness.mean()),
                "midpoint_sharpness": _ratio(value.midpoint_sharpness, real),
            }
            for job, value in values.items()
        ],
        "cross_fade": {"evenness": 1.0, "midpoint_sharpness": _ratio(fade, real)},
    }


def against_pca(values: Mapping[Job, PerImage], yard: Yardsticks) -> list[dict[str, Any]]:
    """Each network against PCA with as many components, in pairs over the same test images (`a` is PCA).

    The p-values are Holm's over the networks.
    """
    rows: list[dict[str, Any]] = []
    for job, value in values.items():
        k = min(job.latent_dim, yard.pca.test_images.shape[1] - 1)
        test = paired(yard.pca.test_images[:, k].astype(np.float64), value.test_mse)
        rows.append(job._asdict() | {"components": k, "test_mse": test})
    for entry, p in zip(rows, holm([entry["test_mse"]["p"] for entry in rows]), strict=True):
        entry["test_mse"] |= {"p": p, "family": len(rows)}
    return rows


def comparisons(values: Mapping[Job, PerImage]) -> list[dict[str, Any]]:
    """Each network of the first seed against the next larger one, and the smallest against the largest.

    Every quantity is tested in pairs over the same images (or walks), and its p-values are Holm's over all
    the comparisons of that quantity.
    """
    first = min((job.seed for job in values), default=0)
    jobs = sorted(job for job in values if job.seed == first)
    couples = list(pairwise(jobs))
    if len(jobs) > 2:
        couples.append((jobs[0], jobs[-1]))
    rows: list[dict[str, Any]] = [{"seed": first, "latent_dims": [job.latent_dim for job in c]} for c in couples]
    for name in ("test_mse", "sharpness", "evenness", "midpoint_sharpness"):
        tests = [paired(getattr(values[a], name), getattr(values[b], name)) for a, b in couples]
        for entry, test, p in zip(rows, tests, holm([test["p"] for test in tests]), strict=True):
            entry[name] = test | {"p": p, "family": len(couples)}
    return rows


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
    half = float(t.ppf(0.975, n - 1)) * error
    p = 2 * float(t.sf(abs(mean) / error, n - 1)) if error > 0 else float(mean == 0)
    return result | {"interval": [mean - half, mean + half], "p": p}


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p-values (1979) of a family of tests; a test without one keeps None."""
    adjusted: list[float | None] = [None] * len(p)
    known = sorted((value, i) for i, value in enumerate(p) if value is not None)
    highest = 0.0
    for rank, (value, i) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - rank)))
        adjusted[i] = highest
    return adjusted


def _explained(mse: float, variance: float) -> float | None:
    return 1 - mse / variance if variance > 0 else None


def _ratio(a: Array, b: Array) -> float | None:
    """Ratio of two means of images' values; None where the second is 0 or there is none."""
    above, below = float(a.mean()), float(b.mean())
    return above / below if below > 0 and math.isfinite(above) else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
