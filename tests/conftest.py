"""Small images, networks trained on them, and a browser, which several files share."""

import os
import shutil

import numpy as np
import pytest
import torch

from latentfit.data.images import ImageSet
from latentfit.recipe import Recipe
from latentfit.sweep.job import train_group
from latentfit.train import build


@pytest.fixture(scope="session")
def images():
    """Images of three classes, 12 × 11 so that height and width differ."""
    rng = np.random.default_rng(0)
    y = np.arange(130) % 3
    down, across = np.mgrid[:12, :11]
    centres = rng.uniform(2, 9, (130, 2, 1, 1)) + y[:, None, None, None] / 2
    blobs = np.exp(-((down - centres[:, 0]) ** 2 + (across - centres[:, 1]) ** 2) / (4 + 3 * y[:, None, None]))
    x = np.rint(255 * blobs).astype(np.uint8)
    return ImageSet("blobs", x[:90], x[90:], y[:90], y[90:], ("small", "medium", "large"))


@pytest.fixture(scope="session")
def quick():
    """A recipe that trains within a moment."""
    return Recipe("quick", hidden=(24,), learning_rate=0.01, batch_size=16, epochs=3)


@pytest.fixture(scope="session")
def trained(images, quick):
    """Three latent sizes, trained."""
    return train_group([(2, 0), (5, 0), (9, 0)], images, quick)


@pytest.fixture(scope="session")
def network(images, quick, trained):
    """The trained network of five dimensions."""
    network = build(images.pixels, quick, 5, seed=0)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in trained[1].weights.items()})
    return network


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium for this test")
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        yield browser
        browser.close()
