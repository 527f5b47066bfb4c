"""Folders of pictures as an `ImageSet`: decoded on all cores, once, into one memory-mapped array.

`layout` says which files, `decoding` what becomes of each, `cache` where the result is kept. Pixels are stored as
training, test and validation images one after the other, so that each split is a part of the array and needs no copy.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import warnings
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from ..errors import InputError, one_line
from ..formatting import plural
from . import cache, decoding
from .cache import Index, Writer
from .decoding import STEPS, Decoded
from .images import MAX_CLASSES, ImageSet, Names
from .layout import Item, Layout
from .reading import GROUPS, Reading, choose_by_class, choose_groups, group_of, natural

TENTH = 0.1  # of the pictures of a folder without test images
LISTED = 200  # rejected files that an error lists; it counts the others
PROBED = 32  # pictures whose size is read before any is decoded
MANY = 2_000  # from so many small files on, processes read them: there Python's share is large, and threads share that
SMALL = 1 << 15  # bytes
Outcome = Decoded | str


def load(folder: Path, layout: Layout, requested: Reading) -> ImageSet:
    """Load a folder of pictures, of which `scan` found at least one.

    Raises:
        InputError: A picture cannot be read (with `skip_bad`: none can), their sizes differ, the test images are
            unclear, or there are fewer than two.
    """
    if requested.group not in (None, *GROUPS):
        raise InputError(f"{folder}: group {requested.group!r} of pictures; expected {' or '.join(GROUPS)}")
    if requested.group == "folder":
        layout = _without_group_folders(layout)
    pixels, index = _decoded(layout, requested)
    reading, splits = _split(layout, index.rejected, requested)
    return _image_set(one_line(folder.resolve().name) or str(folder), layout, splits, pixels, index, reading)


def _without_group_folders(layout: Layout) -> Layout:
    """The layout without classes, where the only folders of pictures are groups."""
    below = [item.name.count("/") - bool(item.split) for item in layout.items]
    if 0 in below:
        name = layout.items[below.index(0)].name
        raise InputError(f"{layout.root}: {one_line(name)} is in no folder below; expected one for each group")
    if set(below) != {1}:
        return layout
    return replace(layout, items=tuple(item._replace(label="") for item in layout.items))


def _split(layout: Layout, rejected: dict[str, str], requested: Reading) -> tuple[Reading, list[list[Item]]]:
    """Training, test and validation pictures of those that are not rejected, and how they were chosen."""
    train, given, val = (
        [item for item in layout.items if item.split == split and item.name not in rejected]
        for split in ("train", "test", "val")
    )
    if not layout.has_splits:
        train = [item for item in layout.items if item.name not in rejected]
    if given and requested.test_share is not None:
        raise InputError(f"{layout.root}: has test images of its own; expected none with --test; leave it out")
    if not train or len(train) + len(given) < 2:
        raise InputError(
            f"{layout.root}: holds {plural(len(train), 'picture')} to train on{' and test' * (not given)}; expected at "
            f"least {1 if given else 2}",
            _lines(rejected),
        )
    if given:
        return requested, [train, given, val]
    labels = np.unique([item.label for item in train], return_inverse=True)[1]
    share = requested.test_share or TENTH
    if requested.group:
        test = choose_groups([group_of(item.name, requested.group) for item in train], labels, share)
    else:
        test = choose_by_class(labels, share)
    parts = [[item for item, is_test in zip(train, test, strict=True) if is_test == wanted] for wanted in (False, True)]
    return replace(requested, split="by-class"), [*parts, val]


def _decoded(layout: Layout, requested: Reading) -> tuple[NDArray[np.uint8], Index]:
    """The pixels of the pictures, split after split, from the cache or decoded now."""
    options = [requested.resize, requested.value_range, requested.test_share, requested.skip_bad, requested.group]
    source = cache.key([str(layout.root.resolve()), options])
    files = cache.key([cache.VERSION, PIL.__version__, sorted(layout.rejected), layout.items])

    def fill(writer: Writer) -> tuple[list[int], dict[str, str]]:
        if not layout.rejected or requested.skip_bad:
            _split(layout, layout.rejected, requested)  # an error comes before the work
        rejected = dict(layout.rejected)
        with warnings.catch_warnings(action="ignore"):  # Pillow warns of odd but readable files
            _decode(layout, requested, writer, rejected)
        if rejected and not (requested.skip_bad and writer.count):
            raise _rejection(layout.root, rejected, writer.count)
        sound = (item.name for item in layout.items if item.name not in rejected)
        place = {name: i for i, name in enumerate(sound)}
        return [place[item.name] for part in _split(layout, rejected, requested)[1] for item in part], rejected

    return cache.opened_or_made(cache.cache_folder() / "pictures" / source / files, fill)


def blocks(
    layout: Layout, requested: Reading, image_shape: tuple[int, ...], size: int
) -> Iterator[tuple[list[Item], NDArray[np.uint8]]]:
    """Pictures of a folder as they come, decoded and not kept, at most `size` at a time, with what each is.

    Raises:
        InputError: At the end, if a picture cannot be read or is not of this shape (with `skip_bad`: if all are).
    """
    rejected, sound = dict(layout.rejected), 0
    items: list[Item] = []
    pixels: list[NDArray[np.uint8]] = []
    paths = [str(layout.root / item.name) for item in layout.items]
    with warnings.catch_warnings(action="ignore"), _bar(len(paths)) as bar:  # Pillow warns of odd but readable files
        for item, outcome in zip(layout.items, _outcomes(paths, layout.items, requested), strict=True):
            bar.update()
            fitted = outcome if isinstance(outcome, str) else _fitted(outcome.pixels, image_shape)
            if isinstance(fitted, str):
                rejected[item.name] = fitted
                continue
            sound += 1
            if rejected and not requested.skip_bad:
                continue  # the others are only looked at
            items.append(item)
            pixels.append(fitted)
            if len(items) == size:
                yield items, np.stack(pixels)
                items, pixels = [], []
    if rejected and not (requested.skip_bad and sound):
        raise _rejection(layout.root, rejected, sound)
    if items:
        yield items, np.stack(pixels)


def _fitted(pixels: NDArray[np.uint8], image_shape: tuple[int, ...]) -> NDArray[np.uint8] | str:
    """A picture in a shape, grey ones in three equal channels if there are three; or why it is of another."""
    (height, width), (down, across) = pixels.shape[:2], image_shape[:2]
    if (height, width) != (down, across):
        return f"is {width} × {height} pixels; expected {across} × {down}, as in training; bring it to that size"
    if pixels.ndim > len(image_shape):
        return "is in colour; expected grey, as in training; convert it"
    return np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim < len(image_shape) else pixels


def _rejection(root: Path, rejected: dict[str, str], sound: int) -> InputError:
    what = f"{len(rejected):,} of {plural(len(rejected) + sound, 'picture')} cannot be used"
    advice = "mend them, or leave them out with --skip-bad" if sound else "mend them"
    return InputError(f"{root}: {what}; expected {decoding.NAMED} that can be read; {advice}", _lines(rejected))


def _lines(rejected: dict[str, str]) -> tuple[str, ...]:
    """A line for each rejected file, up to LISTED."""
    lines = [f"{name}: {reason}" for name, reason in sorted(rejected.items(), key=lambda pair: natural(pair[0]))]
    return (*lines[:LISTED], *([f"and {len(lines) - LISTED:,} more"] if len(lines) > LISTED else []))


def _decode(layout: Layout, requested: Reading, writer: Writer, rejected: dict[str, str]) -> None:
    """Decode all pictures into the writer, and note those that cannot be used."""
    root, items = layout.root, layout.items
    paths = [str(root / item.name) for item in items]
    if requested.resize is None and items:
        sample = sorted({round(i * (len(paths) - 1) / PROBED) for i in range(PROBED + 1)})
        if len({decoding.size_of(paths[i]) for i in sample} - {None}) > 1:
            raise _sizes_differ(root, items, paths)
    with _bar(len(items)) as bar:
        for item, outcome in zip(items, _outcomes(paths, items, requested), strict=True):
            bar.update()
            if isinstance(outcome, str):
                rejected[item.name] = outcome
                continue
            if writer.count and outcome.pixels.shape[:2] != writer.shape[:2]:
                raise _sizes_differ(root, items, paths)
            if not writer.count:
                _check_room(root, len(items), outcome.pixels)
            writer.add(outcome.pixels)
            writer.steps.update(outcome.steps)


def _sizes_differ(root: Path, items: Sequence[Item], paths: Sequence[str]) -> InputError:
    with ThreadPoolExecutor() as threads:
        sizes = list(threads.map(decoding.size_of, paths))
    counts = Counter(size for size in sizes if size)
    first = {size: items[sizes.index(size)].name for size in counts}
    lines = [f"{w} × {h}: {plural(n, 'picture')}, such as {first[w, h]}" for (w, h), n in counts.most_common(10)]
    (width, height), _ = counts.most_common(1)[0]
    more = (f"and {len(counts) - 10:,} more sizes",) if len(counts) > 10 else ()
    return InputError(
        f"{root}: the pictures have {len(counts):,} sizes; expected one; bring them to one with "
        f"--resize {width}x{height}, for example (scaled, and cropped at the centre)",
        (*lines, *more),
    )


def _check_room(root: Path, count: int, first: NDArray[np.uint8]) -> None:
    needed, folder = count * first.size, cache.cache_folder()
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{root}: {count:,} pictures of {first.shape[1]} × {first.shape[0]} pixels take {needed:,} bytes, and the "
            f"cache folder {folder} has room for {free:,}; expected room for all; make them smaller with --resize, or "
            "name another folder in LATENTFIT_CACHE_DIR"
        )


def _bar(total: int) -> Any:
    from tqdm import tqdm

    quiet = bool(os.environ.get("TQDM_DISABLE")) or None  # None: where stderr is no terminal
    return tqdm(total=total, desc="reading pictures", unit="", leave=False, disable=quiet, file=sys.stderr)


def _outcomes(paths: Sequence[str], items: Sequence[Item], requested: Reading) -> Iterator[Outcome]:
    """What became of each file, in order; few are in memory at once."""
    small = sum(item.size for item in items) <= SMALL * len(items)
    size = 100 if small else 1
    parts = iter([paths[start : start + size] for start in range(0, len(paths), size)])
    waiting: deque[Future[list[Outcome]]] = deque()
    with _executor(processes=small and len(items) >= MANY) as (executor, width):
        for part in parts:
            waiting.append(executor.submit(decoding.decode_all, part, requested.resize, requested.value_range))
            if len(waiting) > 2 * width:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


@contextmanager
def _executor(processes: bool) -> Iterator[tuple[Executor, int]]:
    """Processes or threads on all cores, and their number."""
    import loky

    width = loky.cpu_count()
    if not processes or width == 1:
        threads = ThreadPoolExecutor(width)
        try:
            yield threads, width
        finally:
            threads.shutdown(cancel_futures=True)
        return
    workers = loky.ProcessPoolExecutor(width, timeout=20, initializer=_begin_process)
    try:
        yield workers, width
    except BrokenExecutor as error:
        raise InputError(
            "a process that read pictures died, perhaps for want of memory; expected it to go on; run the command again"
        ) from error
    finally:
        workers.shutdown(kill_workers=True)


def _begin_process() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    warnings.simplefilter("ignore")


def _image_set(
    name: str,
    layout: Layout,
    splits: list[list[Item]],
    pixels: NDArray[np.uint8],
    index: Index,
    reading: Reading,
) -> ImageSet:
    train, test, val = splits
    classes = sorted({item.label for item in (*train, *test)}, key=natural)
    has_classes = len(classes) > 1 and "" not in classes
    too_many = has_classes and len(classes) > MAX_CLASSES
    place = {name: i for i, name in enumerate(classes)}
    y_train, y_test = ([place[item.label] for item in part] for part in (train, test))
    labelled = has_classes and not too_many
    dropped = layout.dropped + ((_skipped(index.rejected),) if index.rejected else ())
    return ImageSet(
        name,
        pixels[: len(train)],
        pixels[len(train) : len(train) + len(test)],
        np.array(y_train, np.int64) if labelled else None,
        np.array(y_test, np.int64) if labelled else None,
        tuple(classes) if labelled else None,
        reading=replace(
            reading,
            labels_left_out=len(classes) if too_many else 0,
            prepared=tuple(_prepared(index, reading, layout.others)),
            dropped=dropped,
        ),
        x_val=pixels[len(train) + len(test) :] if val else None,
        names=Names(*(tuple(one_line(item.name) for item in part) for part in splits)),
        groups=np.array([group_of(item.name, reading.group) for item in train]) if reading.group else None,
    )


def _prepared(index: Index, reading: Reading, others: str | None) -> Iterator[str]:
    """What was done to the pictures."""
    if reading.resize:
        yield "scaled (Lanczos) to cover {} × {} pixels, and cropped at the centre".format(*reading.resize)
    if others:
        yield others
    for step, words in STEPS.items():
        if count := index.steps.get(step):
            yield f"{count:,} of {index.shape[0]:,} {words}"


def _skipped(rejected: dict[str, str]) -> str:
    shown = [f"{one_line(name)} ({reason.partition(';')[0]})" for name, reason in sorted(rejected.items())[:3]]
    more = f" and {len(rejected) - 3:,} more" if len(rejected) > 3 else ""
    return f"{plural(len(rejected), 'picture')} left out as --skip-bad says: {', '.join(shown)}{more}."
