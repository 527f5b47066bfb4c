"""What Python programs hold as an `ImageSet`: arrays, data sets of torch and Hugging Face, frames of pandas.

Each is known by what it can do, so that none of these libraries is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError, one_line
from ..formatting import listed
from . import decoding, tables
from .assembly import NOTHING, Beside, divided, whole
from .images import ImageSet
from .reading import Array, Reading, shape_text, whole_numbers
from .roles import SPLITS
from .tables import LABELS, Table

EXPECTED = (
    "an array of images or rows, (images, labels), a torch Dataset of (image, label), a Hugging Face dataset with a "
    "column of images, a pandas frame of numbers, or a dict of such with `train` and `test`"
)


@dataclass(frozen=True)
class _Part:
    x: Array
    y: Array | None = None
    beside: Beside = NOTHING
    prepared: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None  # of an image, where the pixels are rows
    dropped: tuple[str, ...] = ()
    table: Table | None = None


def read(source: Any, test: Any, name: str, requested: Reading) -> ImageSet:
    """The set of a Python object; arguments as of `ImageSet.of`."""
    parts = _parts(source, test, requested)
    train = parts["train"]
    tables.check_alike({split: part.table for split, part in parts.items() if part.table}, name)
    shape = requested.shape or train.shape
    reading = replace(requested, shape=shape, prepared=train.prepared, dropped=train.dropped)
    beside = train.beside if shape is None else replace(train.beside, columns=None)
    if "test" not in parts:
        return divided(name, name, train.x, train.y, reading, beside)
    found = {f"x_{split}": part.x for split, part in parts.items()}
    labelled = [split for split in ("train", "test") if parts[split].y is not None]
    if len(labelled) == 1:
        other = "test" if labelled == ["train"] else "training"
        told = f"The labels are left out: the {other} images have none."
        reading = replace(reading, dropped=(*reading.dropped, told))
    else:
        found |= {f"y_{split}": y for split in labelled if (y := parts[split].y) is not None}
    return whole(name, {key: f"{key} of {name}" for key in found}, found, reading, replace(beside, names=None))


def _parts(source: Any, test: Any, requested: Reading) -> dict[str, _Part]:
    """Training images, test images and validation images, as far as they are given."""
    given: dict[str, object] = {"train": source}
    if isinstance(source, Mapping):
        given = {SPLITS[key]: value for key, value in source.items() if key in SPLITS}
        if "train" not in given:
            raise InputError(f"images: a dict with {listed([*map(repr, source)] or ['nothing'])}; expected {EXPECTED}")
    if test is not None:
        given["test"] = test
    return {split: _part(value, split, requested) for split, value in given.items()}


def _part(source: Any, split: str, requested: Reading) -> _Part:
    is_frame = hasattr(source, "columns") and hasattr(source, "to_numpy")
    if requested.group and not is_frame:
        raise InputError(f"{split}: a {type(source).__name__} with a group; expected a pandas frame; leave it out")
    if isinstance(source, tuple) and len(source) == 2:
        return _Part(_array(source[0], split), _array(source[1], f"{split} labels"))
    if is_frame:
        return _from_frame(source, requested)
    if hasattr(source, "shape") and hasattr(source, "__array__"):
        return _Part(_array(source, split))
    if hasattr(source, "__getitem__") and hasattr(source, "__len__") and not isinstance(source, str):
        return _from_items(source, split, requested.label)
    raise InputError(f"{split} images: a {type(source).__name__}; expected {EXPECTED}")


def _array(value: Any, what: str) -> Array:
    """A numeric or text array of an object: of a torch tensor on any device, of a list."""
    value = value.detach().cpu() if hasattr(value, "detach") else value
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InputError(f"{what}: {one_line(str(error))}; expected one array of numbers") from error
    if array.dtype == object and all(isinstance(each, str) for each in array.ravel().tolist()):
        array = array.astype(str)
    if not hasattr(value, "dtype") and array.dtype.kind == "i":
        array = whole_numbers(array)  # a list has no type to go by
    if array.dtype.hasobject:
        raise InputError(f"{what}: an array of Python objects; expected one of numbers; make it with np.stack")
    return array


def _from_frame(frame: Any, requested: Reading) -> _Part:
    """A pandas frame: a row an image or a row of numbers, and perhaps columns of labels and groups."""
    table = tables.from_frame(frame, requested)
    told = (f"rows of pixels as images of {shape_text(table.shape)}",) if table.shape else ()
    beside = Beside(columns=None if table.shape else table.columns, groups=table.groups, names=table.names)
    return _Part(table.values, table.labels, beside, told, table.shape, table.dropped, table)


def _from_items(source: Any, split: str, label: str | None) -> _Part:
    """A data set of pictures or arrays: each alone, (image, label), or a dict with a column of each."""
    if not len(source):
        raise InputError(f"{split} images: none; expected at least one")
    columns = _columns(source[0], label) if isinstance(source[0], Mapping) else None
    images: list[Array] = []
    found: list[Any] = []
    steps: set[str] = set()
    for i in range(len(source)):
        item = source[i]
        image, y = (item[columns[0]], item.get(columns[1])) if columns else _pair(item)
        pixels, done = _pixels(image, f"{split} image {i}")
        images.append(pixels)
        steps.update(done)
        found.append(y)
    x = _stacked(images, split)
    y = None if any(value is None for value in found) else _array([_plain(value) for value in found], f"{split} labels")
    prepared = tuple(f"pictures {words}" for step, words in decoding.STEPS.items() if step in steps)
    return _Part(x, y, Beside(_class_names(source, columns and columns[1], y)), prepared)


def _pair(item: Any) -> tuple[Any, Any]:
    return (item[0], item[1]) if isinstance(item, tuple | list) and len(item) == 2 else (item, None)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _columns(item: Mapping[str, Any], label: str | None) -> tuple[str, str]:
    """The columns of images and of labels."""
    images = [name for name, value in item.items() if isinstance(value, Image.Image) or np.ndim(value) in (2, 3)]
    if len(images) != 1:
        raise InputError(
            f"a data set with columns {', '.join(map(repr, item))}; expected one of images; leave out the others"
        )
    if label is not None and label not in item:
        raise InputError(f"a data set with columns {', '.join(map(repr, item))}; expected {label!r} among them")
    return images[0], label or next((name for name in item if name.lower() in LABELS), "label")


def _pixels(image: Any, what: str) -> tuple[Array, Sequence[str]]:
    if isinstance(image, Image.Image):
        decoded = decoding.from_image(image)
        if isinstance(decoded, str):
            raise InputError(f"{what}: {decoded}")
        return decoded
    x = _array(image, what)
    if x.ndim not in (2, 3):
        raise InputError(f"{what}: shape {x.shape}; expected (H, W), (H, W, 3) or (3, H, W)")
    return x, ()


def _stacked(images: list[Array], split: str) -> Array:
    """(N, H, W) or with channels; grey pictures among others in colour get three equal channels."""
    if len({x.ndim for x in images}) > 1 and all(x.ndim == 2 or x.shape[2] == 3 for x in images):
        images = [np.repeat(x[..., None], 3, axis=2) if x.ndim == 2 else x for x in images]
    for i, x in enumerate(images):
        if x.shape != images[0].shape:
            raise InputError(
                f"{split} image {i} is {shape_text(x.shape)} and the first {shape_text(images[0].shape)}; expected one "
                "size; resize them"
            )
    return np.stack(images)


def _class_names(source: Any, column: str | None, y: Array | None) -> tuple[str, ...] | None:
    """The names that a data set of Hugging Face or torchvision has for labels from 0 on."""
    feature = (getattr(source, "features", None) or {}).get(column) if column else None
    names = getattr(feature, "names", None) or getattr(source, "classes", None)
    if y is None or y.dtype.kind not in "iu" or not isinstance(names, list | tuple) or not names:
        return None
    return tuple(one_line(str(name)) for name in names) if 0 <= y.min() <= y.max() < len(names) else None
