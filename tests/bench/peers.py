"""The tools that are compared: how each is installed and called."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.checkout import copy_checkout

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
OWN = "clipcheck"
"""Our own environment: installed as a user has it, without the detours of an editable install."""
# TorchFix pins an older LibCST, so that it cannot share an environment with the others.
ENVIRONMENTS = {
    "peers": ["ruff==0.17.5", "fixit==2.2.1", "pylint==4.1.4"],
    "torchfix": ["torchfix==0.7.0", "flake8==7.5.0"],
}


@dataclass(frozen=True)
class Tool:
    """One way to call a tool.

    `command` is given the path and the cache's folder; `is_warm` says that its cache is filled before it is measured.
    A slow tool is not run on the whole corpus unless that is asked for.
    """

    name: str
    environment: str
    command: Callable[[Path, Path], list[str]]
    is_warm: bool = False
    is_slow: bool = False
    accepted: range = range(2)

    @property
    def peer(self) -> str:
        return self.name.split()[0].strip(",")


TOOLS = [
    Tool("clipcheck", OWN, lambda path, _: ["clipcheck", "lint", "--isolated", "--no-cache", str(path)]),
    Tool(
        "clipcheck, warm",
        OWN,
        lambda path, cache: ["clipcheck", "lint", "--isolated", "--cache-dir", str(cache), str(path)],
        is_warm=True,
    ),
    Tool("ruff, default rules", "peers", lambda path, _: ["ruff", "check", "--isolated", "--no-cache", str(path)]),
    Tool(
        "ruff, one rule",
        "peers",
        lambda path, _: ["ruff", "check", "--isolated", "--no-cache", "--select=B006", str(path)],
    ),
    Tool(
        "ruff, one rule, warm",
        "peers",
        lambda path, cache: ["ruff", "check", "--isolated", f"--cache-dir={cache}", "--select=B006", str(path)],
        is_warm=True,
    ),
    Tool(
        "fixit, one rule",
        "peers",
        lambda path, _: ["fixit", "--rules", "fixit.rules.no_static_if_condition", "lint", str(path)],
        is_slow=True,
    ),
    Tool(
        "flake8 --select=TOR",
        "torchfix",
        lambda path, _: ["flake8", "--isolated", "--select=TOR", f"-j{CORES}", str(path)],
        is_slow=True,
    ),
    Tool(
        "pylint, one check",
        "peers",
        lambda path, _: [
            *("pylint", "--rcfile=/dev/null", "--disable=all", "--enable=dangerous-default-value"),
            *("--recursive=y", f"-j{CORES}", str(path)),
        ],
        is_slow=True,
        accepted=range(32),
    ),
]


def command(tool: Tool, workdir: Path, path: Path, cache: Path) -> list[str]:
    """The command, with the program of its own environment."""
    program, *arguments = tool.command(path, cache)
    return [str(workdir / tool.environment / "bin" / program), *arguments]


def install(tools: list[Tool], workdir: Path) -> None:
    """Make the environments that are not there, and install clipcheck as it is now."""
    for name in sorted({tool.environment for tool in tools} & set(ENVIRONMENTS)):
        if not (workdir / name / "ready").exists():
            _pip(workdir / name, *ENVIRONMENTS[name])
            (workdir / name / "ready").touch()
    with tempfile.TemporaryDirectory() as folder:
        _pip(workdir / OWN, "--upgrade", "--force-reinstall", "--no-deps", str(copy_checkout(Path(folder) / "copy")))
        _pip(workdir / OWN, "clipcheck")  # what it needs


def _pip(environment: Path, *arguments: str) -> None:
    if not (environment / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([str(environment / "bin" / "pip"), "install", *quiet, *arguments], check=True)
