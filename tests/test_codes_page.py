"""docs/codes.md: every command is run as it stands there, one after the other."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image

from latentfit import cli
from latentfit.codes import outputs

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "codes.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "cache"))
    for name, count in (("photos", 60), ("new", 12)):
        Path(name).mkdir()
        for i in range(count):
            ramp = np.add.outer(np.arange(9) * (i % 5), np.arange(8) * (i % 7)) % 256
            Image.fromarray(ramp.astype(np.uint8)).save(f"{name}/{i}.png")
    return tmp_path


def test_the_commands_of_the_page(folder, capsys):
    assert len(COMMANDS) == 7
    for command in COMMANDS:
        assert command.startswith("latentfit ")
        assert cli.main(shlex.split(command)[1:]) == 0, (command, capsys.readouterr().err)
    assert len(pandas.read_csv("errors.csv").nlargest(10, "error")[["name", "error"]]) == 10
    assert np.load("codes.npy").shape == (12, 3)
    assert np.load("images.npz")["x"].shape == (12, 9, 8)
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        exec(block, {})
    assert len(pandas.read_parquet("codes.parquet")) == 12


def test_the_kinds_of_files_are_those_that_are_written():
    assert re.findall(r"^\| `(\.\w+)` \|", PAGE, re.M) == [*outputs.WRITERS]
