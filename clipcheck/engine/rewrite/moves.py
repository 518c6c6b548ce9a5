"""Edits that move a statement into another block: it takes that block's indentation, and its comment comes along."""

from __future__ import annotations

import libcst as cst

from clipcheck.edit import MoveAfter, MoveBefore, PutUnder
from clipcheck.engine.rewrite.layout import lay_out, lines_in_strings
from clipcheck.engine.rewrite.source import CannotRewriteError, Source
from clipcheck.engine.rewrite.statements import Line, line_of, statement_of
from clipcheck.source.text import TextChange


def move_before(edit: MoveBefore, source: Source) -> list[TextChange]:
    line = line_of(edit.target, source)
    text = _moved(edit, line, source)
    gap = source.newline + line.indent
    if line.suite is None and line.first == 0 and source.starts_line(line.start):
        above = source.comment_above(line.start)
        return [(above, above, line.indent + text + source.newline)]
    return [*line.apart_before(), (line.start, line.start, text + gap)]


def move_after(edit: MoveAfter, source: Source) -> list[TextChange]:
    line = line_of(edit.target, source)
    at = source.statement_end(line.all[line.last]) if line.is_last else line.end
    return [(at, at, source.newline + line.indent + _moved(edit, line, source)), *line.apart_after()]


def put_under(edit: PutUnder, source: Source) -> list[TextChange]:
    line = line_of(edit.node, source)
    inner = line.indent + source.unit
    end = source.statement_end(line.all[line.last]) if line.is_whole else line.end
    text = edit.header + source.newline + inner + _indented(source.code[line.start : end], line.indent, inner, source)
    return [*line.apart_before(), (line.start, end, text), *line.apart_after()]


def _moved(edit: MoveBefore | MoveAfter, to: Line, source: Source) -> str:
    """The statement's text as it stands in the block of another one, without the indentation of its first line."""
    statement = statement_of(edit.node, source)
    if statement_of(edit.target, source) is statement:
        raise CannotRewriteError("a statement cannot be moved to itself")
    lead = [lay_out(edit.lead, to.indent, source)] if edit.lead else []
    return (source.newline + to.indent).join([*lead, _text(statement, to.indent, source)])


def _text(statement: cst.CSTNode, indent: str, source: Source) -> str:
    """A statement with the comments above and behind it, at another indentation."""
    line = line_of(statement, source)
    if not line.is_whole or line.suite is not None:
        start, end = source.start(statement), source.end(statement)
    else:
        start, end = source.comment_above(line.start), source.statement_end(line.all[-1])
    own = source.indent(line.start)
    return _indented(source.code[start:end].removeprefix(own), own, indent, source)


def _indented(code: str, own: str, indent: str, source: Source) -> str:
    """Lines at another indentation, but for the first one, which starts where it is put, and the inside of strings."""
    lines = code.splitlines()
    keep = {0, *lines_in_strings("\n".join(lines))}
    return source.newline.join(
        indent + text.removeprefix(own) if number not in keep and text.strip() and text.startswith(own) else text
        for number, text in enumerate(lines)
    )
