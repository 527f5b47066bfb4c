"""The page on clusters: its commands parse, and its numbers are what was measured."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
from pathlib import Path
from statistics import median

import pytest
from dask import config
from distributed import Security
from distributed.cli import dask_scheduler, dask_worker

from latentfit import flags
from latentfit.sweep import remote
from latentfit.sweep.pool import RENEWALS
from latentfit.sweep.run import study

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "cluster.md").read_text()
SHELL = [
    line.partition("  #")[0].rstrip(" &")
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    for line in block.splitlines()
]
SPEED = next(iter(json.loads((ROOT / "benchmarks" / "results" / "speed.json").read_text()).values()))["speed"]
EPOCH = median(SPEED["seconds"]["an epoch of ours, both networks"])  # each on a core of its own
MEASURED = [*json.loads((ROOT / "benchmarks" / "results" / "cluster.json").read_text()).values()][-1]


@pytest.mark.parametrize("line", [line for line in SHELL if "latentfit study" in line])
def test_its_commands_of_latentfit_parse(line):
    asked = flags.parser(*[int] * 6).parse_args(shlex.split(line.replace("$(hostname)", "node1"))[1:])
    assert re.match(r"(tcp|tls)://", asked.cluster)


@pytest.mark.parametrize("line", [line for line in SHELL if re.search(r"\bdask (scheduler|worker) ", line)])
def test_its_commands_of_dask_parse(line):
    what, *options = shlex.split(line.partition("dask ")[2])
    program = {"scheduler": dask_scheduler, "worker": dask_worker}[what].main
    program.make_context(what, options)
    known = {name for option in program.params for name in (*option.opts, *option.secondary_opts)}
    assert {name for name in options if name.startswith("--")} <= known


def test_its_python_calls_what_is_there():
    calls = [
        node
        for block in re.findall(r"```python\n(.*?)```", PAGE, re.S)
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "study"
    ]
    assert len(calls) == 3
    for call in calls:
        inspect.signature(study).bind(*call.args, **{keyword.arg: keyword for keyword in call.keywords})


def test_its_variables_are_those_of_dask():
    given = dict(pair.split("=") for line in SHELL if line.startswith("export ") for pair in line.split()[1:])
    assert len(given) == 8
    with config.set(config.merge(config.config, config.collect_env(given))):
        for role in ("scheduler", "worker", "client"):
            found = Security().get_tls_config_for_role(role)
            assert (found["ca_file"], found["cert"], found["key"]) == ("ca.pem", "me.pem", "me.key")
        assert Security().require_encryption is True


def test_its_words_on_what_is_compared_and_how_often_are_true():
    names = {"torch": "PyTorch", "numpy": "NumPy", "scipy": "SciPy"}
    told = re.search(r"another version of (.*?), or does not make", PAGE.replace("\n  ", " "))[1]
    assert re.split(r", | or ", told) == ["Python", *(names.get(name, name) for name in remote.LIBRARIES)]
    assert "die four times" in PAGE
    assert RENEWALS == 3


def rows(measured: dict[str, float], networks: int = 10_000, workers: int = 500) -> list[str]:
    """The table of the page: what was measured, and what it makes for so many networks."""
    gb, minutes = networks / 1e9, networks / 60
    image, result, kept = (measured[f"{name}_bytes"] for name in ("image", "result", "kept"))
    parent, task, training = measured["parent_seconds"], measured["scheduler_seconds"], 20 * EPOCH
    among, link = workers * image / 1e9, result * networks / 1.25e8 / 60
    return [
        f"| the images | {image / 1e6:.0f} MB | once from here; {among:.0f} GB between workers, all at once |",
        f"| a result | {result / 1e6:.1f} MB | {result * gb:.0f} GB through the scheduler: {link:.0f} minutes at "
        "1 Gbit/s |",
        f"| the parent, for each result | {parent * 1e3:.0f} ms | {parent * minutes:.0f} minutes of one core |",
        f"| what the parent keeps of it in memory | {kept / 1e3:.0f} kB | {kept * gb:.1f} GB |",
        f"| the scheduler, for each task | {task * 1e3:.1f} ms | {task * networks:.0f} s |",
        f"| a training, 20 epochs on one core | {training:.0f} s | {networks / workers * training / 60:.0f} minutes on "
        f"{workers} workers; {training * networks / 3600:.0f} core hours |",
    ]


def test_its_times_against_local_processes_are_those_that_were_measured():
    cluster, local = (median(MEASURED["seconds"][name]) for name in ("cluster", "local"))
    told = f"take {cluster:.1f} s on a cluster of two workers and {local:.1f} s with two local processes"
    assert told in PAGE
    assert f"{MEASURED['ratio']:.2f} times as long" in PAGE
    assert cluster <= 1.1 * local
    assert {key: MEASURED["asked"][key] for key in ("networks", "images", "epochs", "turns")} == {
        "networks": 64,
        "images": 4_000,
        "epochs": 10,
        "turns": 3,
    }


def test_its_arithmetic_is_that_of_what_was_measured():
    for row in rows(MEASURED):
        assert row in PAGE
    link = MEASURED["result_bytes"] / 1.25e8
    assert link > max(MEASURED["parent_seconds"], MEASURED["scheduler_seconds"])  # it is what limits
    assert f"{link * 1e3:.0f} ms on a link of 1 Gbit/s" in PAGE
    assert f"shorter than {500 * link:.0f} s" in PAGE
    assert f"at most 1,000 results ({1000 * MEASURED['result_bytes'] / 1e9:.1f} GB) wait" in PAGE
