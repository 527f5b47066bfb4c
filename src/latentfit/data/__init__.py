"""Images in: from a name or a path to an `ImageSet`.

The one idea: a name means one data set and nothing else. Only `auto` may take another, and it says so.
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

from ..errors import InputError, StandInWarning
from .images import ImageSet
from .reading import Reading

__all__ = ["ImageSet", "load"]

NAMES = ("fashion-mnist", "garments", "auto")


def load(
    source: str | Path = "fashion-mnist",
    data_dir: str | Path | None = None,
    *,
    value_range: float | None = None,
    test_share: float | None = None,
) -> ImageSet:
    """Load a data set by its name or its path.

    Args:
        source: `fashion-mnist`; `garments`, drawn on the spot; `auto`, which is Fashion-MNIST where it can
            be had and `garments` where it cannot; or a path to an `.npz`, an `.npy` or a folder of IDX files.
            A name wins over a folder of that name: `./garments`, or a `Path`, is the folder.
        data_dir: A folder to look for Fashion-MNIST in before all others; other sets have no use for it.
        value_range: Pixel values in the files run from 0 to this, for example 16 or 4095. Without it they are bytes
            from 0 to 255, floats from 0 to 1, or 0 and 1 alone; others are refused.
        test_share: Share of the images of an `.npy` to draw at random as test images, in place of every tenth.

    Returns:
        The images, checked; `stand_in` is True where `auto` had to take `garments`, which is also a warning.

    Raises:
        InputError: The set cannot be had, the source is neither a name nor a path, or the way to read it does not
            fit it.

    Example:
        >>> load("garments").image_shape
        (28, 28)
    """
    asked = Reading.asked(value_range, test_share)
    if isinstance(source, str) and source in NAMES:
        if asked.flags:
            raise InputError(
                f"{source} is a data set whose pixels and test images are known; expected a path with"
                f"{asked.flags}; leave that out"
            )
        return _named(source, data_dir)
    from . import files

    path = _existing(source)
    if path is None:
        raise InputError(
            f"{str(source)!r} is neither a data set nor a path that exists; expected {', '.join(NAMES)}, "
            f"or {files.ALLOWED}"
        )
    return files.load(path, asked)


def _existing(source: str | Path) -> Path | None:
    try:
        path = Path(source).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError):  # a name longer than any file's; the home of nobody
        return None


def _named(name: str, data_dir: str | Path | None) -> ImageSet:
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
