"""The answer of a page: a few large words, the numbers they rest on, and the command that comes next."""

from dataclasses import replace

import pytest
from factories import BETTER, results

from latentfit.measure import answer as sentences
from latentfit.measure import headline, network
from latentfit.recipe import RECIPES, Job
from latentfit.report import answer, tables
from latentfit.report.answer import Fact
from latentfit.results import Gate, Knee, NestedCurve

THREE = {(k, seed): e + seed / 1e5 for k, e in ((8, 0.03), (16, 0.02), (48, 0.01)) for seed in (0, 1, 2)}
AGAIN = "latentfit study photos.npz"
SAME = " --recipe reference --epochs 20 --precision fp32 --device cpu"
FALLING = (Gate("still_falling", 0.03, 0.01),)


def asked(keep, errors=THREE, following=(), fired=(), components=49, recipe=None):
    """A study that was asked for a share; `fired` sizes have not converged."""
    found = results(errors, noise=0, train_share=0.8)
    models = tuple(replace(m, gates=FALLING if m.latent_dim in fired else ()) for m in found.models)
    decided = sentences.answer(models, keep, following, components=components)
    return replace(found, models=models, verdict=decided, recipe=recipe or found.recipe)


def tile(found):
    return answer.tile(found, "photos.npz")


def test_not_asked_the_errors_of_the_ends_are_the_answer():
    found = tile(results({4: 0.04, 16: 0.0201, 48: 0.01}, train_share=0.999))
    assert found.large == "Test error 0.0400 with 4 and 0.0100 with 48"
    assert found.small == "latent dimensions; no share of the variance was asked for"
    assert found.facts == [
        Fact("4 explain", "60.0 %", "trained once, seed 0"),
        Fact("PCA needs", "8", "components for the error of 4"),
        Fact("48 explain", "90.0 %", "trained once, seed 0"),
        Fact("Training", "sound", "no training check failed at any size"),
        Fact("Train - test gap", "0.0 points", "of explained variance with 48; more images may reduce it"),
    ]
    assert found.next == "How many do you need? Say how much of the variance to keep:"
    assert found.command == f"{AGAIN} --keep 0.9"


def test_of_one_size_its_error_is_given_once():
    found = tile(results({1: 0.02}))
    assert found.large == "Test error 0.0200 with 1"
    assert [fact.name for fact in found.facts] == ["1 explains", "PCA needs", "Training", "Train - test gap"]


def test_found_the_size_that_is_enough_stands_beside_the_one_below_and_pca():
    found = tile(asked(0.75))
    assert (found.large, found.small) == ("16 latent dimensions", "are enough to keep 75 % of the variance")
    kept, below, linear, sound, more = found.facts
    assert (kept.name, kept.value) == ("16 explain", "80.0 %")
    half = 4.302653 * 1e-4 / 3**0.5  # Student's t, times the standard error over three seeds
    assert kept.beside == f"± {100 * half:.2g} points (95 %, 3 seeds and the test images)"
    assert (below.name, below.value) == ("8 explain", "70.0 %")
    assert linear == Fact("PCA needs", "49", "components for the same share")
    assert sound == Fact("Failed checks", "overfitted", "at 8 and 16")
    assert more == Fact("Train - test gap", "4.0 points", "of explained variance with 16; more images may reduce it")
    assert (found.next, found.command) == ("Another share, from the same folder:", f"{AGAIN} --keep 0.8")


@pytest.mark.parametrize(("keep", "other"), [(0.65, 0.8), (0.8, 0.85), (0.85, 0.9), (0.86, 0.9), (0.99, 0.8)])
def test_another_share_is_the_next_of_the_table(keep, other):
    found = asked(keep, {(k, s): e / 100 for (k, s), e in THREE.items()})
    assert tile(found).command == f"{AGAIN} --keep {other}"


def test_at_most_where_the_training_was_not_finished():
    found = tile(asked(0.75, fired=[16]))
    assert found.large == "At most 16 latent dimensions"
    assert found.small == "are needed with this training to keep 75 % of the variance"
    assert (found.next, found.command) == ("Training was not finished; until it is:", f"{AGAIN} --keep 0.75")
    done = tile(asked(0.75, fired=[16], recipe=RECIPES["converged"]))
    assert done.large == "At most 16 latent dimensions"
    assert done.next == "Another share, from the same folder:"


def test_where_no_command_can_be_given_the_next_step_is_a_sentence():
    for found in (asked(0.75), asked(0.75, fired=[16]), asked(0.75, following=(12,)), results({4: 0.04, 16: 0.02})):
        told = answer.tile(found, None)
        assert told.command is None
        assert told.next.endswith("."), told.next


def test_sizes_that_may_be_enough_too_have_a_next_step():
    found = asked(0.75)
    found = tile(replace(found, verdict=replace(found.verdict, open=(15,))))
    assert found.next == "More test images, or more seeds, may tell whether 15 is enough too:"
    assert found.command == f"{AGAIN} --keep 0.75 --seeds 9"


def test_of_the_smallest_size_it_is_said_that_none_below_was_tried():
    errors = {(k, seed): 0.02 for k in (1, 4) for seed in (0, 1, 2)}
    one, four = asked(0.7, errors), asked(0.7, {job: e for job, e in errors.items() if job[0] == 4}, components=None)
    assert (tile(one).large, tile(one).small) == ("1 latent dimension", "is enough to keep 70 % of the variance")
    assert [fact.name for fact in tile(one).facts] == [
        "1 explains",
        "PCA needs",
        "Failed checks",
        "Train - test gap",
    ]
    assert tile(four).facts[1:3] == [
        Fact("Smaller sizes", "not tried"),
        Fact("PCA needs", "no number", "components for the same share"),
    ]


def test_undecided_the_next_command_has_the_seeds_that_would_settle_it():
    found = asked(0.79, {(16, seed): e for seed, e in enumerate((0.0201, 0.0195, 0.022))})
    assert (tile(found).large, tile(found).small) == (
        "Undecided",
        "16 latent dimensions may be enough to keep 79 % of the variance",
    )
    count = 3 + found.verdict.more_seeds
    assert tile(found).next == "More seeds would settle it:"
    assert tile(found).command == f"{AGAIN} --latent-dims 16 --seeds {count} --keep 0.79{SAME}"
    once = asked(0.75, BETTER)
    assert tile(once).facts[0] == Fact("16 explain", "80.0 %", "trained once, seed 0")
    assert tile(once).command == f"{AGAIN} --latent-dims 16 48 --seeds 3 --keep 0.75{SAME}"


def test_not_reached_the_next_command_has_the_next_sizes():
    found = tile(asked(0.95, following=(64, 96), components=1234))
    assert (found.large, found.small) == (
        "Not reached",
        "no size of this study keeps 95 % of the variance",
    )
    assert [fact[:2] for fact in found.facts[:3]] == [
        ("48 explain", "90.0 %"),
        ("16 explain", "80.0 %"),
        ("PCA needs", "1,234"),
    ]
    assert found.next == "The question is still open; next to train, 64 and 96:"
    assert found.command == f"{AGAIN} --latent-dims 8 16 48 64 96 --seeds 3 --keep 0.95{SAME}"


def test_found_with_sizes_between_that_were_not_tested():
    found = tile(asked(0.75, following=(12,)))
    assert found.large == "16 latent dimensions"
    assert found.next == "Sizes between were not tested; next to train, 12:"
    assert found.command == f"{AGAIN} --latent-dims 8 12 16 48 --seeds 3 --keep 0.75{SAME}"


def test_where_no_command_makes_the_study_again_the_next_one_searches():
    missing = {job: e for job, e in THREE.items() if job != (48, 2)}
    assert tile(asked(0.95, missing, following=(64,))).command == f"{AGAIN} --keep 0.95"
    found = asked(0.79, {(16, 0): 0.0201, (16, 1): 0.0195, (16, 2): 0.022, (48, 0): 0.03})
    count = 3 + found.verdict.more_seeds
    assert tile(found).command == f"{AGAIN} --keep 0.79 --seeds {count}"


@pytest.mark.parametrize(
    ("knee", "large", "small"),
    [
        (Knee(16, 0.029, 0.0004, 31.2), "16 latent dimensions", "after which explained variance stops rising"),
        (None, "No knee", "explained variance does not significantly stop rising at any size"),
    ],
)
def test_the_knee_is_an_answer_of_its_own(knee, large, small):
    found = asked(0.75)
    decided = sentences.answer_of_knee(found.models, knee, following=(32,), components=49)
    got = tile(replace(found, verdict=decided))
    assert (got.large, got.small) == (large, small)
    assert (Fact("PCA needs", "49", "components for as much") in got.facts) == (knee is not None)
    assert (got.next, got.command) == ("Or say how much of the variance to keep:", f"{AGAIN} --keep 0.9")


def test_a_knee_of_trainings_that_were_not_finished_may_be_another():
    found = asked(0.75, fired=[16])
    decided = sentences.answer_of_knee(found.models, Knee(16, 0.029, 0.0004, 31.2))
    got = tile(replace(found, verdict=decided))
    assert (got.large, got.command) == ("16 latent dimensions", f"{AGAIN} --keep knee")
    assert got.small.endswith("; better training may change that")
    assert "Better training may change that: " in decided.sentence


ONE, TWO = {(16, 0): 0.02}, {(16, 0): 0.02, (16, 1): 0.0201, (16, 2): 0.0199}
BELOW = {(8, s): e + 0.01 for (_, s), e in TWO.items()}
STATES = {  # errors, share, sizes whose training was not finished; the two lines of the tile
    "enough": (TWO | BELOW, 0.75, (), "16 latent dimensions", "are enough to keep 75 % of the variance"),
    "no smaller size": (TWO, 0.75, (), "At most 16 latent dimensions", "are needed to keep 75 % of the variance"),
    "smaller ones open": (
        TWO | {(8, 0): 0.0249, (8, 1): 0.0252, (8, 2): 0.0245},
        *(0.75, (), "16 latent dimensions", "are enough to keep 75 % of the variance"),
    ),
    "not finished": (
        TWO | BELOW,
        *(0.75, (16,), "At most 16 latent dimensions", "are needed with this training to keep 75 % of the variance"),
    ),
    "one dimension": (
        {(1, s): e for (_, s), e in TWO.items()},
        *(0.75, (), "1 latent dimension", "is enough to keep 75 % of the variance"),
    ),
    "one seed": (ONE, 0.75, (), "Undecided", "16 latent dimensions may be enough to keep 75 % of the variance"),
    "undecided": (
        {(16, 0): 0.0201, (16, 1): 0.0195, (16, 2): 0.022},
        *(0.79, (), "Undecided", "16 latent dimensions may be enough to keep 79 % of the variance"),
    ),
    "not reached": (TWO, 0.95, (), "Not reached", "no size of this study keeps 95 % of the variance"),
    "not reached by one seed": (
        ONE,
        *(0.95, (), "Not reached", "no size of this study is shown to keep 95 % of the variance"),
    ),
}


@pytest.mark.parametrize("rows", [False, True], ids=["images", "rows"])
@pytest.mark.parametrize("following", [(), (12,)], ids=["sizes", "search"])
@pytest.mark.parametrize("state", STATES)
def test_tile_sentence_and_table_say_the_same(state, following, rows):
    errors, keep, fired, large, small = STATES[state]
    found = asked(keep, errors, following, fired)
    decided = found.verdict
    found = replace(found, answers=(decided,))
    if rows:
        found = replace(found, dataset=replace(found.dataset, scale="columns"))
    got = tile(found)
    assert (got.large, got.small) == (large, small)
    said = headline.headline(found)
    if decided.status == "found":
        assert said.startswith(f"{large} {small} of the test {'rows' if rows else 'images'}")
    elif decided.status == "not_reached":
        assert said.startswith(f"N{small[1:]} of the test {'rows' if rows else 'images'}")
    else:
        assert "enough to keep" not in said.replace("cannot be called enough to keep", "")
    assert ("t most" in said) == ("At most" in large) == ("at most" in tables.answers(found)[1][0][1])


def test_explained_variance_below_0_is_told_in_words():
    found = results({2: 0.3, 4: 0.2})
    assert answer.tile(found, None).facts[0].value == "none, worse than the mean image"


@pytest.mark.parametrize(("train", "test", "gap"), [(0.9, 0.8, "10.0"), (0.8004, 0.8, "0.0"), (0.79, 0.8, "0.0")])
def test_the_gap_between_training_and_test_images_is_no_less_than_0(train, test, gap):
    shares = {"train_explained_variance": train, "test_explained_variance": test}
    fact = tile(results({16: 0.02}, **shares)).facts[-1]
    assert fact.value == f"{gap} points"


@pytest.mark.parametrize(
    ("fired", "told"),
    [
        ([], ("Training", "sound")),
        ([8], ("Failed checks", "not converged")),
        ([8, 16, 48], ("Failed checks", "not converged")),
    ],
)
def test_the_tile_says_whether_training_was_sound(fired, told):
    found = results(THREE, noise=0, gates={k: FALLING if k in fired else () for k in (8, 16, 48)})
    sizes = tuple(replace(s, gates=("still_falling",) if s.latent_dim in fired else ()) for s in found.sizes)
    facts = tile(replace(found, sizes=sizes)).facts
    (fact,) = (fact for fact in facts if fact.name in ("Training", "Failed checks"))
    assert (fact.name, fact.value) == told
    assert fact.beside == {0: "no training check failed at any size", 1: "at 8", 3: "at every size"}[len(fired)]


@pytest.mark.parametrize("found", [results(BETTER, variance=5.7e-10), results({}, failures=[(16, 0)])])
def test_without_variance_or_networks_there_is_no_answer(found):
    assert tile(found) is None


@pytest.mark.parametrize("source", [None, "a\nb.npz"])
def test_of_images_without_a_name_there_is_no_command(source):
    for found in (results(BETTER), asked(0.75), asked(0.95, following=(64,)), asked(0.75, BETTER)):
        assert answer.tile(found, source).command is None
        assert answer.tile(found, source).next


GRID = [(2, 0), (2, 1), (16, 0), (16, 1)]


@pytest.mark.parametrize(
    ("source", "changes", "expected"),
    [
        ("my images.npz", {}, "latentfit study 'my images.npz' --latent-dims 2 16 --seeds 2 --recipe reference"),
        ("my images.npz", {}, " --recipe reference --epochs 7 --precision fp32 --device cpu"),
        ("garments", {"keep": 0.9}, " --seeds 2 --keep 0.9 --recipe"),
        ("garments", {"keep": 0.9, "curve": True}, " --keep 0.9 --curve --recipe"),
        ("garments", {"keep": 0.9, "seeds": 5}, " --latent-dims 2 16 --seeds 5 --keep 0.9 --recipe"),
        ("garments", {"also": (8, 16, 32)}, " --latent-dims 2 8 16 32 --seeds 2 --recipe"),
        ("x.npy", {"value_range": 16.0, "test_share": 0.25}, " --seeds 2 --range 16 --test 0.25 --recipe"),
        (None, {}, None),
        ("a\nb.npz", {}, None),
        ("x.npz", {"jobs": GRID[:3]}, None),
        ("x.npz", {"recipe": {"hidden": (512,)}}, None),
        ("x.npz", {"recipe": {"name": "mine"}}, None),
    ],
)
def test_the_command_is_quoted_only_where_it_makes_the_same_study(source, changes, expected):
    given = dict.fromkeys(("keep", "curve", "value_range", "test_share")) | {"jobs": GRID, "recipe": {}} | changes
    found = results(BETTER)
    found = replace(
        found,
        models=tuple(network.failed(Job(*job), "it broke") for job in given["jobs"]),
        recipe=replace(RECIPES["reference"], epochs=7, **given["recipe"]),
        dataset=replace(found.dataset, value_range=given["value_range"], test_share=given["test_share"]),
        verdict=replace(found.verdict, keep=given["keep"]),
        curve=NestedCurve(16, 0, "ok", None, (2, 16), (0.1, 0.1)) if given["curve"] else None,
    )
    command = answer.command(found, source, given.get("seeds"), given.get("also", ()))
    assert command is None if expected is None else expected in command


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        (GRID, ["2 16 --seeds 2"]),
        ([*GRID, (4, 0), (8, 0), (32, 0), (32, 1), (32, 2)], ["32 --seeds 3", "2 16 --seeds 2", "4 8 --seeds 1"]),
        ([*GRID, (4, 1)], []),  # seeds are counted from 0
    ],
)
def test_sizes_with_different_seeds_have_a_command_for_each_number(jobs, expected):
    found = replace(results(BETTER), models=tuple(network.failed(Job(*job), "it broke") for job in jobs))
    lines = answer.commands(found, "x.npz")
    assert [line.partition(" --recipe ")[0] for line in lines] == [
        f"latentfit study x.npz --latent-dims {sizes}" for sizes in expected
    ]
    assert answer.command(found, "x.npz") == (lines[0] if len(lines) == 1 else None)
