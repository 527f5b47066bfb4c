"""CSV as numbers: which cells are none is said by column.

Rows of whole numbers below 1000 are parsed as arrays of bytes, a hundred times faster than as Python's numbers; numpy
reads everything else. N rows, D columns of numbers.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError
from ..formatting import plural
from .reading import Array, whole_numbers

MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "?"}
BLOCK = 1 << 23  # bytes parsed at once
LONGEST = 1 << 22  # bytes of a line
NAMED = 5  # columns that an error names
COMMA, NEWLINE, ZERO, NINE = b",\n09"


def read_values(
    path: Path, file: BinaryIO, columns: Sequence[str], apart: Sequence[int], mark: str
) -> tuple[Array, dict[int, list[str]]]:
    """Numbers (N, D) of a CSV file from where it is, and the cells of the columns that stand apart, by their index.

    Args:
        path: For errors.
        file: Behind the header.
        columns: Names of all columns.
        apart: Indices of those whose cells may be text.
        mark: What separates the cells.

    Raises:
        InputError: A row has another number of cells, a cell is text or missing, or there is no row.
    """
    start, parts, rest = file.tell(), [], b""
    while mark == "," and (block := file.read(BLOCK)):
        block = rest + block
        whole = block.rfind(b"\n") + 1
        block, rest = block[:whole], block[whole:]
        part = _parse(block, len(columns)) if block else np.empty((0, len(columns)), np.uint16)
        if part is None or len(rest) > LONGEST:
            break
        parts.append(part)
    else:
        last = _parse(rest.rstrip() + b"\n", len(columns)) if rest.strip() else np.empty((0, len(columns)), np.uint16)
        if last is not None and mark == ",":
            return _narrowed(np.concatenate([*parts, last]), apart, path)
    file.seek(start)
    text = io.TextIOWrapper(file, "utf-8", "replace")
    try:
        return _with_numpy(path, text, columns, apart, mark)
    finally:
        text.detach()


def read_parts(
    path: Path, file: BinaryIO, columns: Sequence[str], apart: Sequence[int], mark: str
) -> Iterator[tuple[Array, dict[int, list[str]]]]:
    """What `read_values` gives, some rows at a time; a fault is told as of the whole file."""
    start, rest = file.tell(), b""
    while block := file.read(BLOCK):
        block = rest + block
        whole = block.rfind(b"\n") + 1
        if block.count(b'"', 0, whole) % 2 or not block[:whole].strip():  # within a cell of several lines; nothing
            rest = block
            continue
        rest = block[whole:]
        try:
            yield read_values(path, io.BytesIO(block[:whole]), columns, apart, mark)
        except InputError:
            file.seek(start)
            read_values(path, file, columns, apart, mark)
            raise
    if rest.strip() or file.tell() == start:  # of which the second is an error
        yield read_values(path, io.BytesIO(rest), columns, apart, mark)


def _narrowed(values: Array, apart: Sequence[int], path: Path) -> tuple[Array, dict[int, list[str]]]:
    """The same numbers as bytes where all are below 256."""
    if not len(values):
        raise InputError(f"{path}: has no rows; expected one for each item")
    others = {i: [*map(str, values[:, i].tolist())] for i in apart}
    numbers = np.delete(values, apart, axis=1)
    return (numbers.astype(np.uint8) if numbers.max(initial=0) < 256 else numbers), others


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


def _with_numpy(
    path: Path, text: io.TextIOWrapper, columns: Sequence[str], apart: Sequence[int], mark: str
) -> tuple[Array, dict[int, list[str]]]:
    """Any numbers, and cells of any kind in the columns that have another role."""
    others: dict[int, list[str]] = {i: [] for i in apart}

    def noting(i: int) -> Any:
        def note(cell: str) -> float:
            others[i].append(cell.strip())
            return 0.0

        return note

    start = text.tell() if text.seekable() else 0
    converters: Any = {i: noting(i) for i in apart}
    look: Any = {"delimiter": mark, "ndmin": 2, "comments": None, "encoding": "utf-8", "quotechar": '"'}
    try:
        values = np.loadtxt(iter(text), converters=converters, **look)
    except (ValueError, OverflowError) as error:
        text.seek(start)
        raise _fault(path, csv.reader(text, delimiter=mark), columns, apart, str(error)) from error
    if not len(values):
        raise InputError(f"{path}: has no rows; expected one for each item")
    if values.shape[1] != len(columns):
        raise InputError(f"{path}: has rows of {values.shape[1]} values; expected {len(columns)}; mend the header")
    return whole_numbers(np.delete(values, apart, axis=1)), others


def _fault(
    path: Path, rows: Iterable[Sequence[str]], columns: Sequence[str], apart: Sequence[int], reason: str
) -> InputError:
    """Why these rows are no numbers: another number of cells, text, or nothing."""
    text, absent, first = Counter[int](), Counter[int](), -1
    try:
        for number, row in enumerate(row for row in rows if row):
            if len(row) != len(columns):
                return InputError(
                    f"{path}: row {number} has {plural(len(row), 'value')}; expected {len(columns)} as in the first; "
                    "mend or remove it"
                )
            for i in range(len(columns)):
                if i not in apart and not is_number(row[i]):
                    if re.fullmatch(r"[+-]?[0-9]*,[0-9]+", row[i].strip()):
                        return InputError(
                            f"{path}: column {columns[i]!r} has numbers with commas, such as {row[i].strip()}; "
                            "expected decimal points, and nothing between thousands; save it so"
                        )
                    is_missing = row[i].strip().lower() in MISSING or row[i].strip().lower().endswith("inf")
                    (absent if is_missing else text)[i] += 1
                    first = number if is_missing and first < 0 else first
    except csv.Error as error:
        reason = str(error)
    if text:
        return text_columns(str(path), [columns[i] for i in sorted(text)])
    if absent:
        counts = {columns[i]: count for i, count in absent.most_common()}
        return missing(str(path), counts, absent.total(), first)
    return InputError(f"{path}: expected numbers, {len(columns)} a row: {reason}; mend or remove these rows")


def is_number(cell: str) -> bool:
    """Whether a cell is a finite number."""
    try:
        return "_" not in cell and math.isfinite(float(cell))  # Python reads 1_0 as 10
    except ValueError:
        return False


def missing(what: str, counts: dict[str, int], total: int, first: int) -> InputError:
    """The error on so many missing values by column, the first in this row."""
    some = [f"{name!r} {count:,}" for name, count in [*counts.items()][:NAMED]]
    more = f" and {plural(len(counts) - NAMED, 'more column')}" if len(counts) > NAMED else ""
    return InputError(
        f"{what}: {plural(total, 'value')} missing, NaN or infinite: {', '.join(some)}{more}, the first in row {first} "
        "(counted from 0, without the header); expected a number everywhere; fill them, or remove these rows or columns"
    )


def text_columns(what: str, names: Sequence[str]) -> InputError:
    """The error on columns that are text."""
    some = ", ".join(map(repr, names[:NAMED])) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")
    return InputError(
        f"{what}: {'columns' if len(names) > 1 else 'column'} {some} hold{'s' * (len(names) == 1)} text; expected "
        "numbers; remove it, code it as numbers, or name a column of labels with --label or of groups with --group"
    )
