"""A function of the user's own as bytes that other processes can load, also where its file is not there."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

ELSEWHERE = {"__main__", "latentfit"}  # by value anyway, and of the same version wherever a study runs


def dumps(function: Callable[..., Any]) -> bytes:
    """Pickle a function by value, with what it uses of its own module or package, unless that is installed.

    Where such a module holds what cannot be pickled, it is named alone: a process that can import it may load that.
    """
    if (module := _module_of(function)) is not None:
        cloudpickle.register_pickle_by_value(module)
        try:
            with suppress(Exception):
                return _pickled(function)
        finally:
            cloudpickle.unregister_pickle_by_value(module)
    return _pickled(function)


def _pickled(function: Callable[..., Any]) -> bytes:
    data: bytes = cloudpickle.dumps(function)
    return data


def _module_of(function: Callable[..., Any]) -> ModuleType | None:
    """The module or top package of a function where that is not installed, and cloudpickle does not know it yet."""
    while isinstance(function, partial):
        function = function.func
    name = str(getattr(function, "__module__", "")).partition(".")[0]
    module = None if name in {*ELSEWHERE, *cloudpickle.list_registry_pickle_by_value()} else sys.modules.get(name)
    return None if module is None or _is_installed(module) else module


def _is_installed(module: ModuleType) -> bool:
    """Whether a module is built in, of Python's library, or of a package that was installed."""
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    if file is None:
        return True
    path, library = Path(file).resolve(), Path(sysconfig.get_path("stdlib")).resolve()
    return path.is_relative_to(library) or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)
