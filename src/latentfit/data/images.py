"""The `ImageSet`: what every loader returns and everything else takes.

Pixels are bytes or floats, in memory or memory-mapped; bytes become [0, 1] when a batch is used. Rows of numbers have
no picture and any range: networks see them as `scaling` makes them. What cannot be trained on is refused here, whether
it comes from a file or from the user's own code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import compress
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import large
from .faults import label_fault, pixel_fault
from .large import Place
from .preparation import Preparation
from .reading import (
    DEFAULT,
    Array,
    Reading,
    choose_groups,
    choose_held_out,
    chunks,
    held_out_of,
    shape_text,
)
from .scaling import SCALES, Scaling

PIXELS = ("x_train", "x_test", "x_val")
MAX_CLASSES = 1_000  # more labels are not classes: each class costs a row, and a box in the report


@dataclass(frozen=True)
class Dataset:
    """What a study records of its images, see `ImageSet`."""

    name: str
    fingerprint: str
    train_images: int
    test_images: int
    image_shape: tuple[int, ...]
    classes: tuple[str, ...] | None
    stand_in: bool
    value_range: float | None = None
    test_share: float | None = None
    val_images: int | None = None
    flags: str | None = field(default=None, metadata={"optional": True})  # of the command line, that read them so
    prepared: tuple[str, ...] | None = field(default=None, metadata={"optional": True})  # what was done, in words
    scale: str | None = field(default=None, metadata={"optional": True})  # of rows of numbers, see `scaling`
    columns: tuple[str, ...] | None = field(default=None, metadata={"optional": True})  # likewise: their names
    held_out: int | None = field(default=None, metadata={"optional": True})  # of the training images, where in groups

    @property
    def is_rows(self) -> bool:
        """Whether these are rows of numbers, which have no picture."""
        return self.scale is not None

    @property
    def names(self) -> tuple[str, ...]:
        """Names that sentences may have in them."""
        return (self.name, *(self.classes or ()), *(self.columns or ()))


class Names(NamedTuple):
    """What each image is called, such as the path of its file."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    val: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Training and test images, with or without labels.

    Attributes:
        name: Name in tables and reports; any text.
        x_train: Training images, (N, H, W) grey or (N, H, W, 3) colour; uint8, or float32 in [0, 1]. Or rows of
            numbers, (N, D) float32 in any range.
        x_test: Test images of the same shape and type.
        y_train: Class of each training image, (N,) integers, or None.
        y_test: Class of each test image; None exactly if `y_train` is.
        classes: Name of each class. With names, labels are indices from 0. Without, any integers are labels: the
            sorted labels that occur become the names, and `y_train` and `y_test` become indices. Labels with more
            than MAX_CLASSES different values are dropped.
        stand_in: Whether this set replaces one that was not available.
        true_factors: Number of continuous factors from which the images were made, if known.
        reading: How the images were read from their file.
        x_val: Images of the same shape and type by which a training is stopped and on which none is trained, or None.
        names: What each image is called, or None; not part of the fingerprint.
        columns: Names of the columns of rows; their numbers from 0 if they are not given.
        groups: Group of each training image, (N,) text, of which a split has all or none.
        scaling: Of rows as networks see them, see `seen`: what was done to the rows in the data's units.

    Raises:
        InputError: Shape, type, range or number of images or labels are not valid.
    """

    name: str
    x_train: Array
    x_test: Array
    y_train: Array | None = None
    y_test: Array | None = None
    classes: tuple[str, ...] | None = None
    stand_in: bool = False
    true_factors: int | None = None
    reading: Reading = DEFAULT
    x_val: Array | None = None
    names: Names | None = None
    columns: tuple[str, ...] | None = None
    groups: Array | None = None
    scaling: Scaling | None = None

    def __post_init__(self) -> None:
        splits = (("train", self.x_train, self.y_train), ("test", self.x_test, self.y_test))
        others = {"test": self.x_test} | ({} if self.x_val is None else {"validation": self.x_val})
        for split, x in {"train": self.x_train, **others}.items():
            if fault := pixel_fault(x):
                raise InputError(f"{split} {'rows' if x.ndim == 2 else 'images'} of {self.name}: {fault}")
        for split, x in others.items():
            for what, train, other in (
                ("shape", shape_text(self.x_train.shape[1:]), shape_text(x.shape[1:])),
                ("type", self.x_train.dtype, x.dtype),
            ):
                if train != other:
                    raise InputError(
                        f"{self.name}: training images are {train} and {split} images {other}; "
                        f"both must have one {what}"
                    )
        if (self.y_train is None) != (self.y_test is None):
            raise InputError(f"{self.name}: labels are there for one split only; give both or neither")
        for split, x, y in splits:
            if y is not None and (fault := label_fault(y, len(x), self.classes)):
                raise InputError(f"{split} labels of {self.name}: {fault}")
        if self.is_rows and self.columns is None:
            vars(self)["columns"] = tuple(map(str, range(self.pixels)))  # the dataclass is frozen
        if len(self.columns or ()) != self.is_rows * self.pixels:
            raise InputError(f"{self.name}: {len(self.columns or ())} names of columns; expected {self.pixels}")
        counts = (len(self.x_train), len(self.x_test), 0 if self.x_val is None else len(self.x_val))
        if self.names is not None and tuple(map(len, self.names)) != counts:
            raise InputError(f"{self.name}: {tuple(map(len, self.names))} names for {counts} images; expected one each")
        if self.y_train is not None and self.y_test is not None and self.classes is None:
            self._name_classes(self.y_train, self.y_test)

    @classmethod
    def of(
        cls,
        source: Any,
        *,
        test: Any = None,
        name: str = "images",
        shape: Sequence[int] | None = None,
        value_range: float | None = None,
        label: str | None = None,
        group: str | None = None,
        scale: str | None = None,
    ) -> ImageSet:
        """The set of what a Python program holds.

        Args:
            source: An array of images or of rows of numbers, or (images, labels): of numpy, torch or lists; a torch
                `Dataset` of images or (image, label); a Hugging Face dataset with a column of images; a pandas frame of
                numbers, or of pixels if its columns are called so (`pixel0`, `28x28`, or numbers). Or a dict of such,
                with `train`, `test` and perhaps `validation`.
            test: The test images, as another source of any kind, or their share of the images, to be drawn at random.
                Every tenth image is one if it is not given.
            name: Name in tables and reports.
            shape: Height and width (and 3 for colour) of an image, where there are rows of pixels.
            value_range: Pixel values run from 0 to this, see `data.load`.
            label: Name of the column of labels; `label`, `target` and the like are found.
            group: Name of the column of a frame whose equal values stay on one side of every split.
            scale: Of rows of numbers: `columns` (the default), each divided by its own standard deviation while
                training; or `none`, all by one number.

        Raises:
            InputError: The source is of another kind, or its images or labels are not valid.

        Example:
            >>> ImageSet.of((np.arange(480, dtype=np.uint8).reshape(20, 6, 4), np.arange(20) % 2)).image_shape
            (6, 4)
        """
        from . import objects

        share = test if isinstance(test, Real) else None
        requested = Reading.requested(value_range, share, shape=shape, label=label, group=group, scale=scale)  # type: ignore[arg-type]
        return objects.read(source, None if share is not None else test, name, requested)

    def _name_classes(self, y_train: Array, y_test: Array) -> None:
        state = vars(self)  # the dataclass is frozen
        values = sorted({*np.unique(y_train).tolist(), *np.unique(y_test).tolist()})
        if len(values) > MAX_CLASSES:
            state.update(y_train=None, y_test=None, reading=replace(self.reading, labels_left_out=len(values)))
            return
        state["classes"] = tuple(map(str, values))
        if values != [*range(len(values))]:
            # A dict, because NumPy compares int64 with uint64 as floats.
            index = {value: i for i, value in enumerate(values)}
            for name, y in (("y_train", y_train), ("y_test", y_test)):
                state[name] = np.array([index[label] for label in y.tolist()], np.int64)

    @property
    def is_rows(self) -> bool:
        """Whether these are rows of numbers, which have no picture."""
        return self.x_train.ndim == 2

    @cached_property
    def seen(self) -> ImageSet:
        """The set as networks see it: of rows the columns that vary, centred and scaled; of images the set itself.

        Raises:
            InputError: No column varies.
        """
        if not self.is_rows or self.scaling is not None:
            return self
        scaling = Scaling.of(self.x_train, self.reading.scale or SCALES[0])
        pixels: dict[str, Any] = {name: scaling.apply(x) for name in PIXELS if (x := getattr(self, name)) is not None}
        columns = tuple((self.columns or ())[i] for i in scaling.columns)
        notes = (*scaling.notes(self.columns or ()), *scaling.far_apart(self.x_test, self.columns or ()))
        reading = replace(self.reading, dropped=(*self.reading.dropped, *notes))
        return replace(self, **pixels, columns=columns, scaling=scaling, reading=reading)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(H, W), (H, W, 3), or (D,) of rows."""
        return tuple(self.x_train.shape[1:])

    @property
    def pixels(self) -> int:
        """Numbers in an image: H × W, times 3 in colour."""
        return int(np.prod(self.image_shape))

    @cached_property
    def fingerprint(self) -> str:
        """Shapes, types and bytes of images, labels and groups as SHA-256, in hex after the name of the hash."""
        digest = hashlib.sha256()
        held_out = [] if self.x_val is None else [self.x_val]
        held_out += [] if self.groups is None else [np.unique(self.groups, return_inverse=True)[1]]
        for array in (self.x_train, self.y_train, self.x_test, self.y_test, *held_out):
            if array is None:
                digest.update(b"none;")
                continue
            digest.update(f"{array.shape}{array.dtype.str};".encode())
            for part in chunks(array):
                digest.update(part.tobytes())
        return f"sha256:{digest.hexdigest()}"

    @property
    def description(self) -> Dataset:
        """The `dataset` of `study.json` and `results.json`."""
        return Dataset(
            name=self.name,
            fingerprint=self.fingerprint,
            train_images=len(self.x_train),
            test_images=len(self.x_test),
            image_shape=self.image_shape,
            classes=self.classes,
            stand_in=self.stand_in,
            value_range=self.reading.value_range,
            test_share=self.reading.test_share,
            val_images=None if self.x_val is None else len(self.x_val),
            flags=self.reading.flags.strip() or None,
            prepared=self.reading.prepared or None,
            scale=(self.reading.scale or SCALES[0]) if self.is_rows else None,
            columns=self.columns if self.is_rows else None,
            held_out=None if self.groups is None or self.x_val is not None else int(self.held_out.sum()),
        )

    @property
    def preparation(self) -> Preparation:
        """How new data of the same kind become what a network of this set takes."""
        return Preparation(
            image_shape=self.image_shape,
            type=str(self.x_train.dtype),
            value_range=self.reading.value_range,
            resize=self.reading.resize,
            shape=self.reading.shape,
            columns=self.columns,
            label=self.reading.label,
        )

    @cached_property
    def held_out(self) -> NDArray[np.bool_]:
        """Which training images end a training in place of `x_val`, (N,): none of few, or of one group."""
        n = len(self.x_train)
        if self.groups is None or not held_out_of(n):
            return choose_held_out(n)
        if len({*self.groups.tolist()}) < 2:
            return np.zeros(n, bool)
        labels = np.zeros(n, np.int64) if self.y_train is None else self.y_train
        return choose_groups(self.groups.tolist(), labels, held_out_of(n) / n)

    def with_held_out(self) -> ImageSet:
        """The set with images that no network is trained on, in `x_val`: its own, or some of the training images.

        As many as `held_out_of` says, drawn with a fixed seed; or such a share of the groups, where there are groups.
        """
        held_out = self.held_out
        if self.x_val is not None or not held_out.any():
            return self
        y_train = None if self.y_train is None else self.y_train[~held_out]
        x_train, x_val = (large.take(self.x_train, mask) for mask in (~held_out, held_out))
        part: dict[str, Any] = {"x_train": x_train, "y_train": y_train, "x_val": x_val}
        part["groups"] = None if self.groups is None else self.groups[~held_out]
        if self.names is not None:
            train, val = (tuple(compress(self.names.train, mask)) for mask in (~held_out, held_out))
            part["names"] = Names(train, self.names.test, val)
        return ImageSet(**{field.name: getattr(self, field.name) for field in fields(self)} | part)

    def put_down(self, folder: Path) -> ImageSet:
        """Copy the pixels into files of a folder, unless they are in one, and return the same set, mapped from there.

        A pickle of the result contains the places in the files, not the pixels, so that processes share one copy.
        """
        pixels = {name: x for name in PIXELS if (x := getattr(self, name)) is not None}
        places = {name: Place.of(x) or large.put(folder / f"{name}.npy", x) for name, x in pixels.items()}
        rest = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in PIXELS}
        return _map(places, rest)


class _Mapped(ImageSet):
    """An `ImageSet` whose pixels are in files."""

    places: Mapping[str, Place]

    def __reduce__(self) -> tuple[Any, ...]:
        rest = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in PIXELS}
        return _map, (self.places, rest)


def _map(places: Mapping[str, Place], rest: Mapping[str, Any]) -> ImageSet:
    images = object.__new__(_Mapped)  # it was checked before, and floats are many to check again
    pixels = dict.fromkeys(PIXELS) | {name: place.open() for name, place in places.items()}
    vars(images).update(rest, **pixels, places=places)
    return images
