"""Untrusted files: whatever the bytes, the result is valid or an error of one line, and takes little memory.

`fuzz/doors.py` defines this promise, `make fuzz` searches for files that break it, and fuzz/corpus has those that did.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import os
import pickle
import re
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import doors
import numpy as np
import pytest
from helpers import idx_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save

from latentfit.data import arrays, files, idx
from latentfit.data.images import ImageSet
from latentfit.errors import LONGEST, InputError
from latentfit.recipe import Job, Recipe
from latentfit.sweep import weights as stored

DOORS = {
    "idx": doors.idx,
    "arrays": doors.arrays,
    "items": doors.items,
    "tables": doors.tables,
    "pictures": doors.pictures,
    "model": doors.model,
}
CORPUS = sorted(doors.CORPUS.glob("*/*"))
SOUND = {name: [path.read_bytes() for path in CORPUS if path.match(f"{name}/sound-*")] for name in DOORS}
WHOLE = [0, 1, 2, 3, -1, -2, 255, 2**16, 2**31, 2**32 - 1, 2**63, 2**64, 2**70]

quick = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example writes all its files
)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_fuzzing_corpus(tmp_path, path):
    tracemalloc.start()
    try:
        result = DOORS[path.parent.name](path.read_bytes(), tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert (result is not None) == path.name.startswith("sound-")


@st.composite
def damaged(draw, sound):
    """A valid file after a few flips, cuts and insertions."""
    data = draw(st.sampled_from(sound))
    for _ in range(draw(st.integers(1, 3))):
        at, size = draw(st.integers(0, len(data))), draw(st.integers(0, 9))
        put = draw(st.binary(max_size=9) | st.sampled_from([b"\xff" * 8, bytes(8), b"\0\0\xc0\x7f", b"1" * 9]))
        flipped = bytes([data[at] ^ 1 << size % 8]) if at < len(data) else b""
        middles = [put + data[at:], put + data[at + len(put) :], flipped + data[at + 1 :], data[at + size :], b""]
        data = data[:at] + draw(st.sampled_from(middles))
    return data


@pytest.mark.fault("idx", "gzip", "arrays", "image-folder", "model")
@pytest.mark.parametrize("door", DOORS)
@settings(quick, max_examples=200)
@given(data=st.data())
def test_any_bytes_and_any_damaged_file(tmp_path, door, data):
    DOORS[door](data.draw(st.binary(max_size=120) | damaged(SOUND[door])), tmp_path)


@pytest.mark.fault("idx")
@quick
@given(
    flag=st.sampled_from([0, 2]),
    magic=st.sampled_from([b"\0\0\x08\x03"] * 9 + [b"\0\0\x08\x01", b"\0\0\x0d\x03", b"\0\1\x08\x03"]),
    shape=st.lists(st.sampled_from([1, 2, 3, 2, 1, 0, 2**31, 2**32 - 1]), min_size=3, max_size=3),
    more=st.sampled_from([0] * 9 + [-1, 1, 300]),
)
def test_an_idx_header_is_accepted_exactly_if_the_size_agrees(tmp_path, flag, magic, shape, more):
    size = math.prod(shape)
    body = bytes(max(0, (size if size < 100 else 8) + more))
    images = doors.idx(bytes([flag]) + magic + struct.pack(">3I", *shape) + body, tmp_path)
    sound = magic == b"\0\0\x08\x03" and 0 < size == len(body)
    assert (images is not None) == sound
    assert images is None or images.x_train.shape == tuple(shape)


def npy(header, version=1, body=b""):
    """The bytes of an .npy file with any text as header."""
    text = header.encode("latin1", "replace") + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + body


TYPES = [
    *("|u1", "<f4", "<f8", ">f4", "<f2", "<f16", "<i8", "|b1", "|O", "|S0", "<U3", "|V0", "<c8", "<M8[s]", "a", "="),
    *([("a", "|u1")], [("", "|V1"), ("a", "|O")], ("|u1", (2,)), [("a", "<f4", (2, -1))], (), [(1,)], {}, None, 7),
]


@pytest.mark.fault("arrays")
@quick
@given(
    flag=st.integers(0, 3),
    version=st.sampled_from([1, 1, 2, 3, 9]),
    descr=st.sampled_from(TYPES),
    order=st.sampled_from([False, False, True, 1, None]),
    shape=st.lists(st.sampled_from([2, 2, 2, 3, *WHOLE, True, 2.0, "2"]), max_size=4).map(tuple) | st.just((2, 2, 2)),
    extra=st.dictionaries(st.sampled_from(["", b"", 1, "shape", "descr", None, ()]), st.none(), max_size=1),
    body=st.sampled_from([0, 8, 8, 16, 32, 64]).map(bytes) | st.binary(min_size=32, max_size=32),
)
def test_any_header_of_an_array(tmp_path, flag, version, descr, order, shape, extra, body):
    header = {"descr": descr, "fortran_order": order, "shape": shape} | extra
    doors.arrays(bytes([flag]) + npy(str(header), version, body), tmp_path)


SIZES = [4, 2, 1]
WEIGHTS = {name: np.full(shape, 0.5, np.float32) for name, shape in stored.tensor_shapes(SIZES).items()}
SPEC = {"sizes": SIZES, "activation": "relu", "output": "sigmoid", "sha256": ""}
ATOMS = st.none() | st.booleans() | st.sampled_from([*WHOLE, "\ud800"]) | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    ATOMS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=2),
    max_leaves=6,
)


@pytest.mark.fault("model")
@quick
@given(
    fields=st.lists(
        st.tuples(st.sampled_from([*SPEC, "sizes", "a\nb"]), JSON | st.lists(st.sampled_from([*WHOLE, True, 4, 2.0]))),
        max_size=3,
    ),
    ascii_only=st.booleans(),
)
def test_any_model_json(tmp_path, fields, ascii_only):
    pairs = [*SPEC.items(), *fields]  # a name may come twice
    text = ", ".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=ascii_only)}" for k, v in pairs)
    doors.model(f"{{{text}}}".encode(errors="surrogatepass") + b"\0" + save(WEIGHTS), tmp_path)


def safetensors(header, body):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*["F32"] * 3, "F64", "F16", "BF16", "I32", "BOOL", "U8", "F4", "C64", "F32\n", 1]),
        "shape": st.lists(st.sampled_from([1, 2, 4, *WHOLE]), max_size=3),
        "data_offsets": st.lists(st.sampled_from([0, 4, 8, 32, 40, *WHOLE]), min_size=2, max_size=2),
    }
)


@pytest.mark.fault("model")
@quick
@given(
    changed=st.dictionaries(st.sampled_from([*WEIGHTS, "extra", "two\nlines", "\ud800", ""]), ENTRY, max_size=2),
    missing=st.sets(st.sampled_from([*WEIGHTS]), max_size=1),
    metadata=st.none() | st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers(), max_size=2),
    more=st.sampled_from([0, 0, 0, -4, 4]),
)
def test_any_tensors(tmp_path, changed, missing, metadata, more):
    sound = save(WEIGHTS)
    end = 8 + struct.unpack("<Q", sound[:8])[0]
    header = {name: entry for name, entry in json.loads(sound[8:end]).items() if name not in missing} | changed
    body = sound[end : len(sound) + min(more, 0)] + bytes(max(more, 0))
    extra = {} if metadata is None else {"__metadata__": metadata}
    network = doors.model(json.dumps(SPEC).encode() + b"\0" + safetensors(extra | header, body), tmp_path)
    assert network is None or (not missing - changed.keys() and not more)


@pytest.mark.fault("model")
@quick
@given(values=hnp.arrays(np.float32, 2, elements=st.floats(width=32, allow_nan=True, allow_infinity=True)))
def test_weights_are_finite(tmp_path, values):
    network = doors.model(json.dumps(SPEC).encode() + b"\0" + save(WEIGHTS | {"encoder.0.bias": values}), tmp_path)
    assert (network is not None) == np.isfinite(values).all()


SHAPE = hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)


@st.composite
def pixels(draw):
    dtype = draw(st.sampled_from(["u1", "f4", "f8", ">f4", "f2"]))
    shape = draw(SHAPE) + draw(st.sampled_from([(), (), (3,), (1,)]))
    elements = st.integers(0, 255) if dtype == "u1" else st.floats(0, 1, width=16)
    x = draw(hnp.arrays(dtype, shape, elements=elements))
    x.flat[0] = 255 if dtype == "u1" else x.flat[0]  # bytes without a white pixel may be refused
    return np.asfortranarray(x) if draw(st.booleans()) else x


@quick
@given(x=pixels(), labels=st.data(), labelled=st.booleans())
def test_images_are_read_as_written(tmp_path, x, labels, labelled):
    kind = labels.draw(st.sampled_from(["u1", "<i8", ">i4", "<u2"]))
    y = labels.draw(hnp.arrays(kind, len(x), elements=st.integers(0 if kind[1] == "1" or "u" in kind else -128, 127)))
    arrays = {"x_train": x, "x_test": x[::-1]} | ({"y_train": y, "y_test": y[::-1]} if labelled else {})
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "a.npz", **arrays)
        assert_equal(files.load(tmp_path / "a.npz"), arrays)
    if len(x) > 1:
        np.save(tmp_path / "a.npy", x)
        assert_equal(files.load(tmp_path / "a.npy"), {"x_train": x[:-1], "x_test": x[-1:]})
    if x.dtype == np.uint8 and x.ndim == 3:
        arrays |= {"y_train": y.astype(np.uint8), "y_test": y[::-1].astype(np.uint8)}
        for suffix in ("", ".gz"):
            folder = tmp_path / f"idx{suffix}"
            folder.mkdir(exist_ok=True)
            for name, key in zip(idx.NAMES, ("x_train", "y_train", "x_test", "y_test"), strict=True):
                data = idx_bytes(arrays[key])
                (folder / f"{name}{suffix}").write_bytes(gzip.compress(data, 1) if suffix else data)
            assert_equal(files.load(folder), arrays)


def assert_equal(images, arrays):
    doors.checked(images)
    assert (images.y_train is None) == (images.y_test is None) == ("y_train" not in arrays)
    for name, array in arrays.items():
        found = getattr(images, name)
        if name.startswith("y"):
            assert [images.classes[label] for label in found] == list(map(str, array))
        else:
            np.testing.assert_array_equal(found, array[..., 0] if array.shape[3:] == (1,) else array, strict=False)


@settings(quick, max_examples=60)
@given(sizes=st.lists(st.integers(1, 5), min_size=2, max_size=4), numbers=st.data())
def test_a_network_is_read_as_written(tmp_path, sizes, numbers):
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
    weights = {
        name: numbers.draw(hnp.arrays(np.float32, shape, elements=finite))
        for name, shape in stored.tensor_shapes(sizes).items()
    }
    images = ImageSet("a", *np.zeros((2, 1, 1, sizes[0]), np.uint8))
    stored.save_network(tmp_path, weights, images, Recipe(hidden=tuple(sizes[1:-1])), Job(sizes[-1], 0))
    found = stored.load_network(tmp_path).state_dict()
    assert {name: value.numpy().tobytes() for name, value in found.items()} == {
        name: array.tobytes() for name, array in weights.items()
    }


class Canary:
    """Its pickle makes a folder when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.fault("pickle")
def test_no_pickle_is_opened(tmp_path, monkeypatch):
    """Not even in a file that was replaced after its header was checked. test_store.py has more of models."""
    canary, folder = tmp_path / "canary", tmp_path / "files"
    folder.mkdir()
    pickled = pickle.dumps(Canary(canary))
    objects, x = np.array([Canary(canary)] * 12, object), np.zeros((12, 2, 2), np.uint8)
    fields = np.empty((2, 2, 2), [("a", "u1"), ("b", object)])
    fields["b"] = Canary(canary)
    np.save(folder / "objects.npy", objects)
    np.save(folder / "fields.npy", fields)
    np.savez(folder / "objects.npz", x_train=objects, x_test=objects)
    np.savez(folder / "labels.npz", x_train=x, x_test=x, y_train=objects, y_test=objects)
    for path in folder.iterdir():
        with pytest.raises(InputError, match="Python objects"):
            files.load(path)
    monkeypatch.setattr(arrays, "check_header", lambda *_: (12, 2, 2))
    for path in folder.iterdir():
        with pytest.raises(InputError):
            files.load(path)
    monkeypatch.undo()
    for flags in range(8):
        assert doors.idx(bytes([flags]) + pickled, folder) is None
    for flags in range(4):
        assert doors.arrays(bytes([flags]) + pickled, folder) is None
    assert doors.model(pickled, folder) is None
    (folder / "model.json").write_bytes(pickled)
    with pytest.raises(stored.ModelError):
        stored.load_network(folder)
    assert not canary.exists()
    with pytest.raises(FileNotFoundError):  # an opened pickle would have made the folder
        pickle.loads(pickle.dumps(Canary(tmp_path / "missing" / "canary")))


@pytest.mark.fault("names")
def test_a_message_is_one_line_of_limited_length():
    message = str(InputError("a\nb\r\x1b[2J\u2028\ud800" + "x" * 10**5 + "end", ("c\nd",)))
    first, second = message.split("\n")
    assert first.startswith(r"a\nb\r\x1b[2J\u2028\ud800xxx")
    assert first.endswith("xend")
    assert len(first) <= LONGEST + 5
    assert second == r"  c\nd"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["a.npy", "a.npz", "model.json", "model.safetensors"])
def test_a_pipe_is_not_read(tmp_path, name):
    doors.model(SOUND["model"][0], tmp_path)
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError):
        files.load(tmp_path / name) if name.startswith("a.") else stored.load_network(tmp_path)


def test_lzma_in_an_npz_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        for name in ("x_train.npy", "x_test.npy"):
            archive.writestr(name, npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 2)}", 1, bytes(8)))
    with pytest.raises(InputError, match=r"save it with np\.savez"):
        files.load(tmp_path / "a.npz")


@pytest.mark.fault("model")
def test_a_model_file_has_a_size_limit(tmp_path):
    doors.model(json.dumps(SPEC).encode() + b"\0" + save(WEIGHTS) + bytes(stored.MAX_TEXT), tmp_path)
    with pytest.raises(stored.ModelError, match="no file of at most"):
        stored.load_network(tmp_path)
    (tmp_path / "model.json").write_bytes(json.dumps(SPEC).encode() + b" " * stored.MAX_TEXT)
    with pytest.raises(stored.ModelError, match=r"model\.json is no file of at most"):
        stored.load_network(tmp_path)


MEASURE = """
import json, os, resource, sys
from pathlib import Path
from latentfit.sweep import weights as stored
from latentfit.data import files
from latentfit.errors import InputError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def read(path):
    try:
        stored.load_network(path) if (path / "model.json").exists() else files.load(path)
    except InputError:
        pass

small, *large = map(Path, sys.argv[1:])
for path in small.iterdir():
    read(path)
for path in large:  # in a fork, whose peak starts from the present memory
    child = os.fork()
    if child == 0:
        before = peak()
        read(path)
        print(json.dumps([str(path), peak() - before]), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def write_model(folder, sizes, data):
    folder.mkdir()
    spec = SPEC | {"sizes": sizes, "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "model.json").write_text(json.dumps(spec))
    (folder / "model.safetensors").write_bytes(data)


def write_idx(folder, data, suffix=""):
    folder.mkdir()
    for name in idx.NAMES[::2]:
        whole = data if name.startswith("train") else idx_bytes(np.zeros((1, 28, 28), np.uint8))
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(whole, 1) if suffix else whole)


def write_valid(folder, x, layers):
    """Write a valid file of each kind; return their unpacked sizes by path."""
    folder.mkdir()
    unit = x[: len(x) // 8] / 255
    weights = save({name: np.full(shape, 0.5, np.float32) for name, shape in stored.tensor_shapes(layers).items()})
    write_idx(folder / "idx", idx_bytes(x))
    write_idx(folder / "idx-gzip", idx_bytes(x), ".gz")
    for name, array in (("bytes", x), ("floats", unit)):
        np.save(folder / f"{name}.npy", array)
        np.savez(folder / f"{name}.npz", x_train=array[1:], x_test=array[:1])
    write_model(folder / "model", layers, weights)
    sizes = {"idx": x.nbytes, "bytes": x.nbytes, "floats": unit.nbytes, "model": len(weights)}
    return {path: sizes[re.match("[a-z]+", path.name)[0]] for path in folder.iterdir()}


def write_false(folder):
    """Write files that claim 2^31 items and hold 3 MB, more than a thousandth, so that the claim is possible."""
    folder.mkdir()
    noise = np.random.default_rng(0).bytes(3 << 20)
    claim = npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({2**31}, 1, 1)}}", 1, noise)
    false_idx = b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 1, 1) + noise
    write_idx(folder / "idx", false_idx)
    write_idx(folder / "idx-gzip", false_idx, ".gz")
    (folder / "array.npy").write_bytes(claim)
    (folder / "header.npy").write_bytes(b"\x93NUMPY\2\0\xff\xff\xff\xff" + noise)
    (folder / "array.npz").write_bytes(false_directory(claim, len(claim) - len(noise) + 2**31))
    header = {"encoder.0.weight": {"dtype": "F32", "shape": [2**31], "data_offsets": [0, 2**33]}}
    write_model(folder / "model", [2**15, 2**13], safetensors(header, noise))
    write_model(folder / "layers", [1] * 10**5, noise)
    return dict.fromkeys(folder.iterdir(), 0)


def false_directory(data, claimed):
    """A zip with these bytes as x_train, whose directory has a false size for them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", data)
        archive.writestr("x_test.npy", data[:200])
    raw = bytearray(stream.getvalue())
    entry = raw.rindex(b"PK\x01\x02", 0, raw.rindex(b"PK\x01\x02"))
    raw[entry + 24 : entry + 28] = struct.pack("<I", claimed)
    return bytes(raw)


@pytest.mark.fault("idx", "gzip", "arrays", "model")
def test_reading_takes_less_than_three_times_the_size_and_a_false_header_costs_nothing(tmp_path):
    rng = np.random.default_rng(0)
    sizes = write_valid(tmp_path / "valid", rng.integers(0, 256, (51_000, 28, 28), np.uint8), [784, 4000, 500, 3])
    sizes |= write_false(tmp_path / "false")
    write_valid(tmp_path / "small", rng.integers(0, 256, (16, 28, 28), np.uint8), SIZES)  # read first: late imports
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "small"), *map(str, sizes)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    taken = {Path(path): rise for path, rise in map(json.loads, output.splitlines())}
    assert len(taken) == len(sizes) == 14
    for path, size in sizes.items():
        if path.parent.name == "valid":
            assert size > 30 << 20
            assert size / 4 < taken[path] < 3 * size, path  # float64 becomes float32
        else:
            assert taken[path] < 10 << 20, path
