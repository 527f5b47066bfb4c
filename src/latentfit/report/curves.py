"""What the explorer needs to draw rows of numbers as curves, and to take and give them in the data's own units.

N rows, C columns, D columns that vary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.scaling import Scaling
from ..sweep.store import Study

Array = NDArray[Any]

SHOWN = (0.005, 0.995)  # quantiles of the numbers of all rows that the vertical axis has room for
ROOM = 0.08  # and this share of their distance beyond each
HALF_A_LEVEL = 1 / 510  # of the axis: as of images, half of one of 255 steps, and less than half of a CSS pixel
SHARE = 0.2  # of the root mean squared error: a number that is off by no more leaves the error what it is


@dataclass(frozen=True)
class Curves:
    """Rows as curves: their columns, and the vertical axis that all share.

    Attributes:
        scaling: How the rows came from the data's units.
        columns: Names of all columns, (C,).
        low: Lower end of the axis, in deviations, or in the data's units where these are common to all columns.
        high: Upper end.
    """

    scaling: Scaling
    columns: tuple[str, ...]
    low: float
    high: float

    @classmethod
    def of(cls, study: Study, x: Array) -> Curves | None:
        """Those of rows (N, D) as networks see them; None of a study of images."""
        scaling = study.scaling
        if scaling is None:
            return None
        low, high = np.quantile(scaling.undo(x) if scaling.common else x, SHOWN).tolist()
        room = ROOM * (high - low) or 1.0
        return cls(scaling, study.found.dataset.columns or (), low - room, high + room)

    def stray(self, errors: Array) -> float:
        """The most that a decoded number may be off, as networks see it, without being seen or moving the errors (N,).

        A network may be off by far less than what is visible; then its own error is the measure.
        """
        span = (self.high - self.low) / (float(self.scaling.scale[0]) if self.scaling.common else 1.0)
        return min(HALF_A_LEVEL * span, SHARE * max(float(np.sqrt(errors.mean())), 1e-5))

    def as_json(self) -> dict[str, object]:
        """Everything but the rows themselves, as the page's script reads it."""
        scaling = self.scaling
        return {
            "names": [self.columns[i] for i in scaling.columns],
            "columns": scaling.columns.tolist(),
            "mean": scaling.mean.tolist(),
            "scale": scaling.scale.tolist(),
            "common": scaling.common,
            "low": self.low,
            "high": self.high,
        }
