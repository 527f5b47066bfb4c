"""What is odd about a set of images, before anything is trained on it: counted, and told in words.

Nothing here refuses a set. Test images that are training images, the frames of a film and images that are nearly black
give errors that look like any others and mean something else, so they are told beside the answer.

Distances are between whole numbers and sums of them are exact, so they are the same with any number of threads.

N images, D numbers an image.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..formatting import listed, most, percent, plural
from .images import ImageSet
from .reading import CHUNK, DARK, Array, chosen_for_test, extent, number

LOOKED = 500  # test images whose nearest training image is looked for, at most
AMONG = 10_000  # training images it is looked for among, at most
COMPARED = 1_024  # numbers of an image that a distance is made of, at most: drawn where there are more
FINE = 65_535  # floats are compared as whole numbers from 0 to this
NEAR = 0.01  # of the variance: closer than this, the nearest training image says 99 % of what is in the test image
NEAR_TOLD = 0.01  # share of the test images looked at from which near copies are told: any large set has a few
ORDERED = 0.1  # share of test images next to their nearest training image from which the order of the file is told
CHANCE = 0.001  # and how rarely images in no order would have as many
NAMED = 4  # classes named in a sentence
# Mean squared distance from the mean image: below that of one grey level at each pixel, what varies is the noise of a
# camera or of rounding.
LEAST_VARIANCE = 1 / 255**2


@dataclass(frozen=True)
class Findings:
    """What was found, in numbers; `notes` says what of it is odd.

    Attributes:
        value_range: Pixel values of the file ran from 0 to this, None where that is plain from their type.
        brightest: The largest pixel, in [0, 1].
        labels_left_out: Different labels, where they were too many to be classes; otherwise 0.
        classes_without_test: Classes that only training images have.
        classes_without_training: Classes that only test images have.
        test_images: All there are.
        copies: Test images that are training images, pixel for pixel.
        looked: Test images whose nearest training image was looked for.
        among: Training images that it was looked for among.
        training_images: All there are.
        near: Of those looked at, test images with a near copy among the training images that is no exact one.
        split: `given`, `tenth` or `drawn`, see `Reading`.
        beside: Of those looked at, test images whose nearest training image stands next to them in the file; None
            where the file's order is not known.
        chance: How probable as many are for images in no order.
    """

    value_range: float | None
    brightest: float
    labels_left_out: int
    classes_without_test: tuple[str, ...]
    classes_without_training: tuple[str, ...]
    test_images: int
    copies: int
    looked: int
    among: int
    training_images: int
    near: int
    split: str
    beside: int | None
    chance: float | None


def notes(found: Findings) -> list[str]:
    """What a reader of the answer has to know, a sentence or a few each."""
    makers = (_range, _darkness, _labels, _copies, _near, _order)
    return [note for make in makers if (note := make(found))]


def look(images: ImageSet) -> Findings:
    """Look at a set of images as it will be trained on; none but a bounded number of images is held at once."""
    ends = [extent(x)[1] for x in (images.x_train, images.x_test)]
    only_train, only_test = _one_sided(images)
    exact = copies(images)
    near = _nearest(images, exact)
    order = images.reading.split != "given"
    return Findings(
        value_range=images.reading.value_range,
        brightest=max(ends) / (255 if images.x_train.dtype == np.uint8 else 1),
        labels_left_out=images.reading.labels_left_out,
        classes_without_test=only_train,
        classes_without_training=only_test,
        test_images=len(images.x_test),
        copies=int(exact.sum()),
        looked=near.looked,
        among=near.among,
        training_images=len(images.x_train),
        near=near.near,
        split=images.reading.split,
        beside=near.beside if order else None,
        chance=at_least(near.beside, near.looked, min(1.0, 2 / near.among)) if order else None,
    )


def _one_sided(images: ImageSet) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the classes that only training images have, and that only test images have."""
    if images.y_train is None or images.y_test is None or images.classes is None:
        return (), ()
    train, test = ({*np.unique(y).tolist()} for y in (images.y_train, images.y_test))
    one, other = (tuple(images.classes[c] for c in sorted(only)) for only in (train - test, test - train))
    return one, other


def copies(images: ImageSet) -> NDArray[np.bool_]:
    """Which test images are also training images, pixel for pixel, by their hashes: (N,)."""
    test = [*_hashes(images.x_test)]
    wanted = set(test)
    found = {mark for mark in _hashes(images.x_train) if mark in wanted}
    return np.array([mark in found for mark in test])


def _hashes(x: Array) -> Iterator[bytes]:
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK]
        part = part + np.float32(0) if x.dtype == np.float32 else part  # or -0 would not be 0
        for image in np.ascontiguousarray(part):
            yield hashlib.blake2b(image.data, digest_size=16).digest()


class Nearest(NamedTuple):
    """Of some test images: how many, among how many, near copies, and those beside their nearest in the file."""

    looked: int
    among: int
    near: int
    beside: int


def _nearest(images: ImageSet, exact: NDArray[np.bool_]) -> Nearest:
    """The nearest training image of at most LOOKED test images, among at most AMONG and those next to them."""
    draw = np.random.default_rng([len(images.x_train), len(images.x_test), 6])
    asked = np.sort(draw.permutation(len(images.x_test))[:LOOKED])  # (T,)
    next_to = _next_in_file(images)[asked]  # (T, 2), -1 for none
    beside = np.unique(next_to[next_to >= 0])
    others = np.setdiff1d(draw.permutation(len(images.x_train))[:AMONG], beside)
    among = np.sort(np.concatenate([beside, others[: max(0, AMONG - len(beside))]]))  # (C,)
    kept = np.sort(draw.permutation(images.pixels)[:COMPARED])
    test = _whole(images.x_test, asked, kept)  # (T, D)
    least, least_beside = np.full(len(asked), np.inf), np.full(len(asked), np.inf)
    total = np.zeros(len(kept))
    for start in range(0, len(among), 1_000):
        part = among[start : start + 1_000]
        train = _whole(images.x_train, part, kept)  # (B, D)
        total += train.sum(axis=0)
        apart = np.square(test).sum(axis=1)[:, None] - 2 * (test @ train.T) + np.square(train).sum(axis=1)  # (T, B)
        is_next = (part == next_to[:, :1]) | (part == next_to[:, 1:])  # (T, B)
        least_beside = np.minimum(least_beside, np.where(is_next, apart, np.inf).min(axis=1))
        least = np.minimum(least, np.where(is_next, np.inf, apart).min(axis=1))
    spread = np.square(test - total / len(among)).sum(axis=1).mean()
    closest = np.minimum(least, least_beside)
    near = ~exact[asked] & (closest <= NEAR * spread) & (spread > 0)
    return Nearest(len(asked), len(among), int(near.sum()), int((least_beside < least).sum()))


def _whole(x: Array, chosen: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.float64]:
    """Some numbers of some images as whole ones, (n, D): products of them are exact in float64."""
    flat = np.empty((len(chosen), len(kept)))
    for start in range(0, len(chosen), 256):
        part = x[chosen[start : start + 256]]
        flat[start : start + 256] = part.reshape(len(part), -1)[:, kept]
    return flat if x.dtype == np.uint8 else np.rint(flat * FINE)


def _next_in_file(images: ImageSet) -> NDArray[np.int64]:
    """The nearest training images before and after each test image in their file, (N, 2); -1 where there is none."""
    n_train, n_test = len(images.x_train), len(images.x_test)
    if images.reading.split == "given":
        return np.full((n_test, 2), -1)
    test = chosen_for_test(n_train + n_test, images.reading)
    after = np.cumsum(~test)[test]  # (N,), training images before each test image: the index of the next one
    return np.stack([after - 1, np.where(after < n_train, after, -1)], axis=1)


def at_least(hits: int, tries: int, probability: float) -> float:
    """The probability of so many hits or more (binomial)."""
    if hits == 0 or probability >= 1:
        return 1.0
    terms = (math.comb(tries, k) * probability**k * (1 - probability) ** (tries - k) for k in range(hits, tries + 1))
    return min(1.0, math.fsum(terms))


def no_variance(variance: Mapping[str, float]) -> str | None:
    """What is told of images that are all but equal; None for all others.

    Args:
        variance: Mean squared distance of the `train` and the `test` images from the mean training image.
    """
    low = {split: variance[split] for split in ("train", "test") if variance[split] < LEAST_VARIANCE}
    if not low:
        return None
    which = " and ".join({"train": "training", "test": "test"}[split] for split in low)
    return (
        f"The {which} images hold next to no variance: their mean squared distance from the mean training image is "
        f"{min(low.values()):.2g}, and one grey level at each pixel makes {LEAST_VARIANCE:.2g}. There is nothing to "
        "keep, so no size is compared or recommended."
    )


def _range(found: Findings) -> str | None:
    if found.value_range is None:
        return None
    if found.value_range == 1:
        return "The pixels are 0 and 1 alone, and are read as black and white: 1 is white."
    end = number(found.value_range)
    return f"The pixels are read as running from 0 to {end}, as --range {end} says."


def _darkness(found: Findings) -> str | None:
    if not 0 < found.brightest < DARK / 255:
        return None
    return (
        f"The images are dark: the brightest pixel is {found.brightest:.2g}, where white is 1. Errors are small for "
        "that reason alone. If the pixels have another range, read them with --range MAX."
    )


def _labels(found: Findings) -> str | None:
    if found.labels_left_out:
        return f"The labels are left out: {found.labels_left_out:,} different ones are too many to be classes."
    told = [
        f"{len(names)} class{'es' if len(names) > 1 else ''} without a {split} image: {_few(names)}"
        for split, names in (("test", found.classes_without_test), ("training", found.classes_without_training))
        if names
    ]
    return f"{'; '.join(told)}." if told else None


def _few(names: tuple[str, ...]) -> str:
    more = len(names) - NAMED
    return listed(names) if more <= 1 else f"{', '.join(names[:NAMED])} and {more:,} more"


def _copies(found: Findings) -> str | None:
    if not found.copies:
        return None
    if found.copies == found.test_images:
        return (
            f"All of the {plural(found.copies, 'test image')} are training images too, pixel for pixel: the test error "
            "is a training error, and says nothing about new images."
        )
    who = "is a training image" if found.copies == 1 else "are training images"
    share = most(found.copies / found.test_images)
    return (
        f"{found.copies:,} of the {plural(found.test_images, 'test image')} ({share}) {who} too, pixel for pixel: "
        "there the test error is a training error."
    )


def _looked_for(found: Findings) -> str:
    """Where the nearest image was looked for: `10,000 of 54,000 training images`."""
    among = f"{found.among:,} of " if found.among < found.training_images else ""
    return f"{among}{plural(found.training_images, 'training image')}"


def _near(found: Findings) -> str | None:
    if found.near == 0 or found.near < NEAR_TOLD * found.looked:
        return None
    drawn = " Drawing test images at random (--test) does not change that." if found.split != "given" else ""
    return (
        f"{found.near:,} of {plural(found.looked, 'test image')} looked at have a near copy among "
        f"{_looked_for(found)}: it differs by less than {percent(NEAR)} of the variance. For these the test error "
        f"says little about new images.{drawn}"
    )


def _order(found: Findings) -> str | None:
    if found.beside is None or found.chance is None:
        return None
    if found.beside < ORDERED * found.looked or found.chance >= CHANCE:
        return None
    little = "the test error says little about new images"
    split = {
        "tenth": f"every tenth image is a test image: {little}. --test SHARE draws the test images at random, which "
        "helps where the order of the file alternates in step with the split; neighbours that are alike are on both "
        "sides then too.",
        "drawn": f"test images drawn at random have theirs on the other side: {little}.",
    }[found.split]
    return (
        f"For {found.beside:,} of {plural(found.looked, 'test image')} looked at, the nearest of {_looked_for(found)} "
        f"is the one before or after it in the file; by chance it would be for {2 * found.looked / found.among:.2g}. "
        f"Neighbours in this file are alike, as the frames of a film are, and {split} For an error on new images put "
        "whole sequences on one side: an .npz with x_train and x_test."
    )
