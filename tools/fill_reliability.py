"""Write docs/reliability.md: each fault that must be survived, and the tests that show it.

Tests carry the marker `fault` with the keys of the rows below; this reads it from their source. Rows about what does
not exist yet say what they wait for. `--print` prints the page; `--crash` runs the crash tests first and keeps at how
many points they killed.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
KILLED = ROOT / "benchmarks" / "results" / "crash.json"


class Row(NamedTuple):
    """A fault, what must happen, and what it waits for where there can be no test yet."""

    key: str
    fault: str
    must: str
    waits: str = ""


SECTIONS = {
    "Data": (
        Row(
            "mirror",
            "a mirror closes early, sends a page instead of gzip, wrong bytes, hangs, or redirects to http",
            "no file under the final name; retries, the next mirror, then an error that lists each; https stays https",
        ),
        Row(
            "cache",
            "a download is killed; a file in the cache is empty, cut or has one flipped bit",
            "found by its hash, and fetched again or told",
        ),
        Row("fetch-twice", "several processes fetch into one cache", "all succeed"),
        Row("cache-folder", "the cache cannot be written", "told with the folder and the variable that moves it"),
        Row("other-set", "MNIST's files under Fashion-MNIST's names", "refused as `fashion-mnist`, taken as a folder"),
        Row(
            "idx",
            "an IDX header that lies about sizes, magic, type or rank",
            "compared with the file before memory is taken",
        ),
        Row(
            "gzip",
            "gzip that is cut, damaged, followed by junk, or a bomb",
            "told; unpacking stops one byte past what is expected",
        ),
        Row("splits", "images and labels differ in number; an empty split", "told at load"),
        Row(
            "arrays",
            "arrays with objects, lying headers, NaN or inf, odd ranges",
            "no pickle; count and first place of what is not finite; a range is never guessed",
        ),
        Row(
            "pixels",
            "bytes or integers of 0 and 1 alone; values from 0 to 16, of 10, 12 or 16 bits; dark images",
            "0 and 1 are read as black and white, and said; others are refused with the range to give; never trained "
            "on as nearly black images",
        ),
        Row(
            "labels",
            "labels that do not count from 0; classes of one split alone; as many labels as images",
            "classes are those that occur, under their own names; what has no image is told, too many are left out",
        ),
        Row(
            "copies",
            "test images that are training images, near copies, or neighbours in a film",
            "counted, and told beside the answer",
        ),
        Row(
            "no-variance",
            "images that are nearly all the same; networks worse than the mean image",
            "told in words; no size is compared or recommended",
        ),
        Row(
            "image-folder",
            "a folder of images, some of them damaged or odd",
            "each rejected file told with its reason, and nothing starts but with --skip-bad; no link leads out; a "
            "damaged cache is made again",
        ),
        Row(
            "table",
            "a table with text columns, missing values, constant columns, one column, more columns than rows",
            "columns are refused by name, missing values counted; a constant is told and kept as one",
        ),
        Row(
            "memory",
            "a set or a network that does not fit into memory",
            "large parts of a set lie in files; a study that needs more than there is is refused with the bytes",
        ),
        Row(
            "extremes",
            "more dimensions than pixels, two images, equal images, a batch larger than the set",
            "a sensible result, or told",
        ),
    ),
    "Training and the study folder": (
        Row(
            "kill",
            "killed at any write, fsync or rename, and at any moment",
            "the same command ends with the same bytes",
        ),
        Row(
            "signal",
            "SIGTERM, Ctrl-C, a second one",
            "ends at once with 143 or 130, nothing half written, what is finished is kept",
        ),
        Row(
            "disk",
            "the disk is full, a file-size limit, a folder that turns read-only or is removed",
            "old files whole, temporary ones gone, told",
        ),
        Row(
            "bit-flip",
            "a weight file is cut or has one flipped bit",
            "found by its sha256, that network is trained again",
        ),
        Row(
            "other-study",
            "another recipe, data set or schema in the same folder",
            "refused with the difference; more seeds and sizes are welcome",
        ),
        Row(
            "diverge",
            "the error becomes NaN or inf",
            "a row with its reason, epoch and batch; the others finish; exit 1; never a NaN in a file",
        ),
        Row(
            "precision",
            "a processor that has bf16 instructions and does not use them; a study continued without its precision",
            "what is recorded is what was computed; refused in one line that names both",
        ),
        Row("lock", "two studies in one folder", "the second names the first's process; no stale lock after a kill"),
        Row(
            "worker",
            "a worker dies, or the parent alone",
            "trained again, nothing doubled; no worker outlives its parent",
        ),
        Row(
            "few-workers",
            "a cgroup, an affinity mask or memory that allows fewer workers than there are cores",
            "so many workers and no more; told once, with the limit and the flag",
        ),
        Row(
            "dask",
            "the scheduler of a cluster goes away; networks never come back; a worker lacks what a study needs",
            "told; only what is missing is computed again",
        ),
    ),
    "Loading what others made": (
        Row(
            "pickle",
            "a pickle in place of a weight file or an array",
            "never unpickled: a canary shows that nothing ran",
        ),
        Row(
            "model",
            "weights and model.json that lie, disagree or ask for too much",
            "one error class, before any layer is built",
        ),
        Row(
            "names",
            "data sets, classes and folders named like markup or escape sequences",
            "text in the page, in Markdown, in the notebook and in the terminal",
        ),
        Row(
            "export",
            "an export or the page's networks drift from torch",
            "refused, or full precision",
            "export and the explorer",
        ),
        Row("offline", "no network while the report is open", "no request at all"),
    ),
    "The estimator": (
        Row(
            "estimator",
            "all of scikit-learn's `check_estimator`, and read-only, Fortran-ordered and strided arrays",
            "passes; the same bytes",
        ),
    ),
}


def main() -> None:
    """Write or print the page."""
    if "--crash" in sys.argv:
        KILLED.write_text(json.dumps(crash(), indent=1) + "\n")
    text = page()
    if "--print" in sys.argv:
        sys.stdout.write(text)
    else:
        PAGE.write_text(text)


def page() -> str:
    """The page as Markdown."""
    tests = marked()
    known = {row.key for rows in SECTIONS.values() for row in rows}
    if odd := sorted({key for keys in tests.values() for key in keys} - known):
        raise SystemExit(f"tests are marked with faults that are no row: {', '.join(odd)}")
    lines = [
        "# What latentfit survives",
        "",
        "`make reliability` wrote this page from the tests: those marked `fault`.",
        "",
    ]
    if (counted := json.loads(KILLED.read_text())).keys() != {"study", "report"}:
        raise SystemExit(f"{KILLED} tells of {[*counted]}; expected a study and a report")
    for what, killed in counted.items():
        counts = ", ".join(f"{killed[kind]} {kind}s" for kind in ("write", "fsync", "rename"))
        lines += [
            f"The crash tests killed a {what} at {counts}: nothing was lost, the same again ended with the same bytes.",
            "",
        ]
    for section, rows in SECTIONS.items():
        lines += [f"## {section}", "", "| fault | what must happen | shown by |", "|---|---|---|"]
        for row in rows:
            shown = [f"`{test}`" for test, keys in tests.items() if row.key in keys]
            if not shown and not row.waits:
                raise SystemExit(f"no test is marked with {row.key!r}")
            lines.append(f"| {row.fault} | {row.must} | {'<br>'.join(shown) or f'waits for {row.waits}'} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def marked() -> dict[str, tuple[str, ...]]:
    """Each marked test, as `file::name`, with its keys."""
    found = {}
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (keys := tuple(_keys(node))):
                found[f"{path.name}::{node.name}"] = keys
    return found


def _keys(node: ast.FunctionDef) -> Iterator[str]:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
            yield from (ast.literal_eval(argument) for argument in mark.args)


def crash() -> dict[str, dict[str, int]]:
    """At how many points the crash tests killed, by what was killed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "tests/test_crash.py",
            "-k",
            "every_write",
            f"--junitxml={report}",
            "-ojunit_family=xunit1",
        ]
        subprocess.run(command, cwd=ROOT, check=True)
        properties = ElementTree.parse(report).getroot().iter("property")
        return {found["what"]: found for p in properties for found in [json.loads(p.get("value") or "")]}


if __name__ == "__main__":
    main()
