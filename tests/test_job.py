"""The unit of work of a study: networks trained and measured alone, to the same bytes wherever that happens."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import each_products, needs

from latentfit import evaluate, gradient, hardware, latent, pca
from latentfit.data.images import ImageSet
from latentfit.errors import InputError
from latentfit.recipe import RECIPES, Recipe
from latentfit.sweep import job
from latentfit.sweep.job import train_group
from latentfit.train import build, fit

RNG = np.random.default_rng(0)
NOISE = ImageSet("noise", RNG.integers(0, 256, (300, 28, 28), np.uint8), RNG.integers(0, 256, (10, 28, 28), np.uint8))
SMALL = RNG.integers(0, 256, (9, 4, 5), np.uint8)
COLOUR = RNG.integers(0, 256, (9, 4, 5, 3), np.uint8)
EQUAL = np.full((9, 4, 5), 77, np.uint8)


@pytest.fixture(autouse=True)
def one_thread():
    with hardware.reproducible():
        yield


def bits(weights):
    return {name: np.asarray(value).tobytes() for name, value in weights.items()}


def test_a_group_is_its_networks_trained_one_by_one(images, quick):
    jobs, told = [(3, 1), (6, 0)], []
    together = train_group(jobs, images, quick, progress=lambda *news: told.append(news))
    alone = [train_group([job], images, quick)[0] for job in jobs]
    assert [trained.job for trained in together] == jobs
    for a, b in zip(together, alone, strict=True):
        assert bits(a.weights) == bits(b.weights)
        assert a.history == b.history
        assert a.reason is b.reason is a.errors is None
    assert told == [(trained.job, row) for trained in together for row in trained.history]


def test_a_group_has_the_weights_that_fit_leaves(images, quick):
    (trained,) = train_group([(5, 3)], images, quick)
    network = build(images.pixels, quick, 5, seed=3)
    assert bits(network.state_dict()) != bits(trained.weights)
    history = fit(network, images.x_train, quick, x_test=images.x_test, seed=3)
    assert bits(network.state_dict()) == bits(trained.weights)
    assert history == trained.history


@each_products
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_same_bytes_twice_whatever_the_number_of_threads(recipe, products):
    recipe, threads, images = replace(recipe, epochs=30 if recipe.schedule == "plateau" else 1), [], NOISE
    if recipe.schedule == "plateau":
        images = NOISE.with_held_out()
    options = {"start": pca.fit(images.x_train, images.x_test).start(16)}
    (first,) = train_group([(16, 0)], images, recipe, products, **options)
    torch.set_num_threads(2)
    options["progress"] = lambda *_: threads.append(torch.get_num_threads())
    (second,) = train_group([(16, 0)], images, recipe, products, **options)
    assert bits(first.weights) == bits(second.weights)
    assert first.history == second.history
    assert threads == [1] * len(first.history) != []
    assert torch.get_num_threads() == 2


def test_training_does_not_change_the_global_random_states(images, quick):
    def states():
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # noqa: NPY002

    before = states()
    train_group([(3, 0)], images, quick)
    assert states() == before


def test_divergence_is_a_reason_that_names_epoch_and_batch(images):
    wild = Recipe(output="linear", learning_rate=1e3, batch_size=16, epochs=2)
    (failed,) = train_group([(3, 0)], images, wild)
    assert failed.reason == "the error was no longer a finite number in epoch 1, batch 2"
    assert (failed.weights, failed.measurement, failed.history) == ({}, None, [])


def test_a_network_that_diverges_does_not_change_the_others(images, quick, trained, monkeypatch):
    def poisoned(pixels, recipe, latent_dim, seed, start):
        network = build(pixels, recipe, latent_dim, seed, start)
        if latent_dim == 3:
            torch.nn.init.constant_(network.encoder.layers[0].weight, float("nan"))
        return network

    monkeypatch.setattr(job.train, "build", poisoned)
    first, failed, last = train_group([(2, 0), (3, 0), (9, 0)], images, quick)
    assert "epoch 1, batch 1" in failed.reason
    assert bits(first.weights) == bits(trained[0].weights)
    assert bits(last.weights) == bits(trained[2].weights)


@pytest.mark.parametrize(
    ("x_train", "x_test"),
    [
        (SMALL, SMALL[:4]),
        (COLOUR, COLOUR[:4]),
        (SMALL / np.float32(255), SMALL / np.float32(255)),
        (SMALL[:2], SMALL[2:3]),
        (SMALL[:1], SMALL[1:]),
        (EQUAL, EQUAL),
    ],
    ids=["unlabelled", "colour", "float32", "two", "one", "equal"],
)
def test_unusual_sets_train(x_train, x_test):
    images = ImageSet("odd", x_train, x_test)
    (result,) = train_group([(2, 0)], images, Recipe(hidden=(16,), learning_rate=0.01, epochs=20))
    assert result.reason is None
    assert len(result.history) == 20
    assert result.history[-1].train_mse < 0.9 * result.history[0].train_mse


@each_products
def test_a_measurement_is_what_evaluate_and_latent_compute_from_the_weights(images, quick, products):
    (trained,) = train_group([(5, 0)], images, quick, products)
    network = build(images.pixels, quick, 5, seed=9)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in trained.weights.items()})
    x_hat, found = evaluate.reconstruct(network, images.x_test), trained.measurement
    assert found.train_mse == evaluate.mse(network, images.x_train)
    np.testing.assert_array_equal(found.per_image.test_mse, evaluate.image_errors(network, images.x_test))
    np.testing.assert_array_equal(found.per_image.sharpness, evaluate.sharpness(x_hat))
    assert found.per_image.test_mse.mean() == trained.history[-1].test_mse
    assert found.test_ssim == evaluate.ssim(images.x_test, x_hat)
    assert found.effective_dim == latent.effective_dim(latent.encode(network, images.x_test))
    z = latent.encode(network, images.x_train)
    np.testing.assert_array_equal([found.codes.low, found.codes.high], [z.min(axis=0), z.max(axis=0)])
    np.testing.assert_allclose(found.codes.std, z.std(axis=0, dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize("products", [pytest.param(p, marks=needs(p)) for p in hardware.PRODUCTS if p != "fp32"])
def test_bf16_trains_to_nearly_the_same_error(products):
    rng = np.random.default_rng(0)
    x = (rng.uniform(0, 1, (1000, 5)) ** 2 @ rng.uniform(0, 0.2, (5, 784))).astype(np.float32).reshape(-1, 28, 28)
    images, recipe = ImageSet("rank 5", x[:900], x[900:]), Recipe(hidden=(64,), epochs=10, batch_size=50)
    fine, coarse = (train_group([(8, 0)], images, recipe, how)[0] for how in ("fp32", products))
    assert fine.history[-1].test_mse < 0.3 * fine.history[0].test_mse
    for a, b in zip(fine.history, coarse.history, strict=True):
        assert a.train_mse != b.train_mse
        assert b.train_mse == pytest.approx(a.train_mse, rel=0.05)
        assert b.test_mse == pytest.approx(a.test_mse, rel=0.05)
    for name, weight in fine.weights.items():
        assert 0 < np.abs(coarse.weights[name] - weight).mean() < 0.01, name


@pytest.mark.fault("precision")
@pytest.mark.parametrize(
    ("products", "device", "message"),
    [
        ("rounded-factors", "cpu", "products rounded-factors (precision bf16) were asked for"),
        ("fp32", "cuda", "device cuda: PyTorch finds none"),
    ],
)
def test_a_worker_refuses_what_its_machine_cannot_do(images, quick, monkeypatch, products, device, message):
    monkeypatch.setitem(hardware.PRODUCTS, "rounded-factors", lambda: False)
    monkeypatch.setitem(hardware.DEVICES, "cuda", lambda: False)
    with pytest.raises(InputError, match=re.escape(message)):
        train_group([(2, 0)], images, quick, products, device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_cuda_trains_to_nearly_the_same_error(images, quick):
    recipe = replace(quick, epochs=10)
    here, there = (train_group([(5, 0)], images, recipe, device=device)[0] for device in ("cpu", "cuda"))
    assert there.reason is None
    assert there.history[-1].test_mse == pytest.approx(here.history[-1].test_mse, rel=0.03)
    assert there.measurement.per_image.test_mse.mean() == pytest.approx(there.history[-1].test_mse, rel=1e-4)
    assert there.measurement.train_mse == pytest.approx(here.measurement.train_mse, rel=0.03)


def test_networks_are_trained_and_measured_without_denormals(images, quick, monkeypatch):
    flushed = []

    def note(module, name):
        real = getattr(module, name)

        def noting(*args):
            flushed.append(bool(torch.full((), 1e-40).mul(1) == 0))
            return real(*args)

        monkeypatch.setattr(module, name, noting)

    torch.set_flush_denormal(False)
    note(gradient, "by_hand")
    train_group([(2, 0)], images, quick)
    steps = len(flushed)
    note(evaluate, "image_ssim")
    train_group([(2, 0)], images, quick)
    assert len(flushed) > 2 * steps > 0
    fit(build(images.pixels, quick, 2, 0), images.x_train, quick)
    assert len(flushed) > 3 * steps
    assert all(flushed)
