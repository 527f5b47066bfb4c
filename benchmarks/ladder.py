"""From the notebook's epoch to ours, one change at a time: each variant adds one change to the one before it.

The third epoch is timed: units of a relu network die in the first ones, and their moments then fade into
denormal numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import clock
import numpy as np
import torch
from notebook import Autoencoder, Images
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader

from latentfit import gradient
from latentfit.data import load
from latentfit.hardware import matmul_as, no_denormals, products_of
from latentfit.model import Network
from latentfit.recipe import REFERENCE
from latentfit.train import make_optimizer


def from_notebook(latent_dim: int) -> float:
    """A PIL image at a time through a DataLoader, Adam with its defaults."""
    torch.manual_seed(0)
    network = Autoencoder(latent_dim)
    optimizer = torch.optim.Adam(network.parameters())
    loader = DataLoader(Images(load("auto").x_train), batch_size=clock.BATCH, shuffle=True)
    batches = (x for _ in itertools.count() for x in loader)  # not `cycle`: it would keep the first pass
    return _timed(batches, partial(_plain, network, optimizer))


def from_tensor(latent_dim: int, fused: bool | None = None) -> float:
    """The data set as one tensor."""
    network = Network(784, latent_dim)
    optimizer = torch.optim.Adam(network.parameters(), fused=fused)
    return _timed(_gathered(), partial(_plain, network, optimizer))


def without_denormals(latent_dim: int) -> float:
    """And denormal numbers are 0."""
    with no_denormals():
        return from_tensor(latent_dim, fused=True)


def with_bf16(latent_dim: int) -> float:
    """And products computed in the way that is fastest on this processor; no change where that is fp32."""
    products = products_of("auto", "cpu")
    with matmul_as(products), torch.autocast("cpu", torch.bfloat16, enabled=products == "bf16-tensors"):
        return without_denormals(latent_dim)


def by_hand(latent_dim: int) -> float:
    """And the gradient written by hand, with all parameters in one tensor: the step of `train.fit`."""
    products = products_of("auto", "cpu")
    flat, loss = gradient.of(Network(784, latent_dim), products)
    optimizer = make_optimizer(REFERENCE, flat, 0, 1)

    def step(x: torch.Tensor) -> None:
        loss(x, None)
        optimizer.step()

    with matmul_as(products), no_denormals():
        return _timed(_gathered(), step)


def _plain(network: torch.nn.Module, optimizer: torch.optim.Adam, x: torch.Tensor) -> None:
    loss = mse_loss(network(x), x)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _gathered() -> Iterator[torch.Tensor]:
    pixels = torch.from_numpy(load("auto").x_train.reshape(-1, 784).copy())
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(pixels)))
    for chosen in itertools.cycle(torch.split(order, clock.BATCH)):
        yield pixels.index_select(0, chosen).float().div_(255)


def _timed(batches: Iterator[torch.Tensor], step: Callable[[torch.Tensor], None]) -> float:
    def part(_first: int) -> None:
        for x in itertools.islice(batches, clock.PART):
            step(x)

    return clock.epoch(part, parts=21)


VARIANTS: dict[str, Callable[[int], float]] = {
    "notebook": from_notebook,
    "tensor": from_tensor,
    "fused": partial(from_tensor, fused=True),
    "no-denormals": without_denormals,
    "bf16": with_bf16,
    "by-hand": by_hand,
}

if __name__ == "__main__":
    clock.main(__doc__, VARIANTS)
