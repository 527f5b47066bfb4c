"""The command line: what each verb does, exit statuses and terminal output.

Verbs import heavy libraries when they run, so that `latentfit --help` is fast.
"""

from __future__ import annotations

import _thread
import argparse
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from . import flags
from .errors import KEPT, InputError, Lost, StandInWarning, one_line
from .formatting import plural
from .recipe import RECIPES, Epoch, Job

if TYPE_CHECKING:
    from .data.images import ImageSet
    from .sweep.store import Study

NAMED = 6  # columns that `data` names
GRACE = 10  # seconds that an orderly stop may take
SPLITS = {
    "given": "",
    "tenth": ", every tenth image of the file",
    "drawn": ", drawn at random from the file",
    "by-class": ", drawn at random from each class",
    "groups": ", whole groups drawn at random",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    0: success. 1: failed after the start. 2: bad usage or input, nothing started. 130, 143: Ctrl-C, SIGTERM.
    """
    options = flags.parser(_study, _report, _data, _encode, _decode, _export).parse_args(arguments)
    _ended.clear()
    before = {signum: signal.signal(signum, _stop) for signum in (signal.SIGINT, signal.SIGTERM)}
    hook, sys.unraisablehook = sys.unraisablehook, lambda lost: _signal_again(lost, hook)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", StandInWarning)
            warnings.showwarning = _show_warning
            status: int = options.run(options)
            if sys.stdout:
                sys.stdout.flush()  # here, so that a failure to write is an error
            return status
    except InputError as error:
        return _fail(error, 2, options)
    except KeyboardInterrupt:
        return _fail(_stopped_by(signal.SIGINT), 130, options)
    except _TerminatedError:
        return _fail(_stopped_by(signal.SIGTERM), 143, options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise the flush at exit fails again
        return 1
    except Lost as error:
        return _fail(error, 1, options)
    except OSError as error:
        return _fail(f"{error.strerror or error}; {KEPT}", 1, options)
    except Exception as error:
        return _fail(f"{type(error).__name__}: {error}", 1, options)
    finally:
        _ended.set()
        sys.unraisablehook = hook
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _study(options: argparse.Namespace) -> int:
    from .progress import Lines

    sizes = options.latent_dims and [size for group in options.latent_dims for size in group]
    if options.quiet:
        os.environ["TQDM_DISABLE"] = "1"  # for the progress bar of a download
    with Lines(sys.stderr, quiet=options.quiet) as lines, _workers(options, sizes) as workers:
        lines.say(f"loading {one_line(options.data)}")  # before the import of PyTorch, which takes seconds
        from .sweep.request import default_recipe
        from .sweep.run import study

        known = RECIPES.get(options.recipe or default_recipe(options.data, options.keep))
        if known and not known.holds_out:
            lines.epochs = options.epochs or known.epochs
        importing = threading.Thread(target=_import_report)

        def note(job: Job, row: Epoch | None) -> None:
            if row is not None and importing.ident is None:  # one thread only calls this, so there is no race
                importing.start()
            lines(job, row)

        done = study(
            options.data,
            sizes,
            seeds=options.seeds,
            keep=options.keep,
            curve=options.curve,
            recipe=options.recipe,
            epochs=options.epochs,
            out=options.out,
            **flags.reading(options),
            precision=options.precision,
            device=options.device,
            fresh=options.fresh,
            **workers,
            minutes=options.minutes,
            progress=note,
            tell=lines.say,
        )
    return _conclude(done, options, lines.say)


@contextmanager
def _workers(options: argparse.Namespace, sizes: list[int] | None) -> Iterator[dict[str, Any]]:
    """Where networks are trained, as arguments of `study`."""
    if options.cluster is None:
        from .sweep.pool import Workers

        with Workers(_first_workers(options, sizes)) as early:
            yield {"workers": options.workers, "early": early, "patience": options.patience}
    else:
        from .sweep.cluster import connect

        if options.workers is not None:
            raise InputError(
                "--workers is of this machine; expected --cluster without it, which takes all of its workers"
            )
        with connect(options.cluster) as client:
            yield {"executor": client, "patience": options.patience}


def _first_workers(options: argparse.Namespace, sizes: list[int] | None) -> int:
    """Guess how many workers to start before the request is resolved; the pool corrects a wrong guess."""
    from .sweep.workers import Crew

    seeds = options.seeds or (1 if options.keep is None else 3)
    networks = seeds * (len(set(sizes)) if sizes else 2)
    return min(networks, Crew(options.workers).likely(networks))


def _import_report() -> None:
    """Import the libraries of the report while networks train."""
    with suppress(Exception):  # the report imports them again and raises
        for name in ("latentfit.report", "sklearn.neighbors"):
            import_module(name)


def _conclude(study: Study, options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Draw the report, print the answer and return the exit status."""
    from . import report

    explorer = options.explorer == "on"
    if not report.is_current(study, explorer):
        say("drawing the report")
        report.write(study, explorer)
    if not options.quiet:
        _print_answer(study)
    networks = [*study.found.models, *filter(None, [study.found.curve])]
    is_open = options.minutes is not None and bool(study.found.verdict.next)
    return 0 if all(network.status == "ok" for network in networks) and not is_open else 1


def _print_answer(study: Study) -> None:
    from .measure import headline

    found = study.found
    header, rows = headline.table(found)
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, *rows):
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    if found.dataset.stand_in:
        print("\nThese are the stand-in's drawn garments: the numbers say nothing about any other images.")
    print(f"\n{one_line(headline.headline(found))}\n")
    for note in found.quality.notes if found.quality else ():
        print(f"Note: {one_line(note)}\n")
    print(f"Report: {one_line(str(study.folder / 'report.html'))}")


def _report(options: argparse.Namespace) -> int:
    from . import report

    print(one_line(str(report.write(options.folder, options.explorer == "on"))))
    return 0


def _data(options: argparse.Namespace) -> int:
    from . import data, evaluate
    from .data import quality
    from .data.reading import shape_text
    from .formatting import of_rows

    images = data.load(options.data, **flags.reading(options))
    seen = images.seen
    mean = evaluate.mean_image(seen.x_train)
    variance = {split: evaluate.variance(getattr(seen, f"x_{split}"), mean) for split in ("train", "test")}

    def words(text: str) -> str:
        return of_rows(text, images.description.names) if images.is_rows else text

    facts = {
        "data set": images.name + (" (stand-in)" if images.stand_in else ""),
        "training images": f"{len(images.x_train):,}",
        "test images": f"{len(images.x_test):,}{words(SPLITS[images.reading.split])}",
        **({} if images.x_val is None else {"held-out images": f"{len(images.x_val):,}"}),
        **(
            _columns(images) if images.is_rows else {"image": f"{shape_text(images.image_shape)}, {seen.x_train.dtype}"}
        ),
        **({"prepared": "; ".join(images.reading.prepared)} if images.reading.prepared else {}),
        "classes": "no labels" if images.classes is None else ", ".join(images.classes),
        "true factors": "unknown" if images.true_factors is None else str(images.true_factors),
        **({} if images.is_rows else _pixels(float(mean.mean()), variance["train"])),
        "fingerprint": images.fingerprint,
    }
    for name, value in facts.items():
        print(f"{words(name):32}{one_line(value)}")
    for note in filter(None, [*quality.of(images).notes, words(quality.no_variance(variance) or "")]):
        print(f"\nNote: {one_line(note)}")
    return 0


def _encode(options: argparse.Namespace) -> int:
    from . import codes
    from .sweep.store import load

    done = codes.encode(
        load(options.folder),
        options.data,
        options.out,
        options.latent_dim,
        options.seed,
        errors=options.errors,
        data_dir=options.data_dir,
        value_range=options.range,
        skip_bad=options.skip_bad,
    )
    for note in done.notes:
        print(f"Note: {one_line(note)}")
    print(f"{one_line(str(options.out))}: {plural(done.items, 'code')} of {_network(done.job)}")
    return 0


def _decode(options: argparse.Namespace) -> int:
    from . import codes
    from .sweep.store import load

    done = codes.decode(load(options.folder), options.codes, options.out, options.latent_dim, options.seed)
    print(f"{one_line(str(options.out))}: {plural(done.items, 'code')} decoded by {_network(done.job)}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from . import export
    from .sweep.store import load

    job = export.write(load(options.folder), options.out, options.latent_dim, options.seed)
    print(f"{one_line(str(options.out))}: {_network(job)}, the same in onnxruntime as in PyTorch")
    return 0


def _network(job: Job) -> str:
    return f"the network with {plural(job.latent_dim, 'dimension')}, seed {job.seed}"


def _pixels(mean: float, variance: float) -> dict[str, str]:
    """What `data` says of the pixels of images."""
    return {
        "mean training pixel": f"{mean:.5f}",
        "variance around the mean image": f"{variance:{'.5f' if variance >= 0.001 else '.2g'}}",
    }


def _columns(images: ImageSet) -> dict[str, str]:
    """What `data` says of the columns of rows of numbers."""
    columns, varying = images.columns or (), len(images.seen.columns or ())
    own = "each divided by its own deviation" if images.description.scale == "columns" else "all divided by one number"
    some = ", ".join(columns[:NAMED]) + (f", ... {columns[-1]}" if len(columns) > NAMED else "")
    return {
        "columns": f"{len(columns):,}: {some}",
        "in training": f"{varying:,} that vary, centred, {own}",
    }


def run() -> NoReturn:
    """Run the program and end its process at once: an orderly exit of PyTorch takes half a second."""
    status = main()
    if large := sys.modules.get("latentfit.data.large"):
        large.clear()
    os._exit(status)


class _TerminatedError(BaseException):
    """Raised on SIGTERM, so that workers stop and temporary files are removed."""


_ended = threading.Event()  # set while no command runs


def _stop(signum: int, _frame: FrameType | None) -> None:
    """Stop in order at the first signal; at once at the second, or when the orderly stop takes too long.

    A library may swallow the exception, or be interrupted where it holds a lock that another thread waits for. Nothing
    half-written counts, and workers end with their parent, so the end may come at any instant.
    """
    signal.signal(signum, lambda *_: os._exit(128 + signum))
    _thread.start_new_thread(_end_after_grace, (signum,))  # threading's locks may be those that were interrupted
    raise KeyboardInterrupt if signum == signal.SIGINT else _TerminatedError


def _stopped_by(signum: int) -> str:
    return f"stopped by {'Ctrl-C' if signum == signal.SIGINT else 'SIGTERM'}; {KEPT}"


def _end_after_grace(signum: int) -> None:
    if not _ended.wait(GRACE):
        print(f"latentfit: error: {_stopped_by(signum)}", file=sys.stderr, flush=True)
        os._exit(128 + signum)


def _signal_again(lost: Any, hook: Callable[[Any], object]) -> None:
    """Send a signal again whose exception was lost in a library's callback, from where it cannot be passed on."""
    signum = {KeyboardInterrupt: signal.SIGINT, _TerminatedError: signal.SIGTERM}.get(lost.exc_type)
    if signum is None:
        hook(lost)
    else:
        signal.signal(signum, _stop)
        threading.Timer(0.1, os.kill, (os.getpid(), signum)).start()


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"latentfit: warning: {one_line(str(message))}", file=sys.stderr)


def _fail(error: object, status: int, options: argparse.Namespace) -> int:
    if options.debug:
        traceback.print_exc()
    message = str(error) if isinstance(error, InputError) else one_line(str(error))  # an InputError is escaped
    print(f"latentfit: error: {message}", file=sys.stderr)
    return status
