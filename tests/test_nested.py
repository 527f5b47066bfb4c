"""The nested network: how its codes are truncated and turned, and its errors at every size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import small_clothes

from latentfit import evaluate, latent, pca
from latentfit.model import Network
from latentfit.recipe import Recipe
from latentfit.sweep import nested
from latentfit.sweep.job import train_group

SIZES = (1, 2, 4, 8)
QUICK = Recipe(hidden=(32,), activation="silu", learning_rate=0.003, batch_size=16, epochs=4)


@pytest.fixture(scope="module")
def images():
    return small_clothes()


@pytest.fixture(scope="module")
def expected(images):
    fitted = pca.fit(images.x_train, images.x_test)
    return {k: fitted.at("train", k) for k in SIZES}


@pytest.fixture(scope="module")
def trained(images, expected):
    return train_group([(8, 0)], images, QUICK, expected=expected)[0]


def test_a_truncation_keeps_the_first_dimensions_of_each_code():
    mask, _ = nested.truncation(dict.fromkeys(SIZES, 1.0), seed=0)(64)
    assert mask.shape == (64, 8)
    lengths = mask.sum(dim=1).int()
    assert set(lengths.tolist()) == set(SIZES)
    assert torch.equal(mask, (torch.arange(8) < lengths[:, None]).float())


def test_lengths_are_evenly_spread_over_the_logarithm():
    truncate = nested.truncation(dict.fromkeys((1, 2, 4, 8, 16, 32, 64), 1.0), seed=0)
    lengths = torch.cat([truncate(128).mask.sum(dim=1) for _ in range(50)])
    shares = [(lengths == k).float().mean().item() for k in (2, 4, 8, 16, 32)]
    assert shares == pytest.approx([np.log(2) / np.log(64.5 / 0.5)] * 5, rel=0.05)


def test_the_weight_of_an_image_is_the_inverse_of_the_expected_error():
    truncate = nested.truncation({1: 0.04, 8: 0.01}, seed=0)
    mask, weight = (torch.cat(parts) for parts in zip(*(truncate(100) for _ in range(50)), strict=True))
    long = mask.sum(dim=1) == 8
    assert (weight[long].mean() / weight[~long].mean()).item() == pytest.approx(4)
    assert weight.mean().item() == pytest.approx(1, rel=0.02)


def test_turning_a_code_keeps_the_reconstructions_and_puts_the_widest_axis_first(images):
    network = Network(images.pixels, 5, (16,), seed=3)
    before = evaluate.reconstruct(network, images.x_test)
    nested.turn(network, images.x_train)
    np.testing.assert_allclose(evaluate.reconstruct(network, images.x_test), before, atol=2e-6)
    z = latent.encode(network, images.x_train).astype(float)
    covariance = np.cov(z.T)
    spread = np.sqrt(np.diag(covariance))
    assert (np.diff(spread) <= 1e-6).all()
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(covariance / np.outer(spread, spread), np.eye(5), atol=1e-2)


def test_errors_are_those_of_truncated_codes(images):
    network = Network(images.pixels, 8, (16,), seed=3)
    found = nested.errors(network, images.x_test, SIZES)
    for k in SIZES:
        z = latent.encode(network, images.x_test)
        z[:, k:] = 0
        x_hat = latent.decode(network, z, images.image_shape)
        assert found[k] == pytest.approx(np.square(x_hat - images.x_test / 255.0).mean(), rel=1e-5)
    assert found[8] == pytest.approx(evaluate.mse(network, images.x_test), rel=1e-12)


def test_the_error_falls_with_the_size_and_is_below_the_variance(images, trained):
    errors = trained.errors
    assert list(errors) == list(SIZES)
    assert list(errors.values()) == sorted(errors.values(), reverse=True)
    assert errors[1] < np.square(images.x_test / 255 - (images.x_train / 255).mean(axis=0)).mean()
    assert errors[8] < 0.7 * errors[1]
    assert (trained.weights, trained.measurement, trained.reason) == ({}, None, None)


def test_the_history_has_all_epochs_in_a_row(trained):
    assert [row.epoch for row in trained.history] == list(range(1, 11))  # 2 before truncation, and twice 4


def test_the_same_training_has_the_same_bits(images, expected, trained):
    again, other = train_group([(8, 0), (8, 1)], images, QUICK, expected=expected)
    assert again.errors == trained.errors
    assert other.errors != trained.errors


def test_a_training_that_diverges_has_a_reason(images, expected):
    wild = Recipe(hidden=(32,), output="linear", learning_rate=1e30, epochs=2)
    (failed,) = train_group([(8, 0)], images, wild, expected=expected)
    assert "finite" in failed.reason
    assert failed.errors is None


def test_one_size_alone_can_be_trained(images, expected):
    (alone,) = train_group([(1, 0)], images, QUICK, expected={1: expected[1]})
    assert list(alone.errors) == [1]
