"""What the sentence of an answer may and may not claim, and the line of a search."""

import re
from dataclasses import replace

import pytest
from factories import results
from helpers import model_result

from latentfit.measure import answer, gates, network, verdict
from latentfit.recipe import CONVERGED, REFERENCE, Job
from latentfit.report import tables
from latentfit.results import Gate, Knee

LACKING, ENOUGH, OPEN = [0.85, 0.851, 0.852], [0.91, 0.912, 0.911], [0.89, 0.91, 0.905]
BELOW = "none, worse than the mean image"
KNEE = Knee(16, 0.029, 0.0004, 31.2)


def models(sizes, fired=(), failed=()):
    """Networks of each size with these explained variances; `fired` sizes have not converged."""
    falling = (Gate("still_falling", 0.03, 0.01),)
    trained = [
        model_result(k, seed, value, gates=falling if k in fired else ())
        for k, values in sizes.items()
        for seed, value in enumerate(values)
    ]
    return [*trained, *(network.failed(Job(*job), "it broke") for job in failed)]


def sentence(sizes, keep=0.9, recipe=REFERENCE, following=(), components=85, limit=None, **others):
    return answer.answer(models(sizes, **others), keep, following, recipe, components, limit=limit).sentence


@pytest.mark.parametrize(("keep", "text"), [(0.9, "90 %"), (0.999, "99.9 %"), (0.1 + 0.2, "30 %"), (0.125, "12.5 %")])
def test_a_share_has_the_digits_it_was_asked_with(keep, text):
    assert answer.share(keep) == text


THREE = {8: LACKING, 16: LACKING, 32: LACKING}


@pytest.mark.parametrize(
    ("sizes", "others", "claims", "no_claims"),
    [
        (
            {20: LACKING, 28: ENOUGH},
            {"following": (24,)},
            [
                "28 latent dimensions are enough to keep 90 % of the variance of the test images",
                "(91.1 %, 95 % interval 90.9 to 91.3 % over 3 seeds and the test images)",
                "20 are not (85.1 %); sizes between were not tested.",
                "PCA needs 85 components; the network saves at least 57.",
                "Next size to try: 24.",
            ],
            ["At most", "upper bound", "failed"],
        ),
        ({1: LACKING, 2: ENOUGH}, {}, ["2 latent dimensions are enough", "1 is not (85.1 %)."], ["between", "Next"]),
        (
            {14: LACKING, 15: OPEN, 16: ENOUGH},
            {},
            ["16 latent dimensions are enough", "15 may be (90.2 %", "; 14 are not (85.1 %)."],
            ["between"],
        ),
        (
            {14: OPEN, 15: LACKING, 16: ENOUGH},
            {},
            ["16 latent dimensions are enough", "15 are not (85.1 %)."],
            ["14", "between"],
        ),
        ({15: LACKING, 16: ENOUGH}, {"components": 17}, ["PCA needs 17 components, so PCA will do."], ["saves"]),
        ({15: LACKING, 16: ENOUGH}, {"components": 15}, ["PCA needs 15 components, so PCA will do."], ["saves"]),
        ({15: LACKING, 16: ENOUGH}, {"components": 18}, ["PCA needs 18 components; the network saves 2."], ["will do"]),
        ({16: ENOUGH}, {"components": None}, ["PCA does not keep it with any number of components."], ["saves"]),
        ({16: LACKING}, {}, ["PCA needs 85 components for that."], ["saves"]),
        ({1: ENOUGH}, {}, ["1 latent dimension is enough to keep 90 %"], ["smaller", "Next"]),
        (
            {16: ENOUGH},
            {},
            ["At most 16 latent dimensions are needed to keep 90 %", "no smaller size was tried"],
            ["upper bound", "are enough"],
        ),
        (
            {14: OPEN, 16: ENOUGH},
            {},
            ["16 latent dimensions are enough", "14 may be (90.2 %", "sizes between were not tested"],
            ["At most"],
        ),
        ({16: ENOUGH, 48: ENOUGH}, {}, ["At most 16 latent dimensions are needed"], ["48"]),
        (
            {8: LACKING, 16: ENOUGH, 48: LACKING},
            {},
            ["16 latent dimensions are enough", "More dimensions are not enough at 48"],
            ["48 latent dimensions are enough"],
        ),
        (
            {20: LACKING, 28: ENOUGH},
            {"fired": [28]},
            [
                "At most 28 latent dimensions are needed with this training to keep 90 %",
                "upper bound: training error still fell by more than 1 % in the last tenth",
                "try --recipe converged or more epochs",
            ],
            ["are enough to keep"],
        ),
        ({20: LACKING, 28: ENOUGH}, {"fired": [20]}, ["At most 28"], []),  # "20 are not" rests on it too
        ({8: LACKING, 20: LACKING, 28: ENOUGH}, {"fired": [8]}, ["28 latent dimensions are enough"], ["At most"]),
        ({8: LACKING, 16: OPEN}, {}, ["do not decide", "keep 90 %", "Not enough: 8."], ["enough to keep", "At most"]),
        ({8: OPEN, 16: OPEN}, {}, ["do not decide"], ["Not enough", "enough to keep"]),
        (
            {16: [0.884], 48: [0.906]},
            {},
            ["there is no interval", "48 latent dimensions (90.6 %)", "16 kept 88.4 %", "--seeds 3"],
            ["are enough to keep"],
        ),
        (
            THREE,
            {"keep": 0.99},
            ["No size of this study keeps 99 %", "85.1 %", "with 8 latent dimensions", "More dimensions did not help"],
            ["enough"],
        ),
        ({16: LACKING}, {}, ["No size of this study keeps 90 %"], ["no larger size"]),
        ({16: LACKING}, {"limit": 16}, ["There is no larger size to try."], []),
        (
            {14: LACKING, 15: [0.88], 16: ENOUGH},
            {},
            ["14 are not (85.1 %); sizes between were not tested with every seed."],
            ["15"],
        ),
        ({16: [0.88, 0.9, 0.912]}, {}, ["No size of this study is shown to keep 90 %"], []),
        ({16: [0.88]}, {}, ["No size of this study is shown to keep 90 %"], []),
        ({8: [0.8996, 0.8997, 0.8998], 9: ENOUGH}, {}, ["8 are not (89.97 %)"], ["90.0 %"]),  # its side shows
        ({16: ENOUGH}, {"failed": [(16, 3), (48, 0)]}, ["2 trainings failed and cannot be counted."], ["At most 48"]),
        ({}, {"failed": [(16, 0)]}, ["Every training failed", "1 training failed"], ["Next"]),
        ({2: [-3.0, -3.1, -2.9], 28: ENOUGH}, {}, [f"2 are not ({BELOW})"], ["-3", "-300"]),
        ({2: [-3.0], 28: [0.95]}, {}, [f"2 kept {BELOW}. Train"], ["-3"]),
        ({28: [0.95, -0.05]}, {"keep": 0.3}, ["95 % interval below 0 to"], []),
    ],
)
def test_what_the_sentence_claims(sizes, others, claims, no_claims):
    text = sentence(sizes, **others)
    assert [claim for claim in claims if claim not in text] == []
    assert [claim for claim in no_claims if claim in text] == []


def test_an_undecided_sentence_has_the_number_of_seeds_that_would_settle_it():
    found = answer.answer(models({8: LACKING, 16: OPEN}), 0.9)
    assert f"{found.more_seeds} more seeds" in found.sentence


@pytest.mark.parametrize("sizes", [{28: ENOUGH}, {28: OPEN}, THREE])
def test_a_converged_study_is_advised_to_take_more_epochs_only(sizes):
    text = sentence(sizes, fired=[*sizes], recipe=CONVERGED)
    assert "try more epochs" in text
    assert "--recipe" not in text


def test_the_sentence_names_every_failed_check():
    fired = tuple(Gate(name, 1, 0) for name in gates.GATES)
    found = answer.answer([replace(model, gates=fired) for model in models({20: ENOUGH})], 0.9)
    assert found.gates == tuple(gates.GATES)
    assert all(check.words in found.sentence for check in gates.GATES.values())


def test_failed_trainings_are_a_failed_check():
    assert answer.answer(models({16: ENOUGH}, failed=[(16, 3), (48, 0)]), 0.9).gates == ("failed",)


def test_the_table_of_shares():
    given = models({16: LACKING, 32: ENOUGH}, fired=[32])
    answers = [answer.answer(given, keep) for keep in verdict.KEEPS]
    answers.append(answer.answer(models({16: [0.88], 48: [0.906]}), 0.9))
    answers = [replace(a, pca_components=k) for a, k in zip(answers, (24, 43, 84, 187, None, 85), strict=True)]
    header, rows = tables.answers(replace(results({16: 0.02}), answers=tuple(answers)))
    assert {len(row) for row in rows} == {len(header)}
    assert rows == [
        ["80 %", "at most 16", "-", "24"],  # no smaller size was shown to be too small
        ["85 %", "at most 32", "-", "43"],
        ["90 %", "at most 32", "16", "84"],
        ["95 %", "not reached in this training", "32", "187"],
        ["99 %", "not reached in this training", "32", "-"],
        ["90 %", "undecided, perhaps 48 or fewer", "-", "85"],
    ]


def test_where_pca_needs_fewer_no_larger_size_is_said_to_be_needed():
    found = replace(answer.answer(models({16: ENOUGH}), 0.8), pca_components=9)
    _, rows = tables.answers(replace(results({16: 0.02}), answers=(found,)))
    assert rows == [["80 %", "no size below 16 has several seeds", "-", "9"]]


def test_no_size_keeps_a_share_only_if_every_interval_lies_below_it():
    known = {8: [0.75, 0.95, 0.82], 16: [0.881, 0.882, 0.8805]}
    for given, told in ((known, "is shown to keep"), ({16: known[16]}, "keeps")):
        found = models(given)
        decided = answer.answer(found, 0.9)
        assert decided.status == "not_reached"
        assert answer.claim(decided, verdict.sizes(found))[1] == f"no size of this study {told} 90 % of the variance"


@pytest.mark.parametrize(
    ("sizes", "others", "line"),
    [
        (
            {2: LACKING, 4: OPEN, 8: ENOUGH},
            {},
            "to keep 90 %: 2: 85.1 % (not enough), 4: 90.2 % (undecided), 8: 91.1 % (enough)",
        ),
        (
            {2: LACKING, 8: ENOUGH},
            {"fired": [2], "failed": [(4, 0), (8, 3)]},
            "to keep 90 %: 2: 85.1 % (not enough; failed checks: not converged), 8: 91.1 % (enough; failed checks: "
            "training failed), 4: failed",
        ),
        ({4: [None]}, {}, "to keep 90 %: 4: no variance to keep"),
    ],
)
def test_the_progress_of_a_search_is_one_line(sizes, others, line):
    assert answer.progress_text(models(sizes, **others), 0.9) == line


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize("values", [[None, None], [-1092.16, -1000.0]])
def test_where_nothing_varies_no_size_is_recommended(values):
    nothing, given = "The test images hold next to no variance.", models({4: values, 16: values})
    found = answer.answer(given, 0.9, (64,), no_variance=nothing)
    assert (found.sentence, found.latent_dim, found.next) == (nothing, None, ())
    assert verdict.not_asked(nothing).sentence == nothing


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize("values", [[-1092.16], [-1092.16, -1000.0], [0.02, -0.03]])
def test_explained_variance_below_0_is_told_in_words(values):
    text = sentence({4: values, 16: values}, fired=[4])
    assert "on average every size reconstructs them worse than the mean training image would" in text
    assert "no size is recommended" in text
    assert "Better training may get further" in text
    assert "Next" not in text
    assert not re.search(r"-\d", text + answer.progress_text(models({4: values}), 0.9))


def test_a_knee_is_told_whatever_the_share():
    told = answer.answer(models({15: LACKING, 16: ENOUGH}), 0.9, knee=KNEE).sentence
    assert "Explained variance rises by 2.9 points at 16 and by 0.04 at 17, at least 31 times less" in told
    assert told.endswith("these images behave like 16 continuous factors.")


def test_the_knee_that_was_asked_for_is_the_answer_and_without_one_there_is_none():
    given = models({15: LACKING, 16: ENOUGH, 17: ENOUGH}, fired=[15])
    found = answer.answer_of_knee(given, KNEE, components=85)
    assert (found.status, found.keep, found.latent_dim, found.not_enough) == ("found", "knee", 16, None)
    assert "They keep 91.1 % of the variance of the test images, for which PCA needs 85 components." in found.sentence
    assert found.gates == ("still_falling",)
    alone = answer.answer_of_knee(given, KNEE).sentence
    assert "They keep 91.1 %, which PCA does not with any number of components." in alone
    assert "Better training may change that: training error still fell" in found.sentence
    none = answer.answer_of_knee(given, None)
    assert (none.status, none.latent_dim, none.knee) == ("not_reached", None, None)
    assert none.sentence.startswith("No significant knee: explained variance does not stop rising")
    few = models({3: ENOUGH, 9: ENOUGH})
    alone = answer.answer_of_knee(few, None).sentence
    assert alone.startswith("No knee was looked for: three consecutive sizes")
    looked = answer.answer_of_knee(few, None, looked=[1, 2, 4, 8]).sentence
    assert looked.startswith("No knee: in short trainings of 1 to 8 dimensions explained variance goes on rising")
    assert answer.progress_text(given, "knee").startswith(
        "explained: 15: 85.10 %; failed checks: not converged, 16: 91.1"
    )


def test_an_interval_does_not_end_above_everything():
    assert "to 100 % over" in sentence({4: [0.9996, 0.9999, 0.9991]})
