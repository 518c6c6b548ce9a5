"""Annotations for GitHub: https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions."""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.diagnostic import Diagnostic, Problem
from clipcheck.report.given import Report, place


def github(report: Report) -> Iterator[str]:
    for problem in report.problems:
        yield _problem(problem)
    for found in report.diagnostics:
        yield _finding(found)


def _finding(found: Diagnostic) -> str:
    start, end = found.span.start, found.span.end
    if start.cell is None:
        spot: dict[str, int] = {"line": start.row, "col": start.column, "endLine": end.row, "endColumn": end.column}
    else:  # GitHub shows a notebook as JSON: the row within a cell is no row of the file.
        spot = {"line": 1}
    message = f"{place(found.path, start)}: {found.code} {found.message}\n{found.advice}"
    return _command(found.code, found.path, spot, message)


def _problem(problem: Problem) -> str:
    at = problem.position
    if at is None:
        return _command("error", problem.path, {}, f"{problem.path}: {problem.message}")
    spot = {"line": at.row, "col": at.column} if at.cell is None else {"line": 1}
    return _command("error", problem.path, spot, f"{place(problem.path, at)}: {problem.message}")


def _command(code: str, path: str, spot: dict[str, int], message: str) -> str:
    properties = {"title": f"clipcheck ({code})", "file": path, **spot}
    listed = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::error {listed}::{_data(message)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
