"""Which images are held out, and networks of few images: missing axes are 0."""

import numpy as np
import pytest

from latentfit import pca
from latentfit.data.images import ImageSet
from latentfit.errors import InputError
from latentfit.evaluate import reconstruct
from latentfit.recipe import Recipe
from latentfit.train import build

RNG = np.random.default_rng(0)
MANY = (RNG.normal(0.5, 0.3, (200, 3)) @ RNG.normal(0, 0.5, (3, 12)) + RNG.normal(0.5, 0.1, (200, 12))).clip(0, 1)
MANY = MANY.astype(np.float32).reshape(-1, 3, 4)
FEW, BYTES = MANY[:7], np.rint(255 * MANY).astype(np.uint8)
each_set = pytest.mark.parametrize("x", [MANY, FEW, BYTES], ids=["many", "few", "bytes"])
STARTS = Recipe(hidden=(9, 5), activation="silu", output="clamp", initialization="pca")


def started(x, latent_dim, hidden=(9, 5)):
    recipe = Recipe(hidden=hidden, activation="silu", output="clamp", initialization="pca")
    return build(12, recipe, latent_dim, 1, pca.fit(x, x).start(latent_dim))


def test_axes_that_are_missing_are_0_and_images_all_alike_have_a_scale():
    network = started(FEW, 10)
    into, out = network.linear_path
    assert (into[6:] == 0).all()
    assert (out[:, 6:] == 0).all()
    assert (into[:6] != 0).any(dim=1).all()
    alike = np.full((9, 3, 4), 0.25, np.float32)
    assert pca.fit(alike, alike).start(2).scale == 1
    np.testing.assert_allclose(reconstruct(started(alike, 2), alike), alike)


def test_without_a_start_or_with_another_initialization_there_is_no_scaling():
    assert build(12, STARTS, 3, 0).mean is None
    assert build(12, Recipe(), 3, 0).linear_path == []
    assert {*build(12, STARTS, 3, 0).state_dict()} >= {"encoder.linear.weight", "decoder.linear.weight"}


def test_the_mean_is_no_weight():
    assert "mean" not in started(MANY, 3).state_dict()


@pytest.mark.parametrize(
    ("n", "count"), [(2, 0), (24, 0), (25, 5), (26, 5), (499, 99), (500, 50), (1500, 150), (60_000, 6_000)]
)
def test_as_many_images_are_held_out_as_the_number_allows(n, count):
    x = np.arange(n, dtype=np.uint32).view(np.uint8).reshape(n, 2, 2)  # each image is its number
    y = (np.arange(n) % 2).astype(np.int64)
    images = ImageSet("numbers", x, x[:2], y, y[:2])
    part = images.with_held_out()
    number = {"all": np.arange(n), "trained on": part.x_train.copy().reshape(-1, 4).view(np.uint32).ravel()}
    if count == 0:
        assert part is images
        return
    held_out = part.x_val.copy().reshape(-1, 4).view(np.uint32).ravel()
    assert len(held_out) == count
    assert sorted([*number["trained on"], *held_out]) == [*range(n)]
    np.testing.assert_array_equal(part.y_train, number["trained on"] % 2)
    np.testing.assert_array_equal(part.x_val, images.with_held_out().x_val)
    assert sorted(held_out) != [*range(count)]


def test_held_out_images_of_the_users_own_win_and_are_part_of_the_fingerprint():
    plain = ImageSet("a", MANY, MANY[:9])
    own = ImageSet("a", MANY, MANY[:9], x_val=MANY[9:20])
    assert own.with_held_out() is own
    assert own.fingerprint != plain.fingerprint
    assert (own.description.val_images, plain.description.val_images) == (11, None)


@pytest.mark.parametrize(
    ("x_val", "message"),
    [
        (MANY[:5].reshape(-1, 4, 3), "training images are 3 × 4 and validation images 4 × 3"),
        (BYTES[:5], "training images are float32 and validation images uint8"),
        (MANY[:5] * 3, "validation images of a: pixels run from"),
        (MANY[:0], "at least one image"),
        (np.where(MANY[:5] > 0.9, np.nan, MANY[:5]), "NaN"),
    ],
)
def test_held_out_images_of_another_kind_are_refused(x_val, message):
    with pytest.raises(InputError, match=message):
        ImageSet("a", MANY, MANY[:9], x_val=x_val)
