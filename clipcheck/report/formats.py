"""The output formats by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TypeAlias

from clipcheck.report.given import Report

Format: TypeAlias = Callable[[Report], Iterator[str]]
"""Yields the text to print, piece by piece, line ends included."""

_ONE_BY_ONE = ("full", "concise")
"""Those that print nothing where nothing was found."""


def _format(name: str) -> Format:
    """The function of that name in the module of that name, which is imported when it has something to tell."""

    def told(report: Report) -> Iterator[str]:
        if not report.diagnostics and name in _ONE_BY_ONE:
            return iter(())
        told_by: Format = getattr(import_module(f"clipcheck.report.{name}"), name)
        return told_by(report)

    return told


FORMATS: dict[str, Format] = {
    "full": _format("full"),
    "concise": _format("concise"),
    "json": _format("ruff_json"),
    "github": _format("github"),
}
