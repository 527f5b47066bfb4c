"""The analysis in words: every sentence is made from a study's own numbers.

Pure functions of `results`. With one seed the words speak of the trained networks, compared on the same
images; a difference that the paired test at 5 % does not carry is not called one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import trade
from .gates import GATES, advice
from .train import Job, first_seeds
from .words import (
    apart,
    carried,
    change,
    decibels,
    dims,
    interval,
    latent,
    less,
    listed,
    mse,
    or_dash,
    p_value,
    percent,
    plural,
    signed,
)

Results = dict[str, Any]
Row = dict[str, Any]


HEADER = (
    "latent",
    "seeds",
    "train MSE",
    "test MSE",
    "PSNR dB",
    "SSIM",
    "variance kept",
    "PCA test MSE",
    "worth in PCA",
    "gates",
)


class Finding(NamedTuple):
    """A heading and the sentences under it."""

    title: str
    sentences: list[str]


def analysis(results: Results) -> list[Finding]:
    """What a study found, as headings and sentences; only those that its numbers can fill."""
    parts: list[tuple[str, Callable[[Results], list[str]]]] = [
        ("Error and latent dimension", _error),
        ("All sizes from one training", trade.screening),
        ("Against PCA", _pca),
        ("Was the training finished?", _training),
        ("Sharpness", _sharpness),
        ("Which classes lose most", _classes),
        ("What the interpolations show", lambda r: [*_interpolation(r), *trade.walk_references(r)]),
        ("The shape of the code", trade.shape),
        ("Classes told apart by their codes", trade.neighbours),
        ("What it means for compression", lambda r: [*trade.compression(r), *_bytes(r)]),
    ]
    findings = [Finding(title, make(results)) for title, make in parts]
    return [finding for finding in findings if finding.sentences]


def headline(results: Results) -> str:
    """What a reader in a hurry should get: the answer where one was asked for."""
    said: str = results["verdict"]["sentence"]
    return _error(results)[0] if results["verdict"]["status"] == "not_asked" else said


def table(results: Results) -> tuple[list[str], list[list[str]]]:
    """The study's table as text: header, and a row a size with PCA beside it.

    With several seeds the errors and the variance kept are means ± half of the 95 % interval.
    """
    pca = {entry["latent_dim"]: entry["test_mse"] for entry in results["pca"]}
    worth = {m["latent_dim"]: m["pca_components_for_test_mse"] for m in _trained(results)}
    rows = []
    for size in results["sizes"]:
        k = size["latent_dim"]
        numbers = [
            _with_half(size["train_mse"], mse) if size["seeds"] else "failed",
            _with_half(size["test_mse"], mse),
            _with_half(size["test_psnr"], "{:.2f}".format),
            _with_half(size["test_ssim"], "{:.3f}".format),
            _with_half(_in_percent(size["test_explained_variance"]), "{:.1f}".format, " %"),
        ]
        fired = ", ".join(GATES[name].short for name in size["gates"]) or "-"
        rows.append([str(k), str(size["seeds"]), *numbers, mse(pca[k]), or_dash(worth.get(k), "d"), fired])
    return [*HEADER], rows


def sampling(results: Results) -> str | None:
    """How far other test images could move the numbers: the half widths of the paired bootstrap's intervals."""
    if not results["sampling"]:
        return None
    said = [
        f"± {50 * (high - low):.2f} points at {entry['latent_dim']}"
        for entry in results["sampling"]
        for low, high in [entry["test_explained_variance"]]
    ]
    return (
        "Other test images of the same kind would move the variance kept by about "
        f"{listed(said)} (95 %, paired bootstrap over the test images)."
    )


def _in_percent(value: dict[str, Any] | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"mean": 100 * value["mean"], "interval": value["interval"] and [100 * end for end in value["interval"]]}


def _with_half(value: dict[str, Any] | None, form: Callable[[float], str], unit: str = "") -> str:
    """A mean, with half of its interval where there is one: `0.0100 ± 0.00008`."""
    if value is None:
        return "-"
    if value["interval"] is None:
        return form(value["mean"]) + unit
    half = (value["interval"][1] - value["interval"][0]) / 2
    told = form(value["mean"])
    digits = max(len(told.partition(".")[2]) + 1, 1)  # one more than the mean has
    return f"{told} ± {half:.{digits}f}{unit}"


def _trained(results: Results) -> list[Row]:
    """Of each size the network of its first seed that trained to the end, smallest first."""
    ok = {Job(m["latent_dim"], m["seed"]): m for m in results["models"] if m["status"] == "ok"}
    return [ok[job] for job in first_seeds(ok)]


def _each(rows: Sequence[Row], key: str, digits: int = 0) -> str:
    """A share of every network, as `66 % with 16 dimensions and 73 % with 48`."""
    said = [f"{percent(m[key], digits)} with {m['latent_dim']}" for m in rows]
    return listed([f"{percent(rows[0][key], digits)} with {dims(rows[0]['latent_dim'])}", *said[1:]])


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
        sentences += [*_over_seeds(results), *_sizes_compared(results)]
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
    images = plural(results["dataset"]["test_images"], "test image")
    if not carried(test):
        said = listed(apart(of_small, of_large))
        return (
            f"Between the networks with {small} and {large} latent dimensions the {images} show no difference "
            f"that the paired test carries: error {said}{interval(test)}."
        )
    better, worse = (large, small) if of_large < of_small else (small, large)
    low, high = sorted(test["means"])
    share = test["share_lower"] if better == large else test["share_higher"]
    surprise = "" if better == large else f" More dimensions did not help: {large} came out worse than {small}."
    said = " against ".join(apart(low, high))
    return (
        f"The network with {latent(better)} reconstructs the {images} better than the one with "
        f"{worse}: error {said}, {less(low, high)} less{decibels(low, high)}, and "
        f"lower on {percent(share)} of the images{interval(test)}.{surprise}"
    )


def _over_seeds(results: Results) -> list[str]:
    ok = [m for m in results["models"] if m["status"] == "ok"]
    by_size = {k: [m["test_mse"] for m in ok if m["latent_dim"] == k] for k in {m["latent_dim"] for m in ok}}
    means = [
        f"{mse(sum(e) / len(e))} at {k} ({f'{mse(min(e))} to {mse(max(e))}, ' if len(e) > 1 else ''}{len(e)} trained)"
        for k, e in sorted(by_size.items())
    ]
    compared = ["The networks compared are those of each size's first seed that trained."]
    said = [f"Over all seeds the mean test error is {listed(means)}."] if means else []
    return [*(compared if results["comparisons"] else []), *said]


def _sizes_compared(results: Results) -> list[str]:
    """Words about sizes, which need seeds: Welch's test of the mean test error, Holm over the pairs."""
    tested = [c for c in results["size_comparisons"] if c["test_mse"]["p"] is not None]
    sentences = []
    for c in tested:
        if not carried(c["test_mse"]):
            continue
        errors = dict(zip(c["latent_dims"], c["test_mse"]["means"], strict=True))
        better, worse = sorted(errors, key=lambda k: errors[k])
        said = " against ".join(apart(errors[better], errors[worse]))
        sentences.append(
            f"As sizes, {better} is better than {worse}: mean test error {said}{interval(c['test_mse'], 'difference')}."
        )
    if open_ := ["{} and {}".format(*c["latent_dims"]) for c in tested if not carried(c["test_mse"])]:
        sentences.append(f"As sizes these are not told apart over the seeds (Welch, Holm): {'; '.join(open_)}.")
    return sentences


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
    networks = f"the networks' {change(net)}" if _differ(results) else "no difference between the networks' is carried"
    return [*sentences, f"From {small} to {large}, PCA's error {change(linear)}; {networks}."]


def _beside_pca(m: Row, comparison: Row) -> str:
    k, test = m["latent_dim"], comparison["test_mse"]
    components = plural(comparison["components"], "PCA component")
    said = " against ".join(apart(test["means"][1], test["means"][0]))
    if not carried(test):
        return (
            f"With {dims(k)} the network's test error and that of {components} are not told apart "
            f"({said}, {p_value(test)})."
        )
    if test["difference"] > 0:
        return (
            f"With {dims(k)} the network's test error is above that of {components} ({said}, paired {p_value(test)})."
        )
    worth = m["pca_components_for_test_mse"]
    need = f"PCA needs {worth} components for the same" if worth else "no number of PCA components reaches it"
    share = less(test["means"][1], test["means"][0])
    return (
        f"With {dims(k)} the network's test error is {share} below that of {components} ({said}, paired "
        f"{p_value(test)}); {need}."
    )


def _training(results: Results) -> list[str]:
    rows = [m for m in _trained(results) if m["last_tenth_fall"] is not None]
    if not rows:
        return []
    epochs = results["recipe"]["epochs"]
    last = max(1, round(epochs / 10))
    span = "epoch" if last == 1 else f"{last} epochs"
    changes = [f"{signed(-m['last_tenth_fall'], 1)} with {m['latent_dim']}" for m in rows]
    sentences = [f"In the last {span} of {epochs} the training error changed by {listed(changes)}."]
    for name, gate in GATES.items():
        if hit := [m for m in rows if any(g["name"] == name for g in m["gates"])]:
            sentences.append(
                f"At {listed([str(m['latent_dim']) for m in hit])} a gate fires: {gate.words}; "
                f"{advice(gate.help, results['recipe']['name'])}. Part of any difference between the networks may be "
                "how well each was trained."
            )
    gaps = [
        f"{signed(m['test_mse'] / m['train_mse'] - 1, 1)} with {m['latent_dim']}" for m in rows if m["train_mse"] > 0
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
        return f"Whether the network with {small} or {large} dimensions {did} is not settled (paired {p_value(test)})."
    winner, other = (large, small) if test["difference"] > 0 else (small, large)
    return f"The network with {dims(winner)} {did} than the one with {other} (paired {p_value(test)})."


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
        f"From {a['latent_dim']} to {b['latent_dim']} dimensions the error changes by {signed(-most)} for "
        f"{most_name}, the best of the classes, and by {signed(-least)} for {least_name}, the last."
    ]


def _interpolation(results: Results) -> list[str]:
    walks = results["interpolation"]
    rows = walks["models"]
    if not rows:
        return []
    widest = _widest_first(results)[:1]
    sentences = [
        f"Over {plural(walks['measured_pairs'], 'random pair')} of training images, "
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


def _bytes(results: Results) -> list[str]:
    rows = [m for m in _trained(results) if m["test_explained_variance"] is not None]
    if len(rows) < 2:
        return []
    a, b = rows[0], rows[-1]
    points = 100 * (b["test_explained_variance"] - a["test_explained_variance"])
    keep = f"keep {abs(points):.1f} points of variance {'more' if points >= 0 else 'less'}"
    return [
        f"Against {dims(a['latent_dim'])}, {b['latent_dim']} take {b['latent_dim'] / a['latent_dim']:.4g} "
        f"times the bytes and {keep if _differ(results) else 'keep no more, as far as the test can tell'}."
    ]
