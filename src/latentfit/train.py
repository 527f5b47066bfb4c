"""The training loop.

The data set is one array, a batch is an index into it. A trained network is a function of the images, the recipe, the
latent size and the seed. The order of the images depends on (seed, epoch) alone, so that all sizes at one seed see the
same batches.

B images a batch, D numbers an image.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import evaluate, gradient, hardware
from .errors import InputError
from .hardware import matmul_as, no_denormals
from .model import Codec, Network, Start, to_tensor
from .recipe import REFERENCE, Epoch, Recipe

Array = NDArray[Any]

LOOK = 200  # steps between two measurements of the held-out error, at least
BETTER = 0.005  # share by which the held-out error has to fall to be an improvement
PATIENCE = 3  # measurements without one, after which the rate falls
FALL = 0.5  # epochs of the fall, for each epoch before
RISE = 100  # steps in which the rate rises at the beginning

OPTIMIZERS: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class Diverged(ArithmeticError):
    """The error became NaN or infinite; the message says in which epoch and batch."""


def fit(
    network: Codec,
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

    With the schedule `plateau` the step size is constant until the error of the held-out images no longer improves,
    then it falls to 0, and the weights with the smallest held-out error are kept, those at the start included.

    Args:
        network: A `Network`, or any module of float32 with `encode`, (B, D) to (B, K), and `decode`, (B, K) to (B, D).
        x_train: Training images (N, H, W[, 3]), uint8 or floats in [0, 1].
        recipe: How to train. Its hidden widths, activation, output and initialization belong to `build`.
        x_val: Held-out images, whose error is measured after each row's epoch; `plateau` needs them.
        x_test: Images whose error is measured after each row's epoch.
        seed: Determines, with the number of the epoch, the order of the images.
        progress: Called with each row.
        products: How the matrix products of the training are computed, a name in `hardware.PRODUCTS`. Weights, the
            optimiser and all measured errors are float32.
        truncate: Returns the truncation of a batch of that many codes; codes are whole if it is not given.

    Returns:
        One row per epoch; with `plateau` a row each time the errors are measured, after LOOK steps or an epoch.

    Raises:
        Diverged: A loss, a measured error or, after the last epoch, a weight is not finite.
        InputError: The processor does not support these products, or there are no held-out images for `plateau`.
    """
    device, training = next(network.parameters()).device, network.training
    hardware.check(products, device.type)
    if recipe.holds_out and x_val is None:
        raise InputError("the schedule plateau stops by held-out images; expected x_val")
    flat, loss = gradient.of(network, products)
    pixels = _on_device(x_train, device)  # (N, D)
    splits = {name: _on_device(x, device) for name, x in (("val", x_val), ("test", x_test)) if x is not None}
    steps = math.ceil(len(pixels) / recipe.batch_size)
    optimizer = make_optimizer(recipe, flat, sum(w.numel() for w in gradient.linear_path(network)), steps)
    losses = torch.empty(steps, device=device)  # not a list: small tensors among large ones make the heap grow
    schedule = Schedule(recipe)
    if recipe.holds_out:
        schedule = Plateau(recipe, steps, network, measured(network, splits, 0)["val_mse"])
    history, epoch = list[Epoch](), 0
    while epoch < schedule.end:
        epoch += 1
        network.train()
        with matmul_as(products), no_denormals():
            order = _order(len(pixels), seed, epoch, device)
            for step, batch in enumerate(torch.split(order, recipe.batch_size)):
                set_rate(optimizer, schedule.rate(epoch - 1 + step / steps))
                x = to_tensor(pixels.index_select(0, batch))  # (B, D)
                losses[step] = loss(x, truncate(len(batch)) if truncate else None) * len(batch)  # and the gradient
                optimizer.step()
        train_mse = _mean_loss(losses, len(pixels), epoch)
        if schedule.looks_at(epoch):
            history.append(Epoch(epoch, train_mse, **measured(network, splits, epoch), steps=epoch * steps))
            schedule.look(history[-1])
            if progress:
                progress(history[-1])
    schedule.finish()
    _check_and_fold(network.train(training), flat, epoch)
    return history


class Schedule:
    """Which step size when, and when a training ends: here after the recipe's epochs, whatever the errors are."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.end = recipe, recipe.epochs

    def rate(self, done: float) -> float:
        """The step size after so many epochs."""
        return self.recipe.rate(done / self.recipe.epochs)

    def looks_at(self, epoch: int) -> bool:
        """Whether errors are measured after this epoch."""
        return epoch <= self.end

    def look(self, row: Epoch) -> None:
        """Note the errors after an epoch."""

    def finish(self) -> None:
        """End the training."""


class Plateau(Schedule):
    """A constant step size until the held-out error no longer improves, then one that falls to 0; the best is kept.

    Args:
        recipe: Its epochs are the most there may be, those of the fall included.
        steps: Of an epoch.
        network: Whose weights change while training, and whose buffers may.
        val_mse: Held-out error of it as it is.
    """

    def __init__(self, recipe: Recipe, steps: int, network: torch.nn.Module, val_mse: float) -> None:
        super().__init__(recipe)
        self.steps, self.network = steps, network
        self.every = math.ceil(LOOK / steps)  # epochs from one look to the next
        self.latest = math.floor(recipe.epochs / (1 + FALL))  # the last epoch before a fall that fits the budget
        self.best, self.kept = val_mse, {name: held.clone() for name, held in network.state_dict().items()}
        self.compared, self.looks = val_mse, 0  # the last error that was an improvement, and looks since then
        self.fell_from: int | None = None  # the epoch after which the rate falls

    def rate(self, done: float) -> float:
        """The step size after so many epochs."""
        if self.fell_from is not None:
            return self.recipe.learning_rate * (self.end - done) / (self.end - self.fell_from)
        return self.recipe.learning_rate * min(1.0, (done * self.steps + 1) / RISE)

    def looks_at(self, epoch: int) -> bool:
        """Whether errors are measured after this epoch."""
        return epoch % self.every == 0 or epoch in (self.latest, self.end)

    def look(self, row: Epoch) -> None:
        """Keep the network if it is the best, and begin the fall when the error no longer improves."""
        assert row.val_mse is not None
        if row.val_mse < self.best:
            self.best = row.val_mse
            for name, held in self.network.state_dict().items():
                self.kept[name].copy_(held)
        if self.fell_from is not None:
            return
        if row.val_mse < (1 - BETTER) * self.compared:
            self.compared, self.looks = row.val_mse, 0
        else:
            self.looks += 1
        if row.epoch >= self.latest:
            self.fell_from = row.epoch  # the budget ends the training
        elif self.looks >= PATIENCE:
            self.fell_from, self.end = row.epoch, row.epoch + math.ceil(FALL * row.epoch)

    def finish(self) -> None:
        """Take the best network back."""
        self.network.load_state_dict(self.kept)


def measured(network: Codec, splits: Mapping[str, torch.Tensor], epoch: int) -> dict[str, float]:
    """Error of each split (N, D) under `<name>_mse`, in fp32; Diverged where one is not finite after this epoch."""
    network.eval()
    with matmul_as("fp32"):
        errors = {name: evaluate.mse(network, x) for name, x in splits.items()}
    for name, error in errors.items():
        if not math.isfinite(error):
            raise Diverged(f"the {name} error was no longer a finite number after epoch {epoch}")
    return {f"{name}_mse": error for name, error in errors.items()}


def build(pixels: int, recipe: Recipe, latent_dim: int, seed: int, start: Start | None = None) -> Network:
    """The untrained network of a recipe for images of this many numbers.

    Args:
        pixels: D.
        recipe: Its architecture.
        latent_dim: K.
        seed: Of the initial weights.
        start: `pca.PCA.start` of the images trained on, for a recipe whose initialization is `pca`. Without it the
            linear path is 0: the network is only to take weights.
    """
    if recipe.is_own:
        raise InputError(f"recipe {recipe.name} is for a network of your own; expected one with layers of its own")
    linear = recipe.starts_as_pca
    initialization = "glorot" if linear else recipe.initialization
    network = Network(pixels, latent_dim, recipe.hidden, recipe.activation, recipe.output, seed, initialization, linear)
    if linear and start is not None:
        network.start_as_pca(start)
    return network


def make_optimizer(recipe: Recipe, flat: torch.nn.Parameter, spared: int, steps: int) -> torch.optim.Optimizer:
    """The optimiser of a recipe.

    Args:
        recipe: Which, with its constants.
        flat: All parameters in one tensor with its gradient.
        spared: How many numbers at its end `decay_epochs` spares.
        steps: Steps an epoch.
    """
    decay = recipe.weight_decay
    parts = [flat]
    if recipe.decay_epochs:
        decay = 1 / (recipe.learning_rate * recipe.decay_epochs * steps)
        parts = _parts(flat, len(flat) - spared)
    groups = [{"params": [part], "weight_decay": d} for part, d in zip(parts, (decay, 0.0), strict=False)]
    return OPTIMIZERS[recipe.optimizer](groups, recipe.learning_rate, (0.9, recipe.beta2), fused=True)


def _parts(flat: torch.nn.Parameter, first: int) -> list[torch.nn.Parameter]:
    """The first numbers of a tensor and the others, as parameters that share its memory and that of its gradient."""
    assert flat.grad is not None
    parts = [torch.nn.Parameter(flat.data[:first]), torch.nn.Parameter(flat.data[first:])]
    parts[0].grad, parts[1].grad = flat.grad[:first], flat.grad[first:]
    return [part for part in parts if len(part)]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the step size of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _check_and_fold(network: torch.nn.Module, flat: torch.Tensor, epoch: int) -> None:
    """End a training: its weights are finite, and those of a `Network` take pixels."""
    if not flat.isfinite().all():
        raise Diverged(f"a weight was no longer a finite number after epoch {epoch}")
    if isinstance(network, Network):
        network.fold()


def _on_device(x: Array, device: torch.device) -> torch.Tensor:
    """Images as (N, D) in their own type: uploaded once, or the same memory on the CPU, mapped or not."""
    flat = x.reshape(len(x), -1)
    is_simple = all(step >= 0 and step % flat.itemsize == 0 for step in flat.strides)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about read-only memory: nothing writes here
        return torch.from_numpy(flat if is_simple else flat.copy()).to(device)


def _order(n: int, seed: int, epoch: int, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(n)).to(device)


def _mean_loss(losses: torch.Tensor, n: int, epoch: int) -> float:
    batches = losses.cpu().double()  # read once an epoch: a GPU does not wait for every batch
    if not (finite := batches.isfinite()).all():
        batch = int((~finite).nonzero()[0]) + 1
        raise Diverged(f"the error was no longer a finite number in epoch {epoch}, batch {batch}")
    return float(batches.sum()) / n
