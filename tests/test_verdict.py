"""The answer in words, with tables made to trap it."""

import re

import pytest

from latentfit.measure import gates, rule, verdict

FIRED = {"name": "still_falling", "value": 0.03, "limit": 0.01}


def rows(sizes, fired=(), failed=()):
    """Rows of networks: latent size to the explained variance of each training."""
    made = [
        {
            "latent_dim": k,
            "seed": seed,
            "status": "ok",
            "test_explained_variance": value,
            "gates": [FIRED] if k in fired else [],
        }
        for k, values in sizes.items()
        for seed, value in enumerate(values)
    ]
    broken = {"status": "failed", "test_explained_variance": None, "gates": gates.failed()}
    return made + [{"latent_dim": k, "seed": seed} | broken for k, seed in failed]


def said(sizes, keep=0.9, **others):
    return verdict.verdict(rows(sizes, **others), keep)["sentence"]


ENOUGH, LACKING, OPEN = [0.91, 0.912, 0.911], [0.85, 0.851, 0.852], [0.89, 0.91, 0.905]


def test_what_is_enough_what_is_not_and_how_sure():
    assert said({20: LACKING, 28: ENOUGH}) == (
        "28 latent dimensions are enough to keep 90 % of the variance of the test images (91.1 %, 95 % interval 90.9 "
        "to 91.3 % over 3 seeds); 20 are not (85.1 %); between them these runs do not tell. Next size to try: 24."
    )


def test_neighbours_leave_nothing_between():
    told = said({1: LACKING, 2: ENOUGH})
    assert "2 latent dimensions are enough" in told
    assert "; 1 is not (85.1 %)." in told
    assert "do not tell" not in told
    assert "Next" not in told


def test_a_gate_makes_it_an_upper_bound():
    told = said({20: LACKING, 28: ENOUGH}, fired=[28])
    assert told.startswith("At most 28 latent dimensions are needed with this training to keep 90 %")
    assert "upper bound: training error still fell by more than 1 % in the last tenth" in told
    assert "try --recipe thorough or more epochs" in told
    assert said({20: LACKING, 28: ENOUGH}, fired=[20]).startswith("At most 28")  # "20 are not" rests on it too
    assert "At most" not in said({8: LACKING, 20: LACKING, 28: ENOUGH}, fired=[8])


@pytest.mark.parametrize("sizes", [{28: ENOUGH}, {28: OPEN}, {8: LACKING, 16: LACKING, 32: LACKING}])
def test_a_thorough_study_is_told_to_take_more_epochs_alone(sizes):
    told = verdict.verdict(rows(sizes, fired=list(sizes)), 0.9, recipe="thorough")["sentence"]
    assert "try more epochs" in told
    assert "--recipe" not in told


def test_all_gates_firing_are_all_told():
    made = rows({20: ENOUGH})
    for row in made:
        row["gates"] = [{"name": name, "value": 1, "limit": 0} for name in gates.GATES]
    told = verdict.verdict(made, 0.9)
    assert told["gates"] == list(gates.GATES)
    assert all(gate.words in told["sentence"] for gate in gates.GATES.values())


def test_undecided_says_how_many_seeds_more():
    told = verdict.verdict(rows({8: LACKING, 16: OPEN}), 0.9)
    assert (told["status"], told["latent_dim"]) == ("undecided", None)
    assert "These runs do not decide how many dimensions keep 90 %" in told["sentence"]
    assert f"at this spread {told['more_seeds']} more seeds a size would settle it" in told["sentence"]
    assert "Not enough: 8." in told["sentence"]
    assert "enough to keep" not in told["sentence"]


def test_one_seed_has_no_interval_and_the_answer_says_so():
    told = said({16: [0.884], 48: [0.906]})
    assert "With one training of a size there is no interval" in told
    assert "48 latent dimensions (90.6 %), and 16 kept 88.4 %" in told
    assert "--seeds 3" in told


def test_not_reached_tells_the_best():
    told = said({8: LACKING, 16: LACKING, 32: LACKING}, keep=0.99)
    assert told.startswith(
        "No size of this study keeps 99 % of the variance of the test images; the best it got is 85.1"
    )
    assert "8 latent dimensions" in told
    assert "More dimensions did not help: try" in told


def test_sizes_equal_within_noise_give_the_smaller():
    assert said({16: ENOUGH, 48: ENOUGH}).startswith("16 latent dimensions are enough")


def test_a_larger_size_that_is_worse_is_told():
    told = said({8: LACKING, 16: ENOUGH, 48: LACKING})
    assert told.startswith("16 latent dimensions are enough")
    assert "More dimensions are not enough at 48" in told


def test_a_single_size_says_that_no_smaller_was_tried():
    assert "; no smaller size was tried." in said({16: ENOUGH})


def test_failed_trainings_are_told_and_not_counted():
    told = verdict.verdict(rows({16: ENOUGH}, failed=[(16, 3), (48, 0)]), 0.9)
    assert told["gates"] == ["failed"]
    assert told["sentence"].endswith("2 trainings failed and cannot be counted.")
    assert verdict.verdict(rows({}, failed=[(16, 0)]), 0.9)["sentence"].startswith("No training came to its end")


def test_one_dimension_is_singular():
    assert said({1: ENOUGH}).startswith("1 latent dimension is enough to keep 90 %")


def test_intervals_that_straddle_everywhere():
    told = verdict.verdict(rows({8: OPEN, 16: OPEN}), 0.9)
    assert (told["status"], told["not_enough"]) == ("undecided", None)
    assert "Not enough" not in told["sentence"]


@pytest.mark.parametrize(("keep", "text"), [(0.9, "90 %"), (0.999, "99.9 %"), (0.1 + 0.2, "30 %"), (0.125, "12.5 %")])
def test_a_share_has_the_digits_it_was_asked_with(keep, text):
    assert verdict.share(keep) == text


def test_the_table_of_shares():
    answers = [
        verdict.verdict(rows({16: LACKING, 32: ENOUGH}, fired=[32]), keep) | {"pca_components": pca}
        for keep, pca in zip(rule.KEEPS, (24, 43, 84, 187, None), strict=True)
    ]
    header, table = verdict.table(answers)
    assert {len(row) for row in table} == {len(header)}
    assert table == [
        ["80 %", "16", "-", "24"],
        ["85 %", "at most 32", "-", "43"],
        ["90 %", "at most 32", "16", "84"],
        ["95 %", "not reached", "32", "187"],
        ["99 %", "not reached", "32", "-"],
    ]


def test_the_table_names_the_size_that_is_undecided():
    told = [verdict.verdict(rows({16: [0.88], 48: [0.906]}), 0.9) | {"pca_components": 85}]
    assert verdict.table(told)[1] == [["90 %", "undecided, perhaps 48", "-", "85"]]


def test_no_size_is_called_short_where_the_runs_do_not_tell():
    assert said({16: [0.88, 0.9, 0.912]}).startswith("No size of this study is shown to keep 90 %")
    assert said({16: [0.88]}).startswith("No size of this study is shown to keep 90 %")
    assert said({16: LACKING}).startswith("No size of this study keeps 90 %")


def test_digits_show_the_side_of_the_share():
    told = said({8: [0.8996, 0.8997, 0.8998], 9: [0.9101, 0.91, 0.9102]})
    assert "8 are not (89.97 %)" in told
    assert "90.0 %" not in told


def test_a_size_that_failed_is_not_named_to_be_tried():
    told = verdict.verdict(rows({2: LACKING}, failed=[(4, 0), (4, 1)]), 0.9)
    assert told["next"] == [8]


def test_what_is_known_now_is_one_line():
    line = verdict.known_now(rows({2: LACKING, 4: OPEN, 8: ENOUGH}), 0.9)
    assert line == "to keep 90 %: 2: 85.1 % (not enough), 4: 90.2 % (undecided), 8: 91.1 % (enough)"
    line = verdict.known_now(rows({2: LACKING, 8: ENOUGH}, fired=[2], failed=[(4, 0), (8, 3)]), 0.9)
    told = "2: 85.1 % (not enough; gates: still falling), 8: 91.1 % (enough; gates: failed), 4: failed"
    assert line == f"to keep 90 %: {told}"


NOTHING = "The test images hold next to no variance."


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize("values", [[None, None], [-1092.16, -1000.0]])
def test_where_nothing_varies_no_size_is_recommended(values):
    told = verdict.verdict(rows({4: values, 16: values}), 0.9, 64, nothing=NOTHING)
    assert (told["sentence"], told["latent_dim"], told["next"]) == (NOTHING, None, [])
    assert verdict.not_asked(NOTHING)["sentence"] == NOTHING
    assert verdict.known_now(rows({4: [None]}), 0.9) == "to keep 90 %: 4: no variance to keep"


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize("values", [[-1092.16], [-1092.16, -1000.0], [0.02, -0.03]])
def test_explained_variance_below_0_is_told_in_words(values):
    told = said({4: values, 16: values}, fired=[4])
    assert "on average every size reconstructs them worse than the mean training image would" in told
    assert "no size is recommended. Better training may get further" in told
    assert "Next" not in told
    assert not re.search(r"-\d", told + verdict.known_now(rows({4: values}), 0.9))


def test_a_size_below_0_beside_one_that_is_enough_is_told_in_words():
    assert "; 2 are not (none, worse than the mean image)" in said({2: [-3.0, -3.1, -2.9], 28: ENOUGH})
    assert "and 2 kept none, worse than the mean image. Train" in said({2: [-3.0], 28: [0.95]})
    assert "95 % interval below 0 to" in said({28: [0.95, -0.05]}, keep=0.3)
