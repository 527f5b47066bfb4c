"""The gradient of the mean squared error, written by hand for a plain stack.

`by_autograd` says what it is and is the specification. `by_hand` computes the same in less time: it
overwrites what nobody needs again, and its gradients go into memory that stays from step to step.

B images a batch, D numbers an image, K latent dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .model import Network

aten: Any = torch.ops.aten

# What comes from above times the slope of a function of `a` that gave `h`. Those of relu and sigmoid are told
# by `h` alone, so these two may overwrite `a`.
SLOPES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "relu": lambda above, _a, h: aten.threshold_backward(above, h, 0),
    "silu": lambda above, a, _h: aten.silu_backward(above, a),
    "sigmoid": lambda above, _a, h: aten.sigmoid_backward(above, h),
    "linear": lambda above, _a, _h: above,
}
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "silu": torch.nn.functional.silu,
    "sigmoid": torch.sigmoid_,
    "linear": lambda a: a,
}


class Cut(NamedTuple):
    """How each code of a batch is shortened, and how much each image's error counts."""

    kept: Tensor  # (B, K), 1 for what is kept of a code and 0 for what is cut off
    weight: Tensor  # (B, 1)


def flatten(network: Network) -> nn.Parameter:
    """Move a network's parameters, and their gradients, into one tensor each, and give the first.

    Each parameter becomes a view. One long tensor is what an optimiser is fastest on.
    """
    each = list(network.parameters())
    flat = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in each]))
    flat.grad = torch.zeros_like(flat)
    sizes = [parameter.numel() for parameter in each]
    values, gradients = (part.split(sizes) for part in (flat.data, flat.grad))  # type: ignore[no-untyped-call]
    for parameter, value, gradient in zip(each, values, gradients, strict=True):
        parameter.data, parameter.grad = value.view(parameter.shape), gradient.view(parameter.shape)
    return flat


def by_autograd(network: Network, x: Tensor, cut: Cut | None = None) -> Tensor:
    """The mean squared error of images (B, D), a scalar; its gradient is left in the parameters.

    With a cut it is that of the shortened codes, weighted.
    """
    network.zero_grad(set_to_none=False)
    kept, weight = cut or (1, 1)
    loss = (weight * (network.decode(network.encode(x) * kept) - x).square()).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


@torch.no_grad()
def by_hand(network: Network, x: Tensor, cut: Cut | None = None) -> Tensor:
    """The same, for a network that went through `flatten`: without it the gradient has no place.

    The network may be of bf16 beside images of fp32: the output, the error and its gradient are then fp32 all the same.
    """
    layers = [*network.encoder, *network.decoder]
    names = [*[network.activation] * (len(network.encoder) - 1), "linear"]  # the function behind each layer
    names += [*[network.activation] * (len(network.decoder) - 1), network.output]
    kind = layers[0].weight.dtype
    inputs, sums = [x.to(kind)], []
    for layer, name in zip(layers, names, strict=True):
        sums.append(torch.mm(inputs[-1], layer.weight.t()).add_(layer.bias))  # (B, out)
        if layer is layers[-1]:
            sums[-1] = sums[-1].to(x.dtype)
        inputs.append(FUNCTIONS[name](sums[-1]))
        if cut and len(sums) == len(network.encoder):
            inputs[-1].mul_(cut.kept)  # (B, K)
    x_hat = inputs.pop()
    difference = x_hat - x
    loss = (difference.square().mul_(cut.weight) if cut else difference.square()).mean()
    above = difference.mul_(2 / x.numel())  # (B, D)
    if cut:
        above.mul_(cut.weight)
    outputs = [*inputs[1:], x_hat]
    for i in reversed(range(len(layers))):
        above = SLOPES[names[i]](above, sums[i], outputs[i]).to(kind)  # (B, out)
        torch.mm(above.t(), inputs[i], out=layers[i].weight.grad)
        torch.sum(above, 0, out=layers[i].bias.grad)
        if i:
            above = torch.mm(above, layers[i].weight)  # (B, in)
            if cut and i == len(network.encoder):
                above.mul_(cut.kept)  # (B, K)
    return loss


def in_bf16(network: Network, flat: nn.Parameter) -> Callable[[Tensor, Cut | None], Tensor]:
    """`by_hand` with products of bf16 tensors, for a network that went through `flatten` and gave `flat`.

    A copy of the network in bf16 makes the step; the weights that the optimiser moves stay fp32.
    """
    copy = deepcopy(network).bfloat16()
    rounded = flatten(copy)

    def gradient(x: Tensor, cut: Cut | None = None) -> Tensor:
        rounded.data.copy_(flat.data)
        loss = by_hand(copy, x, cut)
        assert flat.grad is not None
        assert rounded.grad is not None
        flat.grad.copy_(rounded.grad)
        return loss

    return gradient
