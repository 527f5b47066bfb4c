"""Extreme data sets and recipes give a sensible result or a clear error, never a NaN."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers import RECIPE, Inline, small_clothes

from latentfit import report
from latentfit.data.images import ImageSet
from latentfit.recipe import Recipe
from latentfit.sweep import run

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (40, 5, 5), np.uint8)


def made(x, test=10):
    return ImageSet("edge", x[:-test], x[-test:])


SETS = {
    "all black": made(np.zeros((40, 5, 5), np.uint8)),
    "all white": made(np.full((40, 5, 5), 255, np.uint8)),
    "all equal": made(np.repeat(NOISE[:1], 40, axis=0)),
    "training images equal, test images not": ImageSet("edge", np.repeat(NOISE[:1], 30, axis=0), NOISE[:10]),
    "two images many times": made(np.tile(NOISE[:2], (20, 1, 1))),
    "one class": replace(made(NOISE), y_train=np.zeros(30, int), y_test=np.zeros(10, int), classes=("only",)),
    "one image of each split": made(NOISE[:2], test=1),
    "two training images": made(NOISE[:4], test=2),
    "one pixel": made(NOISE[:, :1, :1]),
    "one line": made(NOISE[:, :1]),
    "floats at both ends": made(np.where(NOISE > 127, 1, 0).astype(np.float32)),
    "floats near nothing": made(np.full((40, 5, 5), 1e-38, np.float32) * NOISE),
}


def numbers(value):
    """All floats in nested lists and dictionaries."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from numbers(inner)
    elif isinstance(value, float):
        yield value


def assert_sound(done):
    """Assert that the files and the report contain finite numbers only."""
    for path in done.folder.rglob("*.json"):
        assert all(map(math.isfinite, numbers(json.loads(path.read_bytes()))))
    page = report.write(done).read_text()
    words = re.sub(r"<(style|script).*?</\1>|<svg.*?</svg>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|inf|None|undefined)\b", words)
    assert "nan" not in (done.folder / "results.csv").read_text()


@pytest.mark.fault("extremes")
@pytest.mark.parametrize("images", SETS.values(), ids=SETS)
def test_extreme_images_give_finite_results(tmp_path, monkeypatch, images):
    monkeypatch.setattr("latentfit.measure.intrinsic.ESTIMATORS", {"TwoNN": ""})
    sizes = sorted({1, min(2, images.pixels), images.pixels})
    done = run.study(images, sizes, recipe=RECIPE, keep=0.9, curve=True, out=tmp_path, executor=Inline())
    assert [m["status"] for m in done.results["models"] if m["seed"] == 0] == ["ok"] * len(sizes)
    assert_sound(done)


@pytest.mark.fault("diverge")
@pytest.mark.parametrize("output", ["sigmoid", "linear"])
@pytest.mark.parametrize("rate", [1e-30, 1.0, 1e3, 1e6])
def test_an_extreme_learning_rate_gives_finite_results_or_a_reason(tmp_path, rate, output):
    recipe = replace(RECIPE, learning_rate=rate, output=output)
    done = run.study(small_clothes(60, 20), (2, 3), recipe=recipe, curve=True, out=tmp_path, executor=Inline())
    assert_sound(done)
    for m in done.results["models"]:
        assert m["status"] == "ok" or re.search(r"epoch \d+, batch \d+|after epoch|larger than", m["reason"])


@pytest.mark.fault("extremes")
def test_a_thousand_epochs_on_ten_images_overfit(tmp_path):
    recipe = Recipe("long", hidden=(8,), learning_rate=0.01, epochs=1000)
    images = ImageSet("few", NOISE[:10], NOISE[10:12])
    done = run.study(images, (2,), recipe=recipe, out=tmp_path, executor=Inline())
    (m,) = done.results["models"]
    assert m["train_mse"] < m["test_mse"]
    assert "overfitted" in [gate["name"] for gate in m["gates"]]
    assert_sound(done)
