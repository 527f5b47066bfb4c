"""How many dimensions are enough: the rule, and which size to try next.

As in scikit-learn's `PCA(n_components=0.95)` the user says what share of the variance to keep. A size is *enough*
if the 95 % interval of its mean explained variance on the test images, over seeds, lies at or above that share;
it is *not enough* if the interval lies below it. Otherwise the runs do not tell.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..stats import mean_interval, seeds_needed

KEEPS = (0.80, 0.85, 0.90, 0.95, 0.99)  # the table of a report
SEEDS = 3  # trainings a size where a share is asked for and no number of seeds
FIRST = 2  # where the search begins

Explained = Mapping[int, Sequence[float]]  # latent size -> explained variance of each of its trainings


def check(keep: Any) -> float:
    """A share as a float.

    Raises:
        InputError: It does not lie between 0 and 1.
    """
    if isinstance(keep, bool) or not isinstance(keep, int | float) or not 0 < keep < 1:
        raise InputError(f"share of the variance to keep {keep!r}; expected a number between 0 and 1, for example 0.9")
    return float(keep)


def answer(explained: Explained, keep: float, limit: int | None = None, failed: Collection[int] = ()) -> dict[str, Any]:
    """The smallest size that is enough, and how sure that is.

    Args:
        explained: Explained variance of each training, in [-∞, 1], by latent size.
        keep: The share to keep, between 0 and 1.
        limit: The largest size there could be.
        failed: Sizes none of whose trainings came to its end: they are not tried again.

    Returns:
        `status`: `found`, a size is enough; `undecided`, none is although the mean of one is as high;
        `not_reached`, none is. `latent_dim`: the size that is enough. `not_enough`: the largest size below it, or
        of all where none is enough, that is not. `explained_variance`, `interval`: of the size that is enough,
        or of the best. `best`: the size these are of. `open`: sizes that the runs do not decide below the answer.
        `more_seeds`: at this spread, trainings of the best size that would settle an undecided answer. `next`: sizes
        to try. `stuck`: two larger sizes were tried, and neither was better.
    """
    told = {k: mean_interval(explained[k]) for k in sorted(explained)}
    enough = [k for k, e in told.items() if e["interval"] and e["interval"][0] >= keep]
    lacking = [k for k, e in told.items() if e["interval"] and e["interval"][1] < keep]
    reaching = [k for k, e in told.items() if e["mean"] >= keep]
    found: dict[str, Any] = {"keep": keep, "latent_dim": None, "not_enough": None}
    found |= {"explained_variance": None, "interval": None, "best": None, "open": [], "more_seeds": None}
    status = "found" if enough else "undecided" if reaching else "not_reached"
    if told:
        best = enough[0] if enough else reaching[0] if reaching else max(told, key=lambda k: told[k]["mean"])
        below = [k for k in lacking if not enough or k < enough[0]]
        found |= {
            "latent_dim": enough[0] if enough else None,
            "not_enough": below[-1] if below else None,
            "explained_variance": told[best]["mean"],
            "interval": told[best]["interval"],
            "best": best,
            "open": [k for k in told if (not enough or k < enough[0]) and k not in lacking],
        }
    if status == "undecided":
        found["more_seeds"] = _more_seeds(explained[found["best"]], keep)
    once = all(e["interval"] is None for e in told.values())  # then the means have to do for what to try
    means = [e["mean"] for e in told.values()]
    stuck = not enough and len(means) > 2 and max(means[-2:]) <= means[-3]
    following = [] if stuck else _next([*told], reaching if once else enough, limit, failed)
    return {"status": status, **found, "next": following, "stuck": stuck}


def _more_seeds(values: Sequence[float], keep: float) -> int | None:
    """How many trainings more would make a size enough; after a single one, as many as make an interval."""
    if len(values) == 1:
        return SEEDS - 1
    needed = seeds_needed(values, keep)
    return None if needed is None else needed - len(values)


def _next(sizes: Sequence[int], enough: Sequence[int], limit: int | None, failed: Collection[int]) -> list[int]:
    """Doubling until a size is enough, then bisection between it and the largest below it; [] where that ends."""
    largest = limit or 2 * max([*sizes, *failed, FIRST])
    if enough:
        below = max((k for k in sizes if k < enough[0]), default=0)
        between = [k for k in range(below + 1, enough[0]) if k not in failed]
        return sorted(between, key=lambda k: abs(k - (below + enough[0]) // 2))[:1]
    size = min(FIRST, largest) if not sizes else min(2 * sizes[-1], largest)
    while size in failed and size < largest:
        size = min(2 * size, largest)
    return [] if size in failed or size in sizes else [size]
