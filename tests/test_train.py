"""The loop: it minimises the mean squared error, on the batches of a seed, for every kind of network."""

import math
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from helpers import OtherModule, each_products
from sklearn.decomposition import PCA

from latentfit import evaluate, gradient, hardware
from latentfit.errors import InputError
from latentfit.model import Network, to_tensor
from latentfit.recipe import RECIPES, Epoch, Recipe
from latentfit.train import Diverged, build, fit

NOISE = np.random.default_rng(0).integers(0, 256, (300, 28, 28), np.uint8)


@pytest.fixture(autouse=True)
def one_thread():
    with hardware.reproducible():
        yield


def bits(network):
    return {name: value.numpy().tobytes() for name, value in network.state_dict().items()}


def numbered(n):
    """Images that have their own number in every pixel."""
    return np.repeat(np.arange(n, dtype=np.uint8), 4).reshape(n, 2, 2)


@contextmanager
def watched(broken_step=None):
    """Note which of the numbered images each step has, and make the loss and gradient of one step NaN."""
    seen, by_hand = [], gradient.by_hand

    def watching(network, x, truncation=None):
        seen.append((255 * x[:, 0]).round().int().tolist())
        loss = by_hand(network, x)
        if len(seen) == broken_step:
            for value in (loss, *(parameter.grad for parameter in network.parameters())):
                value.fill_(float("nan"))
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient, "by_hand", watching)
        yield seen


def batches_seen(n, batch_size, seed=0, epochs=1, latent_dim=2):
    with watched() as seen:
        fit(Network(4, latent_dim, hidden=()), numbered(n), Recipe(batch_size=batch_size, epochs=epochs), seed=seed)
    return seen


@pytest.mark.parametrize("latent_dim", [3, 4])
def test_a_linear_autoencoder_reaches_pca(latent_dim):
    rng = np.random.default_rng(0)
    parts = 0.3 * rng.uniform(0, 1, (4, 64)) ** 3
    x = rng.uniform(0, 1, (2000, 4)) ** 2 @ parts + 0.15 * rng.uniform(0, 1, (2000, 64))
    x = x.clip(0, 1).astype(np.float32)
    pca = PCA(latent_dim).fit(x.astype(float))
    best = np.square(pca.inverse_transform(pca.transform(x)) - x).mean()
    x_train = x.reshape(-1, 8, 8)
    coarse = Recipe(hidden=(), output="linear", learning_rate=0.02, batch_size=200, epochs=60)
    network = build(64, coarse, latent_dim, seed=0)
    fit(network, x_train, coarse)
    fit(network, x_train, replace(coarse, learning_rate=0.002, epochs=20))
    assert 1 - 1e-4 < evaluate.mse(network, x_train) / best < 1.02


def adam_step_by_step(network, x_train, recipe, seed):
    """The specification: PyTorch's Adam, a parameter at a time, on autograd's gradient."""
    adam = torch.optim.Adam(network.parameters(), betas=(0.9, recipe.beta2), foreach=False)
    done, steps = 0, recipe.epochs * math.ceil(len(x_train) / recipe.batch_size)
    for epoch in range(1, recipe.epochs + 1):
        order = np.random.default_rng([seed, epoch]).permutation(len(x_train))
        for start in range(0, len(order), recipe.batch_size):
            x = to_tensor(x_train[order[start : start + recipe.batch_size]])
            adam.param_groups[0]["lr"] = recipe.rate(done / steps)
            adam.zero_grad()
            (network.decode(network.encode(x)) - x).square().mean().backward()
            if recipe.optimizer == "adamw":
                with torch.no_grad():
                    for parameter in network.parameters():
                        parameter.mul_(1 - recipe.rate(done / steps) * recipe.weight_decay)
            adam.step()
            done += 1


def assert_is_adam(network, twin, x_train, recipe):
    fit(network, x_train, recipe, seed=7)
    adam_step_by_step(twin, x_train, recipe, seed=7)
    for name, tensor in twin.state_dict().items():
        np.testing.assert_allclose(network.state_dict()[name], tensor, rtol=0, atol=2e-5, err_msg=name)


OPTIMIZERS = [{"optimizer": "adam"}, {"optimizer": "adamw", "weight_decay": 0.5}]
SMALL = Recipe("small", hidden=(24,), learning_rate=0.01, batch_size=16, epochs=3)


@pytest.mark.parametrize(
    "recipe",
    [
        replace(SMALL, schedule=schedule, beta2=beta2, **optimizer)
        for schedule in ("constant", "cosine")
        for optimizer in OPTIMIZERS
        for beta2 in (0.999, 0.9)
    ]
    + [replace(recipe, epochs=2, batch_size=32) for recipe in RECIPES.values() if recipe.schedule != "plateau"],
    ids=lambda r: f"{r.name}-{r.optimizer}-{r.schedule}-{r.beta2}",
)
def test_training_is_adam_on_the_mean_squared_error(images, recipe):
    assert_is_adam(*(build(images.pixels, recipe, 4, seed=2) for _ in range(2)), images.x_train, recipe)


def test_any_module_that_encodes_and_decodes_is_trained_the_same_way(images):
    assert_is_adam(*(OtherModule(images.pixels, 4) for _ in range(2)), images.x_train, SMALL)


@each_products
@pytest.mark.parametrize("kind", [OtherModule, lambda *sizes: Network(*sizes, (9,))], ids=["module", "Network"])
def test_validation_and_test_images_are_measured_only_if_given(images, kind, products):
    fitted = {}
    for given in ((), ("x_val",), ("x_test",), ("x_val", "x_test")):
        network, rows = kind(images.pixels, 4), []
        sets = {"x_val": images.x_test[:15], "x_test": images.x_test[15:]}
        history = fit(
            network,
            images.x_train,
            SMALL,
            **{name: sets[name] for name in given},
            progress=rows.append,
            products=products,
        )
        assert rows == history
        assert [row.epoch for row in history] == [1, 2, 3]
        assert history[-1].train_mse < history[0].train_mse
        for name, values in (("x_val", [r.val_mse for r in history]), ("x_test", [r.test_mse for r in history])):
            if name in given:
                assert values[-1] == evaluate.mse(network, sets[name])
                assert len(set(values)) == 3
            else:
                assert values == [None] * 3
        fitted[given] = (bits(network), [row.train_mse for row in history])
    assert all(same == fitted[()] for same in fitted.values())  # measuring changes no weight


@pytest.mark.parametrize("batch_size", [4, 7, 10, 128])
def test_history_is_the_mean_over_images_also_with_a_short_last_batch(batch_size):
    x = (np.arange(10)[:, None, None] ** 2 * np.ones((3, 3))).astype(np.uint8)
    still = Recipe(hidden=(5,), learning_rate=1e-30, batch_size=batch_size, epochs=2)
    network = build(9, still, 2, seed=0)
    before = bits(network)
    history = fit(network, x, still, x[:2], x[7:])
    assert bits(network) == before
    expected = [evaluate.mse(network, part) for part in (x, x[7:], x[:2])]
    steps, close = math.ceil(10 / batch_size), pytest.approx(expected[0], rel=1e-6)
    assert history == [Epoch(number, close, *expected[1:], steps=number * steps) for number in (1, 2)]


@pytest.mark.parametrize(("n", "batch_size", "sizes"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 128, [3])])
def test_an_epoch_uses_every_image_once(n, batch_size, sizes):
    seen = batches_seen(n, batch_size, epochs=3)
    assert [len(batch) for batch in seen] == 3 * sizes
    for epoch in range(3):
        of_epoch = seen[epoch * len(sizes) : (epoch + 1) * len(sizes)]
        assert sorted(chain(*of_epoch)) == list(range(n))


def test_order_depends_on_seed_and_epoch_and_nothing_else():
    first = batches_seen(50, 50, epochs=3)
    assert first == batches_seen(50, 50, epochs=3, latent_dim=3)
    assert [*chain(*first)] == [*chain(*batches_seen(50, 7, epochs=3))]
    others = [*first, *batches_seen(50, 50, epochs=3, seed=1), list(range(50))]
    assert len({tuple(order) for order in others}) == 7


@pytest.mark.parametrize(("step", "where"), [(1, "epoch 1, batch 1"), (4, "epoch 2, batch 1"), (6, "epoch 2, batch 3")])
def test_divergence_names_its_epoch_and_batch(step, where):
    with watched(broken_step=step), pytest.raises(Diverged, match=f"in {where}$"):
        fit(Network(4, 2, hidden=()), numbered(10), Recipe(batch_size=4, epochs=3))


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"x_val": numbered(4)}, "the val error was no longer a finite number after epoch 1"),
        ({"x_test": numbered(4)}, "the test error was no longer a finite number after epoch 1"),
        ({}, "a weight was no longer a finite number after epoch 1"),
    ],
    ids=["val", "test", "not measured"],
)
def test_divergence_in_the_last_step_is_found(given, where):
    """A batch's loss is that of the weights before its step."""
    wild = Recipe(hidden=(), output="linear", learning_rate=1e39, epochs=1)
    with pytest.raises(Diverged, match=f"^{where}$"):
        fit(Network(4, 2, hidden=(), output="linear"), numbered(10), wild, **given)


def test_build_takes_everything_from_the_recipe():
    network = build(132, Recipe(hidden=[7, 6], activation="silu", output="linear"), 3, seed=4)
    assert repr(network) == "Network(132-7-6-3-6-7-132, silu, linear)"
    for recipe in (*RECIPES.values(), Recipe("even", hidden=(7, 6), initialization="glorot")):
        linear = recipe.initialization == "pca"
        drawn = "glorot" if linear else recipe.initialization
        twin = Network(132, 3, recipe.hidden, recipe.activation, recipe.output, 4, drawn, linear)
        assert bits(build(132, recipe, 3, seed=4)) == bits(twin), recipe.name


def test_bytes_and_the_floats_they_stand_for_train_alike():
    def trained(x):
        network = Network(784, 2, hidden=())
        fit(network, x, Recipe(hidden=(), epochs=2))
        return bits(network)

    assert trained(NOISE) == trained(NOISE / np.float32(255))


def matmul_setting():
    return torch.backends.mkldnn.matmul.fp32_precision


@each_products
def test_errors_are_measured_in_fp32_whatever_the_products_of_training(products):
    recipe, during = Recipe(epochs=2), []
    network = build(784, recipe, 16, seed=0)
    before = matmul_setting()
    history = fit(
        network,
        NOISE,
        recipe,
        x_test=NOISE[:10],
        progress=lambda _: during.append(matmul_setting()),
        products=products,
    )
    assert during == [before, before]
    assert matmul_setting() == before
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert history[-1].test_mse == evaluate.mse(network, NOISE[:10])


def test_fp32_is_fp32_whatever_was_set_before():
    def trained(outside):
        network = build(784, Recipe(epochs=1), 16, seed=0)
        with hardware.matmul_as(outside):
            return fit(network, NOISE, Recipe(epochs=1), x_test=NOISE[:10]), bits(network)

    assert trained("fp32") == trained("rounded-factors")


class Noisy(OtherModule):
    """Counts batches in training mode, and drops half of the code there."""

    def __init__(self, pixels, latent_dim):
        super().__init__(pixels, latent_dim)
        self.norm, self.drop = torch.nn.BatchNorm1d(pixels), torch.nn.Dropout(0.5)

    def encode(self, x):
        return self.drop(super().encode(self.norm(x)))


def test_errors_are_measured_in_evaluation_mode_and_the_mode_is_restored():
    network, recipe = Noisy(784, 3).eval(), Recipe(batch_size=100, epochs=1)
    (epoch,) = fit(network, NOISE, recipe, x_test=NOISE[:50])
    assert int(network.norm.num_batches_tracked) == 3
    assert epoch.test_mse == evaluate.mse(network, NOISE[:50])
    assert not network.training


def test_a_frozen_parameter_stays_and_other_types_are_refused():
    network = OtherModule(784, 3)
    network.inside[0].weight.requires_grad_(False)
    before = network.inside[0].weight.clone()
    fit(network, NOISE, Recipe(batch_size=100, epochs=1, optimizer="adamw", weight_decay=0.5))
    assert torch.equal(network.inside[0].weight, before)
    with pytest.raises(InputError, match="float64; expected float32"):
        fit(network.double(), NOISE, Recipe(epochs=1))
