"""One line a finding."""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.report.given import Report, place


def concise(report: Report) -> Iterator[str]:
    for found in report.diagnostics:
        code = report.paint(found.code, "code")
        yield f"{place(found.path, found.span.start)}: {code} {report.mark(found)}{found.message}\n"
