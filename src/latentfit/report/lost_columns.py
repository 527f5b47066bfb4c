"""Which columns of rows of numbers a size loses most of, in their own units."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..formatting import percent
from ..measure.headline import Table
from ..results import Results
from .chosen import answered

MOST = 10  # of a table of those that lose most


class Lost(NamedTuple):
    """What a size loses of a column of rows of numbers."""

    name: str
    deviation: float
    error: float  # root mean square, of the test rows
    lost: float  # of the variance of the training rows


def lost(results: Results) -> tuple[int, list[Lost]]:
    """The answer, or the largest size, and the columns that lose the largest share of their variance there."""
    deviations, names = results.column_deviations, results.dataset.columns
    if not results.first or not deviations or not names:
        return 0, []
    k = answered(results) or results.first[-1].latent_dim
    models = [model for job, model in results.trained.items() if job.latent_dim == k and model.test_mse_by_column]
    means = [sum(column) / len(models) for column in zip(*(m.test_mse_by_column or () for m in models), strict=True)]
    columns = [
        Lost(name, deviation, math.sqrt(error), error / deviation**2)
        for name, deviation, error in zip(names, deviations, means, strict=True)
        if deviation > 0
    ]
    return k, sorted(columns, key=lambda column: -column.lost)[:MOST]


def table(results: Results) -> Table | None:
    """Of rows of numbers the columns that the answer, or the largest size, loses most of, in their own units."""
    k, columns = lost(results)
    header = ["column", "latent", "deviation", "RMSE", "variance lost"]
    rows = [[c.name, str(k), f"{c.deviation:.4g}", f"{c.error:.3g}", percent(c.lost, 1)] for c in columns]
    return (header, rows) if rows else None
