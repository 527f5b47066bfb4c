"""Codes: encoding, decoding, interpolation, quantisation, and the number of directions that they use.

N images, P pairs, S steps, K latent dimensions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .data.reading import shape_text
from .errors import InputError
from .model import BATCH, Codec, batches

Array = NDArray[Any]


@torch.no_grad()
def encode(network: Codec, x: Array) -> Array:
    """Codes of images (N, H, W[, 3]), or of rows (N, D): (N, K) float32.

    Raises:
        InputError: They have another number of pixels than the network takes, or are not finite.
    """
    _check_width("images", x, network.pixels)
    z = np.empty((len(x), network.latent_dim), np.float32)
    for i, batch in enumerate(batches(x)):
        if x.dtype != np.uint8:
            _check_finite("image", batch.numpy(), i * BATCH)
        z[i * BATCH : i * BATCH + len(batch)] = network.encode(batch).numpy()
    return z


@torch.no_grad()
def decode(network: Codec, z: Array, image_shape: tuple[int, ...]) -> Array:
    """Images of codes: (N, K) to `(N, *image_shape)`, float32.

    Raises:
        InputError: The codes have another number of dimensions than the network's, or are not finite; or the shape is
            not that of its images.
    """
    z = np.array(z, dtype=np.float32)
    _check_width("codes", z, network.latent_dim)
    _check_finite("code", z)
    if math.prod(image_shape) != network.pixels:
        raise InputError(f"image_shape {image_shape}; expected one of the network's {network.pixels} numbers an image")
    x_hat = np.empty((len(z), network.pixels), np.float32)  # (N, D)
    for i in range(0, len(z), BATCH):
        x_hat[i : i + BATCH] = network.decode(torch.from_numpy(z[i : i + BATCH])).numpy()
    return x_hat.reshape(len(z), *image_shape)


def interpolate(z_a: Array, z_b: Array, steps: int = 5, spherical: bool = False) -> Array:
    """Evenly spaced vectors on the straight line between codes, both ends included.

    Args:
        z_a: Codes to start from, (P, K).
        z_b: Codes to end at, (P, K).
        steps: Vectors a pair, 2 or more.
        spherical: Take the great circle around the origin instead (Shoemake, 1985; White, 2016), while the length
            goes evenly from one to the other's. It is made for codes with a Gaussian prior, whose lengths hardly
            differ; the codes of a plain autoencoder have no such origin, so it is the wrong choice for them.

    Returns:
        (P, S, K) float32; the first vector of each pair is `z_a`, the last is `z_b`, bit for bit.

    Raises:
        InputError: Fewer than 2 steps, codes of different shapes, or codes that are not finite.
    """
    if steps < 2:
        raise InputError(f"steps {steps}; expected 2 or more, since both ends are included")
    a, b = (np.asarray(z, dtype=np.float32) for z in (z_a, z_b))
    if a.shape != b.shape or a.ndim != 2:
        raise InputError(f"codes of {shape_text(a.shape)} and {shape_text(b.shape)}; expected one shape, (pairs, K)")
    for z in (a, b):
        _check_finite("code", z)
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]  # (S, 1)
    z = _on_circles(a, b, t) if spherical else (1 - t) * a[:, None] + t * b[:, None]  # (P, S, K)
    z[:, 0], z[:, -1] = a, b
    return z


def _check_width(what: str, values: Array, numbers: int) -> None:
    if values.ndim < 2 or math.prod(values.shape[1:]) != numbers:
        raise InputError(f"{what} of {shape_text(values.shape)}; expected any number of {what} of {numbers} numbers")


def _check_finite(what: str, values: Array, first: int = 0) -> None:
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        at = first + int(finite.argmin())
        raise InputError(f"{what} {at} has numbers that are NaN or infinite; expected finite ones; leave it out")


def _on_circles(a: Array, b: Array, t: Array) -> Array:
    """Points on great circles, (P, S, K); on the straight line where two codes and 0 lie on one and give no circle."""
    a, b = (z[:, None].astype(np.float64) for z in (a, b))  # (P, 1, K)
    lengths = [np.linalg.norm(z, axis=-1, keepdims=True) for z in (a, b)]  # (P, 1, 1)
    u, v = (z / np.where(length > 0, length, 1) for z, length in zip((a, b), lengths, strict=True))
    angle = np.arccos(np.clip((u * v).sum(axis=-1, keepdims=True), -1, 1))  # (P, 1, 1)
    defined = (np.sin(angle) > 1e-6) & (lengths[0] > 0) & (lengths[1] > 0)
    directions = (np.sin((1 - t) * angle) * u + np.sin(t * angle) * v) / np.where(defined, np.sin(angle), 1)
    circles = directions * ((1 - t) * lengths[0] + t * lengths[1])  # (P, S, K)
    return np.where(defined, circles, (1 - t) * a + t * b).astype(np.float32)


def interpolate_images(network: Codec, x_a: Array, x_b: Array, steps: int = 5) -> Array:
    """Decoded interpolations between pairs of images: (P, H, W[, 3]) twice to (P, S, H, W[, 3]) float32."""
    return decode_steps(network, interpolate(encode(network, x_a), encode(network, x_b), steps), x_a.shape[1:])


def decode_steps(network: Codec, z: Array, image_shape: tuple[int, ...]) -> Array:
    """Images of interpolated codes: (P, S, K) to `(P, S, *image_shape)`, float32."""
    return decode(network, z.reshape(-1, z.shape[-1]), image_shape).reshape(*z.shape[:2], *image_shape)


def evenness(pictures: Array) -> Array:
    """Mean step over largest step of interpolations (P, S, H, W[, 3]), (P,) in [1/(S-1), 1].

    A step is the Euclidean distance in pixels between neighbours. 1: all steps change the picture equally, as in a
    cross-fade; 1/(S-1): all change is in one step. An interpolation without change has 1.
    """
    steps = np.stack([_steps(each) for each in pictures])  # (P, S - 1)
    longest = steps.max(axis=1)
    return np.where(longest > 0, steps.mean(axis=1) / np.where(longest > 0, longest, 1), 1.0)


def detour(pictures: Array) -> Array:
    """Sum of the steps of interpolations (P, S, H, W[, 3]) over the distance of their ends, (P,), from 1.

    Distances are Euclidean in pixels. 1: a straight line, as a cross-fade is. Equal ends have 1.
    """
    length = np.stack([_steps(each) for each in pictures]).sum(axis=1)
    straight = np.concatenate([_steps(each[[0, -1]]) for each in pictures])  # (P,)
    return np.where(straight > 0, length / np.where(straight > 0, straight, 1), 1.0)


def _steps(pictures: Array) -> Array:
    """Distances between neighbours of one interpolation (S, H, W[, 3]), (S - 1,)."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float64)  # (S, D)
    steps: Array = np.linalg.norm(np.diff(flat, axis=0), axis=-1)
    return steps


def drift(network: Codec, z: Array, image_shape: tuple[int, ...]) -> Array:
    """‖E(D(z)) - z‖ at the midpoint of interpolated codes (P, S, K), over the distance of their ends, (P,).

    0 where the ends are equal. `image_shape` is (H, W[, 3]).
    """
    middle = z[:, z.shape[1] // 2]  # (P, K)
    again = encode(network, decode(network, middle, image_shape))
    length = np.linalg.norm((z[:, -1] - z[:, 0]).astype(np.float64), axis=1)
    moved = np.linalg.norm((again - middle).astype(np.float64), axis=1)
    return np.where(length > 0, moved / np.where(length > 0, length, 1), 0.0)


def quantize(z: Array, low: Array, high: Array, bits: int) -> Array:
    """Codes rounded to `bits` bits per dimension.

    The range of each dimension, `low` to `high`, is divided into 2^bits - 1 equal steps, and values outside it are
    clipped. A dimension without a range keeps its one value.

    Args:
        z: Codes, (N, K).
        low: Smallest value of each dimension over the training images, (K,).
        high: The largest, (K,).
        bits: 1 or more.

    Returns:
        (N, K) float32.
    """
    levels = 2**bits - 1
    span = np.where(high > low, high - low, 1)
    steps = np.rint(np.clip((z - low) / span, 0, 1) * levels)
    rounded: Array = (low + steps / levels * span * (high > low)).astype(np.float32)
    return rounded


def effective_dim(z: Array) -> float:
    """Participation ratio of the covariance of codes (N, K): (Σλ)² / Σλ², from 1 to K; 0 if all are equal.

    λ are the covariance's eigenvalues: K equal ones give K, a single one gives 1 (Gao et al., 2017,
    "A theory of multineuronal dimensionality, dynamics and measurement").
    """
    centred = z.astype(np.float64) - z.mean(axis=0, dtype=np.float64)
    covariance = centred.T @ centred  # (K, K); the scale cancels
    squares = np.square(covariance).sum()
    return float(np.trace(covariance) ** 2 / squares) if squares > 0 else 0.0
