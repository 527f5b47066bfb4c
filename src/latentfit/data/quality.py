"""What is odd about a set of images: counted before training, and reported in words beside the answer.

Nothing here refuses a set. Copies of training images among the test images, the frames of a film and images that are
nearly black give plausible errors that mean something else. Distances are exact sums of integers, so that they do not
depend on the number of threads. N images, D numbers in an image.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..formatting import listed, of_rows, percent, plural, share_text
from .images import ImageSet
from .reading import DARK, Array, choose_test_images, chunks, limits, natural, number

LOOKED = 500  # test images whose nearest training image is searched for, at most
AMONG = 10_000  # training images that are searched, at most
COMPARED = 1_024  # numbers of an image in a distance, at most: a random sample of more
FINE = 65_535  # floats are compared as integers from 0 to this
NEAR = 0.01  # share of the variance: a nearer training image contains 99 % of what is in the test image
NEAR_REPORTED = 0.01  # share of the test images with near copies to report: every large set has a few
ORDERED = 0.1  # share of the test images next to their nearest training image to report
CHANCE = 0.001  # the largest probability of that in random order to report
UNORDERED = ("given", "groups")  # splits in which neighbours in the file say nothing
NAMED = 4  # classes named in a sentence
LEAST_VARIANCE = 1 / 255**2  # of one grey level at each pixel; below it is the noise of a camera or of rounding


@dataclass(frozen=True)
class Findings:
    """What was counted; `notes` says what of it is odd."""

    value_range: float | None  # pixel values of the file run from 0 to this; None if their type says it
    brightest: float  # the largest pixel, in [0, 1]
    labels_left_out: int  # number of different labels if they are too many to be classes, otherwise 0
    classes_without_test: tuple[str, ...]
    classes_without_training: tuple[str, ...]
    test_images: int
    copies: int  # test images equal to a training image
    looked: int  # test images whose nearest training image was searched for
    among: int  # training images that were searched
    training_images: int
    near: int  # of those searched for: test images with a near but not an exact copy
    split: str  # see Reading
    beside: int | None  # of those searched for: next to their nearest in the file; None if the order is unknown
    chance: float | None  # probability of at least as many in random order
    dropped: tuple[str, ...] = field(default=(), kw_only=True)  # what of the source is not used, in sentences


@dataclass(frozen=True)
class Quality(Findings):
    """The same with its notes, as `results.json` holds it."""

    notes: tuple[str, ...]


def notes(found: Findings) -> list[str]:
    """What a reader of the answer has to know, in sentences on images; see `formatting.of_rows` for others."""
    return [*found.dropped, *_pixel_notes(found), *_label_notes(found), *_copy_notes(found), *_order_notes(found)]


def of(images: ImageSet) -> Quality:
    """What is odd about a set, with notes in the words of its kind."""
    found, names = look(images.seen), (*(images.columns or ()), *(images.classes or ()))
    told = (of_rows(note, names) if images.is_rows else note for note in notes(found))
    return Quality(**vars(found), notes=tuple(told))


def look(images: ImageSet) -> Findings:
    """Examine a set as networks see it before training; only a bounded number of images is in memory at once."""
    brightest = 1.0 if images.is_rows else max(limits(images.x_train)[1], limits(images.x_test)[1])
    exact = exact_copies(images)
    looked, among, near, beside = _search_nearest(images, exact)
    ordered = images.reading.split not in UNORDERED
    return Findings(
        value_range=images.reading.value_range,
        brightest=brightest / (255 if images.x_train.dtype == np.uint8 else 1),
        labels_left_out=images.reading.labels_left_out,
        classes_without_test=_only_classes(images, images.y_train, images.y_test),
        classes_without_training=_only_classes(images, images.y_test, images.y_train),
        test_images=len(images.x_test),
        copies=int(exact.sum()),
        looked=looked,
        among=among,
        training_images=len(images.x_train),
        near=near,
        split=images.reading.split,
        beside=beside if ordered else None,
        chance=binomial_tail(beside, looked, min(1.0, 2 / among)) if ordered else None,
        dropped=(*images.reading.dropped, *_group_notes(images)),
    )


def _group_notes(images: ImageSet) -> Iterator[str]:
    if images.groups is not None:
        yield (
            "Images of one group may be alike, and intervals take the test images for independent of each other: over "
            "other groups the numbers vary more than they say."
        )


def _only_classes(images: ImageSet, y: Array | None, other: Array | None) -> tuple[str, ...]:
    """Names of the classes that some images have and the others do not."""
    if y is None or other is None or images.classes is None:
        return ()
    return tuple(images.classes[label] for label in np.setdiff1d(y, other).tolist())


def exact_copies(images: ImageSet) -> NDArray[np.bool_]:
    """Mark the test images that are equal to a training image, by their hashes: (N,)."""
    test = list(_hashes(images.x_test))
    copied = set(test).intersection(_hashes(images.x_train))
    return np.array([digest in copied for digest in test])


def _hashes(x: Array) -> Iterator[bytes]:
    for part in chunks(x):
        part = part + np.float32(0) if x.dtype == np.float32 else part  # -0 equals 0
        for image in np.ascontiguousarray(part):
            yield hashlib.blake2b(image.data, digest_size=16).digest()


def _search_nearest(images: ImageSet, exact: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Search for the nearest training image of at most LOOKED test images, among at most AMONG.

    Those next to a test image in the file are always among them. Returns the numbers of test images and of training
    images, and how many of these test images have a near copy, and are next to their nearest.
    """
    draw = np.random.default_rng([len(images.x_train), len(images.x_test), 6])
    tests = np.sort(draw.permutation(len(images.x_test))[:LOOKED])  # (T,)
    neighbours = _file_neighbours(images)[tests]  # (T, 2), -1 for none
    beside = np.unique(neighbours[neighbours >= 0])
    others = np.setdiff1d(draw.permutation(len(images.x_train))[:AMONG], beside)
    among = np.sort(np.concatenate([beside, others[: max(0, AMONG - len(beside))]]))  # (C,)
    sample = np.sort(draw.permutation(images.pixels)[:COMPARED])  # (D,)
    test = _as_integers(images.x_test, tests, sample)  # (T, D)
    nearest, nearest_beside, total = np.full(len(tests), np.inf), np.full(len(tests), np.inf), np.zeros(len(sample))
    for start in range(0, len(among), 1_000):
        part = among[start : start + 1_000]
        train = _as_integers(images.x_train, part, sample)  # (B, D)
        total += train.sum(axis=0)
        apart = np.square(test).sum(axis=1)[:, None] - 2 * (test @ train.T) + np.square(train).sum(axis=1)  # (T, B)
        is_beside = (part == neighbours[:, :1]) | (part == neighbours[:, 1:])  # (T, B)
        nearest_beside = np.minimum(nearest_beside, np.where(is_beside, apart, np.inf).min(axis=1))
        nearest = np.minimum(nearest, np.where(is_beside, np.inf, apart).min(axis=1))
    variance = np.square(test - total / len(among)).sum(axis=1).mean()
    if images.is_rows:  # few numbers with many rows have near neighbours that are no copies
        return len(tests), len(among), 0, int((nearest_beside < nearest).sum())
    near = ~exact[tests] & (np.minimum(nearest, nearest_beside) <= NEAR * variance) & (variance > 0)
    return len(tests), len(among), int(near.sum()), int((nearest_beside < nearest).sum())


def _as_integers(x: Array, indices: NDArray[np.int64], sample: NDArray[np.int64]) -> NDArray[np.float64]:
    """A sample of the numbers of some images, (n, D); products of these integers are exact in float64."""
    flat = np.empty((len(indices), len(sample)))
    for start in range(0, len(indices), 256):
        part = x[indices[start : start + 256]]
        flat[start : start + 256] = part.reshape(len(part), -1)[:, sample]
    return flat if x.dtype == np.uint8 else np.rint(flat * FINE)


def _file_neighbours(images: ImageSet) -> NDArray[np.int64]:
    """Indices of the training images before and after each test image in the file, (N, 2); -1 for none."""
    n_train, n_test = len(images.x_train), len(images.x_test)
    if images.reading.split in UNORDERED:
        return np.full((n_test, 2), -1)
    test = _test_images_in_order(images)
    after = np.cumsum(~test)[test]  # (N,), training images before each test image: the index of the next one
    return np.stack([after - 1, np.where(after < n_train, after, -1)], axis=1)


def _test_images_in_order(images: ImageSet) -> NDArray[np.bool_]:
    """Mark the test images among all images in the order of the file, or of the names of the files, (N,)."""
    if images.reading.split != "by-class" or images.names is None:
        return choose_test_images(len(images.x_train) + len(images.x_test), images.reading)
    named = [(natural(name), is_test) for is_test, part in enumerate(images.names[:2]) for name in part]
    return np.array([is_test for _, is_test in sorted(named)], bool)


def binomial_tail(hits: int, tries: int, probability: float) -> float:
    """The binomial probability of at least so many hits."""
    if hits == 0 or probability >= 1:
        return 1.0
    terms = (math.comb(tries, k) * probability**k * (1 - probability) ** (tries - k) for k in range(hits, tries + 1))
    return min(1.0, math.fsum(terms))


def no_variance(variance: Mapping[str, float]) -> str | None:
    """The note on images that are nearly equal; None for all others.

    Args:
        variance: Mean squared distance of the `train` and the `test` images from the mean training image.
    """
    low = {split: variance[split] for split in ("train", "test") if variance[split] < LEAST_VARIANCE}
    if not low:
        return None
    names = " and ".join(low).replace("train", "training")
    return (
        f"The {names} images hold next to no variance: their mean squared distance from the mean training "
        f"image is {min(low.values()):.2g}, and one grey level at each pixel makes {LEAST_VARIANCE:.2g}. There is "
        "nothing to keep, so no size is compared or recommended."
    )


def _pixel_notes(found: Findings) -> Iterator[str]:
    if found.value_range == 1:
        yield "The pixels are 0 and 1 alone, and are read as black and white: 1 is white."
    elif found.value_range is not None:
        end = number(found.value_range)
        yield f"The pixels are read as running from 0 to {end}, as --range {end} says."
    if 0 < found.brightest < DARK / 255:
        yield (
            f"The images are dark: the brightest pixel is {found.brightest:.2g}, where white is 1. Errors are small "
            "for that reason alone. If the pixels have another range, read them with --range MAX."
        )


def _label_notes(found: Findings) -> Iterator[str]:
    if found.labels_left_out:
        yield f"The labels are left out: {found.labels_left_out:,} different ones are too many to be classes."
        return
    parts = [
        f"{len(names)} class{'es' if len(names) > 1 else ''} without a {split} image: {_some(names)}"
        for split, names in (("test", found.classes_without_test), ("training", found.classes_without_training))
        if names
    ]
    if parts:
        yield f"{'; '.join(parts)}."


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - NAMED
    return listed(names) if more <= 1 else f"{', '.join(names[:NAMED])} and {more:,} more"


def _copy_notes(found: Findings) -> Iterator[str]:
    tests = plural(found.test_images, "test image")
    if 0 < found.copies == found.test_images:
        yield (
            f"All of the {tests} are training images too, pixel for pixel: the test error is a training error, and "
            "says nothing about new images."
        )
    elif found.copies:
        yield (
            f"{found.copies:,} of the {tests} ({share_text(found.copies / found.test_images)}) "
            f"{'is a training image' if found.copies == 1 else 'are training images'} too, pixel for pixel: there the "
            "test error is a training error."
        )
    if found.near > 0 and found.near >= NEAR_REPORTED * found.looked:
        drawn = " Drawing test images at random (--test) does not change that." if found.split != "given" else ""
        yield (
            f"{found.near:,} of {plural(found.looked, 'test image')} looked at have a near copy among "
            f"{_searched(found)}: it differs by less than {percent(NEAR)} of the variance. For these the test error "
            f"says little about new images.{drawn}"
        )


def _searched(found: Findings) -> str:
    """The images that were searched: `10,000 of 54,000 training images`."""
    among = f"{found.among:,} of " if found.among < found.training_images else ""
    return f"{among}{plural(found.training_images, 'training image')}"


def _order_notes(found: Findings) -> Iterator[str]:
    if found.beside is None or found.chance is None or found.chance >= CHANCE or found.beside < ORDERED * found.looked:
        return
    little = "the test error says little about new images"
    split = f"test images drawn at random have theirs on the other side: {little}."
    if found.split == "tenth":
        split = (
            f"every tenth image is a test image: {little}. --test SHARE draws the test images at random, which helps "
            "where the order of the file alternates in step with the split; neighbours that are alike are on both "
            "sides then too."
        )
    yield (
        f"For {found.beside:,} of {plural(found.looked, 'test image')} looked at, the nearest of {_searched(found)} "
        f"is the one before or after it in the file; by chance it would be for {2 * found.looked / found.among:.2g}. "
        f"Neighbours in this file are alike, as the frames of a film are, and {split} For an error on new images put "
        "whole sequences on one side: an .npz with x_train and x_test."
    )
