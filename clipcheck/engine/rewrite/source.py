"""The text of a file, with what an edit has to know of it: where nodes stand, how lines end, how blocks indent."""

from __future__ import annotations

import re
from typing import Protocol

import libcst as cst

from clipcheck.source.text import NEWLINE, line_starts

Place = tuple[tuple[int, int], tuple[int, int]]

_BLANK = re.compile(r"[ \t\f]*")
_REST_OF_LOGICAL_LINE = re.compile(r"(?:[ \t\f;]|\\(?:\r\n?|\n))*(?:#[^\r\n]*)?")
_TRAILING_COMMENT = re.compile(r"[ \t\f]*#[^\r\n]*")
_COMMENT_LINE = re.compile(r"[ \t\f]*#")


class CannotRewriteError(Exception):
    """An edit that cannot be made in the place where it is asked for."""


class Places(Protocol):
    """What an edit asks of the reading of a file."""

    def span(self, node: cst.CSTNode) -> Place: ...
    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None: ...


class Source:
    """Offsets are in characters of `code`; the end of a line is the place before its newline."""

    def __init__(self, code: str, module: cst.Module, places: Places) -> None:
        self.code = code
        self.module = module
        self.newline = module.default_newline
        self.unit = module.default_indent
        self.parent = places.parent
        self._span = places.span
        self._lines = line_starts(code)

    def start(self, node: cst.CSTNode) -> int:
        """Where a node starts; for a class or function that is where its decorators start."""
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)) and node.decorators:
            node = node.decorators[0]
        return self.bare_start(node)

    def bare_start(self, node: cst.CSTNode) -> int:
        """Where a node starts, without decorators."""
        line, column = self._span(node)[0]
        return self._lines[line - 1] + column

    def end(self, node: cst.CSTNode) -> int:
        line, column = self._span(node)[1]
        return self._lines[line - 1] + column

    def lines(self, node: cst.CSTNode) -> tuple[int, int]:
        """The first and the last line of a node, from 1."""
        (first, _), (last, _) = self._span(node)
        return first, last

    def line_start(self, offset: int) -> int:
        before = max(self.code.rfind("\n", 0, offset), self.code.rfind("\r", 0, offset))
        return before + 1

    def line_end(self, offset: int) -> int:
        newline = NEWLINE.search(self.code, offset)
        return newline.start() if newline else len(self.code)

    def next_line(self, offset: int) -> int:
        """The start of the line below, or the end of the text."""
        newline = NEWLINE.search(self.code, offset)
        return newline.end() if newline else len(self.code)

    def previous_line(self, offset: int) -> int:
        """The start of the line above."""
        start = self.line_start(offset)
        before = start - 2 if self.code[max(start - 2, 0) : start] == "\r\n" else start - 1
        return self.line_start(max(before, 0))

    def blank_lines_above(self, offset: int) -> int:
        count, at = 0, self.line_start(offset)
        while at > 0 and self.is_blank_line(self.previous_line(at)):
            count, at = count + 1, self.previous_line(at)
        return count

    def blank_lines_below(self, offset: int) -> int | None:
        """How many blank lines follow the line; None if nothing else does."""
        below = self.text_below(offset)
        if below == len(self.code):
            return None
        return len(NEWLINE.findall(self.code, self.next_line(offset), below))

    def text_below(self, offset: int) -> int:
        """The start of the next line that is not blank, or the end of the text."""
        at = self.next_line(offset)
        while at < len(self.code) and self.is_blank_line(at):
            at = self.next_line(at)
        return at

    def indent(self, offset: int) -> str:
        """The white space that the line starts with."""
        blank = _BLANK.match(self.code, self.line_start(offset))
        return blank[0] if blank else ""

    def starts_line(self, offset: int) -> bool:
        """Whether there is nothing but white space before it on its line."""
        return not self.code[self.line_start(offset) : offset].strip()

    def is_blank_line(self, offset: int) -> bool:
        return not self.code[self.line_start(offset) : self.line_end(offset)].strip()

    def logical_end(self, offset: int) -> int:
        """The end of a statement's line, behind its semicolon and its comment."""
        rest = _REST_OF_LOGICAL_LINE.match(self.code, offset)
        return rest.end() if rest else offset

    def comment_end(self, offset: int) -> int:
        """The end of the comment that follows on the same line; the offset itself if none does."""
        comment = _TRAILING_COMMENT.match(self.code, offset)
        return comment.end() if comment else offset

    def is_comment_line(self, offset: int) -> bool:
        return _COMMENT_LINE.match(self.code, self.line_start(offset)) is not None

    def comment_above(self, offset: int) -> int:
        """The start of the lines of comment right above a line, with its indentation; the line's start if none are."""
        at, indent = self.line_start(offset), self.indent(offset)
        while at > 0 and self.is_comment_line(self.previous_line(at)) and self.indent(self.previous_line(at)) == indent:
            at = self.previous_line(at)
        return at

    def opens_block(self, offset: int) -> bool:
        """Whether a line is the first of a block: the one above it is indented less."""
        start = self.line_start(offset)
        above = self.previous_line(start)
        return start > 0 and not self.is_blank_line(above) and len(self.indent(above)) < len(self.indent(start))

    def statement_end(self, statement: cst.CSTNode) -> int:
        """The end of the last line of a statement, with the comments that close its block."""
        end = self.logical_end(self.end(statement))
        if not isinstance(statement, cst.BaseCompoundStatement):
            return end
        indent = self.indent(self.bare_start(statement))
        at = self.next_line(end)
        while at < len(self.code):
            inside = self.indent(at) != indent and self.indent(at).startswith(indent)
            if self.is_comment_line(at) and inside:
                end = self.line_end(at)
            elif not self.is_blank_line(at):
                break
            at = self.next_line(at)
        return end
