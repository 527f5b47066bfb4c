"""A share to keep: the search for the size, what the folder keeps of it, and the report."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers import RECIPE, Inline, baselines_of, contents, small_clothes

from latentfit import report
from latentfit.data.images import ImageSet
from latentfit.errors import InputError, Lost
from latentfit.measure import answer, verdict
from latentfit.measure.search import Search
from latentfit.recipe import CONVERGED, Job
from latentfit.report import tables
from latentfit.sweep import run, searching

IMAGES = small_clothes()
BETTER = replace(
    RECIPE, hidden=(64,), activation="silu", initialization="glorot", learning_rate=0.005, batch_size=32, epochs=20
)


def search(out, keep=0.6, seeds=2, images=IMAGES, **options):
    return run.study(images, keep=keep, seeds=seeds, out=out, **{"recipe": BETTER, "executor": Inline()} | options)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    done = search(tmp_path_factory.mktemp("search") / "study")
    report.write(done)
    return done


def test_the_search_trains_what_the_rule_asks_for_and_nothing_else(found):
    trained, baselines = {model.job: model for model in found.found.models}, baselines_of(IMAGES)
    asked: list[Job] = []
    while jobs := Search.of(0.6, (0, 1), [trained[j] for j in asked], baselines, BETTER, None).next().jobs:
        asked += sorted(jobs)
    assert sorted(asked) == sorted(trained)
    assert len({job.latent_dim for job in asked}) > 1
    assert found.found.seeds == [0, 1]
    said = answer.answer(found.found.models, 0.6, (), BETTER, baselines.components_for(0.6))
    assert found.found.verdict == said
    assert found.found.verdict.status == "found"
    assert found.found.verdict.gates


class Known(list):
    """The lines that are told, without those of phases."""

    def append(self, line):
        if line.startswith("to keep "):
            super().append(line)


def test_what_is_known_is_told_after_each_training(tmp_path):
    lines, again, given = Known(), Known(), Known()
    done = search(tmp_path, tell=lines.append)
    rows = done.found.models
    assert len(lines) == len(rows)
    assert lines[-1] == answer.progress_text(rows, 0.6)
    assert "(undecided" in lines[0]
    (tmp_path / "models" / "k{:03d}-s{}".format(*rows[-1].job) / "metrics.json").unlink()
    search(tmp_path, tell=again.append)
    assert again == lines[-1:]
    search(tmp_path / "given", latent_dims=(2,), tell=given.append)
    assert given == []


def test_a_search_that_was_broken_off_ends_with_the_same_bytes(found, tmp_path):
    class Broken(Exception):
        pass

    def after(count):
        if count == 4:
            raise Broken

    with pytest.raises(Broken):
        search(tmp_path, executor=Inline(after))
    assert not (tmp_path / "results.json").exists()
    again = Inline()
    report.write(search(tmp_path, executor=again))
    assert 0 < len(again.jobs) < len(found.results["models"])
    assert contents(tmp_path) == contents(found.folder)


def test_a_finished_search_trains_nothing_and_another_share_goes_on_from_it(tmp_path):
    done = search(tmp_path)
    first = {(m["latent_dim"], m["seed"]) for m in done.results["models"]}
    again, more = Inline(), Inline()
    assert search(tmp_path, executor=again).results == done.results
    assert again.jobs == []
    lower = search(tmp_path, keep=0.2, executor=more)
    assert more.jobs
    assert not first & set(more.jobs)
    assert lower.results["verdict"]["keep"] == 0.2
    assert json.loads((tmp_path / "study.json").read_bytes())["keep"] == 0.2


def test_given_sizes_are_answered_from(tmp_path):
    done = run.study(IMAGES, (2, 8), keep=0.2, recipe=RECIPE, out=tmp_path, executor=Inline())
    assert {(m["latent_dim"], m["seed"]) for m in done.results["models"]} == {(k, s) for k in (2, 8) for s in range(3)}
    assert done.results["verdict"]["status"] in ("found", "undecided", "not_reached")
    assert json.loads((tmp_path / "study.json").read_bytes())["search"] is False


def test_without_a_share_nothing_is_recommended(tmp_path):
    done = run.study(IMAGES, (2,), recipe=RECIPE, out=tmp_path, executor=Inline())
    assert done.found.verdict == verdict.not_asked()
    assert done.results["intrinsic"] is None
    assert [a["keep"] for a in done.results["answers"]] == list(verdict.KEEPS)


@pytest.mark.parametrize("keep", [0, 1.5, "most"])
def test_a_share_that_is_none_is_refused_before_anything(tmp_path, keep):
    with pytest.raises(InputError, match="between 0 and 1"):
        search(tmp_path / "out", keep=keep)
    assert not (tmp_path / "out").exists()


def test_a_size_whose_trainings_all_fail_does_not_turn_for_ever(tmp_path):
    wild = replace(BETTER, learning_rate=1e6, output="linear", epochs=2)
    done = search(tmp_path, recipe=wild)
    assert {m["status"] for m in done.results["models"]} == {"failed"}
    assert done.results["verdict"]["status"] == "not_reached"
    assert len({m["latent_dim"] for m in done.results["models"]}) > 2  # others were tried
    assert done.results["lost"] is None
    report.write(done)


def test_the_report_shows_the_answer_and_all_that_belongs_to_it(found):
    html = (found.folder / "report.html").read_text()
    markdown = (found.folder / "report.md").read_text()
    sentence = found.results["verdict"]["sentence"]
    assert sentence.split(" (")[0] in html
    assert sentence.split(" (")[0] in markdown
    for heading in ("The answer", "What is lost", "Compression", "Interpolations"):
        assert f">{heading}</h2>" in html
    header, rows = tables.answers(found.found)
    assert [row[0] for row in rows] == ["60 %", "80 %", "85 %", "90 %", "95 %", "99 %"]
    for cell in (*header, *(cell for row in rows for cell in row)):
        assert f">{cell}</t" in html
    assert {"worst", "gained"} <= {path.stem for path in (found.folder / "figures").iterdir()}
    assert re.search(r"--seeds 2 --keep 0\.6 --recipe", html) is None  # this recipe has no name to ask for


def test_the_answers_know_the_recipe(tmp_path):
    done = search(tmp_path, recipe=replace(BETTER, schedule="plateau", epochs=6))
    told = [a["sentence"] for a in (done.results["verdict"], *done.results["answers"])]
    assert any("try more epochs" in sentence for sentence in told)
    assert "--recipe converged" not in " ".join(told)


def test_gates_stand_beside_the_numbers(found):
    falling = [m for m in found.results["models"] if any(gate["name"] == "still_falling" for gate in m["gates"])]
    assert falling  # its training is far from its end
    rows = re.findall(r"^\| (\d+) \| [^|]*not converged", (found.folder / "report.md").read_text(), re.MULTILINE)
    assert {*map(int, rows)} == {m["latent_dim"] for m in falling}


def test_a_search_in_images_of_one_pixel_begins_with_one_dimension(tmp_path):
    x = np.random.default_rng(0).uniform(size=(60, 1, 1)).astype(np.float32)
    done = search(tmp_path, keep=0.99, images=ImageSet("dots", x[:40], x[40:]), recipe=RECIPE)
    assert [(m["latent_dim"], m["seed"]) for m in done.results["models"]] == [(1, 0), (1, 1)]
    report.write(done)
    with pytest.raises(InputError, match="latent size 2 is larger"):
        run.study(ImageSet("dots", x[:40], x[40:]), (2,), out=tmp_path / "given")


def test_more_seeds_are_given_to_the_sizes_that_the_answer_rests_on(tmp_path):
    search(tmp_path, seeds=2)
    done = search(tmp_path, seeds=3)
    trained = [(m["latent_dim"], m["seed"]) for m in done.results["models"]]
    k = done.found.verdict.latent_dim
    assert {(size, s) for size in (k - 1, k) for s in range(3)} <= {*trained}
    assert len(trained) < 3 * len({size for size, _ in trained})
    again = Inline()
    search(tmp_path, seeds=3, executor=again)
    assert again.jobs == []


def test_a_search_begins_in_a_folder_of_given_sizes_and_ends_where_sizes_are_given(tmp_path):
    run.study(IMAGES, (2, 16), keep=0.6, seeds=2, recipe=BETTER, out=tmp_path, executor=Inline())
    more, none = Inline(), Inline()
    done = search(tmp_path, executor=more)
    assert more.jobs
    sizes = {m["latent_dim"] for m in done.results["models"]}
    run.study(IMAGES, (2, 32), keep=0.6, seeds=2, recipe=BETTER, out=tmp_path, executor=none)
    assert {k for k, _ in none.jobs} == {32} - sizes


@pytest.mark.fault("no-variance")
def test_a_search_in_images_without_variance_ends_and_recommends_nothing(tmp_path):
    x = np.full((60, 6, 6), 90, np.uint8)
    x[::7, 0, 0] += 1
    told = []
    done = search(tmp_path, images=ImageSet("grey", x[:40], x[40:]), recipe=RECIPE, tell=told.append)
    assert {m["latent_dim"] for m in done.results["models"]} == {1}
    assert done.results["verdict"]["sentence"].startswith("The training and test images hold next to no variance")
    assert (done.results["verdict"]["latent_dim"], done.results["verdict"]["next"]) == (None, [])
    assert [a["pca_components"] for a in done.results["answers"]] == [None] * len(done.results["answers"])
    assert "1: no variance to keep" in told[-2]  # before the summing up
    again = Inline()
    search(tmp_path, images=ImageSet("grey", x[:40], x[40:]), recipe=RECIPE, executor=again)
    assert again.jobs == []


QUICK = replace(CONVERGED, name="quick", hidden=(24,), epochs=8, batch_size=32)


def test_short_trainings_show_where_to_look_and_are_no_networks_of_the_study(tmp_path):
    lines = []
    done = search(tmp_path, keep=0.8, recipe=QUICK, tell=lines.append)
    files = sorted((tmp_path / "search").iterdir())
    looked = [int(re.search(r"(\d+) dimension", line)[1]) for line in lines if line.startswith("looking for")]
    assert looked
    assert [path.name for path in files] == sorted(f"k{k:03d}.json" for k in looked)
    assert {*json.loads(files[0].read_text())} == {"latent_dim", "seed", "explained", "error"}
    assert lines[0].startswith("expected to take about ")
    assert len([line for line in lines if line.startswith("expected")]) == 1
    found = [float(line.split()[-2]) / 100 for line in lines if ": explained variance " in line]
    kept = [json.loads((tmp_path / "search" / f"k{k:03d}.json").read_text())["explained"] for k in looked]
    assert found == pytest.approx(kept, abs=0.001)
    left = [int(line.rpartition(": ")[2].split()[0]) for line in lines if "; remaining: about" in line]
    assert (left[0], left[-1]) == (3, 1)  # of two sizes with two seeds; at the end of the last step as many as it lacks
    assert {path.name for path in (tmp_path / "models").iterdir()} == {
        f"k{m['latent_dim']:03d}-s{m['seed']}" for m in done.results["models"]
    }
    report.write(done)
    again = Inline()
    search(tmp_path, keep=0.8, recipe=QUICK, executor=again)
    assert again.jobs == []


@pytest.mark.parametrize("left", [1, 2, 3, 4])
def test_a_search_that_is_broken_off_anywhere_ends_with_the_same_bytes(tmp_path, left):
    search(tmp_path / "whole", keep=0.8, recipe=QUICK)

    class Broken(Exception):
        pass

    def after(count):
        if count == left:
            raise Broken

    with pytest.raises(Broken):
        search(tmp_path / "broken", keep=0.8, recipe=QUICK, executor=Inline(after))
    search(tmp_path / "broken", keep=0.8, recipe=QUICK)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_the_knee_of_a_study_is_searched_for_and_answered(tmp_path):
    rng = np.random.default_rng(0)
    down, across = rng.uniform(3, 7, (2, 700, 1, 1))
    rows, columns = np.mgrid[:10, :10]
    x = np.exp(-((rows - down) ** 2 + (columns - across) ** 2) / 8).astype(np.float32)
    images = ImageSet("two factors", x[:500], x[500:])
    done = search(tmp_path, keep="knee", images=images, recipe=replace(QUICK, hidden=(64,), epochs=150))
    assert done.results["verdict"]["knee"]["latent_dim"] == done.results["verdict"]["latent_dim"] == 2
    assert done.results["verdict"]["keep"] == "knee"
    assert "for which PCA needs 5 components." in done.results["verdict"]["sentence"]
    assert {m["latent_dim"] for m in done.results["models"]} == {1, 2, 3}
    report.write(done)
    assert "behave like 2 continuous factors" in (tmp_path / "report.md").read_text()
    asked = search(tmp_path, keep=0.95, images=images, recipe=replace(QUICK, hidden=(64,), epochs=150))
    assert asked.results["verdict"]["latent_dim"] == 2
    assert asked.results["verdict"]["knee"]["latent_dim"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": RECIPE}, "expected recipe converged, not small"),
        ({"recipe": "swift"}, "expected recipe converged, not swift"),
        ({"seeds": 1}, "two trainings of a size or more"),
        ({"images": small_clothes(20, 20)}, "too few images to look for the knee; expected 25"),
    ],
)
def test_where_no_knee_could_be_found_none_is_looked_for(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        search(tmp_path / "out", keep="knee", **{"recipe": QUICK} | options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keep", ["knee", 0.8])
def test_short_trainings_that_diverge_do_not_turn_for_ever(tmp_path, monkeypatch, keep):
    nothing = lambda jobs, *_: [searching.Scout(*job, None, None) for job in jobs]  # noqa: E731
    monkeypatch.setattr(searching, "train", nothing)
    assert search(tmp_path, keep=keep, recipe=QUICK).found.models


def test_a_search_ends_in_time_with_what_it_knows_and_goes_on_later(tmp_path, monkeypatch):
    monkeypatch.setattr("latentfit.sweep.timing.RESERVE", 0)
    whole = search(tmp_path / "whole", keep=0.8, recipe=QUICK)
    with pytest.raises(Lost, match=r"too few for a network; PCA needs \d+ components to keep 80 % of the variance"):
        search(tmp_path / "part", keep=0.8, recipe=QUICK, minutes=1e-6)
    assert not (tmp_path / "part" / "results.json").exists()
    scouts = len([*(tmp_path / "whole" / "search").iterdir()])
    clock = iter([1e9] * (scouts + 1))  # for so many short trainings and one network there is time
    monkeypatch.setattr("latentfit.sweep.timing.Clock.left", lambda self: next(clock, 0.0) if self.end else None)
    told = []
    part = search(tmp_path / "part", keep=0.8, recipe=QUICK, minutes=1, tell=told.append)
    (over,) = (line for line in told if line.startswith("the minutes are over"))
    assert re.search(r"; the same command goes on; remaining: about \d+ s: \d+ networks? or more, \d+ s each, ", over)
    assert 0 < len(part.results["models"]) < len(whole.results["models"])
    assert part.results["verdict"]["next"]
    asked = json.loads((tmp_path / "part" / "study.json").read_bytes())["models"]
    assert len(asked) > len(part.results["models"])  # the request stays
    done = search(tmp_path / "part", keep=0.8, recipe=QUICK)
    assert done.results["verdict"] == whole.results["verdict"]


def test_a_search_for_the_knee_that_ran_out_of_time_goes_on(tmp_path, monkeypatch):
    found = lambda jobs, *_: [searching.Scout(*job, 0.9 - 0.5 ** job[0], 0.001) for job in jobs]  # noqa: E731
    monkeypatch.setattr(searching, "train", found)
    monkeypatch.setattr("latentfit.sweep.timing.RESERVE", 0)
    clock = iter(())  # there is no time at all
    monkeypatch.setattr("latentfit.sweep.timing.Clock.left", lambda self: next(clock, 0.0) if self.end else None)
    run.study(IMAGES, (3,), seeds=1, recipe=QUICK, out=tmp_path, executor=Inline())
    part = search(tmp_path, keep="knee", recipe=QUICK, minutes=1)
    assert part.results["verdict"]["next"]
    with pytest.raises(Lost, match=r"short trainings explain 40\.0 % with 1, 65\.0 % with 2, .*; one takes about"):
        search(tmp_path / "alone", keep="knee", recipe=QUICK, minutes=1)
    more = Inline()
    done = search(tmp_path, keep="knee", recipe=QUICK, executor=more)
    assert (bool(more.jobs), done.results["verdict"]["next"]) == (True, [])


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_minutes_are_a_number_above_0(tmp_path, minutes):
    with pytest.raises(InputError, match="expected a number above 0"):
        search(tmp_path / "out", minutes=minutes)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [{"keep": None}, {"latent_dims": (2,)}])
def test_minutes_are_for_a_search(tmp_path, options):
    with pytest.raises(InputError, match="minutes are for a search"):
        search(tmp_path / "out", minutes=1, **options)
    assert not (tmp_path / "out").exists()


def test_networks_of_an_earlier_version_are_measured_again_for_what_it_did_not_measure(tmp_path):
    whole = search(tmp_path, keep=0.6)
    for path in (tmp_path / "models").glob("*/metrics.json"):
        row = json.loads(path.read_text())
        del row["explained_variance_error"]
        path.write_text(json.dumps(row))
    (tmp_path / "results.json").unlink()
    again = Inline()
    done = search(tmp_path, keep=0.6, executor=again)
    assert (again.jobs, done.results) == ([], whole.results)
