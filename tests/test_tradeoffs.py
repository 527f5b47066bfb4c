"""What is lost and what is saved: against plain arithmetic and the files themselves."""

import io
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import pairwise_distances

from latentfit import evaluate, latent
from latentfit.measure import tradeoffs
from latentfit.recipe import Job

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def errors(network, images):
    return evaluate.image_errors(network, images.x_test)


def test_the_worst_are_those_with_the_largest_mean_error_in_order():
    given = {Job(2, 0): RNG.uniform(size=30), Job(5, 0): RNG.uniform(size=30)}
    mean = (given[Job(2, 0)] + given[Job(5, 0)]) / 2
    chosen = tradeoffs.worst(given)
    assert mean[chosen].tolist() == sorted(mean, reverse=True)[:8]


def test_gained_are_those_that_the_largest_network_lowers_most():
    given = {Job(9, 0): np.array([0.1, 0.5, 0.2]), Job(4, 0): np.full(3, 9.0), Job(2, 0): np.array([0.3, 0.4, 0.9])}
    assert tradeoffs.gained(given).tolist() == [2, 0, 1]


def test_neighbours_vote_as_by_hand(network, images):
    found = tradeoffs.told_apart({Job(5, 0): network}, images)
    for x_train, x_test, told in (
        (images.x_train.reshape(90, -1) / 255, images.x_test.reshape(40, -1) / 255, found["pixels"]),
        (latent.encode(network, images.x_train), latent.encode(network, images.x_test), found["models"][0]["accuracy"]),
    ):
        near = pairwise_distances(x_test, x_train).argsort(axis=1)[:, :10]
        votes = np.array([np.bincount(images.y_train[row], minlength=3) for row in near])
        right = votes.argmax(axis=1) == images.y_test
        assert told == pytest.approx(right.mean(), abs=0.026)  # one tie may fall the other way
    assert (found["neighbours"], found["train_images"], found["test_images"]) == (10, 90, 40)


def test_without_labels_nobody_is_told_apart(network, images):
    assert tradeoffs.told_apart({Job(5, 0): network}, replace(images, y_train=None, y_test=None, classes=None)) is None


def test_bytes_are_those_of_the_files(network, images, errors):
    ends = latent.encode(network, images.x_train)
    ranges = {Job(5, 0): np.stack([ends.min(axis=0), ends.max(axis=0)])}
    found = tradeoffs.compression({Job(5, 0): network}, ranges, {Job(5, 0): errors}, images)
    buffer = io.BytesIO()
    Image.fromarray(images.x_test[0]).save(buffer, format="PNG", optimize=True)
    assert tradeoffs._png_bytes(images.x_test[0]) == len(buffer.getvalue())
    assert found["raw_bytes"] == 132
    assert found["zlib_bytes"] == len(zlib.compress(images.x_test.tobytes(), 9)) / 40
    (model,) = found["models"]
    assert model["decoder_bytes"] == 4 * (5 * 24 + 24 + 24 * 132 + 132)
    assert [(row["bits"], row["bytes"]) for row in model["bits"]] == [(32, 20), (8, 5), (6, 3.75), (4, 2.5)]
    assert model["bits"][0]["test_mse"] == errors.mean()
    z = latent.encode(network, images.x_test)
    for row in model["bits"][1:]:
        rounded = latent.quantize(z, *ranges[Job(5, 0)], row["bits"])
        x_hat = latent.decode(network, rounded, images.image_shape)
        assert row["test_mse"] == pytest.approx(np.square(x_hat - images.x_test / 255).mean(), rel=1e-5)
        assert row["added_mse"] == row["test_mse"] - errors.mean()


def test_floats_are_packed_where_bytes_stand_for_them_alone(network, images, errors):
    def packed(x_test):
        given = replace(images, x_train=images.x_train / np.float32(255), x_test=x_test.astype(np.float32))
        found = tradeoffs.compression({}, {}, {}, given)
        return [found[f"{kind}_bytes"] for kind in ("raw", "png", "zlib")]

    plain = tradeoffs.compression({}, {}, {}, images)
    told = [plain[f"{kind}_bytes"] for kind in ("raw", "png", "zlib")]
    assert packed(images.x_test / 255) == packed(images.x_test * np.float32(1 / 255)) == told
    assert packed(np.sqrt(images.x_test / 255)) == [4 * 132, None, None]


def test_colours_are_packed_too():
    assert tradeoffs._png_bytes(RNG.integers(0, 256, (6, 6, 3), np.uint8)) > 50


def rows(by_class):
    return [
        {"latent_dim": k, "seed": s, "status": "ok", "test_mse_by_class": values} for (k, s), values in by_class.items()
    ]


def test_intervals_of_classes_are_over_seeds_where_there_are_some(images):
    given = rows({(2, 0): [0.1, 0.2, None], (2, 1): [0.3, 0.2, None], (5, 0): [0.1, 0.1, 0.1]})
    errors = {Job(2, 0): np.ones(40), Job(5, 0): np.arange(40.0)}
    two, five = tradeoffs.by_class(given, errors, images)
    assert (two["latent_dim"], two["over"], five["latent_dim"], five["over"]) == (2, "seeds", 5, "images")
    assert two["classes"][0]["mean"] == pytest.approx(0.2)
    assert two["classes"][0]["interval"][1] == pytest.approx(0.2 + 12.7062 * 0.1)
    assert two["classes"][2] is None
    of_class = np.arange(40.0)[images.y_test == 1]
    assert five["classes"][1]["mean"] == of_class.mean()
    assert tradeoffs.by_class(given, errors, replace(images, y_test=None, y_train=None, classes=None)) is None
