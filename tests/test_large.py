"""Parts of a set that are too large for memory: in files that go with their array, and no copy in memory anywhere."""

import gc
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import RECIPE, small_clothes

from latentfit import study
from latentfit.data import files, large
from latentfit.data.images import ImageSet
from latentfit.data.large import Place
from latentfit.errors import InputError, Lost
from latentfit.recipe import CONVERGED, REFERENCE
from latentfit.sweep import memory
from latentfit.sweep.memory import foretold
from latentfit.sweep.request import Request
from latentfit.sweep.workers import Crew

X = np.random.default_rng(0).integers(0, 256, (1_000, 6, 5), np.uint8)
NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory in /proc")


@pytest.fixture
def small_limit(tmp_path, monkeypatch):
    """Arrays of 10,000 bytes are large here; the folder of their files."""
    large.clear()
    monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(large, "LARGE", 9_999)
    monkeypatch.setattr(large, "TOGETHER", 3_000)
    yield tmp_path / "cache" / "large"
    large.clear()


def files_in(folder):
    gc.collect()
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_large_part_lies_in_a_file_that_goes_with_its_array(small_limit):
    chosen = np.random.default_rng(1).random(1_000) < 0.7
    taken = large.take(X, chosen)
    np.testing.assert_array_equal(taken, X[chosen])
    assert len(files_in(small_limit)) == 1
    view = taken[3:].reshape(-1, 30)
    del taken
    assert len(files_in(small_limit)) == 1
    assert view[0].tobytes() == X[chosen][3].tobytes()
    del view
    assert files_in(small_limit) == []
    few = large.take(X, np.arange(1_000) < 9)
    assert Place.of(few) is None
    assert files_in(small_limit) == []


def test_files_of_a_process_that_was_killed_are_removed_by_the_next(small_limit):
    script = "from latentfit.data import large; import os, signal; large.LARGE = 9; kept = large.empty((99,), float); "
    subprocess.run([sys.executable, "-c", script + "os.kill(os.getpid(), signal.SIGKILL)"], check=False)
    assert len(files_in(small_limit)) == 1
    kept = large.empty((10_000,), np.uint8)
    assert [path.stat().st_size for path in files_in(small_limit)] == [kept.nbytes]
    subprocess.run([sys.executable, "-c", script], check=True)
    assert len(files_in(small_limit)) == 1
    large.clear()
    assert not small_limit.exists()


def test_without_room_in_the_cache_is_an_error_and_leaves_nothing(small_limit, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(InputError, match=r"^30,000 bytes .* LATENTFIT_CACHE_DIR$"):
        large.take(X, np.ones(1_000, bool))
    assert files_in(small_limit) == []


@pytest.mark.parametrize("kind", ["bytes", "floats", "range", "channels first", "drawn"])
def test_a_set_in_files_is_the_set_in_memory(small_limit, tmp_path, monkeypatch, kind):
    x = {"floats": X / 255, "range": X.astype(np.int16), "channels first": np.stack([X, X // 2, 255 - X], axis=1)}
    np.save(tmp_path / "a.npy", x.get(kind, X))
    flags = {"range": {"value_range": 300.0}, "drawn": {"test_share": 0.4}}.get(kind, {})
    requested = files.Reading.requested(**flags)
    found = files.load(tmp_path / "a.npy", requested).with_held_out()
    assert Place.of(found.x_train)
    monkeypatch.setattr(large, "LARGE", 10**9)
    expected = files.load(tmp_path / "a.npy", requested).with_held_out()
    assert Place.of(expected.x_train) is None
    assert found.fingerprint == expected.fingerprint


@pytest.mark.parametrize("view", [np.s_[:], np.s_[9::10], np.s_[::-1], np.s_[5:, 1:, ::2]], ids=str)
def test_a_place_opens_the_same_array_elsewhere(tmp_path, view):
    np.save(tmp_path / "a.npy", X)
    x = np.moveaxis(np.load(tmp_path / "a.npy", mmap_mode="r")[view], 1, 2)
    place = pickle.loads(pickle.dumps(Place.of(x)))
    np.testing.assert_array_equal(place.open(), x)
    assert not place.open().flags.writeable
    assert Place.of(np.array(x)) is Place.of(x[[0, 1]]) is None
    np.save(tmp_path / "b.npy", X)
    (tmp_path / "b.npy").replace(tmp_path / "a.npy")
    with pytest.raises(Lost, match="replaced"):
        place.open()


def test_images_in_a_file_are_not_written_again(tmp_path):
    np.save(tmp_path / "a.npy", X)
    (tmp_path / "folder").mkdir()
    x = np.load(tmp_path / "a.npy", mmap_mode="r")
    images = ImageSet("mapped", x[100:], x[:100]).put_down(tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []
    assert pickle.loads(pickle.dumps(images)).fingerprint == ImageSet("memory", X[100:], X[:100]).fingerprint


MEASURE = """
import os, pickle, sys, threading, time
from pathlib import Path
import numpy as np, torch, scipy.linalg, sklearn.neighbors
from sklearn.utils.extmath import randomized_svd
from latentfit import pca
from latentfit.data import ImageSet, large, load, quality
from latentfit.recipe import Recipe
from latentfit.sweep.job import train_group

def anonymous():
    return int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0]) * 1024

def watch():
    while True:
        most[0] = max(most[0], anonymous())
        time.sleep(0.01)

torch.set_num_threads(1)
large.LARGE = 1 << 23
pca.EXACT, pca.AXES, pca.PASSES, pca.ROOM = 9, 4, 1, 1 << 21
recipe = Recipe("tiny", hidden=(8,), epochs=1, batch_size=500, schedule="plateau", output="clamp", initialization="pca")
images = ImageSet("few", *np.full((2, 2_000, 8, 8), 9, np.uint8))
quality.look(images)
train_group([(2, 0)], images.with_held_out(), recipe)  # what libraries take once
before = anonymous()
most = [before]
threading.Thread(target=watch, daemon=True).start()
images = load(sys.argv[1])
quality.look(images)
images = images.with_held_out()
images.fingerprint
folder = Path(sys.argv[2])
folder.mkdir()
there = pickle.loads(pickle.dumps(images.put_down(folder)))
train_group([(2, 0)], there, recipe)
print(most[0] - before)
"""


@NEEDS_PROC
@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_no_copy_of_the_pixels_is_in_memory(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "cache"))
    count, dtype = (200_000, np.uint8) if kind == "bytes" else (50_000, np.float32)
    x = np.lib.format.open_memmap(tmp_path / "big.npy", "w+", dtype, (count, 10, 80))  # 160 MB
    x[:] = (X[:, :1, :1] / (255 if kind == "floats" else 1)).astype(dtype).repeat(count // 1_000, axis=0)
    x[:, 4:9, 4:9] = 0
    x.flush()
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "big.npy"), str(tmp_path / "folder")]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 0.75 * x.nbytes


def need_of(images, recipe, *sizes):
    return foretold(Request.of(sizes, None, recipe, None), images, Crew(2))


def shaped(n, *shape):
    """A set of so many images that takes no memory."""
    return ImageSet("shaped", np.broadcast_to(np.uint8(7), (n, *shape)), np.broadcast_to(np.uint8(7), (n // 9, *shape)))


def test_the_memory_foretold_grows_with_the_image_and_the_network_and_hardly_with_the_number_of_images():
    small, large = need_of(shaped(900, 28, 28), REFERENCE, 16), need_of(shaped(900, 64, 64, 3), REFERENCE, 16)
    assert small.each < large.each
    assert small.parent < large.parent
    assert need_of(shaped(900, 64, 64, 3), CONVERGED, 16).parent > large.parent  # two PCAs
    many = [need_of(shaped(n, 48, 48, 3), CONVERGED, 8, 16) for n in (10**5, 10**6)]
    assert many[0].each == many[1].each
    assert many[1].parent < many[0].parent + 1e9
    assert str(many[0]).startswith(f"needs about {many[0].total / 1e9:.1f} GB of memory (")
    assert many[0].workers == 2


@pytest.mark.fault("memory")
def test_a_study_without_enough_memory_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(memory, "SAID", 0)
    images, least = small_clothes(), need_of(small_clothes(), RECIPE, 2)
    monkeypatch.setattr(memory, "anonymous", lambda: 0)  # this process may hold more than the study needs
    monkeypatch.setattr(memory, "free_memory", lambda: least.least // 2)
    with pytest.raises(InputError, match=rf"needs about {least.least:,} bytes of memory, and .*--resize"):
        study(images, [2], recipe=RECIPE, out=tmp_path / "a" / "b", tell=said.append)
    assert not (tmp_path / "a").exists()
    assert said == []
    monkeypatch.setattr(memory, "free_memory", lambda: 2 * least.total)
    study(images, [2], recipe=RECIPE, out=tmp_path / "a", tell=said.append)
    assert said[0] == str(need_of(images, RECIPE, 2))
    monkeypatch.setattr(memory, "free_memory", lambda: 0)
    study(images, [2], recipe=RECIPE, out=tmp_path / "a")  # which is finished
