"""The recipe: everything about a training but the images, the latent size and the seed, in numbers and names.

PyTorch is not needed to say what is to be trained, nor to read what was: `model.py` and `train.py` know what the names
stand for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from .errors import InputError, whole_number

CHOICES = {
    "activation": ("relu", "silu"),
    "output": ("sigmoid", "linear"),
    "optimizer": ("adam", "adamw"),
    "schedule": ("constant", "cosine"),
    "initialization": ("uniform", "glorot"),
}
RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "learning_rate": (lambda rate: 0 < rate < math.inf, "above 0"),
    "beta2": (lambda beta2: 0 <= beta2 < 1, "from 0 to below 1"),
    "weight_decay": (lambda decay: 0 <= decay < math.inf, "of 0 or more"),
}
WARM_UP = 0.05


@dataclass(frozen=True)
class Recipe:
    """Everything about a training but the images, the latent size and the seed.

    Attributes:
        name: What the recipe is called.
        hidden: Widths of the encoder's hidden layers, outermost first; the decoder mirrors them.
        activation: `relu` or `silu`, between layers.
        output: `sigmoid` or `linear`, at the end.
        optimizer: `adam`, or `adamw` whose weight decay stands beside the gradient (Loshchilov & Hutter, 2019).
        learning_rate: Largest step size, above 0.
        schedule: `constant`, or `cosine`: a linear rise over the first 5 % of the steps, then half a cosine to 0.
        initialization: `uniform` or `glorot`, see `Network`.
        beta2: Adam's memory for squared gradients, from 0 to below 1.
        weight_decay: 0 or more. `adamw` takes this share, times the step size, from each parameter at a step;
            `adam` adds it, times the parameter, to the gradient.
        batch_size: Images a step, 1 or more; the last, short batch of an epoch is used.
        epochs: Passes over the training images, 1 or more.

    Raises:
        InputError: A value that is not allowed.
    """

    name: str = "reference"
    hidden: tuple[int, ...] = (512, 256)
    activation: str = "relu"
    output: str = "sigmoid"
    optimizer: str = "adam"
    learning_rate: float = 0.001
    batch_size: int = 128
    epochs: int = 20
    schedule: str = "constant"
    initialization: str = "uniform"
    beta2: float = 0.999
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if not isinstance(value, str) or value not in allowed:
                raise InputError(f"recipe: {name} {value!r} is not known; expected {', '.join(allowed)}")
        if not isinstance(self.name, str):
            raise InputError(f"recipe: name {self.name!r}; expected text")
        if not isinstance(self.hidden, list | tuple):
            raise InputError(f"recipe: hidden {self.hidden!r}; expected a list of widths, for example [512, 256]")
        for name, (fits, wanted) in RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not fits(value):
                raise InputError(f"recipe: {name.replace('_', ' ')} {value!r}; expected a number {wanted}")
        # plain numbers, whatever NumPy's they came as: a recipe is written down as JSON
        object.__setattr__(self, "hidden", tuple(whole_number("recipe: hidden width", width) for width in self.hidden))
        object.__setattr__(self, "batch_size", whole_number("recipe: batch size", self.batch_size))
        object.__setattr__(self, "epochs", whole_number("recipe: epochs", self.epochs))

    def rate(self, share: float) -> float:
        """The step size when this share of all steps, in [0, 1], is done."""
        if self.schedule == "constant":
            return self.learning_rate
        if share < WARM_UP:
            return self.learning_rate * share / WARM_UP
        return self.learning_rate * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP))) / 2


REFERENCE = Recipe()
SWIFT = Recipe(
    name="swift",
    activation="silu",
    initialization="glorot",
    learning_rate=0.004,
    schedule="cosine",
    beta2=0.99,
    epochs=5,
)
THOROUGH = replace(
    SWIFT, name="thorough", hidden=(1280, 512), optimizer="adamw", learning_rate=0.003, weight_decay=0.1, epochs=20
)
RECIPES = {recipe.name: recipe for recipe in (REFERENCE, SWIFT, THOROUGH)}


class Job(NamedTuple):
    """Which network: all others of a study differ in this alone."""

    latent_dim: int
    seed: int


def first_seeds(jobs: Iterable[Job]) -> list[Job]:
    """Of each size the job with the smallest seed, smallest size first."""
    return sorted({job.latent_dim: job for job in sorted(jobs, reverse=True)}.values())


class Epoch(NamedTuple):
    """One row of a history: the running training loss, and errors measured after the epoch (None if not measured)."""

    epoch: int
    train_mse: float
    test_mse: float | None = None
    val_mse: float | None = None
