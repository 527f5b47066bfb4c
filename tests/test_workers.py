from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers import RECIPE, contents, small_clothes

from latentfit.errors import InputError
from latentfit.sweep import pool, run, workers
from latentfit.sweep.workers import BASE, Crew

IMAGES = small_clothes()
NEED = 500 * 10**6
GB = 10**9
KB = 1024
UNLIMITED = 9223372036854771712  # as version 1 says it


@pytest.mark.fault("few-workers")
@pytest.mark.parametrize(
    ("jobs", "cores", "limits", "count", "reason"),
    [
        (10, 8, {}, 8, ""),
        (3, 8, {}, 3, ""),
        (10, 8, {"memory": 2, "quota": 4}, 2, "memory"),
        (10, 8, {"memory": 4, "quota": 2}, 2, "quota"),
        (10, 8, {"memory": 3, "quota": 3}, 3, "memory"),
        (10, 8, {"memory": 0}, 1, "memory"),
        (10, 8, {"memory": -3}, 1, "memory"),
        (2, 8, {"memory": 2}, 2, ""),  # as many as there are networks: nothing is lost
        (10, 8, {"memory": 90}, 8, ""),
        (1, 1, {"memory": 0}, 1, ""),
    ],
)
def test_the_smallest_limit_counts_and_is_named_where_it_costs_a_worker(jobs, cores, limits, count, reason):
    assert workers.of_use(jobs, cores, limits) == (count, reason)


def written(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


OWN, V2 = "proc/self/cgroup", "sys/fs/cgroup"


@pytest.mark.fault("few-workers")
@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({OWN: "0::/\n", f"{V2}/cpu.max": "max 100000\n"}, None),
        ({OWN: "0::/\n", f"{V2}/cpu.max": "200000 100000\n"}, 2),
        ({OWN: "0::/\n", f"{V2}/cpu.max": "150000 100000\n"}, 2),
        ({OWN: "0::/a/b\n", f"{V2}/a/cpu.max": "300000 100000\n", f"{V2}/a/b/cpu.max": "max 100000\n"}, 3),
        ({OWN: "0::/a/b\n", f"{V2}/a/cpu.max": "300000 100000\n", f"{V2}/a/b/cpu.max": "100000 100000\n"}, 1),
        ({OWN: "0::/a\n", f"{V2}/b/cpu.max": "100000 100000\n"}, None),  # another's
        (
            {
                OWN: "3:cpu,cpuacct:/a\n0::/a\n",
                f"{V2}/cpu/a/cpu.cfs_quota_us": "400000\n",
                f"{V2}/cpu/a/cpu.cfs_period_us": "100000\n",
                f"{V2}/cpu/cpu.cfs_quota_us": "-1\n",
                f"{V2}/cpu/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
    ],
)
def test_the_cpu_quota_of_this_process_and_of_the_groups_around_it(tmp_path, files, quota):
    assert workers.cpu_quota(written(tmp_path, files)) == quota


MEMINFO = {"proc/meminfo": f"MemTotal: {9 * GB // KB} kB\nMemAvailable: {8 * GB // KB} kB\n"}


@pytest.mark.fault("few-workers")
@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, None),
        (MEMINFO, 8 * GB),
        (MEMINFO | {OWN: "0::/\n", f"{V2}/memory.max": "max\n", f"{V2}/memory.current": "5\n"}, 8 * GB),
        (MEMINFO | {OWN: "0::/\n", f"{V2}/memory.max": f"{2 * GB}", f"{V2}/memory.current": f"{GB}"}, GB),
        ({OWN: "0::/a\n", f"{V2}/a/memory.max": f"{2 * GB}", f"{V2}/a/memory.current": f"{GB}"}, GB),
        (
            {
                OWN: "0::/a\n",
                f"{V2}/memory.max": f"{3 * GB}",
                f"{V2}/memory.current": f"{GB}",
                f"{V2}/memory.stat": f"anon 7\ninactive_file {GB}\n",
            },
            3 * GB,
        ),
        (
            MEMINFO
            | {
                OWN: "4:memory:/job\n1:cpu:/\n",
                f"{V2}/memory/job/memory.limit_in_bytes": f"{4 * GB}",
                f"{V2}/memory/job/memory.usage_in_bytes": f"{GB}",
                f"{V2}/memory/memory.limit_in_bytes": f"{UNLIMITED}",
                f"{V2}/memory/memory.usage_in_bytes": f"{5 * GB}",
            },
            3 * GB,
        ),
        ({OWN: "0::/\n", f"{V2}/memory.max": "5", f"{V2}/memory.current": "9"}, 1),
    ],
)
def test_the_memory_that_is_left(tmp_path, files, free):
    assert workers.free_memory(written(tmp_path, files)) == free


@pytest.mark.fault("few-workers")
def test_each_limit_is_counted_in_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: {0, 1, 5}, raising=False)
    monkeypatch.setattr(workers.loky, "cpu_count", lambda: 6)
    files = {OWN: "0::/\n", f"{V2}/cpu.max": "400000 100000", f"{V2}/memory.max": f"{BASE + 3 * NEED}"}
    root = written(tmp_path, files | {f"{V2}/memory.current": "1"})
    assert workers.allowed(NEED, root) == {
        "the memory": 2,
        "the cgroup's CPU quota": 4,
        "the affinity mask": 3,
        "LOKY_MAX_CPU_COUNT": 6,
    }


def test_a_larger_network_needs_more_memory():
    weights = 2 * (784 * 512 + 512 * 256 + 256 * 16)
    assert workers.need((784, 512, 256, 16)) - BASE == 7 * 4 * weights + 4 * 4 * 1000 * 784


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(workers.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(workers, "allowed", lambda *_, **__: {"the memory": 2, "the affinity mask": 6})


@pytest.mark.fault("few-workers")
@pytest.mark.parametrize(
    ("asked", "jobs", "device", "count", "told"),
    [
        (None, 10, "cpu", 2, ["2 of 8 cores are used: the memory allows 2 workers (--workers N)"]),
        (None, 2, "cpu", 2, []),
        (None, 10, "cuda", 1, []),
        (5, 10, "cpu", 5, []),
        (5, 3, "cpu", 3, []),
        (5, 10, "mps", 1, []),
    ],
)
def test_fewer_workers_than_cores_are_told_once_with_the_reason(eight_cores, asked, jobs, device, count, told):
    lines = []
    crew = Crew(asked, lines.append)
    assert [crew.size(jobs, NEED, device) for _ in range(2)] == [count, count]
    starting = f"{count} worker{'s' * (count > 1)} for {jobs} networks"
    assert lines == [*told, starting, starting]
    assert Crew(asked).size(jobs, NEED, device) == count  # nobody listens


def test_of_many_networks_each_is_told_while_others_wait():
    lines = []
    crew = Crew(2, lines.append)
    crew.size(5, NEED)
    for seconds in (10, 12, 14, 10, 10):
        crew.note(seconds)
    assert [line.removesuffix(" left for the others") for line in lines[1:]] == [
        "network 1 of 5 is trained, about 20 s",
        "network 2 of 5 is trained, about 16 s",
        "network 3 of 5 is trained, about 12 s",
    ]
    lines.clear()
    crew.size(2, NEED)
    crew.note(10)
    assert len(lines) == 1


@pytest.mark.parametrize("asked", [0, -1, 1.5, "2", True])
def test_a_number_of_workers_that_is_none_is_refused_before_anything_starts(tmp_path, asked):
    with pytest.raises(InputError, match=r"number of workers .*; expected a whole number, 1 or more"):
        run.study(small_clothes(), (2,), recipe=RECIPE, out=tmp_path / "out", workers=asked)
    assert not (tmp_path / "out").exists()


def test_the_same_bytes_for_any_number_of_workers(tmp_path, monkeypatch):
    from latentfit.sweep import pool

    made = []
    whole = pool.loky.ProcessPoolExecutor
    monkeypatch.setattr(pool.loky, "ProcessPoolExecutor", lambda n, **kw: made.append(n) or whole(n, **kw))
    for count in (1, 9):
        run.study(small_clothes(), (2, 4), recipe=RECIPE, out=tmp_path / str(count), workers=count)
    assert made == [1, 2]  # no more than networks
    assert contents(tmp_path / "1") == contents(tmp_path / "9")


def test_workers_that_were_started_early_train_where_they_are_as_many_as_are_wanted(tmp_path, monkeypatch):
    started = pool.Workers
    with started(2) as early:
        monkeypatch.setattr(pool, "Workers", None)  # no others are made
        run.study(IMAGES, (2, 3), recipe=RECIPE, out=tmp_path / "early", workers=2, early=early)
    monkeypatch.setattr(pool, "Workers", started)
    with pool.Workers(1) as early:
        run.study(IMAGES, (2, 3), recipe=RECIPE, out=tmp_path / "other", workers=2, early=early)
        with pytest.raises(RuntimeError):  # stopped, since two were wanted
            early.executor.submit(os.getpid)
    assert contents(tmp_path / "early") == contents(tmp_path / "other")


def test_the_pool_is_there_before_pytorch():
    code = "import latentfit.sweep.pool, sys; print({'torch', 'sklearn', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.fault("worker")
@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in /proc")
def test_a_worker_that_dies_before_it_has_anything_to_do_is_replaced(tmp_path):
    run.study(IMAGES, (2,), recipe=RECIPE, out=tmp_path / "plain", workers=1)
    with pool.Workers(1) as early:
        os.kill(early.executor.submit(os.getpid).result(), signal.SIGKILL)
        while not early.executor._flags.broken:
            time.sleep(0.05)
        run.study(IMAGES, (2,), recipe=RECIPE, out=tmp_path / "killed", workers=1, early=early)
    assert contents(tmp_path / "killed") == contents(tmp_path / "plain")


def test_what_running_workers_hold_is_not_taken_from_them(tmp_path):
    root = written(tmp_path, {"proc/meminfo": f"MemAvailable: {GB // KB} kB\n"})
    alone, beside = (workers.allowed(BASE, root, running)["the memory"] for running in (0, 2))
    assert (alone, beside) == ((GB - BASE) // BASE, (GB + BASE) // BASE)
