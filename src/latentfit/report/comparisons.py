"""Sentences on errors: networks and sizes compared with each other, and with PCA."""

from __future__ import annotations

from collections.abc import Sequence

from ..formatting import (
    FEW,
    change,
    dims,
    distinguishable,
    listed,
    mse,
    p_text,
    plural,
    relative_decrease,
    significance_text,
    some_of,
)
from ..measure.headline import comparable, flat_text, network_sentences, widest_first, worse_than_mean
from ..results import ModelResult, PCAComparison, Results, SizeComparison
from ..stats import PairedTest


def error_sentences(results: Results) -> list[str]:
    """How the error changes with the latent dimension; of many sizes, the ends and the steps between."""
    if text := flat_text(results):
        return [text, *_failures(results)]
    couples = widest_first(results)
    if len(couples) > FEW:
        first, *rest = network_sentences(results, couples[:1])
        sentences = [first, *_steps(results), *rest]
    else:
        sentences = network_sentences(results, couples)
    if couples and len(results.seeds) == 1:
        sentences.append(
            f"Each size was trained once (seed {results.seeds[0]}): this compares these trained networks, not the "
            "sizes. Another start gives other networks; words about sizes need more seeds."
        )
    if len(results.seeds) > 1:
        sentences += [*_over_seeds(results), *_size_sentences(results)]
    return [*sentences, *_failures(results)]


def _failures(results: Results) -> list[str]:
    return [
        f"The network with {dims(model.latent_dim)} and seed {model.seed} failed: {model.reason}."
        for model in results.models
        if not isinstance(model, ModelResult)
    ]


def _steps(results: Results) -> list[str]:
    """The steps from each size to the next: those that lower the error, by how much, and those that do not."""
    couples = comparable(results)
    couples = couples[:-1] if couples and couples[-1] == results.comparisons[-1] else couples  # without the widest
    steps = {comparison.latent_dims: comparison.test_mse for comparison in couples}
    lower = [couple for couple, test in steps.items() if test.significant and test.difference < 0]
    verb = f"{len(lower)} lower" if len(lower) > 1 else f"{len(lower) or 'none'} lowers"
    text = f"Of the {len(steps)} steps from a size to the next, {verb} the error"
    if lower:
        by_ratio = sorted(lower, key=lambda couple: steps[couple].means[1] / steps[couple].means[0])
        most, least = (_decrease(*couple, steps[couple]) for couple in (by_ratio[0], by_ratio[-1]))
        text += f", by {most}" if len(lower) == 1 else f", by {most} the most, by {least} the least"
    sentences = [f"{text} (paired over the images, Holm over {len(results.comparisons)} comparisons)."]
    if higher := [couple for couple, test in steps.items() if test.significant and test.difference >= 0]:
        sentences.append(f"More dimensions came out worse {_list_steps(higher)}.")
    if open_ := [couple for couple, test in steps.items() if not test.significant]:
        sentences.append(f"No difference is carried {_list_steps(open_)}.")
    return sentences


def _decrease(small: int, large: int, test: PairedTest) -> str:
    return f"{relative_decrease(test.means[1], test.means[0])} from {small} to {large}"


def _list_steps(couples: Sequence[tuple[int, int]]) -> str:
    return listed([f"from {a} to {b}" for a, b in couples])


def _over_seeds(results: Results) -> list[str]:
    errors: dict[int, list[float]] = {}
    for job, model in sorted(results.trained.items()):
        errors.setdefault(job.latent_dim, []).append(model.test_mse)
    means = [
        f"{mse(sum(e) / len(e))} at {k} ({f'{mse(min(e))} to {mse(max(e))}, ' if len(e) > 1 else ''}{len(e)} trained)"
        for k, e in some_of(list(errors.items()))
    ]
    compared = ["The networks compared are those of each size's first seed that trained."]
    over_all = f"Over all seeds the mean test error (from the lowest to the highest) is {listed(means or [''])}."
    return [*(compared if comparable(results) else []), *([over_all] if means else [])]


def _size_sentences(results: Results) -> list[str]:
    """What several seeds say about sizes: Welch's test of the mean test error, Holm's over the pairs."""
    worse = {s.latent_dim for s in results.sizes if s.test_explained_variance and s.test_explained_variance.mean < 0}
    tested = [
        comparison
        for comparison in results.size_comparisons
        if worse.isdisjoint(comparison.latent_dims) and comparison.test_mse.p is not None
    ]
    significant = [comparison for comparison in tested if comparison.test_mse.significant]
    if len(tested) <= FEW:
        sentences = [_size_sentence(comparison) for comparison in significant]
    else:
        sentences = [_size_sentence(c) for c in significant if c is tested[-1]]  # the smallest against the largest
        lower = [comparison for comparison in significant if comparison.test_mse.difference < 0]
        sentences.append(
            f"Over the seeds the mean test error of the larger size is lower in {len(lower)} of {len(tested)} pairs of "
            "sizes compared (Welch, Holm)."
        )
        if higher := [comparison.latent_dims for comparison in significant if comparison not in lower]:
            sentences.append(f"As sizes, more dimensions are worse {_list_steps(higher)}.")
    if open_ := ["{} and {}".format(*c.latent_dims) for c in tested if not c.test_mse.significant]:
        sentences.append(f"As sizes these are not told apart over the seeds (Welch, Holm): {'; '.join(open_)}.")
    return sentences


def _size_sentence(comparison: SizeComparison) -> str:
    test = comparison.test_mse
    (low, better), (high, worse) = sorted(zip(test.means, comparison.latent_dims, strict=True))
    errors = " against ".join(distinguishable(low, high))
    return (
        f"As sizes, {better} is better than {worse}: mean test error {errors}{significance_text(test, 'difference')}."
    )


def ends_differ(results: Results) -> bool:
    """Whether the test errors of the smallest and the largest network differ significantly."""
    sizes = [model.latent_dim for model in results.first]
    ends = (sizes[0], sizes[-1]) if len(sizes) > 1 else None
    return any(c.test_mse.significant for c in comparable(results) if c.latent_dims == ends)


def pca_sentences(results: Results) -> list[str]:
    """Each network, or a few across the range, beside as many PCA components."""
    pca = {row.latent_dim: row.test_mse for row in results.pca}
    comparisons = {comparison.job: comparison for comparison in results.against_pca}
    models = [] if flat_text(results) else results.first
    below = [m for m in models if (t := comparisons[m.job].test_mse).significant and t.difference <= 0]
    shown = [model for model in models if model not in below or model in some_of(below)]
    sentences = [_pca_sentence(model, comparisons[model.job]) for model in shown]
    if others := [str(model.latent_dim) for model in models if model not in shown]:
        sentences.append(f"With {listed(others)} dimensions it is below PCA's too (in the table).")
    if len(models) < 2 or any(worse_than_mean(model) for model in models):
        return sentences
    first, last = models[0], models[-1]
    if min(first.test_mse, pca[first.latent_dim]) <= 0:
        return sentences
    fall, linear = 1 - last.test_mse / first.test_mse, 1 - pca[last.latent_dim] / pca[first.latent_dim]
    networks = (
        f"the networks' {change(fall)}" if ends_differ(results) else "no difference between the networks' is carried"
    )
    return [*sentences, f"From {first.latent_dim} to {last.latent_dim}, PCA's error {change(linear)}; {networks}."]


def _pca_sentence(model: ModelResult, comparison: PCAComparison) -> str:
    test = comparison.test_mse
    components = plural(comparison.components, "PCA component")
    errors, p = " against ".join(distinguishable(test.means[1], test.means[0])), p_text(test.p, test.family)
    subject = f"With {dims(model.latent_dim)} the network's test error"
    if not test.significant:
        return f"{subject} and that of {components} are not told apart ({errors}, {p})."
    if test.difference > 0:
        return f"{subject} is above that of {components} ({errors}, paired {p})."
    needed = model.pca_components_for_test_mse
    need = f"PCA needs {needed} components for the same" if needed else "no number of PCA components reaches it"
    decrease = relative_decrease(test.means[1], test.means[0])
    return f"{subject} is {decrease} below that of {components} ({errors}, paired {p}); {need}."
