"""Weights of a network and what is needed to rebuild it: `model.safetensors` and `model.json`.

No code in either file can run, and nothing is built before both were checked against each other.
"""

from __future__ import annotations

import hashlib
import math
import reprlib
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as dump_safetensors

from ..data.images import ImageSet
from ..errors import InputError
from ..model import ACTIVATIONS, OUTPUTS, Codec, Network
from ..recipe import Job, Recipe
from ..results import SCHEMA
from .files import read_json, write, write_json
from .own import Own
from .own_network import OwnNetwork

# What safetensors, and NumPy below it, raise for a file of another kind.
NO_TENSORS = (SafetensorError, ValueError, KeyError, TypeError, OverflowError)

Shapes = dict[str, tuple[int, ...]]
Weights = Mapping[str, NDArray[Any]]

MAX_WIDTH = 1 << 20
MAX_WEIGHTS = 1 << 28
MAX_PIXELS = 1 << 24  # numbers of an image that a network of the user's own takes
MAX_LAYERS = 1000
MAX_TEXT = 1 << 24  # bytes of model.json, which names every column, and of what a weight file says of its tensors


class ModelError(InputError):
    """The files of a model are damaged, or do not belong together."""


def save_network(
    folder: Path, weights: Weights, images: ImageSet, recipe: Recipe, job: Job, own: Own | None = None
) -> None:
    """Write weights (tensor name to array) and what is needed to rebuild their network.

    Args:
        folder: Where.
        weights: float32; of a network of the user's own with its buffers, which may be of other types.
        images: In the data's units.
        recipe: How they were trained.
        job: (latent_dim, seed).
        own: The user's function that makes the network; without it the files cannot be loaded.

    Raises:
        ModelError: They are not the weights of such a network: an executor has returned something else.
    """
    layers: dict[str, object]
    if own is None:
        sizes, linear = [images.pixels, *recipe.hidden, job.latent_dim], recipe.starts_as_pca
        _check_arrays(folder / "model.safetensors", weights, tensor_shapes(sizes, linear))
        layers = {"sizes": sizes, "activation": recipe.activation, "output": recipe.output, "linear": linear}
    else:
        shape = images.seen.image_shape
        _check_arrays(folder / "model.safetensors", weights, *own.tensors(shape, job.latent_dim))
        layers = {"network": own.name, "input_shape": list(shape)}
    data = dump_safetensors(dict(weights))
    write(folder / "model.safetensors", data)
    write_json(
        folder / "model.json",
        {
            "schema": SCHEMA,
            "latent_dim": job.latent_dim,
            "seed": job.seed,
            **layers,
            "image_shape": list(images.image_shape),
            "preparation": {k: v for k, v in asdict(images.preparation).items() if k != "image_shape"},  # is above
            "recipe": asdict(recipe),
            "fingerprint": images.fingerprint,
            "sha256": hashlib.sha256(data).hexdigest(),
        },
    )


def load_network(folder: Path, own: Own | None = None) -> Codec:
    """Rebuild a network from `model.json` and `model.safetensors`.

    Args:
        folder: Where they are.
        own: The user's function that makes it, for a network of the user's own. Of rows of numbers such a network is
            one of what `ImageSet.seen` holds, every other one of rows in the data's units.

    Raises:
        ModelError: A file is missing or damaged, or they do not belong together.
    """
    path = folder / "model.safetensors"
    spec = _read_spec(folder / "model.json")
    if isinstance(spec, dict) and "network" in spec:
        return _load_own(folder, spec, own)
    sizes, linear = _checked_sizes(folder / "model.json", spec)
    shapes = tensor_shapes(sizes, linear)
    weights = _checked_weights(path, _read_hashed(path, spec.get("sha256"), shapes), shapes)
    network = Network(sizes[0], sizes[-1], sizes[1:-1], spec["activation"], spec["output"], linear=linear)
    return from_weights(network, weights)


def _load_own(folder: Path, spec: Mapping[str, Any], own: Own | None) -> OwnNetwork:
    name, shape, latent_dim = (spec.get(key) for key in ("network", "input_shape", "latent_dim"))
    if own is None:
        raise ModelError(
            f"{folder} holds a network of your own, {_shortened(name)}, whose layers only your function makes; "
            "expected it; call latentfit.load(FOLDER, network=...) in Python"
        )
    if not isinstance(shape, list) or not shape or not all(type(n) is int and 0 < n <= MAX_WIDTH for n in shape):
        raise ModelError(f"{folder / 'model.json'}: input_shape {_shortened(shape)}; expected what was written there")
    if len(shape) > 3 or (pixels := math.prod(shape)) > MAX_PIXELS:
        raise ModelError(
            f"{folder / 'model.json'}: input_shape {_shortened(shape)}; expected {MAX_PIXELS} numbers at most"
        )
    most = min(pixels, MAX_WIDTH)
    if type(latent_dim) is not int or not 1 <= latent_dim <= most:
        raise ModelError(f"{folder / 'model.json'}: latent_dim {_shortened(latent_dim)}; expected 1 to {most}")
    network, path = own.build(shape, latent_dim), folder / "model.safetensors"
    expected, kinds = network.tensors
    weights = _checked_weights(path, _read_hashed(path, spec.get("sha256"), expected), expected, kinds)
    return from_weights(network, weights)


AnyCodec = TypeVar("AnyCodec", bound=Codec)


def from_weights(network: AnyCodec, weights: Weights) -> AnyCodec:
    """The network with these weights (tensor name to array)."""
    arrays = {name: array if array.flags.writeable else array.copy() for name, array in weights.items()}
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return network


def _read_spec(path: Path) -> Any:
    _check_room(path, MAX_TEXT)
    try:
        return read_json(path)
    except InputError as error:
        raise ModelError(str(error)) from None


def _read_hashed(path: Path, sha256: Any, shapes: Shapes) -> bytes:
    numbers = sum(math.prod(shape) for shape in shapes.values())
    _check_room(path, 4 * numbers + MAX_TEXT)  # a buffer of 8 bytes a number is small, as MAX_TEXT is not
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; run the study again to train this model") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(f"{path} is damaged: its sha256 is not model.json's; run the study again to train it anew")
    return data


def _check_room(path: Path, most: int) -> None:
    """Refuse a file that is larger than it needs to be, and a pipe or a device, which may never end."""
    try:
        held = path.stat()
    except OSError:
        return  # reading it gives the error
    if not stat.S_ISDIR(held.st_mode) and (not stat.S_ISREG(held.st_mode) or held.st_size > most):
        raise ModelError(f"{path} is no file of at most {most:,} bytes, which is room enough; run the study again")


def _checked_sizes(path: Path, spec: Any) -> tuple[list[int], bool]:
    """The layer sizes, and whether there is a linear path."""
    sizes = spec.get("sizes") if isinstance(spec, dict) else None
    if not isinstance(sizes, list) or not 2 <= len(sizes) <= MAX_LAYERS:
        raise ModelError(f"{path}: no list of 2 to {MAX_LAYERS} layer sizes; expected what `latentfit study` writes")
    if not all(type(n) is int and 0 < n <= MAX_WIDTH for n in sizes):
        raise ModelError(f"{path}: layer sizes {_shortened(sizes)}; expected whole numbers from 1 to {MAX_WIDTH}")
    if sum(a * b for a, b in pairwise(sizes)) > MAX_WEIGHTS:
        raise ModelError(f"{path}: layer sizes {_shortened(sizes)} ask for more than {MAX_WEIGHTS} weights")
    if spec.get("activation") not in [*ACTIVATIONS] or spec.get("output") not in [*OUTPUTS]:
        found = f"{_shortened(spec.get('activation'))} and {_shortened(spec.get('output'))}"
        raise ModelError(f"{path}: activation and output are {found}; expected {[*ACTIVATIONS]} and {[*OUTPUTS]}")
    linear = spec.get("linear", False)
    if not isinstance(linear, bool):
        raise ModelError(f"{path}: linear is {_shortened(linear)}; expected true or false")
    if linear and sizes[0] * sizes[-1] > MAX_WEIGHTS:
        raise ModelError(f"{path}: a linear path of more than {MAX_WEIGHTS} weights")
    return sizes, linear


def _checked_weights(
    path: Path, data: bytes, shapes: Shapes, kinds: Mapping[str, str] | None = None
) -> dict[str, NDArray[Any]]:
    try:
        weights = parse_safetensors(data)
    except NO_TENSORS as error:
        raise ModelError(f"{path} is not a readable safetensors file: {error}") from None
    _check_arrays(path, weights, shapes, kinds)
    return weights


def _check_arrays(path: Path, weights: Weights, expected: Shapes, kinds: Mapping[str, str] | None = None) -> None:
    """Check names, shapes and types.

    Finite float32, or the types of a network of the user's own, whose buffers may hold anything.
    """
    found = {name: array.shape for name, array in weights.items()}
    if found != expected:
        odd = sorted(set(found.items()) ^ set(expected.items()))[0]
        named = f"tensor {_shortened(odd[0])} {_shortened(odd[1])}"
        whose = "model.json" if kinds is None else "the function that was given"
        raise ModelError(f"{path}: {named} does not fit the network of {whose}")
    for name, array in weights.items():
        if kinds is not None and array.dtype != kinds[name]:
            raise ModelError(f"{path}: tensor {name} is {array.dtype}; expected {kinds[name]}")
        if kinds is None and (array.dtype != np.float32 or not np.isfinite(array).all()):
            raise ModelError(f"{path}: tensor {name} is {array.dtype} or not finite; expected finite float32")


def _shortened(value: Any) -> str:
    return reprlib.repr(value)  # a file may nest deeper than `repr` goes, and hold more than anyone reads


def tensor_shapes(sizes: Sequence[int], linear: bool = False) -> Shapes:
    """Name and shape of every tensor of a network whose encoder has these sizes, D to K, and perhaps a linear path."""
    shapes: Shapes = {}
    for part, widths in (("encoder", list(sizes)), ("decoder", list(sizes)[::-1])):
        for i, (a, b) in enumerate(pairwise(widths)):
            shapes |= {f"{part}.{i}.weight": (b, a), f"{part}.{i}.bias": (b,)}
        if linear:
            shapes[f"{part}.linear.weight"] = (widths[-1], widths[0])
    return shapes
