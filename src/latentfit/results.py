"""What a study found, as frozen dataclasses: the one definition of `results.json`.

Field names are the keys of the file, in its order; `sweep/files.py` converts both ways. Fields with a default are not
in older files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from .data.images import Dataset
from .data.quality import Quality
from .hardware import Environment
from .parts import OPTIONAL, Interpolation, OfNetwork, OfSize, TradeOffs
from .recipe import Job, Recipe, first_seeds
from .stats import Interval, Mean, PairedTest, WelchTest

SCHEMA = 1
Keep = float | Literal["knee"]  # what a study is asked: a share of the variance, or the size where a rise stops


@dataclass(frozen=True)
class Gate:
    """A training check that failed, see `measure.gates`."""

    name: str
    value: int | float
    limit: int | float


@dataclass(frozen=True)
class Codes:
    """Standard deviation and range of each dimension of the training codes."""

    std: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class ModelResult(OfNetwork):
    """What was measured of a trained network; None where undefined for these images.

    Of rows of numbers the errors here, and those of PCA in `pca`, are in the data's own units; everything else, like
    explained variance, is of the columns that vary, each in deviations.
    """

    status: Literal["ok"]
    reason: None
    gates: tuple[Gate, ...]
    train_mse: float  # of the images trained on
    test_mse: float
    test_psnr: float | None
    test_ssim: float | None
    test_mse_by_class: tuple[float | None, ...] | None
    effective_dim: float
    train_explained_variance: float | None
    test_explained_variance: float | None
    test_sharpness: float | None
    pca_components_for_test_mse: int | None
    last_tenth_fall: float | None
    dims_in_use: int
    codes: Codes
    val_mse: float | None = None  # of the held-out images, where they end a training
    steps: int | None = None  # likewise: of the training
    explained_variance_error: float | None = None  # standard error of that of the test images, over other images
    test_mse_by_column: tuple[float, ...] | None = field(default=None, metadata=OPTIONAL)  # of rows of numbers


@dataclass(frozen=True)
class FailedModel(OfNetwork):
    """A network whose training failed; the other keys of a `ModelResult` are null."""

    KEYS_OF: ClassVar = ModelResult
    status: Literal["failed"]
    reason: str
    gates: tuple[Gate, ...]


Model = ModelResult | FailedModel


@dataclass(frozen=True)
class PCAResult(OfSize):
    """Reconstruction error of PCA with `latent_dim` components."""

    train_mse: float
    test_mse: float


@dataclass(frozen=True)
class Knee(OfSize):
    """A size up to which explained variance rises and then stops, see `measure.knee`.

    The gains from the size before to it and from it to the next; the first is at least so many times the second, with
    95 % confidence.
    """

    gain_before: float
    gain_after: float
    at_least: float


@dataclass(frozen=True)
class NotAsked:
    """The verdict of a study without a share of the variance to keep."""

    status: Literal["not_asked"]
    keep: None
    latent_dim: None
    not_enough: None
    explained_variance: None
    interval: None
    next: tuple[int, ...]
    sentence: str
    knee: Knee | None = None


@dataclass(frozen=True)
class Verdict:
    """Which size is enough to keep a share of the variance, see `measure.verdict`."""

    status: Literal["found", "undecided", "not_reached"]
    keep: Keep
    latent_dim: int | None
    not_enough: int | None
    explained_variance: float | None
    interval: Interval | None
    best: int | None
    open: tuple[int, ...]
    more_seeds: int | None
    next: tuple[int, ...]
    stuck: bool
    gates: tuple[str, ...]
    sentence: str
    pca_components: int | None = None  # that keep as much
    knee: Knee | None = None  # whatever the share


@dataclass(frozen=True)
class Variance:
    """Mean squared distance of each split from the mean training image."""

    train: float
    test: float


@dataclass(frozen=True)
class Comparison:
    """Paired tests of the networks of two sizes; `seed` is None if they differ."""

    seed: int | None
    latent_dims: tuple[int, int]
    test_mse: PairedTest
    sharpness: PairedTest
    evenness: PairedTest
    midpoint_sharpness: PairedTest
    detour: PairedTest
    midpoint_distance: PairedTest
    drift: PairedTest


@dataclass(frozen=True)
class PCAComparison(OfNetwork):
    """Paired test of a network (b) against PCA with as many components (a)."""

    components: int
    test_mse: PairedTest


@dataclass(frozen=True)
class SizeResult(OfSize):
    """Means over the seeds of a size; None where every training failed.

    Intervals of the test error, the explained variance and the difference from PCA are for other seeds and other test
    images together, the others for other seeds.
    """

    seeds: int
    failed: int
    train_mse: Mean | None
    test_mse: Mean | None
    test_psnr: Mean | None
    test_ssim: Mean | None
    test_explained_variance: Mean | None
    effective_dim: Mean | None
    gates: tuple[str, ...]
    pca_components: int | None = None  # that reach the mean test error
    above_pca: Mean | None = None  # mean test error less that of as many components


@dataclass(frozen=True)
class SizeComparison:
    """Test of two sizes for other seeds and other test images together."""

    latent_dims: tuple[int, int]
    test_mse: WelchTest


@dataclass(frozen=True)
class Sampling(OfSize):
    """95 % intervals over other test images (paired bootstrap)."""

    test_mse: Interval
    test_explained_variance: Interval


@dataclass(frozen=True)
class Apart(OfSize):
    """Error of the nested network above the mean of the networks trained for a size, as a share of that mean."""

    above: float


@dataclass(frozen=True)
class NestedCurve(OfNetwork):
    """Test error of the nested network at each size (`sweep.nested`); None where its training failed."""

    status: Literal["ok", "failed"]
    reason: str | None
    sizes: tuple[int, ...]
    test_mse: tuple[float | None, ...]
    apart: tuple[Apart, ...] | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class Estimate:
    """Intrinsic dimension of the images by one estimator; `reason` if there is none."""

    name: str
    value: float | None
    reason: str | None


@dataclass(frozen=True)
class Intrinsic:
    """Estimates from a sample of the training images."""

    images: int
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True)
class Results:
    """Everything in `results.json`."""

    schema: int
    dataset: Dataset
    recipe: Recipe
    environment: Environment
    models: tuple[Model, ...]
    pca: tuple[PCAResult, ...]
    interpolation: Interpolation
    verdict: Verdict | NotAsked
    variance: Variance
    pca_curve: tuple[PCAResult, ...]
    comparisons: tuple[Comparison, ...]
    against_pca: tuple[PCAComparison, ...]
    shown: dict[str, tuple[int, ...]]  # indices of the images in the pictures
    sizes: tuple[SizeResult, ...]
    size_comparisons: tuple[SizeComparison, ...]
    sampling: tuple[Sampling, ...]
    answers: tuple[Verdict, ...]  # to each share of a table, and to the one that was asked for
    lost: TradeOffs | None
    curve: NestedCurve | None
    intrinsic: Intrinsic | None
    quality: Quality | None = None
    column_deviations: tuple[float, ...] | None = field(default=None, metadata=OPTIONAL)  # of rows, in their own units

    @property
    def trained(self) -> dict[Job, ModelResult]:
        """The networks whose training did not fail."""
        return {model.job: model for model in self.models if isinstance(model, ModelResult)}

    @property
    def first(self) -> list[ModelResult]:
        """Of each size the trained network with the smallest seed, smallest size first."""
        trained = self.trained
        return [trained[job] for job in first_seeds(trained)]

    def mean(self, latent_dim: int, of: Callable[[ModelResult], float | None]) -> float | None:
        """Mean over the trained networks of a size; None where one has no such number, or there are none."""
        values = [of(model) for job, model in self.trained.items() if job.latent_dim == latent_dim]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known and len(known) == len(values) else None

    @property
    def pca_errors(self) -> dict[int, float]:
        """Test error of PCA at each size of the study, and of others, on the scale on which sizes are compared."""
        rows = self.pca_curve if self.dataset.is_rows else (*self.pca_curve, *self.pca)
        return {row.latent_dim: row.test_mse for row in sorted(rows, key=lambda row: row.latent_dim)}

    @property
    def components(self) -> dict[int, int | None]:
        """Of each size how many PCA components have the same test error; None where none do."""
        first = {model.latent_dim: model.pca_components_for_test_mse for model in self.first}
        is_older = {size.latent_dim: size.above_pca is None for size in self.sizes}  # the file knows no mean over seeds
        return {
            size.latent_dim: first.get(size.latent_dim) if is_older[size.latent_dim] else size.pca_components
            for size in self.sizes
        }

    @property
    def seeds(self) -> list[int]:
        """All seeds, in order."""
        return sorted({model.seed for model in self.models})
