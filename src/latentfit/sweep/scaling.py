"""Networks of rows: as they are trained, on columns that are centred and scaled, and as they are stored.

What is stored takes and gives rows in the data's own units, C columns; `folded` moves the scaling into the weights, and
`seen` takes it out again, to the D columns that vary. Measured is always what was stored: `seen` of it, bit for bit.
Into the weights of a network of the user's own nothing can be folded: it is stored as it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.scaling import Scaling
from ..model import Codec, Network
from .own_network import OwnNetwork
from .weights import from_weights

Weights = dict[str, NDArray[np.float32]]


def folded(weights: Mapping[str, NDArray[np.float32]], scaling: Scaling) -> Weights:
    """The weights of the same function of rows in the data's units, whose constant columns it gives as constants."""
    last = _last(weights)
    rows, mean = len(scaling.mean), scaling.mean[scaling.columns]  # C, (D,)
    changed: dict[str, NDArray[Any]] = {name: array.astype(float) for name, array in weights.items()}
    for weight, beside in _inputs(weights, last):
        scaled = changed[weight] / scaling.scale  # (out, D)
        changed[beside] = changed[beside] - (scaled * mean).sum(axis=1)
        changed[weight] = np.zeros((len(scaled), rows))
        changed[weight][:, scaling.columns] = scaled
    for weight in _outputs(weights, last):
        scaled = changed[weight] * scaling.scale[:, None]  # (D, in)
        changed[weight] = np.zeros((rows, scaled.shape[1]))
        changed[weight][scaling.columns] = scaled
    bias = scaling.mean.copy()
    bias[scaling.columns] += changed[f"decoder.{last}.bias"] * scaling.scale
    changed[f"decoder.{last}.bias"] = bias
    return {name: array.astype(np.float32) for name, array in changed.items()}


def in_units(network: Codec, scaling: Scaling | None) -> Codec:
    """A stored network as a function of rows in the data's units; of images, which have no scaling, itself."""
    if scaling is None or not isinstance(network, OwnNetwork):
        return network
    return OwnNetwork(network.module, network.image_shape, network.latent_dim, scaling).eval()


def seen(network: Codec, scaling: Scaling | None) -> Codec:
    """A stored network as a function of what `ImageSet.seen` holds; of images, which have no scaling, itself."""
    if scaling is None or not isinstance(network, Network):
        return network
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    last = _last(weights)
    changed: dict[str, NDArray[Any]] = {name: array.astype(float) for name, array in weights.items()}
    for weight, beside in _inputs(weights, last):
        changed[beside] = changed[beside] + (changed[weight] * scaling.mean).sum(axis=1)
        changed[weight] = changed[weight][:, scaling.columns] * scaling.scale
    for weight in _outputs(weights, last):
        changed[weight] = changed[weight][scaling.columns] / scaling.scale[:, None]
    bias = changed[f"decoder.{last}.bias"] - scaling.mean
    changed[f"decoder.{last}.bias"] = bias[scaling.columns] / scaling.scale
    sizes = (len(scaling.columns), *network.sizes[1:])
    made = Network(
        sizes[0], sizes[-1], sizes[1:-1], network.activation, network.output, linear=bool(network.linear_path)
    )
    return from_weights(made, {name: array.astype(np.float32) for name, array in changed.items()})


def _last(weights: Mapping[str, NDArray[np.float32]]) -> int:
    """Number of the last layer of encoder and decoder, which have as many."""
    return sum(name.startswith("encoder.") and name.endswith(".bias") for name in weights) - 1


def _inputs(weights: Mapping[str, NDArray[np.float32]], last: int) -> list[tuple[str, str]]:
    """Weights that rows are multiplied by, each with the bias beside it."""
    path = [("encoder.linear.weight", f"encoder.{last}.bias")] if "encoder.linear.weight" in weights else []
    return [("encoder.0.weight", "encoder.0.bias"), *path]


def _outputs(weights: Mapping[str, NDArray[np.float32]], last: int) -> list[str]:
    """Weights that rows come from."""
    return [name for name in (f"decoder.{last}.weight", "decoder.linear.weight") if name in weights]
