"""The checks of a training: limits, words, advice. Without heavy imports: `latentfit study --help` lists them."""

from __future__ import annotations

from typing import NamedTuple


class Check(NamedTuple):
    """A limit, what it means that it is exceeded, and what to do; the advice is to train better if it is not given."""

    limit: float
    words: str
    short: str
    advice: str | None = None
    at_limit: bool = False  # whether the limit itself fails
    bounds: bool = True  # whether "enough" becomes "at most"


GATES = {
    "worse_than_pca": Check(2, "worse than PCA of the same images by more than two standard errors", "worse than PCA"),
    "still_falling": Check(
        0.01, "training error still fell by more than 1 % in the last tenth of the epochs", "not converged"
    ),
    "single_epoch": Check(0, "one epoch cannot show whether training was finished", "one epoch"),
    "untrained": Check(
        0, "too few images to hold some out, so the network was not trained", "untrained", "take 25 images or more"
    ),
    "dead_dimensions": Check(
        0, "dimensions of the code that no image uses", "dead dimensions", "take fewer dimensions or another seed"
    ),
    "narrow_hidden": Check(
        1, "a hidden layer no wider than the code", "narrow layer", "take wider hidden layers", at_limit=True
    ),
    "overfitted": Check(
        0.03,
        "test error above training error by more than 3 % of the variance",
        "overfitted",
        "take more images",
        bounds=False,
    ),
    "unlike_training": Check(
        0.1,
        "test images whose mean or variance is not that of the training images, by more than 10 % of the variance",
        "unlike training",
        "draw training and test images from one source",
        bounds=False,
    ),
    "failed": Check(0, "a training failed", "training failed", "look at its reason, and take a smaller learning rate"),
}
