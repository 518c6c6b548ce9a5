"""Everything about a finding: the code, the evidence, why it is wrong, and what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from clipcheck.applicability import Applicability
from clipcheck.diagnostic import Diagnostic, FixText, Span
from clipcheck.report.given import Report, place
from clipcheck.report.snippet import Gutter, Mark, around, draw, first_line_only

CHANGES = {
    Applicability.SAFE: "safe: what is trained stays the same",
    Applicability.UNSAFE: "unsafe: what is trained changes",
}


def full(report: Report) -> Iterator[str]:
    for found in report.diagnostics:
        yield from _finding(found, report)
        yield "\n"


def _finding(found: Diagnostic, report: Report) -> Iterator[str]:
    paint = report.paint
    marks = [_evidence(note.span, note.words) for note in found.evidence]
    primary = Mark(found.span, "^", "primary")
    gutter = Gutter(len(str(max(mark.last for mark in [primary, *marks]) + 2)), paint)
    yield f"{paint(found.code, 'code')} {report.mark(found)}{paint(found.message, 'headline')}\n"
    yield gutter.sign("-->", place(found.path, found.span.start))
    yield from _source(primary, marks, found, report, gutter)
    for label, text in _remarks(found):
        yield from _remark(label, text, gutter, report.width())


def _source(primary: Mark, marks: Sequence[Mark], found: Diagnostic, report: Report, gutter: Gutter) -> Iterator[str]:
    cell = found.span.start.cell
    lines = report.lines(found.path, cell)
    if primary.last > len(lines):  # The file changed since it was read.
        return
    rows = around(primary, lines)
    near = [mark for mark in marks if mark.span.start.cell == cell and mark.first in rows]
    yield gutter.line()
    yield from draw(lines, [primary, *(first_line_only(mark, lines) for mark in near)], rows, gutter)
    yield gutter.line()
    far = sorted((mark for mark in marks if mark not in near), key=_cell_and_row)
    for other, group in groupby(far, key=lambda mark: mark.span.start.cell):
        yield from _elsewhere(found.path, other, cell, list(group), report, gutter)


def _elsewhere(
    path: str, cell: int | None, own: int | None, marks: list[Mark], report: Report, gutter: Gutter
) -> Iterator[str]:
    lines = report.lines(path, cell)
    marks = [first_line_only(mark, lines) for mark in marks if mark.first <= len(lines)]
    if not marks:
        return
    yield gutter.sign(":::", "evidence" if cell == own else f"evidence in cell {cell}")
    yield gutter.line()
    yield from draw(lines, marks, [mark.first for mark in marks], gutter)
    yield gutter.line()


def _remarks(found: Diagnostic) -> Iterator[tuple[str, str]]:
    yield "why", found.why
    yield "help", found.advice
    if found.fix is not None:
        yield "fix", _fix(found.fix)
    yield "rule", f"{found.name}, see `clipcheck rule {found.code}`"


def _fix(fix: FixText) -> str:
    return f"{fix.message} ({CHANGES[fix.applicability]})"


def _remark(label: str, text: str, gutter: Gutter, width: int) -> Iterator[str]:
    if not text:
        return
    lead = f"{' ' * gutter.width} {gutter.paint('=', 'gutter')} {gutter.paint(f'{label}:', 'label')} "
    indent = " " * (gutter.width + len(f" = {label}: "))
    lines = textwrap.wrap(" ".join(text.split()), width - len(indent), break_long_words=False, break_on_hyphens=False)
    for line in lines:
        yield f"{lead}{line}\n"
        lead = indent


def _evidence(span: Span, words: str) -> Mark:
    return Mark(span, "-", "evidence", words)


def _cell_and_row(mark: Mark) -> tuple[int, int, int]:
    start = mark.span.start
    return (start.cell or 0, start.row, start.column)
