"""The product floor: the matrix products of one network's epoch, computed in one of the ways of `hardware.PRODUCTS`.

What a training of these shapes has to compute for each batch: the forward products, those for the gradients of the
weights, and those for the gradients of the layers' inputs (without the images), in the layout of a network's weights.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import clock
import torch

from latentfit import hardware


def seconds(products: str, latent_dim: int) -> float:
    """Seconds of an epoch's products."""
    kind = torch.bfloat16 if products == "bf16-tensors" else torch.float32
    layers = clock.sizes(latent_dim)
    weights = [torch.randn(out, into).mul_(0.05).to(kind) for into, out in pairwise(layers)]
    x = [torch.randn(clock.BATCH, width).to(kind) for width in layers]  # what goes into each layer
    above = [torch.randn(clock.BATCH, width).to(kind) for width in layers]  # what comes back out of each
    out = [torch.empty_like(array) for array in x]
    gradients = [torch.empty_like(weight) for weight in weights]

    def part(_first: int) -> None:
        for _ in range(clock.PART):
            for i, weight in enumerate(weights):
                torch.mm(x[i], weight.t(), out=out[i + 1])
            for i in reversed(range(len(weights))):
                torch.mm(above[i + 1].t(), x[i], out=gradients[i])
                if i:
                    torch.mm(above[i + 1], weights[i], out=out[i])

    with hardware.matmul_as(products):
        return clock.epoch(part)


if __name__ == "__main__":
    clock.main(__doc__, {name: partial(seconds, name) for name in hardware.PRODUCTS})
