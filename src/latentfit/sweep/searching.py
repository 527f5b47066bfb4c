"""What a search for a size does beside training networks: short trainings that show where to look, and the time left.

A short training (a "scout", see `measure.search`) is kept in the study's folder beside its networks, is no network of
the study, and no sentence rests on it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.images import ImageSet
from ..errors import KEPT, InputError, Lost
from ..formatting import duration, listed, percent, plural
from ..measure import search
from ..measure.answer import share
from ..measure.network import Baselines
from ..measure.search import Step
from ..measure.verdict import Size
from ..parts import OfNetwork
from ..recipe import Job, Recipe
from ..results import Keep, Model
from ..train import fit
from .files import read, write_json
from .job import TrainedNetwork, build
from .own import seeded
from .pool import TimeUp, Work
from .remote import Remote
from .request import Request
from .timing import Clock

EPOCHS, STEPS = 3, 1_000  # of a scout: whichever takes longer
HIDDEN, RATE = (512, 256), 0.003
USUAL_STEPS, USUAL_EPOCHS = 2_500, 26  # of a network that is trained until it is done: whichever takes longer


@dataclass(frozen=True)
class Scout(OfNetwork):
    """What one found: explained variance of the test images and its standard error; None where it diverged."""

    explained: float | None
    error: float | None


def next_step(
    request: Request, models: Sequence[Model], baselines: Baselines, scouts: Mapping[int, Size] | None
) -> Step:
    """What a search trains next; nothing where it has ended, or nothing is searched.

    Args:
        request: What is asked.
        models: The networks that were trained in full.
        baselines: Measurements of the images alone.
        scouts: See `as_sizes`.
    """
    if not request.search or request.keep is None:
        return Step()
    if not baselines.varies and not models:  # no size keeps a share, and a study shows at least one network
        return Step(jobs=frozenset(Job(1, seed) for seed in request.seeds))
    return search.next_step(request.keep, request.seeds, models, baselines, request.recipe, scouts)


def likely_next(
    request: Request,
    models: Mapping[Job, Model],
    baselines: Baselines,
    scouts: Mapping[int, Size] | None,
    largest: int,
    coming: Collection[Job],
) -> Collection[Job]:
    """What a search probably wants when some networks that are wanted or under way have been trained.

    Args:
        request: A search.
        models: The networks that were trained in full.
        baselines: As of `next_step`.
        scouts: As of `next_step`.
        largest: The largest size to name.
        coming: The networks that are wanted or under way.
    """
    if not baselines.varies or not isinstance(request.keep, float):  # the networks of a knee are wanted all at once
        return ()
    known = search.Search.of(request.keep, request.seeds, [*models.values()], baselines, request.recipe, scouts)
    new = [job for job in coming if job not in models and job.latent_dim <= known.largest]
    return [job for job in known.expecting(new).next().jobs if job.latent_dim <= largest]


@dataclass(frozen=True)
class Forecast:
    """How long a search should take: networks that it still needs, or more, side by side, and seconds of each."""

    networks: int
    workers: int
    seconds: float

    def __str__(self) -> str:
        together = duration(math.ceil(self.networks / self.workers) * self.seconds)
        trainings = (
            f"{plural(self.networks, 'network')} or more, {duration(self.seconds)} each, {self.workers} at a time"
        )
        return f"about {together}: {trainings}"

    def after(self, seconds: Sequence[float], missing: int) -> Forecast:
        """The same when so many networks have been trained, by their seconds, and so many of this step are not."""
        return replace(self, networks=max(self.networks - len(seconds), missing), seconds=sum(seconds) / len(seconds))


def forecast(request: Request, work: Work, workers: int, finished: int) -> Forecast:
    """How long a search should take, by some steps of a training that are timed here.

    Args:
        request: What is asked.
        work: What workers would get.
        workers: How many there would be.
        finished: Networks that are there.
    """
    recipe, x_train = work.recipe, work.images.x_train
    ends, few = list[float](), replace(recipe, schedule="constant", epochs=3, learning_rate=1e-9)
    size = min(request.tried_sizes(work.images)) if work.own else 1
    network = build(work.images, recipe, Job(size, 0), work.start, work.own)
    with seeded(0, size):  # layers of the user's own may draw
        fit(network, x_train[: 10 * recipe.batch_size], few, progress=lambda _: ends.append(time.perf_counter()))
    timed = math.ceil(min(len(x_train), 10 * recipe.batch_size) / recipe.batch_size)
    an_epoch = math.ceil(len(x_train) / recipe.batch_size)
    steps = recipe.epochs * an_epoch
    if recipe.holds_out:
        steps = min(steps, max(USUAL_STEPS, USUAL_EPOCHS * an_epoch))
    seconds = (ends[-1] - ends[-2]) / timed * steps
    networks = (3 if request.keep == "knee" else 2) * len(request.seeds)
    return Forecast(max(networks - finished, 1), workers, max(seconds, 1))


def try_own(request: Request, trained_on: ImageSet, jobs: Iterable[Job]) -> None:
    """Try a network of the user's own at sizes that it was not tried at before the study began.

    Raises:
        Lost: It cannot be trained at one of them.
    """
    try:
        request.check_own(trained_on, {job.latent_dim for job in jobs})
    except InputError as error:
        raise Lost(f"{error}; {KEPT}") from error


def recipe_of_scouts(recipe: Recipe, images: int) -> Recipe:
    """A recipe that starts as PCA, shortened for so many training images: a fixed number of epochs, none held out."""
    epochs = max(EPOCHS, math.ceil(STEPS * recipe.batch_size / images))
    return replace(
        recipe, hidden=HIDDEN, learning_rate=RATE, schedule="cosine", epochs=min(epochs, recipe.epochs), name="scout"
    )


def train(
    jobs: Sequence[Job], work: Work, baselines: Baselines, remote: Remote | None, clock: Clock
) -> Iterator[Scout]:
    """Train scouts: one after the other in this process, while workers start, or elsewhere.

    Raises:
        TimeUp: The clock's time is over.
    """

    def left(*_: object) -> float | None:
        if (seconds := clock.left()) is not None and seconds <= 0:
            raise TimeUp
        return seconds

    seconds = left()
    short = replace(work, recipe=recipe_of_scouts(work.recipe, len(work.images.x_train)))
    here = (network for job in jobs for network in short.train([job], left))
    for trained in here if remote is None else remote.train(jobs, short, seconds):
        yield _scout(trained, baselines)


def _scout(trained: TrainedNetwork, baselines: Baselines) -> Scout:
    if trained.measurement is None:
        return Scout(*trained.job, None, None)
    errors = trained.measurement.per_image.test_mse
    explained = baselines.explained(float(errors.mean()), baselines.variance.test)
    return Scout(*trained.job, explained, baselines.explained_error(errors))


def write_scout(study: Path, scout: Scout) -> None:
    """Keep it in DIR/search/k016.json."""
    (study / "search").mkdir(exist_ok=True)
    write_json(study / "search" / f"k{scout.latent_dim:03d}.json", scout)


def read_scouts(study: Path) -> dict[int, Scout]:
    """Those of a folder, by size; what cannot be read is none."""
    found = {}
    for path in sorted((study / "search").glob("k*.json")):
        with suppress(InputError):
            scout = read(Scout, path)
            found[scout.latent_dim] = scout
    return found


def as_sizes(scouts: Mapping[int, Scout], keep: Keep | None) -> dict[int, Size] | None:
    """What `measure.search` takes; one that diverged explains nothing, and ends the looking by scouts for a share."""
    if keep != "knee" and any(scout.explained is None for scout in scouts.values()):
        return None
    return {k: Size((scout.explained or 0.0,), (scout.error or 0.0,), (scout.seed,)) for k, scout in scouts.items()}


def nothing_trained(
    request: Request, baselines: Baselines, scouts: Mapping[int, Scout], expected: Forecast | None
) -> str:
    """What is known where the time was too short for a single network."""
    known = ""
    if isinstance(request.keep, float):
        count = baselines.components_for(request.keep)
        needs = "does not keep" if count is None else f"needs {plural(count, 'component')} to keep"
        known = f" PCA {needs} {share(request.keep)} of the variance of the test images;"
    if looked := [f"{percent(s.explained, 1)} with {k}" for k, s in sorted(scouts.items()) if s.explained is not None]:
        known += f" short trainings explain {listed(looked)};"
    takes = f"one takes about {duration(expected.seconds)}, so give it more" if expected else "give it more"
    return f"the minutes were too few for a network;{known} {takes}"
