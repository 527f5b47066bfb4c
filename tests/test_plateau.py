"""The schedule that ends by held-out images, and the weight decay that is told in epochs."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentfit import evaluate, gradient, hardware, pca, train
from latentfit.errors import InputError
from latentfit.recipe import CONVERGED, Recipe
from latentfit.train import LOOK, RISE, Plateau, build, fit, make_optimizer

SMALL = replace(CONVERGED, name="small", hidden=(24,), batch_size=16, epochs=40)
REFERENCE = Recipe("reference", hidden=(24,), schedule="plateau", batch_size=16, learning_rate=0.01, epochs=40)


@pytest.fixture(autouse=True)
def one_thread():
    with hardware.reproducible():
        yield


def bits(network):
    return {name: value.numpy().tobytes() for name, value in network.state_dict().items()}


def simulated(val_mse, budget, steps):
    """Rates (epochs, steps), epochs of looks and the epoch whose weights are kept, with given errors."""
    flat = torch.nn.Parameter(torch.zeros(3))
    plateau = Plateau(replace(CONVERGED, learning_rate=0.004, epochs=budget), steps, val_mse(0), flat)
    rates, looks = [], []
    while len(rates) < plateau.end:
        epoch = len(rates) + 1
        rates.append([plateau.rate(epoch - 1 + step / steps) for step in range(steps)])
        flat.data.fill_(epoch)
        if plateau.looks_at(epoch):
            looks.append(epoch)
            plateau.look(epoch, val_mse(epoch))
    plateau.restore()
    return np.array(rates), looks, int(flat[0])


def settles(epoch):
    """An error that improves for four epochs."""
    return max(0.5**epoch, 0.1)


@pytest.mark.parametrize(
    ("val_mse", "budget", "steps", "fell_from", "end", "kept"),
    [
        (settles, 60, 100, 7, 11, 4),  # three looks without an improvement
        (lambda epoch: settles(epoch) - 1e-5 * (epoch == 9), 60, 100, 7, 11, 9),  # the best may lie in the fall
        (settles, 60, 1000, 7, 11, 4),  # never more than a look an epoch
        (settles, 60, 50, 10, 15, 4),  # and none before LOOK steps: after epochs 2, 4, 6, ...
        (settles, 60, 30, 16, 24, 4),
        (lambda epoch: 0.9**epoch, 60, 100, 40, 60, 60),  # the budget ends it
        (lambda epoch: 0.998**epoch, 60, 100, 40, 60, 60),  # little by little is an improvement,
        (lambda epoch: 0.9992**epoch, 60, 100, 3, 5, 5),  # less than BETTER in PATIENCE looks is none
        (lambda epoch: 1 + epoch, 60, 100, 3, 5, 0),  # the start was the best
        (lambda epoch: math.nan if epoch else 1.0, 60, 100, 3, 5, 0),
        (settles, 10, 100, 6, 10, 4),
        (settles, 11, 30, 7, 11, 4),  # the fall begins where no look would be
        *((lambda epoch: 0.9**epoch, n, 100, n * 2 // 3, n, n) for n in (2, 3, 4, 5, 31, 32)),
    ],
)
def test_the_rate_is_constant_until_the_error_settles_and_falls_to_0(val_mse, budget, steps, fell_from, end, kept):
    rates, looks, found = simulated(val_mse, budget, steps)
    assert (len(rates), found) == (end, kept)
    constant, fall = rates[:fell_from].ravel() / 0.004, rates[fell_from:].ravel() / 0.004
    np.testing.assert_allclose(constant, np.minimum(1, np.arange(1, len(constant) + 1) / RISE))
    np.testing.assert_allclose(fall, 1 - np.arange(len(fall)) / len(fall))
    every = math.ceil(LOOK / steps)
    assert {*range(every, end + 1, every), end} <= {*looks} <= {*range(every, end + 1, every), end, budget * 2 // 3}


def test_a_budget_of_one_epoch_is_kept():
    rates, looks, kept = simulated(lambda epoch: 0.9**epoch, 1, 100)
    assert (len(rates), looks, kept) == (1, [1], 1)


@pytest.fixture(scope="module")
def held_out(images):
    return images.with_held_out()


@pytest.fixture(scope="module")
def start(held_out):
    return pca.fit(held_out.x_train, held_out.x_test).start(9)


each_recipe = pytest.mark.parametrize("recipe", [REFERENCE, SMALL], ids=["reference", "starts as PCA"])


@each_recipe
def test_the_weights_with_the_smallest_held_out_error_are_kept(held_out, start, recipe, monkeypatch):
    optimizers, rates, make = [], [], train.make_optimizer

    def noting(*args):
        optimizers.append(make(*args))
        optimizers[0].register_step_post_hook(lambda o, *_: rates.append({group["lr"] for group in o.param_groups}))
        return optimizers[0]

    monkeypatch.setattr(train, "make_optimizer", noting)
    network = build(held_out.pixels, recipe, 4, 0, start)
    before = evaluate.mse(network, held_out.x_val)
    history = fit(network, held_out.x_train, recipe, held_out.x_val)
    steps = math.ceil(len(held_out.x_train) / 16)
    assert [row.steps for row in history] == [row.epoch * steps for row in history]
    errors = {0: before} | {row.epoch: row.val_mse for row in history}
    assert min(errors.values()) < before
    assert evaluate.mse(network, held_out.x_val) == pytest.approx(min(errors.values()), rel=1e-5)
    plateau = Plateau(recipe, steps, before, torch.zeros(1))
    for epoch in range(1, history[-1].epoch + 1):
        for step in range(steps):
            assert rates.pop(0) == {plateau.rate(epoch - 1 + step / steps)}
        assert plateau.looks_at(epoch) == (epoch in errors)
        if epoch in errors:
            plateau.look(epoch, errors[epoch])
    assert (rates, plateau.end) == ([], history[-1].epoch)
    assert plateau.end <= recipe.epochs


def test_a_training_that_only_makes_it_worse_returns_the_start(held_out, start):
    network, twin = (build(held_out.pixels, SMALL, 4, 0, start) for _ in range(2))
    wild = replace(SMALL, learning_rate=30.0, decay_epochs=0.0, epochs=400)
    history = fit(network, held_out.x_train, wild, held_out.x_val)
    twin.fold()
    assert bits(network) == bits(twin)
    assert min(row.val_mse for row in history) > evaluate.mse(twin, held_out.x_val)
    assert history[-1].epoch < wild.epochs


def test_it_needs_held_out_images(images):
    with pytest.raises(InputError, match="plateau stops by held-out images; expected x_val"):
        fit(build(images.pixels, REFERENCE, 4, 0), images.x_train, REFERENCE)


@pytest.mark.parametrize("path", [True, False], ids=["linear path", "none"])
def test_decay_in_epochs_forgets_all_weights_but_those_of_a_linear_path(path):
    recipe = replace(CONVERGED, hidden=(24,), initialization="pca" if path else "glorot", decay_epochs=10.0)
    network, steps = build(12, recipe, 3, 0), 7
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1)
    flat, _ = gradient.of(network)
    spared = sum(weight.numel() for weight in gradient.linear_path(network))
    assert spared == 2 * 3 * 12 * path
    optimizer = make_optimizer(recipe, flat, spared, steps)
    assert [group["weight_decay"] for group in optimizer.param_groups] == pytest.approx(
        [1 / (recipe.learning_rate * 10 * steps)] + [0] * path
    )
    for _ in range(10 * steps):
        optimizer.step()  # without a gradient
    for name, weight in network.named_parameters():
        left = 1 if "linear" in name else (1 - 1 / (10 * steps)) ** (10 * steps)  # about 1/e
        np.testing.assert_allclose(weight.detach(), left, rtol=1e-4, err_msg=name)


def test_weight_decay_as_a_number_spares_nothing():
    recipe = replace(CONVERGED, hidden=(24,), decay_epochs=0.0, weight_decay=0.5)
    flat, _ = gradient.of(build(12, recipe, 3, 0))
    (group,) = make_optimizer(recipe, flat, 72, 7).param_groups
    assert (len(group["params"][0]), group["weight_decay"]) == (len(flat), 0.5)
