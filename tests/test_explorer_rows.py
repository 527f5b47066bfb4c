"""The explorer of rows of numbers in a real browser: curves where images have pictures, values in the data's units."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from io import BytesIO

import numpy as np
import pandas
import pytest
from helpers import Inline
from PIL import Image
from playwright.sync_api import expect
from test_explorer import STEPS, carry, choose, data, explored, fill, map_pixels, on_map, settle, shown_at, to_map, turn

from latentfit import evaluate, latent, report
from latentfit.data.images import ImageSet
from latentfit.recipe import CONVERGED
from latentfit.report import explorer
from latentfit.report.curves import HALF_A_LEVEL, SHARE, SHOWN, Curves
from latentfit.sweep.run import study as run_study

SIZES = (1, 2, 4)
NAMES = ("image width", "<b>mass & co</b>", *"cdefghijk", "constant", "last")


def table(rows=400):
    """Two factors in 12 columns of different units, one of them beside a far mean, and a constant column."""
    rng = np.random.default_rng(0)
    place, height = rng.uniform(2, 9, (rows, 1)), rng.uniform(0.5, 2, (rows, 1))
    bumps = height * np.exp(-((np.arange(12) - place) ** 2) / 8) + rng.normal(0, 0.01, (rows, 12))
    values = np.insert(bumps * 10.0 ** rng.integers(-2, 4, 12), 11, 7.5, axis=1)
    values[:, 3] += 500
    return pandas.DataFrame(
        {**dict(zip(NAMES, values.T, strict=True)), "label": np.where(height > 1, "high", "low")[:, 0]}
    )


def of_table(folder, scale="columns", sizes=SIZES):
    recipe = replace(CONVERGED, hidden=(24,), epochs=20)
    images = ImageSet.of(table(), test=0.4, name="table", scale=scale)
    done = run_study(images, sizes, recipe=recipe, out=folder, executor=Inline())
    report.write(done)
    return done


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return of_table(tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return of_table(tmp_path_factory.mktemp("plain"), "none", (2,))


@pytest.fixture
def page(browser, study):
    with explored(browser, study) as page:
        yield page


def shipped(study, k):
    """The network of rows as networks see them, with the weights that the page contains."""
    network = study.seen_network(k)
    carry(network, next(net for net in data(study)["networks"] if net["latentDim"] == k)["weights"])
    return network


def in_units(study, x):
    """Rows as networks see them (N, D) in the data's units with all columns (N, C)."""
    whole = np.tile(study.scaling.mean, (len(x), 1))
    whole[:, study.scaling.columns] = study.scaling.undo(x)
    return whole


def ran(page, what, k, rows):
    """Results of the page's `encode` or `decode` for each row."""
    return np.array(
        page.evaluate("([what, k, all]) => all.map(row => [...latentfit[what](k, row)])", [what, k, rows.tolist()])
    )


def colours_of(page, selector, n=0):
    """The RGB values of a canvas, (H, W, 3); as a PNG, because long lists are slow."""
    text = page.locator(selector).nth(n).evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(BytesIO(b64decode(text.partition(",")[2]))).convert("RGB")).astype(int)


def drawn_at(study, picture, row, hue):
    """Whether a curve of a colour goes through each value of a row (D,), as far as the axis reaches."""
    told, (high, wide, _) = data(study)["rows"], picture.shape
    x = 4 + (240 - 8) * np.arange(len(row)) / (len(row) - 1)
    y = 120 * (told["high"] - row) / (told["high"] - told["low"])
    inside = (y > 3) & (y < 117)
    assert inside.sum() > 6
    at = np.rint(y[inside] * high / 120).astype(int), np.rint(x[inside] * wide / 240).astype(int)
    return (np.abs(picture[at] - hue).max(axis=1) < 70).mean()


BLUE, GREY = (0, 114, 178), (95, 95, 90)  # --mark and --soft on light


@pytest.mark.fault("export")
@pytest.mark.parametrize("scale", ["columns", "none"])
def test_the_page_takes_and_gives_rows_in_the_units_of_the_data(browser, study, plain, scale):
    study = study if scale == "columns" else plain
    curves, scaling, x = Curves.of(study, study.shown["map"]), study.scaling, study.shown["map"]
    rows = in_units(study, x)
    with explored(browser, study) as page:
        for k in page.evaluate("latentfit.latentDims"):
            network, whole = shipped(study, k), study.network(k)
            z = latent.encode(network, x)
            np.testing.assert_allclose(ran(page, "encode", k, rows), z, atol=1e-4 * np.abs(z).max())
            z = latent.encode(whole, rows.astype(np.float32))
            got, right = ran(page, "decode", k, z), latent.decode(whole, z, (len(NAMES),))
            limit = curves.stray(evaluate.image_errors(study.seen_network(k), x)) + 1e-5
            # the stored network itself rounds to fp32, also what lies far from 0
            apart = np.abs(got - right)[:, scaling.columns] - 1e-6 * np.abs(right)[:, scaling.columns]
            assert (apart / scaling.scale).max() <= limit
            assert (got[:, NAMES.index("constant")] == 7.5).all()
        with pytest.raises(Exception, match="a row of 12 numbers; expected 13"):
            page.evaluate("latentfit.encode(2, Array(12).fill(1))")


@pytest.mark.fault("export")
def test_no_number_strays_by_what_is_visible_or_moves_an_error(study, plain):
    for done in (study, plain):
        x, curves = done.shown["map"], Curves.of(done, done.shown["map"])
        for net in data(done)["networks"]:
            k = net["latentDim"]
            right, inside = done.seen_network(k), shipped(done, k)
            errors = evaluate.image_errors(right, x)
            limit = curves.stray(errors)
            drawn = points_of(done, k)
            for codes, times in ((drawn.near, 1), (drawn.corners, 2)):
                z, z_inside = (latent.encode(network, x) for network in (right, inside))
                shape = (x.shape[1],)
                apart = latent.decode(inside, codes(z_inside), shape) - latent.decode(right, codes(z), shape)
                assert 0 < np.abs(apart).max() <= times * limit
            assert evaluate.image_errors(inside, x).mean() == pytest.approx(errors.mean(), rel=0.02)


def points_of(study, k):
    z = latent.encode(study.seen_network(k), study.shown["map"])
    return explorer.Points(explorer.Directions.of(z), study.found.trained[k, 0].codes, 7, 2000)


def test_the_axis_shows_nearly_all_numbers_and_a_stray_is_half_a_level_of_it(study, plain):
    for done in (study, plain):
        x = done.shown["map"]
        curves = Curves.of(done, x)
        low, high = np.quantile(done.scaling.undo(x) if done is plain else x, SHOWN)
        assert curves.low < low < high < curves.high
        unit = done.scaling.scale[0] if done is plain else 1
        assert curves.stray(np.array([1e9])) == pytest.approx((curves.high - curves.low) * HALF_A_LEVEL / unit)
        assert curves.stray(np.array([1e-4])) == pytest.approx(SHARE * 1e-2)


@pytest.mark.parametrize("scale", ["columns", "none"])
def test_rows_and_reconstructions_are_curves_on_one_axis(browser, study, plain, scale):
    study = study if scale == "columns" else plain
    with explored(browser, study) as page:
        choose(page, 3)
        i = shown_at(page, "from")
        x = study.shown["map"][i : i + 1]
        drawn = study.scaling.undo if scale == "none" else np.asarray
        row, x_hat = drawn(x)[0], drawn(evaluate.reconstruct(shipped(study, data(study)["first"]), x))[0]
        for canvas, wanted, hue in (
            ("#dials-pictures canvas >> nth=0", row, GREY),
            ("#dials-pictures canvas >> nth=1", x_hat, BLUE),
            ("#map-here canvas", x_hat, BLUE),
            ("#sizes-pictures canvas >> nth=0", row, GREY),
            ("#sizes-pictures .chosen canvas", x_hat, BLUE),
        ):
            assert drawn_at(study, colours_of(page, canvas), wanted, hue) >= 0.9, canvas
            assert drawn_at(study, colours_of(page, canvas), np.roll(wanted, 3), hue) < 0.85
        label = page.locator("#dials-pictures canvas").nth(1).get_attribute("aria-label")
        assert label.endswith(", as a curve over the original")
        assert page.locator("#dials-pictures .axis").first.inner_text().split() == ["image", "width", "last"]


def test_the_slider_redraws_the_curves_and_its_ends_are_reconstructions(page, study):
    before = [colours_of(page, STEPS, i) for i in range(4)]
    fill(page, "#walk-t", "1")
    for i, old in enumerate(before):
        assert (colours_of(page, STEPS, i) != old).any()
    x = study.shown["map"][shown_at(page, "to")][None]
    for i, k in enumerate(SIZES, 1):
        x_hat = evaluate.reconstruct(shipped(study, k), x)[0]
        assert drawn_at(study, colours_of(page, STEPS, i), x_hat, BLUE) >= 0.9
    assert drawn_at(study, colours_of(page, STEPS), x[0], GREY) >= 0.9
    assert "nearest is test row" in page.locator("#walk-said").inner_text()
    fill(page, "#walk-t", "0")
    page.locator("#walk-play").click()
    page.wait_for_timeout(300)
    assert 0 < float(page.locator("#walk-t").input_value()) < 1
    page.locator("#walk-play").click()
    settle(page)
    with page.expect_download() as download:
        page.locator("#walk-save").click()
    strip = np.asarray(Image.open(download.value.path()).convert("RGBA"))
    assert strip.shape == (160, 5 * 320, 4)
    assert (strip[..., 3] == 255).all()
    assert all(
        (np.abs(tile[..., :3] - BLUE).max(axis=2) < 40).sum() > 200 for tile in np.split(strip.astype(int), 5, 1)
    )


def test_dials_raw_numbers_and_stops_redraw_curves(page):
    start = colours_of(page, "#dials-pictures canvas", 1)
    strips = [colours_of(page, "#dial-list canvas", i) for i in range(4)]
    turn(page, 0)
    assert (colours_of(page, "#dials-pictures canvas", 1) != start).any()
    assert all((colours_of(page, "#dial-list canvas", i) != old).any() for i, old in enumerate(strips) if i)
    page.locator("#dials-reset").click()
    page.locator("#raw summary").click()
    settle(page)
    assert (colours_of(page, "#dials-pictures canvas", 1) == start).all()
    page.locator("#raw-list input").first.evaluate("i => { i.value = i.max; i.dispatchEvent(new Event('input')); }")
    settle(page)
    assert (colours_of(page, "#dials-pictures canvas", 1) != start).any()
    choose(page, 5, "stop")
    assert page.get_by_role("button", name="remove stop 1: test row").locator("canvas").count() == 1


def test_the_map_shows_curves_under_the_pointer_as_tiles_and_at_any_point(page, study):
    places = on_map(study, SIZES[-1])
    before, here = map_pixels(page), colours_of(page, "#map-here canvas")
    page.locator("#map-thumbs").check()
    settle(page)
    assert (map_pixels(page) != before).any()
    page.locator("#map-thumbs").uncheck()
    to_map(page, (0.02, 0.02))
    expect(page.locator("#map-said")).to_contain_text("a point with no row")
    assert (colours_of(page, "#map-here canvas") != here).any()
    assert page.locator("#map-here canvas").get_attribute("aria-label").endswith(", as a curve")
    expect(page.locator("#map-near li")).to_have_count(5)
    page.locator("#map-near button").first.click()
    settle(page)
    assert "error" in page.locator("#map-here").inner_text()
    before = map_pixels(page)
    to_map(page, places[int(places[:, 0].argmin())], "move")
    assert (map_pixels(page) != before).any(
        axis=2
    ).sum() > 144 * 72 / 2  # a curve on its own ground, beside the pointer


def test_errors_are_those_of_the_tables(page, study):
    x = study.shown["map"]
    fill(page, "#rank", "100")
    i = shown_at(page, "from")
    told = re.findall(r"([\d.e-]+) with (\d+)", page.locator("#sizes-said").inner_text())
    for error, k in told:
        right = np.square(evaluate.reconstruct(study.seen_network(int(k)), x[i : i + 1]) - x[i]).mean()
        assert float(error) == pytest.approx(right, rel=0.1)
    page.locator("#map-colour").select_option("1")
    settle(page)
    low, high = (float(page.locator(f"#map-{end}").inner_text()) for end in ("low", "high"))
    errors = evaluate.image_errors(study.seen_network(SIZES[-1]), x)
    assert np.allclose([low, high], np.quantile(errors, [0.01, 0.99]), rtol=0.1)


def test_a_column_is_read_off_in_the_units_of_the_data_by_keyboard_and_by_pointing(browser, page, study):
    x = in_units(study, study.shown["map"])[shown_at(page, "from")]
    page.locator("#column").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    settle(page)
    line = page.locator("#sizes-pictures .axis")
    assert line.first.inner_text() == f"{NAMES[1]}: {float(f'{x[1]:.4g}'):g}".replace("-", "−")
    assert f"grey: {float(f'{x[1]:.4g}'):g}".replace("-", "−") in line.nth(1).inner_text()
    assert page.locator("#column").get_attribute("aria-valuetext") == NAMES[1]
    page.locator("#sizes-pictures canvas").first.hover()
    settle(page)
    n = len(study.scaling.columns)
    assert int(page.locator("#column").input_value()) in ((n - 1) // 2, n // 2)
    with explored(browser, study, "#" + page.url.partition("#")[2]) as again:
        assert again.locator("#column").input_value() == page.locator("#column").input_value()


def test_the_page_speaks_of_rows_and_takes_no_photos(page):
    assert page.locator("#own, #photo, input[type=file]").count() == 0
    words = page.locator("#explore").inner_text() + "".join(
        page.locator("#explore [aria-label]").evaluate_all("all => all.map(e => ' ' + e.ariaLabel)")
    )
    assert not re.search(r"\b(pixel|picture|photo|an row|undefined|NaN)", words.replace(NAMES[0], ""))
    assert "image" not in words.replace(NAMES[0], "")
    assert NAMES[0] in words
    assert page.locator("#explore b").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(browser, study, scheme):
    from axe_playwright_python.sync_playwright import Axe

    with explored(browser, study, color_scheme=scheme, bypass_csp=True) as page:
        page.locator("#raw summary").click()
        choose(page, 4, "stop")
        fill(page, "#column", "3")
        page.locator("#map-colour").select_option("1")
        page.locator("#map-canvas").press("Space")
        settle(page)
        found = Axe().run(page).response["violations"]
        assert [(v["id"], [node["html"][:120] for node in v["nodes"][:3]]) for v in found] == []


def test_curves_follow_the_colours_of_the_page(page):
    shelf = colours_of(page, "#shelf canvas")
    assert shelf.mean() > 200
    page.emulate_media(color_scheme="dark")
    settle(page)
    for canvas in ("#shelf canvas", STEPS, "#dial-list canvas", "#from-picture"):
        assert colours_of(page, canvas).mean() < 60, canvas


@pytest.mark.parametrize("width", [360, 1400])
def test_the_page_is_no_wider_than_the_screen_and_curves_are_sharp(browser, study, width):
    with explored(browser, study, viewport={"width": width, "height": 900}, device_scale_factor=2) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        size = "c => [c.width / c.clientWidth, c.clientWidth / c.clientHeight]"
        dense, shape = page.locator(STEPS).first.evaluate(size)
        assert dense > 1.5
        assert shape == pytest.approx(2, rel=0.02)


def test_fewer_rows_of_many_columns_are_included_and_the_page_says_so(study, monkeypatch):
    monkeypatch.setattr(explorer, "NUMBERS", 50 * 12)
    explored = explorer.content(study, {2: study.seen_network(2)})
    assert len(explored["indices"]) == 50
    template = report.ENVIRONMENT.get_template("explorer.html.j2")
    assert "The page holds 50 of 160 test rows." in template.render(explored=explored, results=study.found)
    assert "test rows.</p>" not in (study.folder / "report.html").read_text()
