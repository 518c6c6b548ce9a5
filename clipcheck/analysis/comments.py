"""Finds the comments, which the walk over the code leaves out."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.model.comments import Comment

_LINES = ("leading_lines", "header", "footer", "trailing_whitespace", "lines_after_decorators", "lpar", "comma")


def read_comments(reading: FileReading) -> Iterator[Comment]:
    """The comments above, behind and at the end of statements and blocks, in the order of the source."""
    for node in reading.tree.below(reading.module):
        for field in _LINES:
            for line in _lines(getattr(node, field, None)):
                comment = getattr(line, "comment", None)
                if isinstance(comment, cst.Comment):
                    yield Comment(comment.value.lstrip("#").strip(), reading.code(comment), node)


def _lines(value: object) -> list[object]:
    if isinstance(value, cst.Comma):
        value = value.whitespace_after
    if isinstance(value, cst.ParenthesizedWhitespace):
        return [value.first_line, *value.empty_lines]
    if isinstance(value, (list, tuple)):
        return list(value)
    return [value] if value is not None else []
