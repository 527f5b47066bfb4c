"""The analysis in words: every sentence is made from a study's own numbers.

Where a study has many sizes the sentences name a few of them, and the tables all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..formatting import dims, listed, mse, percent, signed
from ..measure import gates
from ..measure.checks import GATES
from ..measure.headline import comparable, worse_than_mean
from ..measure.verdict import between
from ..parts import ClassErrors
from ..results import Results
from . import comparisons, lost_columns, tables, tradeoffs
from .chosen import answered
from .tradeoffs import of_seed, spoken


class Finding(NamedTuple):
    """A heading, the sentences under it, and the section of the page that they belong to."""

    title: str
    sentences: list[str]
    section: str


def analysis(results: Results, said: str = "") -> list[Finding]:
    """What a study found, as headings and sentences; only those for which it has numbers, and that are not yet said."""
    parts: list[tuple[str, str, Sequence[Callable[[Results], list[str]]]]] = [
        ("sizes", "Error and latent dimension", [comparisons.error_sentences]),
        ("sizes", "Against PCA", [comparisons.pca_sentences]),
        ("sizes", "Nested network", [tradeoffs.nested_sentences]),
        ("lost", "Which columns lose most", [_columns]),
        ("lost", "Which classes lose most", [_classes]),
        ("lost", "Sharpness", [_sharpness]),
        (
            "interpolations",
            "What the interpolations show",
            [tradeoffs.interpolation_takeaway, tradeoffs.interpolation_sentences],
        ),
        ("codes", "k-nearest-neighbour accuracy on the codes", [tradeoffs.neighbour_sentences]),
        ("codes", "The shape of the code", [tradeoffs.code_sentences]),
        ("bytes", "What it means for compression", [tradeoffs.compression_sentences, _bytes]),
        ("trust", "Was the training finished?", [_training]),
        ("trust", "Other images", [_sampling]),
    ]
    findings = [
        Finding(title, [s for make in makers for s in make(results) if s not in said], section)
        for section, title, makers in parts
    ]
    return [finding for finding in findings if finding.sentences]


def _sampling(results: Results) -> list[str]:
    """How far other test images could move the numbers of single networks, whose tables have no interval for them."""
    known = [entry for entry in results.sampling if entry.test_explained_variance[0] >= 0]
    if not known or not results.variance.test or any(size.seeds > 1 for size in results.sizes):
        return []
    halves = [
        f"± {50 * (high - low):.2f} points at {entry.latent_dim}"
        for entry in spoken(results, known)
        for low, high in [entry.test_explained_variance]
    ]
    return [
        "Other test images of the same kind would move explained variance by about "
        f"{listed(halves)} (95 %, paired bootstrap over the test images); this leaves out variation across seeds."
    ]


def _training(results: Results) -> list[str]:
    epochs, recipe, sentences = results.recipe.epochs, results.recipe, []
    some = [size for size in spoken(results, results.sizes) if size.seeds]
    falls = {size.latent_dim: results.mean(size.latent_dim, lambda m: m.last_tenth_fall) for size in some}
    if changes := [f"{signed(-fall, 1)} with {k}" for k, fall in falls.items() if fall is not None]:
        last = max(1, round(epochs / 10))
        span = "epoch" if last == 1 else f"{last} epochs"
        sentences.append(f"In the last {span} of {epochs} the training error changed by {listed(changes)}.")
    steps = {size.latent_dim: results.mean(size.latent_dim, lambda m: m.steps) for size in some}
    if taken := [f"{count:,.0f} with {k}" for k, count in steps.items() if count]:
        mean = "mean " if len(results.seeds) > 1 else ""
        sentences.append(
            f"Trainings end when the error of held-out images no longer improves; {mean}steps: {listed(taken)}."
        )
    for name, gate in GATES.items():
        sizes = [str(size.latent_dim) for size in results.sizes if name in size.gates]
        if sizes and name != "failed":  # which has a sentence with its reason
            sentences.append(
                f"At {listed(sizes)} a training check failed: {gates.check_of(name, recipe).words}; "
                f"{gates.advice(name, recipe)}."
            )
            if gate.bounds:
                sentences[-1] += " Part of any difference between the sizes may be how well each was trained."
    gaps = [(s.latent_dim, gap) for s in some if (gap := tables.error_gap(s)) is not None]
    if sentences and gaps:
        texts = [f"{signed(gap, 1)} with {k}" for k, gap in gaps]
        sentences.append(f"Test error against training error: {listed(texts)}.")
    return sentences


def _columns(results: Results) -> list[str]:
    """Which columns of rows of numbers a network loses most of, in their own units."""
    k, lost = lost_columns.lost(results)
    if not lost:
        return []
    worst = [f"'{c.name}' ({percent(c.lost, 1)} of its variance, ± {c.error:.3g})" for c in lost[:3]]
    return [
        f"With {dims(k)} the columns that lose most are {listed(worst)}; ± is the root mean square error on the test "
        "rows, in the column's own unit."
    ]


def _sharpness(results: Results) -> list[str]:
    sizes = [size.latent_dim for size in spoken(results, results.sizes)]
    sharp = {k: results.mean(k, lambda model: model.test_sharpness) for k in sizes}
    known = [f"{percent(share)} with {k}" for k, share in sharp.items() if share is not None]
    if not known:
        return []
    return [
        f"The mean gradient magnitude of the test reconstructions, as a share of that of the originals, is "
        f"{listed(known)}; below 100 % is blur, but artefacts count too."
    ]


def _classes(results: Results) -> list[str]:
    names, by_class = results.dataset.classes, (results.lost and results.lost.by_class) or ()
    if not names or not by_class:
        return []
    sizes = {size.latent_dim: _errors(size, names) for size in by_class}
    small, large = lost_between(results)
    known = sorted(((error, name) for name, error in sizes[large].items()), reverse=True)
    if len(known) < 2:
        return []
    worst = [f"{name} ({mse(error)})" for error, name in known[: min(3, len(known) - 1)]]
    largest = (
        f"the largest errors are those of {listed(worst)}"
        if len(worst) > 1
        else f"the largest error is that of {worst[0]}"
    )
    least, least_name = known[-1]
    sentences = [f"With {dims(large)} {largest}; the smallest is that of {least_name} ({mse(least)})."]
    differ = {c.latent_dims: c.test.significant for c in comparable(results)}
    if small == large or not differ.get((small, large), False):
        return sentences
    rises = sorted((e - sizes[large][n], n) for n, e in sizes[small].items() if n in sizes[large])
    if len(rises) > 1:
        (least, least_name), (most, most_name) = rises[0], rises[-1]
        sentences.append(
            f"From {large} down to {small} the error changes most for {most_name} ({most:+#.3g}) and least for "
            f"{least_name} ({least:+#.3g})."
        )
    return sentences


def _errors(size: ClassErrors, names: Sequence[str]) -> dict[str, float]:
    return {name: mean.mean for name, mean in zip(names, size.classes, strict=True) if mean}


def lost_between(results: Results) -> tuple[int, int]:
    """The two sizes between which the page says what is lost: the one below the answer and the answer, or the ends."""
    return between([model.latent_dim for model in results.first], answered(results))


def _bytes(results: Results) -> list[str]:
    known = [(size.latent_dim, size.test_explained_variance) for size in results.sizes if size.test_explained_variance]
    if len(known) < 2 or worse_than_mean(results):
        return []
    (a, before), (b, after) = known[0], known[-1]
    gain = "do not explain significantly more of the variance"
    if comparisons.ends_differ(results) and before and after:
        points = 100 * (after.mean - before.mean)
        gain = f"explain {abs(points):.1f} points {'more' if points >= 0 else 'less'} of the variance"
    return [
        f"{dims(b)} take {b / a:.4g} times the bytes of {a}, the decoder apart, and {gain}. Bytes and errors "
        f"here are {of_seed(results)}."
    ]
