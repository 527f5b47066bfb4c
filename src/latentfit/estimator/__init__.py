"""The scikit-learn estimator: an autoencoder's codes where a pipeline could have PCA's.

It trains the network that a study trains: the same recipes on the same scaling, so that a table needs no scaler before
it. With a share of the variance in place of a number of components it searches as `latentfit study --keep` does.

N rows, F features, K components.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from .. import hardware
from ..data.reading import shape_text
from ..data.scaling import SCALES
from ..errors import InputError, whole_number
from ..model import BATCH, Network
from ..recipe import RECIPES, Recipe
from ..results import Verdict
from ..sweep.job import ONE_AT_A_TIME
from .fitting import Rows, search, train

Array = NDArray[Any]


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A fully connected autoencoder as a transformer.

    Args:
        n_components: K, the length of a code; or the share of the variance to keep, between 0 and 1, for a search of
            the smallest K that is enough (see `measure.verdict`). If it is larger than F, F are used, with a warning.
        recipe: A name, `converged`, `swift` or `reference`, or a `Recipe`. With `converged` a tenth of the rows is held
            out to stop the training (a fifth of fewer than 500); of fewer than 25 none is, and the network is PCA.
        epochs: In place of the recipe's own number.
        scale: `columns`: each feature is divided by its standard deviation while training, and counts alike; `none`:
            all are divided by one number; `auto`: `none` for uint8 and for images, `columns` for everything else. With
            `none`, uint8 and values within [0, 1] are pixels, and reconstructions keep to their range.
        random_state: Seed of the initial weights and of the order of the rows: 0 or more; or a RandomState, from which
            one number is drawn; or None for a new seed at each fit. The global random state is neither read nor
            changed. A search trains with seeds 0, 1 and 2.
        device: `cpu`, `cuda`, `mps`, or `auto`: CUDA where there is one, otherwise the CPU. Codes are computed on the
            CPU, on one core, as a fit is.
        n_jobs: How many networks a search trains side by side, in processes of their own; None is one, in this process,
            and -1 one per core.

    Attributes:
        n_components_: K.
        network_: The trained `Network`. It takes rows as they are, or pixels in [0, 1].
        recipe_: The recipe as it was used.
        history_: One `Epoch` each time errors were measured, on the scale that the network was trained on.
        answer_: Of a search the `Verdict`, with its sentence; else None.
        explained_variance_: Of a search the share of the variance of its test rows, every tenth, that the networks of
            size K trained on the others kept on average; else None.
        mean_: Mean of each feature, (F,) float64.
        scale_: What each feature is divided by in errors, (F,): its deviation, or that of all; 1 where it is constant;
            of pixels the end of their range, 1 or 255.
        image_shape_: (H, W) or (H, W, 3) where it was fitted on images; else None.
        n_features_in_: F; H × W, times 3 in colour, of images.
        feature_names_in_: Names of the features, where X had some.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(20, 6))
        >>> Autoencoder(2).fit_transform(rows).shape
        (20, 2)
    """

    def __init__(
        self,
        n_components: int | float = 16,
        *,
        recipe: str | Recipe = "converged",
        epochs: int | None = None,
        scale: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        device: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.recipe = recipe
        self.epochs = epochs
        self.scale = scale
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Autoencoder:  # noqa: ARG002
        """Train on X.

        Args:
            X: Rows (N, F) or images (N, H, W[, 3]), 2 or more; float32, float64 or uint8. Other numbers become float64.
            y: Ignored.

        Raises:
            InputError: A parameter cannot be used, or not with these values. (Like scikit-learn's own a ValueError.)
            Diverged: An error or a weight was no longer finite.
        """
        X = self._validated(X, reset=True)
        with ONE_AT_A_TIME, hardware.reproducible():
            rows = Rows.of(X, self._scale_of(X), getattr(self, "feature_names_in_", range(X.shape[1])))
            recipe, device, seed = self._recipe_for(rows), self._device(), self._seed()
            answer = self._search(X, rows) if self._is_share() else None
            size = self._size() if answer is None else answer.latent_dim or answer.best or 1
            network, history = train(rows, recipe, size, seed, device)
        self.answer_, self.explained_variance_ = answer, answer and answer.explained_variance
        self.network_, self.history_, self.recipe_, self.n_components_ = network, history, recipe, size
        self.mean_, self.scale_ = rows.mean, rows.unit
        self._constant, self._top = rows.constant, rows.top
        return self

    def transform(self, X: Any) -> Array:
        """Codes (N, K) of rows or images: float64 of float64, float32 of float32 and uint8."""
        return self._encode(self._checked(X))

    def inverse_transform(self, X: Any) -> Array:
        """Rows (N, F) of codes (N, K), or images of what was fitted on images: in the units of what was fitted on."""
        check_is_fitted(self, "network_")
        codes = check_array(X, dtype=[np.float64, np.float32], input_name="X", estimator=self)
        if codes.shape[1] != self.n_components_:
            raise InputError(f"X has {codes.shape[1]} columns; expected codes of {self.n_components_} numbers")
        return self._shaped(self._decode(codes))

    def reconstruct(self, X: Any) -> Array:
        """Reconstructions of rows or images: what `inverse_transform` makes of their codes."""
        return self._shaped(self._decode(self._encode(self._checked(X))))

    def reconstruction_error(self, X: Any) -> Array:
        """Mean over the features of the squared difference from the reconstruction, each divided by `scale_`.

        A number a row, (N,) float64: large for rows unlike those fitted on. Of pixels it is the error in [0, 1].
        """
        X = self._checked(X)
        means: Array = self._squares(X, self._decode(self._encode(X))) / self.n_features_in_
        return means

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002
        """Explained variance of X: 1 - error / mean squared distance from the mean of the rows fitted on.

        At most 1; 0 is no better than that mean. Features count as in `reconstruction_error`, but for those that were
        constant. Rows that do not differ from the mean have 1 if they are reconstructed exactly, otherwise 0.
        """
        X = self._checked(X)
        counts = ~self._constant
        error = self._squares(X, self._decode(self._encode(X)), counts).sum()
        distance = self._squares(X, np.broadcast_to(self.mean_, X.shape), counts).sum()
        return float(1 - error / distance) if distance > 0 else float(error == 0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def _validated(self, X: Any, reset: bool) -> Array:
        """Rows (N, F) of rows or images, float32, float64 or uint8, in C order."""
        shape = tuple(getattr(X, "shape", ()))
        if is_image := len(shape) in (3, 4):
            X = np.asarray(X).reshape(shape[0], math.prod(shape[1:]))  # (N, F)
        at_least = {"ensure_min_samples": 2, "ensure_min_features": 2} if reset else {}
        types = [np.float64, np.float32, np.uint8]
        x: Array = validate_data(self, X, reset=reset, dtype=types, order="C", **at_least)
        if reset:
            self.image_shape_ = shape[1:] if is_image else None
        elif is_image and self.image_shape_ not in (None, shape[1:]):
            raise InputError(
                f"X holds images of {shape_text(shape[1:])}; expected {shape_text(self.image_shape_ or ())}, as fitted"
            )
        return x

    def _checked(self, X: Any) -> Array:
        check_is_fitted(self, "network_")
        return self._validated(X, reset=False)

    def _scale_of(self, X: Array) -> str:
        if self.scale not in ("auto", *SCALES):
            raise InputError(f"scale {self.scale!r}; expected auto, {' or '.join(SCALES)}")
        if self.scale != "auto":
            return self.scale
        return "none" if X.dtype == np.uint8 or self.image_shape_ else "columns"

    def _chosen(self) -> Recipe:
        if isinstance(self.recipe, Recipe):  # `clone` copies it, and a copy of CONVERGED is to be CONVERGED
            return next((known for known in RECIPES.values() if known == self.recipe), self.recipe)
        if not isinstance(self.recipe, str) or self.recipe not in RECIPES:
            raise InputError(f"recipe {self.recipe!r} is not known; expected {', '.join(RECIPES)}, or a Recipe")
        return RECIPES[self.recipe]

    def _recipe_for(self, rows: Rows) -> Recipe:
        """The recipe as a study of these rows would use it."""
        recipe = self._chosen().fitting(len(rows.x))
        if self.epochs is not None:
            recipe = replace(recipe, epochs=self.epochs)
        if rows.scaling is None:
            return recipe
        try:
            return recipe.for_rows()
        except InputError as error:
            raise InputError(f"{error}; or scale X to [0, 1] and give scale='none'") from None

    def _device(self) -> str:
        if self.device == "auto":
            return hardware.best_device()
        hardware.check("fp32", self.device)
        return self.device

    def _seed(self) -> int:
        if self.random_state is None:
            return int(np.random.SeedSequence().generate_state(1)[0])  # from the system
        state = check_random_state(self.random_state)  # which refuses what is no seed
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(state.randint(np.iinfo(np.int32).max))

    def _is_share(self) -> bool:
        share = self.n_components
        if not isinstance(share, Real) or isinstance(share, Integral):
            return False
        if not 0 < share < 1:
            raise InputError(f"n_components {share!r}; expected a whole number, or a share between 0 and 1")
        return True

    def _size(self) -> int:
        asked, most = whole_number("n_components", self.n_components), int(self.n_features_in_)
        if asked > most:
            warnings.warn(f"n_components={asked} is more than the {most} features of X; {most} are used", stacklevel=3)
        return min(asked, most)

    def _search(self, X: Array, rows: Rows) -> Verdict:
        x = X.astype(np.float32, copy=False) if rows.scaling else rows.x[:, None]  # (N, 1, F): images
        keep, scale = float(self.n_components), self._scale_of(X)
        answer = search(x, keep, self._chosen(), self.epochs, self.device, scale, self.n_jobs)
        if answer.status != "found":
            warnings.warn(answer.sentence, ConvergenceWarning, stacklevel=3)
        return answer

    def _encode(self, X: Array) -> Array:
        return self._computed(lambda network, x: network.encode(x / self._top), X, self.n_components_)

    def _decode(self, codes: Array) -> Array:
        x = self._computed(lambda network, z: network.decode(z) * self._top, codes, self.n_features_in_)
        x[:, self._constant] = self.mean_[self._constant]
        return x

    def _computed(self, step: Callable[[Network, torch.Tensor], torch.Tensor], values: Array, columns: int) -> Array:
        """What the network makes of each row of values, (N, columns), in their precision."""
        dtype = torch.float64 if values.dtype == np.float64 else torch.float32
        network = deepcopy(self.network_).to(dtype)
        made = np.empty((len(values), columns), np.float64 if dtype == torch.float64 else np.float32)
        with ONE_AT_A_TIME, hardware.reproducible(), torch.no_grad():
            for start in range(0, len(values), BATCH):
                part = values[start : start + BATCH]
                inputs = torch.empty(part.shape, dtype=dtype)
                inputs.numpy()[...] = part  # in torch's memory, see `model.to_unit`
                made[start : start + BATCH] = step(network, inputs).numpy()
        return made

    def _squares(self, X: Array, made: Array, counts: Array | None = None) -> Array:
        """Sum over the features that count of squared differences, each divided by `scale_`, (N,) float64."""
        sums, features = np.empty(len(X)), slice(None) if counts is None else counts
        for start in range(0, len(X), BATCH):
            part = slice(start, start + BATCH)
            apart = (X[part].astype(float) - made[part]) / self.scale_
            sums[part] = np.square(apart[:, features]).sum(axis=1)
        return sums

    def _shaped(self, x: Array) -> Array:
        return x.reshape(len(x), *self.image_shape_) if self.image_shape_ else x
