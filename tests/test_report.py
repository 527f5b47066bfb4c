from __future__ import annotations

import csv
import io
import json
import os
import re
from base64 import b64decode
from dataclasses import replace
from html import escape, unescape
from pathlib import Path

import numpy as np
import pytest
from factories import BETTER, results
from helpers import RECIPE, Inline, small_clothes
from matplotlib.text import Text
from PIL import Image

from latentfit import report
from latentfit.data.images import ImageSet
from latentfit.measure import headline
from latentfit.recipe import RECIPES, Recipe
from latentfit.report import answer, explorer, findings, pictures, tables
from latentfit.results import Results
from latentfit.sweep import files, run

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = ("<img src=x onerror=alert(1)>", "</script>", "{{7*7}}", "$x_1$", "`rm`", "a|b", '"', "'", "&amp;", "Bag")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    done = run.study(small_clothes(), (2, 4), recipe=RECIPE, out=tmp_path_factory.mktemp("s"), executor=Inline())
    report.write(done)
    return done


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    images = replace(small_clothes(), name=HOSTILE[0], classes=HOSTILE, stand_in=True)
    done = run.study(images, (2, 4), recipe=RECIPE, out=tmp_path_factory.mktemp("h"), executor=Inline())
    report.write(done)
    return done


@pytest.mark.fault("offline")
@pytest.mark.parametrize("which", ["study", "hostile"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_the_page_opens_without_a_request_or_a_word_on_the_console(browser, request, which, scheme, width):
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda r: asked.append(r.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    url = (request.getfixturevalue(which).folder / "report.html").as_uri()
    page.goto(url, wait_until="load")
    assert [u for u in asked if u != url and not u.startswith("data:")] == []
    assert said == []
    assert page.locator("img").evaluate_all("all => all.every(i => i.complete && i.naturalWidth > 0 && i.alt)")
    assert page.locator("svg:visible").count() == 1  # the others are folded; each is there for wide and narrow screens
    assert page.locator("svg").count() == 6
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_text_can_be_read_in_light_and_dark(browser, study):
    for scheme in ("light", "dark"):
        page = browser.new_context(color_scheme=scheme).new_page()
        page.goto((study.folder / "report.html").as_uri())
        styles = page.evaluate(
            "[document.body, document.querySelector('.note'), document.querySelector('svg text')].map(e => "
            "[getComputedStyle(e).color, getComputedStyle(e).fill, getComputedStyle(document.body).backgroundColor])"
        )
        for i, (colour, fill, paper) in enumerate(styles):
            assert contrast(fill if i == 2 else colour, paper) > 4.5
        page.context.close()


def contrast(a: str, b: str) -> float:
    """WCAG 2's contrast ratio of two CSS colours."""

    def luminance(colour: str) -> float:
        rgb = np.array([int(n) for n in re.findall(r"\d+", colour)[:3]]) / 255
        return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.fault("names", "offline")
def test_hostile_names_are_text(hostile, browser):
    html = (hostile.folder / "report.html").read_text()
    markdown = (hostile.folder / "report.md").read_text()
    assert "<img src=x" not in html
    assert "<img src=x" not in markdown
    assert re.findall(r"<script[^>]*>", html) == [
        "<script>",
        '<script type="application/json" id="explorer-data">',
        "<script>",
    ]
    assert "{{7*7}}" in html
    page = browser.new_page()
    page.goto((hostile.folder / "report.html").as_uri())
    assert page.locator("h1").inner_text().startswith(HOSTILE[0])
    drawn = " ".join(page.locator("svg").all_text_contents())
    assert all(name in drawn for name in HOSTILE)
    page.close()


def test_the_page_says_what_the_study_found(study):
    html, markdown = ((study.folder / name).read_text() for name in ("report.html", "report.md"))
    header, rows = headline.table(study.found)
    for text in (*header, *(cell for row in rows for cell in row)):
        assert f">{text}</t" in html
    assert report.table(study) in markdown
    for head, lines, note in tables.all_tables(study.found).values():
        assert not note or report.markdown(note) in markdown
        assert note in unescape(html)
        assert report.markdown_table(head, lines) in markdown
        assert all(f">{text}</t" in html for text in (*head, *(cell for line in lines for cell in line)))
    for finding in findings.analysis(study.found, headline.headline(study.found)):
        assert f"<h3>{finding.title}</h3>" in html or finding.section == "interpolations"
        assert f"### {finding.title}" in markdown
        assert all(sentence in unescape(html) for sentence in finding.sentences)
    for path in (study.folder / "figures").iterdir():
        assert f"](figures/{path.name})" in markdown
    assert study.results["dataset"]["fingerprint"] in html


def test_each_strip_holds_the_images_it_names(study):
    html = (study.folder / "report.html").read_text()
    source = re.search(r'<span>original</span><img src="data:image/png;base64,([^"]+)"', html)[1]
    picture = np.asarray(Image.open(io.BytesIO(b64decode(source))))  # (28, 8 * 30 - 2, grey and alpha)
    first = study.shown["test"]
    assert picture.shape == (28, 8 * 30 - 2, 2)
    for i, image in enumerate(first):
        assert np.array_equal(picture[:, 30 * i : 30 * i + 28, 0], image)
        assert (picture[:, 30 * i : 30 * i + 28, 1] == 255).all()
    assert (picture[:, 28:30, 1] == 0).all()


def test_shown_images_are_of_different_classes_and_the_same_for_every_study(study):
    for split in ("train", "test"):
        assert len(set(study.shown[f"{split}_labels"].tolist())) == 8
    labels = study.shown["pairs_labels"]
    assert (labels[:, 0] != labels[:, 1]).all()
    indices = np.array(study.results["interpolation"]["pairs"])
    assert np.array_equal(study.shown["pairs"], small_clothes().x_train[indices])
    assert np.array_equal(study.shown["test"], small_clothes().x_test[study.results["shown"]["test"]])


def test_what_is_missing_or_older_is_not_current(study):
    assert report.is_current(study)
    page = study.folder / "report.html"
    born = page.stat().st_mtime_ns
    os.utime(page, ns=(born, (study.folder / "results.json").stat().st_mtime_ns - 1))
    assert not report.is_current(study)
    os.utime(page, ns=(born, born))
    moved = (study.folder / "figures" / "error-by-class.png").rename(study.folder / "aside.png")
    assert not report.is_current(study)
    moved.rename(study.folder / "figures" / "error-by-class.png")


def test_csv_has_every_number_of_every_network(study):
    lines = [line.split(",") for line in (study.folder / "results.csv").read_text().splitlines()]
    for line, row in zip(lines[1:], study.results["models"], strict=True):
        values = dict(zip(lines[0], line, strict=True))
        assert float(values["test_mse"]) == row["test_mse"]
        assert float(values["effective_dim"]) == row["effective_dim"]
        assert float(values["pca_test_mse"]) > 0
        assert values["gates"].split() == [gate["name"] for gate in row["gates"]]
    assert any(row["gates"] for row in study.results["models"])


def test_colour_images_without_labels_are_drawn(tmp_path):
    x = np.random.default_rng(0).random((40, 9, 14, 3), dtype=np.float32)
    done = run.study(ImageSet("noise", x[:30], x[30:]), (3,), recipe=RECIPE, out=tmp_path, executor=Inline())
    report.write(done)
    assert not (tmp_path / "figures" / "error-by-class.png").exists()
    assert json.loads((tmp_path / "results.json").read_bytes())["dataset"]["classes"] is None


@pytest.mark.parametrize("rounded", [False, True])
def test_a_page_without_room_for_a_network_says_so(study, monkeypatch, rounded):
    first, folder = explorer.content(study, pictures.Shown.of(study).networks), study.folder
    images, network = first["images"], json.dumps(first["networks"][-1])  # the largest, which goes first
    least = len(images) + sum(weight.numel() for weight in study.network(2).parameters())
    room = len(images) + len(network) - 1 if rounded else least - 1
    assert rounded == (room >= least)  # or it is not even tried
    monkeypatch.setattr(explorer, "ROOM", room)
    report.write(study)
    page = (folder / "report.html").read_text()
    assert 'id="explorer-data"' not in page
    assert "each of these takes more, so there is no explorer here" in page
    assert '<a href="#explore">' in page
    assert report.is_current(study)
    report.write(study, with_explorer=False)
    assert "explore" not in (folder / "report.html").read_text().partition("</style>")[2]
    monkeypatch.undo()
    report.write(study)
    assert "no-explorer" not in (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def shown(study):
    return pictures.Shown.of(study)


def test_the_answer_stands_on_the_page_and_in_its_twin(study):
    html, markdown = ((study.folder / name).read_text() for name in ("report.html", "report.md"))
    tile = answer.tile(study.found, study.source)
    for text in (tile.large, tile.small, tile.next, headline.headline(study.found)):
        assert escape(text, quote=False) in html
    assert headline.headline(study.found) in markdown
    assert all(markdown.count(sentence) == 1 for sentence in headline.headline(study.found).split(". "))
    for name, value, beside in tile.facts:
        assert f"<dt>{name}</dt><dd><strong>{value}</strong> <span>{beside}</span></dd>" in html
        assert f"- {name}: {value} ({beside})" in markdown
    assert html.index(tile.large) < html.index('id="explore"') < html.index('<h2 id="table">')


def test_every_column_of_the_page_says_what_it_means(study):
    html = unescape((study.folder / "report.html").read_text())
    for column, words in tables.terms(tables.all_tables(study.found)).items():
        assert f'data-term="{words}">{column}</th>' in html
        assert f"<dt>{column}</dt><dd>{words}</dd>" in html


FEW = ["variance-by-size", "reconstructions-test", "reconstructions-train", "gained", "error-by-class", "worst"]
ENDS = ["interpolations", "error-curves"]


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (results({16: 0.02}), ["variance-by-size", "reconstructions-test", "reconstructions-train"]),
        (results(BETTER), FEW[:3]),
        (results({4: 0.04, **BETTER}), ["at-a-glance", *FEW[:3]]),
        (results(BETTER, variance=5.7e-10), FEW[1:3]),
        (results({4: 0.04, **BETTER}, labels=False), ["at-a-glance", *FEW[:3]]),
    ],
)
def test_pictures_are_in_the_order_of_the_page(found, names):
    there = {*found.shown, *(["error-by-class"] if found.dataset.classes else [])}
    assert pictures.names(found) == [*names, *(name for name in FEW[3:] if name in there), *ENDS]
    assert ("gained" in pictures.names(found)) == (len(found.first) > 1)


def test_every_picture_is_drawn_in_this_order_and_every_chart_for_a_telephone_too(shown):
    drawn = shown.pictures()
    assert list(drawn) == pictures.names(shown.study.found) == [*FEW, *ENDS]
    for name, picture in drawn.items():
        chart = name in ("variance-by-size", "error-by-class", "error-curves")
        assert list(picture.svgs) == (["wide", "narrow"] if chart else ["wide"])
        assert bool(picture.strips) != chart
        assert picture.caption.endswith(".")
        if chart:
            assert (picture.figure.get_figwidth(), picture.narrow.get_figwidth()) == (5.0, 3.2)
            texts = [text for text in picture.narrow.findobj(Text) if text.get_text() and text.get_visible()]
            assert min(text.get_fontsize() for text in texts) >= 8.5


@pytest.mark.parametrize(
    ("over", "words"),
    [
        (("images", "images"), "for other images of the class."),
        (("both", "both"), "for other seeds and images of the class."),
        (("images", "both"), "for other images of the class and, where a size has several, seeds."),
    ],
)
def test_the_errors_of_classes_say_what_their_intervals_are_over(shown, monkeypatch, over, words):
    found = shown.study.found
    by_class = tuple(replace(size, over=each) for size, each in zip(found.lost.by_class, over, strict=True))
    monkeypatch.setattr(shown.study, "found", replace(found, lost=replace(found.lost, by_class=by_class)))
    caption = shown._by_class().caption
    assert caption.endswith(f"bars are 95 % intervals {words}")


def test_the_interpolations_of_the_first_size_stand_before_the_folded_ones(shown):
    picture = shown.pictures()["interpolations"]
    classes, labels = shown.study.found.dataset.classes, shown.study.shown["pairs_labels"]
    assert [caption for caption, _ in picture.strips] == [f"{classes[a]} to {classes[b]}" for a, b in labels]
    assert " On the page those with 4 come first." in picture.caption
    assert {caption for caption, _ in picture.folded} == {"2 dimensions"}
    assert len(picture.strips) == len(picture.folded) == len(shown.study.shown["pairs"])


def test_the_folded_walks_are_in_the_page(study, shown):
    html = (study.folder / "report.html").read_text()
    picture = shown.pictures()["interpolations"]
    places = [html.index(source) for _, source in (*picture.strips, *picture.folded)]
    assert places == sorted(places)


def pixels(source: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(b64decode(source.partition(",")[2]))))


def test_changes_are_clear_where_two_images_are_equal():
    before = np.zeros((1, 2, 2), np.float32)
    after = np.array([[[0.0, 0.25], [0.5, 1.0]]], np.float32)
    up = pixels(pictures.changes(before, after))
    assert up.shape == (2, 2, 4)
    assert up[..., 3].tolist() == [[0, 128], [255, 255]]
    assert up[1, 1].tolist() == [0xD5, 0x5E, 0x00, 255]
    assert pixels(pictures.changes(after, before))[1, 1].tolist() == [0x00, 0x72, 0xB2, 255]


def test_changes_of_colours_and_the_gaps_between_images():
    before = np.full((3, 4, 5, 3), 0.5, np.float32)
    equal = pixels(pictures.changes(before, before))
    assert (equal[..., 3] == 0).all()
    after = pixels(pictures.changes(before, before + 0.5))
    assert after.shape == (4, 3 * 5 + 2, 4)
    assert (after[:, [5, 11], 3] == 0).all()
    assert (np.delete(after, [5, 11], axis=1)[..., 3] == 255).all()


@pytest.mark.fault("names")
def test_names_are_text_in_markdown_too():
    assert report.markdown("![x](https://example.org/x.png)") == r"\!\[x\](https://example.org/x.png)"
    assert report.markdown("a\n# b <i> `c` *d* _e_ | f $g$") == r"a \# b &lt;i&gt; \`c\` \*d\* \_e\_ \| f \$g\$"


def test_a_class_named_like_a_colour_keeps_its_name(study):
    from latentfit import figures

    drawn = report.pictures.svg(figures.error_by_class(["#0072b2", "#1a1a1a"], {2: [0.1, 0.2]}))
    assert ">#0072b2<" in drawn
    assert ">#1a1a1a<" in drawn
    assert 'stroke="currentColor"' in drawn
    assert "style" not in drawn  # the page's policy allows none
    assert "var(--c0, #0072b2)" in drawn


def test_a_recipe_in_a_line_has_its_numbers():
    assert "512-256" in report.recipe_text(RECIPES["reference"])
    assert "weight decay 0.1), batch 128, 20 epochs" in report.recipe_text(Recipe(weight_decay=0.1))
    text = report.recipe_text(RECIPES["converged"])
    assert "weights forgotten within 20 epochs), batch 128, at most 60 epochs" in text


@pytest.mark.parametrize("name", ["reference", "flagship"])
def test_the_committed_reports_are_what_this_code_says_of_their_results(name):
    committed = ROOT / "results" / name
    results = files.read(Results, committed / "results.json")
    text = (committed / "report.md").read_text()
    lines = text.splitlines()
    assert lines[0] == f"# {report.title(results)}"
    assert escape(headline.headline(results), quote=False) in lines
    for title, table in tables.all_tables(results).items():
        assert report.markdown_table(table.header, table.rows) in text, title
    for finding in findings.analysis(results, headline.headline(results)):
        assert escape(" ".join(finding.sentences), quote=False) in lines, finding.title
    assert f"- Recipe: {results.recipe.name}: {report.recipe_text(results.recipe)}" in lines
    made = io.StringIO()
    header, rows = report.csv_table(results)
    csv.writer(made, lineterminator="\n").writerows([header, *rows])
    assert made.getvalue() == (committed / "results.csv").read_text()
