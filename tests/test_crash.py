"""Killed at every write, fsync and rename, one after the other: nothing is lost, and the same command ends the work.

As SQLite tests it. One process imports everything once and forks: a child runs the study, or the drawing of its
report, and is killed at the n-th such call, in the middle of a write; then the folder is looked at and the same is run
again. n grows until nothing is killed any more.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import RECIPE, Inline, contents, is_running, small_clothes

from latentfit import report
from latentfit.errors import InputError, Lost
from latentfit.sweep import files, lock, run, running, store

TESTS = str(Path(__file__).parent)
ZYGOTE = """
    import json, os, shutil, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import loky, matplotlib, torch
    from helpers import RECIPE, Inline, contents, small_clothes
    from latentfit import errors, report
    from latentfit.sweep import run as sweep, files, store

    ROOT, WHAT = Path(sys.argv[2]), sys.argv[3]
    IMAGES = small_clothes(40, 20)
    report.pictures.png = lambda figure: b"picture"  # drawing is slow, and not what is looked at here

    def do(out):
        if WHAT == "study":
            sweep.study(IMAGES, (2, 3), recipe=RECIPE, curve=True, out=out, executor=Inline())
        else:
            report.write(out)

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def arm(kind, n):
        calls = []
        def counted(act, before=lambda *_: None):
            def call(*arguments):
                calls.append(arguments)
                if len(calls) == n:
                    before(*arguments)
                    die()
                return act(*arguments)
            return call
        if kind == "fsync":
            os.fsync = counted(os.fsync)
        elif kind == "rename":
            Path.replace = counted(Path.replace)
        else:
            class Torn:
                def __init__(self, file): self.file = file
                def __enter__(self): self.file.__enter__(); return self
                def __exit__(self, *error): return self.file.__exit__(*error)
                def __getattr__(self, name): return getattr(self.file, name)
                def write(self, data):
                    def half(data):
                        self.file.write(data[: len(data) // 2])
                        self.file.flush()
                    return counted(self.file.write, half)(data)
            plain = os.fdopen
            files.os.fdopen = lambda *how: Torn(plain(*how))

    def run(out, kind=None, n=0):
        pid = os.fork()
        if pid == 0:
            status = 3
            try:
                if kind:
                    arm(kind, n)
                do(out)
                status = 0
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def begin(name):
        out = ROOT / name
        if WHAT == "report":
            shutil.copytree(ROOT / "finished", out)
        return out

    sweep.study(IMAGES, (2, 3), recipe=RECIPE, out=ROOT / "finished", executor=Inline())  # all is imported now
    report.write(ROOT / "finished")
    for name in ("report.html", "report.md", "results.csv"):
        (ROOT / "finished" / name).unlink()
    shutil.rmtree(ROOT / "finished" / "figures")
    unbroken = begin("unbroken")
    assert run(unbroken) == 0
    whole = contents(unbroken)
    told = {"unbroken": len(whole)}
    for kind in ("write", "fsync", "rename"):
        n = 1
        while True:
            out = begin(f"{kind}{n}")
            ended = run(out, kind, n)
            if ended == 0:
                break
            assert ended == -signal.SIGKILL, (kind, n, ended)
            for name, data in contents(out).items():
                if not name.endswith(files.PART):
                    assert data == whole.get(name) or name == "study.json", f"{name} after {kind} {n}"
            half_done = (out / "results.json").exists()
            try:
                store.load(out)
                assert half_done
            except errors.InputError as error:
                assert "expected" in str(error) or "run the same" in str(error)
            assert run(out) == 0, (kind, n)
            assert contents(out) == whole, (kind, n)
            shutil.rmtree(out)
            n += 1
        assert contents(out) == whole
        told[kind] = n - 1
    print(json.dumps(told))
"""


@pytest.mark.fault("kill")
@pytest.mark.skipif(sys.platform != "linux", reason="forks a process that has imported torch")
@pytest.mark.parametrize("what", ["study", "report"])
def test_killed_at_every_write_fsync_and_rename_nothing_is_lost(tmp_path, what, record_property):
    command = [sys.executable, "-c", textwrap.dedent(ZYGOTE), TESTS, str(tmp_path), what]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert ended.returncode == 0, ended.stderr[-2000:]
    killed = json.loads(ended.stdout.splitlines()[-1])
    record_property("killed", json.dumps({"what": what, **killed}))
    assert killed["write"] == killed["rename"] >= {"study": 12, "report": 9}[what]
    assert killed["fsync"] == 2 * killed["write"]  # the file, and after the rename its folder


def study(out: Path, sizes: tuple[int, ...] = (2, 3), images=None, **options):
    options = {"recipe": RECIPE, "executor": Inline()} | options
    return run.study(small_clothes(40, 20) if images is None else images, sizes, out=out, **options)


LONG = """
    import sys
    from latentfit.cli import main
    sys.exit(main(["study", *sys.argv[1:]]))
"""


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "images.npz"
    x = rng.integers(0, 255, (60, 12, 12), np.uint8)
    np.savez(path, x_train=x[:50], x_test=x[50:])
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(LONG), *map(str, arguments)]


def workers_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def finished(folder: Path) -> int:
    return len(list(folder.rglob("metrics.json")))


@pytest.mark.fault("kill", "worker")
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
@pytest.mark.parametrize("whom", ["the parent alone", "the whole group"])
def test_killed_at_any_moment_the_same_command_ends_with_the_same_bytes(images, tmp_path, whom, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    asked = [images, "--latent-dims", "2", "3", "4", "--epochs", "60", "--quiet", "--precision", "fp32", "--out"]
    subprocess.run(command(*asked, tmp_path / "unbroken"), check=True)
    whole = contents(tmp_path / "unbroken")
    for number in range(3):  # at once when so many are finished, and a moment that is never the same later
        process = subprocess.Popen(command(*asked, tmp_path / "killed"), start_new_session=True)
        until = time.monotonic() + 120
        while finished(tmp_path / "killed") < number or not (workers := workers_of(process.pid)):
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.01)
        if whom == "the parent alone":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        while [pid for pid in workers if is_running(pid)]:
            assert time.monotonic() < until
            time.sleep(0.05)
        before = contents(tmp_path / "killed")
        time.sleep(0.3)
        assert contents(tmp_path / "killed") == before
    subprocess.run(command(*asked, tmp_path / "killed"), check=True)
    assert contents(tmp_path / "killed") == whole


@pytest.mark.fault("lock")
def test_two_studies_in_one_folder_the_second_names_the_first(tmp_path):
    def try_too(*_: object) -> None:
        with pytest.raises(InputError, match=rf"in use by process {os.getpid()}; wait"):
            study(tmp_path / "out", sizes=(2,))

    study(tmp_path / "out", sizes=(2,), progress=try_too)
    assert not (tmp_path / "out" / lock.PID).exists()


@pytest.mark.fault("lock")
def test_no_lock_of_one_folder_outlives_a_kill(tmp_path):
    script = f"""
        import os, signal
        from pathlib import Path
        from latentfit.sweep import lock
        with lock.hold(Path({str(tmp_path / "out")!r})):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)])
    assert (tmp_path / "out" / lock.PID).exists()
    study(tmp_path / "out", sizes=(2,))
    assert not list((tmp_path / "out").rglob(f"*{files.PART}"))


def test_what_was_refused_leaves_no_folder_behind(tmp_path):
    with pytest.raises(InputError), lock.hold(tmp_path / "a" / "b"):
        raise InputError("refused")
    assert not list(tmp_path.iterdir())


@pytest.mark.fault("disk")
@pytest.mark.skipif(sys.platform == "win32", reason="no such limits there")
@pytest.mark.parametrize("room", [200, 3_000, 40_000])
def test_a_file_size_limit_leaves_whole_files_and_says_where(tmp_path, room):
    study(tmp_path / "unbroken")
    script = f"""
        import resource, sys
        from pathlib import Path
        sys.path.insert(0, {TESTS!r})
        from helpers import RECIPE, Inline, small_clothes
        from latentfit.sweep import run as sweep
        from latentfit.errors import InputError
        resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
        try:
            sweep.study(small_clothes(40, 20), (2, 3), recipe=RECIPE, out={str(tmp_path / "full")!r}, executor=Inline())
        except (OSError, InputError) as error:
            sys.exit(f"told: {{error}}")
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert re.search(r"^told: .*File too large \(writing .*full", ended.stderr)
    whole = contents(tmp_path / "unbroken")
    if (tmp_path / "full").exists():
        there = contents(tmp_path / "full")
        assert not [name for name in there if name.endswith(files.PART)]
        assert all(whole[name] == data for name, data in there.items())
    study(tmp_path / "full")
    assert contents(tmp_path / "full") == whole


SMALL_DISKS = """
    import subprocess, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from helpers import RECIPE, Inline, contents, small_clothes
    from latentfit import report
    from latentfit.sweep import run as sweep, files, store

    report.pictures.png = lambda figure: b"picture"  # drawing is slow, and not what is looked at here

    def study(out):
        report.write(sweep.study(small_clothes(40, 20), (2, 3), recipe=RECIPE, out=out, executor=Inline()))

    def mount(size, *more):
        options = ",".join([f"size={size}k", *more])
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)

    disk, unbroken = Path(sys.argv[2]) / "disk", Path(sys.argv[2]) / "unbroken"
    disk.mkdir()
    study(unbroken)
    whole = contents(unbroken)
    kib = 8
    while True:
        mount(kib)
        try:
            study(disk / "out")
            break
        except OSError as error:
            print(str(error).replace(str(disk), ""))
        there = contents(disk)
        assert not [name for name in there if name.endswith(files.PART)], there.keys()
        assert all(whole[name.removeprefix("out/")] == data for name, data in there.items())
        mount(100_000, "remount")
        study(disk / "out")
        assert contents(disk / "out") == whole
        subprocess.run(["umount", str(disk)], check=True)
        kib = kib * 7 // 4
    assert contents(disk / "out") == whole
"""


@pytest.mark.fault("disk")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="mounts a disk of its own, which takes Linux")
def test_a_full_disk_loses_nothing(tmp_path):
    inside = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*inside, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], capture_output=True).returncode:
        pytest.skip("this user may not mount a disk of their own")
    script = [sys.executable, "-c", textwrap.dedent(SMALL_DISKS), TESTS, str(tmp_path)]
    ended = subprocess.run([*inside, *script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    told = ended.stdout.splitlines()
    assert len(told) > 6
    assert all("No space left on device (writing /out/" in line for line in told)
    assert len(set(told)) > 3  # it was full at different files


@pytest.mark.fault("disk")
@pytest.mark.parametrize("number", ["ENOSPC", "EROFS"])
def test_a_disk_that_is_full_or_turns_read_only_is_told_and_nothing_is_lost(tmp_path, monkeypatch, number):
    study(tmp_path / "unbroken")
    plain, made = files.tempfile.mkstemp, []

    def refuse(*arguments, **options):
        made.append(options)
        if len(made) > 7:
            raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))
        return plain(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(files.tempfile, "mkstemp", refuse)
        with pytest.raises(OSError, match=rf"{os.strerror(getattr(errno, number))} \(writing .*out") as caught:
            study(tmp_path / "out")
        assert caught.value.errno == getattr(errno, number)
    rerun = Inline()
    study(tmp_path / "out", executor=rerun)
    assert len(rerun.jobs) == 1
    assert contents(tmp_path / "out") == contents(tmp_path / "unbroken")


@pytest.mark.fault("disk")
@pytest.mark.parametrize("moment", ["training", "nested network", "before the pictures", "before the results"])
def test_a_folder_that_is_removed_while_a_study_runs_is_told_and_not_begun_again(tmp_path, monkeypatch, moment):
    out = tmp_path / "out"

    def remove(*_: object) -> None:
        shutil.rmtree(out, ignore_errors=True)

    def remove_at_nested_network(line: str) -> None:
        if line.startswith("training one nested network"):
            remove()

    def removing(act):
        def call(*arguments, **options):
            remove()
            return act(*arguments, **options)

        return call

    if moment == "before the pictures":
        monkeypatch.setattr(store, "write_shown", removing(store.write_shown))
    elif moment == "before the results":
        monkeypatch.setattr(running, "summarize", removing(running.summarize))
    options = {"training": {"progress": remove}, "nested network": {"tell": remove_at_nested_network}}.get(moment, {})
    with pytest.raises(Lost, match="was removed while the study ran"):
        study(out, curve=True, **options)
    assert not out.exists()
    monkeypatch.undo()
    assert study(out, curve=True).results["curve"]


@pytest.mark.fault("lock")
def test_a_study_whose_folder_became_another_ones_writes_nothing_there(tmp_path):
    def another(*_: object) -> None:
        if (tmp_path / "out").exists() and not (tmp_path / "aside").exists():
            (tmp_path / "out").rename(tmp_path / "aside")
            study(tmp_path / "out", recipe=replace(RECIPE, batch_size=7))

    with pytest.raises(Lost):
        study(tmp_path / "out", progress=another)
    done = study(tmp_path / "out", recipe=replace(RECIPE, batch_size=7), executor=Inline())
    assert done.results["recipe"]["batch_size"] == 7
    assert [model["recipe"]["batch_size"] for model in models(tmp_path / "out")] == [7, 7]


def models(folder):
    return [json.loads(path.read_bytes()) for path in sorted(folder.rglob("model.json"))]


@pytest.mark.fault("lock")
@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_process_that_was_forked_meanwhile_does_not_keep_the_lock(tmp_path):
    script = f"""
        import os, signal, time
        from pathlib import Path
        from latentfit.sweep import lock
        with lock.hold(Path({str(tmp_path / "out")!r})):
            if (child := os.fork()) == 0:
                time.sleep(60)
                os._exit(0)
        with lock.hold(Path({str(tmp_path / "out")!r})):
            print("held again")
        os.kill(child, signal.SIGKILL)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert ended.stdout == "held again\n", ended.stderr


@pytest.mark.fault("lock")
def test_a_report_is_not_drawn_where_another_process_works(tmp_path):
    done = study(tmp_path / "out")
    with lock.hold(tmp_path / "out"), pytest.raises(InputError, match="in use by process"):
        report.write(done)


@pytest.mark.fault("kill")
def test_a_report_drawn_while_the_study_runs_says_what_is_missing(tmp_path):
    def draw(*_: object) -> None:
        with pytest.raises(InputError, match=r"no results\.json yet; run the same"):
            report.write(tmp_path / "out")

    done = study(tmp_path / "out", progress=draw)
    assert report.write(done).exists()
