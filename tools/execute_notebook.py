"""Execute `Autoencoders.ipynb` and store it with its outputs: `make notebook`.

Without the times of execution that Jupyter would store, so that a run that finds the same changes nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent


def execute(source: Path, target: Path, folder: Path) -> None:
    """Run a notebook in a folder; a cell that raises is an error, and then nothing is written."""
    notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook, timeout=None, kernel_name="python3", record_timing=False, resources={"metadata": {"path": folder}}
    )
    client.execute()
    nbformat.write(notebook, target)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    name = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Autoencoders.ipynb"
    execute(name, name, ROOT)
