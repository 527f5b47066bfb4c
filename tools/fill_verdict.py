"""Write docs/verdict.md from what `make evidence` and `make flagship` kept.

fill_verdict.py            write the page
fill_verdict.py --print    print what it would be
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from latentfit.formatting import listed
from latentfit.measure import knee
from latentfit.measure.answer import share
from latentfit.measure.checks import GATES
from latentfit.measure.headline import headline
from latentfit.measure.search import bracket
from latentfit.report.tables import sizes_text
from latentfit.results import Results
from latentfit.sweep import files

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "verdict.md"
RECIPES = ("converged", "reference", "thorough")
ESTIMATORS = ("TwoNN", "MLE", "CorrInt", "MOM", "TLE", "lPCA")

Row = dict[str, Any]


def page() -> str:
    """The page: sentences and tables."""
    found = json.loads((RESULTS / "evidence.json").read_text())
    by_kind: dict[str, dict[str, Row]] = {}
    for name, row in found["rows"].items():
        kind, _, rest = name.partition(": ")
        by_kind.setdefault(kind, {})[rest] = row
    flagship = files.read(Results, ROOT / "results" / "flagship" / "results.json")
    sizes = f"{sizes_text([size.latent_dim for size in flagship.sizes])}, {len(flagship.seeds)} seeds each"
    processors = listed(sorted({row["processor"] for row in found["rows"].values()}))
    machine = f"{processors} with torch {found['machine']['torch']}"
    lines = [
        "# Is the answer true?",
        "",
        "![Explained variance of Fashion-MNIST against latent size](../results/flagship/figures/variance-by-size.png)",
        "",
        f"Fashion-MNIST with {sizes}: {headline(flagship)}",
        "",
        f"`make evidence` on {machine} wrote what follows. Curved sets are drawn by `benchmarks/made.py`.",
        "",
        *_short(by_kind),
        *_curved(by_kind.get("curved", {})),
        *_linear(by_kind.get("linear", {})),
        *_knees(by_kind.get("knee", {})),
        *_fashion(by_kind.get("fashion", {}), by_kind.get("reference", {})),
        *_simulated(json.loads((RESULTS / "simulation.json").read_text())),
        *_recipes(json.loads((RESULTS / "recipes.json").read_text())),
    ]
    return "\n".join(_filled(lines))


def _filled(lines: Sequence[str]) -> list[str]:
    """The same with the lines of each paragraph filled up; tables, headings and lists stay."""
    made: list[str] = []
    for is_prose, group in groupby(lines, key=lambda line: bool(line) and line[0] not in "|#-!*"):
        part = [*group]
        made += textwrap.wrap(" ".join(part), 120, break_on_hyphens=False) if is_prose else part
    return made


def _short(by_kind: dict[str, dict[str, Row]]) -> list[str]:
    """What all searches for a share have in common."""
    rows = [row for kind in ("linear", "curved", "fashion") for row in by_kind.get(kind, {}).values()]
    if not rows:
        return []
    above = [r for r in rows if r["latent_dim"] and r["pca_components"] and r["latent_dim"] > r["pca_components"] + 1]
    return [
        f"In {len(rows)} searches for a share it took {median(row['trainings'] for row in rows):.0f} trainings in the",
        f"median, {median(row['short'] for row in rows):.0f} of them short. The answer is larger than",
        f"PCA's number of components plus one in {len(above)} of them.",
        "",
    ]


def _curved(rows: dict[str, Row]) -> list[str]:
    known = {name: row for name, row in rows.items() if name != "garments"}
    if not known:
        return []
    right = [name for name, row in known.items() if _is_answered(row, row["factors"])]
    hits = {e: sum(round(row["estimates"][e] or 0) == row["factors"] for row in known.values()) for e in ESTIMATORS}
    near = ", ".join(f"{e} {count}" for e, count in hits.items())
    lines = [
        "## Curved sets whose number of factors is known",
        "",
        "Smooth shapes on grey, 4,000 training and 1,000 test images, and a share at the midpoint of what one",
        "factor fewer",
        f'and all of them reach. The answer was the number of factors, "enough" and not "at most", in {len(right)} of',
        f"{len(known)} runs. PCA needs more. Estimators of intrinsic dimension, rounded, name it in: {near}.",
        "",
        f"| set | factors | share | answer | not enough | PCA | trainings | {' | '.join(ESTIMATORS)} |",
        f"|---|---:|---:|---:|---:|---:|---:|{'---:|' * len(ESTIMATORS)}",
    ]
    lines += [
        f"| {name} | {row['factors']} | {_percent(row['keep'])} | {_answer(row)} | {row['not_enough'] or '-'} "
        f"| {row['pca_components'] or '-'} | {row['trainings']} | {_estimates(row)} |"
        for name, row in rows.items()
    ]
    return [
        *lines,
        "",
        "`garments` are drawn from eight factors within each of ten classes, and are not counted above.",
        "",
    ]


def _linear(rows: dict[str, Row]) -> list[str]:
    if not rows:
        return []
    right = [name for name, row in rows.items() if _is_answered(row, row["rank"])]
    lines = [
        "## Linear sets whose rank is known",
        "",
        "Gaussian sets of rank r in 100 pixels, all directions alike, 4,000 training and 1,000 test images. A",
        "network packs",
        'directions: "packed" is what r - 1 numbers keep, by one network on ten times the images. The share is',
        "at the midpoint between that and 100 %.",
        f'The answer was r, "enough" and not "at most", in {len(right)} of {len(rows)} runs.',
        "",
        "| set | packed | PCA of r - 1 | share | answer | not enough | trainings |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {_percent(row['packed'])} | {_percent(1 - 1 / row['rank'])} | {_percent(row['keep'])} "
        f"| {_answer(row)} | {row['not_enough'] or '-'} | {row['trainings']} |"
        for name, row in rows.items()
    ]
    return [*lines, ""]


def _knees(rows: dict[str, Row]) -> list[str]:
    if not rows:
        return []
    limits = {name: row for name, row in rows.items() if name.startswith("turning")}
    with_one = {name: row for name, row in rows.items() if row["factors"] and name not in limits}
    without = {name: row for name, row in rows.items() if row["factors"] is None}
    right = [name for name, row in with_one.items() if row["knee"] and row["latent_dim"] == row["factors"]]
    other = [name for name, row in with_one.items() if row["knee"] and row["latent_dim"] != row["factors"]]
    invented = [name for name, row in without.items() if row["knee"]]
    lines = [
        "## The knee",
        "",
        f"A size is a knee if the gain in explained variance up to it is surely more than {knee.STOP} times the",
        "gain after",
        f"it (95 % interval over seeds and test images) and no less than {_percent(knee.LEAST)}. Of",
        f"{len(with_one)} sets with",
        f"a number of factors `--keep knee` named it in {len(right)}, another in {len(other)} and none in",
        f"{len(with_one) - len(right) - len(other)}; of {len(without)} sets without one (Gaussian sets of full",
        "rank with a falling spectrum, and random clouds) it named one in",
        f"{len(invented)}.",
        "",
        "By number of images and noise on the pixels (its deviation; pixels run from 0 to 1):",
        "",
        f"| images, noise | sets | right | another | none | {' | '.join(f'{n} right' for n in ESTIMATORS)} |",
        f"|---|---:|---:|---:|---:|{'---:|' * len(ESTIMATORS)}",
    ]
    groups: dict[str, list[str]] = {}
    for name in with_one:
        groups.setdefault(", ".join(name.split(", ")[1:-1]), []).append(name)
    for group, names in groups.items():
        counts = [len({*names} & {*some}) for some in (right, other)]
        near = [
            sum(abs((rows[name]["estimates"][e] or 0) - rows[name]["factors"]) < 0.5 for name in names)
            for e in ESTIMATORS
        ]
        lines.append(
            f"| {group} | {len(names)} | {counts[0]} | {counts[1]} | {len(names) - sum(counts)} "
            f"| {' | '.join(map(str, near))} |"
        )
    lines += ["", "An estimator is right where it rounds to the number of factors."]
    if other or invented:
        wrong = [f"{name} ({rows[name]['latent_dim']})" for name in (*other, *invented)]
        lines.append(f"Wrong: {', '.join(wrong)}.")
    if limits:
        told = [str(row["latent_dim"] or "none") for row in limits.values()]
        lines += [
            "",
            "**A limit**: a factor that is periodic, such as an angle all the way round, needs two numbers to be kept",
            f"without a cut. Turning bars have three factors; the knee was at {', '.join(told)}.",
        ]
    return [*lines, ""]


def _fashion(rows: dict[str, Row], reference: dict[str, Row]) -> list[str]:
    if not rows:
        return []
    train, first = reference["fashion-mnist"]["train"], next(iter(rows.values()))
    lines = [
        "## Fashion-MNIST",
        "",
        "Searches one after the other in one folder, so that the later ones have the networks of those before. The",
        f"first took {first['whole'] / train:.1f} times as long as the training of the reference study just before it",
        f"(two networks, 20 epochs, {train:.0f} s).",
        "",
    ]
    return [*lines, *(f"- {row['sentence']} ({row['trainings']} trainings)" for row in rows.values()), ""]


def _simulated(rows: Sequence[Row]) -> list[str]:
    return [
        "## What thousands of studies would show",
        "",
        f"`benchmarks/simulate.py`: {rows[0]['studies']:,} studies a row with the real search and made-up",
        "networks. The gap is",
        "the difference between the two sizes beside the share, and the error over test images, in spreads of",
        "seeds. The",
        '95 % interval of a size\'s first three seeds held the true value in the share under "held", and that of',
        "the answer",
        'in the share under "of the answer"; how much larger the answer is than the smallest true size is in the',
        "mean, in",
        "dimensions and in brackets (a twentieth of the size, 1 at the least).",
        "",
        '| gap | images | answered | "enough" wrong | "not" wrong | held | of the answer | too large by | in brackets '
        "| trainings |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {row['gap']} | {row['images']} | {row['found']:.1%} | {row['enough_wrong']:.1%} "
            f"| {row['not_enough_wrong']:.1%} | {row['held']:.1%} | {row['held_of_enough']:.1%} | {row['excess']:.2f} "
            f"| {row['excess_in_brackets']:.2f} | {row['trainings']:.0f} |"
            for row in rows
        ),
        "",
    ]


def _recipes(found: Row) -> list[str]:
    """Every recipe on every set: explained variance, steps and seconds."""
    rows = found["rows"]
    ours = [row for row in rows if row["recipe"] == "converged"]
    bad = {"still_falling", "worse_than_pca"}
    fired = [f"{row['set']} at {row['latent_dim']}" for row in ours if {*row["gates"]} & bad]
    lines = [
        "## Every recipe on every kind of set",
        "",
        f"On {found['machine']['processor']} with torch {found['machine']['torch']}: explained variance of the",
        "test images, and",
        "steps of a training with its seconds on a core that other work shared. `thorough` is the recipe that",
        "`converged`",
        "replaced. PCA is of all training images; the check `worse_than_pca` compares with PCA of the images",
        "trained on, by",
        "two paired standard errors. The constants of `converged` were chosen on the sets with a star, and are",
        "judged by",
        "the others.",
        "",
        f"Of {len(ours)} networks of `converged`, {len(fired)} are worse than PCA or were ended by their budget"
        + (f": {', '.join(fired)}." if fired else "."),
        "",
        f"| set | latent | PCA | {' | '.join(RECIPES)} | steps, seconds of `converged` | its failed checks |",
        f"|---|---:|---:|{'---:|' * len(RECIPES)}---:|---|",
    ]
    by_place = {(row["set"], row["latent_dim"], row["recipe"]): row for row in rows}
    for row in ours:
        others = [by_place.get((row["set"], row["latent_dim"], name)) for name in RECIPES]
        shares = [f"{100 * other['explained']:.2f} %" if other else "-" for other in others]
        star = "*" if row["purpose"] == "chosen on" else ""
        lines.append(
            f"| {row['set']}{star} | {row['latent_dim']} | {100 * row['pca']:.2f} % | {' | '.join(shares)} "
            f"| {row['steps']:,}, {row['seconds']:.0f} "
            f"| {', '.join(GATES[name].short for name in row['gates']) or '-'} |"
        )
    return [*lines, ""]


def _is_answered(row: Row, size: int) -> bool:
    """Whether a size is the answer, "enough" and not "at most", or within the bracket that a search may leave."""
    return (
        row["status"] == "found" and 0 <= row["latent_dim"] - size < bracket(size) and "At most" not in row["sentence"]
    )


def _answer(row: Row) -> str:
    at_most = "at most " if "At most" in row["sentence"] else ""
    return f"{at_most}{row['latent_dim']}" if row["latent_dim"] else row["status"].replace("_", " ")


def _estimates(row: Row) -> str:
    values = [row["estimates"].get(name) for name in ESTIMATORS]
    return " | ".join("-" if value is None else f"{value:.1f}" for value in values)


def _percent(value: float) -> str:
    return share(round(value, 4))


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page())
