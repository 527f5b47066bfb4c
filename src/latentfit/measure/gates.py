"""Training checks (`gates` in results.json): was the training sound?

A check that fails changes how a number is read, never the number. Where better training could reach the same error with
fewer dimensions, a size that is enough is an upper bound; checks that are about the images say nothing of the kind.

N images.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..recipe import Epoch, Recipe
from ..results import Gate, Model
from .checks import GATES, Check

Array = NDArray[Any]


BUDGET = "the budget of epochs ended the training before the held-out error had settled"  # `still_falling` of a plateau
UNTRAINED = "too few images to hold some out, so the network is PCA"  # of a recipe that starts as PCA
FAILED = (Gate("failed", 1.0, GATES["failed"].limit),)
DEAD = 1e-4  # a dimension is dead if its variance is below this share of the mean variance of all
ENOUGH = 100  # images of a split whose mean and variance can be compared
ROUNDING = 1e-6  # share of the variance below which a difference of errors is none


def fired(
    train_mse: float,
    test_errors: Array,
    pca_errors: Array,
    test_variance: float,
    history: Sequence[Epoch],
    recipe: Recipe,
    code_std: Sequence[float],
    unlike: float | None,
) -> tuple[Gate, ...]:
    """The checks that fail for a network.

    Args:
        train_mse: Error on the images trained on.
        test_errors: Error of each test image, (N,).
        pca_errors: That of PCA of the images trained on, with as many components as the code has dimensions, (N,).
        test_variance: Mean squared distance of the test images from the mean training image; 0 if they do not vary.
        history: Of its training.
        recipe: As it was trained.
        code_std: Standard deviation of each dimension of the codes of the images trained on.
        unlike: See `unlike_training`.
    """
    if recipe.holds_out:
        falling, single = float(history[-1].epoch) if history else None, False
    else:
        falling, single = last_tenth_fall(history), len(history) == 1 and train_mse > 0
    latent_dim, narrow = len(code_std), recipe.hidden and not recipe.starts_as_pca
    gap = float(test_errors.mean()) - train_mse
    values = {
        "worse_than_pca": _standard_errors(test_errors - pca_errors, test_variance),
        "still_falling": falling,
        "single_epoch": 1.0 if single else None,
        "untrained": 1.0 if not history else None,
        "dead_dimensions": latent_dim - in_use(code_std),
        "narrow_hidden": latent_dim / min(recipe.hidden) if narrow else None,
        "overfitted": gap / test_variance if test_variance > 0 else None,
        "unlike_training": unlike,
    }
    checks = {name: check_of(name, recipe) for name in values}
    return tuple(
        Gate(name, value, checks[name].limit)
        for name, value in values.items()
        if value is not None and (value > checks[name].limit or (checks[name].at_limit and value == checks[name].limit))
    )


def check_of(name: str, recipe: Recipe) -> Check:
    """A check as it is made of networks of this recipe."""
    check = GATES[name]
    if name == "still_falling" and recipe.holds_out:  # its value is then the number of epochs
        return check._replace(limit=float(recipe.epochs), words=BUDGET, at_limit=True)
    if name == "untrained" and recipe.starts_as_pca:
        return check._replace(words=UNTRAINED)
    return check


def _standard_errors(differences: Array, variance: float) -> float | None:
    """Mean of paired differences (N,) in standard errors; None where that says nothing."""
    mean = float(differences.mean())
    if len(differences) < 2 or variance <= 0 or mean <= ROUNDING * variance:
        return None
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return mean / max(error, 1e-6 * mean)  # all alike: a million


def unlike_training(x_mean: Array, train_mean: Array, distances: Array, train_variance: float, n: int) -> float | None:
    """How far the test images are from the training images in mean or variance, as a share of the variance.

    The larger of two shares of the training images' variance, each beyond what chance gives with so many images, and
    two standard errors of it: the squared distance of the mean images, and the difference of the variances. The
    standard error of the squared distance is that of normally distributed images.

    Args:
        x_mean: Mean test image, (D,).
        train_mean: Mean training image, (D,).
        distances: Squared distance of each test image from the mean training image, a pixel, (N,).
        train_variance: The mean of that for the training images.
        n: Number of training images.
    """
    if train_variance <= 0 or min(len(distances), n) < ENOUGH:
        return None
    chance, error = 1 / len(distances) + 1 / n, 2 * float(distances.std(ddof=1)) / train_variance
    shift = float(np.square(x_mean - train_mean).mean()) / train_variance - chance * (1 + error)
    expected = (1 + 1 / n) / (1 - 1 / n)  # around their own mean, which they move, training images vary less
    spread = abs(float(distances.mean()) / train_variance - expected) - math.sqrt(chance) * error
    return max(shift, spread, 0.0)


def in_use(code_std: Sequence[float]) -> int:
    """Dimensions of the code whose variance is at least DEAD times the mean variance; 0 if all codes are equal."""
    variances = [std**2 for std in code_std]
    mean = sum(variances) / len(variances)
    return sum(variance >= DEAD * mean and variance > 0 for variance in variances)


def names(models: Iterable[Model]) -> tuple[str, ...]:
    """Names of the checks that failed for any of these networks, in the order of GATES."""
    found = {gate.name for model in models for gate in model.gates}
    return tuple(name for name in GATES if name in found)


def bounding(names: Iterable[str]) -> list[str]:
    """Those of the failed checks that make a size which is enough an upper bound."""
    return [name for name in names if GATES[name].bounds]


def advice(name: str, recipe: Recipe) -> str:
    """What to do about a failed check in a study of this recipe."""
    return GATES[name].advice or better_training(recipe)


def better_training(recipe: Recipe) -> str:
    """How to train better than with this recipe."""
    return "try more epochs" if recipe.holds_out else "try --recipe converged or more epochs"


def last_tenth_fall(history: Sequence[Epoch]) -> float | None:
    """Share of the training error that the last tenth of the epochs removed; None for a single epoch."""
    before = len(history) - max(1, round(len(history) / 10))
    if before < 1 or history[before - 1].train_mse == 0:
        return None
    return 1 - history[-1].train_mse / history[before - 1].train_mse
