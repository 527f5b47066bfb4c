"""Which pairs of images are interpolated, and what is measured of the interpolations."""

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from latentfit import evaluate, latent
from latentfit import pca as linear
from latentfit.data.images import ImageSet
from latentfit.measure import interpolation
from latentfit.measure.interpolation import Ground, Nearest, choose
from latentfit.model import Network
from latentfit.recipe import Job
from latentfit.stats import family, paired

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def ground(images):
    return Ground.of(images, seed=0)


@pytest.fixture(scope="module")
def pca(images):
    return linear.fit(images.x_train, images.x_test)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_chosen_neighbours_are_of_different_classes(classes):
    labels = RNG.integers(0, classes, 200)
    chosen = labels[choose(150, labels, 200, seed=0)]
    assert (chosen[1:] != chosen[:-1]).all()
    assert set(chosen[:classes]) == set(range(classes))


def test_chosen_neighbours_differ_also_where_a_class_has_one_image():
    labels = np.array([0] * 99 + [7])
    chosen = choose(20, labels, 100, seed=0)
    assert (labels[chosen][1:] != labels[chosen][:-1]).all()
    of_large = chosen[labels[chosen] == 0]
    assert len(set(of_large)) == len(of_large) == 10


@pytest.mark.parametrize("labels", [None, np.arange(40) % 4, np.zeros(40, int)], ids=["none", "four", "one class"])
def test_no_image_twice_while_there_are_others(labels):
    assert sorted(choose(40, labels, 40, seed=3)) == list(range(40))
    twice = choose(80, labels, 40, seed=3)
    assert sorted(twice) == sorted(2 * list(range(40)))
    assert (twice[1:] != twice[:-1]).all()


@pytest.mark.parametrize("labels", [None, np.array([0, 0]), np.array([0, 1])])
def test_two_images_take_turns(labels):
    chosen = choose(8, labels, 2, seed=0)
    assert set(chosen) == {0, 1}
    assert (chosen[1:] != chosen[:-1]).all()


def test_the_seed_chooses():
    labels = np.arange(500) % 5
    for y in (None, labels):
        assert choose(20, y, 500, seed=1).tolist() == choose(20, y, 500, seed=1).tolist()
        assert choose(20, y, 500, seed=1).tolist() != choose(20, y, 500, seed=2).tolist()


def test_pairs_are_of_different_classes(images):
    for pairs in (interpolation.shown_pairs(images, seed=0), interpolation.random_pairs(images, seed=0)):
        assert (np.diff(images.y_train[pairs]) != 0).all()


def test_random_pairs_share_no_image_and_meet_every_couple_of_classes():
    x, y = np.zeros((6000, 1, 2), np.uint8), np.arange(6000) % 10
    pairs = interpolation.random_pairs(ImageSet("plain", x, x, y, y), seed=0)
    assert pairs.shape == (interpolation.MEASURED_PAIRS, 2)
    assert len(np.unique(pairs)) == pairs.size
    assert len({frozenset(couple) for couple in y[pairs].tolist()}) == 45
    assert not np.array_equal(pairs, interpolation.random_pairs(ImageSet("plain", x, x, y, y), seed=1))


@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_random_pairs_of_few_images_are_fewer(n):
    x = np.zeros((n, 1, 2), np.uint8)
    pairs = interpolation.random_pairs(ImageSet("few", x, x), seed=0)
    assert pairs.shape == (max(1, n // 2), 2)
    assert len(np.unique(pairs)) == min(n, pairs.size)


def test_pairs_without_labels_are_of_different_images():
    x = np.zeros((7, 3, 3), np.uint8)
    pairs = interpolation.shown_pairs(ImageSet("plain", x, x), seed=0)
    assert pairs.shape == (4, 2)
    assert (pairs[:, 0] != pairs[:, 1]).all()


def flat(x):
    return x.reshape(len(x), -1).astype(np.float64)


def test_an_interpolation_is_measured_as_latent_and_evaluate_say(network, images, ground):
    found = ground.interpolate(network)
    x_a, x_b = images.x_train[ground.pairs[:, 0]], images.x_train[ground.pairs[:, 1]]
    z_a, z_b = latent.encode(network, x_a), latent.encode(network, x_b)
    pictures = latent.interpolate_images(network, x_a, x_b, 5)
    np.testing.assert_allclose(found.evenness, latent.evenness(pictures), rtol=1e-6)
    np.testing.assert_allclose(found.detour, latent.detour(pictures), rtol=1e-6)
    np.testing.assert_allclose(found.midpoint_sharpness, evaluate.sharpness(pictures[:, 2]), rtol=1e-5)
    np.testing.assert_allclose(found.midpoint_distance, ground.nearest.distances(pictures[:, 2]), rtol=1e-5)
    z = latent.interpolate(z_a, z_b)
    np.testing.assert_allclose(found.drift, latent.drift(network, z, images.image_shape), rtol=1e-4)
    assert (found.detour >= 1 - 1e-9).all()
    z = latent.interpolate(z_a, z_b, spherical=True)
    spherical = latent.evenness(latent.decode_steps(network, z, images.image_shape))
    np.testing.assert_allclose(ground.interpolate(network, spherical=True).evenness, spherical, rtol=1e-5)
    assert not np.allclose(spherical, found.evenness)


def test_the_nearest_image_is_measured_in_units_of_the_usual_distance(images):
    near = Nearest(images, seed=0)
    x = flat(images.x_train / 255)
    between = pairwise_distances(x) + 1e9 * np.eye(len(x))
    assert near.usual == pytest.approx(np.median(between.min(axis=1)), rel=1e-4)
    pictures = RNG.uniform(size=(7, *images.image_shape)).astype(np.float32)
    nearest = pairwise_distances(flat(pictures), x).min(axis=1)
    np.testing.assert_allclose(near.distances(pictures), nearest / near.usual, rtol=1e-4)
    np.testing.assert_allclose(near.distances(images.x_train[:5]), 0, atol=1e-4)


def test_equal_images_have_a_usual_distance():
    x = np.full((6, 4, 4), 7, np.uint8)
    assert Nearest(ImageSet("same", x, x), seed=0).usual == 1


def test_a_cross_fade_is_even_and_straight_and_has_no_drift(images, ground):
    np.testing.assert_allclose(ground.cross_fade.evenness, 1, rtol=1e-5)
    np.testing.assert_allclose(ground.cross_fade.detour, 1, rtol=1e-5)
    a, b = (images.x_train[ground.pairs[:, end]] / np.float32(255) for end in (0, 1))
    real = np.concatenate([evaluate.sharpness(a), evaluate.sharpness(b)]).mean()
    means = ground.means(ground.cross_fade)
    assert means.drift is None
    assert means.midpoint_sharpness == pytest.approx(evaluate.sharpness((a + b) / 2).mean() / real, rel=1e-4)


def test_pca_interpolates_straight_between_its_own_reconstructions(ground, pca):
    found = ground.interpolate_pca(pca, 3)
    np.testing.assert_allclose(found.evenness, 1, rtol=1e-4)
    np.testing.assert_allclose(found.detour, 1, rtol=1e-4)
    assert (found.drift == 0).all()
    full = ground.interpolate_pca(pca, pca.axes.shape[1])
    np.testing.assert_allclose(full.midpoint_distance, ground.cross_fade.midpoint_distance, atol=1e-3)


def test_the_summary_has_means_over_the_pairs_and_paired_tests_against_both_references(images, network, ground, pca):
    networks = {Job(5, 0): network, Job(9, 1): Network(images.pixels, 9, hidden=(24,))}
    values, found = ground.interpolate_all(networks, pca, ground.pairs[:4])
    spherical = {job: ground.interpolate(n, spherical=True) for job, n in networks.items()}
    scores = {job: ground.interpolate_pca(pca, job.latent_dim) for job in values}
    fades = dict.fromkeys(values, ground.cross_fade)
    assert found.pairs == tuple(map(tuple, ground.pairs[:4].tolist()))
    assert found.measured_pairs == len(ground.pairs)
    assert [model.job for model in found.models] == [*values]
    assert [row.latent_dim for row in found.pca] == [5, 9]
    given = [*values.values(), *spherical.values(), *scores.values(), ground.cross_fade]
    for row, of in zip([*found.models, *found.spherical, *found.pca, found.cross_fade], given, strict=True):
        means = ground.means(of)
        assert {name: getattr(row, name) for name in vars(means)} == vars(means)
        for name in ("evenness", "detour", "midpoint_distance"):
            assert getattr(row, name) == getattr(of, name).mean()
    for reference, of in (("cross_fade", fades), ("pca", scores)):
        for name in interpolation.TESTED:
            tests = family([paired(getattr(of[job], name), getattr(values[job], name)) for job in values])
            assert [getattr(getattr(model.against, reference), name) for model in found.models] == tests
