"""What the page's explorer runs on: networks, images, and where the real codes lie, as JSON with packed numbers.

Weights go as integers, one step a matrix, as coarse as keeps every pixel within half of a grey level, or within a whole
one at the corners where all sliders are at their ends. Biases stay fp32. Rows of numbers are there as networks see
them, in fp32, and how near their weights are is `Curves.stray`.

N images, K latent dimensions, D numbers an image, M dials.
"""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import evaluate, latent
from ..hardware import side_by_side
from ..model import BATCH, Codec, Network
from ..results import Codes
from ..sweep.store import Study
from .curves import Curves

Array = NDArray[Any]

ROOM = 20_000_000  # bytes of the networks and images in a page
PIXELS = 2_000_000  # numbers that the images may be in a page
NUMBERS = 1_000_000  # numbers of rows in a page, of four bytes each: a quarter of the room
DIALS = 10
SHELF = 40  # images to choose from at once
INNER = (0.005, 0.995)  # quantiles of the real codes that a dial goes between
STRAY = 1 / 510  # that a pixel may be off: half of a grey level
DECODER, BOTH = 0.6, 0.75  # shares of it for weights to be near enough; other points stray farther than those tried
DRAWN = 500  # points of each kind at which weights are tried
COARSE = 2**-6  # the first step that is tried, in standard deviations of the largest matrix
TRIES = 12
DIGITS = bytes(c for c in range(33, 127) if c not in b'"<\\')  # nothing that JSON or HTML would escape


def content(study: Study, codecs: Mapping[int, Codec]) -> dict[str, object] | None:
    """Everything the explorer's script reads.

    None for a study without networks of plain layers or without images to explore, and where the page has no room for
    a single network.

    Args:
        study: A finished study.
        codecs: Its networks of the first seed, by latent size.
    """
    networks = {k: network for k, network in codecs.items() if isinstance(network, Network)}
    if not networks or "map" not in study.shown:
        return None
    some = _some(study.shown["map"], NUMBERS if study.found.dataset.is_rows else None)
    x, indices, labels = (study.shown[name][some] for name in ("map", "map_indices", "map_labels"))
    classes = study.found.dataset.classes if (labels >= 0).all() else None
    first = {model.latent_dim: model.codes for model in study.found.first}
    curves = Curves.of(study, x)
    pictures = pack(_bytes(x).tobytes()) if curves is None else _floats(x)
    sizes = order(sorted(networks), study.found.verdict.latent_dim)
    room = ROOM - len(pictures)
    small = [k for k in sizes if sum(weight.numel() for weight in networks[k].parameters()) <= room]  # a byte each
    told = _that_fit(small, lambda k: _network(networks[k], x, first[k], curves), room)
    if not told:
        return None
    return {
        "shape": [int(n) for n in x.shape[1:]],
        "classes": classes and list(classes),
        "images": pictures,
        "indices": indices.tolist(),
        "labels": labels.tolist(),
        "shelf": _shelf(labels),
        "first": small[0],
        "left_out": sorted(set(networks) - set(told)),
        "networks": [told[k] for k in sorted(told)],
        **({} if curves is None else {"rows": curves.as_json()}),
    }


def _some(x: Array, room: int | None = None) -> NDArray[np.int64]:
    """As many of the images as there is room for, evenly over all, two at least."""
    most = max(2, (room or PIXELS) // x[0].size)
    return np.unique(np.linspace(0, len(x) - 1, min(len(x), most)).astype(int))


def order(sizes: list[int], answer: int | None) -> list[int]:
    """Sizes as they go into a page: the answer, its neighbours, the largest, then what is farthest from all."""
    chosen = [len(sizes) - 1]
    if answer in sizes:
        at = sizes.index(answer)
        chosen = [*dict.fromkeys(i for i in (at, at - 1, at + 1, len(sizes) - 1) if 0 <= i < len(sizes))]
    while len(chosen) < len(sizes):
        chosen.append(max(range(len(sizes)), key=lambda i: min(abs(i - other) for other in chosen)))
    return [sizes[i] for i in chosen]


def _that_fit(sizes: list[int], told: Callable[[int], dict[str, object]], room: int) -> dict[int, dict[str, object]]:
    """The first sizes that there is room for."""
    fitting: dict[int, dict[str, object]] = {}
    for two in (sizes[i : i + 2] for i in range(0, len(sizes), 2)):
        for k, network in zip(two, side_by_side(*(partial(told, k) for k in two)), strict=True):
            room -= len(json.dumps(network))
            if room < 0:
                return fitting
            fitting[k] = network
    return fitting


def pack(data: bytes, each: int = 1, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> str:
    """Bytes as the page carries them: all first bytes of the numbers, then all second ones, ..., zlib, base 91."""
    planes = np.frombuffer(data, np.uint8).reshape(-1, each).T.tobytes()
    deflate = zlib.compressobj(strategy=strategy)
    return base91(deflate.compress(planes) + deflate.flush())


def base91(data: bytes) -> str:
    """Bytes as text that a page can hold as it is: two of `DIGITS` for 13 bits, one for up to 6 that are left.

    8 % shorter than base64, which takes four characters for 24 bits.
    """
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    left = len(bits) % 13
    rows = np.pad(bits, (0, -len(bits) % 13)).reshape(-1, 13)
    words = np.packbits(np.pad(rows, ((0, 0), (3, 0))), axis=1).view(">u2").ravel()
    digits = np.stack(np.divmod(words, 91), axis=1).ravel()
    if 0 < left <= 6:
        digits = np.append(digits[:-2], words[-1] >> 7)
    return bytes(np.frombuffer(DIGITS, np.uint8)[digits]).decode()


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


@dataclass(frozen=True)
class Directions:
    """Principal directions of the codes of images, and how far the dials go along them."""

    mean: Array  # (K,)
    std: Array  # (K,), the largest first
    axes: Array  # (K, K), a row a direction
    low: Array  # (M,)
    high: Array  # (M,)

    @classmethod
    def of(cls, codes: Array) -> Directions:
        """Of codes (N, K)."""
        z = codes.astype(np.float64)
        mean = z.mean(axis=0)
        spread, axes = np.linalg.eigh((z - mean).T @ (z - mean) / len(z))  # (K,) and (K, K), the smallest first
        std, axes = np.sqrt(spread[::-1].clip(0)), axes.T[::-1].copy()
        axes *= np.where(np.abs(axes).max(axis=1) == axes.max(axis=1), 1, -1)[:, None]  # one sign, whatever the machine
        low, high = np.quantile((z - mean) @ axes[:DIALS].T, INNER, axis=0)  # (M,) each
        return cls(mean, std, axes, low, np.maximum(high, low + 1e-6))

    def turned(self, z: Array, dials: Array, upper: Array) -> Array:
        """Codes (N, K) with those dials (N, M) at their ends: the upper ones, or the lower."""
        ends = np.where(upper, self.high, self.low)
        axes = self.axes[: len(self.low)]
        return z + np.where(dials, ends - (z - self.mean) @ axes.T, 0) @ axes  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Points:
    """Codes that the explorer can reach, drawn at random: at these shipped weights are compared with the true ones."""

    directions: Directions
    box: Codes
    seed: int = 0
    count: int = DRAWN

    def near(self, z: Array) -> Array:
        """Codes of images (N, K) themselves, on lines between them, and with one dial or number at an end."""
        draw = np.random.default_rng(self.seed)
        a, b, c, d = z[draw.integers(0, len(z), (4, self.count))]  # (count, K) each
        t = draw.random((self.count, 1))
        one = np.eye(len(self.directions.low), dtype=bool)[draw.integers(0, len(self.directions.low), self.count)]
        dial = self.directions.turned(c, one, draw.integers(0, 2, (self.count, 1)))
        number = np.eye(z.shape[1], dtype=bool)[draw.integers(0, z.shape[1], self.count)]
        ends = np.where(draw.integers(0, 2, (self.count, 1)), self.box.high, self.box.low)
        return np.concatenate([z, (1 - t) * a + t * b, dial, np.where(number, ends, d)]).astype(np.float32)

    def corners(self, z: Array) -> Array:
        """All numbers at their ends, or all dials."""
        draw = np.random.default_rng(self.seed)
        upper = draw.integers(0, 2, (self.count, z.shape[1])).astype(bool)
        upper[0], upper[-1] = False, True
        dials = draw.integers(0, 2, (self.count, len(self.directions.low)))
        turned = self.directions.turned(z[draw.integers(0, len(z), self.count)], np.ones_like(dials, bool), dials)
        return np.concatenate([np.where(upper, self.box.high, self.box.low), turned]).astype(np.float32)


def _weights(network: Network, x: Array, z: Array, points: Points, stray: float = STRAY) -> dict[str, object]:
    """The weights as integers: the coarsest steps that are near enough, the decoder's first, then the encoder's."""
    near, corners = points.near(z), points.corners(z)
    right, right_corners = _decoded(network, near), _decoded(network, corners)

    def strays(shipped: Network, codes: Array) -> float:
        near = _strays(right, shipped, points.near(codes))
        return max(near, _strays(right_corners, shipped, corners) / 2)

    def halves(encoder: float, decoder: float) -> float:
        shipped = rounded(network, encoder, decoder, integral=False)[0]
        return strays(shipped, latent.encode(shipped, x))

    decoder = _coarsest(lambda step: strays(rounded(network, step, step, integral=False)[0], z), DECODER * stray)
    encoder = _coarsest(lambda step: halves(step, decoder), BOTH * stray)
    shipped, integers = rounded(network, encoder, decoder)
    planes, low = zip(*(_planes(whole) for whole, _ in integers), strict=True)
    biases = [layer.bias.detach() for half in (shipped.encoder, shipped.decoder) for layer in half.layers]
    return {
        "planes": pack(b"".join(planes), strategy=zlib.Z_HUFFMAN_ONLY),  # nothing repeats in weights
        "low": low,
        "steps": [step for _, step in integers],
        "biases": _floats(torch.cat(biases).numpy()),
    }


def _coarsest(stray: Callable[[float], float], limit: float) -> float:
    """A step that strays by no more than the limit; straying grows with the step."""
    step = COARSE
    for _ in range(TRIES):
        far = stray(step)
        if far <= limit:
            break
        step *= np.clip(0.95 * limit / far, 2**-6, 0.85)
    return step


@torch.no_grad()
def rounded(
    network: Network, encoder: float, decoder: float, integral: bool = True
) -> tuple[Network, list[tuple[Array, float]]]:
    """The network with each matrix as whole numbers times a step; those numbers and steps in the page's order.

    Steps are in standard deviations of a matrix, and smaller for a small matrix: its bits cost little. Without
    `integral` the numbers are left out.
    """
    shipped = copy.deepcopy(network)
    largest = max(parameter.numel() for parameter in network.parameters())
    integers = []
    for half, relative in ((shipped.encoder, encoder), (shipped.decoder, decoder)):
        for part in [*half.layers, half.linear]:
            if part is None:
                continue
            weight = part.weight.double()
            deviation = float(weight.std(correction=0)) or float(weight.abs().max())  # all alike, or a single one
            step = relative * deviation * (weight.numel() / largest) ** 0.5 or 1.0
            whole = torch.round(weight / step)
            part.weight.copy_(whole * step)
            if integral:
                integers.append((whole.numpy().astype(np.int64).ravel(), step))
    return shipped, integers


def _planes(whole: Array) -> tuple[bytes, int]:
    """Whole numbers as one byte each, what remains of them bit by bit, the highest first; and how many bits remain.

    The bytes are those that zlib makes smaller.
    """
    low = max(0, int(np.abs(whole).max()).bit_length() - 7)
    bits = [np.packbits((whole >> bit & 1).astype(np.uint8)).tobytes() for bit in reversed(range(low))]
    return b"".join([(whole >> low).astype(np.int8).tobytes(), *bits]), low


def _decoded(network: Network, z: Array) -> Array:
    return latent.decode(network, z, (network.pixels,))


def _strays(right: Array, shipped: Network, z: Array) -> float:
    """The most that a pixel differs from the right ones (N, D) where a network decodes codes (N, K)."""
    parts = (slice(start, start + BATCH) for start in range(0, len(z), BATCH))
    return max(_stray(right[part], _decoded(shipped, z[part])) for part in parts)


def _stray(right: Array, shipped: Array) -> float:
    """The most that a pixel differs; infinite where only one of the two is a finite number."""
    same = (right == shipped) | (np.isnan(right) & np.isnan(shipped))
    stray = float(np.abs(np.subtract(right, shipped, out=np.zeros_like(right), where=~same)).max())
    return stray if np.isfinite(stray) else np.inf


def _network(network: Network, x: Array, box: Codes, curves: Curves | None) -> dict[str, object]:
    """What a network is, its weights, and where the codes of the images lie along their principal directions."""
    z, errors = latent.encode(network, x), evaluate.image_errors(network, x)  # (N, K), (N,)
    directions = Directions.of(z)
    along = (z - directions.mean) @ directions.axes.T  # (N, K)
    tiny = 1e-6 * max(float(np.abs(z).max()), 1e-30)  # what rounding makes
    used = directions.std > max(1e-4 * directions.std[0], tiny)
    std = np.where(used, directions.std, 0)
    dials = np.flatnonzero(used[:DIALS])
    far = np.sqrt(np.square(along[:, dials] / std[dials]).mean(axis=1)) if len(dials) else np.zeros(len(z))
    flat = along[:, :2] if along.shape[1] > 1 else np.concatenate([along, np.zeros_like(along)], axis=1)
    reach = 2.1 * float(np.abs(flat).max())
    reach = reach if reach > tiny else 1.0
    return {
        "latentDim": network.latent_dim,
        "layers": [int(n) for n in network.sizes],
        "activation": network.activation,
        "output": network.output,
        "linear": bool(network.linear_path),
        "mean": directions.mean.tolist(),
        "axes": _floats(directions.axes),
        "std": std.tolist(),
        "low": directions.low.tolist(),
        "high": directions.high.tolist(),
        "boxLow": list(box.low),
        "boxHigh": list(box.high),
        "far": np.quantile(far, np.linspace(0.01, 1, 100)).tolist(),
        "plane": _floats(flat / reach),
        "reach": reach,
        "errors": _floats(errors),
        "weights": _weights(network, x, z, Points(directions, box), curves.stray(errors) if curves else STRAY),
    }
