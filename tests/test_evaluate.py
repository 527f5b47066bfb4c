"""Reconstruction error against oracles in float64 NumPy, SciPy and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.decomposition import PCA

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
    for held in (torch.from_numpy(x), torch.from_numpy(x).flatten(1)):
        np.testing.assert_array_equal(evaluate.image_errors(NETWORK, held), evaluate.image_errors(NETWORK, x))
        assert evaluate.mse(NETWORK, held) == evaluate.mse(NETWORK, x)


@pytest.mark.parametrize("shape", [(6, 5), (2, 5, 3)], ids=["grey", "colour"])
def test_reconstructions_have_the_shape_and_order_of_the_images(shape):
    x = X.reshape(N, *shape)
    x_hat = evaluate.reconstruct(NETWORK, x)
    assert x_hat.shape == x.shape
    assert x_hat.dtype == np.float32
    np.testing.assert_allclose(np.square(x_hat - x / 255).mean(), squares().mean(), rtol=1e-5)
    some = evaluate.reconstruct(NETWORK, x[[2400, 7]])
    np.testing.assert_allclose(some, x_hat[[2400, 7]], rtol=0, atol=1e-6)


def test_psnr():
    assert evaluate.psnr(0.01) == pytest.approx(20)
    assert evaluate.psnr(1) == 0
    assert evaluate.psnr(0.0205) == pytest.approx(-10 * math.log10(0.0205))
    assert evaluate.psnr(0) == math.inf


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
def test_ssim_is_that_of_its_paper(shape):
    x = RNG.integers(0, 256, shape, np.uint8)
    x[-3:] = 50
    x_hat = (0.7 * x / 255 + 0.3 * RNG.uniform(0, 1, shape)).astype(np.float32)
    assert evaluate.ssim(x, x_hat) == pytest.approx(ssim_in_scipy(x / 255, x_hat.astype(float)), abs=1e-4)
    assert evaluate.ssim(x, x / np.float32(255)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("shape", [(2, 10, 20), (2, 20, 10, 3)])
def test_ssim_needs_room_for_its_window(shape):
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
def test_what_has_no_edge_has_no_sharpness(shape):
    assert evaluate.sharpness(np.full(shape, 9, np.uint8)).tolist() == [0, 0, 0]


def test_mean_image_and_variance_against_numpy():
    mean = evaluate.mean_image(X)
    np.testing.assert_allclose(mean, UNIT.mean(axis=0).ravel(), rtol=1e-6)
    assert evaluate.variance(X[:1700], mean) == pytest.approx(
        np.square(UNIT[:1700] - UNIT.mean(axis=0)).mean(), rel=1e-6
    )


def test_variance_is_the_error_of_keeping_nothing():
    assert evaluate.variance(X, evaluate.mean_image(X)) == pytest.approx(UNIT.var(axis=0).mean(), rel=1e-6)


TALL = RNG.uniform(0, 1, (N, 6)) @ RNG.uniform(0, 0.2, (6, 20)) * RNG.uniform(0, 0.8, (N, 20))
TALL = TALL.astype(np.float32).reshape(N, 4, 5)
WIDE = TALL[:15]


@pytest.mark.parametrize("x", [TALL, WIDE], ids=["more images than pixels", "fewer"])
@pytest.mark.parametrize("k", [1, 3, 9, 14])
def test_pca_errors_are_those_of_its_reconstructions(x, k):
    test = TALL[-40:]
    oracle = PCA(k, svd_solver="full").fit(x.reshape(len(x), -1).astype(float))
    errors = evaluate.pca(x, test)
    for split, part in (("train", x), ("test", test)):
        flat = part.reshape(len(part), -1).astype(float)
        expected = np.square(oracle.inverse_transform(oracle.transform(flat)) - flat).mean()
        assert errors.at(split, k) == pytest.approx(expected, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("x", [TALL, WIDE], ids=["more images than pixels", "fewer"])
@pytest.mark.parametrize("k", [1, 3, 9, 14])
def test_pca_errors_of_each_image_are_those_of_its_reconstruction(x, k):
    test = TALL[-1200:]  # more than a batch
    flat = test.reshape(len(test), -1).astype(float)
    oracle = PCA(k, svd_solver="full").fit(x.reshape(len(x), -1).astype(float))
    expected = np.square(oracle.inverse_transform(oracle.transform(flat)) - flat).mean(axis=1)
    found = evaluate.pca(x, test).test_images
    np.testing.assert_allclose(found[:, k], expected, rtol=1e-4, atol=1e-7)
    from_mean = np.square(flat - oracle.mean_).mean(axis=1)
    np.testing.assert_allclose(found[:, 0], from_mean, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("x", [TALL, WIDE], ids=["more images than pixels", "fewer"])
def test_pca_curve_is_the_mean_over_the_test_images(x):
    errors = evaluate.pca(x, TALL[-1200:])
    assert errors.test_images.shape == (1200, len(errors.test))
    assert errors.test_images.dtype == np.float32
    assert (errors.test_images >= 0).all()
    np.testing.assert_allclose(errors.test_images.mean(axis=0, dtype=float), errors.test, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("x", [TALL, WIDE], ids=["more images than pixels", "fewer"])
def test_pca_is_as_exact_as_double_precision(x):
    flat, test = (part.reshape(len(part), -1).astype(float) for part in (x, TALL[-40:]))
    errors = evaluate.pca(x, TALL[-40:])
    axes = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)[2]
    rank = min(len(x) - 1, 20)  # an axis behind it could be any
    for k in range(rank + 1):
        for split, part in (("train", flat), ("test", test)):
            rest = part - flat.mean(axis=0)
            rest = rest - rest @ axes[:k].T @ axes[:k]
            assert errors.at(split, k) == pytest.approx(np.square(rest).mean(), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("x", [TALL, WIDE], ids=["more images than pixels", "fewer"])
def test_pca_curve_falls_to_nothing(x):
    errors = evaluate.pca(x, TALL[-40:])
    assert len(errors.train) == len(errors.test) == 1 + min(len(x) - 1, 20)  # around their mean
    assert (np.diff(errors.train) <= 0).all()
    assert (np.diff(errors.test) <= 0).all()
    assert errors.train[-1] == pytest.approx(0, abs=1e-8)
    assert (errors.train >= 0).all()
    assert errors.at("test", 10_000) == errors.test[-1]


def test_no_components_leave_the_distance_from_the_mean_training_image():
    errors = evaluate.pca(X[:1200], X[1200:])
    mean = evaluate.mean_image(X[:1200])
    assert errors.at("train", 0) == pytest.approx(evaluate.variance(X[:1200], mean), rel=1e-5)
    assert errors.at("test", 0) == pytest.approx(evaluate.variance(X[1200:], mean), rel=1e-5)


def test_pca_takes_bytes_and_colour():
    x = X[:40].reshape(40, 2, 5, 3)
    grey = evaluate.pca(UNIT[:40].astype(np.float32), UNIT[40:50].astype(np.float32))
    errors = evaluate.pca(x, X[40:50].reshape(10, 2, 5, 3))
    np.testing.assert_allclose(errors.test, grey.test, atol=1e-7)


def test_pca_of_equal_images_leaves_nothing():
    x = np.full((40, 4, 5), 77, np.uint8)
    np.testing.assert_allclose(evaluate.pca(x, x[:3]).test, 0, atol=1e-9)


def test_components_for_is_the_first_that_is_enough():
    test = np.array([4.0, 2.0, 1.0])
    nothing = np.empty(0)
    errors = evaluate.PCAErrors(np.array([5.0, 1.0, 0.0]), test, test[None].astype(np.float32), nothing, nothing)
    asked = {9: 0, 4: 0, 3.9: 1, 2: 1, 1.5: 2, 1: 2, 0.9: None}
    assert {error: errors.components_for(error) for error in asked} == asked
