"""Drawn clothes: the set that a study uses if Fashion-MNIST is not available.

Each garment is a signed distance field of a few half-planes and ellipses. Eight continuous factors, which mean the same
in all ten classes, decide its form. There is no noise, so the number of true factors is known exactly.

`N` images, `F` factors. Lengths are pixels from the middle of the picture, x to the right and y down; `a` is |x|, for
symmetric garments. A distance is negative inside. Formulas: Inigo Quilez, "2D distance functions", "Smooth minimum"
and "Ellipsoid - distance" (iquilezles.org).
"""

from __future__ import annotations

import math
from functools import reduce
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .fashion_mnist import CLASSES
from .images import ImageSet
from .reading import Array

Number = Array | float
Point = tuple[Number, Number]
Pattern = tuple[Array, tuple[tuple[Array, float], ...]]  # silhouette; (distance, darkness in [0, 1]) of trims, in order

SIZE = 28  # pixels a side
SHOES = ("Sandal", "Sneaker", "Ankle boot")  # all other garments are symmetric
CHUNK = 128  # images drawn together, so that their distances stay in the processor's cache


class Factors(NamedTuple):
    """What varies within a class; each is (N, 1, 1) in [0, 1]."""

    width: Array  # narrow to wide
    length: Array  # short to long; of shoes, height of the foot
    reach: Array  # length of the limb: sleeve, rise of the trousers, strap, shaft, handle
    opening: Array  # width of the opening: neck, front, gap between the legs, mouth of a shoe, span of a handle
    flare: Array  # width of the lower end relative to the upper; of shoes, height of the heel
    trim: Array  # darkness of collar, cuffs, seams, buttons and soles relative to the cloth
    shade: Array  # dark to light cloth
    tilt: Array  # leaning left to leaning right


def draw(train_images: int = 60_000, test_images: int = 10_000, seed: int = 0) -> ImageSet:
    """Draw a set: classes balanced up to one image and shuffled, factors uniform.

    The same seed gives the same bytes. Training and test images have separate random streams.

    Returns:
        The set "garments": (N, 28, 28) uint8 images, light on black, with the classes of Fashion-MNIST;
        `true_factors` is the number of `Factors`.

    Raises:
        InputError: A number of images is below 1, or the seed below 0.
    """
    for what, count in (("train_images", train_images), ("test_images", test_images)):
        if count < 1:
            raise InputError(f"garments: {what} is {count}; at least 1 is needed")
    if seed < 0:
        raise InputError(f"garments: seed is {seed}; expected an integer from 0")
    train, test = (np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(2))
    (x_train, y_train), (x_test, y_test) = _draw_split(train, train_images), _draw_split(test, test_images)
    return ImageSet("garments", x_train, x_test, y_train, y_test, CLASSES, true_factors=len(Factors._fields))


def _draw_split(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    y = rng.permutation(np.arange(count) % len(CLASSES)).astype(np.uint8)
    factors = rng.random((count, len(Factors._fields)), np.float32)  # (N, F)
    x = np.empty((count, SIZE, SIZE), np.uint8)
    for label in range(len(CLASSES)):
        x[y == label] = picture(label, factors[y == label])
    return x, y


def picture(label: int, factors: Array) -> Array:
    """Draw garments of one class with factors (N, F) in [0, 1]: (N, 28, 28) uint8, 0 for the background.

    The value of a pixel is its share covered by the garment, clip(1/2 - distance, 0, 1), times the tone of the cloth.
    """
    images = np.empty((len(factors), SIZE, SIZE), np.uint8)
    for start in range(0, len(factors), CHUNK):
        part = np.asarray(factors[start : start + CHUNK], np.float32)
        images[start : start + CHUNK] = _paint(label, Factors(*part.T[:, :, None, None]))
    return images


def _paint(label: int, f: Factors) -> Array:
    # A rotation by 2 arctan(t), up to 7 degrees, without sine and cosine: only + - × / and square root have the same
    # bits on every machine (IEEE 754).
    t = _mix(f.tilt, -0.06, 0.06)
    cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    across = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2
    down = across[:, None]
    x, y = across * cos + down * sin, down * cos - across * sin
    shape, trim = _CUTS[label](f, x if CLASSES[label] in SHOES else np.abs(x), y)
    tone = 0.86 + 0.14 * np.clip(shape / -3, 0, 1)  # cloth turns away from the light at its edges
    for distance, darkness in trim:
        tone *= 1 - darkness * _mix(f.trim, 0.25, 1) * _cover(distance)
    return np.rint(_mix(f.shade, 115, 255) * tone * _cover(shape)).astype(np.uint8)


def _mix(f: Array, low: Number, high: Number) -> Array:
    mixed: Array = low + (high - low) * f
    return mixed


def _cover(distance: Array) -> Array:
    return np.clip(0.5 - distance, 0, 1)


def _outside(x: Array, y: Array, p: Point, q: Point) -> Array:
    """Distance from the line through p and q, negative to the right of the direction from p to q."""
    dx, dy = q[0] - p[0], q[1] - p[1]
    norm = np.sqrt(dx * dx + dy * dy)
    nx, ny = np.float32(dy / norm), np.float32(-dx / norm)  # a float64 here would double every array
    distance: Array = nx * x + ny * y - np.float32(nx * p[0] + ny * p[1])
    return distance


def _chain(x: Array, y: Array, *points: Point) -> Array:
    """Inside of the convex chain through clockwise points, open from the last to the first."""
    return reduce(np.maximum, (_outside(x, y, p, q) for p, q in pairwise(points)))


def _hull(x: Array, y: Array, *points: Point) -> Array:
    return _chain(x, y, *points, points[0])


def _ellipse(x: Array, y: Array, centre: Point, rx: Number, ry: Number) -> Array:
    """First-order distance to an ellipse: exact on the outline, where it is visible."""
    u, v = (x - centre[0]) / rx, (y - centre[1]) / ry
    k, slope = np.sqrt(u * u + v * v), np.sqrt((u / rx) ** 2 + (v / ry) ** 2)
    distance: Array = (k - 1) * ((k + 1e-6) / (slope + 1e-6))  # not 0 / 0 at the centre
    return distance


def _join(a: Array, b: Array, fillet: float = 1.5) -> Array:
    h = np.maximum(fillet - np.abs(a - b), 0)
    distance: Array = np.minimum(a, b) - h * h * (0.25 / fillet)
    return distance


def _line(distance: Array, thickness: Number = 1.0) -> Array:
    return np.abs(distance) - thickness / 2


def _cut(shape: Array, hole: Array) -> Array:
    return np.maximum(shape, -hole)


def _sleeve(a: Array, y: Array, shoulder: Array, reach: Array, fall: float, r: float) -> tuple[Array, Array]:
    """A sleeve of radius r, `fall` radians below the horizontal, and the distance past its cuff."""
    cos, sin = math.cos(fall), math.sin(fall)
    u, v = a - (shoulder - r), y - (r - 11)
    along, aside = u * cos + v * sin, v * cos - u * sin
    tube = np.abs(aside) + 0.04 * along - r  # slightly narrower towards the hand
    return np.maximum(tube, _line(along - reach / 2, reach)), along - reach


def _t_shirt(f: Factors, a: Array, y: Array) -> Pattern:
    shoulder, bottom = _mix(f.width, 5, 7.5), _mix(f.length, 5, 12)
    hem = shoulder + _mix(f.flare, -1.2, 1.8)
    body = _chain(a, y, (2, -12), (shoulder, -10.5), (hem, bottom), (0, bottom))
    sleeve, cuff = _sleeve(a, y, shoulder, _mix(f.reach, 4, 7.5), 0.75, 2.7)
    neck = _ellipse(a, y, (0, -12.5), _mix(f.opening, 2, 4.5), _mix(f.opening, 2, 4.8))
    shape = _cut(_join(body, sleeve), neck)
    cuffs = np.maximum(_line(cuff + 1.2), sleeve)
    return shape, ((_line(neck - 1), 0.5), (cuffs, 0.5))


def _trouser(f: Factors, a: Array, y: Array) -> Pattern:
    hip, bottom, crotch = _mix(f.width, 3.6, 6), _mix(f.length, 8, 13.5), _mix(f.reach, -8, -1)
    gap = _mix(f.opening, 0.7, 3.4)
    ankle = gap + _mix(f.flare, 2.2, 5.5)
    shape = _chain(a, y, (0, -13), (hip, -13), (hip + 0.6, -8), (ankle, bottom), (gap, bottom), (0, crotch))
    crease = _outside(a, y, (hip / 2, -9), ((gap + ankle) / 2, bottom))
    fly = np.maximum(_line(a), y - crotch)
    return shape, ((_line(y + 11), 0.6), (_line(crease), 0.2), (fly, 0.5))


def _pullover(f: Factors, a: Array, y: Array) -> Pattern:
    shoulder, bottom = _mix(f.width, 5, 7), _mix(f.length, 5, 12)
    hem = shoulder + _mix(f.flare, -1.2, 1)
    body = _chain(a, y, (2, -12), (shoulder, -10.5), (hem, bottom), (0, bottom))
    sleeve, cuff = _sleeve(a, y, shoulder, _mix(f.reach, 13, 20), 1.22, 2.3)
    neck = _ellipse(a, y, (0, -12.8), _mix(f.opening, 2, 4), _mix(f.opening, 1.6, 3.4))
    armhole = np.maximum(_line(_outside(a, y, (shoulder, -10.5), (hem, bottom))), sleeve)
    shape = _cut(np.minimum(body, sleeve), neck)
    ribs = np.maximum(bottom - 2.2 - y, body)
    cuffs = np.maximum(-2 - cuff, sleeve)
    return shape, ((_line(neck - 1, 2), 0.5), (ribs, 0.45), (cuffs, 0.45), (armhole, 0.5))


def _dress(f: Factors, a: Array, y: Array) -> Pattern:
    bust, bottom = _mix(f.width, 3.2, 5), _mix(f.length, 6, 13.5)
    waist = bust - 1.2
    bodice = _chain(a, y, (2, -13.5), (bust, -12.5), (bust, -8), (waist, -2.5), (0, -2.4))
    skirt = _chain(a, y, (0, -3), (waist, -3), (waist + _mix(f.flare, 0.6, 6), bottom), (0, bottom))
    sleeve, _ = _sleeve(a, y, bust - 0.6, _mix(f.reach, 2.5, 6), 0.9, 1.5)
    neck = _ellipse(a, y, (0, -13.8), _mix(f.opening, 1.5, 3.2), _mix(f.opening, 2, 6))
    shape = _cut(_join(_join(bodice, skirt), sleeve), neck)
    fold = np.maximum(_outside(a, y, (waist * 0.4, -2), (waist * 0.4 + 1.5, bottom)), -2 - y)
    return shape, ((_line(y + 2.7, 1.6), 0.7), (_line(fold), 0.3))


def _coat(f: Factors, a: Array, y: Array) -> Pattern:
    shoulder, bottom, throat = _mix(f.width, 5, 7), _mix(f.length, 8, 13.5), _mix(f.opening, 1.8, 4)
    hem = shoulder + _mix(f.flare, -0.8, 2)
    body = _chain(a, y, (2, -13), (shoulder, -11.5), (hem, bottom), (0, bottom))
    sleeve, cuff = _sleeve(a, y, shoulder, _mix(f.reach, 14, 21), 1.3, 2.2)
    v = _outside(a, y, (throat, -13), (0, -3))
    front = _outside(a, y, (0, -4), (_mix(f.opening, 0.4, 1.8), 14))
    shape = _cut(_cut(np.minimum(body, sleeve), front), np.maximum(v, -11 - y))
    lapel = np.maximum(_line(v - 1.5, 2.6), y + 1.5)
    pocket = np.maximum(_line(y - 4, 1.2), _line(a - 4, 3))
    armhole = np.maximum(_line(_outside(a, y, (shoulder, -11.5), (hem, bottom))), sleeve)
    cuffs = np.maximum(_line(cuff + 2), sleeve)
    return shape, ((lapel, 0.55), (v, 0.8), (pocket, 0.6), (armhole, 0.6), (cuffs, 0.4))


def _sandal(f: Factors, x: Array, y: Array) -> Pattern:
    half, heel = _mix(f.width, 9.5, 13), _mix(f.flare, 6, 0.5)
    back = half - 5
    toes = _hull(x, y, (-half, 6), (-3, 6), (-3, 9), (1 - half, 9))
    arch = _hull(x, y, (-4, 6), (back, heel), (back, heel + 3), (-4, 9))
    seat = _hull(x, y, (back - 1, heel), (half, heel), (half, heel + 2.5), (back - 1, heel + 3))
    block = _hull(x, y, (half - 4, heel), (half, heel), (half - 0.8, 9), (half - 3.2, 9))
    sole = np.minimum(np.minimum(toes, arch), np.minimum(seat, block))
    vamp = _ellipse(x, y, (6 - half, 7), _mix(f.opening, 2.6, 5.2), _mix(f.length, 3.5, 7))
    ankle = _ellipse(x, y, (half - 4, heel), 3.2, _mix(f.reach, 4, 9))
    straps = np.minimum(np.maximum(_line(vamp, 2.4), y - 7), np.maximum(_line(ankle, 2), y - heel - 1))
    return np.minimum(sole, straps), ((straps, 0.35),)


def _shirt(f: Factors, a: Array, y: Array) -> Pattern:
    shoulder, bottom, throat = _mix(f.width, 5, 7), _mix(f.length, 6, 13), _mix(f.opening, 1.2, 3.4)
    hem = shoulder + _mix(f.flare, -1.2, 1.2)
    body = _chain(a, y, (2, -12), (shoulder, -11), (hem, bottom - 2), (hem * 0.6, bottom), (0, bottom))
    sleeve, cuff = _sleeve(a, y, shoulder, _mix(f.reach, 6, 18), 1.12, 2.3)
    v = _outside(a, y, (throat, -13), (0, -7))
    collar = _chain(a, y, (0, -12.6), (throat, -12.6), (throat + 2, -9.5), (0.4, -6.5), (0, -7))
    shape = _cut(np.minimum(np.minimum(body, sleeve), collar), v)
    edge = np.maximum(_line(collar), -12.5 - y)
    placket = np.maximum(_line(a - 1.3, 0.8), -7 - y)
    buttons = np.sqrt(a * a + ((y + 8) % 4 - 2) ** 2) - 0.7
    cuffs = np.maximum(_line(cuff + 2), sleeve)
    armhole = np.maximum(_line(_outside(a, y, (shoulder, -11), (hem, bottom - 2))), sleeve)
    return shape, ((edge, 0.7), (placket, 0.3), (buttons, 0.9), (cuffs, 0.5), (armhole, 0.5))


def _sneaker(f: Factors, x: Array, y: Array) -> Pattern:
    half, toe, top = _mix(f.width, 9.5, 13), _mix(f.length, 3.5, -0.5), _mix(f.reach, -2, -6.5)
    cap = _ellipse(x, y, (6 - half, 7), 6, 7 - toe)
    ankle = _chain(x, y, (-5, toe + 1), (1, top), (half - 1.5, top - 0.6), (half - 0.4, 7), (-8, 7))
    wide, deep = _mix(f.opening, 1.5, half / 2 - 1.5), _mix(f.opening, 0.8, 3)
    mouth = _ellipse(x, y, (half / 2 + 1, top - 0.5), wide, deep)
    upper = np.maximum(_cut(_join(cap, ankle, 4), mouth), y - 6)
    welt = _outside(x, y, (-half, 5.8), (half, _mix(f.flare, 6.4, 1.5)))
    sole = _hull(x, y, (-half, 5), (half, 5), (half, 8.4), (0.8 - half, 8.4))
    stripes = np.maximum(_line(np.abs(_outside(x, y, (1, 6), (4, -2))) - 1.6, 1.3), -welt)
    return np.minimum(upper, sole), ((-welt, 0.4), (stripes, 0.6), (_line(welt), 0.3))


def _bag(f: Factors, a: Array, y: Array) -> Pattern:
    half, top = _mix(f.width, 7, 11.5), _mix(f.length, 2.5, -4)
    body = _chain(a, y, (0, top), (half, top), (half + _mix(f.flare, -1.6, 1.6), 12), (0, 12))
    span = _mix(f.opening, 2.8, 6.5)
    handle = np.maximum(_line(_ellipse(a, y, (0, top), span, _mix(f.reach, 3.5, 9)), 1.7), y - top)
    flap = _ellipse(a, y, (0, top), half + 1, (12 - top) * 0.55)
    clasp = np.maximum(a, np.abs(y - top - (12 - top) * 0.55)) - 1.2
    return np.minimum(body, handle), ((_line(flap, 1.2), 0.6), (clasp, 0.8))


def _ankle_boot(f: Factors, x: Array, y: Array) -> Pattern:
    half, toe, top = _mix(f.width, 9.5, 13), _mix(f.length, 3, -1), _mix(f.reach, -5, -12)
    heel, front = _mix(f.flare, 8.5, 12.5), half - _mix(f.opening, 8, 12)
    cap = _ellipse(x, y, (7.5 - half, 7.5), 7.5, 7.5 - toe)
    shaft = _chain(x, y, (front - 3, 7), (front, top), (half, top), (half - 1, 0), (half, 7))
    upper = np.maximum(_join(cap, shaft, 5), y - 7.5)
    sole = _hull(x, y, (-half, 6.4), (half, 6.4), (half, 8), (0.8 - half, 8))
    block = _hull(x, y, (half - 6.5, 7), (half, 7), (half - 0.5, heel), (half - 5.5, heel))
    panel = np.maximum(_line(x - (front + half) / 2, 3), np.maximum(top + 1 - y, y - 2))
    return np.minimum(np.minimum(upper, sole), block), ((6.4 - y, 0.6), (panel, 0.5))


# In the order of CLASSES.
_CUTS = (_t_shirt, _trouser, _pullover, _dress, _coat, _sandal, _shirt, _sneaker, _bag, _ankle_boot)
