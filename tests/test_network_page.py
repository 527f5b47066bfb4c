"""docs/network.md: its code is run on small data. That its numbers are those of the results is in test_repository."""

import re
from pathlib import Path

import numpy as np
from helpers import Inline, small_clothes

import latentfit
from latentfit import codes, latent
from latentfit.recipe import Recipe

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "network.md").read_text()
TRAINING, LOADING = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def test_the_code_of_the_page(tmp_path, monkeypatch):
    """As it stands there, but for the images and the recipe."""
    monkeypatch.chdir(tmp_path)
    images = small_clothes(128, 40)
    drawn, names = [], {"__name__": "__main__"}
    exec(TRAINING.partition("if __name__")[0], names)
    small = {"recipe": Recipe(epochs=2, batch_size=32), "executor": Inline()}

    def study(source, sizes, **options):
        assert (source, sizes, options["recipe"]) == ("fashion-mnist", [16, 48], "swift")
        return whole(images, sizes, **options | small)

    whole = latentfit.study
    monkeypatch.setitem(vars(latentfit), "study", study)
    monkeypatch.setattr(latentfit.report, "write", drawn.append)
    exec(TRAINING, names)
    assert [(model.latent_dim, model.status) for model in drawn[0].found.models] == [(16, "ok"), (48, "ok")]
    exec(LOADING, names)
    assert type(names["module"]).__name__ == "ConvAutoencoder"
    z = latent.encode(names["network"], images.x_test)
    assert z.shape == (40, 16)
    codes.encode(names["study"], images, "z.npy", 16)
    np.testing.assert_allclose(np.load("z.npy")[128:], z, atol=1e-6)


def test_the_definition_has_about_20_lines():
    inside = TRAINING.partition("class ")[2].partition("\n\n\nif")[0]
    assert sum(bool(line.strip()) for line in inside.splitlines()) <= 21
