"""Codes in and out: what is written is what the network makes of the data, whatever file they come from and go to."""

import csv
import gzip
import itertools
import json
import re
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
import torch
from helpers import idx_bytes, model_result
from PIL import Image

import latentfit
from latentfit import cli, codes, data, evaluate, latent
from latentfit.codes import outputs
from latentfit.data.images import ImageSet
from latentfit.data.lazy import Lazy
from latentfit.errors import InputError
from latentfit.recipe import CONVERGED, Job, Recipe
from latentfit.sweep import store

RECIPE = Recipe("quick", hidden=(24,), learning_rate=0.01, batch_size=16, epochs=1)
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (30, 12, 11), np.uint8)
Y = np.arange(30) % 3
KINDS = (".npy", ".npz", ".csv", ".parquet")
ROWS = pandas.DataFrame(RNG.normal(size=(40, 4)) * [1, 100, 1e-3, 5] + [0, 1000, 0, 5], columns=["a", "b", "c", "d"])


@pytest.fixture(scope="module")
def study(images, tmp_path_factory):
    return latentfit.study(images, [2, 5], seeds=2, recipe=RECIPE, out=tmp_path_factory.mktemp("codes") / "study")


@pytest.fixture(scope="module")
def of_rows(tmp_path_factory):
    recipe = replace(CONVERGED, hidden=(8,), epochs=2)
    rows = ImageSet.of(ROWS)
    return latentfit.study(rows, [2], recipe=recipe, out=tmp_path_factory.mktemp("rows") / "study")


def made_of(tmp_path, x, **options):
    """A study of images in an `.npy`."""
    np.save(tmp_path / "train.npy", x)
    images = data.load(tmp_path / "train.npy", **options)
    return latentfit.study(images, [2], recipe=RECIPE, out=tmp_path / "study")


def encoded(study, source, out, **options):
    codes.encode(study, source, out, 2, 0, **options)
    return read(out)


def read(path):
    """The columns of a file, by name; codes or values under `z`, (N, C)."""
    if path.suffix == ".npy":
        return {"z": np.load(path)}
    if path.suffix == ".npz":
        with np.load(path) as found:
            return dict(found)
    frame = pandas.read_parquet(path) if path.suffix == ".parquet" else pandas.read_csv(path, keep_default_na=False)
    texts = {name: frame.pop(name) for name in ("name", "split", "label", "error") if name in frame}
    return {**{name: column.astype(float if name == "error" else str) for name, column in texts.items()},
            "z": frame.to_numpy(np.float32)}  # fmt: skip


def pixel_table(path, x, **columns):
    pixels = {f"pixel{i}": x.reshape(len(x), -1)[:, i] for i in range(x[0].size)}
    frame = pandas.DataFrame({**columns, **pixels})
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)


def npz(folder):
    np.savez(folder / "a.npz", x_train=X[:20], y_train=Y[:20], x_test=X[20:], y_test=Y[20:])


def packed(folder):
    np.savez_compressed(folder / "a.npz", train_images=X[:20], val_images=X[25:], test_images=X[20:25])


def idx_files(folder):
    for name, array in (("train-images", X[:20]), ("train-labels", Y[:20]), ("t10k-images", X[20:]),
                        ("t10k-labels", Y[20:])):  # fmt: skip
        content = idx_bytes(array.astype(np.uint8))
        kind = f"{name}-idx{array.ndim}-ubyte"
        if name == "train-images":
            (folder / f"{kind}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / kind).write_bytes(content)


def array_files(folder):
    for name, array in (("x_train", X[:20]), ("x_test", X[20:])):
        np.save(folder / f"{name}.npy", array)


def photos(folder, x=X, name="{}/{:02}.png"):
    for i, picture in enumerate(x):
        path = folder / name.format("ab"[i >= 20], i)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)


NUMBERS = [*map(str, range(30))]
SPLIT = ([*map(str, [*range(20), *range(10)])], ["train"] * 20 + ["test"] * 10)
SOURCES = {
    "an npy": (lambda f: np.save(f / "a.npy", X), "a.npy", NUMBERS, None, None),
    "Fortran order": (lambda f: np.save(f / "a.npy", np.asfortranarray(X)), "a.npy", NUMBERS, None, None),
    "one channel": (lambda f: np.save(f / "a.npy", X[:, None]), "a.npy", NUMBERS, None, None),
    "rows of pixels": (lambda f: np.save(f / "a.npy", X.reshape(30, -1)), "a.npy", NUMBERS, None, None),
    "an npz": (npz, "a.npz", *SPLIT, [*map(str, Y)]),
    "MedMNIST's, packed": (
        packed, "a.npz", [*map(str, [*range(20), *range(5), *range(5)])],
        ["train"] * 20 + ["test"] * 5 + ["val"] * 5, None),
    "an npz of one array": (lambda f: np.savez(f / "a.npz", X), "a.npz", NUMBERS, None, None),
    "IDX": (idx_files, "", *SPLIT, [*map(str, Y)]),
    "a file an array": (array_files, "", *SPLIT, None),
    "pictures": (photos, "", [f"{'ab'[i >= 20]}/{i:02}.png" for i in range(30)], None, ["a"] * 20 + ["b"] * 10),
    "pictures without folders": (
        lambda f: photos(f, name="{1}.png"), "", [f"{i}.png" for i in range(30)], None, None),
    "Kaggle's CSV": (
        lambda f: pixel_table(f / "a.csv", X, label=Y), "a.csv", NUMBERS, None, [*map(str, Y)]),
    "Kaggle's as Parquet": (lambda f: pixel_table(f / "a.parquet", X), "a.parquet", NUMBERS, None, None),
}  # fmt: skip


@pytest.mark.parametrize("kind", SOURCES)
def test_codes_are_those_of_the_network_whatever_file_they_come_from(study, tmp_path, kind):
    make, name, names, splits, told = SOURCES[kind]
    source = tmp_path / "in"
    source.mkdir()
    make(source)
    found = encoded(study, source / name, tmp_path / "a.npz")
    order = [(splits or [""] * 30).index(split) for split in dict.fromkeys(splits or [""])] + [30]
    network = study.network(2)
    parts = [latent.encode(network, X[a:b]) for a, b in itertools.pairwise(order)]
    np.testing.assert_array_equal(found["z"], np.concatenate(parts))
    assert found["z"].dtype == np.float32
    assert found["name"].tolist() == names
    assert found.get("split", np.array(None)).tolist() == splits
    assert found.get("label", np.array(None)).tolist() == told


def test_a_set_with_a_name_is_whole(study, images, tmp_path):
    named = replace(images, x_val=images.x_test[:5])
    found = encoded(study, named, tmp_path / "a.csv")
    whole = np.concatenate([images.x_train, images.x_test, images.x_test[:5]])
    np.testing.assert_allclose(found["z"], latent.encode(study.network(2), whole), rtol=1e-5, atol=1e-6)
    assert [*found["split"]] == ["train"] * 90 + ["test"] * 40 + ["val"] * 5
    assert [*found["label"]][88:91] == [images.classes[images.y_train[88]], images.classes[images.y_train[89]],
                                       images.classes[images.y_test[0]]]  # fmt: skip
    assert [*found["label"]][-1] == ""


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_file_holds_the_same(study, tmp_path, kind):
    npz(tmp_path)
    out = tmp_path / f"out{kind}"
    found = encoded(study, tmp_path / "a.npz", out, errors=kind != ".npy")
    network = study.network(2)
    parts = (X[:20], X[20:])
    np.testing.assert_array_equal(found["z"], np.concatenate([latent.encode(network, part) for part in parts]))
    if kind != ".npy":
        each = np.concatenate([evaluate.image_errors(network, part) for part in parts])
        np.testing.assert_array_equal(found["error"], each)
        assert [*found] == (["name", "split", "label", "z", "error"] if kind == ".npz" else
                            ["name", "split", "label", "error", "z"])  # fmt: skip
    if kind == ".csv":
        header = out.read_text().splitlines()[0]
        assert header == "name,split,label,z0,z1,error"
    before = out.read_bytes()
    out.unlink()
    encoded(study, tmp_path / "a.npz", out, errors=kind != ".npy")
    assert out.read_bytes() == before


@pytest.mark.parametrize("kind", KINDS)
def test_codes_decode_to_reconstructions_in_the_units_of_the_data(study, tmp_path, kind):
    np.save(tmp_path / "a.npy", X)
    codes.encode(study, tmp_path / "a.npy", tmp_path / f"z{kind}", 2, 1)
    done = codes.decode(study, tmp_path / f"z{kind}", tmp_path / "x.npy", 2, 1)
    made = np.load(tmp_path / "x.npy")
    assert (done.items, made.shape, made.dtype) == (30, (30, 12, 11), np.float32)
    np.testing.assert_array_equal(made, evaluate.reconstruct(study.network(2, 1), X) * np.float32(255))
    codes.decode(study, tmp_path / f"z{kind}", tmp_path / f"x{kind}", 2, 1)
    again = read(tmp_path / f"x{kind}")
    np.testing.assert_array_equal((again["x"] if kind == ".npz" else again["z"]).reshape(30, 12, 11), made)
    if kind != ".npy":
        assert [*again["name"]] == NUMBERS


@pytest.mark.parametrize(
    ("x", "options", "top"),
    [
        (X.astype(np.uint16) * 16, {"value_range": 4095}, 4095),
        (X / 255, {}, 1),
        (X > 127, {}, 1),
        (X // 16, {"value_range": 16}, 16),
    ],
    ids=["12 bits", "floats", "black and white", "16 steps"],
)
def test_units_are_those_of_the_files(tmp_path, x, options, top):
    study = made_of(tmp_path, x, **options)
    found = encoded(study, tmp_path / "train.npy", tmp_path / "z.npy")
    images = data.load(tmp_path / "train.npy", **options)
    np.testing.assert_allclose(found["z"][9::10], latent.encode(study.network(2), images.x_test), rtol=1e-4, atol=1e-6)
    codes.decode(study, tmp_path / "z.npy", tmp_path / "x.npy", 2)
    x_hat = np.load(tmp_path / "x.npy")
    with torch.no_grad():
        expected = study.network(2)(torch.tensor(x.reshape(30, -1) / top, dtype=torch.float32)).numpy() * top
    np.testing.assert_allclose(x_hat.reshape(30, -1), expected, rtol=1e-4, atol=1e-5 * top)
    assert x_hat.max() > 0.3 * top


def test_colour_and_pictures_are_prepared_as_in_training(tmp_path):
    photos(tmp_path / "train", RNG.integers(0, 256, (30, 20, 17, 3), np.uint8))
    images = data.load(tmp_path / "train", resize=(11, 12))
    study = latentfit.study(images, [2], recipe=RECIPE, out=tmp_path / "study")
    found = encoded(study, tmp_path / "train", tmp_path / "z.npz")
    place = {name: i for i, name in enumerate(found["name"].tolist())}
    order = [place[name] for name in images.names.test]
    np.testing.assert_allclose(found["z"][order], latent.encode(study.network(2), images.x_test), rtol=1e-4, atol=1e-5)
    photos(tmp_path / "grey", X[:3])  # among colour a grey picture has three equal channels
    grey = encoded(study, tmp_path / "grey", tmp_path / "z.npy")
    expected = latent.encode(study.network(2), np.repeat(X[:3, ..., None], 3, axis=-1))
    np.testing.assert_array_equal(grey["z"], expected)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_are_taken_by_name(of_rows, tmp_path, suffix):
    moved = ROWS[["d", "b", "a", "c"]].assign(town="Rome", kind=["x", "y"] * 20, label=["p", "q"] * 20)
    moved.insert(0, "id", [f"row {i}" for i in range(40)])
    path = tmp_path / f"a{suffix}"
    moved.to_parquet(path) if suffix == ".parquet" else moved.to_csv(path, index=False)
    done = codes.encode(of_rows, path, tmp_path / "z.csv", errors=True, latent_dim=2)
    found = read(tmp_path / "z.csv")
    x = ROWS.to_numpy(np.float32)
    network = of_rows.network(2)
    np.testing.assert_allclose(found["z"], latent.encode(network, x), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        apart = np.square(network(torch.tensor(x)).numpy().astype(float) - x).mean(axis=1)
    np.testing.assert_allclose(found["error"], apart, rtol=1e-3)
    assert [*found["name"]] == [f"row {i}" for i in range(40)]
    assert [*found["label"]] == ["p", "q"] * 20
    assert done.notes == (f"a{suffix}: columns that are not used: 'town', 'kind'.",)
    codes.decode(of_rows, tmp_path / "z.csv", tmp_path / "x.csv", 2)
    back = pandas.read_csv(tmp_path / "x.csv")
    assert [*back.columns] == ["name", "label", "a", "b", "c", "d"]
    np.testing.assert_allclose(back[[*"abcd"]], network(torch.tensor(x)).detach(), rtol=1e-4, atol=1e-4)


def test_the_label_of_the_study_is_known_without_a_flag(tmp_path):
    ROWS.assign(town=["x", "y"] * 20).to_csv(tmp_path / "a.csv", index=False)
    images = data.load(tmp_path / "a.csv", label="town")
    recipe = replace(CONVERGED, hidden=(8,), epochs=1)
    study = latentfit.study(images, [2], recipe=recipe, out=tmp_path / "study")
    assert [*encoded(study, tmp_path / "a.csv", tmp_path / "z.csv")["label"]] == ["x", "y"] * 20


def test_rows_in_tables_of_each_split_and_in_arrays(of_rows, tmp_path):
    ROWS[:30].to_csv(tmp_path / "train.csv", index=False)
    ROWS[30:].to_csv(tmp_path / "test.csv", index=False)
    found = encoded(of_rows, tmp_path, tmp_path / "z.npz")
    assert found["split"].tolist() == ["train"] * 30 + ["test"] * 10
    assert found["name"].tolist() == [*map(str, [*range(30), *range(10)])]
    np.save(tmp_path / "a.npy", ROWS)
    np.testing.assert_allclose(encoded(of_rows, tmp_path / "a.npy", tmp_path / "y.npy")["z"], found["z"], rtol=1e-5)
    images = ImageSet.of(ROWS[["c", "a", "d", "b"]])
    again = encoded(of_rows, images, tmp_path / "y.npz")
    np.testing.assert_allclose(again["z"][-4:], found["z"][9::10], rtol=1e-5)


def test_a_large_table_is_read_in_parts(of_rows, tmp_path, monkeypatch):
    long = pandas.concat([ROWS] * 30)
    long.insert(0, "id", [f'"{i}"\n' if i % 7 == 0 else f"{i}," for i in range(1200)])  # cells of two lines
    long.to_csv(tmp_path / "a.csv", index=False)
    long.to_parquet(tmp_path / "a.parquet", index=False)
    expected = latent.encode(of_rows.network(2), long[[*"abcd"]].to_numpy(np.float32))
    monkeypatch.setattr("latentfit.data.delimited.BLOCK", 999)
    monkeypatch.setattr("latentfit.data.selection.CHUNK", 77)
    for name in ("a.csv", "a.parquet"):
        found = encoded(of_rows, tmp_path / name, tmp_path / "z.npz")
        np.testing.assert_allclose(found["z"], expected, rtol=1e-4, atol=1e-5)
        assert found["name"].tolist()[5:9] == ["5,", "6,", '"7"', "8,"]
    long.iloc[[500, 900], 2] = np.nan
    long.to_csv(tmp_path / "a.csv", index=False)
    long.to_parquet(tmp_path / "a.parquet", index=False)
    for name in ("a.csv", "a.parquet"):
        with pytest.raises(InputError, match="2 values missing, NaN or infinite: 'b' 2, the first in row 500 "):
            encoded(of_rows, tmp_path / name, tmp_path / "y.npz")


def study_with(*models, answer=None):
    """A study of networks (latent_dim, seed, error on held-out images)."""
    study = object.__new__(store.Study)
    trained = {Job(k, seed): model_result(k, seed, val_mse=val) for k, seed, val in models}
    study.folder = Path("runs/a")
    study.found = SimpleNamespace(verdict=SimpleNamespace(latent_dim=answer), trained=trained)
    return study


HELD_OUT = [(2, 0, 0.5), (2, 1, 0.1), (3, 0, 0.3), (3, 1, 0.2), (3, 2, 0.25)]
NOT_HELD_OUT = [(2, 0, None), (3, 1, None), (3, 2, None)]


@pytest.mark.parametrize(
    ("models", "answer", "latent_dim", "seed", "expected"),
    [
        (HELD_OUT, 3, None, None, (3, 1)),
        (HELD_OUT, 2, 3, None, (3, 1)),
        (HELD_OUT, 3, None, 2, (3, 2)),
        (HELD_OUT, None, 2, 0, (2, 0)),
        (NOT_HELD_OUT, 3, None, None, (3, 1)),
    ],
)
def test_the_network_that_is_meant(models, answer, latent_dim, seed, expected):
    assert study_with(*models, answer=answer).chosen(latent_dim, seed) == expected


@pytest.mark.parametrize(
    ("answer", "latent_dim", "seed", "message"),
    [
        (None, None, None, "runs/a has no answer which size is enough; expected one of 2, 3 with --latent-dim"),
        (None, None, 1, "has no answer"),
        (3, 4, None, r"has no model of size 4; it has 2 \(seed 0\), 2 \(seed 1\), 3"),
        (3, None, 7, "has no model of size 3, seed 7"),
    ],
)
def test_a_network_that_is_not_there(answer, latent_dim, seed, message):
    with pytest.raises(InputError, match=message):
        study_with(*HELD_OUT, answer=answer).chosen(latent_dim, seed)


def save(x, name="a.npy"):
    return lambda folder: np.save(folder / name, x)


def with_nan(x):
    x = x.copy()
    x[3].flat[1] = np.nan
    return x


def damaged(folder):
    photos(folder / "p", name="{1}.png")
    (folder / "p/bad.png").write_bytes(b"junk")


def cut(folder):
    packed(folder)
    content = (folder / "a.npz").read_bytes()
    (folder / "a.npz").write_bytes(content[:3000] + b"\0" * 20 + content[3020:])


def cut_idx(folder):
    idx_files(folder)
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-5]))


REFUSED = {
    "another shape": (save(X[:, :, :9]), "a.npy", "items of 12 × 9; the network takes 12 × 11"),
    "turned": (save(X.transpose(0, 2, 1)), "a.npy", "items of 11 × 12; the network takes 12 × 11"),
    "colour": (save(np.stack([X] * 3, -1)), "a.npy", "items of 12 × 11 × 3; the network takes 12 × 11"),
    "rows of another length": (save(X[:, :, 0]), "a.npy", "items of 12; the network takes 12 × 11"),
    "one number each": (save(X[:, 0, 0]), "a.npy", "the network takes 12 × 11"),
    "volumes": (save(np.zeros((9, 12, 11, 5, 5))), "a.npy", "the network takes 12 × 11"),
    "no items": (save(X[:0]), "a.npy", "expected at least one item"),
    "floats to 1": (save(X / 255), "a.npy", "run from 0 to 1, and those that the network was trained on from 0 to 255"),
    "floats to 255": (save(X / 1.0), "a.npy", "expected floats from 0 to 1; if they run from 0 to 255, read them with"),
    "black and white": (save(X // 128), "a.npy", "pixels run from 0 to 1, and those"),
    "16 steps": (save(X // 16), "a.npy", "bytes from 0 to 15; expected 0 to 255"),
    "16 bits": (save(X.astype(np.uint16) * 16), "a.npy", "read them with --range 4095"),
    "below 0": (save(X / 127.5 - 1), "a.npy", "undo the standardisation"),
    "NaN": (save(with_nan(X / 255)), "a.npy", "NaN"),
    "a damaged picture": (damaged, "p", "1 of 31 pictures cannot be used"),
    "a picture of another size": (lambda f: photos(f / "p", [*X[:3], X[0, :5]], "{1}.png"), "p",
                                  "3.png: is 11 × 5 pixels; expected 11 × 12"),
    "a picture in colour": (lambda f: photos(f / "p", [*X[:3], np.stack([X[0], X[1], X[2]], -1)], "{1}.png"), "p",
                            "3.png: is in colour; expected grey"),
    "a damaged npz": (cut, "a.npz", "a.npz"),
    "a gzip that ends early": (cut_idx, "", "expected as many as its header says"),
    "an unsound npz": (lambda f: (f / "a.npz").write_bytes(b"junk"), "a.npz", "not a sound .npz file"),
    "objects": (lambda f: np.save(f / "a.npy", np.array([{}])), "a.npy", "holds Python objects"),
    "a table of other pixels": (lambda f: pixel_table(f / "a.csv", X[:, 1:]), "a.csv", "items of 121"),
    "nothing": (lambda _: None, "none.npy", "neither a data set nor a path that exists"),
    "garments": (lambda _: None, None, "items of 28 × 28; the network takes 12 × 11"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_data_of_another_kind_are_refused_and_nothing_is_written(study, tmp_path, capsys, monkeypatch, kind):
    make, name, message = REFUSED[kind]
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    make(source)
    monkeypatch.setattr(
        "latentfit.data.garments.draw", lambda: ImageSet("garments", *[np.zeros((2, 28, 28), "u1")] * 2)
    )
    (out / "old.csv").write_text("before")
    for file in ("old.csv", "new.npz"):
        where = "garments" if name is None else str(source / name)
        status = cli.main(
            ["encode", str(study.folder), where, "--latent-dim", "2", "--seed", "0", "--out", str(out / file)]
        )
        printed = capsys.readouterr()
        assert (status, printed.out) == (2, "")
        assert re.match("latentfit: error: ", printed.err)
        assert message in printed.err
    assert [path.name for path in out.iterdir()] == ["old.csv"]
    assert (out / "old.csv").read_text() == "before"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=["b", "d"]), "has no columns 'b', 'd'; expected all 4 columns that the network was"),
        (lambda t: t.rename(columns={"c": "C"}), "has no column 'c'; expected all 4"),
        (lambda t: t.assign(b="text"), "column 'b' holds text"),
        (
            lambda t: t.assign(b=t["b"].where(t.index > 3)),
            "4 values missing, NaN or infinite: 'b' 4, the first in row 0",
        ),
        (lambda t: t[:0], "has no rows"),
    ],
    ids=["missing", "another name", "text", "NaN", "empty"],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_that_are_refused(of_rows, tmp_path, change, message, suffix):
    frame = change(ROWS)
    path = tmp_path / f"a{suffix}"
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_csv(path, index=False)
    with pytest.raises(InputError, match=re.escape(message)):
        codes.encode(of_rows, path, tmp_path / "z.npy", 2)
    assert not (tmp_path / "z.npy").exists()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (ROWS.to_numpy()[:, :3], "items of 3; the network takes 4"),
        (with_nan(ROWS.to_numpy()), "1 value missing, NaN or infinite: 'b' 1, the first in row 3"),
        (ROWS.to_numpy() * 1e18, "numbers go to"),
        (X, "items of 12 × 11; the network takes 4"),
    ],
    ids=["narrow", "NaN", "large", "images"],
)
def test_rows_that_are_refused(of_rows, tmp_path, x, message):
    np.save(tmp_path / "a.npy", x)
    with pytest.raises(InputError, match=message):
        codes.encode(of_rows, tmp_path / "a.npy", tmp_path / "z.npy", 2)
    with pytest.raises(InputError, match="has no column 'a'"):
        codes.encode(of_rows, ImageSet.of(ROWS.rename(columns={"a": "A"})), tmp_path / "z.npy", 2)
    photos(tmp_path / "p")
    with pytest.raises(InputError, match="holds pictures; expected rows"):
        codes.encode(of_rows, tmp_path / "p", tmp_path / "z.npy", 2)


def test_another_range_that_is_named_is_taken(study, tmp_path):
    expected = latent.encode(study.network(2), X)
    for x, top in ((X / 255, 1), (X.astype(np.float32), 255)):
        np.save(tmp_path / "a.npy", x)
        found = encoded(study, tmp_path / "a.npy", tmp_path / "z.npy", value_range=top)
        np.testing.assert_allclose(found["z"], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="its pixels are known; expected a path with --range"):
        codes.encode(study, "garments", tmp_path / "z.npy", 2, value_range=1)


def test_bad_pictures_may_be_left_out(study, tmp_path):
    damaged(tmp_path)
    found = encoded(study, tmp_path / "p", tmp_path / "z.npz", skip_bad=True)
    np.testing.assert_array_equal(found["z"], latent.encode(study.network(2), X))
    assert found["name"].tolist() == [f"{i}.png" for i in range(30)]
    with pytest.raises(InputError, match="expected a folder of pictures with --skip-bad"):
        codes.encode(study, tmp_path / "z.npz", tmp_path / "y.npz", 2, skip_bad=True)


BAD_CODES = {
    "another size": (save(np.zeros((3, 5))), "a.npy", "holds 3 × 5 of float64; expected codes (N, 2)"),
    "no codes": (save(np.zeros((0, 2))), "a.npy", "expected codes (N, 2)"),
    "text": (save(np.array([["a", "b"]])), "a.npy", "expected codes (N, 2)"),
    "NaN": (save(with_nan(np.zeros((5, 2)))), "a.npy", "1 value missing, NaN or infinite: 'z1' 1, the first in row 3"),
    "a table of one": (lambda f: (f / "a.csv").write_text("z0,name\n1,a\n"), "a.csv", "has no column 'z1'"),
    "a table of three": (lambda f: (f / "a.csv").write_text("z0,z1,z2\n1,2,3\n"), "a.csv", "has a column 'z2'"),
    "another kind": (lambda f: (f / "a.txt").write_text("1 2"), "a.txt", "expected .npy, .npz, .csv, .parquet"),
    "nothing": (lambda _: None, "a.npy", "no such file"),
    "several arrays": (lambda f: np.savez(f / "a.npz", a=X, b=X), "a.npz", "expected one array"),
}


@pytest.mark.parametrize("kind", BAD_CODES)
def test_codes_of_another_kind_are_refused(study, tmp_path, kind):
    make, name, message = BAD_CODES[kind]
    make(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)):
        codes.decode(study, tmp_path / name, tmp_path / "x.npy", 2)
    assert not (tmp_path / "x.npy").exists()


def test_files_that_cannot_be_written(study, tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", X)
    (tmp_path / "folder.npy").mkdir()
    for name, message in (
        ("a.txt", r"cannot write a \.txt; expected \.npy, \.npz, \.csv, \.parquet"),
        ("a", "cannot write a file without a suffix"),
        ("no/a.npy", "is in no folder that exists"),
        ("folder.npy", "is a folder"),
    ):
        with pytest.raises(InputError, match=message):
            codes.encode(study, tmp_path / "a.npy", tmp_path / name, 2)
    with pytest.raises(InputError, match=r"an \.npy holds codes alone; expected \.npz, \.csv, \.parquet with --errors"):
        codes.encode(study, tmp_path / "a.npy", tmp_path / "z.npy", 2, errors=True)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"install it with pip install 'latentfit\[tables\]'"):
        codes.encode(study, tmp_path / "a.npy", tmp_path / "z.parquet", 2)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_in_the_middle_leaves_what_was_there(study, tmp_path, monkeypatch, kind):
    np.save(tmp_path / "a.npy", X)
    out = tmp_path / f"z{kind}"
    out.write_text("before")
    monkeypatch.setattr(codes, "BATCH", 8)
    encode = latent.encode
    seen = []

    def failing(network, x):
        seen.append(len(x))
        if len(seen) == 3:
            assert out.read_text() == "before"
            raise KeyboardInterrupt
        return encode(network, x)

    monkeypatch.setattr(latent, "encode", failing)
    with pytest.raises(KeyboardInterrupt):
        codes.encode(study, tmp_path / "a.npy", out, 2)
    assert seen == [8, 8, 8]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.npy", out.name])
    assert out.read_text() == "before"


def peak_of(tmp_path, study, source, kind):
    """Bytes of Python and numpy at most while a file is encoded, and decoded."""
    tracemalloc.start()
    codes.encode(study, source, tmp_path / f"z{kind}", 2, 0)
    codes.decode(study, tmp_path / f"z{kind}", tmp_path / "x.npy", 2, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("kind", [".npy", ".npz", ".parquet"])
def test_more_items_take_no_more_memory(study, tmp_path, kind):
    peaks = []
    for count in (9_000, 30_000):
        np.save(tmp_path / "a.npy", np.resize(X, (count, 12, 11)))
        peaks.append(peak_of(tmp_path, study, tmp_path / "a.npy", kind))
    assert peaks[1] < 1.3 * peaks[0]


def test_more_items_of_an_npz_and_a_table_take_no_more_memory(study, of_rows, tmp_path, monkeypatch):
    monkeypatch.setattr("latentfit.data.delimited.BLOCK", 1 << 16)
    peaks = {}
    for count in (9_000, 18_000):
        np.savez_compressed(tmp_path / "a.npz", np.resize(X, (count, 12, 11)))
        pandas.DataFrame(np.resize(ROWS, (count, 4)), columns=[*"abcd"]).to_csv(tmp_path / "a.csv", index=False)
        peaks["npz", count] = peak_of(tmp_path, study, tmp_path / "a.npz", ".npy")
        peaks["csv", count] = peak_of(tmp_path, of_rows, tmp_path / "a.csv", ".csv")
    for name in ("npz", "csv"):
        assert peaks[name, 18_000] < 1.3 * peaks[name, 9_000]


def test_an_array_in_a_file_is_read_forward_and_again(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", X)
    lazy = data.arrays.lazy_npz(tmp_path / "a.npz")["x"]
    assert (lazy.shape, lazy.ndim, len(lazy)) == ((30, 12, 11), 3, 30)
    for part in (slice(0, 4), slice(4, 9), slice(20, 40), slice(3, 5), slice(9, 9)):
        np.testing.assert_array_equal(lazy[part], X[part])
    doubled = lazy.then(lambda x: x / 2.0)
    assert doubled.dtype == float
    np.testing.assert_array_equal(doubled[7:30], X[7:] / 2)
    assert Lazy.of(X)[2:5].shape == (3, 12, 11)


def test_a_study_of_an_earlier_version_is_prepared_by_what_it_recorded(study, tmp_path):
    shutil.copytree(study.folder, tmp_path / "old")
    for path in (tmp_path / "old/models").glob("*/model.json"):
        spec = json.loads(path.read_text())
        del spec["preparation"]
        path.write_text(json.dumps(spec))
    old = latentfit.load(tmp_path / "old")
    assert old.preparation(2) == study.preparation(2)
    assert old.preparation(2).top == 255
    path = tmp_path / "old/models/k002-s0/model.json"
    path.write_text(path.read_text().replace('"image_shape": [12, 11]', '"image_shape": [12]'))
    with pytest.raises(InputError, match="does not say how data are prepared"):
        old.preparation(2)


def test_the_command_line(study, tmp_path, capsys):
    npz(tmp_path)
    folder, out = str(study.folder), tmp_path / "z.csv"
    flags = ["--latent-dim", "2", "--seed", "1"]
    assert cli.main(["encode", folder, str(tmp_path / "a.npz"), *flags, "--errors", "--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith("z.csv: 30 codes of the network with 2 dimensions, seed 1\n")
    with out.open() as file:
        rows = [*csv.reader(file)]
    assert rows[0] == ["name", "split", "label", "z0", "z1", "error"]
    assert cli.main(["decode", folder, str(out), *flags, "--out", str(tmp_path / "x.npy")]) == 0
    assert capsys.readouterr().out.endswith("x.npy: 30 codes decoded by the network with 2 dimensions, seed 1\n")
    np.testing.assert_array_equal(
        np.load(tmp_path / "x.npy"),
        latent.decode(study.network(2, 1), np.array([row[3:5] for row in rows[1:]], np.float32), (12, 11)) * 255,
    )
    assert cli.main(["encode", folder, str(tmp_path / "a.npz"), "--out", str(out)]) == 2
    assert "has no answer which size is enough; expected one of 2, 5" in capsys.readouterr().err


def test_writers_know_how_many_items_there_were(tmp_path):
    layout = outputs.Layout("z", (3,), ("z0", "z1", "z2"), ("name",))
    for kind in KINDS:
        path = tmp_path / f"a{kind}"
        with outputs.writing(path, layout) as write:
            for start, stop in ((0, 3), (3, 4)):
                write({"name": [f'é{i}",' for i in range(start, stop)]}, np.ones((stop - start, 3)) * start, None)
        found = read(path)
        np.testing.assert_array_equal(found["z"], np.repeat([[0.0], [3.0]], [3, 1], axis=0).repeat(3, axis=1))
        if kind != ".npy":
            assert [*found["name"]] == [f'é{i}",' for i in range(4)]
        assert path.stat().st_mode & 0o777 == 0o644
