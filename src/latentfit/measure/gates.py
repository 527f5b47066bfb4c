"""Was the training sound? A gate that fires changes how a number is read, never the number.

Better training could reach the same error with fewer dimensions: a size found by a network that a gate has
fired for is an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..recipe import Epoch


class Gate(NamedTuple):
    """A limit, what it means in words, and what to do about it."""

    limit: float
    words: str
    help: str
    short: str


BETTER = "try --recipe thorough or more epochs"
GATES = {
    "worse_than_pca": Gate(0.01, "worse than PCA by more than 1 % of the variance", BETTER, "worse than PCA"),
    "still_falling": Gate(
        0.01, "training error still fell by more than 1 % in the last tenth of the epochs", BETTER, "still falling"
    ),
    "single_epoch": Gate(0, "one epoch cannot show whether training was finished", BETTER, "one epoch"),
    "dead_dimensions": Gate(
        0, "dimensions of the code that no image uses", "take fewer dimensions or another seed", "dead dimensions"
    ),
    "narrow_hidden": Gate(1, "a hidden layer no wider than the code", "take wider hidden layers", "narrow layer"),
    "overfitted": Gate(
        0.3, "test error more than 30 % above the training error", "take more images or fewer epochs", "overfitted"
    ),
    "failed": Gate(0, "a training failed", "look at its reason, and take a smaller learning rate", "failed"),
}
DEAD = 1e-4  # a dimension is dead if its variance is below this share of the mean variance of all


def fired(
    row: Mapping[str, Any], pca_test_mse: float, test_variance: float, hidden: Sequence[int], code_std: Sequence[float]
) -> list[dict[str, Any]]:
    """The gates that fire for a network: name, value and limit.

    Args:
        row: Its `train_mse`, `test_mse`, `latent_dim` and `last_tenth_fall`.
        pca_test_mse: Error of as many PCA components on the test images.
        test_variance: Mean squared distance of the test images from the mean training image; 0 where there is next to
            none.
        hidden: Widths of the hidden layers.
        code_std: Standard deviation of each dimension of the code over the training images.
    """
    train, test, k = row["train_mse"], row["test_mse"], row["latent_dim"]
    values = {
        "worse_than_pca": (test - pca_test_mse) / test_variance if test_variance > 0 else None,
        "still_falling": row["last_tenth_fall"],
        "single_epoch": 1.0 if row["last_tenth_fall"] is None and train > 0 else None,
        "dead_dimensions": k - in_use(code_std),
        "narrow_hidden": k / min(hidden) if hidden else None,
        "overfitted": test / train - 1 if train > 0 else None,
    }
    return [
        {"name": name, "value": value, "limit": GATES[name].limit}
        for name, value in values.items()
        if value is not None and (value >= GATES[name].limit if name == "narrow_hidden" else value > GATES[name].limit)
    ]


def in_use(code_std: Sequence[float]) -> int:
    """Dimensions of the code whose variance is not below DEAD times the mean variance; 0 if all codes are equal."""
    variances = [std**2 for std in code_std]
    mean = sum(variances) / len(variances)
    return sum(variance >= DEAD * mean and variance > 0 for variance in variances)


def names(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The gates that fired for any of these networks, in the order of GATES."""
    fired = {gate["name"] for row in rows for gate in row["gates"]}
    return [name for name in GATES if name in fired]


def advice(text: str, recipe: str) -> str:
    """A text of help for a study of this recipe: without the advice to take it."""
    return text.replace(f"--recipe {recipe} or ", "")


def failed() -> list[dict[str, Any]]:
    """The gate of a network that could not be trained."""
    return [{"name": "failed", "value": 1.0, "limit": GATES["failed"].limit}]


def last_tenth_fall(history: Sequence[Epoch]) -> float | None:
    """Share of the training error that the last tenth of the epochs took away; None for a single epoch."""
    before = len(history) - max(1, round(len(history) / 10))
    if before < 1 or history[before - 1].train_mse == 0:
        return None
    return 1 - history[-1].train_mse / history[before - 1].train_mse
