"""Results -> one HTML page, its Markdown twin, pictures and a table: everything that is derived from a study.

No number of a study is measured here. It reads the study's folder alone, so a study that was sent by mail can be
drawn again without its data set. Names are text: templates escape whatever is put into them.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..formatting import listed, of_rows, plural
from ..hardware import reproducible, side_by_side
from ..measure import gates, headline
from ..measure.checks import GATES
from ..recipe import Recipe
from ..results import ModelResult, Results
from ..sweep import files, lock, store
from ..sweep.store import Study
from . import answer, explorer, findings, pictures, tables, tradeoffs
from .pictures import Picture
from .rows import ShownRows

HERE = Path(__file__).parent
MANY_NUMBERS = ("gates", "test_mse_by_class", "test_mse_by_column", "codes")  # of a network, not one number
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
    with lock.hold(folder):
        store.remove_leftovers(folder)  # of a report that was killed
        _write(store.load(folder, study.make if isinstance(study, Study) else None), with_explorer)
    return folder / "report.html"


def _write(study: Study, with_explorer: bool) -> None:
    shown = (ShownRows if study.found.dataset.is_rows else pictures.Shown).of(study)
    with reproducible():  # as in the study itself
        (drawn, pngs), explored = side_by_side(
            shown.drawn, lambda: explorer.content(study, shown.networks) if with_explorer else None
        )
    (study.folder / "figures").mkdir(exist_ok=True)
    for name, png in pngs.items():
        files.write(study.folder / "figures" / f"{name}.png", png)
    files.write_csv(study.folder / "results.csv", *csv_table(study.found))
    files.write(study.folder / "report.md", render(study, "report.md.j2", drawn).encode())
    page = render(study, "report.html.j2", drawn, explored, explorer=with_explorer and bool(shown.networks))
    files.write(study.folder / "report.html", page.encode())


def is_current(study: Study, with_explorer: bool = True) -> bool:
    """Whether nothing that `write` makes is missing or older than the results."""
    made = [study.folder / name for name in FILES]
    made += [study.folder / "figures" / f"{name}.png" for name in pictures.names(study.found)]
    born = (study.folder / "results.json").stat().st_mtime_ns
    if not all(path.exists() and path.stat().st_mtime_ns >= born for path in made):
        return False
    page = (study.folder / "report.html").read_bytes()
    return (b'id="explorer-data"' in page or b'id="no-explorer"' in page) == (with_explorer and bool(study.jobs))


def render(
    study: Study,
    template: str,
    shown: Mapping[str, Picture],
    explored: Mapping[str, Any] | None = None,
    explorer: bool = False,
) -> str:
    """The page, from one of the templates beside this file; where it has no explorer, it says why if `explorer`."""
    results = study.found
    styles = ("style.css", "rows.css") if results.dataset.is_rows else ("style.css",)
    style = Markup("".join((HERE / name).read_text() for name in styles))
    scripts = {name: Markup((HERE / f"{name}.js").read_text()) for name in ("article", "explorer")}
    named = results if template.endswith(".html.j2") else _in_markdown(results)
    answered, drawn = headline.headline(results), tables.all_tables(named)
    found = findings.analysis(named, answered)
    recipe = f"{results.recipe.name}: {recipe_text(results.recipe, study.own_name)}"
    text = ENVIRONMENT.get_template(template).render(
        results=results,
        title=title(results),
        headline=answered,
        tile=answer.tile(results, study.source),
        notes=results.quality.notes if results.quality else (),
        pictures=shown,
        findings=found,
        sections={finding.section for finding in found},
        interpolation=tradeoffs.interpolation_numbers(results),
        settings=[*tables.settings(results), ("Recipe", recipe)],
        tables=drawn,
        terms=tables.terms(drawn, results.dataset.is_rows),
        interval=tables.INTERVAL if len(results.seeds) > 1 else tables.ONCE,
        checks=[gates.check_of(name, results.recipe) for name in GATES],
        style=style,
        scripts=scripts,
        policy=policy(style, scripts["article"], *([scripts["explorer"]] if explored else [])),
        explored=explored,
        no_explorer=_no_explorer(study) if explorer and not explored else None,
        explorer_data=Markup(json.dumps(explored, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")),
        commands=answer.commands(results, study.source),
    )
    return _on_rows(text, results) if results.dataset.is_rows else text


def _no_explorer(study: Study) -> str:
    """Why a page has no explorer."""
    if study.own_name is not None:
        return "The explorer runs networks of plain layers alone, and these are of another kind, so there is none here."
    return "The page has room for 20 MB of networks, and each of these takes more, so there is no explorer here."


def _on_rows(text: str, results: Results) -> str:
    """A page or its Markdown in the words of rows of numbers: its text and its labels, not its style and scripts."""
    names = tuple(sorted({form for name in results.dataset.names for form in (name, escape(name), markdown(name))}))
    style, end, article = text.rpartition("</style>")
    article, start, scripts = article.partition("<script>")
    if not end:
        return "".join(
            part if part.startswith(("<pre>", "`")) else of_rows(part, names)
            for part in re.split(r"(<pre>.*?</pre>|`[^`]*`)", text, flags=re.DOTALL)
        )
    parts = r"<(code|pre|title)\b.*?</\1>|(?<=>)[^<>]*\w[^<>]*|(?<=aria-label=\")[^\"]+"
    worded = re.sub(parts, lambda f: f[0] if f[1] else of_rows(f[0], names), article, flags=re.DOTALL)
    return style + end + worded + start + scripts


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
    return "; ".join(f"{what} {sources}" for what, sources in allowed.items())


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def table(study: Study) -> str:
    """A study's table as Markdown: a row a size, PCA with as many components beside it."""
    return markdown_table(*headline.table(study.found))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown, numbers to the right."""
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def analysis(study: Study) -> str:
    """A study's analysis in words as Markdown; names of classes are escaped, so they stay text."""
    return "\n\n".join(f"### {f.title}\n\n{_prose(f.sentences)}" for f in findings.analysis(_in_markdown(study.found)))


def _in_markdown(results: Results) -> Results:
    """Results with the names of classes and columns escaped."""
    dataset = results.dataset
    classes, columns = (names and tuple(map(markdown, names)) for names in (dataset.classes, dataset.columns))
    return replace(results, dataset=replace(dataset, classes=classes, columns=columns))


def _prose(sentences: Sequence[str]) -> Markup:
    return Markup(" ".join(sentences).replace(" < ", " &lt; "))


def _words(command: str) -> Markup:
    """A command that breaks between its words alone, and not after a hyphen."""
    return Markup(" ").join(Markup("<span>{}</span>").format(word) for word in command.split(" "))


def markdown(name: str) -> Markup:
    """A name as text in Markdown: no markup of either kind, on one line."""
    return Markup(re.sub(r"([\\`*_\[\]!#|$~])", r"\\\1", escape(" ".join(name.split()), quote=False)))


def title(results: Results) -> str:
    """What a study is called: its data set and its sizes."""
    return f"{results.dataset.name} at {tables.sizes_text([size.latent_dim for size in results.sizes])}"


def recipe_text(recipe: Recipe, own: str | None = None) -> str:
    """A recipe without its name, in a line; `own` is what makes a network of the user's own."""
    plateau = recipe.holds_out
    schedule = "constant until held-out images no longer improve, then falling to 0" if plateau else recipe.schedule
    decay = f"weight decay {recipe.weight_decay}"
    if recipe.decay_epochs:
        decay = f"weights forgotten within {recipe.decay_epochs:g} epochs"
    start = "start as PCA" if recipe.starts_as_pca else f"{recipe.initialization} initialization"
    layers = (
        f"hidden layers {'-'.join(map(str, recipe.hidden)) or 'none'}, {recipe.activation} between layers, "
        f"{recipe.output} output, {start}"
    )
    if recipe.is_own:
        layers = f"a network of the user's own ({own})"
    return (
        f"{layers}, {recipe.optimizer} at {recipe.learning_rate} "
        f"({schedule}, beta2 {recipe.beta2}, {decay}), "
        f"batch {recipe.batch_size}, {'at most ' if plateau else ''}{plural(recipe.epochs, 'epoch')}"
    )


def csv_table(results: Results) -> tuple[list[str], list[list[Any]]]:
    """`results.csv`: one row a network with every number that is one number, PCA's beside it, the failed checks."""
    pca = {row.latent_dim: row for row in results.pca}
    columns = [name for name in ModelResult.__dataclass_fields__ if name not in MANY_NUMBERS]
    rows = [
        [
            *(getattr(model, column, None) for column in columns),
            pca[model.latent_dim].train_mse,
            pca[model.latent_dim].test_mse,
            " ".join(gate.name for gate in model.gates),
        ]
        for model in results.models
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
ENVIRONMENT.filters["prose"] = _prose
ENVIRONMENT.filters["words"] = _words
ENVIRONMENT.filters["listed"] = listed
ENVIRONMENT.filters["plural"] = plural
ENVIRONMENT.filters["sizes"] = tables.sizes_text
ENVIRONMENT.filters["table"] = lambda table: Markup(markdown_table(*table[:2]))
