"""The training loop.

The data set is one array, a batch is an index into it. A trained network is a function of the images, the recipe, the
latent size and the seed. The order of the images depends on (seed, epoch) alone, so that all sizes at one seed see the
same batches.

B images a batch, D numbers an image.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import evaluate, gradient, hardware
from .hardware import matmul_as, no_denormals
from .model import Network, to_tensor
from .recipe import REFERENCE, Epoch, Recipe

Array = NDArray[Any]

OPTIMIZERS: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class Diverged(ArithmeticError):
    """The error became NaN or infinite; the message says in which epoch and batch."""


def fit(
    network: Network,
    x_train: Array,
    recipe: Recipe = REFERENCE,
    x_val: Array | None = None,
    x_test: Array | None = None,
    *,
    seed: int = 0,
    progress: Callable[[Epoch], None] | None = None,
    products: str = "fp32",
    truncate: Callable[[int], gradient.Truncation] | None = None,
) -> list[Epoch]:
    """Train a network in place, on the device where it is.

    Args:
        network: A `Network`, or any module of float32 with `encode`, (B, D) to (B, K), and `decode`, (B, K) to (B, D).
        x_train: Training images (N, H, W[, 3]), uint8 or floats in [0, 1].
        recipe: How to train. Its hidden widths, activation, output and initialization belong to `build`.
        x_val: Images whose error is measured after each epoch.
        x_test: Images whose error is measured after each epoch.
        seed: Determines, with the number of the epoch, the order of the images.
        progress: Called after each epoch.
        products: How the matrix products of the training are computed, a name in `hardware.PRODUCTS`. Weights, the
            optimiser and all measured errors are float32.
        truncate: Returns the truncation of a batch of that many codes; codes are whole if it is not given.

    Returns:
        One row per epoch.

    Raises:
        Diverged: A loss, a measured error or, after the last epoch, a weight is not finite.
        InputError: The processor does not support these products.
    """
    device, training = next(network.parameters()).device, network.training
    hardware.check(products, device.type)
    flat, loss = gradient.of(network, products)
    optimizer = make_optimizer(recipe, flat)
    pixels = _on_device(x_train, device)  # (N, D)
    splits = {name: _on_device(x, device) for name, x in (("val", x_val), ("test", x_test)) if x is not None}
    steps = math.ceil(len(pixels) / recipe.batch_size)
    losses = torch.empty(steps, device=device)  # not a list: small tensors among large ones make the heap grow
    history = []
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        with matmul_as(products), no_denormals():
            order = _order(len(pixels), seed, epoch, device)
            for step, batch in enumerate(torch.split(order, recipe.batch_size)):
                optimizer.param_groups[0]["lr"] = recipe.rate((epoch - 1 + step / steps) / recipe.epochs)
                x = to_tensor(pixels.index_select(0, batch))  # (B, D)
                losses[step] = loss(x, truncate(len(batch)) if truncate else None) * len(batch)  # and the gradient
                optimizer.step()
        train_mse = _mean_loss(losses, len(pixels), epoch)
        network.eval()
        with matmul_as("fp32"):
            errors = {f"{name}_mse": evaluate.mse(network, x) for name, x in splits.items()}
        for name, error in errors.items():
            if not math.isfinite(error):
                what = name.removesuffix("_mse")
                raise Diverged(f"the {what} error was no longer a finite number after epoch {epoch}")
        history.append(Epoch(epoch, train_mse, **errors))
        if progress:
            progress(history[-1])
    network.train(training)
    if not flat.isfinite().all():
        raise Diverged(f"a weight was no longer a finite number after epoch {recipe.epochs}")
    return history


def build(pixels: int, recipe: Recipe, latent_dim: int, seed: int) -> Network:
    """The untrained network of a recipe for images of this many numbers."""
    return Network(pixels, latent_dim, recipe.hidden, recipe.activation, recipe.output, seed, recipe.initialization)


def make_optimizer(recipe: Recipe, flat: torch.nn.Parameter) -> torch.optim.Optimizer:
    """The optimiser of a recipe for all parameters in one tensor."""
    return OPTIMIZERS[recipe.optimizer](
        [flat], recipe.learning_rate, (0.9, recipe.beta2), weight_decay=recipe.weight_decay, fused=True
    )


def _on_device(x: Array, device: torch.device) -> torch.Tensor:
    """Images as (N, D) in their own type: uploaded once, or the same memory on the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about read-only memory: nothing writes here
        return torch.from_numpy(np.ascontiguousarray(x).reshape(len(x), -1)).to(device)


def _order(n: int, seed: int, epoch: int, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(n)).to(device)


def _mean_loss(losses: torch.Tensor, n: int, epoch: int) -> float:
    batches = losses.cpu().double()  # read once an epoch: a GPU does not wait for every batch
    if not (finite := batches.isfinite()).all():
        batch = int((~finite).nonzero()[0]) + 1
        raise Diverged(f"the error was no longer a finite number in epoch {epoch}, batch {batch}")
    return float(batches.sum()) / n
