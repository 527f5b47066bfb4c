"""Gates fire at their limits, and for their reason alone."""

import pytest

from latentfit.measure import gates
from latentfit.recipe import Epoch

SOUND = {"latent_dim": 4, "train_mse": 0.01, "test_mse": 0.011, "last_tenth_fall": 0.005}
STD = [1.0, 1.0, 0.5, 0.2]


def fired(row=SOUND, pca=0.02, variance=0.1, hidden=(32, 16), std=STD):
    return {g["name"]: g["value"] for g in gates.fired(row, pca, variance, hidden, std)}


def test_a_sound_training_fires_none():
    assert fired() == {}


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"pca": 0.0099}, "worse_than_pca", 0.011),
        ({"row": SOUND | {"last_tenth_fall": 0.011}}, "still_falling", 0.011),
        ({"row": SOUND | {"last_tenth_fall": None}}, "single_epoch", 1.0),
        ({"std": [1.0, 1.0, 0.5, 0.001]}, "dead_dimensions", 1),
        ({"hidden": (32, 4)}, "narrow_hidden", 1.0),
        ({"hidden": (3, 32)}, "narrow_hidden", 4 / 3),
        ({"row": SOUND | {"train_mse": 0.0084}}, "overfitted", 0.011 / 0.0084 - 1),
    ],
)
def test_each_fires_alone_past_its_limit(changes, name, value):
    assert fired(**changes) == {name: pytest.approx(value)}
    (gate,) = gates.fired(
        **{"row": SOUND, "pca_test_mse": 0.02, "test_variance": 0.1, "hidden": (32, 16), "code_std": STD}
        | {{"pca": "pca_test_mse", "std": "code_std"}.get(key, key): value for key, value in changes.items()}
    )
    assert gate["limit"] == gates.GATES[name].limit


@pytest.mark.parametrize(
    "changes",
    [
        {"pca": 0.0101},
        {"row": SOUND | {"last_tenth_fall": 0.0099}},
        {"std": [1.0, 1.0, 0.5, 0.02]},
        {"hidden": (32, 5)},
        {"row": SOUND | {"train_mse": 0.0086}},
        {"row": SOUND | {"last_tenth_fall": None, "train_mse": 0.0, "test_mse": 0.0}},
        {"row": SOUND | {"train_mse": 0.0, "test_mse": 0.0}},
        {"variance": 0.0},
        {"hidden": ()},
    ],
)
def test_none_fires_before_its_limit(changes):
    assert fired(**changes) == {}


def test_codes_that_are_all_equal_use_no_dimension():
    assert gates.in_use([0.0, 0.0]) == 0
    assert fired(std=[0.0] * 4) == {"dead_dimensions": 4}


def test_every_gate_says_what_it_means_and_what_to_do():
    for gate in gates.GATES.values():
        assert gate.words
        assert gate.help
        assert gate.short


def test_nobody_is_told_to_take_the_recipe_they_took():
    told = "still falling (try --recipe thorough or more epochs)"
    assert gates.advice(told, "reference") == told
    assert gates.advice(told, "thorough") == "still falling (try more epochs)"


def test_names_are_those_that_fired_for_any_in_their_order():
    rows = [{"gates": [{"name": "overfitted"}]}, {"gates": [{"name": "still_falling"}, {"name": "overfitted"}]}]
    assert gates.names(rows) == ["still_falling", "overfitted"]
    assert gates.names([]) == []


def test_a_failed_training_is_a_gate():
    assert gates.failed() == [{"name": "failed", "value": 1.0, "limit": 0}]


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
