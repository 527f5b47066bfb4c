"""Fill the generated parts of the README and of docs/why.md from the committed results: `make results`.

    fill_readme.py              write them
    fill_readme.py --print      print what they would be, one after the other
    fill_readme.py DIR          keep the study in DIR under results/ first, by the name of the folder

Only what stands between `<!-- name -->` and `<!-- /name -->` is touched.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import fill_performance

from latentfit import figures, formatting, report
from latentfit.data import garments
from latentfit.measure import headline
from latentfit.report import answer, tables
from latentfit.results import Results
from latentfit.sweep import files

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
PAGES = ("README.md", "docs/why.md")
KEPT = ("study.json", "results.json", "results.csv", "report.html", "report.md", "figures")
COLUMNS = ("latent", "train MSE", "test MSE", "PSNR dB", "SSIM", "explained variance", "failed checks")


def take(study: Path) -> None:
    """Copy a study without its weights into `results`, its page without the networks."""
    report.write(study, with_explorer=False)
    kept = RESULTS / study.name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for name in KEPT:
        source = study / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, kept / name)
    report.write(study)


def draw_garments() -> None:
    """The sheet of the stand-in: a row a class."""
    images = garments.draw(400, 100)
    assert images.y_train is not None
    assert images.classes is not None
    rows = [(name, images.x_train[images.y_train == c][:12] / 255) for c, name in enumerate(images.classes)]
    (ROOT / "docs" / "garments.png").write_bytes(report.pictures.png(figures.image_rows(rows, scale=0.5)))


def filled(page: str) -> str:
    """A page with its generated parts made anew."""
    reference, flagship = (files.read(Results, RESULTS / name / "results.json") for name in ("reference", "flagship"))
    parts = {
        "table": table(reference),
        "answer": headline.headline(reference),
        "flagship": shares(flagship),
        "recipes": fill_performance.recipes(),
        "speed": fill_performance.in_short(),
        "setup": setup(json.loads((ROOT / "benchmarks" / "results" / "setup.json").read_bytes())),
    }
    for name, text in parts.items():
        before, mark, rest = page.partition(f"<!-- {name} -->")
        after = rest.partition(f"<!-- /{name} -->")[2]
        page = f"{before}{mark}\n{text}\n<!-- /{name} -->{after}" if mark else page
    return page


def table(results: Results) -> str:
    """The networks' rows, and PCA's with as many components."""
    header, rows = headline.table(results)
    lines = [f"| | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    lines += [f"| network | {' | '.join(row[header.index(name)] for name in COLUMNS)} |" for row in rows]
    for pca in results.pca:
        explained = formatting.percent(1 - pca.test_mse / results.variance.test, 1)
        errors = [formatting.mse(error) for error in (pca.train_mse, pca.test_mse)]
        lines.append(f"| PCA | {' | '.join([str(pca.latent_dim), *errors, '', '', explained, ''])} |")
    return "\n".join(lines)


def shares(results: Results) -> str:
    """The answer of the study of many sizes, its table of shares, and the command that makes it."""
    header, rows = tables.answers(results)
    made = f"Made by `make flagship`: `{answer.command(results, 'fashion-mnist')}`. {searched()}"
    return f"{headline.headline(results)}\n\n{report.markdown_table(header, rows)}\n\n{made}"


def searched() -> str:
    """What searches, which may train every size, found to be enough of Fashion-MNIST, three seeds each."""
    found = json.loads((ROOT / "benchmarks" / "results" / "evidence.json").read_bytes())["rows"]
    keeps = sorted((row["keep"], row["latent_dim"]) for name, row in found.items() if name.startswith("fashion: "))
    shares, sizes = ([*map(str, column)] for column in zip(*((f"{100 * k:g}", size) for k, size in keeps), strict=True))
    return (
        f"Searches (`--keep`), which may train the sizes between, found {formatting.listed(sizes)} to be enough for "
        f"{formatting.listed(shares)} % ([docs/verdict.md](docs/verdict.md))."
    )


def setup(found: dict[str, Any]) -> str:
    """What the first `make study` and `make test` install, and how long that takes."""
    study, test = (
        f"{found['targets'][name]['megabytes'] / 1000:.1f} GB in {found['targets'][name]['seconds'] / 60:.1f} minutes"
        for name in ("study", "test")
    )
    return (
        f"The first `make study` installs {study}, the first `make test` {test} (`make bench-setup`, on "
        f"{found['cores']} cores with torch {found['targets']['study']['torch']} at hand). On Linux pip downloads "
        "PyTorch's CUDA build by default, which takes gigabytes more."
    )


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments and arguments != ["--print"]:
        take(Path(arguments[0]))
        draw_garments()
    for name in PAGES:
        text = filled((ROOT / name).read_text())
        if arguments == ["--print"]:
            sys.stdout.write(text)
        else:
            (ROOT / name).write_text(text)
