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
    "output": ("sigmoid", "linear", "clamp"),
    "optimizer": ("adam", "adamw"),
    "schedule": ("constant", "cosine", "plateau"),
    "initialization": ("uniform", "glorot", "pca"),
}
OWN = {"hidden": (), "activation": "own", "output": "own", "initialization": "own"}  # of a network of the user's own
RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "learning_rate": (lambda rate: 0 < rate < math.inf, "above 0"),
    "beta2": (lambda beta2: 0 <= beta2 < 1, "from 0 to below 1"),
    "weight_decay": (lambda decay: 0 <= decay < math.inf, "of 0 or more"),
    "decay_epochs": (lambda epochs: 0 <= epochs < math.inf, "of 0 or more"),
}
WARM_UP = 0.05


@dataclass(frozen=True)
class Recipe:
    """Everything about a training but the images, the latent size and the seed.

    Attributes:
        name: What the recipe is called.
        hidden: Widths of the encoder's hidden layers, outermost first; the decoder mirrors them.
        activation: `relu` or `silu`, between layers.
        output: `sigmoid`, `linear` or `clamp`, at the end.
        optimizer: `adam`, or `adamw` whose weight decay stands beside the gradient (Loshchilov & Hutter, 2019).
        learning_rate: Largest step size, above 0.
        schedule: `constant`; `cosine`: a linear rise over the first 5 % of the steps, then half a cosine to 0; or
            `plateau`: constant until the error of held-out images no longer improves, then falling to 0.
        initialization: `uniform` or `glorot`, see `Network`; or `pca`: as `glorot`, with a linear path, so that the
            untrained network computes PCA, see `Network.start_as_pca`. Its output is not `sigmoid`.
        beta2: Adam's memory for squared gradients, from 0 to below 1.
        weight_decay: 0 or more. `adamw` takes this share, times the step size, from each parameter at a step;
            `adam` adds it, times the parameter, to the gradient.
        decay_epochs: In place of `weight_decay` for `adamw`: the number of epochs within which a weight is forgotten
            at the largest step size, so that one value fits every number of images (Wang & Aitchison, 2024). It
            spares a linear path. 0 for none.
        batch_size: Images a step, 1 or more; the last, short batch of an epoch is used.
        epochs: Passes over the training images, 1 or more; with `plateau` the most there may be.

    A network of the user's own brings its layers and their initial values: its recipe has no widths, and `own` for
    `activation`, `output` and `initialization`.

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
    decay_epochs: float = 0.0

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if not isinstance(value, str) or value not in (*allowed, OWN.get(name)):
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
        if "own" in (self.activation, self.output, self.initialization) and not self.is_own:
            raise InputError(
                "recipe: own for a part of the network; expected it for activation, output and initialization"
            )
        if self.starts_as_pca and self.output == "sigmoid":
            raise InputError("recipe: initialization pca with output sigmoid; expected output clamp or linear")
        if self.decay_epochs and self.optimizer != "adamw":
            raise InputError(f"recipe: decay epochs for optimizer {self.optimizer}; expected adamw")

    @property
    def starts_as_pca(self) -> bool:
        """Whether untrained networks compute PCA of the images trained on."""
        return self.initialization == "pca"

    @property
    def is_own(self) -> bool:
        """Whether it is of a network of the user's own."""
        return all(getattr(self, name) == value for name, value in OWN.items())

    @property
    def holds_out(self) -> bool:
        """Whether a training is ended by images on which none is trained."""
        return self.schedule == "plateau"

    def rate(self, share: float) -> float:
        """The step size of a `constant` or `cosine` schedule when this share of all steps, in [0, 1], is done."""
        if self.schedule == "constant":
            return self.learning_rate
        if share < WARM_UP:
            return self.learning_rate * share / WARM_UP
        return self.learning_rate * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP))) / 2

    def fitting(self, images: int) -> Recipe:
        """The recipe for so many training images: `CONVERGED` is wider for MANY, and allows about STEPS steps or more.

        Every other recipe is the same for all, also one that was made from `CONVERGED`.
        """
        if self is not CONVERGED:
            return self
        fitted = replace(self, epochs=max(self.epochs, math.ceil(STEPS * self.batch_size / images)))
        return replace(fitted, hidden=(1024, 512), decay_epochs=10.0) if images >= MANY else fitted

    def for_own(self) -> Recipe:
        """The recipe for a network of the user's own.

        Raises:
            InputError: It says what such a network brings itself, and says it otherwise than the built-in recipes.
        """
        for name, own in OWN.items():
            known, value = [own, *(getattr(recipe, name) for recipe in RECIPES.values())], getattr(self, name)
            if value not in known:
                raise InputError(
                    f"recipe {self.name} has {name} {value!r}, and a network of your own brings its own; "
                    f"expected a recipe without; leave {name} out"
                )
        return replace(self, hidden=(), activation="own", output="own", initialization="own")

    def for_rows(self) -> Recipe:
        """The recipe for rows of numbers, whose output is linear.

        Raises:
            InputError: Its output has a range.
        """
        if self.output == "clamp" and self.name in RECIPES:
            return replace(self, output="linear")
        if self.output != "linear":
            raise InputError(
                f"recipe {self.name} has a {self.output} output, which gives numbers from 0 to 1 alone; expected a "
                "linear one for rows of numbers; take recipe converged or swift"
            )
        return self


REFERENCE = Recipe()
SWIFT = Recipe(
    name="swift",
    activation="silu",
    output="clamp",
    initialization="pca",
    learning_rate=0.003,
    schedule="cosine",
    beta2=0.99,
    epochs=3,
)
CONVERGED = replace(
    SWIFT,
    name="converged",
    optimizer="adamw",
    learning_rate=0.001,
    schedule="plateau",
    decay_epochs=20.0,
    epochs=60,
)
STEPS = 10_000
MANY = 20_000
RECIPES = {recipe.name: recipe for recipe in (REFERENCE, SWIFT, CONVERGED)}


class Job(NamedTuple):
    """Which network: all others of a study differ in this alone."""

    latent_dim: int
    seed: int


def first_seeds(jobs: Iterable[Job]) -> list[Job]:
    """Of each size the job with the smallest seed, smallest size first."""
    return sorted({job.latent_dim: job for job in sorted(jobs, reverse=True)}.values())


class Epoch(NamedTuple):
    """One row of a history: the mean loss while the epoch was trained, and errors after it (None if not measured)."""

    epoch: int
    train_mse: float
    test_mse: float | None = None
    val_mse: float | None = None
    steps: int | None = None  # so far
