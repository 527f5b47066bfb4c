"""Same quality for less, and best quality: `make bench-quality`.

Four studies of 16 and 48 dimensions, a seed of every study after the other so that a noisy machine treats them alike:
`reference`, `swift`, `converged`, and `thorough`, which `converged` replaced. Then `converged` at 190, where PCA keeps
95 % of the variance. A run that was stopped goes on. What bf16 costs is in `precision.py`, other sets in `recipes.py`.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

from recipes import THOROUGH

import latentfit
from latentfit.hardware import processor

SIZES = (16, 48)
LARGE = 190
STUDIES = {"reference": 5, "swift": 5, "converged": 3, "thorough": 3}  # recipe: seeds
RESULT = Path(__file__).parent / "results" / "quality.json"


def main() -> None:
    """Run what is missing and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/quality"), help="where the studies are kept")
    out = parser.parse_args().out
    images = latentfit.load_data("fashion-mnist")
    found: dict[str, Any] = {}
    for seeds in range(1, 1 + max(STUDIES.values())):
        for recipe, count in STUDIES.items():
            if seeds > count:
                continue
            given = THOROUGH if recipe == "thorough" else recipe
            found[recipe] = latentfit.study(images, SIZES, seeds=seeds, recipe=given, out=out / recipe)
            print(recipe, seeds, flush=True)
        if seeds > 1:
            write(found)
    found[f"converged, {LARGE}"] = latentfit.study(images, [LARGE], recipe="converged", out=out / f"converged-{LARGE}")
    write(found)


def write(found: dict[str, Any]) -> None:
    """Keep what there is so far."""
    result = {
        "machine": {"processor": processor(), "system": platform.platform(), "torch": latentfit_torch(found)},
        "studies": {name: table(study) for name, study in found.items()},
        "pca": [entry for study in found.values() for entry in study.results["pca"]],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


def latentfit_torch(found: dict[str, Any]) -> str:
    """The version of PyTorch that trained."""
    return str(found["reference"].results["environment"]["torch"])


def table(study: Any) -> dict[str, Any]:
    """Recipe, precision, and for each network its errors and the seconds of its training."""
    timing = json.loads((study.folder / "timing.json").read_text())
    seconds = {(m["latent_dim"], m["seed"]): m["seconds"] for m in timing["models"]}
    keys = ("latent_dim", "seed", "train_mse", "test_mse")
    return {
        "recipe": study.results["recipe"],
        "precision": study.results["environment"]["precision"],
        "models": [
            {key: m[key] for key in keys} | {"seconds": seconds[m["latent_dim"], m["seed"]]}
            for m in study.results["models"]
        ],
    }


if __name__ == "__main__":
    main()
