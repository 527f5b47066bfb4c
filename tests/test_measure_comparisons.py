"""Comparisons of networks, sizes and PCA know what chance does."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from helpers import baselines_of
from scipy import stats

from latentfit.measure import comparisons
from latentfit.measure.interpolation import PairValues
from latentfit.measure.network import ImageValues
from latentfit.recipe import Job
from latentfit.results import Apart, NestedCurve, SizeResult
from latentfit.stats import Mean, bootstrap, holm, mean_error, percentile_interval, welch

RNG = np.random.default_rng(0)
OF_IMAGES = [field.name for field in fields(ImageValues)]
OF_PAIRS = [field.name for field in fields(PairValues)]


@pytest.fixture(scope="module")
def baselines(images):
    return baselines_of(images)


def values(jobs, n=40):
    draw = RNG.uniform
    return {Job(*job): ImageValues(draw(1, 2, n), draw(size=n)) for job in jobs}


def compared(jobs):
    return comparisons.compare_networks(
        values(jobs), {Job(*job): PairValues(*RNG.uniform(size=(5, 30))) for job in jobs}
    )


@pytest.mark.parametrize(
    ("sizes", "couples"),
    [
        ([], []),
        ([16], []),
        ([48, 16], [(16, 48)]),
        ([4, 8, 16], [(4, 8), (8, 16), (4, 16)]),
        ([2, 4, 8, 16], [(2, 4), (4, 8), (8, 16), (2, 16)]),
    ],
)
def test_networks_and_sizes_are_compared_with_the_next_and_the_smallest_with_the_largest(sizes, couples):
    found = compared([(k, seed) for k in sizes for seed in (3, 1)])
    assert [comparison.latent_dims for comparison in found] == couples
    assert {comparison.seed for comparison in found} <= {1}
    tests = [getattr(comparison, name) for comparison in found for name in (*OF_IMAGES, *OF_PAIRS)]
    assert {test.family for test in tests} <= {len(couples)}
    of_sizes = comparisons.compare_sizes(values([(k, seed) for k in sizes for seed in (3, 1)]))
    assert [comparison.latent_dims for comparison in of_sizes] == couples


def test_networks_are_those_of_the_first_seed_that_each_size_trained_with():
    found = [(c.latent_dims, c.seed) for c in compared([(4, 1), (8, 0), (8, 1), (16, 1)])]
    assert found == [((4, 8), None), ((8, 16), None), ((4, 16), 1)]


def test_networks_are_compared_by_paired_tests_with_holms_p():
    jobs = [Job(k, 0) for k in (4, 8, 16)]
    of_images, of_pairs = values(jobs), {job: PairValues(*RNG.uniform(size=(5, 30))) for job in jobs}
    found = comparisons.compare_networks(of_images, of_pairs)
    for of, names in ((of_images, OF_IMAGES), (of_pairs, OF_PAIRS)):
        for name in names:
            couples = [(getattr(of[a], name), getattr(of[b], name)) for a, b in [*pairwise(jobs), (jobs[0], jobs[-1])]]
            tests = [getattr(comparison, name) for comparison in found]
            assert [test.p for test in tests] == pytest.approx(holm([stats.ttest_rel(b, a).pvalue for a, b in couples]))
            assert [test.means for test in tests] == [(a.mean(), b.mean()) for a, b in couples]


def test_pca_is_compared_by_paired_tests_over_the_same_images(images, baselines):
    given = values([(2, 0), (2, 1), (5, 0), (4000, 0)])
    found = comparisons.compare_with_pca(given, baselines)
    most = len(images.x_train) - 1  # components, around the mean
    assert [(row.job, row.components) for row in found] == list(zip(given, (2, 2, 5, most), strict=True))
    errors = [baselines.pca.test_images[:, row.components].astype(float) for row in found]
    p = holm([stats.ttest_rel(value.test_mse, pca).pvalue for value, pca in zip(given.values(), errors, strict=True)])
    assert [row.test_mse.p for row in found] == pytest.approx(p)
    assert {row.test_mse.family for row in found} == {4}
    for row in found:
        assert row.test_mse.difference > 0  # these networks are far worse than PCA
        assert row.test_mse.means[0] == pytest.approx(baselines.pca.at("test", row.components), rel=1e-5)


def test_sizes_are_compared_by_welchs_test_over_their_seeds_and_the_images():
    seeds = {2: 3, 4: 3, 8: 1, 16: 3}
    given = values([(k, seed) for k, n in seeds.items() for seed in range(n)])
    errors = {k: [given[Job(k, seed)].test_mse for seed in range(n)] for k, n in seeds.items()}
    found = {comparison.latent_dims: comparison.test_mse for comparison in comparisons.compare_sizes(given)}
    assert {couple: test.p is not None for couple, test in found.items()} == {
        (2, 4): True,
        (4, 8): False,  # a single seed has no p-value, and does not count in the family
        (8, 16): False,
        (2, 16): True,
    }
    assert {test.family for test in found.values()} == {2}
    alone = []
    for a, b in found:
        difference = np.mean(errors[b], axis=0) - np.mean(errors[a], axis=0)  # of each image
        means = [[of_images.mean() for of_images in errors[k]] for k in (a, b)]
        alone.append(welch(*means, mean_error(difference)))
        assert found[a, b].means == pytest.approx(alone[-1].means)
        assert found[a, b].interval == (alone[-1].interval and pytest.approx(alone[-1].interval))
    assert [test.p for test in found.values()] == [p and pytest.approx(p) for p in holm([test.p for test in alone])]
    (single,) = comparisons.compare_sizes(values([(2, 0), (4, 0)]))
    assert (single.test_mse.p, single.test_mse.family) == (None, 0)


def test_images_that_all_sizes_find_equally_difficult_do_not_widen_a_comparison():
    easy = np.linspace(0, 1, 40)
    given = {
        Job(k, seed): ImageValues(easy + error + seed / 1000, easy)
        for k, error in ((2, 0.5), (4, 0.3))
        for seed in (0, 1)
    }
    (found,) = comparisons.compare_sizes(given)
    seeds = stats.ttest_ind([0.3, 0.301], [0.5, 0.501], equal_var=False)
    assert found.test_mse.p == pytest.approx(seeds.pvalue)


def test_intervals_over_other_test_images_draw_the_same_images_for_all_sizes(baselines):
    given = values([(2, 0), (2, 1), (5, 0)])
    two = (given[Job(2, 0)].test_mse + given[Job(2, 1)].test_mse) / 2
    errors = np.stack([two, given[Job(5, 0)].test_mse], axis=1)
    share = 1 - bootstrap(errors, baselines.pca.test_images[:, 0].astype(float))
    found = comparisons.sampling(given, baselines)
    assert [row.latent_dim for row in found] == [2, 5]
    for i, row in enumerate(found):
        assert row.test_mse == pytest.approx(percentile_interval(bootstrap(errors)[:, i]))
        assert row.test_explained_variance == pytest.approx(percentile_interval(share[:, i]))


def test_one_test_image_or_none_that_varies_gives_no_interval(images, baselines):
    flat = replace(baselines, variance=replace(baselines.variance, test=0.0))
    single = baselines_of(replace(images, x_test=images.x_test[:1], y_test=images.y_test[:1]))
    assert comparisons.sampling(values([(2, 0)]), flat) == comparisons.sampling(values([(2, 0)], n=1), single) == ()
    assert comparisons.sampling({}, baselines) == ()


def test_a_nested_network_is_compared_with_the_mean_of_each_size():
    sizes = [SizeResult(k, 2, 0, None, Mean(0.2, None), None, None, None, None, ()) for k in (2, 4, 16)]
    sizes.append(SizeResult(8, 0, 1, None, None, None, None, None, None, ("failed",)))
    curve = NestedCurve(8, 0, "ok", None, (2, 4, 8), (0.3, None, 0.1))
    assert comparisons.compare_nested(curve, sizes) == (Apart(2, pytest.approx(0.5)),)
