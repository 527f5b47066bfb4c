"""docs/data.md: every row of its tables is run as it stands there."""

import io
import re
import shlex
from pathlib import Path

import numpy as np
import pandas
import pytest
from helpers import idx_bytes
from PIL import Image

from latentfit import cli
from latentfit.data import idx

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "data.md").read_text()
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 8, 8), np.uint8)
Y = (np.arange(40) % 2).astype(np.uint8)
ARRAYS = (X[:30], Y[:30], X[30:], Y[30:])


def pictures(*folders, x=X):
    """Write pictures, a part of them into each folder."""
    for i, picture in enumerate(x):
        path = Path(folders[i % len(folders)]) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)


def sizes():
    pictures("photos", x=[*X, RNG.integers(0, 256, (9, 30), np.uint8)])


def bad():
    pictures("photos")
    Path("photos/bad.png").write_bytes(b"junk")


def prefixes():
    Path("photos").mkdir()
    for i, picture in enumerate(X):
        Image.fromarray(picture).save(f"photos/p{i % 10}_{i}.png")


def idx_files(*names):
    for name, array in zip(names, ARRAYS, strict=True):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(idx_bytes(array))


def emnist(kind):
    parts = ("train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1")
    idx_files(*[f"emnist/emnist-{kind}-{part}-ubyte" for part in parts])


def medmnist(name, x=X, y=Y[:, None]):
    splits = {"train": slice(20), "val": slice(20, 30), "test": slice(30, 40)}
    arrays = {f"{split}_images": x[part] for split, part in splits.items()}
    np.savez(name, **arrays, **{f"{split}_labels": y[part] for split, part in splits.items()})


def kmnist():
    Path("kmnist").mkdir()
    for name, array in zip(("train-imgs", "train-labels", "test-imgs", "test-labels"), ARRAYS, strict=True):
        np.savez(f"kmnist/kmnist-{name}.npz", array)


def table(path, x, y=None):
    Path(path).parent.mkdir(exist_ok=True)
    rows = x.reshape(len(x), -1)
    header = ",".join([*(["label"] if y is not None else []), *[f"pixel{i}" for i in range(rows.shape[1])]])
    stream = io.StringIO()
    np.savetxt(stream, rows if y is None else np.column_stack([y, rows]), "%d", ",")
    Path(path).write_text(f"{header}\n{stream.getvalue()}")


def signs():
    table("signs/sign_train.csv", X[:30], Y[:30])
    table("signs/sign_test.csv", X[30:])


def numbers(**columns):
    """A table of spectra, with columns whose values repeat."""
    made = pandas.DataFrame(RNG.normal(size=(40, 8)), columns=[f"{wave} nm" for wave in range(400, 480, 10)])
    return made.assign(**{name: [values[i % len(values)] for i in range(40)] for name, values in columns.items()})


READ = {  # row: how its source is made, what the command prints
    "a folder of pictures": (lambda: pictures("photos"), ["36", "4, drawn at random from each class", "no labels"]),
    "a folder for each class": (lambda: pictures("photos/cat", "photos/dog"), ["cat, dog"]),
    "`train/` and `test/`, perhaps `val/` or `valid/`": (
        lambda: pictures("photos/train", "photos/test", "photos/valid"), ["14", "13", "held-out images"]),
    "`train/` and `val/`": (lambda: pictures("photos/train", "photos/val"), ["18", "2, drawn", "held-out images  "]),
    "the same, in a folder in the folder": (lambda: pictures("download/x/cat", "download/x/dog"), ["cat, dog"]),
    "another share of test images": (lambda: pictures("photos/cat", "photos/dog"), ["32", "8, drawn at random from"]),
    "pictures of several sizes": (sizes, ["64 × 64", "scaled (Lanczos) to cover 64 × 64", "41 of 41 enlarged"]),
    "several pictures of one person or film, in a folder each": (
        lambda: pictures(*[f"photos/{c}/p{i}" for i in range(10) for c in "ab"]), ["a, b", "drawn at random"]),
    "the same, by their names": (prefixes, ["36", "4, drawn at random", "no labels"]),
    "some damaged pictures": (bad, ["36", "1 picture left out as --skip-bad says: bad.png"]),
    "12-bit pictures in 16-bit files": (lambda: pictures("scans", x=X.astype(np.uint16) * 16), ["scaled by --range"]),
    "MNIST's four IDX files": (lambda: idx_files(*[f"mnist/{name}" for name in idx.NAMES]), ["30", "10", "0, 1"]),
    "IDX files with dots or a prefix": (lambda: emnist("letters"), ["30", "10", "0, 1"]),
    "several such sets in one folder": (lambda: (emnist("letters"), emnist("balanced")), ["30", "emnist-letters"]),
    "an `.npz`": (lambda: np.savez("photos.npz", x_train=X[:30], x_test=X[30:]), ["30", "no labels"]),
    "MedMNIST's `.npz`": (lambda: medmnist("pathmnist.npz"), ["20", "0, 1", "held-out images  "]),
    "MedMNIST with several labels an image": (
        lambda: medmnist("chestmnist.npz", y=np.ones((40, 3))), ["no labels", "they are several an image"]),
    "a file for each array": (kmnist, ["30", "0, 1"]),
    "an `.npy` of images": (lambda: np.save("photos.npy", X), ["36", "4, every tenth image"]),
    "an `.npy` of rows of pixels": (
        lambda: np.save("cat.npy", RNG.integers(0, 256, (20, 784), np.uint8)), ["28 × 28"]),
    "colour channels first": (
        lambda: np.save("photos.npy", RNG.integers(0, 256, (20, 3, 8, 9), np.uint8)), ["8 × 9 × 3", "channels moved"]),
    "Kaggle's CSV": (lambda: table("train.csv", X, Y), ["8 × 8", "0, 1", "every tenth", "rows of pixels as images of"]),
    "a CSV for training and one for test": (signs, ["30", "no labels", "sign_test.csv has none"]),
    "a table of numbers": (lambda: numbers().to_csv("spectra.csv", index=False), [
        "training rows                   36", "4, every tenth row", "8: 400 nm, 410", "each divided by its"]),
    "the same as Parquet": (lambda: numbers().to_parquet("spectra.parquet"), ["8: 400 nm", "no labels"]),
    "a table with a column of labels": (
        lambda: numbers(kind="ab").to_csv("spectra.csv", index=False), ["8: 400 nm", "a, b"]),
    "several rows of one patient, plant or day": (
        lambda: numbers(kind="ab", plant="pqrstuvwxy").to_csv("spectra.csv"), ["8: 400", "a, b", "4, whole groups"]),
    "columns of one unit, such as a spectrum": (
        lambda: numbers(kind="ab").to_csv("spectra.csv"), ["all divided by one number", "a, b"]),
    "an array of rows (N, D)": (lambda: np.save("embeddings.npy", numbers().to_numpy()), ["8: 0, 1", "36"]),
}  # fmt: skip
REFUSED = {
    "pictures that cannot be read": (bad, ["1 of 41 pictures", "bad.png: no PNG", "--skip-bad"]),
    "pictures of several sizes, without `--resize`": (sizes, ["2 sizes", "30 × 9: 1 picture", "--resize 8x8"]),
    "an empty folder, or one picture": (lambda: pictures("photos", x=X[:1]), ["at least 2"]),
    "volumes (N, 28, 28, 28)": (
        lambda: medmnist("organmnist3d.npz", x=np.zeros((40, 28, 28, 28), np.uint8)), ["volume", "one slice"]),
    "a pickle, `.pt`, `.mat`, `.h5`, `.xlsx`, `.zip`": (
        lambda: Path("images.pkl").write_bytes(b"\x80\x04N."), ["convert it with: import pickle"]),
    "a CSV of names of files": (
        lambda: Path("train.csv").write_text("file,label\na.png,cat\n"), ["column 'file' holds text"]),
    "a table with columns of text": (
        lambda: numbers(town="ab").to_csv("people.csv"), ["column 'town' holds text; expected numbers"]),
    "a table with missing values": (
        lambda: numbers().where(lambda x: x < 2).to_csv("sensors.csv"), ["missing, NaN or infinite: '4"]),
}  # fmt: skip


def rows(heading):
    """Name and command of each row of the table below a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| (.*?) \| `(latentfit data .*?)` \| .* \|$", section, re.M)
    assert len(found) == section.count("\n| ") - 1  # beside the header
    return found


def test_every_row_has_a_case():
    assert [name for name, _ in rows("What is read")] == [*READ]
    assert [name for name, _ in rows("What is refused")] == [*REFUSED]


@pytest.mark.parametrize(("name", "command"), rows("What is read") + rows("What is refused"))
def test_a_row_of_the_page(tmp_path, monkeypatch, capsys, name, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "cache"))
    make, parts = (READ | REFUSED)[name]
    make()
    status = cli.main(shlex.split(command)[1:])
    printed = capsys.readouterr()
    assert status == (0 if name in READ else 2)
    for part in parts:
        assert part in (printed.out if name in READ else printed.err)
