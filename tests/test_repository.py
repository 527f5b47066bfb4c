"""Promises about the repository itself: its layers, its public names, its README."""

from __future__ import annotations

import ast
import json
import math
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import latentfit
from latentfit import pca
from latentfit.data import large, reading
from latentfit.measure import answer
from latentfit.model import Network
from latentfit.recipe import RECIPES
from latentfit.sweep import memory

ROOT = Path(__file__).resolve().parent.parent
README, CONTRIBUTING, WHY = ((ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md", "docs/why.md"))


def tracked() -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-c", "safe.directory=*", "ls-files"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]


def test_imports_point_down():
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([str(lint), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_module_stands_in_a_layer():
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {name.strip().removeprefix("latentfit.") for layer in layers for name in layer.split("|")}
    there = {path.stem for path in (ROOT / "src" / "latentfit").iterdir() if path.is_dir() or path.suffix == ".py"}
    assert named == there - {"__init__", "__pycache__"}


def test_nobody_imports_the_package_root():
    for path in (ROOT / "src").rglob("*.py"):
        assert not re.search(r"^\s*(from latentfit import|import latentfit)\b", path.read_text(), re.M), path


def test_public_names():
    assert sorted(latentfit.__all__) == [
        *(
            "Autoencoder",
            "ImageSet",
            "Network",
            "Recipe",
            "choose_size",
            "evaluate",
            "figures",
            "latent",
            "load",
            "load_data",
            "report",
            "study",
            "train",
        ),
    ]
    for name in latentfit.__all__:
        assert getattr(latentfit, name).__doc__
    with pytest.raises(AttributeError):
        latentfit.utils  # noqa: B018


def test_the_code_of_the_readme_names_what_is_there():
    names = set(re.findall(r"latentfit\.([a-z_]+)\.([a-z_]+)\(", README))
    assert ("latent", "encode") in names
    for module, name in names:
        assert hasattr(getattr(latentfit, module), name), (module, name)


def test_no_function_bears_the_name_of_a_module_beside_it():
    modules = {path.stem for path in (ROOT / "src" / "latentfit").iterdir()}
    homes = {function for _, function in latentfit._HOMES.values()}
    assert not modules & homes


def test_the_version_stands_in_one_place():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert latentfit.__version__ == version
    assert [p for p in (ROOT / "src").rglob("*.py") if f'"{version}"' in p.read_text()] == []


def test_each_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for extra in project["optional-dependencies"].values() for name in extra]
    wanted = [name for name in (*project["dependencies"], *extras) if not name.startswith("latentfit[")]
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    assert {re.split(r"[<>=]", name)[0] for name in wanted} <= pinned


MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = dict(re.findall(r"^([a-z-]+): \.venv/(\w+) ##", MAKEFILE, re.M))


def test_each_target_sets_up_an_extra_and_a_study_needs_none():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert TARGETS["study"] == "study"
    assert set(TARGETS.values()) | {"cluster", "onnx", "tables"} == {"study", *extras}  # which are for users
    recipes = re.findall(r"^([a-z-]+):(.*)\n((?:\t.*\n)+)", MAKEFILE, re.M)
    without = {name for name, needs, recipe in recipes if "$(BIN)/" in recipe and ".venv/" not in needs + recipe}
    assert without == set()


def asked(extra: str) -> set[str]:
    """The packages that pyproject.toml names for an extra, with those of every study."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    found, waiting = set(), [*project["dependencies"], *extras.get(extra, [])]
    while waiting:
        name, inner = re.match(r"([\w-]+)(?:\[(.*)\])?", waiting.pop()).groups()
        waiting += [each for part in (inner or "").split(",") for each in extras.get(part, [])]
        found.add(name)
    return found


@pytest.mark.parametrize(
    ("extra", "folder", "besides"),
    [
        (
            "study",
            "src",
            {"scikit-dimension", "pandas", "pyarrow", "onnx", "distributed"},
        ),  # imported where it is there
        ("test", "tests", set()),
        ("test", "tools", set()),
        ("bench", "benchmarks", {"playwright", "distributed", "psutil"}),  # of what `make bench` does not run
        ("fuzz", "fuzz", set()),
    ],
)
def test_an_extra_names_each_package_that_its_files_import(extra, folder, besides):
    homes = packages_distributions() | {"atheris": ["atheris"], "jax": ["jax"]}  # which tests do without
    modules = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module.split(".")[0])
    beside = {path.stem for name in ("benchmarks", "fuzz", "tests", "tools") for path in (ROOT / name).glob("*.py")}
    foreign = modules - sys.stdlib_module_names - beside - {"latentfit"}
    imported = {name.lower().replace("_", "-") for module in foreign for name in homes[module][:1]}
    assert imported <= {name.lower() for name in asked(extra)} | besides


def tree() -> list[tuple[str, str]]:
    """(path, caption) of each line of the tree in CONTRIBUTING."""
    block = re.search(r"```text\n(\S.*?)```", CONTRIBUTING, re.S)[1]
    found, folders = [], []
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, caption = line.strip().partition(" ")
        folders[depth:] = [name]
        if not name.endswith("/"):
            found.append(("".join(folders), caption.strip()))
    return found


def test_the_tree_captions_each_file_of_src_benchmarks_and_the_root():
    listed = {path for path, _ in tree()}
    kept = ("src/", "benchmarks/")
    there = {p for p in tracked() if "/" not in p or (p.startswith(kept) and "results/" not in p)}
    assert {p for p in listed if p.startswith(kept) or "/" not in p} == there
    assert all(len(caption) > 8 for _, caption in tree())


def test_the_readme_shows_the_committed_study():
    results = json.loads((ROOT / "results/reference/results.json").read_bytes())
    filled = subprocess.run(
        [sys.executable, str(ROOT / "tools/fill_readme.py"), "--print"], capture_output=True, text=True, check=True
    ).stdout
    assert filled == README + WHY
    assert len(README.splitlines()) <= 130
    assert results["dataset"]["name"] == "fashion-mnist"
    assert results["recipe"]["epochs"] == 20
    assert {m["latent_dim"] for m in results["models"]} == {16, 48}


def test_every_number_with_decimals_in_the_readme_is_generated_or_a_setting():
    prose = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", README + WHY, flags=re.S)
    prose = re.sub(r"```.*?```", "", prose, flags=re.S)
    settings = {"0.001", "3.11"}
    assert set(re.findall(r"\d+\.\d+", prose)) <= settings


def test_the_numbers_of_images_in_prose_are_those_of_the_code():
    why, changes = (" ".join((ROOT / name).read_text().split()) for name in ("docs/why.md", "CHANGELOG.md"))
    assert f"a fifth of fewer than {reading.FEW}; with fewer than {reading.FEWEST} the network stays PCA" in why
    assert [reading.held_out_of(n) / n for n in (reading.FEWEST, reading.FEW)] == [1 / 5, 1 / 10]
    assert reading.held_out_of(reading.FEWEST - 1) == 0
    assert f"PCA of more than {pca.EXACT:,} images and numbers an image is randomized" in changes
    data = " ".join((ROOT / "docs" / "data.md").read_text().split())
    assert f"more than {large.LARGE / 1e6:.0f} MB" in data
    assert f"foretold where it is above {memory.SAID / 1e9:g} GB" in data
    assert f"PCA of more than {pca.EXACT:,} images with more than {pca.EXACT:,} numbers ({pca.ROOM / 1e6:.0f} m" in data
    assert f"at most {pca.AXES} components" in data
    readme = " ".join(README.split())
    assert f"beyond {pca.EXACT:,} of them, with as many images, {pca.AXES} dimensions are the most" in readme
    assert ("a tenth of them or less" in readme, answer.HARDLY) == (True, 0.1)
    kinds = {row["set"] for row in json.loads((ROOT / "benchmarks/results/recipes.json").read_text())["rows"]}
    assert (len(kinds), "every recipe on eight kinds of images" in why) == (8, True)


def test_every_path_the_readme_links_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_no_file_names_a_place_of_one_machine():
    for name in tracked():
        found = re.search(
            rb"[\s\"'(=](/(home|root|Users|work|tmp)/\w+)|/site-" + rb"packages", (ROOT / name).read_bytes()
        )
        assert found is None, (name, found[0])


@pytest.mark.parametrize("page", ["network", "performance", "reliability", "verdict"])
def test_a_generated_page_is_what_its_script_makes(page):
    made = subprocess.run(
        [sys.executable, str(ROOT / f"tools/fill_{page}.py"), "--print"], capture_output=True, text=True, check=True
    ).stdout
    assert made == (ROOT / f"docs/{page}.md").read_text()


def test_the_benchmarks_time_the_reference_recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    clock, run, quality = (import_module(name) for name in ("clock", "run", "quality"))
    recipe = RECIPES["reference"]
    network = Network(784, 16, recipe.hidden)
    assert clock.sizes(16) == [*network.sizes, *network.sizes[-2::-1]]
    assert (recipe.batch_size, math.ceil(60_000 / 128), recipe.epochs) == (clock.BATCH, clock.STEPS, run.EPOCHS)
    assert {*RECIPES} <= {*quality.STUDIES}


def test_each_mutant_changes_one_line_that_is_there(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests"))
    for mutant in import_module("mutants").MUTANTS:
        text = (ROOT / "src/latentfit" / mutant.file).read_text()
        assert text.count(mutant.old) == 1, mutant.what
        assert mutant.new != mutant.old
