"""The summing up: what needs all networks of a study, gathered into `results.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import quality
from ..data.images import ImageSet
from ..hardware import side_by_side
from ..measure import interpolation, intrinsic, network, rule, tradeoffs, verdict
from ..measure.interpolation import Walked
from ..measure.network import PerImage, Yardsticks
from ..model import Network
from ..recipe import Job, first_seeds
from . import store

Array = NDArray[Any]

EXPLORED = 2_000  # test images that the report's explorer can show, at most

EXTREMES = ("worst", "gained")


def write(
    folder: Path,
    jobs: tuple[Job, ...],
    asked: Mapping[str, Any],
    images: ImageSet,
    yard: Yardsticks,
    taken: Mapping[Job, PerImage],
) -> None:
    """Measure what is missing, and write `shown.safetensors` and then `results.json`, the last of the numbers.

    Args:
        folder: The study's, with every network trained.
        jobs: Its networks.
        asked: The `dataset`, `recipe`, `environment` and `quality` of `results.json`, the share to `keep` or None, and
            what the screening of the `curve` found or None.
        images: What they were trained on.
        yard: What the images alone say.
        taken: Values of networks as their workers measured them.
    """
    rows = [store.read_json(store.model_folder(folder, job) / "metrics.json") for job in jobs]
    seed = min(job.seed for job in jobs)
    ok = [job for job, row in zip(jobs, rows, strict=True) if row["status"] == "ok"]
    networks = {job: store.load_network(store.model_folder(folder, job)) for job in first_seeds(ok)}
    pairs = interpolation.shown_pairs(images, seed)
    values = {job: taken.get(job) or _measured(folder, job, images) for job in ok}
    errors = {job: values[job].test_mse for job in networks}
    (straight, interpolated), neighbours, compression = side_by_side(
        lambda: _interpolation(yard, networks, pairs),
        lambda: tradeoffs.told_apart(networks, images),
        lambda: tradeoffs.compression(networks, _code_ranges(rows, networks), errors, images),
    )
    for job, walked in straight.items():
        values[job] = replace(values[job], walked=walked)
    shown = _shown(images, pairs, seed) | _extremes(images, errors)
    store.write_shown(folder, shown)
    sizes = sorted({job.latent_dim for job in jobs})
    keep, recipe = asked["keep"], asked["recipe"]["name"]
    told, curve, nothing = network.sizes(rows), asked["curve"], quality.no_variance(yard.variance)
    results = {
        "schema": store.SCHEMA,
        **{name: asked[name] for name in ("dataset", "recipe", "environment")},
        "models": rows,
        "pca": network.pca_rows(yard, sizes),
        "interpolation": interpolated,
        "verdict": verdict.not_asked(nothing)
        if keep is None
        else verdict.verdict(rows, keep, images.pixels, recipe, nothing),
        "variance": yard.variance,
        "pca_curve": network.pca_rows(yard, [k for k in network.CURVE if k <= images.pixels]),
        "comparisons": network.comparisons(values),
        "against_pca": network.against_pca(values, yard),
        "shown": _indices(shown),
        "sizes": told,
        "size_comparisons": network.size_comparisons(rows),
        "sampling": network.sampling(values, yard),
        "answers": [
            verdict.verdict(rows, share, images.pixels, recipe, nothing) | {"pca_components": pca_for(yard, share)}
            for share in sorted({*rule.KEEPS, *([] if keep is None else [keep])})
        ],
        "lost": _lost(rows, errors, images, shown) | {"neighbours": neighbours, "compression": compression}
        if networks
        else None,
        "curve": curve and curve | {"apart": network.curve_apart(curve, told)},
        "intrinsic": None if keep is None else intrinsic.estimates(images, seed),
        "quality": asked["quality"],
    }
    store.write_json(folder / "results.json", results)


def _indices(shown: Mapping[str, Array]) -> dict[str, list[int]]:
    """Which images the pictures show; those of the map are too many to list."""
    names = [name for name in shown if name.endswith("_indices") and name != "map_indices"]
    return {name.removesuffix("_indices"): shown[name].tolist() for name in names}


def _measured(folder: Path, job: Job, images: ImageSet) -> PerImage:
    return network.per_image(store.load_network(store.model_folder(folder, job)), images)


def pca_for(yard: Yardsticks, keep: float) -> int | None:
    """The fewest PCA components that keep this share of the variance of the test images; None where there is none."""
    if not yard.varies:
        return None
    return yard.pca.components_for((1 - keep) * yard.variance["test"])


def _interpolation(
    yard: Yardsticks, networks: Mapping[Job, Network], shown: NDArray[np.int64]
) -> tuple[dict[Job, Walked], dict[str, Any]]:
    """The walks of each network, and how they go."""
    straight, spherical = ({job: yard.ground.walk(n, way) for job, n in networks.items()} for way in (False, True))
    return straight, interpolation.interpolation(yard.ground, straight, spherical, yard.pca, shown)


def _code_ranges(rows: Sequence[Mapping[str, Any]], networks: Iterable[Job]) -> dict[Job, Array]:
    """Smallest and largest training code of each network, (2, K)."""
    codes = {Job(r["latent_dim"], r["seed"]): r["codes"] for r in rows if r["status"] == "ok"}
    return {job: np.array([codes[job]["low"], codes[job]["high"]], np.float32) for job in networks}


def _lost(
    rows: list[dict[str, Any]], errors: Mapping[Job, Array], images: ImageSet, shown: Mapping[str, Array]
) -> dict[str, Any]:
    return {
        "by_class": tradeoffs.by_class(rows, errors, images),
        **{f"{name}_errors": _errors_of(errors, shown[f"{name}_indices"]) for name in EXTREMES if name in shown},
    }


def _errors_of(errors: Mapping[Job, Array], chosen: NDArray[np.int64]) -> list[dict[str, Any]]:
    return [job._asdict() | {"test_mse": each[chosen].tolist()} for job, each in errors.items()]


def _extremes(images: ImageSet, errors: Mapping[Job, Array]) -> dict[str, Array]:
    """The images with the largest error, and those that the largest code gains most on where there are two sizes."""
    chosen = {"worst": tradeoffs.worst(errors)} if errors else {}
    chosen |= {"gained": tradeoffs.gained(errors)} if len(errors) > 1 else {}
    return {
        key: array
        for name, at in chosen.items()
        for key, array in (
            (name, images.x_test[at]),
            (f"{name}_indices", at),
            (f"{name}_labels", _labels(images.y_test, at)),
        )
    }


def _shown(images: ImageSet, pairs: NDArray[np.int64], seed: int) -> dict[str, Array]:
    """The images in the pictures, with their indices and labels (-1 where there are none)."""
    arrays = {"pairs": images.x_train[pairs], "pairs_labels": _labels(images.y_train, pairs)}
    for split, x, y in (("train", images.x_train, images.y_train), ("test", images.x_test, images.y_test)):
        chosen = interpolation.choose(network.SHOWN, y, len(x), seed)
        arrays |= {split: x[chosen], f"{split}_indices": chosen, f"{split}_labels": _labels(y, chosen)}
    some = np.sort(np.random.default_rng([seed, len(images.x_test), 5]).permutation(len(images.x_test))[:EXPLORED])
    explored = {"map": images.x_test[some], "map_indices": some, "map_labels": _labels(images.y_test, some)}
    return arrays | explored


def _labels(y: Array | None, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.full(chosen.shape, -1) if y is None else y[chosen].astype(np.int64)
