"""Sentences on codes, interpolations and bytes, with numbers computed by hand."""

from dataclasses import replace

import pytest
from factories import BETTER, MANY_SEEDS, SEEDS, results, with_tests

from latentfit.measure import answer
from latentfit.measure.comparisons import compare_nested
from latentfit.measure.network import nested_curve
from latentfit.recipe import Job
from latentfit.report import tradeoffs
from latentfit.results import Estimate, Intrinsic


def compressed(found, jpeg, pca, **bytes_of_an_image):
    """Sentences on networks whose codes of 8 bits have error 0.021, where JPEG and PCA have these numbers."""
    compression = replace(found.lost.compression, **bytes_of_an_image)
    models = [
        replace(m, jpeg_bytes=jpeg, bits=tuple(replace(row, test_mse=0.021, pca_test_mse=pca) for row in m.bits))
        for m in compression.models
    ]
    compression = replace(compression, models=tuple(models))
    return tradeoffs.compression_sentences(replace(found, lost=replace(found.lost, compression=compression)))


def test_a_code_stands_beside_pca_and_jpeg_and_with_its_share_of_the_decoder():
    bytes_of = {"raw_bytes": 784, "png_bytes": 500.0, "zlib_bytes": 400.0}
    image, code, beside, whole = compressed(results(BETTER), 200.4, 0.03, **bytes_of)  # of the largest size
    assert "An image is 784 bytes (one for each number), 500 as PNG and 400 when many are packed" in image
    decoder = 4 * (48 * 20 + 20)
    assert code == "A code of 48 dimensions at 8 bits a dimension is 48 bytes, with an error of 0.0210."
    assert beside == "PCA has 0.0300 with as many bytes (its axes apart) and JPEG takes 200 bytes for no more error."
    each = 48 + decoder / 70_000
    assert whole == (
        f"The decoder comes on top: {decoder:,} bytes, which over 70,000 images makes {each:.0f} each, code included."
    )
    assert compressed(results({1: 0.02}), 2.0, 0.1)[1].startswith(
        "A code of 1 dimension at 8 bits a dimension is 1 byte,"
    )


def test_what_has_no_jpeg_no_png_or_an_older_study_says_nothing_of_them():
    image, code, whole = compressed(results(BETTER), None, None, raw_bytes=3136, png_bytes=None, zlib_bytes=None)
    assert "3,136 bytes (four a number, as float32); it has no size as PNG or with zlib, because bytes cannot" in image
    assert code.endswith("with an error of 0.0210.")
    assert whole.startswith("The decoder comes on top")
    assert tradeoffs.compression_sentences(results({}, failures=[(16, 0)])) == []


def test_of_many_sizes_the_code_of_the_answer_is_described_or_of_the_largest():
    found = results(MANY_SEEDS)
    decided = replace(found, verdict=answer.answer(found.models, 0.7))
    assert decided.verdict.latent_dim != 48
    for each, k in ((found, 48), (decided, decided.verdict.latent_dim)):
        assert tradeoffs.compression_sentences(each)[1].startswith(f"A code of {k} dimensions")


QUANTITIES = ("evenness", "midpoint_sharpness", "detour", "midpoint_distance", "drift")
IN_PAIRS = " (paired tests over the same interpolations, 5 % level by Holm)."


@pytest.mark.parametrize(
    ("tests", "text"),
    [
        (
            [(1, 0.01), (-1, 0.01), (-1, 0.0001), (1, 0.01), (-1, 0.02)],
            "higher evenness, lower midpoint sharpness, lower detour, higher midpoint distance and lower drift",
        ),
        (
            [(1, 0.01)] * 2 + [(0, 1), (1, None), (-1, 0.05)],
            "higher evenness, higher midpoint sharpness and no significant difference in detour, midpoint distance and "
            "drift",
        ),
        (
            [(1, 0.06)] * 5,
            "no significant difference in evenness, midpoint sharpness, detour, midpoint distance and drift",
        ),
    ],
)
def test_how_the_interpolations_of_two_sizes_differ_is_said_as_far_as_it_is_significant(tests, text):
    changes = {name: {"difference": d, "p": p} for name, (d, p) in zip(QUANTITIES, tests, strict=True)}
    sentences = tradeoffs.interpolation_sentences(with_tests(results({4: 0.04, 16: 0.02}), **changes))
    head = "Compared with the 4-dimensional network, the 16-dimensional one has "
    assert f"{head}{text}{IN_PAIRS}" in sentences


@pytest.mark.parametrize("errors", [{16: 0.02}, {4: 0.04, 16: 0.02, 48: 0.01}])
def test_only_two_sizes_are_compared_in_words(errors):
    assert "5 % level" not in " ".join(tradeoffs.interpolation_sentences(results(errors)))


FADE = "a cross-fade of the two real images"
OPEN = "not significantly nearer to or farther from training images and not significantly blurrier or sharper"


@pytest.mark.parametrize(
    ("distance", "sharpness", "words"),
    [
        ((-1, 0.01), (-1, 0.01), "nearer to training images and blurrier"),
        ((1, 0.01), (1, 0.049), "farther from training images and sharper"),
        ((-1, 0.05), (1, None), OPEN),
    ],
)
def test_the_takeaway_is_what_the_tests_against_fading_and_pca_say(distance, sharpness, words):
    found = results(BETTER)
    open_, told = {"p": 1.0}, {"midpoint_distance": distance, "midpoint_sharpness": sharpness}
    for reference, sentence in (
        (
            "cross_fade",
            f"{words} than those of {FADE}, and {OPEN} than those of interpolations with as many PCA components.",
        ),
        ("pca", f"{OPEN} than those of {FADE}, and {words} than those of interpolations with as many PCA components."),
    ):
        models = list(found.interpolation.models)
        against = models[-1].against
        for name in ("cross_fade", "pca"):
            of = getattr(against, name)
            tests = {n: replace(getattr(of, n), **open_) for n in told}
            if name == reference:
                tests = {n: replace(getattr(of, n), difference=d, p=p) for n, (d, p) in told.items()}
            against = replace(against, **{name: replace(of, **tests)})
        models[-1] = replace(models[-1], against=against)
        given = replace(found, interpolation=replace(found.interpolation, models=tuple(models)))
        assert tradeoffs.interpolation_takeaway(given) == [f"With 48 dimensions, midpoints are {sentence}"]


def test_the_interpolations_shown_first_are_those_of_the_answer_or_of_the_largest_size():
    found = results(BETTER)
    asked = replace(found, verdict=answer.answer(found.models, 0.7))
    assert (tradeoffs.interpolated_size(found), tradeoffs.interpolated_size(asked)) == (48, 16)
    assert tradeoffs.interpolation_takeaway(asked)[0].startswith("With 16 dimensions, midpoints are ")
    none = results({}, failures=[(16, 0)])
    assert tradeoffs.interpolated_size(none) is None
    assert (
        tradeoffs.interpolation_takeaway(none)
        == tradeoffs.interpolation_numbers(none)
        == tradeoffs.interpolation_sentences(none)
        == []
    )


def test_three_numbers_of_the_interpolations_stand_beside_their_references():
    found = results(BETTER).interpolation
    small, _ = found.models
    changed = replace(
        found,
        models=(replace(small, evenness=0.912, midpoint_distance=1.234, midpoint_sharpness=0.456),),
        pca=(replace(found.pca[0], midpoint_distance=1.5, midpoint_sharpness=0.3),),
        cross_fade=replace(found.cross_fade, midpoint_distance=2.0, midpoint_sharpness=0.7),
    )
    one = results({16: 0.02})
    even, near, sharp = tradeoffs.interpolation_numbers(replace(one, interpolation=changed))
    assert even == ("evenness", "91 %", "mean step over the largest of the four; 100 % is even")
    assert near == ("midpoint distance", "1.23", "of the usual distance; PCA 1.50, cross-fade 2.00")
    assert sharp == ("midpoint sharpness", "46 %", "of the ends' gradients; PCA 30 %, cross-fade 70 %")
    flat = replace(changed, models=(replace(changed.models[0], midpoint_sharpness=None),))
    assert tradeoffs.interpolation_numbers(replace(one, interpolation=flat)) == [even, near]


@pytest.mark.parametrize(
    ("errors", "failures", "seeds"),
    [(BETTER, [], "0"), (SEEDS, [], "0"), ({(16, 0): 0.02, (48, 1): 0.01}, [(48, 0)], "0 or 1")],
)
def test_numbers_of_one_network_name_its_seed(errors, failures, seeds):
    found = results(errors, failures=failures)
    assert tradeoffs.of_seed(found) == f"on the network of seed {seeds} at each size"
    assert tradeoffs.of_seed(found) in tradeoffs.interpolation_sentences(found)[0]


def test_estimates_of_the_intrinsic_dimension_are_reported_with_their_sample_and_gaps():
    estimates = (Estimate("TwoNN", 14.24, None), Estimate("MLE", None, "gave nan"))
    codes, intrinsic = tradeoffs.code_sentences(replace(results(BETTER), intrinsic=Intrinsic(2000, estimates)))
    assert "is 3.0 of 16 and 3.0 of 48; it depends on how a network scales its code." in codes
    assert "from 2,000 training images: TwoNN 14.2 and MLE no answer (gave nan)." in intrinsic
    assert tradeoffs.code_sentences(results(BETTER)) == [codes]


def test_a_nested_network_is_reported_with_its_distance_from_the_trained_sizes():
    found = results(BETTER)
    assert tradeoffs.nested_sentences(found) == []
    curve = nested_curve(Job(48, 0), {16: 0.022, 32: 0.02, 48: 0.018}, None, (16, 32, 48))
    curve = replace(curve, apart=compare_nested(curve, found.sizes))
    first, trust = tradeoffs.nested_sentences(replace(found, curve=curve))
    assert "relative to networks trained for one size they are +10 % at 16 and +80 % at 48." in first
    assert trust.startswith("These estimates are too poor to be drawn, and no answer rests on them")
    broken = replace(found, curve=nested_curve(Job(48, 0), None, "it burst", (16, 48)))
    assert tradeoffs.nested_sentences(broken) == ["The training of the nested network failed: it burst."]
