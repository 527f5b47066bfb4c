"""The doors: functions that read untrusted files, and what they may return.

Whatever the bytes, the outcome is a valid result or an error of one line. Fuzzing and tests/test_doors.py check this
promise. Each door takes bytes, and a folder in which to write them as files.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np
from PIL import Image

from latentfit.data import files, stream
from latentfit.data import idx as idx_format
from latentfit.data.images import ImageSet
from latentfit.data.items import Block
from latentfit.data.preparation import Preparation
from latentfit.data.reading import Array, Reading
from latentfit.errors import InputError
from latentfit.model import Codec, Network
from latentfit.sweep import weights as weight_files

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
Result = TypeVar("Result")
Door = Callable[[bytes, Path], Any]


def idx(data: bytes, folder: Path) -> ImageSet | None:
    """Read IDX files. The first byte is a flag, the rest is the content of both image files.

    0: plain; 1: named as gzip; 2: gzipped; plus 4: the content of both label files of valid images.
    """
    flags, data = data[0] if data else 0, data[1:]
    labels, gzipped = bool(flags & 4), bool(flags & 3)
    suffix = ".gz" if gzipped else ""
    valid = b"\0\0\x08\x03" + bytes([0, 0, 0, 2] * 3) + bytes(8)
    for path in folder.iterdir():
        path.unlink()
    for name in idx_format.NAMES:
        if labels and "images" in name:
            (folder / name).write_bytes(valid)
        elif labels == ("labels" in name):
            (folder / f"{name}{suffix}").write_bytes(gzip.compress(data, 1) if flags & 2 else data)
    return checked(outcome(lambda: files.load(folder)))


def arrays(data: bytes, folder: Path) -> ImageSet | None:
    """Read an array file. The first byte is a flag: 0 .npy, 1 .npz, 2 images in a valid .npz, 3 labels in one."""
    flags, data = data[0] % 4 if data else 0, data[1:]
    path = folder / ("a.npz" if flags else "a.npy")
    path.write_bytes(_archive(data, as_labels=flags == 3) if flags >= 2 else data)
    return checked(outcome(lambda: files.load(path)))


def tables(data: bytes, folder: Path) -> ImageSet | None:
    """Read a CSV file. The first byte is a flag: 1 for fractions scaled by one number, 2 for groups in column `a`."""
    flags, data = data[0] if data else 0, data[1:]
    path = folder / "a.csv"
    path.write_bytes(data)
    requested = Reading.requested(scale="none" if flags & 1 else None, group="a" if flags & 2 else None)
    images = checked(outcome(lambda: files.load(path, requested)))
    if images is not None and images.is_rows:
        assert len(images.columns or ()) == images.pixels
        seen = outcome(lambda: images.seen)  # one door: rows that are all alike are refused here
        assert seen is None or np.isfinite(seen.x_train).all()
    return images


def items(data: bytes, folder: Path) -> list[Block] | None:
    """Read new data for a network a block at a time. The first byte is a flag, the rest the content of a file.

    0: an .npy of images of 2 × 2; 1: an .npz; 2: a CSV with columns `a` and `b`.
    """
    flag, data = data[0] % 3 if data else 0, data[1:]
    path = folder / ("new.npy", "new.npz", "new.csv")[flag]
    path.write_bytes(data)
    wanted = Preparation((2,), "float32", columns=("a", "b")) if flag == 2 else Preparation((2, 2), "uint8")
    blocks = outcome(lambda: [*stream(path, wanted).blocks(3)])
    for block in blocks or ():
        assert 0 < len(block.x) <= 3
        assert block.x.shape[1:] == wanted.image_shape
        assert {len(block.names), len(block.splits), len(block.labels)} == {len(block.x)}
        _check_pixels(block.x)
    return blocks


def pictures(data: bytes, folder: Path) -> ImageSet | None:
    """Read a folder of pictures. The first byte is a flag, the rest is the content of a file beside a valid one.

    The file ends in .png, plus 1: in nothing; plus 2: pictures are resized; plus 4: what cannot be read is skipped.
    """
    flags, data = data[0] if data else 0, data[1:]
    inside = folder / "pictures"
    inside.mkdir(exist_ok=True)
    for path in inside.iterdir():
        path.unlink()
    for name in ("1.png", "2.png"):
        (inside / name).write_bytes(PICTURE)
    (inside / ("3" if flags & 1 else "3.png")).write_bytes(data)
    requested = Reading.requested(resize=(4, 3) if flags & 2 else None, skip_bad=bool(flags & 4))
    with patch.dict(os.environ, LATENTFIT_CACHE_DIR=str(folder / "cache")):
        images = checked(outcome(lambda: files.load(inside, requested)))
    if images is not None:
        assert images.x_train.dtype == np.uint8
        assert len(images.x_train) + len(images.x_test) in (2, 3)
    return images


def _picture() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).save(stream, "PNG")
    return stream.getvalue()


PICTURE = _picture()  # a valid PNG of 3 × 2 pixels


def model(data: bytes, folder: Path) -> Codec | None:
    """Read a model: model.json (whose sha256 is corrected) up to the first NUL, then the weights."""
    text, _, weights = data.partition(b"\0")
    (folder / "model.json").write_bytes(_hashed(text, weights))
    (folder / "model.safetensors").write_bytes(weights)
    network = outcome(lambda: weight_files.load_network(folder))
    if network is not None:
        assert isinstance(network, Network)
        spec = json.loads((folder / "model.json").read_bytes())
        found = {name: tuple(value.shape) for name, value in network.state_dict().items()}
        assert found == weight_files.tensor_shapes(spec["sizes"], spec.get("linear", False))
        assert all(str(value.dtype) == "torch.float32" for value in network.state_dict().values())
        assert all(value.isfinite().all() for value in network.state_dict().values())
    return network


def outcome(read: Callable[[], Result]) -> Result | None:
    """The result, or None for an InputError of one line, and one for each rejected file; other errors are raised."""
    try:
        return read()
    except InputError as error:
        message, *details = str(error).split("\n")
        assert message.isprintable(), ascii(message[:500])
        assert all(line.isprintable() for line in details), ascii(details)
        assert len(message) < 10_000, len(message)
        return None


def checked(images: ImageSet | None) -> ImageSet | None:
    """The same images, after a check of everything that `ImageSet` promises."""
    if images is not None:
        for x in (images.x_train, images.x_test, *([] if images.x_val is None else [images.x_val])):
            _check_pixels(x)
            assert x.shape[1:] == images.image_shape
        assert images.x_train.shape[1:] == images.x_test.shape[1:] == images.image_shape
        assert images.x_train.dtype == images.x_test.dtype
        for x, y in ((images.x_train, images.y_train), (images.x_test, images.y_test)):
            assert (y is None) == (images.classes is None)
            if y is not None:
                assert y.shape == (len(x),)
                assert y.dtype.kind in "iu"
                assert 0 <= y.min() <= y.max() < len(images.classes or ())
    return images


def _check_pixels(x: Array) -> None:
    assert x.ndim in (2, 3) or (x.ndim == 4 and x.shape[3] == 3)
    assert x.size > 0
    assert x.dtype in (np.uint8, np.float32)
    if x.dtype == np.float32:
        assert np.isfinite(x).all()
        assert x.ndim == 2 or 0 <= x.min() <= x.max() <= 1


def _archive(data: bytes, as_labels: bool) -> bytes:
    archive, image = io.BytesIO(), io.BytesIO()
    np.save(image, np.zeros((2, 2, 2), np.uint8))
    with zipfile.ZipFile(archive, "w") as members:
        for name in ("x_train.npy", "x_test.npy"):
            members.writestr(name, image.getvalue() if as_labels else data)
        for name in ("y_train.npy", "y_test.npy") if as_labels else ():
            members.writestr(name, data)
    return archive.getvalue()


def _hashed(text: bytes, weights: bytes) -> bytes:
    try:
        spec = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(spec, dict) or "sha256" not in spec:
        return text
    try:
        return json.dumps(spec | {"sha256": hashlib.sha256(weights).hexdigest()}).encode()
    except RecursionError:
        return text


def fuzz(door: Door) -> None:
    """Fuzz a door with libFuzzer; the command line has the corpora and libFuzzer's flags."""
    import atheris

    folder = ROOT / ".fuzz" / "files" / door.__name__
    folder.mkdir(parents=True, exist_ok=True)
    atheris.Setup(sys.argv, lambda data: door(data, folder) and None)
    atheris.Fuzz()
