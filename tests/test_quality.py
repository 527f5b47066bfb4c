"""What is odd about images: counted correctly, reported in words, and no note on images that are not odd."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from helpers import small_clothes

from latentfit.data import files, quality, reading
from latentfit.data.images import MAX_CLASSES, ImageSet
from latentfit.data.reading import Reading
from latentfit.errors import InputError

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (600, 6, 5), np.uint8)


def film(n=600, wobble=0):
    """A spot that moves a little from frame to frame."""
    down, across = np.mgrid[:12, :12]
    t = np.arange(n)[:, None, None]
    spot = np.exp(-((down - 6 - 4 * np.sin(t / 37)) ** 2 + (across - 6 - 4 * np.cos(t / 53)) ** 2) / 6)
    return np.rint(220 * spot + wobble * RNG.random((n, 12, 12))).astype(np.uint8)


def from_file(tmp_path, x, **requested):
    np.save(tmp_path / "a.npy", x)
    return files.load(tmp_path / "a.npy", Reading.requested(**requested))


def notes(images):
    return " ".join(quality.notes(quality.look(images)))


def test_images_that_are_not_odd_have_no_notes(tmp_path):
    assert notes(small_clothes()) == notes(ImageSet("noise", NOISE[:500], NOISE[500:])) == ""
    for seed in range(20):
        x = np.random.default_rng(seed).integers(0, 256, (40, 3, 3), np.uint8)
        assert notes(from_file(tmp_path, x)) == ""


DARK = (NOISE / 255 / 255).astype(np.float32)


@pytest.mark.fault("pixels")
@pytest.mark.parametrize(
    ("x", "value_range", "note"),
    [
        (NOISE // 128, None, "0 and 1 alone"),
        (NOISE // 16 + 1, 16, "from 0 to 16, as --range 16 says"),
        (NOISE // 8, 255, "The images are dark"),
        (DARK, None, "The images are dark"),
    ],
    ids=["0 and 1", "range", "dark bytes", "divided twice"],
)
def test_odd_pixels_have_a_note(tmp_path, x, value_range, note):
    assert note in notes(from_file(tmp_path, x, value_range=value_range))


COPIES = {
    "none": (NOISE[500:], 0, ""),
    "all": (NOISE[:100], 100, "All of the 100 test images are training images too"),
    "one": ([*NOISE[500:599], NOISE[7]], 1, "1 of the 100 test images (1 %) is a training image too"),
    "two of many": ([*NOISE[500:], NOISE[3]] * 2, 2, "2 of the 202 test images (under 1 %) are training"),
}


@pytest.mark.fault("copies")
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize(("x_test", "count", "note"), COPIES.values(), ids=COPIES)
def test_exact_copies_are_counted_across_chunks(monkeypatch, x_test, count, note, kind):
    monkeypatch.setattr(reading, "CHUNK", 70)
    x_train, x_test = NOISE[:500], np.stack([*x_test])
    if kind == np.float32:
        x_train, x_test = (x.astype(np.float32) / 255 for x in (x_train, x_test))
        x_test = np.where(x_test == 0, np.float32(-0.0), x_test)
    images = ImageSet("copies", x_train, x_test)
    assert quality.look(images).copies == count
    assert note in notes(images)
    assert ("pixel for pixel" in notes(images)) == (count > 0)


@pytest.mark.fault("copies")
def test_near_copies_are_counted_without_the_exact_ones(monkeypatch):
    images = ImageSet("near", NOISE[:500], np.concatenate([NOISE[:30] ^ 1, NOISE[30:50], NOISE[500:]]))
    found = quality.look(images)
    assert (found.near, found.copies, found.looked, found.among) == (30, 20, 150, 500)
    assert "30 of 150 test images looked at have a near copy among 500 training images" in notes(images)
    monkeypatch.setattr(quality, "AMONG", 250)
    assert 5 < quality.look(images).near < 30
    assert "among 250 of 500 training images" in notes(images)


@pytest.mark.fault("copies")
def test_a_near_copy_may_be_equal_at_the_precision_of_the_distance():
    x = RNG.random((60, 12, 12), np.float32) * np.float32(0.9)
    found = quality.look(ImageSet("again", x, np.nextafter(x[:20], np.float32(1))))
    assert (found.copies, found.near) == (0, 20)


@pytest.mark.fault("copies")
@pytest.mark.parametrize("wobble", [0, 30])
@pytest.mark.parametrize(
    ("test_share", "split", "parts"),
    [
        (None, "tenth", ["by chance it would be for 0.22", "--test SHARE", "an .npz with x_train and x_test"]),
        (0.1, "drawn", ["test images drawn at random have theirs on the other side"]),
    ],
)
def test_neighbours_in_a_film_have_a_note_however_test_images_are_chosen(tmp_path, wobble, test_share, split, parts):
    images = from_file(tmp_path, film(wobble=wobble), test_share=test_share)
    found = quality.look(images)
    assert (found.split, found.looked, found.among) == (split, 60, 540)
    assert found.beside > 30
    assert found.chance < 1e-9
    for part in ("is the one before or after it in the file", *parts):
        assert part in notes(images)
    assert ("--test SHARE" in notes(images)) == (split == "tenth")
    assert {type(value) for value in asdict(found).values()} <= {int, float, str, tuple, type(None)}  # as in JSON


@pytest.mark.parametrize("factor", [5, 20])
def test_a_few_images_of_a_large_film_are_compared_with_their_neighbours(tmp_path, monkeypatch, factor):
    for name, value in {"LOOKED": 10, "AMONG": 10 * factor, "COMPARED": 100}.items():
        monkeypatch.setattr(quality, name, value)
    found = quality.look(from_file(tmp_path, film(1200)))
    assert (found.looked, found.among) == (10, 10 * factor)
    assert found.beside >= 5


@pytest.mark.parametrize("test_share", [None, 0.3])
def test_neighbours_in_the_file_are_those_of_the_split(tmp_path, test_share):
    images = from_file(tmp_path, np.arange(200, 247, dtype=np.uint8)[:, None, None], test_share=test_share)
    train, test = (part.ravel().astype(int) for part in (images.x_train, images.x_test))
    for value, (before, after) in zip(test, quality._file_neighbours(images), strict=True):
        assert before == max(np.flatnonzero(train < value), default=-1)
        assert after == min(np.flatnonzero(train > value), default=-1)


@pytest.mark.parametrize(("beside", "chance", "count"), [(1, 0.2, 0), (4, 1e-5, 1), (3, 0.00099, 1), (0, 1e-9, 0)])
def test_neighbours_have_a_note_only_if_chance_does_not_explain_them(tmp_path, beside, chance, count):
    found = replace(quality.look(from_file(tmp_path, NOISE[:40])), beside=beside, chance=chance)
    assert found.looked == 4
    assert len(quality.notes(found)) == count


def test_findings_do_not_depend_on_the_number_of_threads(tmp_path):
    from threadpoolctl import threadpool_limits

    images, found = from_file(tmp_path, film(400).astype(np.float32) / 251), []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(quality.look(images))
    assert found[0] == found[1]


def test_distances_are_exact_sums_of_integers():
    x = RNG.random((9, 4, 4)).astype(np.float32)
    integers = quality._as_integers(x, np.arange(9), np.arange(16))
    np.testing.assert_array_equal(integers, np.rint(x.reshape(9, 16).astype(float) * 65535))
    assert 2 * 65535**2 * quality.COMPARED < 2**53


@pytest.mark.parametrize(("hits", "tries", "p", "tail"), [(0, 9, 0.1, 1), (9, 9, 0.5, 2**-9), (1, 3, 0.1, 0.271)])
def test_the_binomial_tail(hits, tries, p, tail):
    assert math.isclose(quality.binomial_tail(hits, tries, p), tail)
    assert quality.binomial_tail(500, 500, 2e-4) >= 0


LABELS = {  # labels of training and test images, names of the classes, note
    "from 1": ([1, 2, 26], [26, 1, 2], ("1", "2", "26"), ""),
    "from 0": ([0, 1, 2], [2, 1, 0], ("0", "1", "2"), ""),
    "below 0": ([-1, 1, 1], [1, -1, -1], ("-1", "1"), ""),
    "one without a test image": ([1, 2, 3], [1, 2, 2], ("1", "2", "3"), "1 class without a test image: 3."),
    "one without a training image": ([5, 7, 5], [5, 7, 9], ("5", "7", "9"), "1 class without a training image: 9."),
    "two sides": ([1, 2, 3], [4, 4, 3], ("1", "2", "3", "4"), "2 classes without a test image: 1 and 2; 1 class"),
    "beyond exact floats": ([2**60, 2**60 + 1, 2**60], [2**60] * 3, (str(2**60), str(2**60 + 1)), f": {2**60 + 1}."),
    "many": (range(50), [*range(10)] * 5, tuple(map(str, range(50))), "test image: 10, 11, 12, 13 and 36 more."),
}


@pytest.mark.fault("labels")
@pytest.mark.parametrize("kinds", [("i8", "i8"), (">i8", "i8"), ("i8", "u8")], ids=str)
@pytest.mark.parametrize(("train", "test", "names", "note"), LABELS.values(), ids=LABELS)
def test_the_classes_are_the_labels_that_occur(train, test, names, note, kinds):
    n, test = len(train), np.abs(test) if min(test) < 0 and kinds[1] == "u8" else test
    images = ImageSet("labels", NOISE[:n], NOISE[n : 2 * n], np.array(train, kinds[0]), np.array(test, kinds[1]))
    assert images.classes == names
    for written, read in ((train, images.y_train), (test, images.y_test)):
        assert [images.classes[label] for label in read] == [str(label) for label in written]
    assert note in notes(images)


def test_labels_from_0_are_not_copied():
    y = np.array([0, 1, 2], np.uint8)
    images = ImageSet("labels", NOISE[:3], NOISE[3:6], y, y)
    assert images.y_train is y
    again = replace(images, name="again")
    assert (again.classes, again.fingerprint) == (images.classes, images.fingerprint)


@pytest.mark.fault("labels")
def test_too_many_labels_are_left_out_with_a_note():
    x, y = np.zeros((MAX_CLASSES + 1, 2, 2), np.uint8), np.arange(MAX_CLASSES + 1)
    images = ImageSet("numbers", x, x, y, y)
    assert (images.y_train, images.y_test, images.classes) == (None, None, None)
    assert "labels are left out: 1,001 different ones" in notes(images)
    assert ImageSet("numbers", x[1:], x[1:], y[1:], y[1:]).classes[-1] == "1000"


@pytest.mark.fault("labels")
def test_given_class_names_limit_the_labels():
    y, names = np.array([0, 2, 2]), ("a", "b", "c")
    images = ImageSet("named", NOISE[:3], NOISE[3:6], y, y, names)
    assert images.classes == names
    assert notes(images) == ""
    for labels in (y + 1, y - 1):
        with pytest.raises(InputError, match="expected 0 to 2"):
            ImageSet("named", NOISE[:3], NOISE[3:6], labels, y, names)


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize(
    ("train", "test", "names"),
    [(1.6e-5, 0.1, None), (1.5e-5, 0.1, "training"), (0.1, 0.0, "test"), (0.0, 1e-9, "training and test")],
)
def test_images_without_variance_have_a_note(train, test, names):
    note = quality.no_variance({"train": train, "test": test})
    assert note is None if names is None else note.startswith(f"The {names} images hold next to no variance")


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize(("noise", "varies"), [(0, False), (1, False), (4, True)])
def test_one_picture_with_a_grey_level_of_noise_has_no_variance(noise, varies):
    x = (RNG.integers(50, 200, (20, 20)) + RNG.integers(-noise, noise + 1, (500, 20, 20))).astype(np.uint8)
    variance = float(np.square(x / 255 - x.mean(axis=0) / 255).mean())
    assert (quality.no_variance({"train": variance, "test": variance}) is None) == varies
