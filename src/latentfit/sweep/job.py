"""One job: networks that differ in latent size and seed alone, trained and measured.

A job writes no file and uses one thread, so that its result does not depend on what else runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from .. import hardware, pca, train
from ..data.images import ImageSet
from ..data.scaling import Scaling
from ..measure.network import Measurement
from ..model import Codec, Network, Start
from ..recipe import Epoch, Job, Recipe
from ..train import Diverged, fit
from . import nested
from .own import Own, seeded
from .scaling import Weights, folded, seen
from .weights import from_weights

ONE_AT_A_TIME = RLock()  # threads and the precision of products are set for the whole process, which may have threads


@dataclass(frozen=True)
class TrainedNetwork:
    """What a job returns: arrays and numbers, so that any executor can carry it.

    Attributes:
        job: (latent_dim, seed).
        weights: Tensor name to array, of rows of numbers in the data's units; empty where the training failed, and for
            a nested network.
        measurement: None where the training failed, and for a nested network.
        history: One row an epoch.
        seconds: Of the training.
        peak_memory: Of the process, in bytes.
        reason: Why the training failed; None where it did not.
        errors: Of a nested network, test error with codes truncated to each latent size.
    """

    job: Job
    weights: dict[str, NDArray[np.float32]]
    measurement: Measurement | None
    history: list[Epoch]
    seconds: float
    peak_memory: int | None
    reason: str | None = None
    errors: dict[int, float] | None = None


def train_group(
    jobs: Sequence[tuple[int, int]],
    images: ImageSet,
    recipe: Recipe,
    products: str = "fp32",
    device: str = "cpu",
    progress: Callable[[Job, Epoch], object] | None = None,
    expected: Mapping[int, float] | None = None,
    start: Start | None = None,
    own: Own | None = None,
) -> list[TrainedNetwork]:
    """Train networks and measure them: the unit of work of a study.

    Args:
        jobs: (latent_dim, seed) of each network; usually one.
        images: What to train and test on. With the schedule `plateau` their `x_val` stops the training; without
            such images the network stays as it begins.
        recipe: How to train.
        products: How the matrix products of the training are computed, see `train.fit`.
        device: `cpu`, `cuda` or `mps`. Networks are measured on the CPU wherever they were trained.
        progress: Called after each epoch of each network.
        expected: Latent size to the error expected there, above 0: the networks are nested ones for these sizes, see
            `sweep.nested`.
        start: Where networks of a recipe start whose initialization is `pca`, see `train.build`; computed if it is
            not given.
        own: The user's function that makes the networks; those of the recipe if it is not given.

    Returns:
        One `TrainedNetwork` a job, in order. A diverged training has a reason.

    Raises:
        InputError: This machine does not have the device, or its processor does not compute such products.
    """
    with ONE_AT_A_TIME:  # a probe of the processor changes the same settings
        hardware.check(products, device)
        with hardware.reproducible():
            if start is None and recipe.starts_as_pca:
                start = pca.fit(images.x_train, images.x_test).start(max(latent_dim for latent_dim, _ in jobs))
            rest = (images, recipe, products, device, progress, expected, start, own)
            return [_train(Job(*job), *rest) for job in jobs]


def _train(
    job: Job,
    images: ImageSet,
    recipe: Recipe,
    products: str,
    device: str,
    progress: Callable[[Job, Epoch], object] | None,
    expected: Mapping[int, float] | None,
    start: Start | None,
    own: Own | None,
) -> TrainedNetwork:
    began, history = time.perf_counter(), list[Epoch]()
    weights, measurement, errors = dict[str, NDArray[np.float32]](), None, None

    def note(row: Epoch) -> None:  # keeps the history of a training that diverges
        history.append(row)
        if progress:
            progress(job, row)

    def result(seconds: float, reason: str | None = None) -> TrainedNetwork:
        return TrainedNetwork(job, weights, measurement, history, seconds, hardware.peak_memory(), reason, errors)

    network = build(images, recipe, job, start, own).to(device)
    try:
        if expected is not None:
            assert isinstance(network, Network)  # `curve` is for these alone
            nested.fit(network, images, recipe, expected, job.seed, note, products)
        elif recipe.holds_out and images.x_val is None:
            network.fold()
        else:
            x, x_val = images.x_train, images.x_val if recipe.holds_out else None
            with seeded(job.seed, job.latent_dim, 1, device=device):  # layers of the user's own may draw
                fit(network, x, recipe, x_val, images.x_test, seed=job.seed, progress=note, products=products)
    except Diverged as error:
        return result(time.perf_counter() - began, str(error))
    network.cpu()
    seconds = time.perf_counter() - began
    if expected is None:
        weights = {name: tensor.contiguous().numpy() for name, tensor in network.state_dict().items()}
        if images.scaling is not None and own is None:
            weights, network = _as_stored(weights, images.scaling, recipe, job)
        measurement = Measurement.of(network, images)
    else:
        assert isinstance(network, Network)
        errors = nested.errors(network, images.x_test, sorted(expected))
    return result(seconds)


def _as_stored(weights: Weights, scaling: Scaling, recipe: Recipe, job: Job) -> tuple[Weights, Codec]:
    """Weights for rows in the data's units, and that network as a function of what it was trained on."""
    whole = folded(weights, scaling)
    stored = train.build(len(scaling.mean), recipe, *job)
    return whole, seen(from_weights(stored, whole), scaling)


def build(images: ImageSet, recipe: Recipe, job: Job, start: Start | None = None, own: Own | None = None) -> Codec:
    """The untrained network of a job: of its recipe, or the user's own.

    Args:
        images: As networks see them.
        recipe: See `train.build`.
        job: (latent_dim, seed).
        start: See `train.build`.
        own: The user's function that makes it.
    """
    if own is not None:
        return own.build(images.image_shape, *job)
    return train.build(images.pixels, recipe, *job, start)
