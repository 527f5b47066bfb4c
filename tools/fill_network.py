"""Fill the table of docs/network.md and draw its picture from the committed results: `make network`.

fill_network.py             write them
fill_network.py --print     print what the page would be
fill_network.py --train     first run the page's code, in this folder, and keep its study under results/
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from latentfit import figures
from latentfit.figures import COLOURS, LABEL, MARKERS
from latentfit.formatting import mse, percent, plural
from latentfit.measure.checks import GATES
from latentfit.measure.gates import bounding
from latentfit.report.pictures import png
from latentfit.results import Results
from latentfit.sweep import files

ROOT = Path(__file__).resolve().parent.parent
PAGE, PICTURE = ROOT / "docs" / "network.md", ROOT / "docs" / "network.png"
RESULTS = ROOT / "results"
RUN = Path("runs") / "convolutional"  # where the page's code puts its study
SIZES = (16, 48)
NAMES = {"reference": "784-512-256-k", "flagship": "784-1024-512-k", "convolutional": "convolutional, as above"}


def train() -> None:
    """Run the code of the page, and keep what it found."""
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    exec(compile(code, "conv.py", "exec"), {"__name__": "__main__"})
    kept = RESULTS / RUN.name
    kept.mkdir(exist_ok=True)
    for name in ("study.json", "results.json"):
        shutil.copyfile(RUN / name, kept / name)


def read(name: str) -> Results:
    """The results of a committed study."""
    return files.read(Results, RESULTS / name / "results.json")


def table() -> str:
    """Test error and explained variance at both sizes: PCA, built-in networks, the page's."""
    found = {name: read(name) for name in NAMES}
    pca, variance = found["reference"].pca_errors, found["reference"].variance.test
    rows = [["PCA", "", *(cell for k in SIZES for cell in _cells(pca[k], variance))]]
    for name, results in found.items():
        means = {size.latent_dim: size.test_mse.mean for size in results.sizes if size.test_mse}
        cells = (cell for k in SIZES for cell in _cells(means[k], variance))
        rows.append([NAMES[name], _trained(results), *cells, _failed(results)])
    rows[0].append("")
    header = [
        "network",
        "recipe",
        *(f"{what}, {k}" for k in SIZES for what in ("test MSE", "explained variance")),
        "failed checks",
    ]
    lines = ["---", "---", *("---:" for _ in header[3:]), "---"]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, lines, *rows))


def _failed(results: Results) -> str:
    """Training checks that failed at these sizes."""
    failed = [name for size in results.sizes if size.latent_dim in SIZES for name in size.gates]
    return ", ".join(GATES[name].short for name in dict.fromkeys(failed)) or "passed"


def _cells(error: float, variance: float) -> tuple[str, str]:
    return mse(error), percent(1 - error / variance, 1)


def _trained(results: Results) -> str:
    recipe, seeds = results.recipe, plural(len(results.seeds), "seed")
    epochs = "until held-out images no longer improve" if recipe.holds_out else plural(recipe.epochs, "epoch")
    return f"`{recipe.name}`, {epochs}, {seeds}"


def picture() -> bytes:
    """The chart of a report, of the built-in networks of many sizes, with the line of the page's network."""
    ours, other = read("flagship"), read("convolutional")
    explained = {size.latent_dim: size.test_explained_variance for size in ours.sizes}
    known = {k: mean for k, mean in explained.items() if mean}
    variance = ours.variance.test
    pca = {k: 1 - error / variance for k, error in ours.pca_errors.items() if k <= 2 * max(known)}
    figure = figures.variance_by_size(known, pca, variance)
    ax, colour = figure.axes[0], COLOURS[1]
    points = {s.latent_dim: 100 * s.test_explained_variance.mean for s in other.sizes if s.test_explained_variance}
    ax.plot([*points], [*points.values()], color=colour, linewidth=1.2)
    for size in other.sizes:
        k, failed = size.latent_dim, bounding(size.gates)
        ax.plot([k], [points[k]], color=colour, marker=MARKERS[1], markerfacecolor="white" if failed else colour)
    first = min(points)
    place, beside = (first, points[first]), (8, -8)
    ax.annotate(
        "convolutional", place, beside, textcoords="offset points", size=LABEL, ha="right", va="top", color=colour
    )
    return png(figure)


def filled(page: str) -> str:
    """The page with its table made anew."""
    before, mark, rest = page.partition("<!-- compared -->")
    return f"{before}{mark}\n{table()}\n<!-- /compared -->{rest.partition('<!-- /compared -->')[2]}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--train"]:
        train()
    text = filled(PAGE.read_text())
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(text)
    else:
        PAGE.write_text(text)
        PICTURE.write_bytes(picture())
