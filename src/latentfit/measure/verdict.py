"""The answer in words: which latent size, what is not enough, and how sure that is.

Pure functions of the rows of a study's networks. Each says only what the intervals carry; a gate that fires turns
"enough" into "at most".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..formatting import BELOW, explained_share, latent, listed
from ..stats import mean_interval
from . import gates, rule

Row = Mapping[str, Any]

WORSE = "on average every size reconstructs them worse than the mean training image would, so no size is recommended"


def not_asked(nothing: str | None = None) -> dict[str, Any]:
    """The verdict of a study that was not asked which size to take; `nothing` says why there is nothing to take."""
    return {
        "status": "not_asked",
        "keep": None,
        "latent_dim": None,
        "not_enough": None,
        "explained_variance": None,
        "interval": None,
        "next": [],
        "sentence": nothing or "No share of the variance to keep was asked for, so no size is recommended.",
    }


def explained(rows: Sequence[Row]) -> dict[int, list[float]]:
    """Explained variance on the test images of each training that came to its end, by latent size."""
    known = [row for row in rows if row["status"] == "ok" and row["test_explained_variance"] is not None]
    sizes = sorted({row["latent_dim"] for row in known})
    return {k: [row["test_explained_variance"] for row in known if row["latent_dim"] == k] for k in sizes}


def verdict(
    rows: Sequence[Row], keep: float, limit: int | None = None, recipe: str = "", nothing: str | None = None
) -> dict[str, Any]:
    """The smallest size that is enough to keep a share of the variance, see `rule.answer`, and the sentence.

    `gates` lists those that fired for a training of the sizes that it rests on: the one that is told of, the largest
    that is not enough, and those in between. The sentence does not advise to take the `recipe` that was taken.
    `nothing` is the sentence in place of it where the images hold next to no variance, of which no size keeps a share.
    """
    told = explained(rows)
    found = rule.answer(told, keep, limit, unable(rows))
    behind = {found["best"], found["not_enough"], *found["open"]}  # the sizes that the sentence rests on
    found["gates"] = gates.names(row for row in rows if row["latent_dim"] in behind)
    if nothing:
        return {**found, "next": [], "sentence": nothing}
    make = {"found": _found, "undecided": _undecided, "not_reached": _not_reached}[found["status"]]
    return {**found, "sentence": gates.advice(" ".join([make(found, told), *_failed(rows)]), recipe)}


def unable(rows: Sequence[Row]) -> set[int]:
    """Sizes none of whose trainings came to its end."""
    return {row["latent_dim"] for row in rows} - {row["latent_dim"] for row in rows if row["status"] == "ok"}


def share(keep: float) -> str:
    """A share that was asked for, as a percentage with the digits it has."""
    return f"{100 * keep:.10g} %"


def kept(values: Sequence[float], interval: Sequence[float] | None, keep: float) -> str:
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
    said = [f"{100 * value:.{digits}f}" for digits in (1, 2, 3, 4)]
    return next((text for text in said if (float(text) >= 100 * keep) == (value >= keep)), said[-1])


def _found(a: Row, told: Mapping[int, Sequence[float]]) -> str:
    k, lacking = a["latent_dim"], a["not_enough"]
    verb = "is" if k == 1 else "are"
    head = f"{latent(k)[0].upper()}{latent(k)[1:]} {verb} enough to keep {share(a['keep'])} of the variance"
    if a["gates"]:
        head = f"At most {latent(k)} {verb} needed with this training to keep {share(a['keep'])} of the variance"
    parts = [f"{head} of the test images ({kept(told[k], a['interval'], a['keep'])})"]
    if lacking is not None:
        values = told[lacking]
        parts.append(f"{lacking} {'is' if lacking == 1 else 'are'} not ({_mean(values, a['keep'])})")
        if k - lacking > 1:
            parts.append("between them these runs do not tell")
    elif a["open"]:
        parts.append(f"of {listed([*map(str, a['open'])])} these runs do not tell")
    elif k > 1:
        parts.append("no smaller size was tried")
    sentences = ["; ".join(parts) + "."]
    if a["gates"]:
        sentences.append(f"That is an upper bound: {gate_words(a['gates'])}.")
    if larger := [j for j in told if j > k and _word(told[j], a["keep"]) == "not enough"]:
        sentences.append(
            f"More dimensions are not enough at {listed([*map(str, larger)])}: see how those were trained."
        )
    return " ".join(sentences + _next(a))


def _undecided(a: Row, told: Mapping[int, Sequence[float]]) -> str:
    k = a["best"]
    if a["interval"] is None:
        smaller = [j for j in told if j < k]
        values = told[smaller[-1]] if smaller else []
        beside = f", and {smaller[-1]} kept {explained_share(sum(values) / len(values))}" if smaller else ""
        said = (
            f"With one training of a size there is no interval, so it cannot be called enough to keep "
            f"{share(a['keep'])} of the variance of the test images: the smallest network that did has "
            f"{latent(k)} ({explained_share(told[k][0])}){beside}. Train each size again with --seeds {rule.SEEDS}."
        )
    else:
        count = a["more_seeds"]
        more = f"; at this spread {count} more seed{'s' if count != 1 else ''} a size would settle it" if count else ""
        said = (
            f"These runs do not decide how many dimensions keep {share(a['keep'])} of the variance of the test images: "
            f"{latent(k)} kept it on average ({kept(told[k], a['interval'], a['keep'])}), but not surely{more}."
        )
        if a["not_enough"] is not None:
            said += f" Not enough: {a['not_enough']}."
    bound = [f"Better training could do with less: {gate_words(a['gates'])}."] if a["gates"] else []
    return " ".join([said, *bound, *_next(a)])


def _not_reached(a: Row, told: Mapping[int, Sequence[float]]) -> str:
    if a["best"] is None:
        return "No training came to its end, so no size can be recommended."
    k = a["best"]
    if a["explained_variance"] < 0:
        said = f"No size of this study keeps {share(a['keep'])} of the variance of the test images; {WORSE}."
        return said + (f" Better training may get further: {gate_words(a['gates'])}." if a["gates"] else "")
    surely = all(len(values) > 1 for values in told.values()) and a["interval"][1] < a["keep"]
    verb = "keeps" if surely else "is shown to keep"
    best = kept(told[k], a["interval"], a["keep"])
    said = (
        f"No size of this study {verb} {share(a['keep'])} of the variance of the test images; the best it got is "
        f"{best} with {latent(k)}."
    )
    if a["gates"]:
        said += f" Better training may get further: {gate_words(a['gates'])}."
    if a["stuck"]:
        said += f" More dimensions did not help: {gates.BETTER}."
    elif not a["next"]:
        said += " There is no larger size to try."
    return " ".join([said, *_next(a)])


def _next(a: Row) -> list[str]:
    return [f"Next size to try: {listed([*map(str, a['next'])])}."] if a["next"] else []


def _failed(rows: Sequence[Row]) -> list[str]:
    lost = [row for row in rows if row["status"] != "ok"]
    return [f"{len(lost)} training{'s' if len(lost) > 1 else ''} failed and cannot be counted."] if lost else []


def gate_words(names: Sequence[str]) -> str:
    """What fired, in words, and what to do about it."""
    said = listed([gates.GATES[name].words for name in names])
    helps = list(dict.fromkeys(gates.GATES[name].help for name in names))
    return f"{said} ({', '.join(helps)})"


def known_now(rows: Sequence[Row], keep: float) -> str:
    """One line for who waits: each size so far with what it keeps, whether that is enough, and the gates that fired."""
    parts = []
    for k, values in explained(rows).items():
        fired = [gates.GATES[name].short for name in gates.names(row for row in rows if row["latent_dim"] == k)]
        beside = f"; gates: {', '.join(fired)}" if fired else ""
        parts.append(f"{k}: {_mean(values, keep)} ({_word(values, keep)}{beside})")
    varied = {*explained(rows), *unable(rows)}
    parts += [f"{k}: no variance to keep" for k in sorted({row["latent_dim"] for row in rows} - varied)]
    parts += [f"{k}: failed" for k in sorted(unable(rows))]
    return f"to keep {share(keep)}: {', '.join(parts)}"


def _word(values: Sequence[float], keep: float) -> str:
    """What one size's trainings say by themselves."""
    interval = mean_interval(values)["interval"]
    low, high = interval or (0.0, 1.0)
    return "enough" if low >= keep else "not enough" if high < keep else "undecided"


def table(answers: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """The answers at several shares as text: header, and a row a share."""
    rows = []
    for a in answers:
        size = {
            "found": f"{'at most ' if a['gates'] else ''}{a['latent_dim']}",
            "undecided": f"undecided, perhaps {a['best']}",
            "not_reached": "-" if a["best"] is None else "not reached",
        }[a["status"]]
        lacking = "-" if a["not_enough"] is None else str(a["not_enough"])
        pca = "-" if a["pca_components"] is None else str(a["pca_components"])
        rows.append([share(a["keep"]), size, lacking, pca])
    return ["variance to keep", "enough", "not enough", "PCA components"], rows
