"""Arrays in `.npy` and `.npz` files: headers are compared with sizes before memory is taken, nothing is unpickled."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import InputError
from . import idx
from .lazy import Lazy
from .reading import Array
from .roles import by_key

REQUIRED = ("x_train", "x_test")
DAMAGE = (  # errors of zipfile, zlib and numpy; numpy parses a header as Python source
    *(OSError, ValueError, EOFError, RuntimeError, KeyError, zipfile.BadZipFile, zlib.error),
    *(SyntaxError, tokenize.TokenError, MemoryError, TypeError, IndexError, OverflowError),
)
HEADER = 1 << 14  # bytes in which the header of an .npy ends; numpy reads at most 10,000
HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # numpy writes no others; LZMA can take 4 GB at once


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Whatever numpy raises of a damaged file is an InputError."""
    try:
        yield
    except InputError:
        raise
    except DAMAGE as error:
        why = str(error).partition("\n")[0] or "it ends early"
        raise InputError(f"{path}: not a sound {path.suffix} file: {why}; save it again") from error


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays of an `.npz` by the keys of an `ImageSet`; other members are not read."""
    with sound(path), zipfile.ZipFile(path) as archive:
        members = _members(archive)
        names = by_key(members)
        missing = [key for key in REQUIRED if key not in names]
        if missing:
            raise InputError(
                f"{path}: has no {' and no '.join(missing)}; expected x_train and x_test (and y_train, "
                f"y_test), found {', '.join(map(repr, members)) or 'nothing'}; "
                "save it with np.savez(path, x_train=..., x_test=...)"
            )
        return {key: _read_member(path, archive, name) for key, name in names.items()}


def read_one(path: Path) -> Array:
    """The only array of an `.npy` (memory-mapped) or `.npz` file."""
    if path.suffix.lower() == ".npy":
        return map_npy(path)
    with sound(path), zipfile.ZipFile(path) as archive:
        return _read_member(path, archive, _only_name(path, archive))


def _members(archive: zipfile.ZipFile) -> list[str]:
    """Names of the arrays in an `.npz`."""
    return [name.removesuffix(".npy") for name in archive.namelist()]


def _only_name(path: Path, archive: zipfile.ZipFile) -> str:
    names = _members(archive)
    if len(names) != 1:
        found = ", ".join(map(repr, names)) or "nothing"
        raise InputError(f"{path}: has {found}; expected one array; save it with np.savez(path, array)")
    return names[0]


def map_npy(path: Path) -> Array:
    """The array of an `.npy`, memory-mapped."""
    with sound(path):
        with path.open("rb") as stream:
            shape = check_header(str(path), stream, path.stat().st_size)
        if shape[:1] in ((), (0,)):
            raise InputError(f"{path}: holds shape {shape}; expected at least 2 images, one of them for the test")
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        return array


def lazy_npy(path: Path) -> Lazy:
    """The array of an `.npy`, to be read a slice at a time."""
    with sound(path):
        with path.open("rb") as stream:
            check_header(str(path), stream, path.stat().st_size)
        return _lazy(str(path), lambda: path.open("rb"), lambda: map_npy(path))


def lazy_npz(path: Path) -> dict[str, Lazy]:
    """The arrays of an `.npz` to be read a slice at a time, by key; its only array, whatever its name, under `x`."""
    with sound(path), zipfile.ZipFile(path) as archive:
        members = _members(archive)
        names = {"x": members[0]} if len(members) == 1 else {"x": "x"} if "x" in members else by_key(members)
        if not any(key.startswith("x") for key in names):
            found = ", ".join(map(repr, members)) or "nothing"
            raise InputError(f"{path}: has {found}; expected x_train, x_test or one array; save it with np.savez")
        return {key: _lazy_member(path, archive, name) for key, name in names.items()}


def lazy_members(path: Path, wanted: Sequence[str]) -> dict[str, Lazy]:
    """The arrays of an `.npz` with these names, the first of which must be there; otherwise its only one."""
    with sound(path), zipfile.ZipFile(path) as archive:
        members = _members(archive)
        names = {name: name for name in wanted if name in members}
        if wanted[0] not in names:
            names = {wanted[0]: _only_name(path, archive)}
        return {key: _lazy_member(path, archive, name) for key, name in names.items()}


def lazy_one(path: Path) -> Lazy:
    """The only array of an `.npy` or `.npz` file, to be read a slice at a time."""
    if path.suffix.lower() == ".npy":
        return lazy_npy(path)
    with sound(path), zipfile.ZipFile(path) as archive:
        return _lazy_member(path, archive, _only_name(path, archive))


def _lazy_member(path: Path, archive: zipfile.ZipFile, key: str) -> Lazy:
    info = _checked_member(path, archive, key)
    return _lazy(
        f"{key} in {path}",
        lambda: zipfile.ZipFile(path).open(info),  # which the stream keeps open
        lambda: _read_member(path, zipfile.ZipFile(path), key),
    )


def _lazy(what: str, opened: Callable[[], IO[bytes]], loaded: Callable[[], Array]) -> Lazy:
    """An array by its header; one whose numbers go column after column has to be there as a whole."""
    with opened() as stream:
        shape, by_columns, dtype = HEADER_READERS[np.lib.format.read_magic(stream)](stream)
    if not shape or (by_columns and len(shape) > 1):
        return Lazy.of(loaded())

    def behind_header() -> IO[bytes]:
        stream = opened()
        HEADER_READERS[np.lib.format.read_magic(stream)](stream)
        return stream

    return Lazy.stored(what, shape, dtype, behind_header)


def _checked_member(path: Path, archive: zipfile.ZipFile, key: str) -> zipfile.ZipInfo:
    """A member of an `.npz` whose header fits its size."""
    info = archive.getinfo(f"{key}.npy")
    if info.compress_type not in PACKED:
        raise InputError(f"{key} in {path}: not packed as numpy packs; expected deflate or none; save it with np.savez")
    # The directory of a zip can be false as well, but no ratio exceeds that of deflate.
    size = min(info.file_size, path.stat().st_size * idx.DEFLATE)
    with archive.open(info) as stream:
        check_header(f"{key} in {path}", stream, size)
    return info


def _read_member(path: Path, archive: zipfile.ZipFile, key: str) -> Array:
    info = _checked_member(path, archive, key)
    with archive.open(info) as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def check_header(what: str, file: IO[bytes], size: int) -> tuple[int, ...]:
    """Compare the header of an .npy with the size of the file, and return the shape."""
    stream = io.BytesIO(file.read(HEADER))  # a header can claim a length of 4 GB
    version = np.lib.format.read_magic(stream)
    if version not in HEADER_READERS:
        raise ValueError(f"version {version} of the .npy format; expected (1, 0) or (2, 0)")
    shape, _, dtype = HEADER_READERS[version](stream)
    if dtype.hasobject:
        raise InputError(
            f"{what}: holds Python objects, and reading them could run code; expected numbers; "
            "make one array of all images with np.stack and save that"
        )
    claimed = stream.tell() + math.prod(shape) * dtype.itemsize
    if claimed != size:
        raise InputError(
            f"{what}: its header says shape {shape} of {dtype}, which is {claimed:,} bytes, and there are "
            f"{size:,}; save it again"
        )
    return shape
