"""The site: built without a warning, whole, without a request to elsewhere, searched without a server."""

from __future__ import annotations

import doctest
import json
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from inspect import signature
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import latentfit
from latentfit import flags, pca
from latentfit.data import quality
from latentfit.measure import checks, gates, interpolation, intrinsic, knee, tradeoffs

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", out / "trees", DOCS, out / "html"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / "html"


class Page(HTMLParser):
    """The links and the ids of a page, and what it loads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.images = 0
        self.feed(file.read_text())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found["id"]} if "id" in found else set()
        self.images += tag == "img"
        if "src" in found or tag == "link":
            self.loads.append(found.get("src") or found["href"])
        elif tag == "a" and "href" in found:
            self.links.append(found["href"])
        assert tag != "img" or found.get("alt")


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site):
    pages = {path.name: Page(path) for path in site.glob("*.html")}
    assert {f"{path.stem}.html" for path in DOCS.glob("*.md")} <= set(pages)
    for name, page in pages.items():
        for target in (*page.links, *page.loads):
            url = urlsplit(target)
            if url.scheme in ("https", "data"):
                assert url.scheme == "data" or target not in page.loads, (name, target)
                continue
            assert not url.scheme + url.netloc, (name, target)
            path = unquote(url.path) or name
            assert (site / path).exists(), (name, target)
            if url.fragment and path in pages:
                assert unquote(url.fragment) in pages[path].ids, (name, target)


def test_pages_ask_for_nothing_fit_a_phone_and_are_searched_from_the_disk(site, browser):
    page = browser.new_page(viewport={"width": 360, "height": 800})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in sorted(site.glob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path.name
    page.set_viewport_size({"width": 1400, "height": 800})
    page.goto((site / "index.html").as_uri())
    page.get_by_placeholder("Search").fill("Fieller")
    page.keyboard.press("Enter")
    found = page.locator("#search-results a").first
    found.wait_for()
    assert "science.html" in found.get_attribute("href")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()


def test_the_tutorial_is_the_notebook(site):
    tutorial, page = (site / "tutorial.html").read_text(), Page(site / "tutorial.html")
    cells = json.loads((ROOT / "Autoencoders.ipynb").read_bytes())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert page.images == len([o for o in outputs if "image/png" in o.get("data", {})])
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    shown = len([o for o in outputs if "text/html" in o.get("data", {})])
    assert tutorial.count('class="highlight-python') == len(code) + shown
    headings = [line[3:] for cell in cells for line in cell["source"] if line.startswith("## ")]
    assert re.findall(r"<h2>(.*?)<a", tutorial) == [heading.strip().replace("&", "&amp;") for heading in headings]


def test_the_reference_has_every_public_name_and_verb(site):
    names = Page(site / "python.html").ids
    assert all({f"latentfit.{name}", f"module-latentfit.{name}"} & names for name in latentfit.__all__)
    assert {"latentfit.train.fit", "latentfit.Autoencoder.reconstruction_error"} <= names
    assert {"study", "report", "data", "encode", "decode", "export"} <= Page(site / "commands.html").ids


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_the_commands_of_a_page_are_understood(page):
    text = (DOCS / page).read_text()
    commands = [line for block in re.findall(r"```sh\n(.*?)```", text, re.S) for line in block.splitlines()]
    parser = flags.parser(**dict.fromkeys(signature(flags.parser).parameters, print))
    for words in (shlex.split(line, comments=True) for line in commands):
        if words[:1] == ["latentfit"] and words[1:] != ["--version"]:
            assert parser.parse_args(words[1:]).run


@pytest.mark.parametrize("name", ["model", "data", "data.images", "sweep.choosing"])
def test_the_examples_in_docstrings(name):
    found = doctest.testmod(import_module(f"latentfit.{name}"), extraglobs={"np": import_module("numpy")})
    assert found.failed == 0
    assert found.attempted > 0


def test_the_limits_on_the_page_of_the_science_are_those_of_the_code():
    text = " ".join((DOCS / "science.md").read_text().split())
    limit = {name: check.limit for name, check in checks.GATES.items()}
    assert f"more than {limit['worse_than_pca']:g} paired standard errors" in text
    assert f"fell by more than {limit['still_falling']:.0%}".replace("%", " %") in text
    assert f"error by more than {limit['overfitted']:.0%}".replace("%", " %") in text
    assert f"images by more than {limit['unlike_training']:.0%}".replace("%", " %") in text
    assert f"less than {100 * gates.DEAD:g} % of the mean variance" in text
    assert f"surely more than {knee.STOP} times" in text
    assert f"at least {100 * knee.LEAST:g} % of the variance" in text
    assert f"at most {pca.EXACT:,} (and all numbers of few large images {pca.ROOM / 1e6:.0f} million)" in text
    assert f"at most {pca.AXES} axes" in text
    assert quality.LEAST_VARIANCE == 1 / 255**2
    assert f"at most {interpolation.MEASURED_PAIRS} pairs" in text
    assert f"1/{interpolation.STEPS - 1} if all change is in one" in text
    assert f"at most {intrinsic.SAMPLE:,} training images" in text
    assert all(name in text for name in intrinsic.ESTIMATORS)
    assert f"{tradeoffs.NEIGHBOURS} neighbours, fitted on at most {tradeoffs.FITTED_ON:,} training" in text
    assert f"at most {tradeoffs.TESTED_ON:,} test images" in text
    numbered = (int(n) for n in re.findall(r"^(\d+)\. ", (DOCS / "science.md").read_text(), re.M))
    cited = {int(n) for part in re.findall(r"\[([\d, ]+)\]", text) for n in part.split(",")} - {0}
    assert cited <= set(numbered) | {1}
