"""What a size loses and what it saves: the worst images, k-nearest-neighbour accuracy on the codes, bytes.

N images, K latent dimensions, D numbers an image, H × W pixels.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from .. import latent
from ..data.images import ImageSet
from ..model import BATCH, Network, to_unit
from ..recipe import Job
from ..results import Accuracy, ClassErrors, CodeBytes, Codes, Compression, ModelResult, Neighbours, Quantised
from ..stats import Mean, mean_interval

Array = NDArray[Any]

SHOWN = 8
BITS = (8, 6, 4)
NEIGHBOURS = 10
FITTED_ON, TESTED_ON = 10_000, 2_000  # images of the nearest-neighbour classifier, at most
PACKED = 1_000  # test images whose packed size is measured, at most


def worst(errors: Mapping[Job, Array]) -> NDArray[np.int64]:
    """Indices of the test images with the largest error, the mean over the networks, largest first."""
    mean = np.mean([*errors.values()], axis=0)
    return np.argsort(-mean, kind="stable")[:SHOWN]


def gained(errors: Mapping[Job, Array]) -> NDArray[np.int64]:
    """Indices of the test images whose error differs most between the smallest and the largest network."""
    jobs = sorted(errors)
    return np.argsort(errors[jobs[-1]] - errors[jobs[0]], kind="stable")[:SHOWN]


def neighbours(networks: Mapping[Job, Network], images: ImageSet) -> Neighbours | None:
    """Accuracy of a k-nearest-neighbour classifier on the codes of each network, and on the pixels.

    Fitted on at most FITTED_ON training images and tested on at most TESTED_ON test images, with Euclidean distances.
    None without labels.
    """
    if images.y_train is None or images.y_test is None:
        return None
    train, test = _sample(len(images.x_train), FITTED_ON), _sample(len(images.x_test), TESTED_ON)
    x_train, x_test = images.x_train[train], images.x_test[test]
    y_train, y_test = images.y_train[train], images.y_test[test]
    pixels = [to_unit(np.ascontiguousarray(x)).numpy().reshape(len(x), -1) for x in (x_train, x_test)]
    return Neighbours(
        neighbours=min(NEIGHBOURS, len(x_train)),
        train_images=len(x_train),
        test_images=len(x_test),
        pixels=_accuracy(pixels[0], y_train, pixels[1], y_test),
        models=tuple(
            Accuracy(*job, _accuracy(latent.encode(network, x_train), y_train, latent.encode(network, x_test), y_test))
            for job, network in networks.items()
        ),
    )


def _sample(n: int, most: int) -> NDArray[np.int64]:
    """Indices of a random sample of n images, in order: a set may be sorted by class."""
    return np.sort(np.random.default_rng([n, 4]).permutation(n)[:most])


def _accuracy(x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> float:
    from sklearn.neighbors import KNeighborsClassifier  # 1 s

    classifier = KNeighborsClassifier(min(NEIGHBOURS, len(x_train)), algorithm="brute")
    with threadpool_limits(1):  # here, after the import: it limits the libraries that are loaded by now
        return float((classifier.fit(x_train, y_train).predict(x_test) == y_test).mean())


def compression(
    networks: Mapping[Job, Network], codes: Mapping[Job, Codes], errors: Mapping[Job, Array], images: ImageSet
) -> Compression:
    """Bytes of a code, and the error that quantising it adds.

    Args:
        networks: The networks.
        codes: Range of each network's codes of the training images.
        errors: Each network's error of each test image, (N,).
        images: Their images.

    Returns:
        Bytes of an image raw, as PNG, and with zlib over all of them together, means over at most PACKED test images.
        Floats that are no bytes count four a number, and have no PNG and no zlib. For each network the bytes of its
        decoder, and for 32 bits per dimension (a float), 8, 6 and 4 the bytes of a code and its test error.
    """
    some = images.x_test[_sample(len(images.x_test), PACKED)]
    exact = _as_bytes(some)
    return Compression(
        raw_bytes=images.pixels * (4 if exact is None else 1),
        png_bytes=None if exact is None else float(np.mean([_png_bytes(image) for image in exact])),
        zlib_bytes=None if exact is None else len(zlib.compress(exact.tobytes(), 9)) / len(some),
        packed_images=len(some),
        models=tuple(
            CodeBytes(
                *job,
                decoder_bytes=4 * sum(p.numel() for p in network.decoder.parameters()),
                bits=_quantised(network, codes[job], float(errors[job].mean()), images.x_test),
            )
            for job, network in networks.items()
        ),
    )


def _quantised(network: Network, codes: Codes, test_mse: float, x_test: Array) -> tuple[Quantised, ...]:
    k, z = network.latent_dim, latent.encode(network, x_test)
    low, high = (np.array(end, np.float32) for end in (codes.low, codes.high))
    rows = [Quantised(32, 4.0 * k, test_mse, 0.0)]
    for bits in BITS:
        error = _decoded_error(network, latent.quantize(z, low, high, bits), x_test)
        rows.append(Quantised(bits, bits * k / 8, error, error - test_mse))
    return tuple(rows)


def _decoded_error(network: Network, z: Array, x: Array) -> float:
    total = 0.0
    for start in range(0, len(x), BATCH):
        part = slice(start, start + BATCH)
        difference = latent.decode(network, z[part], x.shape[1:]) - to_unit(np.ascontiguousarray(x[part])).numpy()
        total += float(np.square(difference, dtype=np.float64).sum())
    return total / x.size


def _as_bytes(x: Array) -> Array | None:
    """Images as bytes, the same shape; None for floats that are no multiples of 1/255 but for rounding."""
    if x.dtype == np.uint8:
        return x
    whole = np.rint(x * 255)
    return whole.astype(np.uint8) if np.allclose(x * 255, whole, rtol=0, atol=1e-4) else None


def _png_bytes(image: Array) -> int:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return len(buffer.getvalue())


def class_errors(
    models: Sequence[ModelResult], errors: Mapping[Job, Array], images: ImageSet
) -> tuple[ClassErrors, ...] | None:
    """Test error of each class at each size with its 95 % interval; None without labels.

    The interval is over the seeds, or over the test images of the class where a size was trained once. A class without
    an image is None.
    """
    y_test, classes = images.y_test, images.classes
    if y_test is None or classes is None:
        return None
    found = []
    for k in sorted({job.latent_dim for job in errors}):
        of_size = [model for model in models if model.latent_dim == k]
        if len(of_size) > 1:
            rows = [model.test_mse_by_class or () for model in of_size]
            means = tuple(_mean([row[c] for row in rows]) for c in range(len(classes)))
            found.append(ClassErrors(k, "seeds", means))
        else:
            only = errors[of_size[0].job]
            means = tuple(_mean(only[y_test == c].tolist()) for c in range(len(classes)))
            found.append(ClassErrors(k, "images", means))
    return tuple(found)


def _mean(values: Sequence[float | None]) -> Mean | None:
    known = [value for value in values if value is not None]
    return mean_interval(known) if known and len(known) == len(values) else None
