"""The files of this checkout, for tests that build or install them."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
INSTALLED = [
    "clipcheck",
    "rules",
    "pyproject.toml",
    "setup.py",
    "README.md",
    "LICENSE",
    ".pre-commit-hooks.yaml",
]
"""What it takes to install clipcheck."""


def copy_checkout(target: Path) -> Path:
    """A copy in which to build, so that nothing is left behind in the checkout."""
    target.mkdir()
    for name in INSTALLED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / name)
    return target


def python_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}
