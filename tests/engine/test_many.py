"""Many files are linted and fixed in the order of their paths."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from clipcheck.diagnostic import Problem
from clipcheck.engine import jobs, many
from clipcheck.engine.lint import Result
from clipcheck.engine.many import fix_files, lint_files, lint_stream
from clipcheck.engine.registry import load_cards
from clipcheck.settings import Settings
from tests.engine.toy_rules import DEADLY, RULES


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("b.py").write_text("old()\nunfixable()\n")
    Path("a.py").write_text("import os\nold()\n")
    Path("broken.py").write_text("old(\n")
    Path("clean.py").write_text("print(1)\n")
    return tmp_path


FILES = [Path("b.py"), Path("broken.py"), Path("missing.py"), Path("clean.py"), Path("a.py")]


def test_results_are_sorted_by_path(folder: Path) -> None:
    result = lint_files([*FILES, Problem("a-folder", "no such file or directory")], RULES, Settings())
    assert [(found.path, found.code) for found in result.diagnostics] == [
        ("a.py", "TOY201"),
        ("b.py", "TOY201"),
        ("b.py", "TOY101"),
    ]
    assert [(problem.path, problem.message) for problem in result.problems] == [
        ("a-folder", "no such file or directory"),
        ("broken.py", "SyntaxError: '(' was never closed"),
        ("missing.py", "No such file or directory"),
    ]


def test_the_work_can_be_spread(folder: Path) -> None:
    alone = lint_files(FILES, RULES, Settings())
    with ThreadPoolExecutor(2) as threads:
        assert lint_files(FILES, RULES, Settings(), executor=threads) == alone
        assert list(lint_stream(FILES, RULES, Settings(), executor=threads, batch=100)) == [alone]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        assert lint_files(FILES, RULES, Settings(), executor=processes) == alone


def test_any_number_of_files_may_flow(folder: Path) -> None:
    """What is asked for is no more than what can be under way, and what is clean is not told."""
    asked = 0

    def endless() -> Iterator[str | Problem]:
        nonlocal asked
        while True:
            asked += 4
            yield from ["a.py", "clean.py", Problem("x", "is no file"), "clean.py"]

    with ThreadPoolExecutor(2) as threads:
        stream = lint_stream(endless(), RULES, Settings(), executor=threads, batch=3, ahead=2)
        results = list(islice(stream, 10))
        stream.close()
    assert {found.path for result in results for found in result.diagnostics} == {"a.py"}
    assert {problem.path for result in results for problem in result.problems} == {"x"}
    assert asked < 100


def test_what_travels_is_small(folder: Path) -> None:
    sizes: list[int] = []

    class Weighing(ThreadPoolExecutor):
        def submit(self, *arguments: Any, **keywords: Any) -> Future[Any]:
            sizes.append(len(pickle.dumps(arguments)))
            return super().submit(*arguments, **keywords)

    with Weighing(1) as threads:
        lint_files([f"{number:06}.py" for number in range(64)], load_cards(), Settings(), executor=threads)
    assert len(sizes) == 1
    assert sizes[0] < 20_000


@pytest.fixture
def many_files(folder: Path) -> list[str]:
    for number in range(40):
        text = ["print(1)\n", "old()\n", "risky()\nunfixable()\n", "old(\n"][number % 4]
        Path(f"{number:02}.py").write_text(text)
    return [str(path) for path in Path().glob("*.py")]


@pytest.mark.parametrize("share", [1, 100, 10**9])
def test_what_is_told_does_not_depend_on_the_number_of_processes(
    many_files: list[str], monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    monkeypatch.setattr(many, "_BATCH_FILES", 3)
    monkeypatch.setattr(many, "_SHARE", share)
    alone = lint_files(many_files, RULES, Settings(), jobs=1)
    assert lint_files(reversed(many_files), RULES, Settings(), jobs=3) == alone
    alone_fixed = fix_files(many_files, RULES, Settings(), unsafe=True, write=False, jobs=1)
    assert fix_files(many_files, RULES, Settings(), unsafe=True, write=False, jobs=3) == alone_fixed
    assert [found.code for result in alone_fixed for found in result.diagnostics].count("TOY101") == 11


@pytest.mark.parametrize(
    ("share", "jobs", "started"), [(10**6, 8, None), (100, 1, None), (300, 2, None), (150, 2, 2), (100, 8, 3)]
)
def test_processes_are_started_only_when_the_work_pays_for_them(
    many_files: list[str], monkeypatch: pytest.MonkeyPatch, share: int, jobs: int, started: int | None
) -> None:
    """Of the files some 380 bytes are to be checked."""
    monkeypatch.setattr(many, "_SHARE", share)
    with mock.patch("clipcheck.engine.jobs.in_processes", return_value=[]) as processes:
        lint_files(many_files, RULES, Settings(), jobs=jobs)
    assert [call.args[2] for call in processes.call_args_list] == ([started] if started else [])


def test_with_one_core_nothing_is_spread(many_files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "_SHARE", 1)
    monkeypatch.setattr(jobs, "available_cores", lambda: 1)
    alone = lint_files(many_files, RULES, Settings(), jobs=1)
    with mock.patch("clipcheck.engine.jobs.in_processes") as processes:
        assert lint_files(many_files, RULES, Settings(), jobs=None) == alone
    assert processes.call_count == 0


def test_large_files_without_anything_in_them_start_no_process(folder: Path) -> None:
    Path("large.py").write_text("print(1)\n" * 100_000)
    with mock.patch("clipcheck.engine.jobs.in_processes") as processes:
        assert lint_files(["large.py"], RULES, Settings(), jobs=8) == Result()
    assert processes.call_count == 0


def test_a_process_that_dies_is_a_problem_and_the_others_are_checked(
    many_files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "_SHARE", 1)
    Path("15.py").write_text("deadly()\n")
    alive = lint_files([path for path in many_files if path != "15.py"], RULES, Settings())
    result = lint_files(many_files, (*RULES, DEADLY), Settings(), jobs=2)
    assert result.diagnostics == alive.diagnostics
    assert [problem for problem in result.problems if problem not in alive.problems] == [
        Problem("15.py", "not checked: the process that checked it was ended from outside (for want of memory?)")
    ]


def test_an_executor_that_loses_work_is_a_problem(folder: Path) -> None:
    Path("deadly.py").write_text("deadly()\n")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        result = lint_files(["deadly.py"], (*RULES, DEADLY), Settings(), executor=processes)
    assert [problem.path for problem in result.problems] == ["deadly.py"]


def test_a_dask_cluster_can_do_it(folder: Path) -> None:
    distributed = pytest.importorskip("distributed")
    alone = lint_files(FILES, RULES, Settings())
    absolute = [folder / path for path in FILES]
    with (
        distributed.Client(processes=True, n_workers=2, threads_per_worker=1, dashboard_address=":0") as client,
        client.get_executor() as executor,
    ):
        (result,) = lint_stream(absolute, RULES, Settings(), executor=executor)
        assert [Path(found.path).name for found in result.diagnostics] == [found.path for found in alone.diagnostics]
        assert len(result.problems) == 2
        fixed = fix_files(absolute, RULES, Settings(), executor=executor)
    assert Path("a.py").read_text() == "import os\nimport new\nnew.one()\n"
    assert sum(own.count for each in fixed for own in each.fixed) == 2


def test_files_are_fixed_in_their_places(folder: Path) -> None:
    results = fix_files(FILES, RULES, Settings())
    assert Path("a.py").read_text() == "import os\nimport new\nnew.one()\n"
    assert Path("b.py").read_text() == "import new\n\nnew.one()\nunfixable()\n"
    assert Path("broken.py").read_text() == "old(\n"
    assert [len(result.problems) for result in results] == [0, 0, 1, 1]
    assert [result.is_changed for result in results] == [True, True, False, False]


def test_nothing_is_written_unless_wanted(folder: Path) -> None:
    results = fix_files(FILES, RULES, Settings(), write=False)
    assert Path("a.py").read_text() == "import os\nold()\n"
    assert results[0].document is not None
    assert results[0].document.code == "import os\nimport new\nnew.one()\n"


def test_a_file_that_cannot_be_written_is_a_problem_and_its_findings_are_left(folder: Path) -> None:
    with mock.patch("os.replace", side_effect=OSError(30, "Read-only file system")):
        (result,) = fix_files([Path("a.py")], RULES, Settings())
    assert Path("a.py").read_text() == "import os\nold()\n"
    assert not result.is_changed
    assert result.fixed == ()
    assert [found.code for found in result.diagnostics] == ["TOY201"]
    assert [problem.message for problem in result.problems] == ["Read-only file system"]
