"""PCA, the linear baseline at every size.

N images, B images a batch, D numbers an image, K components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from .evaluate import mean_image
from .model import batches, to_tensor

Array = NDArray[Any]


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

    def reconstruct(self, x: Array, components: int) -> Array:
        """Reconstructions of images (N, H, W[, 3]), floats in [0, 1], from their first scores, float64."""
        axes = self.axes[:, :components]
        made: Array = (x.reshape(len(x), -1) - self.mean) @ axes @ axes.T + self.mean  # (N, D)
        return made.reshape(x.shape)

    def components_for(self, test_mse: float) -> int | None:
        """The fewest components whose test error is at most this; None where none is."""
        enough = np.flatnonzero(self.test <= test_mse)
        return int(enough[0]) if len(enough) else None


def fit(x_train: Array, x_test: Array) -> PCA:
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
        test = np.concatenate([_errors(x.double() - mean, axes) for x in batches(x_test)])  # (N, K + 1)
    left = np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])  # (K + 1,)
    return PCA(left, test.mean(axis=0), test.astype(np.float32), mean.numpy(), axes.numpy())


def _errors(centred: Tensor, axes: Tensor) -> Array:
    """Error of each image (B, D) with the first 0 to K of the axes (D, K), (B, K + 1) float64."""
    distance = centred.square().sum(dim=1, keepdim=True)  # (B, 1)
    explained = (centred @ axes).square().cumsum(dim=1)  # (B, K)
    left = torch.cat([distance, distance - explained], dim=1).clamp(min=0) / centred.shape[1]
    return left.numpy()
