"""The numbers of a study: one row a network, and comparisons that know what chance does."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from latentfit import evaluate, latent, measure, train
from latentfit.data.images import ImageSet
from latentfit.measure import PerImage, Yardsticks, choose, holm, paired
from latentfit.train import Epoch, Job, Measured, build

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def yard(images):
    return Yardsticks.of(images)


@pytest.fixture(scope="module")
def network(images, quick, trained):
    network = build(images, quick, 5, seed=0)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in trained[1].weights.items()})
    return network


def values(jobs, n=60, p=40):
    quantities = {
        job: (RNG.uniform(1, 2, n), RNG.uniform(size=n), RNG.uniform(size=p), RNG.uniform(size=p)) for job in jobs
    }
    return {Job(*job): PerImage(*arrays) for job, arrays in quantities.items()}


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
    for pairs in (measure.shown_pairs(images, seed=0), measure.random_pairs(images, seed=0)):
        labels = images.y_train[pairs]
        assert (labels[:, 0] != labels[:, 1]).all()


def test_random_pairs_share_no_image_and_meet_every_couple_of_classes():
    x, y = np.zeros((6000, 1, 2), np.uint8), np.arange(6000) % 10
    pairs = measure.random_pairs(ImageSet("plain", x, x, y, y), seed=0)
    assert pairs.shape == (measure.MEASURED_PAIRS, 2)
    assert len(np.unique(pairs)) == pairs.size
    assert len({frozenset(couple) for couple in y[pairs].tolist()}) == 45
    assert not np.array_equal(pairs, measure.random_pairs(ImageSet("plain", x, x, y, y), seed=1))


@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_random_pairs_of_few_images_are_fewer(n):
    x = np.zeros((n, 1, 2), np.uint8)
    pairs = measure.random_pairs(ImageSet("few", x, x), seed=0)
    assert pairs.shape == (max(1, n // 2), 2)
    assert len(np.unique(pairs)) == min(n, pairs.size)


def test_pairs_without_labels_are_of_different_images():
    x = np.zeros((7, 3, 3), np.uint8)
    pairs = measure.shown_pairs(ImageSet("plain", x, x), seed=0)
    assert pairs.shape == (4, 2)
    assert (pairs[:, 0] != pairs[:, 1]).all()


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_leaves_out_what_was_not_tested():
    assert holm([None, 0.03, None, 0.01]) == [None, 0.03, None, 0.02]


@pytest.mark.parametrize("n", [2, 5, 300])
def test_paired_is_students_test(n):
    a = RNG.normal(size=n)
    b = a + RNG.normal(0.1, 0.5, n)
    test = paired(a, b)
    oracle = stats.ttest_rel(b, a)
    interval = oracle.confidence_interval(0.95)
    assert test["p"] == pytest.approx(oracle.pvalue)
    assert test["interval"] == pytest.approx([interval.low, interval.high])
    assert test["means"] == pytest.approx([a.mean(), b.mean()])
    assert test["difference"] == pytest.approx(b.mean() - a.mean())
    assert test["share_lower"] == sum(y < x for x, y in zip(a, b, strict=True)) / n


def test_paired_of_the_same_values_finds_nothing():
    a = RNG.normal(size=20)
    assert paired(a, a) == {
        "means": [a.mean(), a.mean()],
        "difference": 0,
        "share_lower": 0,
        "share_higher": 0,
        "interval": [0, 0],
        "p": 1,
    }


def test_paired_of_a_constant_difference_is_certain():
    assert paired(np.zeros(20), np.full(20, 0.5))["p"] == 0


def test_paired_of_a_single_image_has_no_chance_to_weigh():
    test = paired(np.array([1.0]), np.array([3.0]))
    assert (test["difference"], test["interval"], test["p"]) == (2, None, None)


@pytest.mark.parametrize(
    ("errors", "fall"),
    [
        ([1.0], None),
        ([1.0, 0.9], 0.1),
        ([4.0, 3.0, 2.0, 1.0], 0.5),
        ([*range(20, 2, -1), 2.5, 1.5], 0.5),
        ([9.0] * 9 + [10.0], -1 / 9),
        ([0.0, 0.0], None),
    ],
)
def test_last_tenth_fall_by_hand(errors, fall):
    history = [Epoch(i, error, 99.0) for i, error in enumerate(errors, start=1)]
    assert measure.last_tenth_fall(history) == (None if fall is None else pytest.approx(fall))


def test_a_row_holds_what_evaluate_and_latent_say(network, images, trained, yard):
    row = measure.row(trained[1], images, yard)
    x_hat = evaluate.reconstruct(network, images.x_test)
    train, test = evaluate.mse(network, images.x_train), evaluate.mse(network, images.x_test)
    mean = images.x_train.mean(axis=0)
    errors = evaluate.image_errors(network, images.x_test)
    assert row == {
        "latent_dim": 5,
        "seed": 0,
        "status": "ok",
        "reason": None,
        "gates": [],
        "train_mse": train,
        "test_mse": test,
        "test_psnr": evaluate.psnr(test),
        "test_ssim": evaluate.ssim(images.x_test, x_hat),
        "test_mse_by_class": pytest.approx([errors[images.y_test == c].mean() for c in range(3)]),
        "effective_dim": latent.effective_dim(latent.encode(network, images.x_test)),
        "train_explained_variance": pytest.approx(1 - train / np.square((images.x_train - mean) / 255).mean()),
        "test_explained_variance": pytest.approx(1 - test / np.square((images.x_test - mean) / 255).mean()),
        "test_sharpness": pytest.approx(evaluate.sharpness(x_hat).mean() / evaluate.sharpness(images.x_test).mean()),
        "pca_components_for_test_mse": evaluate.pca(images.x_train, images.x_test).components_for(test),
        "last_tenth_fall": measure.last_tenth_fall(trained[1].history),
    }


def test_a_failed_row_has_the_same_keys_and_no_number(images, trained, yard):
    row = measure.row(trained[1], images, yard)
    failed = measure.failed_row(Job(5, 0), "it broke")
    assert list(failed) == list(row)
    assert (failed["latent_dim"], failed["seed"], failed["status"], failed["reason"]) == (5, 0, "failed", "it broke")
    assert all(failed[name] is None for name in measure.NUMBERS)
    diverged = replace(trained[1], weights={}, measured=None, reason="it broke")
    assert measure.row(diverged, images, yard) == failed


def test_without_labels_there_are_no_classes(images):
    plain = ImageSet("plain", images.x_train, images.x_test)
    assert measure.by_class(np.ones(40), plain) is None


def test_images_without_variance_explain_nothing(network, images, trained, yard):
    grey = ImageSet("grey", np.full_like(images.x_train, 90), np.full_like(images.x_test, 90))
    flat = replace(yard, variance={"train": 0.0, "test": 0.0}, test_sharpness=evaluate.sharpness(grey.x_test))
    row = measure.row(replace(trained[1], measured=Measured.of(network, grey)), grey, flat)
    assert row["train_explained_variance"] is row["test_explained_variance"] is row["test_sharpness"] is None


def test_yardsticks_are_those_of_the_images(images, yard):
    mean = images.x_train.mean(axis=0)
    for split, x in (("train", images.x_train), ("test", images.x_test)):
        assert yard.variance[split] == pytest.approx(np.square((x - mean) / 255).mean())
        assert yard.pca.at(split, 0) == pytest.approx(yard.variance[split], rel=1e-4)
    np.testing.assert_array_equal(yard.test_sharpness, evaluate.sharpness(images.x_test))


def test_pca_rows(yard):
    (few, many) = measure.pca_rows(yard, [3, 4000])
    assert few == {"latent_dim": 3, "train_mse": yard.pca.train[3], "test_mse": yard.pca.test[3]}
    assert many == {"latent_dim": 4000, "train_mse": yard.pca.train[-1], "test_mse": yard.pca.test[-1]}


def test_values_of_each_image_and_each_walk(network, images):
    pairs = measure.random_pairs(images, seed=0)[:12]
    value = measure.per_image(network, images, pairs)
    a, b = images.x_train[pairs[:, 0]], images.x_train[pairs[:, 1]]
    walk = latent.walk(network, a, b, 5)
    np.testing.assert_array_equal(value.test_mse, evaluate.image_errors(network, images.x_test))
    np.testing.assert_array_equal(value.sharpness, evaluate.sharpness(evaluate.reconstruct(network, images.x_test)))
    np.testing.assert_array_equal(value.evenness, latent.evenness(walk))
    np.testing.assert_array_equal(value.midpoint_sharpness, evaluate.sharpness(walk[:, 2]))


def test_what_a_worker_measured_is_taken_and_is_the_same(network, images, trained):
    pairs = measure.random_pairs(images, seed=0)[:12]
    again = measure.per_image(network, images, pairs)
    for taken in (trained[1].measured, replace(trained[1].measured, test_sharpness=np.arange(90.0))):
        value = measure.per_image(network, images, pairs, taken)
        np.testing.assert_array_equal(value.test_mse, again.test_mse)
        np.testing.assert_array_equal(value.sharpness, taken.test_sharpness)
    np.testing.assert_array_equal(trained[1].measured.test_sharpness, again.sharpness)


def test_interpolation_is_held_against_the_real_pictures_and_a_fade(images):
    pairs = measure.random_pairs(images, seed=0)[:12]
    found = measure.interpolation(values([(2, 0), (5, 1)], p=12), images, pairs[:4], pairs)
    a, b = images.x_train[pairs[:, 0]], images.x_train[pairs[:, 1]]
    real = np.concatenate([evaluate.sharpness(a), evaluate.sharpness(b)]).mean()
    half_way = ((a.astype(float) + b) / 2 / 255).astype(np.float32)
    assert found["pairs"] == pairs[:4].tolist()
    assert found["measured_pairs"] == 12
    assert [(m["latent_dim"], m["seed"]) for m in found["models"]] == [(2, 0), (5, 1)]
    fade = {"evenness": 1.0, "midpoint_sharpness": pytest.approx(evaluate.sharpness(half_way).mean() / real)}
    assert found["cross_fade"] == fade


def test_interpolation_gives_means_over_walks(images):
    pairs = measure.random_pairs(images, seed=0)[:12]
    given = values([(2, 0)], p=12)
    (model,) = measure.interpolation(given, images, pairs[:4], pairs)["models"]
    real = evaluate.sharpness(images.x_train[pairs.ravel()]).mean()
    assert model["evenness"] == pytest.approx(given[Job(2, 0)].evenness.mean())
    assert model["midpoint_sharpness"] == pytest.approx(given[Job(2, 0)].midpoint_sharpness.mean() / real)


@pytest.mark.parametrize(
    ("sizes", "couples"),
    [
        ([], []),
        ([16], []),
        ([48, 16], [[16, 48]]),
        ([4, 8, 16], [[4, 8], [8, 16], [4, 16]]),
        ([2, 4, 8, 16], [[2, 4], [4, 8], [8, 16], [2, 16]]),
    ],
)
def test_comparisons_are_of_neighbours_and_of_the_widest(sizes, couples):
    rows = measure.comparisons(values([(k, s) for k in sizes for s in (3, 1)]))
    assert [row["latent_dims"] for row in rows] == couples
    assert {row["seed"] for row in rows} <= {1}


def test_comparisons_are_paired_tests_with_holms_p():
    given = values([(4, 0), (8, 0), (16, 0)])
    jobs = list(given)
    rows = measure.comparisons(given)
    couples = [*pairwise(jobs), (jobs[0], jobs[-1])]
    for name in ("test_mse", "sharpness", "evenness", "midpoint_sharpness"):
        tests = [paired(getattr(given[a], name), getattr(given[b], name)) for a, b in couples]
        adjusted = holm([test["p"] for test in tests])
        assert [row[name] for row in rows] == [t | {"p": p, "family": 3} for t, p in zip(tests, adjusted, strict=True)]
        assert [row[name]["p"] for row in rows] != [t["p"] for t in tests]


@pytest.mark.parametrize(("sizes", "family"), [([16, 48], 1), ([4, 8, 16], 3), ([2, 4, 8, 16], 4)])
def test_the_family_is_all_comparisons_of_a_quantity(sizes, family):
    rows = measure.comparisons(values([(k, s) for k in sizes for s in (0, 1)]))
    names = ("test_mse", "sharpness", "evenness", "midpoint_sharpness")
    assert {row[name]["family"] for row in rows for name in names} == {family} == {len(rows)}


def test_against_pca_is_a_paired_test_over_the_same_images(images, yard):
    given = values([(2, 0), (2, 1), (5, 0)], n=len(images.x_test))
    rows = measure.against_pca(given, yard)
    assert [(row["latent_dim"], row["seed"], row["components"]) for row in rows] == [(2, 0, 2), (2, 1, 2), (5, 0, 5)]
    linear = [yard.pca.test_images[:, row["components"]].astype(float) for row in rows]
    p = [stats.ttest_rel(value.test_mse, pca).pvalue for value, pca in zip(given.values(), linear, strict=True)]
    assert [row["test_mse"]["p"] for row in rows] == pytest.approx(holm(p))
    for row, value, pca in zip(rows, given.values(), linear, strict=True):
        assert row["test_mse"] == paired(pca, value.test_mse) | {"p": row["test_mse"]["p"], "family": 3}
        assert row["test_mse"]["difference"] > 0  # these networks are far worse than PCA
        assert row["test_mse"]["means"][0] == pytest.approx(yard.pca.at("test", row["components"]), rel=1e-5)
    json.dumps(rows, allow_nan=False)


def test_against_pca_takes_all_components_where_there_are_fewer_than_dimensions(images, yard):
    (row,) = measure.against_pca(values([(4000, 0)], n=len(images.x_test)), yard)
    assert (row["latent_dim"], row["components"]) == (4000, len(images.x_train) - 1)  # around their mean
    assert row["test_mse"]["means"][0] == pytest.approx(yard.pca.test[-1], rel=1e-5)


def test_a_network_worse_than_any_picture_is_failed_and_holds_no_nan(images, yard):
    wild = train.Recipe(output="linear", learning_rate=1e3, batch_size=1000, epochs=1)
    (trained,) = train.train_group([(3, 0)], images, wild)
    row = measure.row(trained, images, yard)
    assert row["status"] == "failed"
    assert "larger than that of any picture" in row["reason"]
    json.dumps(row, allow_nan=False)
