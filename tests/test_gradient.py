"""The gradient by hand is autograd's, to the last bits of double precision; `of` prepares every kind of network."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from helpers import OtherModule

from latentfit import gradient
from latentfit.gradient import Truncation, by_autograd, by_hand, flatten
from latentfit.model import Network, Start

SHAPES = list(product([(), (9,), (9, 7)], ["relu", "silu"], ["sigmoid", "linear"]))
HIDDEN = [(), (9,), (9, 7)]
KINDS = ["plain", "linear path", "starts as PCA"]
BY_HAND = list(product(HIDDEN, ["relu", "silu"], ["sigmoid", "linear", "clamp"], KINDS))
X = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (7, 13)))
# of 3 codes of 3 dimensions, to lengths of 1, 3 and 2, with the weight of each image
SHORT = Truncation(
    torch.tensor([[1, 0, 0], [1, 1, 1], [1, 1, 0]]).double(), torch.tensor([[2.0], [0.5], [1.0]]).double()
)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
each_truncation = pytest.mark.parametrize("truncation", [None, SHORT], ids=["whole", "truncated"])


def network(hidden, activation, output, kind="plain", mean=0.3):
    """A network of double precision, of which no weight is 0."""
    net = Network(13, 3, hidden, activation, output, seed=1, linear=kind != "plain")
    if kind == "starts as PCA":
        net.start_as_pca(Start(np.linspace(mean, 2 * mean, 13, dtype=np.float32), 0.4, np.eye(13, 3, dtype=np.float32)))
    if kind != "plain":
        generator = torch.Generator().manual_seed(2)
        for parameter in net.parameters():
            parameter.data += torch.empty_like(parameter).uniform_(-0.3, 0.3, generator=generator)
    return net.double()


def in_fp32(truncation):
    return truncation and Truncation(*(part.float() for part in truncation))


def both(net, x, truncation=None):
    """Loss and gradients by hand, and those that autograd finds at the same weights."""
    flat = flatten(net)
    flat.grad.fill_(7)  # the gradient of the step before
    loss = by_hand(net, x, truncation)
    ours = {name: p.grad.clone() for name, p in net.named_parameters()}
    right = by_autograd(net, x, truncation)
    return (loss, ours), (right, {name: p.grad.clone() for name, p in net.named_parameters()})


def assert_same(net, x, truncation=None):
    (loss, ours), (right, theirs) = both(net, x, truncation)
    np.testing.assert_allclose(loss, right, rtol=1e-12)
    assert ours.keys() == theirs.keys()
    for name, grad in theirs.items():
        assert grad.abs().max() > 0, name
        np.testing.assert_allclose(ours[name], grad, rtol=1e-12, atol=1e-12 * grad.abs().max(), err_msg=name)


@pytest.mark.parametrize(("x", "truncation"), [(X[:1], None), (X, None), (X[:3], SHORT)], ids=["one", "7", "truncated"])
@pytest.mark.parametrize("shape", [*BY_HAND, ((512, 256), "silu", "clamp", "starts as PCA")], ids=str)
def test_loss_and_gradients_are_autograds_and_nothing_else_changes(shape, x, truncation):
    net = network(*shape)
    before = x.clone(), {name: p.detach().clone() for name, p in net.named_parameters()}
    assert_same(net, x, truncation)
    assert torch.equal(x, before[0])
    assert all(torch.equal(p, before[1][name]) for name, p in net.named_parameters())


@each_truncation
@each_shape
def test_autograds_loss_is_the_mean_squared_error_and_its_gradient_the_slope(shape, truncation):
    """Against a truncation written out, and against differences of the loss."""
    net, x, h = network(*shape), X[:3], 1e-5
    flat = flatten(net)

    @torch.no_grad()
    def right():
        z = net.encode(x)
        if truncation is None:
            return (net.decode(z) - x).square().mean().item()
        z[0, 1:] = z[2, 2:] = 0
        each = (net.decode(z) - x).square().mean(dim=1)
        return ((2 * each[0] + 0.5 * each[1] + each[2]) / 3).item()

    assert by_autograd(net, x, truncation).item() == pytest.approx(right(), rel=1e-14)
    direction = torch.from_numpy(np.random.default_rng(1).normal(size=len(flat)))
    slope, ends = (direction @ flat.grad).item(), []
    for step in (h, -2 * h):
        flat.data.add_(direction, alpha=step)
        ends.append(right())
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("bias", [-100.0, 0.0], ids=["far below zero", "at zero"])
def test_a_unit_that_is_off_changes_nothing(bias):
    net = network((9, 7), "relu", "sigmoid")
    with torch.no_grad():
        net.encoder.layers[0].weight[[2, 5]] = 0
        net.encoder.layers[0].bias[[2, 5]] = bias
    for _, gradients in both(net, X):
        assert (gradients["encoder.0.weight"][[2, 5]] == 0).all()
        assert (gradients["encoder.0.bias"][[2, 5]] == 0).all()
        assert (gradients["encoder.1.weight"][:, [2, 5]] == 0).all()
    assert_same(net, X)


def test_if_all_units_are_off_only_the_layers_after_them_learn():
    net = network((9,), "relu", "sigmoid")
    with torch.no_grad():
        net.encoder.layers[0].bias.fill_(-100)
    (loss, ours), (right, theirs) = both(net, X)
    assert loss.item() == pytest.approx(right.item(), rel=1e-12)
    for name in ("encoder.0.weight", "encoder.0.bias", "encoder.1.weight"):
        assert (ours[name] == 0).all()
        assert (theirs[name] == 0).all()
    np.testing.assert_allclose(ours["encoder.1.bias"], theirs["encoder.1.bias"], rtol=1e-12)


@pytest.mark.parametrize("compute", [by_hand, by_autograd])
def test_gradients_lie_in_the_one_tensor_that_flatten_returns(compute):
    net = network((9, 7), "silu", "linear")
    flat = flatten(net)
    grad = flat.grad
    compute(net, X)
    expected = torch.autograd.grad((net(X) - X).square().mean(), list(net.parameters()))
    assert flat.grad is grad
    np.testing.assert_allclose(grad, torch.cat([g.flatten() for g in expected]), rtol=1e-11, atol=1e-15)
    assert {p.grad.untyped_storage().data_ptr() for p in net.parameters()} == {grad.untyped_storage().data_ptr()}


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_flatten_keeps_the_values_and_each_parameter_is_a_view(kind):
    net = Network(13, 3, (9, 7), seed=1).to(kind)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    flat = flatten(net)
    assert flat.dtype == kind
    assert torch.equal(flat, torch.cat([tensor.flatten() for tensor in before.values()]))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    flat.data.add_(1)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name] + 1)
        assert tensor.untyped_storage().data_ptr() == flat.untyped_storage().data_ptr()


def test_a_loss_does_not_change_in_the_next_step():
    net = network((9,), "relu", "sigmoid")
    flatten(net)
    first = by_hand(net, X)
    value = first.item()
    by_hand(net, X.flip(0) / 2)
    assert first.item() == value
    assert not first.requires_grad


class Deeper(Network):
    """A `Network` whose `encode` is not the one that `by_hand` computes."""

    def encode(self, x):
        return super().encode(x).tanh()


def started(net):
    net.start_as_pca(Start(np.full(13, 0.5, np.float32), 0.3, np.eye(13, 3, dtype=np.float32)))
    return net


NETWORKS = {
    "Network": (lambda: Network(13, 3, (9,), seed=1), "by_hand"),
    "module": (lambda: OtherModule(13, 3), "by_autograd"),
    "subclass": (lambda: Deeper(13, 3, (9,), seed=1), "by_autograd"),
    "subclass that starts as PCA": (lambda: started(Deeper(13, 3, (9,), output="clamp", linear=True)), "by_autograd"),
}


@each_truncation
@pytest.mark.parametrize("products", ["fp32", "rounded-factors", "bf16-tensors"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_is_computed_by_hand_and_every_other_module_by_autograd(monkeypatch, kind, products, truncation):
    """With any products, also on a processor that emulates them."""
    make, name = NETWORKS[kind]
    calls = []
    for each in ("by_hand", "by_autograd"):
        real = getattr(gradient, each)
        monkeypatch.setattr(
            gradient, each, lambda *args, each=each, real=real: (calls.append((each, args[0])), real(*args))[1]
        )
    net, twin, x, truncation = make(), make(), X[:3].float(), in_fp32(truncation)
    flat, loss = gradient.of(net, products)
    expected, right = flatten(twin), by_autograd(twin, x, truncation)
    assert loss(x, truncation).item() == pytest.approx(right.item(), rel=0.02 if products == "bf16-tensors" else 1e-6)
    ((called, computed),) = calls
    assert called == name
    assert (computed is net) == (products != "bf16-tensors")
    assert flat.grad.dtype == torch.float32
    cosine = torch.nn.functional.cosine_similarity(flat.grad, expected.grad, dim=0)
    assert cosine > (0.999 if products == "bf16-tensors" else 1 - 1e-6)


@each_truncation
@pytest.mark.parametrize("shape", [*SHAPES, *(s for s in BY_HAND if s[2:] == ("clamp", KINDS[-1]))], ids=str)
def test_in_bf16_the_gradient_is_nearly_the_same_and_weights_stay_fp32(shape, truncation):
    net, x, truncation = network(*shape).float(), X[:3].float(), in_fp32(truncation)
    flat, compute = gradient.of(net, "bf16-tensors")
    before = flat.detach().clone()
    exact, right = by_autograd(net, x, truncation), flat.grad.clone()
    flat.grad.zero_()
    loss = compute(x, truncation)
    assert flat.dtype == flat.grad.dtype == loss.dtype == torch.float32
    assert torch.equal(flat, before)
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
    assert torch.nn.functional.cosine_similarity(flat.grad, right, dim=0) > 0.999
    assert 0 < (flat.grad - right).abs().max() < 0.05 * right.abs().max()


def test_in_bf16_pixels_are_centred_in_fp32():
    """They differ from their mean by less than bf16 can tell."""
    net = network((9,), "silu", "linear", KINDS[-1]).float()
    net.scale = 0.001
    x = net.mean + 0.001 * (X.float() - 0.5)
    (_, loss), exact = gradient.of(net, "bf16-tensors"), by_autograd(net, x)
    assert net.mean.dtype == torch.float32
    assert loss(x, None).item() == pytest.approx(exact.item(), rel=0.02)


def test_a_linear_path_lies_at_the_end_of_what_flatten_returns():
    net = network((9,), "silu", "clamp", KINDS[-1])
    flat, path = flatten(net), net.linear_path
    assert torch.equal(flat[-3 * 13 * 2 :], torch.cat([weight.flatten() for weight in path]))
    assert [*path] == gradient.linear_path(net)
    path[0].requires_grad_(False)
    assert gradient.linear_path(net) == path[1:]
    assert gradient.linear_path(OtherModule(13, 3)) == gradient.linear_path(Network(13, 3)) == []


@pytest.mark.parametrize(
    "kind", [OtherModule, lambda *sizes: Network(*sizes, output="linear")], ids=["module", "Network"]
)
def test_in_bf16_a_step_uses_the_current_weights(kind):
    flat, compute = gradient.of(kind(13, 3), "bf16-tensors")
    x = X[:3].float()
    first = compute(x, None)
    flat.data.zero_()
    assert compute(x, None) != first
    np.testing.assert_allclose(compute(x, None), x.square().mean(), rtol=1e-3)
