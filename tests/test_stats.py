"""Intervals and tests against SciPy's own, and by hand."""

import numpy as np
import pytest
from scipy import stats

from latentfit.stats import holm, mean_interval, middle, paired, resampled, seeds_needed, welch

RNG = np.random.default_rng(0)


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


@pytest.mark.parametrize("n", [2, 3, 5, 40])
def test_the_interval_of_a_mean_is_students(n):
    values = RNG.normal(0.9, 0.01, n)
    told = mean_interval(values)
    oracle = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert told["mean"] == pytest.approx(values.mean())
    assert told["interval"] == pytest.approx([oracle.low, oracle.high])


def test_one_value_has_no_interval():
    assert mean_interval([0.5]) == {"mean": 0.5, "interval": None}


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 5), (30, 4)])
def test_welch_is_scipys(n, m):
    a, b = RNG.normal(size=n), RNG.normal(0.5, 2, m)
    test = welch(a, b)
    oracle = stats.ttest_ind(b, a, equal_var=False)
    interval = oracle.confidence_interval(0.95)
    assert test["p"] == pytest.approx(oracle.pvalue)
    assert test["interval"] == pytest.approx([interval.low, interval.high])
    assert test["difference"] == pytest.approx(b.mean() - a.mean())
    assert test["means"] == pytest.approx([a.mean(), b.mean()])


def test_welch_without_spread_or_seeds():
    assert welch([0.1, 0.1], [0.1, 0.1])["p"] == 1
    assert welch([0.1, 0.1], [0.2, 0.2])["p"] == 0
    assert (welch([0.1], [0.2, 0.3])["interval"], welch([0.1], [0.2, 0.3])["p"]) == (None, None)


def test_as_many_seeds_as_are_needed_and_no_more():
    values = [0.90, 0.92, 0.91]
    n = seeds_needed(values, 0.9)
    spread = np.std(values, ddof=1)
    half = [stats.t.ppf(0.975, m - 1) * spread / m**0.5 for m in (n - 1, n)]
    assert 0.91 - half[0] < 0.9 <= 0.91 - half[1]
    assert n > 3
    assert seeds_needed([0.95, 0.9501], 0.9) == 2
    assert seeds_needed([0.89, 0.91], 0.9) is None  # the mean is the limit: never


def test_the_bootstrap_of_a_mean_has_its_standard_error_and_draws_all_columns_alike():
    values = RNG.normal(1, 0.5, (400, 1))
    draws = resampled(np.concatenate([values, values + 3], axis=1))
    assert draws.shape == (1000, 2)
    assert draws.mean(axis=0) == pytest.approx([values.mean(), values.mean() + 3], abs=0.01)
    assert draws[:, 0].std() == pytest.approx(values.std() / 20, rel=0.1)
    np.testing.assert_allclose(draws[:, 1] - draws[:, 0], 3)
    np.testing.assert_array_equal(draws, resampled(np.concatenate([values, values + 3], axis=1)))


def test_the_bootstrap_of_a_ratio_draws_both_parts_alike():
    distance = RNG.uniform(1, 2, 50)
    np.testing.assert_allclose(resampled(0.25 * distance[:, None], distance), 0.25)
    assert (resampled(np.zeros((5, 1)), np.zeros(5)) == 0).all()


def test_the_middle_leaves_out_a_fortieth_on_each_side():
    assert middle(np.arange(1001)) == pytest.approx([25, 975])
