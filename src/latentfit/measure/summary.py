"""The results of a study, computed from all its networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.images import Dataset, ImageSet
from ..data.large import at_most
from ..data.quality import Quality, no_variance
from ..formatting import of_rows
from ..hardware import Environment, side_by_side
from ..model import Codec
from ..parts import Compression, Neighbours, ShownErrors, TradeOffs
from ..pca import most_components
from ..recipe import Job, Recipe
from ..results import SCHEMA, Keep, Knee, Model, ModelResult, NestedCurve, NotAsked, Results, SizeResult, Verdict
from . import comparisons, interpolation, intrinsic, knee, tradeoffs, verdict
from .answer import answer, answer_of_knee
from .network import CURVE_SIZES, Baselines, ImageValues, size_results
from .search import next_step

Array = NDArray[Any]

SHOWN = 8  # reconstructions of each split in the pictures
LISTED = ("train", "test", "worst", "gained")  # images whose indices are in the results; those of the map are too many
EXPLORED = 2_000  # test images that the report's explorer can show, at most


@dataclass(frozen=True)
class Settings:
    """What `summarize` takes from a study beside its networks: what was asked, on what it ran, the nested curve."""

    dataset: Dataset
    recipe: Recipe
    environment: Environment
    quality: Quality
    seeds: tuple[int, ...]
    search: bool
    keep: Keep | None
    scouts: Mapping[int, verdict.Size] | None
    curve: NestedCurve | None


def summarize(
    asked: Settings,
    models: Sequence[Model],
    networks: Mapping[Job, Codec],
    values: Mapping[Job, ImageValues],
    images: ImageSet,
    baselines: Baselines,
) -> tuple[Results, dict[str, Array]]:
    """Compute the results of a study.

    Args:
        asked: Its settings.
        models: All its networks, in order.
        networks: The first trained network of each size.
        values: Values for each test image of every network that trained.
        images: What they were trained on.
        baselines: Measurements of the images alone.

    Returns:
        The results, and by name the arrays of the images that pictures show: `train`, `test`, `pairs`, `worst`,
        `gained` and `map` with their labels, and all but `pairs` with their indices.
    """
    seed = min(model.seed for model in models)
    trained = [model for model in models if isinstance(model, ModelResult)]
    errors = {job: values[job].test_mse for job in networks}
    pairs = interpolation.shown_pairs(images, seed)
    sizes = size_results(models, values, baselines)
    distances = baselines.pca.of_test_images(0)
    found_knee = knee.find({job: values[job].test_mse for job in values}, distances) if baselines.varies else None
    decided, answers = _verdicts(asked, models, baselines, found_knee)
    if images.is_rows:
        names = asked.dataset.names
        decided = replace(decided, sentence=of_rows(decided.sentence, names))
        answers = tuple(replace(a, sentence=of_rows(a.sentence, names)) for a in answers)
    shown = _shown(images, pairs, seed) | _extremes(images, errors, decided)
    (linear, interpolated), neighbours, compressed = side_by_side(
        lambda: baselines.ground.interpolate_all(networks, baselines.pca, pairs),
        lambda: tradeoffs.neighbours(networks, images),
        lambda: tradeoffs.compression(
            networks, {model.job: model.codes for model in trained}, errors, images, baselines.pca
        ),
    )
    results = Results(
        schema=SCHEMA,
        dataset=asked.dataset,
        recipe=asked.recipe,
        environment=asked.environment,
        models=tuple(models),
        pca=baselines.pca_in_units(size.latent_dim for size in sizes),
        interpolation=interpolated,
        verdict=decided,
        variance=baselines.variance,
        pca_curve=baselines.pca_results(_curve_sizes(images, sizes)),
        comparisons=comparisons.compare_networks(values, linear),
        against_pca=comparisons.compare_with_pca(values, baselines),
        shown={name: tuple(shown[f"{name}_indices"].tolist()) for name in LISTED if name in shown},
        sizes=sizes,
        size_comparisons=comparisons.compare_sizes(values),
        sampling=comparisons.sampling(values, baselines),
        answers=answers,
        lost=_trade_offs(values, errors, images, shown, neighbours, compressed) if networks else None,
        curve=asked.curve and replace(asked.curve, apart=comparisons.compare_nested(asked.curve, sizes)),
        intrinsic=None if asked.keep is None else intrinsic.estimates(images, seed),
        quality=asked.quality,
        column_deviations=None if baselines.units is None else baselines.units.deviations,
    )
    return results, shown


def _curve_sizes(images: ImageSet, sizes: Sequence[SizeResult]) -> list[int]:
    """Numbers of components at which PCA is drawn; of rows those of the study too, see `Results.pca_errors`."""
    own = {size.latent_dim for size in sizes} if images.is_rows else set()
    return sorted(own.union(k for k in CURVE_SIZES if k <= images.pixels))


def _trade_offs(
    values: Mapping[Job, ImageValues],
    errors: Mapping[Job, Array],
    images: ImageSet,
    shown: Mapping[str, Array],
    neighbours: Neighbours | None,
    compression: Compression,
) -> TradeOffs:
    return TradeOffs(
        by_class=tradeoffs.class_errors({job: v.test_mse for job, v in values.items()}, images),
        worst_errors=_errors_of(errors, shown.get("worst_indices")),
        gained_errors=_errors_of(errors, shown.get("gained_indices")),
        neighbours=neighbours,
        compression=compression,
    )


def _verdicts(
    asked: Settings, models: Sequence[Model], baselines: Baselines, found_knee: Knee | None
) -> tuple[Verdict | NotAsked, tuple[Verdict, ...]]:
    """The verdict, and the table of those at other shares with the one that was asked for."""
    flat = no_variance(vars(baselines.variance))

    limit = most_components(baselines.images, baselines.pixels)

    def following(keep: Keep) -> list[int]:
        scouts = asked.scouts if keep == asked.keep else {}
        step = next_step(keep, asked.seeds, models, baselines, asked.recipe, scouts)
        return sorted({job.latent_dim for job in step.jobs} | {*step.scouts[:1]})

    def answered(keep: float) -> Verdict:
        components = baselines.components_for(keep)
        return answer(models, keep, following(keep), asked.recipe, components, found_knee, flat, limit)

    shares = {*verdict.KEEPS, *([asked.keep] if isinstance(asked.keep, float) else [])}
    found = {keep: answered(keep) for keep in sorted(shares)}
    if asked.keep is None:
        decided: Verdict | NotAsked = verdict.not_asked(flat, found_knee)
    elif asked.keep == "knee":
        to_try, components = following("knee") if asked.search else [], _as_much(models, found_knee, baselines)
        decided = answer_of_knee(models, found_knee, to_try, asked.recipe, components, flat, [*(asked.scouts or ())])
    else:
        decided = found[asked.keep]
    return decided, tuple(found.values())


def _as_much(models: Sequence[Model], at: Knee | None, baselines: Baselines) -> int | None:
    """The PCA components that keep as much of the variance as the networks of a knee."""
    if at is None:
        return None
    return baselines.components_for(verdict.sizes(models)[at.latent_dim].mean.mean)


def _shown(images: ImageSet, pairs: NDArray[np.int64], seed: int) -> dict[str, Array]:
    """The images in the pictures, with their indices and labels (-1 where there are none)."""
    arrays = {"pairs": images.x_train[pairs], "pairs_labels": _labels(images.y_train, pairs)}
    for split, x, y in (("train", images.x_train, images.y_train), ("test", images.x_test, images.y_test)):
        arrays |= _named(split, x, y, interpolation.choose(SHOWN, y, len(x), seed))
    order = np.random.default_rng([seed, len(images.x_test), 5]).permutation(len(images.x_test))
    return arrays | _named("map", images.x_test, images.y_test, np.sort(order[: at_most(EXPLORED, images.pixels)]))


def _extremes(images: ImageSet, errors: Mapping[Job, Array], decided: Verdict | NotAsked) -> dict[str, Array]:
    """The images with the largest error, and with two sizes those on which most is lost, see `verdict.between`."""
    if not errors:
        return {}
    arrays, by_size = _named("worst", images.x_test, images.y_test, tradeoffs.worst(errors)), _of_sizes(errors)
    if len(by_size) > 1:
        answer = None if isinstance(decided, NotAsked) else decided.latent_dim or decided.best
        small, large = verdict.between(sorted(by_size), answer if answer in by_size else None)
        chosen = tradeoffs.gained(by_size[small], by_size[large])
        arrays |= _named("gained", images.x_test, images.y_test, chosen)
    return arrays


def _of_sizes(errors: Mapping[Job, Array]) -> dict[int, Array]:
    return {job.latent_dim: of_images for job, of_images in errors.items()}


def _named(name: str, x: Array, y: Array | None, chosen: NDArray[np.int64]) -> dict[str, Array]:
    return {name: x[chosen], f"{name}_indices": chosen, f"{name}_labels": _labels(y, chosen)}


def _labels(y: Array | None, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.full(chosen.shape, -1) if y is None else y[chosen].astype(np.int64)


def _errors_of(errors: Mapping[Job, Array], chosen: NDArray[np.int64] | None) -> tuple[ShownErrors, ...] | None:
    if chosen is None:
        return None
    return tuple(ShownErrors(*job, tuple(of_images[chosen].tolist())) for job, of_images in errors.items())
