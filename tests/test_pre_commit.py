"""The hooks as pre-commit runs them: cloned, installed into an environment of their own, on staged files."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.checkout import copy_checkout

WRONG = """\
import torch


def step(model, optimizer):
    torch.nn.utils.clip_grad_norm(model.parameters(), 1.0)
    optimizer.step()
"""
RIGHT = WRONG.replace("clip_grad_norm(", "clip_grad_norm_(")


def git(folder: Path, *arguments: str) -> str:
    name = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    done = subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that publishes the hooks: this checkout."""
    folder = copy_checkout(tmp_path_factory.mktemp("hooks") / "clipcheck")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "All")
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where pre-commit may install without a network: the packages that the tests run with are there already."""
    return {
        **os.environ,
        "PRE_COMMIT_HOME": str(tmp_path_factory.mktemp("pre-commit")),
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # That is how pip wants it said: it turns the isolation itself on or off.
    }


@pytest.fixture
def project(tmp_path: Path, hooks: Path) -> Path:
    """Somebody's project that uses both hooks."""
    git(tmp_path, "init", "--quiet")
    config = f"""\
repos:
  - repo: {hooks}
    rev: {git(hooks, "rev-parse", "HEAD")}
    hooks:
      - id: clipcheck-fix
      - id: clipcheck
"""
    (tmp_path / ".pre-commit-config.yaml").write_text(config)
    return tmp_path


def pre_commit(hook: str, project: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    git(project, "add", ".")
    command = [sys.executable, "-m", "pre_commit", "run", "--all-files", "--color=never", hook]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_the_hooks_find_fix_and_pass(project, environment):
    script = project / "train.py"
    script.write_text(WRONG)

    found = pre_commit("clipcheck", project, environment)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "CLP602" in found.stdout
    assert script.read_text() == WRONG

    fixed = pre_commit("clipcheck-fix", project, environment)
    assert "files were modified by this hook" in fixed.stdout, fixed.stdout + fixed.stderr
    assert fixed.returncode == 1
    assert script.read_text() == RIGHT

    for hook in ("clipcheck", "clipcheck-fix"):
        passed = pre_commit(hook, project, environment)
        assert passed.returncode == 0, passed.stdout + passed.stderr
        assert "Passed" in passed.stdout


def test_the_hooks_take_notebooks_and_leave_other_files_alone(project, environment):
    (project / "notes.md").write_text(WRONG)
    skipped = pre_commit("clipcheck", project, environment)
    assert skipped.returncode == 0, skipped.stdout + skipped.stderr
    assert "no files to check" in skipped.stdout

    (project / "notes.ipynb").write_text("{ no notebook")
    broken = pre_commit("clipcheck", project, environment)
    assert "exit code: 2" in broken.stdout, broken.stdout + broken.stderr
    assert "notes.ipynb" in broken.stdout
