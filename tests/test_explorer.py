"""The explorer in a real browser: its networks agree with PyTorch, and each control does what it says."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from base64 import b64decode, b64encode
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import RECIPE, Inline, small_clothes
from PIL import Image
from playwright.sync_api import expect

from latentfit import evaluate, latent, report
from latentfit.data.images import ImageSet
from latentfit.model import Network
from latentfit.recipe import CONVERGED
from latentfit.report import explorer
from latentfit.results import Codes
from latentfit.sweep.run import study as run_study

SIZES = (2, 5, 12)
FLAGSHIP = Path(__file__).parent.parent / "results" / "flagship"
HOSTILE = ("<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", *"abcdefgh")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    recipe = replace(RECIPE, activation="silu", learning_rate=0.01, epochs=10)
    images = small_clothes(400, 220)
    done = run_study(images, SIZES, recipe=recipe, out=tmp_path_factory.mktemp("s"), executor=Inline())
    report.write(done)
    return done


@contextmanager
def explored(browser, study, fragment="", **options):
    """A report with a running explorer; asserts at the end that it made no request and logged nothing."""
    url = (study.folder / "report.html").as_uri()
    context = browser.new_context(viewport={"width": 1200, "height": 900}, **options)
    page, requests, messages = context.new_page(), [], []
    page.on("request", lambda request: requests.append(request.url.partition("#")[0]))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: messages.append(dialog.message))
    page.goto(url + fragment)
    page.evaluate("window.latentfit.ready")
    settle(page)
    yield page
    settle(page)
    context.close()
    assert (set(requests), messages) == ({url}, [])


@contextmanager
def opened(browser, folder, **options):
    """A report in the browser, without waiting for the explorer."""
    page = browser.new_page(**options)
    page.goto((folder / "report.html").as_uri())
    yield page
    page.close()


@pytest.fixture
def page(browser, study):
    with explored(browser, study) as page:
        yield page


def settle(page):
    """Wait until the page has finished drawing, measured in the page's own time."""
    page.evaluate("new Promise(done => setTimeout(() => requestAnimationFrame(() => setTimeout(done)), 250))")


def fill(page, selector, value):
    page.locator(selector).fill(value)
    settle(page)


def turn(page, dial):
    """Move a dial to its end."""
    page.locator("#dial-list input").nth(dial).evaluate(
        "i => { i.value = i.max; i.dispatchEvent(new Event('input')); }"
    )
    settle(page)


def pixels_of(page, selector, n=0):
    """The RGBA values of a canvas."""
    get = "c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
    return page.locator(selector).nth(n).evaluate(get)


def grey_of(page, selector, n=0):
    return np.array(pixels_of(page, selector, n))[::4]


def shipped(study, k):
    """The network with the weights that the page contains, read bit by bit from it."""
    network = study.network(k)
    told = next(net for net in data(study)["networks"] if net["latentDim"] == k)
    carry(network, told["weights"])
    return network


def carry(network, weights):
    """Put the weights of a page into a network."""
    text = iter(zlib.decompress(b64decode(weights["planes"])))
    offsets = np.frombuffer(zlib.decompress(b64decode(weights["biases"])), np.uint8).reshape(4, -1).T.copy().view("<f4")
    matrices = [part for h in (network.encoder, network.decoder) for part in [*h.layers, h.linear] if part is not None]
    for part, low, step in zip(matrices, weights["low"], weights["steps"], strict=True):
        count = part.weight.numel()
        whole = np.array([next(text) for _ in range(count)], np.uint8).view(np.int8).astype(float)
        for _ in range(low):
            plane = np.array([next(text) for _ in range(-(-count // 8))], np.uint8)
            whole = 2 * whole + np.unpackbits(plane)[:count]
        part.weight.data = torch.tensor(step * whole, dtype=torch.float32).reshape(part.weight.shape)
        if part.bias is not None:
            part.bias.data, offsets = torch.tensor(offsets[: len(part.bias), 0]), offsets[len(part.bias) :]
    assert next(text, None) is None
    assert len(offsets) == 0


def points(study, k, count=500, seed=7):
    """Codes that sliders and walks can reach, other ones than those that the weights were tried at."""
    directions = explorer.Directions.of(latent.encode(study.network(k), study.shown["map"]))
    return explorer.Points(directions, study.found.trained[k, 0].codes, seed, count)


def run(page, what, k, rows):
    """Results of the page's `encode` or `decode` for each row; sent as bytes, because long lists are slow."""
    script = """([what, k, width, text]) => {
        const all = new Float32Array(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
        const rows = Array.from({ length: all.length / width }, (_, i) => all.subarray(i * width, (i + 1) * width));
        const made = rows.map(row => new Uint8Array(latentfit[what](k, row).buffer));
        return made.map(bytes => btoa(String.fromCharCode(...bytes))).join(" ");
    }"""
    sent = b64encode(np.asarray(rows, "<f4").tobytes()).decode()
    got = page.evaluate(script, [what, k, rows.shape[1], sent])
    return np.stack([np.frombuffer(b64decode(row), "<f4") for row in got.split()])


def data(study):
    html = (study.folder / "report.html").read_text()
    return json.loads(re.search(r'id="explorer-data">(.*?)</script>', html)[1])


@pytest.mark.fault("export")
@pytest.mark.parametrize("k", SIZES)
def test_the_page_computes_what_torch_computes(page, study, k):
    network, x = shipped(study, k), study.shown["map"]
    drawn, z = points(study, k), latent.encode(network, x)
    codes = np.concatenate([drawn.near(z), drawn.corners(z)])
    assert len(codes) >= 2000
    np.testing.assert_allclose(run(page, "decode", k, codes), latent.decode(network, codes, (28 * 28,)), atol=1e-4)
    some = x[:200].reshape(200, -1) / 255
    np.testing.assert_allclose(run(page, "encode", k, some), latent.encode(network, x[:200]), atol=1e-4)


@pytest.mark.fault("export")
def test_the_page_computes_a_linear_path_and_a_clamp(browser, tmp_path):
    images = small_clothes(400, 220)
    recipe = replace(CONVERGED, hidden=(24,), epochs=4)
    done = run_study(images, (2, 5), recipe=recipe, out=tmp_path / "s", executor=Inline())
    report.write(done)
    with explored(browser, done) as page:
        for k in (2, 5):
            network, x = shipped(done, k), done.shown["map"]
            assert len(network.linear_path) == 2
            codes = np.concatenate([z := latent.encode(network, x), points(done, k).corners(z)])
            right = latent.decode(network, codes, (28 * 28,))
            assert {0.0, 1.0} <= {*right.ravel()}
            np.testing.assert_allclose(run(page, "decode", k, codes), right, atol=1e-4)
            some = x[:200].reshape(200, -1) / 255
            np.testing.assert_allclose(run(page, "encode", k, some), latent.encode(network, x[:200]), atol=1e-4)


def scaled(scale, activation):
    """An untrained network with scaled parameters."""
    network = Network(784, 5, (24,), activation, "linear", seed=0)
    for parameter in network.parameters():
        parameter.data *= scale
    return network


RECIPES = {
    "small": None,
    "reference": replace(RECIPE, hidden=(512, 256), batch_size=16),
    "linear path": replace(CONVERGED, hidden=(24,), epochs=4),
}


@pytest.mark.fault("export")
@pytest.mark.parametrize("name", RECIPES)
def test_no_pixel_strays_by_half_a_grey_level_or_by_one_at_a_corner(study, tmp_path, name):
    if RECIPES[name]:
        study = run_study(small_clothes(400, 220), (2, 16), recipe=RECIPES[name], out=tmp_path, executor=Inline())
        report.write(study)
    x = study.shown["map"]
    for net in data(study)["networks"]:
        k = net["latentDim"]
        right, inside = study.network(k), shipped(study, k)
        z, z_inside = (latent.encode(network, x) for network in (right, inside))
        drawn = points(study, k, count=2000)
        for codes, limit in ((drawn.near, 1 / 510), (drawn.corners, 1 / 255)):
            apart = latent.decode(inside, codes(z_inside), (784,)) - latent.decode(right, codes(z), (784,))
            assert 0 < np.abs(apart).max() <= limit


def test_points_are_images_walks_single_controls_and_corners(study):
    x, box = study.shown["map"], study.found.trained[12, 0].codes
    z = latent.encode(study.network(12), x)
    drawn = points(study, 12, count=300)
    axes, low, high = drawn.directions.axes[:10], drawn.directions.low, drawn.directions.high
    images, walks, dials, numbers = np.split(drawn.near(z), [len(z), len(z) + 300, len(z) + 600])
    assert np.array_equal(images, z)
    assert len(np.unique(walks, axis=0)) == 300
    along = (dials - drawn.directions.mean) @ axes.T
    assert (np.isclose(along, low, atol=1e-4) | np.isclose(along, high, atol=1e-4)).any(axis=1).all()
    ends = [np.isclose(numbers, end, atol=1e-6).any(axis=1) for end in (box.low, box.high)]
    assert min(end.sum() for end in ends) > 100
    assert (ends[0] | ends[1]).all()
    boxed, turned = np.split(drawn.corners(z), 2)
    assert (np.isclose(boxed, box.low) | np.isclose(boxed, box.high)).all()
    along = (turned - drawn.directions.mean) @ axes.T
    assert (np.isclose(along, low, atol=1e-3) | np.isclose(along, high, atol=1e-3)).all()


def packed_alone(network, x):
    z = latent.encode(network, x)
    box = Codes((), tuple(z.min(axis=0).tolist()), tuple(z.max(axis=0).tolist()))
    drawn = explorer.Points(explorer.Directions.of(z), box)
    return drawn, explorer._weights(network, x, z, drawn)


@pytest.mark.fault("export")
def test_weights_are_finer_if_coarser_ones_would_be_visible(study):
    x, steps = study.shown["map"], []
    for scale in (1, 3, 4):
        network = scaled(scale, "silu")
        drawn, weights = packed_alone(network, x)
        inside, z = scaled(1, "silu"), latent.encode(network, x)
        carry(inside, weights)
        for codes, limit in ((drawn.near, 0.75 / 510), (drawn.corners, 0.75 / 255)):
            shown = latent.decode(inside, codes(latent.encode(inside, x)), (784,))
            assert np.abs(shown - latent.decode(network, codes(z), (784,))).max() <= limit
        steps.append(np.divide(weights["steps"], scale))
    assert (steps[0] > steps[1]).all()
    assert (steps[1] > steps[2]).all()


def test_a_network_that_overflows_at_the_corners_is_packed(study):
    network, box, x = scaled(3e12, "relu"), Codes((), (-1e30,) * 5, (1e30,) * 5), study.shown["map"]
    z = latent.encode(network, x)
    drawn = explorer.Points(explorer.Directions.of(z), box)
    assert not np.isfinite(latent.decode(network, drawn.corners(z), (784,))).all()
    carry(scaled(1, "relu"), explorer._weights(network, x, z, drawn))


def test_the_slider_changes_the_images_and_its_end_is_the_reconstruction(page, study):
    canvas = "#steps > figure > canvas[role=img]:first-child"
    before = [pixels_of(page, canvas, i) for i in range(4)]
    fill(page, "#walk-t", "1")
    assert all(pixels_of(page, canvas, i) != old for i, old in enumerate(before))
    to = int(re.search(r"to=(\d+)", page.url)[1])
    x = study.shown["map"][to : to + 1]
    for i, k in enumerate(SIZES, 1):
        x_hat = np.rint(255 * evaluate.reconstruct(shipped(study, k), x)).ravel()
        assert np.abs(grey_of(page, canvas, i) - x_hat).max() <= 1
    assert np.array_equal(grey_of(page, canvas), x.ravel())
    assert "100 %" in page.locator("#walk-said").inner_text()
    indices, labels, names = (data(study)[name] for name in ("indices", "labels", "classes"))
    ends = [int(re.search(rf"{end}=(\d+)", page.url)[1]) for end in ("from", "to")]
    pressed = page.locator("#shelf [aria-pressed=true]").evaluate_all("all => all.map(b => b.ariaLabel)")
    assert sorted(pressed) == sorted(f"test image {indices[i]}, {names[labels[i]]}" for i in ends)


def test_the_keyboard_moves_the_slider_and_chooses_images(page):
    page.locator("#walk-t").focus()
    page.keyboard.press("Home")
    settle(page)
    assert "At 0 %" in page.locator("#walk-said").inner_text()
    page.locator("input[name=end][value=to]").focus()
    page.keyboard.press("Space")
    page.locator("#shelf button").nth(7).focus()
    page.keyboard.press("Enter")
    assert page.locator("#shelf button").nth(7).get_attribute("aria-label") in page.locator("#ends").inner_text()
    page.locator("#map-canvas").focus()
    before = page.locator("#map-said").inner_text()
    for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
        settle(page)
        if page.locator("#map-said").inner_text() != before:
            break
    assert page.locator("#map-said").inner_text() != before


def test_a_dial_changes_the_code_and_reset_restores_it(page):
    start = pixels_of(page, "#dials-pictures canvas", 1)
    turn(page, 0)
    assert pixels_of(page, "#dials-pictures canvas", 1) != start
    assert "z=" in page.url
    page.locator("#dials-reset").click()
    settle(page)
    assert pixels_of(page, "#dials-pictures canvas", 1) == start


def test_a_dropped_image_is_scaled_and_encoded_and_other_files_are_refused(page):
    buffer = BytesIO()
    Image.fromarray(np.tile(np.arange(56, dtype=np.uint8) * 4, (56, 1))).save(buffer, format="PNG")
    page.locator("#drop-file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
    expect(page.locator("#ends")).to_contain_text("your image")
    assert (np.diff(grey_of(page, "#ends canvas").reshape(28, 28)[14]) > 0).all()
    page.locator("#drop-file").set_input_files({"name": "b.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.locator("#walk-said")).to_contain_text("b.png is no picture")


def test_a_link_reproduces_a_view(browser, study, page):
    page.locator("#walk-t").fill("0.25")
    page.locator("#shelf button").nth(5).click()
    page.locator("#dials-k").select_option("5")
    turn(page, 1)
    page.locator("#map-k").select_option("2")
    page.locator("#rank").fill("17")
    page.locator("#map-thumbs").check()
    page.locator("#map-canvas").hover(position={"x": 100, "y": 150})
    page.locator("#map-canvas").focus()
    for _ in range(2):
        page.mouse.wheel(0, -100)
    settle(page)
    views = ("#ends canvas", "#steps canvas", "#dials-pictures canvas", "#sizes-pictures canvas", "#map-picked canvas")
    with explored(browser, study, "#" + page.url.partition("#")[2]) as again:
        for view in views:
            for i in range(page.locator(view).count()):
                near = np.abs(np.subtract(pixels_of(again, view, i), pixels_of(page, view, i)))
                assert near.max() <= 2, view  # a code in a link has three digits
        assert again.locator("#map-k").input_value() == "2"
        assert again.locator("#map-thumbs").is_checked()
        assert pixels_of(again, "#map-canvas") == pixels_of(page, "#map-canvas")
        assert again.evaluate("scrollY") > 1000  # the page is scrolled to the explorer


def test_a_contents_link_does_not_change_the_view(page):
    turn(page, 0)
    page.locator("#map-classes input").first.uncheck()
    settle(page)
    before = pixels_of(page, "#dials-pictures canvas", 1)
    page.get_by_role("link", name="The table").press("Enter")
    expect(page.locator("#table")).to_be_in_viewport()
    settle(page)
    assert pixels_of(page, "#dials-pictures canvas", 1) == before
    fill(page, "#rank", "3")
    assert "hidden=0" in page.url
    assert "z=&" not in page.url


def test_a_new_fragment_changes_the_view_and_invalid_values_are_ignored(page):
    page.evaluate("location.hash = 'k=5&map=2&hidden=1.3.x.-1&t=0.75&from=3&to=nonsense&rank=&z=1_2_-3000_4_5e-9'")
    settle(page)
    assert "75 %" in page.locator("#walk-said").inner_text()
    checked = [box.is_checked() for box in page.locator("#map-classes input").all()]
    assert [i for i in range(5) if not checked[i]] == [1, 3]
    assert page.locator("#dials-k").input_value() == "5"
    fill(page, "#rank", "4")
    assert "z=1.00_2.00_-3.00e%2B3_4.00_5.00e-9" in page.url


X = np.random.default_rng(0).integers(0, 256, (60, 6, 9, 3), np.uint8)
ODD = {
    "one dimension": ImageSet("grey", X[:40, :, :, 0], X[40:, :, :, 0]),
    "colour without labels": ImageSet("colour", X[:40], X[40:], classes=("a", "b")),
    "one test image": ImageSet("one", X[:40], X[40:41]),
    "many classes": ImageSet(
        "many", X[:40], X[40:], np.arange(40) % 12, np.arange(20) % 12, tuple(f"class {i}" for i in range(12))
    ),
    "hostile names": replace(small_clothes(), classes=HOSTILE),
}


@pytest.mark.fault("names")
@pytest.mark.parametrize("kind", ODD)
def test_unusual_studies_can_be_explored(browser, tmp_path, kind):
    images, sizes = ODD[kind], (1,) if kind == "one dimension" else (1, 3)
    done = run_study(images, sizes, recipe=RECIPE, out=tmp_path, executor=Inline())
    report.write(done)
    with explored(browser, done) as page:
        assert page.evaluate("latentfit.latentDims") == list(sizes)
        fill(page, "#walk-t", "1")
        text = page.locator("#explore").inner_text()
        assert not re.search("undefined|NaN", text)
        base = int(re.search(r"base=(\d+)", page.url)[1])
        x_hat = evaluate.reconstruct(shipped(done, sizes[-1]), done.shown["map"][base : base + 1])[0].clip(0, 1)
        shape = images.x_train.shape[1:3]
        shown = np.array(pixels_of(page, "#dials-pictures canvas", 1)).reshape(*shape, 4)[..., :3]
        assert np.abs(shown - 255 * x_hat.reshape(*shape, -1)).max() <= 1
        if kind == "hostile names":
            assert HOSTILE[0] in page.locator("#map-classes").inner_text()
            assert page.locator("#explore img").count() == 0
            assert page.locator("script").count() == 3


def test_fewer_large_images_are_included(monkeypatch):
    monkeypatch.setattr(explorer, "PIXELS", 1000)
    assert len(explorer._some(np.zeros((50, 10, 10)))) == 10
    assert explorer._some(np.zeros((50, 100, 100))).tolist() == [0, 49]
    assert explorer._some(np.zeros((1, 10, 10))).tolist() == [0]


def test_a_click_on_a_filtered_map_shows_the_image_of_that_class(page, study):
    labels, classes = study.shown["map_labels"], study.found.dataset.classes
    for name in classes[1:]:
        page.get_by_label(name, exact=True).uncheck()
    settle(page)
    box = page.locator("#map-canvas").bounding_box()
    for x, y in ((0.5, 0.5), (0.45, 0.5), (0.5, 0.55), (0.4, 0.4), (0.6, 0.5), (0.5, 0.4), (0.3, 0.5), (0.7, 0.5)):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        settle(page)
    at = int(re.search(r"pick=(\d+)", page.url)[1])
    assert labels[at] == 0
    named = f"test image {study.shown['map_indices'][at]}"
    assert f"{named}, {classes[0]}" in page.locator("#map-said").inner_text()
    assert np.array_equal(grey_of(page, "#map-picked canvas"), study.shown["map"][at].ravel())
    x_hat = evaluate.reconstruct(shipped(study, SIZES[-1]), study.shown["map"][at : at + 1])
    assert np.abs(grey_of(page, "#map-picked canvas", 1) - 255 * x_hat.ravel()).max() <= 1
    page.locator("#dials-k").select_option("2")
    page.locator("#map-dials").click()
    settle(page)
    assert page.locator("#dials-k").input_value() == page.locator("#map-k").input_value() == "12"
    assert named in page.locator("#dials-pictures").inner_text()


def test_tables_are_sorted_by_a_column_and_copied(page):
    table = page.locator("table").nth(1)
    column = table.locator("tbody td:nth-child(4)").all_inner_texts()
    button = table.locator("thead button").nth(3)
    for order in ("ascending", "descending"):
        button.click()
        assert table.locator("thead th").nth(3).get_attribute("aria-sort") == order
        now = table.locator("tbody td:nth-child(4)").all_inner_texts()
        assert now == sorted(column, key=float, reverse=order == "descending")
    page.get_by_role("button", name="Copy table").nth(1).click()
    expect(page.get_by_role("status").filter(has_text="Copied.")).to_have_count(1)


def test_a_missing_number_is_sorted_last_in_both_directions(page):
    table = page.locator("table").filter(has=page.get_by_text("Walks in numbers"))
    drift = table.get_by_role("button", name="drift")
    for _ in ("ascending", "descending"):
        drift.click()
        assert table.locator("tbody tr:last-child").inner_text().startswith("fading")


def test_images_are_sorted_by_their_error(page, study):
    errors = []
    for rank in (0, 110, 219):
        fill(page, "#rank", str(rank))
        errors.append(sum(map(float, re.findall(r"([\d.e-]+) with", page.locator("#sizes-said").inner_text()))))
    assert errors == sorted(errors)
    assert errors[0] < errors[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(browser, study, scheme):
    from axe_playwright_python.sync_playwright import Axe

    with explored(browser, study, color_scheme=scheme, bypass_csp=True) as page:
        page.locator("#raw summary").click()
        found = Axe().run(page).response["violations"]
        assert [(v["id"], [node["html"][:120] for node in v["nodes"][:3]]) for v in found] == []


def test_the_policy_forbids_other_scripts(browser, study):
    script = (
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        " document.body.append(s); return window.ran ?? null; }"
    )
    with opened(browser, study.folder) as page:
        assert page.evaluate(script) is None


def test_a_report_without_the_explorer_has_one_script(browser, study, tmp_path):
    copy = shutil.copytree(study.folder, tmp_path / "copy")
    html = report.write(copy, with_explorer=False).read_text()
    assert html.count("<script") == 1
    assert "latentfit.ready" not in html
    assert 'href="#explore"' not in html
    messages = []
    with opened(browser, copy) as page:
        page.on("console", lambda message: messages.append(message.text))
        page.reload()
        page.get_by_role("button", name="test MSE").first.click()
        assert page.locator("[aria-sort=ascending]").count() == 1
    assert messages == []


@pytest.mark.parametrize("width", [360, 1400])
def test_the_contents_mark_the_current_section(browser, study, width):
    with opened(browser, study.folder, viewport={"width": width, "height": 900}) as page:
        page.evaluate("window.latentfit.ready")
        marked = page.locator(".contents a[aria-current]")
        for link in page.locator(".contents a").all():
            link.press("Enter")
            expect(marked).to_have_text(link.inner_text())
            assert 0 <= marked.bounding_box()["x"] < width


def test_the_article_is_complete_without_javascript(browser, study):
    with opened(browser, study.folder, java_script_enabled=False) as page:
        assert "needs JavaScript" in page.locator("#explore").inner_text()
        assert page.locator("#answer, #asked, #table, #walks, #codes, #trust, #again").count() == 7


@pytest.mark.parametrize("which", ["three sizes", "ten sizes and five seeds"])
def test_nothing_is_cut_off_on_paper(browser, study, which):
    width, height = (round((mm - 32) * 96 / 25.4) for mm in (210, 297))  # A4 without the margins, in CSS pixels
    folder = study.folder if which == "three sizes" else FLAGSHIP
    with opened(browser, folder, viewport={"width": width, "height": height}, color_scheme="dark") as page:
        page.emulate_media(media="print")
        whole = page.locator("figure:not(.walks), .group, table").filter(visible=True)
        assert whole.count() > 10
        get = "all => all.map(e => [e.getBoundingClientRect().right, getComputedStyle(e).breakInside])"
        for right, style in whole.evaluate_all(get):
            assert right <= width
            assert style == "avoid"
        sheets = page.locator("figure:not(.walks), .group").filter(visible=True)
        assert all(h < height for h in sheets.evaluate_all("a => a.map(e => e.getBoundingClientRect().height)"))
        assert not page.locator("#explore, nav").filter(visible=True).count()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_the_answer_goes_into_the_page_first_then_its_neighbours_the_largest_and_the_others_evenly():
    sizes = [2, 4, 8, 16, 24, 32, 48, 64, 128]
    assert explorer.order(sizes, 16) == [16, 8, 24, 128, 2, 48, 4, 32, 64]
    assert explorer.order(sizes, 128)[:3] == [128, 64, 2]
    assert explorer.order(sizes, None)[:3] == [128, 2, 24]
    assert explorer.order([7], None) == [7]


@pytest.mark.parametrize(("room", "number"), [(350_000, 3), (299_000, 2), (1, 1)])
def test_a_page_holds_as_many_networks_as_there_is_room_for(room, number):
    made = []

    def told(k):
        made.append(k)
        return {"weights": "x" * 100_000}

    assert list(explorer._that_fit([16, 8, 64, 2, 4, 32], told, room)) == [16, 8, 64][:number]
    assert len(made) <= 4
