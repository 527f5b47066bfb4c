"""Sentences on errors: one seed says nothing about sizes, and what is not significant is no difference."""

import re
from dataclasses import replace

import pytest
from factories import BETTER, EQUAL, MANY, MANY_SEEDS, REASON, SEEDS, WORSE, results, with_tests

from latentfit.report import comparisons


def errors_text(found):
    return " ".join(comparisons.error_sentences(found))


def pca_text(found):
    return " ".join(comparisons.pca_sentences(found))


def test_of_many_sizes_the_ends_and_the_steps_between_are_reported():
    first, steps, worse, equal, *_ = comparisons.error_sentences(results(MANY))
    assert "better than the one with 1:" in first
    assert steps == (
        "Of the 7 steps from a size to the next, 5 lower the error, by 57 % from 32 to 48 the most, by 17 % from 1 to "
        "2 the least (paired over the images, Holm over 8 comparisons)."
    )
    assert worse == "More dimensions came out worse from 24 to 32."
    assert equal == "No difference is carried from 8 to 16."


def test_steps_are_reported_however_few_lower_the_error():
    for errors, text in (
        ([0.06, 0.05, 0.05, 0.05, 0.05], r"Of the 4 steps .*, 1 lowers the error, by 1\d % from 1 to 2 \(paired"),
        ([0.05, 0.05, 0.05, 0.05, 0.05], r"Of the 4 steps .*, none lowers the error \(paired"),
        ([0.05, 0.04999, 0.04, 0.03, 0.02], r"by 3\d % from 8 to 16 the most, by under 1 % from 1 to 2 the least"),
    ):
        told = errors_text(results(dict(zip((1, 2, 4, 8, 16), errors, strict=True)), noise=0))
        assert re.search(text, told)
        assert "came out worse" not in told


@pytest.mark.parametrize("errors", [BETTER, EQUAL, WORSE, MANY])
def test_one_seed_says_nothing_about_sizes(errors):
    text = errors_text(results(errors))
    assert "Each size was trained once (seed 0): this compares these trained networks, not the sizes." in text
    assert not re.search("As sizes|Over all seeds|Over the seeds", text)


def test_several_seeds_are_reported_with_mean_and_range():
    text = errors_text(results(SEEDS))
    assert "trained once" not in text
    assert "The networks compared are those of each size's first seed that trained." in text
    assert "0.0205 at 16 (0.0200 to 0.0210, 2 trained) and 0.0110 at 48 (0.0100 to 0.0120, 2 trained)" in text
    assert "As sizes, 48 is better than 16: mean test error 0.0110 against 0.0205 (difference" in text
    text = errors_text(results({(16, 0): 0.02, (16, 1): 0.01, (48, 0): 0.01, (48, 1): 0.019}))
    assert "As sizes these are not told apart over the seeds (Welch, Holm): 16 and 48." in text
    assert "As sizes, " not in text


def test_of_many_sizes_the_seeds_are_summed_up():
    text = errors_text(results(MANY_SEEDS))
    assert text.count("is better than") == text.count("As sizes, 48 is better than 1: mean test error") == 1
    assert "the mean test error of the larger size is lower in 6 of 8 pairs of sizes compared (Welch, Holm)." in text
    assert "As sizes, more dimensions are worse from 24 to 32." in text
    assert "not told apart over the seeds (Welch, Holm): 8 and 16." in text


def test_sizes_may_differ_the_other_way_than_their_first_networks():
    errors = {(k, s): e * (1 + s / 100) for k, e in {1: 0.06, 2: 0.05, 4: 0.04, 16: 0.02}.items() for s in range(6)}
    errors |= {(8, 0): 0.036} | {(8, seed): 0.055 + seed / 1e4 for seed in range(1, 6)}
    text = errors_text(results(errors))
    assert "4 lower the error" in text
    assert "As sizes, more dimensions are worse from 4 to 8." in text


@pytest.mark.parametrize(
    ("errors", "failures"),
    [({16: 0.02}, [(1, 0)]), ({}, [(16, 0), (16, 1)]), ({(16, 1): 0.02, (48, 1): 0.01}, [(16, 0), (48, 0)])],
)
def test_every_failure_is_reported_with_its_reason(errors, failures):
    text = errors_text(results(errors, failures=failures))
    for k, seed in failures:
        assert f"The network with {k} dimension{'s' if k > 1 else ''} and seed {seed} failed: {REASON}." in text


def test_a_failed_seed_is_not_counted_and_the_next_one_takes_its_place():
    text = errors_text(results({(16, 0): 0.02, (16, 1): 0.02, (48, 1): 0.01}, failures=[(48, 0)]))
    assert text.startswith("The network with 48 latent dimensions reconstructs")
    assert "those of each size's first seed that trained" in text
    assert re.search(r"at 16 \([^()]*, 2 trained\)", text)
    assert "at 48 (1 trained)" in text


def test_p_of_several_comparisons_is_holms():
    found = results({4: 0.04, 16: 0.02, 48: 0.01})
    assert {(c.test_mse.family, c.sharpness.family) for c in found.comparisons} == {(3, 3)}
    assert errors_text(with_tests(found, test_mse={"p": 0.1})).count("p = 0.100 by Holm over 3 comparisons).") == 3
    assert pca_text(found).count("by Holm over 3 comparisons") == 3
    assert "Holm over" not in " ".join(errors_text(results(alone)) for alone in (BETTER, EQUAL, WORSE, SEEDS))


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize("errors", [BETTER, MANY, SEEDS, {(k, s): e * 20 for (k, s), e in SEEDS.items()}])
def test_without_explained_variance_no_size_is_called_better(errors):
    found = results(errors, variance=5.7e-10 if max(errors.values()) < 0.1 else 0.1)
    text = f"{errors_text(found)} {pca_text(found)}"
    assert not re.search("better|no difference|not told apart over|trained once|As sizes|falls by|rises by", text)
    assert not comparisons.ends_differ(found)


@pytest.mark.parametrize(
    ("own", "p", "claim"),
    [
        (0.02, 0.049, "is 33 % below that of 16 PCA components (0.0200 against 0.0300, paired p = 0.049)"),
        (0.029999, 0.0, "is under 1 % below that of 16 PCA components (0.029999 against 0.030000, paired p < 0.001)"),
        (0.030001, 0.0, "is above that of 16 PCA components (0.030001 against 0.030000, paired p < 0.001)"),
        (0.04, 0.001, "is above that of 16 PCA components (0.0400 against 0.0300, paired p = 0.001)"),
        (0.02, 0.05, "and that of 16 PCA components are not told apart (0.0200 against 0.0300, p = 0.0500)"),
        (0.04, 0.3, "and that of 16 PCA components are not told apart (0.0400 against 0.0300, p = 0.300)"),
        (0.02, None, "and that of 16 PCA components are not told apart (0.0200 against 0.0300, p unknown)"),
    ],
)
def test_a_network_is_above_or_below_pca_only_where_the_paired_test_is_significant(own, p, claim):
    found = results({16: own}, noise=0, pca_components_for_test_mse=60)
    (tested,) = found.against_pca
    tested = replace(tested, test_mse=replace(tested.test_mse, p=p))
    need = "; PCA needs 60 components for the same" if "below" in claim else ""
    assert pca_text(replace(found, against_pca=(tested,))) == (
        f"With 16 dimensions the network's test error {claim}{need}."
    )


def test_pca_may_have_one_component_or_fewer_than_dimensions_or_too_few():
    assert "is 25 % below that of 1 PCA component (" in pca_text(results({1: 0.06}))
    found = results({16: 0.03, 48: 0.01}, pca_components_for_test_mse=None)
    fewer = replace(found, against_pca=tuple(replace(tested, components=15) for tested in found.against_pca))
    assert "15 PCA components are not told apart (0.0300 against 0.0300, p = " in pca_text(fewer)
    assert re.search(r"50 % below that of 15 PCA components .*; no number of PCA components reaches", pca_text(fewer))


def test_a_network_that_is_not_below_pca_is_named_however_many_there_are():
    text = pca_text(results(MANY))
    assert "With 32 dimensions the network's test error is above that of 32 PCA components" in text
    assert re.search(r"With \d+ and \d+ dimensions it is below PCA's too \(in the table\)\.", text)
    assert text.count("below that of") == 4


@pytest.mark.parametrize(
    ("errors", "networks"),
    [
        (BETTER, "the networks' falls by 50 %"),
        (EQUAL, "no difference between the networks' is carried"),
        (WORSE, "the networks' rises by 100 %"),
        ({16: 0.0, 48: 0.0}, None),
        ({16: 0.02}, None),
    ],
)
def test_the_gain_of_added_dimensions_is_compared_with_a_linear_map(errors, networks):
    text, told = pca_text(results(errors)), networks is not None
    assert ("From 16" in text, f" From 16 to 48, PCA's error falls by 33 %; {networks}." in text) == (told, told)
