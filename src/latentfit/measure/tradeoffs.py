"""What a size loses and what it saves: the worst images, k-nearest-neighbour accuracy on the codes, bytes.

N images, K latent dimensions, D numbers an image, H × W pixels.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from .. import latent
from ..data.images import ImageSet
from ..data.large import at_most, at_once
from ..model import BATCH, Codec, batches, to_unit
from ..parts import Accuracy, ClassErrors, CodeBytes, Compression, Neighbours, Quantised
from ..pca import PCA
from ..recipe import Job
from ..results import Codes
from ..stats import Mean, mean_error, mean_interval, mean_over_both

Array = NDArray[Any]

SHOWN = 8
BITS = (8, 6, 4)
NEIGHBOURS = 10
FITTED_ON, TESTED_ON = 10_000, 2_000  # images of the nearest-neighbour classifier, at most
PACKED = 1_000  # test images whose packed size is measured, at most
QUALITIES = range(1, 96)  # of JPEG


def worst(errors: Mapping[Job, Array]) -> NDArray[np.int64]:
    """Indices of the test images with the largest error, the mean over the networks, largest first."""
    mean = np.mean([*errors.values()], axis=0)
    return np.argsort(-mean, kind="stable")[:SHOWN]


def gained(before: Array, after: Array) -> NDArray[np.int64]:
    """Indices of the test images whose error the second of two networks lowers most."""
    return np.argsort(after - before, kind="stable")[:SHOWN]


def neighbours(networks: Mapping[Job, Codec], images: ImageSet) -> Neighbours | None:
    """Accuracy of a k-nearest-neighbour classifier on the codes of each network, and on the pixels.

    Fitted on at most FITTED_ON training images and tested on at most TESTED_ON test images, with Euclidean distances.
    None without labels.
    """
    if images.y_train is None or images.y_test is None:
        return None
    train, test = (
        _sample(len(x), at_most(most, images.pixels))
        for x, most in ((images.x_train, FITTED_ON), (images.x_test, TESTED_ON))
    )
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
    networks: Mapping[Job, Codec],
    codes: Mapping[Job, Codes],
    errors: Mapping[Job, Array],
    images: ImageSet,
    linear: PCA,
) -> Compression:
    """Bytes of a code, and the error that quantising it adds.

    Args:
        networks: The networks.
        codes: Range of each network's codes of the training images.
        errors: Each network's error of each test image, (N,).
        images: Their images.
        linear: PCA of them.

    Returns:
        Bytes of an image raw, as PNG, and with zlib over all of them together, means over at most PACKED test images.
        Floats that are no bytes count four a number, and have no PNG, no zlib and no JPEG. For each network the bytes
        of its decoder; for 32 bits per dimension (a float), 8, 6 and 4 the bytes of a code, its test error and that of
        as many PCA components with as many bits; and the fewest bytes of an image as JPEG with no more
        error, see `jpegs`.
    """
    some = images.x_test[_sample(len(images.x_test), at_most(PACKED, images.pixels))]
    exact = _as_bytes(some)
    scores = _scores(linear, images, max((job.latent_dim for job in networks), default=0))
    packed = jpegs(exact) if networks and exact is not None else []
    found = []
    for job, network in networks.items():
        rows = _quantised(network, codes[job], float(errors[job].mean()), images.x_test, linear, scores)
        most = next(row.test_mse for row in rows if row.bits == BITS[0])
        jpeg = min((size for size, error in packed if error <= most), default=None)
        found.append(CodeBytes(*job, decoder_bytes=4 * network.decoder_weights, bits=rows, jpeg_bytes=jpeg))
    return Compression(
        raw_bytes=images.pixels * (4 if exact is None else 1),
        png_bytes=None if exact is None else float(np.mean([_png_bytes(image) for image in exact])),
        zlib_bytes=None if exact is None else len(zlib.compress(exact.tobytes(), 9)) / len(some),
        packed_images=len(some),
        models=tuple(found),
    )


def _scores(linear: PCA, images: ImageSet, components: int) -> tuple[Array, Array, Array]:
    """PCA's scores of the test images (N, K), and the range of each on the training images, (K,) and (K,)."""
    axes, mean = linear.axes[:, :components].astype(np.float32), linear.mean.astype(np.float32)
    low, high = np.full(axes.shape[1], np.inf, np.float32), np.full(axes.shape[1], -np.inf, np.float32)
    with threadpool_limits(1):
        for x in batches(images.x_train):
            z = (x.numpy() - mean) @ axes
            low, high = np.minimum(low, z.min(axis=0)), np.maximum(high, z.max(axis=0))
        return np.concatenate([(x.numpy() - mean) @ axes for x in batches(images.x_test)]), low, high


def _quantised(
    network: Codec, codes: Codes, test_mse: float, x_test: Array, linear: PCA, scores: tuple[Array, Array, Array]
) -> tuple[Quantised, ...]:
    k, z = network.latent_dim, latent.encode(network, x_test)
    low, high = (np.array(end, np.float32) for end in (codes.low, codes.high))
    theirs, least, most = (part[..., :k] for part in scores)
    rows = [Quantised(32, 4.0 * k, test_mse, 0.0, linear.at("test", k))]
    for bits in BITS:
        error = _decoded_error(network, z, partial(latent.quantize, low=low, high=high, bits=bits), x_test)
        moved = np.empty(len(theirs))
        for start in range(0, len(theirs), BATCH):
            some = theirs[start : start + BATCH]
            apart = np.square(latent.quantize(some, least, most, bits) - some, dtype=float)
            moved[start : start + BATCH] = apart.sum(axis=1)
        linear_error = linear.at("test", k) + float(moved.mean()) / network.pixels  # the axes are orthonormal
        rows.append(Quantised(bits, bits * k / 8, error, error - test_mse, linear_error))
    return tuple(rows)


def jpegs(x: NDArray[np.uint8]) -> list[tuple[float, float]]:
    """Bytes an image (N, H, W[, 3]) in one JPEG of all of them, and its error, at each of QUALITIES.

    They lie side by side, so that what a file costs apart from its pictures is shared by all; each is continued to a
    whole number of JPEG's squares of 8 pixels by its last row and column.
    """
    height, width = (8 * math.ceil(n / 8) for n in x.shape[1:3])
    padding = ((0, 0), (0, height - x.shape[1]), (0, width - x.shape[2]), *[(0, 0)] * (x.ndim - 3))
    padded = np.pad(x, padding, mode="edge")
    across = math.ceil(math.sqrt(len(x)))
    down = math.ceil(len(x) / across)
    padded = np.concatenate([padded, np.zeros((across * down - len(x), *padded.shape[1:]), np.uint8)])
    grid = padded.reshape(down, across, *padded.shape[1:]).swapaxes(1, 2)  # (down, H, across, W[, 3])
    sheet = Image.fromarray(grid.reshape(down * height, across * width, *x.shape[3:]))
    found = []
    for quality in QUALITIES:
        buffer = io.BytesIO()
        sheet.save(buffer, format="JPEG", quality=quality, optimize=True, subsampling=0)
        back = np.asarray(Image.open(buffer)).reshape(grid.shape).swapaxes(1, 2).reshape(padded.shape)
        lost = _squares(back[: len(x), : x.shape[1], : x.shape[2]], x)
        found.append((len(buffer.getvalue()) / len(x), lost / x.size / 255**2))
    return found


def _squares(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    """Sum of the squared differences of images."""
    step = at_once(a, len(a)) // 8 + 1
    parts = (slice(start, start + step) for start in range(0, len(a), step))
    return sum(int(np.square(a[part].astype(np.int32) - b[part]).sum(dtype=np.int64)) for part in parts)


def _decoded_error(network: Codec, z: Array, change: Callable[[Array], Array], x: Array) -> float:
    """Error on images (N, H, W[, 3]) of changed codes (N, K)."""
    total = 0.0
    for start in range(0, len(x), BATCH):
        part = slice(start, start + BATCH)
        difference = latent.decode(network, change(z[part]), x.shape[1:])
        difference -= to_unit(np.ascontiguousarray(x[part])).numpy()
        total += float(np.square(difference, dtype=np.float64).sum())
    return total / x.size


def _as_bytes(x: Array) -> Array | None:
    """Images as bytes, the same shape; None for rows, and for floats that are not nearly multiples of 1/255."""
    if x.dtype == np.uint8 or x.ndim == 2:
        return x if x.ndim > 2 else None
    whole = np.rint(x * 255)
    return whole.astype(np.uint8) if np.allclose(x * 255, whole, rtol=0, atol=1e-4) else None


def _png_bytes(image: Array) -> int:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return len(buffer.getvalue())


def class_errors(errors: Mapping[Job, Array], images: ImageSet) -> tuple[ClassErrors, ...] | None:
    """Test error of each class at each size with its 95 % interval; None without labels.

    The interval is for other seeds and other test images of the class, or over the images alone where a size was
    trained once. A class without an image is None.

    Args:
        errors: Each network's error of each test image, (N,).
        images: Their images.
    """
    y_test, classes = images.y_test, images.classes
    if y_test is None or classes is None:
        return None
    by_size: dict[int, list[Array]] = {}
    for job in sorted(errors):
        by_size.setdefault(job.latent_dim, []).append(errors[job])
    of_class = [y_test == c for c in range(len(classes))]
    return tuple(
        ClassErrors(k, "images" if len(each) == 1 else "both", tuple(_of_class(each, these) for these in of_class))
        for k, each in by_size.items()
    )


def _of_class(errors: Sequence[Array], these: NDArray[np.bool_]) -> Mean | None:
    """Mean error over these images and the networks, with its interval."""
    if not these.any():
        return None
    some = [each[these] for each in errors]
    if len(some) == 1:
        return mean_interval(some[0].tolist())
    return mean_over_both([float(each.mean()) for each in some], [mean_error(each) for each in some])
