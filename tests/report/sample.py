"""Findings to report, made by hand."""

from __future__ import annotations

from clipcheck.applicability import Applicability
from clipcheck.diagnostic import Diagnostic, FixText, NoteText, Position, Span, TextEdit
from clipcheck.report import FORMATS, Report
from clipcheck.report.colour import PLAIN, Paint

SOURCE = """\
import torch
from torch import nn

critic = nn.Linear(2, 1)
clip_value = 0.01


def train(batches):
    for real, fake in batches:
        for p in critic.parameters():
            torch.clamp(p, -clip_value, clip_value)
""".splitlines()


def span(row: int, column: int, end_row: int, end_column: int, cell: int | None = None) -> Span:
    return Span(Position(row, column, cell), Position(end_row, end_column, cell))


def fix(applicability: Applicability) -> FixText:
    return FixText("Clamp `p` in place", applicability, (TextEdit(span(11, 13, 11, 24), "p.data.clamp_"),))


def diagnostic(
    where: Span,
    *evidence: NoteText,
    code: str = "CLP301",
    path: str = "train.py",
    applicability: Applicability | None = None,
) -> Diagnostic:
    return Diagnostic(
        path=path,
        code=code,
        name="discarded-clip",
        span=where,
        message="the result of `torch.clamp(p, ...)` is thrown away",
        why="`torch.clamp` returns a new tensor.",
        advice="Clamp in place.",
        evidence=evidence,
        fix=fix(applicability) if applicability else None,
    )


def told(
    form: str, *diagnostics: Diagnostic, source: list[str] | None = None, paint: Paint = PLAIN, unsafe: bool = False
) -> str:
    lines = SOURCE if source is None else source
    report = Report(diagnostics, lines=lambda path, cell: lines, paint=paint, unsafe_fixes=unsafe)
    return "".join(FORMATS[form](report))
