"""Arrays that are too large for memory: parts of a set, kept in temporary files of the cache.

Pages of a mapped file do not count against a process: the system drops them where memory is short, and processes share
them. A file goes with its array, or with its process; what a killed process left goes with the next one. What lies in a
file, whoever made it, is passed to other processes as a `Place`.
"""

from __future__ import annotations

import atexit
import errno
import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, Lost
from .cache import cache_folder, temporary

Array = NDArray[Any]

LARGE = 1 << 27  # bytes of an array; larger ones go into a file
TOGETHER = 1 << 24  # bytes of images processed together, at most
ROOM = 1 << 26  # numbers of images that are compared in memory, at most


def at_once(x: Array, most: int) -> int:
    """How many images to process together, at most so many."""
    return max(1, min(most, TOGETHER * len(x) // max(1, x.nbytes)))


def at_most(count: int, pixels: int) -> int:
    """So many images of so many numbers, or as many as ROOM allows in memory, two at least."""
    return min(count, max(2, ROOM // pixels))


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array to be filled: in memory, or mapped from a temporary file if it has more than LARGE bytes.

    Raises:
        InputError: The cache folder has no room for it.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= LARGE:
        return np.empty(shape, dtype)
    free = shutil.disk_usage(_folder()).free
    try:
        path = _reserve(size, free)
        mapped = np.memmap(path, dtype, "r+" if path.stat().st_size else "w+", shape=shape)
    except OSError as error:
        raise InputError(
            f"{size:,} bytes of images do not fit into the cache folder {cache_folder()}, which has room for {free:,}; "
            "expected room for all; make some, or name another folder in LATENTFIT_CACHE_DIR"
        ) from error
    weakref.finalize(mapped, _remove, path, os.getpid()).atexit = False
    return mapped


def _reserve(size: int, free: int) -> Path:
    """A temporary file with room for so many bytes; OSError without. A full disk would end the process at a page."""
    handle, name = tempfile.mkstemp(dir=_folder())
    try:
        if size > free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # some file systems cannot
            Path(name).unlink()
            raise
    finally:
        os.close(handle)
    return Path(name)


def gather(parts: Iterable[Array], shape: tuple[int, ...], dtype: Any) -> Array:
    """Parts of an array, one after the other, as one array of this shape and type."""
    whole, start = empty(shape, dtype), 0
    for part in parts:
        whole[start : start + len(part)] = part
        start += len(part)
    return whole


def take(x: Array, chosen: NDArray[np.bool_]) -> Array:
    """A copy of the images (N, ...) that are marked, (N,)."""
    count, step = int(chosen.sum()), at_once(x, len(x))
    parts = (slice(start, start + step) for start in range(0, len(x), step))
    return gather((x[part][chosen[part]] for part in parts), (count, *x.shape[1:]), x.dtype)


class Place(NamedTuple):
    """Where an array lies in a file, for another process to map it from there."""

    path: str
    number: int  # of the file, so that another one of this name is noticed
    size: int
    offset: int  # bytes
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, x: Array) -> Place | None:
        """The place of an array that is a part of a mapped file; None for one in memory."""
        root = x
        while isinstance(root.base, np.ndarray):
            root = root.base
        if not isinstance(root, np.memmap) or root.filename is None or root.mode == "c" or not x.flags.aligned:
            return None
        try:
            path = Path(root.filename)
            stat = path.stat()
        except OSError:
            return None
        offset = root.offset + x.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        return cls(str(path), stat.st_ino, stat.st_size, offset, x.dtype.str, x.shape, x.strides)

    def open(self) -> Array:
        """The array, read-only; `Lost` if the file is not there any more."""
        with suppress(OSError):
            stat = Path(self.path).stat()
            if (stat.st_ino, stat.st_size) == (self.number, self.size):
                data = np.memmap(self.path, np.uint8, "r")
                return np.ndarray(self.shape, self.dtype, data, self.offset, self.strides)
        raise Lost(f"{self.path} was removed or replaced while it was read; start again with one that stays")


def put(path: Path, x: Array) -> Place:
    """Write an array into a file, and return its place there."""
    np.save(path, x, allow_pickle=False)
    place = Place.of(np.load(path, mmap_mode="r"))
    assert place
    return place


@cache
def _folder() -> Path:
    """This process's folder of temporary files."""
    folder = temporary(cache_folder() / "large")
    atexit.register(clear)
    return folder


def clear() -> None:
    """Remove this process's temporary files, at its end."""
    if _folder.cache_info().currsize:
        shutil.rmtree(_folder(), ignore_errors=True)
        with suppress(OSError):
            _folder().parent.rmdir()
        _folder.cache_clear()


def _remove(path: Path, process: int) -> None:
    if os.getpid() == process:  # not in one that was forked from it
        with suppress(OSError):  # Windows keeps a file that is mapped; `clear` removes it
            path.unlink()
