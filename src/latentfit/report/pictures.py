"""Every picture of a report: what a study shows, drawn by its networks, as a figure and as what a page holds.

N images, H × W pixels.
"""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from .. import evaluate, figures, formatting, latent
from ..figures import Curve
from ..measure.gates import bounding
from ..model import Network, to_unit
from ..recipe import Epoch, first_seeds
from ..results import Results
from ..sweep.store import Study

Array = NDArray[Any]


def names(results: Results) -> list[str]:
    """The files under `figures/` that a study has."""
    names = [
        "reconstructions-train",
        "reconstructions-test",
        "interpolations",
        "error-curves",
        "error-by-size",
    ]
    if results.lost and results.lost.by_class:
        names.append("error-by-class")
    return names + [name for name in ("worst", "gained") if name in results.shown]


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
class Shown:
    """A study with the networks its pictures show: those of each size's first seed that trained to the end."""

    study: Study
    networks: Mapping[int, Network]
    histories: Mapping[int, Sequence[Epoch]]

    @classmethod
    def of(cls, study: Study) -> Shown:
        """Load what the pictures need."""
        jobs = first_seeds(study.jobs)
        return cls(
            study,
            {job.latent_dim: study.network(*job) for job in jobs},
            {job.latent_dim: study.history(*job) for job in jobs},
        )

    def drawn(self) -> tuple[dict[str, Picture], dict[str, bytes]]:
        """Every picture of the report, and its PNG, by the name of its file."""
        pictures = self.pictures()
        return pictures, {name: png(picture.figure) for name, picture in pictures.items()}

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
        return {name: draw[name]() for name in names(self.study.found)}

    def _reconstructions(self, split: str) -> Picture:
        x = self.study.shown[split]
        made = {k: evaluate.reconstruct(network, x) for k, network in self.networks.items()}
        originals = to_unit(x).numpy()
        rows = [("original", originals), *((formatting.dims(k), x_hat) for k, x_hat in made.items())]
        of = "training" if split == "train" else "test"
        return Picture(
            figures.reconstructions(originals, made),
            f"{len(x)} {of} images{self._named(split)}, and what each network makes of them.",
            tuple((caption, strip(images)) for caption, images in rows),
        )

    def _interpolations(self) -> Picture:
        pairs = self.study.shown["pairs"]
        steps = {
            k: latent.interpolate_images(network, pairs[:, 0], pairs[:, 1]) for k, network in self.networks.items()
        }
        real = to_unit(pairs).numpy()
        rows = [
            (formatting.dims(k), strip(figures.walk_row(pair, steps[k][p])))
            for p, pair in enumerate(real)
            for k in steps
        ]
        return Picture(
            figures.interpolations(real, steps),
            f"Walks between {len(pairs)} pairs of training images{self._named('pairs')}: the real image, five "
            "decoded steps from its code to the other's, the other real image. The first and the last step are "
            "the reconstructions of the pair.",
            tuple(rows),
        )

    def _worst(self) -> Picture:
        rows = self._rows("worst")
        return Picture(
            figures.image_rows(rows),
            f"The test images with the largest error, a mean over the networks{self._named('worst')}.",
            tuple((caption, strip(images)) for caption, images in rows),
        )

    def _gained(self) -> Picture:
        rows = self._rows("gained")
        small, large = min(self.networks), max(self.networks)
        rows.append((f"{large} less {small}", figures.difference(rows[1][1], rows[-1][1])))
        caption = (
            f"The test images whose error {formatting.dims(large)} lower most against {small}{self._named('gained')}. "
            f"The last row is what {large} keeps that {small} drops: orange is brighter, blue is darker, white the "
            "same; half of the range from black to white is full colour."
        )
        return Picture(figures.image_rows(rows), caption, tuple((name, strip(images)) for name, images in rows))

    def _rows(self, shown: str) -> list[tuple[str, Array]]:
        x = self.study.shown[shown]
        made = [(formatting.dims(k), evaluate.reconstruct(network, x)) for k, network in sorted(self.networks.items())]
        return [("original", to_unit(x).numpy()), *made]

    def _named(self, shown: str) -> str:
        classes, labels = self.study.found.dataset.classes, self.study.shown[f"{shown}_labels"]
        if not classes or (labels < 0).any():
            return ""
        names = [classes[label] for label in labels.ravel()]
        if shown == "pairs":
            names = [f"{a} to {b}" for a, b in zip(names[::2], names[1::2], strict=True)]
        return f" ({', '.join(names)})"

    def _pca(self) -> dict[int, float]:
        return {row.latent_dim: row.test_mse for row in self.study.found.pca}

    def _curves(self) -> Picture:
        some = formatting.some_of(sorted(self.histories), figures.MOST)
        when = "while training" if self.study.found.recipe.holds_out else "after each epoch"
        histories = {k: self.histories[k] for k in some}
        curves = {k: Curve(*zip(*rows, strict=True)) if rows else Curve((), (), ()) for k, rows in histories.items()}
        return Picture(
            figures.error_curves(curves, self._pca()),
            f"Mean squared error {when}, on the test images (solid) and as it was trained (dashed), "
            f"with PCA's test error at as many components (dotted).{_left_out(self.histories, some)}",
        )

    def _by_size(self) -> Picture:
        results = self.study.found
        models = list(results.trained.values())
        top = 4 * max((model.latent_dim for model in models), default=16)
        pca = {row.latent_dim: row.test_mse for row in (*results.pca_curve, *results.pca) if row.latent_dim <= top}
        estimates = results.intrinsic.estimates if results.intrinsic else ()
        return Picture(
            figures.error_by_size(
                [model.latent_dim for model in models],
                [model.train_mse for model in models],
                [model.test_mse for model in models],
                dict(sorted(pca.items())),
                gated=[size.latent_dim for size in results.sizes if bounding(size.gates)],
                enough=results.verdict.latent_dim,
                marks={e.name: e.value for e in estimates if e.value is not None},
            ),
            "Error against latent size: each network on the training and on the test images, and PCA's test error. "
            "Where a size was trained several times the line is the mean test error and the band its 95 % interval."
            + (" Names above: estimates of the images' own dimension." if results.intrinsic else ""),
        )

    def _by_class(self) -> Picture:
        lost, classes = self.study.found.lost, self.study.found.dataset.classes
        every = {size.latent_dim: size for size in (lost and lost.by_class) or ()}
        chosen = {k: every[k] for k in formatting.some_of(sorted(every), figures.MOST)}
        means = {k: [c.mean if c else None for c in size.classes] for k, size in chosen.items()}
        ends = {k: [c.interval if c else None for c in size.classes] for k, size in chosen.items()}
        over = " and ".join(sorted({size.over for size in chosen.values()}))
        return Picture(
            figures.error_by_class(classes or (), means, intervals=ends),
            "Test error of each class, the largest of the best size first; bars are 95 % intervals of the mean over "
            f"the {over}.{_left_out(every, chosen)}",
        )


def _left_out(every: Collection[int], shown: Collection[int]) -> str:
    return f" Shown: {len(shown)} of {len(every)} sizes." if len(shown) < len(every) else ""


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
    values = {name.strip(): value.strip() for name, value in pairs}
    if font := values.pop("font", None):
        values["font-size"] = next(word for word in font.split() if word.endswith("px"))
    values.pop("font-family", None)
    return " ".join(f'{name}="{value}"' for name, value in values.items())


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
