"""The study folder: what lies where, and how it is opened again.

DIR/study.json          what was asked
DIR/models/k016-s0/     model.safetensors  model.json  history.csv  metrics.json (last: it is finished)
DIR/curve.json          errors of the nested network of --curve
DIR/shown.safetensors   the images in the pictures, so that a report needs nothing but DIR
DIR/results.json        what was found
DIR/timing.json         the only file that holds dates and seconds
"""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as dump_safetensors

from .. import evaluate
from ..data.images import ImageSet
from ..data.preparation import Preparation
from ..data.scaling import Scaling
from ..errors import InputError
from ..model import Codec
from ..recipe import Epoch, Job
from ..results import SCHEMA, Model, ModelResult, NestedCurve, Results
from . import lock
from .files import PART, checked, from_json, read, read_json, write, write_csv
from .own import Make, Own
from .request import Request
from .scaling import in_units, seen
from .study_file import read_request
from .weights import NO_TENSORS, ModelError, load_network

DERIVED = ("results.csv", "report.html", "report.md", "figures")
OURS = ("study.json", "models", "search", "curve.json", "shown.safetensors", "results.json", "timing.json", *DERIVED)
SCALING = ("columns", "mean", "scale")  # arrays beside the images of `shown.safetensors`
HISTORY = ("epoch", "train_mse", "test_mse", "val_mse", "steps")


def model_folder(study: Path, job: Job) -> Path:
    """Where a study keeps one network: DIR/models/k016-s0."""
    return study / "models" / f"k{job.latent_dim:03d}-s{job.seed}"


def default_folder(images: ImageSet, recipe: str, default: str, own: str | None = None) -> Path:
    """`runs/<name of the data set>`, and `runs/<name>-<recipe>` for another recipe than its default without flags.

    The name of the function that makes a network of the user's own comes in between. Without what a file system may
    refuse in a name.
    """
    parts = [images.name, *([] if own is None else [own]), *([recipe] if recipe != default else [])]
    name, *ends = ("".join(c if c.isalnum() or c in "-_. " else "-" for c in p).strip(". ")[:100] for p in parts)
    return Path("runs") / "-".join([name or "images", *ends])


def write_history(folder: Path, history: Sequence[Epoch]) -> None:
    """Write `history.csv` of one network; what was not measured is empty, and steps belong to `val_mse`."""
    rows = [(*row[:4], None if row.val_mse is None else row.steps) for row in history]
    write_csv(folder / "history.csv", HISTORY, rows)


def read_history(folder: Path) -> list[Epoch]:
    """Read `history.csv` of one network.

    Raises:
        ModelError: It is not there or not a history.
    """
    path = folder / "history.csv"
    try:
        rows = list(csv.reader(path.read_text().splitlines()))
        if tuple(rows[0]) not in (HISTORY, HISTORY[:3]):  # earlier versions wrote three columns
            raise ValueError("unexpected header")
        if any(len(row) != len(rows[0]) for row in rows):
            raise ValueError("a row of another length")
        return [_epoch(*row) for row in rows[1:]]
    except (OSError, ValueError, IndexError, TypeError, csv.Error) as error:
        raise ModelError(f"{path} is not a readable history: {error}; run the study again") from None


def _epoch(epoch: str, train: str, test: str, val: str = "", steps: str = "") -> Epoch:
    return Epoch(int(epoch), float(train), float(test), float(val) if val else None, int(steps) if steps else None)


def read_curve(study: Path, sizes: tuple[int, ...], seed: int) -> NestedCurve | None:
    """The errors of a finished nested network for these sizes; None where there are none."""
    with suppress(InputError):
        found = read(NestedCurve, study / "curve.json")
        whole = [error is not None for error in found.test_mse] == [found.status == "ok"] * len(sizes)
        if whole and (found.job, found.sizes) == (Job(sizes[-1], seed), sizes):
            return found
    return None


def finished(study: Path, job: Job, images: ImageSet, own: Own | None = None) -> Model | None:
    """The result of a network that is finished and whose files are whole, for these images, else None.

    Raises:
        InputError: Another function than the user's own made it.
    """
    folder, network = model_folder(study, job), None
    if not (folder / "metrics.json").exists():
        return None
    try:
        result: Model = from_json(Model, read_json(folder / "metrics.json"))
        read_history(folder)
        if isinstance(result, ModelResult):
            network = load_network(folder, own)
            lengths = {len(values) for values in vars(result.codes).values()}
            classes = None if result.test_mse_by_class is None else len(result.test_mse_by_class)
            if lengths != {job.latent_dim} or classes != (images.classes and len(images.classes)):
                return None
        if result.job != job:
            return None
    except ValueError:
        return None
    if own is not None and network is not None and isinstance(result, ModelResult):
        own.recognise(study, *_test_errors(network, result, images.seen))
    return result


def _test_errors(network: Codec, result: ModelResult, images: ImageSet) -> tuple[float, float]:
    """The test error of a network of the user's own as it was recorded, and as it is; of rows in deviations."""
    found, scaling, columns = evaluate.mse(network, images.x_test), images.scaling, result.test_mse_by_column
    if scaling is None or columns is None:
        return result.test_mse, found
    recorded = np.array(columns)[scaling.columns] / np.square(scaling.scale)  # (D,)
    return float(recorded.mean()), found


def write_shown(study: Path, arrays: Mapping[str, NDArray[Any]], scaling: Scaling | None = None) -> None:
    """Keep the images in the pictures, under their names; of rows of numbers as networks see them, with the scaling."""
    if scaling is not None:
        arrays = {**arrays, **{name: getattr(scaling, name) for name in SCALING}}
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write(study / "shown.safetensors", dump_safetensors(whole))


class Study:
    """A finished study, read from its folder.

    Args:
        folder: What `latentfit study` wrote.
        network: The function that makes its networks, where these are the user's own; only what runs them needs it.

    Attributes:
        results: `results.json` as plain JSON.
        found: The same as `results.Results`.
        make: The function that was given.
        own_name: What the function was called with which the study was made; None where its networks are latentfit's.
        source: The name or path that its images came from, None where they were made by hand.

    Raises:
        InputError: The folder holds no finished study.
    """

    def __init__(self, folder: str | Path, network: Make | None = None) -> None:
        self.folder, self.make = Path(folder), network
        self._own = None if network is None else Own(network)
        asked = read_request(self.folder)
        if asked is None:
            raise InputError(f"{self.folder} has no study.json; expected a folder that `latentfit study` wrote")
        path = self.folder / "results.json"
        if not path.exists():
            raise InputError(f"{self.folder} has no results.json yet; run the same `latentfit study` again to finish")
        self.source: str | None = asked.source
        self.own_name: str | None = None if asked.network is None else asked.network.name
        if network is not None and asked.network is None:
            raise InputError(f"{self.folder} has networks of latentfit's own; expected load(FOLDER) without network")
        self.results: dict[str, Any] = read_json(path)
        if not isinstance(self.results, dict) or self.results.get("schema") != SCHEMA:
            raise InputError(f"{path} is not of schema {SCHEMA}; run the study again")
        self.found = checked(Results, self.results, path)

    @property
    def jobs(self) -> list[Job]:
        """(latent_dim, seed) of the networks whose training did not fail."""
        return list(self.found.trained)

    def chosen(self, latent_dim: int | None = None, seed: int | None = None) -> Job:
        """The network that is meant: of the answer's size if none is given, and of the best seed of its size.

        That is the one with the smallest error on the held-out images, or the first where nothing was held out.

        Raises:
            InputError: The study has no answer, or no such network.
        """
        size = self.found.verdict.latent_dim if latent_dim is None else latent_dim
        if size is None:
            known = ", ".join(map(str, sorted({job.latent_dim for job in self.jobs})))
            raise InputError(
                f"{self.folder} has no answer which size is enough; expected one of {known or 'none'} with "
                "--latent-dim; name one"
            )
        trained = self.found.trained
        models = [trained[job] for job in sorted(trained) if job.latent_dim == size and seed in (None, job.seed)]
        if not models:
            self._folder_of(size, seed)
        return min(models, key=lambda model: math.inf if model.val_mse is None else model.val_mse).job

    def network(self, latent_dim: int, seed: int = 0) -> Codec:
        """The trained network of a size and seed; your own is its `module`.

        Raises:
            InputError: The study has none, its files are damaged, or it is your own and `network` was not given.
        """
        stored = self._stored(latent_dim, seed)
        return stored if self._own is None else in_units(stored, self.scaling)

    def _stored(self, latent_dim: int, seed: int) -> Codec:
        if self._own is not None and self.found.lost is not None and "worst" in self.shown:
            for model in self.found.lost.worst_errors or ():  # of one seed of each size
                if model.latent_dim == latent_dim:
                    known = load_network(self._folder_of(*model.job), self._own)
                    found = evaluate.mse(known, self.shown["worst"])
                    self._own.recognise(self.folder, float(np.mean(model.test_mse)), found)
        return load_network(self._folder_of(latent_dim, seed), self._own)

    def history(self, latent_dim: int, seed: int = 0) -> list[Epoch]:
        """Its errors, one row an epoch; errors as `network`."""
        return read_history(self._folder_of(latent_dim, seed))

    def seen_network(self, latent_dim: int, seed: int = 0) -> Codec:
        """The same network as a function of what `shown` holds: of rows of numbers those that vary, in deviations."""
        return seen(self._stored(latent_dim, seed), self.scaling)

    def preparation(self, latent_dim: int, seed: int = 0) -> Preparation:
        """What that network takes, and how data became that; errors as `network`."""
        path = self._folder_of(latent_dim, seed) / "model.json"
        spec, dataset = read_json(path), self.found.dataset
        before = {  # of a study that an earlier version made
            "type": str(self.shown["train"].dtype),
            "value_range": dataset.value_range,
            "columns": None if dataset.columns is None else [*dataset.columns],
        }
        try:
            given = spec.get("preparation") or before
            made: Preparation = from_json(Preparation, {**given, "image_shape": spec.get("image_shape")})
            made.check(dataset.is_rows)
        except (AttributeError, TypeError, ValueError) as error:
            raise ModelError(f"{path} does not say how data are prepared: {error}; run the study again") from None
        return made

    @property
    def scaling(self) -> Scaling | None:
        """Of rows of numbers what was done to what networks see; None for images."""
        scale = self.found.dataset.scale
        if scale is None:
            return None
        if not {*SCALING} <= self.shown.keys():
            raise InputError(f"{self.folder / 'shown.safetensors'} has no scaling; run the study again to make it anew")
        columns, mean, deviation = (self.shown[name] for name in SCALING)
        return Scaling(columns, mean, deviation, common=scale == "none")

    @cached_property
    def shown(self) -> dict[str, NDArray[Any]]:
        """Images in the pictures: `train` and `test` (8, H, W[, 3]), `pairs` (4, 2, H, W[, 3]); with labels."""
        path = self.folder / "shown.safetensors"
        try:
            return dict(parse_safetensors(path.read_bytes()))
        except (OSError, *NO_TENSORS) as error:
            raise InputError(f"{path} cannot be read: {error}; run the study again to make it anew") from None

    def is_of(self, request: Request, images: ImageSet) -> bool:
        """Whether everything in it is of this request, for these images."""
        found = self.found
        return (
            found.dataset == images.description
            and "map" in self.shown
            and found.environment == request.environment
            and tuple(model.job for model in found.models) == request.jobs
            and all(m.explained_variance_error is not None for m in found.trained.values() if m.test_explained_variance)
            and found.verdict.keep == request.keep
            and found.recipe == request.recipe
            and (found.curve is not None) == request.nested
            and found.quality is not None
        )

    def _folder_of(self, latent_dim: int, seed: int | None) -> Path:
        if seed is None or Job(latent_dim, seed) not in self.jobs:
            known = ", ".join(f"{k} (seed {s})" for k, s in self.jobs)
            of_seed = "" if seed is None else f", seed {seed}"
            raise InputError(f"{self.folder} has no model of size {latent_dim}{of_seed}; it has {known or 'none'}")
        return model_folder(self.folder, Job(latent_dim, seed))

    def __repr__(self) -> str:
        return f"Study({self.folder}, {len(self.jobs)} models)"


def load(folder: str | Path, network: Make | None = None) -> Study:
    """Open the folder of a finished study.

    Args:
        folder: What `latentfit study`, or `study`, wrote.
        network: For a study of networks of your own the function that makes them, as for `study`. Without it there
            are the results, and no network can be run.

    Raises:
        InputError: The folder holds no finished study, or one whose networks are latentfit's own.
    """
    return Study(folder, network)


def is_free(folder: Path) -> bool:
    """Whether a folder is missing, or empty but for what a write that was killed left behind."""
    return not folder.exists() or all(path.suffix == PART for path in folder.iterdir())


def remove_leftovers(folder: Path) -> None:
    """Remove what writes that were killed left behind."""
    for path in list(folder.rglob(f".*{PART}")):
        if path != folder / lock.PID:
            path.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Remove the files and folders that a study writes, `study.json` last; others in the folder stay."""
    for name in reversed(OURS):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
