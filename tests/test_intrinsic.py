"""Estimates of the intrinsic dimension: known dimensions are found, and a failure has a reason in place of a value."""

import sys
import types

import numpy as np
import pytest

from latentfit.data.images import ImageSet
from latentfit.measure import intrinsic

RNG = np.random.default_rng(0)


def plane(rank, n=600):
    """Images (N, 8, 8) in a linear subspace of some dimensions."""
    x = RNG.uniform(size=(n, rank)) @ RNG.normal(size=(rank, 64))
    x = (x - x.min()) / (x.max() - x.min())
    return ImageSet("plane", x.reshape(-1, 8, 8).astype(np.float32), x[:5].reshape(-1, 8, 8).astype(np.float32))


@pytest.mark.parametrize("rank", [2, 4])
def test_a_linear_subspace_has_its_dimension(rank):
    pytest.importorskip("skdim")
    found = intrinsic.estimates(plane(rank), seed=0)
    assert found.images == 600
    assert [e.name for e in found.estimates] == list(intrinsic.ESTIMATORS)
    values = {e.name: e.value for e in found.estimates}
    assert values["lPCA"] == rank
    assert (values["TwoNN"], values["MLE"]) == pytest.approx((rank, rank), rel=0.2)


def estimator(answer):
    """An estimator class that finds this dimension, or raises it."""

    def fit(_):
        if isinstance(answer, Exception):
            raise answer
        return types.SimpleNamespace(dimension_=answer)

    return lambda: types.SimpleNamespace(fit=fit)


@pytest.mark.parametrize(
    ("answer", "value", "reason"),
    [
        (3.0, 3.0, None),
        (float("nan"), None, "gave nan"),
        (-1.0, None, "gave -1.0"),
        (ValueError("too few"), None, "ValueError: too few"),
    ],
    ids=str,
)
def test_an_estimator_that_fails_has_a_reason_and_no_value(monkeypatch, answer, value, reason):
    module = types.ModuleType("skdim")
    module.id = types.SimpleNamespace(**dict.fromkeys(intrinsic.ESTIMATORS, estimator(3.0)))
    module.id.TLE = estimator(answer)
    monkeypatch.setitem(sys.modules, "skdim", module)
    for estimate in intrinsic.estimates(plane(2, 20), seed=0).estimates:
        expected = (value, reason) if estimate.name == "TLE" else (3.0, None)
        assert (estimate.value, estimate.reason) == expected


def test_without_the_extra_the_reason_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skdim", None)
    for estimate in intrinsic.estimates(plane(2, 20), seed=0).estimates:
        assert estimate.value is None
        assert "latentfit[id]" in estimate.reason


def test_a_large_set_is_sampled(monkeypatch):
    monkeypatch.setattr(intrinsic, "ESTIMATORS", {})
    assert intrinsic.estimates(plane(2, 2500), seed=0).images == 2000
