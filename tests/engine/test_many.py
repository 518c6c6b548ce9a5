"""Many files are linted and fixed in the order of their paths."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import pytest

from clipcheck.diagnostic import Problem
from clipcheck.engine.many import fix_files, lint_files
from clipcheck.settings import Settings
from tests.engine.toy_rules import RULES


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
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        assert lint_files(FILES, RULES, Settings(), executor=processes) == alone


def test_files_are_fixed_in_their_places(folder: Path) -> None:
    results = fix_files(FILES, RULES, Settings())
    assert Path("a.py").read_text() == "import os\nimport new\nnew.one()\n"
    assert Path("b.py").read_text() == "import new\n\nnew.one()\nunfixable()\n"
    assert Path("broken.py").read_text() == "old(\n"
    assert [len(result.problems) for result in results] == [0, 0, 1, 0, 1]
    assert [result.is_changed for result in results] == [True, True, False, False, False]


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
