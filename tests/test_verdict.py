"""The rule: what is enough, what is not, and what to try next; and what its sentence may and may not claim."""

import re
from dataclasses import replace

import numpy as np
import pytest
from factories import results
from helpers import model_result

from latentfit.errors import InputError
from latentfit.measure import gates, network, verdict
from latentfit.recipe import CONVERGED, REFERENCE, Job
from latentfit.report import tables
from latentfit.results import Answer, Gate

TIGHT = np.array([-0.001, 0.0, 0.001])
LACKING, ENOUGH, OPEN = [0.85, 0.851, 0.852], [0.91, 0.912, 0.911], [0.89, 0.91, 0.905]
WIDE = [0.8, 0.95, 1.0]
BELOW = "none, worse than the mean image"


def around(means):
    """Three networks of each size; the interval is ± 0.0025 around the mean."""
    return {k: (mean + TIGHT).tolist() for k, mean in means.items()}


def models(sizes, fired=(), failed=()):
    """Networks of each size with these explained variances; `fired` sizes have not converged."""
    falling = (Gate("still_falling", 0.03, 0.01),)
    trained = [
        model_result(k, seed, value, gates=falling if k in fired else ())
        for k, values in sizes.items()
        for seed, value in enumerate(values)
    ]
    return [*trained, *(network.failed(Job(*job), "it broke") for job in failed)]


def sentence(sizes, keep=0.9, recipe=REFERENCE, **others):
    return verdict.verdict(models(sizes, **others), keep, recipe=recipe).sentence


@pytest.mark.parametrize(
    ("explained", "expected"),
    [
        (
            around({4: 0.7, 16: 0.85, 32: 0.91, 64: 0.95}),
            {"status": "found", "latent_dim": 32, "not_enough": 16, "best": 32, "open": (), "next": (24,)},
        ),
        (
            around({16: 0.8, 20: 0.9, 28: 0.91}),  # the whole interval of 20 is not as high
            {"status": "found", "latent_dim": 28, "not_enough": 16, "open": (20,), "next": (24,)},
        ),
        ({16: [0.9] * 3}, {"status": "found", "latent_dim": 16, "not_enough": None}),
        ({16: [0.9 - 1e-9] * 3}, {"status": "not_reached", "latent_dim": None, "not_enough": 16}),
        (
            around({16: 0.8, 32: 0.901}),
            {"status": "undecided", "latent_dim": None, "not_enough": 16, "best": 32, "more_seeds": 4, "next": (64,)},
        ),
        (
            around({16: 0.8, 32: 0.85}),
            {"status": "not_reached", "latent_dim": None, "not_enough": 32, "best": 32, "next": (64,)},
        ),
        (
            {16: [0.88], 48: [0.91]},
            {"status": "undecided", "latent_dim": None, "interval": None, "best": 48, "more_seeds": 2, "next": (32,)},
        ),
        ({16: [0.88]}, {"status": "not_reached", "interval": None}),
        (around({4: 0.8, 8: 0.92, 16: 0.85, 32: 0.7}), {"status": "found", "latent_dim": 8, "not_enough": 4}),
        (around({4: 0.8, 8: 0.7}), {"next": (16,), "stuck": False}),
        (around({4: 0.8, 8: 0.7, 16: 0.75}), {"status": "not_reached", "best": 4, "next": (), "stuck": True}),
        ({4: WIDE, 8: WIDE}, {"status": "undecided", "not_enough": None, "open": (4, 8)}),
        ({}, {"status": "not_reached", "best": None, "interval": None, "next": (2,)}),
    ],
)
def test_the_rule(explained, expected):
    found = verdict.decide(explained, 0.9)
    assert {name: getattr(found, name) for name in expected} == expected


def test_the_explained_variance_is_that_of_the_best_size():
    found = verdict.decide(around({16: 0.85, 32: 0.91}), 0.9)
    assert found.explained_variance == pytest.approx(0.91)
    assert found.interval == pytest.approx((0.91 - 0.00248, 0.91 + 0.00248), abs=1e-4)


@pytest.mark.parametrize(
    ("means", "limit", "failed", "following"),
    [
        ({2: 0.5}, None, {4, 8}, (16,)),
        ({}, 4, {2, 4}, ()),
        ({4: 0.5, 8: 0.95}, None, {6}, (5,)),
        ({4: 0.5, 6: 0.95}, None, {5}, ()),
    ],
)
def test_sizes_that_failed_are_not_tried_again(means, limit, failed, following):
    assert verdict.decide(around(means), 0.9, limit, failed).next == following
    given = models(around(means), failed=[(k, seed) for k in failed for seed in range(2)])
    assert verdict.next_sizes(given, 0.9, limit) == following
    assert verdict.verdict(given, 0.9, limit).next == following


@pytest.mark.parametrize("true", [*range(1, 30), 47, 64, 100])
def test_the_search_finds_the_smallest_size_with_few_trainings(true):
    known = {}
    while following := verdict.decide(known, 0.9, limit=100).next:
        assert not set(following) & set(known)
        known |= {k: (0.95 if k >= true else 0.9 - 0.4 / (1 + k)) + TIGHT for k in following}
    found = verdict.decide(known, 0.9, limit=100)
    assert (found.status, found.latent_dim) == ("found", true)
    assert found.not_enough == (true - 1 if true > 1 else None)
    assert max(known) <= 100
    assert len(known) <= 2 * np.log2(max(2, true)) + 3


def test_the_search_ends_where_no_size_is_enough():
    known = {}
    while following := verdict.decide(known, 0.99, limit=20).next:
        known |= {k: 0.5 + 0.01 * k + TIGHT for k in following}
    assert sorted(known) == [2, 4, 8, 16, 20]


@pytest.mark.parametrize("keep", [0, 1, -0.5, 90, float("nan"), "0.9", True, None])
def test_a_share_lies_between_0_and_1(keep):
    with pytest.raises(InputError, match="between 0 and 1"):
        verdict.check(keep)


@pytest.mark.parametrize(("keep", "text"), [(0.9, "90 %"), (0.999, "99.9 %"), (0.1 + 0.2, "30 %"), (0.125, "12.5 %")])
def test_a_share_has_the_digits_it_was_asked_with(keep, text):
    assert verdict.share(keep) == text


THREE = {8: LACKING, 16: LACKING, 32: LACKING}


@pytest.mark.parametrize(
    ("sizes", "others", "claims", "no_claims"),
    [
        (
            {20: LACKING, 28: ENOUGH},
            {},
            [
                "28 latent dimensions are enough to keep 90 % of the variance of the test images",
                "(91.1 %, 95 % interval 90.9 to 91.3 % over 3 seeds)",
                "20 are not (85.1 %); between them",
                "Next size to try: 24.",
            ],
            ["At most", "upper bound", "failed"],
        ),
        ({1: LACKING, 2: ENOUGH}, {}, ["2 latent dimensions are enough", "1 is not (85.1 %)."], ["between", "Next"]),
        ({1: ENOUGH}, {}, ["1 latent dimension is enough to keep 90 %"], ["smaller", "Next"]),
        ({16: ENOUGH}, {}, ["no smaller size was tried"], []),
        ({16: ENOUGH, 48: ENOUGH}, {}, ["16 latent dimensions are enough"], ["48"]),
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
        ({16: LACKING}, {}, ["No size of this study keeps 90 %"], []),
        ({16: [0.88, 0.9, 0.912]}, {}, ["No size of this study is shown to keep 90 %"], []),
        ({16: [0.88]}, {}, ["No size of this study is shown to keep 90 %"], []),
        ({8: [0.8996, 0.8997, 0.8998], 9: ENOUGH}, {}, ["8 are not (89.97 %)"], ["90.0 %"]),  # its side shows
        ({16: ENOUGH}, {"failed": [(16, 3), (48, 0)]}, ["2 trainings failed and cannot be counted."], ["At most 48"]),
        ({}, {"failed": [(16, 0)]}, ["No training came to its end", "1 training failed"], ["Next"]),
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
    found = verdict.verdict(models({8: LACKING, 16: OPEN}), 0.9)
    assert f"{found.more_seeds} more seeds" in found.sentence


@pytest.mark.parametrize("sizes", [{28: ENOUGH}, {28: OPEN}, THREE])
def test_a_converged_study_is_advised_to_take_more_epochs_only(sizes):
    text = sentence(sizes, fired=[*sizes], recipe=CONVERGED)
    assert "try more epochs" in text
    assert "--recipe" not in text


def test_the_sentence_names_every_failed_check():
    fired = tuple(Gate(name, 1, 0) for name in gates.GATES)
    found = verdict.verdict([replace(model, gates=fired) for model in models({20: ENOUGH})], 0.9)
    assert found.gates == tuple(gates.GATES)
    assert all(check.words in found.sentence for check in gates.GATES.values())


def test_failed_trainings_are_a_failed_check():
    assert verdict.verdict(models({16: ENOUGH}, failed=[(16, 3), (48, 0)]), 0.9).gates == ("failed",)


def test_the_table_of_shares():
    given = models({16: LACKING, 32: ENOUGH}, fired=[32])
    answers = [verdict.verdict(given, keep) for keep in verdict.KEEPS]
    answers.append(verdict.verdict(models({16: [0.88], 48: [0.906]}), 0.9))
    answers = [Answer(**vars(a), pca_components=k) for a, k in zip(answers, (24, 43, 84, 187, None, 85), strict=True)]
    header, rows = tables.answers(replace(results({16: 0.02}), answers=tuple(answers)))
    assert {len(row) for row in rows} == {len(header)}
    assert rows == [
        ["80 %", "16", "-", "24"],
        ["85 %", "at most 32", "-", "43"],
        ["90 %", "at most 32", "16", "84"],
        ["95 %", "not reached", "32", "187"],
        ["99 %", "not reached", "32", "-"],
        ["90 %", "undecided, perhaps 48", "-", "85"],
    ]


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
            "to keep 90 %: 2: 85.1 % (not enough; gates: still falling), 8: 91.1 % (enough; gates: failed), 4: failed",
        ),
        ({4: [None]}, {}, "to keep 90 %: 4: no variance to keep"),
    ],
)
def test_the_progress_of_a_search_is_one_line(sizes, others, line):
    assert verdict.progress_text(models(sizes, **others), 0.9) == line


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize("values", [[None, None], [-1092.16, -1000.0]])
def test_where_nothing_varies_no_size_is_recommended(values):
    nothing, given = "The test images hold next to no variance.", models({4: values, 16: values})
    found = verdict.verdict(given, 0.9, 64, no_variance=nothing)
    assert (found.sentence, found.latent_dim, found.next) == (nothing, None, ())
    assert verdict.not_asked(nothing).sentence == nothing
    assert values[0] is not None or verdict.next_sizes(given, 0.9, 64) == ()


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize("values", [[-1092.16], [-1092.16, -1000.0], [0.02, -0.03]])
def test_explained_variance_below_0_is_told_in_words(values):
    text = sentence({4: values, 16: values}, fired=[4])
    assert "on average every size reconstructs them worse than the mean training image would" in text
    assert "no size is recommended" in text
    assert "Better training may get further" in text
    assert "Next" not in text
    assert not re.search(r"-\d", text + verdict.progress_text(models({4: values}), 0.9))
