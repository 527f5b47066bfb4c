"""What is asked of a study, and how `study.json` says it.

A request holds everything that decides a study's numbers but the images. More sizes, more seeds, a share to keep and a
screening may be asked of a study that is there; anything else that differs makes it another study.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from .. import hardware
from ..data.images import ImageSet
from ..errors import InputError, whole_number
from ..hardware import best_device, precision_of, processor, products_of
from ..measure import rule
from ..recipe import RECIPES, Job, Recipe
from . import store

SIZES = (16, 48)  # of a study that names none
GROWING = ("latent_dims", "seeds", "models", "keep", "search", "curve")  # what may be added to a study that is there
NOT_COMPARED = (*GROWING, "source", "dataset.stand_in")  # the same images may come by another way


@dataclass(frozen=True)
class Request:
    """One study, resolved: everything that decides its numbers but the images.

    Attributes:
        jobs: (latent_dim, seed) of every network, sorted.
        recipe: How they are trained, epochs included.
        source: The path of the images as it was given; None for a set with a name.
        precision: Of the training's matrix products: `fp32`, `bf16`, or `auto` while that is open.
        products: How they are made, a name in `machine.PRODUCTS`; empty while that is open.
        device: Where training runs: `cpu`, `cuda`, `mps`, or `auto` while that is open.
        keep: The share of the variance that the study is asked about, None if it is not.
        search: Whether sizes are added until the answer is found.
        curve: Whether one more network is trained for all sizes at once, see `screening.screen`.
    """

    jobs: tuple[Job, ...]
    recipe: Recipe
    source: str | None = None
    precision: str = "auto"
    products: str = ""
    device: str = "auto"
    keep: float | None = None
    search: bool = False
    curve: bool = False

    @property
    def screens(self) -> bool:
        """Whether a screening has anything to say: with a single size it has not."""
        return self.curve and self.jobs[0].latent_dim < self.jobs[-1].latent_dim

    @classmethod
    def of(
        cls,
        latent_dims: Iterable[int] | None,
        seeds: int | None,
        recipe: str | Recipe,
        epochs: int | None,
        precision: str = "auto",
        device: str = "auto",
        keep: float | None = None,
        curve: bool = False,
    ) -> Request:
        """Resolve what a user said; `auto` stays open until the study's folder was looked into.

        Without sizes a share to keep asks for a search, and without a number of seeds for `rule.SEEDS`.

        Raises:
            InputError: A size, seed count, recipe or number of epochs that is not allowed.
        """
        if isinstance(latent_dims, int):
            raise InputError(f"latent_dims is {latent_dims}; expected several sizes or a list of one: [{latent_dims}]")
        search = latent_dims is None and keep is not None
        wanted = ([rule.FIRST] if search else SIZES) if latent_dims is None else latent_dims
        sizes = sorted({whole_number("latent size", size) for size in wanted})
        if not sizes:
            raise InputError("no latent size was given; expected at least one, for example 16 48")
        seeds = whole_number("number of seeds", (rule.SEEDS if keep is not None else 1) if seeds is None else seeds)
        keep = None if keep is None else rule.check(keep)
        chosen = recipe if isinstance(recipe, Recipe) else _named(recipe)
        if epochs is not None:
            chosen = replace(chosen, epochs=epochs)
        hardware.check("fp32", "cpu" if device == "auto" else device)
        hardware.check_precision(precision, "cpu" if device == "auto" else device)
        jobs = tuple(Job(size, seed) for size in sizes for seed in range(seeds))
        return cls(jobs, chosen, precision=precision, device=device, keep=keep, search=search, curve=curve)

    def on_this_machine(self, before: Mapping[str, Any]) -> Request:
        """The request with `auto` decided: as the study was begun (its `study.json`), or as this machine does best."""
        device, precision = (
            before.get(name, asked) if asked == "auto" else asked
            for name, asked in (("device", self.device), ("precision", self.precision))
        )
        if device == "auto":
            device = "cpu" if precision == "bf16" else best_device()
        if precision == before.get("precision") and before.get("products"):
            products: str = before["products"]  # whatever this machine would take: a study never mixes two
        else:
            products = products_of(precision, device)
        return replace(self, device=device, precision=precision_of(products), products=products)

    def fitting(self, images: ImageSet) -> Request:
        """The request for these images: a search begins with no more dimensions than they have pixels.

        Raises:
            InputError: A latent size that was asked for is larger than the images.
        """
        if self.search:
            return replace(self, jobs=tuple(Job(min(k, images.pixels), seed) for k, seed in self.jobs))
        largest = self.jobs[-1].latent_dim
        if largest > images.pixels:
            raise InputError(
                f"latent size {largest} is larger than an image of {images.name}; "
                f"expected at most its {images.pixels} pixels"
            )
        return self


def _named(recipe: str) -> Recipe:
    if recipe not in RECIPES:
        raise InputError(f"recipe {recipe!r} is not known; expected {', '.join(RECIPES)}")
    return RECIPES[recipe]


def joined(folder: Path, before: dict[str, Any], request: Request, images: ImageSet) -> Request:
    """The request with the networks that were asked for before, where it is the same study otherwise."""
    older = {"products": "fp32"} | before if before.get("precision") == "fp32" else before  # it was not written once
    if isinstance(recipe := before.get("recipe"), dict):
        older = older | {"recipe": recipe_dict(Recipe()) | recipe}  # there were fewer keys once
    if differences := _differences(older, describe(request, images)):
        raise InputError(
            f"{folder} holds another study; give another --out, or start over with --fresh", tuple(differences)
        )
    jobs = {Job(m["latent_dim"], m["seed"]) for m in before["models"]}
    source = request.source if images.stand_in else before["source"]
    jobs.update(request.jobs)
    if request.search:  # all sizes that it finds there with all seeds, or it would compare what cannot be
        jobs = {Job(size, seed) for size in {j.latent_dim for j in jobs} for seed in {j.seed for j in jobs}}
    keep = before.get("keep") if request.keep is None else request.keep
    curve = request.curve or before.get("curve", False)
    return replace(request, jobs=tuple(sorted(jobs)), source=source, keep=keep, curve=curve)


def describe(request: Request, images: ImageSet) -> dict[str, Any]:
    """What `study.json` says: everything that was asked, nothing that was found."""
    return {
        "schema": store.SCHEMA,
        "source": request.source,
        "dataset": describe_images(images),
        "recipe": recipe_dict(request.recipe),
        "latent_dims": sorted({job.latent_dim for job in request.jobs}),
        "seeds": sorted({job.seed for job in request.jobs}),
        "models": [job._asdict() for job in request.jobs],
        "precision": request.precision,
        "products": request.products,
        "device": request.device,
        "keep": request.keep,
        "search": request.search,
        "curve": request.curve,
    }


def describe_images(images: ImageSet) -> dict[str, Any]:
    """The `dataset` of `study.json` and `results.json`."""
    return {
        "name": images.name,
        "fingerprint": images.fingerprint,
        "train_images": len(images.x_train),
        "test_images": len(images.x_test),
        "image_shape": list(images.image_shape),
        "classes": None if images.classes is None else list(images.classes),
        "stand_in": images.stand_in,
        "value_range": images.reading.value_range,
        "test_share": images.reading.test_share,
    }


def recipe_dict(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON has it."""
    return asdict(recipe) | {"hidden": list(recipe.hidden)}


def _differences(before: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What two studies differ in beside their networks, a line each."""
    old, new = _flat(before), _flat(wanted)
    keys = [key for key in {**old, **new} if key not in NOT_COMPARED]
    return [f"{k}: there {old.get(k)!r}, asked {new.get(k)!r}" for k in keys if old.get(k) != new.get(k)]


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {prefix + key: inner}
    return flat


def environment(request: Request) -> dict[str, str]:
    """Versions and hardware that the numbers depend on."""
    return {
        "latentfit": version("latentfit"),
        "torch": torch.__version__,
        "device": request.device,
        "precision": request.precision,
        "products": request.products,
        "processor": processor(),
    }
