"""IDX, the format of MNIST: big-endian sizes, then the bytes, often inside gzip.

The one idea: nothing a header says is believed before the file's own size agrees with it, so a file that
lies costs no memory.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from ..errors import InputError
from .reading import Array

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

DEFLATE = 1032  # bytes that one byte of gzip or zip can become, at most
CHUNK = 1 << 20


def find(folder: Path, name: str) -> Path | None:
    """The file of this name in the folder, gzipped or not; None where there is neither.

    Raises:
        InputError: The folder cannot be looked into.
    """
    try:
        return next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}; expected a folder that can be read") from error


def read(path: Path, rank: int) -> Array:
    """The array in an IDX file of unsigned bytes.

    Args:
        path: The file; gunzipped if its name ends in `.gz`.
        rank: Dimensions that are expected: 3 for images (N, H, W), 1 for labels (N,).

    Returns:
        uint8, in memory, with the shape that the header gives.

    Raises:
        InputError: The file is not of this kind, or holds more or less than its header says.
    """
    head = unpack(path, 4 + 4 * rank)[: 4 + 4 * rank]
    shape = _shape(path, head, rank)
    size = len(head) + math.prod(shape)
    room = path.stat().st_size * (DEFLATE if path.suffix == ".gz" else 1)
    if size > room:
        raise InputError(
            f"{path}: its header says {_by(shape)}, which is {size:,} bytes, and the file holds "
            f"at most {room:,}; expected a header that fits; get the file again"
        )
    data = unpack(path, size)
    if len(data) != size:
        held = f"{len(data):,}" if len(data) < size else "more"
        raise InputError(
            f"{path}: its header says {_by(shape)}, which is {size:,} bytes, and the file holds "
            f"{held}; get the file again"
        )
    return parse(data)


def unpack(path: Path, size: int) -> bytearray:
    """The bytes of a file, those inside where it is gzip: `size` of them, and one more if there are more.

    Raises:
        InputError: The file cannot be read, or its gzip is damaged as far as it was read.
    """
    data = bytearray()
    try:
        with _open(path) as stream:
            while chunk := stream.read(min(CHUNK, size + 1 - len(data))):
                data += chunk
    except EOFError as error:
        raise InputError(f"{path}: damaged, its gzip ends early; get the file again") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: damaged, expected sound gzip: {error}; get the file again") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; expected a file that can be read") from error
    return data


def parse(data: bytearray) -> Array:
    """The array in the bytes of an IDX file that is known to be sound; uint8, shares their memory."""
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape.tolist())


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _shape(path: Path, head: bytearray, rank: int) -> list[int]:
    start = head[:4].hex(" ")
    if len(head) < 4 + 4 * rank:
        raise InputError(f"{path}: ends within its header, after {len(head)} bytes; get the file again")
    if head[:2] != b"\0\0":
        raise InputError(f"{path}: starts with {start}; expected IDX, 00 00 08 {rank:02x}; get the file again")
    if head[2] != 8:
        raise InputError(f"{path}: IDX of type {head[2]:02x}; expected 08, unsigned bytes; convert it")
    if head[3] != rank:
        raise InputError(f"{path}: IDX of rank {head[3]}; expected {rank}; are two files swapped?")
    shape: list[int] = np.frombuffer(head, ">u4", rank, offset=4).tolist()
    if 0 in shape:
        raise InputError(f"{path}: its header says {_by(shape)}; expected at least one item")
    return shape


def _by(shape: list[int]) -> str:
    return " × ".join(str(n) for n in shape)
