"""Errors of rows of numbers in the data's own units: of networks, and of PCA.

Everything else in a study is of the columns that vary, in deviations. N rows, C columns, D columns that vary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import evaluate
from ..data.images import ImageSet
from ..data.reading import chunks
from ..data.scaling import Scaling
from ..model import Codec
from ..pca import PCA
from ..results import ModelResult, PCAResult

Array = NDArray[Any]


@dataclass(frozen=True)
class InUnits:
    """Squared errors of a network in the data's units, of the columns that vary."""

    train: Array  # mean of each column, (D,)
    val: Array | None
    test: Array
    test_rows: Array  # sum over the columns of each row, (N,)

    @classmethod
    def of(cls, network: Codec, images: ImageSet) -> InUnits | None:
        """Measure a network of rows as it sees them; None of images."""
        if images.scaling is None:
            return None
        units = np.square(images.scaling.scale)
        test, test_rows = evaluate.column_errors(network, images.x_test, units)
        val = None if images.x_val is None else evaluate.column_errors(network, images.x_val, units)[0]
        return cls(evaluate.column_errors(network, images.x_train, units)[0], val, test, test_rows)


@dataclass(frozen=True)
class Units:
    """A set in the data's units: what its constant columns add to every error, as a network gives the constant.

    Attributes:
        images: Rows as networks see them.
        scaling: How they came from rows in the data's units.
        test: Mean squared distance of each column of the test rows from its constant, (C,); 0 of columns that vary.
        test_rows: Sum over the columns of each test row, (N,).
        val: As `test`, of rows that are held out.
    """

    images: ImageSet
    scaling: Scaling
    test: Array
    test_rows: Array
    val: Array

    @classmethod
    def of(cls, images: ImageSet) -> Units | None:
        """Measure a set in the data's units; None of images, which have no other."""
        scaling = images.seen.scaling
        if scaling is None:
            return None
        test, rows = _constant(images.x_test, scaling)
        val = np.zeros_like(test) if images.x_val is None else _constant(images.x_val, scaling)[0]
        return cls(images.seen, scaling, test, rows, val)

    @property
    def deviations(self) -> tuple[float, ...]:
        """Standard deviation of each column of the training rows, (C,)."""
        spread = np.sqrt(sum(np.square(rows.astype(float)).sum(axis=0) for rows in chunks(self.images.x_train)))
        return tuple(self.columns(spread / np.sqrt(len(self.images.x_train)) * self.scaling.scale).tolist())

    def columns(self, varying: Array, constant: Array | None = None) -> Array:
        """Errors of all columns, (C,), from those of the columns that vary, (D,)."""
        every = np.zeros(len(self.scaling.mean)) if constant is None else constant.copy()
        every[self.scaling.columns] = varying
        return every

    def in_units(self, model: ModelResult, found: InUnits) -> ModelResult:
        """A network's results with the errors in the data's units."""
        test = self.columns(found.test, self.test)
        rows = (found.test_rows + self.test_rows) / len(test)  # (N,)
        y_test, classes = self.images.y_test, self.images.classes
        return replace(
            model,
            train_mse=float(self.columns(found.train).mean()),
            test_mse=float(test.mean()),
            val_mse=None if model.val_mse is None or found.val is None else self._mean(found.val, self.val),
            test_mse_by_class=None
            if y_test is None or classes is None
            else tuple(evaluate.by_class(rows, y_test, len(classes))),
            test_mse_by_column=tuple(test.tolist()),
        )

    def of_pca(self, pca: PCA, components: int) -> PCAResult:
        """Errors of PCA with so many components in the data's units."""
        train, test = (self._of_pca(pca, x, components) for x in (self.images.x_train, self.images.x_test))
        return PCAResult(components, self._mean(train), self._mean(test, self.test))

    def _of_pca(self, pca: PCA, x: Array, components: int) -> Array:
        total = np.zeros(len(self.scaling.scale))
        for rows in chunks(x):
            total += np.square(pca.reconstruct(rows.astype(float), components) - rows).sum(axis=0)
        return total / len(x) * np.square(self.scaling.scale)

    def _mean(self, varying: Array, constant: Array | None = None) -> float:
        return float(self.columns(varying, constant).mean())


def _constant(x: Array, scaling: Scaling) -> tuple[Array, Array]:
    """Of rows (N, C): mean squared distance of each constant column from its constant, (C,), and sums by row, (N,)."""
    where = scaling.constant
    columns, rows = np.zeros(len(scaling.mean)), np.zeros(len(x))
    if len(where):
        apart = np.square(x[:, where].astype(float) - scaling.mean[where])
        columns[where], rows = apart.mean(axis=0), apart.sum(axis=1)
    return columns, rows
