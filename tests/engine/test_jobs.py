"""Batches are worked off by other processes, in order, whatever happens to those."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from clipcheck.engine import jobs
from clipcheck.engine.jobs import available_cores, in_processes, on_executor

BATCHES = [["a", "b"], ["c"], ["d", "deadly", "e"], ["f"]]


def shout(word: str) -> str:
    if word == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "wrong":
        raise LookupError(word)
    return word.upper()


def lost(word: str, error: Exception) -> str:
    return f"{word} is lost: {type(error).__name__}"


def test_results_come_in_the_order_of_the_batches() -> None:
    batches = [[str(number)] for number in range(200)]
    assert list(in_processes(shout, batches, 3, lost=lost)) == batches


def test_a_process_that_dies_costs_one_file() -> None:
    assert list(in_processes(shout, BATCHES, 2, lost=lost)) == [
        ["A", "B"],
        ["C"],
        ["D", "deadly is lost: BrokenProcessPool", "E"],
        ["F"],
    ]


@pytest.mark.parametrize("error", [OSError(11, "Resource temporarily unavailable"), ImportError("no semaphores")])
def test_where_there_are_no_processes_the_work_is_done_all_the_same(error: Exception) -> None:
    with mock.patch("multiprocessing.context.BaseContext.SimpleQueue", side_effect=error):
        assert list(in_processes(shout, [["a", "b"], ["c"]], 2, lost=lost)) == [["A", "B"], ["C"]]


def test_no_process_is_left_behind() -> None:
    before = set(multiprocessing.active_children())
    endless = ([str(number)] for number in count())
    results = in_processes(shout, endless, 2, lost=lost)
    assert next(results) == ["0"]
    results.close()
    assert set(multiprocessing.active_children()) <= before


def test_an_interrupt_ends_the_processes() -> None:
    before = set(multiprocessing.active_children())

    def batches() -> Iterator[list[str]]:
        yield ["a"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(in_processes(shout, batches(), 2, lost=lost))
    assert set(multiprocessing.active_children()) <= before


def test_a_batch_that_fails_on_an_executor_is_tried_again_file_by_file() -> None:
    with ThreadPoolExecutor(2) as threads:
        done = list(on_executor(shout, [["a", "wrong", "b"], ["c"]], threads, ahead=2, lost=lost))
    assert done == [["A", "wrong is lost: LookupError", "B"], ["C"]]


class Counting(ThreadPoolExecutor):
    """Knows how many of its futures nobody has taken yet."""

    def __init__(self) -> None:
        super().__init__(1)
        self.sent = 0

    def submit(self, *arguments: Any, **keywords: Any) -> Future[Any]:
        self.sent += 1
        return super().submit(*arguments, **keywords)


def test_only_so_many_batches_are_under_way() -> None:
    endless = ([str(number)] for number in count())
    with Counting() as executor:
        results = on_executor(shout, endless, executor, ahead=5, lost=lost)
        assert list(islice(results, 20)) == [[str(number)] for number in range(20)]
        assert executor.sent == 24
        results.close()


def test_the_cores_are_those_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    monkeypatch.setattr(jobs, "_granted_cores", lambda root: None)
    assert available_cores() == 3
    monkeypatch.setattr(jobs, "_granted_cores", lambda root: 2)
    assert available_cores() == 2
    monkeypatch.setattr(jobs, "_granted_cores", lambda root: 64)
    assert available_cores() == 3


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "10000 100000\n"}, 1),
        (
            {
                "proc/self/cgroup": "0::/a.slice/b.service\n",
                "sys/fs/cgroup/a.slice/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/a.slice/b.service/cpu.max": "max 100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "9:pids:/x\n4:cpu,cpuacct:/docker/x\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
    ],
)
def test_the_quota_of_the_control_groups(tmp_path: Path, files: dict[str, str], cores: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert jobs._granted_cores(tmp_path) == cores
