"""The wheel and the source archive: what is in them, and that the wheel runs where the checkout is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built of the source archive, as a user's pip would."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, env=clean())
    assert done.returncode == 0, done.stdout + done.stderr
    assert (out / f"latentfit-{VERSION}.tar.gz").exists()
    return out / f"latentfit-{VERSION}-py3-none-any.whl"


def test_the_wheel_holds_every_file_of_the_package(wheel):
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith(f"latentfit-{VERSION}.dist")}
    source = ROOT / "src"
    there = {path.relative_to(source).as_posix() for path in (source / "latentfit").rglob("*") if path.is_file()}
    assert inside == {name for name in there if "__pycache__" not in name}
    assert {"latentfit/report/report.html.j2", "latentfit/report/explorer.js", "latentfit/py.typed"} <= inside


def test_the_wheel_runs_in_an_environment_that_has_what_it_depends_on_and_nothing_of_this_checkout(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel]
    subprocess.run(install, check=True, env=clean())
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(tmp_path / "venv")}))
    # a folder in a .pth is searched, and the .pth files in it are not read: the checkout stays out
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    run = {"cwd": tmp_path, "env": clean(), "capture_output": True, "text": True}
    command = python.with_name("latentfit")
    assert subprocess.run([command, "--version"], check=True, **run).stdout == f"latentfit {VERSION}\n"
    where = subprocess.run([python, "-c", "import latentfit; print(latentfit.__file__)"], check=True, **run).stdout
    assert where.startswith(str(site))
    np.save(tmp_path / "small.npy", np.random.default_rng(0).integers(0, 256, (40, 12, 11), np.uint8))
    study = [command, "study", "small.npy", "--latent-dims", "2", "--epochs", "1", "--out", "study"]
    done = subprocess.run(study, **run)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "study" / "report.html").read_text()
    for name in ("style.css", "explorer.js", "article.js"):
        assert (ROOT / "src/latentfit/report" / name).read_text().strip()[:200] in page


def test_the_version_is_the_same_everywhere():
    assert re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)[1] == VERSION
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)[1] == VERSION
