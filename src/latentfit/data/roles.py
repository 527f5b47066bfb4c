"""What a file of a published data set holds, by its name: `emnist-letters-test-labels-idx1-ubyte.gz`, `y_train.npy`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, one_line
from ..formatting import listed

SPLITS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("test", "testing", "tst", "t10k"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
}
KINDS = {
    **dict.fromkeys(("x", "image", "images", "img", "imgs", "data", "pixels"), "x"),
    **dict.fromkeys(("y", "label", "labels", "lab", "target", "targets"), "y"),
}
FORMS = {"idx1", "idx3", "ubyte", "gz", "npz", "npy", "csv"}  # say nothing about a role
KEYS = ("x_train", "y_train", "x_test", "y_test", "x_val")


@dataclass(frozen=True)
class Role:
    """The key of an `ImageSet`, and the set that a file belongs to, by the rest of its name."""

    key: str
    group: str


def role_of(name: str) -> Role | None:
    """The role of a file or an array with this name; None if the name does not say a split."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word and word not in FORMS]
    words = [
        part for word in words for part in ([word[0], word[1:]] if word[1:] in SPLITS and word[0] in KINDS else [word])
    ]
    splits = [SPLITS[word] for word in words if word in SPLITS]
    kinds = [KINDS[word] for word in words if word in KINDS]
    if len(splits) != 1 or len(kinds) > 1:
        return None
    rest = [word for word in words if word not in SPLITS and word not in KINDS]
    return Role(f"{kinds[0] if kinds else 'x'}_{splits[0]}", "-".join(rest))


def by_key(names: Iterable[str]) -> dict[str, str]:
    """The name for each key of one set: a name that is the key itself, otherwise the one whose role it is."""
    names = list(names)
    found = {key: key for key in KEYS if key in names}
    if {"x_train", "x_test"} <= found.keys():
        return found
    for name in names:
        role = role_of(name)
        if role and role.key in KEYS:
            found.setdefault(role.key, name)
    return found


def group(folder: Path, files: Iterable[Path], wanted: Path | None = None) -> dict[str, Path] | None:
    """The files of the one set in a folder that has training and test images, by key; None if there is none.

    Args:
        folder: For the error.
        files: Those that may belong to a set.
        wanted: One of them, whose set is meant.

    Raises:
        InputError: The folder has several sets, or a set has two files for one key.
    """
    groups: dict[str, dict[str, Path]] = {}
    for file in sorted(files):
        role = role_of(file.name)
        if role and role.key in KEYS:
            same = groups.setdefault(role.group, {})
            if (other := same.get(role.key)) and other.stem != file.stem and other.name != f"{file.name}.gz":
                raise InputError(
                    f"{folder}: {other.name} and {file.name} are both {role.key}; expected one; move the other away"
                )
            same[role.key] = file
    whole = {name: same for name, same in groups.items() if {"x_train", "x_test"} <= same.keys()}
    if wanted is not None:
        return next((same for same in whole.values() if wanted in same.values()), None)
    if len(whole) > 1:
        raise InputError(
            f"{folder}: holds {len(whole)} sets, {listed([one_line(name or 'one without a name') for name in whole])}; "
            "expected one; give the file of its training images instead of the folder"
        )
    return next(iter(whole.values()), None)
