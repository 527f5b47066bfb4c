"""The same training in JAX: a jitted `lax.scan` over batches, Adam written out, one network.

All numbers are fp32; `bf16` casts the factors of each product. The images lie in JAX's own memory as floats, and
are cut into the parts of an epoch before the clock starts.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import clock
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from latentfit.data import load

Tree = Any


def seconds(kind: Any, latent_dim: int) -> float:
    """Seconds of an epoch."""
    images = load("auto").x_train.reshape(-1, 784)[: clock.BATCH * (clock.STEPS - 1)]
    x = (images.astype(np.float32) / 255).reshape(-1, clock.BATCH, 784)
    cut = {first: jnp.asarray(x[first : first + clock.PART]) for first in clock.starts()}
    rng = np.random.default_rng(0)
    network = [
        (jnp.asarray(rng.uniform(-1, 1, (a, b)) / np.sqrt(a), jnp.float32), jnp.zeros(b))
        for a, b in pairwise(clock.sizes(latent_dim))
    ]
    moments = [jax.tree.map(jnp.zeros_like, network) for _ in range(2)]
    state: Tree = (network, *moments, jnp.zeros(()))
    run = jax.jit(partial(lax.scan, partial(step, kind)), donate_argnums=0)

    def part(first: int) -> None:
        nonlocal state
        state, losses = run(state, cut[first])
        assert np.isfinite(np.asarray(losses)).all()  # which waits for them

    return clock.epoch(part)


def step(kind: Any, state: Tree, x: Any) -> tuple[Tree, Any]:
    """One batch (B, D) of Adam at 0.001."""
    network, first, second, t = state
    loss, gradient = jax.value_and_grad(error)(network, x, kind)
    t = t + 1
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
    rate, unbias = 1e-3 / (1 - 0.9**t), 1 / (1 - 0.999**t)
    network = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v * unbias) + 1e-8), network, first, second)
    return (network, first, second, t), loss


def error(network: Tree, x: Any, kind: Any) -> Any:
    """Mean squared error of a batch."""
    h = x
    for i, (weight, bias) in enumerate(network):
        h = (h.astype(kind) @ weight.astype(kind)).astype(jnp.float32) + bias
        if i == len(network) - 1:
            h = jax.nn.sigmoid(h)
        elif i != len(network) // 2 - 1:
            h = jax.nn.relu(h)
    return jnp.mean((h - x) ** 2)


if __name__ == "__main__":
    clock.main(__doc__, {"fp32": partial(seconds, jnp.float32), "bf16": partial(seconds, jnp.bfloat16)})
