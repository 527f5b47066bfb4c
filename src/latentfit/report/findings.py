"""The analysis in words: every sentence is made from a study's own numbers.

Pure functions of `results`. Where a study has many sizes the words tell a few of them, and the tables all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..formatting import dims, listed, mse, or_dash, percent, plural, signed, some_of
from ..measure.gates import GATES, advice
from . import comparisons, tradeoffs
from .comparisons import Results, Row, Table, differ, each, trained, which, widest_first

HEADER = (
    "latent",
    "seeds",
    "train MSE",
    "test MSE",
    "PSNR dB",
    "SSIM",
    "variance kept",
    "PCA test MSE",
    "worth in PCA",
    "gates",
)


class Finding(NamedTuple):
    """A heading, the sentences under it, and the section of the page that they belong to."""

    title: str
    sentences: list[str]
    about: str


def analysis(results: Results) -> list[Finding]:
    """What a study found, as headings and sentences; only those that its numbers can fill."""
    parts: list[tuple[str, str, Callable[[Results], list[str]]]] = [
        ("table", "Error and latent dimension", comparisons.errors),
        ("table", "All sizes from one training", tradeoffs.screening),
        ("table", "Against PCA", comparisons.against_pca),
        ("trust", "Was the training finished?", _training),
        ("pictures", "Sharpness", _sharpness),
        ("lost", "Which classes lose most", _classes),
        ("walks", "What the interpolations show", lambda r: [*_interpolation(r), *tradeoffs.walk_references(r)]),
        ("codes", "The shape of the code", tradeoffs.shape),
        ("codes", "Classes told apart by their codes", tradeoffs.neighbours),
        ("bytes", "What it means for compression", lambda r: [*tradeoffs.compression(r), *_bytes(r)]),
    ]
    findings = [Finding(title, make(results), about) for about, title, make in parts]
    return [finding for finding in findings if finding.sentences]


def headline(results: Results) -> str:
    """What a reader in a hurry should get: the answer where one was asked for."""
    if said_nothing := comparisons.nothing(results):
        return said_nothing
    said: str = results["verdict"]["sentence"]
    return comparisons.errors(results)[0] if results["verdict"]["status"] == "not_asked" else said


def notes(results: Results) -> list[str]:
    """What is odd about the images; nothing where a study of an older version did not look."""
    told: list[str] = results.get("quality", {}).get("notes", [])
    return told


def table(results: Results) -> Table:
    """The study's table as text: header, and a row a size with PCA beside it.

    With several seeds the errors and the variance kept are means ± half of the 95 % interval.
    """
    pca = {entry["latent_dim"]: entry["test_mse"] for entry in results["pca"]}
    worth = {m["latent_dim"]: m["pca_components_for_test_mse"] for m in trained(results)}
    rows = []
    for size in results["sizes"]:
        k = size["latent_dim"]
        numbers = [
            _with_half(size["train_mse"], mse) if size["seeds"] else "failed",
            _with_half(size["test_mse"], mse),
            _with_half(size["test_psnr"], "{:.2f}".format),
            _with_half(size["test_ssim"], "{:.3f}".format),
            _kept(size["test_explained_variance"]),
        ]
        fired = ", ".join(GATES[name].short for name in size["gates"]) or "-"
        rows.append([str(k), str(size["seeds"]), *numbers, mse(pca[k]), or_dash(worth.get(k), "d"), fired])
    return [*HEADER], rows


def sampling(results: Results) -> str | None:
    """How far other test images could move the numbers: the half widths of the paired bootstrap's intervals."""
    known = [entry for entry in results["sampling"] if entry["test_explained_variance"][0] >= 0]
    if not known or comparisons.nothing(results):
        return None
    said = [
        f"± {50 * (high - low):.2f} points at {entry['latent_dim']}"
        for entry in some_of(known)
        for low, high in [entry["test_explained_variance"]]
    ]
    return (
        "Other test images of the same kind would move the variance kept by about "
        f"{listed(said)} (95 %, paired bootstrap over the test images)."
    )


def trust_table(results: Results) -> Table:
    """What the numbers of each size rest on: trainings, how far they could move, how well it was trained."""
    moved = {entry["latent_dim"]: entry["test_explained_variance"] for entry in results["sampling"]}
    first = {m["latent_dim"]: m for m in trained(results)}
    header = ["latent", "seeds", "over seeds", "over images", "last tenth", "test over train", "gates"]
    rows = []
    for size in results["sizes"]:
        k, kept = size["latent_dim"], size["test_explained_variance"]
        m = first.get(k)
        fall = m["last_tenth_fall"] if m else None
        ends = [kept and kept["interval"], moved.get(k)] if kept and kept["mean"] >= 0 else [None, None]
        rows.append(
            [
                str(k),
                str(size["seeds"]),
                *(f"± {50 * (end[1] - end[0]):.2f}" if end else "-" for end in ends),
                "-" if fall is None else signed(-fall, 1),
                signed(m["test_mse"] / m["train_mse"] - 1, 1) if m and m["train_mse"] > 0 else "-",
                ", ".join(GATES[name].short for name in size["gates"]) or "-",
            ]
        )
    return header, rows


def _kept(value: dict[str, Any] | None) -> str:
    """Explained variance in per cent; in words below 0."""
    if value is None or value["mean"] < 0:
        return "-" if value is None else "none (below 0)"
    told = {"mean": 100 * value["mean"], "interval": value["interval"] and [100 * end for end in value["interval"]]}
    return _with_half(told, "{:.1f}".format, " %")


def _with_half(value: dict[str, Any] | None, form: Callable[[float], str], unit: str = "") -> str:
    """A mean, with half of its interval where there is one: `0.0100 ± 0.00008`."""
    if value is None:
        return "-"
    if value["interval"] is None:
        return form(value["mean"]) + unit
    half = (value["interval"][1] - value["interval"][0]) / 2
    told = form(value["mean"])
    digits = max(len(told.partition(".")[2]) + 1, 1)  # one more than the mean has
    return f"{told} ± {half:.{digits}f}{unit}"


def _training(results: Results) -> list[str]:
    rows, epochs, sentences = trained(results), results["recipe"]["epochs"], []
    of = " of each size's first network" if len({m["seed"] for m in results["models"]}) > 1 else ""
    if falls := some_of([m for m in rows if m["last_tenth_fall"] is not None]):
        last = max(1, round(epochs / 10))
        span = "epoch" if last == 1 else f"{last} epochs"
        changes = [f"{signed(-m['last_tenth_fall'], 1)} with {m['latent_dim']}" for m in falls]
        sentences.append(f"In the last {span} of {epochs} the training error{of} changed by {listed(changes)}.")
    for name, gate in GATES.items():
        hit = [str(size["latent_dim"]) for size in results["sizes"] if name in size["gates"]]
        if hit and name != "failed":  # that is told with its reason
            sentences.append(
                f"At {listed(hit)} a gate fires: {gate.words}; {advice(gate.help, results['recipe']['name'])}. Part of "
                "any difference between the networks may be how well each was trained."
            )
    gaps = some_of([m for m in rows if m["train_mse"] > 0])
    if sentences and gaps:
        said = [f"{signed(m['test_mse'] / m['train_mse'] - 1, 1)} with {m['latent_dim']}" for m in gaps]
        sentences.append(f"Test error against training error{of}: {listed(said)}.")
    return sentences


def _sharpness(results: Results) -> list[str]:
    rows = [m for m in trained(results) if m["test_sharpness"] is not None]
    if not rows:
        return []
    first = (
        f"The mean gradient magnitude of the test reconstructions is {each(rows, 'test_sharpness')} of that of "
        "the originals; below 100 % is blur."
    )
    return [first, *(which(c, "sharpness", "gave sharper pictures") for c in widest_first(results)[:1])]


def _classes(results: Results) -> list[str]:
    names, rows = results["dataset"]["classes"], trained(results)
    if not names or not rows or rows[0]["test_mse_by_class"] is None:
        return []
    best = min(rows, key=lambda m: m["test_mse"])
    known = [(e, name) for e, name in zip(best["test_mse_by_class"], names, strict=True) if e is not None]
    known.sort(reverse=True)
    if len(known) < 2:
        return []
    worst = [f"{name} ({mse(e)})" for e, name in known[: min(3, len(known) - 1)]]
    largest = (
        f"the largest errors are those of {listed(worst)}"
        if len(worst) > 1
        else f"the largest error is that of {worst[0]}"
    )
    least, least_name = known[-1]
    return [
        f"With {dims(best['latent_dim'])} {largest}; the smallest is that of {least_name} ({mse(least)}).",
        *(_class_gains(rows[0], rows[-1], names) if differ(results) else []),
    ]


def _class_gains(a: Row, b: Row, names: Sequence[str]) -> list[str]:
    triples = zip(a["test_mse_by_class"], b["test_mse_by_class"], names, strict=True)
    gains = sorted((1 - eb / ea, name) for ea, eb, name in triples if ea and eb is not None)
    if len(gains) < 2:
        return []
    (least, least_name), (most, most_name) = gains[0], gains[-1]
    return [
        f"From {a['latent_dim']} to {b['latent_dim']} dimensions the error falls most for {most_name} "
        f"({signed(-most)}) and least for {least_name} ({signed(-least)})."
    ]


def _interpolation(results: Results) -> list[str]:
    walks = results["interpolation"]
    rows = walks["models"]
    if not rows:
        return []
    widest = widest_first(results)[:1]
    sentences = [
        f"Over {plural(walks['measured_pairs'], 'random pair')} of training images, "
        f"the mean step of a walk is "
        f"{each(rows, 'evenness')} of its largest step; fading one picture into the other has equal steps by "
        "construction, 100 %.",
        *(which(c, "evenness", "changed the picture more evenly") for c in widest),
    ]
    if any(m["midpoint_sharpness"] is None for m in rows):
        return sentences
    return [
        *sentences,
        f"Half way, the sharpness of the decoded pictures is {each(rows, 'midpoint_sharpness')} of that of the "
        f"real pictures at both ends; that of a half-and-half fade is "
        f"{percent(walks['cross_fade']['midpoint_sharpness'])}, but its edges are those of both pictures on top of "
        "each other.",
        *(which(c, "midpoint_sharpness", "gave sharper pictures half way") for c in widest),
    ]


def _bytes(results: Results) -> list[str]:
    rows = [m for m in trained(results) if m["test_explained_variance"] is not None]
    if len(rows) < 2 or rows[0] in (worse := comparisons.worse_than_mean(results)) or rows[-1] in worse:
        return []
    a, b = rows[0], rows[-1]
    points = 100 * (b["test_explained_variance"] - a["test_explained_variance"])
    keep = f"keep {abs(points):.1f} points of variance {'more' if points >= 0 else 'less'}"
    return [
        f"Against {dims(a['latent_dim'])}, {b['latent_dim']} take {b['latent_dim'] / a['latent_dim']:.4g} "
        f"times the bytes and {keep if differ(results) else 'keep no more, as far as the test can tell'}."
    ]
