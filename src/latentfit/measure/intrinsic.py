"""Intrinsic dimension of the images, by the estimators of scikit-dimension.

Each estimator defines a dimension in its own way and they seldom agree; none knows what a network of a size can keep.
They are shown beside the answer and do not change it.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..data.images import ImageSet
from ..data.large import at_most
from ..model import to_unit
from ..results import Estimate, Intrinsic

SAMPLE = 2_000  # images, at most
ESTIMATORS = {  # scikit-dimension's name for it: who proposed it
    "TwoNN": "Facco et al., 2017",
    "MLE": "Levina & Bickel, 2004",
    "CorrInt": "Grassberger & Procaccia, 1983",
    "MOM": "Amsaleg et al., 2018",
    "TLE": "Amsaleg et al., 2019",
    "lPCA": "Fukunaga & Olsen, 1971",
}


def estimates(images: ImageSet, seed: int) -> Intrinsic:
    """Intrinsic dimension of a sample of the training images, by several estimators.

    An estimate without a value has a reason: the extra `id` is not installed, or the estimator failed or gave no finite
    number.
    """
    rng = np.random.default_rng([seed, len(images.x_train), 3])
    chosen = np.sort(rng.permutation(len(images.x_train))[: at_most(SAMPLE, images.pixels)])
    x = to_unit(np.ascontiguousarray(images.x_train[chosen])).double().numpy().reshape(len(chosen), -1)
    return Intrinsic(len(chosen), tuple(Estimate(name, *_estimate(name, x)) for name in ESTIMATORS))


def _estimate(name: str, x: NDArray[np.float64]) -> tuple[float | None, str | None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from skdim import id as estimators  # numba compiles: seconds

            with threadpool_limits(1):
                value = float(getattr(estimators, name)().fit(x).dimension_)
    except ImportError:
        return None, "not installed: pip install 'latentfit[id]'"
    except Exception as error:  # someone else's code, on any data
        return None, f"{type(error).__name__}: {error}"[:200]
    if not math.isfinite(value) or value < 0:
        return None, f"gave {value}"
    return value, None
