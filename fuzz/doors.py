"""The doors through which files of others come in, and what may come out of them.

The one idea: whatever the bytes, the outcome is a sound result or one line that says what is wrong. Fuzzing and
tests/test_doors.py hold the doors to the same promise. Each door takes bytes, and a folder in which to make files
of them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from latentfit.data import files
from latentfit.data import idx as idx_format
from latentfit.data.images import ImageSet
from latentfit.data.reading import Array
from latentfit.errors import InputError
from latentfit.model import Network
from latentfit.sweep import store

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
Result = TypeVar("Result")
Door = Callable[[bytes, Path], Any]


def idx(data: bytes, folder: Path) -> ImageSet | None:
    """The first byte says how the rest is kept, the rest is both image files.

    0 plain, 1 what claims to be gzip, 2 inside sound gzip; plus 4, it is both label files of sound images.
    """
    kept, data = data[:1], data[1:]
    flags = kept[0] if kept else 0
    labels, gzipped = bool(flags & 4), bool(flags & 3)
    suffix = ".gz" if gzipped else ""
    sound = b"\0\0\x08\x03" + bytes([0, 0, 0, 2] * 3) + bytes(8)
    for path in folder.iterdir():
        path.unlink()
    for name in idx_format.NAMES:
        if labels and "images" in name:
            (folder / name).write_bytes(sound)
        elif labels == ("labels" in name):
            (folder / f"{name}{suffix}").write_bytes(gzip.compress(data, 1) if flags & 2 else data)
    return checked(outcome(lambda: files.load(folder)))


def arrays(data: bytes, folder: Path) -> ImageSet | None:
    """The first byte says how the rest is kept: 0 as .npy, 1 as .npz, 2 inside a sound .npz, 3 as its labels."""
    kept, data = data[:1], data[1:]
    flags = kept[0] % 4 if kept else 0
    path = folder / ("a.npz" if flags else "a.npy")
    path.write_bytes(_archive(data, as_labels=flags == 3) if flags >= 2 else data)
    return checked(outcome(lambda: files.load(path)))


def model(data: bytes, folder: Path) -> Network | None:
    """Up to the first NUL it is model.json, whose sha256 is mended where it is there, and then the weights."""
    text, _, weights = data.partition(b"\0")
    (folder / "model.json").write_bytes(_hashed(text, weights))
    (folder / "model.safetensors").write_bytes(weights)
    network = outcome(lambda: store.load_network(folder))
    if network is not None:
        sizes = json.loads((folder / "model.json").read_bytes())["sizes"]
        found = {name: tuple(value.shape) for name, value in network.state_dict().items()}
        assert found == store.tensor_shapes(sizes)
        assert all(str(value.dtype) == "torch.float32" for value in network.state_dict().values())
        assert all(value.isfinite().all() for value in network.state_dict().values())
    return network


def outcome(read: Callable[[], Result]) -> Result | None:
    """What a door gives, or None where it refuses in one line; every other error goes through."""
    try:
        return read()
    except InputError as error:
        told = str(error)
        assert told.isprintable(), ascii(told[:500])
        assert len(told) < 10_000, len(told)
        return None


def checked(images: ImageSet | None) -> ImageSet | None:
    """The same images, if what `ImageSet` promises holds of them."""
    if images is not None:
        for x in (images.x_train, images.x_test):
            _check_pixels(x)
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
    assert x.ndim == 3 or (x.ndim == 4 and x.shape[3] == 3)
    assert x.size > 0
    assert x.dtype in (np.uint8, np.float32)
    if x.dtype == np.float32:
        assert np.isfinite(x).all()
        assert 0 <= x.min() <= x.max() <= 1


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
    """Give a door what libFuzzer makes of the corpora on the command line, with libFuzzer's own flags behind them."""
    import atheris

    folder = ROOT / ".fuzz" / "files" / door.__name__
    folder.mkdir(parents=True, exist_ok=True)
    atheris.Setup(sys.argv, lambda data: door(data, folder) and None)
    atheris.Fuzz()
