"""The JSON of ruff, key by key, so that what reads ruff's findings reads ours."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TypeAlias

from clipcheck.diagnostic import Diagnostic, FixText, Position, Problem
from clipcheck.report.given import Report

Json: TypeAlias = "str | int | dict[str, Json] | list[Json] | None"


def ruff_json(report: Report) -> Iterator[str]:
    entries = [_problem(problem) for problem in report.problems]
    entries += [_finding(found, report.url(found.code)) for found in report.diagnostics]
    yield json.dumps(entries, indent=2, sort_keys=True) + "\n"


def _finding(found: Diagnostic, url: str | None) -> Json:
    return {
        "cell": found.span.start.cell,
        "code": found.code,
        "end_location": _location(found.span.end),
        "filename": _filename(found.path),
        "fix": _fix(found.fix) if found.fix else None,
        "location": _location(found.span.start),
        "message": found.message,
        "name": found.name,
        "noqa_row": None,
        "url": url,
    }


def _problem(problem: Problem) -> Json:
    """ruff lists a syntax error among the findings, under a code that is no rule's."""
    at = problem.position or Position(1, 1)
    code = "invalid-syntax" if problem.position else "error"
    return {
        "cell": at.cell,
        "code": code,
        "end_location": _location(at),
        "filename": _filename(problem.path),
        "fix": None,
        "location": _location(at),
        "message": problem.message,
        "name": code,
        "noqa_row": None,
        "url": None,
    }


def _fix(fix: FixText) -> Json:
    return {
        "applicability": fix.applicability.value,
        "edits": [
            {
                "content": edit.content,
                "location": _location(edit.span.start),
                "end_location": _location(edit.span.end),
            }
            for edit in fix.edits
        ],
        "message": fix.message,
    }


def _location(position: Position) -> Json:
    return {"column": position.column, "row": position.row}


def _filename(path: str) -> str:
    return path if path == "-" else os.path.abspath(path)  # noqa: PTH100 - Path.resolve would follow links
