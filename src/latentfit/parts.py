"""Parts of `results.json` as frozen dataclasses: interpolations, and what a size loses and saves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .recipe import Job
from .stats import Mean, PairedTest

OPTIONAL = {"optional": True}  # metadata of a field without a key in JSON if it is None


@dataclass(frozen=True)
class OfSize:
    """Base class: a result for one latent size."""

    latent_dim: int


@dataclass(frozen=True)
class OfNetwork(OfSize):
    """Base class: a result for one network."""

    seed: int

    @property
    def job(self) -> Job:
        """(latent_dim, seed)."""
        return Job(self.latent_dim, self.seed)


@dataclass(frozen=True)
class InterpolationMeans:
    """Means over the measured pairs, see `measure.interpolation`."""

    evenness: float
    detour: float
    midpoint_distance: float
    drift: float | None
    midpoint_sharpness: float | None


@dataclass(frozen=True)
class PCAInterpolation(InterpolationMeans, OfSize):
    """Interpolation between PCA scores."""


@dataclass(frozen=True)
class NetworkInterpolation(InterpolationMeans, OfNetwork):
    """Interpolation between the codes of a network."""


@dataclass(frozen=True)
class ReferenceTests:
    """A network's interpolations (b) against a reference (a), paired over the same pairs of images."""

    evenness: PairedTest
    detour: PairedTest
    midpoint_distance: PairedTest
    midpoint_sharpness: PairedTest


@dataclass(frozen=True)
class References:
    """Tests against the references that need no network."""

    cross_fade: ReferenceTests
    pca: ReferenceTests


@dataclass(frozen=True)
class TestedInterpolation(NetworkInterpolation):
    """Linear interpolation of a network, with its tests."""

    against: References


@dataclass(frozen=True)
class Interpolation:
    """Interpolations: the pairs in the pictures (indices of training images), and means over the measured pairs."""

    pairs: tuple[tuple[int, int], ...]
    measured_pairs: int
    models: tuple[TestedInterpolation, ...]
    spherical: tuple[NetworkInterpolation, ...]
    cross_fade: InterpolationMeans
    pca: tuple[PCAInterpolation, ...]


@dataclass(frozen=True)
class ClassErrors(OfSize):
    """Test error of each class; its interval is for other seeds and images, or over the images of one network."""

    over: Literal["seeds", "images", "both"]
    classes: tuple[Mean | None, ...]


@dataclass(frozen=True)
class ShownErrors(OfNetwork):
    """Test error of each of the shown images."""

    test_mse: tuple[float, ...]


@dataclass(frozen=True)
class Accuracy(OfNetwork):
    """k-nearest-neighbour accuracy on the codes of a network."""

    accuracy: float


@dataclass(frozen=True)
class Neighbours:
    """k-nearest-neighbour accuracy on the pixels and on codes."""

    neighbours: int
    train_images: int
    test_images: int
    pixels: float
    models: tuple[Accuracy, ...]


@dataclass(frozen=True)
class Quantised:
    """Codes of `bits` bits per dimension (32 is a float): bytes per code, test error, error added, PCA's error."""

    bits: int
    bytes: float
    test_mse: float
    added_mse: float
    pca_test_mse: float | None = None


@dataclass(frozen=True)
class CodeBytes(OfNetwork):
    """Bytes of a network's decoder, of its codes, and of an image as JPEG with no more error than 8 bits a number."""

    decoder_bytes: int
    bits: tuple[Quantised, ...]
    jpeg_bytes: float | None = None

    @property
    def fine(self) -> Quantised:
        """Codes of 8 bits a dimension, the finest that are rounded."""
        return self.bits[1]


@dataclass(frozen=True)
class Compression:
    """Bytes of an image (mean over `packed_images`) and of its codes; None for floats that no bytes hold."""

    raw_bytes: int
    png_bytes: float | None
    zlib_bytes: float | None
    packed_images: int
    models: tuple[CodeBytes, ...]


@dataclass(frozen=True, kw_only=True)
class TradeOffs:
    """What a size loses, and what it saves."""

    by_class: tuple[ClassErrors, ...] | None
    worst_errors: tuple[ShownErrors, ...] | None = field(default=None, metadata=OPTIONAL)
    gained_errors: tuple[ShownErrors, ...] | None = field(default=None, metadata=OPTIONAL)
    neighbours: Neighbours | None
    compression: Compression
