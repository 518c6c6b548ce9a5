"""What must be there for a fix: imports and definitions, put where a reader looks for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import libcst as cst
from libcst.helpers import get_full_name_for_node
from msgspec import Struct

from clipcheck.edit import NeedDefinition, NeedImport
from clipcheck.engine.rewrite.items import Items, item
from clipcheck.engine.rewrite.layout import lay_out
from clipcheck.engine.rewrite.source import Source
from clipcheck.source.text import TextChange

Need: TypeAlias = NeedImport | NeedDefinition

_COMMENTS = re.compile(r"(?:[ \t\f]*#[^\r\n]*(?:\r\n?|\n|\Z))*")
_DEFINITION = re.compile(r"@|(?:class|def|async)\b")
_INTERPRETER_AND_ENCODING = re.compile(r"(?:(?:#!|[ \t\f]*#.*?coding[:=])[^\r\n]*(?:\r\n?|\n|\Z))*")


class Anchor(Struct, frozen=True):
    """The end of the line below which new imports and definitions go, or 0.

    `below_import` says that an ordinary import stands there, so that a further one belongs right below it.
    """

    offset: int
    below_import: bool


def missing(needs: Iterable[Need], source: Source) -> list[Need]:
    """The needs that the module does not meet yet."""
    return [need for need in dict.fromkeys(needs) if not _is_met(need, source.module)]


def provide(needs: Sequence[Need], before: int, source: Source) -> list[TextChange]:
    """What meets the needs of code that stands at the offset `before` or below it."""
    head = list(_head(before, source))
    changes: list[TextChange] = []
    lines: list[str] = []
    for module, names in _imported(needs).items():
        statement = _extensible(module, head)
        if names and statement is not None:
            changes += _extended(statement, names, source)
        else:
            lines.append(f"from {module} import {', '.join(names)}" if names else f"import {module[:-1]}")
    definitions = [lay_out(need.code, "", source) for need in needs if isinstance(need, NeedDefinition)]
    if lines or definitions:
        changes += _inserted(_anchor(head, source), lines, definitions, source)
    return changes


def _imported(needs: Iterable[Need]) -> dict[str, list[str]]:
    """The names to import from each module. A module that is imported itself ends in "!" and has no names."""
    imported: dict[str, list[str]] = {}
    for need in needs:
        if isinstance(need, NeedImport) and need.name is None:
            imported[f"{need.module}!"] = []
        elif isinstance(need, NeedImport) and need.name is not None:
            imported.setdefault(need.module, []).append(need.name)
    return imported


def _inserted(anchor: Anchor, lines: list[str], definitions: list[str], source: Source) -> list[TextChange]:
    """PEP 8: an import below the others, a blank line after the imports, two around a definition."""
    at, newline = anchor.offset, source.newline
    below = source.blank_lines_below(at)
    is_followed_by_definition = _DEFINITION.match(source.code, source.text_below(at) if at else 0)
    wanted = 2 if definitions or is_followed_by_definition else 1
    pad = 0 if below is None else max(0, wanted - below)
    body = (newline * 3).join(definitions)
    if anchor.below_import:
        changes = [(at, at, newline + line) for line in lines]
        return [*changes, (at, at, newline * 3 + body + newline * pad)] if definitions else changes
    text = (newline * 3).join(filter(None, [newline.join(lines), body]))
    if at == 0:
        return [(0, 0, text + newline * (wanted + 1))]
    return [(at, at, newline * (2 if lines else 3) + text + newline * pad)]


def _extended(statement: cst.ImportFrom, names: Sequence[str], source: Source) -> list[TextChange]:
    assert not isinstance(statement.names, cst.ImportStar)
    items = [item(alias, source) for alias in statement.names]
    bracketed = isinstance(statement.rpar, cst.RightParen)
    close = source.start(statement.rpar) if isinstance(statement.rpar, cst.RightParen) else source.end(statement)
    return Items(source, items, items[0].start, close, bracketed).append(names)


def _extensible(module: str, head: Iterable[cst.BaseStatement | cst.SimpleStatementLine]) -> cst.ImportFrom | None:
    """The first ``from module import a, b`` at the head of the module."""
    for line in head:
        for statement in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if (
                isinstance(statement, cst.ImportFrom)
                and not isinstance(statement.names, cst.ImportStar)
                and _module(statement) == module
            ):
                return statement
    return None


def _head(before: int, source: Source) -> Iterator[cst.BaseStatement | cst.SimpleStatementLine]:
    """The docstring and the imports, with the simple statements between them, that stand above an offset."""
    for statement in source.module.body:
        if source.statement_end(statement) > before:
            return
        if not isinstance(statement, cst.SimpleStatementLine) and not _holds_import(statement):
            return
        yield statement


def _anchor(head: Sequence[cst.BaseStatement | cst.SimpleStatementLine], source: Source) -> Anchor:
    for statement in reversed(head):
        if _holds_import(statement):
            return Anchor(source.statement_end(statement), not _is_future(statement))
    if head and head[0] is source.module.body[0] and _is_docstring(head[0]):
        return Anchor(source.statement_end(head[0]), False)
    comments = _COMMENTS.match(source.code)
    end = comments.end() if comments else 0
    if end < len(source.code) and not source.is_blank_line(end):
        comments = _INTERPRETER_AND_ENCODING.match(source.code)
    return Anchor(len(comments[0].rstrip("\r\n")) if comments else 0, False)


def _holds_import(statement: cst.CSTNode) -> bool:
    return any(isinstance(inner, (cst.Import, cst.ImportFrom)) for inner in _top_level([statement]))


def _is_future(statement: cst.CSTNode) -> bool:
    return any(
        isinstance(inner, cst.ImportFrom) and _module(inner) == "__future__" for inner in _top_level([statement])
    )


def _is_docstring(statement: cst.CSTNode) -> bool:
    if not isinstance(statement, cst.SimpleStatementLine) or not isinstance(statement.body[0], cst.Expr):
        return False
    return isinstance(statement.body[0].value, (cst.SimpleString, cst.ConcatenatedString))


def _is_met(need: Need, module: cst.Module) -> bool:
    statements = _top_level(module.body)
    if isinstance(need, NeedDefinition):
        return any(
            isinstance(statement, (cst.ClassDef, cst.FunctionDef)) and statement.name.value == need.name
            for statement in statements
        )
    return any(_imports(statement, need) for statement in statements)


def _imports(statement: cst.CSTNode, need: NeedImport) -> bool:
    """Whether a statement binds what is needed under its own name: ``import a.b`` gives `a` as well."""
    if isinstance(statement, cst.Import) and need.name is None:
        return any(
            _keeps_its_name(alias) and f"{alias.evaluated_name}.".startswith(f"{need.module}.")
            for alias in statement.names
        )
    if not isinstance(statement, cst.ImportFrom) or isinstance(statement.names, cst.ImportStar):
        return False
    return _module(statement) == need.module and any(
        _keeps_its_name(alias) and alias.evaluated_name == need.name for alias in statement.names
    )


def _keeps_its_name(alias: cst.ImportAlias) -> bool:
    return alias.evaluated_alias in (None, alias.evaluated_name)


def _module(statement: cst.ImportFrom) -> str | None:
    if statement.relative or statement.module is None:
        return None
    return get_full_name_for_node(statement.module)


def _top_level(statements: Iterable[cst.CSTNode]) -> Iterator[cst.CSTNode]:
    """The statements that run when the module is imported, also those below a top-level `try` or `if`."""
    for statement in statements:
        if isinstance(statement, cst.SimpleStatementLine):
            yield from statement.body
        elif isinstance(statement, cst.Try):
            for block in (statement, *statement.handlers, statement.orelse, statement.finalbody):
                yield from _top_level(block.body.body if block is not None else ())
        elif isinstance(statement, cst.If):
            if not _is_main_guard(statement):
                yield from _top_level(statement.body.body)
                yield from _top_level([statement.orelse] if statement.orelse is not None else ())
        elif isinstance(statement, cst.Else):
            yield from _top_level(statement.body.body)
        else:
            yield statement


def _is_main_guard(statement: cst.If) -> bool:
    test = statement.test
    return isinstance(test, cst.Comparison) and isinstance(test.left, cst.Name) and test.left.value == "__name__"
