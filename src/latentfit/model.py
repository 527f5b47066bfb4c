"""The network: a fully connected autoencoder, simple enough to run from its weight file in ten lines of NumPy.

N images, D pixel values per image, K latent dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[Any]

BATCH = 1000  # fixed: the last bits of a matrix product depend on its number of rows

ACTIVATIONS = {"relu": torch.relu, "silu": nn.functional.silu}
OUTPUTS = {"sigmoid": torch.sigmoid, "linear": lambda x: x}
# (fan_in, fan_out) to the bounds of the uniform distributions of weights and biases
INITIALIZATIONS: dict[str, Callable[[int, int], tuple[float, float]]] = {
    "uniform": lambda a, _: (1 / math.sqrt(a), 1 / math.sqrt(a)),
    "glorot": lambda a, b: (math.sqrt(6 / (a + b)), 0.0),
}


class Network(nn.Module):
    """A fully connected autoencoder: D - hidden - K - hidden reversed - D.

    The activation follows every layer except the code and the last, which the output function follows. Parameters are
    `encoder.<i>.weight` (out, in), `encoder.<i>.bias` and likewise `decoder`, where i counts linear layers from 0.

    Initial values depend on (seed, latent_dim) only; global random states are neither read nor changed.
    `uniform` draws weights and biases from ±1/√fan_in, as `torch.nn.Linear` does; `glorot` draws weights from
    ±√(6 / (fan_in + fan_out)) and sets biases to 0 (Glorot & Bengio, 2010).

    Args:
        pixels: D.
        latent_dim: K.
        hidden: Widths of the encoder's hidden layers.
        activation: `relu` or `silu`.
        output: `sigmoid`, for pixels in [0, 1], or `linear`.
        seed: 0 or more.
        initialization: `uniform` or `glorot`.

    Example:
        >>> Network(pixels=784, latent_dim=16)
        Network(784-512-256-16-256-512-784, relu, sigmoid)
    """

    def __init__(
        self,
        pixels: int,
        latent_dim: int,
        hidden: Sequence[int] = (512, 256),
        activation: str = "relu",
        output: str = "sigmoid",
        seed: int = 0,
        initialization: str = "uniform",
    ) -> None:
        super().__init__()
        self.sizes = (pixels, *hidden, latent_dim)
        self.activation = activation
        self.output = output
        self.encoder = _linears(self.sizes)
        self.decoder = _linears(self.sizes[::-1])
        self.reset_parameters(seed, initialization)

    @property
    def pixels(self) -> int:
        """D, pixel values per image."""
        return self.sizes[0]

    @property
    def latent_dim(self) -> int:
        """K, latent dimensions."""
        return self.sizes[-1]

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, K) of images (N, D) in [0, 1]."""
        return self._run(self.encoder, x)

    def decode(self, z: Tensor) -> Tensor:
        """Images (N, D) of codes (N, K)."""
        x_hat: Tensor = OUTPUTS[self.output](self._run(self.decoder, z))
        return x_hat

    def forward(self, x: Tensor) -> Tensor:
        """Reconstructions (N, D) of images (N, D)."""
        return self.decode(self.encode(x))

    def _run(self, layers: nn.ModuleList, h: Tensor) -> Tensor:
        for layer in layers[:-1]:
            h = ACTIVATIONS[self.activation](layer(h))
        last: Tensor = layers[-1](h)
        return last

    @torch.no_grad()
    def reset_parameters(self, seed: int, initialization: str = "uniform") -> None:
        """Draw all weights and biases again, from (seed, latent_dim)."""
        state = np.random.SeedSequence([seed, self.latent_dim]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0]))
        for layer in (*self.encoder, *self.decoder):
            weight, bias = INITIALIZATIONS[initialization](layer.in_features, layer.out_features)
            layer.weight.uniform_(-weight, weight, generator=generator)
            layer.bias.uniform_(-bias, bias, generator=generator)

    def __repr__(self) -> str:
        sizes = "-".join(str(size) for size in (*self.sizes, *self.sizes[-2::-1]))
        return f"Network({sizes}, {self.activation}, {self.output})"


def _linears(sizes: Sequence[int]) -> nn.ModuleList:
    # skip_init: nn.Linear would draw from the global generator
    return nn.ModuleList(nn.utils.skip_init(nn.Linear, a, b) for a, b in pairwise(sizes))  # type: ignore[no-untyped-call]


def to_unit(x: Array | Tensor) -> Tensor:
    """A copy of images as float32 in [0, 1], with the same shape and on the same device.

    Args:
        x: uint8, or floats in [0, 1]; may be read-only or memory-mapped.
    """
    if isinstance(x, Tensor):
        unit = x.to(torch.float32, copy=True)
        return unit.div_(255) if x.dtype == torch.uint8 else unit
    unit = torch.empty(x.shape)
    unit.numpy()[...] = x  # in torch's memory, because its alignment is the same in every run
    return unit.div_(255) if x.dtype == np.uint8 else unit


def to_tensor(x: Array | Tensor) -> Tensor:
    """Images (N, H, W[, 3]) as input of the network: (N, D) float32 in [0, 1]."""
    return to_unit(x.reshape(len(x), -1))


def batches(x: Array | Tensor) -> Iterator[Tensor]:
    """Images (N, H, W[, 3]) as input of the network, (BATCH, D) at a time; no images are one empty batch."""
    for start in range(0, max(1, len(x)), BATCH):
        yield to_tensor(x[start : start + BATCH])
