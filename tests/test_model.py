"""The network: ten lines of NumPy agree with it, and it starts where it says."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from latentfit.model import BATCH, INITIALIZATIONS, Network, batches, to_tensor, to_unit

SHAPES = [{}, {"hidden": ()}, {"hidden": (30,), "activation": "silu"}, {"output": "linear"}]
ACTIVATIONS = {"relu": lambda h: np.maximum(h, 0), "silu": lambda h: h / (1 + np.exp(-h))}
OUTPUTS = {"sigmoid": lambda h: 1 / (1 + np.exp(-h)), "linear": lambda h: h}


def in_numpy(network, part, h):
    state = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    layers = len(network.sizes) - 1
    for i in range(layers):
        h = h @ state[f"{part}.{i}.weight"].T + state[f"{part}.{i}.bias"]
        if i < layers - 1:
            h = ACTIVATIONS[network.activation](h)
    return OUTPUTS[network.output](h) if part == "decoder" else h


def bits(network):
    return {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@torch.no_grad()
def test_ten_lines_of_numpy_agree(shape):
    network = Network(50, 7, seed=3, **shape)
    x = np.random.default_rng(0).uniform(0, 1, (9, 50))
    z = in_numpy(network, "encoder", x)
    x_hat = in_numpy(network, "decoder", z)
    single = torch.from_numpy(x).float()
    np.testing.assert_allclose(network.encode(single), z, rtol=0, atol=1e-6)
    np.testing.assert_allclose(network.decode(torch.from_numpy(z).float()), x_hat, rtol=0, atol=1e-6)
    np.testing.assert_allclose(network(single), x_hat, rtol=0, atol=1e-6)


def test_tensors_have_the_names_and_shapes_that_files_rely_on():
    state = Network(12, 3, hidden=(8, 5)).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {
        "encoder.0.weight": (8, 12),
        "encoder.0.bias": (8,),
        "encoder.1.weight": (5, 8),
        "encoder.1.bias": (5,),
        "encoder.2.weight": (3, 5),
        "encoder.2.bias": (3,),
        "decoder.0.weight": (5, 3),
        "decoder.0.bias": (5,),
        "decoder.1.weight": (8, 5),
        "decoder.1.bias": (8,),
        "decoder.2.weight": (12, 8),
        "decoder.2.bias": (12,),
    }
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}


def test_sizes():
    network = Network(12, 3, hidden=(8, 5))
    assert (network.pixels, network.latent_dim, network.sizes) == (12, 3, (12, 8, 5, 3))


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_first_weights_are_uniform_within_one_over_root_fan_in(part):
    network = Network(784, 16, seed=1)
    sizes = network.sizes if part == "encoder" else network.sizes[::-1]
    for layer, (fan_in, _) in zip(getattr(network, part), pairwise(sizes), strict=True):
        bound = fan_in**-0.5
        for tensor in (layer.weight, layer.bias):
            values = tensor.detach().double().numpy().ravel() / bound
            assert np.abs(values).max() <= 1 + 1e-6
            assert stats.kstest(values, stats.uniform(-1, 2).cdf).pvalue > 1e-3
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_glorot_weights_are_uniform_within_root_six_over_the_sum_of_the_fans_and_biases_nothing(part):
    network = Network(784, 16, seed=1, initialization="glorot")
    sizes = network.sizes if part == "encoder" else network.sizes[::-1]
    for layer, (fan_in, fan_out) in zip(getattr(network, part), pairwise(sizes), strict=True):
        bound = (6 / (fan_in + fan_out)) ** 0.5
        values = layer.weight.detach().double().numpy().ravel() / bound
        assert 0.995 < np.abs(values).max() <= 1 + 1e-6
        assert stats.kstest(values, stats.uniform(-1, 2).cdf).pvalue > 1e-3
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)
        assert (layer.bias == 0).all()


@pytest.mark.parametrize("initialization", INITIALIZATIONS)
def test_first_weights_are_a_function_of_seed_and_latent_size(initialization):
    def network(latent_dim, seed):
        return Network(20, latent_dim, seed=seed, initialization=initialization)

    first = bits(network(4, 5))
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert bits(network(4, 5)) == first
    again = network(4, 6)
    drawn = [name for name in first if initialization == "uniform" or name.endswith("weight")]
    assert all(bits(again)[name] != first[name] for name in drawn)
    again.reset_parameters(5, initialization)
    assert bits(again) == first
    assert bits(network(5, 5))["encoder.0.weight"] != first["encoder.0.weight"]
    assert bits(network(5, 4))["encoder.0.weight"] != first["encoder.0.weight"]


def test_the_initialization_is_uniform_unless_another_is_asked_for():
    network = Network(20, 4, seed=5, initialization="glorot")
    assert bits(network) != bits(Network(20, 4, seed=5))
    network.reset_parameters(5)
    assert bits(network) == bits(Network(20, 4, seed=5)) == bits(Network(20, 4, seed=5, initialization="uniform"))


def test_global_random_states_stay():
    before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    Network(20, 4).reset_parameters(1)
    Network(20, 4, initialization="glorot")
    after = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])


def test_repr_shows_the_widths():
    assert repr(Network(784, 16)) == "Network(784-512-256-16-256-512-784, relu, sigmoid)"
    assert repr(Network(9, 2, (), "silu", "linear")) == "Network(9-2-9, silu, linear)"


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 4, 3)], ids=["grey", "colour"])
def test_how_an_array_lies_in_memory_does_not_matter(kind, shape, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    x = x if kind == "uint8" else x / np.float32(255)
    frozen = x.copy()
    frozen.setflags(write=False)
    np.save(tmp_path / "x.npy", x)
    odd = np.frombuffer(b"!" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(shape)
    ways = {
        "read-only": frozen,
        "memory-mapped": np.load(tmp_path / "x.npy", mmap_mode="r"),
        "Fortran": np.asfortranarray(x),
        "every other": np.repeat(x, 2, axis=1)[:, ::2],
        "backwards": x[::-1].copy()[::-1],
        "unaligned": odd,
    }
    expected = (x / np.float32(255) if kind == "uint8" else x).tobytes()
    assert to_unit(x).numpy().tobytes() == expected
    for way, array in ways.items():
        assert to_unit(array).numpy().tobytes() == expected, way
        assert to_tensor(array).numpy().tobytes() == expected, way


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_images_are_not_changed_and_not_shared(kind):
    x = np.ones((2, 3, 3), kind)
    to_unit(x).zero_()
    to_tensor(x).zero_()
    assert (x == 1).all()


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 4, 3), (6, 20)], ids=["grey", "colour", "rows"])
def test_a_tensor_is_the_array_that_it_holds(kind, shape):
    x = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    x = x if kind == np.uint8 else (x / 255).astype(kind)
    held = torch.from_numpy(x.copy())
    for function in (to_unit, to_tensor, lambda x: next(batches(x))):
        ours, right = function(held), function(x)
        assert ours.dtype == right.dtype == torch.float32
        assert torch.equal(ours, right)
        ours.zero_()
        assert torch.equal(held, torch.from_numpy(x))


def test_doubles_become_single_precision():
    assert to_unit(np.full((1, 2, 2), 0.5)).dtype == torch.float32


def test_batches_are_the_images_in_order():
    x = np.random.default_rng(0).integers(0, 256, (2 * BATCH + 503, 3, 2), np.uint8)
    parts = list(batches(x))
    assert [len(part) for part in parts] == [BATCH, BATCH, 503]
    assert torch.equal(torch.cat(parts), to_tensor(x))


def test_each_name_that_a_recipe_may_use_stands_for_something():
    from latentfit import model, recipe, train

    known = {
        "activation": model.ACTIVATIONS,
        "output": model.OUTPUTS,
        "initialization": model.INITIALIZATIONS,
        "optimizer": train.OPTIMIZERS,
    }
    assert {name: (*known[name],) for name in known} == {name: recipe.CHOICES[name] for name in known}
