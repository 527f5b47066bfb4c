"""Sentences on errors: networks or sizes compared with each other, and with PCA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..formatting import (
    change,
    dims,
    distinguishable,
    listed,
    plural,
    relative_decrease,
)
from ..measure import headline
from ..measure.headline import Couple, comparable, flat_text, widest_first, worse_than_mean
from ..results import ModelResult, Results, SizeResult
from ..stats import PairedTest
from .chosen import of_interest


def error_sentences(results: Results) -> list[str]:
    """How the error changes with the latent dimension: the ends, and the steps between."""
    if text := flat_text(results):
        return [text, *_failures(results)]
    couples = widest_first(results)
    if len(couples) > 1:
        first, *rest = headline.error_sentences(results, couples[:1])
        return [first, *_steps(results), *rest, *_failures(results)]
    return [*headline.error_sentences(results, couples), *_failures(results)]


def _failures(results: Results) -> list[str]:
    return [
        f"The network with {dims(model.latent_dim)} and seed {model.seed} failed: {model.reason}."
        for model in results.models
        if not isinstance(model, ModelResult)
    ]


def _steps(results: Results) -> list[str]:
    """The steps from each size to the next: those that lower the error, by how much, and those that do not."""
    sizes = [size.latent_dim for size in results.sizes]
    steps = [couple for couple in comparable(results) if couple.latent_dims != (sizes[0], sizes[-1])]
    lower = [couple for couple in steps if couple.test.significant and couple.test.difference < 0]
    verb = f"{len(lower)} lower" if len(lower) > 1 else f"{len(lower) or 'none'} lowers"
    text = f"Of the {len(steps)} steps from a size to the next, {verb} the error"
    if len(lower) == len(steps) > 1:
        text = f"All {len(steps)} steps from a size to the next lower the error"
    if lower:
        by_ratio = sorted(lower, key=lambda couple: -couple.test.means[1] / couple.test.means[0])
        ends = [_decrease(couple) for couple in (by_ratio[0], by_ratio[-1])]
        text += f", by {ends[0]}" if len(lower) == 1 else f", by {ends[0]} to {ends[1]}"
    sentences = [f"{text}."]
    if higher := [couple for couple in steps if couple.test.significant and couple.test.difference >= 0]:
        sentences.append(f"The error rises {_list_steps(higher)}.")
    if open_ := [couple for couple in steps if not couple.test.significant]:
        sentences.append(f"The difference is not significant {_list_steps(open_)}.")
    return sentences


def _decrease(couple: Couple) -> str:
    (small, large), test = couple
    return f"{relative_decrease(test.means[1], test.means[0])} (from {small} to {large})"


def _list_steps(couples: Sequence[Couple]) -> str:
    return listed(["from {} to {}".format(*couple.latent_dims) for couple in couples])


def ends_differ(results: Results) -> bool:
    """Whether the test errors of the smallest and the largest size surely differ."""
    widest = widest_first(results)[:1]
    return bool(widest and widest[0].test.significant)


class _Beside(NamedTuple):
    """A size's mean test error, that of as many PCA components, and on which side it surely is (0: neither)."""

    latent_dim: int
    error: float
    linear: float
    components: int
    side: int


def pca_sentences(results: Results) -> list[str]:
    """Sizes of interest beside as many PCA components; those that are not below PCA always."""
    if flat_text(results):
        return []
    found = [beside for size in results.sizes if (beside := _beside(results, size))]
    spoken = of_interest(results, 2)
    shown = [beside for beside in found if beside.side >= 0 or beside.latent_dim in spoken]
    sentences = [_pca_sentence(beside, results.components[beside.latent_dim]) for beside in shown]
    if others := [str(beside.latent_dim) for beside in found if beside not in shown]:
        sentences.append(f"With {listed(others)} dimensions it is below PCA's too (in the table).")
    if len(found) < 2 or worse_than_mean(results) or min(found[0].error, found[0].linear) <= 0:
        return sentences
    first, last = found[0], found[-1]
    linear = change(1 - last.linear / first.linear)
    networks = f"the networks' {change(1 - last.error / first.error)}"
    if not ends_differ(results):
        networks = "the difference between the networks is not significant"
    return [*sentences, f"From {first.latent_dim} to {last.latent_dim}, PCA's error {linear}; {networks}."]


def _beside(results: Results, size: SizeResult) -> _Beside | None:
    """A size beside PCA: of several seeds the mean and its interval, of one the paired test; None where none is."""
    k = size.latent_dim
    tests = [c for c in results.against_pca if c.latent_dim == k]
    if not tests or size.test_mse is None:
        return None
    components, error = tests[0].components, size.test_mse.mean
    if size.above_pca is None or size.above_pca.interval is None:
        test: PairedTest = tests[0].test_mse
        return _Beside(k, error, test.means[0], components, (1 if test.difference > 0 else -1) * test.significant)
    low, high = size.above_pca.interval
    return _Beside(k, error, error - size.above_pca.mean, components, (low > 0) - (high < 0))


def _pca_sentence(beside: _Beside, needed: int | None) -> str:
    components = plural(beside.components, "PCA component")
    told = " against ".join(distinguishable(beside.error, beside.linear))
    subject = f"With {dims(beside.latent_dim)} the test error"
    if not beside.side:
        return f"{subject} and that of {components} do not differ significantly ({told})."
    if beside.side > 0:
        return f"{subject} is above that of {components} ({told})."
    need = f"PCA needs {needed} components for the same" if needed else "no number of PCA components reaches it"
    decrease = relative_decrease(beside.error, beside.linear)
    return f"{subject} is {decrease} below that of {components} ({told}); {need}."
