"""Sets as they are published: each layout, labels of every kind, and what is refused with a way out."""

import gzip
import shutil

import numpy as np
import pytest
from helpers import idx_bytes

from latentfit import data
from latentfit.data import delimited, labels, roles, tables
from latentfit.data.reading import DEFAULT
from latentfit.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (30, 5, 4), np.uint8)
Y = (np.arange(30) % 3).astype(np.uint8)
SPLITS = {"x_train": X[:20], "y_train": Y[:20], "x_test": X[20:], "y_test": Y[20:]}
FLAT = X.reshape(30, 20)
SQUARE = RNG.integers(0, 256, (30, 4, 4), np.uint8)


def error_of(path, **options):
    with pytest.raises(InputError) as caught:
        data.load(path, **options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_read(images, labelled=True, train=X[:20], test=X[20:]):
    np.testing.assert_array_equal(images.x_train, train)
    np.testing.assert_array_equal(images.x_test, test)
    if labelled:
        np.testing.assert_array_equal(images.y_train, Y[:20])
        np.testing.assert_array_equal(images.y_test, Y[20:])
    assert (images.y_train is not None) == labelled


def write(folder, names, suffix=""):
    """Write the four arrays under these names, in the format that they say."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(names, SPLITS.values(), strict=True):
        path = folder / name
        if name.endswith(".npz"):
            np.savez(path, array)
        elif name.endswith(".npy"):
            np.save(path, array)
        else:
            raw = idx_bytes(array)
            path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)


FILES = {
    "dots": ["train-images.idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"],
    "emnist": [f"emnist-letters-{part}-ubyte.gz" for part in ("train-images-idx3", "train-labels-idx1",
                                                              "test-images-idx3", "test-labels-idx1")],
    "kmnist": ["kmnist-train-imgs.npz", "kmnist-train-labels.npz", "kmnist-test-imgs.npz", "kmnist-test-labels.npz"],
    "npy": ["x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"],
    "npy, other names": ["train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy"],
    "npy, capital": ["Xtrain.npy", "ytrain.npy", "Xtest.npy", "ytest.npy"],
}  # fmt: skip


@pytest.mark.parametrize("names", FILES.values(), ids=FILES)
@pytest.mark.parametrize("above", ["", "inner/files"])
def test_files_of_one_array_each(tmp_path, names, above):
    write(tmp_path / "set" / above, names)
    (tmp_path / "set" / "README.md").write_text("read me")
    images = data.load(tmp_path / "set")
    assert_read(images)
    assert images.name == "set"


def test_a_folder_of_several_sets_takes_the_file_of_one(tmp_path):
    for kind in ("balanced", "letters"):
        write(tmp_path, [name.replace("letters", kind) for name in FILES["emnist"]])
    error = error_of(tmp_path)
    assert "holds 2 sets, emnist-balanced and emnist-letters; expected one" in error
    assert_read(data.load(tmp_path / "emnist-balanced-train-images-idx3-ubyte.gz"))
    write(tmp_path, ["emnist-letters-train-imgs-idx3-ubyte", *FILES["emnist"][1:]])
    assert "are both x_train; expected one" in error_of(tmp_path)


def test_medmnist(tmp_path):
    path = tmp_path / "pathmnist.npz"
    colour = RNG.integers(0, 256, (30, 5, 4, 3), np.uint8)
    parts = {"train": slice(20), "val": slice(20, 25), "test": slice(25, 30)}
    arrays = {f"{name}_images": colour[part] for name, part in parts.items()}
    np.savez(path, **arrays, **{f"{name}_labels": Y[part, None] for name, part in parts.items()})
    images = data.load(path)
    for name in parts:
        np.testing.assert_array_equal(getattr(images, f"x_{name}"), arrays[f"{name}_images"])
    np.testing.assert_array_equal(images.y_test, Y[25:])
    several = np.ones((30, 14), np.uint8)
    np.savez(path, **arrays, **{f"{name}_labels": several[part] for name, part in parts.items()})
    images = data.load(path)
    assert images.y_train is None
    assert images.reading.dropped == ("The labels are left out: they are several an image, 20 × 14.",)
    solid = RNG.integers(0, 256, (30, 28, 28, 28), np.uint8)
    np.savez(path, **{f"{name}_images": solid[part] for name, part in parts.items()})
    assert "(20, 28, 28, 28) is a volume an image; expected (N, H, W)" in error_of(path)


def csv(path, pixels, y=None, header=None, end="\n"):
    rows = pixels.reshape(len(pixels), -1)
    lines = [",".join(map(str, row if y is None else [y[i], *row])) for i, row in enumerate(rows.tolist())]
    path.write_text(end.join([*([",".join(header)] if header else []), *lines]) + end, newline="")


PIXELS = [f"pixel{i}" for i in range(16)]
TABLES = {  # header, labels, line end
    "kaggle": (["label", *PIXELS], Y, "\n"),
    "windows": (["label", *PIXELS], Y, "\r\n"),
    "sizes": (["label", *[f"{i}x{j}" for i in range(1, 5) for j in range(1, 5)]], Y, "\n"),
    "no labels": (PIXELS, None, "\n"),
    "quoted": ([f'"{name}"' for name in ["label", *PIXELS]], Y, "\n"),
}


@pytest.mark.parametrize(("header", "y", "end"), TABLES.values(), ids=TABLES)
def test_a_table_of_pixels(tmp_path, header, y, end):
    csv(tmp_path / "train.csv", SQUARE, y, header, end)
    images = data.load(tmp_path / "train.csv")
    np.testing.assert_array_equal(images.x_test, SQUARE[9::10])
    np.testing.assert_array_equal(images.x_train, np.delete(SQUARE, [9, 19, 29], axis=0))
    assert images.reading.prepared == ("rows of pixels as images of 4 × 4",)
    assert images.reading.flags == ""
    if y is None:
        assert images.y_train is None
    else:
        np.testing.assert_array_equal(images.y_test, Y[9::10])
    assert data.load(tmp_path).fingerprint == images.fingerprint
    assert len(data.load(tmp_path / "train.csv", test_share=0.5).x_test) == 15


def test_a_table_of_pixels_without_a_header(tmp_path):
    large = RNG.integers(0, 256, (30, 8, 8), np.uint8)
    for y in (Y, None):
        csv(tmp_path / "train.csv", large, y)
        images = data.load(tmp_path / "train.csv")
        np.testing.assert_array_equal(images.x_test, large[9::10])
        assert images.reading.dropped == ()
    csv(tmp_path / "train.csv", SQUARE, Y)
    assert data.load(tmp_path / "train.csv").image_shape == (17,)  # too few numbers to be sure


def test_tables_for_training_and_test(tmp_path):
    csv(tmp_path / "sign_mnist_train.csv", SQUARE[:20], Y[:20], ["label", *PIXELS])
    csv(tmp_path / "sign_mnist_test.csv", SQUARE[20:], Y[20:], ["label", *PIXELS])
    assert_read(data.load(tmp_path), train=SQUARE[:20], test=SQUARE[20:])
    csv(tmp_path / "sign_mnist_test.csv", SQUARE[20:], None, PIXELS)
    images = data.load(tmp_path)
    assert_read(images, labelled=False, train=SQUARE[:20], test=SQUARE[20:])
    assert images.reading.dropped == ("The labels are left out: sign_mnist_test.csv has none.",)


def test_tables_of_other_numbers(tmp_path):
    path = tmp_path / "a.csv"
    csv(path, SQUARE / 255, Y, ["label", *PIXELS])
    np.testing.assert_allclose(data.load(path).x_test, SQUARE[9::10] / np.float32(255), rtol=1e-6)
    csv(path, SQUARE / 255, Y)
    assert data.load(path).is_rows  # nothing says that they are pixels
    csv(path, SQUARE.astype(int) * 4, Y)
    assert data.load(path, value_range=1020).x_train.max() <= 1
    csv(path, SQUARE, [f"class {i % 11}" for i in range(30)], ["label", *PIXELS])
    images = data.load(path)
    assert images.classes == tuple(f"class {i}" for i in range(11))
    assert images.y_test.tolist() == [9, 8, 7]
    csv(path, X, Y, ["label", *[f"p{i}" for i in range(20)]])
    assert data.load(path).is_rows
    np.testing.assert_array_equal(data.load(path, shape=(5, 4)).x_test, X[9::10])


BAD_TABLES = {
    "text": ("label,pixel0,pixel1,pixel2,pixel3\n1,2,3,4,five\n", "column 'pixel3' holds text"),
    "missing": ("label,pixel0,pixel1,pixel2,pixel3\n1,2,,4,5\n", "1 value missing, NaN or infinite: 'pixel1' 1"),
    "ragged": ("label,pixel0,pixel1,pixel2,pixel3\n1,2,3,4,5\n1,2\n", "row 1 has 2 values; expected 5"),
    "another header": ("label,p0,p1\n1,2,3,4,5\n1,2,3,4,5\n", "5 values; expected 3"),
    "two labels": ("label,class,p0,p1,p2,p3\n1,2,3,4,5,6\n", "'label' and 'class' may be labels"),
    "names of files": ("file,label\na.png,cat\n", "column 'file' holds text"),
    "one column": ("1\n2\n", "has 1 column"),
    "empty": ("", "has 0 columns"),
    "only a header": ("label,p0,p1,p2,p3\n", "has no rows"),
    "one row": ("1,2,3,4,5\n", "expected at least 2 images"),
    "a binary file": ("\0" * 99, "has 1 column"),
    "infinite": ("1,2,3,4,inf\n1,2,3,4,5\n", ""),
}


@pytest.mark.parametrize(("text", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_tables_that_are_no_pixels(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    assert message in error_of(tmp_path / "a.csv")


def test_a_fast_table_is_what_numpy_reads(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    csv(path, RNG.integers(0, 256, (500, 8, 8)), np.arange(500))
    fast = tables.read(path, DEFAULT)
    assert fast.values.dtype == np.uint8
    monkeypatch.setattr(delimited, "BLOCK", 100)
    np.testing.assert_array_equal(tables.read(path, DEFAULT).values, fast.values)
    monkeypatch.setattr(delimited, "_parse", lambda *_: None)
    slow = tables.read(path, DEFAULT)
    np.testing.assert_array_equal(slow.values, fast.values)
    np.testing.assert_array_equal(slow.labels, fast.labels)


def test_quick_draw(tmp_path):
    path = tmp_path / "cat.npy"
    np.save(path, FLAT)
    images = data.load(path, shape=(5, 4))
    np.testing.assert_array_equal(images.x_test, X[9::10])
    assert images.reading.flags == " --shape 5 4"
    assert data.load(path).is_rows  # without a shape
    assert "expected rows of 30 numbers with --shape 5 6" in error_of(path, shape=(5, 6))
    np.save(path, X)
    assert "shape (30, 5, 4); expected rows of 20 numbers" in error_of(path, shape=(5, 4))
    np.savez(tmp_path / "a.npz", x_train=FLAT[:20], x_test=FLAT[20:])
    assert_read(data.load(tmp_path / "a.npz", shape=(5, 4)), labelled=False)
    with pytest.raises(InputError, match="expected height and width"):
        data.load(path, shape=(20,))


CHANNELS = {  # shape on disk, shape read
    "colour first": ((24, 3, 6, 5), (6, 5, 3)),
    "grey first": ((24, 1, 6, 5), (6, 5)),
    "colour last": ((24, 6, 5, 3), (6, 5, 3)),
    "both": ((24, 3, 6, 3), (3, 6, 3)),  # the last are channels, as ever
}


@pytest.mark.parametrize(("shape", "image_shape"), CHANNELS.values(), ids=CHANNELS)
def test_channels_come_first_or_last(tmp_path, shape, image_shape):
    x = RNG.integers(0, 256, shape, np.uint8)
    np.save(tmp_path / "a.npy", x)
    images = data.load(tmp_path / "a.npy")
    assert images.image_shape == image_shape
    moved = image_shape != shape[1:] and shape[-1] != 3
    expected = np.moveaxis(x, 1, -1).reshape(24, *image_shape) if moved else x
    np.testing.assert_array_equal(images.x_test, expected[9::10])
    assert bool(images.reading.prepared) == moved
    flat = x.reshape(24, -1)
    np.save(tmp_path / "b.npy", flat)
    assert data.load(tmp_path / "b.npy", shape=shape[1:]).fingerprint == images.fingerprint


ONE_HOT = np.eye(3)[Y]
LABELS = {  # as stored, as read, classes
    "column": (Y[:, None], Y, ("0", "1", "2")),
    "one-hot": (ONE_HOT, Y, ("0", "1", "2")),
    "one-hot, boolean": (ONE_HOT.astype(bool), Y, ("0", "1", "2")),
    "floats": (Y + 1.0, Y, ("1", "2", "3")),
    "boolean": (Y > 0, Y > 0, ("0", "1")),
    "text": (np.array(["cat", "dog", "b\nird"])[Y], np.array([1, 2, 0])[Y], (r"b\nird", "cat", "dog")),
    "numbers as text": (np.array(["9", "10", "11"])[Y], Y, ("9", "10", "11")),
    "bytes": (np.array([b"a", b"b", b"c"])[Y], Y, ("a", "b", "c")),
}


@pytest.mark.fault("labels")
@pytest.mark.parametrize(("stored", "read", "classes"), LABELS.values(), ids=LABELS)
def test_labels_of_every_kind(tmp_path, stored, read, classes):
    np.savez(tmp_path / "a.npz", x_train=X[:20], y_train=stored[:20], x_test=X[20:], y_test=stored[20:])
    images = data.load(tmp_path / "a.npz")
    assert images.classes == classes
    np.testing.assert_array_equal(images.y_train, read[:20])
    np.testing.assert_array_equal(images.y_test, read[20:])


NO_LABELS = {
    "fractions": (Y + 0.5, "type float64; expected integers"),
    "NaN": (np.where(Y == 1, np.nan, Y), "type float64; expected integers"),
    "a table": (np.ones((30, 3)) * 7, "expected one label an image"),
    "complex": (Y * 1j, "type complex128"),
}


@pytest.mark.fault("labels")
@pytest.mark.parametrize(("stored", "message"), NO_LABELS.values(), ids=NO_LABELS)
def test_labels_without_a_meaning_are_refused(tmp_path, stored, message):
    np.savez(tmp_path / "a.npz", x_train=X[:20], y_train=stored[:20], x_test=X[20:], y_test=stored[20:])
    with pytest.raises(InputError, match=message):
        data.load(tmp_path / "a.npz")


@pytest.mark.fault("labels")
def test_too_many_text_labels_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(labels, "MAX_CLASSES", 2)
    stored = np.array(["cat", "dog", "bird"])[Y]
    np.savez(tmp_path / "a.npz", x_train=X[:20], y_train=stored[:20], x_test=X[20:], y_test=stored[20:])
    images = data.load(tmp_path / "a.npz")
    assert images.y_train is None
    assert images.reading.labels_left_out == 3


@pytest.mark.fault("pickle")
@pytest.mark.parametrize(
    "suffix", ["pkl", "pickle", "pt", "pth", "mat", "h5", "hdf5", "xlsx", "feather", "joblib", "zip", "TAR"]
)
def test_what_is_not_opened_says_how_to_convert_it(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"it's.{suffix}"
    path.write_bytes(b"\x80\x04N.")
    error = error_of(path)
    line = error.partition("convert it with: ")[2]
    compile(line, "line", "exec")
    assert repr(str(path)) in line


ROLES = {
    "train-images.idx3-ubyte": ("x_train", ""),
    "emnist-balanced-test-labels-idx1-ubyte.gz": ("y_test", "emnist-balanced"),
    "k49-train-imgs.npz": ("x_train", "k49"),
    "validation_images": ("x_val", ""),
    "X_test": ("x_test", ""),
    "fashion-mnist_train.csv": ("x_train", "fashion-mnist"),
    "images": None,
    "train-test.npy": None,
    "constraint": None,
}


@pytest.mark.parametrize(("name", "role"), ROLES.items())
def test_names_say_what_a_file_holds(name, role):
    assert roles.role_of(name) == (role and roles.Role(*role))


def test_a_folder_around_several_folders_is_no_set(tmp_path):
    write(tmp_path / "a", FILES["npy"])
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert "expected a folder of pictures" in error_of(tmp_path)
    write(tmp_path / "c", ["x_train.npz", *FILES["npy"][1:]])
    np.savez(tmp_path / "c" / "x_train.npz", a=X, b=X)
    with pytest.raises(InputError, match="has 'a', 'b'; expected one array"):
        data.load(tmp_path / "c")
