"""How a file is read: what its numbers mean as pixels, and which of its images are test images.

The one idea: the scale of the pixels is never guessed. Bytes from 0 to 255, floats from 0 to 1, and what holds only
0 and 1 have one meaning; everything else is refused with the range that it probably has, which the user confirms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[Any]

CHUNK = 4096  # images looked at together: memory stays small when the set is memory-mapped
DARK = 64  # bytes whose largest is below this are hardly photographs, and probably have another range
# Where pixel values commonly end: bits from 2 to 16, and the 16 of scikit-learn's digits.
ENDS = (3, 7, 15, 16, 31, 63, 255, 1023, 4095, 16383, 65535)
ROUNDED = 1.01  # floats up to here were to end at 1


@dataclass(frozen=True)
class Reading:
    """How the images were read from their file, where that has to be known to read them so again.

    Attributes:
        value_range: Pixel values in the file run from 0 to this; None for bytes from 0 to 255 and floats from 0 to 1.
        split: `given`: the set has test images of its own; `tenth`: every tenth image is one; `drawn`: a share of
            the images, drawn at random.
        test_share: The share that was drawn.
        labels_left_out: How many different labels there were where they are too many to be classes; otherwise 0.
    """

    value_range: float | None = None
    split: str = "given"
    test_share: float | None = None
    labels_left_out: int = 0

    @classmethod
    def asked(cls, value_range: float | None = None, test_share: float | None = None) -> Reading:
        """A reading as a user asks for it.

        Raises:
            InputError: The range is no finite number above 0, or the share does not lie between 0 and 1.
        """
        if value_range is not None and not (_is_number(value_range) and 0 < value_range < math.inf):
            raise InputError(f"range {value_range!r}; expected the largest pixel value, a finite number above 0")
        if test_share is not None and not (_is_number(test_share) and 0 < test_share < 1):
            raise InputError(f"share of test images {test_share!r}; expected a number between 0 and 1, for example 0.1")
        return cls(
            value_range=None if value_range is None else float(value_range),
            test_share=None if test_share is None else float(test_share),
        )

    @property
    def flags(self) -> str:
        """The flags that read the file so again."""
        top = "" if self.value_range is None else f" --range {number(self.value_range)}"
        return top + ("" if self.test_share is None else f" --test {self.test_share!r}")


AS_IT_IS = Reading()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def number(value: float) -> str:
    """A number with the digits it has: `16`, `0.5`."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def probable_end(high: float) -> str:
    """Where pixel values of this maximum probably end."""
    return number(next((end for end in ENDS if high <= end), high))


def mend(low: float, high: float) -> str:
    """What to do with pixel values that run so far."""
    if low < 0:
        rescale = "(x + 1) / 2" if low >= -1 and high <= 1 else "(x - x.min()) / (x.max() - x.min())"
        return f"undo the standardisation, or rescale with {rescale}"
    if 1 < high <= ROUNDED:
        return "if that is rounding, save x.clip(0, 1)"
    end = probable_end(high)
    return f"if they run from 0 to {end}, read them with --range {end} (in Python value_range={end}) or save x / {end}"


def settle(arrays: Mapping[str, Array], asked: float | None) -> tuple[float, float | None]:
    """Where the pixel values of one set's arrays end.

    Args:
        arrays: Images, each by the name that an error gives it.
        asked: Pixel values run from 0 to this; None for bytes, floats in [0, 1], and what holds only 0 and 1.

    Returns:
        The end, and the same as it is to be recorded: None where the files would be read so without being asked.

    Raises:
        InputError: The values are no pixels, lie outside the range, or have a range that has to be confirmed.
    """
    for what, x in arrays.items():
        _check_kind(what, x)
    ends = {what: extent(x) for what, x in arrays.items()}
    top = _told_by(arrays, ends) if asked is None else asked
    if asked is not None:
        for what, x in arrays.items():
            _check_within(what, x, ends[what], asked)
    dark = any(x.dtype == np.uint8 and 0 < ends[what][1] < DARK for what, x in arrays.items())
    plain = all(_is_plain(x, top) for x in arrays.values()) and not (dark and asked)
    return top, None if plain else top


def _check_kind(what: str, x: Array) -> None:
    if x.ndim == 2:
        raise InputError(
            f"{what}: shape {x.shape} is one flat row an image; expected (N, H, W); save x.reshape(-1, height, width)"
        )
    if x.ndim not in (3, 4):
        raise InputError(f"{what}: shape {x.shape}; expected (N, H, W) for grey or (N, H, W, 3) for colour")
    if x.dtype.kind not in "buif":
        raise InputError(
            f"{what}: type {x.dtype}; expected uint8 (0 to 255) or floats (0 to 1); save it as one of these"
        )


def extent(x: Array) -> tuple[float, float]:
    """Smallest and largest value that is a number; (0, 0) where there is none."""
    low, high = math.inf, -math.inf
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK]
        if part.size and not (x.dtype.kind == "f" and np.isnan(part).all()):
            low, high = min(low, float(np.nanmin(part))), max(high, float(np.nanmax(part)))
    return (low, high) if low <= high else (0.0, 0.0)


def _told_by(arrays: Mapping[str, Array], ends: Mapping[str, tuple[float, float]]) -> float:
    """The range of arrays that tell it by themselves: 255, or 1."""
    low, high = min(low for low, _ in ends.values()), max(high for _, high in ends.values())
    if any(x.dtype.kind == "f" for x in arrays.values()):
        for what, x in arrays.items():
            if x.dtype.kind != "f":
                raise InputError(f"{what}: type {x.dtype} beside floats; expected one type for both; save them alike")
            if 1 < ends[what][1] <= np.finfo(np.float32).max and low >= 0:
                raise InputError(
                    f"{what}: pixels run from {ends[what][0]:g} to {ends[what][1]:.8g}; expected floats from 0 to 1; "
                    f"{mend(low, high)}"
                )
        return 1.0
    if low >= 0 and high <= 1 and (high == 1 or all(x.dtype != np.uint8 for x in arrays.values())):
        return 1.0
    for what, x in arrays.items():
        if x.dtype != np.uint8:
            raise InputError(
                f"{what}: type {x.dtype} from {number(low)} to {number(high)}; expected uint8 (0 to 255) or floats "
                f"(0 to 1); {_integers(low, high)}"
            )
        if 0 < ends[what][1] < min(DARK, high):
            other = next(name for name, (_, end) in ends.items() if end == high)
            raise InputError(
                f"{what}: bytes from 0 to {number(ends[what][1])}, and {other} goes to {number(high)}; expected one "
                "range for both; scale them alike, or take both as they are, 0 to 255, with --range 255"
            )
    if 0 < high < DARK:
        raise InputError(
            f"{' and '.join(arrays)}: bytes from {number(low)} to {number(high)}; expected 0 to 255; "
            f"{mend(low, high)}; if the images are that dark, --range 255"
        )
    return 255.0


def _integers(low: float, high: float) -> str:
    bytes_enough = low >= 0 and DARK <= high <= 255
    return mend(low, high) + (", or x.astype(np.uint8)" if bytes_enough else "")


def _check_within(what: str, x: Array, ends: tuple[float, float], top: float) -> None:
    if ends[0] >= 0 and ends[1] <= top:
        return  # what is no number is told by the ImageSet
    odd, first = 0, -1
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK].reshape(len(x[start : start + CHUNK]), -1)  # (C, D)
        outside = (part < 0) | (part > top)
        first = start + int(outside.any(axis=1).argmax()) if first < 0 and outside.any() else first
        odd += int(outside.sum())
    raise InputError(
        f"{what}: pixels run from {ends[0]:.8g} to {ends[1]:.8g}, and {odd} lie outside 0 to {number(top)}, the first "
        f"in image {first}; expected none with --range {number(top)}; give the range that they have, or mend them"
    )


def _is_plain(x: Array, top: float) -> bool:
    """Whether the values are of this range by their type."""
    return top == (255 if x.dtype == np.uint8 else 1 if x.dtype.kind == "f" else None)


def scaled(x: Array, top: float) -> Array:
    """Images (N, H, W), (N, H, W, 1) or (N, H, W, 3) with values from 0 to `top`, as an `ImageSet` takes them.

    Bytes where these hold the values exactly, otherwise float32 in [0, 1]; the same array where it is so already.
    """
    x = x[..., 0] if x.ndim == 4 and x.shape[3] == 1 else x  # (N, H, W)
    if _is_plain(x, top):
        with np.errstate(over="ignore"):  # becomes infinite, and is refused as that
            return x if x.dtype == np.uint8 else x.astype(np.float32, copy=False)
    exact = x.dtype.kind != "f" and top >= 1 and 255 % top == 0
    made = np.empty(x.shape, np.uint8 if exact else np.float32)
    for start in range(0, len(x), CHUNK):
        part = slice(start, start + CHUNK)
        made[part] = x[part].astype(np.uint8) * np.uint8(255 // top) if exact else x[part].astype(np.float64) / top
    return made


def chosen_for_test(n: int, reading: Reading) -> NDArray[np.bool_]:
    """Which of n images in one array are test images, (n,): every tenth, or a share that is drawn.

    Of fewer than ten every tenth is the last. What is drawn depends on n and the share alone.
    """
    test = np.zeros(n, bool)
    if reading.test_share is None:
        test[9::10] = True
        test[-1] |= n < 10
        return test
    count = min(max(1, round(reading.test_share * n)), n - 1)
    test[np.random.default_rng([n, 10]).permutation(n)[:count]] = True
    return test
