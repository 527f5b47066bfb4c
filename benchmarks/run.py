"""Time latentfit against the plain notebook, in turns, and print ratios with their goals: `make bench`.

A shared machine speeds up and slows down, so the two run one after the other again and again, and what
counts is the ratio within a turn. Memory is the peak of anonymous pages of the largest process (Linux).
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GOAL = 0.6
MEMORY_GOAL = 1e9


def main() -> None:
    """Run the turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3, help="of each network in each turn; the first is not counted")
    options = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {"notebook": [], "ours": []}
    for turn in range(options.turns):
        for name, runs in rows.items():
            runs.append(run(name, options.epochs))
            print(
                f"turn {turn + 1}: {name} {runs[-1]['seconds_per_epoch']:.2f} s an epoch", file=sys.stderr, flush=True
            )
    seconds = {name: [r["seconds_per_epoch"] for r in runs] for name, runs in rows.items()}
    ratios = [a / b for a, b in zip(seconds["ours"], seconds["notebook"], strict=True)]
    print(f"\n{platform.platform()}, Python {platform.python_version()}, {rows['ours'][0]['data']}")
    print(f"{options.turns} turns of {options.epochs} epochs, networks of 16 and 48 dimensions together\n")
    print(f"{'':34}{'median':>9}{'least':>9}{'most':>9}   goal")
    for name, values in seconds.items():
        print(line(f"seconds an epoch, {name}", values))
    print(line("ratio ours / notebook", ratios), f"  at most {GOAL}")
    memory = [r["anonymous_bytes"] / 1e6 for r in rows["ours"] if r["anonymous_bytes"]]
    if memory:
        print(line("peak anonymous MB a process, ours", memory), f"  under {MEMORY_GOAL / 1e6:.0f}")


def run(name: str, epochs: int) -> dict[str, Any]:
    """One turn of one script in a process of its own."""
    command = [sys.executable, str(HERE / f"{name}.py"), "--epochs", str(epochs)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        peak = max(peak, largest(process.pid))
        time.sleep(0.05)
    assert process.stdout is not None
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    result: dict[str, Any] = json.loads(process.stdout.read())
    return result | {"anonymous_bytes": peak}


def largest(pid: int) -> int:
    """Anonymous bytes of the largest process of a tree; 0 where /proc does not tell."""
    return max((anonymous(each) for each in tree(pid)), default=0)


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(each for child in children for each in tree(int(child)))]


def anonymous(pid: int) -> int:
    """Anonymous bytes of one process now."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [text.split()[1] for text in status.splitlines() if text.startswith("RssAnon:")]
    return int(found[0]) * 1024 if found else 0


def line(name: str, values: Sequence[float]) -> str:
    """A row of the table."""
    return f"{name:34}{statistics.median(values):9.3g}{min(values):9.3g}{max(values):9.3g}"


if __name__ == "__main__":
    main()
