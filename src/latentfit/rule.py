"""How many dimensions are enough: the rule, and which size to try next.

As in scikit-learn's `PCA(n_components=0.95)` the user says what share of the variance to keep. A size is *enough*
if the 95 % interval of its mean explained variance on the test images, over seeds, lies at or above that share;
it is *not enough* if the interval lies below it. Otherwise the runs do not tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import InputError
from .stats import mean_interval, seeds_needed

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


def answer(explained: Explained, keep: float, limit: int | None = None) -> dict[str, Any]:
    """The smallest size that is enough, and how sure that is.

    Args:
        explained: Explained variance of each training, in [-∞, 1], by latent size.
        keep: The share to keep, between 0 and 1.
        limit: The largest size there could be.

    Returns:
        `status`: `found`, a size is enough; `undecided`, none is although the mean of one is as high;
        `not_reached`, none is. `latent_dim`: the size that is enough. `not_enough`: the largest size below it, or
        of all where none is enough, that is not. `explained_variance`, `interval`: of the size that is enough,
        or of the best. `best`: the size these are of. `open`: sizes that the runs do not decide below the answer.
        `more_seeds`: at this spread, trainings a size that would settle an undecided answer. `next`: sizes to try.
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
        found["more_seeds"] = _more_seeds([explained[k] for k in reaching], keep)
    once = all(e["interval"] is None for e in told.values())  # then the means have to do for what to try
    return {"status": status, **found, "next": _next(told, reaching if once else enough, limit)}


def _more_seeds(reaching: Sequence[Sequence[float]], keep: float) -> int | None:
    """How many trainings more, a size, would make the first of the sizes enough."""
    needed = [n - len(v) for v in reaching if len(v) > 1 and (n := seeds_needed(v, keep)) is not None]
    once = [SEEDS - 1 for v in reaching if len(v) == 1]
    return min(needed + once, default=None)


def _next(told: Mapping[int, Mapping[str, Any]], enough: Sequence[int], limit: int | None) -> list[int]:
    """Doubling until a size is enough, then bisection between it and the largest below it; [] where that ends."""
    sizes = list(told)
    if not sizes:
        return [min(FIRST, limit or FIRST)]
    if enough:
        below = max((k for k in sizes if k < enough[0]), default=0)
        return [(below + enough[0]) // 2] if enough[0] - below > 1 else []
    doubled = min(2 * sizes[-1], limit or 2 * sizes[-1])
    means = [told[k]["mean"] for k in sizes]
    stuck = len(means) > 2 and max(means[-2:]) <= means[-3]  # two sizes more, and none was better
    return [] if stuck or doubled == sizes[-1] else [doubled]
