"""Training checks fail past their limits, and for their reason alone."""

import pytest

from latentfit.measure import gates, network
from latentfit.recipe import Epoch, Job
from latentfit.results import FailedModel, Gate

SOUND = {
    "latent_dim": 4,
    "train_mse": 0.01,
    "test_mse": 0.011,
    "pca_test_mse": 0.02,
    "test_variance": 0.1,
    "falling": 0.005,
    "hidden": (32, 16),
    "code_std": (1.0, 1.0, 0.5, 0.2),
}


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"pca_test_mse": 0.0099}, "worse_than_pca", 0.011),
        ({"falling": 0.011}, "still_falling", 0.011),
        ({"falling": None}, "single_epoch", 1.0),
        ({"code_std": (1.0, 1.0, 0.5, 0.001)}, "dead_dimensions", 1),
        ({"code_std": (0.0,) * 4}, "dead_dimensions", 4),
        ({"hidden": (32, 4)}, "narrow_hidden", 1.0),
        ({"hidden": (3, 32)}, "narrow_hidden", 4 / 3),
        ({"train_mse": 0.0084}, "overfitted", 0.011 / 0.0084 - 1),
    ],
)
def test_each_fails_alone_past_its_limit(changes, name, value):
    assert gates.fired(**SOUND | changes) == (Gate(name, pytest.approx(value), gates.GATES[name].limit),)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pca_test_mse": 0.0101},
        {"falling": 0.0099},
        {"code_std": (1.0, 1.0, 0.5, 0.02)},
        {"hidden": (32, 5)},
        {"hidden": ()},
        {"train_mse": 0.0086},
        {"train_mse": 0.0, "test_mse": 0.0},
        {"train_mse": 0.0, "test_mse": 0.0, "falling": None},
        {"test_variance": 0.0},
    ],
)
def test_none_fails_before_its_limit(changes):
    assert gates.fired(**SOUND | changes) == ()


def test_codes_that_are_all_equal_use_no_dimension():
    assert gates.in_use([0.0, 0.0]) == 0


@pytest.mark.parametrize("name", gates.GATES)
def test_each_says_what_it_means_and_what_to_do(name):
    check = gates.GATES[name]
    assert check.words
    assert check.short
    assert gates.advice(name, "reference") == check.advice or "--recipe thorough" in gates.advice(name, "reference")
    assert "--recipe" not in gates.advice(name, "thorough")  # the study has that recipe


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
