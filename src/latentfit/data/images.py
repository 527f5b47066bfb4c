"""The `ImageSet`: what every loader returns and everything else takes.

Pixels are bytes or floats, in memory or memory-mapped, as `reading.py` settled them; bytes become [0, 1]
where a batch is used. What cannot be trained on is refused here, once, for sets from files and for sets
made by hand alike.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .reading import AS_IT_IS, CHUNK, Array, Reading, mend

MOST_CLASSES = 1_000  # more are no classes: each costs a row, and a box in the report's page


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Training and test images, with labels where there are any.

    Attributes:
        name: What the set is called in tables and reports; any text.
        x_train: Training images, (N, H, W) grey or (N, H, W, 3) colour; uint8, or float32 in [0, 1].
        x_test: Test images, the same shape behind N, and the same type.
        y_train: Class of each training image, (N,) integers, or None: from 0 with names, and any without.
        y_test: The same for the test images; given or missing together with `y_train`.
        classes: Name of each class, or None. Labels without names are the names themselves: the classes are those
            that occur, in order, and `y_train` and `y_test` become their indices. Of more than MOST_CLASSES there
            are none, and no labels either.
        stand_in: True where the set was taken because the one asked for could not be had.
        true_factors: Number of continuous factors the images were made from, where that is known.
        reading: How they were read from their file.

    Raises:
        InputError: Shape, type, range or number do not fit together.
    """

    name: str
    x_train: Array
    x_test: Array
    y_train: Array | None = None
    y_test: Array | None = None
    classes: tuple[str, ...] | None = None
    stand_in: bool = False
    true_factors: int | None = None
    reading: Reading = AS_IT_IS

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            _check_pixels(f"{split} images of {self.name}", getattr(self, f"x_{split}"))
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise InputError(
                f"{self.name}: training images are {_by(self.x_train.shape[1:])} and test images "
                f"{_by(self.x_test.shape[1:])}; both must have one shape"
            )
        if self.x_train.dtype != self.x_test.dtype:
            raise InputError(
                f"{self.name}: training images are {self.x_train.dtype} and test images "
                f"{self.x_test.dtype}; both must have one type"
            )
        if (self.y_train is None) != (self.y_test is None):
            raise InputError(f"{self.name}: labels are there for one split only; give both or neither")
        if self.y_train is None or self.y_test is None:
            return
        for split in ("train", "test"):
            _check_labels(self, split)
        if self.classes is None:
            self._name_classes(self.y_train, self.y_test)

    def _name_classes(self, y_train: Array, y_test: Array) -> None:
        """Make classes of the labels that occur: a label that no image has is no class."""
        values = sorted({*np.unique(y_train).tolist(), *np.unique(y_test).tolist()})
        if len(values) > MOST_CLASSES:  # numbers of the images, or a quantity: told, and left out
            object.__setattr__(self, "reading", replace(self.reading, labels_left_out=len(values)))
            object.__setattr__(self, "y_train", None)
            object.__setattr__(self, "y_test", None)
            return
        object.__setattr__(self, "classes", tuple(map(str, values)))
        if values != [*range(len(values))]:
            for name, y in (("y_train", y_train), ("y_test", y_test)):
                object.__setattr__(self, name, _indices(y, values))

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(H, W) or (H, W, 3)."""
        return tuple(self.x_train.shape[1:])

    @property
    def pixels(self) -> int:
        """Numbers an image: H × W, times 3 in colour."""
        return int(np.prod(self.image_shape))

    @cached_property
    def fingerprint(self) -> str:
        """`sha256:` and the hash over shapes, types and bytes of images and labels.

        The same arrays have the same fingerprint whatever file they came from.
        """
        digest = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            if array is None:
                digest.update(b"none;")
                continue
            digest.update(f"{array.shape}{array.dtype.str};".encode())
            for start in range(0, len(array), CHUNK):
                digest.update(array[start : start + CHUNK].tobytes())
        return f"sha256:{digest.hexdigest()}"

    def put_down(self, folder: Path) -> ImageSet:
        """Copy the pixels into files of this folder, and give the same set mapped from there.

        What `pickle` carries of the result is where the files are, so that processes share one copy.
        """
        for split in ("train", "test"):
            np.save(folder / f"x_{split}.npy", getattr(self, f"x_{split}"), allow_pickle=False)
        return _mapped(folder, {field.name: getattr(self, field.name) for field in fields(self)})


class _Mapped(ImageSet):
    """An `ImageSet` whose pixels lie in files: a pickle of it holds their folder."""

    folder: Path

    def __reduce__(self) -> tuple[Any, ...]:
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("x_train", "x_test")}
        return _mapped, (self.folder, rest)


def _mapped(folder: Path, values: dict[str, Any]) -> ImageSet:
    pixels = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("x_train", "x_test")}
    images = _Mapped(**values | pixels)
    object.__setattr__(images, "folder", folder)
    return images


def _check_pixels(what: str, x: Array) -> None:
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] != 3):
        raise InputError(f"{what}: shape {_by(x.shape)}; expected (N, H, W) for grey or (N, H, W, 3) for colour")
    if 0 in x.shape:
        raise InputError(f"{what}: shape {_by(x.shape)} holds no pixel; at least one image is needed")
    if x.dtype == np.uint8:
        return
    if x.dtype != np.float32:
        raise InputError(f"{what}: type {x.dtype}; expected uint8 (0 to 255) or float32 (0 to 1)")
    _check_floats(what, x)


def _check_floats(what: str, x: Array) -> None:
    bad, first = 0, -1
    low, high = np.inf, -np.inf
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK].reshape(len(x[start : start + CHUNK]), -1)  # (C, D)
        odd = ~np.isfinite(part)
        if odd.any():
            first = first if bad else start + int(odd.any(axis=1).argmax())
            bad += int(odd.sum())
        else:
            low, high = min(low, float(part.min())), max(high, float(part.max()))
    if bad:
        raise InputError(
            f"{what}: {bad} pixels are NaN or infinite, the first in image {first}; "
            "expected numbers from 0 to 1; remove or repair these images"
        )
    if low < 0 or high > 1:
        raise InputError(f"{what}: pixels run from {low:g} to {high:g}; expected floats from 0 to 1; {mend(low, high)}")


def _check_labels(images: ImageSet, split: str) -> None:
    x, y = getattr(images, f"x_{split}"), getattr(images, f"y_{split}")
    what = f"{split} labels of {images.name}"
    if y.shape != (len(x),):
        raise InputError(f"{what}: shape {_by(y.shape)} for {len(x)} images; expected one label an image")
    if y.dtype.kind not in "iu":
        raise InputError(f"{what}: type {y.dtype}; expected integers")
    if images.classes is not None and (y.min() < 0 or y.max() >= len(images.classes)):
        raise InputError(f"{what}: run from {y.min()} to {y.max()}; expected 0 to {len(images.classes) - 1}")


def _indices(y: Array, values: list[int]) -> Array:
    """Where in a sorted list each label stands, (N,); by whole numbers, since integer types compare as floats."""
    found, inverse = np.unique(y, return_inverse=True)
    places = {value: place for place, value in enumerate(values)}
    return np.array([places[value] for value in found.tolist()], np.int64)[inverse]


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape) or "()"
