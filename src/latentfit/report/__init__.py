"""Results -> one HTML page, its Markdown twin, pictures and a table: all that is derived from a study.

Nothing here measures anything. It reads the study's folder alone, so a study that was sent by mail can be
drawn again without its data set. Names are text: templates escape whatever is put into them.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shlex
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from .. import answer, compared, evaluate, figures, latent, store, summary, trade, verdict, words
from ..figures import Curve
from ..machine import reproducible
from ..model import Network, to_unit
from ..request import recipe_dict
from ..store import Study
from ..train import RECIPES, Recipe, first_seeds
from . import explorer

Array = NDArray[Any]

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
    with store.lock(folder):
        store.remove_leftovers(folder)  # of a drawing that was killed
        _write(store.load(folder), with_explorer)
    return folder / "report.html"


def _write(study: Study, with_explorer: bool) -> None:
    content = Content.of(study)
    with reproducible():  # as in the study itself
        pictures = content.pictures()
        explored = explorer.content(study, content.networks) if with_explorer else None
    (study.folder / "figures").mkdir(exist_ok=True)
    for name, picture in pictures.items():
        store.write(study.folder / "figures" / f"{name}.png", png(picture.figure))
    header, rows = csv_table(study.results)
    store.write_csv(study.folder / "results.csv", header, rows)
    store.write(study.folder / "report.md", content.render("report.md.j2", pictures).encode())
    page = content.render("report.html.j2", pictures, explored)
    store.write(study.folder / "report.html", page.encode())


def is_current(study: Study, with_explorer: bool = True) -> bool:
    """Whether nothing that `write` makes is missing or older than the results."""
    made = [study.folder / name for name in FILES]
    made += [study.folder / "figures" / f"{name}.png" for name in picture_names(study)]
    born = (study.folder / "results.json").stat().st_mtime_ns
    if not all(path.exists() and path.stat().st_mtime_ns >= born for path in made):
        return False
    return (b'id="explorer-data"' in (study.folder / "report.html").read_bytes()) == (
        with_explorer and bool(study.jobs)
    )


def picture_names(study: Study) -> list[str]:
    """The files under `figures/` that a study has."""
    names = [
        "reconstructions-train",
        "reconstructions-test",
        "interpolations",
        "error-curves",
        "error-by-size",
    ]
    if study.results["lost"] and study.results["lost"]["by_class"]:
        names.append("error-by-class")
    return names + [name for name in summary.EXTREMES if name in study.results["shown"]]


@dataclass(frozen=True)
class Picture:
    """A figure, what it shows in a sentence, and whether the page draws it from vectors or from strips."""

    figure: Figure
    caption: str
    strips: tuple[tuple[str, str], ...] = ()  # caption and data URL of each row of images

    @property
    def svg(self) -> Markup:
        """The figure as inline SVG whose ink is the page's text colour."""
        return svg(self.figure)


@dataclass(frozen=True)
class Content:
    """A study with the networks its pictures show: those of each size's first seed that trained to the end."""

    study: Study
    networks: Mapping[int, Network]
    histories: Mapping[int, Sequence[Any]]

    @classmethod
    def of(cls, study: Study) -> Content:
        """Load what the pictures need."""
        jobs = first_seeds(study.jobs)
        return cls(
            study,
            {job.latent_dim: study.network(*job) for job in jobs},
            {job.latent_dim: study.history(*job) for job in jobs},
        )

    def render(self, template: str, pictures: Mapping[str, Picture], explored: Mapping[str, Any] | None = None) -> str:
        """The page, from one of the templates beside this file."""
        style = Markup((HERE / "style.css").read_text())
        scripts = {name: Markup((HERE / f"{name}.js").read_text()) for name in ("article", "explorer")}
        return ENVIRONMENT.get_template(template).render(
            results=self.study.results,
            title=title(self.study.results),
            headline=verdict.headline(self.study.results),
            analysis=Markup(analysis(self.study)),
            pictures=pictures,
            picture_sizes=max(1, len(self.networks)),
            findings=verdict.analysis(self.study.results),
            sampling=verdict.sampling(self.study.results),
            tables={name: table for name, table in tables(self.study.results).items() if table},
            recipe=recipe_words(self.study.results["recipe"]),
            style=style,
            scripts=scripts,
            policy=policy(style, scripts["article"], *([scripts["explorer"]] if explored else [])),
            explored=explored,
            explorer_data=Markup(json.dumps(explored, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")),
            command=command(self.study.results, store.read_json(self.study.folder / "study.json")["source"]),
        )

    def pictures(self) -> dict[str, Picture]:
        """Every picture of the report, by the name of its file."""
        draw = {
            "reconstructions-train": lambda: self._reconstructions("train"),
            "reconstructions-test": lambda: self._reconstructions("test"),
            "interpolations": self._interpolations,
            "error-curves": self._curves,
            "error-by-size": self._by_size,
            "error-by-class": self._by_class,
            "worst": self._worst,
            "gained": self._gained,
        }
        return {name: draw[name]() for name in picture_names(self.study)}

    def _reconstructions(self, split: str) -> Picture:
        x = self.study.shown[split]
        made = {k: evaluate.reconstruct(network, x) for k, network in self.networks.items()}
        originals = to_unit(x).numpy()
        rows = [("original", originals), *((words.dims(k), x_hat) for k, x_hat in made.items())]
        of = "training" if split == "train" else "test"
        return Picture(
            figures.reconstructions(originals, made),
            f"{len(x)} {of} images{self._named(split)}, and what each network makes of them.",
            tuple((caption, strip(images)) for caption, images in rows),
        )

    def _interpolations(self) -> Picture:
        pairs = self.study.shown["pairs"]
        walks = {k: latent.walk(network, pairs[:, 0], pairs[:, 1]) for k, network in self.networks.items()}
        real = to_unit(pairs).numpy()
        rows = [
            (words.dims(k), strip(figures.walk_row(pair, walks[k][p]))) for p, pair in enumerate(real) for k in walks
        ]
        return Picture(
            figures.interpolations(real, walks),
            f"Walks between {len(pairs)} pairs of training images{self._named('pairs')}: the real image, five "
            "decoded steps from its code to the other's, the other real image. The first and the last step are "
            "the reconstructions of the pair.",
            tuple(rows),
        )

    def _worst(self) -> Picture:
        rows = self._made("worst")
        return Picture(
            figures.image_rows(rows),
            f"The test images with the largest error, a mean over the networks{self._named('worst')}.",
            tuple((caption, strip(images)) for caption, images in rows),
        )

    def _gained(self) -> Picture:
        rows = self._made("gained")
        small, large = min(self.networks), max(self.networks)
        rows.append((f"{large} less {small}", figures.difference(rows[1][1], rows[-1][1])))
        caption = (
            f"The test images whose error {words.dims(large)} lower most against {small}{self._named('gained')}. The "
            f"last row is what {large} keeps that {small} drops: orange is brighter, blue is darker, white the same; "
            "half of the range from black to white is full colour."
        )
        return Picture(figures.image_rows(rows), caption, tuple((name, strip(images)) for name, images in rows))

    def _made(self, which: str) -> list[tuple[str, Array]]:
        x = self.study.shown[which]
        made = [(words.dims(k), evaluate.reconstruct(network, x)) for k, network in sorted(self.networks.items())]
        return [("original", to_unit(x).numpy()), *made]

    def _named(self, which: str) -> str:
        classes, labels = self.study.results["dataset"]["classes"], self.study.shown[f"{which}_labels"]
        if not classes or (labels < 0).any():
            return ""
        names = [classes[label] for label in labels.ravel()]
        if which == "pairs":
            names = [f"{a} to {b}" for a, b in zip(names[::2], names[1::2], strict=True)]
        return f" ({', '.join(names)})"

    def _pca(self) -> dict[int, float]:
        return {entry["latent_dim"]: entry["test_mse"] for entry in self.study.results["pca"]}

    def _curves(self) -> Picture:
        some = words.some_of(sorted(self.histories), figures.MOST)
        curves = {k: Curve(*zip(*self.histories[k], strict=True)) for k in some}
        return Picture(
            figures.error_curves(curves, self._pca()),
            "Mean squared error after each epoch, on the test images (solid) and as it was trained (dashed), "
            f"with PCA's test error at as many components (dotted).{_left_out(self.histories, some)}",
        )

    def _by_size(self) -> Picture:
        ok = [m for m in self.study.results["models"] if m["status"] == "ok"]
        sizes, train, test = ([m[key] for m in ok] for key in ("latent_dim", "train_mse", "test_mse"))
        top = 4 * max(sizes, default=16)
        curve = self.study.results["pca_curve"] + self.study.results["pca"]
        pca = {entry["latent_dim"]: entry["test_mse"] for entry in curve if entry["latent_dim"] <= top}
        return Picture(
            figures.error_by_size(
                sizes,
                train,
                test,
                dict(sorted(pca.items())),
                gated=[size["latent_dim"] for size in self.study.results["sizes"] if size["gates"]],
                enough=self.study.results["verdict"]["latent_dim"],
                curve=self._screened(),
                marks={e["name"]: e["value"] for e in trade.estimates(self.study.results) if e["value"] is not None},
            ),
            "Error against latent size: each network on the training and on the test images, and PCA's test error. "
            "Where a size was trained several times the line is the mean test error and the band its 95 % interval."
            + (" Dashed: a screening, one network for all sizes." if self._screened() else "")
            + (" Names above: estimates of the images' own dimension." if self.study.results["intrinsic"] else ""),
        )

    def _screened(self) -> dict[int, float]:
        curve = self.study.results["curve"]
        return dict(zip(curve["sizes"], curve["test_mse"], strict=True)) if curve and not curve["reason"] else {}

    def _by_class(self) -> Picture:
        classes = self.study.results["dataset"]["classes"]
        every = {size["latent_dim"]: size for size in self.study.results["lost"]["by_class"]}
        told = {k: every[k] for k in words.some_of(sorted(every), figures.MOST)}
        means = {k: [c and c["mean"] for c in size["classes"]] for k, size in told.items()}
        ends = {k: [c and c["interval"] for c in size["classes"]] for k, size in told.items()}
        over = " and ".join(sorted({size["over"] for size in told.values()}))
        return Picture(
            figures.error_by_class(classes, means, intervals=ends),
            "Test error of each class, the largest of the best size first; bars are 95 % intervals of the mean over "
            f"the {over}.{_left_out(every, told)}",
        )


def _left_out(every: Collection[int], shown: Collection[int]) -> str:
    return f" Shown: {len(shown)} of {len(every)} sizes." if len(shown) < len(every) else ""


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


def tables(results: dict[str, Any]) -> dict[str, compared.Table | None]:
    """Every table of the page by its name; None for one that a study's numbers do not fill."""
    return {
        "Latent size for each share of the variance": answer.table(results["answers"]),
        "Results of each size": verdict.table(results),
        "Sizes compared": compared.table(results),
        "Walks in numbers": trade.walk_table(results),
        "The codes of each size": trade.codes_table(results),
        "Bytes of a code": trade.compression_table(results),
        "What the numbers rest on": verdict.trust_table(results),
    }


def table(study: Study) -> str:
    """A study's table as Markdown: a row a network, PCA with as many components beside it."""
    return markdown_table(*verdict.table(study.results))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown, numbers to the right."""
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def analysis(study: Study) -> str:
    """A study's analysis in words as Markdown; names of classes are escaped, so they stay text."""
    dataset = study.results["dataset"]
    classes = dataset["classes"] and [markdown(name) for name in dataset["classes"]]
    findings = verdict.analysis(study.results | {"dataset": dataset | {"classes": classes}})
    words = {f.title: " ".join(f.sentences).replace(" < ", " &lt; ") for f in findings}
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in words.items())


def markdown(name: str) -> Markup:
    """A name as text in Markdown: no markup of either kind, on one line."""
    return Markup(re.sub(r"([\\`*_\[\]!#|$~])", r"\\\1", escape(" ".join(name.split()), quote=False)))


def title(results: Mapping[str, Any]) -> str:
    """What a study is called: its data set and its sizes."""
    return f"{results['dataset']['name']} at {sizes_words(sorted({m['latent_dim'] for m in results['models']}))}"


def sizes_words(sizes: Sequence[int]) -> str:
    """`16 and 48 latent dimensions`."""
    return words.listed([*map(str, sizes[:-1]), words.latent(sizes[-1])])


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
        f"{recipe['initialization']} start, {recipe['optimizer']} at {recipe['learning_rate']} "
        f"({recipe['schedule']}, beta2 {recipe['beta2']}, weight decay {recipe['weight_decay']}), "
        f"batch {recipe['batch_size']}, {recipe['epochs']} epochs"
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


def png(figure: Figure) -> bytes:
    """A figure as PNG, the same bytes each time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure) -> Markup:
    """A figure as SVG to stand in a page: transparent, text as text, ink in the page's own colour."""
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "latentfit"}):
        figure.savefig(buffer, format="svg", transparent=True)
    text = buffer.getvalue()
    text = re.sub(r' id="[a-z0-9]+(\.[a-z0-9]+)*_\d+"', "", text[text.index("<svg") :])  # would repeat in the page
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    for i, colour in enumerate(figures.COLOURS[:-1]):  # the page has lighter ones for the dark
        text = re.sub(rf"((?:fill|stroke): ){colour}", rf"\1var(--c{i}, {colour})", text)
    text = re.sub(rf"((?:fill|stroke): ){figures.INK}", r"\1currentColor", text)
    text = re.sub(r'style="([^"]*)"', lambda found: _attributes(found[1]), text)  # the page's policy allows no styles
    return Markup(text)  # matplotlib escaped every name in it


def _attributes(style: str) -> str:
    """What a style says, as attributes: `fill: none; font: 9px serif` to `fill="none" font-size="9px"`."""
    pairs = (part.partition(":")[::2] for part in style.split(";") if ":" in part)
    said = {name.strip(): value.strip() for name, value in pairs}
    if font := said.pop("font", None):
        said["font-size"] = next(word for word in font.split() if word.endswith("px"))
    said.pop("font-family", None)
    return " ".join(f'{name}="{value}"' for name, value in said.items())


def strip(images: Array) -> str:
    """Images (N, H, W[, 3]) in [0, 1] side by side as a PNG's data URL, with clear gaps between them."""
    gap = max(1, images.shape[2] // 14)
    pixels = np.rint(figures.tile(images, gap) * 255).astype(np.uint8)  # (H, W')
    clear = figures.tile(np.zeros(images.shape[:3], dtype=np.float32), gap) > 0  # the gaps are what is not 0
    alpha = np.where(clear, 0, 255).astype(np.uint8)[..., None]
    layers = np.concatenate([pixels.reshape(*pixels.shape[:2], -1), alpha], axis=2)
    buffer = io.BytesIO()
    Image.fromarray(layers).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"


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
ENVIRONMENT.filters["table"] = lambda table: Markup(markdown_table(*table))
