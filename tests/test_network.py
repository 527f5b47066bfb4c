"""The numbers of one network and of one size."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import baselines_of, model_result

from latentfit import evaluate, latent, pca
from latentfit.data.images import ImageSet
from latentfit.measure import comparisons, gates
from latentfit.measure import network as measure
from latentfit.measure.network import ImageValues, Measurement
from latentfit.recipe import Job, Recipe
from latentfit.results import Codes, FailedModel, ModelResult, NestedCurve, SizeResult, Variance
from latentfit.stats import Mean, mean_error, mean_interval, mean_over_both, ratio_error
from latentfit.sweep import files
from latentfit.sweep.job import train_group


@pytest.fixture(scope="module")
def baselines(images):
    return baselines_of(images)


@pytest.fixture(scope="module")
def result(images, quick, trained, baselines):
    """The numbers of the network with five dimensions, with other images, baselines or measurement."""

    def result(measurement=trained[1].measurement, images=images, baselines=baselines):
        return measure.model_result(Job(5, 0), measurement, trained[1].history, images, quick, baselines)

    return result


def test_the_numbers_are_those_of_evaluate_and_latent(network, images, quick, trained, baselines, result):
    x_hat = evaluate.reconstruct(network, images.x_test)
    train, test = evaluate.mse(network, images.x_train), evaluate.mse(network, images.x_test)
    errors = evaluate.image_errors(network, images.x_test)
    codes = latent.encode(network, images.x_train)
    std = codes.std(axis=0, dtype=float)
    mean, falling = images.x_train.mean(axis=0), gates.last_tenth_fall(trained[1].history)
    distances = np.square((images.x_test - mean) / 255).reshape(len(errors), -1).mean(axis=1)
    found = result()
    assert found == ModelResult(
        latent_dim=5,
        seed=0,
        status="ok",
        reason=None,
        gates=gates.fired(
            train,
            errors,
            pca.fit(images.x_train, images.x_test).of_test_images(5),
            baselines.variance.test,
            trained[1].history,
            quick,
            std,
            baselines.unlike,
        ),
        train_mse=train,
        val_mse=None,
        steps=None,
        test_mse=test,
        test_psnr=evaluate.psnr(test),
        test_ssim=evaluate.ssim(images.x_test, x_hat),
        test_mse_by_class=pytest.approx(tuple(errors[images.y_test == c].mean() for c in range(3))),
        effective_dim=latent.effective_dim(latent.encode(network, images.x_test)),
        train_explained_variance=pytest.approx(1 - train / np.square((images.x_train - mean) / 255).mean()),
        test_explained_variance=pytest.approx(1 - test / np.square((images.x_test - mean) / 255).mean()),
        test_sharpness=pytest.approx(evaluate.sharpness(x_hat).mean() / evaluate.sharpness(images.x_test).mean()),
        pca_components_for_test_mse=pca.fit(images.x_train, images.x_test).components_for(test),
        last_tenth_fall=falling,
        dims_in_use=5,
        codes=Codes(pytest.approx(tuple(std)), tuple(codes.min(axis=0)), tuple(codes.max(axis=0))),
        explained_variance_error=pytest.approx(ratio_error(errors, distances), rel=1e-4),
    )


def test_a_failed_network_has_the_same_keys_and_no_number(result):
    found = files.to_json(measure.failed(Job(5, 0), "it broke"))
    assert list(found) == list(files.to_json(result()))
    words = {"latent_dim": 5, "seed": 0, "status": "failed", "reason": "it broke"}
    assert {name: value for name, value in found.items() if value is not None and name != "gates"} == words


def test_a_network_worse_than_any_picture_failed_and_its_result_has_no_nan(images, baselines):
    wild = Recipe(output="linear", learning_rate=1e3, batch_size=1000, epochs=1)
    (trained,) = train_group([(3, 0)], images, wild)
    found = measure.model_result(Job(3, 0), trained.measurement, trained.history, images, wild, baselines)
    assert isinstance(found, FailedModel)
    assert "larger than that of any picture" in found.reason
    files.dump_json(found)


@pytest.mark.parametrize("error", [1.0000001, np.nan])
def test_an_error_above_1_is_no_error_of_pictures(trained, result, error):
    found = trained[1].measurement
    assert isinstance(result(replace(found, train_mse=error)), FailedModel)
    values = replace(found.per_image, test_mse=np.full(40, error))
    assert isinstance(result(replace(found, per_image=values)), FailedModel)


def test_without_labels_there_are_no_classes(images):
    plain = ImageSet("plain", images.x_train, images.x_test)
    assert measure.class_means(np.ones(40), plain) is None


def test_images_without_variance_explain_nothing(network, images, baselines, result):
    grey = ImageSet("grey", np.full_like(images.x_train, 90), np.full_like(images.x_test, 90))
    flat = replace(baselines, variance=Variance(0.0, 0.0), test_sharpness=evaluate.sharpness(grey.x_test))
    found = result(Measurement.of(network, grey), grey, flat)
    assert found.train_explained_variance is found.test_explained_variance is found.test_sharpness is None
    assert flat.components_for(0.9) is None


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("least", "varies"), [(1.5e-5, False), (1.6e-5, True)])
def test_next_to_no_variance_is_none(network, images, baselines, result, split, least, varies):
    little = replace(baselines, variance=replace(baselines.variance, **{split: least}))
    found = result(baselines=little)
    assert little.varies == varies
    assert (found.train_explained_variance is not None) == (found.test_explained_variance is not None) == varies
    assert bool(comparisons.sampling({Job(5, 0): ImageValues.of(network, images.x_test)}, little)) == varies
    assert varies or "worse_than_pca" not in [gate.name for gate in found.gates]


def test_baselines_are_those_of_the_images(images, baselines):
    mean = images.x_train.mean(axis=0)
    for split, x in (("train", images.x_train), ("test", images.x_test)):
        assert getattr(baselines.variance, split) == pytest.approx(np.square((x - mean) / 255).mean())
    np.testing.assert_array_equal(baselines.test_sharpness, evaluate.sharpness(images.x_test))
    few, many = baselines.pca_results([3, 4000])
    curves = baselines.pca
    assert (few.latent_dim, few.train_mse, few.test_mse) == (3, curves.train[3], curves.test[3])
    assert (many.latent_dim, many.train_mse, many.test_mse) == (4000, curves.train[-1], curves.test[-1])
    k = baselines.components_for(0.9)
    assert curves.test[k] <= 0.1 * baselines.variance.test < curves.test[k - 1]


def test_values_of_each_image_are_the_same_bits_where_it_was_trained_and_later(network, images, trained):
    values, at_once = ImageValues.of(network, images.x_test), trained[1].measurement.per_image
    np.testing.assert_array_equal(values.test_mse, evaluate.image_errors(network, images.x_test))
    np.testing.assert_array_equal(values.sharpness, evaluate.sharpness(evaluate.reconstruct(network, images.x_test)))
    np.testing.assert_array_equal(values.test_mse, at_once.test_mse)
    np.testing.assert_array_equal(values.sharpness, at_once.sharpness)


def test_a_size_has_means_over_the_seeds_that_trained(baselines):
    rng = np.random.default_rng(0)
    errors = {
        job: rng.uniform(1, 3, 40) * mean for job, mean in ((Job(8, 0), 0.01), (Job(4, 0), 0.01), (Job(8, 1), 0.012))
    }
    models = [
        model_result(8, 0, 0.8, test_psnr=17.0, train_mse=0.01, explained_variance_error=0.02),
        model_result(4, 0, None),
        model_result(8, 1, 0.7, train_mse=0.02, explained_variance_error=0.04),
        measure.failed(Job(8, 2), "it broke"),
        measure.failed(Job(16, 0), "it broke"),
    ]
    values = {job: ImageValues(of_images, of_images) for job, of_images in errors.items()}
    four, eight, sixteen = measure.size_results(models, values, baselines)
    assert (four.latent_dim, four.seeds, four.failed, four.gates) == (4, 1, 0, ())
    assert (four.test_mse, four.test_explained_variance) == (Mean(errors[4, 0].mean(), None), None)
    assert (eight.seeds, eight.failed, eight.gates) == (2, 1, ("failed",))
    assert (eight.train_mse, eight.test_psnr) == (mean_interval([0.01, 0.02]), Mean(17.0, None))
    assert eight.test_explained_variance == mean_over_both([0.8, 0.7], [0.02, 0.04])
    both = [errors[8, 0], errors[8, 1]]
    assert eight.test_mse == mean_over_both([e.mean() for e in both], [mean_error(e) for e in both])
    assert sixteen == SizeResult(16, 0, 1, None, None, None, None, None, None, ("failed",))


def test_a_size_stands_beside_pca_by_its_mean(baselines):
    """Above PCA for other seeds and other images, where PCA's error of each image is taken off first."""
    linear = baselines.pca.of_test_images(2)
    noise = np.random.default_rng(0).uniform(-1, 1, 40) * linear.mean() / 10
    errors = [linear * 0.5 + noise, linear * 0.5 - noise + linear.mean() / 5]
    values = {Job(2, seed): ImageValues(of_images, of_images) for seed, of_images in enumerate(errors)}
    (size,) = measure.size_results([model_result(2, 0), model_result(2, 1)], values, baselines)
    above = [of_images - linear for of_images in errors]
    assert size.above_pca == mean_over_both([a.mean() for a in above], [mean_error(a) for a in above])
    assert size.above_pca.mean == pytest.approx(size.test_mse.mean - baselines.pca.at("test", 2))
    curve, k = baselines.pca.test, size.pca_components
    assert curve[k] <= size.test_mse.mean < curve[k - 1]
    (one,) = measure.size_results([model_result(2, 0)], values, baselines)
    assert one.above_pca == Mean(pytest.approx(above[0].mean()), None)
    tiny = {Job(2, 0): ImageValues(np.full(40, 1e-30), linear)}
    assert measure.size_results([model_result(2, 0)], tiny, baselines)[0].pca_components is None


@pytest.mark.parametrize(
    ("errors", "reason", "status", "test_mse"),
    [
        ({2: 0.5, 8: 0.1}, None, "ok", (0.5, None, 0.1)),
        (None, "it broke", "failed", (None, None, None)),
        ({2: 0.5, 8: 1.1}, None, "failed", (None, None, None)),
        ({2: 0.5, 8: np.nan}, None, "failed", (None, None, None)),
    ],
)
def test_a_nested_curve_has_errors_of_pictures_or_a_reason(errors, reason, status, test_mse):
    found = measure.nested_curve(Job(8, 0), errors, reason, [2, 4, 8])
    assert found == NestedCurve(8, 0, status, found.reason, (2, 4, 8), test_mse)
    assert (found.reason is None) == (status == "ok")
