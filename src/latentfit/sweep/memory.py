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

PARENT = 400 * 10**6  # bytes of the process that measures and writes, besides what follows
EXPLORED = 36  # bytes for each weight of the two networks that are made ready for the page at once
STARTED = 150 * 10**6  # bytes of a worker that has just been started
SEARCHED = 64  # latent dimensions that a search is taken to come to
SAID = 2 * 10**9  # bytes in all processes from which on it is worth a line: a small study with two workers has 1.5


@dataclass(frozen=True)
class Need:
    """Bytes of the process that measures, while networks are trained and afterwards, and of each of the workers."""

    parent: int
    after: int
    each: int
    workers: int

    @property
    def total(self) -> int:
        """The most in all processes together."""
        return max(self.parent + self.workers * self.each, self.after)

    @property
    def least(self) -> int:
        """The same if networks are trained one by one."""
        return max(self.parent + self.each, self.after)

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
    free, least = free_memory(), found.least
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
    each = need((images.pixels, *recipe.hidden, latent_dims[-1]), recipe.starts_as_pca, len(images.x_train))
    if request.own is not None:
        each = request.own.need(images, max(request.tried_sizes(images)), recipe.batch_size)
    return Need(*_parent(images, recipe, latent_dims), each, min(jobs, crew.likely(jobs, each)))


def _parent(images: ImageSet, recipe: Recipe, latent_dims: Sequence[int]) -> tuple[int, int]:
    """The most bytes of the process that measures, while networks are trained and afterwards."""
    n, tests, d = len(images.x_train), len(images.x_test), images.pixels
    kept = min(d, n - 1) if pca.is_exact(n, d) else min(pca.AXES, d, n)  # components
    of_pca = 8 * d * kept + _in_memory(4 * tests * (kept + 1))
    split = _in_memory(images.x_train.nbytes) + _in_memory(images.x_test.nbytes)
    held = PARENT + (of_pca + split) * (1 + recipe.holds_out)
    if pca.is_exact(n, d):
        fitting = 8 * 4 * d * d if n > d else 8 * 3 * n * d
    else:
        fitting = 4 * d * at_most(n, d) + 16 * d * (kept + pca.SPARE)
    pairs, among, batch = min(MEASURED_PAIRS, n // 2), at_most(min(AMONG, n), d), min(BATCH, n)
    ground = 4 * d * (among + 2 * pairs)
    while_training = held + max(fitting, ground + 20 * d * batch)
    weights = [weights_of((d, *recipe.hidden, k), recipe.starts_as_pca) for k in {*latent_dims}]
    labelled = 0 if images.y_train is None else 5 * d * among
    after = held + ground + 4 * sum(weights) + max(28 * d * batch + labelled, EXPLORED * sum(sorted(weights)[-2:]))
    return while_training, after


def _in_memory(size: int) -> int:
    """The bytes of an array, unless they go into a file."""
    return size if size <= LARGE else 0
