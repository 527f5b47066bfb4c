"""Arrays that are read a slice at a time, so that a set of any size takes the memory of a slice.

A slice is read from where the one before ended; going back opens the file again, since what is packed has no middle.
N items.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from ..errors import InputError, one_line
from .reading import Array

BLOCK = 1 << 20  # bytes passed over at once


@dataclass(frozen=True)
class Lazy:
    """An array (N, ...) of which slices are read or computed when they are asked for."""

    shape: tuple[int, ...]
    dtype: Any
    read: Callable[[int, int], Array]  # items from the first index to before the second

    @classmethod
    def of(cls, array: Array) -> Lazy:
        """An array in memory, or memory-mapped."""
        return cls(array.shape, array.dtype, lambda start, stop: array[start:stop])

    @classmethod
    def stored(cls, what: str, shape: tuple[int, ...], dtype: Any, opened: Callable[[], IO[bytes]]) -> Lazy:
        """An array in a file, item after item; `opened` opens it at the first, and `what` is its name in errors."""
        return cls(shape, dtype, _Reader(what, shape, dtype, opened))

    def then(self, function: Callable[[Array], Array]) -> Lazy:
        """The array of what a function makes of slices (n, ...), which has as many items."""
        first = function(self[:1])
        return Lazy((len(self), *first.shape[1:]), first.dtype, lambda start, stop: function(self.read(start, stop)))

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all items, none of which need be in memory."""
        return math.prod(self.shape) * int(np.dtype(self.dtype).itemsize)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> Array:
        start, stop, _ = part.indices(len(self))
        return self.read(start, max(start, stop))


class _Reader:
    """Items of a file, read forward."""

    def __init__(self, what: str, shape: tuple[int, ...], dtype: Any, opened: Callable[[], IO[bytes]]) -> None:
        self.what, self.shape, self.dtype, self.opened = what, shape, np.dtype(dtype), opened
        self.size = math.prod(shape[1:]) * self.dtype.itemsize  # bytes of an item
        self.file: IO[bytes] | None = None
        self.at = 0  # the item that comes next

    def __call__(self, start: int, stop: int) -> Array:
        try:
            data = self._bytes(start, stop)
        except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
            if isinstance(error, InputError):
                raise
            why = one_line(str(error)).partition("\n")[0]
            raise InputError(f"{self.what}: damaged: {why}; get the file again") from error
        return np.frombuffer(data, self.dtype).reshape(stop - start, *self.shape[1:])

    def _bytes(self, start: int, stop: int) -> bytes:
        if self.file is None or start < self.at:
            self.close()
            self.file, self.at = self.opened(), 0
        for left in range((start - self.at) * self.size, 0, -BLOCK):
            self.file.read(min(BLOCK, left))
        data = self.file.read((stop - start) * self.size)
        self.at = stop
        if len(data) < (stop - start) * self.size or (stop == self.shape[0] and self.file.read(1)):
            raise InputError(
                f"{self.what}: {'ends before' if len(data) < (stop - start) * self.size else 'goes on behind'} the "
                f"last of {self.shape[0]:,} items; expected as many as its header says; get the file again"
            )
        return data

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def __del__(self) -> None:
        self.close()
