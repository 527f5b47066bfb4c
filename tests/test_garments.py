"""Drawn clothes: a function of the seed alone, with exactly the number of factors that is claimed."""

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


def random_factors(n: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    return np.random.default_rng(7).uniform(low, high, (n, F))


def test_the_set(images: garments.ImageSet) -> None:
    assert (images.name, images.true_factors, images.stand_in) == ("garments", F, False)
    names = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot"
    assert images.classes == tuple(name.replace("_", " ") for name in names.split())
    for x, y, n in ((images.x_train, images.y_train, 505), (images.x_test, images.y_test, 203)):
        assert x.shape == (n, 28, 28)
        assert x.dtype == y.dtype == np.uint8
        counts = np.bincount(y, minlength=len(CLASSES))
        assert counts.max() - counts.min() <= 1
        assert len(set(y[:20])) > 5
        assert (np.diff(y.astype(int)) % len(CLASSES) != 1).any()  # shuffled
    one = draw(1, 1)
    assert one.x_train.shape == one.x_test.shape == (1, 28, 28)
    assert (one.x_train.max((1, 2)) > 100).all()


def test_the_seed_decides_every_byte_and_each_split_alone(images: garments.ImageSet) -> None:
    assert draw(505, 203, seed=3).fingerprint == images.fingerprint
    assert draw(505, 203, seed=4).fingerprint != images.fingerprint
    other = draw(20, 203, seed=3)
    np.testing.assert_array_equal(other.x_test, images.x_test)
    np.testing.assert_array_equal(other.y_test, images.y_test)


def test_no_image_occurs_twice() -> None:
    images = draw(300, 300)  # splits of one size would be equal if they had one random stream
    every = [image.tobytes() for image in (*images.x_train, *images.x_test)]
    assert len(set(every)) == len(every)


def test_each_image_has_the_class_of_its_label(images: garments.ImageSet) -> None:
    means = np.stack([picture(label, random_factors(60)).mean(0) for label in range(len(CLASSES))])  # (10, 28, 28)
    distances = np.square(images.x_test[:, None] - means).sum((2, 3))  # (N, 10)
    assert (distances.argmin(1) == images.y_test).mean() > 0.8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 5), "train_images is 0; at least 1"),
        ((5, -1), "test_images is -1; at least 1"),
        ((5, 5, -1), "seed is -1"),
    ],
)
def test_impossible_numbers_are_refused(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw(*arguments)


@EVERY_CLASS
def test_a_picture_does_not_depend_on_its_batch(label: int) -> None:
    factors = random_factors(garments.CHUNK + 3)
    together = picture(label, factors)
    for n in (0, garments.CHUNK - 1, garments.CHUNK + 2):
        np.testing.assert_array_equal(picture(label, factors[n : n + 1])[0], together[n])


@EVERY_CLASS
@pytest.mark.parametrize("factor", range(F), ids=Factors._fields)
def test_each_factor_changes_each_class(label: int, factor: int) -> None:
    low, high = random_factors(8), random_factors(8)
    low[:, factor], high[:, factor] = 0, 1
    change = np.abs(picture(label, low).astype(int) - picture(label, high)).reshape(8, -1)  # (N, D)
    assert (change.max(1) > 20).all()
    assert (change.mean(1) > 0.5).all()


@EVERY_CLASS
def test_no_factor_is_a_combination_of_others(label: int) -> None:
    # The derivative of the picture has full rank: the smallest singular value exceeds that of rounding alone, which is
    # 1 / sqrt(6) a pixel in a difference of two pictures.
    middle, step = random_factors(12, 0.05, 0.95), 0.04
    slopes = [
        (picture(label, middle + e).astype(float) - picture(label, middle - e)).reshape(12, -1) / (2 * step)
        for e in step * np.eye(F)
    ]
    smallest = np.linalg.svd(np.stack(slopes, axis=2), compute_uv=False)[:, -1]  # (N, D, F) -> (N,)
    rounding = np.sqrt(28 * 28 / 6) / (2 * step)
    assert smallest.min() > rounding / 2


@EVERY_CLASS
def test_pictures_are_continuous_in_the_factors(label: int) -> None:
    start, end = random_factors(6), random_factors(6)[::-1]
    path = np.linspace(start, end, 401).transpose(1, 0, 2).reshape(-1, F)
    frames = picture(label, path).reshape(6, 401, -1).astype(int)  # (N, steps, D)
    step = np.abs(np.diff(frames, axis=1))
    assert step.mean(2).max() < 1
    assert step.max() < 40


@EVERY_CLASS
def test_garments_are_light_on_black_with_smooth_edges(label: int) -> None:
    x = picture(label, random_factors(200)).reshape(200, -1)
    assert (x.min(1) == 0).all()
    assert (x == 0).mean() > 0.3
    assert x.max() > 200
    assert x.max(1).min() > 80
    light = random_factors(50)
    light[:, Factors._fields.index("trim")] = 0
    x = picture(label, light).astype(float)
    level = x / x.max((1, 2), keepdims=True)
    edge = (level > 0.02) & (level < 0.4)  # darker than cloth and trim, lighter than the background
    assert (edge.sum((1, 2)) > 8).all()
