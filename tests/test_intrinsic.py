"""Estimates of the images' own dimension: known ones are found, and what fails is no answer."""

import functools
import sys
import types

import numpy as np
import pytest

from latentfit.data.images import ImageSet
from latentfit.measure import intrinsic

RNG = np.random.default_rng(0)


def plane(rank, n=600):
    """Images (N, 8, 8) on a flat piece of some dimensions."""
    x = RNG.uniform(size=(n, rank)) @ RNG.normal(size=(rank, 64))
    x = (x - x.min()) / (x.max() - x.min())
    return ImageSet("plane", x.reshape(-1, 8, 8).astype(np.float32), x[:5].reshape(-1, 8, 8).astype(np.float32))


@pytest.mark.parametrize("rank", [2, 4])
def test_a_flat_set_has_its_dimension(rank):
    pytest.importorskip("skdim")
    found = intrinsic.estimates(plane(rank), seed=0)
    assert found["images"] == 600
    assert [e["name"] for e in found["estimates"]] == list(intrinsic.ESTIMATORS)
    values = {e["name"]: e["value"] for e in found["estimates"]}
    assert values["lPCA"] == rank
    assert values["TwoNN"] == pytest.approx(rank, rel=0.2)
    assert values["MLE"] == pytest.approx(rank, rel=0.2)


class Estimator:
    """Gives an answer, or raises it."""

    def __init__(self, answer):
        self.answer = answer

    def fit(self, _):
        if isinstance(self.answer, Exception):
            raise self.answer
        self.dimension_ = self.answer
        return self


def fake(**answers):
    """A stand-in for `skdim` whose estimators give these, and 3 otherwise."""
    module = types.ModuleType("skdim")
    made = {name: functools.partial(Estimator, answers.get(name, 3.0)) for name in intrinsic.ESTIMATORS}
    module.id = types.SimpleNamespace(**made)
    return module


def test_what_fails_or_is_not_a_number_is_no_answer(monkeypatch):
    monkeypatch.setitem(sys.modules, "skdim", fake(MLE=float("nan"), TLE=ValueError("too few"), MOM=-1.0))
    told = {e["name"]: (e["value"], e["reason"]) for e in intrinsic.estimates(plane(2, 20), seed=0)["estimates"]}
    assert told["TwoNN"] == (3.0, None)
    assert told["MLE"] == (None, "gave nan")
    assert told["TLE"] == (None, "ValueError: too few")
    assert told["MOM"] == (None, "gave -1.0")


def test_without_the_extra_there_is_no_answer_and_the_way_to_get_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "skdim", None)
    for estimate in intrinsic.estimates(plane(2, 20), seed=0)["estimates"]:
        assert estimate["value"] is None
        assert "latentfit[id]" in estimate["reason"]


def test_a_large_set_is_sampled(monkeypatch):
    monkeypatch.setattr(intrinsic, "ESTIMATORS", {})
    assert intrinsic.estimates(plane(2, 2500), seed=0)["images"] == 2000
