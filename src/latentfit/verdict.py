"""The analysis in words: every sentence is made from a study's own numbers.

Pure functions of `results`. With one seed the words speak of the trained networks, compared on the same
images; a difference that the paired test at 5 % does not carry is not called one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Results = dict[str, Any]
Row = dict[str, Any]

LEVEL = 0.05
STILL_FALLING = 0.01  # training error lost in the last tenth of the epochs


HEADER = (
    "latent",
    "seed",
    "train MSE",
    "test MSE",
    "PSNR dB",
    "SSIM",
    "variance kept",
    "PCA test MSE",
    "worth in PCA",
)


class Finding(NamedTuple):
    """A heading and the sentences under it."""

    title: str
    sentences: list[str]


def not_asked() -> dict[str, Any]:
    """The verdict of a study that was not asked which size to take."""
    return {
        "status": "not_asked",
        "keep": None,
        "latent_dim": None,
        "not_enough": None,
        "explained_variance": None,
        "interval": None,
        "next": [],
        "sentence": "No share of the variance to keep was asked for, so no size is recommended.",
    }


def analysis(results: Results) -> list[Finding]:
    """What a study found, as headings and sentences; only those that its numbers can fill."""
    parts: list[tuple[str, Callable[[Results], list[str]]]] = [
        ("Error and latent dimension", _error),
        ("Against PCA", _pca),
        ("Was the training finished?", _training),
        ("Sharpness", _sharpness),
        ("Which classes lose most", _classes),
        ("What the interpolations show", _interpolation),
        ("What it means for compression", _compression),
    ]
    findings = [Finding(title, make(results)) for title, make in parts]
    return [finding for finding in findings if finding.sentences]


def headline(results: Results) -> str:
    """The one sentence that a reader in a hurry should get."""
    return _error(results)[0]


def table(results: Results) -> tuple[list[str], list[list[str]]]:
    """The study's table as text: header and one row a network, PCA beside it."""
    pca = {entry["latent_dim"]: entry["test_mse"] for entry in results["pca"]}
    rows = []
    for m in results["models"]:
        numbers = [
            "failed" if m["status"] != "ok" else mse(m["train_mse"]),
            _or_dash(m["test_mse"], "#.3g"),
            _or_dash(m["test_psnr"], ".2f"),
            _or_dash(m["test_ssim"], ".3f"),
            percent(m["test_explained_variance"], 1),
        ]
        worth = _or_dash(m["pca_components_for_test_mse"], "d")
        rows.append([str(m["latent_dim"]), str(m["seed"]), *numbers, mse(pca[m["latent_dim"]]), worth])
    return [*HEADER], rows


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def mse(value: float) -> str:
    """An error with three significant digits."""
    return f"{value:#.3g}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share as a percentage; a dash for None."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def carried(test: dict[str, Any]) -> bool:
    """Whether a paired test carries the difference it found."""
    return test["p"] is not None and test["p"] < LEVEL


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _trained(results: Results) -> list[Row]:
    """The networks of the first seed that trained to the end, smallest first."""
    ok = [m for m in results["models"] if m["status"] == "ok"]
    first = min((m["seed"] for m in ok), default=0)
    return [m for m in ok if m["seed"] == first]


def dims(k: int) -> str:
    """`1 dimension`, `16 dimensions`."""
    return f"{k} dimension{'s' if k != 1 else ''}"


def latent(k: int) -> str:
    """`1 latent dimension`, `16 latent dimensions`."""
    return dims(k).replace(" ", " latent ")


def _each(rows: Sequence[Row], key: str, digits: int = 0) -> str:
    """A share of every network, as `66 % with 16 dimensions and 73 % with 48`."""
    said = [f"{percent(m[key], digits)} with {m['latent_dim']}" for m in rows]
    return listed([f"{percent(rows[0][key], digits)} with {dims(rows[0]['latent_dim'])}", *said[1:]])


def _change(share: float) -> str:
    return f"falls by {percent(share)}" if share >= 0 else f"rises by {percent(-share)}"


def _apart(a: float, b: float) -> tuple[str, str]:
    """Two errors with as many digits as it takes to tell them apart, from three to six."""
    said = [(f"{a:#.{digits}g}", f"{b:#.{digits}g}") for digits in (3, 4, 5, 6)]
    return next((pair for pair in said if pair[0] != pair[1]), said[0])


def _less(low: float, high: float) -> str:
    """By how much the lower of two errors is lower, as a share that does not round to none or all."""
    share = 1 - low / high
    if share < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < share < 1 else percent(share)


def _signed(share: float, digits: int = 0) -> str:
    return f"{round(100 * share, digits) + 0.0:+.{digits}f} %"  # + 0.0: no minus before a zero


def _plural(n: int, thing: str) -> str:
    return f"{n:,} {thing}{'s' if n != 1 else ''}"


def _widest_first(results: Results) -> list[Row]:
    return sorted(results["comparisons"], key=lambda c: c["latent_dims"][0] - c["latent_dims"][1])


def _error(results: Results) -> list[str]:
    sentences = [_compared(results, c) for c in _widest_first(results)]
    if not sentences:
        sentences = [_alone(m) for m in _trained(results)] or ["No network of this study could be trained."]
    seeds = {m["seed"] for m in results["models"]}
    if results["comparisons"] and len(seeds) == 1:
        sentences.append(
            f"Each size was trained once (seed {min(seeds)}): this compares these trained networks, not the "
            "sizes. Another start gives other networks; words about sizes need more seeds."
        )
    if len(seeds) > 1:
        sentences += _over_seeds(results)
    failed = [m for m in results["models"] if m["status"] != "ok"]
    for m in failed:
        who = f"The network with {dims(m['latent_dim'])} and seed {m['seed']}"
        sentences.append(f"{who} failed: {m['reason']}.")
    return sentences


def _alone(m: Row) -> str:
    kept = m["test_explained_variance"]
    share = "" if kept is None else f"; variance kept: {percent(kept, 1)}"
    who = f"The network with {latent(m['latent_dim'])}"
    return f"{who} reconstructs the test images with an error of {mse(m['test_mse'])}{share}."


def _compared(results: Results, comparison: Row) -> str:
    small, large = comparison["latent_dims"]
    test = comparison["test_mse"]
    of_small, of_large = test["means"]
    images = _plural(results["dataset"]["test_images"], "test image")
    if not carried(test):
        said = listed(_apart(of_small, of_large))
        return (
            f"Between the networks with {small} and {large} latent dimensions the {images} show no difference "
            f"that the paired test carries: error {said}{_interval(test)}."
        )
    better, worse = (large, small) if of_large < of_small else (small, large)
    low, high = sorted(test["means"])
    share = test["share_lower"] if better == large else test["share_higher"]
    surprise = "" if better == large else f" More dimensions did not help: {large} came out worse than {small}."
    said = " against ".join(_apart(low, high))
    return (
        f"The network with {latent(better)} reconstructs the {images} better than the one with "
        f"{worse}: error {said}, {_less(low, high)} less{_decibels(low, high)}, and "
        f"lower on {percent(share)} of the images{_interval(test)}.{surprise}"
    )


def _decibels(low: float, high: float) -> str:
    ratio = 10 * math.log10(high / low) if low > 0 else 0
    return f" or {ratio:.2f} dB" if ratio >= 0.01 else ""


def _interval(test: Row) -> str:
    if test["interval"] is None:
        return ""
    sign = -1 if test["interval"][1] < 0 else 1  # a difference that has a side is told without its sign
    low, high = sorted(sign * end for end in test["interval"])
    difference = mse(sign * test["difference"])
    return f" (paired difference {difference}, 95 % interval {mse(low)} to {mse(high)}, {_p(test)})"


def _p(test: Row) -> str:
    if test["p"] is None:
        return "p unknown"
    digits = 4 if abs(test["p"] - LEVEL) < 0.001 else 3  # near the level the third digit hides the side
    value = "< 0.001" if test["p"] < 0.001 else f"= {test['p']:.{digits}f}"
    family = test.get("family", 1)
    return f"p {value}" if family == 1 else f"p {value} by Holm over {family} comparisons"


def _over_seeds(results: Results) -> list[str]:
    ok = [m for m in results["models"] if m["status"] == "ok"]
    by_size = {k: [m["test_mse"] for m in ok if m["latent_dim"] == k] for k in {m["latent_dim"] for m in ok}}
    means = [
        f"{mse(sum(e) / len(e))} at {k} ({f'{mse(min(e))} to {mse(max(e))}, ' if len(e) > 1 else ''}{len(e)} trained)"
        for k, e in sorted(by_size.items())
    ]
    compared = [f"The networks compared are those of seed {c['seed']}." for c in results["comparisons"][:1]]
    return [*compared, f"Over all seeds the mean test error is {listed(means)}."] if means else []


def _differ(results: Results) -> bool:
    """Whether the smallest and the largest network have different test errors, as far as the test can tell."""
    return any(carried(c["test_mse"]) for c in _widest_first(results)[:1])


def _pca(results: Results) -> list[str]:
    pca = {entry["latent_dim"]: entry["test_mse"] for entry in results["pca"]}
    tests = {(t["latent_dim"], t["seed"]): t for t in results["against_pca"]}
    rows = _trained(results)
    sentences = [_beside_pca(m, tests[m["latent_dim"], m["seed"]]) for m in rows]
    if len(rows) < 2 or min(rows[0]["test_mse"], pca[rows[0]["latent_dim"]]) <= 0:
        return sentences
    small, large = rows[0]["latent_dim"], rows[-1]["latent_dim"]
    net, linear = 1 - rows[-1]["test_mse"] / rows[0]["test_mse"], 1 - pca[large] / pca[small]
    networks = f"the networks' {_change(net)}" if _differ(results) else "no difference between the networks' is carried"
    return [*sentences, f"From {small} to {large}, PCA's error {_change(linear)}; {networks}."]


def _beside_pca(m: Row, comparison: Row) -> str:
    k, test = m["latent_dim"], comparison["test_mse"]
    components = _plural(comparison["components"], "PCA component")
    said = " against ".join(_apart(test["means"][1], test["means"][0]))
    if not carried(test):
        return (
            f"With {dims(k)} the network's test error and that of {components} are not told apart ({said}, {_p(test)})."
        )
    if test["difference"] > 0:
        return f"With {dims(k)} the network's test error is above that of {components} ({said}, paired {_p(test)})."
    worth = m["pca_components_for_test_mse"]
    need = f"PCA needs {worth} components for the same" if worth else "no number of PCA components reaches it"
    less = _less(test["means"][1], test["means"][0])
    return (
        f"With {dims(k)} the network's test error is {less} below that of {components} ({said}, paired {_p(test)}); "
        f"{need}."
    )


def _training(results: Results) -> list[str]:
    rows = [m for m in _trained(results) if m["last_tenth_fall"] is not None]
    if not rows:
        return []
    epochs = results["recipe"]["epochs"]
    last = max(1, round(epochs / 10))
    span = "epoch" if last == 1 else f"{last} epochs"
    changes = [f"{_signed(-m['last_tenth_fall'], 1)} with {m['latent_dim']}" for m in rows]
    sentences = [f"In the last {span} of {epochs} the training error changed by {listed(changes)}."]
    falling = [str(m["latent_dim"]) for m in rows if m["last_tenth_fall"] > STILL_FALLING]
    if falling:
        sentences.append(
            f"A fall of more than {percent(STILL_FALLING)} means that training was not finished, here at "
            f"{listed(falling)}: longer or better training may lower these errors, and part of any "
            "difference between the networks may be how far each of them got."
        )
    gaps = [
        f"{_signed(m['test_mse'] / m['train_mse'] - 1, 1)} with {m['latent_dim']}" for m in rows if m["train_mse"] > 0
    ]
    return [*sentences, f"Test error against training error: {listed(gaps)}."] if gaps else sentences


def _sharpness(results: Results) -> list[str]:
    rows = [m for m in _trained(results) if m["test_sharpness"] is not None]
    if not rows:
        return []
    first = (
        f"The mean gradient magnitude of the test reconstructions is {_each(rows, 'test_sharpness')} of that of "
        "the originals; below 100 % is blur."
    )
    return [first, *(_which(c, "sharpness", "gave sharper pictures") for c in _widest_first(results)[:1])]


def _which(comparison: Row, quantity: str, did: str) -> str:
    small, large = comparison["latent_dims"]
    test = comparison[quantity]
    if not carried(test):
        return f"Whether the network with {small} or {large} dimensions {did} is not settled (paired {_p(test)})."
    winner, other = (large, small) if test["difference"] > 0 else (small, large)
    return f"The network with {dims(winner)} {did} than the one with {other} (paired {_p(test)})."


def _classes(results: Results) -> list[str]:
    names, rows = results["dataset"]["classes"], _trained(results)
    if not names or not rows or rows[0]["test_mse_by_class"] is None:
        return []
    best = min(rows, key=lambda m: m["test_mse"])
    known = [(e, name) for e, name in zip(best["test_mse_by_class"], names, strict=True) if e is not None]
    known.sort(reverse=True)
    if len(known) < 2:
        return []
    worst = [f"{name} ({mse(e)})" for e, name in known[: min(3, len(known) - 1)]]
    largest = (
        f"the largest errors are those of {listed(worst)}"
        if len(worst) > 1
        else f"the largest error is that of {worst[0]}"
    )
    least, least_name = known[-1]
    return [
        f"With {dims(best['latent_dim'])} {largest}; the smallest is that of {least_name} ({mse(least)}).",
        *(_class_gains(rows[0], rows[-1], names) if _differ(results) else []),
    ]


def _class_gains(a: Row, b: Row, names: Sequence[str]) -> list[str]:
    triples = zip(a["test_mse_by_class"], b["test_mse_by_class"], names, strict=True)
    gains = sorted((1 - eb / ea, name) for ea, eb, name in triples if ea and eb is not None)
    if len(gains) < 2:
        return []
    (least, least_name), (most, most_name) = gains[0], gains[-1]
    return [
        f"From {a['latent_dim']} to {b['latent_dim']} dimensions the error changes by {_signed(-most)} for "
        f"{most_name}, the best of the classes, and by {_signed(-least)} for {least_name}, the last."
    ]


def _interpolation(results: Results) -> list[str]:
    walks = results["interpolation"]
    seeds = {m["latent_dim"]: m["seed"] for m in _trained(results)}
    rows = [m for m in walks["models"] if seeds.get(m["latent_dim"]) == m["seed"]]
    if not rows:
        return []
    widest = _widest_first(results)[:1]
    sentences = [
        f"Over {_plural(walks['measured_pairs'], 'random pair')} of training images, "
        f"the mean step of a walk is "
        f"{_each(rows, 'evenness')} of its largest step; fading one picture into the other has equal steps by "
        "construction, 100 %.",
        *(_which(c, "evenness", "changed the picture more evenly") for c in widest),
    ]
    if any(m["midpoint_sharpness"] is None for m in rows):
        return sentences
    return [
        *sentences,
        f"Half way, the sharpness of the decoded pictures is {_each(rows, 'midpoint_sharpness')} of that of the "
        f"real pictures at both ends; that of a half-and-half fade is "
        f"{percent(walks['cross_fade']['midpoint_sharpness'])}, but its edges are those of both pictures on top of "
        "each other.",
        *(_which(c, "midpoint_sharpness", "gave sharper pictures half way") for c in widest),
    ]


def _compression(results: Results) -> list[str]:
    rows = [m for m in _trained(results) if m["test_explained_variance"] is not None]
    numbers = math.prod(results["dataset"]["image_shape"])
    sentences = [
        f"A code of {dims(m['latent_dim'])} is {4 * m['latent_dim']:,} bytes of float32 for an image of "
        f"{_plural(numbers, 'byte')} (one a number), a ratio of {numbers / (4 * m['latent_dim']):.1f}; variance of "
        f"the test images kept: {percent(m['test_explained_variance'], 1)}."
        for m in rows
    ]
    if len(rows) > 1:
        a, b = rows[0], rows[-1]
        points = 100 * (b["test_explained_variance"] - a["test_explained_variance"])
        keep = f"keep {abs(points):.1f} points of variance {'more' if points >= 0 else 'less'}"
        sentences.append(
            f"Against {dims(a['latent_dim'])}, {b['latent_dim']} take {b['latent_dim'] / a['latent_dim']:.4g} "
            f"times the bytes and {keep if _differ(results) else 'keep no more, as far as the test can tell'}. "
            "The size of the decoder itself is not counted in these ratios."
        )
    return sentences
