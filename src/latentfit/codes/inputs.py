"""Files of codes, as `encode` writes them, read some at a time: `.npy`, `.npz`, `.csv`, `.parquet`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data import arrays, selection
from ..data.assembly import refuse_missing
from ..data.lazy import Lazy
from ..data.reading import existing_path, shape_text
from ..errors import InputError

Array = NDArray[Any]
TEXTS = ("name", "split", "label")  # what may stand beside codes
KINDS = (".npy", ".npz", ".csv", ".parquet")


class Codes(NamedTuple):
    """Codes (N, K): `blocks(n)` gives texts by name, and codes, at most n at a time."""

    texts: tuple[str, ...]
    blocks: Callable[[int], Iterator[tuple[dict[str, Sequence[str]], Array]]]


def opened(source: Path, latent_dim: int) -> Codes:
    """The codes of a file.

    Raises:
        InputError: It cannot be read, or its codes have another size.
    """
    path = existing_path(source)
    if path is None or not path.is_file():
        raise InputError(f"{source}: no such file; expected codes in {_listed()}, as `latentfit encode` writes them")
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise InputError(f"{path}: cannot read codes from a {suffix or 'file without a suffix'}; expected {_listed()}")
    if suffix in (".csv", ".parquet"):
        return _from_table(path, latent_dim)
    with arrays.sound(path):
        members = {"z": arrays.lazy_npy(path)} if suffix == ".npy" else arrays.lazy_members(path, ("z", *TEXTS))
        return _from_arrays(path, members, latent_dim)


def _listed() -> str:
    return ", ".join(KINDS)


def _from_arrays(path: Path, members: dict[str, Lazy], latent_dim: int) -> Codes:
    z: Any = members["z"]
    if z.shape[1:] != (latent_dim,) or not len(z) or z.dtype.kind not in "buif":
        raise InputError(
            f"{path}: holds {shape_text(z.shape)} of {z.dtype}; expected codes (N, {latent_dim}) of this "
            "network; encode with it, or name the network that made them with --latent-dim and --seed"
        )
    refuse_missing(str(path), z, [f"z{i}" for i in range(latent_dim)])
    texts = {name: x for name, x in members.items() if name in TEXTS and x.dtype.kind == "U" and x.shape == z.shape[:1]}

    def blocks(size: int) -> Iterator[tuple[dict[str, Sequence[str]], Array]]:
        for start in range(0, len(z), size):
            part = slice(start, start + size)
            yield {name: x[part].tolist() for name, x in texts.items()}, z[part].astype(np.float32)

    return Codes(tuple(texts), blocks)


def _from_table(path: Path, latent_dim: int) -> Codes:
    wanted, what = [f"z{i}" for i in range(latent_dim)], "numbers of a code of this network"
    columns = selection.columns_of(path)
    texts = tuple(name for name in TEXTS if name in columns)
    if f"z{latent_dim}" in columns:
        raise InputError(
            f"{path}: has a column 'z{latent_dim}'; expected codes of {latent_dim} numbers, z0 to z{latent_dim - 1}; "
            "name the network that made them with --latent-dim"
        )
    selection.select(path, wanted, what)

    def blocks(size: int) -> Iterator[tuple[dict[str, Sequence[str]], Array]]:
        for values, others in selection.select(path, wanted, what):
            for start in range(0, len(values), size):
                part = slice(start, start + size)
                yield {name: others[name][part] for name in texts}, values[part]

    return Codes(texts, blocks)
