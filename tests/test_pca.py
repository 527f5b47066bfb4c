"""PCA's errors against scikit-learn's axes, at every number of components."""

import numpy as np
import pytest
from sklearn import decomposition

from latentfit import evaluate, pca
from latentfit.model import BATCH

RNG = np.random.default_rng(0)
N = BATCH + 203
TALL = RNG.uniform(0, 1, (N, 6)) @ RNG.uniform(0, 0.2, (6, 20)) * RNG.uniform(0, 0.8, (N, 20))
TALL = TALL.astype(np.float32).reshape(N, 4, 5)
WIDE = TALL[:15]
TEST = TALL[-BATCH - 100 :]  # more than a batch
BYTES = RNG.integers(0, 256, (60, 6, 5), np.uint8)

each_shape = pytest.mark.parametrize("x", [TALL, WIDE], ids=["more images than pixels", "fewer"])


def flat(x):
    return x.reshape(len(x), -1).astype(float)


@each_shape
def test_errors_are_those_of_the_reconstructions_at_every_number_of_components(x):
    found, oracle = pca.fit(x, TEST), decomposition.PCA(svd_solver="full").fit(flat(x))
    rank = min(len(x) - 1, 20)  # around their mean
    assert len(found.train) == len(found.test) == rank + 1
    for k in range(rank + 1):
        axes = oracle.components_[:k]
        left = [
            np.square(rest - rest @ axes.T @ axes).mean(axis=1)
            for rest in (flat(x) - oracle.mean_, flat(TEST) - oracle.mean_)
        ]
        assert found.at("train", k) == pytest.approx(left[0].mean(), rel=1e-9, abs=1e-14)
        assert found.at("test", k) == pytest.approx(left[1].mean(), rel=1e-9, abs=1e-14)
        np.testing.assert_allclose(found.test_images[:, k], left[1], rtol=1e-4, atol=1e-7)
        again = np.square(flat(found.reconstruct(TEST, k)) - flat(TEST)).mean(axis=1)
        np.testing.assert_allclose(again, left[1], rtol=1e-6, atol=1e-12)


@each_shape
def test_errors_never_rise_and_end_at_0_on_the_training_images(x):
    found = pca.fit(x, TEST)
    assert (np.diff(found.train) <= 0).all()
    assert (np.diff(found.test) <= 0).all()
    assert (found.train >= 0).all()
    assert found.train[-1] == pytest.approx(0, abs=1e-8)
    assert found.at("test", 10_000) == found.test[-1]


@each_shape
def test_the_error_is_the_mean_over_the_test_images(x):
    found = pca.fit(x, TEST)
    assert found.test_images.shape == (len(TEST), len(found.test))
    assert found.test_images.dtype == np.float32
    assert (found.test_images >= 0).all()
    np.testing.assert_allclose(found.test_images.mean(axis=0, dtype=float), found.test, rtol=1e-6, atol=1e-12)


def test_without_components_the_error_is_the_variance_around_the_mean_training_image():
    found, mean = pca.fit(BYTES[:50], BYTES[50:]), evaluate.mean_image(BYTES[:50])
    assert found.at("train", 0) == pytest.approx(evaluate.variance(BYTES[:50], mean), rel=1e-5)
    assert found.at("test", 0) == pytest.approx(evaluate.variance(BYTES[50:], mean), rel=1e-5)


def test_bytes_and_colours_have_the_errors_of_grey_floats():
    unit, colours = (BYTES / 255).astype(np.float32), BYTES.reshape(60, 2, 5, 3)
    expected = pca.fit(unit[:40], unit[40:]).test
    np.testing.assert_allclose(pca.fit(colours[:40], colours[40:]).test, expected, atol=1e-7)


def test_equal_images_leave_no_error():
    x = np.full((40, 4, 5), 77, np.uint8)
    np.testing.assert_allclose(pca.fit(x, x[:3]).test, 0, atol=1e-9)


@pytest.mark.parametrize("size", [(400, 300), (300, 400)], ids=str)
def test_a_randomized_pca_has_nearly_the_errors_of_an_exact_one(monkeypatch, size):
    n, pixels = size
    x = RNG.normal(0, 1, (n + 100, 60)) @ (RNG.normal(0, 0.05, (60, pixels)) / np.arange(1, 61)[:, None] ** 0.5)
    x = (0.5 + x + RNG.normal(0, 0.005, x.shape)).clip(0, 1).astype(np.float32).reshape(-1, 10, pixels // 10)
    exact = pca.fit(x[:n], x[n:])
    monkeypatch.setattr(pca, "EXACT", 200)
    monkeypatch.setattr(pca, "AXES", 40)
    monkeypatch.setattr(pca, "ROOM", 200 * pixels)  # it starts from 200 of the images
    assert not pca.is_exact(n, pixels)
    assert pca.is_exact(200, pixels)
    assert (pca.most_components(n, pixels), pca.most_components(200, pixels)) == (40, pixels)
    found, again = pca.fit(x[:n], x[n:]), pca.fit(x[:n], x[n:])
    assert (len(found.train), found.axes.shape) == (41, (pixels, 40))
    for split in ("train", "test"):
        assert found.at(split, 0) == pytest.approx(exact.at(split, 0), rel=1e-6)
        np.testing.assert_allclose(getattr(found, split), getattr(exact, split)[:41], rtol=0.01)
    for name in vars(found):
        assert getattr(found, name).tobytes() == getattr(again, name).tobytes(), name


def test_a_randomized_pca_of_many_batches_is_that_of_all_images(monkeypatch, tmp_path):
    n = 2 * BATCH + 300
    spectrum = 0.2 * 0.85 ** np.arange(60)
    x = 0.5 + RNG.normal(0, 1, (n + 50, 60)) * spectrum @ np.linalg.qr(RNG.normal(0, 1, (120, 60)))[0].T
    x = x.clip(0, 1).astype(np.float32).reshape(-1, 10, 12)
    x[:BATCH, :, :6] *= 0.1  # the batches differ
    exact = pca.fit(x[:n], x[n:])
    for name, value in (("EXACT", 100), ("AXES", 20), ("ROOM", 60 * 120)):
        monkeypatch.setattr(pca, name, value)
    found = pca.fit(x[:n], x[n:])
    for split in ("train", "test"):
        np.testing.assert_allclose(getattr(found, split), getattr(exact, split)[:21], rtol=0.002)
    alike = np.abs((found.axes[:, :5] * exact.axes[:, :5]).sum(axis=0))
    np.testing.assert_allclose(alike, 1, atol=1e-4)
    np.testing.assert_allclose(found.axes.T @ found.axes, np.eye(20), atol=1e-5)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    again = pca.fit(mapped[:n], mapped[n:])
    for name in vars(found):
        assert getattr(found, name).tobytes() == getattr(again, name).tobytes(), name


def test_of_few_large_images_pca_is_exact_as_long_as_they_fit_into_memory():
    assert pca.is_exact(10**7, 64 * 64)
    assert pca.is_exact(4096, 128 * 128)
    assert not pca.is_exact(4096, 128 * 128 * 3)
    assert pca.is_exact(1365, 128 * 128 * 3)
    assert pca.most_components(4096, 128 * 128 * 3) == 512


@each_shape
def test_a_start_is_the_mean_the_deviation_and_the_first_axes(x):
    found = pca.fit(x, TEST)
    start = found.start(3)
    np.testing.assert_allclose(start.mean, flat(x).mean(axis=0), rtol=1e-5)
    assert start.scale == pytest.approx(np.square(flat(x) - flat(x).mean(axis=0)).mean() ** 0.5)
    np.testing.assert_array_equal(start.axes, found.axes[:, :3].astype(np.float32))
    assert {start.mean.dtype, start.axes.dtype} == {np.dtype(np.float32)}
    assert found.start(99).axes.shape == (20, len(found.train) - 1)
    np.testing.assert_array_equal(found.of_test_images(99), found.test_images[:, -1])
    assert pca.fit(np.full((4, 4, 5), 9, np.uint8), x).start(2).scale > 0


def test_components_for_is_the_first_number_that_is_enough():
    none, test = np.empty(0), np.array([4.0, 2.0, 1.0])
    found = pca.PCA(none, test, none, none, none)
    expected = {9: 0, 4: 0, 3.9: 1, 2: 1, 1.5: 2, 1: 2, 0.9: None}
    assert {error: found.components_for(error) for error in expected} == expected
