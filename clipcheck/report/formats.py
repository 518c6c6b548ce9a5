"""The output formats by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from clipcheck.report.concise import concise
from clipcheck.report.full import full
from clipcheck.report.github import github
from clipcheck.report.given import Report
from clipcheck.report.ruff_json import ruff_json

Format: TypeAlias = Callable[[Report], Iterator[str]]
"""Yields the text to print, piece by piece, line ends included."""

FORMATS: dict[str, Format] = {
    "full": full,
    "concise": concise,
    "json": ruff_json,
    "github": github,
}
