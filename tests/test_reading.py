"""What the numbers in a file mean as pixels: read and recorded, or refused with the range to give."""

import numpy as np
import pytest

from latentfit.data import files
from latentfit.data.reading import Reading, choose_test_images, number
from latentfit.errors import InputError

UNIT = np.linspace(0, 1, 24 * 20).reshape(24, 5, 4)[np.random.default_rng(0).permutation(24)]


def whole(top, kind):
    """Values that run from 0 to `top`."""
    return np.rint(UNIT * top).astype(kind)


def load(tmp_path, x, top=None, suffix="npy"):
    path = tmp_path / f"a.{suffix}"
    np.save(path, x) if suffix == "npy" else np.savez(path, x_train=x[:20], x_test=x[20:])
    return files.load(path, Reading.requested(top))


READ = {  # values, --range, type of the pixels, recorded range
    "bytes": (whole(255, "u1"), None, "u1", None),
    "bytes, given": (whole(255, "u1"), 255, "u1", None),
    "bytes of 0 and 1": (whole(1, "u1"), None, "u1", 1),
    "bytes of 0 and 1, given": (whole(1, "u1"), 1, "u1", 1),
    "bytes of 0 and 1, nearly black": (whole(1, "u1"), 255, "u1", 255),
    "booleans": (whole(1, "?"), None, "u1", 1),
    "integers of 0 and 1": (whole(1, "i8"), None, "u1", 1),
    "4 bits": (whole(15, "u1"), 15, "u1", 15),
    "scikit-learn's digits": (whole(16, "u1"), 16, "f4", 16),
    "digits as floats": (whole(16, "f8"), 16, "f4", 16),
    "dark bytes": (whole(40, "u1"), 255, "u1", 255),
    "bytes as integers": (whole(255, "i8"), 255, "u1", 255),
    "signed bytes": (whole(100, "i1"), 100, "f4", 100),
    "10 bits": (whole(1023, "u2"), 1023, "f4", 1023),
    "12 bits": (whole(4095, "i2"), 4095, "f4", 4095),
    "16 bits, big-endian": (whole(65535, ">u2"), 65535, "f4", 65535),
    "floats": (UNIT, None, "f4", None),
    "floats, given": (UNIT, 1, "f4", None),
    "floats of 0 and 1": (whole(1, "f4"), None, "f4", None),
    "floats that end within the range": (UNIT * 3, 4.5, "f4", 4.5),
    "all black": (np.zeros((24, 5, 4), np.uint8), None, "u1", None),
    "all white": (np.ones((24, 5, 4), bool), None, "u1", 1),
}


@pytest.mark.fault("pixels")
@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize(("x", "top", "dtype", "recorded"), READ.values(), ids=READ)
def test_pixels_are_read_and_their_range_is_recorded(tmp_path, x, top, dtype, recorded, suffix):
    images = load(tmp_path, x, top, suffix)
    pixels = np.concatenate([images.x_train, images.x_test])
    assert pixels.dtype == dtype
    assert images.reading == Reading(recorded, {"npy": "tenth", "npz": "given"}[suffix])
    end = top or recorded or (255 if x.dtype == np.uint8 else 1)
    unit = pixels / 255 if dtype == "u1" else pixels
    np.testing.assert_allclose(np.sort(unit.ravel()), np.sort(x.astype(float).ravel()) / end, atol=1e-7)
    again = load(tmp_path, x, recorded, suffix)
    assert (again.fingerprint, again.reading) == (images.fingerprint, images.reading)


REFUSED = {  # values, --range, parts of the message: the limits, the divisor, the flag, the line of Python
    "digits": (whole(16, "u1"), None, ["from 0 to 16", "expected 0 to 255", "--range 16 ", "x / 16", "--range 255"]),
    "4 bits": (whole(15, "u1"), None, ["from 0 to 15", "--range 15 ", "x / 15"]),
    "dark bytes": (whole(40, "u1"), None, ["from 0 to 40", "--range 63 ", "--range 255"]),
    "digits as floats": (whole(16, "f8"), None, ["run from 0 to 16;", "--range 16 ", "save x / 16"]),
    "2 bits": (whole(2, "u1"), None, ["from 0 to 2", "--range 3 "]),
    "5 bits": (whole(17, "u1"), None, ["from 0 to 17", "--range 31 "]),
    "nearly digits": (UNIT * 15.2, None, ["to 15.2", "--range 16 "]),
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
@pytest.mark.parametrize(("x", "top", "parts"), REFUSED.values(), ids=REFUSED)
def test_an_unclear_range_is_refused_with_the_one_to_give(tmp_path, x, top, parts):
    with pytest.raises(InputError) as caught:
        load(tmp_path, x, top)
    for part in parts:
        assert part in f"{caught.value} "
    if top is None and x.max() <= 16:
        assert "255" not in str(caught.value).replace("0 to 255", "").replace("--range 255", "")


SPLITS = {  # training and test images, message
    "0 to 255, 0 and 1": (whole(255, "u1"), whole(1, "u1"), "x_test in .* one range for both"),
    "0 and 1, 0 to 255": (whole(1, "u1"), whole(255, "u1"), "x_train in .* one range for both"),
    "0 to 16, 0 to 255": (whole(16, "u1"), whole(255, "u1"), "x_train in .* one range for both"),
    "floats and bytes": (UNIT, whole(255, "u1"), "uint8 beside floats"),
    "0 to 15, 0 to 16": (UNIT * 15, UNIT * 16, r"x_train in .* run from 0 to 15; .* --range 16 "),
}


@pytest.mark.fault("pixels")
@pytest.mark.parametrize(("train", "test", "message"), SPLITS.values(), ids=SPLITS)
def test_splits_of_different_ranges_are_refused(tmp_path, train, test, message):
    np.savez(tmp_path / "a.npz", x_train=train, x_test=test)
    with pytest.raises(InputError, match=message):
        files.load(tmp_path / "a.npz")
    if train.dtype == np.uint8:
        assert files.load(tmp_path / "a.npz", Reading.requested(255)).x_train.max() == train.max()


def test_numbers_have_no_needless_digits():
    assert [number(value) for value in (16.0, 4095, 0.5, 1e6)] == ["16", "4095", "0.5", "1000000"]


@pytest.mark.parametrize(("n", "share", "count"), [(10, 0.2, 2), (3, 0.01, 1), (3, 0.99, 2), (1000, 0.25, 250)])
def test_a_random_share_is_the_same_each_time(n, share, count):
    chosen = choose_test_images(n, Reading(split="drawn", test_share=share))
    assert chosen.sum() == count
    np.testing.assert_array_equal(chosen, choose_test_images(n, Reading(split="drawn", test_share=share)))


def test_a_random_share_splits_the_images(tmp_path):
    x = np.arange(200, 240, dtype=np.uint8).reshape(40, 1, 1)
    np.save(tmp_path / "a.npy", x)
    images = files.load(tmp_path / "a.npy", Reading.requested(test_share=0.3))
    assert len(images.x_test) == 12
    assert sorted([*images.x_train.ravel(), *images.x_test.ravel()]) == x.ravel().tolist()
    assert images.x_test.ravel().tolist() != x[9::10].ravel().tolist()
    assert images.reading == Reading(None, "drawn", 0.3)


def test_a_set_with_test_images_takes_no_share(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=whole(255, "u1"), x_test=whole(255, "u1"))
    with pytest.raises(InputError, match="has test images of its own"):
        files.load(tmp_path / "a.npz", Reading.requested(test_share=0.1))
