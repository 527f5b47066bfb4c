"""Figures: they show the numbers they are given, on the given axes, and leave pyplot alone."""

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
DRAWN_ALONE = {
    "reconstructions": lambda: figures.reconstructions(GREY, {16: GREY, 48: GREY}),
    "colour": lambda: figures.reconstructions(COLOUR, {16: COLOUR}),
    "no model": lambda: figures.reconstructions(GREY, {}),
    "interpolations": lambda: figures.interpolations(GREY.reshape(2, 2, 6, 5), {16: RNG.uniform(0, 1, (2, 3, 6, 5))}),
}
ON_AXES = pytest.mark.parametrize("draw", DRAWN_ON_AXES.values(), ids=DRAWN_ON_AXES)
ALL = pytest.mark.parametrize(
    "draw",
    [lambda d=d: d(None) for d in DRAWN_ON_AXES.values()] + [*DRAWN_ALONE.values()],
    ids=[*DRAWN_ON_AXES, *DRAWN_ALONE],
)


def png(figure):
    file = io.BytesIO()
    figure.savefig(file, dpi=40)
    return file.getvalue()


@ALL
def test_a_figure_can_be_saved_and_nothing_global_changes(draw):
    before = dict(matplotlib.rcParams)
    figure = draw()
    assert type(figure) is Figure
    assert png(figure).startswith(b"\x89PNG")
    assert dict(matplotlib.rcParams) == before


@ON_AXES
def test_given_axes_are_drawn_on(draw):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert draw(right) is figure
    assert figure.axes == [left, right]
    assert right.lines
    assert not left.lines


def test_pyplot_is_not_even_imported():
    code = (
        "import sys; from latentfit import figures as f\n"
        "f.error_curves({4: f.Curve([1], [.1], [.1])}, {4: .1}).savefig(sys.argv[1])\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, "/dev/null"], check=False).returncode == 0


def test_tiles_stand_side_by_side_on_white():
    tiled = figures.tile(GREY, gap=3)
    assert tiled.shape == (6, 4 * 5 + 3 * 3)
    for i, image in enumerate(GREY):
        np.testing.assert_array_equal(tiled[:, 8 * i : 8 * i + 5], image)
        assert (tiled[:, 8 * i + 5 : 8 * i + 8] == 1).all()
    assert figures.tile(COLOUR).shape == (6, 4 * 5 + 3 * 2, 3)
    np.testing.assert_array_equal(figures.tile(GREY[:1]), GREY[0])


def test_images_are_drawn_from_black_to_white_with_visible_pixels():
    figure = figures.image_rows([("dark", GREY / 10), ("bright", GREY)])
    dark, bright = (axes.images[0] for axes in figure.axes)
    for image, expected in ((dark, GREY / 10), (bright, GREY)):
        np.testing.assert_array_equal(image.get_array(), figures.tile(expected))
        assert image.get_clim() == (0, 1)
        assert image.get_interpolation() == "nearest"
        assert image.get_cmap()(0.0)[:3] == (0, 0, 0)
        assert image.get_cmap()(1.0)[:3] == (1, 1, 1)


def test_colour_images_keep_their_colour():
    (axes,) = figures.image_rows([("red", COLOUR)]).axes
    np.testing.assert_array_equal(axes.images[0].get_array(), figures.tile(COLOUR))


def rows_of(figure):
    """Caption and picture of each row, from the top."""
    axes = sorted(figure.axes, key=lambda a: -a.get_position().y0)
    texts = sorted(figure.texts, key=lambda t: -t.get_position()[1])
    return [(text.get_text(), a.images[0].get_array()) for text, a in zip(texts, axes, strict=True)]


def test_reconstructions_stand_under_the_originals():
    made = {16: GREY / 2, 48: GREY / 3}
    rows = rows_of(figures.reconstructions(GREY, made))
    assert [caption for caption, _ in rows] == ["original", "16 dimensions", "48 dimensions"]
    for (_, shown), images in zip(rows, (GREY, *made.values()), strict=True):
        np.testing.assert_array_equal(shown, figures.tile(images))


def test_a_walk_stands_between_its_two_real_images():
    pairs = RNG.uniform(0, 1, (2, 2, 6, 5)).astype(np.float32)
    walks = {k: RNG.uniform(0, 1, (2, 3, 6, 5)).astype(np.float32) for k in (16, 48)}
    rows = rows_of(figures.interpolations(pairs, walks))
    assert [caption for caption, _ in rows] == 2 * ["16 dimensions", "48 dimensions"]
    for i, (_, shown) in enumerate(rows):
        pair, steps = pairs[i // 2], walks[(16, 48)[i % 2]][i // 2]
        np.testing.assert_array_equal(shown, figures.tile(np.stack([pair[0], *steps, pair[1]])))


def test_rows_do_not_overlap_and_breaks_set_them_apart():
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
        assert list(test.get_ydata()) == curve.test_mse
        assert list(test.get_xdata()) == curve.epochs
        assert set(pca.get_ydata()) == {{16: 0.02, 48: 0.01}[k]}
        assert same_color(train.get_color(), test.get_color())
        assert same_color(train.get_color(), pca.get_color())
    assert not same_color(lines[0].get_color(), lines[3].get_color())
    assert lines[1].get_marker() != lines[4].get_marker()
    labels = {text.get_text() for text in ax.texts}
    assert labels == {"16 dimensions", "48 dimensions", "PCA, 16 components", "PCA, 48 components"}


def test_the_names_of_many_sizes_fit_beside_the_classes():
    sizes = (2, 8, 16, 48, 96, 128)
    figure = figures.error_by_class(["a", "b"], {k: [0.1 / k, 0.2 / k] for k in sizes})
    figure.draw_without_rendering()
    legend = figure.axes[0].get_legend().get_window_extent()
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [str(k) for k in sizes]
    assert 0 <= legend.x0 < legend.x1 <= figure.bbox.x1
    assert legend.y1 <= figure.bbox.y1


def test_names_of_sizes_do_not_touch():
    sizes = [2, 4, 8, 16, 24, 32, 48, 64, 96, 128]
    figure = figures.error_by_size(sizes, [0.01] * 10, [0.02] * 10, {})
    figure.draw_without_rendering()
    (ax,) = figure.axes
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2", "4", "8", "16", "32", "64", "128"]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_a_size_whose_training_was_not_sound_is_enough_at_most():
    for gated, told in (([16], "at most 16"), ([4], "enough: 16"), ([], "enough: 16")):
        (ax,) = figures.error_by_size([4, 16], [0.02, 0.01], [0.03, 0.02], {1: 0.05}, gated=gated, enough=16).axes
        assert told in [text.get_text() for text in ax.texts]


def test_a_screening_is_a_dashed_line_with_its_name():
    (ax,) = figures.error_by_size([2, 8], [0.02, 0.01], [0.03, 0.02], {1: 0.05}, curve={2: 0.04, 4: 0.03, 8: 0.02}).axes
    (line,) = (line for line in ax.lines if list(line.get_xdata()) == [2, 4, 8])
    assert list(line.get_ydata()) == [0.04, 0.03, 0.02]
    assert line.is_dashed()
    assert "one network for all sizes, test" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_error_by_size_shows_every_network_and_names_the_sizes():
    (ax,) = figures.error_by_size([16, 16, 48], [0.02, 0.021, 0.01], [0.03, 0.031, 0.02], {1: 0.05, 64: 0.02}).axes
    pca, means, train, test = ax.get_lines()
    assert list(zip(*means.get_data(), strict=True)) == [(16, pytest.approx(0.0305)), (48, 0.02)]
    assert list(zip(*pca.get_data(), strict=True)) == [(1, 0.05), (64, 0.02)]
    assert list(zip(*train.get_data(), strict=True)) == [(16, 0.02), (16, 0.021), (48, 0.01)]
    assert list(zip(*test.get_data(), strict=True)) == [(16, 0.03), (16, 0.031), (48, 0.02)]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "PCA, test",
        "network, training",
        "network, test",
    ]
    assert list(ax.get_xticks()) == [1, 2, 4, 8, 16, 48]


def test_training_errors_have_no_colour_of_a_size_and_not_the_look_of_pca():
    (ax,) = figures.error_by_size([4, 16], [0.02, 0.01], [0.03, 0.02], {1: 0.05, 64: 0.02}).axes
    pca, train, test = ax.get_lines()
    assert train.get_color() not in figures.COLOURS[:-1]
    assert (train.get_marker(), train.get_markerfacecolor(), train.get_linestyle()) == ("o", "none", "None")
    assert pca.get_linestyle() == ":"
    assert len({line.get_color() for line in (pca, train, test)}) == 3


def test_sizes_whose_training_was_not_sound_are_hollow_and_the_answer_has_a_line():
    figure = figures.error_by_size([4, 16], [0.02, 0.01], [0.03, 0.02], {1: 0.05}, gated=[4], enough=16)
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.get_legend().get_texts()][2:] == ["network, test", "test, a gate fired"]
    *_, sound, hollow, line = ax.get_lines()
    assert (list(sound.get_xdata()), list(hollow.get_xdata()), list(line.get_xdata())) == ([16], [4], [16, 16])
    assert hollow.get_markerfacecolor() == "none"
    assert "enough: 16" in [text.get_text() for text in ax.texts]


def test_the_band_is_the_interval_of_the_mean():
    figure = figures.error_by_size([4, 4, 8, 8], [0.02] * 4, [0.03, 0.031, 0.02, 0.0205], {1: 0.05})
    (band,) = figure.axes[0].collections
    low = band.get_paths()[0].vertices[:, 1].min()
    assert low == pytest.approx(0.02025 - 12.7062 * 0.00025, rel=1e-4)


@pytest.mark.parametrize("before", [GREY, COLOUR], ids=["grey", "colour"])
def test_the_difference_is_white_where_nothing_changed_orange_above_and_blue_below(before):
    dark = np.zeros_like(before)
    assert (figures.difference(before, before) == 1).all()
    brighter, darker = figures.difference(dark, dark + 0.6)[0, 0, 0], figures.difference(dark + 0.6, dark)[0, 0, 0]
    np.testing.assert_allclose(brighter, np.array([0xD5, 0x5E, 0x00]) / 255, rtol=1e-6)
    np.testing.assert_allclose(darker, np.array([0x00, 0x72, 0xB2]) / 255, rtol=1e-6)
    assert figures.difference(dark, dark + 0.25)[0, 0, 0] == pytest.approx((1 + brighter) / 2)


def names_on(ax):
    """Names from the top."""
    return [label.get_text() for _, label in sorted(zip(-ax.get_yticks(), ax.get_yticklabels(), strict=True))]


def test_classes_come_largest_error_first_and_unknown_last():
    errors = {4: [0.1, 0.4, None, 0.2], 16: [0.1, 0.3, None, 0.2]}
    (ax,) = figures.error_by_class(["low", "high", "none", "middle"], errors).axes
    assert names_on(ax) == ["high", "middle", "low", "none"]
    for line, values in zip(ax.get_lines(), ([0.4, 0.2, 0.1], [0.3, 0.2, 0.1]), strict=True):
        order = np.argsort(-line.get_ydata())
        np.testing.assert_array_equal(line.get_xdata()[order][:3], values)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["4", "16"]


def test_at_most_thirty_classes_are_shown():
    (ax,) = figures.error_by_class([f"c{i}" for i in range(50)], {4: list(range(1, 51))}).axes
    assert names_on(ax) == [f"c{i}" for i in range(49, 19, -1)]


@pytest.mark.parametrize(
    "name", ["$x$", "$", r"$\frac{$", r"\$x$", "<img src=x onerror=alert(1)>", "{{7*7}}", "</script>"]
)
def test_hostile_names_are_drawn_as_text(name):
    figure = figures.error_by_class([name, "b"], {4: [0.2, 0.1]})
    assert png(figure)
    label = figure.axes[0].get_yticklabels()[0]
    shown, mathematics = label._preprocess_math(label.get_text())
    assert mathematics is False
    assert shown == name


def test_long_names_are_cut():
    assert len(figures.plain("n" * 500)) == 40


@pytest.mark.parametrize("seed", range(20))
def test_spread_keeps_gaps_and_order_and_stays_near(seed):
    rng = np.random.default_rng(seed)
    wanted = rng.uniform(0, 0.3, rng.integers(1, 9))
    places = np.array(figures.spread(wanted, 0.05))
    order = np.argsort(wanted)
    assert (np.diff(places[order]) > 0.05 - 1e-9).all()
    assert np.abs(places - wanted).max() <= 0.05 * len(wanted)


def test_spread_leaves_what_is_apart():
    assert figures.spread([0.5, 0.1, 0.9], 0.05) == pytest.approx([0.5, 0.1, 0.9])
    assert figures.spread([], 0.05) == []


def test_spread_of_equal_places_is_around_them():
    assert figures.spread([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])


def test_errors_that_lie_close_together_still_have_numbers_beside_them():
    figure = figures.error_by_size([2, 4, 8], [0.0841, 0.0842, 0.0843], [0.0844, 0.0845, 0.0846], {2: 0.084, 8: 0.0839})
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    assert len([tick for tick in axes.get_yticks() if low <= tick <= high]) >= 2


def test_no_mark_of_a_class_is_cut_off():
    axes = figures.error_by_class(["a", "b"], {2: [0.0843, 0.0842], 8: [0.0841, 0.0843]}).axes[0]
    assert axes.get_xlim()[1] > 1.03 * 0.0843
    assert len(axes.get_xticks()) <= 7
