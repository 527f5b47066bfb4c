"""The gradient of the mean squared error: by hand for a `Network`, by autograd for every other module.

`by_autograd` is the specification; `by_hand` computes the same in less time, because it overwrites intermediate values
that are not needed again.

B images a batch, D numbers an image, K latent dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .errors import InputError
from .model import Network, Stack

aten: Any = torch.ops.aten

# Gradient with respect to the input a of a function, from that with respect to its output h. Those of relu, sigmoid and
# clamp do not need a, so these functions may overwrite it.
DERIVATIVES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "relu": lambda grad, _a, h: aten.threshold_backward(grad, h, 0),
    "silu": lambda grad, a, _h: aten.silu_backward(grad, a),
    "sigmoid": lambda grad, _a, h: aten.sigmoid_backward(grad, h),
    "linear": lambda grad, _a, _h: grad,
    "clamp": lambda grad, _a, _h: grad,  # see `model.clamp`
}
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "silu": torch.nn.functional.silu,
    "sigmoid": torch.sigmoid_,
    "linear": lambda a: a,
    "clamp": lambda a: a.clamp_(0, 1),
}


class Truncation(NamedTuple):
    """How the codes of a batch are truncated, and the weight of each image's error."""

    mask: Tensor  # (B, K), 1 for dimensions that are kept and 0 for those that are set to 0
    weight: Tensor  # (B, 1)


Loss = Callable[[Tensor, Truncation | None], Tensor]


def of(network: nn.Module, products: str = "fp32") -> tuple[nn.Parameter, Loss]:
    """Prepare a network for training.

    Args:
        network: A `Network`, or any module of float32 with `encode` and `decode`.
        products: How matrix products are computed, a name in `hardware.PRODUCTS`. For `bf16-tensors` a copy of the
            network in bf16 computes them; the optimiser updates float32 weights.

    Returns:
        All parameters in one tensor with an allocated `grad` (fastest for an optimiser), and a function that returns
        the loss of a batch (B, D), a scalar, and writes its gradient into that `grad`.
    """
    if odd := {str(p.dtype) for p in network.parameters()} - {"torch.float32"}:
        raise InputError(
            f"network: parameters of type {', '.join(sorted(odd))}; expected float32; call network.float()"
        )
    compute: Callable[..., Tensor] = by_hand if type(network) is Network else by_autograd
    flat = flatten(network)
    if products != "bf16-tensors":
        return flat, partial(compute, network)
    weights = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    if buffers := sorted(network.state_dict().keys() - weights):
        raise InputError(
            f"network: a copy in bf16 would keep its buffer {buffers[0]} to itself; expected products fp32"
        )
    copy = deepcopy(network).bfloat16()
    if type(network) is Network:
        copy.register_buffer("mean", network.mean, persistent=False)  # pixels are centred and scaled in float32
    rounded = flatten(copy)

    def in_bf16(x: Tensor, truncation: Truncation | None = None) -> Tensor:
        rounded.data.copy_(flat.data)
        loss = compute(copy, x, truncation)
        assert flat.grad is not None
        assert rounded.grad is not None
        flat.grad.copy_(rounded.grad)
        return loss

    return flat, in_bf16


def flatten(network: nn.Module) -> nn.Parameter:
    """Move a network's trainable parameters, and their gradients, into one tensor each, and return the first.

    Each of them becomes a view of it. Those of a linear path come last.
    """
    paths = {id(weight) for weight in linear_path(network)}
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    parameters.sort(key=lambda parameter: id(parameter) in paths)
    flat = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
    flat.grad = torch.zeros_like(flat)
    sizes = [parameter.numel() for parameter in parameters]
    values, gradients = (part.split(sizes) for part in (flat.data, flat.grad))  # type: ignore[no-untyped-call]
    for parameter, value, gradient in zip(parameters, values, gradients, strict=True):
        parameter.data, parameter.grad = value.view(parameter.shape), gradient.view(parameter.shape)
    return flat


def linear_path(network: nn.Module) -> list[nn.Parameter]:
    """The trainable weights of a `Network`'s linear path; none of any other module."""
    return [w for w in network.linear_path if w.requires_grad] if isinstance(network, Network) else []


def by_autograd(network: Any, x: Tensor, truncation: Truncation | None = None) -> Tensor:
    """Mean squared error of images (B, D), a scalar; its gradient is written into the parameters.

    With a truncation it is the weighted error of the truncated codes. Images and loss are float32 also for a network
    in bf16.
    """
    network.zero_grad(set_to_none=False)
    dtype = next(network.parameters()).dtype
    z = network.encode(x.to(dtype))
    if truncation:
        z = z * truncation.mask.to(z.dtype)
    errors = (network.decode(z).to(x.dtype) - x).square()
    loss: Tensor = (truncation.weight * errors if truncation else errors).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


@torch.no_grad()
def by_hand(network: Network, x: Tensor, truncation: Truncation | None = None) -> Tensor:
    """The same for a `Network` after `flatten`, which allocates the gradient."""
    encoder, decoder = network.encoder, network.decoder
    dtype = encoder.layers[0].weight.dtype
    centred = x if network.mean is None else (x - network.mean).div_(network.scale)
    encoded = _forward(encoder, centred.to(dtype))
    z = encoded.output
    if truncation:
        z.mul_(truncation.mask)  # (B, K)
    decoded = _forward(decoder, z)
    y = decoded.output.to(x.dtype)
    if network.mean is not None:
        y = y.mul_(network.scale).add_(network.mean)
    x_hat = FUNCTIONS[network.output](y)
    difference = x_hat - x
    errors = difference.square()
    loss = (errors.mul_(truncation.weight) if truncation else errors).mean()
    grad = difference.mul_(2 / x.numel())  # (B, D)
    if truncation:
        grad.mul_(truncation.weight)
    grad = DERIVATIVES[network.output](grad, y, x_hat)
    if network.mean is not None:
        grad = grad.mul_(network.scale)
    grad = _backward(decoder, decoded, grad.to(dtype))  # (B, K)
    if truncation:
        grad.mul_(truncation.mask)
    _backward(encoder, encoded, grad, to_input=False)
    return loss


class Pass(NamedTuple):
    """What a forward pass through a stack keeps for the backward one."""

    inputs: list[Tensor]  # of each layer, (B, in)
    sums: list[Tensor]  # what each layer makes of it, (B, out)

    @property
    def output(self) -> Tensor:
        """What the stack makes of its input."""
        return self.sums[-1]


def _forward(stack: Stack, h: Tensor) -> Pass:
    done = Pass([], [])
    for layer in stack.layers:
        done.inputs.append(FUNCTIONS[stack.activation](done.output) if done.sums else h)
        done.sums.append(torch.mm(done.inputs[-1], layer.weight.t()).add_(layer.bias))
    if stack.linear is not None:
        done.output.addmm_(h, stack.linear.weight.t())
    return done


def _backward(stack: Stack, done: Pass, output_grad: Tensor, to_input: bool = True) -> Tensor:
    """Write the gradient of a stack's parameters; return that with respect to its input if it is asked for.

    `output_grad` (B, out) is the gradient with respect to the output of the stack.
    """
    grad, layers = output_grad, stack.layers
    for i in reversed(range(len(layers))):
        torch.mm(grad.t(), done.inputs[i], out=layers[i].weight.grad)
        torch.sum(grad, 0, out=layers[i].bias.grad)
        if i or to_input:
            grad = torch.mm(grad, layers[i].weight)  # (B, in)
        if i:
            grad = DERIVATIVES[stack.activation](grad, done.sums[i - 1], done.inputs[i])
    if stack.linear is not None:
        torch.mm(output_grad.t(), done.inputs[0], out=stack.linear.weight.grad)
        if to_input:
            grad.addmm_(output_grad, stack.linear.weight)
    return grad
