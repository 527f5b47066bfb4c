"""Intervals and tests against SciPy's own, and by hand."""

import numpy as np
import pytest
from scipy import stats

from latentfit.stats import (
    LEVEL,
    Mean,
    PairedTest,
    WelchTest,
    bootstrap,
    family,
    holm,
    mean_error,
    mean_interval,
    mean_over_both,
    paired,
    percentile_interval,
    ratio_error,
    seeds_needed,
    welch,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.6, 0.7], [1, 1]),
        ([0.02], [0.02]),
        ([None, 0.03, None, 0.01], [None, 0.03, None, 0.02]),
        ([], []),
    ],
)
def test_holm_by_hand(p, adjusted):
    assert holm(p) == [value if value is None else pytest.approx(value) for value in adjusted]


def test_a_family_counts_the_tests_with_a_p_value_and_changes_nothing_else():
    tests = [WelchTest((1, 2), 1, (0.5, 1.5), p) for p in (0.03, None, 0.02)]
    assert family(tests) == [WelchTest((1, 2), 1, (0.5, 1.5), p, 2) for p in (0.04, None, 0.04)]
    assert family([]) == []


@pytest.mark.parametrize(("p", "significant"), [(LEVEL, False), (LEVEL - 1e-9, True), (None, False)])
def test_a_p_value_below_the_level_is_significant(p, significant):
    assert PairedTest((1, 2), 1, 0, 1, None, p).significant is significant
    assert WelchTest((1, 2), 1, None, p).significant is significant


def assert_equals_scipy(test, oracle, a, b):
    interval = oracle.confidence_interval(0.95)
    assert test.p == pytest.approx(oracle.pvalue)
    assert test.interval == pytest.approx((interval.low, interval.high))
    assert test.means == pytest.approx((a.mean(), b.mean()))
    assert test.difference == pytest.approx(b.mean() - a.mean())


@pytest.mark.parametrize("n", [2, 5, 300])
def test_paired_is_students_test(n):
    a = RNG.normal(size=n)
    b = a + RNG.normal(0.1, 0.5, n)
    test = paired(a, b)
    assert_equals_scipy(test, stats.ttest_rel(b, a), a, b)
    assert test.share_lower == sum(y < x for x, y in zip(a, b, strict=True)) / n
    assert test.share_higher == pytest.approx(1 - test.share_lower)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (3, 5), (30, 4), (5, 5), (400, 300)])
@pytest.mark.parametrize("seed", range(5))
def test_welch_is_scipys(n, m, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.normal(0.5, 2, m)
    assert_equals_scipy(welch(a, b), stats.ttest_ind(b, a, equal_var=False), a, b)


@pytest.mark.parametrize("apart", [0.01, 1.0, 1.9, 2.0, 30.0])
def test_without_spread_over_seeds_sizes_differ_as_their_means_do_over_images(apart):
    test = welch([1.0, 1.0, 1.0], [1 + apart] * 3, 0.5)
    assert test.p == pytest.approx(2 * stats.norm.sf(apart / 0.5), rel=1e-6)
    assert test.interval == pytest.approx((apart - 1.959964 * 0.5, apart + 1.959964 * 0.5))


def test_the_factor_of_seeds_and_images_is_the_mean_of_both_by_their_parts():
    a, b, error = [0.0, 0.0, 0.3], [1.0, 1.2, 1.1], 0.2
    over_seeds = 0.03 / 3 + 0.01 / 3  # squared standard error of the difference
    freedom = over_seeds**2 / ((0.03 / 3) ** 2 / 2 + (0.01 / 3) ** 2 / 2)
    assert freedom == pytest.approx(3.2)
    factor = (stats.t.ppf(0.975, 3.2) * over_seeds + stats.norm.ppf(0.975) * 0.04) / (over_seeds + 0.04)
    test = welch(a, b, error)
    assert test.means == pytest.approx((0.1, 1.1))
    half = factor * (over_seeds + 0.04) ** 0.5
    assert test.interval == pytest.approx((1 - half, 1 + half))


@pytest.mark.parametrize("error", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("apart", [0.0, 0.1, 0.5, -2.0])
@pytest.mark.parametrize("n", [2, 3, 6])
def test_p_of_sizes_is_the_level_at_which_their_interval_ends_at_0(n, apart, error):
    a = np.linspace(-0.3, 0.3, n)
    b = a[::-1] * 1.5 + apart
    test = welch(a, b, error)
    parts = [np.var(values, ddof=1) / n for values in (a, b)]
    freedom = sum(parts) ** 2 / sum(part**2 / (n - 1) for part in parts)
    factors = stats.t.isf(test.p / 2, freedom) * sum(parts) + stats.norm.isf(test.p / 2) * error**2
    assert factors / (sum(parts) + error**2) ** 0.5 == pytest.approx(abs(apart), abs=1e-9)
    low, high = test.interval
    assert (test.p < 0.05) == (not low <= 0 <= high)


def test_p_of_sizes_is_never_none_of_a_difference_however_large():
    assert 0 <= welch([0.0, 1e-9, 2e-9], [1.0, 1.0, 1 + 1e-9]).p < 1e-12
    assert 0 <= welch([0.0, 0.0], [1.0, 1.0], 1e-3).p < 1e-200


def test_more_error_over_images_is_never_surer():
    a, b = [0.1, 0.2, 0.15], [0.3, 0.42, 0.38]
    p = [welch(a, b, error).p for error in (0.0, 0.05, 0.1, 0.3, 1.0)]
    assert p == sorted(p)
    assert 0 < p[0] < p[-1] < 1


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0.25] * 20, [0.25] * 20, PairedTest((0.25, 0.25), 0, 0, 0, (0, 0), 1)),
        ([0.0] * 20, [0.5] * 20, PairedTest((0, 0.5), 0.5, 0, 1, (0.5, 0.5), 0)),
        ([1.0], [3.0], PairedTest((1, 3), 2, 0, 1, None, None)),
    ],
    ids=["same values", "constant difference", "one image"],
)
def test_paired_without_spread_or_images(a, b, expected):
    assert paired(np.array(a), np.array(b)) == expected


@pytest.mark.parametrize(
    ("a", "b", "interval", "p"),
    [
        ([0.25, 0.25], [0.25, 0.25], (0, 0), 1),
        ([0.25, 0.25], [0.5, 0.5], (0.25, 0.25), 0),
        ([0.25], [0.5, 0.75], None, None),
        ([0.5, 0.75], [0.25], None, None),
    ],
)
def test_welch_without_spread_or_seeds(a, b, interval, p):
    test = welch(a, b)
    assert (test.interval, test.p) == (interval, p)


@pytest.mark.parametrize("n", [2, 3, 5, 40])
def test_the_interval_of_a_mean_is_students(n):
    values = RNG.normal(0.9, 0.01, n)
    found, oracle = mean_interval(values), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(values.mean())
    assert found.interval == pytest.approx((oracle.low, oracle.high))


def test_one_value_has_no_interval():
    assert mean_interval([0.5]) == Mean(0.5, None)


def test_seeds_needed_is_the_smallest_number_whose_interval_lies_above_the_limit():
    values = [0.90, 0.92, 0.91]
    n = seeds_needed(values, [0.0] * len(values), 0.9)
    half = [stats.t.ppf(0.975, m - 1) * np.std(values, ddof=1) / m**0.5 for m in (n - 1, n)]
    assert 0.91 - half[0] < 0.9 <= 0.91 - half[1]
    assert n > 3
    assert seeds_needed([0.95, 0.9501], [0.0, 0.0], 0.9) == 2
    assert seeds_needed([0.89, 0.91], [0.0, 0.0], 0.9) is None  # the mean is the limit: never


def test_the_bootstrap_of_a_mean_has_its_standard_error_and_draws_all_columns_alike():
    values = RNG.normal(1, 0.5, (400, 1))
    both = np.concatenate([values, values + 3], axis=1)
    draws = bootstrap(both)
    assert draws.shape == (1000, 2)
    assert draws.mean(axis=0) == pytest.approx([values.mean(), values.mean() + 3], abs=0.01)
    assert draws[:, 0].std() == pytest.approx(values.std() / 20, rel=0.1)
    np.testing.assert_allclose(draws[:, 1] - draws[:, 0], 3)
    np.testing.assert_array_equal(draws, bootstrap(both))


def test_the_bootstrap_of_a_ratio_draws_both_parts_alike():
    distance = RNG.uniform(1, 2, 50)
    np.testing.assert_allclose(bootstrap(0.25 * distance[:, None], distance), 0.25)
    assert (bootstrap(np.zeros((5, 1)), np.zeros(5)) == 0).all()


def test_the_percentile_interval_leaves_out_a_fortieth_on_each_side():
    assert percentile_interval(np.arange(1001)) == pytest.approx((25, 975))


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("images", [0.0, 0.3, 1.0, 5.0])  # standard error over images, in spreads of seeds
def test_an_interval_over_seeds_and_images_covers_the_true_value(seeds, images):
    rng, studies = np.random.default_rng(0), 4000
    values = rng.normal(size=(studies, seeds)) + images * rng.normal(size=(studies, 1))
    held = [low <= 0 <= high for low, high in (mean_over_both(v, [images] * seeds).interval for v in values)]
    assert 0.93 < np.mean(held) < 0.98


def test_an_interval_over_seeds_and_images_is_each_of_them_alone():
    values = [0.90, 0.91, 0.93]
    seeds, both = mean_interval(values), mean_over_both(values, [0, 0, 0])
    assert (both.mean, both.interval) == (seeds.mean, pytest.approx(seeds.interval))
    assert mean_over_both([0.9, 0.9], [0.01, 0.01]).interval == pytest.approx((0.8804, 0.9196))
    assert mean_over_both([0.9, 0.9], [0, 0]).interval == (0.9, 0.9)
    assert mean_over_both([0.9], [0.01]).interval is None


@pytest.mark.parametrize("n", [2, 5, 300])
def test_the_error_of_a_mean_makes_students_interval_with_the_normal_quantile(n):
    values = np.random.default_rng(n).normal(1, 0.3, n)
    oracle = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert 1.959964 * mean_error(values) == pytest.approx((oracle.high - oracle.low) / 2, rel=1e-6)


def test_the_error_of_a_mean_is_0_of_equal_images_and_1_of_a_single_one():
    assert mean_error(np.full(20, 0.25)) == 0
    assert mean_error(np.array([0.25])) == 1  # nothing is known of other images


def test_the_error_of_a_ratio_is_its_spread_over_other_images():
    rng = np.random.default_rng(0)

    def drawn():
        b = rng.uniform(1, 3, 400)
        return 0.1 * b + 0.05 * rng.normal(size=400), b

    ratios = [a.mean() / b.mean() for a, b in (drawn() for _ in range(2000))]
    assert ratio_error(*drawn()) == pytest.approx(np.std(ratios), rel=0.1)
    assert ratio_error(np.ones(1), np.ones(1)) == 1  # nothing is known of other images


@pytest.mark.parametrize("images", [2, 3, 5, 10])
def test_of_few_images_the_interval_is_as_wide_as_it_has_to_be(images):
    rng, held = np.random.default_rng(0), 0
    for _ in range(2000):
        a = 0.1 + 0.02 * rng.normal(size=images)
        low, high = mean_over_both([a.mean()] * 3, [ratio_error(a, np.ones(images))] * 3).interval
        held += low <= 0.1 <= high
    assert 0.93 < held / 2000 < 0.97
