"""The command line: what each verb writes and prints, its exit statuses, its errors, and signals."""

from __future__ import annotations

import contextlib
import functools
import html
import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import is_running

from latentfit import cli, flags
from latentfit.data import fashion_mnist, garments
from latentfit.recipe import RECIPES, Recipe
from latentfit.sweep.request import default_recipe

QUICK = ("--latent-dims", "2,3", "--recipe", "reference", "--epochs", "2")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")


@pytest.fixture
def small_garments(monkeypatch):
    monkeypatch.setattr(garments, "draw", functools.partial(garments.draw, 400, 100))


@pytest.fixture
def no_fashion_mnist(monkeypatch, tmp_path):
    monkeypatch.delenv("FASHION_MNIST_DIR", raising=False)
    monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "MIRRORS", ("http://127.0.0.1:1/",))


@pytest.fixture
def plain_machine(monkeypatch):
    """Pretend that this machine has MPS, but neither CUDA nor bf16."""
    from latentfit import hardware

    monkeypatch.setitem(hardware.DEVICES, "cuda", lambda: False)
    monkeypatch.setitem(hardware.DEVICES, "mps", lambda: True)
    for products in ("rounded-factors", "bf16-tensors"):
        monkeypatch.setitem(hardware.PRODUCTS, products, lambda: False)


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "my images.npz"
    x = np.random.default_rng(0).integers(0, 255, (59, 12, 12), np.uint8)
    np.savez(path, x_train=x[:50], x_test=x[50:])
    return path


def run(*arguments: object) -> int:
    try:
        return cli.main([str(a) for a in arguments])
    except SystemExit as end:
        return int(end.code or 0)


def quoted(folder: Path) -> list[str]:
    """Arguments of the command that a report quotes."""
    commands = re.findall(r"<pre><code>latentfit (.*)</code></pre>", (folder / "report.md").read_text())
    return shlex.split(html.unescape(commands[-1]))  # the one before says what comes next


def results(folder: Path) -> dict[str, object]:
    return json.loads((folder / "results.json").read_bytes())


def test_auto_without_fashion_mnist_studies_the_stand_in(
    small_garments, no_fashion_mnist, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert run("study", "auto", *QUICK) == 0
    printed = capsys.readouterr()
    assert "stand-in" in printed.err
    assert re.search(r"^ *latent +failed checks +seeds +test MSE", printed.out)
    assert "Report: runs/garments/report.html" in printed.out
    folder = tmp_path / "runs" / "garments"
    assert results(folder)["dataset"]["stand_in"] is True
    assert len(results(folder)["dataset"]["classes"]) == 10
    for name in ("report.html", "report.md"):
        assert "Stand-in data" in (folder / name).read_text()
    assert len(list((folder / "figures").glob("*.png"))) == 8


@pytest.mark.parametrize(("name", "stand_in"), [("garments", False), ("auto", True)])
def test_quiet_prints_only_the_warning_of_a_stand_in(
    small_garments, no_fashion_mnist, tmp_path, capsys, name, stand_in
):
    out = tmp_path / "out"
    assert run("study", name, *QUICK, "--out", out, "--quiet") == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert bool(re.fullmatch("latentfit: warning: .*stand-in.*\n", printed.err)) == stand_in == bool(printed.err)
    assert results(out)["dataset"]["stand_in"] is stand_in


def test_each_phase_and_epoch_has_a_line(small_garments, tmp_path, capsys):
    run("study", "garments", *QUICK, "--workers", "1", "--out", tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r"\d+ s", "- s", line) for line in lines if " seed 0:" not in line] == [
        "latentfit: loading garments",
        "latentfit: 1 worker for 2 networks",
        "latentfit: network 1 of 2 is trained, about - s left for the others",
        "latentfit: measuring and summing up",
        "latentfit: drawing the report",
    ]
    epoch = r"(\d) dimensions, seed 0: epoch (\d)/2, test MSE 0\.\d+(, \d+ s left)?$"
    epochs = re.findall(epoch, "\n".join(lines), re.M)
    assert sorted(epochs) == [("2", "1", ""), ("2", "2", ", 0 s left"), ("3", "1", ""), ("3", "2", ", 0 s left")]


def test_the_first_line_comes_before_heavy_imports(tmp_path):
    script = (
        "import sys\nfrom latentfit import cli, progress\n"
        "progress.Lines.say = lambda _, line: print(line, 'torch' in sys.modules)\n"
        "cli.main(['study', 'nowhere'])\nprint('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path).stdout
    assert told == "loading nowhere False\nTrue\n"


def test_precision_and_device_reach_the_study(images, tmp_path, monkeypatch):
    from latentfit import hardware
    from latentfit.sweep import request

    monkeypatch.setitem(hardware.PRODUCTS, "rounded-factors", lambda: True)
    monkeypatch.setattr(request, "best_device", lambda: "cuda")
    flags = ("--precision", "fp32", "--device", "cpu", "--quiet")
    assert run("study", images, *QUICK, *flags, "--out", tmp_path / "out") == 0
    used = results(tmp_path / "out")["environment"]
    assert (used["precision"], used["products"], used["device"]) == ("fp32", "fp32", "cpu")


def test_missing_reports_are_drawn_again_even_without_the_data(images, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("study", images, *QUICK, "--out", out) == 0
    before = (out / "report.html").read_bytes()
    (out / "report.md").unlink()
    run("study", images, *QUICK, "--out", out)
    assert (out / "report.md").exists()
    images.unlink()
    for path in [out / "report.html", out / "results.csv", *(out / "figures").iterdir()]:
        path.unlink()
    capsys.readouterr()
    assert run("report", out) == 0
    assert capsys.readouterr().out.endswith("report.html\n")
    assert (out / "report.html").read_bytes() == before
    assert len(list((out / "figures").iterdir())) == 7


def test_the_command_that_a_report_quotes_gives_the_same_results(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("study", images.name, *QUICK, "--out", "a")
    assert run(*quoted(tmp_path / "a"), "--out", "b") == 0
    assert (tmp_path / "a/results.json").read_bytes() == (tmp_path / "b/results.json").read_bytes()


@pytest.mark.fault("diverge")
def test_a_network_that_failed_is_exit_status_1(images, tmp_path, monkeypatch, capsys):
    wild = Recipe(name="reference", hidden=(), output="linear", learning_rate=1e12)
    monkeypatch.setitem(RECIPES, "reference", wild)
    assert run("study", images, *QUICK, "--out", tmp_path / "out") == 1
    assert "failed" in capsys.readouterr().out


@pytest.mark.fault("names")
def test_escape_sequences_in_names_are_printed_as_text(images, tmp_path, capsys):
    evil = tmp_path / "a\x1b]0;owned\x07\x1b[2J\nb.npz"
    evil.write_bytes(images.read_bytes())
    assert run("data", evil) == 0
    assert run("study", evil, *QUICK, "--out", tmp_path / "o\x1b[1mut") == 0
    assert run("study", str(evil) + "\x1b") == 2
    printed = "".join(capsys.readouterr())
    assert "\\x1b]0;owned" in printed
    assert not {"\x1b", "\x07"} & set(printed)


def test_data_describes_a_data_set(no_fashion_mnist, images, capsys):
    assert run("data", images) == 0
    printed = capsys.readouterr().out
    for line in ("data set +my images", "training images +50", "fingerprint +sha256:[0-9a-f]{64}"):
        assert re.search(f"^{line}$", printed, re.M)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study", "fashion-mnist"], "cannot fetch Fashion-MNIST"),
        (["study", "mnist-fashion"], "neither a data set nor a path"),
        (["study", "garments", "--recipe", "best"], "recipe 'best' is not known"),
        (["study", "garments", "--latent-dims", "0"], "'0'; expected a whole number, 1 or more"),
        (["study", "garments", "--latent-dims", "-4"], "--latent-dims"),
        (["study", "garments", "--keep", "90"], "'90'; expected a number between 0 and 1, for example 0.90, or knee"),
        (["study", "garments", "--keep", "most"], "'most'; expected a number between 0 and 1"),
        (["study", "garments", "--latent-dims", "sixteen"], "'sixteen'; expected a whole number"),
        (["study", "--latent-dims", "16", "48", "garments"], "DATA comes before the flags"),
        (["study", "garments", "--latent-dims", "785"], "785 is larger than an image"),
        (["study", "garments", "--epochs", "0"], "'0'; expected a whole number, 1 or more"),
        (["study", "garments", "--seeds", "1.5"], "'1.5'; expected"),
        (["study", "garments", "--workers", "0"], "'0'; expected a whole number, 1 or more"),
        (["study", "garments", "--workers", "-1"], "'-1'; expected a whole number, 1 or more"),
        (["study", "garments", "--workers", "x"], "'x'; expected a whole number, 1 or more"),
        (["study", "garments", "--hours", "2"], "unrecognized arguments"),
        (["study", "garments", "--minutes", "2"], "minutes are for a search; expected a share to keep"),
        (["study", "garments", "--minutes", "0"], "'0'; expected a number of minutes above 0"),
        (["study", "garments", "--range", "0"], "'0'; expected the largest pixel value, a number above 0: 255"),
        (["data", "garments", "--range", "inf"], "'inf'; expected the largest pixel value"),
        (["data", "garments", "--range", "white"], "'white'; expected the largest pixel value"),
        (["study", "garments", "--range", "16"], "pixels and test images are known"),
        (["data", "fashion-mnist", "--test", "0.1"], "pixels and test images are known"),
        (["data", "garments", "--test", "10"], "'10'; expected a number between 0 and 1"),
        (["study", "garments", "--precision", "half"], "precision 'half' is not known; expected fp32, bf16"),
        (["study", "garments", "--device", "tpu"], "device 'tpu' is not known; expected cpu, cuda, mps"),
        (["study", "garments", "--precision", "bf16", "--device", "cpu"], "no instructions for it"),
        (["study", "garments", "--device", "cuda"], "device cuda: PyTorch finds none on this machine"),
        (["study", "garments", "--precision", "bf16", "--device", "mps"], "precision bf16 is for the CPU"),
        (["study", "fashion-mnist", "--data-dir", "nowhere"], "no such folder"),
        (["study", "fashion-mnist", "--data-dir", "~nobody-of-this-name"], "no such folder"),
        (["study", "fashion-mnist", "--data-dir", "x" * 300], "no such folder"),
        (["report", "nowhere"], "study.json"),
        (["encode", "nowhere", "garments", "--out", "a.npy"], "study.json"),
        (["encode", "nowhere", "garments"], "required: --out"),
        (["encode", "nowhere", "--out", "a.npy"], "required: DATA"),
        (["encode", "a", "b", "--out", "a.npy", "--seed", "-1"], "'-1'; expected a whole number, 0 or more"),
        (["encode", "a", "b", "--out", "a.npy", "--seed", "x"], "'x'; expected a whole number, 0 or more"),
        (["decode", "a", "b", "--out", "a.npy", "--latent-dim", "0"], "'0'; expected a whole number, 1 or more"),
        (["decode", "nowhere", "a.npy", "--out", "a.npy"], "study.json"),
        (["export", "nowhere", "--out", "a"], "study.json"),
        (["export", "nowhere"], "required: --out"),
        (["report", "x" * 300], "expected a folder"),
        (["data", "nowhere.npz"], "neither a data set nor a path"),
        (["paint"], "invalid choice"),
    ],
)
def test_bad_input_is_a_message_of_one_line_and_exit_status_2(
    small_garments, no_fashion_mnist, plain_machine, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    out = ["--out", "made/out"] if arguments[0] == "study" else []
    assert run(*arguments, *out) == 2
    lines = capsys.readouterr().err.splitlines()
    errors = [line for line in lines if re.match(r"latentfit( \w+)?: error: ", line)]
    assert len(errors) == 1
    assert message in errors[0]
    assert not any("Traceback" in line for line in lines)
    assert not (tmp_path / "made").exists()
    assert not (tmp_path / "runs").exists()


def test_an_occupied_folder_is_left_alone(small_garments, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert run("study", "garments", *QUICK, "--out", tmp_path) == 2
    assert "holds other files" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_debug_shows_the_traceback(tmp_path, capsys):
    assert run("report", tmp_path, "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_latent_dims_take_commas_and_spaces():
    options = flags.parser(*[int] * 6).parse_args(["study", "--latent-dims", "16", "48,2"])
    assert options.latent_dims == [[16], [48, 2]]
    assert flags.parser(*[int] * 6).parse_args(["study"]).latent_dims is None


def test_help_lists_all_flags_and_verbs(capsys):
    assert run("study", "--help") == 0
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    sizes = "--latent-dims --seeds --keep --minutes --curve --recipe --epochs --data-dir --range --test"
    pictures = "--resize --shape --group --label --scale --skip-bad"
    others = "--help --out --explorer --fresh --quiet --precision --device --workers --cluster --patience --debug"
    assert flags == {*sizes.split(), *pictures.split(), *others.split()}
    run("--help")
    verbs = re.findall(r"^    (\w+) ", capsys.readouterr().out, re.M)
    assert verbs == ["study", "report", "data", "encode", "decode", "export"]


@pytest.mark.parametrize("verb", ["study", "report", "data", "encode", "decode", "export"])
def test_each_verb_has_examples(capsys, verb):
    assert run(verb, "--help") == 0
    examples = re.findall(rf"^  (latentfit {verb} \S.*?)(?:  +.*)?$", capsys.readouterr().out, re.M)
    assert len(examples) >= 2
    for example in examples:
        flags.parser(*[int] * 6).parse_args(shlex.split(example)[1:])


@pytest.mark.parametrize(
    "what", ["import latentfit", "import latentfit.cli as c; c.main(['--help'])", "import latentfit.data"]
)
def test_help_and_light_modules_import_no_heavy_library(what):
    check = "import sys; print([m for m in ('torch', 'matplotlib', 'sklearn', 'scipy', 'pooch') if m in sys.modules])"
    script = f"try:\n    {what}\nexcept SystemExit: pass\n{check}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@contextlib.contextmanager
def long_study(images: Path, out: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """An endless study and its two workers, from their first epochs until the end of the test."""
    command = [sys.executable, "-c", "from latentfit.cli import run; run()", "study", images]
    flags = ["--latent-dims", "2", "3", "--recipe", "reference", "--epochs", "9999999", "--workers", "2", "--out", out]
    process = subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, text=True)
    workers: list[int] = []
    try:
        begun = list(itertools.islice(filter(lambda line: "epoch 1/" in line, process.stderr), 2))
        assert len(begun) == 2
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        workers += [int(pid) for pid in children]
        yield process, workers
    finally:
        process.stderr.close()
        for pid in (process.pid, *workers):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


@pytest.mark.fault("signal", "worker")
@LINUX
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_signal_ends_a_study_and_workers_end_with_their_parent(images, tmp_path, sent, status):
    with long_study(images, tmp_path / "out") as (process, workers):
        process.send_signal(sent)
        assert process.wait(timeout=60) == status
        wait_until_gone(workers)
        printed = process.stderr.read()
    if sent != signal.SIGKILL:
        assert "the same command goes on" in printed
        assert "Traceback" not in printed
        assert not list(tmp_path.rglob("*.part"))


def wait_until_gone(workers: list[int], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while alive := [pid for pid in workers if is_running(pid)]:
        assert time.monotonic() < until, f"{alive} outlived their parent"
        time.sleep(0.05)


# short sleeps: a signal just before a long wait would take effect only after it
READY = "print('ready', flush=True)\n        for _ in range(600): time.sleep(0.1)"
UNRULY = {  # studies that no exception ends, the number of signals that do, and what is printed then
    "lost in a callback of a library": (
        "@ctypes.CFUNCTYPE(None)\ndef callback():\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "def study(*_, **__):\n    callback()\n    time.sleep(60)",
        *(1, ""),
    ),
    "ignored": (
        f"def study(*_, **__):\n  for _ in range(2):\n    try:\n        {READY}\n    except BaseException: pass",
        *(2, ""),
    ),
    "never in order": (
        f"cli.GRACE = 0.2\ndef study(*_, **__):\n    try:\n        {READY}\n    finally: threading.Event().wait()",
        *(1, "the same command goes on"),
    ),
}


@pytest.mark.fault("signal")
@LINUX
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("kind", UNRULY)
def test_a_signal_ends_a_study_that_does_not_end_by_its_exception(tmp_path, kind, sent, status):
    study, signals, printed = UNRULY[kind]
    script = (
        f"import ctypes, sys, threading, time\nfrom latentfit import cli\n{study}\n"
        "import latentfit.sweep.run\nlatentfit.sweep.run.study = study\nsys.exit(cli.main(['study', '--quiet']))"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", script], **pipes, text=True, cwd=tmp_path)
    try:
        for _ in range(signals):
            assert process.stdout.readline() == "ready\n"
            process.send_signal(sent)
        assert process.wait(timeout=30) == status
        assert printed in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def test_a_study_goes_on_after_the_reader_of_stderr_ends(images, tmp_path):
    command = [sys.executable, "-c", "import sys; from latentfit.cli import main; sys.exit(main())", "study", images]
    flags = ["--latent-dims", "2", "--epochs", "40", "--out", tmp_path / "out"]
    process = subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    process.stderr.readline()
    process.stderr.close()
    assert process.wait(120) == 0
    assert (tmp_path / "out" / "report.html").exists()


@pytest.fixture
def odd_files(tmp_path):
    """Files with unusual images, each named after what is unusual."""
    down, across = np.mgrid[:12, :12]
    t = np.arange(200)[:, None, None]
    spot = np.exp(-((down - 6 - 4 * np.sin(t / 17)) ** 2 + (across - 6 - 4 * np.cos(t / 23)) ** 2) / 6)
    x, y = np.rint(255 * spot).astype(np.uint8), np.arange(200) % 26 + 1
    np.save(tmp_path / "masks.npy", (spot > 0.5).astype(np.uint8))
    np.save(tmp_path / "digits.npy", x // 16 + 1)
    np.save(tmp_path / "film.npy", x)
    np.save(tmp_path / "grey.npy", np.full_like(x, 90))
    np.savez(tmp_path / "same.npz", x_train=x, x_test=x[:50], y_train=y, y_test=y[:50] % 25 + 2)
    return tmp_path


NO_VARIANCE = "The training and test images hold next to no variance"
ODD = {  # file and flags, and what `data`, the study, its page and its results say
    "masks": (["masks.npy"], ["0 and 1 alone"]),
    "digits": (["digits.npy", "--range", "16"], ["from 0 to 16, as --range 16 says"]),
    "dark": (["digits.npy", "--range", "255"], ["The images are dark"]),
    "film": (["film.npy"], ["is the one before or after it in the file", "--test SHARE"]),
    "film, drawn": (["film.npy", "--test", "0.25"], ["drawn at random have theirs on the other side"]),
    "same": (["same.npz"], ["All of the 50 test images are training images too", "1 class without a test image: 1."]),
    "grey": (["grey.npy"], [NO_VARIANCE]),
}


@pytest.mark.fault("pixels", "copies", "labels", "no-variance")
@pytest.mark.parametrize(("arguments", "notes"), ODD.values(), ids=ODD)
def test_data_notes_what_is_unusual(odd_files, capsys, arguments, notes):
    assert run("data", odd_files / arguments[0], *arguments[1:]) == 0
    printed = capsys.readouterr().out
    for words in notes:
        assert words in printed.partition("\nNote: ")[2]


@pytest.mark.fault("pixels", "copies", "labels", "no-variance")
@pytest.mark.parametrize("kind", ["digits", "same", "grey"])
def test_a_study_notes_what_is_unusual_before_training_and_with_the_answer(odd_files, capsys, kind):
    (file, *flags), notes = ODD[kind]
    out = odd_files / "out"
    assert run("study", odd_files / file, *flags, *QUICK, "--explorer", "off", "--out", out) == 0
    printed = capsys.readouterr()
    places = {
        "results": " ".join(results(out)["quality"]["notes"]),
        "before training": printed.err.partition("epoch 1/")[0],
        "answer": printed.out.partition("Report:")[0],
        "markdown": (out / "report.md").read_text().partition("## All sizes")[0].replace("\\", ""),
        "page": html.unescape((out / "report.html").read_text().partition("<nav")[0]),
    }
    missing = ["results", "before training"] if kind == "grey" else []  # the verdict says it, not a note
    for words in notes:
        assert [place for place, text in places.items() if words not in text] == missing
    if kind == "grey":
        assert "better" not in printed.out
    if kind == "digits":
        assert run(*quoted(out), "--out", odd_files / "again") == 0
        assert (odd_files / "again" / "results.json").read_bytes() == (out / "results.json").read_bytes()


@pytest.mark.fault("pixels")
@pytest.mark.parametrize("verb", ["data", "study"])
def test_the_error_about_digits_names_the_flag_that_reads_them(odd_files, monkeypatch, capsys, verb):
    monkeypatch.chdir(odd_files)
    assert run(verb, "digits.npy") == 2
    message = "bytes from 1 to 16; expected 0 to 255; if they run from 0 to 16, read them with --range 16"
    assert message in capsys.readouterr().err
    assert not (odd_files / "runs").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("where", ["full", "closed"])
def test_output_that_cannot_be_written_is_an_error_unless_stdout_is_closed(images, where):
    command = [sys.executable, "-c", "from latentfit.cli import run; run()", "data", str(images)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command if where == "full" else ["sh", "-c", 'exec "$@" >&-', "sh", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (1 if where == "full" else 0, False)
    assert where == "closed" or "No space left" in done.stderr


def test_images_of_ones_own_are_trained_until_they_are_done(images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("study", images, "--latent-dims", "2", "--epochs", "9") == 0
    found = json.loads((tmp_path / "runs" / "my images" / "results.json").read_bytes())
    (model,) = found["models"]
    assert (found["recipe"]["name"], found["recipe"]["epochs"]) == ("converged", 9)
    assert model["steps"] > 0
    assert model["val_mse"] > 0
    assert "epoch 9, test MSE" in capsys.readouterr().err
    assert run("study", images, "--latent-dims", "2", "--recipe", "swift") == 0
    assert (tmp_path / "runs" / "my images-swift" / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "keep", "recipe"),
    [
        *(("fashion-mnist", None, "reference"), ("garments", None, "reference"), ("auto", None, "reference")),
        *(("fashion-mnist", 0.9, "converged"), ("photos.npz", None, "converged"), ("./garments", 0.9, "converged")),
    ],
)
def test_the_default_recipe_is_that_of_the_data_and_of_what_is_asked(name, keep, recipe):
    assert default_recipe(name, keep) == recipe
