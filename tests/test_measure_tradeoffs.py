"""What a size loses and saves, against plain arithmetic and the files themselves."""

import io
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances

from latentfit import evaluate, latent, pca
from latentfit.data.images import ImageSet
from latentfit.measure import tradeoffs
from latentfit.parts import Compression
from latentfit.recipe import Job
from latentfit.results import Codes
from latentfit.stats import mean_interval, mean_over_both, ratio_error

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def errors(network, images):
    return evaluate.image_errors(network, images.x_test)


def test_the_worst_are_those_with_the_largest_mean_error_in_order():
    given = {Job(2, 0): RNG.uniform(size=30), Job(5, 0): RNG.uniform(size=30)}
    mean = (given[Job(2, 0)] + given[Job(5, 0)]) / 2
    chosen = tradeoffs.worst(given)
    assert mean[chosen].tolist() == sorted(mean, reverse=True)[:8]


def test_gained_are_those_that_the_second_network_lowers_most():
    assert tradeoffs.gained(np.array([0.3, 0.4, 0.9]), np.array([0.1, 0.5, 0.2])).tolist() == [2, 0, 1]


def test_neighbours_vote_as_by_hand(network, images):
    found = tradeoffs.neighbours({Job(5, 0): network}, images)
    for x_train, x_test, accuracy in (
        (images.x_train.reshape(90, -1) / 255, images.x_test.reshape(40, -1) / 255, found.pixels),
        (latent.encode(network, images.x_train), latent.encode(network, images.x_test), found.models[0].accuracy),
    ):
        near = pairwise_distances(x_test, x_train).argsort(axis=1)[:, :10]
        votes = np.array([np.bincount(images.y_train[row], minlength=3) for row in near])
        right = votes.argmax(axis=1) == images.y_test
        assert accuracy == pytest.approx(right.mean(), abs=0.026)  # one tie may fall the other way
    assert (found.neighbours, found.train_images, found.test_images) == (10, 90, 40)


def test_bytes_are_those_of_the_files(network, images, errors):
    job, codes, z = Job(5, 0), latent.encode(network, images.x_train), latent.encode(network, images.x_test)
    low, high = codes.min(axis=0), codes.max(axis=0)
    ranges = Codes((), tuple(low.tolist()), tuple(high.tolist()))
    linear = pca.fit(images.x_train, images.x_test)
    found = tradeoffs.compression({job: network}, {job: ranges}, {job: errors}, images, linear)
    assert (found.raw_bytes, found.packed_images) == (132, 40)
    assert found.png_bytes == np.mean([png_bytes(image) for image in images.x_test])
    assert found.zlib_bytes == len(zlib.compress(images.x_test.tobytes(), 9)) / 40
    (model,) = found.models
    assert model.job == job
    assert model.decoder_bytes == 4 * (5 * 24 + 24 + 24 * 132 + 132)
    assert [(row.bits, row.bytes) for row in model.bits] == [(32, 20), (8, 5), (6, 3.75), (4, 2.5)]
    assert (model.bits[0].test_mse, model.bits[0].added_mse) == (errors.mean(), 0)
    for row in model.bits[1:]:
        x_hat = latent.decode(network, latent.quantize(z, low, high, row.bits), images.image_shape)
        assert row.test_mse == pytest.approx(np.square(x_hat - images.x_test / 255).mean(), rel=1e-5)
        assert row.added_mse == row.test_mse - errors.mean()
    scores = PCA(5).fit(images.x_train.reshape(90, -1) / 255)
    train, test = (scores.transform(x.reshape(len(x), -1) / 255) for x in (images.x_train, images.x_test))
    for row in model.bits:
        levels, low, span = 2**row.bits - 1, train.min(axis=0), np.ptp(train, axis=0)
        rounded = np.rint(((test - low) / span).clip(0, 1) * levels) / levels * span + low if row.bits < 32 else test
        error = np.square(scores.inverse_transform(rounded) - images.x_test.reshape(40, -1) / 255).mean()
        assert row.pca_test_mse == pytest.approx(error, rel=1e-4)


def test_a_jpeg_has_all_images_side_by_side():
    x = RNG.integers(0, 256, (7, 11, 12), np.uint8)
    sheet = np.zeros((3 * 16, 3 * 16), np.uint8)
    for i, image in enumerate(x):
        down, across = 16 * (i // 3), 16 * (i % 3)
        sheet[down : down + 16, across : across + 16] = np.pad(image, ((0, 5), (0, 4)), mode="edge")
    found = tradeoffs.jpegs(x)
    for quality, (size, error) in zip(tradeoffs.QUALITIES, found, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(sheet).save(buffer, format="JPEG", quality=quality, optimize=True, subsampling=0)
        back = np.asarray(Image.open(buffer)).astype(float)
        tiles = [back[16 * (i // 3) :, 16 * (i % 3) :][:11, :12] for i in range(7)]
        assert size == len(buffer.getvalue()) / 7
        assert error == pytest.approx(np.square((tiles - x) / 255).mean())
    assert len(tradeoffs.jpegs(np.stack([x] * 3, axis=-1))) == len(found)


def test_the_smallest_jpeg_is_taken_that_has_no_more_error(network, images, errors, monkeypatch):
    job, codes = Job(5, 0), latent.encode(network, images.x_train)
    ranges = Codes((), tuple(codes.min(axis=0).tolist()), tuple(codes.max(axis=0).tolist()))
    linear = pca.fit(images.x_train, images.x_test)
    for packed, expected in (([(9.0, 0.9), (50.0, 1e-9), (40.0, 1e-9)], 40.0), ([(9.0, 0.9)], None)):
        monkeypatch.setattr(tradeoffs, "jpegs", lambda _, packed=packed: packed)
        (model,) = tradeoffs.compression({job: network}, {job: ranges}, {job: errors}, images, linear).models
        assert model.jpeg_bytes == expected


def png_bytes(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return len(buffer.getvalue())


def packed(images):
    return tradeoffs.compression({}, {}, {}, images, pca.fit(images.x_train, images.x_test))


def test_floats_are_packed_only_where_they_stand_for_bytes(images):
    def floats(x_test):
        return replace(images, x_train=images.x_train / np.float32(255), x_test=x_test.astype(np.float32))

    whole = packed(images)
    for x_test in (images.x_test / 255, images.x_test * np.float32(1 / 255)):
        assert packed(floats(x_test)) == whole
    assert packed(floats(np.sqrt(images.x_test / 255))) == Compression(4 * 132, None, None, 40, ())


def test_colours_are_packed_too():
    x = RNG.integers(0, 256, (6, 6, 6, 3), np.uint8)
    assert packed(ImageSet("colours", x, x)).png_bytes == np.mean([png_bytes(image) for image in x])


def test_intervals_of_classes_are_for_other_seeds_and_images_where_there_are_several(images):
    images = replace(images, y_test=np.where(images.y_test == 2, 0, images.y_test))
    first, second = np.linspace(0.1, 0.2, 40), np.linspace(0.15, 0.3, 40)
    two, five = tradeoffs.class_errors({Job(2, 0): first, Job(2, 1): second, Job(5, 0): np.arange(40.0)}, images)
    assert (two.latent_dim, two.over, five.latent_dim, five.over) == (2, "both", 5, "images")
    these = images.y_test == 1
    both = [first[these], second[these]]
    assert two.classes[1] == mean_over_both([e.mean() for e in both], [ratio_error(e, np.ones(len(e))) for e in both])
    assert two.classes[2] is None
    assert five.classes[1].mean == np.arange(40.0)[these].mean()
    assert five.classes[1] == mean_interval(np.arange(40.0)[these].tolist())


def test_without_labels_there_is_neither_accuracy_nor_class(network, images):
    plain = replace(images, y_train=None, y_test=None, classes=None)
    assert tradeoffs.neighbours({Job(5, 0): network}, plain) is None
    assert tradeoffs.class_errors({}, plain) is None
