"""Reconstruction error of a set, a class, an image; PSNR, SSIM and sharpness.

Errors are mean squared errors over all pixels of all images, pixels in [0, 1]: the network runs in fp32, differences
are squared and summed in float64, and no mean of batch means is taken.

N images, B images a batch, D numbers an image, K latent dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .errors import InputError
from .model import BATCH, Codec, batches, to_unit

Array = NDArray[Any]

DOUBLES = 1 << 22  # numbers in float64 at once, where a batch has more
WINDOW = 11  # pixels along a side of SSIM's window


@torch.no_grad()
def reconstruct_batches(network: Codec, x: Array | Tensor) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """Slice of the images, the images (B, D), their codes (B, K) and reconstructions (B, D), a batch at a time.

    Network and images are on the same device. Callers fill arrays that they allocated before: small arrays kept among
    large ones make the heap grow.
    """
    if isinstance(network, Codec) and (numbers := math.prod(x.shape[1:])) != network.pixels:
        raise InputError(f"images of {numbers} numbers; expected {network.pixels}, which the network takes")
    for i, batch in enumerate(batches(x)):
        z = network.encode(batch)
        yield slice(i * BATCH, i * BATCH + len(batch)), batch, z, network.decode(z)


def reconstruct(network: Codec, x: Array) -> Array:
    """Reconstructions of images (N, H, W[, 3]): the same shape, float32.

    Raises:
        InputError: They have another number of pixels than the network takes.
    """
    made = np.empty((len(x), network.pixels), np.float32)  # (N, D)
    for part, _, _, x_hat in reconstruct_batches(network, x):
        made[part] = x_hat.numpy()
    return made.reshape(x.shape)


def image_errors(network: Codec, x: Array | Tensor) -> Array:
    """Mean squared error of each image, (N,) float64; network and images are on the same device."""
    errors = np.empty(len(x))
    for part, batch, _, x_hat in reconstruct_batches(network, x):
        errors[part] = batch_errors(batch, x_hat)
    return errors


def batch_errors(x: Tensor, x_hat: Tensor) -> Array:
    """Mean squared error of each image of a batch (B, D), (B,) float64."""
    return _row_means((x_hat - x).cpu(), Tensor.square_)


def _row_means(rows: Tensor, of: Callable[[Tensor], Tensor] = lambda some: some) -> Array:
    """Mean of a function of each row (B, D), (B,) float64; few rows are in float64 at once."""
    means, step = np.empty(len(rows)), max(1, DOUBLES // rows.shape[1])
    for start in range(0, len(rows), step):
        means[start : start + step] = of(rows[start : start + step].double()).mean(dim=1).numpy()
    return means


def column_errors(network: Codec, x: Array, weights: Array) -> tuple[Array, Array]:
    """Squared errors of rows (N, D) times weights (D,): mean of each column, (D,), and sum of each row, (N,)."""
    columns, rows = np.zeros(x.shape[1]), np.empty(len(x))
    for part, batch, _, x_hat in reconstruct_batches(network, x):
        squares = (x_hat - batch).double().square_().numpy() * weights  # (B, D)
        columns += squares.sum(axis=0)
        rows[part] = squares.sum(axis=1)
    return columns / max(1, len(x)), rows


def mse(network: Codec, x: Array | Tensor) -> float:
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
    channels (Wang, Bovik, Sheikh & Simoncelli, 2004). None where an image is smaller than the window, and for rows of
    numbers, (N, D).
    """
    if x.ndim == 2 or min(x.shape[1:3]) < WINDOW:
        return None
    down, across = (_window(size) for size in x.shape[1:3])
    similar, few = np.empty(len(x)), 100  # images at a time: intermediate values stay in the processor's cache
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
    that have both neighbours. Blur makes it smaller. 0 for pictures one pixel high or wide, and for rows of numbers.

    Args:
        pictures: (N, H, W) or (N, H, W, 3), uint8 or floats in [0, 1].
    """
    if pictures.ndim == 2 or min(pictures.shape[1:3]) < 2:
        return np.zeros(len(pictures))
    lengths = np.empty(len(pictures))
    for i in range(0, len(pictures), BATCH):
        lengths[i : i + BATCH] = _row_means(_gradient(to_unit(pictures[i : i + BATCH])).flatten(1))
    return lengths


def _gradient(x: Tensor) -> Tensor:
    down = x[:, 1:, :-1] - x[:, :-1, :-1]
    right = x[:, :-1, 1:] - x[:, :-1, :-1]
    return torch.hypot(down, right, out=down)  # (N, H - 1, W - 1[, 3])


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
    total = sum(float(batch.double().sub_(mean).square_().sum()) for batch in batches(x))
    return total / x.size
