"""Write docs/performance.md from what `make bench` and `make bench-quality` kept.

fill_performance.py            write the page
fill_performance.py --print    print what it would be
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from scipy.stats import t as student

from latentfit.recipe import Recipe
from latentfit.report import recipe_text
from latentfit.sweep import files

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT / "benchmarks"))

from run import goal_of  # noqa: E402

NAMES = ("reference", "swift", "converged", "thorough")  # the recipes; the last is the one that the third replaced
GOALS = {16: 0.0082, 48: 0.0052, 190: 0.0020}  # of `converged`, by latent size

STEPS = {  # of the ladder: what changes, and why it helps
    "notebook": (
        "the notebook",
        "One PIL image at a time through a `DataLoader`, `Adam` as it comes, one network after the other with all "
        "threads.",
    ),
    "tensor": (
        "the data set is one tensor",
        "A batch is an index into 47 MB of bytes, turned to floats when it is used. No Python runs for each image.",
    ),
    "fused": (
        "`Adam(fused=True)`",
        "One pass over parameter, gradient and both moments instead of one for each arithmetic step.",
    ),
    "no-denormals": (
        "no denormal numbers",
        "Units of a relu network die; the moments that Adam keeps for their weights fade below the smallest normal "
        "number, where every operation takes many times as long. `hardware.no_denormals` makes them 0.",
    ),
    "bf16": (
        "products in bf16",
        "The factors of each matrix product are rounded to bfloat16 and summed in fp32 by instructions that the "
        "processor has for it; weights and Adam stay fp32. How is decided by `hardware.products_of`; where fp32 is the "
        "fastest this row changes nothing.",
    ),
    "processes": (
        "a process and a thread for each network",
        "Matrices of 128 rows are too small to share between threads; two networks are not.",
    ),
    "by-hand": (
        "the gradient by hand, the parameters in one tensor",
        "`gradient.by_hand` overwrites what nobody needs again and writes gradients into memory that stays; Adam "
        "runs once over a single long tensor instead of over twelve.",
    ),
}


Entries = dict[str, dict[str, Any]]  # of each kind of processor: what its benchmark kept


def page() -> str:
    """The whole page."""
    speed, precision = read("speed"), read("precision")
    quality = json.loads((RESULTS / "quality.json").read_text())
    return "\n".join([*same_recipe(speed), *way(speed), *same_work(quality), *bf16(precision)]) + "\n"


def read(name: str) -> Entries:
    """A benchmark's entries."""
    entries: Entries = json.loads((RESULTS / f"{name}.json").read_text())
    return entries


def in_short() -> str:
    """The README's sentences on speed."""
    lines = []
    for entry in read("speed").values():
        seconds = entry["speed"]["seconds"]
        whole, floor, jax = (statistics.median(seconds[name]) for name in ("whole", "floor", "jax"))
        lines.append(
            f"- {called(entry)}: {whole:.1f} times as fast; an epoch takes {floor:.2f} times its matrix products, and "
            f"JAX needs {jax:.2f} times as long as ours."
        )
    return "\n".join(
        [
            "The whole command, from start-up to the report, against the training and the errors alone of the study as",
            "notebooks commonly have it, in fp32 (medians of `make bench` on two cores; 16 of the notebook's 20 epochs",
            "are extrapolated from 4):",
            "",
            *lines,
        ]
    )


def called(entry: dict[str, Any]) -> str:
    """A processor and how it makes the products of a training."""
    machine = entry["speed"]["machine"]
    older = f", {machine['measured']}" if "measured" in machine else ""
    return f"{machine['processor']} ({machine['products']}{older})"


def recipes() -> str:
    """The README's table of recipes."""
    studies = json.loads((RESULTS / "quality.json").read_text())["studies"]
    lines = ["| recipe | seeds | test MSE at 16 | at 48 | training time |", "|---|---:|---:|---:|---:|"]
    for name in NAMES[:-1]:
        cells = [mean_text(errors(studies[name], k, "test")) for k in (16, 48)]
        seeds = len(errors(studies[name], 16, "test"))
        lines.append(f"| `{name}` | {seeds} | {' | '.join(cells)} | {time_ratio(studies, name):.2f} |")
    lines += [
        "",
        "Mean over the seeds ± 95 % interval; training time, without start-up and report, as a ratio to `reference`.",
    ]
    return "\n".join(lines)


def same_recipe(speed: Entries) -> list[str]:
    """The first ledger, processors side by side."""
    names = list(
        dict.fromkeys(
            name for entry in speed.values() for group in ("speed", "scale") for name in figures(entry, group)
        )
    )
    turns = [f"{called(entry)}: {plural(len(entry['speed']['seconds']['whole']), 'turn')}" for entry in speed.values()]
    return [
        "# How fast, how good, and why",
        "",
        "This page is made by `tools/fill_performance.py` from `benchmarks/results/`. Two ledgers, kept apart: the "
        "same",
        "recipe in less time, and other recipes that make more of the same work.",
        "",
        "## Same recipe, faster",
        "",
        f"`make bench`, kept with `benchmarks/run.py --keep`, on Fashion-MNIST and two cores; {'; '.join(turns)}.",
        "Each figure is the median of its turns with the least and the most, each ratio within its turn; the machines",
        "are shared, so read ratios. Behind a processor stands how it makes products: `rounded-factors` needs AMX,",
        "`bf16-tensors` instructions for bf16, and where neither is faster `fp32` is taken. `Whole command` holds",
        "start-up, loading, training, evaluation, PCA, pictures and report on our side, and loading, training and the",
        "errors on the notebook's, in fp32 and with all threads, whose 20 epochs are extrapolated from the four it is",
        "given. `Training` holds the test error of each epoch, in fp32; the floor holds the products of the training",
        "steps alone, in the fastest way that the processor has, and JAX, in the better of fp32 and bf16, those steps",
        "alone. The 8 networks have the sizes of the 2, four seeds each. Memory is what a worker has of its own at its",
        "peak, without mapped images.",
        "",
        f"| | {' | '.join(map(called, speed.values()))} |",
        f"|---|{'---|' * len(speed)}",
        *(f"| {what(name)} | {' | '.join(cell(entry, name) for entry in speed.values())} |" for name in names),
        "",
    ]


def figures(entry: dict[str, Any], group: str) -> dict[str, list[float]]:
    """The figures of a group, turn by turn; none where it was not measured."""
    seconds: dict[str, list[float]] = entry[group]["seconds"] if group in entry else {}
    return seconds


def what(name: str) -> str:
    """What a figure is."""
    return goal_of(name, "")[0]


def cell(entry: dict[str, Any], name: str) -> str:
    """A measurement on a processor with its goal, and whether the median reaches it."""
    values = (figures(entry, "speed") | figures(entry, "scale")).get(name)
    if values is None:
        return ""
    _, goal, more = goal_of(name, entry["speed"]["machine"]["products"])
    middle = statistics.median(values)
    text = f"{middle:.3g} ({min(values):.3g} to {max(values):.3g})"
    if goal is None:
        return text
    reached = middle >= goal if more else middle <= goal
    return f"{text}; {'at least' if more else 'at most'} {goal:g}: {yes(reached)}"


def way(speed: Entries) -> list[str]:
    """From the notebook to here, step by step, on each processor where it was measured."""
    lines = [
        "### The way from the notebook to here",
        "",
        "`benchmarks/run.py ladder --keep`: seconds of the third epoch of both networks, without the test error.",
        "Each row is the one above and one change more; its share is of all the seconds that were saved.",
        "",
    ]
    for entry in speed.values():
        lines += steps(entry) if "ladder" in entry else []
    return [*lines, *(f"- **{what}.** {why}" for what, why in STEPS.values()), ""]


def steps(entry: dict[str, Any]) -> list[str]:
    """The steps on one processor."""
    seconds = entry["ladder"]["seconds"]
    ladder = {name: statistics.median(values) for name, values in seconds.items()}
    names = list(ladder)
    saved = ladder[names[0]] - ladder[names[-1]]
    lines = [
        f"{called(entry)}, {plural(len(seconds['notebook']), 'turn')}:",
        "",
        "| change | seconds | times faster | share |",
        "|---|---:|---:|---:|",
        f"| {STEPS[names[0]][0]} | {ladder[names[0]]:.3g} | | |",
    ]
    for before, name in pairwise(names):
        gain = ladder[before] - ladder[name]
        times = ladder[before] / ladder[name]
        lines.append(f"| {STEPS[name][0]} | {ladder[name]:.3g} | {times:.2f} | {gain / saved:.0%} |")
    return [*lines, ""]


def same_work(quality: dict[str, Any]) -> list[str]:
    """The second ledger: recipes over seeds."""
    studies = quality["studies"]
    lines = [
        "## Other recipes: the same error in less time, or less error",
        "",
        f"`make bench-quality`: {quality['machine']['processor']}, torch {quality['machine']['torch']}; Fashion-MNIST,",
        "mean over seeds ± 95 % interval (Student's t). Time is of the training of both networks side by side with",
        "their test errors, as a ratio to the reference recipe's with the same seed: the median over seeds, which took",
        "turns.",
        "",
        "| recipe | precision | seeds | test MSE, 16 | test MSE, 48 | train MSE, 16 | train MSE, 48 | time |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in NAMES:
        study = studies[name]
        cells = [mean_text(errors(study, k, split)) for split in ("test", "train") for k in (16, 48)]
        cells = [study["precision"], str(len(errors(study, 16, "test"))), *cells, f"{time_ratio(studies, name):.2f}"]
        lines.append(f"| {study['recipe']['name']} | {' | '.join(cells)} |")
    lines += ["", *goals(studies), ""]
    lines += [recipe_sentence(studies[name]["recipe"]) for name in NAMES]
    return [*lines, ""]


def errors(study: dict[str, Any], latent_dim: int, split: str) -> list[float]:
    """Errors of a size, by seed."""
    return [m[f"{split}_mse"] for m in study["models"] if m["latent_dim"] == latent_dim]


def pair_seconds(study: dict[str, Any]) -> list[float]:
    """For each seed the seconds of the slower of its two networks, which ran side by side."""
    seeds = sorted({m["seed"] for m in study["models"]})
    return [max(m["seconds"] for m in study["models"] if m["seed"] == seed) for seed in seeds]


def time_ratio(studies: dict[str, Any], name: str) -> float:
    """Time of a recipe as a ratio to the reference recipe's: the median over the seeds that both have."""
    both = zip(pair_seconds(studies[name]), pair_seconds(studies["reference"]), strict=False)
    return statistics.median(a / b for a, b in both)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of the 95 % interval."""
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), float(half)


def mean_text(values: Sequence[float]) -> str:
    """Mean ± half of the interval; a single value alone."""
    if len(values) == 1:
        return f"{values[0]:.5f}"
    mean, half = interval(values)
    return f"{mean:.5f} ± {half:.5f}"


def bf16(precision: Entries) -> list[str]:
    """What bf16 costs in error, on each kind of processor where it was tried."""
    lines = [
        "### What bf16 costs",
        "",
        "`make bench-precision`: the reference recipe in fp32 and in bf16 on the same machine with the same seeds, the",
        "mean difference in test MSE, and the upper bound of its 95 % interval (goal: below 2 %).",
        "",
        "| processor | products | seeds | at 16 | upper bound | at 48 | upper bound | |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for kind, entry in precision.items():
        cells, seeds, reached = [], 0, True
        for k in (16, 48):
            plain, fast = (errors(entry[name], k, "test") for name in ("fp32", "bf16"))
            mean, half = interval([b / a - 1 for a, b in zip(plain, fast, strict=True)])
            cells += [f"{mean:+.2%}", f"{mean + half:+.2%}"]
            seeds, reached = len(plain), reached and mean + half < 0.02
        processor = kind.partition(" (rounded")[0].partition(" (bf16")[0]
        lines.append(f"| {processor} | {entry['products']} | {seeds} | {' | '.join(cells)} | {yes(reached)} |")
    return [*lines, ""]


def goals(studies: dict[str, Any]) -> list[str]:
    """What was to be reached, and whether it was."""
    ratio = {name: time_ratio(studies, name) for name in NAMES}
    mean = {name: [statistics.mean(errors(studies[name], k, "test")) for k in (16, 48)] for name in NAMES}
    as_good, better = (
        all(a <= b for a, b in zip(mean[ours], mean[theirs], strict=True))
        for ours, theirs in (("swift", "reference"), ("converged", "thorough"))
    )
    found = {f"{error:.5f} at {k}": (error, GOALS[k]) for k, error in zip((16, 48), mean["converged"], strict=True)}
    for model in studies.get("converged, 190", {"models": []})["models"]:
        found[f"{model['test_mse']:.5f} at 190"] = (model["test_mse"], GOALS[190])
    goals = [f"{text} (at most {goal:.4f}: {yes(error <= goal)})" for text, (error, goal) in found.items()]
    return [
        f"- `swift`: the reference recipe's mean error at both sizes in at most a fifth of its time: "
        f"{yes(as_good and ratio['swift'] <= 0.2)} ({ratio['swift']:.3f}).",
        f"- `converged`: better than `thorough`, which it replaced, at both sizes: {yes(better)}; in no more time: "
        f"{yes(ratio['converged'] <= ratio['thorough'])}.",
        f"- `converged` and the goals that were set for it: {', '.join(goals)}.",
    ]


def plural(n: int, thing: str) -> str:
    """`1 turn`, `2 turns`."""
    return f"{n} {thing}{'s' if n != 1 else ''}"


def yes(reached: bool) -> str:
    """As the tables say it."""
    return "yes" if reached else "**no**"


def recipe_sentence(recipe: dict[str, Any]) -> str:
    """A recipe in a line."""
    return f"- `{recipe['name']}`: {recipe_text(files.from_json(Recipe, recipe))}."


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(page())
    else:
        (ROOT / "docs" / "performance.md").write_text(page())
