"""`study.json`: what was asked of the study in a folder, and whether what is asked now is the same study.

More sizes, more seeds, a share to keep and a nested network may be asked of a study that is there; anything else that
differs makes it another study.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from ..data.images import Dataset, ImageSet
from ..errors import InputError
from ..measure import verdict
from ..parts import OPTIONAL
from ..recipe import Job, Recipe
from ..results import SCHEMA, Keep
from .files import from_json, read_json, to_json
from .own import Described
from .request import Request, default_recipe

LISTED = 12  # differences from another study that are listed: its networks may have many tensors
GROWING = ("latent_dims", "seeds", "models", "keep", "search", "curve")  # what may be added to a study that is there
NOT_COMPARED = (
    *GROWING,
    "source",
    "dataset.stand_in",
    "dataset.flags",
    "dataset.prepared",
    "network.name",
)  # the same images may come by another way


@dataclass(frozen=True, kw_only=True)
class StudyFile:
    """`study.json`: everything that was asked, nothing that was found."""

    schema: int
    source: str | None
    dataset: Dataset
    recipe: Recipe
    latent_dims: tuple[int, ...]
    seeds: tuple[int, ...]
    models: tuple[Job, ...]
    precision: str
    products: str = ""
    device: str
    keep: Keep | None
    search: bool
    curve: bool
    network: Described | None = field(default=None, metadata=OPTIONAL)  # of the user's own


def read_request(folder: Path) -> StudyFile | None:
    """What `study.json` says; None where there is none.

    Raises:
        InputError: It is there and not a study's.
    """
    path = folder / "study.json"
    try:
        if not path.exists():
            return None
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; expected a folder that can be read") from None
    value = read_json(path)
    try:
        asked: StudyFile = from_json(StudyFile, value)
        return asked
    except ValueError as error:
        raise InputError(
            f"{path} is not what `latentfit study` writes ({error}); give another --out, or remove it"
        ) from None


def joined(folder: Path, before: StudyFile, request: Request, images: ImageSet) -> Request:
    """The request with the networks that were asked for before, where it is the same study otherwise."""
    written = read_json(folder / "study.json")  # with keys of later versions
    request = request.with_own_described(images.seen, before.network)
    if differences := _differences(_merged(to_json(before), written), to_json(describe(request, images))):
        raise InputError(
            f"{folder} holds another study; give another --out, or start over with --fresh", tuple(differences)
        )
    for job in before.models:
        if not (1 <= job.latent_dim <= images.seen.pixels and job.seed >= 0):
            raise InputError(
                f"{folder / 'study.json'} has a model of size {job.latent_dim}, seed {job.seed}; expected "
                f"sizes from 1 to {images.seen.pixels} and seeds from 0; start over with --fresh"
            )
    return replace(
        request,
        jobs=tuple(sorted({*before.models, *request.jobs})),
        seeds=tuple(sorted({*before.seeds, *request.seeds})) if request.search else request.seeds,
        source=request.source if images.stand_in else before.source,
        keep=request.keep if before.keep is None or request.keep is not None else verdict.check(before.keep),
        curve=request.curve or before.curve,
    )


def describe(request: Request, images: ImageSet) -> StudyFile:
    """What `study.json` says of a request."""
    return StudyFile(
        schema=SCHEMA,
        source=request.source,
        dataset=images.description,
        recipe=request.recipe,
        latent_dims=tuple(sorted({job.latent_dim for job in request.jobs})),
        seeds=tuple(sorted({*request.seeds, *(job.seed for job in request.jobs)})),
        models=request.jobs,
        precision=request.precision,
        products=request.products,
        device=request.device,
        keep=request.keep,
        search=request.search,
        curve=request.curve,
        network=request.described,
    )


def _differences(before: dict[str, object], wanted: dict[str, object]) -> list[str]:
    """What two `study.json` differ in beside their networks, a line each; of many the first."""
    old, new = _flat(before), _flat(wanted)
    keys = [key for key in {**old, **new} if key not in NOT_COMPARED]
    found = [f"{k}: there {old.get(k)!r}, asked {new.get(k)!r}" for k in keys if old.get(k) != new.get(k)]
    return found if len(found) <= LISTED else [*found[: LISTED - 1], f"and {len(found) - LISTED + 1} more"]


def _merged(defaults: dict[str, object], given: dict[str, object]) -> dict[str, object]:
    """What was given, with the defaults of keys that an earlier version did not write."""
    merged = defaults | given
    for key, value in defaults.items():
        if isinstance(value, dict) and isinstance(inner := merged[key], dict):
            merged[key] = _merged(value, inner)
    return merged


def _flat(value: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {prefix + key: inner}
    return flat


def recipe_of(
    recipe: str | Recipe | None, source: str | Path | ImageSet, keep: Keep | None, folder: str | Path | None
) -> str | Recipe:
    """The recipe that was asked for; where none was, that of a study in the folder, which may grow, or the default."""
    if recipe is not None:
        return recipe
    there = None if folder is None else read_request(Path(folder))
    return there.recipe if there else default_recipe(source, keep)
