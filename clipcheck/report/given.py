"""What a format is given to tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec import Struct

from clipcheck.applicability import Applicability
from clipcheck.diagnostic import Diagnostic, Position, Problem
from clipcheck.report.colour import PLAIN, Paint

Lines: TypeAlias = Callable[[str, int | None], Sequence[str]]
"""The lines of a file, or of one cell of a notebook, read again when they are to be shown."""


def _no_lines(path: str, cell: int | None) -> Sequence[str]:
    return ()


def _no_url(code: str) -> str | None:
    return None


def _wide() -> int:
    return 100


class Report(Struct, frozen=True):
    """The findings in the order in which they are told, and what it takes to tell them.

    `unsafe_fixes` says whether `clipcheck fix` would apply unsafe fixes as it is configured. `url` is the address of a
    rule's page, where it has one. `width` is how many columns running text may take.
    """

    diagnostics: Sequence[Diagnostic]
    problems: Sequence[Problem] = ()
    lines: Lines = _no_lines
    url: Callable[[str], str | None] = _no_url
    unsafe_fixes: bool = False
    paint: Paint = PLAIN
    width: Callable[[], int] = _wide

    def is_fixed_by_default(self, diagnostic: Diagnostic) -> bool:
        """Whether a plain `clipcheck fix` takes care of it."""
        if diagnostic.fix is None:
            return False
        return self.unsafe_fixes or diagnostic.fix.applicability is Applicability.SAFE

    def mark(self, diagnostic: Diagnostic) -> str:
        """The `[*]` that people know from ruff, with the space after it."""
        return "[*] " if self.is_fixed_by_default(diagnostic) else ""


def place(path: str, position: Position) -> str:
    """Where something is, as editors and terminals understand it."""
    cell = f"cell {position.cell}:" if position.cell is not None else ""
    return f"{path}:{cell}{position.row}:{position.column}"
