from __future__ import annotations

import io
import re
import subprocess
import sys
from itertools import groupby

import pytest

from latentfit.progress import Lines
from latentfit.recipe import Epoch, Job

JOBS = (Job(16, 0), Job(48, 0))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO, epochs: int, quiet: bool = False) -> str:
    with Lines(stream, epochs, quiet) as lines:
        for epoch in range(1, epochs + 1):
            for job in JOBS:
                lines(job, Epoch(epoch, 0.5, 1 / epoch))
        for job in JOBS:
            lines(job, None)
    return stream.getvalue()


def test_a_terminal_has_one_live_line_a_network():
    shown = re.split(r"[\r\n]+", written(Terminal(), 40))
    for k in (16, 48):
        last = [line for line in shown if line.startswith(f"  {k} dimensions, seed 0 ")][-1]
        assert re.search(r"epoch 40/40, test MSE 0\.0250, 0 s left", last)
    assert "\x1b[A" in written(Terminal(), 40)


def test_elsewhere_there_are_a_few_plain_lines():
    lines = written(io.StringIO(), 40).splitlines()
    assert [re.search(r"epoch (\d+)/40", line)[1] for line in lines[::2]] == ["1", "8", "16", "24", "32", "40"]
    assert all(line.startswith("latentfit:   ") for line in lines)


def test_a_line_of_its_own_does_not_cut_a_live_one():
    stream = Terminal()
    with Lines(stream, 3) as lines:
        for epoch in (1, 2):
            for job in JOBS:
                lines(job, Epoch(epoch, 0.5, 0.5))
            lines.say("to keep 90 %: not yet")
    in_front_of_its_line = r"\r(\x1b\[A)*latentfit: to keep 90 %: not yet\n"
    assert len(re.findall(in_front_of_its_line, stream.getvalue())) == 2


def test_quiet_writes_nothing():
    assert written(Terminal(), 3, quiet=True) == ""
    assert written(io.StringIO(), 3, quiet=True) == ""


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_time_left_counts_from_the_end_of_the_first_epoch(monkeypatch, kind):
    """The first epoch's time holds the start of the workers, here 90 s; without a second there is no estimate."""
    now = [0.0]
    monkeypatch.setattr("latentfit.progress.time.monotonic", lambda: now[0])
    stream = kind()
    with Lines(stream) as lines:
        lines.epochs = 4
        for job, ends in ((JOBS[0], (100, 110, 124, 130)), (JOBS[1], (200, 201, 202, 203)), (JOBS[0], (300, 302))):
            for epoch, now[0] in enumerate(ends, 1):
                lines(job, Epoch(epoch, 0.5, 0.5))
            lines(job, None)
    told = re.findall(r"epoch (\d)/4, test MSE 0.500(?:, (\d+) s left)?", stream.getvalue())
    assert [key for key, _ in groupby(told)][:10] == [  # a live line that is closed is drawn once more
        *(("1", ""), ("2", "20"), ("3", "12"), ("4", "0")),
        *(("1", ""), ("2", "2"), ("3", "1"), ("4", "0")),
        *(("1", ""), ("2", "4")),  # it was trained again: its worker died
    ]


def test_a_single_epoch_has_no_estimate():
    assert "left" not in written(io.StringIO(), 1)


def test_progress_needs_no_heavy_import():
    check = "import sys, latentfit.progress; print([m for m in ('torch', 'matplotlib', 'sklearn') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "[]\n"
