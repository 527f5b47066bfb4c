"""What a code space is like: the codes, the walks between them, how many of its directions are used.

N images, P pairs, S steps, K latent dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .errors import InputError
from .model import BATCH, Network, batches

Array = NDArray[Any]


@torch.no_grad()
def encode(network: Network, x: Array) -> Array:
    """Codes of images (N, H, W[, 3]): (N, K) float32."""
    z = np.empty((len(x), network.latent_dim), np.float32)
    for i, batch in enumerate(batches(x)):
        z[i * BATCH : i * BATCH + len(batch)] = network.encode(batch).numpy()
    return z


@torch.no_grad()
def decode(network: Network, z: Array, image_shape: tuple[int, ...]) -> Array:
    """Images of codes: (N, K) to (N, *image_shape), float32."""
    z = np.array(z, dtype=np.float32)
    parts = range(0, max(1, len(z)), BATCH)
    x_hat = torch.cat([network.decode(torch.from_numpy(z[i : i + BATCH])) for i in parts])  # (N, D)
    return x_hat.numpy().reshape(len(z), *image_shape)


def interpolate(z_a: Array, z_b: Array, steps: int = 5) -> Array:
    """Evenly spaced vectors on the straight line between codes, both ends included.

    Args:
        z_a: Codes to start from, (P, K).
        z_b: Codes to end at, (P, K).
        steps: Vectors a pair, 2 or more.

    Returns:
        (P, S, K) float32; the first vector of each pair is `z_a`, the last is `z_b`, bit for bit.

    Raises:
        InputError: Fewer than 2 steps.
    """
    if steps < 2:
        raise InputError(f"steps {steps}; expected 2 or more, since both ends are included")
    a, b = (np.asarray(z, dtype=np.float32) for z in (z_a, z_b))
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]  # (S, 1)
    z = (1 - t) * a[:, None] + t * b[:, None]  # (P, S, K)
    z[:, 0], z[:, -1] = a, b
    return z


def walk(network: Network, x_a: Array, x_b: Array, steps: int = 5) -> Array:
    """Decoded walks between pairs of images: (P, H, W[, 3]) twice to (P, S, H, W[, 3]) float32."""
    z = interpolate(encode(network, x_a), encode(network, x_b), steps)  # (P, S, K)
    pictures = decode(network, z.reshape(-1, z.shape[-1]), x_a.shape[1:])
    return pictures.reshape(*z.shape[:2], *x_a.shape[1:])


def evenness(pictures: Array) -> Array:
    """How evenly a walk's pictures change: mean step over largest step, (P,) in [1/(S-1), 1].

    A step is the Euclidean distance in pixels between neighbours of a walk (P, S, H, W[, 3]). 1 means that
    every step changes the picture equally, as fading one picture into the other does; 1/(S-1) means that
    all change comes in one step. A walk that never changes counts as even.
    """
    flat = pictures.reshape(*pictures.shape[:2], -1).astype(np.float64)  # (P, S, D)
    steps = np.linalg.norm(np.diff(flat, axis=1), axis=-1)  # (P, S - 1)
    longest = steps.max(axis=1)
    return np.where(longest > 0, steps.mean(axis=1) / np.where(longest > 0, longest, 1), 1.0)


def effective_dim(z: Array) -> float:
    """Participation ratio of the covariance of codes (N, K): (Σλ)² / Σλ², from 1 to K; 0 if all are equal.

    λ are the covariance's eigenvalues: K equal ones give K, a single one gives 1 (Gao et al., 2017,
    "A theory of multineuronal dimensionality, dynamics and measurement").
    """
    centred = z.astype(np.float64) - z.mean(axis=0, dtype=np.float64)
    covariance = centred.T @ centred  # (K, K); the scale cancels
    squares = np.square(covariance).sum()
    return float(np.trace(covariance) ** 2 / squares) if squares > 0 else 0.0
