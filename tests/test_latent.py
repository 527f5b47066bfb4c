"""Codes: interpolations whose ends are the codes themselves, and measures with known values."""

import numpy as np
import pytest

from latentfit import evaluate, latent
from latentfit.errors import InputError
from latentfit.model import BATCH, Network

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (BATCH + 40, 6, 5), np.uint8)
NETWORK = Network(30, 4, hidden=(10,), seed=2)


def codes(p=200, k=7):
    """Codes of very different lengths."""
    return (RNG.normal(size=(p, k)) * 10.0 ** RNG.uniform(-6, 6, (p, 1))).astype(np.float32)


@pytest.mark.parametrize("shape", [(6, 5), (2, 5, 3)], ids=["grey", "colour"])
def test_decoding_the_codes_is_reconstructing(shape):
    x = X.reshape(-1, *shape)
    z = latent.encode(NETWORK, x)
    assert z.shape == (len(x), 4)
    assert z.dtype == np.float32
    x_hat = latent.decode(NETWORK, z, shape)
    np.testing.assert_allclose(x_hat, evaluate.reconstruct(NETWORK, x), rtol=0, atol=1e-6)


def test_codes_of_an_image_do_not_depend_on_its_neighbours():
    one_by_one = np.concatenate([latent.encode(NETWORK, x[None]) for x in X[-20:]])
    np.testing.assert_allclose(latent.encode(NETWORK, X)[-20:], one_by_one, rtol=0, atol=1e-6)


def test_decode_takes_doubles_and_read_only_arrays():
    z = RNG.normal(size=(5, 4))
    z.setflags(write=False)
    x_hat = latent.decode(NETWORK, z, (6, 5))
    np.testing.assert_array_equal(x_hat, latent.decode(NETWORK, z.astype(np.float32), (6, 5)))


@pytest.mark.parametrize("spherical", [False, True], ids=["linear", "spherical"])
@pytest.mark.parametrize("steps", [2, 3, 5, 10, 101])
def test_interpolation_ends_are_the_codes_bit_for_bit(steps, spherical):
    z_a, z_b = codes(), codes()
    z_a[0] = z_b[1] = -0.0
    z = latent.interpolate(z_a, z_b, steps, spherical)
    assert z.shape == (200, steps, 7)
    assert z.dtype == np.float32
    assert z[:, 0].tobytes() == z_a.tobytes()
    assert z[:, -1].tobytes() == z_b.tobytes()


@pytest.mark.parametrize("steps", [1, 0, -3])
def test_fewer_than_two_steps_are_refused(steps):
    with pytest.raises(InputError, match=f"steps {steps}; expected 2 or more"):
        latent.interpolate(codes(), codes(), steps)


def _with(values, value):
    changed = values.astype(np.float32)
    changed[3].flat[1] = value
    return changed


UNIT = X[:5] / np.float32(255)
Z = np.zeros((5, 4), np.float32)
UNUSABLE = {
    "images of another size": (
        lambda: latent.encode(NETWORK, X[:, :5]),
        "of 1040 × 5 × 5; expected .* 30 numbers",
    ),
    "one image alone": (lambda: latent.encode(NETWORK, UNIT[0, 0]), "images of 5; expected"),
    "an image with NaN": (
        lambda: latent.encode(NETWORK, _with(UNIT, np.nan)),
        "image 3 has numbers that are NaN",
    ),
    "a late one": (lambda: latent.encode(NETWORK, np.repeat(_with(UNIT, -np.inf), BATCH, 0)), f"image {3 * BATCH} has"),
    "other codes": (
        lambda: latent.decode(NETWORK, Z[:, :3], (6, 5)),
        "of 5 × 3; expected any number of codes of 4",
    ),
    "a code with inf": (lambda: latent.decode(NETWORK, _with(Z, np.inf), (6, 5)), "code 3 has numbers that are NaN"),
    "another picture": (
        lambda: latent.decode(NETWORK, Z, (6, 6)),
        r"\(6, 6\); expected one of .* 30 numbers",
    ),
    "codes of two sizes": (lambda: latent.interpolate(Z, Z[:, :3]), "codes of 5 × 4 and 5 × 3; expected one shape"),
    "codes of two counts": (lambda: latent.interpolate(Z, Z[:1]), "codes of 5 × 4 and 1 × 4; expected one shape"),
    "a single code": (lambda: latent.interpolate(Z[0], Z[0]), r"codes of 4 and 4; expected one shape, \(pairs, K\)"),
    "an end with NaN": (lambda: latent.interpolate(Z, _with(Z, np.nan)), "code 3 has numbers that are NaN"),
    "pairs of two sizes": (
        lambda: latent.interpolate_images(NETWORK, X[:2], X[:2, :3]),
        "of 2 × 3 × 5; expected",
    ),
    "reconstructions": (lambda: evaluate.reconstruct(NETWORK, X[:, :5]), "images of 25 numbers; expected 30"),
    "errors": (lambda: evaluate.mse(NETWORK, X[:, :5]), "images of 25 numbers; expected 30"),
}


@pytest.mark.parametrize(("call", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_the_network_does_not_take_is_one_line(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_no_images_have_no_codes():
    assert latent.encode(NETWORK, X[:0]).shape == (0, 4)
    assert latent.decode(NETWORK, Z[:0], (6, 5)).shape == (0, 6, 5)


def test_interpolation_is_five_even_steps_on_a_line():
    z_a, z_b = codes(), codes()
    t = np.array([0, 0.25, 0.5, 0.75, 1])[:, None]
    line = z_a[:, None] + t * (z_b.astype(float) - z_a)[:, None]
    scale = np.abs(line).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(latent.interpolate(z_a, z_b) / scale, line / scale, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 5), (2, 5, 3)], ids=["grey", "colour"])
def test_interpolated_images_run_between_the_reconstructions(shape):
    a, b = X[:30].reshape(30, *shape), X[-30:].reshape(30, *shape)
    images = latent.interpolate_images(NETWORK, a, b, steps=5)
    assert images.shape == (30, 5, *shape)
    z = latent.interpolate(latent.encode(NETWORK, a), latent.encode(NETWORK, b), 5)
    expected = [latent.decode(NETWORK, z[:, step], shape) for step in range(5)]
    expected[0], expected[-1] = evaluate.reconstruct(NETWORK, a), evaluate.reconstruct(NETWORK, b)
    np.testing.assert_allclose(images, np.stack(expected, axis=1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("steps", [2, 5, 9])
def test_evenness_is_1_for_a_cross_fade_and_least_for_a_single_jump(steps):
    a, b = RNG.uniform(0, 1, (2, 6, 1, 4, 3))
    np.testing.assert_allclose(latent.evenness(a + np.linspace(0, 1, steps)[:, None, None] * (b - a)), 1)
    jump = np.zeros((steps - 1, steps, 4, 3), np.float32)
    for p in range(steps - 1):
        jump[p, p + 1 :] = 0.7
    np.testing.assert_allclose(latent.evenness(jump), 1 / (steps - 1))


def test_evenness_is_the_mean_step_over_the_longest_and_stays_in_its_range():
    pictures = RNG.uniform(0, 1, (40, 5, 4, 3, 3)).astype(np.float32)
    pictures[0] = 0.3  # no change
    steps = np.sqrt(np.square(np.diff(pictures[1:].astype(float), axis=1)).sum(axis=(2, 3, 4)))
    evenness = latent.evenness(pictures)
    np.testing.assert_allclose(evenness, [1, *steps.mean(axis=1) / steps.max(axis=1)])
    assert ((evenness >= 0.25) & (evenness <= 1)).all()


@pytest.mark.parametrize("k", [1, 2, 16])
def test_effective_dim_of_equal_directions_is_their_number(k):
    directions = np.eye(k, dtype=np.float32)
    assert latent.effective_dim(np.concatenate([directions, -directions])) == pytest.approx(k)


def test_effective_dim_of_a_line_is_one_and_of_a_point_zero():
    line = RNG.normal(size=(300, 1)) * RNG.normal(size=8) + RNG.normal(size=8)
    assert latent.effective_dim(line.astype(np.float32)) == pytest.approx(1)
    assert latent.effective_dim(np.full((500, 8), 0.1, np.float32)) == 0


def test_effective_dim_against_the_eigenvalues():
    z = RNG.normal(size=(400, 6)) * [3, 2, 1, 1, 0.5, 0.1] + 5
    eigenvalues = np.linalg.eigvalsh(np.cov(z, rowvar=False))
    assert latent.effective_dim(z) == pytest.approx(eigenvalues.sum() ** 2 / np.square(eigenvalues).sum())


def test_effective_dim_does_not_depend_on_scale_origin_or_rotation():
    z = RNG.normal(size=(400, 6)) * [3, 2, 1, 1, 0.5, 0.1]
    rotation, _ = np.linalg.qr(RNG.normal(size=(6, 6)))
    expected = latent.effective_dim(z)
    for other in (1e-6 * z, 1e6 * z, z + 100, z @ rotation):
        assert latent.effective_dim(other) == pytest.approx(expected)


def test_spherical_interpolations_stay_on_the_circle():
    a = np.array([[2.0, 0, 0], [0, 3, 0]], np.float32)
    b = np.array([[0, 2.0, 0], [0, 0, 1]], np.float32)
    z = latent.interpolate(a, b, 5, spherical=True)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), [[2] * 5, [3, 2.5, 2, 1.5, 1]], rtol=1e-6)
    np.testing.assert_allclose(z[0, 2], [2**0.5, 2**0.5, 0], atol=1e-6)  # half of the right angle


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1.0, 0.0], [2.0, 0.0]),
        ([1.0, 0.0], [-1.0, 0.0]),
        ([1.0, 0.0], [-3.0, 0.0]),
        ([0.3, 0.7], [-0.9, -2.1]),
        ([0.3, 0.7], [0.9, 2.1]),
        ([1.0, 0.0], [0.0, 0.0]),
        ([0.0, 0.0], [0.0, 2.0]),
        ([0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_codes_on_a_line_with_the_origin_have_a_straight_line_for_a_circle(a, b):
    ends = np.array([[a], [b]], np.float32)
    z = latent.interpolate(*ends, 5, spherical=True)
    np.testing.assert_allclose(z, latent.interpolate(*ends, 5), rtol=0, atol=2e-6)
    np.testing.assert_array_equal(z[0, [0, -1]], ends[:, 0])


@pytest.mark.parametrize("angle", [1e-4, 3e-4, np.pi - 3e-4, np.pi - 1e-4])
def test_codes_nearly_on_a_line_with_the_origin_have_a_circle(angle):
    a, b = np.array([[2.0, 0]], np.float32), np.array([[2 * np.cos(angle), 2 * np.sin(angle)]], np.float32)
    z = latent.interpolate(a, b, 3, spherical=True)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 2, rtol=1e-3)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([[0.0, 0], [0.5, 0.5], [1, 1]], 1),  # straight
        ([[0.0, 0], [1, 0], [1, 1]], 2**0.5),  # a corner
        ([[1.0, 1], [1, 1], [1, 1]], 1),  # no change
        ([[0.0, 0], [1, 0], [0, 0]], 1),  # back to the start
    ],
)
def test_detour_by_hand(points, expected):
    assert latent.detour(np.reshape(points, (1, 3, 1, 2))) == pytest.approx(expected)


def test_drift_is_the_distance_that_the_midpoint_moves():
    z = latent.interpolate(*RNG.normal(size=(2, 6, NETWORK.latent_dim)).astype(np.float32), 5)
    shape = X.shape[1:]
    again = latent.encode(NETWORK, latent.decode(NETWORK, z[:, 2], shape))
    moved = np.linalg.norm(again - z[:, 2], axis=1) / np.linalg.norm(z[:, -1] - z[:, 0], axis=1)
    np.testing.assert_allclose(latent.drift(NETWORK, z, shape), moved, rtol=1e-5)
    assert (latent.drift(NETWORK, np.repeat(z[:, :1], 5, axis=1), shape) == 0).all()


def test_quantized_codes_by_hand():
    low, high = np.array([0.0, -1, 5]), np.array([3.0, 1, 5])
    z = np.array([[0.4, -2, 5], [2.6, 0.4, 9]], np.float32)
    np.testing.assert_allclose(latent.quantize(z, low, high, 2), [[0, -1, 5], [3, 1 / 3, 5]], rtol=1e-6)


@pytest.mark.parametrize("bits", [4, 6, 8, 16])
def test_quantized_codes_lie_within_half_a_step(bits):
    z = RNG.normal(size=(200, 7)).astype(np.float32)
    low, high = z.min(axis=0), z.max(axis=0)
    rounded = latent.quantize(z, low, high, bits)
    assert (np.abs(rounded - z) <= 0.5001 * (high - low) / (2**bits - 1) + 1e-6).all()
    assert max(len(np.unique(column)) for column in rounded.T) <= 2**bits
    assert rounded.dtype == np.float32
