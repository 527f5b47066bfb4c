"""Images from the user's own file or folder: `.npz`, `.npy`, or IDX under MNIST's names.

The header of a file is compared with its size before the file is read, and nothing is ever unpickled. Every fault is
an error of one line that says what to do.
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
from . import idx, pictures
from .decoding import NAMED
from .images import ImageSet
from .reading import DEFAULT, Array, Reading, choose_test_images, find_range, scale

KEYS = ("x_train", "y_train", "x_test", "y_test")  # in the order of idx.NAMES
REQUIRED = ("x_train", "x_test")
OPTIONAL = ("x_val",)  # of an .npz
IDX_NAMES = f"MNIST's names ({', '.join(idx.NAMES)}; gzipped or not)"
ALLOWED = (
    "an .npz with x_train and x_test (and y_train, y_test, x_val), an .npy with images (N, H, W), "
    f"a folder of pictures ({NAMED}; train/ and test/, and a folder a class, as far as there are), "
    f"or a folder of IDX files under {IDX_NAMES}"
)
DAMAGE = (  # errors of zipfile, zlib and numpy; numpy parses a header as Python source
    *(OSError, ValueError, EOFError, RuntimeError, KeyError, zipfile.BadZipFile, zlib.error),
    *(SyntaxError, tokenize.TokenError, MemoryError, TypeError, IndexError, OverflowError),
)
HEADER = 1 << 14  # bytes in which the header of an .npy ends; numpy reads at most 10,000
HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
OPTION_FAULTS = {
    "test_share": "has test images of its own; expected an .npy or a folder of pictures without",
    "resize": "holds arrays, which keep their size; expected a folder of pictures",
    "skip_bad": "holds arrays, which are read whole; expected a folder of pictures",
}
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # numpy writes no others; LZMA can take 4 GB at once


def load(path: Path, requested: Reading = DEFAULT) -> ImageSet:
    """Load images from a file or a folder, by whose name the set is called.

    An `.npz` has `x_train`, `x_test` and perhaps labels `y_train`, `y_test` and held-out images `x_val`. An `.npy` has
    one array, of which `choose_test_images` takes the test images. A folder has IDX files under MNIST's four names;
    labels are optional.

    Images are (N, H, W), (N, H, W, 1) or (N, H, W, 3): uint8; floats in [0, 1], which become float32; 0 and 1 of any
    type, which become bytes of 0 and 255; or of the requested range. Everything else raises an InputError.
    """
    is_folder, suffix = path.is_dir(), path.suffix.lower()
    if not is_folder and not path.is_file():  # a pipe may never end
        raise InputError(f"{path}: no such file or folder; expected {ALLOWED}")
    if not is_folder and suffix not in (".npz", ".npy"):
        raise InputError(f"{path}: cannot read a {path.suffix or 'file without a suffix'}; expected {ALLOWED}")
    if is_folder:
        return _load_folder(path, requested)
    _refuse(path, requested, "value_range", *(["test_share"] if suffix == ".npy" else []))
    try:
        with warnings.catch_warnings(action="ignore"):  # numpy and Python warn about odd headers
            return _load_npz(path, requested) if suffix == ".npz" else _load_npy(path, requested)
    except InputError:
        raise
    except DAMAGE as error:
        why = str(error).partition("\n")[0] or "it ends early"
        raise InputError(f"{path}: not a sound {path.suffix} file: {why}; save it again") from error


def _refuse(path: Path, requested: Reading, *taken: str) -> None:
    """Refuse options that mean nothing for this source."""
    for field, flag in requested.flag_by_field.items():
        if field not in taken:
            raise InputError(f"{path}: {OPTION_FAULTS[field]} with {flag}; leave it out")


def _load_folder(path: Path, requested: Reading) -> ImageSet:
    if not any(idx.find(path, name) for name in idx.NAMES) and (pictured := pictures.load(path, requested)):
        return pictured
    _refuse(path, requested, "value_range")
    paths = {name: idx.find(path, name) for name in idx.NAMES}
    missing = [name for name in idx.NAMES if "images" in name and paths[name] is None]
    if missing:
        raise InputError(
            f"{path}: has no {' and no '.join(missing)}, and no pictures; expected a folder of pictures ({NAMED}), "
            f"or of IDX files under {IDX_NAMES}"
        )
    files = {key: file for key, file in zip(KEYS, paths.values(), strict=True) if file}
    arrays = {key: idx.read(file, 3 if key in REQUIRED else 1) for key, file in files.items()}
    titles = {"x_train": f"training images in {path}", "x_test": f"test images in {path}"}
    return _make_set(path.resolve().name or str(path), titles, arrays, requested)


def _load_npz(path: Path, requested: Reading) -> ImageSet:
    with zipfile.ZipFile(path) as archive:
        members = [name.removesuffix(".npy") for name in archive.namelist()]
        missing = [key for key in REQUIRED if key not in members]
        if missing:
            raise InputError(
                f"{path}: has no {' and no '.join(missing)}; expected x_train and x_test (and y_train, "
                f"y_test), found {', '.join(map(repr, members)) or 'nothing'}; "
                "save it with np.savez(path, x_train=..., x_test=...)"
            )
        arrays = {key: _read_member(path, archive, key) for key in (*KEYS, *OPTIONAL) if key in members}
    titles = {key: f"{key} in {path}" for key in (*REQUIRED, *OPTIONAL) if key in arrays}
    return _make_set(path.resolve().stem, titles, arrays, requested)


def _make_set(name: str, titles: dict[str, str], arrays: dict[str, Array], requested: Reading) -> ImageSet:
    """The set of these arrays; `titles` has what errors call those that are pixels."""
    top, recorded = find_range({title: arrays[key] for key, title in titles.items()}, requested.value_range)
    pixels = {key: scale(arrays[key], top) for key in titles}
    given: dict[str, Any] = arrays | pixels
    return ImageSet(name, **given, reading=Reading(recorded))


def _read_member(path: Path, archive: zipfile.ZipFile, key: str) -> Array:
    info = archive.getinfo(f"{key}.npy")
    if info.compress_type not in PACKED:
        raise InputError(f"{key} in {path}: not packed as numpy packs; expected deflate or none; save it with np.savez")
    # The directory of a zip can be false as well, but no ratio exceeds that of deflate.
    size = min(info.file_size, path.stat().st_size * idx.DEFLATE)
    with archive.open(info) as stream:
        _check_header(f"{key} in {path}", stream, size)
    with archive.open(info) as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _load_npy(path: Path, requested: Reading) -> ImageSet:
    with path.open("rb") as stream:
        shape = _check_header(str(path), stream, path.stat().st_size)
    if shape[:1] in ((), (0,), (1,)):
        raise InputError(f"{path}: holds shape {shape}; expected at least 2 images, one of them for the test")
    x = np.load(path, mmap_mode="r", allow_pickle=False)
    top, recorded = find_range({str(path): x}, requested.value_range)
    drawn = requested.test_share is not None
    reading = Reading(recorded, "drawn" if drawn else "tenth", requested.test_share)
    test = choose_test_images(len(x), reading)
    x_test = x[test] if drawn or len(x) < 10 else x[9::10]  # a slice needs no copy
    return ImageSet(path.resolve().stem, scale(x[~test], top), scale(x_test, top), reading=reading)


def _check_header(what: str, file: IO[bytes], size: int) -> tuple[int, ...]:
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
