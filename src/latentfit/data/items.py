"""New data for a trained network: whole, in the order of their source, prepared as the images it was trained on.

An `ImageSet` is divided into training and test images, and in memory. Items are neither: they come a block at a time
with what each is called, so that a set of any size takes the memory of a block. N items, n items a block.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from . import arrays, files, idx, labels, pictures, selection, tables
from .assembly import arranged, as_rows, refuse_missing
from .faults import LARGEST
from .files import Found
from .images import ImageSet
from .lazy import Lazy
from .preparation import Preparation
from .reading import Array, Reading, count_pixels, find_range, limits, number, remedy, scale, shape_text

SPLITS = ("", "train", "test", "val")  # in this order
TRAINED = "columns that the network was trained on"


class Block(NamedTuple):
    """Items that follow each other; a text is empty where nothing is known."""

    x: Array  # (n, H, W[, 3]) uint8 or float32 in [0, 1], or rows (n, D) float32 in the data's units
    names: Sequence[str]
    splits: Sequence[str]
    labels: Sequence[str]


@dataclass(frozen=True)
class Items:
    """New data: `blocks(n)` gives them from the start, at most n at a time."""

    blocks: Callable[[int], Iterator[Block]]
    has_splits: bool = False
    has_labels: bool = False
    notes: tuple[str, ...] = ()  # what is not used, in sentences


def of_set(images: ImageSet, wanted: Preparation) -> Items:
    """The items of a set: those for training, test and validation one after the other."""
    made = Preparation(images.image_shape, str(images.x_train.dtype), images.reading.value_range)
    order = None
    if wanted.columns is not None and images.columns is not None:
        if lacking := [name for name in wanted.columns if name not in images.columns]:
            raise InputError(f"{images.name}: has no column {lacking[0]!r}; expected all {TRAINED}; add it")
        order = [images.columns.index(name) for name in wanted.columns]
    elif made.image_shape != wanted.image_shape:
        raise _other_shape(images.name, made.image_shape, wanted)
    elif made.top != wanted.top:
        raise _other_range(images.name, made.top, wanted)
    known = {"train": images.y_train, "test": images.y_test, "val": None}
    told = {split: y for split, y in known.items() if y is not None}
    parts = {}
    for split in known:
        x: Array | None = getattr(images, f"x_{split}")
        if x is not None:
            names = getattr(images.names, split) if images.names else None
            lazy = Lazy.of(x) if order is None else Lazy.of(x).then(lambda rows: rows[:, order])
            parts[split] = _Part(lazy, names, _texts(told.get(split), images.classes))
    return _of_parts(parts)


def of_path(path: Path, wanted: Preparation, value_range: float | None = None, skip_bad: bool = False) -> Items:
    """The items of a file or folder, as far as they can be checked before they are read.

    Args:
        path: What `data.load` reads, and an `.npz` with one array.
        wanted: What the network takes.
        value_range: Pixel values in these files run from 0 to this; to what those of training did if it is not given.
        skip_bad: Leave out pictures that cannot be used.

    Raises:
        InputError: It cannot be read; its items have another shape or range, or lack columns.
    """
    found = files.find(path)
    requested = Reading.requested(value_range or wanted.value_range, resize=wanted.resize, skip_bad=skip_bad)
    if skip_bad and found.kind != "pictures":
        raise InputError(f"{path}: holds no pictures; expected a folder of pictures with --skip-bad; leave it out")
    if found.kind == "pictures":
        return _of_pictures(found, requested, wanted)
    if found.kind in ("table", "tables") and wanted.columns is not None:
        return _of_tables(found, wanted, wanted.columns)
    with arrays.sound(path):
        return _of_arrays(_opened(found, wanted), wanted, value_range)


class _Part(NamedTuple):
    """The items of one split."""

    x: Lazy
    names: Sequence[str] | None = None
    labels: Sequence[str] | None = None


class _Arrays(NamedTuple):
    """Arrays of images or rows as they came, by split ('' for none), with what errors call them."""

    x: dict[str, Lazy]
    titles: dict[str, str]
    labels: dict[str, Sequence[str] | None]
    names: Mapping[str, Sequence[str] | None] = MappingProxyType({})


def _of_parts(parts: Mapping[str, _Part]) -> Items:
    def blocks(size: int) -> Iterator[Block]:
        for split, part in parts.items():
            for start in range(0, len(part.x), size):
                x = part.x[start : start + size]
                here = range(start, start + len(x))
                names = [*map(str, here)] if part.names is None else part.names[start : start + size]
                told = [""] * len(x) if part.labels is None else part.labels[start : start + size]
                yield Block(x, names, [split] * len(x), told)

    has_labels = any(part.labels is not None for part in parts.values())
    return Items(blocks, has_splits=any(parts), has_labels=has_labels)


def _opened(found: Found, wanted: Preparation) -> _Arrays:
    """The arrays of what was found, not read yet; of a table that holds pixels they are."""
    path, held = found.path, found.files
    if found.kind in ("table", "tables"):
        return _pixel_tables(found, wanted)
    if found.kind == "npy":
        return _Arrays({"": arrays.lazy_npy(path)}, {"": str(path)}, {})
    if found.kind == "npz":
        opened, titles = arrays.lazy_npz(path), "{} in " + str(path)
    elif found.kind == "idx":
        opened = {key: idx.lazy(file, 3 if key.startswith("x") else 1) for key, file in held.items()}
        titles = "{} of " + str(path)
    else:
        opened = {key: arrays.lazy_one(file) for key, file in held.items()}
        titles = "{} of " + str(path)
    x = {split: opened[key] for split in SPLITS if (key := f"x_{split}" if split else "x") in opened}
    y = {key[2:]: lazy[:] for key, lazy in opened.items() if key.startswith("y")}
    told = labels.prepare(y.get("train"), y.get("test"))
    classes = {
        split: _texts(values, told.classes) for split, values in (("train", told.y_train), ("test", told.y_test))
    }
    for split, values in classes.items():
        if values is not None and split in x and len(values) != len(x[split]):
            raise InputError(f"{path}: {len(values)} labels for {len(x[split])} images; expected one label an image")
    return _Arrays(x, {split: titles.format(f"x_{split}" if split else "x") for split in x}, {**classes})


def _pixel_tables(found: Found, wanted: Preparation) -> _Arrays:
    """The pixels of tables, in memory."""
    read: dict[str, tables.Table] = {}
    for split, path in _by_split(found).items():
        label = wanted.label if wanted.label in selection.columns_of(path) else None
        read[split] = tables.read_any(path, Reading(label=label))
    return _Arrays(
        {split: Lazy.of(table.values) for split, table in read.items()},
        {split: str(path) for split, path in _by_split(found).items()},
        {split: None if table.labels is None else [*map(str, table.labels.tolist())] for split, table in read.items()},
        {split: table.names for split, table in read.items()},
    )


def _by_split(found: Found) -> dict[str, Path]:
    """The table of each split; the only one under ''."""
    return {split: found.files[f"x_{split}"] for split in SPLITS if f"x_{split}" in found.files} or {"": found.path}


def _texts(y: Array | None, classes: Sequence[str] | None) -> Sequence[str] | None:
    if y is None or y.ndim != 1:
        return None
    return [*map(str, y.tolist())] if classes is None else [classes[i] for i in y.tolist()]


def _of_arrays(opened: _Arrays, wanted: Preparation, value_range: float | None) -> Items:
    x = {}
    for split, lazy in opened.x.items():
        if not len(lazy):
            raise InputError(f"{opened.titles[split]}: holds shape {lazy.shape}; expected at least one item")
        x[split] = _shaped(opened.titles[split], lazy, wanted)
    titled: Any = {opened.titles[split]: lazy for split, lazy in x.items()}
    if wanted.columns is not None:
        for what, lazy in titled.items():
            _check_rows(what, lazy, wanted.columns)
        x = {split: lazy.then(partial(as_rows, opened.titles[split], columns=None)) for split, lazy in x.items()}
    else:
        for what, lazy in titled.items():
            _check_floats(what, lazy)
        top = find_range(titled, value_range or wanted.value_range)[0]
        if value_range is None and top != wanted.top:
            raise _other_range(next(iter(titled)), top, wanted)
        x = {split: lazy.then(partial(scale, top=top)) for split, lazy in x.items()}
    names, told = opened.names, opened.labels
    return _of_parts({split: _Part(lazy, names.get(split), told.get(split)) for split, lazy in x.items()})


def _shaped(what: str, x: Lazy, wanted: Preparation) -> Lazy:
    """The items in the shape that the network takes, channels behind height and width."""
    if wanted.columns is None:
        flat = x.ndim == 2 and x.shape[1] == math.prod(wanted.image_shape)
        if x.ndim < 2:
            raise _other_shape(what, x.shape[1:], wanted)
        x = x.then(lambda part: arranged(what, part, wanted.image_shape if flat else None)[0])
    if x.shape[1:] not in (wanted.image_shape, (*wanted.image_shape, 1)):
        raise _other_shape(what, x.shape[1:], wanted)
    return x


def _check_rows(what: str, x: Any, columns: Sequence[str]) -> None:
    if x.dtype.kind not in "buif":
        raise InputError(f"{what}: type {x.dtype}; expected numbers; save it as float32")
    refuse_missing(what, x, columns)
    if (largest := max(map(abs, limits(x)))) > LARGEST:
        raise InputError(f"{what}: numbers go to {largest:.3g}; expected at most {LARGEST:g}; give them another unit")


def _check_floats(what: str, x: Any) -> None:
    """Refuse images that are no pixels in any range."""
    if x.dtype.kind != "f":
        return
    count, first = count_pixels(x, lambda part: ~np.isfinite(part))
    if count:
        raise InputError(
            f"{what}: {count} pixels are NaN or infinite, the first in image {first}; expected numbers; remove or "
            "repair these images"
        )
    low, high = limits(x)
    if low < 0:
        raise InputError(f"{what}: pixels run from {low:g} to {high:g}; expected none below 0; {remedy(low, high)}")


def _of_pictures(found: Found, requested: Reading, wanted: Preparation) -> Items:
    layout = found.layout
    assert layout is not None
    if wanted.columns is not None:
        raise InputError(f"{found.path}: holds pictures; expected rows with the {len(wanted.columns):,} {TRAINED}")
    classes = {item.label for item in layout.items}
    has_labels = len(classes) > 1

    def blocks(size: int) -> Iterator[Block]:
        for items, x in pictures.blocks(layout, requested, wanted.image_shape, size):
            told = [item.label for item in items] if has_labels else [""] * len(items)
            yield Block(x, [item.name for item in items], [item.split for item in items], told)

    return Items(blocks, layout.has_splits, has_labels)


def _of_tables(found: Found, wanted: Preparation, columns: Sequence[str]) -> Items:
    """The rows of one table, or of one for each split."""
    held = _by_split(found)
    label: str | None = None
    notes: list[str] = []
    for path in held.values():
        others = [name for name in selection.columns_of(path) if name not in columns]
        told = [name for name in others if name == wanted.label or name.lower() in tables.LABELS]
        label = wanted.label if wanted.label in others else told[0] if len(told) == 1 else label
        unused = [name for name in others if name != label and name.lower() not in tables.NAMES]
        notes += [f"{path.name}: columns that are not used: {', '.join(map(repr, unused))}."] if unused else []
        selection.select(path, columns, TRAINED)

    def blocks(size: int) -> Iterator[Block]:
        for split, path in held.items():
            at = 0
            for values, others in selection.select(path, columns, TRAINED):
                names = next((others[name] for name in others if name.lower() in tables.NAMES), None)
                for start in range(0, len(values), size):
                    x = values[start : start + size]
                    here = [*map(str, range(at, at + len(x)))] if names is None else names[start : start + size]
                    told = others[label][start : start + size] if label in others else [""] * len(x)
                    yield Block(x, here, [split] * len(x), told)
                    at += len(x)

    return Items(blocks, any(held), label is not None, tuple(notes))


def _other_shape(what: str, shape: tuple[int, ...], wanted: Preparation) -> InputError:
    kind = "rows of that many numbers" if wanted.columns else "images of that shape, as in training"
    return InputError(
        f"{what}: items of {shape_text(shape)}; the network takes {shape_text(wanted.image_shape)}; expected {kind}; "
        "give it data of the kind that it was trained on"
    )


def _other_range(what: str, top: float, wanted: Preparation) -> InputError:
    return InputError(
        f"{what}: pixels run from 0 to {number(top)}, and those that the network was trained on from 0 to "
        f"{number(wanted.top)}; if they are the same images on another scale, read them with --range {number(top)}"
    )
