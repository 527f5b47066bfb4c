"""Verbs and flags of the command line, and what their values may be."""

from __future__ import annotations

import argparse
import math
import re
import textwrap
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .data.reading import SCALES, picture_size
from .errors import InputError
from .measure.checks import GATES

if TYPE_CHECKING:
    from .results import Keep

Verb = Callable[[argparse.Namespace], int]

DATA_HELP = (
    "fashion-mnist (the default), garments, auto (Fashion-MNIST where it can be had, garments where not), "
    "or a path: a folder of pictures (a subfolder for each class; train/ and test/), an .npz or .npy of images or rows "
    "of numbers, a .csv or .parquet, a folder of arrays or IDX files"
)


def _checks() -> str:
    """Every check of a training with its limit, as lines."""
    told = [f"  {gate.short:18} {gate.words}" for gate in GATES.values()]
    return "\n".join(textwrap.fill(line, 100, subsequent_indent=" " * 21) for line in told)


STUDY = f"""examples:
  latentfit study photos/ --keep 0.95                   how many dimensions keep 95 % of the variance?
  latentfit study photos.npz --latent-dims 8 16 32      these sizes, each trained until it is done
  latentfit study photos/ --keep 0.95 --cluster tcp://scheduler:8786 --patience 60      on the workers of Dask

training checks; those that fail stand beside a size in the table:
{_checks()}

exit status: 0 all done; 1 not all of it could be done, or --minutes were over while sizes are left to try (the
rest is kept); 2 bad input, nothing started;
130 and 143 stopped by a signal (what is finished is kept, the same command goes on)
"""
REPORT = """examples:
  latentfit report runs/fashion-mnist                   regenerate report, figures and tables
  latentfit report runs/fashion-mnist --explorer off    a small page, without the networks
"""
LOOK = """examples:
  latentfit data photos/ --resize 64x64                 a folder of pictures: what becomes of each
  latentfit data photos.npz                             what was found, and what is odd about it
  latentfit data scans.npy --range 4095 --test 0.1      12-bit pixels; a tenth drawn at random as test images
"""
ENCODE = """examples:
  latentfit encode runs/photos new/ --out codes.csv              a line for each picture: name, z0, z1, ...
  latentfit encode runs/photos new/ --out codes.csv --errors     and how well it is reconstructed
"""
DECODE = """examples:
  latentfit decode runs/photos codes.npy --out images.npy        float32, in the units of the data
  latentfit decode runs/photos mine.csv --latent-dim 16 --seed 0 --out images.npz
"""
EXPORT = """examples:
  latentfit export runs/photos --out photos-16                   the network of the study's answer
  latentfit export runs/photos --latent-dim 16 --seed 0 --out photos-16
"""
FILE_HELP = "the file to write: .npy (the numbers alone), .npz, .csv or .parquet (with names beside them)"


def parser(study: Verb, report: Verb, data: Verb, encode: Verb, decode: Verb, export: Verb) -> argparse.ArgumentParser:
    """The parser of all verbs and flags; a verb is what runs it, and returns the exit status."""
    program = argparse.ArgumentParser(
        prog="latentfit",
        description="Find the latent size that fits: train autoencoders of several latent sizes on a set of "
        "images, measure what each costs, and show what is lost.",
    )
    program.add_argument("--version", action="version", version=f"latentfit {version('latentfit')}")
    verbs = program.add_subparsers(title="verbs", metavar="VERB", required=True)
    _add_study(verbs, study)
    _add_report(verbs, report)
    _add_data(verbs, data)
    _add_encode(verbs, encode)
    _add_decode(verbs, decode)
    _add_export(verbs, export)
    return program


def _add_study(verbs: Any, run: Verb) -> None:
    verb = _add(verbs, "study", run, "train, measure, report: one folder that explains itself", STUDY)
    verb.add_argument("data", nargs="?", default="fashion-mnist", metavar="DATA", help=DATA_HELP)
    verb.add_argument(
        "--latent-dims",
        nargs="+",
        type=_sizes,
        metavar="K",
        help="latent sizes (16 48; with --keep those that a search comes to)",
    )
    verb.add_argument(
        "--seeds", type=_count, metavar="N", help="trainings of each size; 5: seeds 0 to 4 (1; with --keep 3)"
    )
    _add_question(verb)
    verb.add_argument(
        "--recipe",
        metavar="NAME",
        help="reference, swift (its error in less time) or converged, trained until it is done (converged; "
        "reference for a data set with a name and no --keep)",
    )
    verb.add_argument(
        "--epochs",
        type=_count,
        metavar="N",
        help="instead of the recipe's number; with converged the most there may be",
    )
    verb.add_argument("--out", type=Path, metavar="DIR", help="the study's folder (runs/NAME or runs/NAME-RECIPE)")
    _add_reading(verb)
    _add_hardware(verb)
    _add_explorer(verb)
    verb.add_argument("--fresh", action="store_true", help="delete the study in the folder and start over")
    verb.add_argument("--quiet", action="store_true", help="only errors, and the warning of a stand-in")


def _add_question(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--keep",
        type=_keep,
        metavar="SHARE",
        help="say how many dimensions keep this share of the variance: 0.90; knee: the size where explained variance "
        "stops rising",
    )
    verb.add_argument(
        "--minutes",
        type=_minutes,
        metavar="M",
        help="end the search of --keep (without --latent-dims) within M minutes",
    )
    verb.add_argument(
        "--curve",
        action="store_true",
        help="also train one nested network, which estimates the error at every size between the smallest and the "
        "largest",
    )


def _add_report(verbs: Any, run: Verb) -> None:
    verb = _add(verbs, "report", run, "regenerate report, figures and tables of a study", REPORT)
    _add_folder(verb)
    _add_explorer(verb)


def _add_data(verbs: Any, run: Verb) -> None:
    verb = _add(verbs, "data", run, "fetch, verify and describe a data set", LOOK)
    verb.add_argument("data", nargs="?", default="fashion-mnist", metavar="DATA", help=DATA_HELP)
    _add_reading(verb)


def _add_encode(verbs: Any, run: Verb) -> None:
    verb = _add(verbs, "encode", run, "data to codes, prepared as the data of the study", ENCODE)
    _add_folder(verb)
    verb.add_argument("data", metavar="DATA", help=DATA_HELP)
    _add_network(verb)
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help=FILE_HELP)
    verb.add_argument("--errors", action="store_true", help="also write each item's mean squared reconstruction error")
    _add_data_dir(verb)
    verb.add_argument(
        "--range",
        type=_end,
        metavar="MAX",
        help="pixel values in DATA run from 0 to MAX, where they ran to another number in the data of the study",
    )
    _add_skip_bad(verb)


def _add_decode(verbs: Any, run: Verb) -> None:
    verb = _add(verbs, "decode", run, "codes to data, in the shape and units of the data of the study", DECODE)
    _add_folder(verb)
    verb.add_argument("codes", type=Path, metavar="CODES", help="a file as `encode` writes it, or one like it")
    _add_network(verb)
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help=FILE_HELP)


def _add_export(verbs: Any, run: Verb) -> None:
    verb = _add(verbs, "export", run, "a network for other programs: ONNX, safetensors, a model card", EXPORT)
    _add_folder(verb)
    _add_network(verb)
    verb.add_argument("--out", type=Path, required=True, metavar="DIR2", help="the folder to write")


def _add_folder(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("folder", type=Path, metavar="DIR", help="what `latentfit study` wrote")


def _add_network(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--latent-dim", type=_count, metavar="K", help="size of the network (that of the study's answer)")
    verb.add_argument(
        "--seed",
        type=_seed,
        metavar="S",
        help="its seed (the one with the smallest error on the held-out images; the first where nothing was held out)",
    )


def _add_data_dir(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--data-dir", type=Path, metavar="DIR", help="where Fashion-MNIST's files are looked for first")


def _add_skip_bad(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read")


def _add(verbs: Any, name: str, run: Verb, text: str, end: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=end,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verb.set_defaults(run=run)
    verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return verb


def _add_explorer(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--explorer", choices=("on", "off"), default="on", help="put the networks into the report (on)")


def _add_hardware(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--precision",
        default="auto",
        metavar="P",
        help="of the matrix products in training: auto, fp32, bf16 (auto: bf16 where it is faster)",
    )
    verb.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, mps (auto: CUDA if there is one)")
    verb.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="networks that train at once (as many as cores and memory allow; one on a GPU)",
    )
    verb.add_argument("--cluster", type=_scheduler, metavar="ADDRESS", help="train on workers of Dask: tcp://HOST:PORT")
    verb.add_argument(
        "--patience", type=_minutes, metavar="M", help="with --cluster: stop if no network finishes for M minutes"
    )


def _add_reading(verb: argparse.ArgumentParser) -> None:
    _add_data_dir(verb)
    verb.add_argument(
        "--range",
        type=_end,
        metavar="MAX",
        help="pixel values in the files run from 0 to MAX (255 for bytes; 1 for floats, and for 0 and 1 alone)",
    )
    verb.add_argument(
        "--test",
        type=_share,
        metavar="SHARE",
        help="draw this share of the images at random as test images, where the data have none of their own (every "
        "tenth image of an .npy; a tenth of the pictures of each class)",
    )
    verb.add_argument(
        "--resize",
        type=_picture_size,
        metavar="WxH",
        help="bring pictures to this size: scaled until they cover it, cropped at the centre",
    )
    verb.add_argument(
        "--shape",
        nargs="+",
        type=_count,
        metavar="N",
        help="height and width of an image (and 3 for colour), where a file has rows of pixels: 28 28",
    )
    verb.add_argument(
        "--group",
        metavar="G",
        help="what stays on one side of every split: folder (pictures of one folder, perhaps below a class), prefix "
        "(pictures whose names begin alike, up to the first _ or -), or the name of a table's column",
    )
    verb.add_argument(
        "--label", metavar="NAME", help="a table's column of labels (one called label, class, target, y or digit)"
    )
    verb.add_argument(
        "--scale",
        choices=SCALES,
        help="of rows of numbers: divide each of the columns by its own deviation while training, or none (columns)",
    )
    _add_skip_bad(verb)


def reading(options: argparse.Namespace) -> dict[str, Any]:
    """How data are read, as arguments of `data.load` and `study`."""
    return {
        "data_dir": options.data_dir,
        "value_range": options.range,
        "test_share": options.test,
        "resize": options.resize,
        "skip_bad": options.skip_bad,
        "shape": options.shape,
        "group": options.group,
        "label": options.label,
        "scale": options.scale,
    }


def _sizes(text: str) -> list[int]:
    try:
        return [_count(part) for part in text.split(",") if part]
    except argparse.ArgumentTypeError as error:
        hint = "" if any(c.isdigit() for c in text) else "; DATA comes before the flags"
        raise argparse.ArgumentTypeError(f"{error}{hint}") from None


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number, 1 or more")
    return int(text)


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number, 0 or more")
    return int(text)


def _keep(text: str) -> Keep:
    if text == "knee":
        return "knee"
    return _positive(text, 1, "a number between 0 and 1, for example 0.90, or knee")


def _share(text: str) -> float:
    return _positive(text, 1, "a number between 0 and 1, for example 0.90")


def _minutes(text: str) -> float:
    return _positive(text, math.inf, "a number of minutes above 0, for example 10")


def _scheduler(text: str) -> str:
    if not re.fullmatch(r"(tcp|tls)://[^\s/]+:\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r}; expected the address of a Dask scheduler: tcp://scheduler:8786")
    return text


def _end(text: str) -> float:
    return _positive(text, math.inf, "the largest pixel value, a number above 0: 255")


def _picture_size(text: str) -> tuple[int, int]:
    try:
        return picture_size(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str, limit: float, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < limit:
        raise argparse.ArgumentTypeError(f"{text!r}; expected {expected}")
    return value
