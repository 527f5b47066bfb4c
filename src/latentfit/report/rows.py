"""Pictures of rows of numbers: each row is a curve over its columns, with what networks make of it on the same axes.

N rows, D columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from ..figures import COLOURS, DPI, GREY, INK, LABEL, NARROW, STYLE, WIDTH, plain
from ..formatting import dims
from .pictures import Picture, Shown
from .tradeoffs import interpolated_size

Array = NDArray[Any]

NAMED = 14  # columns up to which each is named on the axis, and a curve has a marker at each
MANY = 240  # columns that are drawn, at most
SHORT = 9, 14, 18  # characters of a column's name, where three, two or all are written
ROOM = (0.55, 0.95)  # inches of a panel's title and its axis: of numbers, and of names


@dataclass(frozen=True)
class Panel:
    """One pair of axes: a title, and curves (D,) by name; the first is the row itself."""

    title: str
    curves: dict[str, Array]


def curves(panels: Sequence[Panel], columns: Sequence[str], unit: str, width: float, fading: bool = False) -> Figure:
    """Panels of curves over the same columns, on one scale.

    Args:
        panels: What to draw.
        columns: Names of the columns, (D,).
        unit: What the numbers are in.
        width: Inches of the figure; a wide one has two panels side by side.
        fading: Whether the curves go from one colour to another, in place of a colour each.
    """
    across = 2 if width > NARROW and len(panels) > 1 else 1
    down = math.ceil(len(panels) / across)
    named = len(columns) <= NAMED
    room = ROOM[named]
    height = down * (0.8 + room) + 0.5
    with rc_context({**STYLE, "lines.markersize": 2.5}):
        figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
        every = figure.subplots(down, across, sharex=False, sharey=True, squeeze=False).ravel()
        for ax, panel in zip(every, panels, strict=False):
            _draw(ax, panel, columns, fading)
        for ax in every[len(panels) :]:
            ax.set_visible(False)
        low, high = _ends(panels)
        every[0].set_ylim(low, high)
        every[0].set_ylabel(unit)
        handles, names = every[0].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside upper left", ncols=4 if across > 1 else 2, frameon=False, labelcolor=INK
        )
    return figure


def _draw(ax: Axes, panel: Panel, columns: Sequence[str], fading: bool) -> None:
    places = np.arange(len(columns))
    marker = "o" if len(columns) <= NAMED else ""
    for i, (name, curve) in enumerate(panel.curves.items()):
        look: dict[str, Any] = {"color": COLOURS[(i - 1) % len(COLOURS)], "linewidth": 1.1}
        if fading:
            look["color"], look["alpha"] = COLOURS[0] if i < len(panel.curves) / 2 else COLOURS[1], 0.55
        if i == 0 or (fading and i == len(panel.curves) - 1):
            look = {"color": GREY if i == 0 else INK, "linewidth": 2.2, "alpha": 0.7}
        ax.plot(places, curve, label=name, marker=marker, **look)
    ax.set_title(plain(panel.title), loc="left", size=LABEL)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    if len(columns) <= NAMED:
        ax.set_xticks(places, [_short(name, SHORT[2]) for name in columns], rotation=60, ha="right", size=LABEL - 1)
    else:
        three = max(map(len, columns)) <= SHORT[0]
        ticks = np.linspace(0, len(columns) - 1, 3 if three else 2).round().astype(int)
        ax.xaxis.set_major_locator(FixedLocator(ticks.tolist()))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _short(columns[int(x)], SHORT[1])))
        ax.get_xticklabels()[0].set_horizontalalignment("left")
        ax.get_xticklabels()[-1].set_horizontalalignment("right")


def _short(name: str, most: int) -> str:
    """A column's name, cut where it is longer."""
    return plain(name if len(name) <= most else f"{name[: most - 1]}…")


def _ends(panels: Sequence[Panel]) -> tuple[float, float]:
    """The scale of all panels."""
    values = np.concatenate([curve for panel in panels for curve in panel.curves.values()])
    low, high = float(values.min()), float(values.max())
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room


@dataclass(frozen=True)
class ShownRows(Shown):
    """The pictures of a study of rows of numbers."""

    def _drawn(self, shown: str, rows: Sequence[tuple[str, Array]], caption: str) -> Picture:
        names, labels = self.study.found.dataset.classes, self.study.shown[f"{shown}_labels"]
        kind = "training" if shown == "train" else "test"
        panels = [
            Panel(
                f"{kind} row {index}" + (f" ({names[label]})" if names and label >= 0 else ""),
                {name: self._in_units(x[i]) for name, x in rows},
            )
            for i, (index, label) in enumerate(zip(self.study.shown[f"{shown}_indices"], labels, strict=True))
        ]
        return self._chart(panels, caption)

    def _changed(self, _sizes: tuple[int, int], rows: Sequence[tuple[str, Array]], caption: str) -> Picture:
        return self._drawn("gained", rows, f"{caption}.")

    def _interpolations(self) -> Picture:
        pairs, first = self.study.shown["pairs"], interpolated_size(self.study.found)
        names, labels = self.study.found.dataset.classes, self.study.shown["pairs_labels"]
        steps = self._steps([first] if first is not None else [])
        panels = []
        for p, pair in enumerate(pairs):
            between = {f"step {s + 1}": z for s, z in enumerate(steps[first][p])} if first is not None else {}
            every = {"from": pair[0], **between, "to": pair[1]}
            of = f" ({names[labels[p, 0]]} to {names[labels[p, 1]]})" if names and (labels >= 0).all() else ""
            panels.append(Panel(f"pair {p + 1}{of}", {name: self._in_units(x) for name, x in every.items()}))
        size = "" if first is None else f" with {dims(first)}"
        caption = (
            f"Interpolations{size} between {len(pairs)} pairs of training rows: the two rows (thick) and five decoded "
            f"steps from the code of the one to that of the other{self._of_seed()}."
        )
        return self._chart(panels, caption, fading=True)

    def _chart(self, panels: Sequence[Panel], caption: str, fading: bool = False) -> Picture:
        every, scaling = self.study.found.dataset.columns or (), self.study.scaling
        columns = [every[i] for i in scaling.columns] if scaling else []
        drawn = np.unique(np.linspace(0, len(columns) - 1, min(MANY, len(columns))).round().astype(int))
        if len(drawn) < len(columns):
            caption += f" Drawn: {len(drawn):,} of {len(columns):,} columns, evenly spaced."
            panels = [Panel(p.title, {name: curve[drawn] for name, curve in p.curves.items()}) for p in panels]
        draw = partial(curves, panels, [columns[i] for i in drawn], self._unit, fading=fading)
        return Picture(draw(WIDTH), caption, narrow=draw(NARROW))

    @property
    def _unit(self) -> str:
        scaling = self.study.scaling
        return "value" if scaling is None or scaling.common else "deviations"

    def _in_units(self, x: Array) -> Array:
        """A row (D,) as it is drawn: in the data's units where all columns have one."""
        scaling = self.study.scaling
        return scaling.undo(x) if scaling is not None and scaling.common else x
