"""An `ImageSet` of arrays as they came from a file or from the user's own code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import InputError
from . import labels, large
from .images import ImageSet
from .reading import Array, Reading, choose_test_images, chunks, find_range, scale


def whole(
    name: str,
    titles: Mapping[str, str],
    found: Mapping[str, Array],
    requested: Reading,
    classes: tuple[str, ...] | None = None,
) -> ImageSet:
    """The set of arrays by their keys, training and test images among them.

    Args:
        name: Of the set.
        titles: What errors call each array.
        found: `x_train`, `x_test` and perhaps `y_train`, `y_test`, `x_val`.
        requested: How they are read; `prepared` and `dropped` say what was done before.
        classes: Names of the classes where labels are their indices.
    """
    told = labels.prepare(found.get("y_train"), found.get("y_test"))
    images, steps = {}, [*requested.prepared]
    for key in (key for key in found if key.startswith("x")):
        images[key], step = _arranged(titles[key], found[key], requested.shape)
        steps += [step] if step and step not in steps else []
    top, recorded = find_range({titles[key]: x for key, x in images.items()}, requested.value_range)
    reading = replace(
        requested,
        value_range=recorded,
        labels_left_out=told.left_out,
        prepared=tuple(steps),
        dropped=(*requested.dropped, *told.dropped),
    )
    given: dict[str, Any] = {key: scale(x, top) for key, x in images.items()}
    named = told.classes or (classes if told.y_train is not None else None)
    return ImageSet(name, y_train=told.y_train, y_test=told.y_test, classes=named, reading=reading, **given)


def divided(
    name: str,
    title: str,
    x: Array,
    y: Array | None,
    requested: Reading,
    classes: tuple[str, ...] | None = None,
) -> ImageSet:
    """The set of one array, of which `choose_test_images` takes the test images; arguments as of `whole`."""
    if len(x) < 2:
        raise InputError(f"{title}: holds shape {x.shape}; expected at least 2 images, one of them for the test")
    x, step = _arranged(title, x, requested.shape)
    top, recorded = find_range({title: x}, requested.value_range)
    drawn = requested.test_share is not None
    if y is not None and len(y) != len(x):
        raise InputError(f"{title}: {len(y)} labels for {len(x)} images; expected one label an image")
    told = labels.prepare(y, y)
    reading = replace(
        requested,
        value_range=recorded,
        split="drawn" if drawn else "tenth",
        labels_left_out=told.left_out,
        prepared=(*requested.prepared, *([step] if step else [])),
        dropped=(*requested.dropped, *told.dropped),
    )
    test = choose_test_images(len(x), reading)
    x_test = large.take(x, test) if drawn or len(x) < 10 else x[9::10]  # a slice needs no copy
    y_train, y_test = (None, None) if told.y_train is None else (told.y_train[~test], told.y_train[test])
    named = told.classes or (classes if y_train is not None else None)
    return ImageSet(name, scale(large.take(x, ~test), top), scale(x_test, top), y_train, y_test, named, reading=reading)


def _arranged(what: str, x: Array, shape: tuple[int, ...] | None) -> tuple[Array, str | None]:
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
