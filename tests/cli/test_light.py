"""What is not needed is not imported: most runs find nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("libcst", "torch", "keras", "tensorflow", "asyncio", "pathspec", "clipcheck.analysis")
SCRIPT = """
import sys
from clipcheck.__main__ import run
try:
    run()
finally:
    print([name for name in {heavy} if name in sys.modules], file=sys.stderr)
"""
INNOCENT = "import numpy as np\n\n\ndef scale(x):\n    return np.clip(x / 255, 0, 1)\n"


def heavy_after(folder: Path, *arguments: str) -> str:
    script = SCRIPT.format(heavy=HEAVY)
    run = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return run.stderr.splitlines()[-1]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["lint", "--help"], ["fix", "--help"]])
def test_help_is_light(tmp_path: Path, arguments: list[str]) -> None:
    assert heavy_after(tmp_path, *arguments) == "[]"


@pytest.mark.parametrize("command", [["lint"], ["lint", "script.py"], ["fix", "--diff"]])
def test_a_run_that_finds_nothing_is_light(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "script.py").write_text(INNOCENT)
    (tmp_path / "other.py").write_text("print(1)\n")
    assert heavy_after(tmp_path, *command, "--isolated", "--no-cache") == "[]"


def test_a_named_file_with_a_syntax_error_is_told_without_reading_it_any_further(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print(1\n")
    assert heavy_after(tmp_path, "lint", "script.py", "--isolated", "--no-cache") == "[]"


def test_a_finding_is_worth_it(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(INNOCENT + "np.clip(y, 0, 1)\n")
    assert "libcst" in heavy_after(tmp_path, "lint", "--isolated", "--no-cache")
