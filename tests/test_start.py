"""Networks that start as PCA: they are PCA before the first step, and the same function of pixels once folded."""

import numpy as np
import pytest
import torch

from latentfit import latent, pca
from latentfit.data.images import ImageSet
from latentfit.errors import InputError
from latentfit.evaluate import reconstruct
from latentfit.model import Network, Start, clamp
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


def disturbed(network):
    """The network after some training: no weight is 0."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@each_set
@pytest.mark.parametrize("folded", [False, True])
def test_untrained_it_is_pca_with_clamped_pixels_at_every_size(x, folded):
    fitted, unit = pca.fit(x, x), x / np.float32(255) if x.dtype == np.uint8 else x
    for k in range(1, 13):
        network = started(x, k)
        if folded:
            network.fold()
        right = fitted.reconstruct(unit, k).clip(0, 1)
        np.testing.assert_allclose(reconstruct(network, x), right, atol=2e-6, err_msg=str(k))


@each_set
@pytest.mark.parametrize("hidden", [(9, 5), ()])
def test_folded_it_is_the_same_function_of_pixels(x, hidden):
    network = disturbed(started(x, 4, hidden))
    codes, before = latent.encode(network, x), reconstruct(network, x)
    ratio = float((network.mean / network.scale).max())
    network.fold()
    assert network.mean is None
    np.testing.assert_allclose(reconstruct(network, x), before, rtol=0, atol=1e-6 * (1 + ratio))
    np.testing.assert_allclose(latent.encode(network, x), codes, rtol=1e-5, atol=1e-5)
    network.fold()  # a second time does nothing
    np.testing.assert_array_equal(reconstruct(network, x), reconstruct(network, x))


def test_the_start_is_the_mean_one_deviation_and_the_axes():
    start = pca.fit(MANY, MANY).start(5)
    flat = MANY.reshape(len(MANY), -1).astype(float)
    assert start.scale == pytest.approx(np.sqrt(np.square(flat - flat.mean(axis=0)).mean()))
    np.testing.assert_allclose(start.mean, flat.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(start.axes.T @ start.axes, np.eye(5), atol=1e-6)


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


def test_clamp_keeps_the_range_and_passes_the_gradient():
    y = torch.tensor([-3.0, -1e-9, 0.0, 0.4, 1.0, 1 + 1e-6, 1.7, 1e30], requires_grad=True)
    x_hat = clamp(y)
    assert torch.equal(x_hat.detach(), y.detach().clamp(0, 1))
    x_hat.sum().backward()
    assert torch.equal(y.grad, torch.ones_like(y))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "sigmoid", "initialization": "pca"}, "expected output clamp or linear"),
        ({"decay_epochs": 5.0}, "expected adamw"),
        ({"decay_epochs": -1.0, "optimizer": "adamw"}, "of 0 or more"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Recipe(**changes)


def test_randomized_pca_is_near_the_exact_one(monkeypatch):
    x = (RNG.normal(0.5, 0.2, (150, 6)) @ RNG.normal(0, 0.3, (6, 90)) + RNG.normal(0.5, 0.01, (150, 90))).clip(0, 1)
    x = x.astype(np.float32).reshape(-1, 9, 10)
    right = pca.fit(x, x[:40])
    monkeypatch.setattr(pca, "EXACT", 50)
    monkeypatch.setattr(pca, "AXES", 8)
    assert not pca.is_exact(150, 90)
    found = pca.fit(x, x[:40])
    assert len(found.train) == 9
    np.testing.assert_allclose(found.train[:7], right.train[:7], rtol=0.01)
    np.testing.assert_allclose(found.test[:7], right.test[:7], rtol=0.01)
    np.testing.assert_array_equal(found.axes, pca.fit(x, x[:40]).axes)
    assert len(pca.fit(x, x[:40], components=20).train) == 21


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


def test_a_start_is_a_part_of_what_workers_get():
    start = pca.fit(MANY, MANY).start(3)
    assert isinstance(start, Start)
    assert {array.dtype for array in (start.mean, start.axes)} == {np.dtype(np.float32)}


def test_a_network_of_given_weights_needs_no_start():
    network = Network(12, 3, (5,), output="clamp", linear=True)
    assert all((path == 0).all() for path in network.linear_path)
