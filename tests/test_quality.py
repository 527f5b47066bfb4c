"""What is odd about images: counted right, told in words, and nothing told of images that are not odd."""

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


def from_file(tmp_path, x, **asked):
    np.save(tmp_path / "a.npy", x)
    return files.load(tmp_path / "a.npy", Reading.requested(**asked))


def notes(images):
    return " ".join(quality.notes(quality.look(images)))


@pytest.mark.parametrize(
    "images", [small_clothes(), ImageSet("noise", NOISE[:500], NOISE[500:])], ids=["clothes", "noise"]
)
def test_nothing_is_told_of_images_that_are_not_odd(images):
    assert quality.notes(quality.look(images)) == []


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_told_of_images_in_no_order(tmp_path, seed):
    x = np.random.default_rng(seed).integers(0, 256, (40, 3, 3), np.uint8)
    assert quality.notes(quality.look(from_file(tmp_path, x))) == []


@pytest.mark.fault("pixels")
def test_pixels_of_0_and_1_and_a_range_are_told(tmp_path):
    assert "0 and 1 alone" in notes(from_file(tmp_path, NOISE // 128))
    assert "from 0 to 16, as --range 16 says" in notes(from_file(tmp_path, NOISE // 16 + 1, value_range=16))


@pytest.mark.fault("pixels")
@pytest.mark.parametrize("x", [NOISE // 8, (NOISE / 255 / 255).astype(np.float32)], ids=["bytes", "divided twice"])
def test_dark_images_are_told(x):
    assert "The images are dark" in notes(ImageSet("dark", x[:500], x[500:]))


COPIES = {
    "none": (NOISE[500:], 0, ""),
    "all": (NOISE[:100], 100, "All of the 100 test images are training images too"),
    "one": (np.concatenate([NOISE[500:599], NOISE[7:8]]), 1, "1 of the 100 test images (1 %) is a training image too"),
    "one of many": (
        np.concatenate([NOISE[500:], NOISE[3:4]] * 2),
        2,
        "2 of the 202 test images (under 1 %) are training",
    ),
}


@pytest.mark.fault("copies")
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize(("x_test", "count", "told"), COPIES.values(), ids=COPIES)
def test_test_images_that_are_training_images(x_test, count, told, kind):
    x_train = NOISE[:500]
    if kind == np.float32:
        x_train, x_test = (x.astype(np.float32) / 255 for x in (x_train, x_test))
        x_test = np.where(x_test == 0, np.float32(-0.0), x_test)
    images = ImageSet("copies", x_train, x_test)
    assert quality.look(images).copies == count
    assert told in notes(images)
    assert ("pixel for pixel" in notes(images)) == (count > 0)


def test_copies_are_found_beyond_one_chunk(monkeypatch):
    monkeypatch.setattr(reading, "CHUNK", 7)
    assert quality.exact_copies(ImageSet("copies", NOISE[:500], NOISE[450:])).sum() == 50


@pytest.mark.fault("copies")
def test_near_copies_are_told_and_exact_ones_are_none(monkeypatch):
    x_test = np.concatenate([NOISE[:30] ^ 1, NOISE[30:50], NOISE[500:]])
    found = quality.look(ImageSet("near", NOISE[:500], x_test))
    assert (found.near, found.copies, found.looked, found.among) == (30, 20, 150, 500)
    assert "30 of 150 test images looked at have a near copy among 500 training images" in " ".join(
        quality.notes(found)
    )
    monkeypatch.setattr(quality, "AMONG", 250)
    found = quality.look(ImageSet("near", NOISE[:500], x_test))
    assert 5 < found.near < 30
    assert "among 250 of 500 training images" in " ".join(quality.notes(found))


@pytest.mark.fault("copies")
@pytest.mark.parametrize("wobble", [0, 30])
def test_a_film_is_no_test_of_new_images(tmp_path, wobble):
    found = quality.look(from_file(tmp_path, film(wobble=wobble)))
    assert (found.split, found.looked, found.among) == ("tenth", 60, 540)
    assert found.beside > 30
    assert found.chance < 1e-9
    told = " ".join(quality.notes(found))
    assert "is the one before or after it in the file; by chance it would be for 0.22" in told
    assert "--test SHARE" in told
    assert "an .npz with x_train and x_test" in told


@pytest.mark.fault("copies")
def test_drawing_the_test_images_does_not_silence_what_it_does_not_mend(tmp_path):
    found = quality.look(from_file(tmp_path, film(wobble=30), test_share=0.1))
    assert found.split == "drawn"
    told = " ".join(quality.notes(found))
    assert "test images drawn at random have theirs on the other side" in told
    assert "--test SHARE" not in told


@pytest.mark.parametrize("factor", [5, 20])
def test_few_test_images_are_looked_at_among_few_training_images(tmp_path, monkeypatch, factor):
    monkeypatch.setattr(quality, "LOOKED", 10)
    monkeypatch.setattr(quality, "AMONG", 10 * factor)
    monkeypatch.setattr(quality, "COMPARED", 100)
    found = quality.look(from_file(tmp_path, film(1200)))
    assert (found.looked, found.among) == (10, 10 * factor)  # the neighbours are among them
    assert found.beside >= 5


def test_the_neighbours_in_the_file_are_those_of_the_split(tmp_path):
    x = np.arange(47, dtype=np.uint8)[:, None, None] + np.full((1, 1), 200, np.uint8)
    for asked in ({}, {"test_share": 0.3}):
        images = from_file(tmp_path, x, **asked)
        train, test = (part.ravel().astype(int) for part in (images.x_train, images.x_test))
        for value, (before, after) in zip(test, quality._file_neighbours(images), strict=True):
            assert before == (np.flatnonzero(train < value)[-1] if (train < value).any() else -1)
            assert after == (np.flatnonzero(train > value)[0] if (train > value).any() else -1)


def test_what_is_found_is_the_same_with_any_number_of_threads(tmp_path):
    from threadpoolctl import threadpool_limits

    x = film(400).astype(np.float32) / 251
    images = from_file(tmp_path, x)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(quality.look(images))
    assert found[0] == found[1]


@pytest.mark.parametrize(("hits", "tries", "p", "wanted"), [(0, 9, 0.1, 1), (9, 9, 0.5, 2**-9), (1, 3, 0.1, 0.271)])
def test_the_binomial(hits, tries, p, wanted):
    assert math.isclose(quality.binomial_tail(hits, tries, p), wanted)
    assert quality.binomial_tail(500, 500, 2e-4) >= 0


LABELS = {  # labels of training and test images, names of the classes, what is told
    "from 1": ([1, 2, 26], [26, 1, 2], ("1", "2", "26"), ""),
    "from 0": ([0, 1, 2], [2, 1, 0], ("0", "1", "2"), ""),
    "below 0": ([-1, 1, 1], [1, -1, -1], ("-1", "1"), ""),
    "one without a test image": ([1, 2, 3], [1, 2, 2], ("1", "2", "3"), "1 class without a test image: 3."),
    "one without a training image": ([5, 7, 5], [5, 7, 9], ("5", "7", "9"), "1 class without a training image: 9."),
    "two sides": ([1, 2, 3], [4, 4, 3], ("1", "2", "3", "4"), "2 classes without a test image: 1 and 2; 1 class"),
    "beyond whole floats": ([2**60, 2**60 + 1, 2**60], [2**60] * 3, (str(2**60), str(2**60 + 1)), f": {2**60 + 1}."),
}


@pytest.mark.fault("labels")
@pytest.mark.parametrize("kinds", [("i8", "i8"), (">i8", "i8"), ("i8", "u8")], ids=str)
@pytest.mark.parametrize(("train", "test", "names", "told"), LABELS.values(), ids=LABELS)
def test_classes_are_those_that_occur(train, test, names, told, kinds):
    test = np.abs(test) if min(test) < 0 and kinds[1] == "u8" else test
    images = ImageSet("labels", NOISE[:3], NOISE[3:6], np.array(train, kinds[0]), np.array(test, kinds[1]))
    assert images.classes == names
    for written, read in ((train, images.y_train), (test, images.y_test)):
        assert [images.classes[label] for label in read] == [str(label) for label in written]
    assert told in notes(images)


def test_labels_that_count_from_0_stay_as_they_are():
    y = np.array([0, 1, 2], np.uint8)
    images = ImageSet("labels", NOISE[:3], NOISE[3:6], y, y)
    assert images.y_train is y
    again = replace(images, name="again")
    assert (again.classes, again.fingerprint) == (images.classes, images.fingerprint)


@pytest.mark.fault("labels")
def test_too_many_labels_are_left_out_and_told():
    x, y = np.zeros((MAX_CLASSES + 1, 2, 2), np.uint8), np.arange(MAX_CLASSES + 1)
    images = ImageSet("numbers", x, x, y, y)
    assert (images.y_train, images.y_test, images.classes) == (None, None, None)
    assert "labels are left out: 1,001 different ones" in notes(images)
    assert ImageSet("numbers", x[1:], x[1:], y[1:], y[1:]).classes[-1] == "1000"


def test_many_classes_are_named_in_part():
    y = np.arange(50)
    told = notes(ImageSet("labels", NOISE[:50], NOISE[50:100], y, y % 10))
    assert "40 classes without a test image: 10, 11, 12, 13 and 36 more." in told


@pytest.mark.fault("labels")
def test_names_that_are_given_are_kept_and_bound_the_labels():
    y = np.array([0, 2, 2])
    images = ImageSet("named", NOISE[:3], NOISE[3:6], y, y, ("a", "b", "c"))
    assert images.classes == ("a", "b", "c")
    assert notes(images) == ""
    for odd in (y + 1, y - 1):
        with pytest.raises(InputError, match="expected 0 to 2"):
            ImageSet("named", NOISE[:3], NOISE[3:6], odd, y, ("a", "b", "c"))


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize(
    ("variance", "told"),
    [
        ({"train": 1.6e-5, "test": 0.1}, None),
        ({"train": 1.5e-5, "test": 0.1}, "The training images hold next to no variance"),
        ({"train": 0.1, "test": 0.0}, "The test images hold next to no variance"),
        ({"train": 0.0, "test": 1e-9}, "The training and test images hold next to no variance"),
    ],
)
def test_images_without_variance_are_told(variance, told):
    said = quality.no_variance(variance)
    assert said is None if told is None else said.startswith(told)


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize(("noise", "varies"), [(0, False), (1, False), (4, True)])
def test_copies_of_one_picture_with_a_grey_level_of_noise_hold_nothing(noise, varies):
    x = (RNG.integers(50, 200, (20, 20)) + RNG.integers(-noise, noise + 1, (500, 20, 20))).astype(np.uint8)
    variance = float(np.square(x / 255 - x.mean(axis=0) / 255).mean())
    assert (quality.no_variance({"train": variance, "test": variance}) is None) == varies


@pytest.mark.fault("copies")
def test_a_near_copy_is_one_also_where_no_number_that_is_compared_differs():
    x = RNG.random((60, 12, 12), np.float32) * np.float32(0.9)
    found = quality.look(ImageSet("again", x, np.nextafter(x[:20], np.float32(1))))
    assert (found.copies, found.near) == (0, 20)


def test_what_is_written_down_is_plain(tmp_path):
    found = quality.look(from_file(tmp_path, film()))
    assert {type(value) for value in asdict(found).values()} <= {int, float, str, tuple, type(None)}


@pytest.mark.parametrize(("beside", "chance", "told"), [(1, 0.2, 0), (4, 1e-5, 1), (3, 0.00099, 1), (0, 1e-9, 0)])
def test_the_order_is_told_only_where_chance_is_no_reason(tmp_path, beside, chance, told):
    found = replace(quality.look(from_file(tmp_path, NOISE[:40])), beside=beside, chance=chance)
    assert found.looked == 4
    assert len(quality.notes(found)) == told


def test_distances_are_made_of_whole_numbers():
    x = RNG.random((9, 4, 4)).astype(np.float32)
    whole = quality._as_integers(x, np.arange(9), np.arange(16))
    np.testing.assert_array_equal(whole, np.rint(x.reshape(9, 16).astype(float) * 65535))
    assert 2 * 65535**2 * quality.COMPARED < 2**53  # sums of products stay exact
