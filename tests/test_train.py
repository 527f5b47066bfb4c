"""The loop: it minimises what it says, on the batches it says, and to the same bytes each time."""

import re
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_info, threadpool_limits

from latentfit import evaluate, train
from latentfit.data.images import ImageSet
from latentfit.errors import InputError
from latentfit.model import Network, to_tensor
from latentfit.train import Diverged, Recipe, build, fit, train_group

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def one_thread():
    with train.one_thread():
        yield


def bits(weights):
    return {name: np.asarray(value).tobytes() for name, value in weights.items()}


def numbered(n):
    """Images that have their own number in every pixel."""
    x = np.repeat(np.arange(n, dtype=np.uint8), 4).reshape(n, 2, 2)
    return ImageSet("numbered", x, x[:3])


class Watched(Network):
    """Notes which of the numbered images it is trained on, and answers NaN at one step."""

    def __init__(self, latent_dim=2, broken_step=None):
        super().__init__(4, latent_dim, hidden=())
        self.broken_step = broken_step
        self.seen = []

    def forward(self, x):
        if not torch.is_grad_enabled():
            return super().forward(x)
        self.seen.append((255 * x[:, 0]).round().int().tolist())
        return super().forward(x) * (float("nan") if len(self.seen) == self.broken_step else 1)


def batches_seen(n, batch_size, seed=0, epochs=1, latent_dim=2):
    network = Watched(latent_dim)
    fit(network, numbered(n), Recipe(batch_size=batch_size, epochs=epochs), seed)
    return network.seen


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


def test_training_is_adam_on_the_mean_squared_error(images, quick):
    network, twin = (build(images, quick, 4, seed=2) for _ in range(2))
    fit(network, images, quick, seed=7)
    adam = torch.optim.Adam(twin.parameters(), lr=quick.learning_rate, foreach=False)
    for epoch in range(1, quick.epochs + 1):
        order = np.random.default_rng([7, epoch]).permutation(len(images.x_train))
        for start in range(0, len(order), quick.batch_size):
            x = to_tensor(images.x_train[order[start : start + quick.batch_size]])
            adam.zero_grad()
            (twin(x) - x).square().mean().backward()
            adam.step()
    for name, tensor in twin.state_dict().items():
        np.testing.assert_allclose(network.state_dict()[name], tensor, rtol=0, atol=2e-5, err_msg=name)


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


def test_bytes_do_not_depend_on_the_number_of_threads():
    x = RNG.integers(0, 256, (300, 28, 28), np.uint8)
    images = ImageSet("noise", x, x[:10])
    recipe = Recipe(epochs=1)
    (alone,) = train_group([(16, 0)], images, recipe)
    torch.set_num_threads(2)
    threads = []
    (beside,) = train_group([(16, 0)], images, recipe, lambda *_: threads.append(torch.get_num_threads()))
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
        with train.one_thread():
            assert blas_threads() == {1}
            assert torch.get_num_threads() == 1
        assert blas_threads() == {2}
        assert torch.get_num_threads() == 2


def test_one_thread_ends_also_where_something_breaks():
    with threadpool_limits(2):
        torch.set_num_threads(2)
        before = blas_threads()
        with pytest.raises(ZeroDivisionError), train.one_thread():
            _ = 1 / 0
        assert blas_threads() == before
        assert torch.get_num_threads() == 2


def test_progress_names_the_network(images, quick):
    told = []
    group = train_group([(3, 1), (6, 0)], images, quick, lambda *news: told.append(news))
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
    assert failed.history == []


@pytest.mark.parametrize(("step", "where"), [(1, "epoch 1, batch 1"), (4, "epoch 2, batch 1"), (6, "epoch 2, batch 3")])
def test_divergence_is_told_where_it_happened(step, where):
    with pytest.raises(Diverged, match=f"in {where}$"):
        fit(Watched(broken_step=step), numbered(10), Recipe(batch_size=4, epochs=3))


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
