"""Sentences on codes, interpolations and bytes, with numbers computed by hand."""

from dataclasses import replace

import pytest
from factories import BETTER, results, with_tests

from latentfit.measure.comparisons import compare_nested
from latentfit.measure.network import nested_curve
from latentfit.recipe import Job
from latentfit.report import tradeoffs
from latentfit.results import Estimate, Intrinsic


def bytes_of(raw, png, zlib):
    """Sentences on networks of 16 and 48 dimensions whose images have these sizes in bytes."""
    found = results(BETTER)
    compression = replace(found.lost.compression, raw_bytes=raw, png_bytes=png, zlib_bytes=zlib)
    return tradeoffs.compression_sentences(replace(found, lost=replace(found.lost, compression=compression)))


def test_bytes_by_hand_and_no_png_of_floats():
    image, small, large = bytes_of(784, 500.0, 400.0)
    assert "An image is 784 bytes (one for each number), 500 as PNG and 400 when many are packed" in image
    assert "16 dimensions is 64 bytes as float32, a ratio of 12.2; at 8 bits a dimension 16 bytes, a ratio of" in small
    assert f"1,360 bytes spread over all 70,000 images the ratio is {784 / (16 + 1360 / 70_000):.1f}." in small
    assert "192 bytes as float32, a ratio of 4.1; at 8 bits a dimension 48 bytes, a ratio of 16.3" in large
    assert "A code of 1 dimension is 4 bytes as float32" in tradeoffs.compression_sentences(results({1: 0.02}))[1]
    image, small, _ = bytes_of(3136, None, None)  # floats that are no bytes
    assert "3,136 bytes (four a number, as float32); it has no size as PNG or with zlib, because bytes cannot" in image
    assert "64 bytes as float32, a ratio of 49.0;" in small


STRAIGHT, NEAR, DRIFT = "went straighter", "came nearer to training images half way", "drifted less"


@pytest.mark.parametrize(
    ("tests", "text"),
    [
        (
            [(-1, 0.0001), (1, 0.01), (-1, 0.02)],
            f"the one with 48 {STRAIGHT} (paired p < 0.001) and {DRIFT} (paired p = 0.020), and the one with 4 {NEAR} "
            "(paired p = 0.010).",
        ),
        (
            [(0, 1), (1, None), (0, 1)],
            f"which one {STRAIGHT} (paired p = 1.000), which one {NEAR} (paired p unknown) and which one {DRIFT} "
            "(paired p = 1.000) is not settled.",
        ),
    ],
)
def test_which_of_the_end_sizes_interpolates_better_is_said_as_far_as_it_is_significant(tests, text):
    names = ("detour", "midpoint_distance", "drift")
    changes = {name: {"difference": d, "p": p, "family": 1} for name, (d, p) in zip(names, tests, strict=True)}
    sentences = tradeoffs.midpoint_sentences(with_tests(results({4: 0.04, 16: 0.02, 48: 0.01}), **changes))
    assert f"Of the networks with 4 and 48 dimensions, {text}" in sentences


def test_differences_from_the_references_are_grouped_by_size():
    found = results({1: 0.06, 4: 0.04, 16: 0.02, 48: 0.01})
    outcomes = {  # reference and quantity: difference and p at 1, 4, 16 and 48
        ("cross_fade", "midpoint_distance"): [(-1, 0.6), (-1, 0.01), (-1, 0.001), (-1, 0.04)],
        ("cross_fade", "midpoint_sharpness"): [(-1, 0.01)] * 4,
        ("pca", "midpoint_distance"): [(1, 0.01), (1, 0.01), (-1, 0.01), (1, None)],
        ("pca", "midpoint_sharpness"): [(1, 0.01), (-1, 0.01), (1, 0.01), (1, 0.01)],
    }
    models = list(found.interpolation.models)
    for (reference, name), tests in outcomes.items():
        for i, (difference, p) in enumerate(tests):
            of = getattr(models[i].against, reference)
            of = replace(of, **{name: replace(getattr(of, name), difference=difference, p=p)})
            models[i] = replace(models[i], against=replace(models[i].against, **{reference: of}))
    found = replace(found, interpolation=replace(found.interpolation, models=tuple(models)))
    assert (
        "Tested in pairs over the same walks, pictures half way are, against fading, nearer to training images at "
        "4, 16 and 48, not told apart in distance at 1, blurrier at all sizes; against as many PCA components, nearer "
        "to training images at 16, farther from training images at 1 and 4, not told apart in distance at 48, blurrier "
        "at 4, sharper at 1, 16 and 48."
    ) in tradeoffs.midpoint_sentences(found)


def test_estimates_of_the_intrinsic_dimension_are_reported_with_their_sample_and_gaps():
    estimates = (Estimate("TwoNN", 14.24, None), Estimate("MLE", None, "gave nan"))
    codes, intrinsic = tradeoffs.code_sentences(replace(results(BETTER), intrinsic=Intrinsic(2000, estimates)))
    assert "is 3.0 of 16 and 3.0 of 48." in codes
    assert "from 2,000 training images: TwoNN 14.2 and MLE no answer (gave nan)." in intrinsic
    assert tradeoffs.code_sentences(results(BETTER)) == [codes]


def test_a_nested_network_is_reported_with_its_distance_from_the_trained_sizes():
    found = results(BETTER)
    assert tradeoffs.nested_sentences(found) == []
    curve = nested_curve(Job(48, 0), {16: 0.022, 32: 0.02, 48: 0.018}, None, (16, 32, 48))
    curve = replace(curve, apart=compare_nested(curve, found.sizes))
    first, screening = tradeoffs.nested_sentences(replace(found, curve=curve))
    assert "its test error is +10 % at 16 and +80 % at 48." in first
    assert screening.startswith("It is too poor a guide to be drawn, and no answer rests on it")
    broken = replace(found, curve=nested_curve(Job(48, 0), None, "it burst", (16, 48)))
    assert tradeoffs.nested_sentences(broken) == ["The screening of all sizes with one network failed: it burst."]
