"""What a study measures: one row a network, one a size, comparisons of both, and the walks between images.

Everything here is a number about trained networks; what the numbers mean is said in `verdict.py`.

N images, P pairs, K latent dimensions, H × W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import evaluate, latent
from ..data.images import ImageSet
from ..data.quality import no_variance
from ..evaluate import PCAErrors
from ..model import Network
from ..recipe import Job, Recipe, first_seeds
from ..stats import family, mean_interval, middle, paired, resampled, welch
from ..train import Trained
from . import gates
from .interpolation import Ground, Walked

Array = NDArray[Any]

SHOWN = 8  # reconstructions of each split in the pictures
AVERAGED = ("train_mse", "test_mse", "test_psnr", "test_ssim", "test_explained_variance", "effective_dim")
WALKED = ("evenness", "midpoint_sharpness", "detour", "midpoint_distance", "drift")
CURVE = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True)
class Yardsticks:
    """What the images alone say, and every network of a study is held against."""

    pca: PCAErrors
    variance: dict[str, float]
    test_sharpness: Array  # (N,), of the original test images
    ground: Ground

    @classmethod
    def of(cls, images: ImageSet, jobs: Iterable[Job]) -> Yardsticks:
        """Measure a set of images for a study of these networks."""
        pca = evaluate.pca(images.x_train, images.x_test)
        return cls(
            pca=pca,
            variance={split: pca.at(split, 0) for split in ("train", "test")},  # what is left without any component
            test_sharpness=evaluate.sharpness(images.x_test),
            ground=Ground.of(images, min(job.seed for job in jobs)),
        )

    def walk(self, sizes: Iterable[int]) -> None:
        """Make the walks without a network that those of these sizes are held against."""
        _ = self.ground.faded
        for k in sizes:
            self.ground.along_pca(self.pca, k)

    @property
    def varies(self) -> bool:
        """Whether the images hold enough variance to speak of shares of it."""
        return no_variance(self.variance) is None

    def explained(self, mse: float, split: str) -> float | None:
        """Share of a split's variance that an error leaves; None where there is next to none."""
        return 1 - mse / self.variance[split] if self.varies else None


@dataclass(frozen=True)
class PerImage:
    """What comparisons need of a network: its values for the same test images and the same pairs."""

    test_mse: Array  # (N,)
    sharpness: Array  # (N,)
    walked: Walked | None = None  # of each size's first seed that trained

    def of(self, name: str) -> Array:
        """The values of that name."""
        values: Array = getattr(self if hasattr(self, name) else self.walked, name)
        return values


def row(trained: Trained, images: ImageSet, recipe: Recipe, yard: Yardsticks) -> dict[str, Any]:
    """The numbers of one network, as a study's `models` lists them; failed where they are not finite."""
    job, found = trained.job, trained.measured
    if found is None:
        return failed_row(job, trained.reason)
    test_mse = float(found.test_errors.mean())
    if not max(found.train_mse, test_mse) <= 1:  # NaN included
        worst = f"{max(found.train_mse, test_mse):.3g}"
        return failed_row(job, f"its error of {worst} is larger than that of any picture with pixels in [0, 1]")
    std = found.code_std.tolist()
    numbers = {
        "train_mse": found.train_mse,
        "test_mse": test_mse,
        "test_psnr": _finite(evaluate.psnr(test_mse)),
        "test_ssim": _finite(found.test_ssim),
        "test_mse_by_class": by_class(found.test_errors, images),
        "effective_dim": latent.effective_dim(found.test_codes),
        "train_explained_variance": yard.explained(found.train_mse, "train"),
        "test_explained_variance": yard.explained(test_mse, "test"),
        "test_sharpness": _ratio(found.test_sharpness, yard.test_sharpness),
        "pca_components_for_test_mse": yard.pca.components_for(test_mse),
        "last_tenth_fall": gates.last_tenth_fall(trained.history),
        "dims_in_use": gates.in_use(std),
        "codes": {"std": std, "low": found.code_range[0].tolist(), "high": found.code_range[1].tolist()},
    }
    pca_mse = yard.pca.at("test", job.latent_dim)
    fired = gates.fired(
        job._asdict() | numbers, pca_mse, yard.variance["test"] if yard.varies else 0.0, recipe.hidden, std
    )
    return _identity(job, "ok", None, fired) | numbers


def failed_row(job: Job, reason: str | None) -> dict[str, Any]:
    """The row of a network that could not be trained: the same keys, every number null."""
    return _identity(job, "failed", reason, gates.failed()) | dict.fromkeys(NUMBERS)


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
    "dims_in_use",
    "codes",
)


def curve_row(trained: Trained, sizes: Sequence[int]) -> dict[str, Any]:
    """What a screening found: its error on the test images with codes cut to each size, null where it failed."""
    curve, reason = trained.curve or {}, trained.reason
    if not all(error <= 1 for error in curve.values()):  # NaN included
        curve, reason = {}, "its error is larger than that of any picture with pixels in [0, 1]"
    status = {"status": "failed" if reason else "ok", "reason": reason}
    return {**trained.job._asdict(), **status, "sizes": [*sizes], "test_mse": [curve.get(k) for k in sizes]}


def curve_apart(curve: Mapping[str, Any], told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How far a screening's error is above the mean of the networks trained for a size, as a share of that mean."""
    errors = dict(zip(curve["sizes"], curve["test_mse"], strict=True))
    means = {size["latent_dim"]: size["test_mse"]["mean"] for size in told if size["test_mse"]}
    return [{"latent_dim": k, "above": errors[k] / mean - 1} for k, mean in means.items() if errors[k] and mean > 0]


def _identity(job: Job, status: str, reason: str | None, fired: list[dict[str, Any]]) -> dict[str, Any]:
    return {"latent_dim": job.latent_dim, "seed": job.seed, "status": status, "reason": reason, "gates": fired}


def by_class(errors: Array, images: ImageSet) -> list[float | None] | None:
    """Mean error of each class of the test images in class order; None without labels."""
    if images.y_test is None or images.classes is None:
        return None
    return evaluate.by_class(errors, images.y_test, len(images.classes))


def pca_rows(yard: Yardsticks, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Error of PCA with each of these numbers of components."""
    splits = ("train", "test")
    return [{"latent_dim": k} | {f"{s}_mse": yard.pca.at(s, k) for s in splits} for k in sizes]


def per_image(network: Network, images: ImageSet) -> PerImage:
    """A network's values for each test image: the same bits as where it was trained."""
    return PerImage(
        evaluate.image_errors(network, images.x_test),
        evaluate.sharpness(evaluate.reconstruct(network, images.x_test)),
    )


def against_pca(values: Mapping[Job, PerImage], yard: Yardsticks) -> list[dict[str, Any]]:
    """Each network against PCA with as many components, in pairs over the same test images (`a` is PCA).

    The p-values are Holm's over the networks.
    """
    rows: list[dict[str, Any]] = []
    for job, value in values.items():
        k = min(job.latent_dim, yard.pca.test_images.shape[1] - 1)
        test = paired(yard.pca.test_images[:, k].astype(np.float64), value.test_mse)
        rows.append(job._asdict() | {"components": k, "test_mse": test})
    tests = family([entry["test_mse"] for entry in rows])
    return [entry | {"test_mse": test} for entry, test in zip(rows, tests, strict=True)]


def comparisons(values: Mapping[Job, PerImage]) -> list[dict[str, Any]]:
    """Each size's first network against that of the next larger size, and the smallest against the largest.

    Every quantity is tested in pairs over the same images (or walks), and its p-values are Holm's over all
    the comparisons of that quantity. `seed` is None where the two have different ones.
    """
    couples = _couples(first_seeds(values))
    rows: list[dict[str, Any]] = [
        {"seed": a.seed if a.seed == b.seed else None, "latent_dims": [a.latent_dim, b.latent_dim]} for a, b in couples
    ]
    for name in ("test_mse", "sharpness", *WALKED):
        tests = family([paired(values[a].of(name), values[b].of(name)) for a, b in couples])
        for entry, test in zip(rows, tests, strict=True):
            entry[name] = test
    return rows


def _couples(items: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Each with the next, and the first with the last."""
    couples = list(pairwise(items))
    return [*couples, (items[0], items[-1])] if len(items) > 2 else couples


def sizes(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the trainings of each size say together: means over seeds with 95 % intervals.

    The intervals are None where a size was trained once, the means where no training came to its end.
    """
    told: list[dict[str, Any]] = []
    for k in sorted({row["latent_dim"] for row in rows}):
        of_size = [row for row in rows if row["latent_dim"] == k]
        ok = [row for row in of_size if row["status"] == "ok"]
        told.append(
            {
                "latent_dim": k,
                "seeds": len(ok),
                "failed": len(of_size) - len(ok),
                **{name: _over([row[name] for row in ok]) for name in AVERAGED},
                "gates": gates.names(of_size),
            }
        )
    return told


def _over(values: Sequence[float | None]) -> dict[str, Any] | None:
    known = [value for value in values if value is not None]
    return mean_interval(known) if known else None


def size_comparisons(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each size against the next larger one, and the smallest against the largest: Welch over seeds, Holm over all."""
    errors = {
        k: [row["test_mse"] for row in rows if row["latent_dim"] == k and row["status"] == "ok"]
        for k in sorted({row["latent_dim"] for row in rows})
    }
    couples = _couples([k for k, values in errors.items() if values])
    tests = family([welch(errors[a], errors[b]) for a, b in couples])
    return [{"latent_dims": [*couple], "test_mse": test} for couple, test in zip(couples, tests, strict=True)]


def sampling(values: Mapping[Job, PerImage], yard: Yardsticks) -> list[dict[str, Any]]:
    """What other test images could have said of the same networks: 95 % intervals of a paired bootstrap over images.

    For each size, over its networks' mean error of each image; the same images are drawn for all sizes. None where
    there is a single test image, or they do not vary.
    """
    known = sorted({job.latent_dim for job in values})
    if not known or len(yard.pca.test_images) < 2 or not yard.varies:
        return []
    errors = np.stack(
        [np.mean([v.test_mse for job, v in values.items() if job.latent_dim == k], axis=0) for k in known], axis=1
    )  # (N, sizes)
    distance = yard.pca.test_images[:, 0].astype(np.float64)  # (N,), from the mean training image
    mse, lost = resampled(errors), resampled(errors, distance)
    return [
        {"latent_dim": k, "test_mse": middle(mse[:, i]), "test_explained_variance": middle(1 - lost[:, i])}
        for i, k in enumerate(known)
    ]


def _ratio(a: Array, b: Array) -> float | None:
    """Ratio of two means of images' values; None where the second is 0 or there is none."""
    above, below = float(a.mean()), float(b.mean())
    return above / below if below > 0 and math.isfinite(above) else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
