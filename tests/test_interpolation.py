"""Which pairs are walked, and what is measured of a walk."""

import json

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from latentfit import evaluate, latent
from latentfit.data.images import ImageSet
from latentfit.measure import interpolation
from latentfit.measure.interpolation import Ground, Nearest, choose
from latentfit.recipe import Job
from latentfit.stats import holm, paired

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def ground(images):
    return Ground.of(images, seed=0)


@pytest.fixture(scope="module")
def pca(images):
    return evaluate.pca(images.x_train, images.x_test)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_neighbours_are_of_different_classes(classes):
    labels = RNG.integers(0, classes, 200)
    chosen = labels[choose(150, labels, 200, seed=0)]
    assert (chosen[1:] != chosen[:-1]).all()
    assert set(chosen[:classes]) == set(range(classes))


def test_neighbours_differ_also_when_one_class_is_all_but_empty():
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
        labels = images.y_train[pairs]
        assert (labels[:, 0] != labels[:, 1]).all()


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


def test_a_walk_is_measured_as_latent_and_evaluate_say(network, images, ground):
    walked = ground.walk(network)
    a, b = images.x_train[ground.pairs[:, 0]], images.x_train[ground.pairs[:, 1]]
    pictures = latent.walk(network, a, b, 5)
    np.testing.assert_allclose(walked.evenness, latent.evenness(pictures), rtol=1e-6)
    np.testing.assert_allclose(walked.detour, latent.detour(pictures), rtol=1e-6)
    np.testing.assert_allclose(walked.midpoint_sharpness, evaluate.sharpness(pictures[:, 2]), rtol=1e-5)
    assert (walked.detour >= 1 - 1e-9).all()
    assert {len(v) for v in vars(walked).values()} == {len(ground.pairs)}


def test_the_nearest_image_is_the_nearest_in_units_of_the_usual_distance(images):
    near = Nearest(images, seed=0)
    x = flat(images.x_train / 255)
    between = pairwise_distances(x) + 1e9 * np.eye(len(x))
    assert near.usual == pytest.approx(np.median(between.min(axis=1)), rel=1e-4)
    pictures = RNG.uniform(size=(7, *images.image_shape)).astype(np.float32)
    nearest = pairwise_distances(flat(pictures), x).min(axis=1)
    np.testing.assert_allclose(near.distances(pictures), nearest / near.usual, rtol=1e-4)
    np.testing.assert_allclose(near.distances(images.x_train[:5]), 0, atol=1e-4)


def test_fading_is_even_and_straight_and_has_nothing_to_drift(images, ground):
    faded = ground.faded
    np.testing.assert_allclose(faded.evenness, 1, rtol=1e-5)
    np.testing.assert_allclose(faded.detour, 1, rtol=1e-5)
    told = ground.told(faded)
    assert told["drift"] is None
    a, b = (images.x_train[ground.pairs[:, end]] / 255 for end in (0, 1))
    real = np.concatenate([evaluate.sharpness(x.astype(np.float32)) for x in (a, b)]).mean()
    half_way = evaluate.sharpness(((a + b) / 2).astype(np.float32)).mean()
    assert told["midpoint_sharpness"] == pytest.approx(half_way / real, rel=1e-4)


def test_pca_walks_straight_through_its_own_reconstructions(images, ground, pca):
    walked = ground.along_pca(pca, 3)
    np.testing.assert_allclose(walked.evenness, 1, rtol=1e-4)
    np.testing.assert_allclose(walked.detour, 1, rtol=1e-4)
    assert (walked.drift == 0).all()
    full = pca.axes.shape[1]
    np.testing.assert_allclose(ground.along_pca(pca, full).midpoint_distance, ground.faded.midpoint_distance, atol=1e-3)


def test_interpolation_gives_means_over_the_walks(network, ground, pca):
    walked = {Job(5, 0): ground.walk(network)}
    found = interpolation.interpolation(
        ground, walked, {Job(5, 0): ground.walk(network, spherical=True)}, pca, ground.pairs[:4]
    )
    assert found["pairs"] == ground.pairs[:4].tolist()
    assert found["measured_pairs"] == len(ground.pairs)
    (model,), (spherical,), (linear,) = found["models"], found["spherical"], found["pca"]
    for name in ("evenness", "detour", "drift", "midpoint_distance"):
        assert model[name] == getattr(walked[Job(5, 0)], name).mean()
    assert (model["latent_dim"], model["seed"], linear["latent_dim"]) == (5, 0, 5)
    assert spherical["detour"] != model["detour"]
    assert found["cross_fade"]["evenness"] == pytest.approx(1)


def test_walks_are_tested_in_pairs_against_fading_and_pca(network, ground, pca):
    walked = {Job(5, 0): ground.walk(network), Job(9, 1): ground.walk(network, spherical=True)}
    models = interpolation.interpolation(ground, walked, {}, pca, ground.pairs[:4])["models"]
    assert all(list(model["against"]) == ["cross_fade", "pca"] for model in models)
    linear = {job: ground.along_pca(pca, job.latent_dim) for job in walked}
    for reference, of in (("cross_fade", dict.fromkeys(walked, ground.faded)), ("pca", linear)):
        assert all(list(model["against"][reference]) == list(interpolation.REFERRED) for model in models)
        for name in interpolation.REFERRED:
            tests = [paired(getattr(of[job], name), getattr(value, name)) for job, value in walked.items()]
            told = [test | {"p": p, "family": 2} for test, p in zip(tests, holm([t["p"] for t in tests]), strict=True)]
            assert [model["against"][reference][name] for model in models] == told
    json.dumps(models, allow_nan=False)


def test_images_that_are_all_the_same_have_a_usual_distance():
    x = np.full((6, 4, 4), 7, np.uint8)
    assert Nearest(ImageSet("same", x, x), seed=0).usual == 1
