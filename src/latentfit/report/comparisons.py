"""Networks and sizes compared, in words and a table: with each other, and with PCA.

Pure functions of `results`. With one seed the words speak of the trained networks, compared on the same images; a
difference that the paired test at 5 % does not carry is not called one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..data.quality import no_variance
from ..formatting import (
    FEW,
    apart,
    carried,
    change,
    decibels,
    dims,
    explained_share,
    interval,
    latent,
    less,
    listed,
    most,
    mse,
    p_value,
    percent,
    plural,
    some_of,
)
from ..recipe import Job, first_seeds

Results = dict[str, Any]
Row = dict[str, Any]
Table = tuple[list[str], list[list[str]]]


def trained(results: Results) -> list[Row]:
    """Of each size the network of its first seed that trained to the end, smallest first."""
    ok = {Job(m["latent_dim"], m["seed"]): m for m in results["models"] if m["status"] == "ok"}
    return [ok[job] for job in first_seeds(ok)]


def each(rows: Sequence[Row], key: str, digits: int = 0) -> str:
    """A share of every network, or of a few across the range: `66 % with 16 dimensions and 73 % with 48`."""
    said = [f"{percent(m[key], digits)} with {m['latent_dim']}" for m in some_of(rows)]
    return listed([f"{percent(rows[0][key], digits)} with {dims(rows[0]['latent_dim'])}", *said[1:]])


def nothing(results: Results) -> str | None:
    """What is said of a study of images that hold next to no variance; None for all others."""
    return no_variance(results["variance"])


def worse_than_mean(results: Results) -> list[Row]:
    """Of the networks that stand for their sizes, those whose explained variance is below 0."""
    return [m for m in trained(results) if (m["test_explained_variance"] or 0) < 0]


def comparable(results: Results) -> list[Row]:
    """The comparisons of two networks that have something to be compared: variance, and a share of it each."""
    if nothing(results):
        return []
    worse = {m["latent_dim"] for m in worse_than_mean(results)}
    return [c for c in results["comparisons"] if worse.isdisjoint(c["latent_dims"])]


def widest_first(results: Results) -> list[Row]:
    """The comparisons of two networks, that of the smallest with the largest in front."""
    return sorted(comparable(results), key=lambda c: c["latent_dims"][0] - c["latent_dims"][1])


def errors(results: Results) -> list[str]:
    """How the error changes with the latent dimension; where there are many sizes, the ends and the steps between."""
    couples, worse = widest_first(results), worse_than_mean(results)
    if nothing(results):
        return [nothing(results) or "", *_failures(results)]
    if len(couples) > FEW:
        sentences = [_compared(results, couples[0]), *_steps(results)]
    else:
        sentences = [_compared(results, c) for c in couples]
    if not sentences:
        told = [m for m in trained(results) if m not in worse]
        sentences = [_alone(m) for m in told] or ([] if worse else ["No network of this study could be trained."])
    sentences += _not_compared(results, worse)
    seeds = {m["seed"] for m in results["models"]}
    if couples and len(seeds) == 1:
        sentences.append(
            f"Each size was trained once (seed {min(seeds)}): this compares these trained networks, not the "
            "sizes. Another start gives other networks; words about sizes need more seeds."
        )
    if len(seeds) > 1:
        sentences += [*_over_seeds(results), *_sizes_compared(results)]
    return [*sentences, *_failures(results)]


def _failures(results: Results) -> list[str]:
    return [
        f"The network with {dims(m['latent_dim'])} and seed {m['seed']} failed: {m['reason']}."
        for m in results["models"]
        if m["status"] != "ok"
    ]


def _not_compared(results: Results, worse: Sequence[Row]) -> list[str]:
    """What is said of networks that are worse than the mean image, in place of comparisons with others."""
    if not worse:
        return []
    sizes = listed([str(m["latent_dim"]) for m in worse])
    did = (
        f"network with {sizes} latent dimensions reconstructs"
        if len(worse) == 1
        else (f"networks with {sizes} latent dimensions reconstruct")
    )
    errors, least = listed([mse(m["test_mse"]) for m in worse]), mse(results["variance"]["test"])
    return [
        f"The {did} the test images worse than the mean training image would: error {errors}, that of the mean image "
        f"is {least}. This explains no variance, and is not compared."
    ]


def _alone(m: Row) -> str:
    kept = m["test_explained_variance"]
    share = "" if kept is None else f"; variance kept: {explained_share(kept)}"
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
        f"lower on {most(share)} of the images{interval(test)}.{surprise}"
    )


def _steps(results: Results) -> list[str]:
    """The steps from each size to the next: how many lower the error, by how much, and those that do not."""
    pairs = comparable(results)
    pairs = pairs[:-1] if pairs and pairs[-1] == results["comparisons"][-1] else pairs  # without the widest
    steps = {(c["latent_dims"][0], c["latent_dims"][1]): c["test_mse"] for c in pairs}
    lower = [couple for couple, test in steps.items() if carried(test) and test["difference"] < 0]
    how = f"paired over the images, Holm over {len(results['comparisons'])} comparisons"
    did = f"{len(lower)} lower" if len(lower) > 1 else f"{len(lower) or 'none'} lowers"
    said = f"Of the {len(steps)} steps from a size to the next, {did} the error"
    if lower:
        by_ratio = sorted(lower, key=lambda couple: steps[couple]["means"][1] / steps[couple]["means"][0])
        ends = [f"{less(*reversed(steps[a, b]['means']))} from {a} to {b}" for a, b in (by_ratio[0], by_ratio[-1])]
        said += f", by {ends[0]}" if len(lower) == 1 else f", by {ends[0]} the most, by {ends[1]} the least"
    sentences = [f"{said} ({how})."]
    if raised := [couple for couple, test in steps.items() if carried(test) and test["difference"] >= 0]:
        sentences.append(f"More dimensions came out worse {_ways(raised)}.")
    if open_ := [couple for couple, test in steps.items() if not carried(test)]:
        sentences.append(f"No difference is carried {_ways(open_)}.")
    return sentences


def _ways(couples: Sequence[Sequence[int]]) -> str:
    return listed([f"from {a} to {b}" for a, b in couples])


def _over_seeds(results: Results) -> list[str]:
    ok = [m for m in results["models"] if m["status"] == "ok"]
    by_size = {k: [m["test_mse"] for m in ok if m["latent_dim"] == k] for k in {m["latent_dim"] for m in ok}}
    means = [
        f"{mse(sum(e) / len(e))} at {k} ({f'{mse(min(e))} to {mse(max(e))}, ' if len(e) > 1 else ''}{len(e)} trained)"
        for k, e in some_of(sorted(by_size.items()))
    ]
    compared = ["The networks compared are those of each size's first seed that trained."]
    said = [f"Over all seeds the mean test error (from the lowest to the highest) is {listed(means)}."] if means else []
    return [*(compared if comparable(results) else []), *said]


def _sizes_compared(results: Results) -> list[str]:
    """Words about sizes, which need seeds: Welch's test of the mean test error, Holm over the pairs."""
    worse = {s["latent_dim"] for s in results["sizes"] if (s["test_explained_variance"] or {"mean": 0})["mean"] < 0}
    told = [c for c in results["size_comparisons"] if worse.isdisjoint(c["latent_dims"])]
    tested = [c for c in told if c["test_mse"]["p"] is not None]
    known = [c for c in tested if carried(c["test_mse"])]
    many = len(tested) > FEW
    sentences = []
    for c in [c for c in known if c is tested[-1]] if many else known:  # the last is the smallest against the largest
        errors = dict(zip(c["latent_dims"], c["test_mse"]["means"], strict=True))
        better, worse = sorted(errors, key=lambda k: errors[k])
        said = " against ".join(apart(errors[better], errors[worse]))
        sentences.append(
            f"As sizes, {better} is better than {worse}: mean test error {said}{interval(c['test_mse'], 'difference')}."
        )
    if many:
        lower = [c for c in known if c["test_mse"]["difference"] < 0]
        sentences.append(
            f"Over the seeds the mean test error of the larger size is lower in {len(lower)} of {len(tested)} pairs of "
            "sizes compared (Welch, Holm)."
        )
        if raised := [c["latent_dims"] for c in known if c not in lower]:
            sentences.append(f"As sizes, more dimensions are worse {_ways(raised)}.")
    if open_ := ["{} and {}".format(*c["latent_dims"]) for c in tested if not carried(c["test_mse"])]:
        sentences.append(f"As sizes these are not told apart over the seeds (Welch, Holm): {'; '.join(open_)}.")
    return sentences


def differ(results: Results) -> bool:
    """Whether the smallest and the largest network have different test errors, as far as the test can tell."""
    ends = [m["latent_dim"] for m in trained(results)][:: max(1, len(trained(results)) - 1)]
    return any(carried(c["test_mse"]) for c in comparable(results) if c["latent_dims"] == ends)


def against_pca(results: Results) -> list[str]:
    """Each network, or a few across the range, beside as many PCA components."""
    pca = {entry["latent_dim"]: entry["test_mse"] for entry in results["pca"]}
    tests = {(t["latent_dim"], t["seed"]): t for t in results["against_pca"]}
    rows = [] if nothing(results) else trained(results)
    below = [m for m in rows if _below(tests[m["latent_dim"], m["seed"]]["test_mse"])]
    told = [m for m in rows if m not in below or m in some_of(below)]
    sentences = [_beside_pca(m, tests[m["latent_dim"], m["seed"]]) for m in told]
    if others := [str(m["latent_dim"]) for m in rows if m not in told]:
        sentences.append(f"With {listed(others)} dimensions it is below PCA's too (in the table).")
    if len(rows) < 2 or worse_than_mean(results) or min(rows[0]["test_mse"], pca[rows[0]["latent_dim"]]) <= 0:
        return sentences
    small, large = rows[0]["latent_dim"], rows[-1]["latent_dim"]
    net, linear = 1 - rows[-1]["test_mse"] / rows[0]["test_mse"], 1 - pca[large] / pca[small]
    networks = f"the networks' {change(net)}" if differ(results) else "no difference between the networks' is carried"
    return [*sentences, f"From {small} to {large}, PCA's error {change(linear)}; {networks}."]


def _below(test: Row) -> bool:
    return carried(test) and test["difference"] <= 0


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


def which(comparison: Row, quantity: str, did: str) -> str:
    """Which of two networks has more of a quantity, as far as the paired test can tell."""
    small, large = comparison["latent_dims"]
    test = comparison[quantity]
    if not carried(test):
        return f"Whether the network with {small} or {large} dimensions {did} is not settled (paired {p_value(test)})."
    winner, other = (large, small) if test["difference"] > 0 else (small, large)
    return f"The network with {dims(winner)} {did} than the one with {other} (paired {p_value(test)})."


def table(results: Results) -> Table | None:
    """Every comparison of two sizes: networks in pairs over the images, sizes over their seeds; None for one."""
    if len(results["comparisons"]) < 2 or not comparable(results):
        return None
    over_seeds = {tuple(c["latent_dims"]): c["test_mse"] for c in results["size_comparisons"]}
    several = any(test["p"] is not None for test in over_seeds.values())
    header = ["from", "to", "error at from", "error at to", "change", "lower on", "p, paired"]
    rows = []
    for c in comparable(results):
        (small, large), test = c["latent_dims"], c["test_mse"]
        cells = [str(small), str(large), *apart(*test["means"]), _change(test), most(test["share_lower"]), _p(test)]
        rows.append([*cells, *([_change(over_seeds[small, large]), _p(over_seeds[small, large])] if several else [])])
    return [*header, *(["change over seeds", "p over seeds"] if several else [])], rows


def _change(test: Row) -> str:
    """From the first mean to the second, as a share with two digits, however small it is."""
    before, after = test["means"]
    return f"{100 * (after / before - 1):+.2g} %" if before > 0 else "-"


def _p(test: Row) -> str:
    return "-" if test["p"] is None else p_value(test | {"family": 1}).removeprefix("p ").removeprefix("= ")
