"""Codes in and out: new data to a file of codes, and a file of codes to data, some items at a time.

The network, and how its data were prepared, come from the folder of a study. N items, K latent dimensions.
"""

from __future__ import annotations

from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from .. import data, evaluate, latent
from ..data.images import ImageSet
from ..hardware import matmul_as
from ..model import BATCH
from ..recipe import Job
from ..sweep.store import Study
from . import inputs, outputs
from .outputs import Layout

TEXTS = ("name", "split", "label")


class Done(NamedTuple):
    """What was written: for how many items, by which network, and what of the source is not used, in sentences."""

    items: int
    job: Job
    notes: tuple[str, ...] = ()


def encode(
    study: Study,
    source: str | Path | ImageSet,
    out: str | Path,
    latent_dim: int | None = None,
    seed: int | None = None,
    *,
    errors: bool = False,
    data_dir: str | Path | None = None,
    value_range: float | None = None,
    skip_bad: bool = False,
) -> Done:
    """Write the codes of new data, and what each item is called.

    Args:
        study: Whose network encodes.
        source: What `data.load` takes, or an `ImageSet`; all its items in their order.
        out: An `.npy`, which holds the codes alone, (N, K) float32; or an `.npz`, `.csv` or `.parquet` with name,
            split and label beside them.
        latent_dim: Size of the network, see `Study.chosen`.
        seed: Its seed, see `Study.chosen`.
        errors: Also write the mean squared error of each reconstruction, pixels in [0, 1], or rows in the data's units.
        data_dir: Where Fashion-MNIST's files are looked for first.
        value_range: Pixel values in the source's files run from 0 to this, where it is not what it was in training.
        skip_bad: Leave out pictures that cannot be used.

    Raises:
        InputError: The source, the file or the network cannot be used; nothing was written.
    """
    path, job = outputs.checked(Path(out), errors), study.chosen(latent_dim, seed)
    network, prepared = study.network(*job), study.preparation(*job)
    items = data.stream(source, prepared, data_dir, value_range=value_range, skip_bad=skip_bad)
    texts = tuple(compress(TEXTS, (True, items.has_splits, items.has_labels)))
    layout = Layout("z", (job.latent_dim,), tuple(f"z{i}" for i in range(job.latent_dim)), texts, errors)
    count = 0
    with outputs.writing(path, layout) as write, matmul_as("fp32"):
        for block in items.blocks(BATCH):
            known = dict(zip(TEXTS, (block.names, block.splits, block.labels), strict=True))
            if errors:
                ((_, x, z, x_hat),) = evaluate.reconstruct_batches(network, block.x)
                write({name: known[name] for name in texts}, z.numpy(), evaluate.batch_errors(x, x_hat))
            else:
                write({name: known[name] for name in texts}, latent.encode(network, block.x), None)
            count += len(block.x)
    return Done(count, job, items.notes)


@torch.no_grad()
def decode(
    study: Study, source: str | Path, out: str | Path, latent_dim: int | None = None, seed: int | None = None
) -> Done:
    """Write the images or rows of codes, float32, in the shape and units of the data that the network was trained on.

    Args:
        study: Whose network decodes.
        source: A file of codes as `encode` writes it: an `.npy` (N, K), an `.npz` with `z`, a `.csv` or `.parquet`
            with `z0` to the last.
        out: An `.npy`, (N, H, W[, 3]) or (N, D); or an `.npz`, `.csv` or `.parquet`, with the names of the source.
        latent_dim: Size of the network, see `Study.chosen`.
        seed: Its seed, see `Study.chosen`.

    Raises:
        InputError: The source, the file or the network cannot be used; nothing was written.
    """
    path, job = outputs.checked(Path(out)), study.chosen(latent_dim, seed)
    network, prepared = study.network(*job), study.preparation(*job)
    codes = inputs.opened(Path(source), job.latent_dim)
    columns = prepared.columns or tuple(f"pixel{i}" for i in range(network.pixels))
    scale = np.float32(1 if prepared.columns else prepared.top)
    count = 0
    with outputs.writing(path, Layout("x", prepared.image_shape, columns, codes.texts)) as write, matmul_as("fp32"):
        for texts, z in codes.blocks(BATCH):
            write(texts, latent.decode(network, z, prepared.image_shape) * scale, None)
            count += len(z)
    return Done(count, job)
