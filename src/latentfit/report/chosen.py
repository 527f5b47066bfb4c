"""Which of a study's sizes the page shows and speaks of, where there are too many for all."""

from __future__ import annotations

from ..formatting import some_of
from ..results import Results

SPOKEN = 4  # sizes in a sentence; a table has them all
SHOWN = 5  # in rows of pictures


def of_interest(results: Results, most: int) -> list[int]:
    """At most so many of the trained sizes: the answer, those beside it, the largest, the smallest, then evenly."""
    sizes = [model.latent_dim for model in results.first]
    if not sizes:
        return []
    wanted, answer = list[int](), answered(results)
    if answer is not None:
        at = sizes.index(answer)
        wanted = [sizes[i] for i in (at, at - 1, at + 1) if 0 <= i < len(sizes)]
    chosen = dict.fromkeys([*wanted, sizes[-1], sizes[0], *some_of(sizes, most), *sizes])
    return sorted([*chosen][:most])


def answered(results: Results) -> int | None:
    """The size that is enough, or the best so far of a study that looks for one; None without such a question."""
    verdict = results.verdict
    size = None if verdict.status == "not_asked" else verdict.latent_dim or verdict.best
    return size if size in {model.latent_dim for model in results.first} else None


def glance(results: Results) -> list[int]:
    """The sizes of the first strip of pictures: the one below the answer, the answer, the largest."""
    sizes, answer = [model.latent_dim for model in results.first], answered(results)
    if answer is None:
        return of_interest(results, 2)
    at = sizes.index(answer)
    return sorted({sizes[max(0, at - 1)], answer, sizes[-1]})


def shown_seeds(results: Results) -> str:
    """The seed of the networks that are shown, of each size the first that trained: `0`, or `0 or 1`."""
    return " or ".join(map(str, sorted({model.seed for model in results.first})))
