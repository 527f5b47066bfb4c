"""`ImageSet.of`: what Python programs hold becomes the same set, and what cannot is an error of one line."""

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

import latentfit
from latentfit.data.images import ImageSet
from latentfit.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (30, 4, 4), np.uint8)
COLOUR = RNG.integers(0, 256, (30, 3, 4, 5), np.uint8)  # channels first, as torch has them
Y = np.arange(30) % 3
NAMES = ("cat", "dog", "bird")


class Data(torch.utils.data.Dataset):
    """What torch's users write."""

    def __init__(self, items, classes=None):
        self.items = items
        if classes is not None:
            self.classes = classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Feature:
    def __init__(self):
        self.names = [*NAMES]


class Hub(Data):
    """What a dataset of Hugging Face offers."""

    def __init__(self, items):
        super().__init__(items)
        self.features = {"label": Feature(), "image": None}


FRAME = pandas.DataFrame(X.reshape(30, -1), columns=[f"pixel{i}" for i in range(16)])
SOURCES = {  # a source, whether it has labels, names of the classes
    "array": (X, False, None),
    "pair": ((X, Y), True, ("0", "1", "2")),
    "lists": ((X.tolist(), Y.tolist()), True, ("0", "1", "2")),
    "text labels": ((X, np.array(NAMES, object)[Y]), True, tuple(sorted(NAMES))),
    "tensors": ((torch.from_numpy(X), torch.from_numpy(Y)), True, ("0", "1", "2")),
    "torch, tensors": (Data([(torch.from_numpy(x)[None], int(y)) for x, y in zip(X, Y, strict=True)]), True,
                       ("0", "1", "2")),
    "torch, pictures": (Data([(Image.fromarray(x), torch.tensor(y)) for x, y in zip(X, Y, strict=True)], NAMES), True,
                        NAMES),
    "torch, no labels": (Data([Image.fromarray(x) for x in X]), False, None),
    "hub": (Hub([{"image": Image.fromarray(x), "label": int(y)} for x, y in zip(X, Y, strict=True)]), True, NAMES),
    "hub, other columns": (Data([{"img": x, "id": 7} for x in X]), False, None),
    "frame": (FRAME.assign(label=Y), True, ("0", "1", "2")),
    "frame, no labels": (FRAME, False, None),
}  # fmt: skip


@pytest.mark.parametrize(("source", "labelled", "classes"), SOURCES.values(), ids=SOURCES)
def test_every_source_is_the_same_set(source, labelled, classes):
    images = ImageSet.of(source)
    np.testing.assert_array_equal(images.x_test, X[9::10])
    np.testing.assert_array_equal(images.x_train, np.delete(X, [9, 19, 29], axis=0))
    assert (images.y_test is not None) == labelled
    assert images.classes == classes
    if labelled and classes != tuple(sorted(NAMES)):
        np.testing.assert_array_equal(images.y_test, Y[9::10])
    drawn = ImageSet.of(source, test=0.5, name="mine")
    assert (drawn.name, len(drawn.x_test), drawn.reading.test_share) == ("mine", 15, 0.5)
    given = ImageSet.of(source, test=source)
    np.testing.assert_array_equal(given.x_test, X)
    both = ImageSet.of({"train": source, "validation": source, "test": source})
    assert both.fingerprint != given.fingerprint
    np.testing.assert_array_equal(both.x_val, X)


def test_it_is_public():
    assert latentfit.ImageSet is ImageSet


def test_colour_and_floats():
    images = ImageSet.of(Data([(torch.from_numpy(x / 255).float(), 1) for x in COLOUR]))
    assert images.image_shape == (4, 5, 3)
    np.testing.assert_allclose(images.x_test, np.moveaxis(COLOUR, 1, -1)[9::10] / 255, rtol=1e-6)
    mixed = [Image.fromarray(X[0]), *[Image.fromarray(np.dstack([x, x + 1, x])) for x in X]]
    assert ImageSet.of(mixed).image_shape == (4, 4, 3)
    clear = ImageSet.of([Image.fromarray(np.dstack([x, x, x, x])) for x in X])
    assert clear.reading.prepared == (
        "pictures with transparency, laid over white",
        "pictures stored in colour and grey",
    )


def test_rows_take_a_shape_and_a_range():
    flat = X.reshape(30, 16).astype(float) % 17
    images = ImageSet.of(flat, shape=(2, 8), value_range=16)
    np.testing.assert_allclose(images.x_test, (flat[9::10] / 16).reshape(-1, 2, 8))
    assert ImageSet.of(FRAME.assign(digit=Y, other=Y), label="digit", shape=(1, 17)).image_shape == (1, 17)


def test_labels_of_one_split_are_left_out():
    images = ImageSet.of((X, Y), test=X)
    assert images.y_train is None
    assert images.reading.dropped == ("The labels are left out: the test images have none.",)


BAD = {
    "a number": (7, {}, "a int; expected an array of images"),
    "text": ("photos", {}, "a str; expected an array"),
    "an iterator": (iter(X), {}, "expected an array of images"),
    "nothing": ([], {}, "none; expected at least one"),
    "one number an image": (X[:, 0, 0], {}, "expected (N, H, W)"),
    "one image": (X[:1], {}, "at least 2 images"),
    "labels for some": ((X, Y[:9]), {}, "9 labels for 30 images"),
    "objects": (np.array([object()] * 9), {}, "an array of Python objects"),
    "sizes": ([X[0], X[1, :2]], {}, "image 1 is 2 × 4 and the first 4 × 4; expected one size"),
    "a range": (X * 4.0, {}, "--range"),
    "a dict": ({"images": X}, {}, "a dict with 'images'; expected"),
    "no label": (FRAME, {"label": "y"}, "has no column 'y'; expected one of 'pixel0'"),
    "text columns": (FRAME.assign(name="a"), {}, "column 'name' holds text; expected numbers"),
    "two images": ([{"a": X[0], "b": X[1]}], {}, "columns 'a', 'b'; expected one of images"),
    "no such column": ([{"a": X[0]}], {"label": "y"}, "expected 'y' among them"),
    "floats in a picture": ([Image.fromarray(np.ones((4, 4), np.float32))], {}, "image 0: holds floats"),
    "a share": (X, {"test": 1.5}, "share of test images 1.5"),
    "a shape": (X.reshape(30, 16), {"shape": (3, 4)}, "expected rows of 12 numbers"),
}


@pytest.mark.parametrize(("source", "options", "message"), BAD.values(), ids=BAD)
def test_what_is_no_set_of_images_is_refused(source, options, message):
    with pytest.raises(InputError) as caught:
        ImageSet.of(source, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
