"""The study folder: whole files only, hashed weights, and nothing lost.

    DIR/study.json          what was asked
    DIR/models/k016-s0/     model.safetensors  model.json  history.csv  metrics.json (last: it is finished)
    DIR/curve.json          what the screening of --curve found
    DIR/shown.safetensors   the images that the pictures show, so that a report needs nothing but DIR
    DIR/results.json        what was found
    DIR/timing.json         the only file that holds dates and seconds

Everything is written by `write`, and everything is read back with a check.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import reprlib
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as dump_safetensors

from ..data.images import ImageSet
from ..errors import InputError
from ..model import ACTIVATIONS, OUTPUTS, Network
from ..recipe import Epoch, Job, Recipe
from . import lock

SCHEMA = 1
PART = ".part"  # how the names of files end that are not whole yet
DERIVED = ("results.csv", "report.html", "report.md", "figures")
OURS = ("study.json", "models", "curve.json", "shown.safetensors", "results.json", "timing.json", *DERIVED)

# What safetensors, and NumPy below it, raise for a file that is not theirs.
NO_TENSORS = (SafetensorError, ValueError, KeyError, TypeError, OverflowError)

MAX_WIDTH = 1 << 20
MAX_WEIGHTS = 1 << 28
MAX_LAYERS = 1000
MAX_TEXT = 1 << 20  # bytes of model.json, and of what a weight file says of its tensors


class ModelError(InputError):
    """The files of a model are damaged, or do not belong together."""


def write(path: Path, data: bytes) -> None:
    """Write a file so that at every instant it is the old one or the new one, whole.

    A temporary name in the same folder, fsync, rename, fsync of the folder. The folder has to be there: a study that
    was removed while it ran is not begun again half way.

    Raises:
        OSError: It cannot be written; the message names the file.
    """
    try:
        _write(path, data)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} (writing {path})") from error


def _write(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, nor need it be
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people: indented, UTF-8, and never a NaN."""
    write(path, dump_json(value))


def dump_json(value: Any) -> bytes:
    """The bytes that `write_json` writes. NaN and infinity are a ValueError: a file must not hold them."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


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


def model_folder(study: Path, job: Job) -> Path:
    """Where a study keeps one network: DIR/models/k016-s0."""
    return study / "models" / f"k{job.latent_dim:03d}-s{job.seed}"


def save_network(
    folder: Path, weights: Mapping[str, NDArray[np.float32]], images: ImageSet, recipe: Recipe, job: Job
) -> None:
    """Write weights (tensor name to float32 array) and what is needed to rebuild their network."""
    data = dump_safetensors(dict(weights))
    write(folder / "model.safetensors", data)
    write_json(
        folder / "model.json",
        {
            "schema": SCHEMA,
            "latent_dim": job.latent_dim,
            "seed": job.seed,
            "sizes": [images.pixels, *recipe.hidden, job.latent_dim],
            "activation": recipe.activation,
            "output": recipe.output,
            "image_shape": list(images.image_shape),
            "recipe": asdict(recipe),
            "fingerprint": images.fingerprint,
            "sha256": hashlib.sha256(data).hexdigest(),
        },
    )


def load_network(folder: Path) -> Network:
    """Rebuild a network from `model.json` and `model.safetensors`.

    No code in either file can run, and nothing is built before both were checked against each other.

    Raises:
        ModelError: A file is missing or damaged, or they do not belong together.
    """
    path = folder / "model.safetensors"
    spec = _read_spec(folder / "model.json")
    sizes = _checked_sizes(folder / "model.json", spec)
    weights = _checked_weights(path, _read_hashed(path, spec.get("sha256"), sizes), sizes)
    network = Network(sizes[0], sizes[-1], sizes[1:-1], spec["activation"], spec["output"])
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return network


def _read_spec(path: Path) -> Any:
    _check_room(path, MAX_TEXT)
    try:
        return read_json(path)
    except InputError as error:
        raise ModelError(str(error)) from None


def _read_hashed(path: Path, sha256: Any, sizes: list[int]) -> bytes:
    numbers = sum(math.prod(shape) for shape in tensor_shapes(sizes).values())
    _check_room(path, 4 * numbers + MAX_TEXT)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; run the study again to train this model") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(f"{path} is damaged: its sha256 is not model.json's; run the study again to train it anew")
    return data


def _check_room(path: Path, most: int) -> None:
    """Refuse a file that is larger than it can need to be, and a pipe or a device, which may never end."""
    try:
        held = path.stat()
    except OSError:
        return  # which reading it will tell
    if not stat.S_ISDIR(held.st_mode) and (not stat.S_ISREG(held.st_mode) or held.st_size > most):
        raise ModelError(f"{path} is no file of at most {most:,} bytes, which is room enough; run the study again")


def _checked_sizes(path: Path, spec: Any) -> list[int]:
    sizes = spec.get("sizes") if isinstance(spec, dict) else None
    if not isinstance(sizes, list) or not 2 <= len(sizes) <= MAX_LAYERS:
        raise ModelError(f"{path}: no list of 2 to {MAX_LAYERS} layer sizes; expected what `latentfit study` writes")
    if not all(type(n) is int and 0 < n <= MAX_WIDTH for n in sizes):
        raise ModelError(f"{path}: layer sizes {_told(sizes)}; expected whole numbers from 1 to {MAX_WIDTH}")
    if sum(a * b for a, b in pairwise(sizes)) > MAX_WEIGHTS:
        raise ModelError(f"{path}: layer sizes {_told(sizes)} ask for more than {MAX_WEIGHTS} weights")
    if spec.get("activation") not in [*ACTIVATIONS] or spec.get("output") not in [*OUTPUTS]:
        found = f"{_told(spec.get('activation'))} and {_told(spec.get('output'))}"
        raise ModelError(f"{path}: activation and output are {found}; expected {[*ACTIVATIONS]} and {[*OUTPUTS]}")
    return sizes


def _checked_weights(path: Path, data: bytes, sizes: list[int]) -> dict[str, NDArray[np.float32]]:
    try:
        weights = parse_safetensors(data)
    except NO_TENSORS as error:
        raise ModelError(f"{path} is not a readable safetensors file: {error}") from None
    expected = tensor_shapes(sizes)
    found = {name: array.shape for name, array in weights.items()}
    if found != expected:
        odd = sorted(set(found.items()) ^ set(expected.items()))[0]
        named = f"tensor {_told(odd[0])} {_told(odd[1])}"
        raise ModelError(f"{path}: {named} does not fit layer sizes {_told(sizes)} of model.json")
    for name, array in weights.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise ModelError(f"{path}: tensor {name} is {array.dtype} or not finite; expected finite float32")
    return weights


def _told(value: Any) -> str:
    # What a file says may be nested deeper than `repr` goes, and longer than anyone reads.
    return reprlib.repr(value)


def tensor_shapes(sizes: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a network whose encoder has these sizes, D to K."""
    shapes: dict[str, tuple[int, ...]] = {}
    for part, widths in (("encoder", list(sizes)), ("decoder", list(sizes)[::-1])):
        for i, (a, b) in enumerate(pairwise(widths)):
            shapes |= {f"{part}.{i}.weight": (b, a), f"{part}.{i}.bias": (b,)}
    return shapes


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table; None is an empty cell, floats keep all their digits."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    write(path, text.getvalue().encode())


def write_history(folder: Path, history: Sequence[Epoch]) -> None:
    """Write `history.csv` of one network."""
    write_csv(folder / "history.csv", Epoch._fields, history)


def read_history(folder: Path) -> list[Epoch]:
    """Read `history.csv` of one network.

    Raises:
        ModelError: It is not there or not a history.
    """
    path = folder / "history.csv"
    try:
        rows = list(csv.reader(path.read_text().splitlines()))
        if tuple(rows[0]) != Epoch._fields:
            raise ValueError("unexpected header")
        return [Epoch(int(epoch), float(train), float(test)) for epoch, train, test in rows[1:]]
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise ModelError(f"{path} is not a readable history: {error}; run the study again") from None


def finished_row(study: Path, job: Job) -> dict[str, Any] | None:
    """The row of `metrics.json` where a model is finished and its files are whole, else None."""
    folder = model_folder(study, job)
    if not (folder / "metrics.json").exists():
        return None
    try:
        row: dict[str, Any] = read_json(folder / "metrics.json")
        read_history(folder)
        if row["status"] == "ok":
            load_network(folder)
            row["codes"]  # an older version measured less
    except (InputError, KeyError, TypeError):
        return None
    return row


def write_shown(study: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep the images that the pictures show, under their names."""
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write(study / "shown.safetensors", dump_safetensors(whole))


class Study:
    """A finished study, read from its folder.

    Args:
        folder: What `latentfit study` wrote.

    Raises:
        InputError: The folder holds no finished study.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if read_request(self.folder) is None:
            raise InputError(f"{self.folder} has no study.json; expected a folder that `latentfit study` wrote")
        if not (self.folder / "results.json").exists():
            raise InputError(f"{self.folder} has no results.json yet; run the same `latentfit study` again to finish")
        self.results: dict[str, Any] = read_json(self.folder / "results.json")
        if not isinstance(self.results, dict) or self.results.get("schema") != SCHEMA:
            raise InputError(f"{self.folder / 'results.json'} is not of schema {SCHEMA}; run the study again")
        if not {"sizes", "curve"} <= self.results.keys():
            raise InputError(f"{self.folder} is of an older version; run the same study again to measure what is new")

    @property
    def jobs(self) -> list[Job]:
        """(latent_dim, seed) of the networks that trained to the end."""
        return [Job(m["latent_dim"], m["seed"]) for m in self.results["models"] if m["status"] == "ok"]

    def network(self, latent_dim: int, seed: int = 0) -> Network:
        """The trained network of a size and seed.

        Raises:
            InputError: The study has none, or its files are damaged.
        """
        return load_network(self._folder_of(latent_dim, seed))

    def history(self, latent_dim: int, seed: int = 0) -> list[Epoch]:
        """Its errors, one row an epoch; errors as `network`."""
        return read_history(self._folder_of(latent_dim, seed))

    @cached_property
    def shown(self) -> dict[str, NDArray[Any]]:
        """Images in the pictures: `train` and `test` (8, H, W[, 3]), `pairs` (4, 2, H, W[, 3]); labels."""
        path = self.folder / "shown.safetensors"
        try:
            return dict(parse_safetensors(path.read_bytes()))
        except (OSError, *NO_TENSORS) as error:
            raise InputError(f"{path} cannot be read: {error}; run the study again to make it anew") from None

    def _folder_of(self, latent_dim: int, seed: int) -> Path:
        if Job(latent_dim, seed) not in self.jobs:
            known = ", ".join(f"{k} (seed {s})" for k, s in self.jobs)
            raise InputError(f"{self.folder} has no model of size {latent_dim}, seed {seed}; it has {known}")
        return model_folder(self.folder, Job(latent_dim, seed))

    def __repr__(self) -> str:
        return f"Study({self.folder}, {len(self.jobs)} models)"


def load(folder: str | Path) -> Study:
    """Open the folder of a finished study; see `Study`."""
    return Study(folder)


def is_free(folder: Path) -> bool:
    """Whether a folder is missing, or empty but for what a write that was killed left behind."""
    return not folder.exists() or all(path.suffix == PART for path in folder.iterdir())


def remove_leftovers(folder: Path) -> None:
    """Remove what writes that were killed left behind."""
    for path in list(folder.rglob(f".*{PART}")):
        if path != folder / lock.PID:
            path.unlink(missing_ok=True)


def read_request(folder: Path) -> dict[str, Any] | None:
    """What `study.json` says; None where there is none.

    Raises:
        InputError: It is there and not a study's.
    """
    path = folder / "study.json"
    try:
        if not path.exists():
            return None
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; expected a folder that can be read") from None
    asked = read_json(path)
    if not isinstance(asked, dict) or not {"schema", "source", "models"} <= asked.keys():
        raise InputError(f"{path} is not what `latentfit study` writes; give another --out, or remove it")
    return asked


def clear(folder: Path) -> None:
    """Remove the files and folders that a study writes, `study.json` last; others in the folder stay."""
    for name in reversed(OURS):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
