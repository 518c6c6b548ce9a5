"""A finding with places instead of nodes: plain data that can be printed, sorted, pickled and kept in a cache."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.applicability import Applicability


class Position(Struct, frozen=True, order=True):
    """A place in a file: row and column count from 1, the column in characters.

    In a notebook, `cell` counts the code cells' positions among all cells from 1, and the row is the one in the cell.
    """

    row: int
    column: int
    cell: int | None = None


class Span(Struct, frozen=True, order=True):
    """From `start` up to and without `end`."""

    start: Position
    end: Position


class TextEdit(Struct, frozen=True):
    """Replace what stands in `span` by `content`."""

    span: Span
    content: str


class FixText(Struct, frozen=True):
    """A fix as text edits, none of which overlap, in the order of the file."""

    message: str
    applicability: Applicability
    edits: tuple[TextEdit, ...]


class NoteText(Struct, frozen=True):
    """A piece of evidence: where, and what it tells."""

    span: Span
    words: str


class Diagnostic(Struct, frozen=True):
    """One finding in one file, ready to be reported. See `clipcheck.finding.Finding` for the texts' meaning."""

    path: str
    code: str
    name: str
    span: Span
    message: str
    why: str
    advice: str
    evidence: tuple[NoteText, ...] = ()
    fix: FixText | None = None

    @property
    def sort_key(self) -> tuple[str, int, Span, str]:
        return (self.path, self.span.start.cell or 0, self.span, self.code)


class Problem(Struct, frozen=True):
    """What kept clipcheck from doing its job on a file: not readable, not parsable, or an error of our own."""

    path: str
    message: str
    position: Position | None = None
