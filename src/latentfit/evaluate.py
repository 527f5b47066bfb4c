"""Reconstruction error: of a set, a class, an image; and what PCA reaches with the same number of numbers.

The unit is the mean squared error over all pixels of all images, pixels in [0, 1]. The network runs in
fp32, differences are squared and summed in float64: never a mean of batch means.

N images, D numbers an image, K components.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from .model import BATCH, Network, batches, to_tensor, to_unit

Array = NDArray[Any]

WINDOW = 11  # pixels along a side of SSIM's window


@torch.no_grad()
def reconstruct_batches(network: Network, x: Array | Tensor) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """Images (B, D), codes (B, K) and reconstructions (B, D), a batch at a time and with where they belong.

    Network and images may be on any one device. What is made of a batch should be put into an array that is there:
    small arrays kept among large ones make the heap grow.
    """
    for i, batch in enumerate(batches(x)):
        z = network.encode(batch)
        yield slice(i * BATCH, i * BATCH + len(batch)), batch, z, network.decode(z)


def reconstruct(network: Network, x: Array) -> Array:
    """Reconstructions of images (N, H, W[, 3]): the same shape, float32."""
    made = np.empty((len(x), network.pixels), np.float32)  # (N, D)
    for part, _, _, x_hat in reconstruct_batches(network, x):
        made[part] = x_hat.numpy()
    return made.reshape(x.shape)


def image_errors(network: Network, x: Array | Tensor) -> Array:
    """Mean squared error of each image, (N,) float64; network and images may be on any one device."""
    errors = np.empty(len(x))
    for part, batch, _, x_hat in reconstruct_batches(network, x):
        errors[part] = batch_errors(batch, x_hat)
    return errors


def batch_errors(x: Tensor, x_hat: Tensor) -> Array:
    """Mean squared difference of each of some images (B, D) from its reconstruction, (B,) float64."""
    each: Array = (x_hat - x).cpu().double().square_().mean(dim=1).numpy()
    return each


def mse(network: Network, x: Array | Tensor) -> float:
    """Mean squared error over all pixels of all images (N, H, W[, 3])."""
    return float(image_errors(network, x).mean())


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a pooled error, for pixels in [0, 1]: 10 log10(1 / MSE)."""
    return 10 * math.log10(1 / mse) if mse > 0 else math.inf


def ssim(x: Array, x_hat: Array) -> float | None:
    """Mean structural similarity of images and reconstructions, see `image_ssim`; None where that is."""
    each = image_ssim(x, x_hat)
    return None if each is None else float(each.mean())


def image_ssim(x: Array, x_hat: Array) -> Array | None:
    """Structural similarity of images and reconstructions (N, H, W[, 3]) in [0, 1], (N,) float64.

    Gaussian window 11 × 11, sigma 1.5, data range 1, images continued by reflection, mean over all pixels and
    channels (Wang, Bovik, Sheikh & Simoncelli, 2004). None where an image is smaller than the window.
    """
    if min(x.shape[1:3]) < WINDOW:
        return None
    down, across = (_window(size) for size in x.shape[1:3])
    similar, few = np.empty(len(x)), 100  # images at a time: what is made of them stays in the processor's cache
    for start in range(0, len(x), few):
        a, b = (_channels_first(images[start : start + few]).double() for images in (x, x_hat))  # (B, C, H, W)
        mean_a, mean_b, aa, bb, ab = down @ torch.stack([a, b, a * a, b * b, a * b]) @ across.t()
        variances = (aa - mean_a**2).clamp(min=0) + (bb - mean_b**2).clamp(min=0)
        means, covariance = mean_a * mean_b, ab - mean_a * mean_b
        above = (2 * means + 0.01**2) * (2 * covariance + 0.03**2)
        each = above / ((mean_a**2 + mean_b**2 + 0.01**2) * (variances + 0.03**2))
        similar[start : start + few] = each.flatten(1).mean(dim=1).numpy()
    return similar


def _window(size: int) -> Tensor:
    """The Gaussian window along one side of an image, (size, size): row i weighs the pixels around pixel i."""
    reach = WINDOW // 2
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * 1.5**2))
    rows = np.pad(np.eye(size), ((reach, reach), (0, 0)), mode="reflect")  # (size + 2 reach, size)
    blurred = sum(w * rows[i : i + size] for i, w in enumerate(weights / weights.sum()))
    return torch.from_numpy(blurred)


def _channels_first(x: Array) -> Tensor:
    return to_unit(x if x.ndim == 4 else x[..., None]).permute(0, 3, 1, 2)  # (N, C, H, W)


def by_class(errors: Array, labels: Array, classes: int) -> list[float | None]:
    """Mean error of each class in class order; None for a class without an image.

    Args:
        errors: Error of each image, (N,).
        labels: Class of each image, (N,) integers from 0.
        classes: How many classes there are.
    """
    return [float(errors[labels == c].mean()) if (labels == c).any() else None for c in range(classes)]


def sharpness(pictures: Array) -> Array:
    """Mean gradient magnitude of each picture, (N,) float64, in brightness a pixel.

    The gradient is the pair of forward differences along H and W; its length is averaged over all pixels
    that have both neighbours. Blur makes it smaller. 0 for pictures one pixel high or wide.

    Args:
        pictures: (N, H, W) or (N, H, W, 3), uint8 or floats in [0, 1].
    """
    if min(pictures.shape[1:3]) < 2:
        return np.zeros(len(pictures))
    lengths = np.empty(len(pictures))
    for i in range(0, len(pictures), BATCH):
        lengths[i : i + BATCH] = _gradient(to_unit(pictures[i : i + BATCH])).double().flatten(1).mean(dim=1).numpy()
    return lengths


def _gradient(x: Tensor) -> Tensor:
    down = x[:, 1:, :-1] - x[:, :-1, :-1]
    right = x[:, :-1, 1:] - x[:, :-1, :-1]
    return torch.hypot(down, right)  # (N, H - 1, W - 1[, 3])


def mean_image(x: Array) -> Tensor:
    """Mean of images (N, H, W[, 3]), (D,) float64 in [0, 1]."""
    total = sum(batch.double().sum(dim=0) for batch in batches(x))
    assert isinstance(total, Tensor)
    return total / len(x)


def variance(x: Array, mean: Tensor) -> float:
    """Mean squared distance of images (N, H, W[, 3]) from an image (D,), a pixel.

    Against the mean training image this is the error that keeping nothing would make. Explained variance
    of a split is 1 - MSE / this.
    """
    total = sum(float((batch.double() - mean).square().sum()) for batch in batches(x))
    return total / x.size


@dataclass(frozen=True)
class PCAErrors:
    """Error of PCA with 0, 1, ..., K components: arrays of K + 1 numbers, `train[k]` with k components.

    `test_images` holds the same for each test image: (N, K + 1) float32. `mean` (D,) and `axes` (D, K) are the
    projection itself.
    """

    train: Array
    test: Array
    test_images: Array
    mean: Array
    axes: Array

    def at(self, split: str, components: int) -> float:
        """Error with this many components, or with all there are where there are fewer."""
        curve: Array = getattr(self, split)
        return float(curve[min(components, len(curve) - 1)])

    def reconstruct(self, x: Array, components: int) -> Array:
        """Images (N, H, W[, 3]), floats in [0, 1], as this many components give them back, float64."""
        axes = self.axes[:, :components]
        made: Array = (x.reshape(len(x), -1) - self.mean) @ axes @ axes.T + self.mean  # (N, D)
        return made.reshape(x.shape)

    def components_for(self, test_mse: float) -> int | None:
        """The fewest components whose test error is at most this; None where none is."""
        enough = np.flatnonzero(self.test <= test_mse)
        return int(enough[0]) if len(enough) else None


def pca(x_train: Array, x_test: Array) -> PCAErrors:
    """Reconstruction errors of PCA at every number of components, fitted on the training pixels.

    Exact, in float64; reconstructions are not clipped. The error with k components is what the eigenvalues of
    the covariance after the first k hold of the training images, and for a test image its distance from the
    mean less its first k scores. N images have at most N - 1 components.
    """
    from scipy.linalg import eigh, svd
    from scipy.linalg.blas import dsyrk

    mean = mean_image(x_train)  # (D,)
    components = min(len(mean), len(x_train) - 1)  # K
    with threadpool_limits(1):  # here, after the import: it limits the libraries that are loaded by now
        if len(x_train) <= len(mean):  # a covariance would be the larger matrix
            centred = (to_tensor(x_train).double() - mean).numpy()  # (N, D)
            _, spread, axes = svd(centred, full_matrices=False)  # (N,) and (N, D), largest first
            values, axes = np.square(spread), axes.T
        else:
            scatter = np.zeros((len(mean), len(mean)), order="F")  # (D, D), its upper triangle
            for x in batches(x_train):
                rows = (x.double() - mean).numpy()  # (B, D)
                scatter = dsyrk(1.0, rows.T, 1.0, scatter, overwrite_c=True)
            values, axes = (array[..., ::-1] for array in eigh(scatter, lower=False))  # (D,) and (D, D)
        values, axes = values[:components].clip(0) / x_train.size, torch.from_numpy(axes[:, :components].copy())
        test = np.concatenate([_left_over(x.double() - mean, axes) for x in batches(x_test)])  # (N, K + 1)
    left = np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])  # (K + 1,)
    return PCAErrors(left, test.mean(axis=0), test.astype(np.float32), mean.numpy(), axes.numpy())


def _left_over(centred: Tensor, axes: Tensor) -> Array:
    """Error of each image (B, D) with the first 0 to K of the axes (D, K), (B, K + 1) float64."""
    distance = centred.square().sum(dim=1, keepdim=True)  # (B, 1)
    kept = (centred @ axes).square().cumsum(dim=1)  # (B, K)
    left = torch.cat([distance, distance - kept], dim=1).clamp(min=0) / centred.shape[1]
    return left.numpy()
