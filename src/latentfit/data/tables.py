"""Images as rows of a CSV file, as Kaggle has them: perhaps a header, perhaps a column of labels, and the pixels.

Rows of whole numbers below 1000 are parsed as arrays of bytes, a hundred times faster than as Python's numbers; numpy
reads everything else.
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError
from .reading import Array

LABELS = ("label", "labels", "class", "target", "y", "digit")
BLOCK = 1 << 23  # bytes parsed at once
LONGEST = 1 << 22  # bytes of a first line
COMMA, NEWLINE, ZERO, NINE = b",\n09"


@dataclass(frozen=True)
class Table:
    """Pixels (N, D), labels (N,) or None, and the shape of an image where the header says it."""

    pixels: Array
    labels: Array | None
    shape: tuple[int, ...] | None


def read(path: Path) -> Table:
    """Read a CSV file of pixels.

    Raises:
        InputError: It cannot be read, or its columns are not a label and pixels.
    """
    try:
        with path.open("rb") as file:
            first = file.readline(LONGEST)
            header = [cell.strip().strip('"') for cell in first.decode("utf-8-sig", "replace").strip().split(",")]
            named = not all(_is_number(cell) for cell in header)
            if not named:
                file.seek(0)
            label = _label_column(path, header, named)
            values, labels = _values(path, file, len(header), label)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; expected a file that can be read") from error
    return Table(values, labels, _shape(header if named else [], values.shape[1]))


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _label_column(path: Path, header: list[str], named: bool) -> int | None:
    columns = len(header)
    if columns < 2:
        raise InputError(f"{path}: has {columns} column; expected a row of pixels for each image, separated by commas")
    if not named:
        return 0 if math.isqrt(columns - 1) ** 2 == columns - 1 else None
    found = [i for i, name in enumerate(header) if name.lower() in LABELS]
    others = [name for i, name in enumerate(header) if i not in found and not re.search(r"[0-9]$", name)]
    if len(found) > 1 or others:
        wrong = ", ".join(repr(name) for name in ([header[i] for i in found] if len(found) > 1 else others)[:5])
        raise InputError(
            f"{path}: has columns {wrong}; expected pixels, with a number at the end of each name, and at most one of "
            f"{', '.join(LABELS)}; remove the others"
        )
    return found[0] if found else None


def _values(path: Path, file: BinaryIO, columns: int, label: int | None) -> tuple[Array, Array | None]:
    """Pixels (N, D), and labels (N,) or None."""
    start, parts, rest = file.tell(), [], b""
    while block := file.read(BLOCK):
        block = rest + block
        whole = block.rfind(b"\n") + 1
        block, rest = block[:whole], block[whole:]
        part = _parse(block, columns) if block else np.empty((0, columns), np.uint16)
        if part is None or len(rest) > LONGEST:
            break
        parts.append(part)
    else:
        last = _parse(rest.rstrip() + b"\n", columns) if rest.strip() else np.empty((0, columns), np.uint16)
        if last is not None:
            return _narrowed(np.concatenate([*parts, last]), label, path)
    file.seek(start)
    text = io.TextIOWrapper(file, "utf-8", "replace")
    try:
        return _with_numpy(path, text, columns, label)
    finally:
        text.detach()


def _narrowed(values: Array, label: int | None, path: Path) -> tuple[Array, Array | None]:
    """The same numbers as bytes where all pixels are below 256."""
    if not len(values):
        raise InputError(f"{path}: has no rows; expected one for each image")
    labels = None if label is None else values[:, label].astype(np.int64)
    pixels = values if label is None else np.delete(values, label, axis=1)
    return (pixels.astype(np.uint8) if pixels.max() < 256 else pixels), labels


def _parse(block: bytes, columns: int) -> Array | None:
    """Rows of whole numbers with one to three digits, (n, columns); None if there is anything else."""
    b = np.frombuffer(block.replace(b"\r\n", b"\n"), np.uint8)
    line_ends = b == NEWLINE
    ends = np.flatnonzero(line_ends | (b == COMMA))
    length = np.diff(ends, prepend=-1) - 1
    if len(ends) % columns or length.min() < 1 or length.max() > 3:
        return None
    rows = line_ends[ends].reshape(-1, columns)
    if not rows[:, -1].all() or rows[:, :-1].any() or np.count_nonzero((b >= ZERO) & (b <= NINE)) + len(ends) != len(b):
        return None
    digits = b.astype(np.uint16) - ZERO
    values = digits[ends - 1]
    values += np.where(length > 1, digits[ends - 2], 0).astype(np.uint16) * np.uint16(10)
    values += np.where(length > 2, digits[ends - 3], 0).astype(np.uint16) * np.uint16(100)
    return values.reshape(-1, columns)


def _with_numpy(path: Path, text: io.TextIOWrapper, columns: int, label: int | None) -> tuple[Array, Array | None]:
    """Any numbers, and labels of any kind."""
    labels: list[str] = []

    def note(cell: str) -> float:
        labels.append(cell.strip().strip('"'))
        return 0.0

    try:
        converters: Any = None if label is None else {label: note}
        values = np.loadtxt(iter(text), delimiter=",", ndmin=2, comments=None, converters=converters, encoding="utf-8")
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path}: expected numbers, {columns} a row: {error}; mend or remove these rows") from error
    if values.shape[1] != columns or not len(values):
        raise InputError(f"{path}: has rows of {values.shape[1]} values; expected {columns}; mend the header")
    if label is None:
        return whole_numbers(values), None
    found = np.array([float(cell) for cell in labels]) if all(map(_is_number, labels)) else np.array(labels)
    return whole_numbers(np.delete(values, label, axis=1)), found


def whole_numbers(values: Array) -> Array:
    """Whole numbers as integers, those of a byte as bytes."""
    if not (np.abs(values) < 2**53).all() or (values != np.floor(values)).any():
        return values
    return values.astype(np.uint8 if values.min() >= 0 and values.max() < 256 else np.int64)


def _shape(header: list[str], pixels: int) -> tuple[int, ...] | None:
    """Height and width, from names like `28x28` or a square number of pixels."""
    last = re.fullmatch(r"([0-9]{1,4})x([0-9]{1,4})", header[-1]) if header else None
    if last and int(last[1]) * int(last[2]) == pixels:
        return int(last[1]), int(last[2])
    side = math.isqrt(pixels)
    return (side, side) if side**2 == pixels else None
