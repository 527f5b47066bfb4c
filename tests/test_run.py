from __future__ import annotations

import errno
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import RECIPE, Inline, contents, each_precision, small_clothes

from latentfit import evaluate, hardware, latent, pca, report
from latentfit.data.images import ImageSet
from latentfit.data.large import Place
from latentfit.errors import InputError
from latentfit.measure import network
from latentfit.recipe import CONVERGED, Job, Recipe
from latentfit.sweep import files, request, run, running, store, study_file
from latentfit.sweep.job import train_group

IMAGES = small_clothes()


def study(out: Path, sizes: tuple[int, ...] = (2, 4), images: ImageSet = IMAGES, draw: bool = False, **options):
    options = {"recipe": RECIPE, "executor": Inline()} | options
    done = run.study(images, sizes, out=out, **options)
    if draw:
        report.write(done)
    return done


@each_precision
def test_same_request_gives_same_bytes_whatever_runs_the_jobs(tmp_path, precision):
    study(tmp_path / "inline", draw=True, precision=precision)
    study(tmp_path / "processes", draw=True, precision=precision, executor=None)
    here, there = contents(tmp_path / "inline"), contents(tmp_path / "processes")
    assert {"study.json", "results.json", "results.csv", "report.html", "report.md"} <= set(here)
    assert {f"models/k002-s0/{n}" for n in ("model.safetensors", "model.json", "history.csv", "metrics.json")} <= set(
        here
    )
    assert here == there


def test_another_seed_gives_other_bytes(tmp_path):
    study(tmp_path, sizes=(2,), seeds=2)
    files = contents(tmp_path / "models")
    assert files["k002-s0/model.safetensors"] != files["k002-s1/model.safetensors"]


def test_a_size_whose_first_seed_failed_keeps_its_pictures(tmp_path, monkeypatch):
    def keep(self, trained):
        lost = {"weights": {}, "measurement": None, "reason": "it broke"} if trained.job == (4, 0) else {}
        whole(self, replace(trained, **lost))

    whole = run.Run.save
    monkeypatch.setattr(run.Run, "save", keep)
    done = study(tmp_path, seeds=2, draw=True)
    results = done.results
    first = [{"latent_dim": 2, "seed": 0}, {"latent_dim": 4, "seed": 1}]
    assert [m["status"] for m in results["models"]] == ["ok", "ok", "failed", "ok"]
    for rows in (
        *(results["interpolation"][name] for name in ("models", "spherical")),
        *(results["lost"][name] for name in ("worst_errors", "gained_errors")),
        *(results["lost"][name]["models"] for name in ("neighbours", "compression")),
    ):
        assert [{key: row[key] for key in ("latent_dim", "seed")} for row in rows] == first
    assert [size["latent_dim"] for size in results["lost"]["by_class"]] == [2, 4]
    assert [(c["latent_dims"], c["seed"]) for c in results["comparisons"]] == [([2, 4], None)]
    assert "4 dimensions" in (tmp_path / "report.html").read_text()
    assert list(report.pictures.Shown.of(done).networks) == [2, 4]


def test_a_study_of_one_size_shows_nothing_gained(tmp_path):
    done = study(tmp_path, sizes=(2,), draw=True)
    assert "worst" in done.results["shown"]
    assert "worst_errors" in done.results["lost"]
    assert "gained" not in {*done.results["shown"], *done.shown, *report.pictures.names(done.found)}
    assert "gained_errors" not in done.results["lost"]
    assert "lower most against" not in (tmp_path / "report.html").read_text()
    assert report.is_current(done)


def test_only_timing_holds_dates_or_seconds(tmp_path):
    done = study(tmp_path, sizes=(2,), draw=True)
    timing = json.loads((tmp_path / "timing.json").read_bytes())
    assert timing["models"][0]["seconds"] > 0
    assert timing["peak_memory_bytes"]["worker"] > 0
    assert timing["started"][:10].encode() not in b"".join(contents(tmp_path).values())
    assert "seconds" not in json.dumps(done.results)


@pytest.mark.fault("other-study")
def test_more_sizes_and_seeds_train_only_what_is_missing_and_end_with_the_same_bytes(tmp_path):
    study(tmp_path / "steps", sizes=(4,))
    second = Inline()
    study(tmp_path / "steps", sizes=(2, 4), seeds=2, executor=second)
    study(tmp_path / "once", sizes=(2, 4), seeds=2)
    assert sorted(second.jobs) == [(2, 0), (2, 1), (4, 1)]
    assert contents(tmp_path / "steps") == contents(tmp_path / "once")


def test_a_finished_study_is_not_touched_again(tmp_path):
    study(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = Inline()
    run.study(IMAGES, (4,), recipe=RECIPE, out=tmp_path, executor=again)
    assert again.jobs == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_kill_between_two_models_loses_one_and_the_rerun_trains_only_that(tmp_path):
    script = f"""
        import os, signal, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from helpers import RECIPE, Inline, small_clothes
        from latentfit.sweep import run as sweep
        def kill(job, row):
            assert row is None
            os.kill(os.getpid(), signal.SIGKILL)
        out = {str(tmp_path / "killed")!r}
        sweep.study(small_clothes(), (2, 4), recipe=RECIPE, out=out, executor=Inline(), progress=kill)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)])
    assert ended.returncode == -signal.SIGKILL
    finished = [path.parent.name for path in (tmp_path / "killed").rglob("metrics.json")]
    assert len(finished) == 1
    assert not (tmp_path / "killed" / "results.json").exists()
    rerun = Inline()
    study(tmp_path / "killed", draw=True, executor=rerun)
    assert [f"k{k:03d}-s{s}" for k, s in rerun.jobs] == sorted({"k002-s0", "k004-s0"} - set(finished))
    study(tmp_path / "unbroken", draw=True)
    assert contents(tmp_path / "killed") == contents(tmp_path / "unbroken")


@pytest.mark.fault("bit-flip")
def test_a_damaged_weight_file_is_found_and_trained_again(tmp_path):
    study(tmp_path / "a")
    whole = contents(tmp_path / "a")
    path = tmp_path / "a" / "models" / "k002-s0" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    again = Inline()
    study(tmp_path / "a", executor=again)
    assert again.jobs == [(2, 0)]
    assert contents(tmp_path / "a") == whole


@pytest.mark.fault("worker")
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_a_killed_worker_loses_nothing(tmp_path):
    killed = []

    def kill_one(_: Job, row: object) -> None:
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        workers = [int(pid) for pid in children if b"loky" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        if row is not None and not killed:
            killed.append(workers[-1])
            os.kill(killed[0], signal.SIGKILL)

    study(tmp_path / "killed", executor=None, progress=kill_one)
    study(tmp_path / "unbroken")
    assert killed
    assert contents(tmp_path / "killed") == contents(tmp_path / "unbroken")


@pytest.mark.fault("other-study")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"recipe": replace(RECIPE, epochs=3)}, "recipe.epochs: there 2, asked 3"),
        ({"recipe": replace(RECIPE, name="x")}, "recipe.name: there 'small', asked 'x'"),
        ({"images": small_clothes(seed=1)}, "dataset.fingerprint"),
    ],
)
def test_another_study_in_the_folder_is_refused_with_the_difference(tmp_path, change, told):
    study(tmp_path, sizes=(2,))
    before = contents(tmp_path, leave_out=())
    with pytest.raises(InputError, match="another study") as error:
        study(tmp_path, sizes=(2,), **change)
    assert told in str(error.value)
    assert contents(tmp_path, leave_out=()) == before


def test_fresh_starts_over(tmp_path):
    study(tmp_path, sizes=(2, 4))
    done = study(tmp_path, sizes=(2,), recipe=replace(RECIPE, epochs=1), fresh=True)
    assert [job.latent_dim for job in done.jobs] == [2]
    assert not (tmp_path / "models" / "k004-s0").exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_that_holds_something_else_is_left_alone(tmp_path, fresh):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        study(tmp_path, fresh=fresh)
    assert contents(tmp_path) == {"thesis.tex": b"mine"}


def test_a_folder_that_cannot_be_written_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be used|is a file"):
        study(tmp_path / "file" / "inside")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sizes": (0,)}, "latent size 0"),
        ({"sizes": (-3,)}, "latent size -3"),
        ({"sizes": (2.5,)}, "latent size 2.5"),
        ({"sizes": ("16",)}, "latent size '16'"),
        ({"sizes": (True,)}, "latent size True"),
        ({"sizes": ()}, "no latent size"),
        ({"sizes": 8}, "latent_dims is 8; expected several sizes"),
        ({"sizes": (785,)}, "785 is larger than an image"),
        ({"seeds": 0}, "number of seeds 0"),
        ({"recipe": "best"}, "recipe 'best' is not known; expected reference"),
        ({"epochs": 0}, "epochs 0"),
        ({"epochs": 1.5}, "epochs 1.5"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(tmp_path, options, told):
    with pytest.raises(InputError, match=told.replace("(", r"\(")):
        study(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.fault("diverge")
def test_a_network_that_diverges_is_a_row_and_the_others_finish(tmp_path):
    wild = Recipe(name="wild", hidden=(), output="linear", learning_rate=1e12, epochs=2, batch_size=64)
    done = study(tmp_path, recipe=wild, draw=True)
    for row in done.results["models"]:
        assert row["status"] == "failed"
        assert "epoch 1, batch" in row["reason"]
        assert row["test_mse"] is None
    assert b"NaN" not in (tmp_path / "results.json").read_bytes()
    assert "failed" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("kind", ["float", "colour", "unlabelled", "mapped", "strip"])
def test_sets_made_by_hand_go_through(tmp_path, kind):
    x, y = IMAGES.x_train[:60], IMAGES.y_train[:60]
    if kind == "float":
        x = (x / 255).astype(np.float32)
    if kind == "colour":
        x = np.stack([x, x // 2, 255 - x], axis=-1)
    if kind == "mapped":
        np.save(tmp_path / "x.npy", x)
        x = np.load(tmp_path / "x.npy", mmap_mode="r")
    if kind == "strip":
        x = x[:, 10:11]
    y = None if kind == "unlabelled" else y
    images = ImageSet(kind, x[:50], x[50:], None if y is None else y[:50], None if y is None else y[50:])
    done = study(tmp_path / "out", sizes=(3,), images=images)
    row = done.results["models"][0]
    assert row["status"] == "ok"
    assert 0 < row["test_mse"] < 1
    assert (row["test_ssim"] is None) == (kind == "strip")
    assert (row["test_mse_by_class"] is None) == (kind == "unlabelled")


def test_bytes_and_floats_of_the_same_pixels_give_the_same_errors(tmp_path):
    as_floats = replace(
        IMAGES, x_train=(IMAGES.x_train / 255).astype(np.float32), x_test=(IMAGES.x_test / 255).astype(np.float32)
    )
    a, b = (study(tmp_path / str(i), images=x).results["models"] for i, x in enumerate((IMAGES, as_floats)))
    assert [m["test_mse"] for m in a] == pytest.approx([m["test_mse"] for m in b], rel=1e-5)


def test_results_have_the_keys_of_the_contract(tmp_path):
    results = study(tmp_path).results
    assert results["schema"] == 1
    assert set(results["dataset"]) >= {
        *("name", "fingerprint", "train_images", "test_images", "image_shape", "classes", "stand_in"),
    }
    assert set(results["recipe"]) >= {
        *("name", "hidden", "activation", "output", "optimizer", "learning_rate", "batch_size", "epochs"),
    }
    assert set(results["environment"]) >= {"latentfit", "torch", "device", "precision", "products", "processor"}
    assert set(results["models"][0]) >= {
        *("latent_dim", "seed", "status", "reason", "train_mse", "test_mse", "test_psnr", "test_ssim"),
        *("test_mse_by_class", "effective_dim", "gates"),
    }
    assert {"name": "worse_than_pca", "limit": 2}.items() <= results["models"][0]["gates"][0].items()
    assert set(results["pca"][0]) == {"latent_dim", "train_mse", "test_mse"}
    assert [entry["latent_dim"] for entry in results["pca"]] == [2, 4]
    assert set(results["interpolation"]["models"][0]) >= {"latent_dim", "seed", "evenness"}
    assert len(results["interpolation"]["pairs"]) == 4
    assert results["verdict"]["status"] == "not_asked"
    rows = [json.loads((tmp_path / f"models/k00{k}-s0/metrics.json").read_bytes()) for k in (2, 4)]
    assert rows == results["models"]


@pytest.mark.parametrize(
    ("name", "keep", "recipe", "folder"),
    [
        ("garments", None, "reference", "garments"),
        ("garments", 0.9, "converged", "garments-converged"),
        ("fashion-mnist", None, "reference", "fashion-mnist"),
        ("scans", None, "converged", "scans"),
        ("../../etc", 0.9, "converged", "-..-etc"),
    ],
)
def test_the_default_recipe_and_folder_are_those_of_the_set(tmp_path, monkeypatch, name, keep, recipe, folder):
    """Without flags a data set with a name has the reference recipe."""
    assert request.default_recipe(name, keep) == recipe
    images = replace(IMAGES, name=name)
    usual = request.default_recipe(name)
    assert store.default_folder(images, recipe, usual) == Path("runs") / folder
    assert store.default_folder(images, "swift", usual) == Path("runs") / f"{folder.removesuffix('-converged')}-swift"
    monkeypatch.chdir(tmp_path)
    done = run.study(images, (1,), keep=keep, seeds=1, epochs=1, executor=Inline())
    assert (done.found.recipe.name, done.folder) == (recipe, Path("runs") / folder)


def test_numpy_sizes_are_sizes(tmp_path):
    assert study(tmp_path, sizes=tuple(np.array([4, 2]))).jobs == [Job(2, 0), Job(4, 0)]


def test_notes_beside_a_study_stay_and_do_not_stop_it(tmp_path):
    study(tmp_path, sizes=(2,))
    (tmp_path / "notes.txt").write_text("mine")
    study(tmp_path, sizes=(2, 4))
    study(tmp_path, sizes=(2,), fresh=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_error_that_overflows_at_the_end_is_a_failed_row(tmp_path, monkeypatch):
    monkeypatch.setattr("latentfit.evaluate.batch_errors", lambda x, _: np.full(len(x), np.inf))
    monkeypatch.setattr("latentfit.evaluate.mse", lambda *_: 0.1)
    row = study(tmp_path, sizes=(2,)).results["models"][0]
    assert row["status"] == "failed"
    assert "error of inf" in row["reason"]


def test_workers_that_always_die_end_the_study_and_keep_what_is_finished(tmp_path, monkeypatch):
    from latentfit.sweep import pool

    monkeypatch.setattr(pool, "RENEWALS", 1)
    monkeypatch.setattr(pool, "_train", lambda *_: os.abort())
    with pytest.raises(pool.WorkersLost, match="2 times"):
        study(tmp_path, executor=None)
    assert study_file.read_request(tmp_path).latent_dims == (2, 4)


@pytest.mark.parametrize("executor", [None, Inline()])
def test_what_a_callback_of_progress_raises_reaches_the_caller(tmp_path, executor):
    def fail(*_: object) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        study(tmp_path, executor=executor, progress=fail)


def test_timing_keeps_what_it_said_of_networks_trained_before(tmp_path):
    study(tmp_path, sizes=(4,))
    study(tmp_path, sizes=(2, 4))
    timing = json.loads((tmp_path / "timing.json").read_bytes())
    assert [m["latent_dim"] for m in timing["models"]] == [2, 4]


def test_fresh_rescues_a_folder_whose_request_is_damaged(tmp_path):
    study(tmp_path, sizes=(2,))
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(InputError, match="start over with --fresh"):
        study(tmp_path, sizes=(2,))
    assert study(tmp_path, sizes=(2,), fresh=True).jobs == [Job(2, 0)]


def test_garments_and_a_stand_in_share_a_folder_and_the_newest_says_which(tmp_path):
    stand_in = replace(IMAGES, stand_in=True)
    for images, told in ((IMAGES, False), (stand_in, True), (IMAGES, False)):
        done = study(tmp_path, sizes=(2,), images=images)
        assert done.results["dataset"]["stand_in"] is told


@pytest.mark.parametrize("out", ["x" * 300, "file/inside"])
def test_a_folder_that_cannot_be_is_told_before_anything_is_done(tmp_path, out):
    (tmp_path / "file").write_text("")
    jobs = Inline()
    with pytest.raises(InputError, match="cannot be used"):
        study(tmp_path / out, executor=jobs)
    assert jobs.jobs == []


def test_measuring_uses_one_thread_like_training_and_gives_them_back(tmp_path, monkeypatch):
    seen = []
    for module, name in ((network, "model_result"), (pca, "fit"), (latent, "decode_steps")):
        real = getattr(module, name)
        noting = lambda *a, real=real: (seen.append(torch.get_num_threads()), real(*a))[1]  # noqa: E731
        monkeypatch.setattr(module, name, noting)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        study(tmp_path, sizes=(2,))
        assert len(seen) >= 3
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


class Noting(Inline):
    """Notes the products and the device of each job, and trains on the CPU in fp32 whatever was asked."""

    def submit(self, fn, jobs, work, *rest):
        self.how = [*getattr(self, "how", []), (work.products, work.device)]
        return super().submit(fn, jobs, replace(work, products="fp32", device="cpu"), *rest)


def make(monkeypatch, *products):
    """A machine of AMD's that makes such products, and fp32."""
    for name in hardware.PRODUCTS:
        monkeypatch.setitem(hardware.PRODUCTS, name, lambda able=name in (*products, "fp32"): able)
    monkeypatch.setattr(hardware, "maker", lambda: "AuthenticAMD")


@pytest.fixture
def able(monkeypatch):
    """A machine that says it has everything, and that bf16 on the CPU is best."""
    for name in ("cuda", "mps"):
        monkeypatch.setitem(hardware.DEVICES, name, lambda: True)
    make(monkeypatch, "bf16-tensors")
    monkeypatch.setattr(request, "best_device", lambda: "cpu")


def recorded(folder: Path) -> list[tuple[str, str, str]]:
    asked, found = (json.loads((folder / name).read_bytes()) for name in ("study.json", "results.json"))
    return [(told["precision"], told["products"], told["device"]) for told in (asked, found["environment"])]


BF16, FP32 = ("bf16", "bf16-tensors", "cpu"), ("fp32", "fp32", "cpu")


@pytest.mark.parametrize(
    ("asked", "decided"),
    [
        ({}, BF16),
        ({"precision": "fp32"}, FP32),
        ({"precision": "bf16"}, BF16),
        ({"precision": "bf16", "device": "cpu"}, BF16),
        ({"device": "cuda"}, ("fp32", "fp32", "cuda")),
        ({"device": "mps", "precision": "fp32"}, ("fp32", "fp32", "mps")),
    ],
)
def test_precision_and_device_are_decided_once_and_recorded(tmp_path, able, asked, decided):
    noting = Noting()
    study(tmp_path, executor=noting, **asked)
    assert noting.how == [decided[1:], decided[1:]]
    assert recorded(tmp_path) == [decided, decided]


def test_auto_takes_what_the_machine_does_best(tmp_path, able, monkeypatch):
    monkeypatch.setattr(request, "best_device", lambda: "cuda")
    study(tmp_path / "cuda", sizes=(2,), executor=Noting())
    assert recorded(tmp_path / "cuda") == [("fp32", "fp32", "cuda")] * 2
    monkeypatch.undo()
    study(tmp_path / "here", sizes=(2,))
    products = hardware.products_of("auto", device := hardware.best_device())
    assert recorded(tmp_path / "here") == [(hardware.precision_of(products), products, device)] * 2


@pytest.mark.parametrize("begun", [FP32, BF16, ("fp32", "fp32", "cuda")])
def test_auto_keeps_what_a_study_was_begun_with(tmp_path, able, begun, monkeypatch):
    study(tmp_path, sizes=(2,), executor=Noting(), precision=begun[0], device=begun[2])
    make(monkeypatch, "rounded-factors", "bf16-tensors")  # best now, and it was not there before
    monkeypatch.setattr(request, "best_device", lambda: "mps")
    again = Noting()
    study(tmp_path, sizes=(2, 4), executor=again)
    assert again.jobs == [(4, 0)]
    assert again.how == [begun[1:]]
    assert recorded(tmp_path) == [begun, begun]
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    study(tmp_path, sizes=(4,))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == finished


def test_fresh_decides_anew(tmp_path, able):
    study(tmp_path, sizes=(2,), executor=Noting(), precision="fp32", device="cuda")
    study(tmp_path, sizes=(2,), executor=Noting(), fresh=True)
    assert recorded(tmp_path) == [BF16] * 2


@pytest.mark.parametrize(
    ("begun", "asked", "told"),
    [
        ({"precision": "fp32"}, {"precision": "bf16"}, ["precision: there 'fp32', asked 'bf16'"]),
        ({"precision": "bf16"}, {"precision": "fp32"}, ["precision: there 'bf16', asked 'fp32'"]),
        ({"precision": "fp32"}, {"device": "cuda"}, ["device: there 'cpu', asked 'cuda'"]),
        (
            {"precision": "bf16"},
            {"precision": "fp32", "device": "mps"},
            ["precision: there 'bf16', asked 'fp32'", "device: there 'cpu', asked 'mps'"],
        ),
    ],
    ids=str,
)
def test_another_precision_or_device_is_another_study(tmp_path, able, begun, asked, told):
    study(tmp_path, sizes=(2,), executor=Noting(), **begun)
    before = contents(tmp_path, leave_out=())
    with pytest.raises(InputError, match="another study") as error:
        study(tmp_path, sizes=(2,), **asked)
    assert all(line in str(error.value) for line in told)
    assert contents(tmp_path, leave_out=()) == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"precision": "half"}, "precision 'half' is not known"),
        ({"device": "tpu"}, "device 'tpu' is not known"),
        ({"device": "cuda"}, "device cuda: PyTorch finds none on this machine"),
        ({"precision": "bf16"}, "precision bf16: this processor has no instructions"),
    ],
)
def test_what_this_machine_cannot_do_is_told_and_nothing_is_written(tmp_path, monkeypatch, options, told):
    monkeypatch.setitem(hardware.DEVICES, "cuda", lambda: False)
    make(monkeypatch)
    with pytest.raises(InputError, match=told):
        study(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    study(tmp_path / "there", sizes=(2,), precision="fp32", device="cpu")
    before = contents(tmp_path / "there", leave_out=())
    with pytest.raises(InputError, match=told):
        study(tmp_path / "there", sizes=(2,), fresh=True, **options)
    assert contents(tmp_path / "there", leave_out=()) == before


@pytest.mark.fault("precision")
@pytest.mark.parametrize(
    ("made", "asked"), [((), "auto"), ((), "bf16"), (("rounded-factors",), "auto"), (("rounded-factors",), "bf16")]
)
def test_a_study_begun_in_bf16_goes_on_only_where_its_products_are_made(tmp_path, able, made, asked, monkeypatch):
    study(tmp_path, sizes=(2,), executor=Noting(), precision="bf16")
    before = contents(tmp_path, leave_out=())
    make(monkeypatch, *made)
    made_here = " and ".join((*made, "fp32"))
    told = f"products bf16-tensors (precision bf16) were asked for, and this processor makes {made_here};"
    with pytest.raises(InputError, match=re.escape(told)):
        study(tmp_path, sizes=(2, 4), precision=asked)
    study(tmp_path, sizes=(2,), precision=asked)  # what is finished can be had
    assert contents(tmp_path, leave_out=()) == before


@each_precision
def test_a_study_holds_the_weights_that_a_group_gives(tmp_path, precision):
    done = study(tmp_path, precision=precision)
    for trained in train_group(done.jobs, IMAGES, RECIPE, done.results["environment"]["products"]):
        state = store.load_network(store.model_folder(tmp_path, trained.job)).state_dict()
        assert {name: value.numpy().tobytes() for name, value in state.items()} == {
            name: value.tobytes() for name, value in trained.weights.items()
        }


@pytest.mark.parametrize("kind", ["bytes", "float", "colour", "unlabelled", "reversed", "mapped"])
def test_images_put_down_are_the_same_images(tmp_path, kind):
    x_train, x_test, labelled = IMAGES.x_train, IMAGES.x_test, kind != "unlabelled"
    if kind == "float":
        x_train, x_test = ((x / 255).astype(np.float32) for x in (x_train, x_test))
    if kind == "colour":
        x_train, x_test = (np.stack([x, x // 2, 255 - x], axis=-1) for x in (x_train, x_test))
    if kind == "reversed":
        x_train, x_test = x_train[::-1], np.asfortranarray(x_test)
    if kind == "mapped":
        np.save(tmp_path / "mine.npy", x_train)
        x_train = np.load(tmp_path / "mine.npy", mmap_mode="r")
    y = (IMAGES.y_train, IMAGES.y_test, IMAGES.classes) if labelled else (None, None, None)
    images = ImageSet("clothes", x_train, x_test, *y, stand_in=True, true_factors=7)
    (tmp_path / "folder").mkdir()
    there = images.put_down(tmp_path / "folder")
    carried = pickle.dumps(there)
    assert len(carried) < 10_000 < images.x_test.nbytes
    for same in (there, pickle.loads(carried), pickle.loads(pickle.dumps(pickle.loads(carried)))):
        for name in ("x_train", "x_test", "y_train", "y_test"):
            expected, found = getattr(images, name), getattr(same, name)
            assert (expected is None) == (found is None)
            if expected is not None:
                assert found.dtype == expected.dtype
                np.testing.assert_array_equal(found, expected)
        for name in ("name", "classes", "stand_in", "true_factors", "fingerprint", "image_shape", "pixels"):
            assert getattr(same, name) == getattr(images, name), name
        assert Place.of(same.x_train)
        assert not same.x_train.flags.writeable


@pytest.mark.parametrize("how", ["finished", "a callback raises"])
def test_no_temporary_folder_outlives_a_study(tmp_path, monkeypatch, how):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    during: list[list[str]] = []

    def look(_: Job, row: object) -> None:
        during.append([path.name for path in sorted((tmp_path / "temporary").glob("latentfit-*/*"))])
        if how != "finished":
            raise RuntimeError("mine")

    try:
        study(tmp_path / "out", executor=None, progress=look)
    except RuntimeError:
        assert how != "finished"
    assert during[0] == ["x_test.npy", "x_train.npy"]
    assert list((tmp_path / "temporary").glob("latentfit-*")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a signal and a group of processes")
def test_workers_remove_the_temporary_folder_of_a_parent_that_was_killed(tmp_path):
    (tmp_path / "temporary").mkdir()
    script = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from helpers import RECIPE, small_clothes
        from latentfit.sweep import run as sweep
        sweep.study(small_clothes(), (2, 4), recipe=RECIPE, epochs=9999999, out={str(tmp_path / "out")!r},
                    progress=lambda *_: print("epoch", flush=True))
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"TMPDIR": str(tmp_path / "temporary")},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert parent.stdout.readline() == "epoch\n"
        (folder,) = (tmp_path / "temporary").glob("latentfit-*")
        assert {path.name for path in folder.iterdir()} == {"x_train.npy", "x_test.npy"}
        parent.kill()
        parent.wait()
        until = time.monotonic() + 10
        while folder.exists():
            assert time.monotonic() < until, "the temporary folder outlived its study"
            time.sleep(0.05)
    finally:
        parent.stdout.close()
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()


def test_bf16_asked_for_by_name_stays_on_the_cpu_where_there_is_a_gpu(tmp_path, able, monkeypatch):
    monkeypatch.setattr(request, "best_device", lambda: "cuda")
    study(tmp_path, sizes=(2,), executor=Noting(), precision="bf16")
    assert recorded(tmp_path) == [BF16] * 2


def test_a_temporary_folder_without_room_is_told_with_the_way_out(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left on device; make room there, or set TMPDIR") as caught:
        run.study(IMAGES, (2,), recipe=RECIPE, out=tmp_path)
    assert tempfile.gettempdir() in str(caught.value)
    assert not list((tmp_path).rglob("metrics.json"))


def test_what_is_told_is_measured_in_fp32_whatever_the_caller_has_set(tmp_path):
    before = torch.backends.mkldnn.matmul.fp32_precision
    study(tmp_path / "plain", precision="fp32", executor=Inline())
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    try:
        study(tmp_path / "rounded", precision="fp32", executor=Inline())
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = before
    assert contents(tmp_path / "plain") == contents(tmp_path / "rounded")


def test_the_curve_of_one_network_is_found_once_and_the_trained_networks_stay_the_same(tmp_path):
    plain = study(tmp_path / "plain", sizes=(2, 9))
    first = Inline()
    done = study(tmp_path / "curve", sizes=(2, 9), curve=True, executor=first)
    assert first.jobs == [(2, 0), (9, 0), (9, 0)]
    curve = done.results["curve"]
    assert (curve["status"], curve["sizes"]) == ("ok", [2, 3, 4, 6, 8, 9])
    assert all(0 < error < 1 for error in curve["test_mse"])
    above = {part["latent_dim"]: part["above"] for part in curve["apart"]}
    trained = {m["latent_dim"]: m["test_mse"] for m in done.results["models"]}
    assert above == {k: curve["test_mse"][curve["sizes"].index(k)] / trained[k] - 1 for k in (2, 9)}
    assert done.results | {"curve": None} == plain.results
    again = Inline()
    assert study(tmp_path / "curve", sizes=(2, 9), executor=again).results == done.results
    assert again.jobs == []


def test_a_curve_may_be_asked_of_a_finished_study_and_a_larger_size_makes_it_anew(tmp_path):
    study(tmp_path / "steps", sizes=(2, 4))
    second = Inline()
    study(tmp_path / "steps", sizes=(2, 4), curve=True, executor=second)
    assert second.jobs == [(4, 0)]
    study(tmp_path / "steps", sizes=(2, 4, 6))
    study(tmp_path / "once", sizes=(2, 4, 6), curve=True)
    assert contents(tmp_path / "steps") == contents(tmp_path / "once")


def test_a_curve_that_is_damaged_is_found_again(tmp_path):
    study(tmp_path, sizes=(2, 4), curve=True)
    before = contents(tmp_path)
    (tmp_path / "curve.json").write_text("{")
    (tmp_path / "results.json").unlink()
    study(tmp_path, sizes=(2, 4), curve=True)
    assert contents(tmp_path) == before


def test_a_nested_network_that_diverges_is_told_and_the_networks_are_kept(tmp_path):
    wild = replace(RECIPE, output="linear", learning_rate=1e30)
    done = study(tmp_path, sizes=(2, 3), curve=True, recipe=wild, draw=True)
    assert done.results["curve"]["status"] == "failed"
    assert "finite" in done.results["curve"]["reason"]
    assert done.results["curve"]["test_mse"] == [None, None]


def test_local_processes_find_the_same_curve(tmp_path):
    inline = study(tmp_path / "inline", curve=True).results["curve"]
    assert study(tmp_path / "processes", curve=True, executor=None).results["curve"] == inline


@pytest.fixture
def digits(tmp_path):
    """A file of digits from 0 to 16, as scikit-learn has them."""
    x = small_clothes(100, 20).x_train // 16 + 1
    np.save(tmp_path / "digits.npy", x)
    return tmp_path / "digits.npy"


@pytest.mark.fault("pixels")
def test_the_way_a_file_was_read_is_part_of_the_study(tmp_path, digits):
    options = {"recipe": RECIPE, "executor": Inline(), "value_range": 16, "test_share": 0.2}
    told = []
    done = run.study(digits, (2,), out=tmp_path / "out", tell=told.append, **options)
    assert {"value_range": 16.0, "test_share": 0.2, "train_images": 80}.items() <= done.results["dataset"].items()
    assert done.results["quality"]["split"] == "drawn"
    assert told == [*done.results["quality"]["notes"], "measuring and summing up"]
    assert "as --range 16 says" in told[0]
    asked = files.read_json(tmp_path / "out" / "study.json")
    assert asked["dataset"] == done.results["dataset"]
    before = contents(tmp_path / "out", leave_out=())
    for change, difference in (
        ({"value_range": 17}, "dataset.value_range: there 16.0, asked 17.0"),
        ({"test_share": None}, "dataset.test_share: there 0.2, asked None"),
    ):
        with pytest.raises(InputError, match="another study") as error:
            run.study(digits, (2,), out=tmp_path / "out", **options | change)
        assert difference in str(error.value)
        assert "dataset.fingerprint" in str(error.value)
    assert contents(tmp_path / "out", leave_out=()) == before


@pytest.mark.fault("pixels")
@pytest.mark.parametrize(
    "asked",
    [
        {"value_range": 255},
        {"test_share": 0.2},
        {"resize": "3x3"},
        {"skip_bad": True},
        {"shape": (3, 3)},
        {"group": "folder"},
    ],
)
def test_images_that_are_read_already_are_read_in_no_other_way(tmp_path, asked):
    with pytest.raises(InputError, match="is for a path"):
        study(tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "shown.safetensors").write_bytes(b"x"),
        lambda folder: (folder / "timing.json").unlink(),
        lambda folder: (folder / "results.json").unlink(),
        lambda folder: drop(folder / "results.json", "curve"),
        lambda folder: drop(folder / "results.json", "quality"),
        lambda folder: store.write_shown(folder, {k: v for k, v in store.load(folder).shown.items() if k[:3] != "map"}),
    ],
)
def test_what_is_missing_or_damaged_beside_the_networks_is_made_again_without_training(tmp_path, damage):
    study(tmp_path)
    whole, untrained = contents(tmp_path), Inline()
    damage(tmp_path)
    study(tmp_path, executor=untrained)
    assert untrained.jobs == []
    assert contents(tmp_path) == whole
    assert (tmp_path / "timing.json").exists()


def drop(path: Path, key: str) -> None:
    value = json.loads(path.read_text())
    del value[key]
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("text", [None, "[]", '{"schema": 1}', "precision"])
def test_a_folder_without_the_request_of_its_models_is_refused(tmp_path, text):
    study(tmp_path, sizes=(2,))
    if text is None:
        (tmp_path / "study.json").unlink()
    elif text == "precision":
        drop(tmp_path / "study.json", text)
    else:
        (tmp_path / "study.json").write_text(text)
    with pytest.raises(InputError, match=r"no study|not what `latentfit study` writes"):
        study(tmp_path, sizes=(2,))


@pytest.mark.parametrize("finished", [0, 2])
def test_each_network_that_is_finished_is_verified_once(tmp_path, monkeypatch, finished):
    options = {"keep": 0.6, "seeds": 2, "recipe": replace(RECIPE, epochs=12), "out": tmp_path, "executor": Inline()}
    if finished:
        run.study(IMAGES, (2,), **options)
    loaded = {store: [], running: []}  # to verify, and to sum up
    for module, names in loaded.items():
        real = module.load_network
        noting = lambda folder, *own, names=names, real=real: (names.append(folder.name), real(folder, *own))[1]  # noqa: E731
        monkeypatch.setattr(module, "load_network", noting)
    done = run.study(IMAGES, **options)
    assert len(done.found.sizes) > 2
    assert sorted(loaded[store]) == sorted(loaded[running]) == ["k002-s0", "k002-s1"][:finished]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 7),
        ("latent_dim", 5),
        ("test_mse_by_class", None),
        ("test_mse_by_class", [0.1]),
        ("codes", {"std": [1.0], "low": [0.0], "high": [1.0]}),
        ("test_mse", 10**400),
        ("status", "odd"),
    ],
)
def test_a_row_that_is_not_of_its_network_is_made_again(tmp_path, key, value):
    study(tmp_path, sizes=(2, 4))
    whole, again = contents(tmp_path), Inline()
    path = tmp_path / "models" / "k004-s0" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    (tmp_path / "results.json").unlink()
    study(tmp_path, sizes=(2, 4), executor=again)
    assert again.jobs == [(4, 0)]
    assert contents(tmp_path) == whole


@pytest.mark.parametrize(
    "change", [{"test_mse": [0.1]}, {"latent_dim": 9}, {"status": "failed", "reason": "x"}, {"seed": 1}, {"sizes": [2]}]
)
def test_a_curve_that_is_not_of_its_sizes_is_made_again(tmp_path, change):
    study(tmp_path, curve=True)
    whole, path = contents(tmp_path), tmp_path / "curve.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    (tmp_path / "results.json").unlink()
    study(tmp_path, curve=True)
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("part", ["recipe", "dataset", None])
def test_a_study_of_a_later_version_is_another_study(tmp_path, part):
    study(tmp_path, sizes=(2,))
    path = tmp_path / "study.json"
    value = json.loads(path.read_text())
    (value[part] if part else value)["new"] = 1
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match="another study") as error:
        study(tmp_path, sizes=(2, 4))
    assert "new: there 1, asked None" in str(error.value)


@pytest.mark.parametrize(("key", "value"), [("latent_dim", -2), ("latent_dim", 10**6), ("seed", -1), ("keep", 7.0)])
def test_a_request_that_cannot_be_is_refused(tmp_path, key, value):
    study(tmp_path, sizes=(2,))
    path = tmp_path / "study.json"
    asked = json.loads(path.read_text())
    (asked if key == "keep" else asked["models"][0])[key] = value
    path.write_text(json.dumps(asked))
    with pytest.raises(InputError, match="expected"):
        study(tmp_path, sizes=(2, 4))


ONES = replace(CONVERGED, hidden=(12,), epochs=6)


def few(n, pixels=(4, 4), test=20, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, (n + test, *pixels)).astype(np.float32)
    return ImageSet("few", x[:n], x[n:])


@pytest.mark.parametrize(
    ("images", "sizes"),
    [
        *((few(2, test=2), (1, 2, 16)), (few(20), (2, 16)), (few(24, test=1), (3,))),
        *((few(30, (1, 1)), (1,)), (few(30, (8, 8)), (50, 64))),
        (ImageSet("alike", np.full((60, 4, 4), 0.5, np.float32), np.full((9, 4, 4), 0.5, np.float32)), (1, 2)),
    ],
    ids=["2", "20", "24", "a pixel", "fewer than dimensions", "alike"],
)
def test_few_or_odd_images_give_a_network_no_worse_than_pca_or_say_why(tmp_path, images, sizes):
    done = study(tmp_path, sizes, images, draw=True, recipe=ONES)
    assert "NaN" not in (tmp_path / "results.json").read_text()
    fitted = pca.fit(images.with_held_out().x_train, images.x_test)
    for k, model in zip(sizes, done.found.models, strict=True):
        names = [gate.name for gate in model.gates]
        assert ("untrained" in names) == (len(images.x_train) < 25)
        if "untrained" in names:
            assert (model.steps, model.val_mse, done.history(k)) == (0, None, [])
            assert model.test_mse <= fitted.at("test", k) + 1e-7
        else:
            assert model.steps > 0
            assert (
                model.val_mse
                <= pca.fit(images.with_held_out().x_train, images.with_held_out().x_val).at("test", k) + 1e-6
            )
        assert "worse_than_pca" not in names


def test_held_out_images_are_the_same_for_all_and_are_not_trained_on(tmp_path):
    done = study(tmp_path, recipe=ONES, seeds=2, draw=True)
    part = IMAGES.with_held_out()
    for model in done.found.models:
        network = done.network(*model.job)
        assert model.train_mse == pytest.approx(evaluate.mse(network, part.x_train))
        assert model.val_mse == pytest.approx(evaluate.mse(network, part.x_val))
        row = min(done.history(*model.job), key=lambda row: row.val_mse)
        assert model.val_mse <= row.val_mse * (1 + 1e-4)
        assert model.steps == done.history(*model.job)[-1].steps
    assert "60 of the training images end each training" in (tmp_path / "report.md").read_text()


def test_more_sizes_of_converged_are_the_bytes_of_all_at_once(tmp_path):
    study(tmp_path / "once", (2, 4), recipe=ONES)
    study(tmp_path / "twice", (2,), recipe=ONES)
    study(tmp_path / "twice", (2, 4), recipe=ONES)
    assert contents(tmp_path / "once") == contents(tmp_path / "twice")


def test_a_folder_goes_on_with_its_own_recipe_if_none_is_named(tmp_path):
    images = replace(IMAGES, name="garments")
    study(tmp_path, (2,), images, recipe=None, epochs=1)
    done = study(tmp_path, (2,), images, recipe=None, keep=0.5, seeds=1)
    assert (done.found.recipe.name, done.found.verdict.keep) == ("reference", 0.5)


def test_a_recipe_of_ones_own_stays_as_it_is(tmp_path):
    own = replace(CONVERGED, epochs=5)
    asked = request.Request.of((2,), None, own, None)
    assert asked.fitting(few(60)).recipe == own
    assert request.Request.of((2,), None, "converged", 7).fitting(few(60)).recipe.epochs == 7


def test_a_study_of_before_the_held_out_images_is_read_and_goes_on(tmp_path):
    before = contents(study(tmp_path, (2,)).folder)
    asked = json.loads((tmp_path / "study.json").read_bytes())
    del asked["recipe"]["decay_epochs"], asked["dataset"]["val_images"]
    (tmp_path / "study.json").write_text(json.dumps(asked))
    at = tmp_path / "models" / "k002-s0" / "history.csv"
    at.write_text("\n".join(",".join(line.split(",")[:3]) for line in at.read_text().splitlines()))
    executor = Inline()
    study(tmp_path, (2, 4), executor=executor)
    assert executor.jobs == [(4, 0)]
    assert contents(tmp_path)["models/k002-s0/model.safetensors"] == before["models/k002-s0/model.safetensors"]


def test_a_job_without_a_start_computes_it():
    images = IMAGES.with_held_out()
    start = pca.fit(images.x_train, images.x_test).start(2)
    (given,), (found,) = (train_group([(2, 0)], images, ONES, start=s) for s in (start, None))
    assert {n: a.tobytes() for n, a in given.weights.items()} == {n: a.tobytes() for n, a in found.weights.items()}


def test_sizes_beyond_a_randomized_pca_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pca, "EXACT", 10)
    monkeypatch.setattr(pca, "AXES", 8)
    with pytest.raises(InputError, match="larger than 8, up to which PCA is computed"):
        study(tmp_path, (9,), recipe=ONES)
    done = study(tmp_path, None, recipe=ONES, keep=0.9999, seeds=1, draw=True)
    assert max(job.latent_dim for job in done.jobs) == 8
    assert "by a randomized solver" in (tmp_path / "report.md").read_text()
