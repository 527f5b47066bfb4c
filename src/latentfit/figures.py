"""Draw Figures from arrays; nothing here shows or saves a Figure or changes pyplot's global state.

Images are drawn with visible pixels on one scale, 0 black and 1 white. Latent sizes differ by colour (Okabe & Ito's
palette, safe for colour-blind readers) and by marker.

N images, P pairs, S steps, H × W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from .formatting import dims, plural
from .stats import Mean

Array = NDArray[Any]

INK = "#1a1a1a"
GREY = "#767676"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1a1a1a")
SIGNS = tuple(np.array([int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)]) for c in (COLOURS[1], COLOURS[0]))  # up, down
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.alpha": 0.25,
    "grid.color": GREY,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
DPI = 200
TINY = 1e-12  # smaller errors are drawn here, or not at all: a log scale has no 0
WIDTH, NARROW = 5.0, 3.2  # inches, of a chart in a paper and on a telephone
LABEL = 8.5  # points, of what is written in a chart


class Curve(NamedTuple):
    """The columns of a network's history, as `Curve(*zip(*history))`; the last two are not drawn."""

    epochs: Sequence[int]
    train_mse: Sequence[float]
    test_mse: Sequence[float]
    val_mse: Sequence[float | None] = ()
    steps: Sequence[int | None] = ()


def image_rows(rows: Sequence[tuple[str, Array]], breaks: Sequence[int] = (), scale: float = 0.6) -> Figure:
    """Rows of images, each with its caption on the left.

    Args:
        rows: Captions and images (N, H, W[, 3]), floats in [0, 1], the same N in each row.
        breaks: Indices of rows with extra space above.
        scale: Approximate width of an image in inches.
    """
    tiles = [tile(images) for _, images in rows]
    height, width = tiles[0].shape[:2]
    zoom = max(1, round(scale * DPI / rows[0][1].shape[2])) / DPI  # a whole number, so that all pixels are equal
    across, down = width * zoom, height * zoom
    top, left = 0.05, max(1.0, 0.0088 * LABEL * max(len(caption) for caption, _ in rows))
    gaps = [0.16 * sum(b <= i for b in breaks) for i in range(len(rows))]
    wide, total = left + across + top, len(rows) * (down + 0.04) + gaps[-1] + 2 * top
    figure = Figure(figsize=(wide, total), dpi=DPI, facecolor="white")
    for i, ((caption, _), tiled) in enumerate(zip(rows, tiles, strict=True)):
        y = total - top - (i + 1) * (down + 0.04) - gaps[i]
        axes = figure.add_axes((left / wide, y / total, across / wide, down / total))
        axes.imshow(tiled, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        place = ((left - 0.08) / wide, (y + down / 2) / total)
        figure.text(*place, caption, ha="right", va="center", size=LABEL, color=INK)
    return figure


def tile(images: Array, gap: int = 2) -> Array:
    """Images side by side on white: (N, H, W[, 3]) to (H, N·(W + gap) - gap[, 3])."""
    padded = np.ones((len(images), images.shape[1], images.shape[2] + gap, *images.shape[3:]), dtype=np.float32)
    padded[:, :, : images.shape[2]] = images
    row: Array = np.concatenate(list(padded), axis=1)
    return row[:, : row.shape[1] - gap]


def reconstructions(originals: Array, reconstructed: Mapping[int, Array]) -> Figure:
    """Originals (N, H, W[, 3]) above the reconstructions of each latent size."""
    return image_rows([("original", originals), *((dims(k), x_hat) for k, x_hat in reconstructed.items())])


def interpolations(pairs: Array, steps: Mapping[int, Array]) -> Figure:
    """Interpolations between pairs of images: one row per pair and latent size, the steps between the originals.

    Args:
        pairs: (P, 2, H, W[, 3]), floats in [0, 1].
        steps: Decoded (P, S, H, W[, 3]) by latent size.
    """
    rows = [(dims(k), interpolation_row(pair, steps[k][p])) for p, pair in enumerate(pairs) for k in steps]
    rows = rows or [("real", pair) for pair in pairs]
    return image_rows(rows, breaks=range(len(steps), len(rows), max(1, len(steps))))


def interpolation_row(pair: Array, steps: Array) -> Array:
    """Put the steps (S, H, W[, 3]) of an interpolation between its pair (2, H, W[, 3])."""
    return np.concatenate([pair[:1], steps, pair[1:]])


def error_curves(curves: Mapping[int, Curve], pca: Mapping[int, float], ax: Axes | None = None) -> Figure:
    """Error against epoch: training dashed, test solid; PCA's test error with as many components dotted.

    Args:
        curves: Errors by latent size.
        pca: PCA's test error by latent size.
        ax: Axes to draw on; by default those of a new Figure.
    """
    with rc_context(STYLE):
        ax = ax or axes(3.4)
        labels = []
        for i, (k, curve) in enumerate(curves.items()):
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            if curve.epochs:  # a network of too few images is not trained
                every = list(range(len(curve.epochs) - 1, -1, -max(1, len(curve.epochs) // 10)))  # includes the last
                train_mse, test_mse = (np.maximum(part, TINY) for part in (curve.train_mse, curve.test_mse))  # log axis
                ax.plot(curve.epochs, train_mse, color=colour, linestyle=(0, (4, 2)), linewidth=1)
                ax.plot(curve.epochs, test_mse, color=colour, marker=marker, markevery=every)
                labels.append((float(test_mse[-1]), dims(k), colour))
            if pca.get(k, 0) > TINY:
                ax.axhline(pca[k], color=colour, linestyle=":", linewidth=1.2)
                labels.append((pca[k], f"PCA, {plural(k, 'component')}", colour))
        _log_errors(ax)
        if all(len(curve.epochs) <= 1 for curve in curves.values()):
            ax.set_xlim(0, 2)
        ax.set_xlabel("epoch (solid: test, dashed: training)")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        _label_right(ax, labels)
        return _figure(ax)


def variance_by_size(
    explained: Mapping[int, Mean],
    pca: Mapping[int, float],
    variance: float,
    ax: Axes | None = None,
    keep: float | None = None,
    enough: int | None = None,
    gated: Collection[int] = (),
    marks: Mapping[str, float] | None = None,
) -> Figure:
    """Explained variance of the test images against latent size, with PCA's; test errors on the right.

    Args:
        explained: Mean of each size, with its interval where there is one, drawn as a band.
        pca: PCA's explained variance by number of components.
        variance: Mean squared distance of the test images from the mean training image: what no network explains.
        ax: Axes to draw on; by default those of a new Figure.
        keep: The share to keep, drawn as a horizontal line.
        enough: The size that is enough, drawn as a vertical line.
        gated: Sizes that failed a training check; they have hollow markers.
        marks: Other estimates of the dimension by name, drawn above the axes.
    """
    sizes, means = list(explained), [100 * mean.mean for mean in explained.values()]
    with rc_context(STYLE):
        ax = ax or axes(3.6)
        look: Any = {"color": GREY, "linestyle": ":", "marker": ".", "markersize": 3}
        ax.plot(list(pca), [100 * share for share in pca.values()], **look)
        ends = 100 * np.array([mean.interval or (mean.mean,) * 2 for mean in explained.values()])  # (sizes, 2)
        ax.fill_between(sizes, ends[:, 0], ends[:, 1], color=COLOURS[0], alpha=0.25, lw=0)
        ax.plot(sizes, means, color=COLOURS[0], linewidth=1.2)
        for k, mean in zip(sizes, means, strict=True):
            ax.plot([k], [mean], color=COLOURS[0], marker="o", markerfacecolor="none" if k in gated else COLOURS[0])
        ax.vlines(sizes, ends[:, 0], ends[:, 1], color=COLOURS[0], linewidth=1.6)
        if keep is not None:
            ax.axhline(100 * keep, color=COLOURS[2], linewidth=1, linestyle=(0, (4, 2)))
        if enough is not None:
            ax.axvline(enough, color=COLOURS[2], linewidth=1.2)
        least = min([*sizes, *(max(1, value) for value in (marks or {}).values())])
        near = [k for k in pca if k >= 0.7 * least]
        _log_sizes(ax, sizes, near)
        ax.set_xlim(0.75 * least, 1.2 * max([*sizes, *near]))
        low = max(0, min([*ends[:, 0], *(100 * share for k, share in pca.items() if k >= min(sizes))]))
        room = max(100 - low, 0.1)
        ax.set_ylim(max(0, low - 0.08 * room), 100 + 0.02 * room)
        ax.set_ylabel("explained variance, %")
        errors: Any = (lambda e: (1 - e / 100) * variance, lambda m: 100 - 100 * m / variance)
        right = ax.secondary_yaxis("right", functions=errors)
        right.set_ylabel("test MSE")
        right.spines["right"].set_visible(True)
        _draw_sizes(ax, sizes, means)
        _draw_estimates(ax, marks or {})
        if near:
            k = near[len(near) // 2]
            ax.annotate("PCA", (k, 100 * pca[k]), (5, -9), textcoords="offset points", size=LABEL, color=GREY)
        return _figure(ax)


def _draw_sizes(ax: Axes, sizes: Sequence[int], means: Sequence[float]) -> None:
    """Write every size above its point, or below it where the one before is too near."""
    (low, high), (bottom, top) = np.log(ax.get_xlim()), ax.get_ylim()
    gap, last = 0.36 / _figure(ax).get_figwidth(), {"bottom": -1.0, "top": -1.0}
    for k, mean in zip(sizes, means, strict=True):
        x, y = float((np.log(k) - low) / (high - low)), max((mean - bottom) / (top - bottom), 0)
        free = [side for side in last if x - last[side] >= gap]
        side: Any = free[0] if free else min(last, key=lambda side: last[side])
        last[side] = max(x, last[side] + gap)
        y = min(y + 0.035, 0.96) if side == "bottom" else max(y - 0.035, 0.06)
        ax.text(last[side], y, f"{k}", transform=ax.transAxes, ha="center", va=side, size=LABEL, color=COLOURS[0])


def _log_sizes(ax: Axes, sizes: Sequence[int], pca: Collection[int]) -> None:
    """Make the x axis logarithmic, with ticks at powers of 2 or, where these are too many, of 4."""
    ax.set_xscale("log", base=2)
    every = [*sizes, *pca]
    ticks = [2**i for i in range(12) if min(every) <= 2**i <= max(every)]
    ticks = ticks[:: math.ceil(len(ticks) / (2 * _figure(ax).get_figwidth()))]
    ax.xaxis.set_major_locator(FixedLocator(ticks or [min(every)]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda k, _: f"{k:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("latent dimensions, or PCA components")


def _draw_estimates(ax: Axes, marks: Mapping[str, float]) -> None:
    """Draw labelled ticks above the axes."""
    known = sorted(marks.items(), key=lambda mark: mark[1])
    low, high = np.log(ax.get_xlim())
    wanted = [float(np.clip((np.log(max(value, 1e-9)) - low) / (high - low), 0, 1)) for _, value in known]
    look: Any = {"rotation": 60, "ha": "left", "va": "bottom", "size": LABEL, "color": COLOURS[3]}
    for (name, value), true, place in zip(
        known, wanted, spread(wanted, 0.25 / _figure(ax).get_figwidth()), strict=True
    ):
        ax.plot([true, true], [0.97, 1], transform=ax.transAxes, color=COLOURS[3], linewidth=1.4)
        ax.text(place, 1.03, f"{name} {value:.1f}", transform=ax.transAxes, **look)


def difference(before: Array, after: Array) -> Array:
    """Difference after - before of images (N, H, W[, 3]), averaged over channels, as colours (N, H, W, 3).

    White is 0, orange brighter, blue darker; a difference of half the range from black to white is full colour.
    """
    signed = change(before, after)[..., None]
    mixed: Array = (1 - np.abs(signed)) + np.abs(signed) * np.where(signed > 0, *SIGNS)
    return mixed.astype(np.float32)


def change(before: Array, after: Array) -> Array:
    """Difference after - before of images (N, H, W[, 3]), averaged over channels, (N, H, W): 1 is half of the range."""
    mean: Array = (after - before).reshape(*before.shape[:3], -1).mean(axis=-1)
    clipped: Array = np.clip(2 * mean, -1, 1)
    return clipped


def error_by_class(
    classes: Sequence[str],
    errors: Mapping[int, Sequence[float | None]],
    ax: Axes | None = None,
    intervals: Mapping[int, Sequence[Sequence[float] | None]] | None = None,
) -> Figure:
    """Test error of each class, a marker per latent size.

    Shows at most 30 classes, ordered by descending error of the latent size with the lowest mean error.

    Args:
        classes: Names.
        errors: Errors of all classes by latent size; None for a class without images.
        ax: Axes to draw on; by default those of a new Figure.
        intervals: Ends of each class's interval by latent size; None for a class without one.
    """
    table = np.array([[np.nan if e is None else e for e in row] for row in errors.values()])  # (sizes, classes)
    best = table[np.argmin(np.nan_to_num(table, nan=0).sum(axis=1))]
    order = np.argsort(-np.nan_to_num(best, nan=-1), kind="stable")[:30]
    with rc_context(STYLE):
        ax = ax or axes(0.9 + 0.23 * len(order))
        places = np.arange(len(order))[::-1]
        ax.hlines(places, table[:, order].min(axis=0), table[:, order].max(axis=0), color=GREY, linewidth=1, alpha=0.5)
        for i, (k, row) in enumerate(zip(errors, table, strict=True)):
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            for place, c in zip(places, order, strict=True):
                if intervals and (ends := intervals[k][c]) is not None:
                    ax.hlines(place, *ends, color=colour, linewidth=3, alpha=0.45)
            ax.plot(row[order], places, linestyle="", label=f"{k}", color=colour, marker=marker)
        ax.set_yticks(places, [plain(classes[c]) for c in order])
        ends = [end[1] for of_size in (intervals or {}).values() for end in of_size if end is not None]
        ax.set_xlim(0, 1.04 * max([np.nanmax(table, initial=0), 1e-9, *ends]))
        ax.set_ylim(-0.5, len(order) - 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.set_xlabel("test MSE")
        ax.grid(visible=False, axis="y")
        columns = max(2, int(1.2 * _figure(ax).get_figwidth()))
        where: Any = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1), "ncols": columns, "alignment": "left"}
        look: Any = {"frameon": False, "labelcolor": INK, "handletextpad": 0.2, "columnspacing": 1.2}
        ax.legend(title="dimensions", **where, **look)
        return _figure(ax)


def plain(name: str) -> str:
    """The first 40 characters of a name, with dollar signs escaped: matplotlib reads them as mathematics."""
    return name[:40].replace("$", r"\$")


def axes(height: float, width: float = WIDTH) -> Axes:
    """Axes of a new figure of so many inches."""
    with rc_context(STYLE):
        return Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained").subplots()


def _figure(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def _log_errors(ax: Axes) -> None:
    ax.set_yscale("log")
    ax.set_ylabel("mean squared error")
    low, high = ax.get_ylim()
    fine = (1, 2, 5) if high > 10 * low else (1, 1.5, 2, 3, 5, 7)
    steps = [m * 10.0**e for e in range(-9, 2) for m in fine]
    inside = [step for step in steps if low <= step <= high]
    if len(inside) < 2:  # errors may be closer than the steps
        inside = [tick for tick in MaxNLocator(4).tick_values(low, high) if tick > 0]
    ax.yaxis.set_major_locator(FixedLocator(inside))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.3g}"))
    ax.yaxis.set_minor_locator(NullLocator())


def _label_right(ax: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Write the name of each line beside its end."""
    low, high = np.log(ax.get_ylim())
    wanted = [(np.log(max(value, 1e-12)) - low) / (high - low) for value, _, _ in labels]
    for (_, text, colour), y in zip(labels, spread(wanted, 0.055), strict=True):
        ax.text(1.02, y, text, transform=ax.transAxes, va="center", size=LABEL, color=colour)


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Places near the wanted ones, in the same order and at least `gap` apart."""
    order = np.argsort(wanted, kind="stable")
    ordered = np.asarray(wanted, dtype=float)[order]
    ladder = gap * np.arange(len(wanted))
    lifted = np.maximum.accumulate(ordered - ladder) + ladder
    overshoot = np.maximum(0, lifted - ordered).mean() if len(wanted) else 0
    places = np.empty(len(wanted))
    places[order] = lifted - overshoot
    return places.tolist()
