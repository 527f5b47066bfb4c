"""Every recipe on every kind of set: is `converged` ever below PCA, did its training end by itself? `make evidence`.

The constants of `converged` were chosen on one half of the sets and are judged on the other, see `docs/log.md`. A run
that was stopped goes on. `benchmarks/evidence.py` makes the table in `docs/verdict.md` from what this writes.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import latentfit
from latentfit.data.images import ImageSet
from latentfit.hardware import processor
from latentfit.recipe import CONVERGED, REFERENCE, Recipe

RESULT = Path(__file__).parent / "results" / "recipes.json"
SIZES = (2, 4, 8, 16, 32, 64)
THOROUGH = Recipe(  # that `converged` replaced
    "thorough",
    hidden=(1280, 512),
    activation="silu",
    optimizer="adamw",
    learning_rate=0.003,
    schedule="cosine",
    initialization="glorot",
    beta2=0.99,
    weight_decay=0.1,
    epochs=20,
)
RECIPES: dict[str, str | Recipe] = {CONVERGED.name: "converged", REFERENCE.name: "reference", "thorough": THOROUGH}


def digits() -> ImageSet:
    """scikit-learn's digits: 8 × 8 pixels as floats, 1,500 for training and 297 for the test."""
    from sklearn.datasets import load_digits

    x = (load_digits().images / 16).astype(np.float32)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1)).numpy()
    return ImageSet("digits", x[order[:1500]], x[order[1500:]])


def fashion(images: int) -> ImageSet:
    """The first images of Fashion-MNIST, and all its test images."""
    whole = latentfit.load_data("fashion-mnist")
    return ImageSet(f"Fashion-MNIST, {images:,} images", whole.x_train[:images], whole.x_test)


def one_class() -> ImageSet:
    """Fashion-MNIST's sandals: 6,000 and 1,000 images."""
    whole = latentfit.load_data("fashion-mnist")
    assert whole.y_train is not None
    assert whole.y_test is not None
    return ImageSet("Fashion-MNIST, sandals", whole.x_train[whole.y_train == 5], whole.x_test[whole.y_test == 5])


def spots() -> ImageSet:
    """A smooth spot on grey, 16 × 16 pixels, all inside (0, 1), four factors: place (two), width, brightness."""
    rng = np.random.default_rng(0)
    across, down = rng.uniform(4, 12, (2, 5000, 1, 1))
    width, bright = rng.uniform(1.5, 4, (5000, 1, 1)), rng.uniform(0.2, 0.5, (5000, 1, 1))
    rows, columns = np.mgrid[:16, :16]
    x = 0.25 + bright * np.exp(-((rows - down) ** 2 + (columns - across) ** 2) / (2 * width**2))
    return _split("spots on grey", x)


def discs() -> ImageSet:
    """Two coloured discs on a coloured ground, 12 × 12 pixels."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:12, :12]
    x = rng.uniform(0, 1, (5000, 1, 1, 3)) * np.ones((1, 12, 12, 1))
    for _ in range(2):
        down, across = rng.uniform(2, 10, (2, 5000, 1, 1))
        radius, colour = rng.uniform(1.5, 4, (5000, 1, 1)), rng.uniform(0, 1, (5000, 1, 1, 3))
        share = (radius - np.hypot(rows - down, columns - across) + 0.5).clip(0, 1)[..., None]
        x = x * (1 - share) + share * colour
    return _split("coloured discs", x)


def _split(name: str, x: NDArray[Any]) -> ImageSet:
    """4,000 training images and the others for the test, as bytes."""
    whole = np.rint(255 * x).astype(np.uint8)
    return ImageSet(name, whole[:4000], whole[4000:])


SETS: dict[str, tuple[str, Callable[[], ImageSet]]] = {  # set: (what it is for, how it is made)
    "digits": ("chosen on", digits),
    "spots": ("chosen on", spots),
    "2,000": ("chosen on", lambda: fashion(2000)),
    "500": ("judged by", lambda: fashion(500)),
    "discs": ("judged by", discs),
    "sandals": ("judged by", one_class),
    "10,000": ("judged by", lambda: fashion(10_000)),
    "60,000": ("chosen on", lambda: fashion(60_000)),
}


def sizes_of(images: ImageSet) -> list[int]:
    """The latent sizes of a set: those of SIZES that it can have, and half of what PCA can have at most."""
    most = min(len(images.x_train), images.pixels)
    return sorted({k for k in SIZES if k < most} | {most // 2})


def rows_of(study: Any, purpose: str) -> list[dict[str, Any]]:
    """What a study says of each of its networks."""
    timing = json.loads((study.folder / "timing.json").read_text())
    seconds = {(m["latent_dim"], m["seed"]): m["seconds"] for m in timing["models"]}
    pca = {row["latent_dim"]: row["test_mse"] for row in study.results["pca"]}
    variance = study.results["variance"]["test"]
    epochs = {job: study.history(*job) for job in study.jobs}
    batches = -(-study.results["dataset"]["train_images"] // study.results["recipe"]["batch_size"])
    return [
        {
            "set": study.results["dataset"]["name"],
            "purpose": purpose,
            "recipe": study.results["recipe"]["name"],
            "latent_dim": m["latent_dim"],
            "explained": m["test_explained_variance"],
            "pca": 1 - pca[m["latent_dim"]] / variance,
            "test_mse": m["test_mse"],
            "steps": m["steps"] or batches * epochs[m["latent_dim"], m["seed"]][-1].epoch,
            "seconds": seconds[m["latent_dim"], m["seed"]],
            "gates": [gate["name"] for gate in m["gates"]],
        }
        for m in study.results["models"]
    ]


def main() -> None:
    """Train what is missing and write the result, a set at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"), help="where the studies are kept")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=[*SETS], help="which sets")
    asked = parser.parse_args()
    kept = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    for name in asked.sets:
        purpose, make = SETS[name]
        images = make()
        for recipe, given in RECIPES.items():
            folder = asked.out / f"{name.replace(',', '')}-{recipe}"
            study = latentfit.study(images, sizes_of(images), recipe=given, out=folder)
            rows = rows_of(study, purpose)
            kept = [row for row in kept if (row["set"], row["recipe"]) != (images.name, recipe)] + rows
            _print(rows)
            machine = {
                "processor": processor(),
                "system": platform.platform(),
                "torch": study.results["environment"]["torch"],
            }
            RESULT.write_text(json.dumps({"machine": machine, "rows": kept}, indent=1) + "\n")


def _print(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        gates = ", ".join(row["gates"]) or "-"
        print(
            f"{row['set']}, {row['recipe']}, {row['latent_dim']}: {100 * row['explained']:.2f} % "
            f"(PCA {100 * row['pca']:.2f}), {row['steps']} steps, {row['seconds']:.0f} s, failed checks {gates}",
            flush=True,
        )


if __name__ == "__main__":
    main()
