"""docs/outliers.md: its examples and commands are run as they stand there."""

import doctest
import re
import shlex
from pathlib import Path

import numpy as np
from PIL import Image

from latentfit import cli

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "outliers.md").read_text()


def test_the_examples_of_the_page():
    examples = "".join(re.findall(r"```python\n(>>>.*?)```", PAGE, re.S))
    test = doctest.DocTestParser().get_doctest(examples, {}, "page", None, 0)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_the_commands_name_the_unusual_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "cache"))
    for folder, count in (("parts", 60), ("new", 12)):
        Path(folder).mkdir()
        for i in range(count):
            ramp = np.add.outer(np.arange(9) * (i % 5), np.arange(8) * (i % 7)) * 3
            Image.fromarray(ramp.astype(np.uint8)).save(f"{folder}/{i}.png")
    noise = np.random.default_rng(0).integers(0, 256, (9, 8), np.uint8)
    Image.fromarray(noise).save("new/scratched.png")
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    for command in commands.splitlines():
        assert cli.main(shlex.split(command)[1:]) == 0, (command, capsys.readouterr().err)
    (python,) = re.findall(r"```python\n(import.*?)```", PAGE, re.S)
    names = {}
    exec(python, names)
    assert next(iter(names["worst"])) == "scratched.png"
