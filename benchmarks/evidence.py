"""Is the answer true? Studies with a known answer, and the coverage of their intervals: `make evidence`.

`flat`: Gaussian sets of rank r in 100 pixels, all r directions alike, and a share between what r - 1 and r keep: the
answer should be r or r + 1. `curved`: a blob that moves, grows and fades, whose number of factors is known. `garments`:
drawn clothes. `coverage`: how often the 95 % interval of three trainings contains the mean of all.
The page `docs/verdict.md` is made from `benchmarks/results/evidence.json`, which this writes.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import loky
import numpy as np
from recipes import RECIPES
from recipes import RESULT as OF_RECIPES
from scipy.stats import binom

import latentfit
from latentfit.data import garments
from latentfit.data.images import ImageSet
from latentfit.hardware import processor
from latentfit.measure.headline import headline
from latentfit.recipe import SWIFT, Recipe
from latentfit.results import Results
from latentfit.stats import mean_interval
from latentfit.sweep import files
from latentfit.sweep.job import train_group

RESULT = Path(__file__).parent / "results" / "evidence.json"
PAGE = Path(__file__).resolve().parent.parent / "docs" / "verdict.md"
FLAGSHIP = PAGE.parent.parent / "results" / "flagship" / "results.json"
RECIPE = Recipe(
    "evidence",
    hidden=(128,),
    activation="silu",
    output="linear",
    learning_rate=0.003,
    schedule="cosine",
    initialization="glorot",
    beta2=0.99,
    batch_size=64,
    epochs=30,
)
RANKS = range(2, 12)
SETS = 2  # a rank
REPEATS = 40
SEEDS = 3


def flat(rank: int, seed: int) -> ImageSet:
    """A Gaussian set of a rank in 10 × 10 pixels: every direction has the same variance."""
    rng = np.random.default_rng([rank, seed])
    axes = np.linalg.qr(rng.normal(size=(100, rank)))[0]  # (D, r)
    x = (0.5 + 0.2 * rng.normal(size=(5000, rank)) @ axes.T).clip(0, 1).astype(np.float32).reshape(-1, 10, 10)
    return ImageSet(f"rank {rank}", x[:4000], x[4000:])


def curved(seed: int) -> ImageSet:
    """A blob in 16 × 16 pixels with four factors: where it is (two), how wide, how bright."""
    rng = np.random.default_rng(seed)
    across, down = rng.uniform(4, 12, (2, 5000, 1, 1))
    width, bright = rng.uniform(1.2, 3, (5000, 1, 1)), rng.uniform(0.4, 1, (5000, 1, 1))
    rows, columns = np.mgrid[:16, :16]
    x = bright * np.exp(-((columns - across) ** 2 + (rows - down) ** 2) / (2 * width**2))
    return ImageSet("blobs", x[:4000].astype(np.float32), x[4000:].astype(np.float32))


def answered(images: ImageSet, keep: float, recipe: Recipe, executor: Executor) -> dict[str, Any]:
    """The verdict of a search."""
    with tempfile.TemporaryDirectory() as folder:
        results = latentfit.study(
            images, keep=keep, recipe=recipe, out=Path(folder) / "study", executor=executor
        ).results
    trained = sorted({m["latent_dim"] for m in results["models"]})
    names = ("status", "latent_dim", "not_enough", "explained_variance", "interval", "gates", "sentence")
    return {"keep": keep, "tried": trained} | {name: results["verdict"][name] for name in names}


def of_flat(ranks: Sequence[int], sets: int, executor: Executor) -> list[dict[str, Any]]:
    """The search on Gaussian sets: the share is at the midpoint of what r - 1 and r directions keep."""
    rows = []
    for rank in ranks:
        for seed in range(sets):
            rows.append({"rank": rank, "set": seed} | answered(flat(rank, seed), 1 - 0.5 / rank, RECIPE, executor))
            print(f"rank {rank}, set {seed}: {rows[-1]['latent_dim']}", flush=True)
    return rows


def of_others(executor: Executor) -> list[dict[str, Any]]:
    """The search on sets that are not flat."""
    rows = [{"set": "blobs", "factors": 4} | answered(curved(0), keep, RECIPE, executor) for keep in (0.9, 0.95, 0.99)]
    drawn = garments.draw(8000, 2000)
    clothes = Recipe(**{**vars(SWIFT), "name": "evidence", "epochs": 10})
    factors = drawn.true_factors
    return [*rows, {"set": "garments", "factors": factors} | answered(drawn, 0.9, clothes, executor)]


def of_coverage(repeats: int, executor: Executor) -> dict[str, Any]:
    """How often the interval of three trainings contains the mean of all: each study has seeds of its own."""
    images, recipe = curved(1), Recipe(**{**vars(RECIPE), "epochs": 5})
    jobs = [(3, seed) for seed in range(SEEDS * repeats)]
    futures = [executor.submit(train_group, [job], images, recipe) for job in jobs]
    rows = [future.result()[0].history[-1] for future in futures]
    errors = [row.test_mse for row in rows if row.test_mse is not None]
    mean = float(np.mean(errors))
    intervals = [mean_interval(errors[i : i + SEEDS]).interval for i in range(0, len(errors), SEEDS)]
    return {
        "studies": repeats,
        "seeds": SEEDS,
        "held": sum(low <= mean <= high for low, high in filter(None, intervals)),
        "errors": errors,
    }


def _recipes(found: dict[str, Any]) -> list[str]:
    """Every recipe on every set: explained variance, steps and seconds."""
    rows, names = found["rows"], list(RECIPES)
    ours = [row for row in rows if row["recipe"] == "converged"]
    fired = [
        f"{row['set']} at {row['latent_dim']}" for row in ours if {*row["gates"]} & {"still_falling", "worse_than_pca"}
    ]
    lines = [
        "## Every recipe on every kind of set",
        "",
        f"`make evidence` on {found['machine']['processor']} with torch {found['machine']['torch']}: explained",
        "variance of the test images, and steps of a training with its seconds on a core that other work shared.",
        "`thorough` is the recipe that `converged` replaced. PCA is of all training images; the gate `worse_than_pca`",
        "compares with PCA of the images trained on, by two paired standard errors. The constants of `converged` were",
        "chosen on the sets with a star, and are judged by the others.",
        "",
        f"Of {len(ours)} networks of `converged`, {len(fired)} are worse than PCA or were ended by their budget"
        + (f": {', '.join(fired)}." if fired else "."),
        "",
        f"| set | latent | PCA | {' | '.join(names)} | steps, seconds of `converged` | its gates |",
        f"|---|---:|---:|{'---:|' * len(names)}---:|---|",
    ]
    by_place = {(row["set"], row["latent_dim"], row["recipe"]): row for row in rows}
    for row in ours:
        others = [by_place.get((row["set"], row["latent_dim"], name)) for name in names]
        shares = [f"{100 * other['explained']:.2f} %" if other else "-" for other in others]
        star = "*" if row["purpose"] == "chosen on" else ""
        lines.append(
            f"| {row['set']}{star} | {row['latent_dim']} | {100 * row['pca']:.2f} % | {' | '.join(shares)} "
            f"| {row['steps']:,}, {row['seconds']:.0f} | {', '.join(row['gates']) or '-'} |"
        )
    return [*lines, ""]


def page(found: dict[str, Any]) -> str:
    """The page: sentences and tables."""
    right = [row["latent_dim"] in (row["rank"], row["rank"] + 1) for row in found["flat"]]
    runs = found["coverage"]
    low, high = (int(binom.ppf(q, runs["studies"], 0.95)) for q in (0.025, 0.975))
    lines = [
        "# Is the answer true?",
        "",
        "![Test error of Fashion-MNIST against latent size](../results/flagship/figures/error-by-size.png)",
        "",
        f"`make flagship`, ten sizes with five seeds each: {headline(files.read(Results, FLAGSHIP))}",
        "",
        f"`make evidence` on {found['machine']['processor']} with torch {found['machine']['torch']} wrote",
        "`benchmarks/results/evidence.json`, and this page is made from it.",
        "",
        *_recipes(json.loads(OF_RECIPES.read_text())),
        "## Sets whose rank is known",
        "",
        "Gaussian sets of rank r in 100 pixels, all r directions alike, 4,000 training and 1,000 test images, and a",
        "share half way between what r - 1 and r directions keep. The search (three trainings a size) should answer r",
        "or r + 1.",
        "",
        f'It did in {sum(right)} of {len(right)} runs. "At most": a gate fired, better training may need less.',
        "",
        "| rank | share to keep | answer | not enough | sizes tried | |",
        "|---:|---:|---:|---:|---|---|",
    ]
    for row, ok in zip(found["flat"], right, strict=True):
        tried = ", ".join(map(str, row["tried"]))
        lacking = "-" if row["not_enough"] is None else row["not_enough"]
        size = f"{'at most ' if row['gates'] else ''}{row['latent_dim']}" if row["latent_dim"] else row["status"]
        lines.append(
            f"| {row['rank']} | {row['keep']:.1%} | {size} | {lacking} | {tried} | {'yes' if ok else '**no**'} |"
        )
    lines += [
        "",
        "## Sets that are curved, and clothes",
        "",
        "Blobs of 16 × 16 pixels have four factors (place, width, brightness); `garments` have eight within a class,",
        "and ten classes. What a network needs to keep a share of the variance is another question than how many",
        "factors there are: fewer may do for a low share, and a network of limited training needs more for a high one.",
        "",
    ]
    for row in found["others"]:
        lines.append(
            f"- **{row['set']}**, {row['factors']} factors, tried {', '.join(map(str, row['tried']))}: "
            f"{row['sentence']}"
        )
    lines += [
        "",
        "## Do the intervals hold what they promise?",
        "",
        f"{runs['studies']} studies of {runs['seeds']} trainings each (blobs, three dimensions, five epochs): the 95 %",
        f"interval held the mean of all {len(runs['errors'])} trainings in {runs['held']} of {runs['studies']}. If",
        f"each held it with 95 %, the count would lie between {low} and {high} in 95 of 100 such checks.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the studies, keep the results, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", action="store_true", help="one study of each kind, printed and not kept")
    one = parser.parse_args().one
    executor: Any = loky.get_reusable_executor(max_workers=loky.cpu_count())
    kinds: dict[str, Callable[[], Any]] = {
        "flat": lambda: of_flat([3] if one else RANKS, 1 if one else SETS, executor),
        "others": lambda: of_others(executor),
        "coverage": lambda: of_coverage(4 if one else REPEATS, executor),
    }
    import torch

    found: dict[str, Any] = {
        "machine": {"processor": processor(), "system": platform.platform(), "torch": torch.__version__}
    }
    for name, run in kinds.items():
        found[name] = run()
    if one:
        print(page(found))
        return
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(page(found))


if __name__ == "__main__":
    main()
