"""What a search trains next: few networks, and the two sizes that its answer rests on."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import model_result

from latentfit.measure.search import MOST, Search, Step, bracket, knee_step, seeds_of
from latentfit.measure.verdict import Size, decide
from latentfit.recipe import Job

SEEDS = (0, 1, 2)


def curve(true, largest, power=0.5, keep=0.9):
    """Explained variance of sizes 0, 1, ...: a power law that reaches a share between true - 1 and true."""
    sizes = np.maximum(np.arange(largest + 1), 0.3)
    return 1 - np.minimum(1, (1 - keep) * (sizes / (true - 0.5)) ** -power)


def play(explained, pca, keep=0.9, seeds=SEEDS, scouting=True, noise=0.0, above=1.1, failing=(), error=0.0, ahead=None):
    """Let a search train networks whose explained variance is known; the steps, and the networks."""
    rng, steps = np.random.default_rng(0), list[Step]()
    sizes, scouts, tried = dict[int, Size](), dict[int, Size](), dict[int, list[int]]()
    likely = next((k for k, share in enumerate(pca) if share >= keep), len(pca) - 1)
    while True:
        search = Search(keep, seeds, pca, likely, tried, sizes, scouts if scouting else None)
        step = search.next()
        if step == Step():
            return steps, sizes, scouts
        assert step not in steps
        steps.append(step)
        if ahead is not None and step.jobs:
            ahead.append((len(steps), search.expecting(step.jobs).next()))
        for k in step.scouts:
            scouts[k] = Size((1 - above * (1 - explained[k]),), (error,), (0,))
        for k, seed in sorted(step.jobs):
            assert seed not in tried.setdefault(k, [])
            tried[k].append(seed)
            if k in failing:
                continue
            before = sizes.get(k, Size((), (), ()))
            value = float(explained[k] + noise * rng.normal())
            sizes[k] = Size((*before.explained, value), (*before.errors, error), (*before.seeds, seed))
        sizes = dict(sorted(sizes.items()))


@pytest.mark.parametrize("true", [*range(1, 20), 33, 47, 80])
@pytest.mark.parametrize("ratio", [1.3, 5])
def test_the_search_finds_the_smallest_size_with_few_trainings(true, ratio):
    largest = math.ceil(ratio * true) + 1
    steps, sizes, scouts = play(curve(true, largest), curve(ratio * true, largest))
    answer = decide(sizes, 0.9)
    assert true <= answer.latent_dim <= true + bracket(true) - 1
    assert answer.latent_dim - (answer.not_enough or 0) <= bracket(answer.latent_dim)
    assert len(scouts) <= 4
    assert len(scouts) + sum(len(step.jobs) for step in steps) <= 13
    assert all(len(size.explained) in (1, 3) for size in sizes.values())


def test_what_a_search_expects_next_is_mostly_what_it_wants_and_never_again_what_is_under_way():
    right = []
    for true in (3, 7, 12, 33, 80):
        steps, _, _ = play(curve(true, 3 * true), curve(3 * true, 3 * true), ahead=(expected := []))
        for number, step in expected:
            assert not step.jobs & steps[number - 1].jobs
            right += [step == (steps[number] if number < len(steps) else Step())]
    assert sum(right) / len(right) > 0.5
    assert len(right) >= 10


def test_in_the_middle_it_takes_ten_trainings():
    counts = []
    for true in range(2, 60):
        steps, _, scouts = play(curve(true, 3 * true), curve(3 * true, 3 * true))
        counts.append(len(scouts) + sum(len(step.jobs) for step in steps))
    assert np.median(counts) <= 10


@pytest.mark.parametrize("components", [1, 2, 7])
def test_no_more_dimensions_are_tried_than_pca_surely_needs(components):
    pca = np.concatenate([np.linspace(0, 0.89, components), [0.95]])
    _, sizes, scouts = play(pca, pca)
    assert max([*sizes, *scouts]) <= components
    assert decide(sizes, 0.9).latent_dim == components


def test_a_first_network_is_trained_alone_and_then_counts():
    steps, _, _ = play(curve(16, 85), curve(85, 85))
    networks = [step.jobs for step in steps if step.jobs]
    assert len(networks[0]) == 1
    (first,) = networks[0]
    assert first.seed == 0


def test_without_short_trainings_networks_find_the_place():
    steps, sizes, _ = play(curve(16, 85), curve(85, 85), scouting=False)
    assert all(step.scouts == () for step in steps)
    assert decide(sizes, 0.9).latent_dim == 16


def test_a_single_seed_is_judged_by_its_value():
    _, sizes, _ = play(curve(16, 85), curve(85, 85), seeds=(0,))
    assert {15, 16} <= {*sizes}
    assert all(len(size.explained) == 1 for size in sizes.values())


def test_an_interval_that_contains_the_share_is_passed_by_a_larger_size():
    _, sizes, _ = play(curve(16, 85), curve(85, 85), error=0.003)
    answer = decide(sizes, 0.9)
    assert sizes[answer.latent_dim].mean.interval[0] >= 0.9
    assert answer.open[-1] == answer.latent_dim - 1


def test_trainings_that_fail_do_not_turn_for_ever():
    _, sizes, _ = play(curve(16, 85), curve(85, 85), failing=(15, 16))
    assert decide(sizes, 0.9).latent_dim == 17
    steps, sizes, _ = play(curve(16, 85), curve(85, 85), failing=range(90))
    assert sizes == {}
    assert len({job.latent_dim for step in steps for job in step.jobs}) <= MOST


def test_where_no_size_is_enough_the_search_ends_at_the_largest():
    flat = np.concatenate([[0.0], np.full(40, 0.7)])
    _, sizes, _ = play(flat, curve(30, 40))
    assert max(sizes) == 40
    assert decide(sizes, 0.9).status == "not_reached"


def test_sizes_that_were_trained_for_another_question_do_not_end_a_search():
    sizes = {k: Size((float(curve(40, 85)[k]),) * 3, (0.0,) * 3, SEEDS) for k in range(1, 12)}
    step = Search(0.9, SEEDS, curve(85, 85), 85, dict.fromkeys(sizes, SEEDS), sizes, {}).next()
    assert max(job.latent_dim for job in step.jobs) > 11


def test_what_a_folder_has_is_not_trained_again():
    sizes = {15: Size((0.88, 0.881, 0.882), (0.0,) * 3, SEEDS), 16: Size((0.91, 0.911, 0.912), (0.0,) * 3, SEEDS)}
    tried = dict.fromkeys(sizes, SEEDS)
    assert Search(0.9, SEEDS, curve(85, 85), 85, tried, sizes, {}).next() == Step()
    more = Search(0.9, (0, 1, 2, 3), curve(85, 85), 85, tried, sizes, {}).next()
    assert more.jobs == {Job(15, 3), Job(16, 3)}


@pytest.mark.parametrize(("size", "below"), [(1, 1), (16, 1), (39, 1), (40, 2), (85, 4)])
def test_a_bracket_is_a_twentieth_of_the_size(size, below):
    assert bracket(size) == below


@pytest.mark.parametrize("gap", [20, 5])
def test_simulated_studies_are_right(gap):
    """A few of those of `benchmarks/simulate.py`: enough to see a rule that has broken."""
    rng, wrong, excess = np.random.default_rng(gap), 0, []
    for _ in range(20):
        true = int(rng.choice([4, 8, 16]))
        explained = curve(true, 6 * true)
        noise = (explained[true] - explained[true - 1]) / gap
        _, sizes, _ = play(explained, curve(4 * true, 6 * true), noise=noise, above=rng.uniform(1, 1.3))
        answer = decide(sizes, 0.9)
        wrong += explained[answer.latent_dim] < 0.9
        excess.append(answer.latent_dim - true)
    assert wrong <= 1
    assert np.mean(excess) <= 1


def factors(n, largest=40):
    """Explained variance that rises up to n factors and then stops."""
    rise = [1 - 0.5 ** min(k, n - 1) - (0.2 if k < n else 0) for k in range(largest + 1)]
    return np.array([0.0, *(share if k < n else 0.999 for k, share in enumerate(rise) if k)])


def play_knee(explained, seeds=SEEDS, largest=40):
    baselines, models, scouts = SimpleNamespace(images=500, pixels=largest), [], {}
    while (step := knee_step(scouts, models, seeds, baselines)) != Step():
        assert not {*step.scouts} & {*scouts}
        scouts |= {k: Size((float(explained[k]),), (0.0,), (0,)) for k in step.scouts}
        assert not {model.job for model in models} & step.jobs
        models += [model_result(*job) for job in sorted(step.jobs)]
    return scouts, {k: {*found} for k, found in seeds_of(models).items()}


@pytest.mark.parametrize("n", range(1, 9))
def test_a_knee_and_the_sizes_beside_it_get_all_seeds(n):
    scouts, tried = play_knee(factors(n))
    assert tried == {k: {*SEEDS} for k in (n - 1, n, n + 1) if k}
    assert len(scouts) <= 10


def test_where_short_trainings_see_no_knee_one_network_of_three_sizes_shows_it():
    scouts, tried = play_knee(curve(16, 40, 0.6))
    assert sorted(scouts) == [1, 2, 4, 8, 16, 32]
    assert len(tried) in (2, 3)
    assert all(seeds == {0} for seeds in tried.values())


@pytest.mark.parametrize("largest", [1, 2, 3, 5])
def test_a_knee_is_looked_for_among_the_sizes_that_there_are(largest):
    scouts, tried = play_knee(factors(4), largest=largest)
    assert max([*scouts, *tried]) <= largest
    assert tried
