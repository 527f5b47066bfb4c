"""Every table of a report with its note: what its columns mean."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import formatting
from ..data.reading import number
from ..formatting import listed, plural
from ..measure import verdict
from ..measure.gates import GATES
from . import comparisons, findings, tradeoffs


class Noted(NamedTuple):
    """A table, and what a reader has to know of its columns."""

    header: list[str]
    rows: list[list[str]]
    note: str


def tables(results: dict[str, Any]) -> dict[str, Noted]:
    """The tables of the page by their names; those that a study's numbers can fill."""
    pairs = plural(results["interpolation"]["measured_pairs"], "random pair")
    drawn = {
        "Latent size for each share of the variance": (verdict.table(results["answers"]), ANSWERS),
        "Results of each size": (findings.table(results), RESULTS),
        "Sizes compared": (comparisons.table(results), COMPARED),
        "Walks in numbers": (tradeoffs.walk_table(results), f"Means over {pairs} of training images. {WALKS}"),
        "The codes of each size": (tradeoffs.codes_table(results), CODES),
        "Bytes of a code": (tradeoffs.compression_table(results), BYTES),
        "What the numbers rest on": (findings.trust_table(results), TRUST),
    }
    return {name: Noted(*table, note) for name, (table, note) in drawn.items() if table}


def asked(results: dict[str, Any]) -> list[tuple[str, str]]:
    """What was asked of a study, in names and words."""
    dataset, keep = results["dataset"], results["verdict"]["keep"]
    by_size = [sum(m["latent_dim"] == size["latent_dim"] for m in results["models"]) for size in results["sizes"]]
    fewest, most = min(by_size), max(by_size)
    trainings = plural(most, "training") if fewest == most else f"{fewest} to {plural(most, 'training')}"
    seeds = sorted({m["seed"] for m in results["models"]})
    images = f"{dataset['train_images']:,} training and {plural(dataset['test_images'], 'test image')}"
    told = [
        ("Data", f"{dataset['name']}: {images} of {' × '.join(map(str, dataset['image_shape']))} pixels"),
        ("Sizes", sizes_words([size["latent_dim"] for size in results["sizes"]])),
        ("Trainings", f"{trainings} of each size, seed{'s' if len(seeds) > 1 else ''} {listed([*map(str, seeds)])}"),
    ]
    if dataset.get("value_range") is not None:
        told.append(("Pixel values", f"0 to {number(dataset['value_range'])} in the files"))
    if dataset.get("test_share") is not None:
        told.append(("Test images", f"{verdict.share(dataset['test_share'])} of the file's images, drawn at random"))
    if keep is not None:
        told.append(("To keep", f"{verdict.share(keep)} of the variance of the test images"))
    if results["curve"]:
        told.append(("Screening", "one more network for all sizes"))
    return told


def sizes_words(sizes: list[int]) -> str:
    """`16 and 48 latent dimensions`."""
    return listed([*map(str, sizes[:-1]), formatting.latent(sizes[-1])])


ANSWERS = (
    "A size is enough if the 95 % interval of its mean explained variance over seeds (Student's t) lies at or above "
    "the share, and not enough if it lies below; for the rest the runs do not tell. One training has no interval: "
    'more seeds give one. "At most" says that a gate fired: training was not as good as it could be, and better '
    "training could do with less. PCA components are those that keep the same on the test images."
)
RESULTS = (
    "MSE is the mean over all pixels of all images of a split, pixels in [0, 1]. Variance kept is 1 − MSE over the "
    "mean squared distance from the mean training image, on the test images. Worth in PCA is how many PCA components "
    "reach the same test error. Numbers with ± are means over seeds and half of their 95 % interval. A gate is a sign "
    "that training was not as good as it could be: "
    f"{listed([gate.short for gate in GATES.values()])}."
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
