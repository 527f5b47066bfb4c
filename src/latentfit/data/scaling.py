"""Rows of numbers as networks see them: the columns that vary, centred, and each in its own unit of deviation.

A network is trained and compared on these, so that a column of grams counts as much as one of tons. What is stored, and
what a user is shown, is in the data's own units again. N rows, C columns, D columns that vary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..formatting import listed
from . import large
from .reading import SCALES, Array, chunks

__all__ = ["SCALES", "Scaling"]

FAR = 1e4  # deviations between 0 and the mean of a column, from which float32 has few digits left for what varies
APART = 10  # deviations of the training rows, root mean square of the test rows, from which on there is a note
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
        return large.gather(map(self._centred, chunks(x)), (len(x), len(self.columns)), np.float32)

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

    def far_apart(self, x_test: Array, names: tuple[str, ...]) -> list[str]:
        """A note on columns whose test rows (N, C) are much farther from the mean than the training rows."""
        square = sum(np.square(self._centred(rows)).sum(axis=0) for rows in chunks(x_test))
        far = self.columns[np.sqrt(square / len(x_test)) > APART]
        if not len(far):
            return []
        return [
            f"In the test rows column{'s' * (len(far) > 1)} {_named([names[i] for i in far])} "
            f"{'lie' if len(far) > 1 else 'lies'} more than {APART} deviations of the training rows from their mean, "
            "in the root mean square: few rows may decide every number."
        ]

    def _centred(self, rows: Array) -> Array:
        return (rows[:, self.columns].astype(float) - self.mean[self.columns]) / self.scale


def _named(names: list[str]) -> str:
    """The first of many names: `a, b and 12 more`."""
    some = [repr(name) for name in names[:NAMED]]
    return listed(some) if len(names) <= NAMED else f"{', '.join(some)} and {len(names) - NAMED:,} more"
