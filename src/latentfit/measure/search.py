"""Which networks to train next, so that few trainings find the smallest size that is enough.

Three curves say how much of the variance stays unexplained at each size: PCA's, which costs nothing; short trainings
("scouts") of a few sizes; and the networks themselves. In the logarithm each lies near the one before, shifted by an
amount that changes slowly with the size, so the shift is interpolated between sizes where both are known. The curve
says where the answer should be. Scouts move there first, one network trained in full corrects them, and then two sizes
get all their seeds: the smallest that should be enough, and one just below it. The search ends when these two say what
they should, and goes on from what they say otherwise. Everything here is a function of what is known, not of the order
in which it came to be known.

K sizes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pca import most_components
from ..recipe import Job, Recipe
from ..results import Keep, Model
from .network import Baselines
from .verdict import Size, sizes

Array = NDArray[Any]

SCOUTS = 4  # at most
BRACKET = 0.05  # of a size: how far below it one that is not enough, or may not be, has to be known
FIRST = 1 / 3  # of PCA's number of components: where the first scout looks
AHEAD = 0.85  # unexplained variance of a network as a share of a scout's, before both are known anywhere
NEAR = 1.3  # ratio of two sizes up to which one network trained in full is enough to correct the curve of the other
MOST = 8  # sizes with all their seeds within a factor of two of the likely answer, where no two of them end it
DOUBLED = (1, 2, 4, 8, 16, 32)  # sizes of the short trainings among which a knee is looked for
STOP = 4  # times: how much larger the gain up to a doubled size is than the one after it, where a knee may be
FLOOR = 0.1  # of the share that may be lost: below it, curves have bends that say nothing about where it is


@dataclass(frozen=True)
class Step:
    """What to train next: scouts of some sizes, or networks; nothing at the end."""

    scouts: tuple[int, ...] = ()
    jobs: frozenset[Job] = frozenset()


@dataclass(frozen=True)
class Search:
    """What is known of a question.

    Attributes:
        keep: The share of the variance to keep.
        seeds: Of each of the two sizes that the answer rests on.
        pca: Share of the variance of the test images that PCA explains with 0, 1, ..., K components, (K + 1,), for
            the largest size K that there could be.
        likely: A size at which the answer is likely to lie or below: PCA's number of components.
        tried: The seeds with which each size was trained in full, those that failed included.
        sizes: The networks of those that did not fail.
        scouts: The short trainings; None where there are none to be.
    """

    keep: float
    seeds: tuple[int, ...]
    pca: Array
    likely: int
    tried: Mapping[int, Collection[int]]
    sizes: Mapping[int, Size]
    scouts: Mapping[int, Size] | None = None

    @classmethod
    def of(
        cls,
        keep: float,
        seeds: Sequence[int],
        models: Sequence[Model],
        baselines: Baselines,
        recipe: Recipe,
        scouts: Mapping[int, Size] | None,
    ) -> Search:
        """What a study knows.

        Args:
            keep: The share of the variance to keep.
            seeds: Of each of the two sizes that the answer rests on.
            models: All its networks.
            baselines: PCA among them: a network that begins as PCA needs no more dimensions than that components.
            recipe: How they are trained.
            scouts: As of the class.
        """
        largest = most_components(baselines.images, baselines.pixels)
        enough = baselines.components_surely(keep)
        if enough is not None and recipe.starts_as_pca:
            largest = max(enough, 1)
        left = [baselines.pca.at("test", k) / baselines.variance.test for k in range(largest + 1)]
        return cls(keep, tuple(seeds), 1 - np.array(left), enough or largest, seeds_of(models), sizes(models), scouts)

    @property
    def largest(self) -> int:
        """The largest size there could be."""
        return len(self.pca) - 1

    @property
    def complete(self) -> list[int]:
        """The sizes that were trained with every seed, smallest first."""
        return sorted(k for k, seeds in self.tried.items() if {*self.seeds} <= {*seeds})

    def expecting(self, jobs: Iterable[Job]) -> Search:
        """The same search if these networks come to what the curve says of their sizes."""
        errors = [error for size in (*self.sizes.values(), *(self.scouts or {}).values()) for error in size.errors]
        error = float(np.mean(errors)) if errors else 0.0
        tried, found = {k: {*seeds} for k, seeds in self.tried.items()}, dict(self.sizes)
        for k, seed in sorted(jobs):
            there = found.get(k, Size((), (), ()))
            mean = there.mean.mean if there.seeds else 1 - math.exp(float(self._curve[k - 1]))
            found[k] = Size((*there.explained, mean), (*there.errors, error), (*there.seeds, seed))
            tried[k] = tried.get(k, set()) | {seed}
        return replace(self, tried=tried, sizes=dict(sorted(found.items())))

    def next(self) -> Step:
        """What to train next."""
        if not self.tried and self.scouts is not None and (scout := self._scout()) is not None:
            return Step(scouts=(scout,))
        wanted = self._wanted()
        return Step(jobs=frozenset(Job(k, seed) for k in wanted for seed in self._missing(k, wanted)))

    def _missing(self, size: int, wanted: Collection[int]) -> set[int]:
        """The seeds that a size still needs; a first network alone where nothing near it was trained in full."""
        there = {*self.tried.get(size, ())}
        first = self.seeds[:1] if len(wanted) == 1 and not there and not self._is_near(size) else self.seeds
        return {*first} - there

    def _is_near(self, size: int) -> bool:
        return any(max(size, k) <= max(NEAR * min(size, k), min(size, k) + 1) for k in self.sizes)

    def _scout(self) -> int | None:
        """The size of the next short training; None where the curve is known well enough, or as well as it will be."""
        if not self.scouts:
            return self._first
        size = self.crossing(0, self.largest)
        return None if len(self.scouts) >= SCOUTS or size in self.scouts else size

    @property
    def _first(self) -> int:
        return max(1, round(FIRST * self.likely))

    def _wanted(self) -> list[int]:
        """The sizes that need all their seeds next; none at the end."""
        complete, once = self.complete, len(self.seeds) == 1
        known = {k: self.sizes[k].standing(self.keep, once) for k in complete if k in self.sizes}
        enough = next((k for k, standing in known.items() if standing == "enough"), None)
        below = max((k for k in known if enough is None or k < enough), default=0)
        if enough is not None and enough - below <= bracket(enough):
            return []
        aim = self.crossing(below, enough or self.largest) if self.scouts or self.sizes else self._first
        if sum(aim / 2 < k < 2 * aim for k in complete) >= MOST:
            return []
        size = self._nearest(aim, below, enough)
        if enough is not None and (size is None or size >= enough - bracket(enough)):
            size = self._nearest(enough - bracket(enough), below, enough)
            return [] if size is None else [size]
        if size is None or not self._is_near(size):
            return [] if size is None else [size]
        lower = size - bracket(size)
        return [size] if lower <= below or lower in complete else [lower, size]

    def _nearest(self, size: int, below: int, above: int | None) -> int | None:
        """The nearest size strictly between two others that lacks a seed, the larger of two; None if none does."""
        end = self.largest + 1 if above is None else above
        complete = {*self.complete}
        return min(({*range(below + 1, end)} - complete), key=lambda k: (abs(k - size), -k), default=None)

    def crossing(self, below: int, largest: int) -> int:
        """The smallest size above one and up to another that should be enough; the largest if none should."""
        reached = np.flatnonzero(np.minimum.accumulate(self._curve) <= self._level)
        first = int(reached[0]) + 1 if len(reached) else largest
        return min(max(first, below + 1), largest)

    @cached_property
    def _level(self) -> float:
        """Logarithm of the share that may stay unexplained so that a whole interval is above the share to keep."""
        known = [*self.sizes.values()] or [*(self.scouts or {}).values()]
        half = float(np.mean([size.half for size in known])) if known else 0.0
        return math.log(max(1 - self.keep - half, FLOOR * (1 - self.keep)))

    @cached_property
    def _curve(self) -> Array:
        """Logarithm of the unexplained share at sizes 1, 2, ..., (K,)."""
        floor = FLOOR * (1 - self.keep)

        def left(sizes: Mapping[int, Size]) -> dict[int, float]:
            return {k: math.log(max(1 - size.mean.mean, floor)) for k, size in sizes.items()}

        scouts = self.scouts or {}
        short = _shifted(np.log(np.maximum(1 - self.pca[1:], floor)), left(scouts))
        ahead = math.log(AHEAD) if scouts and not self.sizes else 0.0
        return _shifted(short + ahead, left(self.sizes))


def next_step(
    keep: Keep,
    seeds: Sequence[int],
    models: Sequence[Model],
    baselines: Baselines,
    recipe: Recipe,
    scouts: Mapping[int, Size] | None,
) -> Step:
    """What to train next for a share to keep, see `Search.of`, or for the knee; nothing where images do not vary."""
    if not baselines.varies:
        return Step()
    if keep == "knee":
        return knee_step(scouts or {}, models, seeds, baselines)
    return Search.of(keep, seeds, models, baselines, recipe, scouts).next()


def knee_step(scouts: Mapping[int, Size], models: Sequence[Model], seeds: Sequence[int], baselines: Baselines) -> Step:
    """What a search for the knee trains next.

    Scouts find the likeliest size, which then gets all seeds, as do those beside it; where they see none, one network
    of each of the three is enough to say so.

    Args:
        scouts: The short trainings so far.
        models: The networks that were trained in full.
        seeds: Of each of the three sizes.
        baselines: What there is to know of the images.
    """
    largest, tried = most_components(baselines.images, baselines.pixels), seeds_of(models)
    explained = {0: 0.0} | {k: size.mean.mean for k, size in scouts.items()}
    doubled = [0, *(k for k in DOUBLED if k <= largest)]
    if unknown := [k for k in doubled if k not in explained]:
        return Step(scouts=tuple(unknown))
    likeliest, ratio = _likeliest(explained, doubled)
    if ratio >= STOP:
        small = doubled[doubled.index(likeliest) - 1]
        between = range(small, min(likeliest + 1, largest) + 1)
        if unknown := [k for k in between if k not in explained]:
            return Step(scouts=tuple(unknown))
        likeliest, ratio = _likeliest(explained, between)
    else:
        seeds = seeds[:1]
    wanted = [k for k in (likeliest - 1, likeliest, likeliest + 1) if 1 <= k <= largest]
    return Step(jobs=frozenset(Job(k, seed) for k in wanted for seed in {*seeds} - {*tried.get(k, ())}))


def _likeliest(explained: Mapping[int, float], sizes: Sequence[int]) -> tuple[int, float]:
    """Of these sizes that after which explained variance rises least, as against before, and the ratio of the two."""
    ratios = [
        ((explained[at] - explained[before]) / max(explained[after] - explained[at], 0.0005), at)
        for before, at, after in zip(sizes, sizes[1:], sizes[2:], strict=False)
    ]
    ratio, size = max(ratios, default=(0.0, 1))
    return size, ratio


def seeds_of(models: Sequence[Model]) -> dict[int, list[int]]:
    """The seeds with which each size was trained, those that failed included."""
    found: dict[int, list[int]] = {}
    for model in models:
        found.setdefault(model.latent_dim, []).append(model.seed)
    return found


def bracket(size: int) -> int:
    """How far below a size that is enough the next smaller one may be at the end of a search."""
    return max(1, int(BRACKET * size))


def _shifted(curve: Array, known: Mapping[int, float]) -> Array:
    """A curve over sizes 1, 2, ..., moved through known values; between them the shift is linear in log size."""
    known = {k: value for k, value in known.items() if k <= len(curve)}
    if not known:
        return curve
    ks = sorted(known)
    shifts = [known[k] - curve[k - 1] for k in ks]
    moved: Array = curve + np.interp(np.log(np.arange(1, len(curve) + 1)), np.log(ks), shifts)
    return moved
