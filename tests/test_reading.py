"""What the numbers in a file mean as pixels: read as what they are and said, or refused with the range to give."""

import numpy as np
import pytest

from latentfit.data import files
from latentfit.data.reading import Reading, choose_test_images, number, probable_maximum, scale
from latentfit.errors import InputError

UNIT = np.linspace(0, 1, 24 * 20).reshape(24, 5, 4)[np.random.default_rng(0).permutation(24)]


def whole(top, kind):
    """Values that run from 0 to `top`."""
    return np.rint(UNIT * top).astype(kind)


def loaded(tmp_path, x, top=None, kind="npy"):
    if kind == "npy":
        np.save(tmp_path / "a.npy", x)
    else:
        np.savez(tmp_path / "a.npz", x_train=x[:20], x_test=x[20:])
    return files.load(tmp_path / f"a.{kind}", Reading.requested(top))


def together(images):
    """All pixels in [0, 1], and the type they are held as."""
    x = np.concatenate([images.x_train, images.x_test])
    return np.sort((x / 255 if x.dtype == np.uint8 else x).ravel()), x.dtype


READ = {  # values, --range, type they are held as, range that is recorded
    "bytes": (whole(255, "u1"), None, "u1", None),
    "bytes, told": (whole(255, "u1"), 255, "u1", None),
    "bytes of 0 and 1": (whole(1, "u1"), None, "u1", 1),
    "bytes of 0 and 1, told": (whole(1, "u1"), 1, "u1", 1),
    "bytes of 0 and 1, as they are": (whole(1, "u1"), 255, "u1", 255),
    "booleans": (whole(1, "?"), None, "u1", 1),
    "integers of 0 and 1": (whole(1, "i8"), None, "u1", 1),
    "4 bits": (whole(15, "u1"), 15, "u1", 15),
    "scikit-learn's digits": (whole(16, "u1"), 16, "f4", 16),
    "digits as floats": (whole(16, "f8"), 16, "f4", 16),
    "dark bytes": (whole(40, "u1"), 255, "u1", 255),
    "bytes as integers": (whole(255, "i8"), 255, "u1", 255),
    "10 bits": (whole(1023, "u2"), 1023, "f4", 1023),
    "12 bits": (whole(4095, "i2"), 4095, "f4", 4095),
    "16 bits, big-endian": (whole(65535, ">u2"), 65535, "f4", 65535),
    "floats": (UNIT, None, "f4", None),
    "floats, told": (UNIT, 1, "f4", None),
    "floats of 0 and 1": (whole(1, "f4"), None, "f4", None),
    "floats that end within the range": (UNIT * 3, 4.5, "f4", 4.5),
    "all black": (np.zeros((24, 5, 4), np.uint8), None, "u1", None),
    "all white": (np.ones((24, 5, 4), bool), None, "u1", 1),
}


@pytest.mark.fault("pixels")
@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize(("x", "top", "held", "recorded"), READ.values(), ids=READ)
def test_pixels_are_read_as_what_they_are(tmp_path, x, top, held, recorded, kind):
    images = loaded(tmp_path, x, top, kind)
    found, dtype = together(images)
    assert dtype == held
    assert images.reading.value_range == recorded
    assert images.reading.split == {"npy": "tenth", "npz": "given"}[kind]
    end = top or recorded or (255 if x.dtype == np.uint8 else 1)
    np.testing.assert_allclose(found, np.sort(x.astype(float).ravel()) / end, atol=1e-7)


@pytest.mark.parametrize("x", [whole(1, "u1"), whole(255, "i8"), whole(16, "f4")])
def test_what_is_recorded_reads_the_file_so_again(tmp_path, x):
    top = None if x.max() == 1 else float(x.max())
    images = loaded(tmp_path, x, top)
    again = loaded(tmp_path, x, images.reading.value_range)
    assert again.fingerprint == images.fingerprint
    assert again.reading == images.reading


REFUSED = {  # values, --range, what is told: what was found, the divisor, the flag, the line of Python
    "digits": (whole(16, "u1"), None, ["from 0 to 16", "expected 0 to 255", "--range 16 ", "x / 16", "--range 255"]),
    "4 bits": (whole(15, "u1"), None, ["from 0 to 15", "--range 15 ", "x / 15"]),
    "dark bytes": (whole(40, "u1"), None, ["from 0 to 40", "--range 63 ", "--range 255"]),
    "digits as floats": (whole(16, "f8"), None, ["run from 0 to 16;", "--range 16 ", "save x / 16"]),
    "nearly digits": (UNIT * 15.5, None, ["to 15.5", "--range 16 "]),
    "10 bits": (whole(1000, "u2"), None, ["uint16 from 0 to 1000", "--range 1023 ", "save x / 1023"]),
    "12 bits": (whole(4095, "i4"), None, ["int32 from 0 to 4095", "--range 4095 ", "(in Python value_range=4095)"]),
    "16 bits": (whole(65535, ">u2"), None, ["from 0 to 65535", "--range 65535 "]),
    "more": (whole(1e6, "i8"), None, ["from 0 to 1000000", "--range 1000000 "]),
    "bytes as floats": (whole(255, "f4"), None, ["from 0 to 255", "--range 255 ", "x / 255"]),
    "bytes as integers": (whole(255, "i8"), None, ["int64 from 0 to 255", "--range 255 ", "or x.astype(np.uint8)"]),
    "around 0": (UNIT * 2 - 1, None, ["from -1 to 1", "(x + 1) / 2"]),
    "integers around 0": (whole(9, "i8") - 4, None, ["int64 from -4 to 5", "undo the standardisation"]),
    "rounded": (UNIT * 1.0001, None, ["from 0 to 1.0001", "x.clip(0, 1)"]),
    "beyond the range": (whole(16, "u1"), 15, ["from 0 to 16", "15 lie outside 0 to 15", "--range 15"]),
    "below the range": (UNIT - 0.5, 1, ["from -0.5 to 0.5", "outside 0 to 1,", "the first in image"]),
    "no number in a range": (np.where(UNIT == 1, np.nan, UNIT), 2, ["1 pixels are NaN"]),
    "infinite in a range": (np.where(UNIT == 1, np.inf, UNIT), 2, ["inf", "1 lie outside 0 to 2"]),
}


@pytest.mark.fault("pixels")
@pytest.mark.parametrize(("x", "top", "told"), REFUSED.values(), ids=REFUSED)
def test_a_range_that_is_not_plain_is_refused_with_the_one_to_give(tmp_path, x, top, told):
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, x, top)
    for words in told:
        assert words in f"{caught.value} "
    if top is None and x.max() <= 16:
        assert "255" not in str(caught.value).replace("0 to 255", "").replace("--range 255", "")


@pytest.mark.fault("pixels")
@pytest.mark.parametrize(("train", "test"), [(255, 1), (1, 255), (16, 255)])
def test_splits_of_two_ranges_are_refused(tmp_path, train, test):
    np.savez(tmp_path / "a.npz", x_train=whole(train, "u1"), x_test=whole(test, "u1"))
    with pytest.raises(InputError, match="one range for both") as caught:
        files.load(tmp_path / "a.npz")
    assert f"{['x_train', 'x_test'][train > test]} in " in str(caught.value)
    assert files.load(tmp_path / "a.npz", Reading.requested(255)).x_train.max() == train


def test_bytes_beside_floats_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=UNIT, x_test=whole(255, "u1"))
    with pytest.raises(InputError, match="uint8 beside floats"):
        files.load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("high", "end"), [(2, "3"), (15, "15"), (15.2, "16"), (16, "16"), (17, "31"), (70000, "70000")]
)
def test_the_probable_maximum(high, end):
    assert probable_maximum(high) == end


def test_numbers_have_the_digits_they_have():
    assert [number(value) for value in (16.0, 4095, 0.5, 1e6)] == ["16", "4095", "0.5", "1000000"]


@pytest.mark.parametrize(("n", "share", "count"), [(10, 0.2, 2), (3, 0.01, 1), (3, 0.99, 2), (1000, 0.25, 250)])
def test_a_share_is_drawn_the_same_each_time(n, share, count):
    chosen = choose_test_images(n, Reading(split="drawn", test_share=share))
    assert chosen.sum() == count
    np.testing.assert_array_equal(chosen, choose_test_images(n, Reading(split="drawn", test_share=share)))


def test_a_share_leaves_nothing_out_and_takes_nothing_twice(tmp_path):
    x = np.arange(40, dtype=np.uint8).reshape(40, 1, 1) + 200
    np.save(tmp_path / "a.npy", x)
    images = files.load(tmp_path / "a.npy", Reading.requested(test_share=0.3))
    assert len(images.x_test) == 12
    assert sorted([*images.x_train.ravel(), *images.x_test.ravel()]) == sorted(x.ravel())
    assert images.x_test.ravel().tolist() != x[9::10].ravel().tolist()
    assert (images.reading.split, images.reading.test_share) == ("drawn", 0.3)


def test_a_set_with_test_images_of_its_own_takes_no_share(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=whole(255, "u1"), x_test=whole(255, "u1"))
    for path in (tmp_path / "a.npz", tmp_path):
        with pytest.raises(InputError, match="has test images of its own"):
            files.load(path, Reading.requested(test_share=0.1))


def test_scaling_is_exact_where_bytes_hold_it():
    assert scale(np.array([[[0, 5, 15]]], np.int64), 15).tolist() == [[[0, 85, 255]]]
    np.testing.assert_array_equal(scale(np.array([[[0, 1, 16]]]), 16), np.float32([[[0, 0.0625, 1]]]))


@pytest.mark.fault("pixels")
def test_the_probable_maximum_is_that_of_both_splits(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=UNIT * 15, x_test=UNIT * 16)
    with pytest.raises(InputError, match=r"x_train in .* run from 0 to 15; .* --range 16 "):
        files.load(tmp_path / "a.npz")
