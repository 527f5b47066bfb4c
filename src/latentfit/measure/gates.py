"""Training checks (`gates` in results.json): was the training sound?

A check that fails changes how a number is read, never the number: better training could reach the same error with fewer
dimensions, so a size found by a network with a failed check is an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..recipe import Epoch
from ..results import Gate, Model


class Check(NamedTuple):
    """A limit, what it means that it is exceeded, and what to do; the advice is to train better if it is not given."""

    limit: float
    words: str
    short: str
    advice: str | None = None


GATES = {
    "worse_than_pca": Check(0.01, "worse than PCA by more than 1 % of the variance", "worse than PCA"),
    "still_falling": Check(
        0.01, "training error still fell by more than 1 % in the last tenth of the epochs", "still falling"
    ),
    "single_epoch": Check(0, "one epoch cannot show whether training was finished", "one epoch"),
    "dead_dimensions": Check(
        0, "dimensions of the code that no image uses", "dead dimensions", "take fewer dimensions or another seed"
    ),
    "narrow_hidden": Check(1, "a hidden layer no wider than the code", "narrow layer", "take wider hidden layers"),
    "overfitted": Check(
        0.3, "test error more than 30 % above the training error", "overfitted", "take more images or fewer epochs"
    ),
    "failed": Check(0, "a training failed", "failed", "look at its reason, and take a smaller learning rate"),
}
FAILED = (Gate("failed", 1.0, GATES["failed"].limit),)
DEAD = 1e-4  # a dimension is dead if its variance is below this share of the mean variance of all


def fired(
    latent_dim: int,
    train_mse: float,
    test_mse: float,
    pca_test_mse: float,
    test_variance: float,
    falling: float | None,
    hidden: Sequence[int],
    code_std: Sequence[float],
) -> tuple[Gate, ...]:
    """The checks that fail for a network.

    Args:
        latent_dim: K.
        train_mse: Error on the training images.
        test_mse: Error on the test images.
        pca_test_mse: That of PCA with K components.
        test_variance: Mean squared distance of the test images from the mean training image; 0 if they do not vary.
        falling: See `last_tenth_fall`.
        hidden: Widths of the hidden layers.
        code_std: Standard deviation of each dimension of the codes of the training images.
    """
    values = {
        "worse_than_pca": (test_mse - pca_test_mse) / test_variance if test_variance > 0 else None,
        "still_falling": falling,
        "single_epoch": 1.0 if falling is None and train_mse > 0 else None,
        "dead_dimensions": latent_dim - in_use(code_std),
        "narrow_hidden": latent_dim / min(hidden) if hidden else None,
        "overfitted": test_mse / train_mse - 1 if train_mse > 0 else None,
    }
    return tuple(
        Gate(name, value, limit)
        for name, value in values.items()
        for limit in [GATES[name].limit]
        if value is not None and (value > limit or (name == "narrow_hidden" and value == limit))
    )


def in_use(code_std: Sequence[float]) -> int:
    """Dimensions of the code whose variance is at least DEAD times the mean variance; 0 if all codes are equal."""
    variances = [std**2 for std in code_std]
    mean = sum(variances) / len(variances)
    return sum(variance >= DEAD * mean and variance > 0 for variance in variances)


def names(models: Iterable[Model]) -> tuple[str, ...]:
    """Names of the checks that failed for any of these networks, in the order of GATES."""
    found = {gate.name for model in models for gate in model.gates}
    return tuple(name for name in GATES if name in found)


def advice(name: str, recipe: str) -> str:
    """What to do about a failed check in a study of this recipe."""
    return GATES[name].advice or better_training(recipe)


def better_training(recipe: str) -> str:
    """How to train better than this recipe."""
    return "try more epochs" if recipe == "thorough" else "try --recipe thorough or more epochs"


def last_tenth_fall(history: Sequence[Epoch]) -> float | None:
    """Share of the training error that the last tenth of the epochs removed; None for a single epoch."""
    before = len(history) - max(1, round(len(history) / 10))
    if before < 1 or history[before - 1].train_mse == 0:
        return None
    return 1 - history[-1].train_mse / history[before - 1].train_mse
