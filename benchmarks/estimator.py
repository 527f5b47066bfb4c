"""What a fit of the estimator costs against a study's training of the same network, in turns.

The study's side is what one of its workers does: the start, the training with its errors of test images after each
epoch, and the measurements. The estimator's side is `Autoencoder.fit` on the same images as rows of bytes, which it
checks. Both use one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from clock import kind

from latentfit.data import load
from latentfit.estimator import Autoencoder
from latentfit.hardware import products_of
from latentfit.recipe import RECIPES
from latentfit.sweep.job import train_group


def main() -> None:
    """Time both in turns, and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", choices=RECIPES, default="reference")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args()
    whole = load("auto")
    images = replace(whole, x_train=whole.x_train[: asked.images], y_train=None, y_test=None, classes=None)
    rows = images.x_train.reshape(len(images.x_train), -1)  # (N, D)
    recipe = replace(RECIPES[asked.recipe].fitting(len(rows)), epochs=asked.epochs)
    trained_on, products = images.with_held_out() if recipe.holds_out else images, products_of("auto", "cpu")
    estimator = Autoencoder(16, recipe=asked.recipe, epochs=asked.epochs, device="cpu")
    sides: dict[str, Callable[[], object]] = {
        "study": lambda: train_group([(16, 0)], trained_on, recipe, products),
        "estimator": lambda: estimator.fit(rows),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(asked.turns):
        for name, side in sides.items():
            begun, busy = time.perf_counter(), time.process_time()
            side()
            seconds[name].append((time.perf_counter() - begun, time.process_time() - busy))
    told = f"{kind()}, {images.name}, {len(rows):,} images, {asked.recipe}, {asked.epochs} epochs, {asked.turns} turns"
    for what, place in (("seconds", 0), ("seconds of processor time", 1)):
        study, fit = (statistics.median(pair[place] for pair in seconds[name]) for name in sides)
        print(f"{told}: {what} of a study's training {study:.1f}, of a fit {fit:.1f}, ratio {fit / study:.3f}")
    ratios = [f[1] / s[1] for s, f in zip(*seconds.values(), strict=True)]
    print(f"{told}: ratio of processor time in each turn {', '.join(f'{ratio:.3f}' for ratio in ratios)}")


if __name__ == "__main__":
    main()
