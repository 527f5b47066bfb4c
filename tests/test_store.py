from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import RECIPE, Inline, small_clothes
from safetensors.numpy import load_file, save

from latentfit import pca
from latentfit.errors import InputError
from latentfit.recipe import CONVERGED, Epoch, Job
from latentfit.sweep import files, run, store
from latentfit.sweep import weights as stored
from latentfit.sweep.weights import ModelError
from latentfit.train import build

IMAGES = small_clothes(200, 77)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run.study(IMAGES, (3,), recipe=RECIPE, out=tmp_path_factory.mktemp("study"), executor=Inline())


@pytest.fixture
def model(finished, tmp_path):
    for path in (finished.folder / "models" / "k003-s0").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_ten_lines_of_numpy_give_the_reported_error(finished):
    folder = finished.folder / "models" / "k003-s0"
    spec, w = json.loads((folder / "model.json").read_bytes()), load_file(folder / "model.safetensors")
    x = h = IMAGES.x_test.reshape(77, -1).astype(np.float32) / np.float32(255)
    for part in ("encoder", "decoder"):
        for i in range(len(spec["sizes"]) - 1):
            h = h @ w[f"{part}.{i}.weight"].T + w[f"{part}.{i}.bias"]
            h = np.maximum(h, 0) if i < len(spec["sizes"]) - 2 else h
    x_hat = 1 / (1 + np.exp(-h))
    assert np.square(x_hat - x, dtype=np.float64).mean() == pytest.approx(
        finished.results["models"][0]["test_mse"], rel=1e-5
    )


def test_saved_then_loaded_is_the_same_network(finished, tmp_path):
    network = finished.network(3)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    stored.save_network(tmp_path, weights, IMAGES, RECIPE, finished.jobs[0])
    again = stored.load_network(tmp_path).state_dict()
    assert all(np.array_equal(again[name].numpy(), array) for name, array in weights.items())


@pytest.mark.fault("disk")
@pytest.mark.parametrize("fails", ["fsync", "replace", "fdopen"])
def test_a_write_that_fails_leaves_the_old_file_whole_and_no_other(tmp_path, monkeypatch, fails):
    path = tmp_path / "file"
    files.write(path, b"old")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path if fails == "replace" else os, fails, fail)
    with pytest.raises(OSError, match=f"No space left on device.*writing {path}"):
        files.write(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_syncs_the_file_before_the_rename_and_the_folder_after(tmp_path, monkeypatch):
    steps = []
    sync, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("sync"), sync(handle)))
    monkeypatch.setattr(Path, "replace", lambda a, b: (steps.append("rename"), rename(a, b))[1])
    files.write(tmp_path / "file", b"x")
    assert steps == ["sync", "rename", "sync"]


@pytest.mark.fault("diverge")
def test_json_never_holds_a_nan(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        files.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not (tmp_path / "x.json").exists()


def damage_weights(change):
    def damage(folder):
        path = folder / "model.safetensors"
        data = change(path.read_bytes())
        path.write_bytes(data)
        rehash(folder)

    return damage


def rehash(folder):
    import hashlib

    spec = json.loads((folder / "model.json").read_bytes())
    spec["sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(spec))


def tensors(change):
    def damage(folder):
        weights = load_file(folder / "model.safetensors")
        change(weights)
        (folder / "model.safetensors").write_bytes(save(weights))
        rehash(folder)

    return damage


def spec(**values):
    def damage(folder):
        path = folder / "model.json"
        path.write_text(json.dumps(json.loads(path.read_bytes()) | values))

    return damage


class Canary:
    def __reduce__(self):
        return (os.abort, ())


@pytest.mark.fault("model")
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "No such file"),
        (lambda f: ((f / "model.safetensors").unlink(), (f / "model.safetensors").mkdir()), "Is a directory"),
        (lambda f: (f / "model.json").unlink(), "not there"),
        (lambda f: (f / "model.json").write_text("{"), "JSON"),
        (lambda f: (f / "model.json").write_text("[1]"), "layer sizes"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "sha256"),
        (damage_weights(lambda _: pickle.dumps(Canary())), "safetensors"),
        (damage_weights(lambda data: b"\xff" * 8 + data[8:]), "safetensors"),
        (damage_weights(lambda data: data[:-4]), "safetensors"),
        (tensors(lambda w: w.pop("encoder.0.bias")), "encoder.0.bias"),
        (tensors(lambda w: w.update(extra=np.zeros(3, np.float32))), "extra"),
        (tensors(lambda w: w.update({"encoder.0.bias": w["encoder.0.bias"].astype(np.float64)})), "float64"),
        (tensors(lambda w: w["encoder.0.bias"].__setitem__(0, np.nan)), "not finite"),
        (spec(sizes=[784, 10**9, 3]), "whole numbers from 1"),
        (spec(sizes=[784, 1 << 19, 1 << 19, 3]), "more than"),
        (spec(sizes=[784, 25, 3]), "does not fit"),
        (spec(sizes=[784, 24.0, 3]), "whole numbers"),
        (spec(activation="__import__"), "activation"),
        (spec(activation=[]), "activation"),
    ],
)
def test_a_damaged_model_is_one_clear_error(model, damage, told):
    damage(model)
    with pytest.raises(ModelError, match=told):
        stored.load_network(model)


def test_a_folder_without_a_study_is_a_clear_error(tmp_path, finished):
    with pytest.raises(InputError, match=r"no study\.json"):
        store.load(tmp_path)
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(InputError, match=r"is not what"):
        store.load(tmp_path)
    (tmp_path / "study.json").write_bytes((finished.folder / "study.json").read_bytes())
    with pytest.raises(InputError, match=r"no results\.json yet"):
        store.load(tmp_path)
    for wrong in ("[]", "{}", '{"schema": 2}'):
        (tmp_path / "results.json").write_text(wrong)
        with pytest.raises(InputError, match="not of schema 1"):
            store.load(tmp_path)
    with pytest.raises(InputError, match="it has 3 \\(seed 0\\)"):
        finished.network(16)


def test_clear_removes_only_what_a_study_writes(tmp_path):
    (tmp_path / "keep").mkdir()
    (tmp_path / "results.json").write_text("{}")
    store.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["keep"]


def test_a_history_is_read_as_it_was_written(tmp_path):
    plain = [Epoch(1, 0.25, 0.5), Epoch(2, 0.125, 0.375)]
    stopped = [Epoch(3, 0.25, 0.5, 0.75, 600), Epoch(6, 0.125, 0.375, 0.5, 1200)]
    for rows in (plain, stopped, []):
        store.write_history(tmp_path, rows)
        assert store.read_history(tmp_path) == rows
    header = (tmp_path / "history.csv").read_text()
    assert header == "epoch,train_mse,test_mse,val_mse,steps\n"
    (tmp_path / "history.csv").write_text(header + "1,0.5,0.5\n")
    with pytest.raises(stored.ModelError, match="not a readable history"):
        store.read_history(tmp_path)


def test_a_network_with_a_linear_path_is_saved_then_loaded(tmp_path):
    recipe = replace(CONVERGED, hidden=(7, 5))
    network = build(IMAGES.pixels, recipe, 3, 0, pca.fit(IMAGES.x_train, IMAGES.x_test).start(3))
    network.fold()
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    stored.save_network(tmp_path, weights, IMAGES, recipe, Job(3, 0))
    again = stored.load_network(tmp_path)
    assert repr(again) == repr(network)
    assert json.loads((tmp_path / "model.json").read_bytes())["linear"] is True
    assert all(np.array_equal(again.state_dict()[name].numpy(), array) for name, array in weights.items())
