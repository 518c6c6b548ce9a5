from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result

from clipcheck.cli.main import cli
from tests.checkout import ROOT

PACK = "tests.cli.house_rules"

Clipcheck: TypeAlias = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a project whose settings ask for the rules of this folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    settings(tmp_path)
    return tmp_path


def settings(folder: Path, *lines: str) -> None:
    (folder / "clipcheck.toml").write_text("\n".join([f'rule-packs = ["{PACK}"]', *lines, ""]))


@pytest.fixture
def clipcheck(project: Path) -> Clipcheck:
    """The command, run in this process."""

    def run(*arguments: str | Path, stdin: bytes | str | None = None) -> Result:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def process(
    *arguments: str | Path, cwd: Path, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """The command, run in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "clipcheck", *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
