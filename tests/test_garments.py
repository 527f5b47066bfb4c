"""Drawn clothes: a function of the seed alone, and of exactly as many factors as it says."""

from __future__ import annotations

import numpy as np
import pytest

from latentfit.data import garments
from latentfit.data.garments import CLASSES, Factors, draw, picture
from latentfit.errors import InputError

EVERY_CLASS = pytest.mark.parametrize("label", range(len(CLASSES)), ids=CLASSES)
F = len(Factors._fields)


@pytest.fixture(scope="module")
def images() -> garments.ImageSet:
    return draw(505, 203, seed=3)


def some_factors(n: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    return np.random.default_rng(7).uniform(low, high, (n, F))


def test_set_is_what_it_says(images: garments.ImageSet) -> None:
    assert images.x_train.shape == (505, 28, 28)
    assert images.x_test.shape == (203, 28, 28)
    assert images.x_train.dtype == images.x_test.dtype == images.y_train.dtype == images.y_test.dtype == np.uint8
    assert (images.name, images.true_factors, images.stand_in) == ("garments", F, False)


def test_classes_are_fashion_mnists_in_its_order(images: garments.ImageSet) -> None:
    names = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot"
    assert images.classes == tuple(name.replace("_", " ") for name in names.split())


def test_seed_decides_every_byte(images: garments.ImageSet) -> None:
    assert draw(505, 203, seed=3).fingerprint == images.fingerprint
    assert draw(505, 203, seed=4).fingerprint != images.fingerprint


def test_splits_do_not_depend_on_each_others_size(images: garments.ImageSet) -> None:
    other = draw(20, 203, seed=3)
    np.testing.assert_array_equal(other.x_test, images.x_test)
    np.testing.assert_array_equal(other.y_test, images.y_test)


def test_no_image_twice() -> None:
    images = draw(300, 300)  # of one size: were the streams one, the splits would be equal
    every = [image.tobytes() for image in (*images.x_train, *images.x_test)]
    assert len(set(every)) == len(every)


def test_classes_are_balanced_and_shuffled(images: garments.ImageSet) -> None:
    for y in (images.y_train, images.y_test):
        count = np.bincount(y, minlength=len(CLASSES))
        assert count.max() - count.min() <= 1
        assert len(set(y[:20])) > 5
        assert (np.diff(y.astype(int)) % len(CLASSES) != 1).any()


def test_each_image_has_the_class_of_its_label(images: garments.ImageSet) -> None:
    means = np.stack([picture(label, some_factors(60)).mean(0) for label in range(len(CLASSES))])  # (10, 28, 28)
    far = np.square(images.x_test[:, None] - means).sum((2, 3))  # (N, 10)
    assert (far.argmin(1) == images.y_test).mean() > 0.8


def test_smallest_request() -> None:
    one = draw(1, 1)
    assert one.x_train.shape == one.x_test.shape == (1, 28, 28)
    assert (one.x_train.max((1, 2)) > 100).all()


@pytest.mark.parametrize(("train", "test", "bad"), [(0, 5, "train_images is 0"), (5, -1, "test_images is -1")])
def test_fewer_than_one_image_is_refused(train: int, test: int, bad: str) -> None:
    with pytest.raises(InputError, match=f"{bad}; at least 1"):
        draw(train, test)


def test_negative_seed_is_refused() -> None:
    with pytest.raises(InputError, match="seed is -1"):
        draw(5, 5, seed=-1)


@EVERY_CLASS
def test_picture_does_not_depend_on_its_neighbours(label: int) -> None:
    factors = some_factors(garments.CHUNK + 3)
    together = picture(label, factors)
    for n in (0, garments.CHUNK - 1, garments.CHUNK + 2):
        np.testing.assert_array_equal(picture(label, factors[n : n + 1])[0], together[n])


@EVERY_CLASS
@pytest.mark.parametrize("factor", range(F), ids=Factors._fields)
def test_each_factor_alone_moves_each_class(label: int, factor: int) -> None:
    low, high = some_factors(8), some_factors(8)
    low[:, factor], high[:, factor] = 0, 1
    change = np.abs(picture(label, low).astype(int) - picture(label, high)).reshape(8, -1)  # (N, D)
    assert (change.max(1) > 20).all()
    assert (change.mean(1) > 0.5).all()


@EVERY_CLASS
def test_no_factor_can_stand_for_others(label: int) -> None:
    # As many true factors as claimed: the derivative of the picture has full rank wherever one looks.
    middle, step = some_factors(12, 0.05, 0.95), 0.04
    slopes = [
        (picture(label, middle + e).astype(float) - picture(label, middle - e)).reshape(12, -1) / (2 * step)
        for e in step * np.eye(F)
    ]
    weakest = np.linalg.svd(np.stack(slopes, axis=2), compute_uv=False)[:, -1]  # (N, D, F) -> (N,)
    # A factor that only repeats others would leave no slope but that of rounding,
    # which is 1 / sqrt(6) a pixel in a difference of two pictures.
    rounding = np.sqrt(28 * 28 / 6) / (2 * step)
    assert weakest.min() > rounding / 2


@EVERY_CLASS
def test_pictures_are_continuous_in_the_factors(label: int) -> None:
    start, end = some_factors(6), some_factors(6)[::-1]
    way = np.linspace(start, end, 401).transpose(1, 0, 2).reshape(-1, F)
    frames = picture(label, way).reshape(6, 401, -1).astype(int)  # (N, steps, D)
    step = np.abs(np.diff(frames, axis=1))
    assert step.mean(2).max() < 1
    assert step.max() < 40


@EVERY_CLASS
def test_light_garment_on_black(label: int) -> None:
    x = picture(label, some_factors(200)).reshape(200, -1)
    assert (x.min(1) == 0).all()
    assert (x == 0).mean() > 0.3
    assert x.max() > 200
    assert x.max(1).min() > 80


@EVERY_CLASS
def test_edges_are_antialiased(label: int) -> None:
    bright = some_factors(50)
    bright[:, Factors._fields.index("trim")] = 0
    x = picture(label, bright).astype(float)
    level = x / x.max((1, 2), keepdims=True)
    between = (level > 0.02) & (level < 0.4)  # darker than any cloth or trim, yet not background
    assert (between.sum((1, 2)) > 8).all()
