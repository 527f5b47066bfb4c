"""Images in: from a name or a path to an `ImageSet`.

A name means one data set. Only `auto` may load another one, and it says so.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, StandInWarning
from .images import ImageSet
from .reading import Reading, existing_path

if TYPE_CHECKING:
    from .items import Items
    from .preparation import Preparation

__all__ = ["ImageSet", "load", "stream"]

NAMES = ("fashion-mnist", "garments", "auto")


def load(
    source: str | Path = "fashion-mnist",
    data_dir: str | Path | None = None,
    *,
    value_range: float | None = None,
    test_share: float | None = None,
    resize: str | Sequence[int] | None = None,
    skip_bad: bool = False,
    shape: Sequence[int] | None = None,
    group: str | None = None,
    label: str | None = None,
    scale: str | None = None,
) -> ImageSet:
    """Load a data set by its name or its path.

    Args:
        source: `fashion-mnist`; `garments`, which are drawn; `auto`, Fashion-MNIST if it is available and `garments`
            if not; or the path of an `.npz`, an `.npy`, a table, or a folder of pictures, arrays, IDX files or tables.
            `garments` is the name, `./garments` or a `Path` the folder.
        data_dir: The first folder to search for Fashion-MNIST.
        value_range: Pixel values in the files run from 0 to this, for example 16 or 4095. Required unless they are
            bytes from 0 to 255, floats from 0 to 1, or only 0 and 1.
        test_share: Share of the images to draw at random as test images, of a source that has none of its own.
        resize: Width and height that pictures are brought to, as `64x48` or two numbers: scaled until they cover it,
            and cropped at the centre.
        skip_bad: Leave out pictures that cannot be read, instead of an error that lists them.
        shape: Height and width (and 3 for colour) of an image, where a file has rows of pixels.
        group: What stays on one side of every split: pictures of one `folder`, which may be below a class, or with one
            `prefix`, up to the first `_` or `-` of the name; or rows of a table with one value in the column of this
            name.
        label: Name of a table's column of labels; `label`, `target` and the like are found.
        scale: Of rows of numbers: `columns` (the default), each divided by its own standard deviation while training;
            or `none`, all by one number.

    Returns:
        The images; `stand_in` is True (and a warning is given) if `auto` loaded `garments`.

    Raises:
        InputError: The set is not available, the source is neither a name nor a path, or the options do not fit it.

    Example:
        >>> load("garments").image_shape
        (28, 28)
    """
    from . import files

    requested = Reading.requested(value_range, test_share, resize, skip_bad, shape, group, label, scale)
    if not _is_name(source):
        return files.load(_path_of(source), requested)
    if requested.flags:
        raise InputError(
            f"{source} is a data set whose pixels and test images are known; expected a path with"
            f"{requested.flags}; leave that out"
        )
    return _load_named(str(source), data_dir)


def stream(
    source: str | Path | ImageSet,
    prepared: Preparation,
    data_dir: str | Path | None = None,
    *,
    value_range: float | None = None,
    skip_bad: bool = False,
) -> Items:
    """New data for a network, whole and in their own order, as it takes them; see `items.of_path`.

    Args:
        source: As of `load`, or a set.
        prepared: What the network takes.
        data_dir: As of `load`.
        value_range: As of `load`; that of the data the network was trained on if it is not given.
        skip_bad: As of `load`.

    Raises:
        InputError: The data are not available, or not what the network takes.
    """
    from .items import of_path, of_set

    if not isinstance(source, ImageSet) and not _is_name(source):
        return of_path(_path_of(source), prepared, value_range, skip_bad)
    if value_range is not None or skip_bad:
        flag = "--skip-bad" if value_range is None else "--range"
        raise InputError(f"{source}: its pixels are known; expected a path with {flag}; leave that out")
    return of_set(source if isinstance(source, ImageSet) else _load_named(str(source), data_dir), prepared)


def _is_name(source: str | Path) -> bool:
    return isinstance(source, str) and source in NAMES


def _path_of(source: str | Path) -> Path:
    from .files import ALLOWED

    path = existing_path(source)
    if path is None:
        raise InputError(
            f"{str(source)!r} is neither a data set nor a path that exists; expected {', '.join(NAMES)}, or {ALLOWED}"
        )
    return path


def _load_named(name: str, data_dir: str | Path | None) -> ImageSet:
    from . import fashion_mnist, garments

    if name == "garments":
        return garments.draw()
    try:
        return fashion_mnist.load(data_dir)
    except InputError as error:
        if name != "auto":
            raise
        warnings.warn(
            f"these are NOT photographs of garments: Fashion-MNIST could not be had, and the stand-in "
            f"`garments` was drawn in its place. The reason: {'; '.join((error.args[0], *error.details))}",
            StandInWarning,
            stacklevel=3,
        )
        return dataclasses.replace(garments.draw(), stand_in=True)
