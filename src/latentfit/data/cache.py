"""The user's cache, and pictures kept there: decoded once, and memory-mapped ever after.

What was decoded from a folder is a folder of two files, `pixels` and `index.json`. It gets its name when it is whole,
so that several processes may write it at once, and is checked by length and CRC whenever it is opened.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import socket
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from ..errors import InputError

Array = NDArray[Any]
VERSION = 1  # of the format, and of how pictures are decoded
PART = ".part-"
BLOCK = 1 << 24  # bytes checked at once


def cache_folder() -> Path:
    """`$LATENTFIT_CACHE_DIR`, or the user's cache."""
    root = os.environ.get("LATENTFIT_CACHE_DIR")
    return Path(root).expanduser() if root else user_cache_path("latentfit")


@dataclass(frozen=True)
class Index:
    """What is known of decoded pictures beside their pixels."""

    shape: tuple[int, ...]  # (N, H, W) or (N, H, W, 3)
    crc: int
    rejected: dict[str, str]  # file: reason
    steps: dict[str, int]  # number of pictures by decoding.STEPS


class Writer:
    """Pictures as they come, into one file: grey, until the first one in colour."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "unordered"
        self.file = self.path.open("w+b")
        self.count = 0
        self.shape: tuple[int, ...] = ()
        self.steps: Counter[str] = Counter()

    def add(self, picture: Array) -> None:
        """Append a picture, (H, W) or (H, W, 3), of the same height and width as the others."""
        if picture.ndim == 3 and len(self.shape) == 2:
            self._colour()
        if picture.ndim == 2 and len(self.shape) == 3:
            picture = np.repeat(picture[..., None], 3, axis=-1)
        self.shape = picture.shape
        self.file.write(picture.tobytes())
        self.count += 1

    def _colour(self) -> None:
        """Write the grey pictures again, in three equal channels."""
        grey, self.file = self.file, self.path.with_suffix(".colour").open("w+b")
        grey.seek(0)
        with grey:
            while block := grey.read(BLOCK):
                self.file.write(np.repeat(np.frombuffer(block, np.uint8), 3).tobytes())
        self.path.with_suffix(".colour").replace(self.path)

    def finish(self, order: Sequence[int]) -> int:
        """Write the pictures in this order into `pixels`, on the disk, and return the CRC."""
        self.file.close()
        pixels, crc = np.memmap(self.path, np.uint8, "r", shape=(self.count, *self.shape)), 0
        step = max(1, BLOCK // math.prod(self.shape))
        with self.path.with_name("pixels").open("wb") as file:
            for start in range(0, self.count, step):
                block = pixels[list(order[start : start + step])].tobytes()
                file.write(block)
                crc = zlib.crc32(block, crc)
            file.flush()
            os.fsync(file.fileno())
        self.path.unlink()
        return crc


def key(value: Any) -> str:
    """A short name for a JSON value."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]


def opened(entry: Path) -> tuple[Array, Index] | None:
    """The pixels and the index of an entry; None if it is not there or not whole."""
    try:
        text, _, check = (entry / "index.json").read_text().rpartition("\n")
        if int(check) != zlib.crc32(text.encode()):
            return None
        index = Index(**json.loads(text))
        size = int(np.prod(index.shape))
        if len(index.shape) not in (3, 4) or size <= 0 or (entry / "pixels").stat().st_size != size:
            return None
        pixels = np.memmap(entry / "pixels", np.uint8, "r", shape=tuple(index.shape))
        crc, flat = 0, pixels.reshape(-1)
        for start in range(0, size, BLOCK):
            crc = zlib.crc32(flat[start : start + BLOCK].data, crc)
        return (pixels, index) if crc == index.crc else None
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        return None


def opened_or_made(entry: Path, fill: Callable[[Writer], tuple[Sequence[int], dict[str, str]]]) -> tuple[Array, Index]:
    """The pixels and the index of an entry, which is made if it is not there or not whole.

    Args:
        entry: Its folder. Other entries beside it are older and removed.
        fill: Adds all pictures to a writer, and returns the order to keep them in, and those that were rejected, with
            reasons.
    """
    if found := opened(entry):
        return found
    with _writing(entry.parent) as folder:
        writer = Writer(folder)
        try:
            order, rejected = fill(writer)
            crc = writer.finish(order)
        finally:
            writer.file.close()
        index = Index((writer.count, *writer.shape), crc, rejected, dict(writer.steps))
        text = json.dumps(asdict(index))
        (folder / "index.json").write_text(f"{text}\n{zlib.crc32(text.encode())}")
        _put(folder, entry)
    found = opened(entry)
    if found is None:
        raise InputError(
            f"the cache folder {entry} was damaged while it was written; expected it whole; run the command again"
        )
    return found


@contextmanager
def _writing(parent: Path) -> Iterator[Path]:
    """A temporary folder, removed at the end if it is still there."""
    folder = temporary(parent)
    try:
        yield folder
    except OSError as error:
        raise _unwritable(error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def temporary(parent: Path) -> Path:
    """A new temporary folder of this process below another, where those of processes that have ended are removed.

    Raises:
        InputError: It cannot be made.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(parent)
        return Path(tempfile.mkdtemp(dir=parent, prefix=f"{PART}{socket.gethostname()}-{os.getpid()}-"))
    except OSError as error:
        raise _unwritable(error) from error


def _unwritable(error: OSError) -> InputError:
    return InputError(
        f"cannot write to the cache folder {cache_folder()}: {error.strerror or error}; "
        "name one that can be written, with room, in LATENTFIT_CACHE_DIR"
    )


def _put(folder: Path, entry: Path) -> None:
    """Give a whole entry its name; one that another process made meanwhile is as good."""
    for _ in range(3):
        with suppress(OSError):
            folder.rename(entry)
            break
        if opened(entry):
            break
        _remove(entry)
    for other in entry.parent.iterdir():
        if other != entry and not other.name.startswith(PART):
            _remove(other)


def _remove(entry: Path) -> None:
    """Remove an entry; it loses its name first, so that nobody sees a part of it."""
    with suppress(OSError):
        gone = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f"{PART}{socket.gethostname()}-{os.getpid()}-"))
        entry.rename(gone / "entry")
        shutil.rmtree(gone, ignore_errors=True)


def _remove_left_behind(parent: Path) -> None:
    """Remove what processes of this machine that no longer live had begun."""
    for part in parent.glob(f"{PART}{socket.gethostname()}-*"):
        with suppress(ValueError, PermissionError):  # a process of another user lives
            try:
                os.kill(int(part.name.split("-")[-2]), 0)
            except ProcessLookupError:
                shutil.rmtree(part, ignore_errors=True)
