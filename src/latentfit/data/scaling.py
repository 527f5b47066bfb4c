"""Rows of numbers as networks see them: the columns that vary, centred, and each in its own unit of deviation.

A network is trained and compared on these, so that a column of grams counts as much as one of tons. What is stored, and
what a user is shown, is in the data's own units again. N rows, C columns, D columns that vary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..formatting import listed
from .reading import SCALES, Array, chunks

__all__ = ["SCALES", "Scaling", "in_units"]

FAR = 1e4  # deviations between 0 and the mean of a column, from which float32 has few digits left for what varies
NAMED = 5  # columns named in a sentence


@dataclass(frozen=True, eq=False)
class Scaling:
    """How rows in the data's units become rows as networks see them, and back.

    Attributes:
        columns: Which columns vary, (D,), in order.
        mean: Mean of each column over the training rows, (C,) float64; of a constant column its value.
        scale: What each column that varies is divided by, (D,) float64, above 0.
        common: Whether that is one number for all, so that all have one unit.
    """

    columns: Array
    mean: Array
    scale: Array
    common: bool = False

    @classmethod
    def of(cls, x_train: Array, scale: str) -> Scaling:
        """The scaling of training rows (N, C).

        Args:
            x_train: In the data's units.
            scale: `columns`: each is divided by its own standard deviation; or `none`: all are divided by one number,
                the root mean square of these.

        Raises:
            InputError: No column varies.
        """
        first = np.asarray(x_train[0], float)
        total, varies = np.zeros(len(first)), np.zeros(len(first), bool)
        for rows in chunks(x_train):
            shifted = rows.astype(float) - first
            total += shifted.sum(axis=0)
            varies |= shifted.any(axis=0)
        mean = first + total / len(x_train)
        mean[~varies] = first[~varies]
        square = sum(np.square(rows.astype(float) - mean).sum(axis=0) for rows in chunks(x_train))
        columns = np.flatnonzero(varies)
        if not len(columns):
            raise InputError("all training rows are equal; expected at least one column whose values differ")
        deviation = np.sqrt(square / len(x_train))[columns]  # (D,)
        if scale == "none":
            deviation[:] = np.sqrt(np.square(deviation).mean())
        return cls(columns, mean, deviation, scale == "none")

    @property
    def constant(self) -> Array:
        """Indices of the columns that do not vary, (C - D,)."""
        return np.setdiff1d(np.arange(len(self.mean)), self.columns)

    def apply(self, x: Array) -> Array:
        """Rows (N, C) as networks see them, (N, D) float32."""
        seen = np.empty((len(x), len(self.columns)), np.float32)
        for rows, target in zip(chunks(x), chunks(seen), strict=True):
            target[:] = (rows[:, self.columns].astype(float) - self.mean[self.columns]) / self.scale
        return seen

    def undo(self, seen: Array) -> Array:
        """Rows (..., D) in the data's units again, without the constant columns, (..., D) float64."""
        original: Array = seen.astype(float) * self.scale + self.mean[self.columns]
        return original

    def notes(self, names: tuple[str, ...]) -> list[str]:
        """What a reader has to know of the columns with these names, (C,), in sentences."""
        told = []
        if len(self.constant):
            some, many = _named([names[i] for i in self.constant]), len(self.constant) > 1
            told.append(
                f"{'Columns' if many else 'Column'} {some} {'are' if many else 'is'} constant in the training rows: "
                f"{'they are' if many else 'it is'} reconstructed as that constant, and {'do' if many else 'does'} not "
                "count in explained variance."
            )
        return told + self.far_notes(names)

    def far_notes(self, names: tuple[str, ...]) -> list[str]:
        """The sentence on columns that lie far from 0, if there are any."""
        if not len(far := self.columns[np.abs(self.mean[self.columns]) > FAR * self.scale]):
            return []
        one = len(far) == 1
        return [
            f"{'Column' if one else 'Columns'} {_named([names[i] for i in far])} {'lies' if one else 'lie'} more "
            f"than {FAR:,.0f} deviations from 0, where float32 has few digits for what varies: subtract a constant."
        ]


def _named(names: list[str]) -> str:
    """The first of many names: `a, b and 12 more`."""
    some = [repr(name) for name in names[:NAMED]]
    return listed(some) if len(names) <= NAMED else f"{', '.join(some)} and {len(names) - NAMED:,} more"


def in_units(scaling: Scaling, squares: Mapping[str, Array]) -> dict[str, Array]:
    """Mean squared errors by column, as networks see them (D,), in the data's units (C,), 0 if constant."""
    found = {}
    for split, by_column in squares.items():
        found[split] = np.zeros(len(scaling.mean))
        found[split][scaling.columns] = by_column * np.square(scaling.scale)
    return found
