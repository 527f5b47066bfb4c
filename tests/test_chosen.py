"""Which sizes the page speaks of and shows: the answer and its neighbours before others."""

from dataclasses import replace

import pytest
from factories import results

from latentfit.measure import answer, verdict
from latentfit.report import chosen

ERRORS = {1: 0.06, 2: 0.05, 4: 0.04, 8: 0.03, 16: 0.025, 24: 0.02, 32: 0.015, 48: 0.01}
KEPT = {0.35: 1, 0.55: 4, 0.65: 8, 0.83: 32, 0.88: 48}  # the smallest size that keeps a share


def asked(keep=None, seeds=(0, 1), errors=ERRORS):
    """A study of eight sizes that was asked for a share, or not."""
    found = results({(k, seed): e for k, e in errors.items() for seed in seeds}, noise=0)
    return found if keep is None else replace(found, verdict=answer.answer(found.models, keep))


@pytest.mark.parametrize(
    ("keep", "most", "sizes"),
    [
        (None, 2, [1, 48]),
        (None, 3, [1, 16, 48]),
        (None, 4, [1, 4, 24, 48]),
        (None, 8, [*ERRORS]),
        (None, 20, [*ERRORS]),
        (0.65, 1, [8]),
        (0.65, 2, [4, 8]),
        (0.65, 3, [4, 8, 16]),
        (0.65, 4, [4, 8, 16, 48]),
        (0.65, 5, [1, 4, 8, 16, 48]),
        (0.35, 3, [1, 2, 48]),
        (0.88, 3, [1, 32, 48]),
    ],
)
def test_the_answer_and_those_beside_it_come_before_the_ends_and_the_rest(keep, most, sizes):
    assert chosen.of_interest(asked(keep), most) == sizes


@pytest.mark.parametrize(("keep", "size"), [(None, None), *KEPT.items()])
def test_the_answer_is_the_size_that_is_enough(keep, size):
    assert chosen.answered(asked(keep)) == size


def test_without_a_size_that_is_enough_it_is_the_best_so_far():
    found = asked(0.99)
    assert (found.verdict.latent_dim, found.verdict.best) == (None, 48)
    assert chosen.answered(found) == 48
    assert chosen.answered(asked(0.83, seeds=(0,))) == 32  # once each: undecided


@pytest.mark.parametrize(
    ("keep", "sizes"), [(None, [1, 48]), (0.35, [1, 48]), (0.65, [4, 8, 48]), (0.83, [24, 32, 48]), (0.88, [32, 48])]
)
def test_at_a_glance_are_the_size_below_the_answer_the_answer_and_the_largest(keep, sizes):
    assert chosen.glance(asked(keep)) == sizes


def test_without_networks_there_is_nothing_to_show():
    none = results({}, failures=[(16, 0)])
    for found in (none, replace(none, verdict=verdict.decide({}, 0.9))):
        assert chosen.of_interest(found, 4) == chosen.glance(found) == []
        assert chosen.answered(found) is None
