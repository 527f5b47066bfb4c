"""Results of studies that were never trained: the errors are given, and the package sums them up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from latentfit.data import quality
from latentfit.data.images import ImageSet
from latentfit.measure.interpolation import Ground
from latentfit.measure.network import Baselines, ImageValues, Measurement, failed, model_result
from latentfit.measure.summary import Settings, summarize
from latentfit.model import Network
from latentfit.pca import PCA
from latentfit.recipe import REFERENCE, Epoch, Job, first_seeds
from latentfit.results import Codes, Dataset, Environment, Quality, Results, Variance

CLASSES = ("shirt", "shoe", "bag")
REASON = "the error was no longer a finite number"
PCA_ERRORS = {1: 0.08, 2: 0.07, 4: 0.05, 8: 0.04, 16: 0.03, 24: 0.025, 32: 0.022, 48: 0.02, 64: 0.015}
BETTER, EQUAL, WORSE = {16: 0.02, 48: 0.01}, {16: 0.02, 48: 0.02}, {16: 0.01, 48: 0.02}
SEEDS = {(16, 0): 0.02, (16, 1): 0.021, (48, 0): 0.01, (48, 1): 0.012}
MANY = {1: 0.06, 2: 0.05, 4: 0.04, 8: 0.03, 16: 0.03, 24: 0.015, 32: 0.023, 48: 0.01}
_MADE: dict[str, Results] = {}  # by what they were made of; results do not change
MANY_SEEDS = {(k, seed): error * (1 + seed / 50) for k, error in MANY.items() for seed in (0, 1, 2)}


def results(
    errors: Mapping[Any, float],
    *,
    failures: Iterable[tuple[int, int]] = (),
    train_share: float = 0.9,
    fall: float | None = 0.001,
    variance: float = 0.1,
    noise: float = 0.05,
    test_images: int = 400,
    labels: bool = True,
    **numbers: Any,
) -> Results:
    """Results of a study.

    Args:
        errors: Mean test error of each network, by latent size or by (latent size, seed).
        failures: Networks whose training failed.
        train_share: Training error as a share of the test error.
        fall: Share of the training error that the last tenth of the epochs removed; None for a single epoch.
        variance: Of the images.
        noise: Of each image's error, as a share of the mean error; with 0 all images have the same error.
        test_images: Number of test images.
        labels: Whether the images have classes.
        **numbers: Fields of each `ModelResult` in place of its own, as one value or as a dict by latent size.
    """
    options = (failures := list(failures)), train_share, fall, variance, noise, test_images, labels, numbers
    if (known := _MADE.get(key := repr((errors, options)))) is not None:
        return known
    jobs = {Job(*job) if isinstance(job, tuple) else Job(job, 0): error for job, error in errors.items()}
    images, baselines = _images(test_images, labels), _baselines(test_images, labels, variance, noise)
    values = {job: _values(error, noise, test_images, i) for i, (job, error) in enumerate(jobs.items())}
    history = [Epoch(i, 1 - (fall or 0) * (i > 18)) for i in range(1, 2 if fall is None else 21)]
    models = {Job(*job): failed(Job(*job), REASON) for job in failures}
    for job, error in jobs.items():
        k = job.latent_dim
        codes = Codes((1.0,) * k, (-3.0,) * k, (3.0,) * k)
        found = Measurement(train_share * error, None, 0.8, 3.0, codes, values[job])
        model = model_result(job, found, history, images, REFERENCE, baselines)
        models[job] = replace(model, **{n: v[k] if isinstance(v, dict) else v for n, v in numbers.items()})
    settings = Settings(
        Dataset("clothes", "sha256:0", 60_000, 10_000, (28, 28), images.classes, stand_in=False),
        REFERENCE,
        Environment(latentfit="", torch="", device="cpu", precision="fp32", processor=""),
        Quality(**vars(quality.look(images)), notes=()),
        seeds=(0,),
        search=False,
        keep=None,
        scouts={},
        curve=None,
    )
    networks = {job: Network(images.pixels, job.latent_dim, hidden=()) for job in first_seeds(jobs)}
    _MADE[key] = summarize(settings, [models[job] for job in sorted(models)], networks, values, images, baselines)[0]
    return _MADE[key]


def with_tests(found: Results, **tests: Mapping[str, Any]) -> Results:
    """Results with other numbers in the test of a quantity, in every comparison of networks."""
    others = [{name: replace(getattr(c, name), **new) for name, new in tests.items()} for c in found.comparisons]
    return replace(found, comparisons=tuple(replace(c, **o) for c, o in zip(found.comparisons, others, strict=True)))


@cache
def _images(test_images: int, labels: bool) -> ImageSet:
    """Images of noise, of 20 bytes each."""
    x = np.random.default_rng(0).integers(0, 256, (60 + test_images, 4, 5), np.uint8)
    y = np.arange(len(x)) % len(CLASSES)
    return ImageSet("clothes", x[:60], x[60:], *((y[:60], y[60:], CLASSES) if labels else ()))


@cache
def _baselines(test_images: int, labels: bool, variance: float, noise: float) -> Baselines:
    """PCA with PCA_ERRORS, and straight lines between them."""
    images, known = _images(test_images, labels), {0: variance} | PCA_ERRORS
    curve = np.interp(range(65), list(known), list(known.values()))
    each = np.stack([_values(error, noise, test_images, 1000 + k).test_mse for k, error in enumerate(curve)], axis=1)
    pca = PCA(curve, curve, each.astype(np.float32), np.zeros(images.pixels), np.eye(images.pixels))
    return Baselines(
        len(images.x_train),
        pca,
        pca,
        Variance(variance, variance),
        np.full(test_images, 0.7),
        Ground.of(images, 0),
        unlike=0.0,
    )


def _values(error: float, noise: float, count: int, seed: int) -> ImageValues:
    """Values of each image; the mean error is exact, and an image is easy or difficult for all networks."""
    rng = np.random.default_rng([seed, 1])
    parts = noise * (np.linspace(-10, 10, count) + rng.normal(0, 1, count))
    return ImageValues(error * (1 + parts - parts.mean()), 0.5 * (1 + noise * rng.normal(0, 1, count)))
