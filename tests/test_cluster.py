"""Networks trained elsewhere: by a real Dask scheduler and its workers, and by any executor."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import loky
import numpy as np
import pytest
from distributed import Client, KilledWorker
from helpers import RECIPE, Inline, contents, small_clothes

from latentfit import cli
from latentfit.data.images import ImageSet
from latentfit.errors import InputError
from latentfit.recipe import CONVERGED, Job
from latentfit.sweep import cluster, remote, run
from latentfit.sweep.pool import Work, WorkersLost

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks workers and kills them")
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # what workers are told to do

IMAGES = small_clothes(120, 40)
QUICK = replace(CONVERGED, name="quick", hidden=(24,), epochs=8, batch_size=32)
SLOW = 240  # seconds that a busy machine may take for anything here


def study(out: Path, sizes: tuple[int, ...] | None = (2, 3, 4), **options):
    return run.study(IMAGES, sizes, out=out, **{"recipe": RECIPE, "executor": Inline()} | options)


ZYGOTE = """
    import asyncio, os, signal, sys
    from pathlib import Path
    import distributed
    import latentfit.sweep.cluster, latentfit.sweep.job  # and PyTorch, which takes seconds

    async def schedule(file):
        async with distributed.Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
            Path(file + ".part").write_text(scheduler.address)
            Path(file + ".part").rename(file)
            await scheduler.finished()

    async def work(address):
        async with distributed.Worker(address, nthreads=1, memory_limit=0, local_directory=sys.argv[1]) as worker:
            await worker.finished()

    async def until_parent_ends(work):
        task = asyncio.create_task(work)
        while os.getppid() == parent and not task.done():
            await asyncio.sleep(1)

    parent = os.getpid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    for line in sys.stdin:
        what, where = line.split()
        if (pid := os.fork()) == 0:
            asyncio.run(until_parent_ends({"scheduler": schedule, "worker": work}[what](where)))
            os._exit(0)
        print(pid, flush=True)
"""
zygotes = list[subprocess.Popen[str]]()  # one, once it is needed


class Machines:
    """A scheduler and workers, each a process of this machine, forked from one that has imported everything."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder = folder
        self.scheduler = self._start("scheduler", file := folder / "address")
        until(file.exists)
        self.address = file.read_text()
        self.workers = [self.add() for _ in range(workers)]

    def _start(self, what: str, where: object) -> int:
        if not zygotes:
            with (self.folder / "machines.log").open("wb") as log:
                command = [sys.executable, "-c", textwrap.dedent(ZYGOTE), str(self.folder)]
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
                zygotes.append(subprocess.Popen(command, text=True, **pipes))
        zygotes[0].stdin.write(f"{what} {where}\n")
        zygotes[0].stdin.flush()
        return int(zygotes[0].stdout.readline())

    def add(self) -> int:
        """Start one more worker; its process."""
        return self._start("worker", self.address)

    def kill_scheduler(self) -> None:
        os.kill(self.scheduler, signal.SIGKILL)

    def end(self) -> None:
        for pid in (self.scheduler, *self.workers):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module", autouse=True)
def zygote() -> Iterator[None]:
    yield
    while zygotes:
        zygotes[0].kill()
        zygotes.pop().communicate()


def until(done, seconds: float = SLOW) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def machines(tmp_path_factory) -> Iterator[Machines]:
    """A scheduler with two workers."""
    there = Machines(tmp_path_factory.mktemp("machines"), 2)
    yield there
    there.end()


@contextmanager
def client_of(machines: Machines) -> Iterator[Client]:
    with Client(machines.address, set_as_default=False, timeout=SLOW) as client:
        until(lambda: len(client.nthreads()) == len(machines.workers))
        yield client


@pytest.fixture
def client(machines):
    with client_of(machines) as client:
        yield client


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> dict[str, bytes]:
    """What a study without a cluster writes."""
    study(folder := tmp_path_factory.mktemp("unbroken"))
    return contents(folder)


def received(dask_worker) -> list[list[str]]:
    """In a worker: the keys of each transfer from others."""
    return [[*transfer["keys"]] for transfer in dask_worker.transfer_incoming_log]


def test_the_bytes_of_a_local_study_and_the_images_reach_each_worker_once(client, tmp_path, unbroken, monkeypatch):
    scattered, scatter = [], client.scatter
    monkeypatch.setattr(client, "scatter", lambda it, **how: scattered.append(type(it)) or scatter(it, **how))
    told = []
    study(tmp_path / "client", executor=client, tell=told.append)
    assert [kind.__name__ for kind in scattered] == ["Work", "ImageSet"]
    keys = [key for transfers in client.run(received).values() for keys in transfers for key in keys]
    assert sum("ImageSet" in key for key in keys) <= 1  # one worker has it from here, the other from that one
    assert contents(tmp_path / "client") == unbroken
    assert f"2 workers at {client.scheduler.address}" in told
    study(tmp_path / "executor", executor=client.get_executor())
    assert contents(tmp_path / "executor") == unbroken


def test_a_search_has_the_same_bytes_though_idle_workers_train_ahead(client, tmp_path, monkeypatch):
    asked = {"keep": 0.8, "seeds": 2, "recipe": QUICK}
    plain = study(tmp_path / "plain", None, **asked)
    submitted, submit = [], cluster.Cluster.submit
    noting = lambda self, job, *rest: (submitted.append(job), submit(self, job, *rest))[1]  # noqa: E731
    monkeypatch.setattr(cluster.Cluster, "submit", noting)
    study(tmp_path / "cluster", None, executor=client, **asked)
    assert contents(tmp_path / "cluster") == contents(tmp_path / "plain")
    assert {*plain.jobs} <= {*submitted}


def die_once(mark: str) -> None:
    """For a worker: killed by -9 in the second epoch of its next training, unless another was."""
    import latentfit.sweep.cluster

    def check(_, row):
        if row.epoch == 2 and not Path(mark).exists():
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    latentfit.sweep.cluster._end_if_unwanted = check


@pytest.mark.fault("worker", "dask")
def test_a_worker_that_is_killed_in_mid_training_costs_its_network_alone(tmp_path, unbroken):
    there, saved = Machines(tmp_path, 2), []
    try:
        with client_of(there) as client:
            client.run(die_once, str(tmp_path / "killed"))
            study(tmp_path / "out", executor=client, progress=lambda job, _: saved.append(job))
            assert len(client.nthreads()) == 1
    finally:
        there.end()
    assert (tmp_path / "killed").exists()
    assert sorted(saved) == [(2, 0), (3, 0), (4, 0)]
    assert contents(tmp_path / "out") == unbroken


@pytest.mark.fault("worker", "dask")
def test_a_worker_that_is_added_late_works_and_the_only_one_with_the_images_may_die(tmp_path, unbroken):
    there, saved = Machines(tmp_path, 1), []

    def note(job: Job, _: object) -> None:
        saved.append(job)
        if len(saved) == 1:
            there.workers.append(there.add())
            until(lambda: len(client.nthreads()) == 2)
            os.kill(there.workers[0], signal.SIGKILL)

    try:
        with client_of(there) as client:
            study(tmp_path / "out", executor=client, progress=note)
            assert len(client.nthreads()) == 1
    finally:
        there.end()
    assert sorted(saved) == [(2, 0), (3, 0), (4, 0)]
    assert contents(tmp_path / "out") == unbroken


@pytest.mark.fault("dask")
def test_the_scheduler_is_killed_and_the_study_goes_on_with_another(machines, tmp_path, unbroken):
    there, saved, again = Machines(tmp_path, 1), [], []
    lose = lambda job, _: (saved.append(job), there.kill_scheduler())  # noqa: E731
    try:
        with client_of(there) as client, pytest.raises(cluster.SchedulerLost) as error:
            study(tmp_path / "out", executor=client, progress=lose)
    finally:
        there.end()
    assert str(error.value) == f"the scheduler at {there.address} went away; with a new one {remote.KEPT}"
    assert 0 < len(saved) < 3
    assert not (tmp_path / "out" / "results.json").exists()
    with client_of(machines) as client:
        study(tmp_path / "out", executor=client, progress=lambda job, _: again.append(job))
    assert sorted(saved + again) == [(2, 0), (3, 0), (4, 0)]
    assert contents(tmp_path / "out") == unbroken


def executing(dask_worker) -> int:
    return int(dask_worker.state.executing_count)


@pytest.mark.fault("signal", "dask")
@pytest.mark.parametrize(
    ("signum", "status", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_signal_ends_a_study_on_a_cluster_and_its_workers_are_free(client, tmp_path, signum, status, name):
    np.savez(tmp_path / "images.npz", x_train=IMAGES.x_train, x_test=IMAGES.x_test)
    command = [sys.executable, "-c", "import sys; from latentfit.cli import main; sys.exit(main())", "study"]
    flags = [
        "--recipe",
        "reference",
        "--epochs",
        "9999999",
        "--cluster",
        client.scheduler.address,
        "--latent-dims",
        "2",
    ]
    asked = [*command, str(tmp_path / "images.npz"), *flags, "--out", str(tmp_path / "out")]
    parent = subprocess.Popen(asked, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: sum(client.run(executing).values()) == 1)
        parent.send_signal(signum)
        told = parent.communicate(timeout=SLOW)[1].splitlines()
    finally:
        parent.kill()
        parent.wait()
    assert parent.returncode == status
    assert told[-1] == f"latentfit: error: stopped by {name}; what is finished is kept, the same command goes on"
    assert len([line for line in told if "rror" in line]) == 1
    until(lambda: sum(client.run(executing).values()) == 0)


def forget(name: str) -> None:
    """For a worker: a machine that does not make such products."""
    from latentfit import hardware

    hardware.PRODUCTS[name] = lambda: False


@pytest.mark.fault("precision", "dask")
def test_a_worker_without_the_precision_of_a_study_refuses_it(tmp_path, monkeypatch):
    from latentfit import hardware

    monkeypatch.setitem(hardware.PRODUCTS, "bf16-tensors", lambda: True)
    monkeypatch.setitem(hardware.PRODUCTS, "rounded-factors", lambda: False)
    told = (
        r"^worker .* refuses: products bf16-tensors \(precision bf16\) were asked for, and this processor makes fp32;"
    )
    there = Machines(tmp_path, 1)
    try:
        with client_of(there) as client:
            for name in ("bf16-tensors", "rounded-factors"):
                client.run(forget, name)
            with pytest.raises(remote.Refused, match=told) as error:
                study(tmp_path / "bf16", executor=client, precision="bf16")
    finally:
        there.end()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "there"), [("torch", "9.9"), ("latentfit", "7"), ("Python", "3.99")])
def test_a_worker_with_other_versions_refuses_in_one_line_that_names_both(tmp_path, monkeypatch, name, there):
    here, later = remote.versions(), iter([remote.versions()])
    monkeypatch.setattr(remote, "versions", lambda: next(later, here | {name: there}))
    told = f"process {os.getpid()} has {name} {there}, and the study {name} {here[name]}; install the same there"
    with pytest.raises(remote.Refused, match=re.escape(told)):
        study(tmp_path)


class Broken(Executor):
    """Whose jobs end with an error."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def submit(self, fn, /, *args, **kwargs):
        future: Future[object] = Future()
        future.set_exception(self.errors.pop(0)) if self.errors else future.set_result(fn(*args, **kwargs))
        return future


def test_a_worker_that_cannot_read_a_job_is_told_with_what_is_expected(tmp_path):
    with pytest.raises(remote.Refused, match=r"ModuleNotFoundError: No module named 'latentfit'\); expected .* torch"):
        study(tmp_path, executor=Broken(ModuleNotFoundError("No module named 'latentfit'")))


def test_a_scheduler_that_cannot_read_a_job_is_told_too():
    """In the words of Dask 2026.8, which were those of one with another latentfit."""
    error = RuntimeError(
        "Error during deserialization of the task graph. ... if the Scheduler and Client have different environments."
    )
    error.__cause__ = ModuleNotFoundError("No module named 'latentfit.sweep.cluster'")
    there = cluster.Cluster(fake_client(Broken(error)))
    told = r"the scheduler cannot read the job \(ModuleNotFoundError: No module named 'latentfit\.sweep\.cluster'\); "
    with pytest.raises(remote.Refused, match=told):
        [*there.train([Job(2, 0)], Work(IMAGES, RECIPE))]


def fake_client(executor: Executor) -> SimpleNamespace:
    return SimpleNamespace(
        asynchronous=False,
        status="running",
        scheduler=SimpleNamespace(address="tcp://there:1"),
        nthreads=lambda: {"a": 1},
        scatter=lambda it, **_: it,
        get_executor=None,
        submit=lambda fn, *args, **_: executor.submit(fn, *args),
    )


def test_a_network_that_kills_its_workers_ends_the_study():
    there = cluster.Cluster(fake_client(Broken(KilledWorker("task", None, 3))))
    with pytest.raises(
        WorkersLost, match="several workers died that trained 2 dimensions, seed 0, most likely for lack"
    ):
        [*there.train([Job(2, 0)], Work(IMAGES, RECIPE))]


@pytest.mark.fault("worker")
def test_a_result_that_is_lost_on_its_way_is_computed_again():
    submitted, cancelled = list[Job](), list[Future[object]]()

    def submit(_, jobs, *rest):
        future: Future[object] = Future()
        future.status = "finished"
        future.set_exception(TimeoutError()) if not submitted else future.set_result(remote.Reply("a network"))
        submitted.extend(jobs)
        return future

    client = fake_client(SimpleNamespace(submit=submit))
    client.cancel = cancelled.extend
    told: list[str] = []
    assert [*cluster.Cluster(client, tell=told.append).train([Job(2, 0)], Work(IMAGES, RECIPE))] == ["a network"]
    assert submitted == [(2, 0), (2, 0)]
    assert len(cancelled) == 1
    assert told[-1] == "2 dimensions, seed 0: a worker was lost, or what it sent; trained again"


def test_images_that_cannot_be_scattered_end_the_study():
    client = fake_client(Never())

    def scatter(*_, **__):
        raise OSError("no room")

    client.scatter = scatter
    with pytest.raises(cluster.SchedulerLost, match="does not answer"):
        [*cluster.Cluster(client).train([Job(2, 0)], Work(IMAGES, RECIPE))]


def test_a_line_for_each_finished_network():
    told: list[str] = []
    there = remote.Remote(Inline(), tell=told.append)
    assert len([*there.train([Job(k, 0) for k in (1, 2, 3)], Work(IMAGES, RECIPE))]) == 3
    assert [line.partition(",")[0] for line in told] == ["network 1 of 3 is trained", "network 2 of 3 is trained"]


class Never(Executor):
    """Whose jobs never end."""

    def submit(self, *_, **__):
        return Future()


@pytest.mark.fault("dask")
def test_patience_ends_a_study_whose_jobs_never_come_back_and_the_rerun_finishes(tmp_path, unbroken):
    with pytest.raises(remote.NothingCame, match=r"no network came back in 0\.001 minutes \(--patience\); .* is kept"):
        study(tmp_path, executor=Never(), patience=0.001)
    study(tmp_path)
    assert contents(tmp_path) == unbroken


@pytest.mark.parametrize("pool", ["spawned", "loky"])
def test_an_executor_gets_the_images_at_most_twice_for_each_worker(tmp_path, unbroken, monkeypatch, pool):
    sent, begin = [], partial(import_module, "latentfit.sweep.job")  # or loky ends the worker that PyTorch made larger
    made = {"spawned": partial(ProcessPoolExecutor, mp_context=get_context("spawn")), "loky": loky.ProcessPoolExecutor}
    noting = lambda self, protocol: (sent.append(1), object.__reduce_ex__(self, protocol))[1]  # noqa: E731
    monkeypatch.setattr(ImageSet, "__reduce_ex__", noting)
    with made[pool](1, initializer=begin) as executor:
        study(tmp_path / "all", executor=executor)
        assert 1 <= len(sent) <= 2
    assert contents(tmp_path / "all") == unbroken


@pytest.mark.fault("worker")
def test_an_executor_whose_workers_are_killed_is_told_and_a_rerun_finishes(tmp_path, unbroken):
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        os.kill(executor.submit(os.getpid).result(), signal.SIGKILL)
        with pytest.raises(
            WorkersLost, match=r"^the executor lost its workers \(.*\); with a new one what is finished"
        ):
            study(tmp_path, executor=executor)
    study(tmp_path)
    assert contents(tmp_path) == unbroken


def test_what_is_trained_ahead_changes_no_byte_and_saves_a_search_steps(tmp_path, monkeypatch):
    asked = {"keep": 0.8, "seeds": 2, "recipe": QUICK}
    plain = study(tmp_path / "plain", None, **asked)
    monkeypatch.setattr(remote.Remote, "idle", lambda self: 2 - len(self.under_way))
    executor = Inline()
    study(tmp_path / "ahead", None, executor=executor, **asked)
    trained = executor.jobs[-len({*executor.jobs}) :]
    assert {*plain.jobs} <= {*trained}
    assert contents(tmp_path / "ahead") == contents(tmp_path / "plain")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"executor": 3}, "executor is a int; expected a concurrent.futures.Executor or a Dask Client"),
        ({"executor": None, "patience": 5}, "patience is for workers of a cluster or an executor"),
        ({"patience": 0}, "patience 0; expected a number of minutes above 0"),
        ({"patience": float("nan")}, "patience nan; expected"),
        ({"patience": "5"}, "patience '5'; expected"),
    ],
)
def test_what_cannot_run_jobs_is_refused_before_anything_is_submitted(tmp_path, options, told):
    with pytest.raises(InputError, match=re.escape(told)):
        study(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_an_asynchronous_client_is_refused():
    fake = fake_client(Never())
    fake.asynchronous = True
    with pytest.raises(InputError, match="the Dask client is asynchronous; expected"):
        cluster.Cluster(fake)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--cluster", "scheduler"], "'scheduler'; expected the address of a Dask scheduler: tcp://scheduler:8786"),
        (
            ["--cluster", "tcp://127.0.0.1:9", "--workers", "2"],
            "--workers is of this machine; expected --cluster without",
        ),
        (["--cluster", "tcp://127.0.0.1:9"], "no scheduler answers at tcp://127.0.0.1:9 ("),
        (["--patience", "5"], "patience is for workers of a cluster"),
        (["--patience", "-1"], "'-1'; expected a number of minutes above 0"),
    ],
)
def test_flags_of_a_cluster_that_cannot_be_are_told_in_a_line(tmp_path, capsys, monkeypatch, flags, told):
    monkeypatch.setattr(cluster, "CONNECT", 0.5)
    monkeypatch.setattr("latentfit.sweep.pool.Workers", lambda _: nullcontext())
    with suppress(SystemExit):
        assert cli.main(["study", "garments", *flags, "--out", str(tmp_path / "out")]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert told in last
    assert not (tmp_path / "out").exists()


def test_without_dask_a_cluster_is_refused_with_the_way_to_have_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=re.escape("pip install 'latentfit[cluster]'")), cluster.connect("tcp://a:1"):
        pass


def test_what_a_scheduler_imports_is_light():
    code = (
        "import latentfit.sweep.cluster, sys; print({'torch', 'sklearn', 'matplotlib', 'distributed'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
