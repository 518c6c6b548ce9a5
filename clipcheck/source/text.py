"""Text as Python sees it: where its lines end, and how pieces of it are replaced."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

NEWLINE = re.compile(r"\r\n?|\n")
"""The line ends of Python and LibCST. `str.splitlines` knows more (form feed, U+2028 …) and would count wrong."""

TextChange: TypeAlias = tuple[int, int, str]
"""Start offset, end offset, and what takes the place of the text between them."""


def line_starts(text: str) -> list[int]:
    """The offset of the first character of every line. A text that ends in a newline has an empty last line."""
    return [0, *(end.end() for end in NEWLINE.finditer(text))]


def replaced(text: str, changes: Iterable[TextChange]) -> str:
    """The text with all changes made. Insertions at the same place come in the order given.

    Raises ValueError if two changes overlap, or one reaches past the text.
    """
    pieces = []
    done = 0
    for start, end, new in sorted(changes, key=lambda change: change[:2]):
        if not done <= start <= end <= len(text):
            raise ValueError(f"the change of {start}:{end} overlaps another one or lies outside of the text")
        pieces += [text[done:start], new]
        done = end
    return "".join([*pieces, text[done:]])
