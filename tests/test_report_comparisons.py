"""Sentences on errors: of one seed about networks, of several about sizes; what is not significant is no difference."""

import re
from dataclasses import replace

import pytest
from factories import BETTER, EQUAL, MANY, MANY_SEEDS, REASON, SEEDS, WORSE, results, with_tests

from latentfit.report import comparisons
from latentfit.stats import Mean


def errors_text(found):
    return " ".join(comparisons.error_sentences(found))


def pca_text(found):
    return " ".join(comparisons.pca_sentences(found))


ONCE = "Each size was trained once (seed 0); numbers differ across seeds."


@pytest.mark.parametrize("errors", [MANY, MANY_SEEDS])
def test_of_many_sizes_the_ends_and_the_steps_between_are_reported(errors):
    first, *rest = comparisons.error_sentences(results(errors))
    assert "a lower" in first
    assert {"1", "48"} <= set(re.findall(r"\d+", first))
    assert rest == [
        "Of the 7 steps from a size to the next, 5 lower the error, by 17 % (from 1 to 2) to 57 % (from 32 to 48).",
        "The error rises from 24 to 32.",
        "The difference is not significant from 8 to 16.",
        *([ONCE] if errors is MANY else []),
    ]


def test_steps_are_reported_however_few_lower_the_error():
    for errors, text in (
        ([0.06, 0.05, 0.05, 0.05, 0.05], r"Of the 4 steps .*, 1 lowers the error, by 17 % \(from 1 to 2\)\."),
        ([0.05, 0.05, 0.05, 0.05, 0.05], r"Of the 4 steps .*, none lowers the error\."),
        (
            [0.05, 0.04999, 0.04, 0.03, 0.02],
            r"All 4 steps .* lower the error, by under 1 % \(from 1 to 2\) to 3\d % \(from 8 to 16\)\.",
        ),
    ):
        told = errors_text(results(dict(zip((1, 2, 4, 8, 16), errors, strict=True)), noise=0))
        assert re.search(text, told)
        assert "The error rises" not in told


@pytest.mark.parametrize("errors", [BETTER, EQUAL, WORSE, MANY])
def test_one_seed_is_of_networks_and_says_so_once(errors):
    text = errors_text(results(errors))
    assert text.count(ONCE) == 1
    assert not re.search("interval|[0-9] seeds|mean error", text)


@pytest.mark.parametrize("errors", [SEEDS, MANY_SEEDS])
def test_with_several_seeds_no_error_is_of_one_seed(errors):
    """Other errors of the first networks and other tests of them change nothing, where those of the sizes stay."""
    found = results(errors)
    models = tuple(replace(m, test_mse=9.0, pca_components_for_test_mse=7) for m in found.models)
    tests = tuple(replace(c, test_mse=replace(c.test_mse, means=(0.9, 9.0), p=None)) for c in found.against_pca)
    other = replace(with_tests(found, test_mse={"means": (9.0, 9.0), "p": None}), models=models, against_pca=tests)
    assert (errors_text(other), pca_text(other)) == (errors_text(found), pca_text(found))
    assert not re.search("trained once|[Tt]he network with", errors_text(found) + pca_text(found))


def test_sizes_may_differ_the_other_way_than_their_first_networks():
    errors = {(k, s): e * (1 + s / 100) for k, e in {1: 0.06, 2: 0.05, 4: 0.04, 16: 0.02}.items() for s in range(6)}
    errors |= {(8, 0): 0.036} | {(8, seed): 0.055 + seed / 1e4 for seed in range(1, 6)}
    found = results(errors)
    first = {c.latent_dims: c.test_mse for c in found.comparisons}[4, 8]
    assert (first.significant, first.difference < 0) == (True, True)
    assert "Of the 4 steps from a size to the next, 3 lower the error" in errors_text(found)
    assert "The error rises from 4 to 8." in errors_text(found)


@pytest.mark.parametrize(
    ("errors", "failures"),
    [({16: 0.02}, [(1, 0)]), ({}, [(16, 0), (16, 1)]), ({(16, 1): 0.02, (48, 1): 0.01}, [(16, 0), (48, 0)])],
)
def test_every_failure_is_reported_with_its_reason(errors, failures):
    text = errors_text(results(errors, failures=failures))
    for k, seed in failures:
        assert f"The network with {k} dimension{'s' if k > 1 else ''} and seed {seed} failed: {REASON}." in text


def test_a_failed_seed_is_not_counted_and_the_next_one_takes_its_place():
    found = results({(16, 0): 0.02, (16, 1): 0.02, (48, 1): 0.01}, failures=[(48, 0)])
    assert "16 latent dimensions reconstruct the test images with a mean error over 2 seeds of 0.0200 ±" in errors_text(
        found
    )
    assert "The network with 48 latent dimensions reconstructs the test images with an error of 0.0100;" in errors_text(
        found
    )
    assert "With 48 dimensions the test error is 50 % below that of 48 PCA components" in pca_text(found)


def test_p_of_several_comparisons_is_holms():
    found = results({4: 0.04, 16: 0.02, 48: 0.01})
    assert {(c.test_mse.family, c.sharpness.family) for c in found.comparisons} == {(3, 3)}
    sizes = results(
        {(k, seed): e * (1 + seed / 50) for k, e in ((4, 0.04), (16, 0.02), (48, 0.01)) for seed in (0, 1, 2)}
    )
    assert {c.test_mse.family for c in sizes.size_comparisons} == {3}
    assert errors_text(sizes).count(" by Holm over 3 comparisons).") == 1  # of the ends; the steps are in the table
    assert "Holm over" not in " ".join(errors_text(results(alone)) for alone in (BETTER, EQUAL, WORSE, SEEDS))


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize("errors", [BETTER, MANY, SEEDS, {(k, s): e * 20 for (k, s), e in SEEDS.items()}])
def test_without_explained_variance_no_size_is_called_better(errors):
    found = results(errors, variance=5.7e-10 if max(errors.values()) < 0.1 else 0.1)
    text = f"{errors_text(found)} {pca_text(found)}"
    assert not re.search("a lower|differ significantly on|trained once|falls by|rises by", text)
    assert not comparisons.ends_differ(found)


@pytest.mark.parametrize(
    ("own", "p", "claim"),
    [
        (0.0201, 0.049, "is 33 % below that of 16 PCA components (0.0201 against 0.0300)"),
        (0.029999, 0.0, "is under 1 % below that of 16 PCA components (0.029999 against 0.030000)"),
        (0.030001, 0.0, "is above that of 16 PCA components (0.030001 against 0.030000)"),
        (0.04, 0.001, "is above that of 16 PCA components (0.0400 against 0.0300)"),
        (0.02, 0.05, "and that of 16 PCA components do not differ significantly (0.0200 against 0.0300)"),
        (0.04, 0.3, "and that of 16 PCA components do not differ significantly (0.0400 against 0.0300)"),
        (0.02, None, "and that of 16 PCA components do not differ significantly (0.0200 against 0.0300)"),
    ],
)
def test_a_network_is_above_or_below_pca_only_where_the_paired_test_is_significant(own, p, claim):
    found = results({16: own}, noise=0)
    (tested,) = found.against_pca
    tested = replace(tested, test_mse=replace(tested.test_mse, p=p))
    needed = {0.0201: 48, 0.029999: 17}.get(own)  # PCA's errors are straight lines between those given
    need = f"; PCA needs {needed} components for the same" if "below" in claim else ""
    assert pca_text(replace(found, against_pca=(tested,))) == f"With 16 dimensions the test error {claim}{need}."


@pytest.mark.parametrize(
    ("above", "ends", "claim"),
    [
        (-0.005, (-0.006, -0.004), "is 20 % below that of 16 PCA components (0.0201 against 0.0251); PCA needs 48"),
        (-0.005, (-0.011, 0.001), "and that of 16 PCA components do not differ significantly (0.0201 against 0.0251)."),
        (0.004, (-0.001, 0.009), "and that of 16 PCA components do not differ significantly (0.0201 against 0.0161)."),
        (0.004, (0.003, 0.005), "is above that of 16 PCA components (0.0201 against 0.0161)."),
        (-0.005, (-0.01, 0.0), "and that of 16 PCA components do not differ significantly"),
    ],
)
def test_with_several_seeds_a_size_is_above_or_below_pca_by_the_interval_of_its_mean(above, ends, claim):
    found = results({(16, 0): 0.0201, (16, 1): 0.0201}, noise=0)
    (size,) = found.sizes
    told = pca_text(replace(found, sizes=(replace(size, above_pca=Mean(above, ends)),)))
    assert told.startswith(f"With 16 dimensions the test error {claim}")


def test_components_are_those_of_the_mean_error_even_where_there_are_none():
    """The first network is reached by 64 components, the mean of both by none."""
    (size,) = (found := results({(48, 0): 0.01501, (48, 1): 0.0148}, noise=0.001)).sizes
    assert found.first[0].pca_components_for_test_mse == 64
    assert size.pca_components is None
    assert found.components == {48: None}
    assert pca_text(found).endswith("; no number of PCA components reaches it.")


def test_pca_may_have_one_component_or_fewer_than_dimensions_or_too_few():
    assert "is 25 % below that of 1 PCA component (" in pca_text(results({1: 0.06}))
    found = results({16: 0.03, 48: 0.01})
    fewer = replace(found, against_pca=tuple(replace(tested, components=15) for tested in found.against_pca))
    assert "15 PCA components do not differ significantly (0.0300 against 0.0300)" in pca_text(fewer)
    assert re.search(r"50 % below that of 15 PCA components .*; no number of PCA components reaches", pca_text(fewer))


def test_a_network_that_is_not_below_pca_is_named_however_many_there_are():
    text = pca_text(results(MANY))
    assert "With 32 dimensions the test error is above that of 32 PCA components" in text
    assert "With 16 dimensions the test error and that of 16 PCA components do not differ significantly" in text
    assert "With 2, 4, 8 and 24 dimensions it is below PCA's too (in the table)." in text
    assert re.findall(r"With (\d+) dimensions? the test error is [^(]* below that of", text) == ["1", "48"]


@pytest.mark.parametrize(
    ("errors", "networks"),
    [
        (BETTER, "the networks' falls by 50 %"),
        (EQUAL, "the difference between the networks is not significant"),
        (WORSE, "the networks' rises by 100 %"),
        ({16: 0.0, 48: 0.0}, None),
        ({16: 0.02}, None),
    ],
)
def test_the_gain_of_added_dimensions_is_compared_with_a_linear_map(errors, networks):
    text, told = pca_text(results(errors)), networks is not None
    assert ("From 16" in text, f" From 16 to 48, PCA's error falls by 33 %; {networks}." in text) == (told, told)
