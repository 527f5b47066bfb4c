"""The network: a fully connected autoencoder, simple enough to run from its weight file in ten lines of NumPy.

N images, D pixel values per image, K latent dimensions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[Any]

BATCH = 1000  # fixed: the last bits of a matrix product depend on its number of rows


def clamp(y: Tensor) -> Tensor:
    """min(max(y, 0), 1) with the gradient of y itself, so that a pixel beyond its range can come back.

    A straight-through estimator (Bengio, Léonard & Courville, 2013).
    """
    clamped = y.clamp(0, 1)
    return clamped.detach() + (y - y.detach()) if y.requires_grad else clamped  # the bracket is 0


ACTIVATIONS = {"relu": torch.relu, "silu": nn.functional.silu}
OUTPUTS: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "linear": lambda y: y, "clamp": clamp}
# (fan_in, fan_out) to the bounds of the uniform distributions of weights and biases
INITIALIZATIONS: dict[str, Callable[[int, int], tuple[float, float]]] = {
    "uniform": lambda a, _: (1 / math.sqrt(a), 1 / math.sqrt(a)),
    "glorot": lambda a, b: (math.sqrt(6 / (a + b)), 0.0),
}


@dataclass(frozen=True)
class Start:
    """What a network that starts as PCA takes from the images that it is trained on."""

    mean: Array  # (D,) float32
    scale: float  # root mean squared deviation of their pixels from it, above 0
    axes: Array  # principal axes, (D, K) float32; where there are fewer than K, the others are 0


class Stack(nn.Module):
    """Linear layers with an activation between them and, if there is one, a linear path beside them all.

    h = last(...activation(first(x))...) + linear(x). Parameters are `<i>.weight` (out, in) and `<i>.bias`, where i
    counts the layers from 0, and `linear.weight`.
    """

    def __init__(self, sizes: Sequence[int], activation: str, linear: bool) -> None:
        super().__init__()
        self.activation = activation
        for i, (a, b) in enumerate(pairwise(sizes)):
            self.add_module(str(i), _linear(a, b))
        self.linear = _linear(sizes[0], sizes[-1], bias=False) if linear else None

    @property
    def layers(self) -> list[nn.Linear]:
        """The layers of the stack, without the linear path."""
        return [layer for name, layer in self.named_children() if name != "linear"]  # type: ignore[misc]

    def forward(self, x: Tensor) -> Tensor:
        """(B, in) to (B, out)."""
        *layers, last = self.layers
        h = x
        for layer in layers:
            h = ACTIVATIONS[self.activation](layer(h))
        out: Tensor = last(h)
        return out if self.linear is None else out + self.linear(x)


class Codec(nn.Module, ABC):
    """Anything that encodes and decodes: what is measured and drawn takes a `Network` and a network of the user's own.

    Attributes:
        pixels: D.
        latent_dim: K.
    """

    pixels: int
    latent_dim: int

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, K) of images (N, D)."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Images (N, D) of codes (N, K)."""

    def forward(self, x: Tensor) -> Tensor:
        """Reconstructions (N, D) of images (N, D)."""
        return self.decode(self.encode(x))

    def fold(self) -> None:
        """Move what prepares images while training into the weights, where there is any."""

    @property
    @abstractmethod
    def decoder_weights(self) -> int:
        """How many numbers decoding takes."""


class Network(Codec):
    """A fully connected autoencoder: D - hidden - K - hidden reversed - D.

    The activation follows every layer except the code and the last, which the output function follows. With a linear
    path, the code is that of the layers plus A x, and what the output function takes is that of the layers plus B z.
    Parameters are `encoder.<i>.weight` (out, in), `encoder.<i>.bias` and likewise `decoder`, where i counts linear
    layers from 0, and with a linear path `encoder.linear.weight` A (K, D) and `decoder.linear.weight` B (D, K).

    Initial values depend on (seed, latent_dim) only; global random states are neither read nor changed.
    `uniform` draws weights and biases from ±1/√fan_in, as `torch.nn.Linear` does; `glorot` draws weights from
    ±√(6 / (fan_in + fan_out)) and sets biases to 0 (Glorot & Bengio, 2010). A linear path begins at 0.

    Args:
        pixels: D.
        latent_dim: K.
        hidden: Widths of the encoder's hidden layers.
        activation: `relu` or `silu`.
        output: For pixels in [0, 1] `sigmoid`, or `clamp`, which is min(max(y, 0), 1); or `linear`.
        seed: 0 or more.
        initialization: `uniform` or `glorot`.
        linear: Whether there is a linear path.

    Example:
        >>> Network(pixels=784, latent_dim=16)
        Network(784-512-256-16-256-512-784, relu, sigmoid)
    """

    mean: Tensor | None  # (D,), while the network takes centred and scaled pixels
    scale: float

    def __init__(
        self,
        pixels: int,
        latent_dim: int,
        hidden: Sequence[int] = (512, 256),
        activation: str = "relu",
        output: str = "sigmoid",
        seed: int = 0,
        initialization: str = "uniform",
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.pixels, self.latent_dim = pixels, latent_dim
        self.sizes = (pixels, *hidden, latent_dim)
        self.activation = activation
        self.output = output
        self.encoder = Stack(self.sizes, activation, linear)
        self.decoder = Stack(self.sizes[::-1], activation, linear)
        self.register_buffer("mean", None, persistent=False)
        self.scale = 1.0
        self.reset_parameters(seed, initialization)

    @property
    def decoder_weights(self) -> int:
        """How many numbers decoding takes."""
        return sum(weight.numel() for weight in self.decoder.parameters())

    @property
    def linear_path(self) -> list[nn.Parameter]:
        """The weights A (K, D) and B (D, K) of the linear path; none where there is none."""
        paths = [half.linear for half in (self.encoder, self.decoder)]
        return [parameter for path in paths if path is not None for parameter in path.parameters()]

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, K) of images (N, D) in [0, 1]."""
        z: Tensor = self.encoder(x if self.mean is None else (x - self.mean) / self.scale)
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Images (N, D) of codes (N, K)."""
        y = self.decoder(z)
        x_hat: Tensor = OUTPUTS[self.output](y if self.mean is None else y * self.scale + self.mean)
        return x_hat

    @torch.no_grad()
    def reset_parameters(self, seed: int, initialization: str = "uniform") -> None:
        """Draw all weights and biases again, from (seed, latent_dim)."""
        state = np.random.SeedSequence([seed, self.latent_dim]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0]))
        for layer in (*self.encoder.layers, *self.decoder.layers):
            weight, bias = INITIALIZATIONS[initialization](layer.in_features, layer.out_features)
            layer.weight.uniform_(-weight, weight, generator=generator)
            layer.bias.uniform_(-bias, bias, generator=generator)
        for path in self.linear_path:
            path.zero_()

    @torch.no_grad()
    def start_as_pca(self, start: Start) -> None:
        """Make an untrained network with a linear path compute PCA, on centred pixels divided by one number.

        The linear path takes the axes, and the last layer of encoder and decoder 0; `fold` ends the centring.
        """
        into, out = self.linear_path
        self.mean, self.scale = torch.tensor(start.mean, device=into.device), start.scale
        used = torch.tensor(start.axes[:, : self.latent_dim])
        for last in (self.encoder.layers[-1], self.decoder.layers[-1]):
            last.weight.zero_()
            last.bias.zero_()
        into[: used.shape[1]] = used.t()
        out[:, : used.shape[1]] = used

    @torch.no_grad()
    def fold(self) -> None:
        """Move the centring and scaling of `start_as_pca` into the weights; the function of pixels stays the same."""
        if self.mean is None:
            return
        mean, scale = _double(self.mean), self.scale
        first, to_code, to_pixels = self.encoder.layers[0], self.encoder.layers[-1], self.decoder.layers[-1]
        inputs, outputs = [(first.weight, first.bias)], [to_pixels.weight]
        if self.linear_path:
            into, out = self.linear_path
            inputs.append((into, to_code.bias))
            outputs.append(out)
        for weight, bias in inputs:
            weight.copy_(_double(weight) / scale)
            bias.copy_(_double(bias) - _double(weight) @ mean)
        for weight in outputs:
            weight.copy_(_double(weight) * scale)
        to_pixels.bias.copy_(_double(to_pixels.bias) * scale + mean)
        self.mean, self.scale = None, 1.0

    def __repr__(self) -> str:
        sizes = "-".join(str(size) for size in (*self.sizes, *self.sizes[-2::-1]))
        path = ", linear path" if self.linear_path else ""
        return f"Network({sizes}, {self.activation}, {self.output}{path})"


def _double(values: Tensor) -> Tensor:
    """A copy in float64 on the CPU: some devices have none."""
    return values.detach().cpu().double()


def _linear(a: int, b: int, bias: bool = True) -> nn.Linear:
    # skip_init: nn.Linear would draw from the global generator
    return nn.utils.skip_init(nn.Linear, a, b, bias=bias)  # type: ignore[no-any-return,no-untyped-call]


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
    return to_unit(x.reshape(len(x), math.prod(x.shape[1:])))


def batches(x: Array | Tensor) -> Iterator[Tensor]:
    """Images (N, H, W[, 3]) as input of the network, (BATCH, D) at a time; no images are one empty batch."""
    for start in range(0, max(1, len(x)), BATCH):
        yield to_tensor(x[start : start + BATCH])
