"""The loop: it minimises what it says, on the batches it says, and to the same bytes each time."""

import math
import os
import platform
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from helpers import each_products, needs
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_info, threadpool_limits

from latentfit import evaluate, gradient, hardware, latent, train
from latentfit.data.images import ImageSet
from latentfit.errors import InputError
from latentfit.model import Network, to_tensor
from latentfit.recipe import CHOICES, RECIPES, Recipe
from latentfit.train import Diverged, build, fit, train_group

RNG = np.random.default_rng(0)
NOISE = ImageSet("noise", RNG.integers(0, 256, (300, 28, 28), np.uint8), RNG.integers(0, 256, (10, 28, 28), np.uint8))


@pytest.fixture(autouse=True)
def one_thread():
    with hardware.reproducible():
        yield


def bits(weights):
    return {name: np.asarray(value).tobytes() for name, value in weights.items()}


def numbered(n):
    """Images that have their own number in every pixel."""
    x = np.repeat(np.arange(n, dtype=np.uint8), 4).reshape(n, 2, 2)
    return ImageSet("numbered", x, x[:3])


@contextmanager
def watched(broken_step=None):
    """Note which of the numbered images each step is given, and answer NaN at one step."""
    seen, by_hand = [], gradient.by_hand

    def watching(network, x, cut=None):
        seen.append((255 * x[:, 0]).round().int().tolist())
        loss = by_hand(network, x)
        if len(seen) == broken_step:
            for value in (loss, *(parameter.grad for parameter in network.parameters())):
                value.fill_(float("nan"))
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train.gradient, "by_hand", watching)
        yield seen


def batches_seen(n, batch_size, seed=0, epochs=1, latent_dim=2):
    with watched() as seen:
        fit(Network(4, latent_dim, hidden=()), numbered(n), Recipe(batch_size=batch_size, epochs=epochs), seed)
    return seen


@pytest.mark.parametrize("latent_dim", [3, 4])
def test_a_linear_autoencoder_reaches_pca(latent_dim):
    rng = np.random.default_rng(0)
    parts = 0.3 * rng.uniform(0, 1, (4, 64)) ** 3
    x = rng.uniform(0, 1, (2000, 4)) ** 2 @ parts + 0.15 * rng.uniform(0, 1, (2000, 64))
    x = x.clip(0, 1).astype(np.float32)
    images = ImageSet("rank 4 and noise", x.reshape(-1, 8, 8), x[:100].reshape(-1, 8, 8))
    pca = PCA(latent_dim).fit(x.astype(float))
    best = np.square(pca.inverse_transform(pca.transform(x)) - x).mean()
    coarse = Recipe(hidden=(), output="linear", learning_rate=0.02, batch_size=200, epochs=60)
    network = build(images, coarse, latent_dim, seed=0)
    fit(network, images, coarse)
    fit(network, images, replace(coarse, learning_rate=0.002, epochs=20))
    assert 1 - 1e-4 < evaluate.mse(network, images.x_train) / best < 1.02


def assert_is_adam(images, recipe):
    network, twin = (build(images, recipe, 4, seed=2) for _ in range(2))
    fit(network, images, recipe, seed=7)
    adam = torch.optim.Adam(twin.parameters(), betas=(0.9, recipe.beta2), foreach=False)
    done, steps = 0, recipe.epochs * math.ceil(len(images.x_train) / recipe.batch_size)
    for epoch in range(1, recipe.epochs + 1):
        order = np.random.default_rng([7, epoch]).permutation(len(images.x_train))
        for start in range(0, len(order), recipe.batch_size):
            x = to_tensor(images.x_train[order[start : start + recipe.batch_size]])
            adam.param_groups[0]["lr"] = recipe.rate(done / steps)
            adam.zero_grad()
            (twin(x) - x).square().mean().backward()
            if recipe.optimizer == "adamw":
                with torch.no_grad():
                    for parameter in twin.parameters():
                        parameter.mul_(1 - recipe.rate(done / steps) * recipe.weight_decay)
            adam.step()
            done += 1
    for name, tensor in twin.state_dict().items():
        np.testing.assert_allclose(network.state_dict()[name], tensor, rtol=0, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("beta2", [0.999, 0.9])
@pytest.mark.parametrize("optimizer", [{"optimizer": "adam"}, {"optimizer": "adamw", "weight_decay": 0.5}], ids=str)
@pytest.mark.parametrize("schedule", CHOICES["schedule"])
def test_training_is_adam_on_the_mean_squared_error(images, quick, schedule, optimizer, beta2):
    assert_is_adam(images, replace(quick, schedule=schedule, beta2=beta2, **optimizer))


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_training_is_adam_for_each_recipe(images, recipe):
    assert_is_adam(images, replace(recipe, epochs=2, batch_size=32))


@pytest.mark.parametrize("recipe", [*RECIPES.values(), Recipe("bent", schedule="cosine")], ids=lambda r: r.name)
def test_the_largest_step_is_the_learning_rate(recipe):
    rates = [recipe.rate(share) for share in np.linspace(0, 1, 2001)]
    assert max(rates) == recipe.learning_rate
    assert min(rates) >= 0


def test_a_constant_rate_stays():
    recipe = Recipe(learning_rate=0.003)
    assert {recipe.rate(share) for share in np.linspace(0, 1, 101)} == {0.003}


def test_a_cosine_rises_to_a_twentieth_of_the_way_and_falls_to_nothing():
    rate = Recipe(schedule="cosine", learning_rate=0.003).rate
    for share in np.linspace(0, 0.05, 21):
        assert rate(share) == pytest.approx(0.003 * share / 0.05, rel=1e-12, abs=1e-18)
    assert rate(0.05) == 0.003
    assert rate(0.05 + 0.95 / 2) == pytest.approx(0.0015)
    assert rate(0.05 + 0.95 / 3) == pytest.approx(0.003 * 3 / 4)  # (1 + cos 60°) / 2
    assert rate(1) == pytest.approx(0, abs=1e-15)
    falling = [rate(share) for share in np.linspace(0.05, 1, 400)]
    assert (np.diff(falling) < 0).all()


@pytest.mark.parametrize("batch_size", [4, 7, 10, 128])
def test_history_is_the_mean_over_images_also_with_a_short_last_batch(batch_size):
    x = (np.arange(10)[:, None, None] ** 2 * np.ones((3, 3))).astype(np.uint8)
    images = ImageSet("uneven", x, x[7:])
    still = Recipe(hidden=(5,), learning_rate=1e-30, batch_size=batch_size, epochs=2)
    network = build(images, still, 2, seed=0)
    before = bits(network.state_dict())
    history = fit(network, images, still)
    assert bits(network.state_dict()) == before
    for number, row in enumerate(history, start=1):
        assert row.epoch == number
        assert row.train_mse == pytest.approx(evaluate.mse(network, images.x_train), rel=1e-6)
        assert row.test_mse == evaluate.mse(network, images.x_test)


def test_history_ends_with_the_error_of_the_trained_network(images, quick):
    network = build(images, quick, 4, seed=0)
    rows = []
    history = fit(network, images, quick, progress=rows.append)
    assert rows == history
    assert history[-1].test_mse == evaluate.mse(network, images.x_test)
    assert history[-1].train_mse < history[0].train_mse


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


def test_a_group_is_its_networks_trained_one_by_one(images, quick):
    jobs = [(3, 1), (6, 0)]
    together = train_group(jobs, images, quick)
    alone = [train_group([job], images, quick)[0] for job in jobs]
    assert [t.job for t in together] == jobs
    for a, b in zip(together, alone, strict=True):
        assert bits(a.weights) == bits(b.weights)
        assert a.history == b.history
        assert a.reason is b.reason is None


def test_a_group_gives_the_weights_that_fit_leaves(images, quick):
    (trained,) = train_group([(5, 3)], images, quick)
    network = build(images, quick, 5, seed=3)
    history = fit(network, images, quick, seed=3)
    assert bits(network.state_dict()) == bits(trained.weights)
    assert history == trained.history
    assert bits(network.state_dict()) != bits(build(images, quick, 5, seed=3).state_dict())


@each_products
def test_bytes_do_not_depend_on_the_number_of_threads(products):
    recipe = Recipe(epochs=1)
    (alone,) = train_group([(16, 0)], NOISE, recipe, products)
    torch.set_num_threads(2)
    threads = []
    (beside,) = train_group(
        [(16, 0)], NOISE, recipe, products, progress=lambda *_: threads.append(torch.get_num_threads())
    )
    assert bits(beside.weights) == bits(alone.weights)
    assert threads == [1]
    assert torch.get_num_threads() == 2


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_one_thread_is_for_numpys_products_too_and_ends():
    with threadpool_limits(2):
        if not blas_threads():
            pytest.skip("this NumPy's BLAS is not one that threadpoolctl knows")
        torch.set_num_threads(2)
        assert blas_threads() == {2}
        with hardware.reproducible():
            assert blas_threads() == {1}
            assert torch.get_num_threads() == 1
        assert blas_threads() == {2}
        assert torch.get_num_threads() == 2


def test_one_thread_ends_also_where_something_breaks():
    with threadpool_limits(2):
        torch.set_num_threads(2)
        before = blas_threads()
        with pytest.raises(ZeroDivisionError), hardware.reproducible():
            _ = 1 / 0
        assert blas_threads() == before
        assert torch.get_num_threads() == 2


def test_progress_names_the_network(images, quick):
    told = []
    group = train_group([(3, 1), (6, 0)], images, quick, progress=lambda *news: told.append(news))
    assert told == [(t.job, row) for t in group for row in t.history]


def test_training_leaves_the_global_random_states(images, quick):
    before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    train_group([(3, 0)], images, quick)
    after = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])


def test_divergence_is_a_reason_that_names_epoch_and_batch(images):
    wild = Recipe(output="linear", learning_rate=1e3, batch_size=16, epochs=2)
    (failed,) = train_group([(3, 0)], images, wild)
    assert failed.reason == "the error was no longer a finite number in epoch 1, batch 2"
    assert failed.weights == {}
    assert failed.measured is None
    assert failed.history == []


@pytest.mark.parametrize(("step", "where"), [(1, "epoch 1, batch 1"), (4, "epoch 2, batch 1"), (6, "epoch 2, batch 3")])
def test_divergence_is_told_where_it_happened(step, where):
    with watched(broken_step=step), pytest.raises(Diverged, match=f"in {where}$"):
        fit(Network(4, 2, hidden=()), numbered(10), Recipe(batch_size=4, epochs=3))


def test_one_that_diverges_does_not_touch_the_others(images, quick, trained, monkeypatch):
    def poisoned(images, recipe, latent_dim, seed):
        network = build(images, recipe, latent_dim, seed)
        if latent_dim == 3:
            torch.nn.init.constant_(network.encoder[0].weight, float("nan"))
        return network

    monkeypatch.setattr(train, "build", poisoned)
    first, failed, last = train_group([(2, 0), (3, 0), (9, 0)], images, quick)
    assert "epoch 1, batch 1" in failed.reason
    assert bits(first.weights) == bits(trained[0].weights)
    assert bits(last.weights) == bits(trained[2].weights)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("activation", "tanh"),
        ("output", "softmax"),
        ("optimizer", "sgd"),
        ("schedule", "linear"),
        ("initialization", "orthogonal"),
        ("batch_size", 0),
        ("batch_size", 1.5),
        ("batch_size", np.float64(3)),
        ("hidden", (True,)),
        ("epochs", np.True_),
        ("epochs", -1),
        ("epochs", True),
        ("epochs", "20"),
        ("hidden", (512, 0)),
        ("hidden", (2.5,)),
        ("learning_rate", 0),
        ("learning_rate", -0.001),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("beta2", 1),
        ("beta2", -0.1),
        ("beta2", float("nan")),
        ("beta2", True),
        ("weight_decay", -0.01),
        ("weight_decay", float("inf")),
        ("weight_decay", float("nan")),
    ],
)
def test_a_bad_value_is_named(field, value):
    bad = value[-1] if isinstance(value, tuple) else value
    with pytest.raises(InputError) as caught:
        Recipe(**{field: value})
    message = str(caught.value)
    assert str(bad) in message
    assert field.split("_")[0] in message
    assert "\n" not in message


def test_build_takes_everything_from_the_recipe(images):
    network = build(images, Recipe(hidden=[7, 6], activation="silu", output="linear"), 3, seed=4)
    assert repr(network) == "Network(132-7-6-3-6-7-132, silu, linear)"
    twin = Network(132, 3, (7, 6), "silu", "linear", seed=4)
    assert bits(network.state_dict()) == bits(twin.state_dict())


@pytest.mark.parametrize("recipe", [*RECIPES.values(), Recipe("even", initialization="glorot")], ids=lambda r: r.name)
def test_build_starts_where_the_recipe_says(images, recipe):
    twin = Network(132, 3, recipe.hidden, recipe.activation, recipe.output, 4, recipe.initialization)
    assert bits(build(images, recipe, 3, seed=4).state_dict()) == bits(twin.state_dict())


SMALL = RNG.integers(0, 256, (9, 4, 5), np.uint8)
COLOUR = RNG.integers(0, 256, (9, 4, 5, 3), np.uint8)
EQUAL = np.full((9, 4, 5), 77, np.uint8)


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
def test_odd_sets_train(x_train, x_test):
    images = ImageSet("odd", x_train, x_test)
    (result,) = train_group([(2, 0)], images, Recipe(hidden=(16,), learning_rate=0.01, epochs=20))
    assert result.reason is None
    assert len(result.history) == 20
    assert result.history[-1].train_mse < 0.9 * result.history[0].train_mse


def test_bytes_and_the_floats_they_stand_for_train_alike():
    as_bytes, as_floats = (
        train_group([(2, 0)], ImageSet("same", x, x), Recipe(hidden=(), epochs=2))[0]
        for x in (SMALL, SMALL / np.float32(255))
    )
    assert bits(as_bytes.weights) == bits(as_floats.weights)


@pytest.mark.parametrize(
    "bad",
    [
        *({"learning_rate": "x"}, {"learning_rate": None}, {"learning_rate": float("inf")}, {"learning_rate": True}),
        *({"hidden": 5}, {"hidden": None}, {"hidden": "12"}, {"activation": []}, {"name": 3}),
        *({"schedule": None}, {"initialization": ["glorot"]}, {"beta2": "0.9"}, {"weight_decay": None}),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_input_error(bad):
    ((name, value),) = bad.items()
    with pytest.raises(InputError, match=f"{name.replace('_', ' ')} {re.escape(repr(value))}"):
        Recipe(**bad)


def test_numpy_numbers_become_plain_ones():
    recipe = Recipe(hidden=tuple(np.array([8, 4])), batch_size=np.uint8(16), epochs=np.int64(3))
    assert (recipe.hidden, recipe.batch_size, recipe.epochs) == ((8, 4), 16, 3)
    assert {type(n) for n in (*recipe.hidden, recipe.batch_size, recipe.epochs)} == {int}


@each_products
def test_what_is_measured_is_what_evaluate_and_latent_say_of_the_weights(images, quick, products):
    (trained,) = train_group([(5, 0)], images, quick, products)
    network = build(images, quick, 5, seed=9)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in trained.weights.items()})
    x_hat, measured = evaluate.reconstruct(network, images.x_test), trained.measured
    assert measured.train_mse == evaluate.mse(network, images.x_train)
    np.testing.assert_array_equal(measured.test_errors, evaluate.image_errors(network, images.x_test))
    assert measured.test_ssim == evaluate.ssim(images.x_test, x_hat)
    np.testing.assert_array_equal(measured.test_sharpness, evaluate.sharpness(x_hat))
    np.testing.assert_array_equal(measured.test_codes, latent.encode(network, images.x_test))
    z = latent.encode(network, images.x_train)
    np.testing.assert_array_equal(measured.code_range, [z.min(axis=0), z.max(axis=0)])
    assert measured.test_errors.mean() == trained.history[-1].test_mse


def setting():
    return torch.backends.mkldnn.matmul.fp32_precision


@contextmanager
def set_to(precision):
    before = setting()
    torch.backends.mkldnn.matmul.fp32_precision = precision
    try:
        yield
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = before


@pytest.mark.parametrize("before", ["none", "ieee", "bf16"])
@pytest.mark.parametrize(
    ("products", "during"), [("fp32", "ieee"), ("rounded-factors", "bf16"), ("bf16-tensors", "ieee")]
)
def test_how_products_are_made_ends_also_where_something_breaks(before, products, during):
    with set_to(before):
        with hardware.matmul_as(products):
            assert setting() == during
        assert setting() == before
        with pytest.raises(ZeroDivisionError), hardware.matmul_as(products):
            _ = 1 / 0
        assert setting() == before


LAYOUTS = {  # of a training: forward, gradient of the weight, gradient of the layer's input
    "forward": ((128, 784), (784, 512)),
    "weight": ((512, 128), (128, 784)),
    "input": ((128, 512), (512, 784)),
}


@pytest.mark.fault("precision")
@each_products
@pytest.mark.parametrize("layout", LAYOUTS)
def test_products_are_made_as_they_are_called(products, layout):
    """Against double precision: of the rounded factors, and of the factors as they are."""
    left, right = LAYOUTS[layout]
    a = torch.from_numpy(RNG.normal(size=left)).float()
    b = torch.from_numpy(RNG.normal(size=right)).float()
    rounded, exact = a.bfloat16().double() @ b.bfloat16().double(), a.double() @ b.double()
    assert (rounded - exact).abs().max() > 0.05  # otherwise nothing would show which of the two it is
    tensors = products == "bf16-tensors"
    with hardware.matmul_as(products):
        made = (a.bfloat16() @ b.bfloat16()).double() if tensors else (a @ b).double()
    np.testing.assert_allclose(
        made, exact if products == "fp32" else rounded, rtol=2**-8 if tensors else 0, atol=1e-2 if tensors else 2e-4
    )


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


@each_products
def test_errors_are_measured_in_fp32_whatever_trained(products):
    recipe, during = Recipe(epochs=2), []
    network = build(NOISE, recipe, 16, seed=0)
    before = setting()
    history = fit(network, NOISE, recipe, progress=lambda _: during.append(setting()), products=products)
    assert during == [before, before]
    assert setting() == before
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert history[-1].test_mse == evaluate.mse(network, NOISE.x_test)


@pytest.mark.parametrize("outside", ["ieee", "bf16"])
def test_fp32_is_fp32_whatever_was_set_before(outside):
    (plain,) = train_group([(16, 0)], NOISE, Recipe(epochs=1))
    network = build(NOISE, Recipe(epochs=1), 16, seed=0)
    with set_to(outside):
        fit(network, NOISE, Recipe(epochs=1))
    assert bits(network.state_dict()) == bits(plain.weights)


@each_products
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_same_bytes_twice(recipe, products):
    first, second = (train_group([(16, 0)], NOISE, replace(recipe, epochs=1), products)[0] for _ in range(2))
    assert bits(first.weights) == bits(second.weights)
    assert first.history == second.history


@pytest.mark.fault("precision")
def test_a_worker_refuses_products_that_its_processor_does_not_make(images, quick, monkeypatch):
    monkeypatch.setitem(hardware.PRODUCTS, "rounded-factors", lambda: False)
    monkeypatch.setitem(hardware.PRODUCTS, "bf16-tensors", lambda: True)
    told = (
        r"products rounded-factors \(precision bf16\) were asked for, and this processor makes bf16-tensors and fp32;"
    )
    with pytest.raises(InputError, match=told):
        train_group([(2, 0)], images, quick, "rounded-factors")


def machine_with(monkeypatch, *made, maker="AuthenticAMD"):
    for products in hardware.PRODUCTS:
        monkeypatch.setitem(hardware.PRODUCTS, products, lambda able=products in (*made, "fp32"): able)
    monkeypatch.setattr(hardware, "maker", lambda: maker)


@pytest.mark.parametrize(
    ("made", "maker", "auto", "bf16"),
    [
        (("rounded-factors", "bf16-tensors"), "GenuineIntel", "rounded-factors", "rounded-factors"),
        (("rounded-factors",), "", "fp32", "rounded-factors"),  # arm64: nobody has tried
        (("bf16-tensors",), "AuthenticAMD", "bf16-tensors", "bf16-tensors"),
        (("bf16-tensors",), "GenuineIntel", "fp32", "bf16-tensors"),  # slower there than fp32
        (("bf16-tensors",), "", "fp32", "bf16-tensors"),
        ((), "AuthenticAMD", "fp32", None),
    ],
)
def test_what_a_processor_does_decides_how_products_are_made(monkeypatch, made, maker, auto, bf16):
    machine_with(monkeypatch, *made, maker=maker)
    assert hardware.products_of("auto", "cpu") == auto
    assert hardware.products_of("fp32", "cpu") == "fp32"
    assert hardware.products_of("auto", "cuda") == hardware.products_of("auto", "mps") == "fp32"
    if bf16:
        assert hardware.products_of("bf16", "cpu") == bf16
    else:
        with pytest.raises(InputError, match=r"precision bf16: .* no instructions .*; take --precision fp32"):
            hardware.products_of("bf16", "cpu")
    with pytest.raises(InputError, match="precision bf16 is for the CPU; with device cuda take --precision fp32"):
        hardware.products_of("bf16", "cuda")


@pytest.mark.parametrize("precision", ["half", "FP32", None])
def test_a_precision_that_is_not_known_is_refused(precision):
    with pytest.raises(
        InputError, match=re.escape(f"precision {precision!r} is not known; expected fp32, bf16 or auto")
    ):
        hardware.products_of(precision, "cpu")


@pytest.mark.fault("precision")
@pytest.mark.parametrize("probe", [hardware.rounds_factors, hardware.multiplies_bf16])
@pytest.mark.parametrize("outside", ["denormals", "no denormals", "bf16", "two threads"])
def test_a_probe_answers_alike_wherever_it_is_asked(probe, outside, denormals):
    right = probe.__wrapped__()
    threads = torch.get_num_threads()
    torch.set_num_threads(2 if outside == "two threads" else threads)
    with hardware.no_denormals() if outside == "no denormals" else set_to("bf16" if outside == "bf16" else "ieee"):
        before = (setting(), denormals_are_zero(), torch.get_num_threads())
        assert probe.__wrapped__() == right
        assert (setting(), denormals_are_zero(), torch.get_num_threads()) == before
    torch.set_num_threads(threads)


@pytest.mark.fault("precision")
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the variable is of x86 processors")
@pytest.mark.parametrize(
    ("isa", "rounds", "multiplies"),
    [("AVX512_CORE_BF16", False, None), ("AVX512_CORE", False, False), ("AVX2", False, False)],
)
def test_an_emulation_is_not_taken_for_instructions(isa, rounds, multiplies):
    """In a process whose oneDNN may use less of the processor; with its instructions for bf16, what it has of them."""
    code = "from latentfit import hardware as m; print(m.rounds_factors(), m.multiplies_bf16())"
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": isa}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    found = [word == "True" for word in told.stdout.split()]
    assert found[0] == rounds
    assert multiplies is None or found[1] == multiplies


@pytest.mark.parametrize(("there", "best"), [(True, "cuda"), (False, "cpu")])
def test_the_best_device_is_cuda_where_there_is_one(monkeypatch, there, best):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert hardware.best_device() == best


@pytest.mark.parametrize(
    ("products", "device", "told"),
    [
        ("fp32", "cpu", None),
        ("bf16-tensors", "cpu", None),
        ("fp32", "cuda", None),
        ("auto", "cpu", "products 'auto' is not known"),  # it is decided before, once for a study
        ("bf16", "cpu", "products 'bf16' is not known; expected rounded-factors, bf16-tensors, fp32"),
        ("fp32", "auto", "device 'auto' is not known"),
        (None, "cpu", "products None is not known"),
        ("fp32", "tpu", "device 'tpu' is not known; expected cpu, cuda, mps"),
        ("fp32", None, "device None is not known"),
        ("fp32", "mps", "device mps: PyTorch finds none on this machine; take --device cpu"),
        ("bf16-tensors", "cuda", "precision bf16 is for the CPU; with device cuda take --precision fp32"),
    ],
)
def test_what_a_machine_can_do(monkeypatch, products, device, told):
    """Of one with CUDA and bf16, and without MPS."""
    monkeypatch.setitem(hardware.DEVICES, "cuda", lambda: True)
    monkeypatch.setitem(hardware.DEVICES, "mps", lambda: False)
    machine_with(monkeypatch, "bf16-tensors")
    if told is None:
        hardware.check(products, device)
        return
    with pytest.raises(InputError, match=re.escape(told)):
        hardware.check(products, device)


def test_a_group_needs_its_device(images, quick, monkeypatch):
    monkeypatch.setitem(hardware.DEVICES, "cuda", lambda: False)
    with pytest.raises(InputError, match="device cuda: PyTorch finds none"):
        train_group([(2, 0)], images, quick, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_cuda_trains_to_nearly_the_same_error(images, quick):
    recipe = replace(quick, epochs=10)
    here, there = (train_group([(5, 0)], images, recipe, device=device)[0] for device in ("cpu", "cuda"))
    assert there.reason is None
    assert there.history[-1].test_mse == pytest.approx(here.history[-1].test_mse, rel=0.03)
    assert there.measured.test_errors.mean() == pytest.approx(there.history[-1].test_mse, rel=1e-4)
    assert there.measured.train_mse == pytest.approx(here.measured.train_mse, rel=0.03)


@pytest.fixture
def denormals():
    """As PyTorch begins; `one_thread` has them off, and puts back what was there."""
    torch.set_flush_denormal(False)


def denormals_are_zero():
    return bool(torch.full((), 1e-40).mul(1) == 0)


def test_no_denormals_ends_as_it_began_also_where_something_breaks(denormals):
    with hardware.no_denormals():
        assert denormals_are_zero()
        with hardware.no_denormals():
            pass
        assert denormals_are_zero()
    assert not denormals_are_zero()
    with pytest.raises(ZeroDivisionError), hardware.no_denormals():
        _ = 1 / 0
    assert not denormals_are_zero()


def test_networks_are_trained_and_measured_without_denormals(images, quick, monkeypatch, denormals):
    seen = []
    for module, name in ((train.gradient, "by_hand"), (evaluate, "ssim")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, real=real: (seen.append(denormals_are_zero()), real(*a))[1])
    train_group([(2, 0)], images, quick)
    assert len(seen) > 2
    assert all(seen)
    fit(build(images, quick, 2, 0), images, quick)
    assert all(seen)


def test_tasks_side_by_side_each_use_one_thread_and_end_as_they_began(denormals):
    def state():
        counts = {info["num_threads"] for info in threadpool_info()}
        return torch.get_num_threads(), counts, denormals_are_zero()

    before = state()
    with hardware.reproducible():
        for found in hardware.side_by_side(*[state] * 4):
            assert found == (1, {1}, True)
    assert state() == before
    assert hardware.side_by_side() == []
    with pytest.raises(ZeroDivisionError):
        hardware.side_by_side(state, lambda: 1 / 0)
    assert state() == before
