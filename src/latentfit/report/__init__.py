"""Results -> one HTML page, its Markdown twin, pictures and a table: all that is derived from a study.

Nothing here measures anything. It reads the study's folder alone, so a study that was sent by mail can be
drawn again without its data set. Names are text: templates escape whatever is put into them.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..data.reading import Reading
from ..formatting import plural
from ..hardware import reproducible, side_by_side
from ..recipe import RECIPES, Recipe, first_seeds
from ..sweep import lock, store
from ..sweep.request import recipe_dict
from ..sweep.store import Study
from . import explorer, findings, pictures
from .pictures import Picture
from .tables import asked, sizes_words, tables

HERE = Path(__file__).parent
FILES = ("results.csv", "report.md", "report.html")


def write(study: str | Path | Study, with_explorer: bool = True) -> Path:
    """Draw everything that is derived from a finished study, over what is there.

    Args:
        study: The study or its folder.
        with_explorer: Put the networks into the page, to play with.

    Returns:
        The path of `report.html`.

    Raises:
        InputError: The folder holds no finished study, a model in it is damaged, or another process works in it.
    """
    folder = study.folder if isinstance(study, Study) else store.load(study).folder
    with lock.held(folder):
        store.remove_leftovers(folder)  # of a drawing that was killed
        _write(store.load(folder), with_explorer)
    return folder / "report.html"


def _write(study: Study, with_explorer: bool) -> None:
    shown = pictures.Shown.of(study)
    with reproducible():  # as in the study itself
        (drawn, files), explored = side_by_side(
            shown.drawn, lambda: explorer.content(study, shown.networks) if with_explorer else None
        )
    (study.folder / "figures").mkdir(exist_ok=True)
    for name, file in files.items():
        store.write(study.folder / "figures" / f"{name}.png", file)
    header, rows = csv_table(study.results)
    store.write_csv(study.folder / "results.csv", header, rows)
    store.write(study.folder / "report.md", render(study, "report.md.j2", drawn).encode())
    page = render(study, "report.html.j2", drawn, explored)
    store.write(study.folder / "report.html", page.encode())


def is_current(study: Study, with_explorer: bool = True) -> bool:
    """Whether nothing that `write` makes is missing or older than the results."""
    made = [study.folder / name for name in FILES]
    made += [study.folder / "figures" / f"{name}.png" for name in pictures.names(study)]
    born = (study.folder / "results.json").stat().st_mtime_ns
    if not all(path.exists() and path.stat().st_mtime_ns >= born for path in made):
        return False
    return (b'id="explorer-data"' in (study.folder / "report.html").read_bytes()) == (
        with_explorer and bool(study.jobs)
    )


def render(study: Study, template: str, shown: Mapping[str, Picture], explored: Mapping[str, Any] | None = None) -> str:
    """The page, from one of the templates beside this file."""
    results = study.results
    style = Markup((HERE / "style.css").read_text())
    scripts = {name: Markup((HERE / f"{name}.js").read_text()) for name in ("article", "explorer")}
    return ENVIRONMENT.get_template(template).render(
        results=results,
        title=title(results),
        headline=findings.headline(results),
        notes=findings.notes(results),
        analysis=Markup(analysis(study)),
        pictures=shown,
        picture_sizes=max(1, len(first_seeds(study.jobs))),
        findings=findings.analysis(results),
        sampling=findings.sampling(results),
        asked=[*asked(results), ("Recipe", f"{results['recipe']['name']}: {recipe_words(results['recipe'])}")],
        tables=tables(results),
        style=style,
        scripts=scripts,
        policy=policy(style, scripts["article"], *([scripts["explorer"]] if explored else [])),
        explored=explored,
        explorer_data=Markup(json.dumps(explored, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")),
        command=command(results, store.read_json(study.folder / "study.json")["source"]),
    )


def policy(style: str, *scripts: str) -> str:
    """The page's Content-Security-Policy: its own style and scripts by their hashes, pictures in it, nothing else."""
    allowed = {
        "default-src": "'none'",
        "img-src": "data: blob:",
        "style-src": _hash(style),
        "script-src": " ".join(map(_hash, scripts)),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{what} {whom}" for what, whom in allowed.items())


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def table(study: Study) -> str:
    """A study's table as Markdown: a row a network, PCA with as many components beside it."""
    return markdown_table(*findings.table(study.results))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown, numbers to the right."""
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def analysis(study: Study) -> str:
    """A study's analysis in words as Markdown; names of classes are escaped, so they stay text."""
    dataset = study.results["dataset"]
    classes = dataset["classes"] and [markdown(name) for name in dataset["classes"]]
    found = findings.analysis(study.results | {"dataset": dataset | {"classes": classes}})
    words = {f.title: " ".join(f.sentences).replace(" < ", " &lt; ") for f in found}
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in words.items())


def markdown(name: str) -> Markup:
    """A name as text in Markdown: no markup of either kind, on one line."""
    return Markup(re.sub(r"([\\`*_\[\]!#|$~])", r"\\\1", escape(" ".join(name.split()), quote=False)))


def title(results: Mapping[str, Any]) -> str:
    """What a study is called: its data set and its sizes."""
    return f"{results['dataset']['name']} at {sizes_words(sorted({m['latent_dim'] for m in results['models']}))}"


def command(results: Mapping[str, Any], source: str | None) -> str | None:
    """The command that makes a study again, without `--out`; None where no single command does.

    Args:
        results: The study's.
        source: The name or path its images came from, None where they were made by hand.
    """
    recipe = results["recipe"]
    jobs = sorted((m["latent_dim"], m["seed"]) for m in results["models"])
    sizes, seeds = sorted({k for k, _ in jobs}), sorted({seed for _, seed in jobs})
    known = RECIPES.get(recipe["name"])
    same = known is not None and recipe_dict(replace(known, epochs=recipe["epochs"])) == recipe
    if source is None or not source.isprintable() or not same or jobs != [(k, seed) for k in sizes for seed in seeds]:
        return None
    keep = results["verdict"]["keep"]
    asked = (f" --keep {keep!r}" if keep is not None else "") + (" --curve" if results["curve"] is not None else "")
    dataset = results["dataset"]
    asked += Reading(dataset.get("value_range"), test_share=dataset.get("test_share")).flags  # older studies have none
    return (
        f"latentfit study {shlex.quote(source)} --latent-dims {' '.join(map(str, sizes))} --seeds {len(seeds)}{asked} "
        f"--recipe {recipe['name']} --epochs {recipe['epochs']} --precision {results['environment']['precision']} "
        f"--device {results['environment']['device']}"
    )


def recipe_words(recipe: Mapping[str, Any]) -> str:
    """A recipe without its name, in a line."""
    recipe = asdict(Recipe()) | dict(recipe)  # studies of older versions have fewer keys
    hidden = "-".join(map(str, recipe["hidden"])) or "none"
    return (
        f"hidden layers {hidden}, {recipe['activation']} between layers, {recipe['output']} output, "
        f"{recipe['initialization']} initialization, {recipe['optimizer']} at {recipe['learning_rate']} "
        f"({recipe['schedule']}, beta2 {recipe['beta2']}, weight decay {recipe['weight_decay']}), "
        f"batch {recipe['batch_size']}, {plural(recipe['epochs'], 'epoch')}"
    )


def csv_table(results: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """`results.csv`: one row a network with every number that is one number, PCA's beside it, the gates that fired."""
    pca = {entry["latent_dim"]: entry for entry in results["pca"]}
    columns = [key for key in results["models"][0] if key not in ("gates", "test_mse_by_class", "codes")]
    rows = [
        [
            *(m[key] for key in columns),
            *(pca[m["latent_dim"]][f"{split}_mse"] for split in ("train", "test")),
            " ".join(gate["name"] for gate in m["gates"]),
        ]
        for m in results["models"]
    ]
    return [*columns, "pca_train_mse", "pca_test_mse", "gates"], rows


ENVIRONMENT = Environment(
    loader=PackageLoader("latentfit", "report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
ENVIRONMENT.filters["markdown"] = markdown
ENVIRONMENT.filters["sizes"] = sizes_words
ENVIRONMENT.filters["table"] = lambda table: Markup(markdown_table(*table[:2]))
