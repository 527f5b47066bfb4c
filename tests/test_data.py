"""`load`: which name or path leads to which set, and that only `auto` may take another."""

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
    """Small sets in place of the real ones; the working directory is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(garments, "draw", lambda: CLOTHES)
    monkeypatch.setattr(fashion_mnist, "load", lambda _: PHOTOS)


@pytest.fixture
def offline(monkeypatch):
    def fail(data_dir):
        raise InputError("cannot fetch Fashion-MNIST", (f"not in {data_dir}", "mirror: connection refused"))

    monkeypatch.setattr(fashion_mnist, "load", fail)


def test_names():
    assert data.load() is PHOTOS
    assert data.load("fashion-mnist") is PHOTOS
    assert data.load("garments") is CLOTHES
    assert data.load("auto") is PHOTOS


def test_data_dir_reaches_fashion_mnist(monkeypatch):
    monkeypatch.setattr(fashion_mnist, "load", lambda data_dir: data_dir)
    assert data.load(data_dir="here") == data.load("auto", "here") == "here"


@pytest.mark.usefixtures("offline")
def test_auto_takes_the_stand_in_loudly():
    with pytest.warns(UserWarning, match="stand-in") as caught:
        images = data.load("auto", "somewhere")
    assert images.stand_in
    assert dataclasses.replace(images, stand_in=False).fingerprint == CLOTHES.fingerprint
    assert (images.name, images.true_factors) == ("garments", 7)
    assert "not in somewhere" in str(caught[0].message)
    assert "connection refused" in str(caught[0].message)
    assert caught[0].filename == __file__


@pytest.mark.usefixtures("offline")
def test_fashion_mnist_never_becomes_anything_else():
    with pytest.raises(InputError, match="cannot fetch"):
        data.load("fashion-mnist")


@pytest.mark.usefixtures("offline")
def test_what_was_asked_for_is_no_stand_in():
    assert not data.load("garments").stand_in


@pytest.mark.parametrize("source", ["./garments", Path("garments"), "garments/../garments"])
def test_a_name_wins_over_a_folder_of_that_name(source, monkeypatch):
    Path("garments").mkdir()
    monkeypatch.setattr(files, "load", lambda path, _: path.resolve())
    assert data.load("garments") is CLOTHES
    assert data.load(source) == Path("garments").resolve()


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path(tmp_path, kind):
    np.save(tmp_path / "mine.npy", X)
    images = data.load(kind(tmp_path / "mine.npy"))
    assert images.name == "mine"
    np.testing.assert_array_equal(images.x_test, X[9:10])


def test_a_path_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "mine.npy", X)
    assert data.load("~/mine.npy").name == "mine"


@pytest.mark.parametrize(
    "source", ["fashion_mnist", "FASHION-MNIST", "nowhere/a.npy", "~nobody here", "x" * 5000, Path("auto")]
)
def test_neither_a_name_nor_a_path(source):
    with pytest.raises(InputError) as caught:
        data.load(source)
    for word in (repr(str(source)), *data.NAMES, ".npz", ".npy", "IDX"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_importing_is_light():
    script = "import sys, latentfit.data; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert not {"pooch", "requests", "torch", "matplotlib"} & set(told.stdout.split())


@pytest.mark.fault("pixels")
@pytest.mark.parametrize("name", data.NAMES)
@pytest.mark.parametrize(
    ("asked", "flag"), [({"value_range": 255}, "--range 255"), ({"test_share": 0.2}, "--test 0.2")]
)
def test_a_named_set_is_read_in_one_way(name, asked, flag):
    with pytest.raises(InputError, match=f"{flag}; leave that out"):
        data.load(name, **asked)


@pytest.mark.fault("pixels")
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        *[({"value_range": odd}, "range") for odd in (0, -1, np.nan, np.inf, True, "16")],
        *[({"test_share": odd}, "share of test images") for odd in (0, 1, 1.5, -0.1, np.nan, "0.1")],
    ],
)
def test_a_way_to_read_that_is_none_is_told(tmp_path, asked, told):
    np.save(tmp_path / "mine.npy", X)
    with pytest.raises(InputError, match=told):
        data.load(tmp_path / "mine.npy", **asked)


def test_range_and_share_reach_the_file(tmp_path):
    np.save(tmp_path / "mine.npy", X % 17)
    images = data.load(tmp_path / "mine.npy", value_range=np.uint8(16), test_share=0.25)
    assert (len(images.x_train), len(images.x_test)) == (9, 3)
    assert images.reading.flags == " --range 16 --test 0.25"
    assert images.x_train.max() <= 1
