"""Figures show the numbers they get, on the axes they get, and do not change pyplot's state."""

import io
import subprocess
import sys
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from latentfit import figures
from latentfit.figures import Curve

RNG = np.random.default_rng(0)
GREY = RNG.uniform(0.2, 0.6, (4, 6, 5)).astype(np.float32)
COLOUR = RNG.uniform(0.2, 0.6, (4, 6, 5, 3)).astype(np.float32)
PAIRS = RNG.uniform(0, 1, (2, 2, 6, 5)).astype(np.float32)
STEPS = {k: RNG.uniform(0, 1, (2, 3, 6, 5)).astype(np.float32) for k in (16, 48)}
CURVES = {16: Curve([1, 2, 3], [0.05, 0.03, 0.02], [0.06, 0.035, 0.025]), 48: Curve([1, 2], [0.04, 0.02], [0.04, 0.03])}
NAMES = ["a", "b", "c"]

DRAWN_ON_AXES = {
    "error_curves": lambda ax: figures.error_curves(CURVES, {16: 0.02, 48: 0.01}, ax),
    "one model": lambda ax: figures.error_curves({16: CURVES[16]}, {}, ax),
    "one epoch": lambda ax: figures.error_curves({16: Curve([1], [0.05], [0.05])}, {16: 0.02}, ax),
    "error_by_size": lambda ax: figures.error_by_size([4, 16], [0.02, 0.01], [0.03, 0.02], {1: 0.05, 16: 0.02}, ax),
    "one size": lambda ax: figures.error_by_size([16], [0.01], [0.02], {1: 0.05, 16: 0.02}, ax),
    "error_by_class": lambda ax: figures.error_by_class(NAMES, {4: [0.1, None, 0.3], 16: [0.1, None, 0.2]}, ax),
    "one row": lambda ax: figures.error_by_class(NAMES, {4: [0.1, 0.2, 0.3]}, ax),
}
BETWEEN = [np.stack([start, *STEPS[k][p], end]) for p, (start, end) in enumerate(PAIRS) for k in STEPS]
MADE = (GREY, {16: GREY / 2, 48: GREY / 3})
SIZES = ["16 dimensions", "48 dimensions"]
ROWS = {  # how a figure is drawn, its captions and its rows of images from the top
    "image_rows": (lambda: figures.image_rows([("a", GREY / 10), ("b", GREY)]), ["a", "b"], [GREY / 10, GREY]),
    "grey": (lambda: figures.reconstructions(*MADE), ["original", *SIZES], [GREY, GREY / 2, GREY / 3]),
    "colour": (lambda: figures.reconstructions(COLOUR, {16: COLOUR}), ["original", SIZES[0]], [COLOUR, COLOUR]),
    "no model": (lambda: figures.reconstructions(GREY, {}), ["original"], [GREY]),
    "interpolations": (lambda: figures.interpolations(PAIRS, STEPS), 2 * SIZES, BETWEEN),
}


def png(figure):
    file = io.BytesIO()
    figure.savefig(file, dpi=40)
    return file.getvalue()


def texts(artist):
    return [text.get_text() for text in artist.get_texts()]


def points(line):
    return list(zip(*line.get_data(), strict=True))


@pytest.mark.parametrize(
    "draw",
    [lambda d=d: d(None) for d in DRAWN_ON_AXES.values()] + [draw for draw, *_ in ROWS.values()],
    ids=[*DRAWN_ON_AXES, *ROWS],
)
def test_a_figure_can_be_saved_and_nothing_global_changes(draw):
    before = dict(matplotlib.rcParams)
    figure = draw()
    assert type(figure) is Figure
    assert png(figure).startswith(b"\x89PNG")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("draw", DRAWN_ON_AXES.values(), ids=DRAWN_ON_AXES)
def test_a_function_draws_on_the_given_axes(draw):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert draw(right) is figure
    assert figure.axes == [left, right]
    assert right.lines
    assert not left.lines


def test_pyplot_is_not_imported():
    code = (
        "import sys; from latentfit import figures as f\n"
        "f.error_curves({4: f.Curve([1], [.1], [.1])}, {4: .1}).savefig(sys.argv[1])\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, "/dev/null"], check=False).returncode == 0


def test_tiles_are_side_by_side_on_white():
    tiled = figures.tile(GREY, gap=3)
    assert tiled.shape == (6, 4 * 5 + 3 * 3)
    for i, image in enumerate(GREY):
        np.testing.assert_array_equal(tiled[:, 8 * i : 8 * i + 5], image)
        assert (tiled[:, 8 * i + 5 : 8 * i + 8] == 1).all()
    assert figures.tile(COLOUR).shape == (6, 4 * 5 + 3 * 2, 3)
    np.testing.assert_array_equal(figures.tile(GREY[:1]), GREY[0])


@pytest.mark.parametrize(("draw", "captions", "rows"), ROWS.values(), ids=ROWS)
def test_rows_have_captions_and_images_in_one_grey_scale(draw, captions, rows):
    figure = draw()
    said = sorted(figure.texts, key=lambda text: -text.get_position()[1])
    assert [text.get_text() for text in said] == captions
    axes = sorted(figure.axes, key=lambda ax: -ax.get_position().y0)
    for images, ax in zip(rows, axes, strict=True):
        (drawn,) = ax.images
        np.testing.assert_array_equal(drawn.get_array(), figures.tile(images))
        assert (drawn.get_clim(), drawn.get_interpolation()) == ((0, 1), "nearest")
        assert [drawn.get_cmap()(end)[:3] for end in (0.0, 1.0)] == [(0, 0, 0), (1, 1, 1)]


def test_rows_do_not_overlap_and_breaks_add_space():
    figure = figures.image_rows([(str(i), GREY) for i in range(5)], breaks=[2, 4])
    boxes = [axes.get_position() for axes in figure.axes]
    gaps = np.array([above.y0 - below.y1 for above, below in pairwise(boxes)])
    assert (gaps > 0).all()
    assert (gaps[[1, 3]] > 2 * gaps[[0, 2]]).all()
    assert boxes[0].y1 < 1
    assert boxes[-1].y0 > 0


def test_pixels_are_square():
    images = np.zeros((3, 4, 8))
    figure = figures.image_rows([("flat", images)])
    box = figure.axes[0].get_position()
    high, wide = figures.tile(images).shape
    assert box.width * figure.get_figwidth() / wide == pytest.approx(box.height * figure.get_figheight() / high)


def test_error_curves_show_each_curve_and_pca_in_the_colour_of_its_size():
    (ax,) = figures.error_curves(CURVES, {16: 0.02, 48: 0.01}).axes
    lines = ax.get_lines()
    assert ax.get_yscale() == "log"
    for (train, test, pca), (k, curve) in zip((lines[:3], lines[3:]), CURVES.items(), strict=True):
        assert list(train.get_ydata()) == curve.train_mse
        assert points(test) == list(zip(curve.epochs, curve.test_mse, strict=True))
        assert set(pca.get_ydata()) == {{16: 0.02, 48: 0.01}[k]}
        assert same_color(train.get_color(), test.get_color())
        assert same_color(train.get_color(), pca.get_color())
    assert not same_color(lines[0].get_color(), lines[3].get_color())
    assert lines[1].get_marker() != lines[4].get_marker()
    labels = {text.get_text() for text in ax.texts}
    assert labels == {"16 dimensions", "48 dimensions", "PCA, 16 components", "PCA, 48 components"}


def test_error_by_size_shows_each_network_the_means_and_pca():
    (ax,) = figures.error_by_size([16, 16, 48], [0.02, 0.021, 0.01], [0.03, 0.031, 0.02], {1: 0.05, 64: 0.02}).axes
    pca, means, train, test = ax.get_lines()
    assert points(means) == [(16, pytest.approx(0.0305)), (48, 0.02)]
    assert points(pca) == [(1, 0.05), (64, 0.02)]
    assert points(train) == [(16, 0.02), (16, 0.021), (48, 0.01)]
    assert points(test) == [(16, 0.03), (16, 0.031), (48, 0.02)]
    assert texts(ax.get_legend()) == ["PCA, test", "network, training", "network, test"]
    assert list(ax.get_xticks()) == [1, 2, 4, 8, 16, 48]
    assert train.get_color() not in figures.COLOURS[:-1]  # those of sizes
    assert (train.get_marker(), train.get_markerfacecolor(), train.get_linestyle()) == ("o", "none", "None")
    assert pca.get_linestyle() == ":"
    assert len({line.get_color() for line in (pca, train, test)}) == 3


@pytest.mark.parametrize(
    ("gated", "sound", "answer"),
    [([16], [4], "at most 16"), ([4], [16], "enough: 16"), ([], [4, 16], "enough: 16")],
)
def test_failed_checks_are_hollow_and_make_the_answer_an_upper_bound(gated, sound, answer):
    (ax,) = figures.error_by_size([4, 16], [0.02, 0.01], [0.03, 0.02], {1: 0.05}, gated=gated, enough=16).axes
    tests, *hollow, line = ax.get_lines()[2:]
    assert [list(each.get_xdata()) for each in (tests, *hollow, line)] == [sound, *filter(None, [gated]), [16, 16]]
    assert tests.get_markerfacecolor() != "none"
    assert [each.get_markerfacecolor() for each in hollow] == ["none"] * len(hollow)
    assert texts(ax.get_legend())[2:] == ["network, test", "test, a gate fired"][: 1 + len(hollow)]
    assert [text.get_text() for text in ax.texts] == [answer]


def test_the_band_is_the_interval_of_the_mean():
    figure = figures.error_by_size([4, 4, 8, 8], [0.02] * 4, [0.03, 0.031, 0.02, 0.0205], {1: 0.05})
    (band,) = figure.axes[0].collections
    low = band.get_paths()[0].vertices[:, 1].min()
    assert low == pytest.approx(0.02025 - 12.7062 * 0.00025, rel=1e-4)


def test_labels_of_sizes_do_not_touch():
    figure = figures.error_by_size([2, 4, 8, 16, 24, 32, 48, 64, 96, 128], [0.01] * 10, [0.02] * 10, {})
    figure.draw_without_rendering()
    labels = figure.axes[0].get_xticklabels()
    assert [label.get_text() for label in labels] == ["2", "4", "8", "16", "32", "64", "128"]
    assert all(a.x1 < b.x0 for a, b in pairwise(label.get_window_extent() for label in labels))


def test_close_errors_have_at_least_two_ticks():
    figure = figures.error_by_size([2, 4, 8], [0.0841, 0.0842, 0.0843], [0.0844, 0.0845, 0.0846], {2: 0.084, 8: 0.0839})
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    assert len([tick for tick in axes.get_yticks() if low <= tick <= high]) >= 2


@pytest.mark.parametrize("before", [GREY, COLOUR], ids=["grey", "colour"])
def test_the_difference_is_white_at_0_orange_above_and_blue_below(before):
    dark = np.zeros_like(before)
    assert (figures.difference(before, before) == 1).all()
    brighter, darker = figures.difference(dark, dark + 0.6)[0, 0, 0], figures.difference(dark + 0.6, dark)[0, 0, 0]
    np.testing.assert_allclose(brighter, np.array([0xD5, 0x5E, 0x00]) / 255, rtol=1e-6)
    np.testing.assert_allclose(darker, np.array([0x00, 0x72, 0xB2]) / 255, rtol=1e-6)
    assert figures.difference(dark, dark + 0.25)[0, 0, 0] == pytest.approx((1 + brighter) / 2)


FOUR = {4: [0.1, 0.4, None, 0.2], 16: [0.1, 0.3, None, 0.2]}
FIFTY = {4: list(range(1, 51))}


@pytest.mark.parametrize(
    ("names", "errors", "shown"),
    [
        (["low", "high", "none", "middle"], FOUR, ["high", "middle", "low", "none"]),
        ([f"c{i}" for i in range(50)], FIFTY, [f"c{i}" for i in range(49, 19, -1)]),
    ],
    ids=["unknown last", "at most 30"],
)
def test_classes_are_sorted_by_descending_error(names, errors, shown):
    (ax,) = figures.error_by_class(names, errors).axes
    labels = sorted(zip(-ax.get_yticks(), ax.get_yticklabels(), strict=True))
    assert [label.get_text() for _, label in labels] == shown
    for line, values in zip(ax.get_lines(), errors.values(), strict=True):
        by_name = dict(zip(names, values, strict=True))
        expected = [np.nan if by_name[name] is None else by_name[name] for name in shown]
        np.testing.assert_array_equal(line.get_xdata()[np.argsort(-line.get_ydata())], expected)
    assert texts(ax.get_legend()) == [str(k) for k in errors]


def test_the_legend_of_many_sizes_fits_into_the_figure():
    sizes = (2, 8, 16, 48, 96, 128)
    figure = figures.error_by_class(["a", "b"], {k: [0.1 / k, 0.2 / k] for k in sizes})
    figure.draw_without_rendering()
    legend = figure.axes[0].get_legend()
    assert texts(legend) == [str(k) for k in sizes]
    box = legend.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1


def test_no_marker_of_a_class_is_cut_off():
    axes = figures.error_by_class(["a", "b"], {2: [0.0843, 0.0842], 8: [0.0841, 0.0843]}).axes[0]
    assert axes.get_xlim()[1] > 1.03 * 0.0843
    assert len(axes.get_xticks()) <= 7


@pytest.mark.parametrize(
    "name", ["$x$", "$", r"$\frac{$", r"\$x$", "<img src=x onerror=alert(1)>", "{{7*7}}", "</script>", "n" * 500]
)
def test_names_are_drawn_as_text_of_at_most_40_characters(name):
    figure = figures.error_by_class([name, "b"], {4: [0.2, 0.1]})
    assert png(figure)
    label = figure.axes[0].get_yticklabels()[0]
    assert label._preprocess_math(label.get_text()) == (name[:40], False)


@pytest.mark.parametrize("seed", range(20))
def test_spread_keeps_gaps_and_order_and_stays_near(seed):
    rng = np.random.default_rng(seed)
    wanted = rng.uniform(0, 0.3, rng.integers(1, 9))
    places = np.array(figures.spread(wanted, 0.05))
    order = np.argsort(wanted)
    assert (np.diff(places[order]) > 0.05 - 1e-9).all()
    assert np.abs(places - wanted).max() <= 0.05 * len(wanted)


@pytest.mark.parametrize(
    ("wanted", "gap", "places"),
    [([0.5, 0.1, 0.9], 0.05, [0.5, 0.1, 0.9]), ([], 0.05, []), ([0.5, 0.5, 0.5], 0.1, [0.4, 0.5, 0.6])],
    ids=["apart", "none", "equal"],
)
def test_spread_moves_only_places_that_are_too_close(wanted, gap, places):
    assert figures.spread(wanted, gap) == pytest.approx(places)
