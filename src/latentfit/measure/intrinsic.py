"""How many dimensions the images themselves have, as estimators of scikit-dimension see it.

Each has its own idea of a dimension and they seldom agree; none knows what a network of a size can keep. They are
marks beside the answer, never the answer.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..data.images import ImageSet
from ..model import to_unit

SAMPLE = 2_000  # images, at most
ESTIMATORS = {  # scikit-dimension's name for it: who proposed it
    "TwoNN": "Facco et al., 2017",
    "MLE": "Levina & Bickel, 2004",
    "CorrInt": "Grassberger & Procaccia, 1983",
    "MOM": "Amsaleg et al., 2018",
    "TLE": "Amsaleg et al., 2019",
    "lPCA": "Fukunaga & Olsen, 1971",
}


def estimates(images: ImageSet, seed: int) -> dict[str, Any]:
    """Intrinsic dimension of a sample of the training images, by several estimators.

    Returns:
        `images`: how many were looked at. `estimates`: a `name` each, the `value`, and where that is None the
        `reason`: the extra `id` is not installed, or the estimator failed or gave no finite number.
    """
    rng = np.random.default_rng([seed, len(images.x_train), 3])
    chosen = np.sort(rng.permutation(len(images.x_train))[:SAMPLE])
    x = to_unit(np.ascontiguousarray(images.x_train[chosen])).double().numpy().reshape(len(chosen), -1)
    return {"images": len(chosen), "estimates": [{"name": name, **_estimate(name, x)} for name in ESTIMATORS]}


def _estimate(name: str, x: np.ndarray[Any, Any]) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from skdim import id as estimators  # numba compiles: seconds

            with threadpool_limits(1):
                value = float(getattr(estimators, name)().fit(x).dimension_)
    except ImportError:
        return {"value": None, "reason": "not installed: pip install 'latentfit[id]'"}
    except Exception as error:  # someone else's code, on any data
        return {"value": None, "reason": f"{type(error).__name__}: {error}"[:200]}
    if not math.isfinite(value) or value < 0:
        return {"value": None, "reason": f"gave {value}"}
    return {"value": value, "reason": None}
