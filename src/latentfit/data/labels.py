"""Labels as they are published, to the integers that an `ImageSet` takes: one-hot, text, floats, columns of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import one_line
from .images import MAX_CLASSES
from .reading import Array, natural, shape_text


@dataclass(frozen=True)
class Labels:
    """Labels of training and test images, and what was not used of them."""

    y_train: Array | None
    y_test: Array | None
    classes: tuple[str, ...] | None = None  # where they were text
    left_out: int = 0  # number of different ones if they are too many to be classes
    dropped: tuple[str, ...] = ()  # in sentences


def prepare(y_train: Array | None, y_test: Array | None) -> Labels:
    """Bring labels to integers; what has no plain meaning is returned as it is, for the `ImageSet` to refuse.

    (N, 1) becomes (N,); one-hot rows the index of their 1; text its sorted different values; floats without a fraction
    and booleans integers. Rows of several 0 and 1 are several labels an image, and left out.
    """
    given = [None if y is None else _flat(y) for y in (y_train, y_test)]
    arrays = [y for y in given if y is not None]
    if arrays and all(_is_binary(y) for y in arrays):
        if not all((y.sum(axis=1) == 1).all() for y in arrays):
            told = f"The labels are left out: they are several an image, {shape_text(arrays[0].shape)}."
            return Labels(None, None, dropped=(told,))
        given = [None if y is None else y.argmax(axis=1) for y in given]
    if arrays and all(y.dtype.kind in "SU" and y.ndim == 1 and y.dtype.itemsize for y in arrays):
        return _from_text(*[None if y is None else _as_text(y) for y in given])
    train, test = (None if y is None else _whole(y) for y in given)
    return Labels(train, test)


def _flat(y: Array) -> Array:
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def _is_binary(y: Array) -> bool:
    return y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "buif" and bool(((y == 0) | (y == 1)).all())


def _whole(y: Array) -> Array:
    """Integers, where the values are whole."""
    if y.dtype.kind == "b" or (
        y.dtype.kind == "f" and y.size and bool((np.isfinite(y) & (np.abs(y) < 2**53) & (y == np.floor(y))).all())
    ):
        return y.astype(np.int64)
    return y


def _as_text(y: Array) -> list[str]:
    return [one_line(value.decode(errors="replace") if isinstance(value, bytes) else value) for value in y.tolist()]


def _from_text(train: list[str] | None, test: list[str] | None) -> Labels:
    classes = sorted({*(train or ()), *(test or ())}, key=natural)
    if len(classes) > MAX_CLASSES:
        return Labels(None, None, left_out=len(classes))
    place = {name: i for i, name in enumerate(classes)}
    y_train, y_test = (
        None if labels is None else np.array([place[label] for label in labels], np.int64) for labels in (train, test)
    )
    return Labels(y_train, y_test, tuple(classes))
