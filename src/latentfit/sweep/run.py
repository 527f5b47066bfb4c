"""Latent sizes × seeds -> one folder.

A study is a list of independent jobs. They run on any `concurrent.futures` executor; by default that is a
pool of local processes, one thread each. Jobs only compute: this process alone writes, and a job whose
files are there and whole is not run again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import data
from ..data.images import ImageSet
from ..errors import InputError
from ..hardware import reproducible
from ..recipe import Recipe
from ..results import Keep
from . import lock, pool, remote, store
from .own import Make
from .pool import Progress
from .request import Request, default_recipe
from .running import Run
from .study_file import recipe_of
from .timing import Clock
from .workers import Crew


def study(
    source: str | Path | ImageSet = "fashion-mnist",
    latent_dims: Sequence[int] | None = None,
    *,
    seeds: int | None = None,
    keep: Keep | None = None,
    curve: bool = False,
    recipe: str | Recipe | None = None,
    epochs: int | None = None,
    network: Make | None = None,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    value_range: float | None = None,
    test_share: float | None = None,
    resize: str | Sequence[int] | None = None,
    skip_bad: bool = False,
    shape: Sequence[int] | None = None,
    group: str | None = None,
    label: str | None = None,
    scale: str | None = None,
    precision: str = "auto",
    device: str = "auto",
    fresh: bool = False,
    executor: Executor | Any = None,
    patience: float | None = None,
    workers: int | None = None,
    early: pool.Workers | None = None,
    minutes: float | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> store.Study:
    """Train an autoencoder of each latent size and seed, and measure them.

    Networks that are finished in the folder are kept: more sizes or seeds train only what is missing, and the same
    call after a crash resumes.

    Args:
        source: What `data.load` takes (a name or a path), or an `ImageSet`.
        latent_dims: The sizes, each from 1 to the number of pixels. If they are not given, those of 16 and 48 that are
            below the numbers of images and of pixels, otherwise half of the smaller of these; or with `keep` those that
            a search comes to, see `measure.search`.
        seeds: Seeds per size, in a search of the sizes that its answer rests on; 5 means seeds 0 to 4. 1 if it is not
            given, or 3 with `keep`.
        keep: The share of the variance of the test images to keep, between 0 and 1: the study then says how many
            dimensions that takes, see `measure.verdict`. Or `knee`: where the share stops rising, see `measure.knee`.
        curve: Also train one nested network, which estimates the error at every size, see `sweep.nested`.
        recipe: A name, or a `Recipe` of your own; `reference` for a data set with a name and no share to keep, and
            `converged` for everything else, if it is not given.
        epochs: In place of the recipe's own number.
        network: A function that takes a latent size and makes a network of your own: a torch module of float32 with
            `encode`, (B, D) to (B, K), and `decode`, (B, K) to (B, D), D = H × W (× 3) pixels in [0, 1]. If its
            `takes_images` is true, it encodes and decodes (B, C, H, W) in place of (B, D). It gets rows of numbers
            without constant columns, centred and scaled. Its initial weights come from torch's global generator, which
            is seeded with (seed, latent size) meanwhile. `load` needs the same function. See docs/network.md.
        out: The study's folder; `runs/<name>` or `runs/<name>-<recipe>` if it is not given, see `store.default_folder`.
        data_dir: Where Fashion-MNIST's files are looked for first.
        value_range: Pixel values in the source's files run from 0 to this, see `data.load`.
        test_share: Share of the images to draw as test images, see `data.load`.
        resize: Width and height that pictures are brought to, see `data.load`.
        skip_bad: Leave out pictures that cannot be read, see `data.load`.
        shape: Height and width of an image, where a file has rows of pixels, see `data.load`.
        group: What stays on one side of every split, see `data.load`.
        label: Name of a table's column of labels, see `data.load`.
        scale: Of rows of numbers `columns` or `none`, see `data.load`.
        precision: Of the training's matrix products: `fp32`, `bf16`, or `auto`: bf16 where the processor is faster
            with it. Decided once for a study and recorded.
        device: `cpu`, `cuda`, `mps`, or `auto`: CUDA where there is one, otherwise the CPU.
        fresh: Start over in a folder that holds another study.
        executor: Runs the jobs: any `concurrent.futures.Executor`, or a Dask `Client`, see `sweep.remote`; local
            processes if it is not given. Not shut down.
        patience: Minutes without a network that comes back from the executor, after which the study ends with what is
            finished; it waits on if it is not given.
        workers: Local processes that train at once, which results do not depend on; as many as networks, cores and
            memory allow if it is not given.
        early: Local processes that were started before: used for the first training if their number fits, else stopped.
        minutes: A search ends within so many with what is known by then; the same call goes on.
        progress: Called with (job, row) after each epoch, and with (job, None) when a network is finished;
            from a thread of its own, and only where jobs run in local processes.
        tell: Called with a line when a phase begins, with each note on the images, and after each training of a
            search with what is known.

    Returns:
        The finished study. A network that diverged is a row whose status is `failed`.

    Raises:
        InputError: Something asked for cannot be used, or another process works in the folder; nothing was started
            or written.
        Lost: Workers died again and again, the executor lost its workers or its scheduler, one of them refuses the
            study, nothing came back from it for too long, the folder was removed while the study ran, or the minutes
            were too few for a single network.
    """
    clock = Clock(minutes)
    recipe = recipe_of(recipe, source, keep, None if fresh else out)
    request = Request.of(latent_dims, seeds, recipe, epochs, precision, device, keep, curve, network)
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"minutes {minutes!r}; expected a number above 0")
    if minutes is not None and not request.search:
        raise InputError("minutes are for a search; expected a share to keep (--keep), and no latent sizes")
    crew, elsewhere = Crew(workers, tell, early), remote.of(executor, patience, tell)
    reading = {"value_range": value_range, "test_share": test_share, "resize": resize, "skip_bad": skip_bad}
    reading |= {"shape": shape, "group": group, "label": label, "scale": scale}
    images = _load(source, data_dir, reading)
    if not isinstance(source, ImageSet):
        by_name = source in data.NAMES and not images.stand_in
        request = replace(request, source=images.name if by_name else str(source))
    request = request.fitting(images.seen)
    own = None if request.own is None else request.own.name
    default = store.default_folder(images, request.recipe.name, default_recipe(source), own)
    folder = default if out is None else Path(out)
    with lock.hold(folder) as check:
        run = Run(folder, images, request, elsewhere, progress, tell, clock, check, crew)
        run.open(fresh)
        clock.lap("load")
        if not run.is_finished():
            try:
                with reproducible(), elsewhere or nullcontext():
                    run.finish()
            except (InputError, OSError):
                check()  # a removed folder is the better error
                raise
            finally:
                crew.stop()
        return store.load(folder, network)


def _load(source: str | Path | ImageSet, data_dir: str | Path | None, reading: Mapping[str, Any]) -> ImageSet:
    if not isinstance(source, ImageSet):
        return data.load(source, data_dir, **reading)
    if given := [name for name, value in reading.items() if value not in (None, False)]:
        what = f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} for a path"
        raise InputError(f"{source.name}: {what}; expected an ImageSet without; leave that out")
    return source
