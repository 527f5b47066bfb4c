"""When a training ends: after its epochs, or when the held-out error no longer improves."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentfit import pca, train
from latentfit.errors import InputError
from latentfit.gradient import flatten, linear_path
from latentfit.model import Network
from latentfit.recipe import CONVERGED, Epoch, Recipe
from latentfit.train import Plateau, build, fit, make_optimizer

RNG = np.random.default_rng(1)
X = (0.5 + 0.2 * np.tanh(RNG.normal(size=(400, 3)) @ RNG.normal(size=(3, 16)))).astype(np.float32).reshape(-1, 4, 4)
X_TRAIN, X_VAL = X[:320], X[320:]
SMALL = replace(CONVERGED, hidden=(12,), batch_size=32, epochs=40, learning_rate=0.003)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(train, "LOOK", 10)
    monkeypatch.setattr(train, "RISE", 10)


def fitted(recipe=SMALL, seed=0, **options):
    network = build(16, recipe, 2, seed, pca.fit(X_TRAIN, X_VAL).start(2))
    return network, fit(network, X_TRAIN, recipe, X_VAL, X_VAL, seed=seed, **options)


def plateau(epochs, errors, steps=10):
    """The schedule after it was shown these held-out errors, the first before any training."""
    schedule = Plateau(replace(SMALL, epochs=epochs), steps, torch.nn.Module(), errors[0])
    for epoch, error in enumerate(errors[1:], 1):
        if epoch <= schedule.end:
            schedule.look(Epoch(epoch, error, None, error))
    return schedule


def test_the_rate_is_constant_until_no_look_was_an_improvement_and_then_falls_to_0():
    falling = [1 / (1 + epoch) for epoch in range(6)]
    schedule = plateau(60, [*falling, *[falling[-1]] * train.PATIENCE])
    began = 5 + train.PATIENCE
    assert (schedule.fell_from, schedule.end) == (began, began + began / 2)
    assert schedule.rate(began) == SMALL.learning_rate
    assert schedule.rate((began + schedule.end) / 2) == pytest.approx(SMALL.learning_rate / 2)
    assert schedule.rate(schedule.end) == 0


def test_an_improvement_is_larger_than_its_limit():
    just = 1 - train.BETTER
    assert plateau(60, [just**i * 0.999**i for i in range(9)]).fell_from is None
    assert plateau(60, [just ** (i / (train.PATIENCE + 1)) for i in range(9)]).fell_from == train.PATIENCE


@pytest.mark.parametrize(("epochs", "began"), [(1, 1), (2, 1), (3, 2), (10, 6), (60, 40)])
def test_the_budget_holds_the_fall(epochs, began):
    schedule = plateau(epochs, [0.9**epoch for epoch in range(epochs + 1)])
    assert (schedule.fell_from, schedule.end) == (began, epochs)


def test_the_rate_rises_in_the_first_steps():
    schedule = plateau(60, [1.0])
    assert 0 < schedule.rate(0) < schedule.rate(0.5) < schedule.rate(1) == SMALL.learning_rate


@pytest.mark.parametrize(("steps", "looks"), [(10, [1, 2, 3]), (11, [1, 2, 3]), (4, [3, 6, 9]), (1, [10, 20, 30])])
def test_looks_come_at_whole_epochs_of_enough_steps(steps, looks):
    schedule = plateau(900, [1.0], steps)
    assert [epoch for epoch in range(1, 31) if schedule.looks_at(epoch)][:3] == looks


def test_what_is_kept_is_the_best_on_the_held_out_images():
    network, history = fitted()
    best = min(row.val_mse for row in history)
    assert best < pca.fit(X_TRAIN, X_VAL).at("test", 2)
    assert train.measured(network, {"val": torch.from_numpy(X_VAL.reshape(-1, 16))}, 0)["val_mse"] == pytest.approx(
        best
    )
    assert history[-1].epoch < SMALL.epochs  # it ended by itself
    assert [row.steps for row in history] == [10 * row.epoch for row in history]


def test_a_training_that_only_makes_it_worse_gives_the_start():
    network, history = fitted(replace(SMALL, learning_rate=3.0, epochs=3, decay_epochs=0.0))
    assert all(row.val_mse > pca.fit(X_TRAIN, X_VAL).at("test", 2) for row in history)
    unit = torch.from_numpy(X_VAL.reshape(-1, 16))
    right = pca.fit(X_TRAIN, X_VAL).reconstruct(X_VAL, 2).clip(0, 1).reshape(-1, 16)
    np.testing.assert_allclose(network(unit).detach(), right, atol=2e-6)


def test_the_same_bytes_twice_and_other_bytes_for_another_seed():
    (one, first), (again, second), (other, _) = fitted(), fitted(), fitted(seed=1)
    assert first == second
    weights = [network.state_dict() for network in (one, again, other)]
    assert all(torch.equal(weights[1][name], tensor) for name, tensor in weights[0].items())
    assert any(not torch.equal(weights[2][name], tensor) for name, tensor in weights[0].items())


def test_without_held_out_images_it_says_so_before_any_training():
    with pytest.raises(InputError, match="expected x_val"):
        fit(build(16, SMALL, 2, 0), X_TRAIN, SMALL)


def test_weight_decay_follows_the_clock_of_epochs_and_spares_the_linear_path():
    recipe = Recipe(
        hidden=(5,), output="clamp", initialization="pca", optimizer="adamw", learning_rate=0.01, decay_epochs=20.0
    )
    network = build(16, recipe, 2, 0, pca.fit(X_TRAIN, X_VAL).start(2))
    flat = flatten(network)
    optimizer = make_optimizer(recipe, flat, sum(w.numel() for w in linear_path(network)), steps=7)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimizer.step()  # the gradient is 0: decay alone
    kept = 1 - 1 / (20 * 7)  # of each weight after a step, whatever the rate is
    for name, parameter in network.named_parameters():
        right = before[name] * (1 if "linear" in name else kept)
        torch.testing.assert_close(parameter.detach(), right, rtol=1e-5, atol=0)


def test_other_modules_have_no_linear_path_to_spare():
    module = torch.nn.Module()
    module.linear = torch.nn.Linear(3, 3)
    assert linear_path(module) == []
    assert linear_path(Network(4, 2, (3,))) == []
