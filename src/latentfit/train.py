"""The recipe and the loop: how a network is trained.

The data set is one array, a batch is an index into it. What a training gives is a function of the
images, the recipe, the latent size and the seed: the order of the images depends on (seed, epoch) alone,
so that all sizes at one seed see the same batches.

B images a batch, D numbers an image.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch.nn.functional import mse_loss

from . import evaluate
from .data.images import ImageSet
from .errors import InputError, whole_number
from .model import ACTIVATIONS, OUTPUTS, Network, to_tensor


@dataclass(frozen=True)
class Recipe:
    """Everything about a training but the images, the latent size and the seed.

    Attributes:
        name: What the recipe is called.
        hidden: Widths of the encoder's hidden layers, outermost first; the decoder mirrors them.
        activation: `relu` or `silu`, between layers.
        output: `sigmoid` or `linear`, at the end.
        optimizer: `adam`, with PyTorch's other defaults.
        learning_rate: Step size, above 0.
        batch_size: Images a step, 1 or more; the last, short batch of an epoch is used.
        epochs: Passes over the training images, 1 or more.

    Raises:
        InputError: A value that is not allowed.
    """

    name: str = "reference"
    hidden: tuple[int, ...] = (512, 256)
    activation: str = "relu"
    output: str = "sigmoid"
    optimizer: str = "adam"
    learning_rate: float = 0.001
    batch_size: int = 128
    epochs: int = 20

    def __post_init__(self) -> None:
        for name, allowed in (("activation", ACTIVATIONS), ("output", OUTPUTS), ("optimizer", ("adam",))):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in allowed:
                raise InputError(f"recipe: {name} {value!r} is not known; expected {', '.join(allowed)}")
        if not isinstance(self.name, str):
            raise InputError(f"recipe: name {self.name!r}; expected text")
        if not isinstance(self.hidden, list | tuple):
            raise InputError(f"recipe: hidden {self.hidden!r}; expected a list of widths, for example [512, 256]")
        rate = self.learning_rate
        if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 < rate < float("inf"):
            raise InputError(f"recipe: learning rate {rate!r}; expected a number above 0")
        # plain numbers, whatever NumPy's they came as: a recipe is written down as JSON
        object.__setattr__(self, "hidden", tuple(whole_number("recipe: hidden width", width) for width in self.hidden))
        object.__setattr__(self, "batch_size", whole_number("recipe: batch size", self.batch_size))
        object.__setattr__(self, "epochs", whole_number("recipe: epochs", self.epochs))


RECIPES = {"reference": Recipe()}


class Epoch(NamedTuple):
    """One row of a history. `train_mse` is the mean over the epoch as it was trained."""

    epoch: int
    train_mse: float
    test_mse: float


class Diverged(ArithmeticError):
    """The error became NaN or infinite; the message says in which epoch and batch."""


def fit(
    network: Network,
    images: ImageSet,
    recipe: Recipe = RECIPES["reference"],
    seed: int = 0,
    progress: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train a network in place.

    Args:
        network: Takes images of this set's size.
        images: Training images, and the test images that are measured after each epoch.
        recipe: How to train. Its hidden widths, activation and output belong to `build`.
        seed: With the epoch's number it gives the order of the images.
        progress: Called after each epoch.

    Returns:
        One row an epoch.

    Raises:
        Diverged: The error, or after the last epoch a weight, was no longer a finite number.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, fused=True)
    history = []
    for epoch in range(1, recipe.epochs + 1):
        losses = []
        for batch in _order(len(images.x_train), recipe.batch_size, seed, epoch):
            x = to_tensor(images.x_train[batch])  # (B, D)
            loss = mse_loss(network(x), x)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach() * len(batch))
        train_mse = _finite_mean(losses, len(images.x_train), epoch)
        test_mse = evaluate.mse(network, images.x_test)
        if not math.isfinite(test_mse):
            raise Diverged(f"the test error was no longer a finite number after epoch {epoch}")
        history.append(Epoch(epoch, train_mse, test_mse))
        if progress:
            progress(history[-1])
    if not all(weights.isfinite().all() for weights in network.parameters()):
        raise Diverged(f"a weight was no longer a finite number after epoch {recipe.epochs}")
    return history


def _order(n: int, batch_size: int, seed: int, epoch: int) -> Iterator[NDArray[np.int64]]:
    order = np.random.default_rng([seed, epoch]).permutation(n)
    return (order[start : start + batch_size] for start in range(0, n, batch_size))


def _finite_mean(losses: list[torch.Tensor], n: int, epoch: int) -> float:
    each = torch.stack(losses).double()  # read once an epoch: a device need not wait for every batch
    if not (finite := each.isfinite()).all():
        batch = int((~finite).nonzero()[0]) + 1
        raise Diverged(f"the error was no longer a finite number in epoch {epoch}, batch {batch}")
    return float(each.sum()) / n


class Job(NamedTuple):
    """Which network: all others of a study differ in this alone."""

    latent_dim: int
    seed: int


@dataclass(frozen=True)
class Trained:
    """What a job gives back: arrays and numbers, so that any executor can carry it.

    `weights` is empty and `reason` says why where the training failed.
    """

    job: Job
    weights: dict[str, NDArray[np.float32]]
    history: list[Epoch]
    seconds: float
    peak_memory: int | None
    reason: str | None = None


def build(images: ImageSet, recipe: Recipe, latent_dim: int, seed: int) -> Network:
    """The untrained network of a recipe for these images."""
    return Network(images.pixels, latent_dim, recipe.hidden, recipe.activation, recipe.output, seed)


def train_group(
    jobs: Sequence[tuple[int, int]],
    images: ImageSet,
    recipe: Recipe,
    progress: Callable[[Job, Epoch], None] | None = None,
) -> list[Trained]:
    """Train networks that differ in (latent_dim, seed) alone: the one unit of work of a study.

    It reads no file, writes none, and uses one thread, so that its bytes do not depend on what else runs.

    Args:
        jobs: (latent_dim, seed) of each network; on the CPU a group is usually one.
        images: What to train and test on.
        recipe: How.
        progress: Called after each epoch of each network.

    Returns:
        One `Trained` a job, in order. A training that diverges is one with a reason.
    """
    with one_thread():
        return [_train(Job(*job), images, recipe, progress) for job in jobs]


def _train(job: Job, images: ImageSet, recipe: Recipe, progress: Callable[[Job, Epoch], None] | None) -> Trained:
    start = time.perf_counter()
    network = build(images, recipe, *job)
    history: list[Epoch] = []

    def note(row: Epoch) -> None:
        history.append(row)
        if progress:
            progress(job, row)

    weights, reason = {}, None
    try:
        fit(network, images, recipe, job.seed, note)
        weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    except Diverged as error:
        reason = str(error)
    return Trained(job, weights, history, time.perf_counter() - start, peak_memory(), reason)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch's and NumPy's products while this lasts: sums depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def peak_memory() -> int | None:
    """The most memory this process has held at once, in bytes, mapped files included; None on Windows."""
    import sys

    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
