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


def _each(rows: Sequence[Row], key: str, digits: int = 0) -> str:
    """A share of every network, as `66 % with 16 dimensions and 73 % with 48`."""
    said = [f"{percent(m[key], digits)} with {m['latent_dim']}" for m in rows]
    return listed([f"{said[0]} dimensions", *said[1:]])


def _change(share: float) -> str:
    return f"falls by {percent(share)}" if share >= 0 else f"rises by {percent(-share)}"


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
        who = f"The network with {m['latent_dim']} dimensions and seed {m['seed']}"
        sentences.append(f"{who} failed: {m['reason']}.")
    return sentences


def _alone(m: Row) -> str:
    share = m["test_explained_variance"]
    kept = "" if share is None else f", which keeps {percent(share, 1)} of their variance"
    return (
        f"The network with {m['latent_dim']} latent dimensions reconstructs the test images with an error of "
        f"{mse(m['test_mse'])}{kept}."
    )


def _compared(results: Results, comparison: Row) -> str:
    small, large = comparison["latent_dims"]
    test = comparison["test_mse"]
    of_small, of_large = test["means"]
    images = f"{results['dataset']['test_images']:,} test images"
    if not carried(test):
        return (
            f"Between the networks with {small} and {large} latent dimensions the {images} show no difference "
            f"that the paired test carries: error {mse(of_small)} and {mse(of_large)}{_interval(test)}."
        )
    better, worse = (large, small) if of_large < of_small else (small, large)
    low, high = sorted(test["means"])
    share = test["share_lower"] if better == large else test["share_higher"]
    surprise = "" if better == large else f" More dimensions did not help: {large} came out worse than {small}."
    return (
        f"The network with {better} latent dimensions reconstructs the {images} better than the one with "
        f"{worse}: error {mse(low)} against {mse(high)}, {percent(1 - low / high)} less{_decibels(low, high)}, and "
        f"lower on {percent(share)} of the images{_interval(test)}.{surprise}"
    )


def _decibels(low: float, high: float) -> str:
    return f" or {10 * math.log10(high / low):.2f} dB" if low > 0 else ""


def _interval(test: Row) -> str:
    if test["interval"] is None:
        return ""
    sign = -1 if test["interval"][1] < 0 else 1  # a difference that has a side is told without its sign
    low, high = sorted(sign * end for end in test["interval"])
    difference = mse(sign * test["difference"])
    return f" (paired difference {difference}, 95 % interval {mse(low)} to {mse(high)}, p {_p(test)})"


def _p(test: Row) -> str:
    if test["p"] is None:
        return "unknown"
    return "< 0.001" if test["p"] < 0.001 else f"= {test['p']:.3f}"


def _over_seeds(results: Results) -> list[str]:
    ok = [m for m in results["models"] if m["status"] == "ok"]
    by_size = {k: [m["test_mse"] for m in ok if m["latent_dim"] == k] for k in {m["latent_dim"] for m in ok}}
    means = [f"{mse(sum(e) / len(e))} at {k} ({len(e)} trained)" for k, e in sorted(by_size.items())]
    compared = [f"The networks compared are those of seed {c['seed']}." for c in results["comparisons"][:1]]
    return [*compared, f"Over all seeds the mean test error is {listed(means)}."] if means else []


def _differ(results: Results) -> bool:
    """Whether the smallest and the largest network have different test errors, as far as the test can tell."""
    return any(carried(c["test_mse"]) for c in _widest_first(results)[:1])


def _pca(results: Results) -> list[str]:
    pca = {entry["latent_dim"]: entry["test_mse"] for entry in results["pca"]}
    rows = [m for m in _trained(results) if pca[m["latent_dim"]] > 0]
    sentences = [_beside_pca(m, pca[m["latent_dim"]]) for m in rows]
    if len(rows) < 2 or rows[0]["test_mse"] <= 0:
        return sentences
    small, large = rows[0]["latent_dim"], rows[-1]["latent_dim"]
    net, linear = 1 - rows[-1]["test_mse"] / rows[0]["test_mse"], 1 - pca[large] / pca[small]
    ending = (
        f"and the networks' {_change(net)}: these networks make {'less' if net < linear else 'no less'} of the added "
        "dimensions than a linear map does."
        if _differ(results)
        else "while no difference between the networks' is carried."
    )
    return [*sentences, f"From {small} to {large}, PCA's error {_change(linear)}, {ending}"]


def _beside_pca(m: Row, linear: float) -> str:
    k, own = m["latent_dim"], m["test_mse"]
    if own >= linear:
        return f"With {k} dimensions the network ({mse(own)}) is no better than {k} PCA components ({mse(linear)})."
    worth = m["pca_components_for_test_mse"]
    need = f"PCA needs {worth} components for the same" if worth else "no number of PCA components reaches it"
    return (
        f"With {k} dimensions the network's test error is {percent(1 - own / linear)} below that of {k} PCA "
        f"components ({mse(own)} against {mse(linear)}); {need}."
    )


def _training(results: Results) -> list[str]:
    rows = [m for m in _trained(results) if m["last_tenth_fall"] is not None]
    if not rows:
        return []
    epochs = results["recipe"]["epochs"]
    last = max(1, round(epochs / 10))
    span = "epoch" if last == 1 else f"{last} epochs"
    falls = _each(rows, "last_tenth_fall", 1)
    sentences = [f"In the last {span} of {epochs} the training error fell by {falls}."]
    falling = [str(m["latent_dim"]) for m in rows if m["last_tenth_fall"] > STILL_FALLING]
    if falling:
        sentences.append(
            f"More than {percent(STILL_FALLING)} means that training was not finished, here with "
            f"{listed(falling)} dimensions: longer or better training would lower these errors, and part of any "
            "difference between the networks may be how far each of them got."
        )
    gaps = [
        f"{100 * (m['test_mse'] / m['train_mse'] - 1):+.1f} % with {m['latent_dim']}"
        for m in rows
        if m["train_mse"] > 0
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
        return f"Whether the network with {small} or {large} dimensions {did} is not settled (paired p {_p(test)})."
    winner, other = (large, small) if test["difference"] > 0 else (small, large)
    return f"The network with {winner} dimensions {did} than the one with {other} (paired p {_p(test)})."


def _classes(results: Results) -> list[str]:
    names, rows = results["dataset"]["classes"], _trained(results)
    if not names or not rows or rows[0]["test_mse_by_class"] is None:
        return []
    best = min(rows, key=lambda m: m["test_mse"])
    known = [(e, name) for e, name in zip(best["test_mse_by_class"], names, strict=True) if e is not None]
    known.sort(reverse=True)
    if len(known) < 2:
        return []
    worst = listed([f"{name} ({mse(e)})" for e, name in known[: min(3, len(known) - 1)]])
    least, least_name = known[-1]
    return [
        f"With {best['latent_dim']} dimensions the largest errors are those of {worst}; the smallest is that of "
        f"{least_name} ({mse(least)}).",
        *(_class_gains(rows[0], rows[-1], names) if _differ(results) else []),
    ]


def _class_gains(a: Row, b: Row, names: Sequence[str]) -> list[str]:
    triples = zip(a["test_mse_by_class"], b["test_mse_by_class"], names, strict=True)
    gains = sorted((1 - eb / ea, name) for ea, eb, name in triples if ea and eb is not None)
    if not gains:
        return []
    (least, least_name), (most, most_name) = gains[0], gains[-1]
    return [
        f"From {a['latent_dim']} to {b['latent_dim']} dimensions the error changes by {-100 * most:+.0f} % for "
        f"{most_name}, the best of the classes, and by {-100 * least:+.0f} % for {least_name}, the last."
    ]


def _interpolation(results: Results) -> list[str]:
    walks = results["interpolation"]
    seeds = {m["latent_dim"]: m["seed"] for m in _trained(results)}
    rows = [m for m in walks["models"] if seeds.get(m["latent_dim"]) == m["seed"]]
    if not rows:
        return []
    widest = _widest_first(results)[:1]
    sentences = [
        f"Over {walks['measured_pairs']} pairs of training images, the mean step of a walk is "
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
    pixels = math.prod(results["dataset"]["image_shape"])
    sentences = [
        f"{m['latent_dim']} float32 numbers are {4 * m['latent_dim']} bytes for an image of {pixels:,} bytes (one a "
        f"pixel), a ratio of {pixels / (4 * m['latent_dim']):.1f}; they keep "
        f"{percent(m['test_explained_variance'], 1)} of the test images' variance."
        for m in rows
    ]
    if len(rows) > 1:
        a, b = rows[0], rows[-1]
        points = 100 * (b["test_explained_variance"] - a["test_explained_variance"])
        keep = f"keep {abs(points):.1f} points of variance {'more' if points >= 0 else 'less'}"
        sentences.append(
            f"Against {a['latent_dim']} dimensions, {b['latent_dim']} take {b['latent_dim'] / a['latent_dim']:.3g} "
            f"times the bytes and {keep if _differ(results) else 'keep no more, as far as the test can tell'}. "
            "The size of the decoder itself is not counted in these ratios."
        )
    return sentences
