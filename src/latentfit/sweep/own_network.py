"""A torch module of the user's own as a network like any other: of flat images, or of rows in the data's units.

B images a batch, C channels or columns, D numbers an image, K latent dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..data.scaling import Scaling
from ..model import Codec

Tensors = tuple[dict[str, tuple[int, ...]], dict[str, str]]  # shape, and type, of each parameter and buffer

PART = 100  # images that go through a module at once when nothing is trained: layers may be far larger than images


class OwnNetwork(Codec):
    """A module of the user's own as a network of flat images, or of rows.

    Args:
        module: With `encode`, (B, D) to (B, K), and `decode`, (B, K) to (B, D); both with (B, C, H, W) in place of
            (B, D) where its `takes_images` is true.
        image_shape: Of what it takes: (H, W), (H, W, 3), or (D,) of rows.
        latent_dim: K.
        scaling: Of rows of numbers in the data's units, which the module does not see; None where there is none.
    """

    def __init__(
        self, module: nn.Module, image_shape: Sequence[int], latent_dim: int, scaling: Scaling | None = None
    ) -> None:
        super().__init__()
        self.module, self.image_shape, self.latent_dim, self.scaling = module, (*image_shape,), latent_dim, scaling
        self.pixels = math.prod(image_shape) if scaling is None else len(scaling.mean)
        self.takes_images = bool(getattr(module, "takes_images", False))

    def encode(self, x: Tensor) -> Tensor:
        """Codes (B, K) of images (B, D)."""
        return _in_parts(self._encode, x, self.latent_dim)

    def decode(self, z: Tensor) -> Tensor:
        """Images (B, D) of codes (B, K)."""
        return _in_parts(self._decode, z, self.pixels)

    def _encode(self, x: Tensor) -> Tensor:
        if self.scaling is not None:
            columns, mean, scale = _scaling(self.scaling)
            x = ((x[:, columns].double() - mean[columns]) / scale).float()
        z: Tensor = self.module.encode(self.as_images(x))  # type: ignore[operator]
        return z

    def _decode(self, z: Tensor) -> Tensor:
        x_hat: Tensor = self.module.decode(z)  # type: ignore[operator]
        if self.takes_images:
            x_hat = x_hat.permute(0, 2, 3, 1)  # (B, H, W, C)
        x_hat = x_hat.reshape(len(z), -1)  # (B, D)
        if self.scaling is None:
            return x_hat
        columns, mean, scale = _scaling(self.scaling)
        rows = mean.repeat(len(z), 1)  # (B, C)
        rows[:, columns] = x_hat.double() * scale + mean[columns]
        return rows.float()

    def as_images(self, x: Tensor) -> Tensor:
        """Flat images (B, D) as the module takes them."""
        if not self.takes_images:
            return x
        height, width, *channels = self.image_shape
        return x.reshape(len(x), height, width, *(channels or [1])).permute(0, 3, 1, 2).contiguous()  # (B, C, H, W)

    @property
    def decoder_weights(self) -> int:
        """How many numbers decoding takes: of the parameters that change what is decoded."""
        weights = [parameter for parameter in self.parameters() if parameter.requires_grad]
        with torch.enable_grad():
            x_hat = self.module.decode(torch.zeros(2, self.latent_dim))  # type: ignore[operator]
            slopes = torch.autograd.grad(x_hat.sum(), weights, allow_unused=True) if x_hat.requires_grad else ()
        return sum(slope.numel() for slope in slopes if slope is not None)

    @property
    def tensors(self) -> Tensors:
        """Shape and type of each tensor that is stored."""
        state: dict[str, Tensor] = self.state_dict()
        return {n: tuple(t.shape) for n, t in state.items()}, {n: kind_of(t) for n, t in state.items()}

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The tensors of the module under its own names."""
        return self.module.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Give the module these tensors."""
        return self.module.load_state_dict(*args, **kwargs)

    def __repr__(self) -> str:
        return f"OwnNetwork({self.module!r})"


def _scaling(scaling: Scaling) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(values) for values in (scaling.columns, scaling.mean, scaling.scale))


def _in_parts(step: Callable[[Tensor], Tensor], values: Tensor, width: int) -> Tensor:
    """A step of a whole batch while training, and otherwise of a part of it at a time."""
    if torch.is_grad_enabled():
        return step(values)
    parts = [step(part) for part in torch.split(values, PART) if len(part)]
    return torch.cat(parts) if parts else values.new_empty(0, width)


def kind_of(tensor: Tensor) -> str:
    """The type of a tensor's numbers: `float32`."""
    return str(tensor.dtype).removeprefix("torch.")
