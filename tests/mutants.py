"""Check that a test fails if a safety line is removed from a copy of the code: `make mutants`.

A mutant is a text that occurs exactly once in a file, its replacement, and the tests that should fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Mutant(NamedTuple):
    """The removal of one safety line."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "fsync of the file",
        "sweep/files.py",
        "            os.fsync(file.fileno())\n",
        "",
        ("test_store.py", "-k", "syncs"),
    ),
    Mutant(
        "fsync of the folder",
        "sweep/files.py",
        "        os.fsync(handle)\n",
        "        pass\n",
        ("test_store.py", "-k", "syncs"),
    ),
    Mutant(
        "temporary name and rename",
        "sweep/files.py",
        "        Path(name).replace(path)\n",
        "        path.write_bytes(data)\n        Path(name).unlink()\n",
        ("test_store.py", "-k", "write"),
    ),
    Mutant(
        "temporary file removed after a failure",
        "sweep/files.py",
        "            Path(name).unlink()\n",
        "            pass\n",
        ("test_store.py", "-k", "write"),
    ),
    Mutant(
        "sha256 of the weights",
        "sweep/weights.py",
        "if hashlib.sha256(data).hexdigest() != sha256:",
        "if False:",
        ("test_store.py", "test_run.py", "-k", "damaged"),
    ),
    Mutant(
        "weights must be finite",
        "sweep/weights.py",
        "array.dtype != np.float32 or not np.isfinite(array).all()",
        "array.dtype != np.float32",
        ("test_store.py", "test_doors.py"),
    ),
    Mutant(
        "lock",
        "sweep/lock.py",
        "            if not _locked(handle):\n",
        "            if False:\n",
        ("test_crash.py", "-k", "one_folder"),
    ),
    Mutant("NaN in JSON", "sweep/files.py", "allow_nan=False", "allow_nan=True", ("test_store.py", "-k", "nan")),
    Mutant(
        "autoescape",
        "report/__init__.py",
        "autoescape=True",
        "autoescape=False",
        ("test_report.py", "-k", "hostile or text"),
    ),
    Mutant(
        "size check of IDX",
        "data/idx.py",
        "if size > room:",
        "if False:",
        ("test_files.py", "-k", "idx_faults or damaged_gzip"),
    ),
    Mutant(
        "no pickle in .npz",
        "data/arrays.py",
        "np.lib.format.read_array(stream, allow_pickle=False)",
        "np.lib.format.read_array(stream, allow_pickle=True)",
        ("test_files.py", "test_doors.py", "-k", "pickle or object"),
    ),
    Mutant(
        "no pickle in .npy",
        "data/arrays.py",
        'np.load(path, mmap_mode="r", allow_pickle=False)',
        "np.load(path, allow_pickle=True)",
        ("test_files.py", "test_doors.py", "-k", "pickle or object"),
    ),
    Mutant(
        "links out of a folder of pictures",
        "data/layout.py",
        "os.path.commonpath([home, target]) != home",
        "not home",
        ("test_pictures.py", "-k", "links"),
    ),
    Mutant(
        "formats of pictures",
        "data/decoding.py",
        'FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")',
        "FORMATS = None",
        ("test_pictures.py", "-k", "cannot_be_read"),
    ),
    Mutant(
        "pixels of a picture",
        "data/decoding.py",
        "    if width * height > MOST_PIXELS:\n        raise",
        "    if width * height < 0:\n        raise",
        ("test_pictures.py", "-k", "cannot_be_read"),
    ),
    Mutant(
        "CRC of cached pictures",
        "data/cache.py",
        "if crc == index.crc else None",
        "if index.crc is not None else None",
        ("test_pictures.py", "-k", "damaged_cache"),
    ),
    Mutant(
        "NaN and inf in images",
        "data/faults.py",
        'count, first = count_pixels(x, lambda part: ~np.isfinite(part))\n    if count:\n        place = f"{count} pix',
        'count, first = 0, 0\n    if count:\n        place = f"{count} pix',
        ("test_files.py", "-k", "array_fault"),
    ),
    Mutant(
        "workers end with their parent",
        "sweep/pool.py",
        "    while os.getppid() == parent:",
        "    while True:",
        ("test_cli.py", "-k", "parent"),
    ),
    Mutant(
        "a training on a cluster that nobody waits for ends",
        "sweep/cluster.py",
        '    if task is None or task.state != "executing":',
        "    if False:",
        ("test_cluster.py", "-k", "signal"),
    ),
    Mutant(
        "images that no worker has any more are scattered anew",
        "sweep/cluster.py",
        "                self.there = [None, None]\n",
        "                pass\n",
        ("test_cluster.py", "-k", "late"),
    ),
    Mutant(
        "hash of the data set",
        "data/fashion_mnist.py",
        "if sha256 != file.sha256:",
        "if False:",
        ("test_fashion_mnist.py", "-k", "damaged or other_data"),
    ),
    Mutant(
        "a training that diverges stops",
        "train.py",
        "if not (finite := batches.isfinite()).all():",
        "if (finite := batches.isfinite()) is None:",
        ("test_train.py", "test_job.py", "-k", "diverge"),
    ),
    Mutant(
        "bytes with another range refused",
        "data/reading.py",
        "if 0 < high < DARK:",
        "if False:",
        ("test_reading.py", "-k", "refused"),
    ),
    Mutant(
        "images without variance have no share of it",
        "measure/network.py",
        "1 - mse / variance if self.varies else None",
        "1 - mse / variance if variance > 0 else None",
        ("test_network.py", "-k", "variance"),
    ),
    Mutant(
        "neighbours in the file among those that are compared",
        "data/quality.py",
        "np.concatenate([beside, others",
        "np.concatenate([beside[:0], others",
        ("test_quality.py", "-k", "film or few"),
    ),
    Mutant(
        "comparison of an export with its network",
        "export.py",
        "if not apart <= limit:",
        "if False:",
        ("test_export.py", "-k", "that_differs"),
    ),
    Mutant(
        "range of new data",
        "data/items.py",
        "if value_range is None and top != wanted.top:",
        "if False:",
        ("test_codes.py", "-k", "another_kind_are"),
    ),
)


def main() -> int:
    """Try all mutants; return 1 if one survives, otherwise 0."""
    killed = 0
    for mutant in MUTANTS:
        failed = is_killed(mutant)
        print(f"{'killed' if failed else 'ALIVE '}  {mutant.what}", flush=True)
        killed += failed
    print(f"{killed} of {len(MUTANTS)} killed")
    return 0 if killed == len(MUTANTS) else 1


def is_killed(mutant: Mutant) -> bool:
    """Whether a test fails with the mutation; exits if one fails without it."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source)
        if not passes(source, mutant.tests):
            raise SystemExit(f"{mutant.what}: its tests fail without the mutation: {' '.join(mutant.tests)}")
        path = source / "latentfit" / mutant.file
        text = path.read_text()
        if text.count(mutant.old) != 1:
            raise SystemExit(f"{mutant.what}: {mutant.old!r} stands {text.count(mutant.old)} times in {mutant.file}")
        path.write_text(text.replace(mutant.old, mutant.new))
        return not passes(source, mutant.tests)


def passes(source: Path, tests: tuple[str, ...]) -> bool:
    """Whether the tests pass with the package in a folder."""
    chosen = [str(ROOT / "tests" / part) if part.endswith(".py") else part for part in tests]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *chosen]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(source)}, capture_output=True)
    if ended.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout.decode()[-1000:]}")
    return ended.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
