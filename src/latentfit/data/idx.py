"""IDX, the format of MNIST: big-endian sizes, then the bytes, often inside gzip.

A header is compared with the size of its file before memory is taken, so that a false header costs none.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .lazy import Lazy
from .reading import Array, shape_text

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
DEFLATE = 1032  # highest compression ratio of gzip and zip


def find(folder: Path, name: str) -> Path | None:
    """The path of the file with this name, gzipped or not; None if there is neither."""
    try:
        return next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}; expected a folder that can be read") from error


def read(path: Path, rank: int) -> Array:
    """Read an IDX file of unsigned bytes, gzipped if its name ends in `.gz`: uint8, in memory.

    Its number of dimensions must be `rank`: 3 for images (N, H, W), 1 for labels (N,).
    """
    shape = _checked_shape(path, rank)
    size = 4 + 4 * rank + math.prod(shape)
    data = unpack(path, size)
    if len(data) != size:
        raise InputError(f"{_claim(path, shape)}{f'{len(data):,}' if len(data) < size else 'more'}; get the file again")
    return parse(data)


def lazy(path: Path, rank: int) -> Lazy:
    """The array of an IDX file, to be read a slice at a time; see `read`."""
    shape = _checked_shape(path, rank)

    def opened() -> Any:
        file: Any = (gzip.open if path.suffix == ".gz" else Path.open)(path, "rb")
        file.read(4 + 4 * rank)
        return file

    return Lazy.stored(str(path), shape, np.uint8, opened)


def _checked_shape(path: Path, rank: int) -> tuple[int, ...]:
    """The shape in the header of a file, which has room for as much."""
    head = unpack(path, 4 + 4 * rank)[: 4 + 4 * rank]
    shape = _read_shape(path, head, rank)
    size, room = len(head) + math.prod(shape), path.stat().st_size * (DEFLATE if path.suffix == ".gz" else 1)
    if size > room:
        raise InputError(f"{_claim(path, shape)}at most {room:,}; expected a header that fits; get the file again")
    return shape


def _claim(path: Path, shape: tuple[int, ...]) -> str:
    size = 4 + 4 * len(shape) + math.prod(shape)
    return f"{path}: its header says {shape_text(shape)}, which is {size:,} bytes, and the file holds "


def unpack(path: Path, size: int) -> bytearray:
    """Read `size` bytes of a file, or of the content of a gzip file, and one more if there are more."""
    data = bytearray()
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            while chunk := stream.read(min(1 << 20, size + 1 - len(data))):
                data += chunk
    except EOFError as error:
        raise InputError(f"{path}: damaged, its gzip ends early; get the file again") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: damaged, expected sound gzip: {error}; get the file again") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; expected a file that can be read") from error
    return data


def parse(data: bytearray) -> Array:
    """The array in the bytes of a valid IDX file: uint8, shares their memory."""
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape.tolist())


def _read_shape(path: Path, head: bytearray, rank: int) -> tuple[int, ...]:
    if len(head) < 4 + 4 * rank:
        raise InputError(f"{path}: ends within its header, after {len(head)} bytes; get the file again")
    if head[:2] != b"\0\0":
        start = head[:4].hex(" ")
        raise InputError(f"{path}: starts with {start}; expected IDX, 00 00 08 {rank:02x}; get the file again")
    if head[2] != 8:
        raise InputError(f"{path}: IDX of type {head[2]:02x}; expected 08, unsigned bytes; convert it")
    if head[3] != rank:
        raise InputError(f"{path}: IDX of rank {head[3]}; expected {rank}; are two files swapped?")
    shape = tuple(np.frombuffer(head, ">u4", rank, offset=4).tolist())
    if 0 in shape:
        raise InputError(f"{path}: its header says {shape_text(shape)}; expected at least one item")
    return shape
