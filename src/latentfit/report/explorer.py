"""What the page's explorer runs on: networks, images, and where the real codes lie, as JSON with packed numbers.

Weights go as fp16 where that changes no pixel by more than half of a grey level, and as fp32 where it does: without its
last bits where these change none either. An encoder can spare more of them than a decoder.

N images, K latent dimensions, D numbers an image, M dials.
"""

from __future__ import annotations

import copy
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import evaluate, formatting, latent
from ..hardware import side_by_side
from ..model import Network
from ..results import Codes
from ..sweep.store import Study

Array = NDArray[Any]

MOST = 6  # networks in a page
ROOM = 27_500_000  # bytes that their weights may take in it
PIXELS = 2_000_000  # numbers that the images may be in a page
DIALS = 10
SHELF = 40  # images to choose from at once
BITS = (*range(17, 25), 32)  # of a weight as fp32, from the first one
STRAY = 1 / 510  # half of a grey level
NEAR = STRAY / 2  # where weights were tried: of 20,000 other corners some stray 1.5 times as far
CORNERS = 500  # of the box of training codes, that shipped weights are tried at
INNER = (0.005, 0.995)  # quantiles of the real codes that a dial goes between


def content(study: Study, networks: Mapping[int, Network]) -> dict[str, Any] | None:
    """Everything the explorer's script reads; None for a study without networks or without images to explore.

    Args:
        study: A finished study.
        networks: Its networks of the first seed, by latent size.
    """
    if not networks or "map" not in study.shown:
        return None
    some = _some(study.shown["map"])
    x, indices, labels = (study.shown[name][some] for name in ("map", "map_indices", "map_labels"))
    classes = study.found.dataset.classes if (labels >= 0).all() else None
    first = {model.latent_dim: model.codes for model in study.found.first}
    sizes = formatting.some_of(sorted(networks), MOST)
    packed = dict(zip(sizes, side_by_side(*(partial(_weights, networks[k], x, first[k]) for k in sizes)), strict=True))
    chosen = _that_fit(packed, [*networks])
    return {
        "shape": [int(n) for n in x.shape[1:]],
        "classes": classes and list(classes),
        "images": pack(_bytes(x).tobytes()),
        "indices": indices.tolist(),
        "labels": labels.tolist(),
        "shelf": _shelf(labels),
        "left_out": sorted(set(networks) - set(chosen)),
        "networks": [_network(networks[k], x, first[k]) | packed[k] for k in chosen],
    }


def _some(x: Array) -> NDArray[np.int64]:
    """As many of the images as there is room for, evenly over all, two at least."""
    most = max(2, PIXELS // x[0].size)
    return np.unique(np.linspace(0, len(x) - 1, min(len(x), most)).astype(int))


def _that_fit(packed: dict[int, dict[str, Any]], sizes: Sequence[int]) -> list[int]:
    """As many sizes across the range as there is room for."""
    for count in range(min(MOST, len(sizes)), 1, -1):
        chosen = formatting.some_of(sorted(sizes), count)
        if (
            all(k in packed for k in chosen)
            and sum(len(packed[k]["weights"]) + 16 * k * k // 3 for k in chosen) <= ROOM
        ):
            return chosen
    return [min(packed)]


def pack(data: bytes, each: int = 1) -> str:
    """Bytes as the page carries them: all first bytes of the numbers, then all second ones, ..., zlib, base64."""
    planes = np.frombuffer(data, np.uint8).reshape(-1, each).T.tobytes()
    return b64encode(zlib.compress(planes)).decode()


def _floats(array: Array) -> str:
    return pack(np.ascontiguousarray(array, "<f4").tobytes(), 4)


def _bytes(x: Array) -> Array:
    return x if x.dtype == np.uint8 else np.rint(x * 255).astype(np.uint8)


def _shelf(labels: Array) -> list[int]:
    """Places of images to choose from: the classes take turns."""
    rank = np.zeros(len(labels), int)
    for label in np.unique(labels):
        rank[labels == label] = np.arange((labels == label).sum())
    order: list[int] = np.lexsort((labels, rank))[:SHELF].tolist()
    return order


def _weights(network: Network, x: Array, box: Codes) -> dict[str, Any]:
    """The weights, layer after layer, with as few bits as are near enough."""
    z = np.concatenate([latent.encode(network, x), corners(box)])
    decoded, whole = _decoded(network, z), evaluate.reconstruct(network, x)
    shipped, bits = rounded(network, 16, 16), [16, 16]
    far = [_stray(decoded, _decoded(shipped, z)), _stray(whole, evaluate.reconstruct(shipped, x))]
    half = max(far) <= NEAR
    if not half:
        some = BITS[3:] if far[0] > NEAR else BITS  # fp16 is as fine as 19 bits
        bits[1], far[0] = _fewest(some, lambda b: _stray(decoded, _decoded(rounded(network, 32, b), z)))
        bits[0], far[1] = _fewest(BITS, lambda b: _stray(whole, evaluate.reconstruct(rounded(network, b, bits[1]), x)))
        shipped = rounded(network, *bits)
    flat = np.concatenate([p.detach().numpy().ravel() for p in _in_order(shipped)])
    return {
        "precision": "fp16" if half else "fp32",
        "bits": bits,
        "stray": max(far),
        "weights": pack(flat.astype("<f2").tobytes(), 2) if half else _floats(flat),  # zlib takes the bits that are 0
    }


def _fewest(some: Sequence[int], stray: Callable[[int], float]) -> tuple[int, float]:
    """The first number of bits that is near enough, or the last, and how far it strays."""
    for bits in some:
        far = stray(bits)
        if far <= NEAR:
            break
    return bits, far


def _in_order(network: Network) -> list[torch.nn.Parameter]:
    halves = (network.encoder, network.decoder)
    return [p for half in halves for part in [*half.layers, half.linear] if part is not None for p in part.parameters()]


@torch.no_grad()
def rounded(network: Network, encoder: int, decoder: int) -> Network:
    """The network with its weights rounded to so many bits: 16 are fp16, more are fp32 without its last ones."""
    shipped = copy.deepcopy(network)
    for half, bits in ((shipped.encoder, encoder), (shipped.decoder, decoder)):
        for parameter in half.parameters():
            if bits == 16:
                parameter.copy_(parameter.half().float())
            elif bits < 32:
                unit = 1 << (32 - bits)
                parameter.copy_(((parameter.view(torch.int32) + unit // 2) & -unit).view(torch.float32))
    return shipped


def _decoded(network: Network, z: Array) -> Array:
    return latent.decode(network, z, (network.pixels,))


def _stray(right: Array, shipped: Array) -> float:
    """The most that a pixel differs; infinite where only one of the two is a finite number."""
    same = (right == shipped) | (np.isnan(right) & np.isnan(shipped))
    stray = float(np.abs(np.subtract(right, shipped, out=np.zeros_like(right), where=~same)).max())
    return stray if np.isfinite(stray) else np.inf


def corners(box: Codes) -> Array:
    """Corners of the box of training codes: both ends, and others drawn at random, (CORNERS + 2, K) float32."""
    low, high = (np.array(end, np.float32) for end in (box.low, box.high))
    upper = np.random.default_rng(len(low)).integers(0, 2, (CORNERS, len(low))).astype(bool)
    return np.concatenate([low[None], high[None], np.where(upper, high, low)])


def _network(network: Network, x: Array, box: Codes) -> dict[str, Any]:
    """What a network is, and where the codes of the images lie along their principal directions."""
    z = latent.encode(network, x).astype(np.float64)  # (N, K)
    mean = z.mean(axis=0)
    spread, axes = np.linalg.eigh((z - mean).T @ (z - mean) / len(z))  # (K,) and (K, K), the smallest first
    std, axes = np.sqrt(spread[::-1].clip(0)), axes.T[::-1].copy()  # (K,) and (K, K), a row a direction
    axes *= np.where(np.abs(axes).max(axis=1) == axes.max(axis=1), 1, -1)[:, None]  # one sign, whatever the machine
    along = (z - mean) @ axes.T  # (N, K)
    low, high = np.quantile(along[:, :DIALS], INNER, axis=0)  # (M,) each
    tiny = 1e-6 * max(float(np.abs(z).max()), 1e-30)  # what rounding makes
    used = std > max(1e-4 * std[0], tiny)
    std = np.where(used, std, 0)
    far = np.sqrt(np.square(along[:, used] / std[used]).mean(axis=1)) if used.any() else np.zeros(len(z))
    flat = along[:, :2] if along.shape[1] > 1 else np.concatenate([along, np.zeros_like(along)], axis=1)
    reach = 2.1 * float(np.abs(flat).max())
    reach = reach if reach > tiny else 1.0
    return {
        "latentDim": network.latent_dim,
        "layers": [int(n) for n in network.sizes],
        "activation": network.activation,
        "output": network.output,
        "linear": bool(network.linear_path),
        "mean": mean.tolist(),
        "axes": _floats(axes),
        "std": std.tolist(),
        "low": low.tolist(),
        "high": np.maximum(high, low + 1e-6).tolist(),
        "boxLow": list(box.low),
        "boxHigh": list(box.high),
        "far": np.quantile(far, np.linspace(0.01, 1, 100)).tolist(),
        "map": _floats(flat / reach),
        "errors": _floats(evaluate.image_errors(network, x)),
    }
