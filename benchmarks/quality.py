"""Same quality for less, and best quality: `make bench-quality`.

Three studies of 16 and 48 dimensions, a seed of every study after the other so that a noisy machine treats them
alike: the reference recipe with ten seeds, `swift` and `thorough` with five. Then the reference recipe and `thorough`
at sizes from 2 to 128. A run that was stopped goes on. What bf16 costs is in `precision.py`.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import latentfit
from latentfit.hardware import processor

SIZES = (16, 48)
ALL_SIZES = (2, 4, 8, 32, 64, 128)
STUDIES = {"reference": 10, "swift": 5, "thorough": 5}  # recipe: seeds
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
            found[recipe] = latentfit.study(images, SIZES, seeds=seeds, recipe=recipe, out=out / recipe)
            print(recipe, seeds, flush=True)
        if seeds > 1:
            write(found)
    for recipe in ("reference", "thorough"):
        found[f"{recipe}, all sizes"] = latentfit.study(images, ALL_SIZES, recipe=recipe, out=out / f"{recipe}-sizes")
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
