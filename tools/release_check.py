"""Build the package and try it where nothing else is installed: `make release-check`.

For each Python from 3.11 that is found, an empty environment takes the wheel with the newest versions of what it needs
and then with the oldest that pyproject.toml allows (PyTorch aside, which stays at the version of constraints.txt). With
both the installed package says its version, runs a study with its report, and passes a part of the tests.

release_check.py [PYTHON ...]   these interpreters in place of those that are found
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
MINORS = range(11, 15)
TORCH = re.findall(r"^torch==.*$", (ROOT / "constraints.txt").read_text(), re.M)[0]
STUDY = ["study", "garments", "--latent-dims", "2", "--epochs", "1", "--recipe", "swift", "--out", "study"]
WRITTEN = ("results.json", "results.csv", "report.html", "report.md", "figures", "models/k002-s0/model.safetensors")
TESTS = ("evaluate", "figures", "gradient", "images", "latent", "model", "pca", "recipe", "results", "stats", "verdict")
EXTRAS = ("id", "onnx", "tables")  # for users


def main() -> None:
    """Go through all of it; what fails ends it with its own message."""
    shutil.rmtree(DIST, ignore_errors=True)
    _run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    _run(sys.executable, "-m", "twine", "check", "--strict", *DIST.iterdir())
    (wheel,) = DIST.glob("*.whl")
    pythons = [Path(name) for name in sys.argv[1:]] or interpreters()
    for python in pythons:
        with tempfile.TemporaryDirectory() as folder:
            tried(python, wheel, Path(folder))
    print(f"{wheel.name}: newest and oldest versions tried with {', '.join(map(str, pythons))}")


def interpreters() -> list[Path]:
    """The first of each version that can make environments, on the path or of pyenv."""
    found = []
    for minor in MINORS:
        name = f"python3.{minor}"
        on_path = [Path(path) for path in [shutil.which(name)] if path]
        candidates = [*on_path, *sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/{name}"))]
        ask = ["-c", "import ensurepip, venv"]
        found += [each for each in candidates if not subprocess.run([each, *ask], capture_output=True).returncode][:1]
    return found


def tried(python: Path, wheel: Path, folder: Path) -> None:
    """Try the wheel with one Python, in a folder that is empty."""
    print(f"{python}: newest versions", flush=True)
    _run(python, "-m", "venv", folder / "venv")
    of_venv = folder / "venv" / "bin" / "python"
    pip = (of_venv, "-m", "pip", "install", "--quiet")
    _run(*pip, TORCH, wheel)
    _use(of_venv, folder / "newest")
    _run(*pip, "hypothesis", "pytest")
    _test(of_venv)
    print(f"{python}: oldest versions", flush=True)
    pins = folder / "oldest.txt"
    pins.write_text(oldest(of_venv))
    _run(*pip, "--requirement", pins)
    _run(of_venv, "-m", "pip", "check")
    _use(of_venv, folder / "oldest")
    _test(of_venv)


def oldest(python: Path) -> str:
    """The lower bounds of pyproject.toml as versions with a wheel for this Python, a line each; PyTorch is left out."""
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-deps"]
    command += ["--resolution", "lowest-direct", "--only-binary", ":all:", "--python", str(python)]
    command += [part for extra in EXTRAS for part in ("--extra", extra)]
    done = subprocess.run([*command, ROOT / "pyproject.toml"], check=True, stdout=subprocess.PIPE, text=True)
    return "".join(line for line in done.stdout.splitlines(keepends=True) if not line.startswith("torch=="))


def _use(python: Path, folder: Path) -> None:
    """The version and a study, as a user runs them, from a folder of its own."""
    folder.mkdir()
    command = python.with_name("latentfit")
    _run(command, "--version", cwd=folder)
    _run(command, *STUDY, cwd=folder)
    missing = [name for name in WRITTEN if not (folder / "study" / name).exists()]
    assert not missing, f"the study did not write {missing}"


def _test(python: Path) -> None:
    names = [f"tests/test_{name}.py" for name in TESTS]
    # other versions warn of other things
    _run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "filterwarnings=", *names, cwd=ROOT)


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a command that has to succeed, without what the caller's environment says of Python."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([*map(str, command)], check=True, cwd=cwd, env=clean)


if __name__ == "__main__":
    main()
