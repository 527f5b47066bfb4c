"""Columns of a table by name, some rows at a time: of data for a network that knows which columns it takes.

N rows, D columns asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError, one_line
from .assembly import as_rows
from .delimited import NAMED, missing, read_parts, text_columns
from .reading import CHUNK, Array
from .tables import opened_csv, opened_parquet, plain


class Selected(NamedTuple):
    """Some rows of a table."""

    values: Array  # (n, D) in the order asked for
    others: dict[str, list[str]]  # the cells of all other columns, by name; the names of rows under INDEX


INDEX = ""


def columns_of(path: Path) -> list[str]:
    """Names of all columns of a CSV or Parquet file; numbers from 0 where there are none."""
    if path.suffix.lower() != ".parquet":
        with opened_csv(path) as (_, head):
            return [*map(one_line, head.columns)]
    with opened_parquet(path):
        from pyarrow import parquet  # type: ignore[import-not-found,import-untyped,unused-ignore]

        return [one_line(name) for name in parquet.read_schema(path).names if not name.startswith("__index_level_")]


def select(path: Path, wanted: Sequence[str], what: str) -> Iterator[Selected]:
    """The rows of a CSV or Parquet file, few at a time.

    Args:
        path: The file.
        wanted: Names of D columns of numbers.
        what: What these are, for an error: `columns that the network was trained on`.

    Raises:
        InputError: The file cannot be read, lacks such a column, or has text or missing values in one.
    """
    there = columns_of(path)
    if lacking := [name for name in wanted if name not in there]:
        raise InputError(f"{path}: has no {_named(lacking)}; expected all {len(wanted):,} {what}; add what is missing")
    if double := [name for name in wanted if there.count(name) > 1]:
        raise InputError(f"{path}: has two of {_named(double)}; expected one; remove the other")
    return _complete(path, wanted, (_from_parquet if path.suffix.lower() == ".parquet" else _from_csv)(path, wanted))


def _complete(path: Path, wanted: Sequence[str], parts: Iterator[Selected]) -> Iterator[Selected]:
    """The parts as float32; from the first missing value on they are only counted, by column, for the error."""
    lacking, first, rows = np.zeros(len(wanted), np.int64), -1, 0  # (D,)
    for values, others in parts:
        absent = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros((0, len(wanted)), bool)
        if first < 0 and absent.any():
            first = rows + int(absent.any(axis=1).argmax())
        lacking += absent.sum(axis=0)
        rows += len(values)
        if first < 0:
            yield Selected(as_rows(str(path), values, tuple(wanted)), others)
    if first >= 0:
        worst = np.argsort(-lacking, kind="stable")[: np.count_nonzero(lacking)]
        raise missing(str(path), {wanted[i]: int(lacking[i]) for i in worst}, int(lacking.sum()), first)


def _named(names: Sequence[str]) -> str:
    some = ", ".join(map(repr, names[:NAMED])) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")
    return f"column{'s' * (len(names) > 1)} {some}"


def _from_csv(path: Path, wanted: Sequence[str]) -> Iterator[Selected]:
    with opened_csv(path) as (file, head):
        names = [*map(one_line, head.columns)]
        apart = [i for i, name in enumerate(names) if name not in wanted]
        kept = [name for name in names if name in wanted]
        order = [kept.index(name) for name in wanted]
        for values, others in read_parts(path, file, head.columns, apart, head.mark):
            texts = {names[i]: [*map(one_line, cells)] for i, cells in others.items()}
            yield Selected(values[:, order], texts)


def _from_parquet(path: Path, wanted: Sequence[str]) -> Iterator[Selected]:
    with opened_parquet(path):
        from pyarrow import parquet

        with parquet.ParquetFile(path) as file:
            if not file.metadata.num_rows:
                raise InputError(f"{path}: has no rows; expected one for each item")
            for batch in file.iter_batches(CHUNK):
                yield _from_frame(str(path), batch.to_pandas(), wanted)


def _from_frame(what: str, frame: Any, wanted: Sequence[str]) -> Selected:
    columns = [one_line(str(column)) for column in frame.columns]
    order = [columns.index(name) for name in wanted]
    if wrong := [columns[i] for i in order if getattr(frame.dtypes.iloc[i], "kind", "O") not in "buif"]:
        raise text_columns(what, wrong)
    values = frame.iloc[:, order].to_numpy(dtype=np.float64, na_value=np.nan)
    others = {
        name: [one_line(plain(value)) for value in frame.iloc[:, i].tolist()]
        for i, name in enumerate(columns)
        if name not in wanted
    }
    if frame.index.dtype.kind not in "iu":
        others[INDEX] = [one_line(str(name)) for name in frame.index.tolist()]
    return Selected(values, others)
