"""The user's own files: their content is returned unchanged, and each fault is an error of one line."""

import gzip
import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import idx_bytes

from latentfit.data import files, idx
from latentfit.data.reading import Reading
from latentfit.errors import InputError

TRAIN, TRAIN_LABELS, TEST, TEST_LABELS = idx.NAMES
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (24, 5, 4), np.uint8)
Y = (np.arange(24) % 3).astype(np.uint8)


def head(*shape):
    return b"\0\0\x08" + struct.pack(f">B{len(shape)}I", len(shape), *shape)


@pytest.fixture
def folder(tmp_path):
    """IDX files: gzipped for training, plain for testing."""
    (tmp_path / f"{TRAIN}.gz").write_bytes(gzip.compress(idx_bytes(X[:20])))
    (tmp_path / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(idx_bytes(Y[:20])))
    (tmp_path / TEST).write_bytes(idx_bytes(X[20:]))
    (tmp_path / TEST_LABELS).write_bytes(idx_bytes(Y[20:]))
    return tmp_path


def error_of(path, memory=None):
    """The message of the error, which is one line; loading may take so many bytes of memory."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            files.load(path)
        assert memory is None or tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def save(path, x):
    """Save an array as .npy, or twice in an .npz."""
    np.save(path, x) if path.suffix == ".npy" else np.savez(path, x_train=x, x_test=x)
    return path


def test_the_name_is_that_of_the_folder_and_arrays_are_writeable(folder, monkeypatch):
    images = files.load(folder)
    monkeypatch.chdir(folder)
    assert images.name == files.load(Path()).name == folder.name
    assert images.x_train.flags.writeable  # torch warns about arrays that are not


@pytest.mark.fault("splits")
def test_idx_labels_have_one_dimension_and_are_for_both_splits_or_neither(folder):
    (folder / TEST_LABELS).write_bytes(idx_bytes(X[20:]))
    assert "rank 3; expected 1" in error_of(folder)
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
    "2^31 items": (head(2**31, 28, 28) + RNG.bytes(4096), "2147483648 × 28 × 28"),
    "more than 64 bits": (head(2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(80), "4294967295"),
    "16 MB behind": (idx_bytes(X[20:]) + bytes(16 << 20), "96 bytes, and the file holds more"),
}


@pytest.mark.fault("idx", "splits", "gzip")
@pytest.mark.parametrize(("content", "message"), IDX_FAULTS.values(), ids=IDX_FAULTS)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_faults_are_named_and_cost_no_memory(folder, content, message, suffix):
    (folder / TEST).unlink()
    bad = folder / f"{TEST}{suffix}"
    bad.write_bytes(gzip.compress(content, 1) if suffix else content)
    del content
    error = error_of(folder, memory=8 << 20)
    assert str(bad) in error
    assert message in error


FILE_FAULTS = {
    "truncated": (lambda raw: raw[:-12], "ends early"),
    "checksum": (lambda raw: raw[:-6] + b"\0\0" + raw[-4:], "CRC"),
    "bit flip": (lambda raw: raw[:40] + bytes([raw[40] ^ 255]) + raw[41:], "expected sound gzip"),
    "no deflate": (lambda raw: raw[:10] + b"\xff" + raw[11:], "expected sound gzip"),
    "junk behind": (lambda raw: raw + b"junk", "expected sound gzip"),
    "web page": (lambda _: b"<html>", "expected sound gzip"),
    "empty": (lambda _: b"", "within its header"),
    "impossible ratio": (lambda _: gzip.compress(head(2**31, 28, 28) + bytes(4096)), "at most"),
    "labels for images": (lambda _: gzip.compress(idx_bytes(Y)), "rank 1; expected 3"),
}


@pytest.mark.fault("gzip", "idx")
@pytest.mark.parametrize(("damage", "message"), FILE_FAULTS.values(), ids=FILE_FAULTS)
def test_damaged_gzip_is_named(folder, damage, message):
    bad = folder / f"{TRAIN}.gz"
    bad.write_bytes(damage(bad.read_bytes()))
    error = error_of(folder, memory=8 << 20)
    assert str(bad) in error
    assert message in error


@pytest.mark.parametrize("name", ["images.txt", "README", "a/", "a/shirt.txt", f"a/{TRAIN}", "nothing.npz", "nothing"])
def test_the_error_for_an_unknown_path_lists_the_known_kinds(tmp_path, name):
    (tmp_path / "a").mkdir()
    if not name.startswith("nothing") and not name.endswith("/"):
        (tmp_path / name).write_text("1,2")
    error = error_of(tmp_path / "a" if name.startswith("a/") else tmp_path / name)
    assert TEST in error
    assert "gzipped or not" in error
    assert name.startswith("a/") or ".npz" in error


def test_a_folder_without_permission_is_an_error(tmp_path, monkeypatch):
    def deny(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", deny)
    assert "Permission denied" in error_of(tmp_path)


def test_the_error_for_missing_arrays_lists_those_found(tmp_path):
    np.savez(tmp_path / "a.npz", **{"x_train": X, "images": X, "two\nlines": Y})
    error = error_of(tmp_path / "a.npz")
    assert "no x_test" in error
    assert r"found 'x_train', 'images', 'two\nlines'" in error


@pytest.mark.parametrize(("n", "test"), [(24, [9, 19]), (9, [8]), (2, [1])])
def test_every_tenth_image_of_an_npy_is_a_test_image(tmp_path, n, test):
    images = files.load(save(tmp_path / "a.npy", X[:n]))
    np.testing.assert_array_equal(images.x_test, X[test])
    np.testing.assert_array_equal(images.x_train, np.delete(X[:n], test, axis=0))
    assert isinstance(images.x_test, np.memmap) == (n >= 10)


ARRAY_FAULTS = {
    "objects": (np.array([list(map(str, row)) for row in X], object), "Python objects"),
    "integers": (X.astype(np.int64), "--range 255 (in Python value_range=255) or save x / 255, or x.astype"),
    "complex": (X.astype(complex), "type complex128"),
    "text": (X.astype(str), "expected uint8"),
    "one number an image": (X[:, 0, 0].copy(), "expected (N, H, W)"),
    "no pixels": (X[:, :0], "holds no pixel"),
    "NaN": (np.where(np.arange(24)[:, None, None] == 3, np.nan, X / 255), "the first in image 3"),
    "0 to 255 in floats": (X.astype(np.float64), "save x / 255"),
    "standardised": ((X - X.mean()) / X.std(), "undo the standardisation"),
    "beyond float32": (X * 1e300, "infinite"),
}


@pytest.mark.fault("arrays")
@pytest.mark.parametrize(("x", "message"), ARRAY_FAULTS.values(), ids=ARRAY_FAULTS)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_array_faults_are_named(tmp_path, x, message, suffix):
    with pytest.raises(InputError) as caught:
        files.load(save(tmp_path / f"a.{suffix}", x))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(0, 5, 4), (1, 5, 4), ()])
def test_an_npy_needs_two_images(tmp_path, shape):
    assert "at least 2 images" in error_of(save(tmp_path / "a.npy", np.zeros(shape, np.uint8)))


def npy(array, shape=None):
    """The bytes of an .npy file whose header may claim another shape."""
    stream = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array) | ({} if shape is None else {"shape": shape})
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + array.tobytes()


FALSE_HEADERS = {
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
@pytest.mark.parametrize("content", FALSE_HEADERS.values(), ids=FALSE_HEADERS)
def test_false_array_headers_are_refused_and_cost_no_memory(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", content)
        archive.writestr("x_test.npy", npy(X))
    for path in (tmp_path / "a.npy", tmp_path / "a.npz"):
        assert "save it again" in error_of(path, memory=8 << 20)


def corrupt_deflate(raw):
    start = 30 + len("x_train.npy") + raw[28]  # behind the header of the member, its name and its extra field
    return raw[:start] + b"\xff" + raw[start + 1 :]


ZIP_FAULTS = {
    "empty": (np.savez, lambda _: b"", "save it again"),
    "truncated": (np.savez, lambda raw: raw[: len(raw) // 2], "save it again"),
    "bit flip": (np.savez, lambda raw: raw[:300] + bytes([raw[300] ^ 255]) + raw[301:], "save it again"),
    "npy": (np.savez, lambda _: npy(X), "save it again"),
    "deflate": (np.savez_compressed, corrupt_deflate, "invalid block type"),
}


@pytest.mark.parametrize(("write", "damage", "message"), ZIP_FAULTS.values(), ids=ZIP_FAULTS)
def test_a_damaged_npz_is_refused(tmp_path, write, damage, message):
    path = tmp_path / "a.npz"
    write(path, x_train=X[:20], x_test=X[20:])
    path.write_bytes(damage(path.read_bytes()))
    assert message in error_of(path)


def test_a_false_size_in_the_zip_directory_as_well_is_refused(tmp_path):
    path, content = tmp_path / "a.npz", npy(X, (2**26, 5, 4))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", content)
        archive.writestr("x_test.npy", npy(X))
    raw = bytearray(path.read_bytes())
    size = raw.index(b"PK\x01\x02") + 24  # of the content when unpacked
    raw[size : size + 4] = struct.pack("<I", len(content) - X.size + 2**26 * 20)
    path.write_bytes(raw)
    assert "save it again" in error_of(path, memory=8 << 20)


def test_held_out_images_of_an_npz_are_read_like_the_others(tmp_path):
    x = np.arange(2 * 3 * 3, dtype=np.float64).reshape(2, 3, 3) % 17
    path = tmp_path / "a.npz"
    np.savez(path, x_train=x, x_test=x, x_val=x[:1], y_val=[7])
    images = files.load(path, Reading.requested(value_range=16))
    np.testing.assert_array_equal(images.x_val, (x[:1] / 16).astype(np.float32))
    np.savez(path, x_train=x, x_test=x, x_val=2 * x)
    with pytest.raises(InputError, match=r"x_val in .*pixels run from 0 to 32"):
        files.load(path, Reading.requested(value_range=16))
