"""One network for all sizes: how codes are cut, what is kept by turning them, and what the curve is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import small_clothes

from latentfit import evaluate, latent
from latentfit.model import Network
from latentfit.recipe import Recipe
from latentfit.sweep import nested

SIZES = (1, 2, 4, 8)
QUICK = Recipe(hidden=(32,), activation="silu", learning_rate=0.003, batch_size=16, epochs=4)


@pytest.fixture(scope="module")
def images():
    return small_clothes()


@pytest.fixture(scope="module")
def expected(images):
    pca = evaluate.pca(images.x_train, images.x_test)
    return {k: pca.at("train", k) for k in SIZES}


@pytest.fixture(scope="module")
def screened(images, expected):
    return nested.screen([(8, 0)], images, QUICK, expected=expected)[0]


def test_a_cut_keeps_the_first_dimensions_of_each_code():
    kept, _ = nested.cuts(dict.fromkeys(SIZES, 1.0), seed=0)(64)
    assert kept.shape == (64, 8)
    lengths = kept.sum(dim=1).int()
    assert set(lengths.tolist()) == set(SIZES)
    for row, length in zip(kept, lengths, strict=True):
        assert torch.equal(row, (torch.arange(8) < length).float())


def test_lengths_are_spread_evenly_over_the_logarithm():
    cut = nested.cuts(dict.fromkeys((1, 2, 4, 8, 16, 32, 64), 1.0), seed=0)
    lengths = torch.cat([cut(128).kept.sum(dim=1) for _ in range(50)])
    shares = [(lengths == k).float().mean().item() for k in (2, 4, 8, 16, 32)]
    assert shares == pytest.approx([np.log(2) / np.log(64.5 / 0.5)] * 5, rel=0.05)


def test_an_image_counts_the_more_the_less_error_is_expected():
    cut = nested.cuts({1: 0.04, 8: 0.01}, seed=0)
    kept, weight = (torch.cat(parts) for parts in zip(*(cut(100) for _ in range(50)), strict=True))
    long = kept.sum(dim=1) == 8
    ratio = weight[long].mean() / weight[~long].mean()
    assert ratio.item() == pytest.approx(4)
    assert weight.mean().item() == pytest.approx(1, rel=0.02)


def test_turning_a_code_keeps_the_reconstructions_and_puts_the_widest_axis_first(images):
    network = Network(images.pixels, 5, (16,), seed=3)
    before = evaluate.reconstruct(network, images.x_test)
    nested.turn(network, images)
    np.testing.assert_allclose(evaluate.reconstruct(network, images.x_test), before, atol=2e-6)
    z = latent.encode(network, images.x_train).astype(float)
    covariance = np.cov(z.T)
    spread = np.sqrt(np.diag(covariance))
    assert (np.diff(spread) <= 1e-6).all()
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(covariance / np.outer(spread, spread), np.eye(5), atol=1e-2)


def test_errors_are_those_of_codes_that_end_early(images):
    network = Network(images.pixels, 8, (16,), seed=3)
    found = nested.errors(network, images, SIZES)
    for k in SIZES:
        z = latent.encode(network, images.x_test)
        z[:, k:] = 0
        x_hat = latent.decode(network, z, images.image_shape)
        assert found[k] == pytest.approx(np.square(x_hat - images.x_test / 255.0).mean(), rel=1e-5)
    assert found[8] == pytest.approx(evaluate.mse(network, images.x_test), rel=1e-12)


def test_the_curve_falls_and_every_size_beats_keeping_nothing(images, screened):
    curve = screened.curve
    assert list(curve) == list(SIZES)
    assert list(curve.values()) == sorted(curve.values(), reverse=True)
    assert curve[1] < evaluate.variance(images.x_test, evaluate.mean_image(images.x_train))
    assert curve[8] < 0.7 * curve[1]


def test_the_history_has_all_epochs_in_a_row(screened):
    assert [row.epoch for row in screened.history] == list(range(1, 11))  # 2 before the cuts, and twice 4


def test_the_same_screening_gives_the_same_bits(images, expected, screened):
    again, other = nested.screen([(8, 0), (8, 1)], images, QUICK, expected=expected)
    assert again.curve == screened.curve
    assert other.curve != screened.curve


def test_a_screening_that_diverges_has_a_reason(images, expected):
    wild = Recipe(hidden=(32,), output="linear", learning_rate=1e30, epochs=2)
    (failed,) = nested.screen([(8, 0)], images, wild, expected=expected)
    assert "finite" in failed.reason
    assert failed.curve is None


def test_one_size_alone_can_be_screened(images, expected):
    (alone,) = nested.screen([(1, 0)], images, QUICK, expected={1: expected[1]})
    assert list(alone.curve) == [1]
