"""Measurements of one network and of one size.

N images, K latent dimensions, D numbers an image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import evaluate, latent, pca
from ..data.images import ImageSet
from ..data.quality import no_variance
from ..model import Codec
from ..pca import PCA
from ..recipe import Epoch, Job, Recipe
from ..results import Codes, FailedModel, Model, ModelResult, NestedCurve, PCAResult, SizeResult, Variance
from ..stats import NORMAL, Mean, mean_error, mean_interval, mean_over_both, ratio_error
from . import gates
from .interpolation import Ground
from .rows import InUnits, Units

Array = NDArray[Any]

CURVE_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # of PCA's and the nested curve
LARGER = "is larger than that of any picture with pixels in [0, 1]"


@dataclass(frozen=True)
class Baselines:
    """What is measured of the images alone, and every network of a study is compared with."""

    images: int  # training images
    pca: PCA
    trained_pca: PCA  # of the images trained on: the same where none are held out
    variance: Variance
    test_sharpness: Array  # (N,), of the original test images
    ground: Ground
    unlike: float | None  # see `gates.unlike_training`
    units: Units | None = None  # of rows of numbers

    @classmethod
    def of(
        cls, images: ImageSet, seed: int, trained_on: ImageSet, trained_pca: PCA, units: Units | None = None
    ) -> Baselines:
        """Measure a set of images for a study.

        Args:
            images: The whole set, as networks see it.
            seed: The smallest of its networks.
            trained_on: The images that they are trained on, with `images` itself where none are held out.
            trained_pca: PCA of these.
            units: Of rows of numbers: the set in the data's units.
        """
        fitted = trained_pca
        if trained_on is not images:
            fitted = pca.fit(images.x_train, images.x_test)
        means = evaluate.mean_image(images.x_test).numpy(), fitted.mean
        distances = fitted.of_test_images(0)
        return cls(
            images=len(images.x_train),
            pca=fitted,
            trained_pca=trained_pca,
            unlike=gates.unlike_training(*means, distances, fitted.at("train", 0), len(images.x_train)),
            variance=Variance(fitted.at("train", 0), fitted.at("test", 0)),  # the error without any component
            test_sharpness=evaluate.sharpness(images.x_test),
            ground=Ground.of(images, seed),
            units=units,
        )

    @property
    def pixels(self) -> int:
        """Numbers an image."""
        return len(self.pca.mean)

    @property
    def varies(self) -> bool:
        """Whether the images have enough variance to speak of shares of it."""
        return no_variance({"train": self.variance.train, "test": self.variance.test}) is None

    def explained(self, mse: float, variance: float) -> float | None:
        """Explained variance for an error; None where there is next to no variance."""
        return 1 - mse / variance if self.varies else None

    def explained_error(self, errors: Array) -> float | None:
        """Standard error of the explained variance over other test images, for the error of each of these, (N,)."""
        return ratio_error(errors, self.pca.of_test_images(0)) if self.varies else None

    def components_for(self, keep: float) -> int | None:
        """The fewest PCA components that keep this share of the variance of the test images; None where none do."""
        return self.pca.components_for((1 - keep) * self.variance.test) if self.varies else None

    def components_surely(self, keep: float) -> int | None:
        """The same, but that the lower end of the 95 % interval for other test images is as high."""
        k = self.components_for(keep)
        while k is not None and k < len(self.pca.test):
            errors = self.pca.of_test_images(k)
            half = NORMAL * (self.explained_error(errors) or 0.0)
            if 1 - float(errors.mean()) / self.variance.test - half >= keep:
                return k
            k += 1
        return None

    def pca_in_units(self, sizes: Iterable[int]) -> tuple[PCAResult, ...]:
        """Error of PCA with each of these numbers of components, in the data's own units."""
        if self.units is None:
            return self.pca_results(sizes)
        return tuple(self.units.of_pca(self.pca, k) for k in sizes)

    def pca_results(self, sizes: Iterable[int]) -> tuple[PCAResult, ...]:
        """The same on the scale on which sizes are compared."""
        return tuple(PCAResult(k, self.pca.at("train", k), self.pca.at("test", k)) for k in sizes)


@dataclass(frozen=True)
class ImageValues:
    """A network's values for each test image, which comparisons are paired over."""

    test_mse: NDArray[np.float64]  # (N,)
    sharpness: NDArray[np.float64]  # (N,), of the reconstructions

    @classmethod
    def of(cls, network: Codec, x_test: Array) -> ImageValues:
        """Measure a loaded network; the values are those from where it was trained, bit for bit."""
        errors, sharp = np.empty(len(x_test)), np.empty(len(x_test))
        for part, x, _, x_hat in evaluate.reconstruct_batches(network, x_test):
            errors[part] = evaluate.batch_errors(x, x_hat)
            sharp[part] = evaluate.sharpness(x_hat.numpy().reshape(-1, *x_test.shape[1:]))
        return cls(errors, sharp)


@dataclass(frozen=True)
class Measurement:
    """Everything that a worker measures of one network."""

    train_mse: float  # of the images trained on
    val_mse: float | None  # of those held out
    test_ssim: float | None
    effective_dim: float  # of the codes of the test images
    codes: Codes  # of the images trained on
    per_image: ImageValues
    in_units: InUnits | None = None

    @classmethod
    def of(cls, network: Codec, images: ImageSet) -> Measurement:
        """Measure a network that is on the CPU; `images` are those that it was trained on, with those held out."""
        x_test, k = images.x_test, network.latent_dim
        errors, sharp, similar = (np.empty(len(x_test)) for _ in range(3))
        codes = np.empty((len(x_test), k), np.float32)
        for part, x, z, x_hat in evaluate.reconstruct_batches(network, x_test):
            pictures = x_hat.numpy().reshape(-1, *images.image_shape)
            errors[part], codes[part] = evaluate.batch_errors(x, x_hat), z.numpy()
            sharp[part] = evaluate.sharpness(pictures)
            ssim = evaluate.image_ssim(x_test[part], pictures)
            similar[part] = math.nan if ssim is None else ssim
        train_errors = np.empty(len(images.x_train))
        low, high = np.full(k, np.inf, np.float32), np.full(k, -np.inf, np.float32)
        sums, squares = np.zeros(k), np.zeros(k)
        for part, x, z, x_hat in evaluate.reconstruct_batches(network, images.x_train):
            train_errors[part] = evaluate.batch_errors(x, x_hat)
            centred = z.double().numpy() - codes[0]  # shifted by one code: squares far from 0 lose digits
            sums, squares = sums + centred.sum(axis=0), squares + np.square(centred).sum(axis=0)
            np.minimum(low, z.numpy().min(axis=0), out=low)
            np.maximum(high, z.numpy().max(axis=0), out=high)
        std = np.sqrt((squares / len(images.x_train) - np.square(sums / len(images.x_train))).clip(0))
        return cls(
            train_mse=float(train_errors.mean()),
            val_mse=None if images.x_val is None else evaluate.mse(network, images.x_val),
            test_ssim=_finite(float(similar.mean())),
            effective_dim=latent.effective_dim(codes),
            codes=Codes(*(tuple(values.tolist()) for values in (std, low, high))),
            per_image=ImageValues(errors, sharp),
            in_units=InUnits.of(network, images),
        )


def model_result(
    job: Job, found: Measurement, history: Sequence[Epoch], images: ImageSet, recipe: Recipe, baselines: Baselines
) -> Model:
    """The numbers of one network; failed if an error is above 1 or NaN."""
    test_mse = float(found.per_image.test_mse.mean())
    worst = float(np.max([found.train_mse, test_mse]))  # NaN if either is
    if not worst <= (math.inf if images.is_rows else 1):
        return failed(job, f"its error of {worst:.3g} {LARGER}")
    plateau = recipe.holds_out
    fired = gates.fired(
        train_mse=found.train_mse,
        test_errors=found.per_image.test_mse,
        pca_errors=baselines.trained_pca.of_test_images(job.latent_dim),
        test_variance=baselines.variance.test if baselines.varies else 0.0,
        history=history,
        recipe=recipe,
        code_std=found.codes.std,
        unlike=baselines.unlike if baselines.varies else None,
    )
    sharp, original = float(found.per_image.sharpness.mean()), float(baselines.test_sharpness.mean())
    result = ModelResult(
        *job,
        status="ok",
        reason=None,
        gates=fired,
        train_mse=found.train_mse,
        val_mse=found.val_mse if plateau else None,
        steps=(history[-1].steps if history else 0) if plateau else None,
        test_mse=test_mse,
        test_psnr=None if images.is_rows else _finite(evaluate.psnr(test_mse)),
        test_ssim=found.test_ssim,
        test_mse_by_class=class_means(found.per_image.test_mse, images),
        effective_dim=found.effective_dim,
        train_explained_variance=baselines.explained(found.train_mse, baselines.trained_pca.at("train", 0)),
        test_explained_variance=baselines.explained(test_mse, baselines.variance.test),
        test_sharpness=sharp / original if original > 0 and math.isfinite(sharp) else None,
        pca_components_for_test_mse=baselines.pca.components_for(test_mse),
        last_tenth_fall=None if plateau else gates.last_tenth_fall(history),
        dims_in_use=gates.in_use(found.codes.std),
        codes=found.codes,
        explained_variance_error=baselines.explained_error(found.per_image.test_mse),
    )
    return (
        result
        if baselines.units is None or found.in_units is None
        else baselines.units.in_units(result, found.in_units)
    )


def failed(job: Job, reason: str) -> FailedModel:
    """A network that could not be trained."""
    return FailedModel(*job, status="failed", reason=reason, gates=gates.FAILED)


def nested_curve(
    job: Job, errors: Mapping[int, float] | None, reason: str | None, sizes: Sequence[int], is_rows: bool = False
) -> NestedCurve:
    """The errors of a nested network at each size; failed if one is NaN or, of images, above 1."""
    found = errors or {}
    if not all(error <= (math.inf if is_rows else 1) for error in found.values()):
        found, reason = {}, f"its error {LARGER}"
    return NestedCurve(*job, "failed" if reason else "ok", reason, tuple(sizes), tuple(found.get(k) for k in sizes))


def class_means(errors: Array, images: ImageSet) -> tuple[float | None, ...] | None:
    """Mean error of each class of the test images in class order; None without labels."""
    if images.y_test is None or images.classes is None:
        return None
    return tuple(evaluate.by_class(errors, images.y_test, len(images.classes)))


def size_results(
    models: Sequence[Model], values: Mapping[Job, ImageValues], baselines: Baselines
) -> tuple[SizeResult, ...]:
    """Means over the seeds of each size, with 95 % intervals."""
    return tuple(
        _size_result(k, [model for model in models if model.latent_dim == k], values, baselines)
        for k in sorted({model.latent_dim for model in models})
    )


def _size_result(
    k: int, models: Sequence[Model], values: Mapping[Job, ImageValues], baselines: Baselines
) -> SizeResult:
    trained = [model for model in models if isinstance(model, ModelResult)]
    errors = [values[model.job].test_mse for model in trained]
    test_mse, linear = _over_both(errors), baselines.pca.of_test_images(k)
    return SizeResult(
        latent_dim=k,
        seeds=len(trained),
        failed=len(models) - len(trained),
        train_mse=_mean([_train_error(model, baselines) for model in trained]),
        test_mse=test_mse,
        test_psnr=_mean([model.test_psnr for model in trained]),
        test_ssim=_mean([model.test_ssim for model in trained]),
        test_explained_variance=_explained(trained),
        effective_dim=_mean([model.effective_dim for model in trained]),
        gates=gates.names(models),
        pca_components=baselines.pca.components_for(test_mse.mean) if test_mse else None,
        above_pca=_over_both([of_images - linear for of_images in errors]),
    )


def _train_error(model: ModelResult, baselines: Baselines) -> float | None:
    """Error on the images trained on, on the scale on which sizes are compared."""
    if baselines.units is None or model.train_explained_variance is None:
        return model.train_mse if baselines.units is None else None
    return (1 - model.train_explained_variance) * baselines.trained_pca.at("train", 0)


def _over_both(values: Sequence[Array]) -> Mean | None:
    """Mean over networks and images of a value of each image, (N,) a network, for other seeds and other images."""
    if not values:
        return None
    return mean_over_both([float(each.mean()) for each in values], [mean_error(each) for each in values])


def _explained(trained: Sequence[ModelResult]) -> Mean | None:
    """Mean explained variance of the test images, with its interval for other seeds and other images."""
    known = [(m.test_explained_variance, m.explained_variance_error or 0.0) for m in trained]
    pairs = [(explained, error) for explained, error in known if explained is not None]
    return mean_over_both(*zip(*pairs, strict=True)) if pairs else None


def _mean(values: Iterable[float | None]) -> Mean | None:
    known = [value for value in values if value is not None]
    return mean_interval(known) if known else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
