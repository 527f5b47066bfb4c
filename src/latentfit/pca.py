"""PCA, the linear baseline at every size.

N images, B images a batch, D numbers an image, K components.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from .data.large import empty
from .evaluate import mean_image, variance
from .model import BATCH, Start, batches, to_tensor

Array = NDArray[Any]

EXACT = 4096  # images or numbers an image, whichever are fewer, up to which PCA is exact: 7 s for 3,072 (docs/log.md)
ROOM = 2**26  # numbers of fewer images than numbers up to which it is exact, and of the sample of a randomized one
AXES = 512  # of a randomized PCA
SPARE = 10  # directions that it finds beside them, so that the last axes are good too
PASSES = 2  # over all images, after the sample


@dataclass(frozen=True)
class PCA:
    """PCA of the training images, and its error with 0, 1, ..., K components.

    Attributes:
        train: Error on the training images with each number of components, (K + 1,).
        test: The same on the test images.
        test_images: The same for each test image, (N, K + 1) float32.
        mean: Mean training image, (D,).
        axes: Principal axes, (D, K), the one with the largest variance first.
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

    def of_test_images(self, components: int) -> Array:
        """Error of each test image, (N,) float64, likewise."""
        return self.test_images[:, min(components, self.test_images.shape[1] - 1)].astype(np.float64)

    def start(self, components: int) -> Start:
        """The start of networks with at most this many latent dimensions."""
        scale = math.sqrt(self.train[0]) or 1.0  # images that are all alike have no deviation
        return Start(self.mean.astype(np.float32), scale, self.axes[:, :components].astype(np.float32))

    def reconstruct(self, x: Array, components: int) -> Array:
        """Reconstructions of images (N, H, W[, 3]), floats in [0, 1], from their first scores, float64."""
        axes = self.axes[:, :components]
        made: Array = (x.reshape(len(x), -1) - self.mean) @ axes @ axes.T + self.mean  # (N, D)
        return made.reshape(x.shape)

    def components_for(self, test_mse: float) -> int | None:
        """The fewest components whose test error is at most this; None where none is."""
        enough = np.flatnonzero(self.test <= test_mse)
        return int(enough[0]) if len(enough) else None


def is_exact(images: int, pixels: int) -> bool:
    """Whether PCA of so many training images of so many numbers is exact; if not, it is randomized."""
    return min(images, pixels) <= EXACT and (images > pixels or images * pixels <= ROOM)


def most_components(images: int, pixels: int) -> int:
    """The largest latent size that PCA can be compared with: the number of pixels, or AXES if PCA is randomized."""
    return pixels if is_exact(images, pixels) else AXES


def fit(x_train: Array, x_test: Array) -> PCA:
    """Reconstruction errors of PCA at every number of components, fitted on the training pixels.

    In float64, and reconstructions are not clipped. The error with k components is what the eigenvalues of
    the covariance after the first k hold of the training images, and for a test image its distance from the
    mean less its first k scores. N images have at most N - 1 components.

    Where `is_exact` says no, it has only the first AXES components, by a randomized solver with a fixed seed (Halko,
    Martinsson & Tropp, 2011), in float32: on a sample of the images, then by passes over all of them, so that memory
    does not grow with their number.
    """
    mean = mean_image(x_train)  # (D,)
    most = min(len(mean), len(x_train) - 1)
    exact = is_exact(len(x_train), len(mean))
    most = most if exact else min(most, AXES)
    values, axes = _exact(x_train, mean) if exact else _randomized(x_train, mean, most)
    with threadpool_limits(1):
        values = values[:most].clip(0) / x_train.size  # K of them
        kept = torch.from_numpy(axes[:, :most].astype(float, order="C"))  # (D, K)
        test, test_images = _test_errors(x_test, mean, kept)
    left = np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])  # (K + 1,)
    if most < min(len(mean), len(x_train) - 1):
        left += max(0.0, variance(x_train, mean) - left[0])
    return PCA(left, test, test_images, mean.numpy(), kept.numpy())


def _exact(x_train: Array, mean: Tensor) -> tuple[Array, Array]:
    """Squared deviations along the principal axes, and the axes (D, ...), the widest first."""
    from scipy.linalg import eigh, svd
    from scipy.linalg.blas import dsyrk

    with threadpool_limits(1):  # here, after the import: it limits the libraries that are loaded by now
        if len(x_train) <= len(mean):  # a covariance would be the larger matrix
            centred = np.empty((len(x_train), len(mean)), order="F")  # (N, D), as LAPACK takes it without a copy
            for i, x in enumerate(batches(x_train)):
                centred[i * BATCH : (i + 1) * BATCH] = x.double().sub_(mean).numpy()
            _, spread, axes = svd(centred, full_matrices=False, overwrite_a=True)  # (N,) and (N, D), largest first
            return np.square(spread), axes.T
        scatter = np.zeros((len(mean), len(mean)), order="F")  # (D, D), its upper triangle
        for x in batches(x_train):
            rows = x.double().sub_(mean).numpy()  # (B, D)
            scatter = dsyrk(1.0, rows.T, 1.0, scatter, overwrite_c=True)
        values, axes = eigh(scatter, lower=False)  # (D,) and (D, D)
        return values[::-1], axes[:, ::-1]


def _randomized(x_train: Array, mean: Tensor, components: int) -> tuple[Array, Array]:
    """The same for the first components: of a sample, turned towards those of all images by PASSES over them."""
    from scipy.linalg import eigh, qr
    from sklearn.utils.extmath import randomized_svd

    n, wide, centre = len(x_train), components + SPARE, mean.float()
    drawn = np.random.default_rng([n, 12]).permutation(n)[: max(2 * wide, ROOM // len(mean))]
    with threadpool_limits(1):
        sample = to_tensor(x_train[np.sort(drawn)]).sub_(centre).numpy()  # (M, D)
        axes = randomized_svd(sample, min(wide, *sample.shape), n_iter=4, random_state=0)[2].T  # (D, L), L of them
        del sample
        for _ in range(PASSES):
            turned = np.zeros(axes.shape, order="F")
            for x in batches(x_train):
                rows = x.sub_(centre).numpy()  # (B, D)
                turned += rows.T @ (rows @ axes)
            axes = qr(turned, overwrite_a=True, mode="economic")[0].astype(np.float32)
        scatter = np.zeros((axes.shape[1], axes.shape[1]))  # (L, L)
        for x in batches(x_train):
            scores = x.sub_(centre).numpy() @ axes  # (B, L)
            scatter += scores.T @ scores
        values, turn = eigh(scatter)  # (L,) and (L, L)
        return values[::-1], axes @ turn[:, ::-1]


def _test_errors(x_test: Array, mean: Tensor, axes: Tensor) -> tuple[Array, Array]:
    """Error with the first 0 to K of the axes (D, K): the mean over the images, (K + 1,), and of each, (N, K + 1)."""
    of_images = empty((axes.shape[1] + 1, len(x_test)), np.float32).T
    total = np.zeros((1, axes.shape[1] + 1))
    for i, x in enumerate(batches(x_test)):
        errors = _errors(x.double().sub_(mean), axes)  # (B, K + 1)
        of_images[i * BATCH : (i + 1) * BATCH] = errors
        total = np.add.reduce(np.concatenate([total, errors]), keepdims=True)  # in the order of a sum over all
    return total[0] / len(x_test), of_images


def _errors(centred: Tensor, axes: Tensor) -> Array:
    """Error of each image (B, D) with the first 0 to K of the axes (D, K), (B, K + 1) float64."""
    distance = centred.square().sum(dim=1, keepdim=True)  # (B, 1)
    explained = (centred @ axes).square().cumsum(dim=1)  # (B, K)
    left = torch.cat([distance, distance - explained], dim=1).clamp(min=0) / centred.shape[1]
    return left.numpy()
