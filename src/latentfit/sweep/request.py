"""What is asked of a study: everything that decides its numbers but the images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import hardware, pca
from ..data import NAMES
from ..data.images import Dataset, ImageSet
from ..data.quality import Quality
from ..errors import InputError, whole_number
from ..hardware import best_device, precision_of, products_of
from ..measure import verdict
from ..measure.network import CURVE_SIZES
from ..measure.summary import Settings
from ..recipe import CONVERGED, RECIPES, REFERENCE, Job, Recipe
from ..results import Keep, NestedCurve
from .own import SIZES, Described, Make, Own

if TYPE_CHECKING:
    from .study_file import StudyFile

DEFAULT_SIZES = (16, 48)  # of a study that names none


@dataclass(frozen=True)
class Request:
    """One study, resolved: everything that decides its numbers but the images.

    Attributes:
        jobs: (latent_dim, seed) of every network, sorted; of a search those that were found worth training so far.
        recipe: How they are trained, epochs included.
        seeds: Those that were asked for; a search gives them to the sizes that its answer rests on.
        fits: Whether widths and budget are still to be derived from the images, see `Recipe.fitting`.
        default_sizes: Whether no sizes were given, so that those of `fitting` are meant.
        source: The path of the images as it was given; None for a set with a name.
        precision: Of the training's matrix products: `fp32`, `bf16`, or `auto` while that is open.
        products: How they are computed, a name in `hardware.PRODUCTS`; empty while that is open.
        device: Where training runs: `cpu`, `cuda`, `mps`, or `auto` while that is open.
        keep: The share of the variance that the study is asked about, None if it is not.
        search: Whether sizes are added until the answer is found.
        curve: Whether a nested network is trained for all sizes, see `sweep.nested`.
        own: The user's function that makes the networks.
        described: What `study.json` says of these; None until the images are known.
    """

    jobs: tuple[Job, ...]
    recipe: Recipe
    seeds: tuple[int, ...] = (0,)
    fits: bool = False
    default_sizes: bool = False
    source: str | None = None
    precision: str = "auto"
    products: str = ""
    device: str = "auto"
    keep: Keep | None = None
    search: bool = False
    curve: bool = False
    own: Own | None = None
    described: Described | None = None

    @property
    def nested(self) -> bool:
        """Whether a nested network is trained: for a single size it has nothing to show."""
        return self.curve and bool(self.jobs) and self.jobs[0].latent_dim < self.jobs[-1].latent_dim

    @property
    def environment(self) -> hardware.Environment:
        """Versions and hardware that the numbers depend on."""
        return hardware.environment(self.device, self.precision, self.products)

    def settings(
        self, dataset: Dataset, quality: Quality, scouts: Mapping[int, verdict.Size] | None, curve: NestedCurve | None
    ) -> Settings:
        """What the summary of a study takes besides its networks."""
        asked = self.seeds, self.search, self.keep
        return Settings(dataset, self.recipe, self.environment, quality, *asked, scouts, curve)

    @property
    def nested_sizes(self) -> tuple[int, ...]:
        """The sizes of the nested network's curve: those of the study, and some between them."""
        sizes = {job.latent_dim for job in self.jobs}
        return tuple(sorted(sizes | {k for k in CURVE_SIZES if min(sizes) <= k <= max(sizes)}))

    @classmethod
    def of(
        cls,
        latent_dims: Iterable[int] | None,
        seeds: int | None,
        recipe: str | Recipe,
        epochs: int | None,
        precision: str = "auto",
        device: str = "auto",
        keep: Keep | None = None,
        curve: bool = False,
        network: Make | None = None,
    ) -> Request:
        """Resolve what a user asked; `auto` stays open until the study's folder was read.

        Without sizes a share to keep means a search, and without a number of seeds `verdict.SEEDS`.

        Raises:
            InputError: A size, seed count, recipe or number of epochs that is not allowed.
        """
        if isinstance(latent_dims, int):
            raise InputError(f"latent_dims is {latent_dims}; expected several sizes or a list of one: [{latent_dims}]")
        search = latent_dims is None and keep is not None
        wanted = DEFAULT_SIZES if latent_dims is None else latent_dims
        sizes = [] if search else sorted({whole_number("latent size", size) for size in wanted})
        if not sizes and not search:
            raise InputError("no latent size was given; expected at least one, for example 16 48")
        seeds = whole_number("number of seeds", (verdict.SEEDS if keep is not None else 1) if seeds is None else seeds)
        keep = None if keep is None else verdict.check(keep)
        chosen = recipe if isinstance(recipe, Recipe) else _named(recipe)
        fits = chosen is CONVERGED
        if epochs is not None:
            chosen = replace(chosen, epochs=epochs)
        if keep == "knee":
            _check_knee(chosen, seeds)
        own = _own_of(network, chosen, keep, curve, precision)
        hardware.check("fp32", "cpu" if device == "auto" else device)
        hardware.check_precision(precision, "cpu" if device == "auto" else device)
        jobs = tuple(Job(size, seed) for size in sizes for seed in range(seeds))
        return cls(
            jobs,
            chosen,
            tuple(range(seeds)),
            fits,
            latent_dims is None and not search,
            precision=precision,
            device=device,
            keep=keep,
            search=search,
            curve=curve,
            own=own,
        )

    def on_this_machine(self, before: StudyFile | None) -> Request:
        """The request with `auto` decided: as the study was begun, or as this machine does best."""
        device = before.device if before and self.device == "auto" else self.device
        precision = before.precision if before and self.precision == "auto" else self.precision
        if self.own is not None and precision == "auto":
            precision = "fp32"  # layers of any kind may not be made for less
        if device == "auto":
            device = "cpu" if precision == "bf16" else best_device()
        if before and precision == before.precision and before.products:
            products = before.products  # whatever this machine would take: a study never mixes two
        else:
            products = products_of(precision, device)
        return replace(self, device=device, precision=precision_of(products), products=products)

    def fitting(self, images: ImageSet) -> Request:
        """The request for these images, with its recipe.

        Raises:
            InputError: A latent size that was asked for is larger than the images.
        """
        limit, fitted = largest_size(images), self
        if self.default_sizes:
            fewest = min(images.pixels, len(images.x_train))
            sizes = [size for size in DEFAULT_SIZES if size < fewest] or [max(1, fewest // 2)]
            fitted = replace(self, jobs=tuple(Job(size, seed) for size in sizes for seed in self.seeds))
        if self.fits:
            recipe = CONVERGED.fitting(len(images.x_train))
            epochs = recipe.epochs if self.recipe is CONVERGED else self.recipe.epochs
            fitted = replace(fitted, recipe=replace(recipe, epochs=epochs), fits=False)
        if self.own is not None:
            fitted = replace(fitted, recipe=fitted.recipe.for_own())
        elif images.is_rows:
            fitted = replace(fitted, recipe=fitted.recipe.for_rows())
        if self.keep == "knee" and images.x_val is None and not images.held_out.any():
            raise InputError(
                f"{images.name} has too few images to look for the knee; expected 25 for training, or more, of 2 "
                "groups or more where there are groups"
            )
        largest = max((job.latent_dim for job in fitted.jobs), default=1)
        if largest > images.pixels:
            of = f"an image of {images.name}; expected at most its {images.pixels} pixels"
            if images.is_rows:
                of = f"the {images.pixels} columns of {images.name} that vary; expected at most that"
            raise InputError(f"latent size {largest} is larger than {of}")
        if largest > limit:
            raise InputError(
                f"latent size {largest} is larger than {limit}, up to which PCA is computed of images as large as "
                f"those of {images.name}; expected at most that"
            )
        return fitted

    def tried_sizes(self, images: ImageSet) -> list[int]:
        """The sizes at which a network of the user's own is tried before it is trained."""
        if self.search:
            return sorted({min(size, largest_size(images)) for size in SIZES})
        return sorted({job.latent_dim for job in self.jobs})

    def with_own_described(self, images: ImageSet, at: Described | None = None) -> Request:
        """The request with what its own network is, if it has one; at the size of another description if one is given.

        Args:
            images: As networks see them.
            at: What `study.json` says of the study that is there.
        """
        if self.own is None:
            return self
        size = self.tried_sizes(images)[0] if at is None else at.latent_dim
        return replace(self, described=self.own.describe(images.image_shape, size))

    def check_own(self, trained_on: ImageSet, latent_dims: Iterable[int]) -> None:
        """Try the user's own network at these sizes, if it is one; errors as of `Own.check`."""
        if self.own is not None:
            self.own.check(trained_on, latent_dims, self.recipe.batch_size)


def _check_knee(recipe: Recipe, seeds: int) -> None:
    if seeds < 2:
        raise InputError("the knee takes two trainings of a size or more, to know how sure it is; expected --seeds 2")
    if not (recipe.starts_as_pca and recipe.holds_out):
        raise InputError(
            "the knee is looked for with networks that are trained until they are done; "
            f"expected recipe converged, not {recipe.name}"
        )


def _own_of(network: Make | None, recipe: Recipe, keep: Keep | None, curve: bool, precision: str) -> Own | None:
    """The network of the user's own, if there is one; an InputError where what is asked for is not for it."""
    if network is None:
        if recipe.is_own:
            raise InputError(
                f"recipe {recipe.name} is for a network of your own; expected the function that makes it; call "
                "latentfit.study(..., network=...) in Python"
            )
        return None
    recipe.for_own()  # which raises
    if keep == "knee":
        raise InputError(
            "the knee is looked for with short trainings of networks that start as PCA, which your own does not; "
            "expected a share to keep; or give latent_dims and seeds=2, and look at `found.verdict.knee`"
        )
    if curve:
        raise InputError("a nested network (curve) is one of latentfit's own layers; expected no curve with network")
    if precision == "bf16":
        raise InputError("precision bf16 is for latentfit's own layers; expected fp32 with network; leave it out")
    return Own(network)


def default_recipe(source: str | Path | ImageSet, keep: Keep | None = None) -> str:
    """The recipe of a study that names none, for what `study` takes and a share to keep."""
    name = source.name if isinstance(source, ImageSet) else source
    return REFERENCE.name if name in NAMES and keep is None else CONVERGED.name


def largest_size(images: ImageSet) -> int:
    """The largest latent size for these images: as many as there are pixels, or PCA has components."""
    return pca.most_components(len(images.x_train), images.pixels)


def _named(recipe: str) -> Recipe:
    if recipe not in RECIPES:
        raise InputError(f"recipe {recipe!r} is not known; expected {', '.join(RECIPES)}")
    return RECIPES[recipe]
