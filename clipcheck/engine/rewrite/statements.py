"""Edits of whole statements: put one before, after or in place of another, remove one, decorate one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import libcst as cst
from msgspec import Struct

from clipcheck.engine.rewrite.layout import is_compound, lay_out
from clipcheck.engine.rewrite.source import CannotRewriteError, Source
from clipcheck.source.text import TextChange

_BLOCKS = (cst.Module, cst.IndentedBlock, cst.SimpleStatementLine, cst.SimpleStatementSuite)


class Line(Struct, frozen=True):
    """A statement among the statements that share its line.

    `indent` is the one that the statement has, or would have on a line of its own. `suite` is the block of a one-line
    statement such as ``if x: step()``.
    """

    source: Source
    all: Sequence[cst.CSTNode]
    first: int
    last: int
    indent: str
    suite: cst.SimpleStatementSuite | None

    @property
    def start(self) -> int:
        return self.source.start(self.all[self.first])

    @property
    def end(self) -> int:
        return self.source.end(self.all[self.last])

    @property
    def is_whole(self) -> bool:
        return len(self.all) == self.last - self.first + 1

    @property
    def is_last(self) -> bool:
        return self.last == len(self.all) - 1

    def apart(self) -> list[TextChange]:
        """What gives a one-line block its own lines."""
        if self.suite is None:
            return []
        start = self.source.start(self.all[0])
        header = self.source.code[:start].rstrip(" \t\f\\\r\n")
        return [(len(header), start, self.source.newline + self.indent)]

    def apart_before(self) -> list[TextChange]:
        """What makes the statement start a line."""
        return self.apart() + self._split(self.first)

    def apart_after(self) -> list[TextChange]:
        """What makes the statement end its line."""
        return self.apart() + self._split(self.last + 1)

    def _split(self, before: int) -> list[TextChange]:
        if not 0 < before < len(self.all):
            return []
        start, end = self.source.end(self.all[before - 1]), self.source.start(self.all[before])
        return [(start, end, self.source.newline + self.indent)]


def statement_of(node: cst.CSTNode, source: Source) -> cst.CSTNode:
    """The element of a block that a node stands in."""
    above = source.parent(node)
    while above is not None and not isinstance(above, _BLOCKS):
        node, above = above, source.parent(above)
    if above is None:
        raise CannotRewriteError("this node stands in no statement")
    return node


def line_of(node: cst.CSTNode, source: Source) -> Line:
    """The statement that a node stands in, on its line."""
    statement = statement_of(node, source)
    if isinstance(statement, cst.SimpleStatementLine):
        indent = source.indent(source.start(statement))
        return Line(source, statement.body, 0, len(statement.body) - 1, indent, None)
    above = source.parent(statement)
    if isinstance(above, cst.SimpleStatementSuite):
        owner = source.parent(above)
        assert owner is not None
        index = _index(statement, above.body)
        indent = source.indent(source.bare_start(owner)) + source.unit
        return Line(source, above.body, index, index, indent, above)
    indent = source.indent(source.bare_start(statement))
    if isinstance(above, cst.SimpleStatementLine):
        index = _index(statement, above.body)
        return Line(source, above.body, index, index, source.indent(source.start(above)), None)
    return Line(source, [statement], 0, 0, indent, None)


def insert_before(node: cst.CSTNode, code: str, source: Source) -> list[TextChange]:
    line = line_of(node, source)
    text = lay_out(code, line.indent, source) + source.newline + line.indent
    return [*line.apart_before(), (line.start, line.start, text)]


def insert_after(node: cst.CSTNode, code: str, source: Source) -> list[TextChange]:
    line = line_of(node, source)
    at = source.statement_end(line.all[line.last]) if line.is_last else line.end
    return [(at, at, source.newline + line.indent + lay_out(code, line.indent, source)), *line.apart_after()]


def replace_statement(node: cst.CSTNode, code: str, source: Source) -> list[TextChange]:
    line = line_of(node, source)
    if statement_of(node, source) is not node:
        raise CannotRewriteError("only a statement of a block can be replaced, not a branch of one")
    replaced = (line.start, line.end, lay_out(code, line.indent, source))
    if "\n" in code.strip() or is_compound(code):
        return list(dict.fromkeys([*line.apart_before(), replaced, *line.apart_after()]))
    return [replaced]


def decorate(node: cst.ClassDef | cst.FunctionDef, code: str, source: Source) -> list[TextChange]:
    at = source.start(node)
    indent = source.indent(at)
    return [(at, at, f"@{lay_out(code, indent, source)}{source.newline}{indent}")]


def append_to_body(node: cst.ClassDef | cst.FunctionDef, code: str, source: Source) -> list[TextChange]:
    last = node.body.body[-1]
    if _is_placeholder(node.body):
        line = line_of(last, source)
        return [*line.apart(), (line.start, line.end, lay_out(code, line.indent, source))]
    line = line_of(last, source)
    at = source.statement_end(node)
    gap = source.newline if _is_definition(code) else ""
    text = gap + source.newline + line.indent + lay_out(code, line.indent, source)
    return [*line.apart(), (at, at, text)]


def remove(nodes: Iterable[cst.CSTNode], source: Source, commented: Iterable[cst.CSTNode] = ()) -> list[TextChange]:
    """Remove statements. They come together, since the last one to leave a block leaves a `pass`.

    Those that are `commented` take the comment above them along.
    """
    gone = _flat(statement_of(node, source) for node in nodes)
    with_comment = _flat(statement_of(node, source) for node in commented)
    changes = []
    for block in dict.fromkeys(_block_of(statement, source) for statement in gone):
        every = _flat(block.body)
        one_line = isinstance(block, cst.SimpleStatementSuite)
        lines = [every] if one_line else [_flat([element]) for element in block.body]
        if not isinstance(block, cst.Module) and all(statement in gone for statement in every):
            changes.append(_passed(every[0], lines[0], source, every[0] in with_comment))
            gone.remove(every[0])
        for line in lines:
            changes += _without(line, gone, source, line[0] in with_comment)
    return changes


def _without(
    line: Sequence[cst.CSTNode], gone: Sequence[cst.CSTNode], source: Source, with_comment: bool
) -> list[TextChange]:
    """What takes away from a line those of its statements that shall go."""
    if all(statement in gone for statement in line):
        return [_whole_lines(line, source, with_comment)]
    changes = []
    for index, statement in enumerate(line):
        if statement not in gone:
            continue
        if all(other in gone for other in line[index:]):
            changes.append((source.end(line[index - 1]), source.end(statement), ""))
        else:
            changes.append((source.start(statement), source.start(line[index + 1]), ""))
    return changes


def _whole_lines(line: Sequence[cst.CSTNode], source: Source, with_comment: bool) -> TextChange:
    """The lines of a statement; where blank lines stand on both sides of it, only the larger gap stays, and none at the
    top of a block."""
    start = source.line_start(source.start(line[0]))
    if with_comment:
        start = source.comment_above(start)
    last = source.statement_end(line[-1])
    end = source.next_line(last)
    below = source.blank_lines_below(last)
    above = source.blank_lines_above(start)
    for _ in range(above if below is None else min(above, below)):
        start = source.previous_line(start)
    if below and source.opens_block(start):
        end = source.text_below(last)
    if end == last and start > 0:  # the last line of a file that ends without a newline, and shall go on doing so
        start = source.line_end(source.previous_line(start))
    return start, end, ""


def _passed(statement: cst.CSTNode, line: Sequence[cst.CSTNode], source: Source, with_comment: bool) -> TextChange:
    start, end = source.start(statement), source.end(statement)
    if with_comment and source.starts_line(start):
        above = source.comment_above(start)
        start = above + len(source.indent(start)) if above < source.line_start(start) else start
    return start, source.statement_end(statement) if len(line) == 1 else end, "pass"


def _block_of(statement: cst.CSTNode, source: Source) -> cst.Module | cst.BaseSuite:
    above = source.parent(statement)
    if isinstance(above, cst.SimpleStatementLine):
        above = source.parent(above)
    assert isinstance(above, (cst.Module, cst.BaseSuite))
    return above


def _flat(statements: Iterable[cst.CSTNode]) -> list[cst.CSTNode]:
    """Statements one by one, also those that share a line."""
    flat: list[cst.CSTNode] = []
    for statement in statements:
        flat += statement.body if isinstance(statement, cst.SimpleStatementLine) else [statement]
    return list(dict.fromkeys(flat))


def _is_placeholder(body: cst.BaseSuite) -> bool:
    statements = _flat(body.body)
    return len(statements) == 1 and (
        isinstance(statements[0], cst.Pass)
        or (isinstance(statements[0], cst.Expr) and isinstance(statements[0].value, cst.Ellipsis))
    )


def _is_definition(code: str) -> bool:
    return code.lstrip().startswith(("def ", "async def ", "class ", "@"))


def _index(statement: cst.CSTNode, among: Sequence[cst.CSTNode]) -> int:
    return next(index for index, other in enumerate(among) if other is statement)
