"""Every table of a report with its note: what its columns mean."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..data.images import held_out_of
from ..data.reading import number
from ..formatting import (
    dims,
    distinguishable,
    latent,
    listed,
    mse,
    or_dash,
    p_text,
    percent,
    plural,
    share_text,
    signed,
)
from ..measure import answer, headline
from ..measure.gates import GATES, bounding
from ..measure.headline import Table, comparable
from ..measure.verdict import sizes
from ..pca import is_exact
from ..results import InterpolationMeans, Results
from ..stats import PairedTest, WelchTest, mean_interval


class Noted(NamedTuple):
    """A table, and what a reader has to know of its columns."""

    header: list[str]
    rows: list[list[str]]
    note: str


def all_tables(results: Results) -> dict[str, Noted]:
    """The tables of the page by their names; those for which a study has numbers."""
    pairs = plural(results.interpolation.measured_pairs, "random pair")
    drawn = {
        "Latent size for each share of the variance": (answers(results), ANSWERS),
        "Results of each size": (headline.table(results), RESULTS),
        "Sizes compared": (compared(results), COMPARED),
        "Walks in numbers": (interpolations(results), f"Means over {pairs} of training images. {WALKS}"),
        "The codes of each size": (codes(results), CODES),
        "Bytes of a code": (compression(results), BYTES),
        "What the numbers rest on": (trust(results), TRUST),
    }
    return {name: Noted(*table, note) for name, (table, note) in drawn.items() if table}


def settings(results: Results) -> list[tuple[str, str]]:
    """What was asked of a study, in names and words."""
    dataset, keep = results.dataset, results.verdict.keep
    by_size = [size.seeds + size.failed for size in results.sizes]
    fewest, most = min(by_size), max(by_size)
    trainings = plural(most, "training") if fewest == most else f"{fewest} to {plural(most, 'training')}"
    images = f"{dataset.train_images:,} training and {plural(dataset.test_images, 'test image')}"
    seeds = f"seed{'s' if len(results.seeds) > 1 else ''} {listed([*map(str, results.seeds)])}"
    rows = [
        ("Data", f"{dataset.name}: {images} of {' × '.join(map(str, dataset.image_shape))} pixels"),
        ("Sizes", sizes_text([size.latent_dim for size in results.sizes])),
        ("Trainings", f"{trainings} of each size, {seeds}"),
    ]
    if dataset.value_range is not None:
        rows.append(("Pixel values", f"0 to {number(dataset.value_range)} in the files"))
    if dataset.test_share is not None:
        rows.append(("Test images", f"{answer.share(dataset.test_share)} of the file's images, drawn at random"))
    if results.recipe.holds_out:
        count, own = dataset.val_images or held_out_of(dataset.train_images), dataset.val_images is not None
        held_out = f"{count:,} {'images of their own' if own else 'of the training images'} end each training"
        rows.append(("Held out", held_out if count else "none of so few images: the networks are not trained"))
    if not is_exact(dataset.train_images, math.prod(dataset.image_shape)):
        rows.append(("PCA", "by a randomized solver"))
    if keep is not None:
        kept = "the knee" if keep == "knee" else f"{answer.share(keep)} of the variance of the test images"
        rows.append(("Looked for" if keep == "knee" else "To keep", kept))
    if results.curve:
        rows.append(("Screening", "one more network for all sizes"))
    return rows


def sizes_text(sizes: list[int]) -> str:
    """`16 and 48 latent dimensions`."""
    return listed([*map(str, sizes[:-1]), latent(sizes[-1])])


def answers(results: Results) -> Table:
    """The verdict at several shares, a row a share."""
    rows = []
    for a in results.answers:
        bounded = bounding(a.gates) or (not a.not_enough and a.latent_dim != 1)
        size = {
            "found": f"{'at most ' if bounded else ''}{a.latent_dim}",
            "undecided": f"undecided, perhaps {a.best}",
            "not_reached": "-" if a.best is None else "not reached",
        }[a.status]
        rows.append([answer.share(float(a.keep)), size, or_dash(a.not_enough, "d"), or_dash(a.pca_components, "d")])
    return ["variance to keep", "enough", "not enough", "PCA components"], rows


def compared(results: Results) -> Table | None:
    """Every comparison of two sizes: networks in pairs over the images, sizes over their seeds; None for one."""
    if len(results.comparisons) < 2 or not comparable(results):
        return None
    over_seeds = {comparison.latent_dims: comparison.test_mse for comparison in results.size_comparisons}
    several = any(test.p is not None for test in over_seeds.values())
    header = ["from", "to", "error at from", "error at to", "change", "lower on", "p, paired"]
    rows = []
    for comparison in comparable(results):
        test = comparison.test_mse
        sizes, errors = map(str, comparison.latent_dims), distinguishable(*test.means)
        row = [*sizes, *errors, _change(test), share_text(test.share_lower), _p(test)]
        if several:
            row += [_change(over_seeds[comparison.latent_dims]), _p(over_seeds[comparison.latent_dims])]
        rows.append(row)
    return [*header, *(["change over seeds", "p over seeds"] if several else [])], rows


def _change(test: PairedTest | WelchTest) -> str:
    """From the first mean to the second, as a share with two digits, however small it is."""
    before, after = test.means
    return f"{100 * (after / before - 1):+.2g} %" if before > 0 else "-"


def _p(test: PairedTest | WelchTest) -> str:
    return "-" if test.p is None else p_text(test.p).removeprefix("p ").removeprefix("= ")


def interpolations(results: Results) -> Table:
    """Interpolations of each network, and of the two references that need none."""
    found = results.interpolation
    header = ["walk", "evenness", "detour", "distance half way", "drift", "sharpness half way"]
    named: list[tuple[str, InterpolationMeans]] = [
        *((dims(m.latent_dim), m) for m in found.models),
        *((f"{dims(m.latent_dim)}, spherical", m) for m in found.spherical),
        *((plural(m.latent_dim, "PCA component"), m) for m in found.pca),
        ("fading", found.cross_fade),
    ]
    values = [(m.evenness, m.detour, m.midpoint_distance, m.drift, m.midpoint_sharpness) for _, m in named]
    cells = [[or_dash(value, ".3f") for value in row] for row in values]
    return header, [[name, *row] for (name, _), row in zip(named, cells, strict=True)]


def codes(results: Results) -> Table | None:
    """The codes of each size: effective dimension, sharpness of what is decoded, accuracy on the codes."""
    found = results.lost and results.lost.neighbours
    accuracy = {m.latent_dim: m.accuracy for m in found.models} if found else {}
    sharpness = {m.latent_dim: m.test_sharpness for m in results.first}
    rows = []
    for size in results.sizes:
        if size.effective_dim:
            k, used = size.latent_dim, size.effective_dim.mean
            shares = [percent(used / k), percent(sharpness.get(k)), percent(accuracy.get(k), 1)]
            rows.append([str(k), f"{used:.1f}", *shares])
    header = ["latent", "effective dimension", "of the code", "sharpness", "classes told apart"]
    return (header, rows) if rows else None


def compression(results: Results) -> Table | None:
    """Bits per dimension, bytes, error and ratios for each size."""
    if not results.lost:
        return None
    found = results.lost.compression
    count = results.dataset.train_images + results.dataset.test_images
    header = ["latent", "bits", "bytes", "test MSE", "added", "ratio to bytes", "to PNG", "to zlib", "with decoder"]
    rows = []
    for model in found.models:
        for row in model.bits:
            ratios = [whole and whole / row.bytes for whole in (found.raw_bytes, found.png_bytes, found.zlib_bytes)]
            ratios.append(found.raw_bytes / (row.bytes + model.decoder_bytes / count))
            cells = [str(model.latent_dim), str(row.bits), f"{row.bytes:g}", mse(row.test_mse)]
            rows.append([*cells, f"{row.added_mse:.1e}", *(or_dash(ratio, ".1f") for ratio in ratios)])
    return header, rows


def trust(results: Results) -> Table:
    """What the numbers of each size depend on: seeds, test images, training."""
    over_images = {entry.latent_dim: entry.test_explained_variance for entry in results.sampling}
    trained = sizes(results.models)
    first = {model.latent_dim: model for model in results.first}
    header = ["latent", "seeds", "over seeds", "over images", "last tenth", "test over train", "gates"]
    rows = []
    for size in results.sizes:
        k, mean, model = size.latent_dim, size.test_explained_variance, first.get(size.latent_dim)
        known = mean is not None and mean.mean >= 0
        intervals = [mean_interval(trained[k].explained).interval, over_images.get(k)] if known else [None, None]
        fall = model.last_tenth_fall if model else None
        rows.append(
            [
                str(k),
                str(size.seeds),
                *(f"± {50 * (ends[1] - ends[0]):.2f}" if ends else "-" for ends in intervals),
                "-" if fall is None else signed(-fall, 1),
                signed(model.test_mse / model.train_mse - 1, 1) if model and model.train_mse > 0 else "-",
                ", ".join(GATES[name].short for name in size.gates) or "-",
            ]
        )
    return header, rows


ANSWERS = (
    "A size is enough if the 95 % interval of its mean explained variance lies at or above the share, and not enough "
    "if it lies below; for the rest the runs do not tell. The interval is for other seeds and other test images "
    "together: their variances add, and its factor is Student's t for the seeds and the normal quantile for the "
    "images, weighted by the two (Cochran, 1951). One training has no interval: more seeds give one. "
    '"At most" says that no smaller size was shown to be too small, or that a gate of the training fired: '
    "it was not as good as it could be, and better training could do with less. PCA components are those that "
    "keep the same on the test images."
)
RESULTS = (
    "MSE is the mean over all pixels of all images of a split, pixels in [0, 1]. Variance kept is 1 − MSE over the "
    "mean squared distance from the mean training image, on the test images. Worth in PCA is how many PCA components "
    "reach the same test error. Numbers with ± are means over seeds and half of their 95 % interval, which for the "
    "variance kept is for other test images too. A gate is a sign "
    f"that training was not as good as it could be ({listed([GATES[name].short for name in bounding(GATES)])}), or of "
    f"what the images are ({listed([gate.short for gate in GATES.values() if not gate.bounds])})."
)
COMPARED = (
    'Errors are test errors of the first network of each size that trained, and "lower on" is the share of the test '
    "images that the second one reconstructs better; tested in pairs over these images (Student's t). Over seeds: the "
    "change of the mean test error of all networks of a size (Welch's test). Both p by Holm over the rows."
)
WALKS = (
    "Evenness: mean step over largest step. Detour: way through the pictures over the straight way. Distance half "
    "way: to the nearest training image, in units of the usual distance between neighbours. Drift: how far the middle "
    "moves when it is decoded and encoded again, as a share of the walk. Sharpness half way: gradient magnitude, as a "
    "share of that of the real pictures at both ends. Differences from fading and from PCA are tested in pairs over "
    "the walks, p by Holm over the networks."
)
CODES = (
    "Effective dimension is the participation ratio of the covariance of the training codes, a mean over seeds; "
    "beside it its share of the code. Of the first network of each size that trained: sharpness, the gradient "
    "magnitude of the test reconstructions as a share of that of the originals, and classes told apart, the accuracy "
    "of nearest neighbours on the codes."
)
BYTES = (
    "Codes are rounded to whole numbers of some bits a dimension, over the range of the training codes; 32 is a "
    "float. Ratios are of the bytes of the same images: one a number as they came, as PNG, and with zlib over many; "
    'images of floats that bytes cannot hold count four bytes for each number, and have no PNG and no zlib. "With '
    "decoder\" spreads the decoder's own bytes over all images of the set."
)
TRUST = (
    "Over seeds and over images: half of the 95 % interval of the variance kept, in points, over other starts of the "
    "training (Student's t) and over other test images of the same kind (paired bootstrap). Last tenth: how the "
    "training error changed in the last tenth of the epochs, and test over train how far the test error lies from it, "
    "both of the first network of each size that trained. Gates are those of all its networks."
)
