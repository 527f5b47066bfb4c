"""The whole curve from one training: a network whose codes are cut at a random length for each image.

Its first k dimensions are then a code of k dimensions, so that one training gives an error at every size (nested
dropout: Rippel, Gelbart & Adams, 2014). It is a screening: one network serves all sizes, and networks that were
trained for one size do better.

Two things bring the curve nearer to theirs. First the network is trained as any other, for a part of the epochs, and
its code turned to the principal axes, so that the later dimensions are in use when cutting begins and the first ones
hold most. And an image's error counts the more, the less error is to be expected at its length: what is to be small
would otherwise drown in what is large.

N images, B images a batch, D numbers an image, K latent dimensions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .. import evaluate, hardware
from ..data.images import ImageSet
from ..gradient import Cut
from ..hardware import peak_memory, reproducible
from ..latent import encode
from ..model import Network, batches
from ..recipe import Epoch, Job, Recipe
from ..train import ONE_AT_A_TIME, Diverged, Trained, build, fit

LONGER = 2  # times the recipe's epochs: each size is trained on a part of the images only
BEFORE = 0.25  # share of these epochs that the network is trained for before, without cuts
TURNED_BY = 10_000  # training images whose codes tell the principal axes, at most


def screen(
    jobs: Sequence[tuple[int, int]],
    images: ImageSet,
    recipe: Recipe,
    products: str = "fp32",
    device: str = "cpu",
    progress: Callable[[Job, Epoch], None] | None = None,
    *,
    expected: Mapping[int, float],
) -> list[Trained]:
    """Train one network for all sizes, and measure its error at each: a unit of work as `train.train_group` is.

    Args:
        jobs: (latent_dim, seed) of each network; its latent_dim is the largest size.
        images: What to train and test on.
        recipe: How, but for the number of epochs.
        products: As of `train.fit`.
        device: `cpu`, `cuda` or `mps`.
        progress: Called after each epoch.
        expected: The sizes to cut at, and the error to expect at each, above 0: PCA's.

    Returns:
        A `Trained` with a `curve` each; its history begins with the epochs before the cuts. One that diverges has
        a reason instead.
    """
    with ONE_AT_A_TIME:
        hardware.check(products, device)
        with reproducible():
            return [_screen(Job(*job), images, recipe, products, device, progress, expected) for job in jobs]


def _screen(
    job: Job,
    images: ImageSet,
    recipe: Recipe,
    products: str,
    device: str,
    progress: Callable[[Job, Epoch], None] | None,
    expected: Mapping[int, float],
) -> Trained:
    start, history = time.perf_counter(), list[Epoch]()

    def note(row: Epoch) -> None:
        history.append(row._replace(epoch=len(history) + 1))
        if progress:
            progress(job, history[-1])

    network = build(images, recipe, *job).to(device)
    longer = replace(recipe, epochs=LONGER * recipe.epochs)
    before = replace(recipe, epochs=math.ceil(BEFORE * longer.epochs))
    try:
        fit(network, images, before, job.seed, note, products)
        turn(network.cpu(), images)
        fit(network.to(device), images, longer, job.seed, note, products, cuts(expected, job.seed, device))
    except Diverged as error:
        return Trained(job, {}, None, history, time.perf_counter() - start, peak_memory(), str(error))
    curve = errors(network.cpu(), images, sorted(expected))
    return Trained(job, {}, None, history, time.perf_counter() - start, peak_memory(), curve=curve)


@torch.no_grad()
def turn(network: Network, images: ImageSet) -> None:
    """Turn a network's code to its principal axes, the widest first, and centre it; what it makes of an image stays."""
    last, first = network.encoder[-1], network.decoder[0]
    assert isinstance(last, nn.Linear)
    assert isinstance(first, nn.Linear)
    z = torch.from_numpy(encode(network, images.x_train[:TURNED_BY])).double()  # (N, K)
    mean = z.mean(dim=0)
    axes = torch.linalg.eigh((z - mean).t() @ (z - mean))[1].flip(1)  # (K, K), a column an axis
    first.bias.add_(first.weight.double() @ mean)
    first.weight.copy_(first.weight.double() @ axes)
    last.bias.copy_(axes.t() @ (last.bias.double() - mean))
    last.weight.copy_(axes.t() @ last.weight.double())


def cuts(expected: Mapping[int, float], seed: int, device: str = "cpu") -> Callable[[int], Cut]:
    """How to cut the codes of a batch: lengths that are spread evenly over the logarithm of the size."""
    sizes = np.array(sorted(expected))  # (S,)
    share = _shares(sizes)
    weight = 1 / np.array([expected[k] for k in sizes.tolist()])
    weight /= (share * weight).sum()  # 1 in the mean: the step size stays what the recipe says
    ends = torch.from_numpy(np.cumsum(share)[:-1])
    lengths, weights = torch.from_numpy(sizes), torch.from_numpy(weight).float()
    generator = torch.Generator().manual_seed(seed)

    def cut(count: int) -> Cut:
        places = (torch.arange(count) + torch.rand(1, generator=generator)).double() / count  # (B,), none alike
        drawn = torch.bucketize(places, ends)
        kept = torch.arange(int(sizes[-1])) < lengths[drawn][:, None]  # (B, K)
        return Cut(kept.float().to(device), weights[drawn][:, None].to(device))

    return cut


def _shares(sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """How often each size is cut at: the part of the logarithmic axis that is nearest to it, (S,), 1 in sum."""
    between = np.log(sizes[:-1] * sizes[1:]) / 2
    ends = np.concatenate([[np.log(sizes[0] - 0.5)], between, [np.log(sizes[-1] + 0.5)]])
    shares: NDArray[np.float64] = np.diff(ends) / (ends[-1] - ends[0])
    return shares


@torch.no_grad()
def errors(network: Network, images: ImageSet, sizes: Sequence[int]) -> dict[int, float]:
    """Mean squared error on the test images with codes cut to each of the sizes."""
    z = torch.from_numpy(encode(network, images.x_test))  # (N, K)
    sums = dict.fromkeys(sizes, 0.0)
    start = 0
    for x in batches(images.x_test):
        codes = z[start : start + len(x)]
        start += len(x)
        for k in sizes:
            short = torch.cat([codes[:, :k], torch.zeros(len(x), z.shape[1] - k)], dim=1)  # (B, K)
            sums[k] += float(evaluate.batch_errors(x, network.decode(short)).sum())
    return {k: total / len(images.x_test) for k, total in sums.items()}
