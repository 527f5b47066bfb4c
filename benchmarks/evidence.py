"""Is the answer true? Studies whose right answer is known: `make evidence`.

`linear`: Gaussian sets of rank r, and a share above what r - 1 dimensions reach: the answer is r. `curved`: images made
of n continuous factors, and a share between what n - 1 and n reach: the answer is n. `knee`: sets with and without a
number of factors, which `--keep knee` should find or deny. `fashion`: searches on Fashion-MNIST at four shares, and
before them the reference study, as a measure of the time of the first. Beside them the answers of the six estimators of
intrinsic dimension. `simulate.py` has what thousands of studies would show.

Rows are kept as they come, so a run that was stopped goes on; `docs/verdict.md` is made of them by
`tools/fill_verdict.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, as_completed
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # two studies at once, each in one thread

import loky
import made
import torch

import latentfit
from latentfit.data import garments
from latentfit.data.images import ImageSet
from latentfit.hardware import processor
from latentfit.recipe import CONVERGED
from latentfit.results import Keep
from latentfit.sweep.job import train_group

RESULT = Path(__file__).parent / "results" / "evidence.json"
KINDS = ("packing", "linear", "curved", "knee", "reference", "fashion")
RANKS, SETS = range(2, 12), 2
RUNS = 4  # of each curved kind
KEEPS = (0.90, 0.80, 0.85, 0.95)  # of Fashion-MNIST, in the order in which they are asked
ASKED = ("status", "latent_dim", "not_enough", "open", "explained_variance", "interval", "pca_components", "gates")

Row = dict[str, Any]


class Here(Executor):
    """Runs jobs in this process: a study takes one core, and two studies run side by side."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it now."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def answered(images: ImageSet, keep: Keep, folder: Path | None = None) -> Row:
    """What a search says, how many trainings it took, and what the estimators say."""
    with tempfile.TemporaryDirectory() as temporary:
        out = folder or Path(temporary) / "study"
        before = len([*out.glob("models/*")]) + len([*out.glob("search/*")])
        study = latentfit.study(images, keep=keep, out=out, executor=None if folder else Here())
        verdict = study.results["verdict"]
        scouts = len([*out.glob("search/*")])
        return {name: verdict[name] for name in ASKED} | {
            "keep": keep,
            "knee": verdict["knee"],
            "sentence": verdict["sentence"],
            "short": scouts,
            "trainings": len(study.results["models"]) + scouts - before,
            "seconds": sum(m["seconds"] for m in json.loads((out / "timing.json").read_text())["models"]),
            "estimates": {e["name"]: e["value"] for e in study.results["intrinsic"]["estimates"]},
        }


def reached(images: ImageSet, size: int) -> float:
    """Explained variance of the test images by one network, trained until it is done."""
    recipe = CONVERGED.fitting(len(images.x_train))
    (trained,) = train_group([(size, 0)], images.with_held_out(), recipe)
    assert trained.measurement is not None
    errors = trained.measurement.per_image.test_mse
    mean = images.x_train.mean(axis=0, dtype=float)
    return 1 - float(errors.mean()) / float(((images.x_test - mean) ** 2).mean())


def of_packing(rank: int) -> Row:
    """What r - 1 dimensions reach of a set of rank r, with ten times the images, and so a network twice as wide."""
    return {"rank": rank, "packed": reached(made.linear(rank, 0, 40_000), rank - 1)}


def of_linear(rank: int, seed: int, packed: float) -> Row:
    """A search at the midpoint of 1 and what r - 1 dimensions reach."""
    return {"rank": rank, "packed": packed} | answered(made.linear(rank, seed), round((1 + packed) / 2, 4))


def of_curved(name: str, seed: int) -> Row:
    """A search at the midpoint of what one factor fewer and all of them reach."""
    images, factors = made.curved(name, seed), made.CURVED[name][0]
    fewer, all_of_them = reached(images, factors - 1), reached(images, factors)
    between = {"factors": factors, "fewer": fewer, "all": all_of_them}
    return between | answered(images, round((fewer + all_of_them) / 2, 4))


def of_garments() -> Row:
    """The drawn clothes: eight factors within a class, some of which hardly change a pixel."""
    drawn = garments.draw(8000, 2000)
    return {"factors": drawn.true_factors} | answered(drawn, 0.95)


def of_knee(make: Callable[[], ImageSet], factors: int | None) -> Row:
    """A search for the knee of a set with so many factors, or none that could be counted."""
    return {"factors": factors} | answered(make(), "knee")


def of_reference(folder: Path) -> Row:
    """Seconds of the training of the reference study, beside which those of the first search stand."""
    out = latentfit.study("fashion-mnist", out=folder, fresh=True).folder
    return {"train": json.loads((out / "timing.json").read_text())["seconds"]["train"]}


def of_fashion(keep: float, folder: Path) -> Row:
    """A search on Fashion-MNIST, in a folder that has the networks of those before."""
    images, began = latentfit.load_data("fashion-mnist"), time.perf_counter()
    return answered(images, keep, folder) | {"whole": time.perf_counter() - began}


def knees() -> Iterator[tuple[str, partial[Row]]]:
    """Sets with a knee, by images and noise; sets without one; and sets with a factor that is periodic."""
    for i in range(24):
        power, train = 0.25 * (1 + i % 8), (300, 1000, 4000)[i % 3]
        spectrum = partial(made.spectrum, power, i, train)
        yield f"spectrum {power}, {train:,} images, {i}", partial(of_knee, spectrum, None)
        clouds = partial(made.clouds, 0.5 + power, i, train)
        yield f"clouds {0.5 + power}, {train:,} images, {i}", partial(of_knee, clouds, None)
    for name, (factors, _) in made.CURVED.items():
        for i, (train, noise) in enumerate(((4000, 0.0), (1000, 0.0), (1000, 0.01), (1000, 0.03), (300, 0.0))):
            for seed in range(2):
                make = partial(made.curved, name, 10 * i + seed, train, noise)
                yield f"{name}, {train:,} images, noise {noise}, {seed}", partial(of_knee, make, factors)
    for seed in range(4):
        yield f"turning bars, {seed}", partial(of_knee, partial(made.turning, seed, 1000), 3)


def rows(kind: str, kept: dict[str, Row], folder: Path) -> Iterator[tuple[str, partial[Row]]]:
    """Name of every study of a kind, and what runs it."""
    if kind == "packing":
        yield from ((f"{rank}", partial(of_packing, rank)) for rank in RANKS)
    if kind == "linear":
        for rank in RANKS:
            packed = kept[f"packing: {rank}"]["packed"]
            yield from ((f"rank {rank}, {seed}", partial(of_linear, rank, seed, packed)) for seed in range(1, 1 + SETS))
    if kind == "curved":
        for name in made.CURVED:
            yield from ((f"{name}, {seed}", partial(of_curved, name, seed)) for seed in range(RUNS))
        yield "garments", partial(of_garments)
    if kind == "knee":
        yield from knees()
    if kind == "reference":
        yield "fashion-mnist", partial(of_reference, folder / "reference")
    if kind == "fashion":
        yield from ((f"{keep}", partial(of_fashion, keep, folder / "searches")) for keep in KEEPS)


def main() -> None:
    """Run what is missing, and keep each row when it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=KINDS, metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--one", action="store_true", help="one small study of two kinds, printed and not kept")
    parser.add_argument("--out", type=Path, default=Path("runs/evidence"), help="where Fashion-MNIST's study is kept")
    asked = parser.parse_args()
    if asked.one:
        for run in (partial(of_linear, 3, 1, 0.8), partial(of_curved, "edges", 0)):
            print(run()["sentence"], flush=True)
        return
    kept: dict[str, Row] = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else {}
    executor = loky.get_reusable_executor(max_workers=loky.cpu_count(), timeout=None)
    for kind in asked.kinds:
        wanted = {name: run for name, run in rows(kind, kept, asked.out) if f"{kind}: {name}" not in kept}
        if kind in ("reference", "fashion"):  # a study takes all cores
            for name, run in wanted.items():
                keep(kept, f"{kind}: {name}", run())
            continue
        together = {executor.submit(run): name for name, run in wanted.items()}
        for future in as_completed(together):
            keep(kept, f"{kind}: {together[future]}", future.result())


def keep(kept: dict[str, Row], name: str, row: Row) -> None:
    """Write a row."""
    kept[name] = row | {"processor": processor()}  # rows may come from several machines
    machine = {"system": platform.platform(), "torch": torch.__version__}
    RESULT.write_text(json.dumps({"machine": machine, "rows": kept}, indent=1) + "\n")
    print(name, row.get("sentence", row), flush=True)


if __name__ == "__main__":
    main()
