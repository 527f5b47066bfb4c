"""One process at a time works in a study's folder: the system's own lock on the folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputError, Lost

try:
    import fcntl
except ImportError:  # Windows has none: there two studies in one folder are not excluded
    fcntl = None  # type: ignore[assignment]

PID = ".pid.part"  # the process that works in the folder, for the error of another; ends as files that are not whole


@contextmanager
def hold(folder: Path) -> Iterator[Callable[[], None]]:
    """Make a study's folder if it is not there, and lock it for this process.

    The operating system's lock on the folder ends with the process, so that none is ever stale. It excludes other
    processes of the same machine, but not on Windows. A folder that is still empty in the end is removed.

    Yields:
        A function that raises `Lost` if the folder is no longer the locked one: call it before anything is written.

    Raises:
        InputError: Another process holds it, or it cannot be made.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; expected a folder, or a name that is free; give another --out")
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        handle = _opened(folder) if fcntl else None
    except OSError as error:
        raise InputError(f"{folder} cannot be used: {error.strerror}; give another --out") from None
    if fcntl is None:
        yield lambda: None
        return
    note = folder / PID
    if handle is None:
        raise InputError(f"{folder} is in use by {_holder(note)}; wait until that has ended, or give another --out")
    mine = os.fstat(handle)

    def check() -> None:
        with suppress(OSError):
            if os.path.samestat(folder.stat(), mine):
                return
        raise Lost(f"{folder} was removed while the study ran; start it again")

    try:
        with suppress(OSError):  # a finished study may be read-only
            note.write_text(str(os.getpid()))
        yield check
    finally:
        with suppress(Lost, OSError):
            check()
            note.unlink()
        with suppress(Lost, OSError):  # the first that is not empty
            check()
            for path in made:
                path.rmdir()
        fcntl.flock(handle, fcntl.LOCK_UN)  # or a process that was forked meanwhile would keep it locked
        os.close(handle)


def _opened(folder: Path) -> int | None:
    """A handle of the folder, made and locked; None if another process has locked it."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            if not _locked(handle):
                os.close(handle)
                return None
            if os.path.samestat(os.fstat(handle), folder.stat()):
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)  # the folder was removed between two steps: try again


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)  # otherwise the file system has no locks
    return True


def _holder(note: Path) -> str:
    with suppress(OSError, ValueError):
        return f"process {int(note.read_text())}"
    return "another process"
