"""The search for models of any kind."""

import doctest
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF, PCA

import latentfit
from latentfit import choose_size
from latentfit.errors import InputError
from latentfit.recipe import Job
from latentfit.sweep import files

DIGITS = load_digits().data / 16
TRAIN, TEST = DIGITS[:1500], DIGITS[1500:]


def explained(x_hat):
    return 1 - np.square(TEST - x_hat).sum() / np.square(TEST - TRAIN.mean(axis=0)).sum()


ALL = PCA(svd_solver="full").fit(TRAIN)  # its first axes are those of a PCA with fewer components


def of_pca(latent_dim, _seed):
    axes, centred = ALL.components_[:latent_dim], TEST - ALL.mean_
    return explained(centred @ axes.T @ axes + ALL.mean_)


def of_nmf(latent_dim, seed):
    model = NMF(latent_dim, init="random", random_state=seed, max_iter=60, tol=1e-2).fit(TRAIN)
    return explained(model.inverse_transform(model.transform(TEST)))


@pytest.mark.parametrize("keep", [0.5, 0.8, 0.9, 0.95])
def test_the_answer_for_pca_is_the_number_of_components_that_it_needs(keep):
    calls = []

    def score(*job):
        calls.append(job)
        return of_pca(*job)

    found = choose_size(score, keep, max_dim=64)
    curve = [of_pca(k, 0) for k in range(1, 65)]
    needed = next(k for k, share in enumerate(curve, 1) if share >= keep)
    assert found.latent_dim - needed <= max(0, int(0.05 * needed) - 1)
    assert found.verdict.not_enough == found.latent_dim - max(1, int(0.05 * found.latent_dim))
    assert len(calls) == len(set(calls)) == len(found.scores) <= 14
    assert found.scores[Job(found.latent_dim, 0)] == of_pca(found.latent_dim, 0)


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")
def test_a_model_of_scikit_learn_has_an_answer():
    found = choose_size(of_nmf, 0.75, max_dim=32)
    assert found.verdict.status == "found"
    mean = np.mean([found.scores[Job(found.latent_dim, seed)] for seed in range(3)])
    assert found.verdict.explained_variance == pytest.approx(mean)
    assert mean > 0.75
    text = re.sub(r"[0-9]+\.[0-9]+", "x", str(found))
    assert f"{found.latent_dim} latent dimensions are" in text
    assert "to keep 75 % of the variance (x %, 95 % interval x to x % over 3 seeds); " in text
    assert text.endswith("The interval is for other seeds alone, not for other held-out data.")


def test_what_cannot_be_reached_is_said():
    found = choose_size(lambda k, _: 1 - 1 / (1 + k), 0.99, max_dim=20)
    assert (found.latent_dim, found.verdict.status) == (None, "not_reached")
    assert "(7, 19 and 20, of up to 20) is enough to keep 99 % of the variance: 20 latent" in found.sentence
    assert max(job.latent_dim for job in found.scores) == 20


def test_seeds_that_differ_widen_the_interval():
    spread = choose_size(lambda k, seed: 0.9 + 0.005 * (seed - 1) + 1e-4 * k, 0.9, max_dim=12)
    assert spread.verdict.status == "undecided"
    assert "may be enough to keep 90 %" in spread.sentence


def test_one_dimension_may_be_enough():
    found = choose_size(lambda *_: 0.95, 0.9, max_dim=9)
    assert found.sentence.startswith("1 latent dimension is enough to keep 90 % of the variance (95.0 %, 95 % interval")


def test_scores_are_kept_in_a_file_and_a_call_goes_on(tmp_path):
    path, calls = tmp_path / "scores.json", []

    def stopped(*job):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(job)
        return of_pca(*job)

    with pytest.raises(KeyboardInterrupt):
        choose_size(stopped, 0.9, max_dim=64, file=path)
    assert len(json.loads(path.read_text())["scores"]) == 3
    again = []
    found = choose_size(lambda *job: (again.append(job), of_pca(*job))[1], 0.9, max_dim=64, file=path)
    assert not {*again} & {*calls}
    assert found.verdict == choose_size(of_pca, 0.9, max_dim=64).verdict
    assert found == choose_size(lambda *_: pytest.fail("all is known"), 0.9, max_dim=64, file=path)
    kept = json.loads(path.read_text())["scores"]
    assert [(row["latent_dim"], row["seed"]) for row in kept] == sorted(found.scores)
    choose_size(of_pca, 0.95, max_dim=64, file=path)  # another share from the same file


def test_an_executor_runs_what_does_not_wait():
    with ThreadPoolExecutor(2) as threads:
        found = choose_size(of_pca, 0.9, max_dim=64, executor=threads, tell=(lines := []).append)
    assert found == choose_size(of_pca, 0.9, max_dim=64)
    assert len(lines) == len(found.scores)
    assert re.fullmatch(r"21 latent dimensions, seed 0: [0-9.]+ %", lines[0])


BAD = {
    "keep": ({"keep": 1.2}, "share of the variance to keep 1.2; expected a number between 0 and 1"),
    "knee": ({"keep": "knee"}, "expected a number between 0 and 1, for example 0.9"),
    "max_dim": ({"max_dim": 0}, "max_dim 0; expected a whole number"),
    "one seed": ({"seeds": 1}, "seeds 1; expected 2 or more"),
    "NaN": ({"score": lambda *_: float("nan")}, r"score(3, 0) is nan; expected explained variance, a finite number"),
    "an error": ({"score": lambda *_: 3.5}, "score(3, 0) is 3.5; expected explained variance, a finite number up to 1"),
    "text": ({"score": lambda *_: "0.9"}, "score(3, 0) is '0.9'"),
}


@pytest.mark.parametrize(("changed", "message"), BAD.values(), ids=BAD)
def test_what_is_refused(changed, message):
    options = {"score": of_pca, "keep": 0.9, "max_dim": 9} | changed
    with pytest.raises(InputError) as caught:
        choose_size(options.pop("score"), **options)
    assert message in str(caught.value)


ROW = '{"scores": [{"latent_dim": %s, "seed": 0, "score": %s}]}'


@pytest.mark.parametrize("text", ["", "[]", ROW % (0, 0.5), ROW % (3, 7), ROW % ("true", 0.5), '{"scores": [7]}'])
def test_a_file_that_holds_something_else_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "scores.json"
    path.write_text(text)
    with pytest.raises(InputError, match="holds no scores of choose_size"):
        choose_size(of_pca, 0.9, max_dim=9, file=path)
    assert path.read_text() == text


def test_a_score_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(InputError, match="No space left on device; expected a file that can be written"):
        choose_size(of_pca, 0.9, max_dim=9, file=tmp_path / "scores.json")


def test_the_example_of_the_page():
    page = re.sub(r"^```.*$", "", (Path(__file__).parent.parent / "docs" / "choosing.md").read_text(), flags=re.M)
    example = doctest.DocTestParser().get_doctest(page, {}, "page", None, 0)
    assert doctest.DocTestRunner().run(example).failed == 0
    assert len(example.examples) > 5


def test_it_is_public():
    assert "choose_size" in latentfit.__all__
