"""Progress lines: live lines on a terminal, a few plain lines elsewhere, and the time left."""

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


def test_a_terminal_shows_one_live_line_per_network():
    text = written(Terminal(), 40)
    assert "\x1b[A" in text
    for k in (16, 48):
        last = [line for line in re.split(r"[\r\n]+", text) if line.startswith(f"  {k} dimensions, seed 0 ")][-1]
        assert re.search(r"epoch 40/40, test MSE 0\.0250, 0 s left", last)


def test_a_file_gets_a_few_plain_lines():
    lines = written(io.StringIO(), 40).splitlines()
    assert [re.search(r"epoch (\d+)/40", line)[1] for line in lines[::2]] == ["1", "8", "16", "24", "32", "40"]
    assert all(line.startswith("latentfit:   ") for line in lines)
    assert "left" not in written(io.StringIO(), 1)


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_where_no_one_knows_the_end_neither_it_nor_the_time_left_is_told(kind):
    stream = kind()
    with Lines(stream) as lines:
        for epoch in range(2, 20, 2):
            lines(JOBS[0], Epoch(epoch, 0.5, 0.5))
    text = stream.getvalue()
    told = [int(epoch) for epoch in re.findall(r"epoch (\d+), test MSE 0\.500", text)]
    assert told == [2, 4, 8, 16] if kind is io.StringIO else {2, 18} <= set(told)
    assert "left" not in text
    assert "/" not in text


def test_a_message_does_not_break_the_live_lines():
    stream = Terminal()
    with Lines(stream, 3) as lines:
        for epoch in (1, 2):
            for job in JOBS:
                lines(job, Epoch(epoch, 0.5, 0.5))
            lines.say("to keep 90 %: not yet")
    assert len(re.findall(r"\r(\x1b\[A)*latentfit: to keep 90 %: not yet\n", stream.getvalue())) == 2


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_quiet_writes_nothing(kind):
    assert written(kind(), 3, quiet=True) == ""


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_the_time_left_is_estimated_from_the_second_epoch_on(monkeypatch, kind):
    """The first epoch includes the start of the workers, here 90 s."""
    now = [0.0]
    monkeypatch.setattr("latentfit.progress.time.monotonic", lambda: now[0])
    stream = kind()
    with Lines(stream) as lines:
        lines.epochs = 4
        for job, ends in ((JOBS[0], (100, 110, 124, 130)), (JOBS[1], (200, 201, 202, 203)), (JOBS[0], (300, 302))):
            for epoch, now[0] in enumerate(ends, 1):
                lines(job, Epoch(epoch, 0.5, 0.5))
            lines(job, None)
    lines = re.findall(r"epoch (\d)/4, test MSE 0.500(?:, (\d+) s left)?", stream.getvalue())
    assert [key for key, _ in groupby(lines)][:10] == [  # tqdm draws a live line once more when it closes it
        *(("1", ""), ("2", "20"), ("3", "12"), ("4", "0")),
        *(("1", ""), ("2", "2"), ("3", "1"), ("4", "0")),
        *(("1", ""), ("2", "4")),  # trained again after its worker died
    ]


def test_progress_imports_no_heavy_library():
    check = "import sys, latentfit.progress; print([m for m in ('torch', 'matplotlib', 'sklearn') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "[]\n"
