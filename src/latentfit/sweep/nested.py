"""The error at every size from one training: a nested network.

Its codes are truncated at a random length for each image (nested dropout: Rippel, Gelbart & Adams, 2014), so that its
first k dimensions are a code of k dimensions. One network serves all sizes, and networks that were trained for one size
do better: it shows where to look, and no answer depends on it.

Two things bring its errors nearer to theirs. Unless it starts as PCA, it is first trained without truncation for a
part of the epochs, and its code turned to the principal axes, so that the later dimensions are in use when truncation
begins and the first ones hold most. And an image's error is weighted by the inverse of the error that is expected at
its length: small errors would otherwise drown in large ones.

N images, B images a batch, D numbers an image, K latent dimensions, S sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import evaluate, train
from ..data.images import ImageSet
from ..gradient import Truncation
from ..latent import encode
from ..model import Network, batches
from ..recipe import Epoch, Recipe

LONGER = 2  # times the recipe's epochs: each size is trained on a part of the images only
SHORTER = 10  # the part of a budget of epochs that it is trained for, whose end no held-out error decides
BEFORE = 0.25  # share of these epochs that the network is trained before, without truncation
TURNED_BY = 10_000  # training images whose codes give the principal axes, at most


def fit(
    network: Network,
    images: ImageSet,
    recipe: Recipe,
    expected: Mapping[int, float],
    seed: int,
    progress: Callable[[Epoch], None],
    products: str,
) -> None:
    """Train a network of the largest size in place; errors as of `train.fit`.

    Args:
        network: Its latent_dim is the largest size.
        images: What to train and test on.
        recipe: How to train, but for the number of epochs.
        expected: Latent size to the error expected there, above 0: that of PCA.
        seed: Of the order of the images and of the truncation.
        progress: Called after each epoch.
        products: As of `train.fit`.
    """
    device, rows = next(network.parameters()).device, 0

    def count_on(row: Epoch) -> None:
        nonlocal rows
        rows += 1
        progress(row._replace(epoch=rows))

    fit = partial(train.fit, x_test=images.x_test, seed=seed, progress=count_on, products=products)
    longer = replace(recipe, epochs=LONGER * recipe.epochs)
    if recipe.holds_out:
        longer = replace(recipe, schedule="cosine", epochs=math.ceil(recipe.epochs / SHORTER))
    if not recipe.starts_as_pca:
        before = replace(recipe, epochs=math.ceil(BEFORE * longer.epochs))
        fit(network, images.x_train, before)
        turn(network.cpu(), images.x_train)
    fit(network.to(device), images.x_train, longer, truncate=truncation(expected, seed, device))


@torch.no_grad()
def turn(network: Network, x_train: NDArray[Any]) -> None:
    """Turn and centre a network's code to its principal axes, widest first; its reconstructions do not change."""
    last, first = network.encoder.layers[-1], network.decoder.layers[0]
    z = torch.from_numpy(encode(network, x_train[:TURNED_BY])).double()  # (N, K)
    mean = z.mean(dim=0)
    axes = torch.linalg.eigh((z - mean).t() @ (z - mean))[1].flip(1)  # (K, K), a column an axis
    first.bias.add_(first.weight.double() @ mean)
    first.weight.copy_(first.weight.double() @ axes)
    last.bias.copy_(axes.t() @ (last.bias.double() - mean))
    last.weight.copy_(axes.t() @ last.weight.double())


def truncation(
    expected: Mapping[int, float], seed: int, device: torch.device | str = "cpu"
) -> Callable[[int], Truncation]:
    """A function that draws the truncation of a batch: lengths evenly spread over the logarithm of the size."""
    sizes = np.array(sorted(expected))  # (S,)
    share = _shares(sizes)
    weight = 1 / np.array([expected[k] for k in sizes.tolist()])
    weight /= (share * weight).sum()  # mean 1: the step size stays what the recipe says
    ends = torch.from_numpy(np.cumsum(share)[:-1])
    lengths, weights = torch.from_numpy(sizes), torch.from_numpy(weight).float()
    generator = torch.Generator().manual_seed(seed)

    def truncate(count: int) -> Truncation:
        positions = (torch.arange(count) + torch.rand(1, generator=generator)).double() / count  # (B,), all different
        drawn = torch.bucketize(positions, ends)
        mask = torch.arange(int(sizes[-1])) < lengths[drawn][:, None]  # (B, K)
        return Truncation(mask.float().to(device), weights[drawn][:, None].to(device))

    return truncate


def _shares(sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the images truncated to each size: the part of the logarithmic axis nearest to it, (S,), 1 in sum."""
    between = np.log(sizes[:-1] * sizes[1:]) / 2
    ends = np.concatenate([[np.log(sizes[0] - 0.5)], between, [np.log(sizes[-1] + 0.5)]])
    shares: NDArray[np.float64] = np.diff(ends) / (ends[-1] - ends[0])
    return shares


@torch.no_grad()
def errors(network: Network, x_test: NDArray[Any], sizes: Sequence[int]) -> dict[int, float]:
    """Mean squared error on the test images with codes truncated to each of the sizes."""
    z = torch.from_numpy(encode(network, x_test))  # (N, K)
    sums = dict.fromkeys(sizes, 0.0)
    start = 0
    for x in batches(x_test):
        codes = z[start : start + len(x)]
        start += len(x)
        for k in sizes:
            short = torch.cat([codes[:, :k], torch.zeros(len(x), z.shape[1] - k)], dim=1)  # (B, K)
            sums[k] += float(evaluate.batch_errors(x, network.decode(short)).sum())
    return {k: total / len(x_test) for k, total in sums.items()}
