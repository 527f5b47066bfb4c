"""The analysis: whole sentences in every study, and none about what was not measured."""

import json
import re
from dataclasses import replace
from functools import cache

import pytest
from factories import BETTER, EQUAL, MANY, MANY_SEEDS, SEEDS, results, with_tests

from latentfit.measure import answer, headline
from latentfit.parts import ClassErrors
from latentfit.recipe import RECIPES
from latentfit.report import findings, tables
from latentfit.results import Results
from latentfit.stats import Mean
from latentfit.sweep import files

STUDIES = {
    "better": (BETTER, {}),
    "many sizes": (MANY, {}),
    "many sizes and seeds": (MANY_SEEDS, {}),
    "seeds": (SEEDS, {}),
    "single": ({16: 0.02}, {}),
    "one dimension and more": ({1: 0.06, 4: 0.04, 16: 0.02}, {"fall": 0.03, "train_share": 0.5}),
    "one dimension is better": ({1: 0.01, 16: 0.02}, {}),
    "one dimension failed": ({16: 0.02}, {"failures": [(1, 0)]}),
    "one dimension as PCA": ({1: 0.08, 16: 0.03}, {}),
    "all failed": ({}, {"failures": [(16, 0), (48, 0)]}),
    "first seed failed": ({(16, 1): 0.02, (48, 1): 0.01}, {"failures": [(16, 0), (48, 0)]}),
    "first seed failed once": ({(16, 0): 0.02, (16, 1): 0.02, (48, 1): 0.01}, {"failures": [(48, 0)]}),
    "no labels": (BETTER, {"labels": False}),
    "equal images": (BETTER, {"variance": 5.7e-10, "test_sharpness": None}),
    "worse than the mean image": ({1: 2e-4, 16: 0.5, 48: 1e-4}, {"variance": 1e-3}),
    "all worse than the mean image": ({(k, s): e for k, e in ((16, 0.3), (48, 0.2)) for s in (0, 1)}, {}),
    "one epoch": (BETTER, {"fall": None}),
    "one test image": (BETTER, {"test_images": 1}),
    "nothing lost": ({16: 0.0, 48: 0.0}, {}),
}


@cache
def study(name: str) -> Results:
    errors, options = STUDIES[name]
    return results(errors, **options)


@pytest.fixture(params=STUDIES)
def any_study(request):
    return study(request.param)


def texts(found):
    return {finding.title: " ".join(finding.sentences) for finding in findings.analysis(found)}


TRAINING, CLASSES = "Was the training finished?", "Which classes lose most"
INTERPOLATIONS, BYTES = "What the interpolations show", "What it means for compression"
ERRORS, LINEAR, SHARP, IMAGES = "Error and latent dimension", "Against PCA", "Sharpness", "Other images"
PLURALS = "dimensions|latent dimensions|components|PCA components|pairs|random pairs|epochs|comparisons"


def test_every_study_is_reported_in_whole_sentences(any_study):
    found = findings.analysis(any_study)
    assert headline.headline(any_study).startswith(found[0].sentences[0])
    assert {finding.section for finding in found} <= {"sizes", "lost", "interpolations", "codes", "bytes", "trust"}
    assert all(finding.title and finding.sentences for finding in found)
    for sentence in (sentence for finding in found for sentence in finding.sentences):
        assert sentence[0].isupper() or sentence[0].isdigit()
        assert sentence.endswith(".")
        assert not re.search(r"\b(nan|inf|None)\b", sentence)


def test_one_of_a_thing_is_singular_in_every_sentence(any_study):
    one_pair = replace(any_study, interpolation=replace(any_study.interpolation, measured_pairs=1))
    for found in (any_study, one_pair):
        text = " ".join(texts(found).values())
        assert not re.search(rf"(?<![\d.,])1 ({PLURALS})\b", text)
        assert not re.search(rf"(?<![\d.,])(?!1 )\d+ ({PLURALS.replace('s|', '|').removesuffix('s')})\b", text)


def test_every_table_is_whole_and_a_study_that_was_read_back_is_reported_alike(any_study):
    for header, rows, note in tables.all_tables(any_study).values():
        assert not note or note.endswith(".")
        assert {len(row) for row in rows} == {len(header)}
        assert all(isinstance(cell, str) and cell not in ("", "nan", "None") for row in rows for cell in row)
    again = files.from_json(Results, json.loads(json.dumps(files.to_json(any_study), allow_nan=False)))
    assert findings.analysis(again) == findings.analysis(any_study)
    assert tables.all_tables(again) == tables.all_tables(any_study)


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize(
    ("name", "text", "unsaid", "sampled"),
    [
        (
            "equal images",
            "next to no variance",
            r"a lower|differ significantly on|below that|PCA needs|of the variance|significantly more",
            [],
        ),
        ("worse than the mean image", "worse than the mean", r"\d{3} points|-\d{3}|16-dimensional", ["1", "48"]),
        (
            "all worse than the mean image",
            "worse than the mean",
            r"a lower|differ significantly on|points at|trained once",
            [],
        ),
    ],
)
def test_without_explained_variance_nothing_is_compared(name, text, unsaid, sampled):
    told = " ".join(texts(study(name)).values())
    assert text in told
    assert not re.search(unsaid, told)
    assert re.findall(r"points at (\d+)", texts(study(name)).get(IMAGES, "")) == sampled


def test_a_size_whose_first_seed_failed_is_in_every_finding():
    for title, text in texts(study("first seed failed once")).items():
        sizes = {"48"} if title == CLASSES else {"16", "48"}
        assert sizes <= set(re.findall(r"\d+", text)), title


def test_training_and_sharpness_are_means_over_seeds():
    found = study("seeds")
    numbers = {
        0: {"last_tenth_fall": 0.001, "test_sharpness": 0.6},
        1: {"last_tenth_fall": 0.005, "test_sharpness": 1.0},
    }
    after = texts(replace(found, models=tuple(replace(m, **numbers[m.seed]) for m in found.models)))
    assert (
        "the training error changed by -0.3 % with 16 and -0.3 % with 48. Test error against training"
        in after[TRAINING]
    )
    assert after[SHARP] == (
        "The mean gradient magnitude of the test reconstructions, as a share of that of the originals, is 80 % with 16 "
        "and 80 % with 48; below 100 % is blur, but artefacts count too."
    )


def test_with_several_seeds_no_number_of_the_sizes_is_of_one_seed():
    """What a size's mean is not made of changes nothing under "All sizes"."""
    found = study("many sizes and seeds")
    wrong = {"test_mse": 9.0, "train_mse": 9.0, "test_explained_variance": -9.0, "test_psnr": 9.0, "test_ssim": 9.0}
    models = tuple(replace(m, **wrong) for m in found.models)
    tests = tuple(replace(c, test_mse=replace(c.test_mse, p=None)) for c in found.against_pca)
    other = with_tests(replace(found, models=models, against_pca=tests), test_mse={"means": (9.0, 9.0), "p": None})

    def sizes(results):
        return [f for f in findings.analysis(results) if f.section == "sizes"]

    assert [finding.title for finding in sizes(found)] == [ERRORS, LINEAR]
    assert sizes(other) == sizes(found)
    assert headline.table(other) == headline.table(found)
    assert headline.headline(other) == headline.headline(found)


@pytest.mark.parametrize(
    ("options", "said", "unsaid"),
    [
        ({}, "changed by -0.1 % with 16 and -0.1 % with 48. Test error against training error: +11.1 %", "failed"),
        ({"fall": 0.03}, "In the last 2 epochs of 20 the training error changed by -3.0 % with 16 and", "images"),
        (
            {"fall": 0.03},
            "At 16 and 48 a training check failed: training error still fell by more than 1 % in the last",
            "images",
        ),
        ({"fall": 0.03}, "of the epochs; try --recipe converged or more epochs. Part of any difference", "images"),
        ({"fall": -0.014}, "changed by +1.4 % with 16 and +1.4 % with 48", "failed"),
        (
            {"fall": None},
            "a training check failed: one epoch cannot show whether training was finished; try",
            "changed by",
        ),
        (
            {"train_share": 0.5},
            "At 16 and 48 a training check failed: test error above training error by more than 3 %",
            "still",
        ),
        ({"train_share": 0.5}, "of the variance; take more images. Test error", "Part of any difference"),
    ],
)
def test_training_is_called_finished_only_where_its_checks_passed(options, said, unsaid):
    text = texts(results(BETTER, **options))[TRAINING]
    assert said in text
    assert unsaid not in text


def test_only_the_sizes_whose_checks_failed_are_named_with_advice_for_their_recipe():
    found = study("seeds")
    sizes = (found.sizes[0], replace(found.sizes[1], gates=("still_falling",)))
    text = texts(replace(found, sizes=sizes, recipe=RECIPES["converged"]))[TRAINING]
    assert (
        "At 48 a training check failed: the budget of epochs ended the training before the held-out error had " in text
    )
    assert "; try more epochs." in text


def by_class(found, errors):
    """Results with other errors of the classes, by size."""
    sizes = (ClassErrors(k, "images", tuple(e and Mean(e, None) for e in of)) for k, of in errors.items())
    return replace(found, lost=replace(found.lost, by_class=tuple(sizes)))


SMALL, LARGE = (0.04, 0.04, 0.04), (0.03, 0.01, 0.06)


@pytest.mark.parametrize(
    ("errors", "smallest", "largest", "text"),
    [
        (
            BETTER,
            SMALL,
            LARGE,
            "s are those of bag (0.0600) and shirt (0.0300); the smallest is that of shoe (0.0100). From 48 down to 16 "
            "the error changes most for shoe (+0.0300) and least for bag (-0.0200).",
        ),
        (EQUAL, SMALL, LARGE, "s are those of bag (0.0600) and shirt (0.0300); the smallest is that of shoe (0.0100)."),
        (
            BETTER,
            (0.06, None, 0.04),
            (0.03, None, 0.01),
            " is that of shirt (0.0300); the smallest is that of bag (0.0100). From 48 down to 16 the error changes "
            "most for shirt (+0.0300) and least for bag (+0.0300).",
        ),
        (
            BETTER,
            (0.03, None, None),
            (0.03, 0.02, 0.01),
            "s are those of shirt (0.0300) and shoe (0.0200); the smallest is that of bag (0.0100).",
        ),
    ],
)
def test_classes_are_ranked_and_those_without_images_left_out(errors, smallest, largest, text):
    told = texts(by_class(results(errors), {16: smallest, 48: largest}))[CLASSES]
    assert told == f"With 48 dimensions the largest error{text}"


@pytest.mark.parametrize(
    ("keep", "sizes"), [(None, (4, 48)), (0.75, (4, 16)), (0.85, (16, 48)), (0.55, (4, 48)), (0.99, (16, 48))]
)
def test_what_is_lost_is_between_the_answer_and_the_size_below_or_between_the_ends(keep, sizes):
    found = results({(k, seed): e for k, e in ((4, 0.04), (16, 0.02), (48, 0.01)) for seed in (0, 1, 2)})
    if keep:
        found = replace(found, verdict=answer.answer(found.models, keep))
    assert findings.lost_between(found) == sizes
    small, large = sizes
    text = texts(found)[CLASSES]
    assert text.startswith(f"With {large} dimensions the largest errors are")
    assert f"From {large} down to {small} the error changes most for" in text


def test_what_was_not_measured_is_not_reported():
    codes = "k-nearest-neighbour accuracy on the codes"
    unknown = ("no labels", CLASSES), ("no labels", codes), ("equal images", SHARP)
    for name, title in unknown:
        assert title in texts(study("better"))
        assert title not in texts(study(name))
    assert CLASSES not in texts(by_class(study("better"), dict.fromkeys((16, 48), (None, 0.02, None))))
    assert list(texts(study("all failed"))) == ["Error and latent dimension"]
    assert not re.search("-dimensional one|the bytes of|5 % level", " ".join(texts(study("single")).values()))


def test_interpolations_without_sharpness_are_reported_by_their_evenness():
    found = study("better")
    models = tuple(replace(model, midpoint_sharpness=None) for model in found.interpolation.models)
    text = texts(replace(found, interpolation=replace(found.interpolation, models=models)))[INTERPOLATIONS]
    assert "The mean of the four steps, as a share of the largest, is 100 % with 16 and 100 % with 48." in text


def test_other_test_images_are_spoken_of_where_no_interval_has_them():
    halves = [50 * (high - low) for e in study("better").sampling for low, high in [e.test_explained_variance]]
    assert texts(study("better"))[IMAGES] == (
        f"Other test images of the same kind would move explained variance by about ± {halves[0]:.2f} points at 16 and "
        f"± {halves[1]:.2f} points at 48 (95 %, paired bootstrap over the test images); this leaves out variation "
        "across seeds."
    )
    assert IMAGES not in texts(study("seeds"))


def test_bytes_are_compared_with_the_explained_variance_that_they_add():
    more, less = {16: 0.801, 48: 0.902}, {16: 0.902, 48: 0.801}
    for errors, explained, text in (
        (BETTER, more, "explain 10.1 points more of the variance"),
        (BETTER, less, "explain 10.1 points less of the variance"),
        (EQUAL, more, "do not explain significantly more of the variance"),
    ):
        told = texts(results(errors, test_explained_variance=explained))[BYTES]
        assert told.endswith(
            f"48 dimensions take 3 times the bytes of 16, the decoder apart, and {text}. Bytes and errors here "
            "are on the network of seed 0 at each size."
        )
