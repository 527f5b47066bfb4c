"""Studies of rows of numbers: what is stored and counted is in the data's units, what is compared in deviations."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

import latentfit
from latentfit import report
from latentfit.data.images import ImageSet
from latentfit.errors import InputError
from latentfit.measure import headline
from latentfit.recipe import CONVERGED, REFERENCE, Recipe
from latentfit.report import answer, lost_columns
from latentfit.sweep.run import study

RECIPE = replace(CONVERGED, hidden=(24,), epochs=8)
NAMES = ("image of a row", "mass", "height", "speed", "always", "age", "<b>")
UNITS = np.array([3.0, 1e-3, 500, 0, 20, 1])
RNG = np.random.default_rng(0)


def rows(n, test=False):
    """Three factors in six columns of different units, one of them constant, and noise."""
    rng = np.random.default_rng(n)
    factors = rng.normal(size=(n, 3))
    mixed = np.tanh(factors) @ np.random.default_rng(7).normal(size=(3, 6)) + 0.05 * rng.normal(size=(n, 6))
    x = (mixed * UNITS + [1, 2, 3, 4, 5, 6]).astype(np.float32)
    if test:
        x[0, 3] = 4.5  # differs from the constant of the training rows
    return x


X, X_TEST = rows(240), rows(60, test=True)
Y, Y_TEST = (np.arange(240) % 2).astype(np.int64), (np.arange(60) % 2).astype(np.int64)


@pytest.fixture(scope="module", params=["columns", "none"])
def done(request, tmp_path_factory):
    """A study of two sizes and two seeds, with its report; and its set."""
    images = ImageSet.of({"train": (X, Y), "test": (X_TEST, Y_TEST)}, name="image rows", scale=request.param)
    images = replace(images, columns=(*NAMES[:4], *NAMES[5:]), classes=("pixel", "other"))
    found = study(images, [2, 3], seeds=2, keep=0.9, recipe=RECIPE, out=tmp_path_factory.mktemp("rows") / "study")
    report.write(found, with_explorer=False)
    return images, found


def made(found, latent_dim, seed, x):
    with torch.no_grad():
        return found.network(latent_dim, seed)(torch.tensor(x)).numpy()


def test_errors_of_networks_are_in_the_data_s_units(done):
    images, found = done
    for model in found.found.models:
        apart = np.square(made(found, *model.job, X_TEST).astype(float) - X_TEST)  # (N, C)
        assert model.test_mse == pytest.approx(apart.mean(), rel=1e-4)
        np.testing.assert_allclose(model.test_mse_by_column, apart.mean(axis=0), rtol=1e-3, atol=1e-8)
        by_class = [apart[c == Y_TEST].mean() for c in range(2)]
        np.testing.assert_allclose(model.test_mse_by_class, by_class, rtol=1e-4)
        assert model.test_mse_by_column[3] == pytest.approx(0.25 / 60)  # the constant, where a test row has another
        held_out = images.seen.with_held_out()
        for split, error in (("x_train", model.train_mse), ("x_val", model.val_mse)):
            x = X.copy()[: len(getattr(held_out, split))]
            x[:, images.seen.scaling.columns] = images.seen.scaling.undo(getattr(held_out, split))
            x[:, 3] = 4
            assert error == pytest.approx(np.square(made(found, *model.job, x).astype(float) - x).mean(), rel=1e-4)


def test_explained_variance_is_of_the_scaled_columns(done):
    images, found = done
    keep = [0, 1, 2, 4, 5]
    scaler = StandardScaler(with_std=images.reading.scale != "none").fit(X[:, keep])
    x, rest = (scaler.transform(part[:, keep].astype(float)) for part in (X, X_TEST))
    for model in found.found.models:
        x_hat = scaler.transform(made(found, *model.job, X_TEST)[:, keep].astype(float))
        assert model.test_explained_variance == pytest.approx(
            1 - np.square(x_hat - rest).mean() / np.square(rest).mean(), rel=1e-4
        )
    assert found.found.variance.train == pytest.approx(1, rel=1e-5)
    pca = PCA(svd_solver="full").fit(x)
    for row in found.found.pca:
        k = row.latent_dim
        back = [
            scaler.inverse_transform((part - pca.mean_) @ pca.components_[:k].T @ pca.components_[:k] + pca.mean_)
            for part in (x, rest)
        ]
        constant = np.array([0, 0.25 / 60])
        errors = [np.square(a - b[:, keep]).sum() / b.size for a, b in zip(back, (X, X_TEST), strict=True)]
        np.testing.assert_allclose([row.train_mse, row.test_mse], errors + constant / 6, rtol=1e-4)
    axes, apart = pca.components_[:2], rest - pca.mean_
    left = np.square(apart - apart @ axes.T @ axes).mean()
    assert found.found.pca_errors[2] == pytest.approx(left / np.square(x).mean(), rel=1e-3)


def test_what_is_of_pictures_alone_is_null(done):
    _, found = done
    for model in found.results["models"]:
        assert model["test_psnr"] is model["test_ssim"] is model["test_sharpness"] is None
    compression = found.results["lost"]["compression"]
    assert compression["png_bytes"] is compression["zlib_bytes"] is None
    assert compression["raw_bytes"] == 5 * 4
    assert found.results["interpolation"]["models"][0]["midpoint_sharpness"] is None


def test_the_set_is_described(done):
    images, found = done
    dataset = found.results["dataset"]
    assert dataset["image_shape"] == [6]
    assert dataset["columns"] == [*NAMES[:4], *NAMES[5:]]
    assert dataset["scale"] == images.reading.scale
    assert found.results["recipe"]["output"] == "linear"
    model = json.loads((found.folder / "models" / "k002-s0" / "model.json").read_text())
    assert model["sizes"] == [6, 24, 2]
    assert model["output"] == "linear"
    assert model["preparation"]["columns"] == dataset["columns"]
    assert model["preparation"]["type"] == "float32"
    assert "Markup" not in (found.folder / "report.md").read_text()
    deviations = found.found.column_deviations
    np.testing.assert_allclose(deviations, X.std(axis=0, dtype=float), rtol=1e-4, atol=1e-12)
    assert deviations[3] == 0


def test_the_page_speaks_of_rows_and_keeps_names(done):
    _, found = done
    for name in ("report.html", "report.md"):
        text = (found.folder / name).read_text()
        article = text.rpartition("</style>")[2].partition("<script>")[0]
        left = re.sub(r"image rows|image of a row|\bpixel\b(?=[,)<\s])|data:image/png|figures/\S+", "", article)
        wrong = re.findall(r".{30}\b(?:images?|pictures?|pixels?)\b.{30}", re.sub(r"<[^>]*>", "", left), re.IGNORECASE)
        assert not wrong, wrong
        assert "image of a row" in text
        for absent in ("PSNR", " dB", "SSIM", "JPEG", "blurrier", "gradient magnitude"):
            assert absent not in article
    assert "test rows" in headline.headline(found.found)
    assert "test rows" in found.results["verdict"]["sentence"]
    assert all("image" not in note for note in found.results["quality"]["notes"])


def test_the_columns_that_lose_most(done):
    _, found = done
    header, body = lost_columns.table(found.found)
    assert header == ["column", "latent", "deviation", "RMSE", "variance lost"]
    assert len(body) == 5  # not the constant one
    size, lost = lost_columns.lost(found.found)
    models = [model for model in found.found.models if model.latent_dim == size]
    for column in lost:
        i = found.found.dataset.columns.index(column.name)
        error = np.mean([model.test_mse_by_column[i] for model in models])
        assert column.error == pytest.approx(error**0.5)
        assert column.lost == pytest.approx(error / X[:, i].var(dtype=float), rel=1e-3)
    assert [c.lost for c in lost] == sorted((c.lost for c in lost), reverse=True)


def test_the_same_request_has_the_same_bytes(done, tmp_path):
    images, found = done
    again = study(images, [2, 3], seeds=2, keep=0.9, recipe=RECIPE, out=tmp_path / "again")
    other = study(images, [2], seeds=2, keep=0.9, recipe=RECIPE, out=tmp_path / "grown")
    assert (found.folder / "results.json").read_bytes() == (again.folder / "results.json").read_bytes()
    grown = study(images, [2, 3], seeds=2, keep=0.9, recipe=RECIPE, out=other.folder)  # from stored networks
    assert grown.results == found.results
    assert (grown.folder / "shown.safetensors").read_bytes() == (found.folder / "shown.safetensors").read_bytes()


def test_another_scale_is_another_study(done, tmp_path):
    images, found = done
    other = "none" if images.reading.scale == "columns" else "columns"
    changed = replace(images, reading=replace(images.reading, scale=other))
    with pytest.raises(InputError, match="holds another study") as caught:
        study(changed, [2, 3], seeds=2, keep=0.9, recipe=RECIPE, out=found.folder)
    assert f"dataset.scale: there '{images.reading.scale}', asked '{other}'" in str(caught.value)


def test_recipes_whose_output_has_a_range_are_refused(tmp_path):
    images = ImageSet.of(X)
    for recipe in ("reference", REFERENCE, Recipe("own", output="sigmoid")):
        with pytest.raises(InputError, match="has a sigmoid output, which gives numbers from 0 to 1 alone"):
            study(images, [2], recipe=recipe, out=tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_sizes_that_are_not_given(tmp_path):
    tiny = Recipe("tiny", hidden=(8,), epochs=1, output="linear")
    for x, sizes in ((RNG.normal(size=(90, 60)), [16, 48]), (RNG.normal(size=(90, 20)), [16]), (X, [2])):
        found = study(ImageSet.of(x.astype(np.float32)), recipe=tiny, out=tmp_path / f"{x.shape[1]}")
        assert [size.latent_dim for size in found.found.sizes] == sizes
    with pytest.raises(InputError, match="latent size 6 is larger than the 5 columns of images that vary"):
        study(ImageSet.of(X), [6], recipe=tiny, out=tmp_path / "large")


def test_the_command_makes_the_study_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", X)
    found = latentfit.study("a.npy", [2], scale="none", recipe="swift", epochs=1)
    told = answer.command(found.found, found.source)
    assert told.startswith("latentfit study a.npy --latent-dims 2 --seeds 1 --scale none --recipe swift --epochs 1")
