"""Every table of a report, and what its columns mean."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..data.reading import held_out_of, number
from ..formatting import (
    dims,
    distinguishable,
    latent,
    listed,
    mse,
    or_dash,
    percent,
    plural,
    share_text,
    signed,
)
from ..measure import answer, headline
from ..measure.checks import GATES
from ..measure.gates import bounding
from ..measure.headline import Table, comparable
from ..measure.interpolation import AMONG
from ..measure.verdict import sizes
from ..parts import InterpolationMeans
from ..pca import is_exact
from ..results import Results, SizeResult, Verdict
from ..stats import NORMAL, Mean, PairedTest, WelchTest, mean_interval
from . import lost_columns
from .tradeoffs import of_seed

TERMS = {
    "latent": "Latent dimensions: how many numbers a code has.",
    "failed checks": "Training checks that failed: of the network "
    f"({listed([GATES[name].short for name in bounding(GATES)])}), or of the images "
    f"({listed([gate.short for gate in GATES.values() if not gate.bounds])}).",
    "seeds": "Trainings of this size, each with other starting weights and another order of the images.",
    "test MSE": "Mean squared error over all pixels of all test images, pixels in [0, 1].",
    "train MSE": "The same on the images trained on.",
    "explained variance": "1 - test MSE / (mean squared distance of the test images from the mean training image).",
    "PCA test MSE": "Test MSE of PCA with as many components.",
    "PSNR dB": "10 log10 (1 / MSE), of the pooled test MSE; a mean over seeds.",
    "SSIM": "Structural similarity of the test images, Gaussian window of 11 pixels; a mean over images and seeds.",
    "variance to keep": "The share of the variance of the test images that is asked for.",
    "enough": "The smallest trained size whose interval lies at or above the share. At most: no smaller size was "
    "tried with several seeds, or a check of the network failed, and fewer may be enough with better training.",
    "not enough": "The largest trained size, below the one that is enough, whose interval lies below the share.",
    "PCA components": "Fewest PCA components that reach the same: the test MSE of a size, or the share of the "
    "variance.",
    "from": "The smaller size.",
    "to": "The larger size.",
    "error at from": "Test MSE of the smaller size.",
    "error at to": "Test MSE of the larger size.",
    "change": "From the first to the second, as a share of the first.",
    "lower on": "Share of the test images that the second network reconstructs better.",
    "difference": "Second - first, ± half of its own 95 % interval: of one training each in pairs over the test "
    "images (Student's t), otherwise for other seeds and other images together. Not significant: p by Holm is "
    "0.05 or more.",
    "column": "Of the rows of numbers, those that lose the largest share of their variance.",
    "deviation": "Standard deviation of the training rows, in the column's own unit.",
    "RMSE": "Root mean square error of the test rows in the column's own unit, a mean over seeds.",
    "variance lost": "Mean squared error of the column over its variance in the training rows.",
    "interpolation": "The size, or a reference without a network.",
    "evenness": "Mean of the four steps over the largest of them; 1 is even.",
    "detour": "Length of the decoded path over the straight distance of its ends.",
    "midpoint distance": "To the nearest training image (of at most "
    f"{AMONG:,}), in units of the usual distance between neighbours.",
    "drift": "How far the midpoint moves when it is decoded and encoded again, as a share of the distance "
    "between the two codes.",
    "midpoint sharpness": "Gradient magnitude, as a share of that of the real pictures at both ends; artefacts count "
    "too.",
    "effective dimension": "Participation ratio of the covariance of the training codes; it depends on how a network "
    "scales its code. A mean over seeds.",
    "of the code": "The same as a share of the code's dimensions.",
    "sharpness": "Gradient magnitude of the test reconstructions, as a share of that of the originals; a mean over "
    "seeds.",
    "k-NN accuracy": "Of ten nearest neighbours on the codes, with half of its 95 % interval for other test images.",
    "bits": "A dimension; 32 is a float. Codes are rounded over the range of the training codes.",
    "bytes": "Of a code.",
    "with decoder": "The same with the decoder's own bytes spread over all images of the set.",
    "PCA, same bytes": "Test MSE of as many PCA components with as many bits.",
    "JPEG bytes": "An image, of many in one JPEG, the smallest with no more error than the code of 8 bits.",
    "over seeds": "Half of the 95 % interval of explained variance across seeds, in points (Student's t).",
    "over images": "The same for other test images, of the network of the first seed (paired bootstrap).",
    "last tenth": "How the training error changed in the last tenth of the epochs.",
    "test over train": "How far the test MSE lies above the training MSE.",
}
INTERVAL = (
    "In the answer and in the results of each size ± is half of the 95 % interval of a mean, for other seeds and other "
    "test images together: the two variances add, and the factor is Student's t for the seeds and the normal quantile "
    "for the images, weighted by the two (Cochran, 1951). A size is enough to keep a share if the interval of its "
    "explained variance lies at or above the share, not enough if it lies below, and undecided otherwise."
)
ONCE = "Each size was trained once: no number has an interval across seeds, and no size can be called enough."


OF_ROWS = {  # what other columns mean for rows of numbers
    "test MSE": "Mean squared error of the test rows over the columns that vary, each in deviations. In the data's own "
    "units it is in results.json, and by column in the table of those that lose most.",
    "explained variance": "1 - test MSE / (mean squared distance of the test rows from the mean training row), over "
    "the columns that vary, each in deviations.",
    "midpoint distance": "To the nearest training row (of at most "
    f"{AMONG:,}), in units of the usual distance between neighbours.",
}
COLUMNS = {
    "columns": "each that varies is centred and divided by its own standard deviation; errors are of these, unless "
    "said otherwise",
    "none": "each is centred, and all are divided by one number; errors are of these, unless said otherwise",
}


class Noted(NamedTuple):
    """A table, and what a reader has to know of it beside its columns."""

    header: list[str]
    rows: list[list[str]]
    note: str = ""


def all_tables(results: Results) -> dict[str, Noted]:
    """The tables of the page by their names; those for which a study has numbers."""
    of_first = f"Measured {of_seed(results)}." if len(results.seeds) > 1 else ""
    pairs = plural(results.interpolation.measured_pairs, "pair")
    measured = f"The k-NN accuracy is measured {of_seed(results)}." if of_first else ""
    once = "Each size was trained once: no number has an interval across seeds." if not of_first else ""
    drawn = {
        "Latent size for each share of the variance": (answers(results), ""),
        "Results of each size": (headline.table(results), once),
        "Sizes compared": (compared(results), ""),
        "Columns that lose most": (lost_columns.table(results), ""),
        "Interpolations in numbers": (interpolations(results), f"Means over {pairs} of training images. {of_first}"),
        "The codes of each size": (codes(results), measured),
        "Bytes of a code of 8 bits a dimension": (compression(results), of_first),
        "Codes of other bits a dimension": (bits(results), of_first),
        "What the numbers rest on": (trust(results), ""),
    }
    return {name: Noted(*table, note.strip()) for name, (table, note) in drawn.items() if table}


def terms(tables: dict[str, Noted], is_rows: bool = False) -> dict[str, str]:
    """What every column of these tables means, each once, in the order in which they come."""
    columns = dict.fromkeys(column for table in tables.values() for column in table.header)
    known = {**TERMS, **OF_ROWS} if is_rows else TERMS
    return {column: known[column] for column in columns}


def settings(results: Results) -> list[tuple[str, str]]:
    """The settings of a study, in names and words."""
    dataset, keep = results.dataset, results.verdict.keep
    by_size = [size.seeds + size.failed for size in results.sizes]
    fewest, most = min(by_size), max(by_size)
    of_each = f"{most}" if fewest == most else f"{fewest} to {most}"
    images = f"{dataset.train_images:,} training and {plural(dataset.test_images, 'test image')}"
    rows = [
        ("Data", f"{dataset.name}: {images} of {' × '.join(map(str, dataset.image_shape))} pixels"),
        *([] if dataset.scale is None else [("Columns", COLUMNS[dataset.scale])]),
        ("Sizes", sizes_text([size.latent_dim for size in results.sizes])),
        ("Seeds", f"{of_each} per size (seed{'s' * (len(results.seeds) > 1)} {listed([*map(str, results.seeds)])})"),
    ]
    if dataset.value_range is not None:
        rows.append(("Pixel values", f"0 to {number(dataset.value_range)} in the files"))
    if dataset.test_share is not None:
        rows.append(("Test images", f"{answer.share(dataset.test_share)} of the file's images, drawn at random"))
    if dataset.prepared:
        rows.append(("Pictures", "; ".join(dataset.prepared)))
    if results.recipe.holds_out:
        drawn = held_out_of(dataset.train_images) if dataset.held_out is None else dataset.held_out
        count, own = dataset.val_images or drawn, dataset.val_images is not None
        held_out = f"{count:,} {'images of their own' if own else 'of the training images'} end each training"
        rows.append(("Held out", held_out if count else "none of so few images: the networks are not trained"))
    varying = [deviation for deviation in results.column_deviations or () if deviation > 0]
    if not is_exact(dataset.train_images, len(varying) or math.prod(dataset.image_shape)):
        rows.append(("PCA", "by a randomized solver"))
    if keep is not None:
        kept = "the knee" if keep == "knee" else f"{answer.share(keep)} of the variance of the test images"
        rows.append(("Looked for" if keep == "knee" else "To keep", kept))
    if results.curve:
        rows.append(("Nested network", "one, which estimates the error at every size"))
    return rows


def sizes_text(sizes: list[int]) -> str:
    """`16 and 48 latent dimensions`."""
    return listed([*map(str, sizes[:-1]), latent(sizes[-1])])


def answers(results: Results) -> Table:
    """The verdict at several shares, a row a share."""
    rows = [
        [answer.share(float(a.keep)), _enough(a), or_dash(a.not_enough, "d"), or_dash(a.pca_components, "d")]
        for a in results.answers
    ]
    return ["variance to keep", "enough", "not enough", "PCA components"], rows


def _enough(a: Verdict) -> str:
    """The size that is enough, in the words of a table."""
    if a.status == "undecided":
        return f"undecided, perhaps {a.best}{'' if a.not_enough or a.best == 1 else ' or fewer'}"
    if a.latent_dim is None:
        return "-" if a.best is None else "not reached in this training"
    if answer.at_most(a) and not a.not_enough and a.pca_components is not None and a.pca_components < a.latent_dim:
        return f"no size below {a.latent_dim} has several seeds"  # "at most" would seem to be worse than PCA
    return f"{'at most ' if answer.at_most(a) else ''}{a.latent_dim}"


def compared(results: Results) -> Table | None:
    """Every comparison of two sizes, see `headline.comparable`; None for a single one."""
    couples = comparable(results)
    if len(couples) < 2:
        return None
    once = isinstance(couples[0].test, PairedTest)
    header = ["from", "to", "error at from", "error at to", "change", "difference", *(["lower on"] if once else [])]
    rows = []
    for latent_dims, test in couples:
        row = [*map(str, latent_dims), *distinguishable(*test.means), _change(test), _difference(test)]
        rows.append([*row, share_text(test.share_lower)] if isinstance(test, PairedTest) else row)
    return header, rows


def _change(test: PairedTest | WelchTest) -> str:
    """From the first mean to the second, as a share with two digits, however small it is."""
    before, after = test.means
    return f"{100 * (after / before - 1):+.2g} %" if before > 0 else "-"


def _difference(test: PairedTest | WelchTest) -> str:
    """The difference with half of its interval, and whether it is significant after Holm."""
    if test.interval is None:
        return "-"
    half = (test.interval[1] - test.interval[0]) / 2
    text = headline.with_half(Mean(test.difference, test.interval), mse) if half else mse(test.difference)
    return text if test.significant else f"{text}, not significant"


def interpolations(results: Results) -> Table:
    """Interpolations of each network, and of the two references that need none."""
    found = results.interpolation
    header = ["interpolation", "evenness", "detour", "midpoint distance", "drift", "midpoint sharpness"]
    named: list[tuple[str, InterpolationMeans]] = [
        *((dims(m.latent_dim), m) for m in found.models),
        *((f"{dims(m.latent_dim)}, spherical", m) for m in found.spherical),
        *((plural(m.latent_dim, "PCA component"), m) for m in found.pca),
        ("cross-fade", found.cross_fade),
    ]
    values = [(m.evenness, m.detour, m.midpoint_distance, m.drift, m.midpoint_sharpness) for _, m in named]
    cells = [[or_dash(value, ".3f") for value in row] for row in values]
    rows = [[name, *row] for (name, _), row in zip(named, cells, strict=True)]
    return _without(results, (header, rows), "midpoint sharpness")


def _without(results: Results, table: Table, *columns: str) -> Table:
    """A table without these columns, where the items are rows of numbers, which have nothing in them."""
    header, rows = table
    shown = [i for i, name in enumerate(header) if not (results.dataset.is_rows and name in columns)]
    return [header[i] for i in shown], [[row[i] for i in shown] for row in rows]


def codes(results: Results) -> Table | None:
    """The codes of each size: effective dimension, sharpness of what is decoded, accuracy on the codes."""
    found = results.lost and results.lost.neighbours
    accuracy = {m.latent_dim: m.accuracy for m in found.models} if found else {}
    rows = []
    for size in results.sizes:
        if size.effective_dim:
            k, used = size.latent_dim, size.effective_dim.mean
            sharp = results.mean(k, lambda model: model.test_sharpness)
            told = "-"
            if found and k in accuracy:
                half = NORMAL * math.sqrt(accuracy[k] * (1 - accuracy[k]) / found.test_images)
                told = f"{100 * accuracy[k]:.1f} ± {100 * half:.1f} %"
            rows.append([str(k), f"{used:.1f}", percent(used / k), percent(sharp), told])
    header = ["latent", "effective dimension", "of the code", "sharpness", "k-NN accuracy"]
    return _without(results, (header, rows), "sharpness") if rows else None


def compression(results: Results) -> Table | None:
    """Bytes and error of codes of 8 bits a dimension, a row a size, beside PCA and JPEG."""
    if not results.lost:
        return None
    found = results.lost.compression
    count = results.dataset.train_images + results.dataset.test_images
    rows = []
    for model in found.models:
        row = model.fine
        cells = [str(model.latent_dim), f"{row.bytes:g}", mse(row.test_mse), or_dash(row.pca_test_mse, "#.3g")]
        rows.append([*cells, or_dash(model.jpeg_bytes, ".0f"), f"{row.bytes + model.decoder_bytes / count:.0f}"])
    header = ["latent", "bytes", "test MSE", "PCA, same bytes", "JPEG bytes", "with decoder"]
    return _without(results, (header, rows), "JPEG bytes")


def bits(results: Results) -> Table | None:
    """Bytes and error of codes of several numbers of bits a dimension."""
    if not results.lost:
        return None
    rows = [
        [str(model.latent_dim), str(row.bits), f"{row.bytes:g}", mse(row.test_mse), or_dash(row.pca_test_mse, "#.3g")]
        for model in results.lost.compression.models
        for row in model.bits
    ]
    return ["latent", "bits", "bytes", "test MSE", "PCA, same bytes"], rows


def trust(results: Results) -> Table:
    """What the numbers of each size depend on: seeds, test images, training."""
    over_images = {entry.latent_dim: entry.test_explained_variance for entry in results.sampling}
    trained = sizes(results.models)
    header = ["latent", "failed checks", "seeds", "over seeds", "over images", "last tenth", "test over train"]
    rows = []
    for size in results.sizes:
        k, mean = size.latent_dim, size.test_explained_variance
        known = mean is not None and mean.mean >= 0
        intervals = [mean_interval(trained[k].explained).interval, over_images.get(k)] if known else [None, None]
        fall, gap = results.mean(k, lambda model: model.last_tenth_fall), error_gap(size)
        rows.append(
            [
                str(k),
                ", ".join(GATES[name].short for name in size.gates) or "-",
                str(size.seeds),
                *(f"± {50 * (ends[1] - ends[0]):.2f}" if ends else "-" for ends in intervals),
                "-" if fall is None else signed(-fall, 1),
                "-" if gap is None else signed(gap, 1),
            ]
        )
    return header, rows


def error_gap(size: SizeResult) -> float | None:
    """How far a size's test error lies above its training error, as a share of that; None without either."""
    if size.test_mse is None or size.train_mse is None or size.train_mse.mean <= 0:
        return None
    return size.test_mse.mean / size.train_mse.mean - 1
