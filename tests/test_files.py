"""Files of the user's own: what is in them comes out unchanged, and each fault is one clear line."""

import gzip
import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from latentfit.data import files, idx
from latentfit.errors import InputError

TRAIN, TRAIN_LABELS, TEST, TEST_LABELS = idx.NAMES
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (24, 5, 4), np.uint8)
Y = (np.arange(24) % 3).astype(np.uint8)


def packed(array):
    return b"\0\0\x08" + struct.pack(f">B{array.ndim}I", array.ndim, *array.shape) + array.tobytes()


def head(*shape):
    return b"\0\0\x08" + struct.pack(f">B{len(shape)}I", len(shape), *shape)


@pytest.fixture
def folder(tmp_path):
    """IDX files, those for training gzipped and those for testing not."""
    for name, array in zip(idx.NAMES, (X[:20], Y[:20], X[20:], Y[20:]), strict=True):
        if name.startswith("train"):
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(packed(array)))
        else:
            (tmp_path / name).write_bytes(packed(array))
    return tmp_path


def refusal(path):
    with pytest.raises(InputError) as caught:
        files.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def cheap_refusal(path):
    tracemalloc.start()
    try:
        message = refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    return message


def save_npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def save_npy(path, array):
    np.save(path, array)
    return path


def test_idx_folder(folder):
    images = files.load(folder)
    assert images.name == folder.name
    np.testing.assert_array_equal(images.x_train, X[:20])
    np.testing.assert_array_equal(images.x_test, X[20:])
    np.testing.assert_array_equal(images.y_train, Y[:20])
    np.testing.assert_array_equal(images.y_test, Y[20:])
    assert images.x_train.flags.writeable  # torch warns of arrays that are not


def test_the_folder_one_stands_in_has_a_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert files.load(Path()).name == folder.name


@pytest.mark.fault("splits")
def test_idx_labels_are_for_both_splits_or_neither(folder):
    (folder / TEST_LABELS).unlink()
    with pytest.raises(InputError, match="one split only"):
        files.load(folder)
    (folder / f"{TRAIN_LABELS}.gz").unlink()
    assert files.load(folder).y_train is None


IDX_FAULTS = {
    "not IDX": (b"\x89PNG\r\n\x1a\n" * 10, "expected IDX, 00 00 08 03"),
    "floats": (b"\0\0\x0d\x03" + head(4, 5, 4)[4:] + bytes(320), "type 0d; expected 08"),
    "rank": (head(4, 5) + bytes(20), "rank 2; expected 3"),
    "empty file": (b"", "within its header"),
    "half a header": (head(4, 5, 4)[:11], "within its header, after 11 bytes"),
    "no items": (head(0, 5, 4), "at least one item"),
    "one item too many": (head(5, 5, 4) + bytes(80), "116 bytes"),
    "one item too few": (head(3, 5, 4) + bytes(80), "76 bytes"),
    "2^31 items": (head(2**31, 28, 28) + bytes(80), "2147483648 × 28 × 28"),
    "more than 64 bits": (head(2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(80), "4294967295"),
}


@pytest.mark.fault("idx", "splits")
@pytest.mark.parametrize("fault", IDX_FAULTS)
@pytest.mark.parametrize("gzipped", [False, True])
def test_idx_fault(folder, fault, gzipped):
    content, told = IDX_FAULTS[fault]
    (folder / TEST).unlink()
    bad = folder / (f"{TEST}.gz" if gzipped else TEST)
    bad.write_bytes(gzip.compress(content) if gzipped else content)
    message = refusal(folder)
    assert str(bad) in message
    assert told in message


def test_swapped_files_are_told_by_their_rank(folder):
    (folder / TEST_LABELS).write_bytes(packed(X[20:]))
    assert "rank 3; expected 1" in refusal(folder)


@pytest.mark.fault("gzip")
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda raw: raw[:-12], "ends early"),
        (lambda raw: raw[:-6] + b"\0\0" + raw[-4:], "CRC"),
        (lambda raw: raw[:40] + bytes([raw[40] ^ 255]) + raw[41:], "expected sound gzip"),
        (lambda raw: raw[:10] + b"\xff" + raw[11:], "expected sound gzip"),
        (lambda raw: raw + b"junk", "expected sound gzip"),
        (lambda _: b"<html>", "expected sound gzip"),
        (lambda _: b"", "within its header"),
    ],
    ids=["truncated", "checksum", "bit flip", "no deflate", "junk behind", "web page", "empty"],
)
def test_damaged_gzip(folder, spoil, told):
    bad = folder / f"{TRAIN}.gz"
    bad.write_bytes(spoil(bad.read_bytes()))
    message = refusal(folder)
    assert str(bad) in message
    assert told in message


@pytest.mark.fault("gzip")
def test_a_gzip_bomb_costs_no_memory(folder):
    with gzip.open(folder / f"{TRAIN}.gz", "wb", 1) as stream:
        stream.write(packed(X[:20]))
        for _ in range(64):
            stream.write(bytes(1 << 20))
    assert "416 bytes, and the file holds more" in cheap_refusal(folder)


@pytest.mark.fault("idx")
def test_a_lying_gzipped_header_costs_no_memory(folder):
    (folder / f"{TRAIN}.gz").write_bytes(gzip.compress(head(2**31, 28, 28) + RNG.bytes(4096)))
    assert "at most" in cheap_refusal(folder)


@pytest.mark.parametrize("names", [[], ["shirt.png", "shoe.png"], [TRAIN]])
def test_a_folder_without_mnist_names(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    message = refusal(tmp_path)
    assert TEST in message
    assert "gzipped or not" in message


@pytest.mark.parametrize("name", ["nothing.npz", "nothing", "images.csv", "README"])
def test_what_cannot_be_read_is_told_with_what_can(tmp_path, name):
    if not name.startswith("nothing"):
        (tmp_path / name).write_text("1,2")
    message = refusal(tmp_path / name)
    assert ".npz" in message
    assert TRAIN in message


def test_a_folder_that_cannot_be_looked_into(tmp_path, monkeypatch):
    def deny(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", deny)
    assert "Permission denied" in refusal(tmp_path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    save(tmp_path / "mine.npz", x_train=X[:20], x_test=X[20:], y_train=Y[:20].astype(int), y_test=Y[20:])
    images = files.load(tmp_path / "mine.npz")
    assert images.name == "mine"
    np.testing.assert_array_equal(images.x_train, X[:20])
    np.testing.assert_array_equal(images.x_test, X[20:])
    np.testing.assert_array_equal(images.y_train, Y[:20])
    assert images.classes == ("0", "1", "2")


def test_npz_without_labels(tmp_path):
    assert files.load(save_npz(tmp_path / "a.npz", x_train=X[:20], x_test=X[20:])).y_train is None


def test_npz_missing_keys(tmp_path):
    message = refusal(save_npz(tmp_path / "a.npz", **{"x_train": X, "images": X, "two\nlines": Y}))
    assert "no x_test" in message
    assert r"found 'x_train', 'images', 'two\nlines'" in message


def test_npy_every_tenth_image_is_a_test_image(tmp_path):
    images = files.load(save_npy(tmp_path / "a.npy", X))
    np.testing.assert_array_equal(images.x_test, X[[9, 19]])
    np.testing.assert_array_equal(images.x_train, np.delete(X, [9, 19], axis=0))
    assert isinstance(images.x_test, np.memmap)


@pytest.mark.parametrize("n", [2, 9])
def test_npy_of_few_images(tmp_path, n):
    images = files.load(save_npy(tmp_path / "a.npy", X[:n]))
    np.testing.assert_array_equal(images.x_test, X[n - 1 : n])
    np.testing.assert_array_equal(images.x_train, X[: n - 1])


def test_floats_become_float32(tmp_path):
    x = np.asfortranarray(X / 255)
    images = files.load(save_npy(tmp_path / "a.npy", x))
    assert images.x_train.dtype == images.x_test.dtype == np.float32
    np.testing.assert_array_equal(images.x_test, x[9::10].astype(np.float32))


def test_one_grey_channel_is_dropped(tmp_path):
    images = files.load(save_npz(tmp_path / "a.npz", x_train=X[:20, ..., None], x_test=X[20:, ..., None]))
    np.testing.assert_array_equal(images.x_train, X[:20])


def nan(x):
    x = x / 255
    x[3, 0, 0] = np.nan
    return x


ARRAY_FAULTS = {
    "objects": (lambda x: np.array([list(map(str, row)) for row in x], object), "Python objects"),
    "integers": (lambda x: x.astype(np.int64), "--range 255 (in Python value_range=255) or save x / 255, or x.astype"),
    "complex": (lambda x: x.astype(complex), "type complex128"),
    "text": (lambda x: x.astype(str), "expected uint8"),
    "flat": (lambda x: x.reshape(len(x), -1), "reshape(-1, height, width)"),
    "one number an image": (lambda x: x[:, 0, 0].copy(), "expected (N, H, W)"),
    "no pixels": (lambda x: x[:, :0], "holds no pixel"),
    "NaN": (nan, "the first in image 3"),
    "0 to 255 in floats": (lambda x: x.astype(np.float64), "save x / 255"),
    "standardised": (lambda x: (x - x.mean()) / x.std(), "undo the standardisation"),
    "beyond float32": (lambda x: x * 1e300, "infinite"),
}


@pytest.mark.fault("arrays")
@pytest.mark.parametrize("fault", ARRAY_FAULTS)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_array_fault(tmp_path, fault, kind):
    spoil, told = ARRAY_FAULTS[fault]
    path = tmp_path / f"a.{kind}"
    if kind == "npz":
        np.savez(path, x_train=spoil(X), x_test=spoil(X))
    else:
        np.save(path, spoil(X))
    with pytest.raises(InputError) as caught:
        files.load(path)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.fault("pickle")
def test_a_pickle_is_never_opened(tmp_path):
    canary = tmp_path / "canary"

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(canary),)

    bombs = np.array([Bomb(), Bomb()], object)
    refusal(save_npy(tmp_path / "a.npy", bombs))
    refusal(save_npz(tmp_path / "a.npz", x_train=bombs, x_test=bombs))
    (tmp_path / "b.npy").write_bytes(bombs.dumps())
    refusal(tmp_path / "b.npy")
    (tmp_path / "b.npz").write_bytes(bombs.dumps())
    refusal(tmp_path / "b.npz")
    assert not canary.exists()


@pytest.mark.parametrize("shape", [(0, 5, 4), (1, 5, 4), ()])
def test_npy_of_less_than_two_images(tmp_path, shape):
    assert "at least 2 images" in refusal(save_npy(tmp_path / "a.npy", np.zeros(shape, np.uint8)))


def npy(array, shape=None):
    """The bytes of an .npy file whose header may claim another shape."""
    stream = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array) | ({} if shape is None else {"shape": shape})
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + array.tobytes()


LYING = {
    "more": npy(X, (25, 5, 4)),
    "fewer": npy(X, (23, 5, 4)),
    "huge": npy(X, (2**40, 28, 28)),
    "beyond 64 bits": npy(X, (2**70, 5, 4)),
    "negative": npy(X, (-24, -5, 4)),
    "truncated": npy(X)[:-1],
    "only a header": npy(X)[:128],
    "half a header": npy(X)[:50],
    "no header": b"",
    "another version": npy(X).replace(b"NUMPY\x01", b"NUMPY\x07"),
    "a web page": b"<html>" * 100,
    "code for a header": npy(X).replace(b"(24, 5, 4)", b"exit(1234)"),
    "a header of lists": npy(X).replace(b"'|u1'", b"[[[]]"),
}


@pytest.mark.fault("arrays")
@pytest.mark.parametrize("fault", LYING)
def test_lying_npy(tmp_path, fault):
    path = tmp_path / "a.npy"
    path.write_bytes(LYING[fault])
    assert "save it again" in refusal(path)


@pytest.mark.fault("arrays")
@pytest.mark.parametrize("fault", LYING)
def test_lying_npz(tmp_path, fault):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", LYING[fault])
        archive.writestr("x_test.npy", npy(X))
    assert "save it again" in cheap_refusal(path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:300] + bytes([raw[300] ^ 255]) + raw[301:],
        lambda _: npy(X),
    ],
    ids=["empty", "truncated", "bit flip", "npy"],
)
def test_damaged_npz(tmp_path, spoil):
    path = save_npz(tmp_path / "a.npz", x_train=X[:20], x_test=X[20:])
    path.write_bytes(spoil(path.read_bytes()))
    assert "save it again" in refusal(path)


def test_damaged_deflate_in_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x_train=X[:20], x_test=X[20:])
    raw = bytearray(path.read_bytes())
    raw[30 + len("x_train.npy") + raw[28]] = 255  # behind the header of the member, its name and its extras
    path.write_bytes(raw)
    assert "invalid block type" in refusal(path)


def test_a_zip_directory_that_lies_as_its_header_does(tmp_path):
    path, lie = tmp_path / "a.npz", npy(X, (2**26, 5, 4))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", lie)
        archive.writestr("x_test.npy", npy(X))
    raw = bytearray(path.read_bytes())
    entry = raw.index(b"PK\x01\x02")
    raw[entry + 24 : entry + 28] = struct.pack("<I", len(lie) - X.size + 2**26 * 20)  # the size when unpacked
    path.write_bytes(raw)
    assert "save it again" in cheap_refusal(path)
