"""The table and the headline claim what a test shows, and no more."""

import re
from dataclasses import replace

import numpy as np
import pytest
from factories import BETTER, EQUAL, SEEDS, WORSE, results, with_tests

from latentfit.formatting import p_text, share_text
from latentfit.measure import answer, headline
from latentfit.measure.comparisons import compare_networks
from latentfit.measure.interpolation import PairValues
from latentfit.measure.network import ImageValues
from latentfit.recipe import Job

ONCE = "Each size was trained once (seed 0); numbers differ across seeds."


@pytest.mark.parametrize(
    ("errors", "better", "worse", "surprise"),
    [
        (BETTER, 48, 16, ""),
        (WORSE, 16, 48, " More dimensions did not help."),
        ({1: 0.01, 16: 0.02}, 1, 16, " More dimensions did not help."),
    ],
)
def test_with_one_seed_the_headline_has_the_errors_and_the_caveat_but_no_interval_and_no_p(
    errors, better, worse, surprise
):
    found = results(errors)
    test = found.comparisons[0].test_mse
    share = share_text(test.share_lower if errors == BETTER else test.share_higher)
    assert headline.headline(found) == (
        f"The {better}-dimensional network has a lower error on the 10,000 test images than the {worse}-dimensional "
        f"one: 0.0100 against 0.0200, 50 % lower (+3.01 dB PSNR), and lower on {share} of the images.{surprise} {ONCE}"
    )


@pytest.mark.parametrize("p", [0.05, 0.2, 1.0, None])
@pytest.mark.parametrize("errors", [BETTER, EQUAL, WORSE])
def test_a_difference_that_is_not_significant_is_none(errors, p):
    text = headline.headline(with_tests(results(errors), test_mse={"p": p}))
    small, large = (f"{errors[k]:#.3g}" for k in (16, 48))
    assert text == (
        f"The errors of the networks with 16 and 48 latent dimensions on the 10,000 test images do not differ "
        f"significantly: {small} and {large}. {ONCE}"
    )


def test_the_headline_follows_the_test():
    assert "do not differ significantly" in headline.headline(results(EQUAL))
    assert "a lower error" in headline.headline(with_tests(results(BETTER), test_mse={"p": 0.049}))


@pytest.mark.parametrize(
    ("errors", "text", "ends"),
    [
        (
            SEEDS,
            "48 latent dimensions have a lower mean error on the 10,000 test images than 16 (2 seeds): 0.0110",
            "0.00260 to 0.01640, p = 0.031",
        ),
        (
            {(1, 0): 0.01, (1, 1): 0.011, (4, 0): 0.02, (4, 1): 0.021},
            "1 latent dimension has a lower mean error on the 10,000 test images than 4 (2 seeds): 0.0105",
            "0.00696 to 0.01304, p = 0.005",
        ),
    ],
)
def test_with_several_seeds_the_headline_is_about_sizes(errors, text, ends):
    found = results(errors)
    told = headline.headline(found)
    assert told.startswith(f"{text} against 0.0205, ")
    assert f", 95 % interval {ends})." in told
    (test,) = (c.test_mse for c in found.size_comparisons)
    low, high = (float(end) for end in ends.split(",")[0].split(" to "))
    assert sorted(map(abs, test.interval)) == pytest.approx([low, high], abs=5e-6)
    assert p_text(test.p) in told
    assert not re.search("trained once|the network", told)


def test_the_widest_sizes_may_differ_otherwise_than_their_first_networks():
    errors = {(16, 0): 0.01, (16, 1): 0.02, (16, 2): 0.021, (48, 0): 0.015, (48, 1): 0.019, (48, 2): 0.017}
    found = results(errors)
    assert found.comparisons[0].test_mse.significant
    assert headline.headline(found) == (
        "The mean errors of 16 and 48 latent dimensions (3 seeds) on the 10,000 test images do not differ "
        "significantly: 0.0170 and 0.0170."
    )


def test_sizes_of_one_seed_are_not_compared_where_others_have_several():
    found = results({(16, 0): 0.02, (16, 1): 0.02, (48, 1): 0.01}, failures=[(48, 0)], noise=0)
    assert headline.comparable(found) == []
    first, last = headline.error_sentences(found, [])
    assert headline.headline(found) == first
    assert first == (
        "16 latent dimensions reconstruct the test images with a mean error over 2 seeds of 0.0200 ± 0.0000; explained "
        "variance: 80.0 %."
    )
    assert last == (
        "The network with 48 latent dimensions reconstructs the test images with an error of 0.0100; explained "
        "variance: 90.0 %."
    )
    one = results({(1, 0): 0.02, (1, 1): 0.022}, noise=0)
    assert headline.headline(one).startswith("1 latent dimension reconstructs the test images with a mean error over 2")


@pytest.mark.parametrize(
    ("lower", "text"),
    [
        (0.019999, ": 0.019999 against 0.020000, under 1 % lower, and"),  # and no 0.00 dB
        (0.00002, ": 2.00e-05 against 0.0200, over 99 % lower (+30.00 dB PSNR), and"),
        (0.0, ": 0.00 against 0.0200, 100 % lower, and"),
    ],
)
def test_rounding_hides_no_difference(lower, text):
    assert text in headline.headline(results({16: 0.02, 48: lower}, noise=0))


def test_images_that_tie_are_not_counted_as_better():
    errors = {2: np.repeat([0.0, 0.5], 50), 4: np.repeat([0.0, 0.6], 50)}
    pairs = {Job(k, 0): PairValues(*np.ones((5, 9))) for k in errors}
    compared = compare_networks({Job(k, 0): ImageValues(e, np.ones(100)) for k, e in errors.items()}, pairs)
    assert "lower on 50 % of the images" in headline.headline(replace(results(BETTER), comparisons=compared))


@pytest.mark.parametrize("errors", [{4: 0.04, 16: 0.02, 48: 0.02}, {4: 0.02, 16: 0.02, 48: 0.01}])
def test_the_widest_comparison_comes_first_and_neighbours_that_are_equal_do_not_differ(errors):
    compared = headline.widest_first(results(errors))
    assert [c.latent_dims for c in compared] == [(4, 48), (16, 48), (4, 16)]
    first, once, *rest = headline.error_sentences(results(errors), compared)
    assert once == ONCE
    for (a, b), sentence in zip((c.latent_dims for c in compared), [first, *rest], strict=True):
        for k in (a, b):
            assert re.search(rf"\b{k}(-dimensional| and| latent)\b", sentence)
        assert ("do not differ significantly" in sentence) == (errors[a] == errors[b])


def test_a_single_network_is_not_compared():
    for k, name in ((1, "1 latent dimension"), (16, "16 latent dimensions")):
        assert headline.headline(results({k: 0.02})) == (
            f"The network with {name} reconstructs the test images with an error of 0.0200; explained variance: 80.0 %."
        )


def test_the_answer_is_the_headline_where_one_was_asked_for():
    found = results({(k, seed): 0.02 for k in (16, 48) for seed in (0, 1)})
    asked = replace(found, verdict=answer.answer(found.models, 0.7))
    assert headline.headline(asked) == asked.verdict.sentence
    assert headline.headline(found) != found.verdict.sentence
    assert headline.headline(results({}, failures=[(16, 0)])) == "No network of this study could be trained."


@pytest.mark.fault("no-variance")
def test_a_network_worse_than_the_mean_image_is_not_compared():
    found = results({1: 2e-4, 16: 0.5, 48: 1e-4}, variance=1e-3)
    assert [c.latent_dims for c in headline.comparable(found)] == [(1, 48)]
    (_, once, worse) = headline.error_sentences(found, headline.widest_first(found))
    assert once == ONCE
    assert worse == (
        "The size 16 reconstructs the test images worse than the mean training image would: "
        "error 0.500, that of the mean image is 0.00100. This explains no variance, and is not compared."
    )
    assert headline.table(found)[1][1][4] == "none (below 0)"


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_of_networks_that_are_all_worse_than_the_mean_image_none_is_better(seeds):
    found = results({(k, seed): error for k, error in ((16, 0.3), (48, 0.2)) for seed in seeds})
    text = headline.headline(found)
    assert text.startswith("The sizes 16 and 48 reconstruct the test images worse than the mean training image would: ")
    assert "error 0.300 and 0.200, that of the mean image is 0.100. This explains no variance, and is not" in text
    assert headline.comparable(found) == []


@pytest.mark.fault("no-variance")
def test_images_without_variance_are_the_headline_whatever_was_asked():
    found = results(BETTER, variance=5.7e-10)
    for study in (found, replace(found, verdict=answer.answer(found.models, 0.9))):
        assert headline.headline(study).startswith("The training and test images hold next to no variance")
        assert headline.comparable(study) == []
        assert {row[4] for row in headline.table(study)[1]} == {"-"}


def test_the_table_has_a_row_for_every_size_and_a_dash_for_what_was_not_measured():
    header, rows = headline.table(results({4: 0.0201, 16: 0.005}, failures=[(48, 0)], test_ssim=None))
    assert header == list(headline.HEADER)
    assert rows == [
        ["4", "-", "1", "0.0201", "79.9 %", "0.0500", "48", "0.0181", "16.97", "-"],
        ["16", "-", "1", "0.00500", "95.0 %", "0.0300", "-", "0.00450", "23.01", "-"],
        ["48", "training failed", "0", "failed", "-", "0.0200", "-", "-", "-", "-"],
    ]


def test_with_seeds_the_table_has_means_and_half_intervals():
    (row,) = headline.table(results({(16, 0): 0.02, (16, 1): 0.022}, noise=0))[1]
    half = 12.7062 * 0.001  # Student's t for one degree of freedom, times the standard error of the mean
    assert (row[3], row[4]) == (f"0.0210 ± {half:.4f}", f"79.0 ± {1000 * half:.1f} %")


def test_half_of_an_interval_has_the_digits_of_its_mean():
    (row,) = headline.table(results({(16, seed): 0.02 for seed in (0, 1, 2)}))[1]
    assert re.fullmatch(r"0\.0200 ± 0\.\d{4}", row[3])
    assert re.fullmatch(r"80\.0 ± \d\.\d %", row[4])
