"""Tables: a CSV or Parquet file, or a frame of pandas, whose rows are items and whose columns are numbers.

A table of pixels, as Kaggle has them, becomes images; every other one rows of numbers. N rows, D columns.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError, one_line
from ..formatting import listed, plural
from .delimited import LONGEST, MISSING, NAMED, is_number, missing, read_values, text_columns
from .reading import Array, Reading, whole_numbers

LABELS = ("label", "labels", "class", "target", "y", "digit")
ONE_UNIT = (
    "The names of the columns are numbers in order, as those of a spectrum or a time series are. If all columns have "
    "one unit, --scale none compares them in it; otherwise columns of noise count as much as those with a signal."
)
AXIS = 8  # numbers in order that are taken for names of columns
FEWEST = 64  # numbers of a row that are taken for pixels where no name says so
NAMES = ("", "unnamed: 0", "id", "index")  # a first column called so names the rows, as pandas writes them
PIXEL = re.compile(r"(?:pixel|pix|px|p)?[ _.-]?[0-9]+(?:x[0-9]+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A table without its columns of labels, groups and names."""

    values: Array  # (N, D) numbers
    columns: tuple[str, ...]  # (D,)
    labels: Array | None = None  # (N,) of any type
    groups: Array | None = None  # (N,) text
    names: tuple[str, ...] | None = None  # of the rows
    shape: tuple[int, ...] | None = None  # of an image, where the rows are pixels
    dropped: tuple[str, ...] = ()  # what is not used, in sentences


@dataclass(frozen=True)
class _Roles:
    """Which columns are no numbers to train on, by their indices."""

    label: int | None
    group: int | None
    name: int | None
    requested: bool  # the labels, by name

    @property
    def text(self) -> list[int]:
        return [i for i in (self.label, self.group, self.name) if i is not None]


def read(path: Path, requested: Reading) -> Table:
    """Read a CSV file.

    Args:
        path: The file; its values are separated by commas, semicolons or tabs.
        requested: With the names of the columns of labels and of groups, if they are given.

    Raises:
        InputError: It cannot be read; a column is text or has missing values; a column that was named is not there.
    """
    with opened_csv(path) as (file, head):
        roles = _roles(f"{path}", head.columns, requested, head.is_named)
        values, others = read_values(path, file, head.columns, roles.text, head.mark)
    return _table(str(path), values, head.columns, others, roles, requested, head.is_named)


@dataclass(frozen=True)
class _Head:
    """What the first line of a CSV file says; without names in it columns are called by their numbers."""

    columns: list[str]
    is_named: bool
    mark: str  # between cells


@contextmanager
def opened_csv(path: Path) -> Iterator[tuple[BinaryIO, _Head]]:
    """A CSV file at its first row, and its head; what goes wrong within is an InputError."""
    try:
        with path.open("rb") as file:
            first, start = _first_line(path, file)
            mark = max(",;\t", key=re.sub(r'"[^"]*"', "", first).count)
            header = [cell.strip() for cell in next(csv.reader([first.strip("\r\n")], delimiter=mark), [])]
            is_named = _is_header(header)
            if not is_named:
                file.seek(start)
            yield file, _Head(header if is_named else [*map(str, range(len(header)))], is_named, mark)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; expected a file that can be read") from error
    except csv.Error as error:
        raise InputError(f"{path}: {one_line(str(error))}; expected a header of one line; save it again") from error


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a first line is one of names: mostly text, or numbers in order, as wavelengths are."""
    known = any(cell and cell.lower() in (*LABELS, *NAMES) for cell in cells)
    return known or sum(map(is_number, cells)) <= len(cells) / 2 or is_axis(cells)


def is_axis(names: Sequence[str]) -> bool:
    """Whether those of these names that are numbers, perhaps with a unit, are AXIS or more and rise or fall."""
    found = [re.fullmatch(r"\D*?([+-]?[0-9]+(?:\.[0-9]+)?)\D*", name) for name in names]
    values = np.array([float(match[1]) for match in found if match])
    steps = np.diff(values)
    return len(values) >= AXIS and bool((steps > 0).all() or (steps < 0).all())


def _first_line(path: Path, file: BinaryIO) -> tuple[str, int]:
    """The first line, and where it begins: behind a mark of UTF-8."""
    line = file.readline(LONGEST)
    if line[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{path}: is UTF-16; expected UTF-8; save it as that")
    if len(line) == LONGEST:
        raise InputError(f"{path}: its first line has more than {LONGEST:,} bytes; expected fewer; save it as .npy")
    start = 3 if line.startswith(b"\xef\xbb\xbf") else 0
    try:
        return line[start:].decode(), start
    except UnicodeDecodeError:
        return line.decode("latin-1"), 0


def read_parquet(path: Path, requested: Reading) -> Table:
    """Read a Parquet file; errors as of `read`."""
    with opened_parquet(path) as pandas:
        return from_frame(pandas.read_parquet(path), requested, str(path))


@contextmanager
def opened_parquet(path: Path) -> Iterator[Any]:
    """pandas, with pyarrow; what goes wrong within is an InputError."""
    try:
        import pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]
        import pyarrow  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise InputError(
            f"{path}: Parquet takes pandas and pyarrow, which are not installed; expected both; install them with "
            "pip install 'latentfit[tables]'"
        ) from error
    try:
        yield pandas
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a sound Parquet file: {one_line(str(error))}; save it again") from error


def read_any(path: Path, requested: Reading) -> Table:
    """Read a CSV or Parquet file, by its name."""
    return (read_parquet if path.suffix.lower() == ".parquet" else read)(path, requested)


def from_frame(frame: Any, requested: Reading, what: str = "the frame") -> Table:
    """The table of a pandas frame, whose index holds the names of the rows if it is not one of numbers."""
    columns = [str(column) for column in frame.columns]
    roles = _roles(what, columns, requested, is_named=True)
    kept = [i for i in range(len(columns)) if i not in roles.text]
    wrong = [i for i in kept if getattr(frame.dtypes.iloc[i], "kind", "O") not in "buif"]
    if wrong:
        raise text_columns(what, [columns[i] for i in wrong])
    if not len(frame):
        raise InputError(f"{what}: has no rows; expected one for each item")
    numbers = frame.iloc[:, kept]  # whole ones take no NaN in pandas before 3.1
    values = numbers.to_numpy() if _is_whole(frame, kept) else numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    others = {i: [*map(plain, frame.iloc[:, i].tolist())] for i in roles.text}
    if frame.index.dtype.kind not in "iu":
        others[-1] = [str(name) for name in frame.index.tolist()]
        roles = _Roles(roles.label, roles.group, -1, roles.requested)
    values = whole_numbers(values) if values.dtype.kind in "iu" else values  # pandas reads bytes as int64
    return _table(what, values, columns, others, roles, requested, is_named=True)


def _is_whole(frame: Any, kept: Sequence[int]) -> bool:
    """Whether numpy has one type of whole numbers for these columns, none of which lacks values."""
    return all(isinstance(frame.dtypes.iloc[i], np.dtype) and frame.dtypes.iloc[i].kind in "bui" for i in kept)


def plain(value: Any) -> str:
    """A cell as text, whole numbers without a fraction."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).strip()


def _roles(what: str, columns: Sequence[str], requested: Reading, is_named: bool) -> _Roles:
    if len(columns) < 2:
        raise InputError(
            f"{what}: has {plural(len(columns), 'column')}; expected a row for each item, with two numbers or more, "
            "separated by commas"
        )
    if repeated := [name for name, count in Counter(columns).items() if count > 1]:
        raise InputError(f"{what}: has several columns {repeated[0]!r}; expected a name each; rename them")
    lower = [name.lower() for name in columns]
    found = [i for i, name in enumerate(lower) if name in LABELS] if is_named else []
    if {*lower} & {"x", "z"}:
        found = [i for i in found if lower[i] != "y"]  # a coordinate
    if requested.label is not None:
        found = [_place(what, columns, requested.label, "--label")]
    if len(found) > 1:
        names = listed([repr(columns[i]) for i in found])
        raise InputError(f"{what}: {names} may be labels; expected one; name it with --label, or remove the others")
    side = math.isqrt(len(columns) - 1)
    if not is_named and not found and side > 1 and side**2 == len(columns) - 1:
        found = [0]  # as Kaggle has images; taken back where they are none
    group = None if requested.group is None else _place(what, columns, requested.group, "--group")
    name = 0 if is_named and lower[0] in NAMES and 0 not in (*found, group) else None
    return _Roles(found[0] if found else None, group, name, requested.label is not None)


def _place(what: str, columns: Sequence[str], name: str, flag: str) -> int:
    if name not in columns:
        some = ", ".join(map(repr, columns[:NAMED])) + (" ..." if len(columns) > NAMED else "")
        raise InputError(f"{what}: has no column {name!r}; expected one of {some} with {flag}")
    return columns.index(name)


def _table(
    what: str,
    values: Array,
    columns: Sequence[str],
    others: dict[int, list[str]],
    roles: _Roles,
    requested: Reading,
    is_named: bool,
) -> Table:
    """What was read, as images or as rows of numbers."""
    named = tuple(one_line(name) for i, name in enumerate(columns) if i not in roles.text)
    if not named:
        raise InputError(f"{what}: has no column of numbers beside labels, groups and names; expected two or more")
    labels = None if roles.label is None else _labels(others[roles.label])
    names = None if roles.name is None else tuple(map(one_line, others[roles.name]))
    groups = None if roles.group is None else np.array(others[roles.group])
    shape = None if requested.scale else _shape(named, values, is_named, requested)
    if labels is not None and shape is None and requested.shape is None and not is_named and not roles.requested:
        if labels.dtype.kind not in "uif":
            raise text_columns(what, [columns[roles.label or 0]])
        values, named, labels = np.column_stack([labels, values]), (columns[0], *named), None  # no label, but a number
    for i in (i for i in (roles.label, roles.group) if i is not None):
        if absent := [n for n, cell in enumerate(others[i]) if cell.lower() in MISSING - {"-", "none"}]:
            raise missing(what, {columns[i]: len(absent)}, len(absent), absent[0])
    is_class = labels is not None and labels.dtype.kind != "f"
    dropped = tuple(_guesses(columns, roles, is_class, is_named, shape is not None or bool(requested.shape)))
    if shape is None and requested.shape is None and requested.scale is None and is_named and is_axis(named):
        dropped += (ONE_UNIT,)
    if roles.name is not None and roles.name >= 0 and columns[roles.name]:
        dropped += (f"Column {columns[roles.name]!r} is taken for names of the rows, and not trained on.",)
    if labels is not None and labels.dtype.kind == "f":
        if roles.requested:
            raise InputError(
                f"{what}: the labels {requested.label!r} are fractions; expected classes; leave --label out"
            )
        dropped += (f"Column {columns[roles.label or 0]!r} is left out: its numbers are no classes.",)
        labels = None
    return Table(values, named, labels, groups, names, shape, dropped)


def _guesses(columns: Sequence[str], roles: _Roles, labelled: bool, is_named: bool, is_images: bool) -> Iterator[str]:
    """What was taken without being asked, in sentences; of images it is what everybody expects."""
    if is_images:
        return
    if not is_named:
        yield "There is no header: the first line is read as a row, and columns are called by their numbers from 0."
    elif labelled and not roles.requested and roles.label is not None:
        yield f"Column {columns[roles.label]!r} is taken for classes, and not trained on; --label names another."


def check_alike(tables: Mapping[str, Table], what: str) -> None:
    """Refuse tables of training, test and validation rows, by name, that do not belong together.

    Raises:
        InputError: Their columns are not the same in the same order, or a group is in two of them.
    """
    for name, table in [*tables.items()][1:]:
        first, train = next(iter(tables.items()))
        if table.columns != train.columns:
            odd = sorted({*table.columns} ^ {*train.columns})
            differs = f"{odd[0]!r} is in one of them" if odd else "they are in another order"
            raise InputError(f"{what}: the columns of {name} are not those of {first}: {differs}; expected the same")
        here, there = ({*(() if part.groups is None else part.groups.tolist())} for part in (train, table))
        if both := sorted(here & there):
            raise InputError(
                f"{what}: group {one_line(both[0])!r} is in {first} and in {name}, and {len(both) - 1:,} more are; "
                "expected each in one; move its rows to one side"
            )


def _labels(cells: Sequence[str]) -> Array:
    """Whole numbers as integers, fractions as floats, anything else as text."""
    if not all(map(is_number, cells)):
        return np.array([cell.strip('"') for cell in cells])
    return whole_numbers(np.array([*map(float, cells)]))


def _shape(names: Sequence[str], values: Array, is_named: bool, requested: Reading) -> tuple[int, ...] | None:
    """Height and width of images, from names like `28x28` or a square number of pixels; None for rows of numbers."""
    pixels, low, high = values.shape[1], values.min(initial=0), values.max(initial=0)
    if is_named and not all(PIXEL.fullmatch(name) for name in names):
        return None
    is_said = is_named and not names[-1].isdecimal()
    if not is_said and pixels < FEWEST and requested.value_range is None:
        return None
    top = 255 if values.dtype.kind in "bui" else 1 if is_said else -1  # fractions are pixels only where names say it
    if requested.value_range is None and not 0 <= low <= high <= top:
        return None
    last = re.fullmatch(r"([0-9]{1,4})x([0-9]{1,4})", names[-1]) if is_named else None
    if last and int(last[1]) * int(last[2]) == pixels:
        return int(last[1]), int(last[2])
    side = math.isqrt(pixels)
    return (side, side) if side > 1 and side**2 == pixels else None
