"""An `ImageSet` of arrays as they came from a file or from the user's own code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

import numpy as np

from ..errors import InputError
from . import labels, large
from .delimited import missing
from .images import ImageSet, Names
from .labels import Labels
from .reading import Array, Reading, choose_groups, choose_test_images, chunks, find_range, scale

TENTH = 0.1  # of the groups of a table without test rows
FLAT = 64  # numbers in a row from which on they may be pixels


@dataclass(frozen=True)
class Beside:
    """What is known of the items of an array beside their numbers and labels."""

    classes: tuple[str, ...] | None = None  # names, where labels are their indices
    columns: tuple[str, ...] | None = None  # names, of rows of numbers
    groups: Array | None = None  # group of each training item, (N,) text
    names: tuple[str, ...] | None = None  # of each item of an array that is to be divided


NOTHING = Beside()


def whole(
    name: str, titles: Mapping[str, str], found: Mapping[str, Array], requested: Reading, beside: Beside = NOTHING
) -> ImageSet:
    """The set of arrays by their keys, training and test images or rows among them.

    Args:
        name: Of the set.
        titles: What errors call each array.
        found: `x_train`, `x_test` and perhaps `y_train`, `y_test`, `x_val`.
        requested: How they are read; `prepared` and `dropped` say what was done before.
        beside: What else is known of the items.
    """
    told = labels.prepare(found.get("y_train"), found.get("y_test"))
    images, steps = {}, [*requested.prepared]
    for key in (key for key in found if key.startswith("x")):
        images[key], step = arranged(titles[key], found[key], requested.shape)
        steps += [step] if step and step not in steps else []
    reading = _after(requested, told, steps)
    named = told.classes or (beside.classes if told.y_train is not None else None)
    rest: Any = {"y_train": told.y_train, "y_test": told.y_test, "classes": named, "groups": beside.groups}
    if is_rows({titles[key]: x for key, x in images.items()}, requested):
        for key, x in images.items():
            rest[key] = as_rows(titles[key], x, beside.columns)
        return ImageSet(name, reading=_noting_pixels(reading, found["x_train"]), columns=beside.columns, **rest)
    top, recorded = find_range({titles[key]: x for key, x in images.items()}, requested.value_range)
    rest |= {key: scale(x, top) for key, x in images.items()}
    return ImageSet(name, reading=replace(reading, value_range=recorded), **rest)


def divided(name: str, title: str, x: Array, y: Array | None, requested: Reading, beside: Beside = NOTHING) -> ImageSet:
    """The set of one array, of which `choose_test_images` takes the test items; arguments as of `whole`.

    With groups the test items are such a share of the groups, or a tenth.
    """
    if len(x) < 2:
        raise InputError(f"{title}: holds shape {x.shape}; expected at least 2 images, one of them for the test")
    x, step = arranged(title, x, requested.shape)
    if y is not None and len(y) != len(x):
        raise InputError(f"{title}: {len(y)} labels for {len(x)} images; expected one label an image")
    told = labels.prepare(y, y)
    drawn = requested.test_share is not None
    split = "groups" if beside.groups is not None else "drawn" if drawn else "tenth"
    reading = replace(_after(requested, told, [*requested.prepared, *([step] if step else [])]), split=split)
    rows = is_rows({title: x}, requested)
    top, recorded = (1.0, None) if rows else find_range({title: x}, requested.value_range)
    if rows:
        reading = _noting_pixels(reading, x)
        x = as_rows(title, x, beside.columns)
    test = choose_test_images(len(x), reading)
    if beside.groups is not None:
        of_class = np.zeros(len(x), np.int64) if told.y_train is None else told.y_train
        test = choose_groups(beside.groups.tolist(), of_class, requested.test_share or TENTH)
    x_test = large.take(x, test) if split != "tenth" or len(x) < 10 else x[9::10]  # a slice needs no copy
    y_train, y_test = (None, None) if told.y_train is None else (told.y_train[~test], told.y_train[test])
    named = told.classes or (beside.classes if y_train is not None else None)
    rest: Any = {"y_train": y_train, "y_test": y_test, "classes": named}
    if beside.groups is not None:
        rest["groups"] = beside.groups[~test]
    if beside.names is not None:
        rest["names"] = Names(*(tuple(compress(beside.names, mask)) for mask in (~test, test)))
    if rows:
        return ImageSet(name, large.take(x, ~test), x_test, reading=reading, columns=beside.columns, **rest)
    reading = replace(reading, value_range=recorded)
    return ImageSet(name, scale(large.take(x, ~test), top), scale(x_test, top), reading=reading, **rest)


def _after(requested: Reading, told: Labels, steps: list[str]) -> Reading:
    """The reading with what was done so far."""
    dropped = (*requested.dropped, *told.dropped)
    return replace(requested, labels_left_out=told.left_out, prepared=tuple(steps), dropped=dropped)


def is_rows(arrays: Mapping[str, Array], requested: Reading) -> bool:
    """Whether arrays are rows of numbers; those that a flag says are pixels are not, and `find_range` refuses them."""
    rows = all(x.ndim == 2 for x in arrays.values()) and requested.value_range is None
    if requested.scale and not rows:
        what, x = next(iter(arrays.items()))
        raise InputError(f"{what}: shape {x.shape} with --scale, which is for rows of numbers (N, D); leave it out")
    return rows


def as_rows(title: str, x: Array, columns: tuple[str, ...] | None) -> Array:
    """Rows of numbers as float32; an InputError if they are no numbers, or some are missing or too large."""
    if x.dtype.kind not in "buif":
        raise InputError(f"{title}: type {x.dtype}; expected numbers; save it as float32")
    refuse_missing(title, x, columns or [*map(str, range(x.shape[1]))])
    if x.dtype == np.float32:
        return x
    with np.errstate(over="ignore"):  # the ImageSet refuses the infinite values
        rows = large.gather(chunks(x), x.shape, np.float32)
    if len(lost := np.flatnonzero(_varies(x) & ~_varies(rows))):
        name = (columns or [*map(str, range(x.shape[1]))])[lost[0]]
        raise InputError(
            f"{title}: column {name!r} varies by less than float32 can hold; expected numbers near 1; subtract a "
            "constant, or take another unit"
        )
    return rows


def _varies(x: Array) -> Array:
    """Which columns of (N, D) differ from their first value anywhere, (D,)."""
    varies = np.zeros(x.shape[1], bool)
    for rows in chunks(x):
        varies |= (rows != x[0]).any(axis=0)
    return varies


def refuse_missing(what: str, values: Array, names: Sequence[str]) -> None:
    """Refuse rows with numbers that are NaN or infinite, counted by column."""
    if values.dtype.kind != "f":
        return
    lacking, first, seen = np.zeros(values.shape[1], np.int64), -1, 0  # (D,)
    for rows in chunks(values):
        absent = ~np.isfinite(rows)
        if first < 0 and absent.any():
            first = seen + int(absent.any(axis=1).argmax())
        lacking += absent.sum(axis=0)
        seen += len(rows)
    if first >= 0:
        worst = np.argsort(-lacking, kind="stable")[: np.count_nonzero(lacking)]
        raise missing(what, {names[i]: int(lacking[i]) for i in worst}, int(lacking.sum()), first)


def _noting_pixels(reading: Reading, x: Array) -> Reading:
    """The reading, with a note where rows of bytes may be images."""
    side = math.isqrt(x.shape[1])
    if side**2 != x.shape[1] or x.shape[1] < FLAT or x.dtype != np.uint8:
        return reading
    note = (
        f"The rows have {x.shape[1]} bytes each, and are read as numbers of their own. If they are images, read them "
        f"with --shape {side} {side}."
    )
    return replace(reading, dropped=(*reading.dropped, note))


def arranged(what: str, x: Array, shape: tuple[int, ...] | None) -> tuple[Array, str | None]:
    """Images with the channels last, from rows of pixels if there is a shape, and what was done."""
    if shape is not None:
        if x.ndim != 2 or x.shape[1] != math.prod(shape):
            raise InputError(
                f"{what}: shape {x.shape}; expected rows of {math.prod(shape)} numbers with "
                f"--shape {' '.join(map(str, shape))}; give the shape that the rows have, or leave it out"
            )
        x = x.reshape(len(x), *shape)
    if x.ndim == 4 and x.shape[1] in (1, 3) and x.shape[3] not in (1, 3):
        moved = np.moveaxis(x, 1, -1)
        return large.gather(chunks(moved), moved.shape, moved.dtype), "the channels moved behind height and width"
    return x, None
