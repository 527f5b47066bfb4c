"""Reconstruction error, SSIM and sharpness against oracles in float64 NumPy and SciPy."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from latentfit import evaluate
from latentfit.model import BATCH, Network, to_tensor

RNG = np.random.default_rng(0)
N = 2503
X = RNG.integers(0, 256, (N, 6, 5), np.uint8)
X[2 * BATCH :] //= 4  # the short last batch has another error than the others
UNIT = X / 255
NETWORK = Network(30, 4, hidden=(10,))


def squares():
    with torch.no_grad():
        x_hat = NETWORK(to_tensor(X)).numpy()
    return np.square(x_hat.astype(float).reshape(X.shape) - UNIT)


def test_mse_is_over_all_pixels_of_all_images():
    expected = squares().mean()
    assert evaluate.mse(NETWORK, X) == pytest.approx(expected, rel=1e-6)
    batch_means = [squares()[i : i + BATCH].mean() for i in range(0, N, BATCH)]
    assert abs(np.mean(batch_means) / expected - 1) > 1e-2


def test_image_errors():
    errors = evaluate.image_errors(NETWORK, X)
    assert errors.dtype == np.float64
    np.testing.assert_allclose(errors, squares().mean(axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize("x", [X, UNIT.astype(np.float32)], ids=["uint8", "float32"])
def test_errors_of_a_tensor_are_those_of_its_array(x):
    for tensor in (torch.from_numpy(x), torch.from_numpy(x).flatten(1)):
        np.testing.assert_array_equal(evaluate.image_errors(NETWORK, tensor), evaluate.image_errors(NETWORK, x))
        assert evaluate.mse(NETWORK, tensor) == evaluate.mse(NETWORK, x)


@pytest.mark.parametrize("shape", [(6, 5), (2, 5, 3)], ids=["grey", "colour"])
def test_reconstructions_have_the_shape_and_order_of_the_images(shape):
    x = X.reshape(N, *shape)
    x_hat = evaluate.reconstruct(NETWORK, x)
    assert x_hat.shape == x.shape
    assert x_hat.dtype == np.float32
    np.testing.assert_allclose(np.square(x_hat - x / 255).mean(), squares().mean(), rtol=1e-5)
    some = evaluate.reconstruct(NETWORK, x[[2400, 7]])
    np.testing.assert_allclose(some, x_hat[[2400, 7]], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("mse", "decibels"), [(0.01, 20), (1, 0), (0.0205, 16.8824613894), (0, math.inf)])
def test_psnr(mse, decibels):
    assert evaluate.psnr(mse) == pytest.approx(decibels)


def ssim_in_scipy(x, y):
    """Wang et al.'s formula, images continued by reflection, mean over all pixels and channels."""

    def blur(a):
        sigma = (0, 1.5, 1.5, 0)[: a.ndim]
        return ndimage.gaussian_filter(a, sigma, mode="mirror", radius=(0, 5, 5, 0)[: a.ndim])

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    both = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    above = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    return (above / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean()


@pytest.mark.parametrize(
    "shape", [(5, 14, 12), (5, 11, 11), (5, 12, 14, 3), (BATCH + 3, 11, 12)], ids=["grey", "least", "colour", "many"]
)
def test_ssim_equals_the_formula_of_its_paper(shape):
    x = RNG.integers(0, 256, shape, np.uint8)
    x[-3:] = 50
    x_hat = (0.7 * x / 255 + 0.3 * RNG.uniform(0, 1, shape)).astype(np.float32)
    assert evaluate.ssim(x, x_hat) == pytest.approx(ssim_in_scipy(x / 255, x_hat.astype(float)), abs=1e-4)
    assert evaluate.ssim(x, x / np.float32(255)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("shape", [(2, 10, 20), (2, 20, 10, 3)])
def test_ssim_is_none_for_images_smaller_than_its_window(shape):
    assert evaluate.ssim(np.zeros(shape, np.uint8), np.zeros(shape, np.float32)) is None


def test_by_class_is_a_mean_in_class_order():
    errors = np.array([1.0, 2.0, 4.0, 8.0])
    assert evaluate.by_class(errors, np.array([3, 0, 3, 1]), 5) == [2.0, 8.0, None, 2.5, None]


@pytest.mark.parametrize("colour", [False, True])
def test_sharpness_of_a_ramp_is_its_slope(colour):
    down, across = np.mgrid[:7, :9]
    ramp = (0.03 * down + 0.04 * across).astype(np.float32)
    ramp = np.stack([ramp] * 3, axis=-1) if colour else ramp
    np.testing.assert_allclose(evaluate.sharpness(np.stack([ramp, ramp / 2])), [0.05, 0.025], rtol=1e-5)


def test_sharpness_against_numpy():
    down, across = UNIT[:, 1:, :-1] - UNIT[:, :-1, :-1], UNIT[:, :-1, 1:] - UNIT[:, :-1, :-1]
    sharpness = evaluate.sharpness(X)
    assert sharpness.dtype == np.float64
    np.testing.assert_allclose(sharpness, np.hypot(down, across).mean(axis=(1, 2)), rtol=1e-5)


def test_blur_lowers_sharpness():
    blurred = ndimage.gaussian_filter(UNIT[:50], (0, 1, 1)).astype(np.float32)
    assert (evaluate.sharpness(blurred) < evaluate.sharpness(X[:50])).all()


@pytest.mark.parametrize("shape", [(3, 5, 5), (3, 1, 5), (3, 5, 1, 3), (3, 1, 1)])
def test_pictures_without_an_edge_have_sharpness_0(shape):
    assert evaluate.sharpness(np.full(shape, 9, np.uint8)).tolist() == [0, 0, 0]


def test_mean_image_and_variance_against_numpy():
    mean, expected = evaluate.mean_image(X), UNIT.mean(axis=0)
    np.testing.assert_allclose(mean, expected.ravel(), rtol=1e-6)
    for part in (slice(None), slice(1700)):
        assert evaluate.variance(X[part], mean) == pytest.approx(np.square(UNIT[part] - expected).mean(), rel=1e-6)
