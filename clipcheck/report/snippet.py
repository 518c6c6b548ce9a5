"""Source lines with the places in question underlined, in the manner of rustc."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from clipcheck.diagnostic import Span
from clipcheck.report.colour import Paint
from clipcheck.report.display import Shown, show

CONTEXT = 2
"""How many lines are shown before and after the place of a finding."""
HEAD, TAIL = 4, 2
"""How many lines are shown of a place that covers many."""


class Mark(Struct, frozen=True):
    """A place to underline, and what to say of it."""

    span: Span
    sign: str
    style: str
    words: str = ""

    @property
    def first(self) -> int:
        return self.span.start.row

    @property
    def last(self) -> int:
        return self.span.end.row

    @property
    def covers_lines(self) -> bool:
        return self.last > self.first


class Gutter(Struct, frozen=True):
    """The left edge with the line numbers."""

    width: int
    paint: Paint

    def line(self, number: int | None = None, body: str = "") -> str:
        """A line beside its number, or a line of ours."""
        label = "" if number is None else str(number)
        return f"{self.paint(f'{label:>{self.width}} |', 'gutter')} {body}".rstrip() + "\n"

    def gap(self, body: str = "") -> str:
        """Lines that are left out."""
        return f"{self.paint('...'.ljust(self.width + 2), 'gutter')} {body}".rstrip() + "\n"

    def sign(self, sign: str, text: str) -> str:
        """`-->`, `:::` and the like, with a text."""
        return f"{' ' * self.width}{self.paint(sign, 'gutter')} {text}\n"


def around(mark: Mark, lines: Sequence[str]) -> list[int]:
    """The rows to show for a finding: its own, and some before and after that are not blank at the edge."""
    first = max(1, mark.first - CONTEXT)
    last = min(len(lines), mark.last + CONTEXT)
    while first < mark.first and not lines[first - 1].strip():
        first += 1
    while last > mark.last and not lines[last - 1].strip():
        last -= 1
    rows = range(first, last + 1)
    if mark.last - mark.first < HEAD + TAIL + 1:
        return list(rows)
    return [row for row in rows if row < mark.first + HEAD or row > mark.last - TAIL]


def draw(lines: Sequence[str], marks: Iterable[Mark], rows: Iterable[int], gutter: Gutter) -> Iterator[str]:
    """The rows, with a line below each place. One of the places may cover several lines: the primary one."""
    by_row: dict[int, list[Mark]] = {}
    for mark in marks:
        by_row.setdefault(mark.first, []).append(mark)
    long = next((mark for found in by_row.values() for mark in found if mark.covers_lines), None)
    margin = Margin(long, gutter.paint)
    previous: int | None = None
    for row in sorted(_without_small_gaps(set(rows))):
        if previous is not None and row > previous + 1:
            yield gutter.gap(margin.at(row, began=True))
        found = by_row.get(row, [])
        shown = show(lines[row - 1], min((mark.span.start.column for mark in found), default=1))
        yield gutter.line(row, margin.before(row, shown) + shown.text)
        for mark in found:
            if mark is not long:
                yield gutter.line(None, margin.beside(row, shown) + _underline(mark, shown, gutter.paint))
        for body in margin.below(row, shown):
            yield gutter.line(None, body)
        previous = row


def first_line_only(mark: Mark, lines: Sequence[str]) -> Mark:
    """The part of a place that lies on its first line: evidence is named, not shown whole."""
    if not mark.covers_lines:
        return mark
    start = mark.span.start
    end = type(start)(start.row, len(lines[start.row - 1].rstrip()) + 1, start.cell)
    return Mark(Span(start, end), mark.sign, mark.style, mark.words)


class Margin(Struct, frozen=True):
    """The line that is drawn to the left of a place that covers several lines."""

    mark: Mark | None
    paint: Paint

    def before(self, row: int, shown: Shown) -> str:
        """What stands to the left of a source line."""
        if self.mark is None:
            return ""
        if row == self.mark.first and self._starts_line(shown):
            return self.paint("/", self.mark.style) + " "
        return self.at(row, began=row > self.mark.first)

    def at(self, row: int, *, began: bool) -> str:
        """The line itself, where it has begun and not ended."""
        if self.mark is None:
            return ""
        inside = began and self.mark.first <= row <= self.mark.last
        return f"{self.paint('|', self.mark.style)} " if inside else "  "

    def beside(self, row: int, shown: Shown) -> str:
        """What stands to the left of a place that is underlined below a source line."""
        return self.at(row, began=self.mark is not None and (row > self.mark.first or self._starts_line(shown)))

    def below(self, row: int, shown: Shown) -> Iterator[str]:
        """What stands below the first and the last line of the place."""
        if self.mark is None:
            return
        if row == self.mark.first and not self._starts_line(shown):
            lead = "_" * (shown.offset(self.mark.span.start.column) + 1)
            yield " " + self.paint(lead + self.mark.sign, self.mark.style)
        if row == self.mark.last:
            lead = "_" * max(shown.offset(self.mark.span.end.column), 1)
            yield self.paint("|" + lead + self.mark.sign, self.mark.style)

    def _starts_line(self, shown: Shown) -> bool:
        return self.mark is not None and shown.offset(self.mark.span.start.column) <= shown.indentation


def _underline(mark: Mark, shown: Shown, paint: Paint) -> str:
    start = shown.offset(mark.span.start.column)
    length = max(shown.offset(mark.span.end.column) - start, 1)
    words = f" {mark.words}" if mark.words else ""
    return " " * start + paint(mark.sign * length + words, mark.style)


def _without_small_gaps(rows: set[int]) -> set[int]:
    """A gap of one line is not worth a line that says so."""
    return rows | {row + 1 for row in rows if row + 2 in rows}
