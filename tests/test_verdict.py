"""The rule: what is enough, and what is not."""

import numpy as np
import pytest
from helpers import model_result

from latentfit.errors import InputError
from latentfit.measure import network, verdict
from latentfit.measure.verdict import Size
from latentfit.recipe import Job
from latentfit.results import Knee

TIGHT = np.array([-0.001, 0.0, 0.001])
WIDE = [0.8, 0.95, 1.0]


def around(means):
    """Three networks of each size; the interval is ± 0.0025 around the mean."""
    return {k: (mean + TIGHT).tolist() for k, mean in means.items()}


def sizes(explained, error=0.0):
    return {k: Size(tuple(of), (error,) * len(of), tuple(range(len(of)))) for k, of in explained.items()}


@pytest.mark.parametrize(
    ("explained", "expected"),
    [
        (
            around({4: 0.7, 16: 0.85, 32: 0.91, 64: 0.95}),
            {"status": "found", "latent_dim": 32, "not_enough": 16, "best": 32, "open": ()},
        ),
        (
            around({16: 0.8, 20: 0.9, 28: 0.91}),  # the whole interval of 20 is not as high
            {"status": "found", "latent_dim": 28, "not_enough": 16, "open": (20,)},
        ),
        ({16: [0.9] * 3}, {"status": "found", "latent_dim": 16, "not_enough": None}),
        ({16: [0.9 - 1e-9] * 3}, {"status": "not_reached", "latent_dim": None, "not_enough": 16}),
        (
            around({16: 0.8, 32: 0.901}),
            {"status": "undecided", "latent_dim": None, "not_enough": 16, "best": 32, "more_seeds": 4},
        ),
        (
            around({16: 0.8, 32: 0.85}),
            {"status": "not_reached", "latent_dim": None, "not_enough": 32, "best": 32},
        ),
        (
            {16: [0.88], 48: [0.91]},
            {"status": "undecided", "latent_dim": None, "interval": None, "best": 48, "more_seeds": 2},
        ),
        ({16: [0.88]}, {"status": "not_reached", "interval": None}),
        (around({4: 0.8, 8: 0.92, 16: 0.85, 32: 0.7}), {"status": "found", "latent_dim": 8, "not_enough": 4}),
        (around({4: 0.8, 8: 0.7}), {"stuck": False}),
        (around({4: 0.8, 8: 0.7, 16: 0.75}), {"status": "not_reached", "best": 4, "stuck": True}),
        ({4: WIDE, 8: WIDE}, {"status": "undecided", "not_enough": None, "open": (4, 8)}),
        ({}, {"status": "not_reached", "best": None, "interval": None}),
    ],
)
def test_the_rule(explained, expected):
    found = verdict.decide(sizes(explained), 0.9, [20])
    assert found.next == (20,)
    assert {name: getattr(found, name) for name in expected} == expected


def test_the_explained_variance_is_that_of_the_best_size():
    found = verdict.decide(sizes(around({16: 0.85, 32: 0.91})), 0.9)
    assert found.explained_variance == pytest.approx(0.91)
    assert found.interval == pytest.approx((0.91 - 0.00248, 0.91 + 0.00248), abs=1e-4)


@pytest.mark.parametrize(
    ("answer", "couple"), [(None, (2, 32)), (2, (2, 32)), (4, (2, 4)), (16, (4, 16)), (32, (16, 32))]
)
def test_what_is_lost_is_seen_between_the_answer_and_the_size_below(answer, couple):
    assert verdict.between([2, 4, 16, 32], answer) == couple
    assert verdict.between([8], answer and 8) == (8, 8)


@pytest.mark.parametrize("keep", [0, 1, -0.5, 90, float("nan"), "0.9", True, None])
def test_a_share_lies_between_0_and_1(keep):
    with pytest.raises(InputError, match="between 0 and 1"):
        verdict.check(keep)


def test_the_knee_is_a_share_of_its_own():
    assert verdict.check("knee") == "knee"


@pytest.mark.parametrize(("error", "standing"), [(0.0, "enough"), (0.004, "enough"), (0.006, "undecided")])
def test_other_test_images_count_as_other_seeds_do(error, standing):
    assert sizes({4: [0.91, 0.91, 0.91]}, error)[4].standing(0.9) == standing


@pytest.mark.parametrize(("value", "standing"), [(0.91, "enough"), (0.9, "enough"), (0.89, "not enough")])
def test_a_single_network_decides_only_where_no_more_are_asked_for(value, standing):
    size = sizes({4: [value]})[4]
    assert (size.standing(0.9), size.standing(0.9, once=True)) == ("undecided", standing)


def test_sizes_are_of_the_networks_that_have_a_share_in_order():
    given = [model_result(8, 1, 0.8), model_result(4, 0, 0.7, explained_variance_error=0.01), model_result(2, 0, None)]
    given += [network.failed(Job(4, 1), "it broke"), model_result(8, 0, 0.9), network.failed(Job(16, 0), "it broke")]
    assert verdict.sizes(given) == {4: Size((0.7,), (0.01,), (0,)), 8: Size((0.9, 0.8), (0.0, 0.0), (0, 1))}
    assert verdict.all_failed(given) == {16}


def test_the_verdict_of_a_knee_is_its_size():
    found = verdict.of_knee(sizes(around({3: 0.97, 4: 0.99, 5: 0.99})), Knee(4, 0.02, 0.0, 9.0))
    assert (found.status, found.latent_dim, found.not_enough, found.best) == ("found", 4, None, 4)
    assert found.explained_variance == pytest.approx(0.99)
    assert verdict.of_knee({}, None).status == "not_reached"
