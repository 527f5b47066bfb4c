"""Rows of numbers as networks see them, and networks of them as they are stored."""

import numpy as np
import pytest
import torch

from latentfit.data.images import ImageSet
from latentfit.data.scaling import Scaling
from latentfit.errors import InputError
from latentfit.recipe import CONVERGED, SWIFT, Recipe
from latentfit.sweep.scaling import folded, seen
from latentfit.sweep.weights import from_weights
from latentfit.train import build

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(5_000, 4)) * [3, 0.01, 400, 1] + [2, -7, 1e4, 0]).astype(np.float32)
X[:, 3] = 7.25


def test_columns_that_vary_get_mean_0_and_deviation_1():
    scaling = Scaling.of(X, "columns")
    np.testing.assert_array_equal(scaling.columns, [0, 1, 2])
    np.testing.assert_array_equal(scaling.constant, [3])
    np.testing.assert_allclose(scaling.mean, X.mean(axis=0, dtype=float), rtol=1e-12)
    np.testing.assert_allclose(scaling.scale, X.std(axis=0, dtype=float)[:3], rtol=1e-9)
    made = scaling.apply(X)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made.mean(axis=0, dtype=float), 0, atol=1e-6)
    np.testing.assert_allclose(made.std(axis=0, dtype=float), 1, rtol=1e-6)
    np.testing.assert_allclose(scaling.undo(made), X[:, :3], rtol=1e-6, atol=1e-6)


def test_without_scaling_all_columns_are_divided_by_one_number():
    scaling = Scaling.of(X, "none")
    assert len(set(scaling.scale.tolist())) == 1
    assert scaling.apply(X).var(axis=0, dtype=float).mean() == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(scaling.undo(scaling.apply(X)), X[:, :3], rtol=1e-5, atol=1e-4)


def test_the_mean_of_numbers_far_from_0_is_exact():
    far = np.float32(2**20) + RNG.integers(0, 2, (9_000, 2)).astype(np.float32)
    scaling = Scaling.of(far, "columns")
    np.testing.assert_allclose(scaling.mean, far.mean(axis=0, dtype=float), rtol=1e-13)
    np.testing.assert_allclose(scaling.scale, far.std(axis=0, dtype=float), rtol=1e-9)


def test_what_a_reader_has_to_know_of_columns():
    assert Scaling.of(X[:, :3], "columns").notes(("a", "b", "c")) == []
    (note,) = Scaling.of(X, "columns").notes(("a", "b", "c", "d"))
    assert note.startswith("Column 'd' is constant in the training rows: it is reconstructed as that constant")
    many = np.concatenate([X[:, :1], np.ones((len(X), 7), np.float32)], axis=1)
    (note,) = Scaling.of(many, "columns").notes(tuple("abcdefgh"))
    assert note.startswith("Columns 'b', 'c', 'd', 'e', 'f' and 2 more are constant")
    far = X[:, :2] + np.float32([1e6, 0])
    assert "Column 'a' lies more than 10,000 deviations from 0" in Scaling.of(far, "columns").notes(("a", "b"))[0]


def test_rows_that_are_all_alike_are_refused():
    with pytest.raises(InputError, match="all training rows are equal; expected at least one column"):
        Scaling.of(X[:, 3:].repeat(2, axis=1), "columns")


def test_a_set_is_seen_scaled_and_knows_its_columns():
    images = ImageSet("rows", X[:90], X[90:120], columns=("a", "b", "c", "d"))
    made = images.seen
    assert made.columns == ("a", "b", "c")
    assert made.image_shape == (3,)
    assert made.seen is made
    assert images.seen is made
    np.testing.assert_array_equal(made.x_test, made.scaling.apply(X[90:120]))  # by the training rows
    assert made.reading.dropped[0].startswith("Column 'd' is constant")
    pictures = ImageSet("pictures", np.zeros((2, 3, 3), np.uint8), np.zeros((1, 3, 3), np.uint8))
    assert pictures.seen is pictures


@pytest.mark.parametrize("recipe", [CONVERGED.for_rows(), Recipe(hidden=(9,), output="linear")], ids=["path", "plain"])
@pytest.mark.parametrize("scale", ["columns", "none"])
def test_a_stored_network_takes_and_gives_the_data_s_units(recipe, scale):
    scaling = Scaling.of(X, scale)
    network = build(3, recipe, 2, seed=1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    stored = from_weights(
        build(4, recipe, 2, seed=0), folded({n: w.numpy() for n, w in network.state_dict().items()}, scaling)
    )
    x = torch.tensor(X[:200])
    inside = torch.tensor(scaling.apply(X[:200]))
    with torch.no_grad():
        codes, rows = network.encode(inside), network(inside)
        np.testing.assert_allclose(stored.encode(x), codes, atol=2e-2)
        made = stored(x).numpy()
    np.testing.assert_allclose(made[:, :3], scaling.undo(rows.numpy()), rtol=1e-4, atol=1e-2)
    assert (made[:, 3] == 7.25).all()  # whatever comes in
    with torch.no_grad():
        x[:, 3] = 99
        assert (stored(x)[:, 3] == 7.25).all()
        again = seen(stored, scaling)
        np.testing.assert_allclose(again(inside), rows, atol=2e-2)
    first, second = (seen(stored, scaling).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert seen(stored, None) is stored


def test_recipes_of_rows_have_a_linear_output():
    assert CONVERGED.for_rows().output == SWIFT.for_rows().output == "linear"
    own = Recipe(name="own", output="linear")
    assert own.for_rows() is own
    for recipe in (Recipe(), Recipe(name="own", output="clamp")):
        with pytest.raises(InputError, match="expected a linear one for rows of numbers; take recipe converged or sw"):
            recipe.for_rows()
