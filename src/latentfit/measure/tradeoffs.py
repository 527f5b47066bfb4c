"""What a size loses, and what it saves: the worst images, what a larger code adds, classes told apart, bytes.

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
from ..model import Network, to_unit
from ..recipe import Job
from ..stats import mean_interval

Array = NDArray[Any]

SHOWN = 8
BITS = (8, 6, 4)
NEIGHBOURS = 10
LEARNT_FROM, ASKED = 10_000, 2_000  # images of the nearest-neighbour classifier, at most
PACKED = 1_000  # test images whose packed size is looked at, at most


def worst(errors: Mapping[Job, Array]) -> NDArray[np.int64]:
    """Indices of the test images with the largest error, the mean over the networks, the largest first."""
    mean = np.mean([*errors.values()], axis=0)
    return np.argsort(-mean, kind="stable")[:SHOWN]


def gained(errors: Mapping[Job, Array]) -> NDArray[np.int64]:
    """Indices of the test images whose error the largest network lowers most against the smallest."""
    jobs = sorted(errors)
    return np.argsort(errors[jobs[-1]] - errors[jobs[0]], kind="stable")[:SHOWN]


def told_apart(networks: Mapping[Job, Network], images: ImageSet) -> dict[str, Any] | None:
    """Accuracy of a k-nearest-neighbour classifier on the codes of each network, and on the pixels.

    It learns from at most LEARNT_FROM training images and is asked about at most ASKED test images. Distances are
    Euclidean. None without labels.
    """
    if images.y_train is None or images.y_test is None:
        return None
    learnt, asked = _some(len(images.x_train), LEARNT_FROM), _some(len(images.x_test), ASKED)
    x_train, x_test = images.x_train[learnt], images.x_test[asked]
    y_train, y_test = images.y_train[learnt], images.y_test[asked]
    pixels = [to_unit(np.ascontiguousarray(x)).numpy().reshape(len(x), -1) for x in (x_train, x_test)]
    return {
        "neighbours": min(NEIGHBOURS, len(x_train)),
        "train_images": len(x_train),
        "test_images": len(x_test),
        "pixels": _accuracy(pixels[0], y_train, pixels[1], y_test),
        "models": [
            job._asdict()
            | {"accuracy": _accuracy(latent.encode(n, x_train), y_train, latent.encode(n, x_test), y_test)}
            for job, n in networks.items()
        ],
    }


def _some(n: int, most: int) -> NDArray[np.int64]:
    """Indices of some of n images in their order, drawn: a set may be sorted by class."""
    return np.sort(np.random.default_rng([n, 4]).permutation(n)[:most])


def _accuracy(x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> float:
    from sklearn.neighbors import KNeighborsClassifier  # 1 s

    classifier = KNeighborsClassifier(min(NEIGHBOURS, len(x_train)), algorithm="brute")
    with threadpool_limits(1):  # here, after the import: it limits the libraries that are loaded by now
        return float((classifier.fit(x_train, y_train).predict(x_test) == y_test).mean())


def compression(
    networks: Mapping[Job, Network], ranges: Mapping[Job, Array], errors: Mapping[Job, Array], images: ImageSet
) -> dict[str, Any]:
    """What a code costs in bytes, and what rounding it costs in error.

    Args:
        networks: The networks.
        ranges: Smallest and largest training code of each, (2, K).
        errors: Each network's error of each test image, (N,).
        images: Their images.

    Returns:
        Bytes of an image as it came, as PNG and as zlib of all of them together, a mean over at most PACKED test
        images; floats that no byte stands for take four a number, and their PNG and zlib are None. For each network
        the bytes of its decoder, and for 32 bits a dimension (a float) and 8, 6 and 4 the bytes of a code, its test
        MSE and what was added to it.
    """
    some = images.x_test[_some(len(images.x_test), PACKED)]
    exact = _as_bytes(some)
    return {
        "raw_bytes": images.pixels * (4 if exact is None else 1),
        "png_bytes": None if exact is None else float(np.mean([_png_bytes(image) for image in exact])),
        "zlib_bytes": None if exact is None else len(zlib.compress(exact.tobytes(), 9)) / len(some),
        "packed_images": len(some),
        "models": [
            {
                **job._asdict(),
                "decoder_bytes": 4 * sum(p.numel() for p in network.decoder.parameters()),
                "bits": _bits(network, ranges[job], float(errors[job].mean()), images),
            }
            for job, network in networks.items()
        ],
    }


def _bits(network: Network, ends: Array, plain: float, images: ImageSet) -> list[dict[str, Any]]:
    k, z = network.latent_dim, latent.encode(network, images.x_test)
    rows: list[dict[str, Any]] = [{"bits": 32, "bytes": 4.0 * k, "test_mse": plain, "added_mse": 0.0}]
    for bits in BITS:
        rounded = latent.quantize(z, ends[0], ends[1], bits)
        error = _decoded_error(network, rounded, images.x_test)
        rows.append({"bits": bits, "bytes": bits * k / 8, "test_mse": error, "added_mse": error - plain})
    return rows


def _decoded_error(network: Network, z: Array, x: Array) -> float:
    total = 0.0
    for start in range(0, len(x), 1000):
        part = slice(start, start + 1000)
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


def by_class(
    rows: Sequence[Mapping[str, Any]], errors: Mapping[Job, Array], images: ImageSet
) -> list[dict[str, Any]] | None:
    """Test error of each class at each size with its 95 % interval; None without labels.

    The interval is over the seeds; where a size was trained once, over the test images of the class, and `over` says
    which. A class without an image is None.
    """
    if images.y_test is None or images.classes is None:
        return None
    told = []
    for k in sorted({job.latent_dim for job in errors}):
        of_size = [row["test_mse_by_class"] for row in rows if row["latent_dim"] == k and row["status"] == "ok"]
        if len(of_size) > 1:
            values = [list(of_class) for of_class in zip(*of_size, strict=True)]
        else:
            only = next(each for job, each in errors.items() if job.latent_dim == k)
            values = [only[images.y_test == c].tolist() for c in range(len(images.classes))]
        means = [mean_interval(each) if each and None not in each else None for each in values]
        told.append({"latent_dim": k, "over": "seeds" if len(of_size) > 1 else "images", "classes": means})
    return told
