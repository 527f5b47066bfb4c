"""The table and the headline of a study: what the terminal prints and a report begins with.

With one seed the sentences are about the trained networks, compared on the same images; with several seeds they are
about sizes. Differences with p >= 0.05 are reported as not significant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..data.quality import no_variance
from ..formatting import (
    decibels,
    distinguishable,
    explained_share,
    in_brackets,
    latent,
    listed,
    mse,
    of_rows,
    or_dash,
    plural,
    relative_decrease,
    share_text,
    significance,
)
from ..results import Results, SizeResult
from ..stats import Mean, PairedTest, WelchTest
from .checks import GATES

Table = tuple[list[str], list[list[str]]]

HEADER = (
    "latent",
    "failed checks",
    "seeds",
    "test MSE",
    "explained variance",
    "PCA test MSE",
    "PCA components",
    "train MSE",
    "PSNR dB",
    "SSIM",
)
OF_PICTURES = ("PSNR dB", "SSIM")  # columns that rows of numbers have nothing in


class Couple(NamedTuple):
    """Two sizes and the test of their errors: over their seeds and the images, or of two networks over the images."""

    latent_dims: tuple[int, int]
    test: PairedTest | WelchTest


def headline(results: Results) -> str:
    """The answer where one was asked for, otherwise the widest comparison."""
    text = _headline(results)
    return of_rows(text, results.dataset.names) if results.dataset.is_rows else text


def _headline(results: Results) -> str:
    if text := flat_text(results):
        return text
    if results.verdict.status != "not_asked":
        return results.verdict.sentence
    return " ".join(error_sentences(results, widest_first(results)[:1])[: 1 + (len(results.seeds) == 1)])


def flat_text(results: Results) -> str | None:
    """What is said of a study of images that hold next to no variance; None for all others."""
    return no_variance(vars(results.variance))


def worse_than_mean(results: Results) -> set[int]:
    """Sizes whose mean error on the test images is higher than that of the mean training image."""
    explained = {size.latent_dim: size.test_explained_variance for size in results.sizes}
    return {k for k, share in explained.items() if share and share.mean < 0}


def comparable(results: Results) -> list[Couple]:
    """Each size with the next larger one, and the smallest with the largest, of those that explain variance.

    In a study of several seeds those that were trained with several.
    """
    if flat_text(results):
        return []
    couples: list[Couple] = [Couple(c.latent_dims, c.test_mse) for c in results.comparisons]
    if len(results.seeds) > 1:
        tests = {c.latent_dims: c.test_mse for c in results.size_comparisons}
        couples = [Couple(sizes, test) for sizes, test in tests.items() if test.p is not None]
    worse = worse_than_mean(results)
    return [couple for couple in couples if worse.isdisjoint(couple.latent_dims)]


def widest_first(results: Results) -> list[Couple]:
    """The same, that of the smallest and the largest size in front."""
    return sorted(comparable(results), key=lambda couple: couple.latent_dims[0] - couple.latent_dims[1])


def error_sentences(results: Results, couples: Sequence[Couple]) -> list[str]:
    """These comparisons, or each size alone; how far to trust one seed; and sizes worse than the mean image."""
    worse = worse_than_mean(results)
    sentences = [_comparison(results, couple) for couple in couples]
    if not sentences:
        sentences = [_alone(size) for size in results.sizes if size.test_mse and size.latent_dim not in worse]
    elif len(results.seeds) == 1:
        seed = results.seeds[0]
        sentences.insert(1, f"Each size was trained once (seed {seed}); numbers differ across seeds.")
    if not sentences and not worse:
        sentences = ["No network of this study could be trained."]
    return [*sentences, *_worse_than_mean(results, worse)]


def _comparison(results: Results, couple: Couple) -> str:
    (small, large), test = couple
    images = plural(results.dataset.test_images, "test image")
    once = isinstance(test, PairedTest)
    if not test.significant:
        errors = listed(distinguishable(*test.means))
        sizes = f"{small} and {large} latent dimensions"
        compared = f"mean errors of {sizes} ({_seeds(results, small, large)} seeds)"
        if once:
            compared = f"errors of the networks with {sizes}"
        return f"The {compared} on the {images} do not differ significantly: {errors}."
    better, worse = (large, small) if test.difference < 0 else (small, large)
    low, high = sorted(test.means)
    surprise = "" if better == large else " More dimensions did not help."
    told = [] if results.dataset.is_rows else decibels(low, high)
    errors = f"{' against '.join(distinguishable(low, high))}, {relative_decrease(low, high)} lower"
    if isinstance(test, PairedTest):
        share = test.share_lower if better == large else test.share_higher
        return (
            f"The {better}-dimensional network has a lower error on the {images} than the {worse}-dimensional one: "
            f"{errors}{in_brackets(told)}, and lower on {share_text(share)} of the images.{surprise}"
        )
    return (
        f"{latent(better)} {'has' if better == 1 else 'have'} a lower mean error on the {images} than {worse} "
        f"({_seeds(results, small, large)} seeds): {errors}{in_brackets([*told, *significance(test)])}.{surprise}"
    )


def _seeds(results: Results, *sizes: int) -> str:
    counts = sorted({size.seeds for size in results.sizes if size.latent_dim in sizes})
    return " to ".join(map(str, counts))


def _alone(size: SizeResult) -> str:
    k, explained, error = size.latent_dim, size.test_explained_variance, size.test_mse
    assert error is not None
    share = "" if explained is None else f"; explained variance: {explained_share(explained.mean)}"
    if size.seeds == 1:
        return f"The network with {latent(k)} reconstructs the test images with an error of {mse(error.mean)}{share}."
    verb = "reconstructs" if k == 1 else "reconstruct"
    seeds = f"a mean error over {size.seeds} seeds of {with_half(error, mse)}"
    return f"{latent(k)} {verb} the test images with {seeds}{share}."


def _worse_than_mean(results: Results, worse: set[int]) -> list[str]:
    """What is said of sizes that are worse than the mean image, in place of comparisons with others."""
    found = [size for size in results.sizes if size.latent_dim in worse]
    if not found:
        return []
    sizes = listed([str(size.latent_dim) for size in found])
    subject = f"size {sizes} reconstructs" if len(found) == 1 else f"sizes {sizes} reconstruct"
    errors = listed([mse(size.test_mse.mean) for size in found if size.test_mse])
    return [
        f"The {subject} the test images worse than the mean training image would: error {errors}, that of the mean "
        f"image is {mse(results.variance.test)}. This explains no variance, and is not compared."
    ]


def table(results: Results) -> Table:
    """The study's table as text: header, and a row a size with PCA beside it.

    With several seeds the numbers are means, test error and explained variance ± half of the 95 % interval for other
    seeds and other test images.
    """
    pca = results.pca_errors
    rows = []
    for size in results.sizes:
        k = size.latent_dim
        fired = ", ".join(GATES[name].short for name in size.gates) or "-"
        numbers = [
            with_half(size.test_mse, mse) if size.seeds else "failed",
            _explained(size.test_explained_variance),
            mse(pca[k]),
            or_dash(results.components[k], "d"),
            *(
                or_dash(None if value is None else value.mean, form)
                for value, form in ((size.train_mse, "#.3g"), (size.test_psnr, ".2f"), (size.test_ssim, ".3f"))
            ),
        ]
        rows.append([str(k), fired, str(size.seeds), *numbers])
    if results.dataset.is_rows:
        shown = [i for i, name in enumerate(HEADER) if name not in OF_PICTURES]
        return [HEADER[i] for i in shown], [[row[i] for i in shown] for row in rows]
    return [*HEADER], rows


def _explained(value: Mean | None) -> str:
    """Explained variance in per cent; in words below 0."""
    if value is None or value.mean < 0:
        return "-" if value is None else "none (below 0)"
    interval = value.interval and (100 * value.interval[0], 100 * value.interval[1])
    return with_half(Mean(100 * value.mean, interval), "{:.1f}".format, " %")


def with_half(value: Mean | None, form: Callable[[float], str], unit: str = "") -> str:
    """A mean, with half of its interval where there is one: `0.0100 ± 0.00008`."""
    if value is None:
        return "-"
    text = form(value.mean)
    if value.interval is None:
        return text + unit
    half, digits = (value.interval[1] - value.interval[0]) / 2, len(text.partition(".")[2])
    while 0 < half < 10**-digits:
        digits += 1
    return f"{text} ± {half:.{digits}f}{unit}"
