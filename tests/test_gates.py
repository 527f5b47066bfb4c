"""Training checks fail past their limits, and for their reason alone."""

from dataclasses import replace

import numpy as np
import pytest

from latentfit.measure import gates, network
from latentfit.recipe import CONVERGED, RECIPES, REFERENCE, Epoch, Job, Recipe
from latentfit.results import FailedModel, Gate

STEADY = [Epoch(1, 0.012), Epoch(2, 0.012)]
SPREAD = 0.001 * np.tile([1, -1], 8)  # of 16 images: a standard error of SPREAD_ERROR
SPREAD_ERROR = 0.001 / 15**0.5
ERRORS = 0.0105 + SPREAD
SOUND = {
    "train_mse": 0.01,
    "test_errors": ERRORS,
    "pca_errors": np.full(16, 0.02),
    "test_variance": 0.1,
    "history": STEADY,
    "recipe": Recipe(hidden=(32, 16)),
    "code_std": (1.0, 1.0, 0.5, 0.2),
    "unlike": 0.0,
}
BUDGETED = {"recipe": CONVERGED, "history": [Epoch(7, 0.012), Epoch(60, 0.002)]}  # the training error still falls


def falling(share):
    return [Epoch(1, 0.012), Epoch(2, 0.012 * (1 - share))]


def above(errors):
    """PCA's errors where the network's lie above them by so many standard errors."""
    return {"pca_errors": np.full(16, 0.0105 - errors * SPREAD_ERROR)}


@pytest.mark.parametrize(
    ("changes", "name", "value", "limit"),
    [
        (above(2.01), "worse_than_pca", 2.01, 2),
        ({"pca_errors": ERRORS - 1e-6}, "worse_than_pca", 1e6, 2),  # all images differ alike
        ({"history": falling(0.011)}, "still_falling", 0.011, 0.01),
        (BUDGETED, "still_falling", 60, 60),  # what ended it was the budget
        ({"history": STEADY[:1]}, "single_epoch", 1, 0),
        ({"history": []}, "untrained", 1, 0),
        ({"history": [], "recipe": CONVERGED}, "untrained", 1, 0),
        ({"code_std": (1.0, 1.0, 0.5, 0.001)}, "dead_dimensions", 1, 0),
        ({"code_std": (0.0,) * 4}, "dead_dimensions", 4, 0),
        ({"recipe": Recipe(hidden=(32, 4))}, "narrow_hidden", 1, 1),
        ({"recipe": Recipe(hidden=(3, 32))}, "narrow_hidden", 4 / 3, 1),
        ({"train_mse": 0.0105 - 0.00301}, "overfitted", 0.0301, 0.03),
        ({"unlike": 0.101}, "unlike_training", 0.101, 0.1),
    ],
)
def test_each_fails_alone_past_its_limit(changes, name, value, limit):
    assert gates.fired(**SOUND | changes) == (Gate(name, pytest.approx(value), limit),)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        above(1.99),
        above(-50),
        {"pca_errors": ERRORS - 0.9e-7},  # a rounding of the variance
        {"pca_errors": np.array([0.01]), "test_errors": np.array([0.011])},  # one image has no spread
        {"history": falling(0.009)},
        {"history": falling(-0.5)},
        BUDGETED | {"history": [Epoch(7, 0.012), Epoch(59, 0.002)]},
        BUDGETED | {"history": [Epoch(59, 0.002)]},  # one row of many epochs
        BUDGETED | {"recipe": replace(CONVERGED, epochs=61)},
        {"code_std": (1.0, 1.0, 0.5, 0.02)},
        {"recipe": Recipe(hidden=(32, 5))},
        {"recipe": Recipe(hidden=())},
        {"recipe": Recipe(hidden=(4,), initialization="pca", output="clamp")},  # a linear path leads beside it
        {"train_mse": 0.0105 - 0.00299},
        {"train_mse": 0.02},
        {"unlike": 0.1},
        {"unlike": None},
        {"train_mse": 0.0, "test_errors": np.zeros(16)},
        {"train_mse": 0.0, "test_errors": np.zeros(16), "history": STEADY[:1]},
        above(9) | {"test_variance": 0.0, "train_mse": 0.0},
    ],
)
def test_none_fails_before_its_limit(changes):
    assert gates.fired(**SOUND | changes) == ()


RNG = np.random.default_rng(0)
CLOUD = RNG.uniform(0, 1, (3000, 8)) ** 2


@pytest.mark.parametrize(
    ("test", "low", "high"),
    [
        (CLOUD[1000:], 0, 0.02),  # other images of one source
        (CLOUD[1000:1099], None, None),  # too few to compare
        (CLOUD[1000:] + 0.1, 0.1, 0.3),  # another mean
        (0.5 * CLOUD[1000:] + 0.5 * CLOUD.mean(axis=0), 0.5, 0.8),  # half the deviation
        (1.5 * CLOUD[1000:] - 0.5 * CLOUD.mean(axis=0), 0.8, 1.3),
    ],
    ids=["alike", "few", "brighter", "flatter", "wilder"],
)
def test_test_images_are_unlike_training_images_by_their_mean_or_variance(test, low, high):
    train = CLOUD[:1000]
    distances = np.square(test - train.mean(axis=0)).mean(axis=1)
    variance = np.square(train - train.mean(axis=0)).mean()
    found = gates.unlike_training(test.mean(axis=0), train.mean(axis=0), distances, variance, len(train))
    assert found is None if low is None else low <= found <= high
    assert gates.unlike_training(test.mean(axis=0), train.mean(axis=0), distances, 0.0, len(train)) is None


@pytest.mark.parametrize(("n", "share"), [(100, 0.02), (300, 0)])
def test_sets_of_one_source_are_seldom_unlike(n, share):
    rng, found = np.random.default_rng(n), []
    for _ in range(200):
        train, test = rng.normal(0, 1, (2, n, 6)) * [5, 3, 2, 1, 1, 1]
        distances = np.square(test - train.mean(axis=0)).mean(axis=1)
        variance = np.square(train - train.mean(axis=0)).mean()
        found.append(gates.unlike_training(test.mean(axis=0), train.mean(axis=0), distances, variance, n))
    assert np.mean(np.array(found) > 0.1) <= share


def test_codes_that_are_all_equal_use_no_dimension():
    assert gates.in_use([0.0, 0.0]) == 0


@pytest.mark.parametrize("name", gates.GATES)
def test_each_says_what_it_means_and_what_to_do(name):
    check = gates.GATES[name]
    assert check.words
    assert check.short
    assert gates.advice(name, REFERENCE) == check.advice or "--recipe converged" in gates.advice(name, REFERENCE)
    assert "--recipe" not in gates.advice(name, CONVERGED)  # the study has that recipe


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_check_says_what_it_means_for_its_recipe(recipe):
    by_budget = gates.check_of("still_falling", recipe).words == gates.BUDGET
    assert by_budget == (recipe.schedule == "plateau")
    assert gates.check_of("dead_dimensions", recipe) == gates.GATES["dead_dimensions"]


def test_checks_of_the_images_bound_nothing():
    assert set(gates.GATES) - set(gates.bounding(gates.GATES)) == {"overfitted", "unlike_training"}


def test_names_are_of_all_networks_in_the_order_of_the_table():
    models = [
        FailedModel(2, seed, "failed", "it broke", tuple(Gate(name, 1, 0) for name in names))
        for seed, names in enumerate([["overfitted"], ["still_falling", "overfitted"]])
    ]
    assert gates.names(models) == ("still_falling", "overfitted")
    assert gates.names([]) == ()


def test_a_failed_training_fails_a_check():
    assert network.failed(Job(2, 0), "it broke").gates == (Gate("failed", 1.0, 0),)


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
    assert gates.last_tenth_fall(history) == (None if fall is None else pytest.approx(fall))
