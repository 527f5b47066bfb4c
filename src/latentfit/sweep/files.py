"""Files of a study: atomic writes, and dataclasses to JSON and back, checked."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, BinaryIO, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import InputError
from ..recipe import Job

PART = ".part"  # end of the names of files that are not whole yet
T = TypeVar("T")


def write(path: Path, data: bytes) -> None:
    """Write a file atomically: at every instant it is the old one or the new one.

    A temporary name in the same folder, fsync, rename, fsync of the folder. The folder must exist, so that a study that
    was removed while it ran is not started again.

    Raises:
        OSError: It cannot be written; the message names the file.
    """
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write into that takes this name when it is whole, as of `write`; an error leaves what was there."""
    try:
        yield from _replacing(path)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror or error} (writing {path})") from error


def _replacing(path: Path) -> Iterator[BinaryIO]:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    _sync_folder(path.parent)


def sync(path: Path) -> None:
    """Have the system put a file that is written on the disk."""
    with path.open("rb+") as file:
        os.fsync(file)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, nor does it need to be
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table; None is an empty cell, floats keep all their digits."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    write(path, text.getvalue().encode())


def write_json(path: Path, value: Any) -> None:
    """Write a dataclass, or a plain value, as JSON: indented, UTF-8."""
    write(path, dump_json(value))


def dump_json(value: Any) -> bytes:
    """The bytes that `write_json` writes. NaN and infinity are a ValueError."""
    return (json.dumps(to_json(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        InputError: It is not there or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} is not there; expected a file that `latentfit study` writes") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is no readable JSON: {error}; restore it, or start over with --fresh") from None


def read(kind: type[T], path: Path) -> T:
    """Read JSON as a dataclass.

    Raises:
        InputError: It is not there, is not JSON, or does not fit the dataclass.
    """
    return checked(kind, read_json(path), path)


def checked(kind: type[T], value: Any, path: Path) -> T:
    """The JSON value of a file as a dataclass; an InputError as of `read` if it does not fit."""
    try:
        found: T = from_json(kind, value)
        return found
    except ValueError as error:
        raise InputError(f"{path} is not what `latentfit study` writes: {error}; run the study again") from None


def to_json(value: Any) -> Any:
    """A dataclass, or a container of them, as JSON's objects, lists and plain values."""
    if is_dataclass(value):
        pairs = [(f, getattr(value, f.name, None)) for f in fields(getattr(value, "KEYS_OF", value))]
        return {f.name: to_json(inner) for f, inner in pairs if inner is not None or "optional" not in f.metadata}
    if isinstance(value, Job):
        return value._asdict()
    if isinstance(value, list | tuple):
        return [to_json(inner) for inner in value]
    if isinstance(value, dict):
        return {key: to_json(inner) for key, inner in value.items()}
    return value


def from_json(kind: Any, value: Any, where: str = "") -> Any:
    """A value of a type from what `to_json` gives, checked.

    Args:
        kind: A dataclass, or any type that its fields have.
        value: JSON's objects, lists and plain values. Keys that the dataclass does not have are ignored.
        where: The place in the file, for the error.

    Raises:
        ValueError: A key is missing or a value has another type; the message names the place.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal and value in inner:
        return value
    if origin in (UnionType, Union):  # the second where a Literal is one of the types
        return _read_union(inner, value, where)
    if origin is tuple and isinstance(value, list):
        kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
        if len(kinds) == len(value):
            return tuple(from_json(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is dict and isinstance(value, Mapping):
        return {key: from_json(inner[1], held, f"{where}.{key}") for key, held in value.items()}
    if hasattr(kind, "__annotations__") and isinstance(value, Mapping):
        names = {name: hint for name, hint in _hints(kind).items() if name in value}
        try:
            return kind(**{name: from_json(hint, value[name], f"{where}.{name}") for name, hint in names.items()})
        except TypeError as error:
            required = [f.name for f in fields(kind) if f.default is MISSING] if is_dataclass(kind) else kind._fields
            lacking = [name for name in required if name not in names]
            raise ValueError(f"{where or 'it'} lacks {', '.join(lacking)}") from error
    if kind is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        return value
    if kind in (int, str, bool, NoneType) and type(value) is kind:
        return value
    raise _unexpected(value, where, _name(kind))


def _read_union(kinds: Sequence[Any], value: Any, where: str) -> Any:
    """A value of one of the types: an object is a dataclass, and `status` says which; a list is a tuple."""
    shaped = [k for k in kinds if isinstance(value, list) and get_origin(k) is tuple]
    if isinstance(value, Mapping):
        shaped = [k for k in kinds if hasattr(k, "__annotations__")]
    if len(shaped) > 1:
        statuses = {k: get_args(_hints(k).get("status")) for k in shaped}
        status = value.get("status")
        shaped = [k for k in shaped if status in statuses[k]]
        if not shaped:
            raise _unexpected(status, f"{where}.status", ", ".join(chain(*statuses.values())))
    if shaped:
        return from_json(shaped[0], value, where)
    for kind in kinds:
        with suppress(ValueError):
            return from_json(kind, value, where)
    raise _unexpected(value, where, f"one of {', '.join(map(_name, kinds))}")


def _unexpected(value: Any, where: str, expected: str) -> ValueError:
    return ValueError(f"{where or 'it'} is {json.dumps(value)[:60]}; expected {expected}")


def _name(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    return str(getattr(kind, "__name__", kind))


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
