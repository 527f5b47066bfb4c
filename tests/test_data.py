"""`load`: the set of each name or path; only `auto` may load another one."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from latentfit import data
from latentfit.data import fashion_mnist, files, garments
from latentfit.errors import InputError

X = np.random.default_rng(0).integers(0, 256, (12, 5, 4), np.uint8)
CLOTHES = data.ImageSet("garments", X, X[:3], true_factors=7)
PHOTOS = data.ImageSet("fashion-mnist", X[:6], X[6:])


@pytest.fixture(autouse=True)
def sets(tmp_path, monkeypatch):
    """Small sets replace the real ones; the working directory has one file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(garments, "draw", lambda: CLOTHES)
    monkeypatch.setattr(fashion_mnist, "load", lambda _: PHOTOS)
    np.save("mine.npy", X)


def test_names(monkeypatch):
    assert data.load() is data.load("fashion-mnist") is data.load("auto") is PHOTOS
    assert data.load("garments") is CLOTHES
    monkeypatch.setattr(fashion_mnist, "load", lambda data_dir: data_dir)
    assert data.load(data_dir="here") == data.load("auto", "here") == "here"


def test_only_auto_loads_the_stand_in_and_warns(monkeypatch):
    def fail(data_dir):
        raise InputError("cannot fetch Fashion-MNIST", (f"not in {data_dir}", "mirror: connection refused"))

    monkeypatch.setattr(fashion_mnist, "load", fail)
    with pytest.warns(UserWarning, match=r"stand-in.*not in somewhere.*connection refused") as caught:
        images = data.load("auto", "somewhere")
    assert caught[0].filename == __file__
    assert images.stand_in
    assert dataclasses.replace(images, stand_in=False).fingerprint == CLOTHES.fingerprint
    assert (images.name, images.true_factors) == ("garments", 7)
    assert not data.load("garments").stand_in
    with pytest.raises(InputError, match="cannot fetch"):
        data.load("fashion-mnist")


@pytest.mark.parametrize("source", ["./garments", Path("garments"), "garments/../garments"])
def test_a_name_takes_precedence_over_a_folder(source, monkeypatch):
    Path("garments").mkdir()
    monkeypatch.setattr(files, "load", lambda path, _: path.resolve())
    assert data.load("garments") is CLOTHES
    assert data.load(source) == Path("garments").resolve()


@pytest.mark.parametrize("source", ["mine.npy", Path("mine.npy"), "~/mine.npy"])
def test_a_path(source):
    images = data.load(source)
    assert images.name == "mine"
    np.testing.assert_array_equal(images.x_test, X[9:10])


@pytest.mark.parametrize(
    "source", ["fashion_mnist", "FASHION-MNIST", "nowhere/a.npy", "~nobody here", "x" * 5000, Path("auto")]
)
def test_neither_a_name_nor_a_path(source):
    with pytest.raises(InputError) as caught:
        data.load(source)
    for part in (repr(str(source)), *data.NAMES, ".npz", ".npy", "IDX"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_import_is_light():
    script = "import sys, latentfit.data; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert not {"pooch", "requests", "torch", "matplotlib"} & set(done.stdout.split())


BAD_OPTIONS = [
    *(("mine.npy", "value_range", value, "range") for value in (0, -1, np.nan, np.inf, True, "16")),
    *(("mine.npy", "test_share", value, "share of test images") for value in (0, 1, 1.5, -0.1, np.nan, "0.1")),
    *((name, "value_range", 255, "--range 255; leave that out") for name in data.NAMES),
    *((name, "test_share", 0.2, r"--test 0\.2; leave that out") for name in data.NAMES),
]


@pytest.mark.fault("pixels")
@pytest.mark.parametrize(("source", "option", "value", "message"), BAD_OPTIONS)
def test_options_that_are_invalid_or_do_not_apply_are_refused(source, option, value, message):
    with pytest.raises(InputError, match=message):
        data.load(source, **{option: value})


def test_range_and_share_apply_to_a_file():
    np.save("mine.npy", X % 17)
    images = data.load("mine.npy", value_range=np.uint8(16), test_share=0.25)
    assert (len(images.x_train), len(images.x_test)) == (9, 3)
    assert images.reading.flags == " --range 16 --test 0.25"
    assert images.x_train.max() <= 1
