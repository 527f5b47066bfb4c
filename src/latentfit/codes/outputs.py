"""Files of codes, or of what they decode to, written some items at a time: `.npy`, `.npz`, `.csv`, `.parquet`.

A file takes its name when it is whole. N items, B items at a time, C numbers an item.
"""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..sweep.files import replacing

Array = NDArray[Any]
Texts = Mapping[str, Sequence[str]]
Write = Callable[[Texts, Array, Array | None], None]  # texts by name, values (B, *shape) float32, errors (B,)

SOME = 4096  # texts packed at once
DATE = (1980, 1, 1, 0, 0, 0)  # of the members of an .npz: the same bytes each time


@dataclass(frozen=True)
class Layout:
    """What is written of each item."""

    key: str  # of the values in an .npz
    shape: tuple[int, ...]
    columns: tuple[str, ...]  # names of the C numbers
    texts: tuple[str, ...] = ()  # names of what stands before them, in files that hold text
    errors: bool = False  # whether `error` comes last


def checked(path: Path, errors: bool = False) -> Path:
    """The path of a file that can be written; an InputError if it cannot."""
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise InputError(f"{path}: cannot write a {suffix or 'file without a suffix'}; expected {', '.join(WRITERS)}")
    if errors and suffix == ".npy":
        others = ", ".join(name for name in WRITERS if name != ".npy")
        raise InputError(f"{path}: an .npy holds codes alone; expected {others} with --errors")
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "is in no folder that exists"
        raise InputError(
            f"{path} {what}; expected the name of a file in a folder that exists; make it, or name another"
        )
    if suffix == ".parquet":
        try:
            import pyarrow.parquet  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
        except ImportError as error:
            raise InputError(
                f"{path}: Parquet takes pyarrow, which is not installed; expected it; install it with "
                "pip install 'latentfit[tables]'"
            ) from error
    return path


@contextmanager
def writing(path: Path, layout: Layout) -> Iterator[Write]:
    """A function that appends items to a file, which is whole when the context ends and untouched if it fails."""
    with replacing(path) as file, WRITERS[path.suffix.lower()](file, path.parent, layout) as write:
        yield write


def _header(layout: Layout, count: int) -> dict[str, Any]:
    return {"descr": "<f4", "fortran_order": False, "shape": (count, *layout.shape)}


@contextmanager
def _npy(file: IO[bytes], _folder: Path, layout: Layout) -> Iterator[Write]:
    np.lib.format.write_array_header_1_0(file, _header(layout, 0))
    count = 0

    def write(_texts: Texts, values: Array, _errors: Array | None) -> None:
        nonlocal count
        file.write(np.ascontiguousarray(values, "<f4").data)
        count += len(values)

    yield write
    file.seek(0)  # a header has room for any number of items
    np.lib.format.write_array_header_1_0(file, _header(layout, count))


@contextmanager
def _csv(file: IO[bytes], _folder: Path, layout: Layout) -> Iterator[Write]:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*layout.texts, *layout.columns, *(["error"] * layout.errors)])

    def write(texts: Texts, values: Array, errors: Array | None) -> None:
        numbers = [[f"{number:.9g}" for number in row] for row in values.reshape(len(values), -1).tolist()]
        last = [[]] * len(values) if errors is None else [[repr(error)] for error in errors.tolist()]
        before = zip(*(texts[name] for name in layout.texts), strict=True) if layout.texts else [()] * len(values)
        table.writerows([*b, *n, *e] for b, n, e in zip(before, numbers, last, strict=True))

    yield write
    text.detach()


@contextmanager
def _parquet(file: IO[bytes], _folder: Path, layout: Layout) -> Iterator[Write]:
    import pyarrow
    from pyarrow import parquet

    fields = [(name, pyarrow.string()) for name in layout.texts]
    fields += [(name, pyarrow.float32()) for name in layout.columns]
    fields += [("error", pyarrow.float64())] * layout.errors
    schema = pyarrow.schema(fields)
    with parquet.ParquetWriter(file, schema) as table:

        def write(texts: Texts, values: Array, errors: Array | None) -> None:
            columns: list[Any] = [[*texts[name]] for name in layout.texts]
            columns += [*values.reshape(len(values), -1).T]
            columns += [] if errors is None else [errors]
            arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            table.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))

        yield write


@contextmanager
def _npz(file: IO[bytes], folder: Path, layout: Layout) -> Iterator[Write]:
    """Each array in a temporary file until all items are there: a zip takes one member after the other."""
    names = [*layout.texts, layout.key, *(["error"] * layout.errors)]
    count, longest = 0, dict.fromkeys(layout.texts, 1)

    def write(texts: Texts, values: Array, errors: Array | None) -> None:
        nonlocal count
        for name in layout.texts:
            parts[name].write("".join(f"{text}\n" for text in texts[name]).encode())
            longest[name] = max([longest[name], *map(len, texts[name])])
        parts[layout.key].write(np.ascontiguousarray(values, "<f4").data)
        if errors is not None:
            parts["error"].write(errors.astype("<f8").data)
        count += len(values)

    with ExitStack() as stack:
        parts = {name: stack.enter_context(tempfile.TemporaryFile(dir=folder)) for name in names}
        yield write
        with zipfile.ZipFile(file, "w") as archive:
            for name, part in parts.items():
                part.seek(0)
                header = _header(layout, count)
                if name != layout.key:
                    header |= {"shape": (count,), "descr": f"<U{longest[name]}" if name in longest else "<f8"}
                with archive.open(zipfile.ZipInfo(f"{name}.npy", DATE), "w", force_zip64=True) as member:
                    np.lib.format.write_array_header_1_0(member, header)
                    for block in _texts(part, longest[name]) if name in longest else _blocks(part):
                        member.write(block)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(1 << 20):
        yield block


def _texts(lines: IO[bytes], longest: int) -> Iterator[bytes]:
    """The lines of a file as numpy keeps text, each in as much room as the longest."""
    while some := [line[:-1].decode() for line in islice(lines, SOME)]:
        yield np.array(some, f"<U{longest}").tobytes()


WRITERS: dict[str, Callable[[IO[bytes], Path, Layout], Any]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _csv,
    ".parquet": _parquet,
}
