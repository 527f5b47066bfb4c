"""What a fit of the estimator does: rows as networks see them, the training of one network, the search for a size.

N rows, F features, D of them as networks see them.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray

from .. import hardware, pca
from ..data.faults import LARGEST
from ..data.images import ImageSet
from ..data.reading import DEFAULT, choose_held_out, choose_test_images, limits
from ..data.scaling import Scaling
from ..errors import InputError
from ..evaluate import mean_image
from ..model import Network
from ..recipe import Epoch, Recipe
from ..results import Verdict
from ..sweep.run import study
from ..sweep.scaling import folded
from ..sweep.weights import from_weights
from ..train import build, fit

Array = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Rows as a network sees them while it is trained.

    Attributes:
        x: (N, D), pixels as they are, or float32 in deviations.
        mean: See `Autoencoder.mean_`.
        unit: See `Autoencoder.scale_`.
        constant: Which features do not vary, (F,); of pixels, which all count, none.
        top: The end of the range of pixels: 255 or 1. 1 of other rows.
        scaling: From which deviations; None for pixels.
    """

    x: Array
    mean: Array
    unit: Array
    constant: Array
    top: float
    scaling: Scaling | None

    @classmethod
    def of(cls, X: Array, scale: str, names: Iterable[object]) -> Rows:
        """Rows (N, F) in the data's units, with names; InputError if no feature varies, or values are too large."""
        if (X[0] == X).all():
            raise InputError(f"all {len(X)} rows of X are equal; expected at least one feature whose values differ")
        low, high = limits(X)
        if max(-low, high) > LARGEST:
            raise InputError(f"X has numbers up to {max(-low, high):.3g}; expected at most {LARGEST:g}; divide them")
        features, is_bytes = X.shape[1], X.dtype == np.uint8
        if scale == "none" and (is_bytes or (low >= 0 and high <= 1)):
            x, top = (X, 255.0) if is_bytes else (X.astype(np.float32, copy=False), 1.0)
            mean = mean_image(x).numpy() * top
            return cls(x, mean, np.full(features, top), np.zeros(features, bool), top, None)
        scaling = Scaling.of(X, scale)
        for note in scaling.far_notes(tuple(map(str, names))):
            warnings.warn(f"X: {note}", stacklevel=3)
        unit, constant = np.ones(features), np.ones(features, bool)
        unit[scaling.columns], constant[scaling.columns] = scaling.scale, False
        return cls(scaling.apply(X), scaling.mean, unit, constant, 1.0, scaling)


def train(rows: Rows, recipe: Recipe, latent_dim: int, seed: int, device: str) -> tuple[Network, list[Epoch]]:
    """The network that a study would train on these rows, and its history."""
    products, x, x_val = hardware.products_of("auto", device), rows.x, None
    if recipe.holds_out and (held_out := choose_held_out(len(x))).any():
        x, x_val = x[~held_out], x[held_out]
    start = pca.fit(x, x[:1]).start(latent_dim) if recipe.starts_as_pca else None
    network = build(x.shape[1], recipe, latent_dim, seed, start).to(device)
    history = list[Epoch]()
    if recipe.holds_out and x_val is None:
        network.fold()
    else:
        history = fit(network, x, recipe, x_val, seed=seed, products=products)
    weights = {name: tensor.numpy() for name, tensor in network.cpu().state_dict().items()}
    if rows.scaling is not None:
        weights = folded(weights, rows.scaling)
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise InputError("X has features whose weights are no float32; give them another unit")
    return from_weights(build(len(rows.mean), recipe, latent_dim, seed), weights), history


def search(
    x: Array, keep: float, recipe: Recipe, epochs: int | None, device: str, scale: str, n_jobs: int | None
) -> Verdict:
    """The verdict of a study of rows (N, F), or of images (N, H, W), of which every tenth is a test image."""
    test, reading = choose_test_images(len(x), DEFAULT), replace(DEFAULT, scale=scale if x.ndim == 2 else None)
    images = ImageSet("X", x[~test], x[test], reading=reading)
    workers = effective_n_jobs(n_jobs)
    here = Here() if workers == 1 else None
    with tempfile.TemporaryDirectory(prefix="latentfit-") as folder:
        out = Path(folder) / "search"
        found = study(
            images, keep=keep, recipe=recipe, epochs=epochs, device=device, out=out, executor=here, workers=workers
        ).found.verdict
    assert isinstance(found, Verdict)
    return found


class Here(Executor):
    """Runs each job when it is submitted, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The finished call."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # the caller's; Ctrl-C passes
            future.set_exception(error)
        return future
