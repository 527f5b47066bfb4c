"""Figures show the numbers they get, on the axes they get, and do not change pyplot's state."""

import io
import subprocess
import sys
from itertools import combinations, pairwise

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.text import Text

from latentfit import figures
from latentfit.figures import Curve
from latentfit.stats import Mean

RNG = np.random.default_rng(0)
GREY = RNG.uniform(0.2, 0.6, (4, 6, 5)).astype(np.float32)
COLOUR = RNG.uniform(0.2, 0.6, (4, 6, 5, 3)).astype(np.float32)
PAIRS = RNG.uniform(0, 1, (2, 2, 6, 5)).astype(np.float32)
STEPS = {k: RNG.uniform(0, 1, (2, 3, 6, 5)).astype(np.float32) for k in (16, 48)}
CURVES = {16: Curve([1, 2, 3], [0.05, 0.03, 0.02], [0.06, 0.035, 0.025]), 48: Curve([1, 2], [0.04, 0.02], [0.04, 0.03])}
NAMES = ["a", "b", "c"]
LINEAR = {1: 0.4, 16: 0.7}  # what PCA explains

DRAWN_ON_AXES = {
    "error_curves": lambda ax: figures.error_curves(CURVES, {16: 0.02, 48: 0.01}, ax),
    "one model": lambda ax: figures.error_curves({16: CURVES[16]}, {}, ax),
    "one epoch": lambda ax: figures.error_curves({16: Curve([1], [0.05], [0.05])}, {16: 0.02}, ax),
    "variance_by_size": lambda ax: figures.variance_by_size({4: Mean(0.7, None), 16: Mean(0.8, None)}, LINEAR, 0.1, ax),
    "one size": lambda ax: figures.variance_by_size({16: Mean(0.8, (0.79, 0.81))}, LINEAR, 0.1, ax),
    "worse than the mean": lambda ax: figures.variance_by_size({4: Mean(-3.0, None), 8: Mean(-1.0, None)}, {}, 0.1, ax),
    "nothing lost": lambda ax: figures.variance_by_size({4: Mean(1.0, (1.0, 1.0))}, {4: 1.0}, 0.1, ax),
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


EXPLAINED = {4: Mean(0.6, (0.55, 0.65)), 16: Mean(0.8, (0.79, 0.81)), 48: Mean(0.9, None)}


def test_variance_by_size_joins_the_means_beside_pca():
    (ax,) = figures.variance_by_size(EXPLAINED, {1: 0.3, 64: 0.9}, 0.1).axes
    of_pca, means, *markers = ax.get_lines()
    assert points(of_pca) == [(1, 30), (64, 90)]
    assert of_pca.get_linestyle() == ":"
    assert points(means) == [(4, 60), (16, 80), (48, 90)]
    assert [points(marker) for marker in markers] == [[point] for point in points(means)]
    assert ax.get_ylabel() == "explained variance, %"
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.texts] == ["4", "16", "48", "PCA"]


def test_the_band_and_the_bars_are_the_intervals():
    (ax,) = figures.variance_by_size(EXPLAINED, LINEAR, 0.1).axes
    band, bars = ax.collections
    corners = {(float(x), round(float(y), 6)) for x, y in band.get_paths()[0].vertices}
    assert corners == {(4, 55), (4, 65), (16, 79), (16, 81), (48, 90)}
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert ends == [pytest.approx(end) for end in ([55, 65], [79, 81], [90, 90])]


def test_no_interval_is_cut_off():
    (ax,) = figures.variance_by_size(EXPLAINED, LINEAR, 0.1).axes
    low, high = ax.get_ylim()
    assert low < 55
    assert high > 90


@pytest.mark.parametrize("gated", [[], [4], [4, 48]])
def test_sizes_that_failed_a_check_are_hollow(gated):
    (ax,) = figures.variance_by_size(EXPLAINED, LINEAR, 0.1, gated=gated).axes
    markers = {int(line.get_xdata()[0]): line.get_markerfacecolor() for line in ax.get_lines()[2:5]}
    assert [k for k, face in markers.items() if face == "none"] == gated


@pytest.mark.parametrize(("keep", "enough"), [(None, None), (0.85, None), (0.85, 48), (None, 16)])
def test_the_share_asked_for_and_the_answer_are_lines(keep, enough):
    (ax,) = figures.variance_by_size(EXPLAINED, LINEAR, 0.1, keep=keep, enough=enough).axes
    lines = ax.get_lines()[5:]
    assert [line.get_ydata()[0] for line in lines if line.get_linestyle() != "-"] == ([85] if keep else [])
    assert [line.get_xdata()[0] for line in lines if line.get_linestyle() == "-"] == ([enough] if enough else [])


def test_the_right_axis_has_the_test_error_of_what_is_kept():
    (ax,) = (figure := figures.variance_by_size(EXPLAINED, LINEAR, 0.25)).axes
    figure.draw_without_rendering()
    (right,) = ax.child_axes
    assert right.get_ylabel() == "test MSE"
    shown = [tick for tick in right.get_yticks() if min(right.get_ylim()) <= tick <= max(right.get_ylim())]
    assert len(shown) >= 2
    for error in shown:
        height = right.transData.transform((0, error))[1]
        assert height == pytest.approx(ax.transData.transform((4, 100 * (1 - error / 0.25)))[1])


TEN = {k: Mean(1 - 1 / (k + 3), None) for k in (2, 4, 8, 16, 24, 32, 48, 64, 96, 128)}


@pytest.mark.parametrize("width", [figures.WIDTH, figures.NARROW])
def test_every_size_is_labelled_and_no_label_touches_another(width):
    figure = figures.variance_by_size(TEN, {}, 0.1, figures.axes(3.4, width))
    figure.draw_without_rendering()
    ax = figure.axes[0]
    assert sorted(int(text.get_text()) for text in ax.texts) == sorted(TEN)
    for labels in (ax.texts, ax.get_xticklabels()):
        boxes = [label.get_window_extent() for label in labels]
        assert [a for a, b in combinations(boxes, 2) if a.overlaps(b)] == []


def test_estimates_of_the_dimension_stand_above_the_axes():
    marks = {"MLE": 12.34, "TwoNN": 9.0}
    (ax,) = figures.variance_by_size(EXPLAINED, LINEAR, 0.1, marks=marks).axes
    assert [text.get_text() for text in ax.texts] == ["4", "16", "48", "TwoNN 9.0", "MLE 12.3", "PCA"]
    (small,) = figures.variance_by_size(EXPLAINED, LINEAR, 0.1, marks={"lPCA": 1.5, "MOM": 0.3}).axes
    assert small.get_xlim()[0] <= 0.75  # estimates below the sizes have a place; below 1 is 1


CHARTS = {
    "variance_by_size": lambda ax: figures.variance_by_size(
        EXPLAINED, LINEAR, 0.1, ax, keep=0.85, enough=48, gated=[4], marks={"TwoNN": 9.0}
    ),
    "error_curves": lambda ax: figures.error_curves(CURVES, {16: 0.02, 48: 0.01}, ax),
    "error_by_class": lambda ax: figures.error_by_class(NAMES, {4: [0.1, None, 0.3], 16: [0.1, None, 0.2]}, ax),
}


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_the_text_of_a_narrow_chart_can_be_read_and_lies_in_it(draw):
    figure = draw(figures.axes(3.4, figures.NARROW))
    figure.draw_without_rendering()
    assert figure.get_figwidth() == 3.2
    drawn = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in drawn) >= 8.5
    box = figure.get_tightbbox()  # inches
    assert -0.01 <= box.x0 < box.x1 <= 3.21


def test_close_shares_have_at_least_two_ticks():
    close = {2: Mean(0.8441, None), 4: Mean(0.8442, None), 8: Mean(0.8443, None)}
    axes = figures.variance_by_size(close, {2: 0.844, 8: 0.8439}, 0.1).axes[0]
    low, high = axes.get_ylim()
    assert len([tick for tick in axes.get_yticks() if low <= tick <= high]) >= 2


@pytest.mark.parametrize("before", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_change_is_signed_and_half_of_the_range_is_1(before):
    assert (figures.change(before, before) == 0).all()
    dark = np.zeros_like(before)
    np.testing.assert_allclose(figures.change(dark, dark + 0.25), 0.5)
    np.testing.assert_allclose(figures.change(dark + 0.6, dark), -1)
    assert figures.change(before, before).shape == before.shape[:3]


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


def test_no_interval_of_a_class_is_cut_off():
    ends = {2: [(0.1, 0.9), None], 8: [(0.1, 0.2), (0.1, 0.2)]}
    axes = figures.error_by_class(["a", "b"], {2: [0.5, 0.4], 8: [0.1, 0.2]}, intervals=ends).axes[0]
    assert axes.get_xlim()[1] > 0.9
    assert axes.get_ylim() == (-0.5, 1.5)


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
