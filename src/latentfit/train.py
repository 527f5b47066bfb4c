"""The loop: how a network is trained.

The data set is one array, a batch is an index into it. What a training gives is a function of the
images, the recipe, the latent size and the seed: the order of the images depends on (seed, epoch) alone,
so that all sizes at one seed see the same batches.

B images a batch, D numbers an image.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import evaluate, gradient, hardware
from .data.images import ImageSet
from .hardware import matmul_as, no_denormals, peak_memory, reproducible
from .model import Network, to_tensor
from .recipe import REFERENCE, Epoch, Job, Recipe

OPTIMIZERS: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class Diverged(ArithmeticError):
    """The error became NaN or infinite; the message says in which epoch and batch."""


def fit(
    network: Network,
    images: ImageSet,
    recipe: Recipe = REFERENCE,
    seed: int = 0,
    progress: Callable[[Epoch], None] | None = None,
    products: str = "fp32",
    cut: Callable[[int], gradient.Cut] | None = None,
) -> list[Epoch]:
    """Train a network in place, on the device where it is.

    Args:
        network: Takes images of this set's size.
        images: Training images, and the test images that are measured after each epoch.
        recipe: How to train. Its hidden widths, activation, output and initialization belong to `build`.
        seed: With the epoch's number it gives the order of the images.
        progress: Called after each epoch.
        products: How the training's matrix products are made: `fp32`, `rounded-factors` or `bf16-tensors`, see
            `machine.PRODUCTS`. Weights, the optimiser and the test error are fp32 in each.
        cut: How the codes of a batch of that many images are shortened; not at all if it is not given.

    Returns:
        One row an epoch.

    Raises:
        Diverged: The error, or after the last epoch a weight, was no longer a finite number.
        InputError: The products are not known, or the processor does not make them.
    """
    hardware.check(products, next(network.parameters()).device.type)
    of_batch, optimizer, flat = begin(network, recipe, products)
    x_train, x_test = (_pixels(x, flat.device) for x in (images.x_train, images.x_test))  # (N, D)
    steps = math.ceil(len(x_train) / recipe.batch_size)
    history = []
    losses = torch.empty(steps, device=flat.device)  # not a list: small tensors among large ones make the heap grow
    for epoch in range(1, recipe.epochs + 1):
        with matmul_as(products), no_denormals():
            order = _order(len(x_train), seed, epoch, flat.device)
            for step, batch in enumerate(torch.split(order, recipe.batch_size)):
                optimizer.param_groups[0]["lr"] = recipe.rate((epoch - 1 + step / steps) / recipe.epochs)
                x = to_tensor(x_train.index_select(0, batch))  # (B, D)
                loss = of_batch(x, cut(len(batch)) if cut else None)
                optimizer.step()
                losses[step] = loss * len(batch)
        train_mse = _finite_mean(losses, len(x_train), epoch)
        with matmul_as("fp32"):
            test_mse = evaluate.mse(network, x_test)
        if not math.isfinite(test_mse):
            raise Diverged(f"the test error was no longer a finite number after epoch {epoch}")
        history.append(Epoch(epoch, train_mse, test_mse))
        if progress:
            progress(history[-1])
    if not flat.isfinite().all():
        raise Diverged(f"a weight was no longer a finite number after epoch {recipe.epochs}")
    return history


def begin(
    network: Network, recipe: Recipe, products: str
) -> tuple[Callable[[torch.Tensor, gradient.Cut | None], torch.Tensor], torch.optim.Optimizer, torch.nn.Parameter]:
    """What a training's step is made of: the gradient of a batch, the optimiser, and the parameters as one tensor."""
    flat = gradient.flatten(network)
    of_batch = gradient.in_bf16(network, flat) if products == "bf16-tensors" else partial(gradient.by_hand, network)
    optimizer = OPTIMIZERS[recipe.optimizer](
        [flat], recipe.learning_rate, (0.9, recipe.beta2), weight_decay=recipe.weight_decay, fused=True
    )
    return of_batch, optimizer, flat


def _pixels(x: NDArray[Any], device: torch.device) -> torch.Tensor:
    """Images as they are held, (N, D), on a device: one upload, or the same memory where it is this machine's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of memory that is read-only: nobody writes here
        return torch.from_numpy(np.ascontiguousarray(x).reshape(len(x), -1)).to(device)


def _order(n: int, seed: int, epoch: int, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(n)).to(device)


def _finite_mean(losses: torch.Tensor, n: int, epoch: int) -> float:
    each = losses.cpu().double()  # read once an epoch: a device need not wait for every batch
    if not (finite := each.isfinite()).all():
        batch = int((~finite).nonzero()[0]) + 1
        raise Diverged(f"the error was no longer a finite number in epoch {epoch}, batch {batch}")
    return float(each.sum()) / n


@dataclass(frozen=True)
class Measured:
    """What is measured of a network where it was trained: all that needs it and the images alone."""

    train_mse: float
    test_errors: NDArray[np.float64]  # (N,), of each test image
    test_ssim: float | None
    test_sharpness: NDArray[np.float64]  # (N,), of each reconstruction of a test image
    test_codes: NDArray[np.float32]  # (N, K)
    code_range: NDArray[np.float32]  # (2, K): smallest and largest code of the training images
    code_std: NDArray[np.float64]  # (K,): standard deviation of the codes of the training images

    @classmethod
    def of(cls, network: Network, images: ImageSet) -> Measured:
        """Measure a network on the CPU."""
        x_test, k = images.x_test, network.latent_dim
        errors, sharp, similar = (np.empty(len(x_test)) for _ in range(3))
        codes = np.empty((len(x_test), k), np.float32)
        for part, x, z, x_hat in evaluate.reconstruct_batches(network, x_test):
            pictures = x_hat.numpy().reshape(-1, *images.image_shape)
            errors[part], codes[part] = evaluate.batch_errors(x, x_hat), z.numpy()
            sharp[part] = evaluate.sharpness(pictures)
            each = evaluate.image_ssim(x_test[part], pictures)
            similar[part] = math.nan if each is None else each
        train_errors = np.empty(len(images.x_train))
        code_range = np.array([np.full(k, np.inf), np.full(k, -np.inf)], np.float32)
        sums, squares = np.zeros(k), np.zeros(k)
        for part, x, z, x_hat in evaluate.reconstruct_batches(network, images.x_train):
            train_errors[part] = evaluate.batch_errors(x, x_hat)
            centred = z.double().numpy() - codes[0]  # from a point near them, or squares would drown what is left
            sums, squares = sums + centred.sum(axis=0), squares + np.square(centred).sum(axis=0)
            np.minimum(code_range[0], z.numpy().min(axis=0), out=code_range[0])
            np.maximum(code_range[1], z.numpy().max(axis=0), out=code_range[1])
        return cls(
            train_mse=float(train_errors.mean()),
            test_errors=errors,
            test_ssim=None if math.isnan(ssim := float(similar.mean())) else ssim,
            test_sharpness=sharp,
            test_codes=codes,
            code_range=code_range,
            code_std=np.sqrt((squares / len(images.x_train) - np.square(sums / len(images.x_train))).clip(0)),
        )


@dataclass(frozen=True)
class Trained:
    """What a job gives back: arrays and numbers, so that any executor can carry it.

    Where the training failed `reason` says why, `weights` is empty and `measured` is None. A screening has no
    `measured` but the `curve`: test MSE with codes cut to each latent size.
    """

    job: Job
    weights: dict[str, NDArray[np.float32]]
    measured: Measured | None
    history: list[Epoch]
    seconds: float
    peak_memory: int | None
    reason: str | None = None
    curve: dict[int, float] | None = None


def build(images: ImageSet, recipe: Recipe, latent_dim: int, seed: int) -> Network:
    """The untrained network of a recipe for these images."""
    return Network(
        images.pixels, latent_dim, recipe.hidden, recipe.activation, recipe.output, seed, recipe.initialization
    )


ONE_AT_A_TIME = Lock()  # the precision of products is the whole process's, also where an executor has threads


def train_group(
    jobs: Sequence[tuple[int, int]],
    images: ImageSet,
    recipe: Recipe,
    products: str = "fp32",
    device: str = "cpu",
    progress: Callable[[Job, Epoch], None] | None = None,
) -> list[Trained]:
    """Train networks that differ in (latent_dim, seed) alone, and measure them: the one unit of work of a study.

    It reads no file, writes none, and uses one thread, so that its bytes do not depend on what else runs.

    Args:
        jobs: (latent_dim, seed) of each network; a group is usually one.
        images: What to train and test on.
        recipe: How.
        products: How the training's matrix products are made, see `fit`; decided by who asks, never here.
        device: `cpu`, `cuda` or `mps`. The networks are measured on the CPU wherever they were trained.
        progress: Called after each epoch of each network.

    Returns:
        One `Trained` a job, in order. A training that diverges is one with a reason.

    Raises:
        InputError: This machine has no such device, or its processor does not make such products.
    """
    with ONE_AT_A_TIME:  # a probe moves the same settings
        hardware.check(products, device)
        with reproducible():
            return [_train(Job(*job), images, recipe, products, device, progress) for job in jobs]


def _train(
    job: Job,
    images: ImageSet,
    recipe: Recipe,
    products: str,
    device: str,
    progress: Callable[[Job, Epoch], None] | None,
) -> Trained:
    start = time.perf_counter()
    network = build(images, recipe, *job).to(device)
    history: list[Epoch] = []

    def note(row: Epoch) -> None:
        history.append(row)
        if progress:
            progress(job, row)

    try:
        fit(network, images, recipe, job.seed, note, products)
    except Diverged as error:
        return Trained(job, {}, None, history, time.perf_counter() - start, peak_memory(), str(error))
    network.cpu()
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    seconds = time.perf_counter() - start
    return Trained(job, weights, Measured.of(network, images), history, seconds, peak_memory())
