"""How many dimensions does any model need? The search and the rule of a study, for scores that the user computes.

The score of a size and a seed is the explained variance of held-out data, however the model was trained: scvi, Keras,
scikit-learn. Nothing is known of the data here, so the interval is for other seeds alone, and the sentence says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path

import numpy as np

from ..errors import InputError, whole_number
from ..formatting import latent, listed, percent, plural
from ..measure import verdict
from ..measure.answer import explained_text, share
from ..measure.search import Search
from ..measure.verdict import Size
from ..recipe import Job
from ..results import Verdict
from . import files

Score = Callable[[int, int], float]

FALL = 0.7  # exponent of size with which the unexplained share is taken to fall before anything is known


@dataclass(frozen=True)
class Choice:
    """The size that is enough, and everything that it rests on.

    Attributes:
        verdict: As that of a study: `status`, `latent_dim`, `not_enough`, `explained_variance`, `interval`, `sentence`.
        scores: Explained variance by (latent_dim, seed).
    """

    verdict: Verdict
    scores: dict[Job, float]

    @property
    def latent_dim(self) -> int | None:
        """The size that is enough; None where none is."""
        return self.verdict.latent_dim

    @property
    def sentence(self) -> str:
        """The answer in words."""
        return self.verdict.sentence

    def __str__(self) -> str:
        return self.sentence


def choose_size(
    score: Score,
    keep: float = 0.9,
    *,
    max_dim: int,
    seeds: int = verdict.SEEDS,
    executor: Executor | None = None,
    file: str | Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> Choice:
    """The smallest latent size that is enough, of a model of any kind, found with few trainings.

    Args:
        score: Trains a model with (latent_dim, seed) and returns the explained variance of held-out data: a number up
            to 1, see `sklearn.metrics.explained_variance_score` or `r2_score`.
        keep: The share of the variance to keep, between 0 and 1.
        max_dim: The largest size to try.
        seeds: Of each of the two sizes that the answer rests on, two or more.
        executor: Runs the calls of `score` that do not wait for each other; they run here, one after the other, if it
            is not given. Not shut down.
        file: Where scores are kept as JSON, so that the same call goes on after it was stopped, or asks for another
            share.
        tell: Called with a line after each score.

    Raises:
        InputError: A value is not possible, the file holds something else, or a score is no number up to 1.

    Example:
        >>> choose_size(lambda latent_dim, seed: 1 - 0.5**latent_dim, 0.9, max_dim=20).latent_dim
        4
    """
    share_to_keep = verdict.check(keep)
    if share_to_keep == "knee":
        raise InputError("keep 'knee' takes errors of single items; expected a number between 0 and 1, for example 0.9")
    largest, count = whole_number("max_dim", max_dim), whole_number("number of seeds", seeds)
    if count < 2:
        raise InputError(f"seeds {count}; expected 2 or more, as a single training has no interval")
    path = None if file is None else Path(file)
    scores = {} if path is None else _read(path)
    if path is not None:
        _write(path, scores)  # an error comes before the first training
    prior = 1 - np.arange(1, largest + 2, dtype=float) ** -FALL  # (K + 1,)
    while True:
        within = {job: value for job, value in scores.items() if job.latent_dim <= largest}
        search = Search(share_to_keep, tuple(range(count)), prior, largest, _tried(within), _sizes(within))
        jobs = sorted(search.next().jobs)
        if not jobs:
            found = verdict.decide(search.sizes, share_to_keep)
            return Choice(
                replace(found, sentence=_sentence(found, search.sizes, largest)), dict(sorted(scores.items()))
            )
        for job, value in _computed(score, jobs, executor):
            scores[job] = _checked(job, value)
            if path is not None:
                _write(path, scores)
            if tell:
                tell(f"{latent(job.latent_dim)}, seed {job.seed}: {percent(scores[job], 2)}")


def _computed(score: Score, jobs: Sequence[Job], executor: Executor | None) -> Iterator[tuple[Job, object]]:
    """Scores as they come."""
    if executor is None:
        yield from ((job, score(*job)) for job in jobs)
        return
    running = {executor.submit(score, *job): job for job in jobs}
    for future in as_completed(running):
        yield running[future], future.result()


def _checked(job: Job, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not -math.inf < float(value) <= 1:
        raise InputError(f"score{tuple(job)} is {value!r}; expected explained variance, a finite number up to 1")
    return float(value)


def _read(path: Path) -> dict[Job, float]:
    if not path.exists():
        return {}
    try:
        rows = json.loads(path.read_text())["scores"]
        jobs = [Job(row["latent_dim"], row["seed"]) for row in rows]
        if not all(type(k) is type(seed) is int and k >= 1 and seed >= 0 for k, seed in jobs):
            raise ValueError("a size or a seed is no whole number")
        return {job: _checked(job, row["score"]) for job, row in zip(jobs, rows, strict=True)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no scores of choose_size ({error}); give another file, or remove it") from None


def _write(path: Path, scores: Mapping[Job, float]) -> None:
    try:
        files.write_json(path, {"scores": [{**job._asdict(), "score": scores[job]} for job in sorted(scores)]})
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; expected a file that can be written") from error


def _tried(scores: dict[Job, float]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for job in sorted(scores):
        found.setdefault(job.latent_dim, []).append(job.seed)
    return found


def _sizes(scores: dict[Job, float]) -> dict[int, Size]:
    tried = _tried(scores)
    return {
        k: Size(tuple(scores[Job(k, seed)] for seed in seeds), (0.0,) * len(seeds), tuple(seeds))
        for k, seeds in tried.items()
    }


def _sentence(found: Verdict, sizes: Mapping[int, Size], largest: int) -> str:
    keep = float(found.keep)
    alone = "The interval is for other seeds alone, not for other held-out data."
    wanted = f"to keep {share(keep)} of the variance"
    assert found.best is not None
    best = explained_text(sizes[found.best], keep).replace(" and the test images", "")
    if found.status == "not_reached":
        tried = f"None of the sizes tried ({listed([*map(str, sizes)])}, of up to {largest})"
        return f"{tried} is enough {wanted}: {latent(found.best)} explain{'s' * (found.best == 1)} {best}. {alone}"
    if found.status == "undecided":
        more = "" if not found.more_seeds else f"; {plural(found.more_seeds, 'more seed')} may settle it"
        return f"Undecided: {latent(found.best)} may be enough {wanted} ({best}){more}. {alone}"
    verb = "is" if found.best == 1 else "are"
    told = f"{latent(found.best)} {verb} enough {wanted} ({best})"
    if found.not_enough:
        below = explained_text(sizes[found.not_enough], keep).partition(" %")[0]
        told += f"; {found.not_enough} {'is' if found.not_enough == 1 else 'are'} not ({below} %)"
        if found.best - found.not_enough > 1:
            told += "; sizes between were not tested"
    elif found.best > 1 and not found.open:
        told = told.replace(latent(found.best), f"At most {latent(found.best)}", 1).replace("are enough", "are needed")
    if undecided := [str(k) for k in found.open]:
        told += f"; {listed(undecided)} may be enough too"
    return f"{told}. {alone}"
