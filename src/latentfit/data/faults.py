"""What an `ImageSet` refuses: images, rows and labels that cannot be trained on, each with what was expected."""

from __future__ import annotations

import numpy as np

from .reading import Array, count_pixels, limits, remedy, shape_text

LARGEST = 1e15  # of rows: squares of larger ones are no longer exact enough in float64, or infinite in float32


def pixel_fault(x: Array) -> str | None:
    """What is wrong with images or rows; None if nothing is."""
    if x.ndim not in (2, 3, 4) or (x.ndim == 4 and x.shape[3] != 3):
        return (
            f"shape {shape_text(x.shape)}; expected (N, H, W) for grey, (N, H, W, 3) for colour, or (N, D) for rows of "
            "numbers"
        )
    if 0 in x.shape:
        return f"shape {shape_text(x.shape)} holds no pixel; at least one image is needed"
    if x.ndim == 2:
        return _row_fault(x)
    if x.dtype == np.uint8:
        return None
    if x.dtype != np.float32:
        return f"type {x.dtype}; expected uint8 (0 to 255) or float32 (0 to 1)"
    count, first = count_pixels(x, lambda part: ~np.isfinite(part))
    if count:
        place = f"{count} pixels are NaN or infinite, the first in image {first}"
        return f"{place}; expected numbers from 0 to 1; remove or repair these images"
    low, high = limits(x)
    if low < 0 or high > 1:
        return f"pixels run from {low:g} to {high:g}; expected floats from 0 to 1; {remedy(low, high)}"
    return None


def _row_fault(x: Array) -> str | None:
    if x.dtype != np.float32:
        return f"type {x.dtype}; expected float32 for rows of numbers"
    if x.shape[1] < 2:
        return "has one column; expected two or more, as one number is not made smaller by a code"
    count, first = count_pixels(x, lambda part: ~np.isfinite(part))
    if count:
        place = f"{count} numbers are NaN or infinite, the first in row {first}"
        return f"{place}; expected finite numbers; fill or remove these rows"
    largest = max(map(abs, limits(x)))
    return (
        f"numbers go to {largest:.3g}; expected at most {LARGEST:g}; give them another unit"
        if largest > LARGEST
        else None
    )


def label_fault(y: Array, n: int, classes: tuple[str, ...] | None) -> str | None:
    """What is wrong with the labels of n images; None if nothing is."""
    if y.shape != (n,):
        return f"shape {shape_text(y.shape)} for {n} images; expected one label an image"
    if y.dtype.kind not in "iu":
        return f"type {y.dtype}; expected integers"
    if classes is not None and (y.min() < 0 or y.max() >= len(classes)):
        return f"run from {y.min()} to {y.max()}; expected 0 to {len(classes) - 1}"
    return None
