"""The table and the headline of a study: what the terminal prints and a report begins with.

With one seed the sentences are about the trained networks, compared on the same images; differences with p >= 0.05 are
reported as not significant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..data.quality import no_variance
from ..formatting import (
    decibels,
    distinguishable,
    explained_share,
    latent,
    listed,
    mse,
    or_dash,
    plural,
    relative_decrease,
    share_text,
    significance_text,
)
from ..results import Comparison, ModelResult, Results
from ..stats import Mean
from .gates import GATES

Table = tuple[list[str], list[list[str]]]

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


def headline(results: Results) -> str:
    """The answer where one was asked for, otherwise the widest comparison."""
    if text := flat_text(results):
        return text
    if results.verdict.status != "not_asked":
        return results.verdict.sentence
    return network_sentences(results, widest_first(results)[:1])[0]


def flat_text(results: Results) -> str | None:
    """What is said of a study of images that hold next to no variance; None for all others."""
    return no_variance(vars(results.variance))


def worse_than_mean(model: ModelResult) -> bool:
    """Whether the mean training image has a lower error on the test images than this network."""
    return (model.test_explained_variance or 0) < 0


def comparable(results: Results) -> list[Comparison]:
    """The comparisons of two networks that both explain variance."""
    if flat_text(results):
        return []
    worse = {model.latent_dim for model in results.first if worse_than_mean(model)}
    return [comparison for comparison in results.comparisons if worse.isdisjoint(comparison.latent_dims)]


def widest_first(results: Results) -> list[Comparison]:
    """The same, that of the smallest and the largest network in front."""
    return sorted(comparable(results), key=lambda comparison: comparison.latent_dims[0] - comparison.latent_dims[1])


def network_sentences(results: Results, compared: Sequence[Comparison]) -> list[str]:
    """These comparisons of networks, or each network alone; and those that are worse than the mean image."""
    worse = [model for model in results.first if worse_than_mean(model)]
    sentences = [_comparison(results, comparison) for comparison in compared]
    if not sentences:
        sentences = [_alone(model) for model in results.first if model not in worse]
    if not sentences and not worse:
        sentences = ["No network of this study could be trained."]
    return [*sentences, *_worse_than_mean(results, worse)]


def _comparison(results: Results, comparison: Comparison) -> str:
    (small, large), test = comparison.latent_dims, comparison.test_mse
    of_small, of_large = test.means
    images = plural(results.dataset.test_images, "test image")
    if not test.significant:
        errors = listed(distinguishable(of_small, of_large))
        return (
            f"Between the networks with {small} and {large} latent dimensions the {images} show no difference "
            f"that the paired test carries: error {errors}{significance_text(test)}."
        )
    better, worse = (large, small) if of_large < of_small else (small, large)
    low, high = sorted(test.means)
    share = test.share_lower if better == large else test.share_higher
    surprise = "" if better == large else f" More dimensions did not help: {large} came out worse than {small}."
    errors = " against ".join(distinguishable(low, high))
    return (
        f"The network with {latent(better)} reconstructs the {images} better than the one with "
        f"{worse}: error {errors}, {relative_decrease(low, high)} less{decibels(low, high)}, and "
        f"lower on {share_text(share)} of the images{significance_text(test)}.{surprise}"
    )


def _alone(model: ModelResult) -> str:
    explained = model.test_explained_variance
    share = "" if explained is None else f"; variance kept: {explained_share(explained)}"
    network = f"The network with {latent(model.latent_dim)}"
    return f"{network} reconstructs the test images with an error of {mse(model.test_mse)}{share}."


def _worse_than_mean(results: Results, worse: Sequence[ModelResult]) -> list[str]:
    """What is said of networks that are worse than the mean image, in place of comparisons with others."""
    if not worse:
        return []
    sizes = listed([str(model.latent_dim) for model in worse])
    subject = (
        f"network with {sizes} latent dimensions reconstructs"
        if len(worse) == 1
        else f"networks with {sizes} latent dimensions reconstruct"
    )
    errors = listed([mse(model.test_mse) for model in worse])
    return [
        f"The {subject} the test images worse than the mean training image would: error {errors}, that of the mean "
        f"image is {mse(results.variance.test)}. This explains no variance, and is not compared."
    ]


def table(results: Results) -> Table:
    """The study's table as text: header, and a row a size with PCA beside it.

    With several seeds the errors and the explained variance are means ± half of the 95 % interval.
    """
    pca = {row.latent_dim: row.test_mse for row in results.pca}
    components = {model.latent_dim: model.pca_components_for_test_mse for model in results.first}
    rows = []
    for size in results.sizes:
        k = size.latent_dim
        numbers = [
            _with_half(size.train_mse, mse) if size.seeds else "failed",
            _with_half(size.test_mse, mse),
            _with_half(size.test_psnr, "{:.2f}".format),
            _with_half(size.test_ssim, "{:.3f}".format),
            _explained(size.test_explained_variance),
        ]
        failed = ", ".join(GATES[name].short for name in size.gates) or "-"
        rows.append([str(k), str(size.seeds), *numbers, mse(pca[k]), or_dash(components.get(k), "d"), failed])
    return [*HEADER], rows


def _explained(value: Mean | None) -> str:
    """Explained variance in per cent; in words below 0."""
    if value is None or value.mean < 0:
        return "-" if value is None else "none (below 0)"
    interval = value.interval and (100 * value.interval[0], 100 * value.interval[1])
    return _with_half(Mean(100 * value.mean, interval), "{:.1f}".format, " %")


def _with_half(value: Mean | None, form: Callable[[float], str], unit: str = "") -> str:
    """A mean, with half of its interval where there is one: `0.0100 ± 0.00008`."""
    if value is None:
        return "-"
    text = form(value.mean)
    if value.interval is None:
        return text + unit
    half = (value.interval[1] - value.interval[0]) / 2
    digits = max(len(text.partition(".")[2]) + 1, 1)  # one more than the mean has
    return f"{text} ± {half:.{digits}f}{unit}"
