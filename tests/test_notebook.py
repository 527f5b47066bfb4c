"""The notebook: its parts, its length, its stored outputs, and a shortened run."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from latentfit import report
from latentfit.measure import headline
from latentfit.results import Results
from latentfit.sweep import files

ROOT = Path(__file__).resolve().parent.parent
STORED = json.loads((ROOT / "Autoencoders.ipynb").read_bytes())
CODE = [cell for cell in STORED["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_has_five_parts():
    text = ["".join(cell["source"]) for cell in STORED["cells"] if cell["cell_type"] == "markdown"]
    headings = [line.removeprefix("## ") for cell in text for line in cell.splitlines() if line.startswith("## ")]
    assert headings == [
        "Data Loading & Preprocessing",
        "Model Definitions",
        "Training & Reconstruction",
        "Latent-space Interpolation",
        "Analysis",
    ]


def test_the_notebook_is_short_and_defines_nothing():
    assert len(CODE) <= 12
    for cell in CODE:
        lines = [line for line in cell["source"] if not line.startswith("%")]
        assert len(lines) <= 15
        nodes = ast.walk(ast.parse("".join(lines)))
        assert not [node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda)]


def test_the_stored_outputs_are_those_of_the_reference_study():
    outputs = [output for cell in CODE for output in cell["outputs"]]
    assert all(cell["execution_count"] for cell in CODE)
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert len([o for o in outputs if "image/png" in o.get("data", {})]) == 5
    text = "".join("".join(o.get("text", o.get("data", {}).get("text/markdown", ""))) for o in outputs)
    assert "fashion-mnist: training (60000, 28, 28)" in text
    reference = SimpleNamespace(found=files.read(Results, ROOT / "results/reference/results.json"))
    twin, analysis = (ROOT / "results/reference/report.md").read_text(), report.analysis(reference).split("\n\n")
    assert report.table(reference) in text
    assert report.table(reference) in twin
    assert all(part in text for part in analysis)
    said = headline.headline(reference.found)  # the page does not say it twice
    for title, words in zip(analysis[::2], analysis[1::2], strict=True):
        assert words in twin
        assert (title in twin) != (words in said)


@pytest.mark.filterwarnings("default")  # Jupyter warns
def test_a_shortened_run_raises_no_error(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("execute_notebook", ROOT / "tools/execute_notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("LATENTFIT_QUICK", "1")
    if not os.environ.get("FASHION_MNIST_DIR"):
        monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "cache"))
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")  # refuses at once: tests download nothing
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
    module.execute(ROOT / "Autoencoders.ipynb", tmp_path / "out.ipynb", tmp_path)
    cells = json.loads((tmp_path / "out.ipynb").read_bytes())["cells"]
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
    assert not [key for cell in cells for key in cell["metadata"] if key == "execution"]
