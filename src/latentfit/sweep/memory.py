"""How much memory a study needs, foretold from shapes alone before anything is trained.

What counts is anonymous memory, which the system cannot take back; images in mapped files need none. The constants were
measured on three kinds of images (docs/log.md).

N images, D numbers an image, K components or latent dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .. import pca
from ..data.images import ImageSet
from ..data.large import LARGE, at_most
from ..errors import InputError
from ..measure.interpolation import AMONG, MEASURED_PAIRS
from ..model import BATCH
from ..recipe import Recipe
from .request import Request
from .workers import Crew, anonymous, free_memory, need, weights_of

PARENT = 500 * 10**6  # bytes of the process that measures and writes, besides what follows
EXPLORED = 24  # bytes for each weight of a network that the page is to hold, while its steps are tried
STARTED = 150 * 10**6  # bytes of a worker that has just been started
SEARCHED = 64  # latent dimensions that a search is taken to come to
SAID = 2 * 10**9  # bytes in all processes from which on it is worth a line: a small study with two workers has 1.5


@dataclass(frozen=True)
class Need:
    """Bytes of the process that measures, and of each of the workers."""

    parent: int
    each: int
    workers: int

    @property
    def total(self) -> int:
        """Of all processes together."""
        return self.parent + self.workers * self.each

    def __str__(self) -> str:
        training = f"{self.each / 1e9:.1f} GB in each of {self.workers} processes that train"
        if self.workers == 1:
            training = f"{self.each / 1e9:.1f} GB where the networks are trained"
        return f"needs about {self.total / 1e9:.1f} GB of memory ({training})"


def check(request: Request, images: ImageSet, crew: Crew, say: Callable[[str], None]) -> None:
    """Say how much memory a study needs if it is much, and refuse it where networks do not fit even one by one.

    Raises:
        InputError: This machine has less memory.
    """
    found = foretold(request, images, crew)
    free, least = free_memory(), found.parent + found.each
    running = crew.spare.count if crew.spare else 0
    if free is not None and least > (available := free + anonymous() + running * STARTED):
        raise InputError(
            f"{images.name}: training needs about {least:,} bytes of memory, and {available:,} are available; expected "
            "room for one network at a time; take smaller images (--resize), or a machine with more memory"
        )
    if found.total > SAID:
        say(str(found))


def foretold(request: Request, images: ImageSet, crew: Crew) -> Need:
    """The memory of a study: what is asked, its images, and how many workers this machine allows."""
    recipe, jobs = request.recipe, len(request.jobs) or 2
    latent_dims = sorted({job.latent_dim for job in request.jobs}) or [min(SEARCHED, images.pixels)]
    each = need((images.pixels, *recipe.hidden, latent_dims[-1]), recipe.starts_as_pca)
    return Need(_parent(images, recipe, latent_dims), each, min(jobs, crew.likely(jobs, each)))


def _parent(images: ImageSet, recipe: Recipe, latent_dims: Sequence[int]) -> int:
    """Bytes of the process that measures: what it holds throughout, and the most that one of its steps adds."""
    n, tests, d = len(images.x_train), len(images.x_test), images.pixels
    kept = min(d, n - 1) if pca.is_exact(n, d) else min(pca.AXES, d, n)  # components
    of_pca = 8 * d * kept + min(LARGE, 4 * tests * (kept + 1))
    split = sum(min(LARGE, x.nbytes) for x in (images.x_train, images.x_test))
    held = (of_pca + split) * (1 + recipe.holds_out) + 4 * d * (at_most(min(AMONG, n), d) + 2 * MEASURED_PAIRS)
    if pca.is_exact(n, d):
        fitting = 8 * 4 * d * d if n > d else 8 * 3 * n * d
    else:
        fitting = 4 * d * at_most(n, d) + 16 * d * (kept + pca.SPARE)
    weights = [weights_of((d, *recipe.hidden, k), recipe.starts_as_pca) for k in {*latent_dims}]
    labelled = 0 if images.y_train is None else 5 * d * at_most(min(AMONG, n), d)
    return PARENT + held + max(fitting, 4 * sum(weights) + max(8 * 4 * BATCH * d + labelled, EXPLORED * max(weights)))
