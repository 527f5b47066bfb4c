"""Images from a file or a folder of the user's own: `.npz`, `.npy`, or IDX under MNIST's names.

The one idea: a file is looked at before it is read. Its header must agree with its size, nothing in it is
ever unpickled, and whatever is wrong becomes one line that says how to put it right.
"""

from __future__ import annotations

import io
import math
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import InputError
from . import idx
from .images import ImageSet
from .reading import AS_IT_IS, Array, Reading, chosen_for_test, scaled, settle

KEYS = ("x_train", "x_test", "y_train", "y_test")
ALLOWED = (
    "an .npz with x_train and x_test (and y_train, y_test), an .npy with images (N, H, W), "
    f"or a folder of IDX files under MNIST's names ({', '.join(idx.NAMES)}; gzipped or not)"
)
# What zipfile, zlib and numpy raise for a file that is not what its name says.
DAMAGE = (
    *(OSError, ValueError, EOFError, RuntimeError, KeyError, zipfile.BadZipFile, zlib.error),
    # numpy reads a header as Python source, and makes types and sizes of whatever is there
    *(SyntaxError, tokenize.TokenError, MemoryError, TypeError, IndexError, OverflowError),
)
HEADER = 1 << 14  # bytes before the numbers of an .npy file; numpy reads no header of more than 10,000
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what numpy writes; LZMA may ask for 4 GB before the first byte


def load(path: Path, asked: Reading = AS_IT_IS) -> ImageSet:
    """Load images from a file or a folder.

    An `.npz` has `x_train`, `x_test` and, if there are labels, `y_train` and `y_test`. An `.npy` is one
    array and names no test images, so every tenth (index 9, 19, ...) is a test image; of fewer than ten,
    the last; or a share that is asked for, drawn at random. A folder has IDX files under MNIST's four names;
    the labels may be missing.

    Args:
        path: Images inside are (N, H, W), (N, H, W, 1) or (N, H, W, 3): uint8, or floats in [0, 1],
            which become float32; or 0 and 1 alone, as any type, which become bytes of 0 and 255.
        asked: The range of the pixel values and the share of test images where these were asked for.

    Returns:
        The set, named after the file or folder.

    Raises:
        InputError: There is nothing at this path, or it is not of these kinds, or it is damaged.
    """
    if path.is_dir():
        return _folder(path, asked)
    if not path.is_file():  # a pipe may never end
        raise InputError(f"{path}: no such file or folder; expected {ALLOWED}")
    if path.suffix.lower() not in (".npz", ".npy"):
        raise InputError(f"{path}: cannot read a {path.suffix or 'file without a suffix'}; expected {ALLOWED}")
    try:
        with warnings.catch_warnings(action="ignore"):  # numpy's and Python's, of what a header says
            return _npz(path, asked) if path.suffix.lower() == ".npz" else _npy(path, asked)
    except InputError:
        raise
    except DAMAGE as error:
        why = str(error).partition("\n")[0] or "it ends early"
        raise InputError(f"{path}: not a sound {path.suffix} file: {why}; save it again") from error


def _folder(path: Path, asked: Reading) -> ImageSet:
    _refuse_share(path, asked)
    found = {name: idx.find(path, name) for name in idx.NAMES}
    missing = [name for name in idx.NAMES if "images" in name and found[name] is None]
    if missing:
        raise InputError(
            f"{path}: has no {' and no '.join(missing)}; expected a folder of IDX files under "
            f"MNIST's names ({', '.join(idx.NAMES)}; gzipped or not)"
        )
    x_train, y_train, x_test, y_test = (
        None if file is None else idx.read(file, 3 if "images" in name else 1) for name, file in found.items()
    )
    assert x_train is not None
    assert x_test is not None
    kept = {f"{split} images in {path}": x for split, x in (("training", x_train), ("test", x_test))}
    return _set(path.resolve().name or str(path), kept, (y_train, y_test), asked)


def _npz(path: Path, asked: Reading) -> ImageSet:
    _refuse_share(path, asked)
    with zipfile.ZipFile(path) as archive:
        held = [name.removesuffix(".npy") for name in archive.namelist()]
        missing = [key for key in KEYS[:2] if key not in held]
        if missing:
            raise InputError(
                f"{path}: has no {' and no '.join(missing)}; expected x_train and x_test (and y_train, "
                f"y_test), found {', '.join(map(repr, held)) or 'nothing'}; "
                "save it with np.savez(path, x_train=..., x_test=...)"
            )
        arrays = {key: _member(path, archive, key) for key in KEYS if key in held}
    kept = {f"{key} in {path}": arrays[key] for key in KEYS[:2]}
    return _set(path.resolve().stem, kept, (arrays.get("y_train"), arrays.get("y_test")), asked)


def _set(name: str, kept: dict[str, Array], labels: tuple[Array | None, Array | None], asked: Reading) -> ImageSet:
    top, recorded = settle(kept, asked.value_range)
    x_train, x_test = (scaled(x, top) for x in kept.values())
    return ImageSet(name, x_train, x_test, *labels, reading=Reading(recorded))


def _refuse_share(path: Path, asked: Reading) -> None:
    if asked.test_share is not None:
        raise InputError(
            f"{path}: has test images of its own; expected an .npy, one array of images, with --test; leave it out"
        )


def _member(path: Path, archive: zipfile.ZipFile, key: str) -> Array:
    info = archive.getinfo(f"{key}.npy")
    if info.compress_type not in PACKED:
        raise InputError(f"{key} in {path}: not packed as numpy packs; expected deflate or none; save it with np.savez")
    # The directory of a zip can lie as well as the header, but neither can beat deflate.
    size = min(info.file_size, path.stat().st_size * idx.DEFLATE)
    with archive.open(info) as stream:
        _check_header(f"{key} in {path}", stream, size)
    with archive.open(info) as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def _npy(path: Path, asked: Reading) -> ImageSet:
    with path.open("rb") as stream:
        shape = _check_header(str(path), stream, path.stat().st_size)
    if shape[:1] in ((), (0,), (1,)):
        raise InputError(f"{path}: holds shape {shape}; expected at least 2 images, one of them for the test")
    x = np.load(path, mmap_mode="r", allow_pickle=False)
    top, recorded = settle({str(path): x}, asked.value_range)
    drawn = asked.test_share is not None
    reading = Reading(recorded, "drawn" if drawn else "tenth", asked.test_share)
    test = chosen_for_test(len(x), reading)
    x_test = x[test] if drawn or len(x) < 10 else x[9::10]  # which needs no copy
    return ImageSet(path.resolve().stem, scaled(x[~test], top), scaled(x_test, top), reading=reading)


def _check_header(what: str, file: IO[bytes], size: int) -> tuple[int, ...]:
    stream = io.BytesIO(file.read(HEADER))  # so that a header that claims 4 GB of itself gets none
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the .npy format; expected (1, 0) or (2, 0)")
    old = version == (1, 0)
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = (
        np.lib.format.read_array_header_1_0(stream) if old else np.lib.format.read_array_header_2_0(stream)
    )
    shape, _, dtype = header
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
