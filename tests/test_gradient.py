"""The gradient by hand is autograd's, to the last bits of double precision."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from latentfit.gradient import Cut, by_autograd, by_hand, flatten, in_bf16
from latentfit.model import Network
from latentfit.recipe import RECIPES

SHAPES = list(product([(), (9,), (9, 7)], ["relu", "silu"], ["sigmoid", "linear"]))
BATCHES = [1, 7]


def network(hidden, activation, output, pixels=13, latent_dim=3):
    return Network(pixels, latent_dim, hidden, activation, output, seed=1).double()


def pictures(n, pixels=13):
    return torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (n, pixels)))


def both(net, x, cut=None):
    """Loss and gradients by hand, and those that autograd finds at the same weights."""
    flat = flatten(net)
    flat.grad.fill_(7)  # what is left of the step before
    loss = by_hand(net, x, cut)
    ours = {name: p.grad.clone() for name, p in net.named_parameters()}
    right = by_autograd(net, x, cut)
    return (loss, ours), (right, {name: p.grad.clone() for name, p in net.named_parameters()})


def assert_same(net, x, cut=None):
    (loss, ours), (right, theirs) = both(net, x, cut)
    np.testing.assert_allclose(loss, right, rtol=1e-12)
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        assert gradient.abs().max() > 0, name
        np.testing.assert_allclose(ours[name], gradient, rtol=1e-12, atol=1e-12 * gradient.abs().max(), err_msg=name)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_loss_and_gradients_are_autograds(shape, batch):
    assert_same(network(*shape), pictures(batch))


def shortened():
    """Codes of 3 dimensions cut to 1, 3 and 2, and weights of the images."""
    kept = torch.tensor([[1, 0, 0], [1, 1, 1], [1, 1, 0]]).double()
    return Cut(kept, torch.tensor([[2.0], [0.5], [1.0]]).double())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_also_where_codes_are_cut(shape):
    assert_same(network(*shape), pictures(3), shortened())


def test_a_code_that_is_cut_is_one_without_its_last_dimensions():
    net, x, cut = network((9,), "silu", "linear"), pictures(3), shortened()
    flatten(net)
    z = net.encode(x).detach()
    z[0, 1:] = 0
    z[2, 2:] = 0
    each = (net.decode(z) - x).square().mean(dim=1)
    expected = (2 * each[0] + 0.5 * each[1] + each[2]) / 3
    assert by_hand(net, x, cut).item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_also_for_each_recipe(recipe):
    assert_same(network(recipe.hidden, recipe.activation, recipe.output), pictures(5))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_autograd_is_asked_is_the_mean_squared_error(shape):
    net, x = network(*shape), pictures(4)
    flat = flatten(net)
    loss = by_autograd(net, x)
    assert loss.item() == pytest.approx((net(x) - x).square().mean().item(), rel=1e-14)
    direction = torch.from_numpy(np.random.default_rng(1).normal(size=len(flat)))
    slope, h, ends = (direction @ flat.grad).item(), 1e-5, []
    for step in (h, -2 * h):
        flat.data.add_(direction, alpha=step)
        with torch.no_grad():
            ends.append((net(x) - x).square().mean().item())
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_neither_images_nor_weights_are_changed(shape, batch):
    net, x = network(*shape), pictures(batch)
    flat = flatten(net)
    before = x.clone(), flat.detach().clone()
    by_hand(net, x)
    assert torch.equal(x, before[0])
    assert torch.equal(flat, before[1])


@pytest.mark.parametrize("bias", [-100.0, 0.0], ids=["far below zero", "at zero"])
def test_a_unit_that_is_off_moves_nothing(bias):
    net = network((9, 7), "relu", "sigmoid")
    off = net.encoder[0]
    with torch.no_grad():
        off.weight[[2, 5]] = 0
        off.bias[[2, 5]] = bias
    for _, gradients in both(net, pictures(7)):
        assert (gradients["encoder.0.weight"][[2, 5]] == 0).all()
        assert (gradients["encoder.0.bias"][[2, 5]] == 0).all()
        assert (gradients["encoder.1.weight"][:, [2, 5]] == 0).all()
    assert_same(net, pictures(7))


def test_where_all_units_are_off_only_what_lies_behind_them_learns():
    net = network((9,), "relu", "sigmoid")
    with torch.no_grad():
        net.encoder[0].bias.fill_(-100)
    (loss, ours), (right, theirs) = both(net, pictures(7))
    assert loss.item() == pytest.approx(right.item(), rel=1e-12)
    for name in ("encoder.0.weight", "encoder.0.bias", "encoder.1.weight"):
        assert (ours[name] == 0).all()
        assert (theirs[name] == 0).all()
    np.testing.assert_allclose(ours["encoder.1.bias"], theirs["encoder.1.bias"], rtol=1e-12)


@pytest.mark.parametrize("gradient", [by_hand, by_autograd])
def test_gradients_lie_in_the_one_tensor_that_flatten_gives(gradient):
    net, x = network((9, 7), "silu", "linear"), pictures(7)
    flat = flatten(net)
    held = flat.grad
    gradient(net, x)
    expected = torch.autograd.grad((net(x) - x).square().mean(), list(net.parameters()))
    assert flat.grad is held
    np.testing.assert_allclose(held, torch.cat([g.flatten() for g in expected]), rtol=1e-11, atol=1e-15)
    where = held.untyped_storage().data_ptr()
    assert {p.grad.untyped_storage().data_ptr() for p in net.parameters()} == {where}


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


def test_a_loss_outlives_the_next_step():
    net, x = network((9,), "relu", "sigmoid"), pictures(7)
    flatten(net)
    first = by_hand(net, x)
    told = first.item()
    by_hand(net, x.flip(0) / 2)
    assert first.item() == told
    assert not first.requires_grad


@pytest.mark.parametrize("cut", [None, shortened()], ids=["whole", "cut"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_in_bf16_the_gradient_is_nearly_the_same_and_lies_where_the_optimiser_looks(shape, cut):
    """Whatever makes the products, also an emulation; weights and gradients stay fp32."""
    net, x = Network(13, 3, *shape, seed=1), pictures(3).float()
    cut = cut and Cut(*(part.float() for part in cut))
    flat = flatten(net)
    before = flat.detach().clone()
    exact, right = by_autograd(net, x, cut), flat.grad.clone()
    flat.grad.zero_()
    loss = in_bf16(net, flat)(x, cut)
    assert flat.dtype == flat.grad.dtype == loss.dtype == torch.float32
    assert torch.equal(flat, before)
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
    assert torch.nn.functional.cosine_similarity(flat.grad, right, dim=0) > 0.999
    assert 0 < (flat.grad - right).abs().max() < 0.05 * right.abs().max()


def test_in_bf16_a_step_uses_the_weights_as_they_are_then():
    net, x = network((9,), "relu", "sigmoid").float(), pictures(3).float()
    flat = flatten(net)
    gradient = in_bf16(net, flat)
    first = gradient(x, None)
    flat.data.zero_()
    assert gradient(x, None) != first
    np.testing.assert_allclose(gradient(x, None), (0.5 - x).square().mean(), rtol=1e-3)
