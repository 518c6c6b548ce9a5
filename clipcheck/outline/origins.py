"""What values may be made of, going by names: what the file gives to them, and which of them training learns."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from clipcheck.outline.outline import Outline, Site, last_name, walk
from clipcheck.outline.pieces import CannotTellError
from clipcheck.outline.scopes import ANYWHERE, Bound, Home, Scopes

_MOST_SOURCES = 500
_MOST_PARTS = 5000


def given(outline: Outline, name: str) -> list[ast.expr]:
    """What the file gives to a name or attribute. Raises CannotTellError."""
    return [bound.value for bound in outline.once(Scopes).named(name, ANYWHERE)]


def _returned(outline: Outline, function: str) -> list[ast.expr]:
    return [bound.value for bound in outline.once(Scopes).returned(function)]


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
            todo += [*node.args, *_returned(outline, last_name(node.func))]
            todo += [node.func.value] if isinstance(node.func, ast.Attribute) else []
        elif isinstance(node, ast.IfExp):
            todo += [node.body, node.orelse]
        elif isinstance(node, (ast.NamedExpr, ast.Subscript, ast.Starred)):
            todo.append(node.value)
        elif isinstance(node, (ast.List, ast.Tuple)):
            todo += node.elts


def origins(outline: Outline, site: Site, node: ast.expr, keeping: frozenset[str]) -> Iterator[ast.expr]:
    """The expressions that an argument of a call, or what it is an entry of, may be: by the names of its scope, through
    what functions of the file return, and what others hand on that keep its kind. Raises CannotTellError."""
    scopes = outline.once(Scopes)
    seen: set[Bound] = set()
    todo = [Bound(node, scopes.home(site))]
    while todo:
        bound = todo.pop()
        if bound in seen:
            continue
        seen.add(bound)
        if len(seen) > _MOST_PARTS:
            raise CannotTellError
        node, home = bound
        yield node
        inner: list[ast.expr] = []
        if isinstance(node, ast.Name):
            todo += scopes.named(node.id, home)
        elif isinstance(node, ast.Attribute):
            todo += scopes.attribute(node.attr)
            inner = [node.value] * (node.attr in keeping)
        elif isinstance(node, ast.Call):
            name = last_name(node.func)
            todo += scopes.returned(name)
            if name in keeping or name.endswith("_"):
                inner = [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):  # lists
            inner = [node.left, node.right]
        elif isinstance(node, (ast.Subscript, ast.NamedExpr, ast.Starred, ast.IfExp, ast.UnaryOp, ast.Tuple, ast.List)):
            inner = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
        elif isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp)):
            inner = [node.elt]
        elif isinstance(node, ast.Dict):
            inner = node.values
        todo += [Bound(each, home) for each in inner]


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
    """Every expression that an argument of a call is made of, by the names that are assigned in its scope. Raises
    CannotTellError."""
    scopes = outline.once(Scopes)
    names: set[tuple[str, Home]] = set()
    todo = [Bound(node, scopes.home(site))]
    while todo:
        whole, home = todo.pop()
        for inner in walk(whole):
            if isinstance(inner, ast.expr):
                yield inner
            if isinstance(inner, ast.Name) and (inner.id, home) not in names:
                names.add((inner.id, home))
                todo += scopes.named(inner.id, home, handed_over=False)


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
