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
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
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


ALPHABET = "!#$%&'()*+,-./0123456789:;=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~"


def shipped(study, k):
    """The network with the weights that the page contains, read bit by bit from it."""
    network = study.network(k)
    told = next(net for net in data(study)["networks"] if net["latentDim"] == k)
    carry(network, told["weights"])
    return network


def unpacked(text):
    """The bytes that a text of the page holds."""
    digits = [ALPHABET.index(c) for c in text]
    bits = "".join(f"{91 * a + b:013b}" for a, b in zip(digits[::2], digits[1::2], strict=False))
    bits += f"{digits[-1]:06b}" * (len(digits) % 2)
    return zlib.decompress(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits) - 7, 8)))


@pytest.mark.parametrize("count", range(40))
def test_any_number_of_bytes_is_text_and_these_bytes_again(count):
    data = np.random.default_rng(count).integers(0, 256, count, np.uint8).tobytes()
    assert unpacked(explorer.pack(data)) == data
    assert set(explorer.pack(data)) <= set(ALPHABET)


def carry(network, weights):
    """Put the weights of a page into a network."""
    text = iter(unpacked(weights["planes"]))
    offsets = np.frombuffer(unpacked(weights["biases"]), np.uint8).reshape(4, -1).T.copy().view("<f4")
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
    """Codes that sliders and paths can reach, other ones than those that the weights were tried at."""
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


def test_points_are_images_lines_single_controls_and_corners(study):
    x, box = study.shown["map"], study.found.trained[12, 0].codes
    z = latent.encode(study.network(12), x)
    drawn = points(study, 12, count=300)
    axes, low, high = drawn.directions.axes[:10], drawn.directions.low, drawn.directions.high
    images, lines, dials, numbers = np.split(drawn.near(z), [len(z), len(z) + 300, len(z) + 600])
    assert np.array_equal(images, z)
    assert len(np.unique(lines, axis=0)) == 300
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


def shown_at(page, key):
    """A place of an image in the address of the page."""
    page.wait_for_function("key => new URLSearchParams(location.hash.slice(1)).has(key)", arg=key)
    return int(re.search(rf"[#&]{key}=(\d+)", page.evaluate("location.hash"))[1])


def name_of(study, i):
    told = data(study)
    return f"test image {told['indices'][i]}, {told['classes'][told['labels'][i]]}"


def choose(page, n, slot="from"):
    """Choose the n-th image of the shelf."""
    page.locator(f"#slot-{slot}").check()
    page.locator("#shelf button").nth(n).click()
    settle(page)


STEPS = "#steps > figure > canvas[role=img]:first-child"


def test_the_slider_changes_the_images_and_its_end_is_the_reconstruction(page, study):
    before = [pixels_of(page, STEPS, i) for i in range(4)]
    fill(page, "#walk-t", "1")
    assert all(pixels_of(page, STEPS, i) != old for i, old in enumerate(before))
    to = shown_at(page, "to")
    x = study.shown["map"][to : to + 1]
    for i, k in enumerate(SIZES, 1):
        x_hat = np.rint(255 * evaluate.reconstruct(shipped(study, k), x)).ravel()
        assert np.abs(grey_of(page, STEPS, i) - x_hat).max() <= 1
    assert np.array_equal(grey_of(page, STEPS), x.ravel())
    assert "100 %" in page.locator("#walk-said").inner_text()
    pressed = page.locator("#shelf [aria-pressed=true]").evaluate_all("all => all.map(b => b.ariaLabel)")
    assert sorted(pressed) == sorted(name_of(study, shown_at(page, end)) for end in ("from", "to"))


def test_one_image_and_one_size_are_shown_by_all_parts(page, study):
    for n, k in ((4, 5), (6, 12)):
        choose(page, n)
        fill(page, "#walk-t", "0")
        page.locator("#size").select_option(str(k))
        settle(page)
        i = data(study)["shelf"][n]
        x = study.shown["map"][i : i + 1]
        x_hat = np.rint(255 * evaluate.reconstruct(shipped(study, k), x)).ravel()
        for canvas, wanted in (
            ("#from-picture", x.ravel()),
            ("#dials-pictures canvas >> nth=0", x.ravel()),
            ("#dials-pictures canvas >> nth=1", x_hat),
            ("#steps .chosen > canvas >> nth=0", x_hat),
            ("#map-here canvas", x_hat),
            ("#sizes-pictures canvas >> nth=0", x.ravel()),
            ("#sizes-pictures .chosen canvas", x_hat),
        ):
            assert np.abs(grey_of(page, canvas) - wanted).max() <= 1, canvas
        assert page.locator("select").count() == 2  # of the size, and of the map's colour
        assert page.locator("#dial-list input").count() == min(10, k)


def test_the_page_opens_at_the_size_of_the_answer(browser, tmp_path):
    errors = {"keep": 0.01, "recipe": replace(RECIPE, learning_rate=0.01, epochs=10)}
    done = run_study(small_clothes(400, 220), (5, 12), seeds=2, out=tmp_path, executor=Inline(), **errors)
    assert done.results["verdict"]["latent_dim"] == 5
    report.write(done)
    with explored(browser, done) as page:
        assert page.locator("#size").input_value() == "5"


def test_the_active_slot_takes_the_image_and_shows_that_it_is_active(page, study):
    outline = "slot => getComputedStyle(slot).outlineStyle"
    for slot, other in (("to", "from"), ("from", "to")):
        before = shown_at(page, other)
        choose(page, 9 if slot == "to" else 11, slot)
        assert shown_at(page, other) == before
        i = shown_at(page, slot)
        assert i == data(study)["shelf"][9 if slot == "to" else 11]
        assert np.array_equal(grey_of(page, f"#{slot}-picture"), study.shown["map"][i].ravel())
        assert page.locator(f".slot:has(#slot-{slot})").evaluate(outline) == "solid"
        assert page.locator(f".slot:has(#slot-{other})").evaluate(outline) == "none"


def test_the_nearest_image_is_neither_end_of_the_path(page, study):
    x = study.shown["map"].reshape(220, -1) / 255
    for t in ("0", "0.3", "1"):
        fill(page, "#walk-t", t)
        ends = [shown_at(page, end) for end in ("from", "to")]
        for n in range(3):
            shown = np.flatnonzero(
                (study.shown["map"].reshape(220, -1) == grey_of(page, "#steps canvas.near", n)).all(1)
            )
            assert not {*ends} & {*shown}
            apart = np.square(x - grey_of(page, STEPS, n + 1) / 255).mean(axis=1)
            apart[ends] = np.inf
            assert apart[shown].min() <= apart.min() + 1e-4


def test_a_path_goes_through_its_stops_is_played_and_is_saved(page, study):
    shelf = data(study)["shelf"]
    for n in (3, 8):
        choose(page, n, "stop")
    assert f"stops={shelf[3]}.{shelf[8]}" in page.url
    for t, i in ((1 / 3, shelf[3]), (2 / 3, shelf[8])):
        page.locator("#walk-t").evaluate(
            f"s => {{ s.step = 'any'; s.value = {t}; s.dispatchEvent(new Event('input')); }}"
        )
        settle(page)
        x_hat = 255 * evaluate.reconstruct(shipped(study, SIZES[-1]), study.shown["map"][i : i + 1]).ravel()
        assert np.abs(grey_of(page, STEPS, 3) - x_hat).max() <= 1
    with page.expect_download() as download:
        page.locator("#walk-save").click()
    strip = np.asarray(Image.open(download.value.path()).convert("L"))
    assert strip.shape == (112, 13 * 112)
    for n, i in ((0, shown_at(page, "from")), (4, shelf[3]), (8, shelf[8]), (12, shown_at(page, "to"))):
        x_hat = 255 * evaluate.reconstruct(shipped(study, SIZES[-1]), study.shown["map"][i : i + 1])[0]
        assert np.abs(strip[2::4, n * 112 + 2 : (n + 1) * 112 : 4] - x_hat).max() <= 1
    fill(page, "#walk-t", "1")
    page.locator("#walk-play").click()
    seen = set()
    for _ in range(5):
        page.wait_for_timeout(100)
        seen.add(page.locator("#walk-t").input_value())
    assert len(seen) > 1
    assert max(map(float, seen)) < 0.5
    page.get_by_role("button", name="Stop", exact=True).click()
    settle(page)
    assert "through" in page.locator("#walk-said").inner_text()
    page.get_by_role("button", name="remove stop 1").click()
    settle(page)
    assert f"stops={shelf[8]}&" in page.url


def test_a_film_whose_first_frame_is_older_than_the_click_starts_at_0(page):
    fill(page, "#walk-t", "1")
    expect(page.locator("#map-near li")).to_have_count(5)
    page.evaluate("performance.now = () => 1e9")
    page.locator("#walk-play").click()
    page.wait_for_timeout(300)
    assert 0 <= float(page.locator("#walk-t").input_value()) < 0.5
    page.locator("#walk-play").click()


def test_the_film_ends_at_the_end_of_the_path(page):
    fill(page, "#walk-t", "0.95")
    page.locator("#walk-play").click()
    expect(page.locator("#walk-said")).to_contain_text("At 100 %")
    assert page.locator("#walk-play").inner_text() == "Play"


def test_the_keyboard_moves_the_slider_and_chooses_images(page, study):
    page.locator("#walk-t").focus()
    page.keyboard.press("Home")
    settle(page)
    assert "At 0 %" in page.locator("#walk-said").inner_text()
    page.locator("#slot-to").focus()
    page.keyboard.press("Space")
    page.locator("#shelf button").nth(7).focus()
    page.keyboard.press("Enter")
    settle(page)
    assert shown_at(page, "to") == data(study)["shelf"][7]
    page.locator("#slot-from").focus()
    page.keyboard.press("Space")
    page.locator("#map-canvas").focus()
    before, image = page.locator("#map-said").inner_text(), shown_at(page, "from")
    for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
        settle(page)
        if page.locator("#map-said").inner_text() != before:
            break
    said = page.locator("#map-said").inner_text()
    assert said != before
    assert shown_at(page, "from") == image
    page.keyboard.press("Enter")
    settle(page)
    assert said.startswith(name_of(study, shown_at(page, "from")))
    assert shown_at(page, "from") != image
    page.keyboard.press("Shift+ArrowRight")
    settle(page)
    assert "no image" in page.locator("#map-said").inner_text()
    page.keyboard.press("Space")
    assert page.locator("#map-selection").is_hidden()


def test_a_dial_changes_the_code_and_reset_restores_it(page):
    start = pixels_of(page, "#dials-pictures canvas", 1)
    assert "error" in page.locator("#dials-pictures").inner_text()
    turn(page, 0)
    assert pixels_of(page, "#dials-pictures canvas", 1) != start
    assert "z=&" not in page.url
    for words in ("#dials-pictures", "#dials-said"):
        assert "error" not in page.locator(words).inner_text()  # the picture is no reconstruction of the image
    page.locator("#dials-reset").click()
    settle(page)
    assert pixels_of(page, "#dials-pictures canvas", 1) == start
    assert "error" in page.locator("#dials-pictures").inner_text()


def test_the_distance_is_beyond_all_real_codes_when_all_dials_are_at_their_ends(page, study):
    red = "meter => meter.value > meter.high && meter.low === meter.high && meter.optimum < meter.low"
    directions = explorer.Directions.of(z := latent.encode(study.network(12), study.shown["map"]))
    along = (z - directions.mean) @ directions.axes[:10].T / directions.std[:10]
    distances = np.sqrt(np.square(along).mean(axis=1))

    def told():
        text = page.locator("#far-said").inner_text()
        return float(re.search(r"[\d.]+", text)[0]), page.locator("#far").evaluate(red), "%" in text

    i = shown_at(page, "from")
    share, is_red, _ = told()
    assert abs(share - 100 * (distances < distances[i]).mean()) <= 1.5
    assert not is_red
    for dial in range(10):
        turn(page, dial)
    ends = np.sqrt(np.square(directions.high / directions.std[:10]).mean())
    times, is_red, is_share = told()
    assert is_red
    assert is_share == (ends < distances.max())
    assert is_share or abs(times - ends / distances.max()) < 0.02


def png(picture):
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return {"name": "a.png", "mimeType": "image/png", "buffer": buffer.getvalue()}


def test_a_dropped_image_is_scaled_and_encoded_and_other_files_are_refused(page):
    page.locator("#drop-file").set_input_files(png(np.tile(np.arange(56, dtype=np.uint8) * 4, (56, 1))))
    expect(page.locator("#walk-said")).to_contain_text("your image")
    assert (np.diff(grey_of(page, "#from-picture").reshape(28, 28)[14]) > 0).all()
    page.locator("#drop-file").set_input_files({"name": "b.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.locator("#photo-said")).to_contain_text("b.png is no picture")


def test_a_photo_is_inverted_and_cropped_and_a_warning_says_what_is_unlike_the_test_images(page):
    photo = np.full((40, 80), 250, np.uint8)
    photo[10:30, 4:40] = 20  # a dark thing in the left half on a light ground
    page.locator("#drop-file").set_input_files(png(photo))
    expect(page.locator("#photo-said")).to_contain_text("background")
    expect(page.locator("#photo-said")).to_contain_text("brightness")
    assert "Inverted" not in page.locator("#photo-said").inner_text()  # what is cut through lies on the border
    middle = grey_of(page, "#from-picture").reshape(28, 28)
    assert (middle[14] < 60).sum() in (13, 14, 15)  # the middle square of the photo holds half of it
    page.locator("#photo-across").evaluate("s => { s.value = 0; s.dispatchEvent(new Event('input')); }")
    settle(page)
    assert (grey_of(page, "#from-picture").reshape(28, 28)[14] < 60).sum() in (24, 25, 26)
    page.locator("#photo-zoom").evaluate("s => { s.value = s.min; s.dispatchEvent(new Event('input')); }")
    settle(page)
    whole = grey_of(page, "#from-picture").reshape(28, 28)
    assert (whole[14] < 60).sum() in (12, 13)
    assert np.ptp(whole[:7]) <= 40  # the border's own grey above the photo
    assert "Inverted, it is like them." in page.locator("#photo-said").inner_text()
    page.locator("#photo-invert").check()
    settle(page)
    assert np.abs(grey_of(page, "#from-picture").reshape(28, 28) - (255 - whole)).max() <= 1
    assert "background" not in page.locator("#photo-said").inner_text()
    assert "error" in page.locator("#sizes-said").inner_text()
    page.locator("#slot-to").check()
    settle(page)
    assert page.locator("#photo").is_hidden()
    assert page.locator("#photo-said").inner_text() == ""


def test_a_link_reproduces_a_view(browser, study, page):
    page.locator("#walk-t").fill("0.25")
    choose(page, 5)
    choose(page, 6, "stop")
    page.locator("#size").select_option("5")
    settle(page)
    turn(page, 1)
    page.locator("#map-colour").select_option("1")
    page.locator("#map-thumbs").check()
    page.locator("#map-canvas").hover(position={"x": 100, "y": 150})
    page.keyboard.down("Control")
    for _ in range(2):
        page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.mouse.move(0, 0)
    settle(page)
    views = ("#from-picture", STEPS, "#dials-pictures canvas", "#sizes-pictures canvas", "#map-here canvas")
    with explored(browser, study, "#" + page.url.partition("#")[2]) as again:
        for view in views:
            for i in range(page.locator(view).count()):
                near = np.abs(np.subtract(pixels_of(again, view, i), pixels_of(page, view, i)))
                assert near.max() <= 2, (view, i, page.url, again.url)  # a code in a link has three digits
        assert again.locator("#size").input_value() == "5"
        assert again.locator("#map-thumbs").is_checked()
        assert again.locator("#map-colour").input_value() == "1"
        assert np.array_equal(map_pixels(again), map_pixels(page))
        assert again.evaluate("scrollY") > 1000  # the page is scrolled to the explorer


def test_a_contents_link_does_not_change_the_view(page):
    turn(page, 0)
    page.locator("#map-classes input").first.uncheck()
    settle(page)
    before = pixels_of(page, "#dials-pictures canvas", 1)
    page.locator(".contents a").nth(2).press("Enter")
    settle(page)
    assert pixels_of(page, "#dials-pictures canvas", 1) == before
    fill(page, "#walk-t", "0.3")
    assert "hidden=0" in page.url
    assert "z=&" not in page.url


def test_a_new_fragment_changes_the_view_and_invalid_values_are_ignored(page):
    page.evaluate(
        "location.hash = 'k=5&hidden=1.3.x.-1&t=0.75&from=3&to=nonsense&stops=7.x.999&point=1_x&z=1_2_-3000_4_5e-9'"
    )
    settle(page)
    assert "75 %" in page.locator("#walk-said").inner_text()
    checked = [box.is_checked() for box in page.locator("#map-classes input").all()]
    assert [i for i in range(5) if not checked[i]] == [1, 3]
    assert page.locator("#size").input_value() == "5"
    fill(page, "#walk-t", "0.7")
    assert "z=1.00_2.00_-3.00e%2B3_4.00_5.00e-9" in page.url
    assert "stops=7&" in page.url
    assert page.url.endswith("point=")


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
        first = page.locator("#map-colour option").first.inner_text()
        assert first == ("none" if images.y_test is None else "class")
        base = shown_at(page, "from")
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


def on_map(study, k):
    """Where the images lie on a map that is not zoomed: shares of its width and height."""
    told = next(net for net in data(study)["networks"] if net["latentDim"] == k)
    packed = np.frombuffer(unpacked(told["plane"]), np.uint8)
    return 0.5 + packed.reshape(4, -1).T.copy().view("<f4").reshape(-1, 2)


def to_map(page, share, act="click"):
    """Click a place of the map, or move the pointer there."""
    canvas = page.locator("#map-canvas")
    canvas.scroll_into_view_if_needed()
    box, (x, y) = canvas.bounding_box(), map(float, share)
    getattr(page.mouse, act)(box["x"] + 1 + x * (box["width"] - 2), box["y"] + 1 + y * (box["height"] - 2))
    settle(page)


def map_pixels(page):
    """RGBA values of the map, (side, side, 4)."""
    text = page.locator("#map-canvas").evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(BytesIO(b64decode(text.partition(",")[2]))).convert("RGBA")).astype(int)


def test_a_click_on_a_filtered_map_chooses_the_image_of_that_class(page, study):
    labels, classes = study.shown["map_labels"], study.found.dataset.classes
    for name in classes[1:]:
        page.get_by_label(name, exact=True).uncheck()
    places = on_map(study, 12)
    for i in np.flatnonzero(labels == 0)[:3]:
        to_map(page, places[i])
        at = shown_at(page, "from")
        assert labels[at] == 0
        assert np.abs(places[at] - places[i]).max() < 0.01
        assert page.locator("#map-said").inner_text().startswith(name_of(study, at))
        x_hat = evaluate.reconstruct(shipped(study, 12), study.shown["map"][at : at + 1])
        assert np.abs(grey_of(page, "#map-here canvas") - 255 * x_hat.ravel()).max() <= 1


def test_a_point_of_the_map_is_decoded_with_the_other_directions_of_the_nearest_code(page, study):
    places, network = on_map(study, 12), shipped(study, 12)
    z = latent.encode(network, study.shown["map"])
    directions = explorer.Directions.of(latent.encode(study.network(12), study.shown["map"]))
    image = shown_at(page, "from")
    where = np.random.default_rng(0).uniform(0.1, 0.9, (400, 2))
    apart = np.linalg.norm(where[:, None] - places, axis=2).min(axis=1)
    for share in where[apart > 0.05][:3]:
        to_map(page, share)
        near = np.linalg.norm(places - share, axis=1).argmin()
        along = (z[near] - directions.mean) @ directions.axes[:2].T
        reach = next(net for net in data(study)["networks"] if net["latentDim"] == 12)["reach"]
        code = z[near] + (reach * (share - 0.5) - along) @ directions.axes[:2]
        wanted = 255 * latent.decode(network, code[None], (784,))[0]
        assert np.abs(grey_of(page, "#map-here canvas") - wanted).max() <= 4  # half a screen pixel of the map
        assert "error" not in page.locator("#map-here").inner_text()
        assert name_of(study, near) in page.locator("#map-here").inner_text()
        assert shown_at(page, "from") == image
        listed = page.locator("#map-near li")
        expect(listed).to_have_count(5)
        distances = np.linalg.norm(z - code, axis=1)
        order = distances.argsort()[:5]
        assert np.allclose([float(text) for text in listed.all_inner_texts()], distances[order], rtol=0.05)
    before = grey_of(page, "#map-here canvas")
    page.locator("#map-dials").click()
    settle(page)
    assert np.abs(grey_of(page, "#dials-pictures canvas", 1) - before).max() <= 1


def test_neighbours_leave_out_the_image_itself_and_can_be_chosen(page, study):
    listed = page.locator("#map-near button")
    expect(listed).to_have_count(5)
    z = latent.encode(shipped(study, 12), study.shown["map"])
    i = shown_at(page, "from")
    distances = np.linalg.norm(z - z[i], axis=1)
    order = distances.argsort()[1:6]
    for n, j in enumerate(order):
        assert listed.nth(n).get_attribute("aria-label") == f"{name_of(study, j)}, at a distance of {distances[j]:.3g}"
    listed.nth(1).click()
    settle(page)
    assert shown_at(page, "from") == order[1]


def test_the_image_under_the_pointer_is_shown_beside_it(page, study):
    places = on_map(study, 12)
    i = int(places[:, 0].argmin())
    before = map_pixels(page)
    to_map(page, places[i], "move")
    changed = (before != map_pixels(page)).any(axis=2)
    x, y = (len(changed) * places[i]).astype(int)
    assert changed[y - 20 : y + 20, x + 14 : x + 64].all()
    assert name_of(study, i).rpartition(",")[0] in page.locator("#map-here").inner_text()
    page.mouse.move(0, 0)
    settle(page)
    assert np.array_equal(map_pixels(page), before)


def test_images_on_the_map_are_large_and_do_not_cover_one_another(page, study):
    page.locator("#map-thumbs").check()
    settle(page)
    places = on_map(study, 12)
    side = len(grey := map_pixels(page)[..., 0])
    grey = np.pad(grey, 40)
    at = ((np.arange(28) + 0.5) * 40 / 28 - 20).round().astype(int)  # the middles of the pixels of a tile of 40
    found = np.array(
        [
            (x, y)
            for (x, y), image in zip(np.round(side * places).astype(int) + 40, study.shown["map"], strict=True)
            if (np.abs(grey[np.ix_(y + at, x + at)] - image) <= 1).mean() > 0.8
        ]
    )
    assert len(found) > 10
    apart = np.abs(found[:, None] - found).max(axis=2) + 99 * np.eye(len(found))
    assert apart.min() >= 39
    to_map(page, places[0])
    chosen = shown_at(page, "from")
    assert np.abs(places[chosen] - places[0]).max() * side <= 41


def test_the_map_is_coloured_by_error(page, study):
    page.locator("#map-colour").select_option("1")
    settle(page)
    errors = evaluate.image_errors(study.network(12), study.shown["map"])
    low, high = (float(page.locator(f"#map-{end}").inner_text()) for end in ("low", "high"))
    assert np.allclose([low, high], np.quantile(errors, [0.01, 0.99]), rtol=0.05)
    rgb, places = map_pixels(page), on_map(study, 12)
    red = [rgb[round(len(rgb) * y), round(len(rgb) * x), 0] for x, y in places]
    alone = [
        i
        for i, p in enumerate(places)
        if np.sort(np.linalg.norm(places - p, axis=1))[1] > 0.03 and i != shown_at(page, "from")
    ]
    assert len(alone) > 10
    assert np.corrcoef(np.clip(errors[alone], low, high), np.array(red)[alone])[0, 1] > 0.95


def test_the_axes_of_the_map_say_the_explained_variance(page, study):
    spread = explorer.Directions.of(latent.encode(study.network(12), study.shown["map"])).std ** 2
    label = page.locator("#map-canvas").get_attribute("aria-label")
    for axis in (0, 1):
        assert f"direction {axis + 1}: {round(100 * spread[axis] / spread.sum())} %" in label


def test_a_lasso_selects_images_whose_indices_can_be_copied(page, study):
    places, labels = on_map(study, 12), study.shown["map_labels"]
    page.get_by_label(study.found.dataset.classes[0], exact=True).uncheck()
    page.locator("#map-lasso").click()
    canvas = page.locator("#map-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    corners = [(0.4, 0.4), (0.4, 0.55), (0.6, 0.55), (0.6, 0.4)]
    page.mouse.move(*(box[a] + s * box[b] for a, b, s in zip("xy", ("width", "height"), corners[0], strict=True)))
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*(box[a] + s * box[b] for a, b, s in zip("xy", ("width", "height"), corner, strict=True)))
    page.mouse.up()
    settle(page)
    surely, perhaps = (
        {
            *study.shown["map_indices"][
                (labels != 0)
                & (places > np.add((0.4, 0.4), edge)).all(axis=1)
                & (places < np.subtract((0.6, 0.55), edge)).all(axis=1)
            ].tolist()
        }
        for edge in (0.01, -0.01)
    )
    got = {int(n) for n in page.locator("#map-indices").input_value().split(", ")}
    assert len(surely) > 5
    assert surely <= got <= perhaps
    assert page.locator("#map-count").inner_text() == f"{len(got)} selected"
    page.locator("#map-copy").click()
    assert page.locator("#map-copied").inner_text() == "Copied."
    page.locator("#map-clear").click()
    settle(page)
    assert page.locator("#map-selection").is_hidden()
    page.keyboard.press("Space")  # the map has the focus
    settle(page)
    assert page.locator("#map-indices").input_value() == str(study.shown["map_indices"][shown_at(page, "from")])


def test_the_wheel_scrolls_the_page_unless_ctrl_is_held(page):
    page.locator("#map-canvas").focus()
    page.locator("#map-canvas").hover()
    for held, key in ((False, "zoom=1&"), (True, "zoom=1.25&")):
        if held:
            page.keyboard.down("Control")
        before = page.evaluate("scrollY")
        page.mouse.wheel(0, -60)
        settle(page)
        assert (page.evaluate("scrollY") == before) == held
        page.locator("#walk-t").evaluate("s => s.dispatchEvent(new Event('input'))")
        settle(page)
        assert key in page.url


def test_the_parts_have_ids_that_skip_links_can_go_to(page):
    for part in ("explore", "choose", "walk", "dials", "map", "sizes", "explore-end"):
        assert page.locator(f"#{part}").count() == 1
        page.evaluate(f"location.hash = '{part}'")
        settle(page)
    assert page.locator("#explorer-body").is_visible()


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
    table = page.locator("table").filter(has=page.get_by_text("Interpolations in numbers"))
    page.locator("#interpolations ~ details summary").click()
    drift = table.get_by_role("button", name="drift")
    for _ in ("ascending", "descending"):
        drift.click()
        assert table.locator("tbody tr:last-child").inner_text().startswith("cross-fade")


def test_images_are_sorted_by_their_error(page, study):
    errors = []
    for rank in (0, 110, 219):
        fill(page, "#rank", str(rank))
        errors.append(sum(map(float, re.findall(r"([\d.e-]+) with", page.locator("#sizes-said").inner_text()))))
        assert name_of(study, shown_at(page, "from")) in page.locator("#dials-pictures").inner_text()
    assert errors == sorted(errors)
    assert errors[0] < errors[2]
    choose(page, 3)
    order = int(page.locator("#rank").input_value()) + 1
    assert f"{order} of 220 by error" in page.locator("#sizes-said").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(browser, study, scheme):
    from axe_playwright_python.sync_playwright import Axe

    with explored(browser, study, color_scheme=scheme, bypass_csp=True) as page:
        page.locator("#raw summary").click()
        page.locator("#slot-to").check()
        page.locator("#drop-file").set_input_files(png(np.full((20, 30), 230, np.uint8)))
        choose(page, 4, "stop")
        page.locator("#slot-to").check()
        page.locator("#map-colour").select_option("1")
        page.locator("#map-canvas").press("Space")
        settle(page)
        expect(page.locator("#map-selection")).to_be_visible()
        expect(page.locator("#photo")).to_be_visible()
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
            settle(page)  # the contents scroll to what is marked, also when the page grows meanwhile
            assert 0 <= marked.bounding_box()["x"] < width


def test_the_article_is_complete_without_javascript(browser, study):
    with opened(browser, study.folder, java_script_enabled=False) as page:
        assert "needs JavaScript" in page.locator("#explore").inner_text()
        assert page.locator("#answer, #table, #interpolations, #codes, #trust, #methods, #again").count() == 7


@pytest.mark.parametrize("which", ["three sizes", "ten sizes and five seeds"])
def test_nothing_is_cut_off_on_paper(browser, study, which):
    width, height = (round((mm - 32) * 96 / 25.4) for mm in (210, 297))  # A4 without the margins, in CSS pixels
    folder = study.folder if which == "three sizes" else FLAGSHIP
    with opened(browser, folder, viewport={"width": width, "height": height}, color_scheme="dark") as page:
        page.emulate_media(media="print")
        whole = page.locator("figure, .group, table").filter(visible=True)
        assert whole.count() > 10
        get = "all => all.map(e => [e.getBoundingClientRect().right, getComputedStyle(e).breakInside])"
        for right, style in whole.evaluate_all(get):
            assert right <= width
            assert style == "avoid"
        sheets = page.locator("figure, .group").filter(visible=True)
        assert all(h < height for h in sheets.evaluate_all("a => a.map(e => e.getBoundingClientRect().height)"))
        assert not page.locator("#explore, nav").filter(visible=True).count()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_the_answer_goes_into_the_page_first_then_its_neighbours_the_largest_and_the_others_evenly():
    sizes = [2, 4, 8, 16, 24, 32, 48, 64, 128]
    assert explorer.order(sizes, 16) == [16, 8, 24, 128, 2, 48, 4, 32, 64]
    assert explorer.order(sizes, 128)[:3] == [128, 64, 2]
    assert explorer.order(sizes, None)[:3] == [128, 2, 24]
    assert explorer.order([7], None) == [7]


@pytest.mark.parametrize(("room", "number"), [(350_000, 3), (299_000, 2), (1, 0)])
def test_a_page_holds_as_many_networks_as_there_is_room_for(room, number):
    made = []

    def told(k):
        made.append(k)
        return {"weights": "x" * 100_000}

    assert list(explorer._that_fit([16, 8, 64, 2, 4, 32], told, room)) == [16, 8, 64][:number]
    assert len(made) <= 4
