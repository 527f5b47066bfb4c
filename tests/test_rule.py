"""The rule: what is enough, what is not, and what to try next."""

import numpy as np
import pytest

from latentfit.errors import InputError
from latentfit.measure import rule

TIGHT = np.array([-0.001, 0.0, 0.001])


def around(**means):
    """Three trainings of each size whose interval is ± 0.0025 around a mean: `around(k16=0.9)`."""
    return {int(name[1:]): (mean + TIGHT).tolist() for name, mean in means.items()}


def test_the_smallest_that_is_enough_with_the_largest_that_is_not():
    found = rule.answer(around(k4=0.7, k16=0.85, k32=0.91, k64=0.95), 0.9)
    assert (found["status"], found["latent_dim"], found["not_enough"]) == ("found", 32, 16)
    assert found["explained_variance"] == pytest.approx(0.91)
    assert found["interval"] == pytest.approx([0.91 - 0.00248, 0.91 + 0.00248], abs=1e-4)
    assert found["next"] == [24]


def test_enough_needs_the_whole_interval():
    found = rule.answer(around(k16=0.8, k20=0.9, k28=0.91), 0.9)
    assert (found["latent_dim"], found["not_enough"], found["open"]) == (28, 16, [20])
    assert found["next"] == [24]
    touching = {16: [0.9, 0.9, 0.9]}
    assert rule.answer(touching, 0.9)["latent_dim"] == 16  # at least
    assert rule.answer({16: [0.9 - 1e-9] * 3}, 0.9)["status"] == "not_reached"


def test_undecided_where_only_a_mean_is_as_high():
    found = rule.answer(around(k16=0.8, k32=0.901), 0.9)
    assert (found["status"], found["latent_dim"], found["not_enough"], found["best"]) == ("undecided", None, 16, 32)
    assert found["more_seeds"] >= 1
    assert found["next"] == [64]


def test_not_reached_tells_the_best():
    found = rule.answer(around(k16=0.8, k32=0.85), 0.9)
    assert (found["status"], found["latent_dim"], found["not_enough"], found["best"]) == ("not_reached", None, 32, 32)
    assert found["next"] == [64]


def test_one_seed_has_no_interval_and_decides_nothing():
    found = rule.answer({16: [0.88], 48: [0.91]}, 0.9)
    assert (found["status"], found["latent_dim"], found["interval"], found["best"]) == ("undecided", None, None, 48)
    assert found["more_seeds"] == rule.SEEDS - 1
    assert found["next"] == [32]
    assert rule.answer({16: [0.88]}, 0.9)["status"] == "not_reached"


def test_an_error_that_goes_up_with_size_does_not_move_the_answer():
    found = rule.answer(around(k4=0.8, k8=0.92, k16=0.85, k32=0.7), 0.9)
    assert (found["latent_dim"], found["not_enough"]) == (8, 4)
    assert rule.answer(around(k4=0.8, k8=0.7), 0.9)["next"] == [16]
    stuck = rule.answer(around(k4=0.8, k8=0.7, k16=0.75), 0.9)
    assert (stuck["status"], stuck["best"], stuck["next"]) == ("not_reached", 4, [])


def test_intervals_that_straddle_everywhere_decide_nothing():
    wide = {k: [0.7, 0.9, 1.0] for k in (4, 8, 16)}
    assert rule.answer(wide, 0.85)["status"] == "undecided"
    assert rule.answer(wide, 0.85)["not_enough"] is None
    assert rule.answer(wide, 0.85)["open"] == [4, 8, 16]


def test_nothing_trained_is_not_reached():
    found = rule.answer({}, 0.9)
    assert (found["status"], found["best"], found["next"]) == ("not_reached", None, [2])


@pytest.mark.parametrize("true", [*range(1, 30), 47, 64, 100])
def test_the_search_finds_the_smallest_size_with_few_trainings(true):
    told, tried = {}, []
    while following := rule.answer(told, 0.9, limit=100)["next"]:
        assert not set(following) & set(told)
        tried += following
        told |= {k: (0.95 if k >= true else 0.9 - 0.4 / (1 + k)) + TIGHT for k in following}
    found = rule.answer(told, 0.9, limit=100)
    assert (found["status"], found["latent_dim"]) == ("found", true)
    assert found["not_enough"] == (true - 1 if true > 1 else None)
    assert max(tried) <= 100
    assert len(tried) <= 2 * np.log2(max(2, true)) + 3


def test_the_search_ends_where_no_size_is_enough():
    told = {}
    while following := rule.answer(told, 0.99, limit=20)["next"]:
        told |= {k: 0.5 + 0.01 * k + TIGHT for k in following}
    assert sorted(told) == [2, 4, 8, 16, 20]


@pytest.mark.parametrize("keep", [0, 1, -0.5, 90, float("nan"), "0.9", True, None])
def test_a_share_lies_between_0_and_1(keep):
    with pytest.raises(InputError, match="between 0 and 1"):
        rule.check(keep)


def test_sizes_that_failed_are_gone_around():
    assert rule.answer(around(k2=0.5), 0.9, failed={4, 8})["next"] == [16]
    assert rule.answer({}, 0.9, limit=4, failed={2, 4})["next"] == []
    assert rule.answer(around(k4=0.5, k8=0.95), 0.9, failed={6})["next"] in ([5], [7])
    assert rule.answer(around(k4=0.5, k6=0.95), 0.9, failed={5})["next"] == []
