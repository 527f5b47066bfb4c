"""The estimator is what scikit-learn says a transformer is, and trains what a study trains."""

import doctest
import inspect
import pickle
import random
import re
import subprocess
import sys
import warnings
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import Inline
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentfit import Autoencoder, ImageSet, hardware, study
from latentfit.errors import InputError
from latentfit.estimator.fitting import Here
from latentfit.recipe import CONVERGED, REFERENCE, SWIFT
from latentfit.train import Diverged

DOCS = Path(__file__).resolve().parent.parent / "docs"
TINY = replace(CONVERGED, hidden=(8,), epochs=3)
RNG = np.random.default_rng(0)
UNITS = np.array([3.0, 1e-3, 500, 0, 20, 1])


def rows(n, seed=0):
    """Three factors in six columns of different units, one of them constant, and noise: (n, 6)."""
    rng = np.random.default_rng([n, seed])
    mixed = np.tanh(rng.normal(size=(n, 3))) @ np.random.default_rng(7).normal(size=(3, 6))
    return (mixed + 0.05 * rng.normal(size=(n, 6))) * UNITS + [1, 2, 3, 4, 5, 6]


X, X_TEST = rows(160), rows(40, seed=1)
FACTORS = RNG.normal(size=(60, 2)) @ RNG.normal(size=(2, 20)) + 0.1 * RNG.normal(size=(60, 20))
BYTES = np.rint(255 / (1 + np.exp(-FACTORS))).astype(np.uint8).reshape(60, 4, 5)


def tiny(n_components=2, **parameters):
    return Autoencoder(n_components, **{"recipe": TINY} | parameters)


def bits(estimator):
    return {name: value.numpy().tobytes() for name, value in estimator.network_.state_dict().items()}


@pytest.mark.fault("estimator")
@pytest.mark.filterwarnings("ignore:n_components=16 is more than")
@parametrize_with_checks([tiny(), tiny(16)])
def test_scikit_learn_s_checks(estimator, check):
    check(estimator)


def test_the_parameters_are_those_of_the_contract():
    names = inspect.signature(Autoencoder).parameters.values()
    assert {p.name: p.default for p in names} == {
        "n_components": 16,
        "recipe": "converged",
        "epochs": None,
        "scale": "auto",
        "random_state": 0,
        "device": "auto",
        "n_jobs": None,
    }
    assert [p.name for p in names if p.kind is not p.KEYWORD_ONLY] == ["n_components"]


def test_importing_the_package_imports_neither_torch_nor_scikit_learn():
    check = "import sys, latentfit; dir(latentfit); print({'torch', 'sklearn', 'joblib'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize("recipe", [TINY, replace(SWIFT, hidden=(8,), epochs=2)], ids=["converged", "swift"])
@pytest.mark.parametrize("kind", ["columns", "none", "bytes", "floats"])
def test_it_is_the_network_of_a_study_and_scores_as_the_study_does(tmp_path, recipe, kind):
    x, x_test, scale = X.astype(np.float32), X_TEST.astype(np.float32), kind
    x[:, 3], x_test[:, 3] = 4, 4
    if kind in ("bytes", "floats"):
        x, x_test, scale = BYTES[:50], BYTES[50:], None
    if kind == "floats":
        x, x_test = (images / np.float32(255) for images in (x, x_test))
    images = ImageSet.of({"train": x, "test": x_test}, scale=scale)
    done = study(images, [2], seeds=2, recipe=recipe, out=tmp_path, executor=Inline())
    made = tiny(recipe=recipe, scale=scale or "auto", random_state=1).fit(x)
    expected = done.network(2, seed=1).state_dict()
    assert bits(made) == {name: value.numpy().tobytes() for name, value in expected.items()}
    assert made.score(x_test) == pytest.approx(done.found.models[1].test_explained_variance, abs=1e-5)
    errors, of_study = ([(row.train_mse, row.val_mse) for row in rows] for rows in (made.history_, done.history(2, 1)))
    assert errors == of_study
    assert made.recipe_ == done.found.recipe


def test_few_rows_are_pca():
    few = X[:20]
    pca = PCA(2).fit(few)
    made = tiny(scale="none").fit(few)
    assert made.history_ == []
    expected, deviations = pca.inverse_transform(pca.transform(X_TEST)), few.std(axis=0).clip(1e-9)
    np.testing.assert_allclose(made.reconstruct(X_TEST) / deviations.mean(), expected / deviations.mean(), atol=1e-4)
    scaler = StandardScaler().fit(few)
    pca.fit(scaler.transform(few))
    expected = scaler.inverse_transform(pca.inverse_transform(pca.transform(scaler.transform(X_TEST))))
    np.testing.assert_allclose(tiny().fit(few).reconstruct(X_TEST) / deviations, expected / deviations, atol=1e-3)


def test_inverse_transform_of_codes_is_the_reconstruction_in_units_and_shape():
    made = tiny().fit(X)
    np.testing.assert_array_equal(made.inverse_transform(made.transform(X_TEST)), made.reconstruct(X_TEST))
    assert np.abs((made.reconstruct(X_TEST) - X_TEST)[:, 2]).mean() < 300  # a column of hundreds
    images = tiny().fit(BYTES)
    again = images.reconstruct(BYTES)
    np.testing.assert_array_equal(images.inverse_transform(images.transform(BYTES)), again)
    assert again.shape == BYTES.shape
    assert again.min() >= 0
    assert 1 < again.max() <= 255
    assert np.abs(again - BYTES).mean() < 70


def test_constant_features_stay_what_they_were():
    made = tiny().fit(np.where(UNITS == 0, 1 / 3, X))
    assert (made.reconstruct(X_TEST)[:, 3] == 1 / 3).all()
    assert made.scale_[3] == 1


def test_the_error_of_a_row_is_in_deviations_and_finds_outliers():
    made = tiny(4).fit(X)
    odd = X_TEST.copy()
    odd[7, 1] += 0.01  # ten deviations of a column whose unit is small
    odd[9, 3] += 5  # the constant
    apart = (odd - made.reconstruct(odd)) / np.where(UNITS == 0, 1, X.std(axis=0))
    np.testing.assert_allclose(made.reconstruction_error(odd), np.square(apart).mean(axis=1), rtol=1e-6)
    assert {*np.argsort(made.reconstruction_error(odd))[-2:]} == {7, 9}
    images = tiny().fit(BYTES)
    pixels = np.square((BYTES - images.reconstruct(BYTES)) / 255).mean(axis=(1, 2))
    np.testing.assert_allclose(images.reconstruction_error(BYTES), pixels, rtol=1e-6)


def test_the_score_is_the_explained_variance_of_the_features_that_vary():
    made = tiny().fit(X)
    shifted = X_TEST + 9 * (UNITS == 0)
    apart = np.square((X_TEST - made.reconstruct(X_TEST)) / X.std(axis=0).clip(1e-9)).sum(axis=0)[UNITS != 0]
    distance = np.square((X_TEST - X.mean(axis=0)) / X.std(axis=0).clip(1e-9)).sum(axis=0)[UNITS != 0]
    assert made.score(X_TEST) == pytest.approx(1 - apart.sum() / distance.sum())
    assert made.score(shifted) == made.score(X_TEST)
    assert made.score(np.broadcast_to(made.mean_, X.shape)) in (0, 1)


def test_a_code_does_not_depend_on_the_rows_beside_it():
    for x, rounding in ((X, 1e-12), (X.astype(np.float32), 1e-4)):
        made = tiny().fit(x)
        whole = made.transform(x)
        alone = np.concatenate([made.transform(row[None]) for row in x])
        np.testing.assert_allclose(alone, whole, rtol=0, atol=rounding)
        np.testing.assert_allclose(made.transform(x[::-1])[::-1], whole, rtol=0, atol=rounding)


def layouts(x):
    """The same numbers read-only, in Fortran's order, strided, backwards and with the other byte order."""
    frozen = x.copy()
    frozen.flags.writeable = False
    strided = [np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], np.repeat(x, 3, axis=-1)[..., ::3]]
    backwards = x[::-1].copy()[::-1]
    return [frozen, *strided, backwards, x.astype(x.dtype.newbyteorder())]


@pytest.mark.fault("estimator")
@pytest.mark.parametrize(
    "x", [X, X.astype(np.float32), BYTES, BYTES / 255], ids=["float64", "float32", "bytes", "images"]
)
def test_the_same_numbers_in_any_layout_give_the_same_bytes(x):
    made, others = tiny().fit(x), layouts(x)
    assert sum(not other.flags.c_contiguous for other in others) == 4
    for other in others[: 5 if x.dtype == np.float32 else None]:  # of the other byte order it is made float64
        same = tiny().fit(other)
        assert bits(same) == bits(made)
        assert same.transform(other).tobytes() == made.transform(x).tobytes()
        assert same.score(other) == made.score(x)


def test_x_is_not_written_to():
    for x in (X.copy(), X.astype(np.float32), BYTES.copy(), (BYTES / 255).astype(np.float32)):
        before = x.tobytes()
        tiny().fit(x).score(x)
        assert x.tobytes() == before


def test_bytes_floats_of_the_same_values_and_flat_rows_have_the_same_codes():
    made = tiny().fit(BYTES)
    codes = made.transform(BYTES)
    assert codes.dtype == np.float32
    assert made.image_shape_ == (4, 5)
    assert made.n_features_in_ == 20
    flat = tiny().fit(BYTES.reshape(60, 20))
    assert flat.image_shape_ is None
    for estimator in (made, flat):
        for same in (BYTES, BYTES.reshape(60, 20), BYTES.astype(np.float32)):
            np.testing.assert_array_equal(estimator.transform(same), codes)
        np.testing.assert_allclose(estimator.transform(BYTES.astype(float)), codes, atol=1e-5)
    assert flat.reconstruct(BYTES).shape == (60, 20)
    assert bits(tiny().fit(BYTES / np.float32(255))) == bits(flat) == bits(made)


def test_what_is_a_pixel_keeps_its_range_and_other_numbers_have_none():
    bounded = {
        "bytes": (BYTES, "auto"),
        "images within [0, 1]": (BYTES / 255, "auto"),
        "rows within [0, 1]": ((BYTES / 255).reshape(60, 20), "none"),
    }
    free = {
        "images of other floats": (BYTES / 255 - 0.5, "auto"),
        "rows of floats": ((BYTES / 255).reshape(60, 20), "auto"),
        "bytes by columns": (BYTES, "columns"),
        "integers": (BYTES.reshape(60, 20).astype(int), "auto"),
    }
    for cases, output in ((bounded, "clamp"), (free, "linear")):
        for name, (x, scale) in cases.items():
            made = tiny(scale=scale).fit(x)
            assert made.network_.output == output, name
            assert made.score(x) > 0.1, name


def test_colour_images_are_taken():
    colour = np.stack([BYTES] * 3, axis=-1)
    made = tiny().fit(colour)
    assert made.image_shape_ == (4, 5, 3)
    assert made.reconstruct(colour).shape == colour.shape


def test_pipelines_grids_and_cross_validation():
    y = X[:, 0] + X[:, 4]
    pipeline = make_pipeline(StandardScaler(), tiny(), LinearRegression())
    assert pipeline.fit(X, y).score(X, y) > 0.3
    scores = cross_val_score(tiny(), X, cv=3)
    assert scores[0] == tiny().fit(X[54:]).score(X[:54])
    sizes = {"n_components": [1, 3], "recipe": [TINY]}
    grid = GridSearchCV(tiny(), sizes, cv=2).fit(X)
    assert grid.best_params_["n_components"] == 3
    assert bits(grid.best_estimator_) == bits(tiny(3).fit(X))
    apart = GridSearchCV(tiny(), sizes, cv=2, n_jobs=2).fit(X)
    np.testing.assert_array_equal(apart.cv_results_["mean_test_score"], grid.cv_results_["mean_test_score"])


def test_threads_take_turns_and_train_the_same(monkeypatch):
    """The number of torch's threads, of which bytes depend, is one for the process."""
    made, threads, reproducible = tiny().fit(X), torch.get_num_threads(), hardware.reproducible
    for step in (tiny().fit, made.transform):
        both, met = Barrier(2), []

        @contextmanager
        def watched(both=both, met=met):
            with suppress(BrokenBarrierError):
                met.append(both.wait(1))
            with reproducible():
                yield

        monkeypatch.setattr(hardware, "reproducible", watched)
        with joblib.parallel_config("threading", n_jobs=2):
            several = joblib.Parallel()(joblib.delayed(step)(X) for _ in range(2))
        assert met == []
    assert {codes.tobytes() for codes in several} == {made.transform(X).tobytes()}
    assert torch.get_num_threads() == threads


def test_a_clone_is_the_same_recipe():
    """`clone` copies it, and `Recipe.fitting` knows one by identity."""
    few = X[:20]
    expected = Autoencoder(2).fit(few).recipe_
    assert expected.epochs > CONVERGED.epochs
    for recipe in (CONVERGED, "converged"):
        assert clone(Autoencoder(2, recipe=recipe)).fit(few).recipe_ == expected
    assert clone(tiny()).fit(X).recipe_.epochs == TINY.epochs
    assert tiny(epochs=2).fit(X).recipe_.epochs == 2


def test_names_frames_and_pickles():
    frame = pd.DataFrame(X, columns=[*"abcdef"], index=range(7, 167))
    made = tiny().fit(frame)
    assert made.get_feature_names_out().tolist() == ["autoencoder0", "autoencoder1"]
    assert made.feature_names_in_.tolist() == [*"abcdef"]
    codes = made.set_output(transform="pandas").transform(frame)
    assert codes.columns.tolist() == ["autoencoder0", "autoencoder1"]
    assert codes.index.tolist() == [*range(7, 167)]
    again = pickle.loads(pickle.dumps(made))
    pd.testing.assert_frame_equal(again.transform(frame), codes)
    assert again.score(frame) == made.score(frame)
    weights = sum(weight.numel() for weight in made.network_.parameters())
    assert len(pickle.dumps(made)) < 4 * weights + 9000  # neither gradients nor what they were a part of


def test_a_network_says_what_transform_computes():
    made = tiny().fit(X.astype(np.float32))
    with torch.no_grad():
        codes = made.network_.encode(torch.tensor(X_TEST, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(made.transform(X_TEST.astype(np.float32)), codes, atol=1e-4)


def test_seeds():
    first = bits(tiny().fit(X))
    assert bits(tiny(random_state=0).fit(X)) == first
    assert bits(tiny(random_state=np.int64(1)).fit(X)) == bits(tiny(random_state=1).fit(X)) != first
    drawn = [bits(tiny(random_state=np.random.RandomState(3)).fit(X)) for _ in range(2)]
    assert drawn[0] == drawn[1] != first
    state = np.random.RandomState(3)
    assert bits(tiny(random_state=state).fit(X)) == drawn[0] != bits(tiny(random_state=state).fit(X))
    assert bits(tiny(random_state=None).fit(X)) != bits(tiny(random_state=None).fit(X))


@pytest.mark.parametrize("n_components", [2, 0.6])
@pytest.mark.parametrize("random_state", [0, None, np.random.RandomState(0)], ids=["int", "None", "RandomState"])
def test_global_random_states_stay(monkeypatch, n_components, random_state):
    monkeypatch.setattr("latentfit.measure.intrinsic.ESTIMATORS", {})
    np.random.seed(4)  # noqa: NPY002
    before = np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist(), random.getstate()  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        tiny(n_components, random_state=random_state).fit(X).score(X)
    after = np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist(), random.getstate()  # noqa: NPY002
    assert after == before


@pytest.fixture
def quick_search(monkeypatch):
    monkeypatch.setattr("latentfit.measure.intrinsic.ESTIMATORS", {})


LINEAR = replace(TINY, hidden=(24,), epochs=30)


@pytest.mark.parametrize("kind", ["rows", "bytes"])
def test_a_share_searches_as_a_study_does(tmp_path, quick_search, kind):
    x = np.tile(X, (3, 1)).astype(np.float32) + RNG.normal(size=(480, 6)).astype(np.float32) * 0.01 * UNITS
    if kind == "bytes":
        x = np.tile(BYTES, (5, 1, 1))
    test = np.arange(len(x)) % 10 == 9
    made = tiny(0.7, recipe=LINEAR).fit(x)
    images = ImageSet.of({"train": x[~test], "test": x[test]}, name="X")
    done = study(images, keep=0.7, recipe=LINEAR, out=tmp_path, executor=Inline()).found.verdict
    assert made.answer_ == done
    assert made.answer_.status == "found"
    assert ("rows" if kind == "rows" else "images") in made.answer_.sentence
    assert made.n_components_ == made.answer_.latent_dim == made.transform(x).shape[1]
    assert made.explained_variance_ == done.explained_variance >= 0.7
    assert made.score(x[test]) == pytest.approx(made.explained_variance_, abs=0.05)
    assert bits(made) == bits(tiny(made.n_components_, recipe=LINEAR).fit(x))
    again = made.set_params(n_components=2).fit(x)
    assert again.answer_ is again.explained_variance_ is None


def test_a_share_that_is_not_reached_is_a_warning_with_the_answer(quick_search):
    with pytest.warns(ConvergenceWarning) as told:
        made = tiny(0.97, recipe=replace(REFERENCE, hidden=(8,), epochs=1)).fit(BYTES)
    assert [str(warning.message) for warning in told] == [made.answer_.sentence]
    assert made.answer_.status != "found"
    assert made.n_components_ == made.answer_.best


def test_networks_of_a_search_side_by_side_are_the_same(monkeypatch, quick_search):
    settings = {"n_components": 0.6, "recipe": LINEAR}
    there, submit = [], Here.submit
    monkeypatch.setattr(Here, "submit", lambda *args, **rest: there.append(1) or submit(*args, **rest))
    alone = tiny(**settings).fit(X)
    assert there
    there.clear()
    several = tiny(**settings, n_jobs=2).fit(X)
    assert not there
    assert several.answer_ == alone.answer_
    assert bits(several) == bits(alone)


def test_more_components_than_features_are_those_there_are():
    with pytest.warns(UserWarning, match="n_components=9 is more than the 6 features of X; 6 are used"):
        made = tiny(9).fit(X)
    assert made.n_components_ == made.transform(X).shape[1] == 6
    assert made.score(X_TEST) > 0.99


@pytest.mark.parametrize("x", [X[4:6], X[:3], BYTES[:2]], ids=["two rows", "three rows", "two images"])
def test_two_rows_are_enough_and_more_components_than_rows_are_possible(x):
    made = tiny(4).fit(x)
    assert made.transform(x).shape == (len(x), 4)
    assert made.score(x) > 0.999
    assert (made.transform(x)[:, len(x) - 1 :] == 0).all()


def test_one_feature_of_several_may_vary():
    x = np.tile([1.0, 2, 3], (30, 1))
    x[:, 1] = RNG.normal(size=30)
    assert tiny().fit(x).score(x) > 0.9


def test_a_feature_far_from_0_is_told_and_codes_stay_sensible():
    far = X + np.array([0, 0, 0, 0, 0, 1e6])
    with pytest.warns(UserWarning, match="Column 'mass' lies more than 10,000 deviations from 0"):
        made = tiny(4).fit(pd.DataFrame(far, columns=[*"abcde", "mass"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert made.score(far) == pytest.approx(tiny(4).fit(X).score(X), abs=0.01)


BAD = {
    "n_components=0": ({"n_components": 0}, "n_components 0; expected a whole number, 1 or more"),
    "n_components=1.0": ({"n_components": 1.0}, "n_components 1.0; expected a whole number, or a share between 0 and"),
    "n_components=-0.1": ({"n_components": -0.1}, "expected a whole number, or a share between 0 and 1"),
    "n_components=None": ({"n_components": None}, "n_components None; expected a whole number"),
    "n_components=True": ({"n_components": True}, "n_components True; expected a whole number"),
    "recipe": ({"recipe": "best"}, "recipe 'best' is not known; expected reference, swift, converged, or a Recipe"),
    "recipe=[]": ({"recipe": []}, "recipe .* is not known"),
    "epochs": ({"epochs": 0}, "epochs 0; expected a whole number"),
    "scale": ({"scale": "rows"}, "scale 'rows'; expected auto, columns or none"),
    "device": ({"device": "tpu"}, "device 'tpu' is not known"),
    "random_state=-1": ({"random_state": -1}, "-1|between 0 and"),
    "random_state=text": ({"random_state": "x"}, "cannot be used to seed"),
    "n_jobs": ({"n_jobs": 0, "n_components": 0.5}, "n_jobs == 0"),
    "reference": ({"recipe": "reference"}, "reference has a sigmoid output.*scale X to .* and give scale='none'"),
    "a sigmoid of one's own": ({"recipe": REFERENCE}, "reference has a sigmoid output"),
}


@pytest.mark.parametrize(("parameters", "told"), BAD.values(), ids=BAD)
def test_parameters_that_cannot_be_used_are_told_at_fit(parameters, told):
    estimator = clone(tiny(**parameters))  # nothing is checked before
    with pytest.raises(ValueError, match=told):
        estimator.fit(X)


ODD = {
    "one row": (X[:1], "minimum of 2"),
    "one feature": (X[:, :1], "1 feature"),
    "no row": (X[:0], "0 sample"),
    "no image": (BYTES[:0], "0 sample"),
    "equal rows": (np.ones((30, 4)), "all 30 rows of X are equal"),
    "equal images": (BYTES[:1].repeat(9, axis=0), "all 9 rows of X are equal"),
    "NaN": (np.where(X.max() == X, np.nan, X), "NaN"),
    "infinity": (np.where(X.max() == X, np.inf, X), "infinity"),
    "complex": (X * 1j, "Complex"),
    "complex images": (BYTES * 1j, "Complex"),
    "sparse": (csr_array(X), "[Ss]parse"),
    "text": (np.array([["a", "b"], ["c", "d"]]), "could not convert|string"),
    "five dimensions": (np.zeros((3, 2, 2, 2, 2)), "dim 5"),
    "enormous": (X * 1e15, "expected at most 1e.15"),
}


@pytest.mark.parametrize(("x", "told"), ODD.values(), ids=ODD)
def test_data_that_cannot_be_used_are_told(x, told):
    with pytest.raises((ValueError, TypeError), match=told):
        tiny().fit(x)


def test_other_shapes_than_those_fitted_are_told():
    made = tiny().fit(BYTES)
    with pytest.raises(InputError, match="X holds images of 5 × 4; expected 4 × 5, as fitted"):
        made.transform(BYTES.swapaxes(1, 2))
    with pytest.raises(ValueError, match="X has 12 features, but Autoencoder is expecting 20"):
        made.transform(BYTES[:, :3, :4])
    with pytest.raises(InputError, match="X has 3 columns; expected codes of 2 numbers"):
        made.inverse_transform(np.zeros((4, 3)))


@pytest.mark.parametrize("x", [BYTES, BYTES / 255], ids=["bytes", "floats"])
def test_a_sigmoid_is_for_pixels(x):
    made = tiny(recipe="reference", epochs=2).fit(x)
    assert made.recipe_ == replace(REFERENCE, epochs=2)
    assert made.network_.output == "sigmoid"
    flat = x.reshape(60, 20)
    assert bits(tiny(recipe="reference", epochs=2, scale="none").fit(flat)) == bits(made)


def test_a_training_that_diverges_is_told():
    with pytest.raises(Diverged, match="no longer a finite number"):
        tiny(recipe=replace(TINY, learning_rate=1e30)).fit(X)


def test_the_examples_of_the_page_and_of_the_class(quick_search):
    page = re.sub(r"^```.*$", "", (DOCS / "estimator.md").read_text(), flags=re.M)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for text in (page, Autoencoder.__doc__):
        example = doctest.DocTestParser().get_doctest(text, {"np": np, "Autoencoder": Autoencoder}, "page", None, 0)
        assert example.examples
        assert runner.run(example).failed == 0
