"""Sets whose right answer is known: images that are made from so many numbers, and images without such a number.

Curved sets have n continuous factors, none of them periodic, on grey, all pixels inside (0, 1). Linear sets have a
rank.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentfit.data.images import ImageSet

Array = NDArray[Any]

SIDE = 16
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
TEST = 1000  # images


def spot(down: Array, across: Array, tall: Array, wide: Array) -> Array:
    """A smooth spot an image, (N, 16, 16)."""
    x: Array = np.exp(-((ROWS - down) ** 2) / (2 * tall**2) - (COLUMNS - across) ** 2 / (2 * wide**2))
    return x


def edge(u: Array) -> Array:
    """A soft edge: its slope and where it lies."""
    slope, place = u[0] - 0.5, 5 + 6 * u[1]
    x: Array = 0.2 + 0.6 / (1 + np.exp(-(COLUMNS - place - slope * (ROWS - 7.5)) / 1.5))
    return x


def wave(u: Array) -> Array:
    """A wave: its length, less than half a turn of phase, its height."""
    x: Array = 0.5 + (0.1 + 0.3 * u[2]) * np.sin(2 * np.pi * COLUMNS / (7 + 6 * u[0]) + 2.5 * u[1]) * (0.5 + ROWS / 32)
    return x


def blob(u: Array) -> Array:
    """A spot: place (two), width, brightness."""
    width = 1.5 + 2 * u[2]
    x: Array = 0.2 + (0.2 + 0.5 * u[3]) * spot(4 + 8 * u[0], 4 + 8 * u[1], width, width)
    return x


def ellipse(u: Array) -> Array:
    """A spot: place (two), height, width, brightness."""
    x: Array = 0.2 + (0.2 + 0.5 * u[4]) * spot(5 + 6 * u[0], 5 + 6 * u[1], 1.5 + 2 * u[2], 1.5 + 2 * u[3])
    return x


def two_spots(u: Array) -> Array:
    """Two spots, each in its half: place (two) and brightness of both."""
    left = (0.2 + 0.4 * u[2]) * spot(4 + 8 * u[0], 2.5 + 3 * u[1], np.full(1, 1.8), np.full(1, 1.8))
    right = (0.2 + 0.4 * u[5]) * spot(4 + 8 * u[3], 10.5 + 3 * u[4], np.full(1, 1.8), np.full(1, 1.8))
    x: Array = 0.2 + left + right
    return x


def corners(u: Array) -> Array:
    """Four spots in the corners: width and brightness of each."""
    x = np.full((u.shape[1], SIDE, SIDE), 0.2)
    for i, (down, across) in enumerate(((4, 4), (4, 11), (11, 4), (11, 11))):
        width = 1.0 + 1.2 * u[2 * i]
        x = x + (0.15 + 0.35 * u[2 * i + 1]) * spot(np.full(1, down), np.full(1, across), width, width)
    return x


CURVED: dict[str, tuple[int, Callable[[Array], Array]]] = {  # name: (factors, how images are made of them)
    "edges": (2, edge),
    "waves": (3, wave),
    "blobs": (4, blob),
    "ellipses": (5, ellipse),
    "two spots": (6, two_spots),
    "corners": (8, corners),
}


def curved(name: str, seed: int, train: int = 4000, noise: float = 0.0) -> ImageSet:
    """Images of one of the CURVED kinds, with normal noise of this deviation on the pixels."""
    factors, make = CURVED[name]
    rng = np.random.default_rng([seed, factors, 7])
    x = make(rng.uniform(size=(factors, train + TEST, 1, 1)))
    return _split(name, x + noise * rng.normal(size=x.shape), train)


def linear(rank: int, seed: int, train: int = 4000) -> ImageSet:
    """A Gaussian set of a rank in 10 × 10 pixels: every direction has the same variance."""
    rng = np.random.default_rng([rank, seed])
    axes = np.linalg.qr(np.random.default_rng(rank).normal(size=(100, rank)))[0]  # (D, r), of all sets of this rank
    x = 0.5 + 0.2 * rng.normal(size=(train + TEST, rank)) @ axes.T
    return _split(f"rank {rank}", x.reshape(-1, 10, 10), train)


def spectrum(power: float, seed: int, train: int) -> ImageSet:
    """A Gaussian set of full rank in 10 × 10 pixels, whose i-th direction has a variance of i ** -power."""
    rng = np.random.default_rng([seed, 11])
    axes = np.linalg.qr(rng.normal(size=(100, 100)))[0]
    spread = np.arange(1, 101) ** (-power / 2)
    x = 0.5 + 0.15 * rng.normal(size=(train + TEST, 100)) * spread @ axes.T
    return _split(f"spectrum {power:.1f}", x.reshape(-1, 10, 10), train)


def clouds(power: float, seed: int, train: int) -> ImageSet:
    """Random fields of 16 × 16 pixels whose amplitude falls with frequency, squashed into (0, 1)."""
    rng = np.random.default_rng([seed, 13])
    down, across = np.fft.fftfreq(SIDE)[:, None] * SIDE, np.fft.rfftfreq(SIDE)[None] * SIDE
    amplitude = np.maximum(np.hypot(down, across), 1) ** -power
    waves = rng.normal(size=(train + TEST, *amplitude.shape)) + 1j * rng.normal(size=(train + TEST, *amplitude.shape))
    x = np.fft.irfft2(waves * amplitude, s=(SIDE, SIDE))
    return _split(f"clouds {power:.1f}", 1 / (1 + np.exp(-2 * x / x.std())), train)


def turning(seed: int, train: int) -> ImageSet:
    """A bar that turns all the way round and moves: three factors, of which one is periodic."""
    rng = np.random.default_rng([seed, 17])
    angle, down, across = rng.uniform(size=(3, train + TEST, 1, 1)) * np.array([np.pi, 4, 4])[:, None, None, None]
    y, x = ROWS - 5.5 - down, COLUMNS - 5.5 - across
    along, beside = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return _split("turning bars", 0.2 + 0.6 * np.exp(-(along**2) / 18 - beside**2 / 3), train)


def _split(name: str, x: Array, train: int) -> ImageSet:
    pixels = x.clip(0, 1).astype(np.float32)
    return ImageSet(name, pixels[:train], pixels[train:])
