"""A folder of pictures: which files are pictures, of which class, and for training, test or validation.

Folders say it: `train/`, `test/` and `val/`, then one folder a class; each level may be missing. Nothing is opened here
but files without a suffix. A symbolic link is followed only to a file inside the folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, one_line
from ..formatting import listed, plural
from .decoding import NAMED, SUFFIXES
from .reading import natural

SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "val", "valid": "val", "validation": "val",
}  # fmt: skip
REFUSED = {  # pictures in other formats are told, not passed over
    *(".gif", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".psd", ".svg", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".tga", ".ico", ".exr", ".hdr", ".dng", ".cr2", ".nef", ".arw", ".dcm", ".eps"),
}
JUNK = ("thumbs.db", "desktop.ini", "__macosx")  # left by file managers, beside everything that starts with a dot
STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"RIFF", b"II*\0", b"MM\0*")


class Item(NamedTuple):
    """A picture file: path below the folder with `/`, its size and time, its split and its class ('' for none)."""

    name: str
    size: int
    mtime: int
    split: str
    label: str


@dataclass(frozen=True)
class Layout:
    """What a folder holds."""

    root: Path
    items: tuple[Item, ...]  # in natural order
    rejected: dict[str, str]  # file: why it cannot be used
    dropped: tuple[str, ...]  # what else is there and is not used, in sentences
    others: str | None  # files that are no pictures

    @property
    def has_splits(self) -> bool:
        """Whether the folders say which pictures are for what."""
        return any(item.split for item in self.items)


class _Entry(NamedTuple):
    name: str
    size: int
    mtime: int
    fault: str | None


def scan(folder: Path) -> Layout:
    """Find the pictures of a folder.

    Raises:
        InputError: A folder cannot be read, or its subfolders contradict each other.
    """
    entries: list[_Entry] = []
    others: list[_Entry] = []
    for entry in _walk(folder):
        (entries if entry.fault or _is_picture(folder, entry.name) else others).append(entry)
    root, entries = _descend(folder, entries)
    splits = _split_folders(root, entries)
    items, rejected = [], {}
    loose = _loose(entries, splits)
    for entry in sorted(entries, key=lambda entry: natural(entry.name)):
        if fault := entry.fault or loose.get(entry.name):
            rejected[entry.name] = fault
            continue
        parts = entry.name.split("/")
        split = splits.get(parts[0], "") if splits and len(parts) > 1 else ""
        inner = parts[1:] if split else parts
        items.append(Item(entry.name, entry.size, entry.mtime, split, one_line(inner[0]) if len(inner) > 1 else ""))
    return Layout(root, tuple(items), rejected, tuple(_tell(items, splits)), _left_alone([e.name for e in others]))


def _walk(folder: Path) -> Iterator[_Entry]:
    """Every file below the folder but hidden ones and junk, and what stands in the way of each."""
    home = os.path.realpath(folder)
    stack = [""]
    while stack:
        prefix = stack.pop()
        try:
            with os.scandir(folder / prefix) as found:
                for entry in found:
                    if entry.name.startswith(".") or entry.name.lower() in JUNK:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(f"{prefix}{entry.name}/")
                    elif (file := _examine(home, prefix, entry)) is not None:
                        yield file
        except OSError as error:
            raise InputError(
                f"{folder / prefix}: {error.strerror or error}; expected a folder that can be read"
            ) from error


def _examine(home: str, prefix: str, entry: os.DirEntry[str]) -> _Entry | None:
    """A file, a link or something else in a folder; None for what is no file and has no picture's name."""
    name, suffix, fault = prefix + entry.name, _suffix(entry.name), None
    if entry.is_symlink():
        target = os.path.realpath(entry.path)
        if suffix and suffix not in (*SUFFIXES, *REFUSED) and not Path(target).is_dir():
            return _Entry(name, 0, 0, None)  # no picture
        if os.path.commonpath([home, target]) != home:
            fault = "a symbolic link that leads out of the folder; put the file itself there"
        elif not Path(target).exists():
            fault = "a symbolic link to nothing; remove it"
        elif not Path(target).is_file():
            fault = "a symbolic link to another folder; put the folder itself there"
    if fault is None and not entry.is_file():
        if suffix not in SUFFIXES:
            return None
        fault = "no regular file; remove it"
    if fault is None and suffix in REFUSED:
        fault = f"a {suffix[1:].upper()} file; expected {NAMED}; convert it"
    status = entry.stat(follow_symlinks=fault is None)
    return _Entry(name, status.st_size, status.st_mtime_ns, fault)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - Path takes most of the time of a scan


def _is_picture(folder: Path, name: str) -> bool:
    """Whether a file has a picture's suffix, or none and a picture's first bytes."""
    if suffix := _suffix(name):
        return suffix in SUFFIXES
    try:
        with (folder / name).open("rb") as file:
            return file.read(8).startswith(STARTS)
    except OSError:
        return False


def _descend(folder: Path, entries: list[_Entry]) -> tuple[Path, list[_Entry]]:
    """The innermost folder that holds all pictures in more than one subfolder, or directly."""
    while entries and all("/" in entry.name for entry in entries):
        tops = {entry.name.partition("/")[0] for entry in entries}
        if len(tops) > 1:
            break
        folder /= tops.pop()
        entries = [entry._replace(name=entry.name.partition("/")[2]) for entry in entries]
    return folder, entries


def _split_folders(root: Path, entries: list[_Entry]) -> dict[str, str]:
    """Which folder is which split; empty if the folders are classes or there are none."""
    tops = sorted({entry.name.partition("/")[0] for entry in entries if "/" in entry.name})
    splits = {top: SPLITS[top.lower()] for top in tops if top.lower() in SPLITS}
    if not splits:
        return {}
    names = listed([f"{top}/" for top in splits])
    if len(set(splits.values())) < len(splits):
        raise InputError(
            f"{root}: {names} mean the same; expected one folder for each of train, test and val; join them"
        )
    if "train" not in splits.values():
        if len(splits) == len(tops):
            raise InputError(f"{root}: has {names} and no train/; expected train/ beside it; name the folder so")
        return {}
    return splits if len(splits) > 1 else {}


def _loose(entries: list[_Entry], splits: dict[str, str]) -> dict[str, str]:
    """Pictures beside folders of pictures: nobody knows to which of these they belong."""
    inner: dict[str, set[str]] = {}  # for the root ('') and each split, the folders in it
    for entry in entries:
        top, _, rest = entry.name.partition("/")
        where = f"{top}/" if top in splits else ""
        if "/" in (rest if where else entry.name) and not (splits and not where):
            inner.setdefault(where, set()).add((rest if where else entry.name).partition("/")[0])
    if splits:
        inner[""] = set(splits)
    faults = {}
    for entry in entries:
        top, _, rest = entry.name.partition("/")
        where = f"{top}/" if rest and top in splits else ""
        if "/" not in (rest if where else entry.name) and (folders := inner.get(where)):
            names = listed([f"{name}/" for name in sorted(folders, key=natural)[:3]])
            faults[entry.name] = f"beside {names}{' and others' * (len(folders) > 3)}; move it into a folder"
        elif splits and not where:
            faults[entry.name] = f"outside {listed([f'{name}/' for name in splits])}; move it out of the folder"
    return faults


def _left_alone(names: list[str]) -> str | None:
    if not names:
        return None
    shown = ", ".join(one_line(name) for name in sorted(names, key=natural)[:3])
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"{plural(len(names), 'other file')} left alone: {shown}{more}"


def _tell(items: list[Item], splits: dict[str, str]) -> Iterator[str]:
    """What is there and is not used."""
    flat = {
        split for split in splits.values() if split != "val" for item in items if item.split == split and not item.label
    }
    if flat and any(item.label for item in items if item.split not in ("", "val")):
        where = listed([f"{name}/" for name, split in splits.items() if split in flat])
        yield f"The classes are left out: {where} has no folder for each."
