"""The numbers of a study: one row a network, and comparisons that know what chance does."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from latentfit import evaluate, latent, train
from latentfit.data.images import ImageSet
from latentfit.measure import gates
from latentfit.measure import network as measure
from latentfit.measure.interpolation import Walked
from latentfit.measure.network import PerImage, Yardsticks
from latentfit.recipe import Job, Recipe
from latentfit.stats import holm, paired
from latentfit.train import Measured

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def yard(images):
    return Yardsticks.of(images, [Job(2, 0)])


def values(jobs, n=60, p=40):
    draw = RNG.uniform
    return {Job(*job): PerImage(draw(1, 2, n), draw(size=n), Walked(*draw(size=(5, p)))) for job in jobs}


def test_a_row_holds_what_evaluate_and_latent_say(network, images, quick, trained, yard):
    row = measure.row(trained[1], images, quick, yard)
    x_hat = evaluate.reconstruct(network, images.x_test)
    train, test = evaluate.mse(network, images.x_train), evaluate.mse(network, images.x_test)
    mean = images.x_train.mean(axis=0)
    errors = evaluate.image_errors(network, images.x_test)
    assert row == {
        "latent_dim": 5,
        "seed": 0,
        "status": "ok",
        "reason": None,
        "gates": gates.fired(row, yard.pca.at("test", 5), yard.variance["test"], (24,), row["codes"]["std"]),
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
        "last_tenth_fall": gates.last_tenth_fall(trained[1].history),
        "dims_in_use": 5,
        "codes": {
            "std": pytest.approx(latent.encode(network, images.x_train).std(axis=0, dtype=float).tolist()),
            "low": latent.encode(network, images.x_train).min(axis=0).tolist(),
            "high": latent.encode(network, images.x_train).max(axis=0).tolist(),
        },
    }


def test_a_failed_row_has_the_same_keys_and_no_number(images, quick, trained, yard):
    row = measure.row(trained[1], images, quick, yard)
    failed = measure.failed_row(Job(5, 0), "it broke")
    assert list(failed) == list(row)
    assert (failed["latent_dim"], failed["seed"], failed["status"], failed["reason"]) == (5, 0, "failed", "it broke")
    assert all(failed[name] is None for name in measure.NUMBERS)
    diverged = replace(trained[1], weights={}, measured=None, reason="it broke")
    assert measure.row(diverged, images, quick, yard) == failed


def test_without_labels_there_are_no_classes(images):
    plain = ImageSet("plain", images.x_train, images.x_test)
    assert measure.by_class(np.ones(40), plain) is None


def test_images_without_variance_explain_nothing(network, images, quick, trained, yard):
    grey = ImageSet("grey", np.full_like(images.x_train, 90), np.full_like(images.x_test, 90))
    flat = replace(yard, variance={"train": 0.0, "test": 0.0}, test_sharpness=evaluate.sharpness(grey.x_test))
    row = measure.row(replace(trained[1], measured=Measured.of(network, grey)), grey, quick, flat)
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


def test_values_of_each_image(network, images, trained):
    value, measured = measure.per_image(network, images), trained[1].measured
    np.testing.assert_array_equal(value.test_mse, evaluate.image_errors(network, images.x_test))
    np.testing.assert_array_equal(value.sharpness, evaluate.sharpness(evaluate.reconstruct(network, images.x_test)))
    np.testing.assert_array_equal(value.test_mse, measured.test_errors)  # a worker's may be taken in their place
    np.testing.assert_array_equal(value.sharpness, measured.test_sharpness)


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


def test_sizes_are_compared_by_the_first_seed_that_each_trained_with():
    rows = measure.comparisons(values([(4, 1), (8, 0), (8, 1), (16, 1)]))
    told = [(row["latent_dims"], row["seed"]) for row in rows]
    assert told == [([4, 8], None), ([8, 16], None), ([4, 16], 1)]


def test_comparisons_are_paired_tests_with_holms_p():
    given = values([(4, 0), (8, 0), (16, 0)])
    jobs = list(given)
    rows = measure.comparisons(given)
    couples = [*pairwise(jobs), (jobs[0], jobs[-1])]
    for name in ("test_mse", "sharpness", *measure.WALKED):
        tests = [paired(given[a].of(name), given[b].of(name)) for a, b in couples]
        adjusted = holm([test["p"] for test in tests])
        assert [row[name] for row in rows] == [t | {"p": p, "family": 3} for t, p in zip(tests, adjusted, strict=True)]
        assert [row[name]["p"] for row in rows] != [t["p"] for t in tests]


@pytest.mark.parametrize(("sizes", "family"), [([16, 48], 1), ([4, 8, 16], 3), ([2, 4, 8, 16], 4)])
def test_the_family_is_all_comparisons_of_a_quantity(sizes, family):
    rows = measure.comparisons(values([(k, s) for k in sizes for s in (0, 1)]))
    names = ("test_mse", "sharpness", *measure.WALKED)
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


def test_one_test_image_or_none_that_varies_says_nothing_of_others(images, yard):
    given = values([(2, 0), (5, 0)], n=len(images.x_test))
    assert [entry["latent_dim"] for entry in measure.sampling(given, yard)] == [2, 5]
    flat = replace(yard, variance=yard.variance | {"test": 0.0})
    single = Yardsticks.of(replace(images, x_test=images.x_test[:1], y_test=images.y_test[:1]), [Job(2, 0)])
    assert measure.sampling(given, flat) == measure.sampling(values([(2, 0)], n=1), single) == []


@pytest.mark.parametrize("tested", [True, False])
def test_sizes_without_a_p_value_are_not_counted_in_the_family(tested):
    seeds = {2: 3, 4: 3, 8: 1, 16: 3} if tested else {2: 1, 4: 1}
    rows = [
        {"latent_dim": k, "status": "ok", "test_mse": error}
        for k, n in seeds.items()
        for error in RNG.normal(1 / k, 0.01, n)
    ]
    told = {tuple(c["latent_dims"]): c["test_mse"] for c in measure.size_comparisons(rows)}
    assert {couple: test["p"] is not None for couple, test in told.items()} == (
        {(2, 4): True, (4, 8): False, (8, 16): False, (2, 16): True} if tested else {(2, 4): False}
    )
    assert {test["family"] for test in told.values()} == {2 if tested else 0}


def test_a_network_worse_than_any_picture_is_failed_and_holds_no_nan(images, yard):
    wild = Recipe(output="linear", learning_rate=1e3, batch_size=1000, epochs=1)
    (trained,) = train.train_group([(3, 0)], images, wild)
    row = measure.row(trained, images, wild, yard)
    assert row["status"] == "failed"
    assert "larger than that of any picture" in row["reason"]
    json.dumps(row, allow_nan=False)


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("least", "varies"), [(1.5e-5, False), (1.6e-5, True)])
def test_next_to_no_variance_is_none(network, images, quick, trained, yard, split, least, varies):
    little = replace(yard, variance=yard.variance | {split: least})
    row = measure.row(trained[1], images, quick, little)
    assert little.varies == varies
    assert (row["train_explained_variance"] is not None) == (row["test_explained_variance"] is not None) == varies
    assert bool(measure.sampling({Job(5, 0): measure.per_image(network, images)}, little)) == varies
    assert varies or "worse_than_pca" not in [gate["name"] for gate in row["gates"]]
