"""A line of source as a terminal shows it: tabs, wide characters and what does not print."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from msgspec import Struct

TAB = 4
LIMIT = 140
"""Longer lines are cut around what is pointed at: generated code may have lines of a megabyte."""
BEFORE = 30
"""How much of a cut line is shown before what is pointed at."""


class Shown(Struct, frozen=True):
    """A line ready to print; `offset` tells where on it a column of the source lies."""

    text: str
    _starts: Sequence[int]
    _cut: int
    _width: int

    def offset(self, column: int) -> int:
        """How many terminal columns lie to the left of a column of the source, which counts from 1."""
        index = min(max(column - 1, 0), len(self._starts) - 1)
        return min(max(self._starts[index] - self._cut, 0), self._width)

    @property
    def indentation(self) -> int:
        """How many terminal columns of white space it begins with."""
        return len(self.text) - len(self.text.lstrip(" "))


def show(line: str, column: int = 1) -> Shown:
    """The line, and if it is too long, its part around a column."""
    pieces: list[str] = []
    starts = [0]
    for character in line:
        piece, width = _printed(character, starts[-1])
        pieces.append(piece)
        starts.append(starts[-1] + width)
    if starts[-1] <= LIMIT:
        return Shown("".join(pieces), starts, 0, starts[-1])
    return _cut_around(pieces, starts, min(column - 1, len(pieces)))


def _cut_around(pieces: list[str], starts: list[int], index: int) -> Shown:
    left = max(0, starts[index] - BEFORE)
    first = next(i for i, start in enumerate(starts) if start >= left)
    last = max(i for i, start in enumerate(starts) if start <= starts[first] + LIMIT)
    before = "…" if first else ""
    after = "…" if last < len(pieces) else ""
    width = len(before) + starts[last] - starts[first]
    return Shown(before + "".join(pieces[first:last]) + after, starts, starts[first] - len(before), width)


def _printed(character: str, at: int) -> tuple[str, int]:
    """What stands for a character, and how many terminal columns that takes."""
    if character == "\t":
        width = TAB - at % TAB
        return " " * width, width
    if " " <= character <= "~":
        return character, 1
    category = unicodedata.category(character)
    if category == "Cc":  # An escape sequence in a source file must not steer the terminal.
        return (chr(0x2400 + ord(character)) if character < " " else "�"), 1
    if category in ("Mn", "Me", "Cf"):
        return ("�", 1) if category == "Cf" else (character, 0)
    return character, 2 if unicodedata.east_asian_width(character) in "WF" else 1
