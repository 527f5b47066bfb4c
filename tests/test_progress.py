from __future__ import annotations

import io
import re

from latentfit.progress import Lines
from latentfit.train import Epoch, Job

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


def test_time_left_is_told_from_when_a_worker_became_free(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("latentfit.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    lines = Lines(stream, 10)
    now[0] = 104
    lines(JOBS[0], Epoch(1, 0.5, 0.5))
    now[0] = 140
    lines(JOBS[0], None)
    now[0] = 145
    lines(JOBS[1], Epoch(1, 0.5, 0.5))
    assert re.findall(r"(\d+) s left", stream.getvalue()) == ["36", "45"]
