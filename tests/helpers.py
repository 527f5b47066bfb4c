"""What several tests share: small images and recipes, a module that is no `Network`, an executor without processes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor, manual_seed, nn

from latentfit import hardware, pca
from latentfit.data import garments
from latentfit.data.images import ImageSet
from latentfit.measure.network import Baselines
from latentfit.recipe import Recipe
from latentfit.results import Codes, ModelResult


def needs(products: str) -> pytest.MarkDecorator:
    """Skip a test where this processor does not make such products: the tests ask what a study asks."""
    return pytest.mark.skipif(not hardware.PRODUCTS[products](), reason=f"this processor does not make {products}")


each_products = pytest.mark.parametrize(
    "products", [pytest.param(name, marks=needs(name)) for name in hardware.PRODUCTS]
)
HAS_BF16 = any(can() for name, can in hardware.PRODUCTS.items() if name != "fp32")
each_precision = pytest.mark.parametrize(
    "precision",
    ["fp32", pytest.param("bf16", marks=pytest.mark.skipif(not HAS_BF16, reason="this processor does not make bf16"))],
)

RECIPE = Recipe(name="small", hidden=(24,), epochs=2, batch_size=64)


def small_clothes(train: int = 300, test: int = 90, seed: int = 0) -> ImageSet:
    return garments.draw(train, test, seed)


def baselines_of(images: ImageSet) -> Baselines:
    """What is measured of images of which none are held out."""
    return Baselines.of(images, 0, images, pca.fit(images.x_train, images.x_test))


class Inline(Executor):
    """Runs each job when it is submitted, here; remembers which (latent_dim, seed) it was given."""

    def __init__(self, before: Callable[[int], None] = lambda _: None) -> None:
        self.jobs: list[tuple[int, int]] = []
        self.before = before

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.before(len(self.jobs))
        self.jobs += [tuple(job) for job in args[0]]
        future.set_result(fn(*args, **kwargs))
        return future


def model_result(latent_dim: int, seed: int = 0, explained: float | None = 0.9, **changes: Any) -> ModelResult:
    """A trained network whose numbers are made up."""
    numbers = dict.fromkeys((field.name for field in fields(ModelResult)), None) | {
        "status": "ok",
        "gates": (),
        "train_mse": 0.01,
        "test_mse": 0.01,
        "effective_dim": 1.0,
        "test_explained_variance": explained,
        "explained_variance_error": 0.0,
        "dims_in_use": latent_dim,
        "codes": Codes((), (), ()),
    }
    return ModelResult(**numbers | {"latent_dim": latent_dim, "seed": seed} | changes)


def contents(folder: Path, leave_out: tuple[str, ...] = ("timing.json",)) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in leave_out)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """An IDX file of unsigned bytes."""
    return b"\0\0\x08" + struct.pack(f">B{array.ndim}I", array.ndim, *array.shape) + array.tobytes()


class OtherModule(nn.Module):
    """Not a `Network`: it has layers that `gradient.by_hand` does not know, and no `forward`."""

    def __init__(self, pixels: int, latent_dim: int) -> None:
        super().__init__()
        manual_seed(0)
        self.inside = nn.Sequential(nn.Linear(pixels, 9), nn.Tanh(), nn.LayerNorm(9), nn.Linear(9, latent_dim))
        self.outside = nn.Sequential(nn.Linear(latent_dim, 9), nn.GELU(), nn.Linear(9, pixels))

    def encode(self, x: Tensor) -> Tensor:
        return self.inside(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.outside(z)
