"""The recipe: which values it allows, and the step size over a training."""

import re
from dataclasses import replace

import numpy as np
import pytest

from latentfit.errors import InputError
from latentfit.recipe import CONVERGED, RECIPES, Job, Recipe, first_seeds

NAN, INF = float("nan"), float("inf")
REFUSED = {
    **dict.fromkeys(("output", "optimizer", "schedule", "activation", "initialization"), ("linea", None, [], ["relu"])),
    "name": (3, None),
    "hidden": (5, None, "12", (512, 0), (2.5,), (True,)),
    "batch_size": (0, 1.5, np.float64(3), None),
    "epochs": (-1, True, np.True_, "20"),
    "learning_rate": (0, -0.001, NAN, INF, "x", None, True),
    "beta2": (1, -0.1, NAN, True, "0.9"),
    "weight_decay": (-0.01, INF, NAN, None),
    "decay_epochs": (-1, INF, NAN, True, "10"),
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in REFUSED for value in REFUSED[field]])
def test_a_value_that_is_not_allowed_is_an_input_error_that_names_it(field, value):
    bad = value[-1] if isinstance(value, tuple) else value
    with pytest.raises(InputError, match=f"^recipe: {field.replace('_', ' ')}.* {re.escape(repr(bad))}") as caught:
        Recipe(**{field: value})
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"initialization": "pca"}, "initialization pca with output sigmoid; expected output clamp or linear"),
        ({"decay_epochs": 5}, "decay epochs for optimizer adam; expected adamw"),
    ],
)
def test_values_that_do_not_go_together_are_refused(given, told):
    with pytest.raises(InputError, match=f"^recipe: {told}$"):
        Recipe(**given)


@pytest.mark.parametrize(
    ("images", "epochs", "hidden", "decay"),
    [
        (100, 12_800, (512, 256), 20),  # 10,000 steps
        (19_999, 65, (512, 256), 20),
        (20_000, 64, (1024, 512), 10),
        (60_000, 60, (1024, 512), 10),
    ],
)
def test_converged_fits_the_number_of_images_and_no_other_recipe_does(images, epochs, hidden, decay):
    fitted = CONVERGED.fitting(images)
    assert fitted == replace(CONVERGED, epochs=epochs, hidden=hidden, decay_epochs=decay)
    others = [recipe for recipe in RECIPES.values() if recipe != CONVERGED] + [replace(CONVERGED, epochs=3), fitted]
    assert all(recipe.fitting(images) == recipe for recipe in others if recipe != CONVERGED)


def test_numpy_numbers_become_plain_ones():
    recipe = Recipe(hidden=tuple(np.array([8, 4])), batch_size=np.uint8(16), epochs=np.int64(3))
    assert (recipe.hidden, recipe.batch_size, recipe.epochs) == ((8, 4), 16, 3)
    assert {type(n) for n in (*recipe.hidden, recipe.batch_size, recipe.epochs)} == {int}


@pytest.mark.parametrize("recipe", [*RECIPES.values(), Recipe("bent", schedule="cosine")], ids=lambda r: r.name)
def test_the_largest_step_is_the_learning_rate(recipe):
    rates = [recipe.rate(share) for share in np.linspace(0, 1, 2001)]
    assert max(rates) == recipe.learning_rate
    assert min(rates) >= 0


def test_a_constant_rate_does_not_change():
    assert {Recipe(learning_rate=0.003).rate(share) for share in np.linspace(0, 1, 101)} == {0.003}


def test_a_cosine_rises_over_the_first_twentieth_and_falls_to_0():
    rate = Recipe(schedule="cosine", learning_rate=0.003).rate
    for share in np.linspace(0, 0.05, 21):
        assert rate(share) == pytest.approx(0.003 * share / 0.05, rel=1e-12, abs=1e-18)
    assert rate(0.05) == 0.003
    assert rate(0.05 + 0.95 / 2) == pytest.approx(0.0015)
    assert rate(0.05 + 0.95 / 3) == pytest.approx(0.003 * 3 / 4)  # (1 + cos 60°) / 2
    assert rate(1) == pytest.approx(0, abs=1e-15)
    assert (np.diff([rate(share) for share in np.linspace(0.05, 1, 400)]) < 0).all()


def test_the_first_seed_of_a_size_is_its_smallest():
    jobs = [Job(16, 4), Job(2, 1), Job(16, 3), Job(2, 7)]
    assert first_seeds(jobs) == [Job(2, 1), Job(16, 3)]
    assert first_seeds([]) == []
