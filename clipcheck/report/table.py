"""A table of text, its columns as wide as they must be."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from clipcheck.report.colour import Paint

Cell = tuple[str, str]
"""A text and its style; "" for none."""


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], paint: Paint, indent: str = "  ") -> Iterator[str]:
    """Lines, one a row, below a line with the names of the columns."""
    titles = [(title, "faint") for title in head]
    every = [titles, *rows]
    widths = [max(_width(row[column][0]) for row in every) for column in range(len(head))]
    for row in every:
        cells = [_padded(cell, width, paint) for cell, width in zip(row[:-1], widths, strict=False)]
        yield indent + "  ".join([*cells, _painted(row[-1], paint)]) + "\n"


def _padded(cell: Cell, width: int, paint: Paint) -> str:
    return _painted(cell, paint) + " " * (width - _width(cell[0]))


def _painted(cell: Cell, paint: Paint) -> str:
    text, style = cell
    return paint(text, style) if style else text


def _width(text: str) -> int:
    """In columns of a terminal."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
