"""The analysis in words: every sentence is made from a study's own numbers.

Where a study has many sizes the sentences name a few of them, and the tables all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..formatting import dims, listed, mse, percent, plural, signed, some_of
from ..measure import gates
from ..measure.headline import flat_text, widest_first, worse_than_mean
from ..results import ModelResult, Results
from . import comparisons, tradeoffs
from .tradeoffs import by_size, winner_sentence


class Finding(NamedTuple):
    """A heading, the sentences under it, and the section of the page that they belong to."""

    title: str
    sentences: list[str]
    section: str


def analysis(results: Results) -> list[Finding]:
    """What a study found, as headings and sentences; only those for which it has numbers."""
    parts: list[tuple[str, str, Sequence[Callable[[Results], list[str]]]]] = [
        ("table", "Error and latent dimension", [comparisons.error_sentences]),
        ("table", "All sizes from one training", [tradeoffs.nested_sentences]),
        ("table", "Against PCA", [comparisons.pca_sentences]),
        ("trust", "Was the training finished?", [_training]),
        ("pictures", "Sharpness", [_sharpness]),
        ("lost", "Which classes lose most", [_classes]),
        ("walks", "What the interpolations show", [_interpolation, tradeoffs.midpoint_sentences]),
        ("codes", "The shape of the code", [tradeoffs.code_sentences]),
        ("codes", "Classes told apart by their codes", [tradeoffs.neighbour_sentences]),
        ("bytes", "What it means for compression", [tradeoffs.compression_sentences, _bytes]),
    ]
    findings = [
        Finding(title, [s for make in makers for s in make(results)], section) for section, title, makers in parts
    ]
    return [finding for finding in findings if finding.sentences]


def sampling(results: Results) -> str | None:
    """How far other test images could move the numbers of single networks, whose tables have no interval for them."""
    known = [entry for entry in results.sampling if entry.test_explained_variance[0] >= 0]
    if not known or flat_text(results) or any(size.seeds > 1 for size in results.sizes):
        return None
    halves = [
        f"± {50 * (high - low):.2f} points at {entry.latent_dim}"
        for entry in some_of(known)
        for low, high in [entry.test_explained_variance]
    ]
    return (
        "Other test images of the same kind would move the variance kept by about "
        f"{listed(halves)} (95 %, paired bootstrap over the test images)."
    )


def _training(results: Results) -> list[str]:
    epochs, recipe, sentences = results.recipe.epochs, results.recipe, []
    of = " of each size's first network" if len(results.seeds) > 1 else ""
    falls = [(m.latent_dim, m.last_tenth_fall) for m in results.first if m.last_tenth_fall is not None]
    if falls:
        last = max(1, round(epochs / 10))
        span = "epoch" if last == 1 else f"{last} epochs"
        changes = [f"{signed(-fall, 1)} with {k}" for k, fall in some_of(falls)]
        sentences.append(f"In the last {span} of {epochs} the training error{of} changed by {listed(changes)}.")
    steps = [(m.latent_dim, m.steps) for m in results.first if m.steps]
    if steps:
        taken = listed([f"{count:,} with {k}" for k, count in some_of(steps)])
        sentences.append(f"Trainings{of} end when the error of held-out images no longer improves; steps: {taken}.")
    for name, gate in gates.GATES.items():
        sizes = [str(size.latent_dim) for size in results.sizes if name in size.gates]
        if sizes and name != "failed":  # which has a sentence with its reason
            sentences.append(
                f"At {listed(sizes)} a gate fires: {gates.check_of(name, recipe).words}; {gates.advice(name, recipe)}."
            )
            if gate.bounds:
                sentences[-1] += " Part of any difference between the networks may be how well each was trained."
    gaps = [m for m in results.first if m.train_mse > 0]
    if sentences and gaps:
        texts = [f"{signed(m.test_mse / m.train_mse - 1, 1)} with {m.latent_dim}" for m in some_of(gaps)]
        sentences.append(f"Test error against training error{of}: {listed(texts)}.")
    return sentences


def _sharpness(results: Results) -> list[str]:
    known = [(m.latent_dim, m.test_sharpness) for m in results.first if m.test_sharpness is not None]
    if not known:
        return []
    first = (
        f"The mean gradient magnitude of the test reconstructions is {by_size(known)} of that of "
        "the originals; below 100 % is blur."
    )
    widest = widest_first(results)[:1]
    return [first, *(winner_sentence(c.latent_dims, c.sharpness, "gave sharper pictures") for c in widest)]


def _classes(results: Results) -> list[str]:
    names, models = results.dataset.classes, results.first
    if not names or not models or models[0].test_mse_by_class is None:
        return []
    best = min(models, key=lambda model: model.test_mse)
    pairs = zip(best.test_mse_by_class or (), names, strict=True)
    known = sorted(((error, name) for error, name in pairs if error is not None), reverse=True)
    if len(known) < 2:
        return []
    worst = [f"{name} ({mse(error)})" for error, name in known[: min(3, len(known) - 1)]]
    largest = (
        f"the largest errors are those of {listed(worst)}"
        if len(worst) > 1
        else f"the largest error is that of {worst[0]}"
    )
    least, least_name = known[-1]
    return [
        f"With {dims(best.latent_dim)} {largest}; the smallest is that of {least_name} ({mse(least)}).",
        *(_class_gains(models[0], models[-1], names) if comparisons.ends_differ(results) else []),
    ]


def _class_gains(a: ModelResult, b: ModelResult, names: Sequence[str]) -> list[str]:
    triples = zip(a.test_mse_by_class or (), b.test_mse_by_class or (), names, strict=True)
    gains = sorted((1 - eb / ea, name) for ea, eb, name in triples if ea and eb is not None)
    if len(gains) < 2:
        return []
    (least, least_name), (most, most_name) = gains[0], gains[-1]
    return [
        f"From {a.latent_dim} to {b.latent_dim} dimensions the error falls most for {most_name} "
        f"({signed(-most)}) and least for {least_name} ({signed(-least)})."
    ]


def _interpolation(results: Results) -> list[str]:
    found, widest = results.interpolation, widest_first(results)[:1]
    if not found.models:
        return []
    sentences = [
        f"Over {plural(found.measured_pairs, 'random pair')} of training images, "
        f"the mean step of a walk is "
        f"{by_size([(m.latent_dim, m.evenness) for m in found.models])} of its largest step; fading one picture into "
        "the other has equal steps by construction, 100 %.",
        *(winner_sentence(c.latent_dims, c.evenness, "changed the picture more evenly") for c in widest),
    ]
    if any(m.midpoint_sharpness is None for m in found.models):
        return sentences
    return [
        *sentences,
        "Half way, the sharpness of the decoded pictures is "
        f"{by_size([(m.latent_dim, m.midpoint_sharpness) for m in found.models])} of that of the "
        f"real pictures at both ends; that of a half-and-half fade is "
        f"{percent(found.cross_fade.midpoint_sharpness)}, but its edges are those of both pictures on top of "
        "each other.",
        *(winner_sentence(c.latent_dims, c.midpoint_sharpness, "gave sharper pictures half way") for c in widest),
    ]


def _bytes(results: Results) -> list[str]:
    known = [m for m in results.first if m.test_explained_variance is not None]
    if len(known) < 2 or worse_than_mean(known[0]) or worse_than_mean(known[-1]):
        return []
    a, b = known[0], known[-1]
    points = 100 * ((b.test_explained_variance or 0) - (a.test_explained_variance or 0))
    keep = "keep no more, as far as the test can tell"
    if comparisons.ends_differ(results):
        keep = f"keep {abs(points):.1f} points of variance {'more' if points >= 0 else 'less'}"
    return [
        f"Against {dims(a.latent_dim)}, {b.latent_dim} take {b.latent_dim / a.latent_dim:.4g} "
        f"times the bytes and {keep}."
    ]
