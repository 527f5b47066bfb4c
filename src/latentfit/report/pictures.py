"""Every picture of a report: what a study shows, drawn by its networks, as a figure and as what a page holds.

N images, H × W pixels.
"""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from .. import evaluate, figures, formatting, latent
from ..figures import Curve
from ..measure.gates import bounding
from ..model import Codec, to_unit
from ..recipe import Epoch, first_seeds
from ..results import Results
from ..sweep.store import Study
from .chosen import SHOWN, glance, of_interest, shown_seeds
from .findings import lost_between
from .tables import sizes_text
from .tradeoffs import interpolated_size

Array = NDArray[Any]

CURVES = 3  # sizes whose errors by epoch are drawn
OVER = {"seeds": "seeds", "images": "images of the class", "both": "seeds and images of the class"}


def names(results: Results) -> list[str]:
    """The files under `figures/` that a study has, in the order of its page."""
    names = ["at-a-glance"] if len(results.first) > len(glance(results)) else []
    if any(size.test_explained_variance for size in results.sizes):
        names.append("variance-by-size")
    names += ["reconstructions-test", "reconstructions-train"]
    by_class = results.lost and results.lost.by_class
    there = {"gained": "gained" in results.shown, "error-by-class": by_class, "worst": "worst" in results.shown}
    return [*names, *(name for name, is_there in there.items() if is_there), "interpolations", "error-curves"]


@dataclass(frozen=True)
class Picture:
    """A figure, what it shows in a sentence, and what the page shows of it: vectors or strips."""

    figure: Figure
    caption: str
    strips: tuple[tuple[str, str], ...] = ()  # caption and data URL of each row of images
    folded: tuple[tuple[str, str], ...] = ()  # likewise, of those that the page folds
    narrow: Figure | None = None  # a chart again, for a telephone

    @classmethod
    def chart(cls, draw: Callable[[Axes], Figure], heights: tuple[float, float], caption: str) -> Picture:
        """A chart, drawn for a paper and for a telephone, of so many inches."""
        return cls(draw(figures.axes(heights[0])), caption, narrow=draw(figures.axes(heights[1], figures.NARROW)))

    @property
    def svgs(self) -> dict[str, Markup]:
        """The figures as inline SVG whose ink is the page's text colour, `wide` and `narrow`."""
        return {name: svg(figure) for name, figure in (("wide", self.figure), ("narrow", self.narrow)) if figure}


@dataclass(frozen=True)
class Shown:
    """A study with the networks its pictures show: those of each size's first seed that trained to the end."""

    study: Study
    networks: Mapping[int, Codec]
    histories: Mapping[int, Sequence[Epoch]]

    @classmethod
    def of(cls, study: Study) -> Shown:
        """Load what the pictures need."""
        jobs = first_seeds(study.jobs)
        return cls(
            study,
            {job.latent_dim: study.seen_network(*job) for job in jobs},
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
            "at-a-glance": self._glance,
            "interpolations": self._interpolations,
            "error-curves": self._curves,
            "variance-by-size": self._by_size,
            "error-by-class": self._by_class,
            "worst": self._worst,
            "gained": self._gained,
        }
        return {name: draw[name]() for name in names(self.study.found)}

    def _glance(self) -> Picture:
        sizes = glance(self.study.found)
        return replace(
            self._reconstructions("test", sizes),
            caption=f"Test images, and what {sizes_text(sizes)} make of them{self._of_seed()}.",
        )

    def _reconstructions(self, split: str, sizes: Sequence[int] | None = None) -> Picture:
        some = self._some(SHOWN) if sizes is None else sizes
        rows = self._rows(split, some)
        of = "training" if split == "train" else "test"
        return self._drawn(
            split,
            rows,
            f"{len(rows[0][1])} {of} images{self._named(split)}, and what the networks make of them{self._of_seed()}."
            f"{_left_out(self.networks, some)}",
        )

    def _drawn(self, shown: str, rows: Sequence[tuple[str, Array]], caption: str) -> Picture:  # noqa: ARG002
        """Images that are kept under a name, and what networks make of them."""
        return Picture(figures.image_rows(rows), caption, tuple((name, strip(images)) for name, images in rows))

    def _interpolations(self) -> Picture:
        pairs, some = self.study.shown["pairs"], self._some(SHOWN)
        steps = self._steps(some)
        real, first = to_unit(pairs).numpy(), interpolated_size(self.study.found)
        classes, labels = self.study.found.dataset.classes, self.study.shown["pairs_labels"]
        of_first = "" if first is None or len(steps) == 1 else f" On the page those with {first} come first."

        def name(p: int) -> str:
            known = classes and (labels >= 0).all()
            return " to ".join(classes[label] for label in labels[p]) if known and classes else f"pair {p + 1}"

        rows = [
            (k, (name(p) if k == first else formatting.dims(k), strip(figures.interpolation_row(pair, steps[k][p]))))
            for k in sorted(steps, key=lambda k: (k != first, k))
            for p, pair in enumerate(real)
        ]
        return Picture(
            figures.interpolations(real, steps),
            f"Interpolations between {len(pairs)} pairs of training images{self._named('pairs')}: the real "
            "image, five decoded steps from its code to the other's, the other real image. The first and the last step "
            f"are the reconstructions of the pair{self._of_seed()}.{of_first}{_left_out(self.networks, some)}",
            tuple(row for k, row in rows if k == first),
            tuple(row for k, row in rows if k != first),
        )

    def _steps(self, sizes: Sequence[int]) -> dict[int, Array]:
        """Decoded steps between the pairs, (P, S, H, W[, 3]) a size."""
        pairs = self.study.shown["pairs"]
        return {k: latent.interpolate_images(self.networks[k], pairs[:, 0], pairs[:, 1]) for k in sizes}

    def _worst(self) -> Picture:
        return self._drawn(
            "worst",
            self._rows("worst", self._some(SHOWN)),
            f"The test images with the largest error, a mean over the sizes{self._named('worst')}{self._of_seed()}.",
        )

    def _gained(self) -> Picture:
        small, large = lost_between(self.study.found)
        return self._changed(
            (small, large),
            self._rows("gained", (small, large)),
            f"The test images whose error falls most from {small} to {formatting.dims(large)}{self._named('gained')}"
            f"{self._of_seed()}",
        )

    def _changed(self, sizes: tuple[int, int], rows: Sequence[tuple[str, Array]], caption: str) -> Picture:
        """Images, their reconstructions at two sizes, and the difference of these."""
        small, large = sizes
        (_, before), (_, after) = rows[1:]
        change = figures.difference(before, after)
        told = (
            f"{caption}. The last row is the difference of the two reconstructions: orange where {large} is "
            "brighter, blue where darker; half of the range from black to white is full colour."
        )
        strips = [*((name, strip(images)) for name, images in rows), (f"{large} - {small}", changes(before, after))]
        return Picture(figures.image_rows([*rows, (f"{large} - {small}", change)]), told, tuple(strips))

    def _rows(self, shown: str, sizes: Sequence[int]) -> list[tuple[str, Array]]:
        x = self.study.shown[shown]
        made = [(formatting.dims(k), evaluate.reconstruct(self.networks[k], x)) for k in sizes]
        return [("original", to_unit(x).numpy()), *made]

    def _some(self, most: int) -> list[int]:
        return of_interest(self.study.found, most)

    def _of_seed(self) -> str:
        """Which network is shown, where a size has several."""
        results = self.study.found
        return f"; networks of seed {shown_seeds(results)}" if len(results.seeds) > 1 else ""

    def _named(self, shown: str) -> str:
        classes, labels = self.study.found.dataset.classes, self.study.shown[f"{shown}_labels"]
        if not classes or (labels < 0).any():
            return ""
        names = [classes[label] for label in labels.ravel()]
        if shown == "pairs":
            names = [f"{a} to {b}" for a, b in zip(names[::2], names[1::2], strict=True)]
        return f" ({', '.join(names)})"

    def _curves(self) -> Picture:
        some = self._some(CURVES)
        when = "while training" if self.study.found.recipe.holds_out else "after each epoch"
        histories, pca = {k: self.histories[k] for k in some}, self.study.found.pca_errors
        curves = {k: Curve(*zip(*rows, strict=True)) if rows else Curve((), (), ()) for k, rows in histories.items()}
        return Picture.chart(
            lambda ax: figures.error_curves(curves, pca, ax),
            (3.2, 3.2),
            f"Mean squared error {when}, on the test images (solid) and the running training loss (dashed), with PCA's "
            f"test error at as many components (dotted){self._of_seed()}.{_left_out(self.histories, some)}",
        )

    def _by_size(self) -> Picture:
        results = self.study.found
        explained = {size.latent_dim: size.test_explained_variance for size in results.sizes}
        known = {k: share for k, share in explained.items() if share}
        top, variance, keep = 2 * max(known), results.variance.test, results.verdict.keep
        pca = {k: 1 - error / variance for k, error in results.pca_errors.items() if k <= top}
        estimates = results.intrinsic.estimates if results.intrinsic else ()
        several = " Bars are 95 % intervals for other seeds and other test images." if self._of_seed() else ""
        return Picture.chart(
            lambda ax: figures.variance_by_size(
                known,
                pca,
                variance,
                ax,
                keep=keep if isinstance(keep, float) else None,
                enough=results.verdict.latent_dim,
                gated=[size.latent_dim for size in results.sizes if bounding(size.gates)],
                marks={e.name: e.value for e in estimates if e.value is not None},
            ),
            (3.6, 3.4),
            f"Explained variance of the test images against latent size: networks (blue) and PCA (dotted).{several}"
            + (" Hollow: a check of the network failed." if any(bounding(size.gates) for size in results.sizes) else "")
            + (" Green: the share asked for, and the size that is enough." if isinstance(keep, float) else "")
            + (" Names above: estimates of the images' own dimension." if results.intrinsic else ""),
        )

    def _by_class(self) -> Picture:
        lost, classes = self.study.found.lost, self.study.found.dataset.classes
        every = {size.latent_dim: size for size in (lost and lost.by_class) or ()}
        chosen = {k: every[k] for k in self._some(SHOWN)}
        means = {k: [c.mean if c else None for c in size.classes] for k, size in chosen.items()}
        ends = {k: [c.interval if c else None for c in size.classes] for k, size in chosen.items()}
        kinds = {size.over for size in chosen.values()}
        over = OVER[kinds.pop()] if len(kinds) == 1 else "images of the class and, where a size has several, seeds"
        height = 0.9 + 0.23 * min(30, len(classes or ()))
        return Picture.chart(
            lambda ax: figures.error_by_class(classes or (), means, ax, intervals=ends),
            (height, height + 0.3),
            "Test error of each class, sorted by that of the size with the lowest mean error; bars are 95 % intervals "
            f"for other {over}.{_left_out(every, chosen)}",
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
    return _strip(images, np.ones(images.shape[:3], np.float32))


def changes(before: Array, after: Array) -> str:
    """Differences of images as `figures.difference` colours them, clear where there are none, so on any paper."""
    change = figures.change(before, after)
    colours = np.where(change[..., None] > 0, *figures.SIGNS)
    return _strip(colours.astype(np.float32), np.abs(change))


def _strip(images: Array, alpha: Array) -> str:
    """The same with the opacity of each pixel (N, H, W)."""
    gap = max(1, images.shape[2] // 14)
    pixels, opaque = (np.rint(figures.tile(part, gap) * 255).astype(np.uint8) for part in (images, alpha))
    clear = figures.tile(np.zeros(images.shape[:3], dtype=np.float32), gap) > 0  # the gaps are what is not 0
    layers = np.concatenate([pixels.reshape(*pixels.shape[:2], -1), np.where(clear, 0, opaque)[..., None]], axis=2)
    buffer = io.BytesIO()
    Image.fromarray(layers).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"
