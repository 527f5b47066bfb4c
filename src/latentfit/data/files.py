"""Images and rows from the user's own file or folder: arrays, IDX, tables, as they are published, or pictures.

This decides by names which of the readers beside it is meant, and makes an `ImageSet` of the arrays that it returns.
Every fault is an error of one line that says what to do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from . import arrays, idx, pictures, roles, tables
from .assembly import Beside, divided, whole
from .decoding import NAMED
from .images import ImageSet
from .layout import Layout, scan
from .reading import DEFAULT, SCALES, Array, Reading, shape_text
from .tables import Table

TABLES = (".csv", ".tsv", ".parquet")
KEYS = ("x_train", "y_train", "x_test", "y_test")  # in the order of idx.NAMES
REQUIRED = ("x_train", "x_test")
IDX_NAMES = f"MNIST's names ({', '.join(idx.NAMES)}; gzipped or not)"
ALLOWED = (
    "an .npz with x_train and x_test (and y_train, y_test, x_val), an .npy with images (N, H, W) or rows (N, D), a "
    f".csv or .parquet with a row for each item, a folder of pictures ({NAMED}; train/ and test/, a folder a class, as "
    f"far as there are), or a folder of IDX files under {IDX_NAMES}"
)
OPTION_FAULTS = {
    "test_share": "has test images of its own; expected an .npy, a .csv or a folder of pictures without",
    "resize": "holds arrays, which keep their size; expected a folder of pictures",
    "skip_bad": "holds arrays, which are read whole; expected a folder of pictures",
    "group": "holds arrays, whose images have no names; expected a folder of pictures or a table",
    "shape": "holds images that have a shape; expected rows of pixels, in an .npy, an .npz or a table,",
    "label": "holds no table; expected a .csv or .parquet",
    "scale": "holds images, whose pixels have one unit; expected rows of numbers",
}
PICKLE = "import pickle, numpy as np; np.save('images.npy', np.asarray(pickle.load(open({!r}, 'rb'))))"
TORCH = "import numpy as np, torch; np.save('images.npy', torch.load({!r}, weights_only=True).numpy())"
NEVER = {  # what is never opened, and the line of Python that converts it, where the user trusts the file
    **dict.fromkeys((".pkl", ".pickle"), PICKLE),
    **dict.fromkeys((".pt", ".pth"), TORCH),
    ".joblib": "import joblib, numpy as np; np.save('images.npy', np.asarray(joblib.load({!r})))",
    ".mat": "import numpy as np, scipy.io; np.save('images.npy', scipy.io.loadmat({!r})['X'])",
    **dict.fromkeys((".h5", ".hdf5"), "import h5py, numpy as np; np.save('images.npy', h5py.File({!r})['images'][:])"),
    **dict.fromkeys((".xlsx", ".xls"), "import pandas; pandas.read_excel({!r}).to_csv('table.csv', index=False)"),
    **dict.fromkeys(
        (".feather", ".arrow"), "import pandas; pandas.read_feather({!r}).to_csv('table.csv', index=False)"
    ),
    **dict.fromkeys((".zip", ".tar", ".tgz"), "import shutil; shutil.unpack_archive({!r}, 'images')"),
}


def load(path: Path, requested: Reading = DEFAULT) -> ImageSet:
    """Load images from a file or a folder, by whose name the set is called.

    An `.npz` has `x_train`, `x_test` and perhaps labels `y_train`, `y_test` and held-out images `x_val`, or the same
    under names such as `train_images`. An `.npy` has one array, of which `choose_test_images` takes the test images; a
    `.csv`, `.tsv` or `.parquet` has one table. A folder has such files, one an array, or IDX files, or pictures. Labels
    are optional.

    Images are (N, H, W), (N, H, W, 1), (N, H, W, 3), (N, 1, H, W) or (N, 3, H, W), or rows of the requested shape:
    uint8; floats in [0, 1], which become float32; 0 and 1 of any type, which become bytes of 0 and 255; or of the
    requested range. Other arrays (N, D) are rows of numbers of any range. Everything else raises an InputError.
    """
    with warnings.catch_warnings(action="ignore"):  # numpy, Pillow and Python warn about odd but readable files
        return READERS[(found := find(path)).kind](found, requested)


class Found(NamedTuple):
    """What a file or folder holds: its kind, a key of READERS, and which files those are."""

    kind: str
    path: Path  # for errors
    name: str  # of the set
    files: Mapping[str, Path] = {}  # by the keys of an ImageSet, where there are several
    layout: Layout | None = None  # of a folder of pictures


def find(path: Path) -> Found:
    """Which kind of data a file or folder holds, by names.

    Raises:
        InputError: None that can be read.
    """
    if not path.is_dir() and not path.is_file():  # a pipe may never end
        raise InputError(f"{path}: no such file or folder; expected {ALLOWED}")
    return _find_folder(path, path.resolve().name or str(path)) if path.is_dir() else _find_file(path)


def _find_file(path: Path) -> Found:
    suffix, name = path.suffix.lower(), path.resolve().stem
    if suffix in (".npz", ".npy"):
        return Found(suffix[1:], path, name)
    if suffix in TABLES:
        return Found("table", path, name)
    if suffix in NEVER:
        raise InputError(
            f"{path}: a {suffix} file is not opened, as that could run code or takes other software; expected "
            f"{ALLOWED}; if you trust it, convert it with: {NEVER[suffix].format(str(path))}"
        )
    if same := _idx_files(path.parent, path):
        return Found("idx", path.parent, name, same)
    raise InputError(f"{path}: cannot read a {path.suffix or 'file without a suffix'}; expected {ALLOWED}")


def _find_folder(folder: Path, name: str) -> Found:
    exact = {key: file for key, title in zip(KEYS, idx.NAMES, strict=True) if (file := idx.find(folder, title))}
    if files := exact if {*REQUIRED} <= exact.keys() else _idx_files(folder):
        return Found("idx", folder, name, files)
    inside = _list(folder)
    if files := roles.group(folder, [path for path in inside if path.suffix.lower() in (".npz", ".npy")]):
        return Found("arrays", folder, name, files)
    if not exact and ((layout := scan(folder)).items or layout.rejected):
        return Found("pictures", folder, name, layout=layout)
    found_tables = [path for path in inside if path.suffix.lower() in TABLES]
    if files := roles.group(folder, found_tables):
        return Found("tables", folder, name, files)
    if train := [path for path in found_tables if (role := roles.role_of(path.name)) and role.key == "x_train"]:
        return Found("table", train[0], name)
    folders = [path for path in inside if path.is_dir()]
    if len(folders) == 1 and not exact:
        return _find_folder(folders[0], name)
    missing = [title for title in idx.NAMES[::2] if idx.find(folder, title) is None]
    raise InputError(
        f"{folder}: has no {' and no '.join(missing)}, and no pictures; expected a folder of pictures ({NAMED}), "
        f"or of IDX files under {IDX_NAMES}"
    )


def _list(folder: Path) -> list[Path]:
    """Files and folders in a folder, without hidden ones."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}; expected a folder that can be read") from error


def _refuse(path: Path, requested: Reading, *taken: str) -> None:
    """Refuse options that mean nothing for this source."""
    for field, flag in requested.flag_by_field.items():
        if field not in taken:
            raise InputError(f"{path}: {OPTION_FAULTS[field]} with {flag}; leave it out")


def _idx_files(folder: Path, wanted: Path | None = None) -> dict[str, Path] | None:
    """The IDX files of a folder's one set, or of that of one file, by what their names say; None if there is none."""
    files = [path for path in _list(folder) if "idx" in path.name.lower() or "ubyte" in path.name.lower()]
    found = roles.group(folder, [path for path in files if path.is_file()], wanted)
    return found and {key: path for key, path in found.items() if key != "x_val"}


def _load_npz(found: Found, requested: Reading) -> ImageSet:
    path = found.path
    _refuse(path, requested, "value_range", "shape", "scale")
    read = arrays.read_npz(path)
    with arrays.sound(path):
        return whole(found.name, {key: f"{key} in {path}" for key in read}, read, requested)


def _load_npy(found: Found, requested: Reading) -> ImageSet:
    path = found.path
    _refuse(path, requested, "value_range", "shape", "test_share", "scale")
    x = arrays.map_npy(path)
    with arrays.sound(path):
        return divided(found.name, str(path), x, None, requested)


def _load_arrays(found: Found, requested: Reading) -> ImageSet:
    _refuse(found.path, requested, "value_range", "shape", "scale")
    read = {key: arrays.read_one(file) for key, file in found.files.items()}
    return whole(found.name, {key: str(file) for key, file in found.files.items()}, read, requested)


def _load_pictures(found: Found, requested: Reading) -> ImageSet:
    assert found.layout is not None
    _refuse(found.path, requested, "value_range", "test_share", "resize", "skip_bad", "group")
    return pictures.load(found.path, found.layout, requested)


def _load_idx(found: Found, requested: Reading) -> ImageSet:
    _refuse(found.path, requested, "value_range")
    read = {key: idx.read(file, 3 if key in REQUIRED else 1) for key, file in found.files.items()}
    titles = {"x_train": f"training images in {found.path}", "x_test": f"test images in {found.path}"}
    return whole(found.name, titles, read, requested)


def _load_table(found: Found, requested: Reading) -> ImageSet:
    path = found.path
    _refuse(path, requested, "value_range", "shape", "test_share", "label", "group", "scale")
    table = tables.read_any(path, requested)
    x, reading = _shaped(table, requested)
    beside = Beside(columns=table.columns if x.ndim == 2 else None, groups=table.groups, names=table.names)
    return divided(found.name, str(path), x, table.labels, reading, beside)


def _load_tables(found: Found, requested: Reading) -> ImageSet:
    folder, files = found.path, found.files
    _refuse(folder, requested, "value_range", "shape", "label", "group", "scale")
    train = tables.read_any(files["x_train"], requested)
    if not requested.shape and train.shape is None:
        requested = replace(requested, scale=requested.scale or SCALES[0])  # all of them rows, whatever they look like
    rest = {key: path for key, path in files.items() if key.startswith("x") and key != "x_train"}
    read = {"x_train": train} | {key: tables.read_any(path, requested) for key, path in rest.items()}
    x = {key: _shaped(table, requested)[0] for key, table in read.items()}
    labelled = {key: table.labels for key, table in read.items() if key in REQUIRED and table.labels is not None}
    dropped: tuple[str, ...] = ()
    if len(labelled) == len(REQUIRED):
        x |= {key.replace("x", "y", 1): y for key, y in labelled.items()}
    elif labelled:
        (other,) = {*REQUIRED} - labelled.keys()
        dropped = (f"The labels are left out: {files[other].name} has none.",)
    is_rows = x["x_train"].ndim == 2
    tables.check_alike({files[key].name: table for key, table in read.items()} if is_rows else {}, str(folder))
    shaped = _shaped(train, requested)[1]
    reading = replace(shaped, dropped=(*shaped.dropped, *dropped))
    beside = Beside(columns=train.columns if is_rows else None, groups=train.groups)
    return whole(found.name, {key: str(path) for key, path in files.items()}, x, reading, beside)


def _shaped(table: Table, requested: Reading) -> tuple[Array, Reading]:
    """The images of a table in the shape that it says itself where none was requested, or its rows; and how read."""
    requested = replace(requested, dropped=(*requested.dropped, *table.dropped))
    if requested.shape or table.shape is None:
        return table.values, requested
    step = f"rows of pixels as images of {shape_text(table.shape)}"
    return table.values.reshape(-1, *table.shape), replace(requested, prepared=(step,))


READERS: dict[str, Callable[[Found, Reading], ImageSet]] = {
    "npz": _load_npz,
    "npy": _load_npy,
    "arrays": _load_arrays,
    "idx": _load_idx,
    "pictures": _load_pictures,
    "table": _load_table,
    "tables": _load_tables,
}
