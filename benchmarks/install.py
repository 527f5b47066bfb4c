"""What the set-ups of `make study` and `make test` take on a fresh machine: minutes and megabytes (`make bench-setup`).

Each is made in a copy of this checkout in a temporary folder, without pip's cache, so packages are downloaded or read
from the disk as they would be the first time. The figures are kept in `benchmarks/results/setup.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "setup.json"
NEEDED = ("Makefile", "pyproject.toml", "constraints.txt", "README.md", "LICENSE", "src")
TARGETS = ("study", "test")


def main() -> None:
    """Measure both and keep the figures."""
    found: dict[str, Any] = {"cores": os.cpu_count(), "targets": {name: measure(name) for name in TARGETS}}
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(RESULT.read_text())


def measure(target: str) -> dict[str, Any]:
    """Seconds and megabytes of `make .venv/<target>`, and the build of torch that it brought."""
    with tempfile.TemporaryDirectory() as folder:
        for name in NEEDED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, Path(folder) / name)
        start = time.perf_counter()
        subprocess.run(["make", f".venv/{target}"], cwd=folder, check=True, env=os.environ | {"PIP_NO_CACHE_DIR": "1"})
        seconds = time.perf_counter() - start
        used = sum(path.lstat().st_blocks * 512 for path in Path(folder, ".venv").rglob("*"))
        ask = [".venv/bin/python", "-c", "from importlib.metadata import version; print(version('torch'))"]
        torch = subprocess.run(ask, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
        return {"seconds": round(seconds), "megabytes": round(used / 1e6), "torch": torch}


if __name__ == "__main__":
    main()
