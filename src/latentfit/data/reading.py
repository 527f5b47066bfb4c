"""How a file is read: what its numbers mean as pixels, and which of its images are test images.

The scale of the pixels is never guessed. Bytes from 0 to 255, floats from 0 to 1, and arrays of only 0 and 1 have one
meaning. Everything else is refused with its probable range, which the user confirms.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import large

Array = NDArray[Any]
Limits = tuple[float, float]  # smallest and largest value

CHUNK = 4096  # images processed together, so that a memory-mapped set needs little memory
DARK = 64  # bytes whose maximum is lower are unlikely to be photographs; they probably have another range
COMMON_MAXIMA = (3, 7, 15, 16, 31, 63, 255, 1023, 4095, 16383, 65535)  # 2 to 16 bits, and 16 of scikit-learn's digits
FEW = 500  # of fewer training images a fifth is held out, not a tenth
FEWEST = 25  # of fewer none is
GROUPS = ("folder", "prefix")
SCALES = ("columns", "none")  # of rows of numbers, see `scaling`
LARGEST_SIDE = 4096  # pixels, of pictures that are resized
ROUNDING_LIMIT = 1.01  # floats up to this were probably meant to end at 1


@dataclass(frozen=True)
class Reading:
    """What has to be known to read the images from their file in the same way again."""

    value_range: float | None = None  # pixel values run from 0 to this; None for bytes to 255 and floats to 1
    split: str = "given"  # or `tenth`: every tenth image is a test image; or `drawn`: a random share; or `by-class`
    test_share: float | None = None  # the share that was drawn; None for the default of `tenth` and `by-class`
    labels_left_out: int = 0  # number of different labels if they are too many to be classes
    resize: tuple[int, int] | None = None  # width and height that pictures are brought to
    skip_bad: bool = False  # pictures that cannot be read are left out
    shape: tuple[int, ...] | None = None  # of an image, where the file has rows of pixels
    group: str | None = None  # what stays on one side of every split: pictures of one `folder`, or with one `prefix`;
    # or rows with one value in this column
    label: str | None = None  # the column of labels of a table
    scale: str | None = None  # of rows of numbers, see `scaling`; None for the default
    prepared: tuple[str, ...] = ()  # what was done to the images, in words
    dropped: tuple[str, ...] = ()  # what of the source is not used, and why, in sentences

    @classmethod
    def requested(
        cls,
        value_range: float | None = None,
        test_share: float | None = None,
        resize: str | Sequence[int] | None = None,
        skip_bad: bool = False,
        shape: Sequence[int] | None = None,
        group: str | None = None,
        label: str | None = None,
        scale: str | None = None,
    ) -> Reading:
        """The reading that a user requests; an InputError if a value is not possible."""
        if not _is_below(value_range, math.inf):
            raise InputError(f"range {value_range!r}; expected the largest pixel value, a finite number above 0")
        if not _is_below(test_share, 1):
            raise InputError(f"share of test images {test_share!r}; expected a number between 0 and 1, for example 0.1")
        for name, value in (("group", group), ("label", label)):
            if value is not None and not isinstance(value, str):
                raise InputError(f"{name} {value!r}; expected text, such as the name of a column")
        if scale not in (None, *SCALES):
            raise InputError(f"scale {scale!r}; expected {' or '.join(SCALES)}")
        return cls(
            value_range and float(value_range),
            test_share=test_share and float(test_share),
            resize=None if resize is None else picture_size(resize),
            skip_bad=bool(skip_bad),
            shape=None if shape is None else _image_shape(shape),
            group=group,
            label=label,
            scale=scale,
        )

    @property
    def flags(self) -> str:
        """The command-line flags that request this reading."""
        return "".join(f" {flag}" for flag in self.flag_by_field.values())

    @property
    def flag_by_field(self) -> dict[str, str]:
        """The flag of each field that was requested."""
        flags = {
            "value_range": None if self.value_range is None else f"--range {number(self.value_range)}",
            "test_share": None if self.test_share is None else f"--test {self.test_share!r}",
            "shape": self.shape and f"--shape {' '.join(map(str, self.shape))}",
            "resize": self.resize and "--resize {}x{}".format(*self.resize),
            "group": self.group and f"--group {shlex.quote(self.group)}",
            "label": self.label and f"--label {shlex.quote(self.label)}",
            "scale": self.scale and f"--scale {self.scale}",
            "skip_bad": "--skip-bad" if self.skip_bad else None,
        }
        return {field: flag for field, flag in flags.items() if flag}


DEFAULT = Reading()


def _is_below(value: Any, limit: float) -> bool:
    """Whether a value is None, or a number above 0 and below the limit."""
    return value is None or (isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < limit)


def picture_size(size: str | Sequence[int]) -> tuple[int, int]:
    """Width and height from `64x48`, or from two numbers."""
    parts: Sequence[Any] = size.lower().split("x") if isinstance(size, str) else size
    numbers = [int(part) for part in parts if isinstance(part, Integral) or str(part).isdecimal()]
    if len(numbers) != 2 or len(parts) != 2 or not all(1 <= n <= LARGEST_SIDE for n in numbers):
        raise InputError(f"size {size!r}; expected width and height from 1 to {LARGEST_SIDE}, for example 64x64")
    return numbers[0], numbers[1]


def _image_shape(shape: Sequence[int]) -> tuple[int, ...]:
    if len(shape) not in (2, 3) or not all(isinstance(n, Integral) and n >= 1 for n in shape):
        raise InputError(f"shape {shape!r}; expected height and width of an image (and 3 for colour): 28 28")
    return tuple(int(n) for n in shape)


def existing_path(path: str | Path) -> Path | None:
    """The path with `~` expanded, or None if it does not exist."""
    try:
        path = Path(path).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError):  # a name that is too long; the home of an unknown user
        return None


def group_of(name: str, kind: str) -> str:
    """The group of a picture, by its path: the folder that holds it, or its name up to the first `_` or `-`."""
    above, _, file = name.rpartition("/")
    return above.rpartition("/")[2] if kind == "folder" else re.split(r"[_-]|\.[^.]*$", file, maxsplit=1)[0]


def whole_numbers(values: Array) -> Array:
    """Whole numbers as integers, those of a byte as bytes."""
    if not values.size or not (np.abs(values) < 2**53).all() or (values != np.floor(values)).any():
        return values
    return values.astype(np.uint8 if values.min() >= 0 and values.max() < 256 else np.int64)


def natural(name: str) -> tuple[str, str]:
    """A key that sorts `b2` before `b10`."""
    return re.sub(r"[0-9]+", lambda digits: digits[0].zfill(18), name), name


def number(value: float) -> str:
    """A number without needless digits: `16`, `0.5`."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as text: `60000 × 28 × 28`."""
    return " × ".join(map(str, shape)) or "()"


def remedy(low: float, high: float) -> str:
    """What the user can do about pixel values with these limits."""
    if low < 0:
        rescale = "(x + 1) / 2" if low >= -1 and high <= 1 else "(x - x.min()) / (x.max() - x.min())"
        return f"undo the standardisation, or rescale with {rescale}"
    if 1 < high <= ROUNDING_LIMIT:
        return "if that is rounding, save x.clip(0, 1)"
    end = number(next((maximum for maximum in COMMON_MAXIMA if high <= maximum), high))
    return f"if they run from 0 to {end}, read them with --range {end} (in Python value_range={end}) or save x / {end}"


def chunks(x: Array) -> Iterator[Array]:
    """The images in parts of CHUNK, or of fewer where they are large."""
    step = large.at_once(x, CHUNK)
    return (x[start : start + step] for start in range(0, len(x), step))


def limits(x: Array) -> Limits:
    """Smallest and largest value, NaN ignored; (0, 0) if there is none."""
    low, high = math.inf, -math.inf
    for part in chunks(x):
        if part.size and not (x.dtype.kind == "f" and np.isnan(part).all()):
            low, high = min(low, float(np.nanmin(part))), max(high, float(np.nanmax(part)))
    return (low, high) if low <= high else (0.0, 0.0)


def count_pixels(x: Array, condition: Callable[[Array], Array]) -> tuple[int, int]:
    """Number of pixels that meet a condition, and index of the first image that has one."""
    counts = np.concatenate([condition(part).reshape(len(part), -1).sum(axis=1) for part in chunks(x)])  # (N,)
    return int(counts.sum()), int((counts > 0).argmax())


def find_range(arrays: Mapping[str, Array], requested: float | None) -> tuple[float, float | None]:
    """Find the maximum of the pixel values of a set, and how to record it: as None if it needs no request.

    `arrays` has images by the names for errors; `requested` is the maximum that the user gives. Values that are not
    pixels, lie outside the range or have a range that the user has to confirm raise an InputError.
    """
    for what, x in arrays.items():
        if fault := _kind_fault(x):
            raise InputError(f"{what}: {fault}")
    ranges = {what: limits(x) for what, x in arrays.items()}
    top = _infer_range(arrays, ranges) if requested is None else requested
    for what, x in arrays.items() if requested is not None else ():
        low, high = ranges[what]
        if low < 0 or high > top:  # the ImageSet refuses NaN
            count, first = count_pixels(x, lambda part: (part < 0) | (part > top))
            raise InputError(
                f"{what}: pixels run from {low:.8g} to {high:.8g}, and {count} lie outside 0 to {number(top)}, the "
                f"first in image {first}; expected none with --range {number(top)}; give the range that they have, or "
                "mend them"
            )
    dark = any(x.dtype == np.uint8 and 0 < ranges[what][1] < DARK for what, x in arrays.items())
    plain = all(_is_range_of_type(x, top) for x in arrays.values()) and not (dark and requested)
    return top, None if plain else top


def _kind_fault(x: Array) -> str | None:
    if x.ndim == 2:
        return (
            f"shape {x.shape} is one flat row an image; expected (N, H, W); give --shape height width, or save "
            "x.reshape(-1, height, width)"
        )
    if x.ndim not in (3, 4):
        return f"shape {x.shape}; expected (N, H, W) for grey or (N, H, W, 3) for colour"
    if x.ndim == 4 and min(x.shape[1:]) > 4:
        return (
            f"shape {x.shape} is a volume an image; expected (N, H, W) for grey or (N, H, W, 3) for colour; save one "
            "slice of each, x[:, :, :, x.shape[3] // 2]"
        )
    if x.dtype.kind not in "buif":
        return f"type {x.dtype}; expected uint8 (0 to 255) or floats (0 to 1); save it as one of these"
    return None


def _infer_range(arrays: Mapping[str, Array], ranges: Mapping[str, Limits]) -> float:
    """The maximum that types and values imply: 255 or 1."""
    low, high = min(low for low, _ in ranges.values()), max(high for _, high in ranges.values())
    has_floats = any(x.dtype.kind == "f" for x in arrays.values())
    has_bytes = any(x.dtype == np.uint8 for x in arrays.values())
    if not has_floats and low >= 0 and (high == 1 or (high == 0 and not has_bytes)):
        return 1.0
    for what, x in arrays.items():
        first, last = ranges[what]
        fault = None
        if has_floats and x.dtype.kind != "f":
            fault = f"type {x.dtype} beside floats; expected one type for both; save them alike"
        elif has_floats and low >= 0 and 1 < last <= np.finfo(np.float32).max:
            fault = f"pixels run from {first:g} to {last:.8g}; expected floats from 0 to 1; {remedy(low, high)}"
        elif not has_floats and x.dtype != np.uint8:
            fault = (
                f"type {x.dtype} from {number(low)} to {number(high)}; expected uint8 (0 to 255) or floats (0 to 1); "
                + remedy(low, high)
                + (", or x.astype(np.uint8)" if low >= 0 and DARK <= high <= 255 else "")
            )
        elif not has_floats and 0 < last < min(DARK, high):
            other = next(name for name, (_, end) in ranges.items() if end == high)
            fault = (
                f"bytes from 0 to {number(last)}, and {other} goes to {number(high)}; expected one range for both; "
                "scale them alike, or take both as they are, 0 to 255, with --range 255"
            )
        if fault:
            raise InputError(f"{what}: {fault}")
    if has_floats:
        return 1.0
    if 0 < high < DARK:
        raise InputError(
            f"{' and '.join(arrays)}: bytes from {number(low)} to {number(high)}; expected 0 to 255; "
            f"{remedy(low, high)}; if the images are that dark, --range 255"
        )
    return 255.0


def _is_range_of_type(x: Array, top: float) -> bool:
    return top == (255 if x.dtype == np.uint8 else 1 if x.dtype.kind == "f" else None)


def scale(x: Array, top: float) -> Array:
    """Scale images (N, H, W), (N, H, W, 1) or (N, H, W, 3) from [0, top] to what an `ImageSet` takes.

    That is bytes if they represent the values exactly, otherwise float32 in [0, 1]; `x` itself if nothing changes.
    """
    x = x[..., 0] if x.ndim == 4 and x.shape[3] == 1 else x  # (N, H, W)
    if _is_range_of_type(x, top):
        with np.errstate(over="ignore"):  # the ImageSet refuses the infinite values
            if x.dtype in (np.uint8, np.float32):
                return x
            return large.gather((part.astype(np.float32) for part in chunks(x)), x.shape, np.float32)
    exact = x.dtype.kind != "f" and top >= 1 and 255 % top == 0
    if exact:
        return large.gather((part.astype(np.uint8) * np.uint8(255 // top) for part in chunks(x)), x.shape, np.uint8)
    return large.gather((part.astype(np.float64) / top for part in chunks(x)), x.shape, np.float32)


def choose_test_images(n: int, reading: Reading) -> NDArray[np.bool_]:
    """Mark the test images among n images, (n,): every tenth (of fewer than ten the last), or a random share.

    The random share depends only on n and `reading.test_share`.
    """
    mask = np.zeros(n, bool)
    if reading.test_share is None:
        mask[9::10] = True
        mask[-1] |= n < 10
    else:
        count = min(max(1, round(reading.test_share * n)), n - 1)
        mask[np.random.default_rng([n, 10]).permutation(n)[:count]] = True
    return mask


def held_out_of(n: int) -> int:
    """How many of so many training images are held out: a tenth, below FEW a fifth, below FEWEST none."""
    return 0 if n < FEWEST else n // (10 if n >= FEW else 5)


def choose_held_out(n: int) -> NDArray[np.bool_]:
    """Mark those that are held out among n training images, (n,): drawn with a fixed seed."""
    mask = np.zeros(n, bool)
    mask[np.random.default_rng([n, 7]).permutation(n)[: held_out_of(n)]] = True
    return mask


def choose_by_class(labels: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Mark a random share of the images as test images, (n,): nearly the same share of each class.

    A class keeps a training image while others have more. The choice depends only on the labels and the share.
    """
    n, counts = len(labels), np.bincount(labels)
    drawn = np.random.default_rng([n, 11]).permutation(n)
    order = drawn[np.argsort(labels[drawn], kind="stable")]  # class after class, in random order within each
    rank = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)  # within the class, of the images in this order
    place = np.empty(n)
    place[order] = (rank + 0.5) / counts[labels[order]] + (rank == counts[labels[order]] - 1)
    mask = np.zeros(n, bool)
    mask[np.argsort(place, kind="stable")[: min(max(1, round(share * n)), n - 1)]] = True
    return mask


def choose_groups(groups: Sequence[str], labels: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Mark whole groups, (n,): nearly this share of the groups of each class, by a group's first image."""
    names, first, inverse = np.unique(np.array(groups), return_index=True, return_inverse=True)
    if len(names) < 2:
        raise InputError(f"all {len(groups)} are of one group, {groups[0]!r}; expected at least 2 groups")
    return choose_by_class(np.unique(labels[first], return_inverse=True)[1], share)[inverse]
