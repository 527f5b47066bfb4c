"""The network agrees with ten lines of NumPy; its initial values have the documented distributions."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from latentfit import pca
from latentfit.model import BATCH, INITIALIZATIONS, Network, Start, batches, clamp, to_tensor, to_unit

SHAPES = [
    {},
    {"hidden": ()},
    {"hidden": (30,), "activation": "silu"},
    {"output": "linear"},
    {"output": "clamp", "linear": True},
]
ACTIVATIONS = {"relu": lambda h: np.maximum(h, 0), "silu": lambda h: h / (1 + np.exp(-h))}
OUTPUTS = {
    "sigmoid": lambda h: 1 / (1 + np.exp(-h)),
    "linear": lambda h: h,
    "clamp": lambda h: np.minimum(np.maximum(h, 0), 1),
}


def in_numpy(network, part, h):
    state = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    layers, beside = len(network.sizes) - 1, state.get(f"{part}.linear.weight")
    path = 0 if beside is None else h @ beside.T
    for i in range(layers):
        h = h @ state[f"{part}.{i}.weight"].T + state[f"{part}.{i}.bias"]
        if i < layers - 1:
            h = ACTIVATIONS[network.activation](h)
    h = h + path
    return OUTPUTS[network.output](h) if part == "decoder" else h


def bits(network):
    return {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@torch.no_grad()
def test_ten_lines_of_numpy_agree(shape):
    network = Network(50, 7, seed=3, **shape)
    for path in network.linear_path:
        path.uniform_(-0.3, 0.3, generator=torch.Generator().manual_seed(0))
    x = np.random.default_rng(0).uniform(0, 1, (9, 50))
    z = in_numpy(network, "encoder", x)
    x_hat = in_numpy(network, "decoder", z)
    single = torch.from_numpy(x).float()
    decoded = network.decode(torch.from_numpy(z).float())
    for ours, right in ((network.encode(single), z), (decoded, x_hat), (network(single), x_hat)):
        np.testing.assert_allclose(ours, right, rtol=0, atol=1e-6)


@pytest.mark.parametrize("linear", [False, True])
def test_widths_and_tensors_have_the_names_and_shapes_of_weight_files(linear):
    network = Network(12, 3, hidden=(8, 5), linear=linear)
    assert (network.pixels, network.latent_dim, network.sizes) == (12, 3, (12, 8, 5, 3))
    expected = {}
    for part, widths in (("encoder", (12, 8, 5, 3)), ("decoder", (3, 5, 8, 12))):
        for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
            expected |= {f"{part}.{i}.weight": (fan_out, fan_in), f"{part}.{i}.bias": (fan_out,)}
        if linear:
            expected[f"{part}.linear.weight"] = (widths[-1], widths[0])
    state = network.state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}


BOUNDS = {  # of weights and biases
    "uniform": lambda fan_in, _: (fan_in**-0.5, fan_in**-0.5),
    "glorot": lambda fan_in, fan_out: ((6 / (fan_in + fan_out)) ** 0.5, 0),
}


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize("initialization", INITIALIZATIONS)
def test_first_values_are_uniform_within_their_bounds(initialization, part):
    for layer in getattr(Network(784, 16, seed=1, initialization=initialization), part).layers:
        bounds = BOUNDS[initialization](layer.in_features, layer.out_features)
        for tensor, bound in zip((layer.weight, layer.bias), bounds, strict=True):
            if not bound:
                assert (tensor == 0).all()
                continue
            values = tensor.detach().double().numpy().ravel() / bound
            assert np.abs(values).max() <= 1 + 1e-6
            assert stats.kstest(values, stats.uniform(-1, 2).cdf).pvalue > 1e-3
        assert layer.weight.abs().max().item() > 0.995 * bounds[0]
        assert layer.weight.std().item() == pytest.approx(bounds[0] / 3**0.5, rel=0.03)


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
    for other in ((5, 5), (5, 4)):
        assert bits(network(*other))["encoder.0.weight"] != first["encoder.0.weight"]


def test_the_default_initialization_is_uniform():
    network = Network(20, 4, seed=5, initialization="glorot")
    assert bits(network) != bits(Network(20, 4, seed=5))
    network.reset_parameters(5)
    assert bits(network) == bits(Network(20, 4, seed=5)) == bits(Network(20, 4, seed=5, initialization="uniform"))


def test_global_random_states_do_not_change():
    def states():
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # noqa: NPY002

    before = states()
    Network(20, 4).reset_parameters(1)
    Network(20, 4, initialization="glorot")
    assert states() == before


def test_repr_shows_the_widths():
    assert repr(Network(784, 16)) == "Network(784-512-256-16-256-512-784, relu, sigmoid)"
    assert repr(Network(9, 2, (), "silu", "linear")) == "Network(9-2-9, silu, linear)"
    assert repr(Network(9, 2, (), "silu", "clamp", linear=True)) == "Network(9-2-9, silu, clamp, linear path)"


def test_a_clamp_cuts_exactly_and_its_gradient_is_1_everywhere():
    y = torch.tensor([-2.0, -1e-8, 0.0, 0.1, 1 / 3, 1.0, 1.0000001, 3e8], requires_grad=True)
    for x_hat in (clamp(y), clamp(y.detach())):
        assert torch.equal(x_hat, y.detach().maximum(torch.tensor(0.0)).minimum(torch.tensor(1.0)))
    clamp(y).backward(weights := torch.arange(8.0))
    assert torch.equal(y.grad, weights)


RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (40, 3, 4), np.uint8)
BYTES[:, 1, 1] = 200  # a pixel that never changes
FLOATS = ((RNG.uniform(0, 1, (40, 5)) ** 2 @ RNG.uniform(0, 0.3, (5, 12))) ** 2).clip(0, 1).astype(np.float32)
SETS = {
    "more images than pixels": BYTES,
    "fewer": BYTES[:7],  # and fewer axes than sizes
    "two": BYTES[:2],
    "floats": FLOATS.reshape(40, 3, 4),
    "one pixel": BYTES[:, :1, :1],
    "all alike": np.full((9, 3, 4), 77, np.uint8),
}
each_set = pytest.mark.parametrize("x", SETS.values(), ids=SETS)


def started(x, latent_dim, hidden):
    fitted = pca.fit(x, x)
    network = Network(x[0].size, latent_dim, hidden, "silu", "clamp", 3, "glorot", linear=True)
    network.start_as_pca(fitted.start(x[0].size))
    start = fitted.start(latent_dim)
    return network, fitted, 1e-6 * (1 + start.mean.max() / start.scale)


@pytest.mark.parametrize("hidden", [(), (9, 7)], ids=str)
@each_set
@torch.no_grad()
def test_an_untrained_network_that_starts_as_pca_is_pca_with_clamped_pixels(x, hidden):
    for k in range(1, x[0].size + 1):
        network, fitted, near = started(x, k, hidden)
        rows, z = to_tensor(x), torch.zeros(len(x), k)
        expected = fitted.reconstruct(to_unit(x).double().numpy(), k).reshape(len(x), -1).clip(0, 1)
        np.testing.assert_allclose(network(rows), expected, rtol=0, atol=near)
        z = network.encode(rows)
        network.fold()
        assert (network.mean, network.scale) == (None, 1.0)
        np.testing.assert_allclose(network(rows), expected, rtol=0, atol=near)
        np.testing.assert_allclose(network.encode(rows), z, rtol=0, atol=10 * near)
        spread = z.double().var(dim=0, correction=0) * fitted.train[0]
        np.testing.assert_allclose(spread[: len(fitted.train) - 1], -np.diff(fitted.train)[:k] * x[0].size, atol=1e-6)
        assert (z[:, len(fitted.train) - 1 :] == 0).all()  # there are no more axes


@pytest.mark.parametrize("hidden", [(), (9,), (9, 7)], ids=str)
@each_set
@torch.no_grad()
def test_folding_keeps_the_pixels_of_any_weights(x, hidden):
    network, _, near = started(x, 1 + x[0].size // 3, hidden)
    for parameter in network.parameters():
        parameter += 0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    before, weights = network(to_tensor(x)), bits(network)
    network.fold()
    np.testing.assert_allclose(network(to_tensor(x)), before, rtol=0, atol=near)
    folded = bits(network)
    network.fold()
    assert bits(network) == folded != weights  # there is nothing left to fold


def test_a_start_has_more_axes_than_a_small_network_takes():
    axes = np.linalg.qr(RNG.normal(size=(12, 5)))[0].astype(np.float32)
    network = Network(12, 2, (9,), "silu", "clamp", linear=True)
    network.start_as_pca(Start(np.zeros(12, np.float32), 0.5, axes))
    into, out = network.linear_path
    np.testing.assert_array_equal(into.detach(), axes[:, :2].T)
    np.testing.assert_array_equal(out.detach(), axes[:, :2])


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 4, 3)], ids=["grey", "colour"])
def test_the_memory_layout_of_an_array_does_not_matter(kind, shape, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    x = x if kind == "uint8" else x / np.float32(255)
    frozen = x.copy()
    frozen.setflags(write=False)
    np.save(tmp_path / "x.npy", x)
    layouts = {
        "contiguous": x,
        "read-only": frozen,
        "memory-mapped": np.load(tmp_path / "x.npy", mmap_mode="r"),
        "Fortran": np.asfortranarray(x),
        "every other": np.repeat(x, 2, axis=1)[:, ::2],
        "backwards": x[::-1].copy()[::-1],
        "unaligned": np.frombuffer(b"!" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(shape),
    }
    expected = (x / np.float32(255) if kind == "uint8" else x).tobytes()
    for layout, array in layouts.items():
        assert to_unit(array).numpy().tobytes() == expected, layout
        assert to_tensor(array).numpy().tobytes() == expected, layout


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 4, 3), (6, 20)], ids=["grey", "colour", "rows"])
def test_a_tensor_and_its_array_give_the_same_copy(kind, shape):
    x = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    x = x if kind == np.uint8 else (x / 255).astype(kind)
    array, tensor = x.copy(), torch.from_numpy(x.copy())
    for function in (to_unit, to_tensor, lambda x: next(batches(x))):
        made = function(tensor), function(array)
        assert made[0].dtype == made[1].dtype == torch.float32
        assert torch.equal(*made)
        for copy in made:
            copy.zero_()
        np.testing.assert_array_equal(array, x)
        np.testing.assert_array_equal(tensor, x)


def test_batches_are_the_images_in_order():
    x = np.random.default_rng(0).integers(0, 256, (2 * BATCH + 503, 3, 2), np.uint8)
    parts = list(batches(x))
    assert [len(part) for part in parts] == [BATCH, BATCH, 503]
    assert torch.equal(torch.cat(parts), to_tensor(x))


def test_each_name_of_a_recipe_has_a_function():
    from latentfit import model, recipe, train

    known = {
        "activation": model.ACTIVATIONS,
        "output": model.OUTPUTS,
        "initialization": model.INITIALIZATIONS,
        "optimizer": train.OPTIMIZERS,
    }
    assert {name: {*known[name]} for name in known} == {name: {*recipe.CHOICES[name]} - {"pca"} for name in known}
    assert train.build(9, recipe.Recipe(output="clamp", initialization="pca"), 2, 0).linear_path
