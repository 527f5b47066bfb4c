"""How many dimensions are enough: the rule.

As in scikit-learn's `PCA(n_components=0.95)` the user gives the share of the variance to keep. A size is *enough* if
the 95 % interval of its mean explained variance, for other seeds and other test images together
(`stats.mean_over_both`), lies at or above that share, and *not enough* if the interval lies below it. Otherwise it is
undecided. A size counts with all its networks; if it was trained once it has no interval. A failed check of the
training turns "enough" into "at most", and one of the images is told beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from ..errors import InputError
from ..results import Keep, Knee, Model, ModelResult, NotAsked, Verdict
from ..stats import NORMAL, Mean, mean_over_both, seeds_needed

KEEPS = (0.80, 0.85, 0.90, 0.95, 0.99)  # the table of a report
SEEDS = 3  # seeds per size where a share is asked for and no number of seeds

Standing = Literal["enough", "not enough", "undecided"]


@dataclass(frozen=True)
class Size:
    """The networks of one size: explained variance of each, its standard error over the test images, and its seed."""

    explained: tuple[float, ...]
    errors: tuple[float, ...]
    seeds: tuple[int, ...]

    @cached_property
    def mean(self) -> Mean:
        """The mean, with its interval if there are several."""
        return mean_over_both(self.explained, self.errors)

    @property
    def half(self) -> float:
        """Half of the interval; of a single network, of that over other images alone."""
        if self.mean.interval is None:
            return NORMAL * self.errors[0]
        return (self.mean.interval[1] - self.mean.interval[0]) / 2

    def standing(self, keep: float, once: bool = False) -> Standing:
        """Whether it is enough, by its interval; with `once` a single network is judged by its own value."""
        low, high = self.mean.interval or ((self.mean.mean,) * 2 if once else (0.0, 1.0))
        return "enough" if low >= keep else "not enough" if high < keep else "undecided"


def check(keep: Any) -> Keep:
    """A share as a float, or `knee`.

    Raises:
        InputError: It is another word, or does not lie between 0 and 1.
    """
    if keep == "knee":
        return "knee"
    if isinstance(keep, bool) or not isinstance(keep, int | float) or not 0 < keep < 1:
        raise InputError(
            f"share of the variance to keep {keep!r}; expected a number between 0 and 1, for example 0.9, or knee"
        )
    return float(keep)


def not_asked(no_variance: str | None = None, knee: Knee | None = None) -> NotAsked:
    """The verdict of a study without a share to keep; `no_variance` is the sentence for images without variance."""
    sentence = no_variance or "No share of the variance to keep was asked for, so no size is recommended."
    return NotAsked("not_asked", None, None, None, None, None, (), sentence, knee)


def sizes(models: Sequence[Model]) -> dict[int, Size]:
    """Of each size the networks that explain a share of the variance of the test images, smallest size first."""
    found: dict[int, list[ModelResult]] = {}
    for model in sorted(models, key=lambda model: model.job):
        if isinstance(model, ModelResult) and model.test_explained_variance is not None:
            found.setdefault(model.latent_dim, []).append(model)
    return {
        k: Size(
            tuple(m.test_explained_variance or 0.0 for m in trained),
            tuple(m.explained_variance_error or 0.0 for m in trained),
            tuple(m.seed for m in trained),
        )
        for k, trained in found.items()
    }


def all_failed(models: Sequence[Model]) -> set[int]:
    """Sizes for which every training failed."""
    trained = {model.latent_dim for model in models if isinstance(model, ModelResult)}
    return {model.latent_dim for model in models} - trained


def between(sizes: Sequence[int], answer: int | None) -> tuple[int, int]:
    """The sizes between which to see what is lost: the one below the answer and the answer, or the first and the last.

    Args:
        sizes: Those that were trained, smallest first.
        answer: The one that is enough, or the best so far; None without such a question.
    """
    if answer is None or answer == sizes[0]:
        return sizes[0], sizes[-1]
    return sizes[sizes.index(answer) - 1], answer


def decide(sizes: Mapping[int, Size], keep: float, following: Collection[int] = ()) -> Verdict:
    """The smallest size that is enough, and how sure that is, without a sentence.

    Args:
        sizes: What was trained, smallest first.
        keep: The share to keep, between 0 and 1.
        following: Sizes to try, see `search.Search`.

    Returns:
        `status`: `found`, a size is enough; `undecided`, none is although the mean of one is as high;
        `not_reached`, none is. `latent_dim`: the size that is enough. `not_enough`: the largest size below it, or
        of all where none is enough, that is not. `explained_variance`, `interval`: of `best`, the size that is enough
        or the best one. `open`: undecided sizes below the answer that were trained more than once. `more_seeds`: at
        this spread, seeds of the best size that would settle an undecided answer. `stuck`: two larger sizes were
        tried, and neither was better.
    """
    standing = {k: size.standing(keep) for k, size in sizes.items()}
    means = {k: size.mean.mean for k, size in sizes.items()}
    enough = [k for k, s in standing.items() if s == "enough"]
    reaching = [k for k in means if means[k] >= keep]
    several = [k for k in reaching if sizes[k].mean.interval]
    ranked = [*enough[:1], *several[:1], *reaching[:1], *sorted(means, key=lambda k: -means[k])]
    best = ranked[0] if ranked else None
    smaller = [k for k in sizes if not enough or k < enough[0]]
    below = [k for k in smaller if standing[k] == "not enough"]
    levels = [*means.values()]
    undecided = bool(reaching) and not enough
    return Verdict(
        status="found" if enough else "undecided" if reaching else "not_reached",
        keep=keep,
        latent_dim=enough[0] if enough else None,
        not_enough=below[-1] if below else None,
        explained_variance=None if best is None else means[best],
        interval=None if best is None else sizes[best].mean.interval,
        best=best,
        open=tuple(k for k in smaller if k not in below and (sizes[k].mean.interval or not enough)),
        more_seeds=_more_seeds(sizes[best], keep) if undecided and best is not None else None,
        next=tuple(following),
        stuck=not enough and len(levels) > 2 and max(levels[-2:]) <= levels[-3],
        gates=(),
        sentence="",
    )


def _more_seeds(size: Size, keep: float) -> int | None:
    """Number of further seeds that would make a size enough; after a single one, as many as make an interval."""
    if len(size.explained) == 1:
        return SEEDS - 1
    needed = seeds_needed(size.explained, size.errors, keep)
    return None if needed is None else needed - len(size.explained)


def of_knee(sizes: Mapping[int, Size], knee: Knee | None, following: Collection[int] = ()) -> Verdict:
    """The verdict of a study that is asked for the knee, see `measure.knee`: found where there is one."""
    n = knee.latent_dim if knee else None
    mean = sizes[n].mean if n is not None else None
    return Verdict(
        status="found" if knee else "not_reached",
        keep="knee",
        latent_dim=n,
        not_enough=None,
        explained_variance=mean.mean if mean else None,
        interval=mean.interval if mean else None,
        best=n,
        open=(),
        more_seeds=None,
        next=tuple(following),
        stuck=False,
        gates=(),
        sentence="",
        knee=knee,
    )
