"""How many dimensions are enough: the rule, the next size to try, and the sentence.

As in scikit-learn's `PCA(n_components=0.95)` the user gives the share of the variance to keep. A size is *enough* if
the 95 % interval of its mean explained variance on the test images, over seeds, lies at or above that share, and *not
enough* if the interval lies below it. Otherwise it is undecided. A failed check of the training turns "enough" into "at
most", and one of the images is told beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import InputError
from ..formatting import BELOW, explained_share, latent, listed
from ..recipe import REFERENCE, Recipe
from ..results import Model, ModelResult, NotAsked, Verdict
from ..stats import Interval, mean_interval, seeds_needed
from . import gates

KEEPS = (0.80, 0.85, 0.90, 0.95, 0.99)  # the table of a report
SEEDS = 3  # seeds per size where a share is asked for and no number of seeds
FIRST = 2  # where the search begins

Explained = Mapping[int, Sequence[float]]  # latent size -> explained variance of each of its networks

WORSE = "on average every size reconstructs them worse than the mean training image would, so no size is recommended"


def check(keep: Any) -> float:
    """A share as a float.

    Raises:
        InputError: It does not lie between 0 and 1.
    """
    if isinstance(keep, bool) or not isinstance(keep, int | float) or not 0 < keep < 1:
        raise InputError(f"share of the variance to keep {keep!r}; expected a number between 0 and 1, for example 0.9")
    return float(keep)


def not_asked(no_variance: str | None = None) -> NotAsked:
    """The verdict of a study without a share to keep; `no_variance` is the sentence for images without variance."""
    sentence = no_variance or "No share of the variance to keep was asked for, so no size is recommended."
    return NotAsked("not_asked", None, None, None, None, None, (), sentence)


def explained(models: Sequence[Model]) -> dict[int, list[float]]:
    """Explained variance on the test images of each network that has one, by latent size."""
    found: dict[int, list[float]] = {}
    for model in sorted(models, key=lambda model: model.latent_dim):
        if isinstance(model, ModelResult) and model.test_explained_variance is not None:
            found.setdefault(model.latent_dim, []).append(model.test_explained_variance)
    return found


def all_failed(models: Sequence[Model]) -> set[int]:
    """Sizes for which every training failed."""
    trained = {model.latent_dim for model in models if isinstance(model, ModelResult)}
    return {model.latent_dim for model in models} - trained


def next_sizes(models: Sequence[Model], keep: float, limit: int | None = None) -> tuple[int, ...]:
    """Sizes that a search trains next; empty where it has ended. `limit` is the largest size there could be."""
    if any(isinstance(m, ModelResult) and m.test_explained_variance is None for m in models):
        return ()  # the images hold next to no variance, of which no size keeps a share
    return decide(explained(models), keep, limit, all_failed(models)).next


def verdict(
    models: Sequence[Model],
    keep: float,
    limit: int | None = None,
    recipe: Recipe = REFERENCE,
    no_variance: str | None = None,
) -> Verdict:
    """The smallest size that is enough to keep a share of the variance, see `decide`, with its checks and sentence.

    Args:
        models: All networks of a study.
        keep: The share to keep, between 0 and 1.
        limit: The largest size there could be.
        recipe: How they were trained: what the sentence advises depends on it.
        no_variance: The sentence where the images hold next to no variance, of which no size keeps a share.

    Returns:
        `gates` are the failed checks of the sizes that the sentence is about: the one that is named, the largest that
        is not enough, and those in between.
    """
    by_size = explained(models)
    found = decide(by_size, keep, limit, all_failed(models))
    about = {found.best, found.not_enough, *found.open}
    fired = gates.names(model for model in models if model.latent_dim in about)
    if no_variance:
        return replace(found, gates=fired, next=(), sentence=no_variance)
    found = replace(found, gates=fired)
    sentences = {"found": _found, "undecided": _undecided, "not_reached": _not_reached}[found.status](
        found, by_size, recipe
    )
    if others := [name for name in fired if not gates.GATES[name].bounds]:
        sentences += f" About the images: {check_text(others, recipe)}."
    count = sum(not isinstance(model, ModelResult) for model in models)
    if count:
        sentences += f" {count} training{'s' if count > 1 else ''} failed and cannot be counted."
    return replace(found, sentence=sentences)


def decide(explained: Explained, keep: float, limit: int | None = None, failed: Collection[int] = ()) -> Verdict:
    """The smallest size that is enough, and how sure that is, without a sentence.

    Args:
        explained: Explained variance of each network, in [-∞, 1], by latent size.
        keep: The share to keep, between 0 and 1.
        limit: The largest size there could be.
        failed: Sizes for which every training failed: they are not tried again.

    Returns:
        `status`: `found`, a size is enough; `undecided`, none is although the mean of one is as high;
        `not_reached`, none is. `latent_dim`: the size that is enough. `not_enough`: the largest size below it, or
        of all where none is enough, that is not. `explained_variance`, `interval`: of `best`, the size that is enough
        or the best one. `open`: undecided sizes below the answer. `more_seeds`: at this spread, seeds of the best
        size that would settle an undecided answer. `next`: sizes to try. `stuck`: two larger sizes were tried, and
        neither was better.
    """
    means = {k: mean_interval(explained[k]) for k in sorted(explained)}
    enough = [k for k, e in means.items() if e.interval and e.interval[0] >= keep]
    lacking = [k for k, e in means.items() if e.interval and e.interval[1] < keep]
    reaching = [k for k, e in means.items() if e.mean >= keep]
    best = next(iter([*enough[:1], *reaching[:1], *sorted(means, key=lambda k: -means[k].mean)]), None)
    smaller = [k for k in means if not enough or k < enough[0]]
    below = [k for k in lacking if k in smaller]
    levels = [e.mean for e in means.values()]
    stuck = not enough and len(levels) > 2 and max(levels[-2:]) <= levels[-3]
    once = all(e.interval is None for e in means.values())  # then the means decide what to try
    undecided = bool(reaching) and not enough
    return Verdict(
        status="found" if enough else "undecided" if reaching else "not_reached",
        keep=keep,
        latent_dim=enough[0] if enough else None,
        not_enough=below[-1] if below else None,
        explained_variance=None if best is None else means[best].mean,
        interval=None if best is None else means[best].interval,
        best=best,
        open=tuple(k for k in smaller if k not in lacking),
        more_seeds=_more_seeds(explained[best], keep) if undecided and best is not None else None,
        next=() if stuck else _next([*means], reaching if once else enough, limit, failed),
        stuck=stuck,
        gates=(),
        sentence="",
    )


def _more_seeds(values: Sequence[float], keep: float) -> int | None:
    """Number of further seeds that would make a size enough; after a single one, as many as make an interval."""
    if len(values) == 1:
        return SEEDS - 1
    needed = seeds_needed(values, keep)
    return None if needed is None else needed - len(values)


def _next(sizes: Sequence[int], enough: Sequence[int], limit: int | None, failed: Collection[int]) -> tuple[int, ...]:
    """Doubling until a size is enough, then bisection between it and the largest below it; () where that ends."""
    largest = limit or 2 * max([*sizes, *failed, FIRST])
    if enough:
        below = max((k for k in sizes if k < enough[0]), default=0)
        between = [k for k in range(below + 1, enough[0]) if k not in failed]
        return tuple(sorted(between, key=lambda k: abs(k - (below + enough[0]) // 2))[:1])
    size = min(FIRST, largest) if not sizes else min(2 * sizes[-1], largest)
    while size in failed and size < largest:
        size = min(2 * size, largest)
    return () if size in failed or size in sizes else (size,)


def share(keep: float) -> str:
    """A share that was asked for, as a percentage with the digits it has."""
    return f"{100 * keep:.10g} %"


def explained_text(values: Sequence[float], interval: Interval | None, keep: float) -> str:
    """`91.2 %, 95 % interval 90.8 to 91.6 % over 3 seeds`, with the digits that show the side of the share."""
    mean = f"{_sided(sum(values) / len(values), keep)} %"
    if interval is None:
        return f"{mean}, trained once"
    low, high = (_sided(end, keep) for end in interval)
    if low == high:
        low, high = (f"{100 * end:.3f}" for end in interval)
    low = "below 0" if interval[0] < 0 else low
    return f"{mean}, 95 % interval {low} to {high} % over {len(values)} seeds"


def _mean(values: Sequence[float], keep: float) -> str:
    mean = sum(values) / len(values)
    return f"{_sided(mean, keep)} %" if mean >= 0 else BELOW


def _sided(value: float, keep: float) -> str:
    """A share in per cent, rounded no further than to its own side of the share to keep."""
    texts = [f"{100 * value:.{digits}f}" for digits in (1, 2, 3, 4)]
    return next((text for text in texts if (float(text) >= 100 * keep) == (value >= keep)), texts[-1])


def _found(a: Verdict, by_size: Explained, recipe: Recipe) -> str:
    k, lacking = a.latent_dim, a.not_enough
    assert k is not None
    verb = "is" if k == 1 else "are"
    head = f"{latent(k)[0].upper()}{latent(k)[1:]} {verb} enough to keep {share(a.keep)} of the variance"
    bounding = gates.bounding(a.gates)
    if bounding:
        head = f"At most {latent(k)} {verb} needed with this training to keep {share(a.keep)} of the variance"
    parts = [f"{head} of the test images ({explained_text(by_size[k], a.interval, a.keep)})"]
    if lacking is not None:
        parts.append(f"{lacking} {'is' if lacking == 1 else 'are'} not ({_mean(by_size[lacking], a.keep)})")
        if k - lacking > 1:
            parts.append("between them these runs do not tell")
    elif a.open:
        parts.append(f"of {listed([*map(str, a.open)])} these runs do not tell")
    elif k > 1:
        parts.append("no smaller size was tried")
    sentences = ["; ".join(parts) + "."]
    if bounding:
        sentences.append(f"That is an upper bound: {check_text(bounding, recipe)}.")
    if larger := [j for j in by_size if j > k and classify(by_size[j], a.keep) == "not enough"]:
        sentences.append(
            f"More dimensions are not enough at {listed([*map(str, larger)])}: see how those were trained."
        )
    return " ".join(sentences + _next_text(a))


def _undecided(a: Verdict, by_size: Explained, recipe: Recipe) -> str:
    k = a.best
    assert k is not None
    if a.interval is None:
        smaller = [j for j in by_size if j < k]
        values = by_size[smaller[-1]] if smaller else []
        beside = f", and {smaller[-1]} kept {explained_share(sum(values) / len(values))}" if smaller else ""
        text = (
            f"With one training of a size there is no interval, so it cannot be called enough to keep "
            f"{share(a.keep)} of the variance of the test images: the smallest network that did has "
            f"{latent(k)} ({explained_share(by_size[k][0])}){beside}. Train each size again with --seeds {SEEDS}."
        )
    else:
        count = a.more_seeds
        more = f"; at this spread {count} more seed{'s' if count != 1 else ''} a size would settle it" if count else ""
        text = (
            f"These runs do not decide how many dimensions keep {share(a.keep)} of the variance of the test images: "
            f"{latent(k)} kept it on average ({explained_text(by_size[k], a.interval, a.keep)}), but not surely{more}."
        )
        if a.not_enough is not None:
            text += f" Not enough: {a.not_enough}."
    bounding = gates.bounding(a.gates)
    bound = [f"Better training could do with less: {check_text(bounding, recipe)}."] if bounding else []
    return " ".join([text, *bound, *_next_text(a)])


def _not_reached(a: Verdict, by_size: Explained, recipe: Recipe) -> str:
    k = a.best
    if k is None or a.explained_variance is None:
        return "No training came to its end, so no size can be recommended."
    bounding = gates.bounding(a.gates)
    better = f" Better training may get further: {check_text(bounding, recipe)}." if bounding else ""
    if a.explained_variance < 0:
        return f"No size of this study keeps {share(a.keep)} of the variance of the test images; {WORSE}.{better}"
    surely = all(len(values) > 1 for values in by_size.values()) and a.interval and a.interval[1] < a.keep
    text = (
        f"No size of this study {'keeps' if surely else 'is shown to keep'} {share(a.keep)} of the variance of the "
        f"test images; the best it got is {explained_text(by_size[k], a.interval, a.keep)} with {latent(k)}.{better}"
    )
    if a.stuck:
        text += f" More dimensions did not help: {gates.better_training(recipe)}."
    elif not a.next:
        text += " There is no larger size to try."
    return " ".join([text, *_next_text(a)])


def _next_text(a: Verdict) -> list[str]:
    return [f"Next size to try: {listed([*map(str, a.next)])}."] if a.next else []


def check_text(names: Sequence[str], recipe: Recipe) -> str:
    """The failed checks in words, and what to do about them."""
    advice = dict.fromkeys(gates.advice(name, recipe) for name in names)
    return f"{listed([gates.check_of(name, recipe).words for name in names])} ({', '.join(advice)})"


def progress_text(models: Sequence[Model], keep: float) -> str:
    """One line while a search runs: each size so far with its explained variance, its state and its failed checks."""
    parts, by_size = [], explained(models)
    for k, values in by_size.items():
        fired = [gates.GATES[name].short for name in gates.names(m for m in models if m.latent_dim == k)]
        beside = f"; gates: {', '.join(fired)}" if fired else ""
        parts.append(f"{k}: {_mean(values, keep)} ({classify(values, keep)}{beside})")
    failed = all_failed(models)
    flat = {model.latent_dim for model in models} - {*by_size, *failed}
    parts += [f"{k}: no variance to keep" for k in sorted(flat)]
    parts += [f"{k}: failed" for k in sorted(failed)]
    return f"to keep {share(keep)}: {', '.join(parts)}"


def classify(values: Sequence[float], keep: float) -> str:
    """`enough`, `not enough` or `undecided`, by the networks of one size alone."""
    low, high = mean_interval(values).interval or (0.0, 1.0)
    return "enough" if low >= keep else "not enough" if high < keep else "undecided"
