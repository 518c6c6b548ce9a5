"""What values may be made of, going by names: what the file gives to them, and which of them training learns."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from clipcheck.outline.given import Given
from clipcheck.outline.outline import Outline, Site, last_name
from clipcheck.outline.pieces import CannotTellError

_MOST_SOURCES = 500
_MOST_PARTS = 5000


def given(outline: Outline, name: str) -> list[ast.expr]:
    """What the file gives to a name or attribute. Raises CannotTellError."""
    return outline.once(Given).to(name)


def sources(outline: Outline, node: ast.expr) -> Iterator[ast.expr]:
    """The expressions that a value may come from, itself included. Raises CannotTellError."""
    seen: set[int] = set()
    todo = [node]
    while todo and len(seen) < _MOST_SOURCES:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, (ast.Name, ast.Attribute)):
            todo += given(outline, last_name(node))
        elif isinstance(node, ast.Call):
            todo += [*node.args, *outline.once(Given).returned(last_name(node.func))]
            todo += [node.func.value] if isinstance(node.func, ast.Attribute) else []
        elif isinstance(node, ast.IfExp):
            todo += [node.body, node.orelse]
        elif isinstance(node, (ast.NamedExpr, ast.Subscript, ast.Starred)):
            todo.append(node.value)
        elif isinstance(node, (ast.List, ast.Tuple)):
            todo += node.elts


def parts(outline: Outline, node: ast.expr) -> Iterator[ast.expr]:
    """Every expression that a value may be made of, one way or other. Raises CannotTellError."""
    seen: set[int] = set()
    names: set[str] = set()
    todo: list[ast.AST] = [node]
    while todo:
        inner = todo.pop()
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        if len(seen) > _MOST_PARTS:
            raise CannotTellError
        todo += ast.iter_child_nodes(inner)
        if isinstance(inner, ast.expr):
            yield inner
        if isinstance(inner, (ast.Name, ast.Attribute)) and (name := last_name(inner)) not in names:
            names.add(name)
            todo += given(outline, name)


def parts_near(outline: Outline, site: Site, node: ast.expr) -> Iterator[ast.expr]:
    """Every expression that a value is made of in the function that a call stands in. Raises CannotTellError."""
    names: set[str] = set()
    todo: list[ast.AST] = [node]
    while todo:
        inner = todo.pop()
        todo += ast.iter_child_nodes(inner)
        if isinstance(inner, ast.expr):
            yield inner
        if isinstance(inner, ast.Name) and inner.id not in names:
            names.add(inner.id)
            todo += outline.once(Given).near(inner.id, site.tree)


def may_be_learned(outline: Outline, site: Site, node: ast.expr) -> bool:
    """Whether a value is made of something that training may learn. Raises CannotTellError."""
    names = learned(outline)
    return bool(names) and any(last_name(part) in names for part in parts_near(outline, site, node))


_MAKES_LEARNED = frozenset(
    "Parameter UninitializedParameter add_weight add_variable Variable variable get_variable".split()
)
_TARGETS = re.compile(rb"((?:[\w.]+\s*(?::[^=\n]*)?=[\s\\(]*)+)[\w.\s\\]*\Z")
_REGISTERED = rb"register_parameter\s*\(\s*(?:name\s*=\s*)?[\"'](\w+)"


def learned(outline: Outline) -> frozenset[str]:
    """The names and attributes that are given something that training may learn."""
    return outline.once(_learned)


def _learned(outline: Outline) -> frozenset[str]:
    found = set(outline.found(_REGISTERED))
    for start in outline.call_places(_MAKES_LEARNED):
        line = outline.data.rfind(b"\n", 0, start) + 1
        if b"=" not in outline.data[line:start]:  # it may go on from the line above
            line = outline.data.rfind(b"\n", 0, max(0, line - 1)) + 1
        targets = _TARGETS.search(outline.data, line, start)
        if targets:
            found.update(word.decode() for word in re.findall(rb"\w+", targets[1]))
    return frozenset(found - {"self"})
