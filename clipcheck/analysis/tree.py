"""One walk over the concrete syntax tree: parents, and the nodes of each class in the order of the source.

LibCST's visitors cost as much as its parser, and its metadata providers several times that. A walker over a table of
each node class's fields costs a fifteenth of the parse.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cached_property
from typing import TypeVar

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

Node = TypeVar("Node", bound=cst.CSTNode)

# Fields that only hold white space, commas and the like: nothing there is code.
_LAYOUT = (
    "whitespace",
    "leading_lines",
    "lines_after",
    "lpar",
    "rpar",
    "lbracket",
    "rbracket",
    "lbrace",
    "rbrace",
    "comma",
    "semicolon",
    "header",
    "footer",
    "indent",
    "dot",
    "equal",
    "operator",
)

# Where LibCST's order of fields is not the order of the source.
_fields: dict[type[cst.CSTNode], tuple[str, ...]] = {
    cst.Arg: ("keyword", "value"),
    cst.ClassDef: ("decorators", "name", "bases", "keywords", "body"),
    cst.FunctionDef: ("decorators", "name", "params", "returns", "body"),
    cst.IfExp: ("body", "test", "orelse"),
    cst.Parameters: ("posonly_params", "params", "star_arg", "kwonly_params", "star_kwarg"),
    cst.ExceptHandler: ("type", "name", "body"),
}


def children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The nodes directly below a node that hold code, in the order of the source."""
    kind = type(node)
    names = _fields.get(kind)
    if names is None:
        names = _fields[kind] = _code_fields(kind)
    for name in names:
        child = getattr(node, name)
        if isinstance(child, (list, tuple)):
            for item in child:
                if _is_node(item):
                    yield item
        elif _is_node(child):
            yield child


_known: dict[type, bool] = {}


def _is_node(thing: object) -> bool:
    """LibCST's nodes are of abstract classes, for which `isinstance` takes long."""
    kind = thing.__class__
    known = _known.get(kind)
    if known is None:
        known = _known[kind] = isinstance(thing, cst.CSTNode)
    return known


def _code_fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind) if not any(word in field.name for word in _LAYOUT))


class Tree:
    """A module's nodes, with their parents."""

    def __init__(self, module: cst.Module) -> None:
        self.module = module
        self.parents: dict[cst.CSTNode, cst.CSTNode] = {}
        self.order: dict[cst.CSTNode, int] = {}
        """The place of each node in the walk: for two statements, which comes first in the source."""
        self._by_class: dict[type[cst.CSTNode], list[cst.CSTNode]] = {}
        self._walk()

    def _walk(self) -> None:
        stack: list[cst.CSTNode] = [self.module]
        while stack:
            node = stack.pop()
            self.order[node] = len(self.order)
            self._by_class.setdefault(type(node), []).append(node)
            below = list(children(node))
            for child in below:
                self.parents[child] = node
            stack.extend(reversed(below))

    def all(self, kind: type[Node]) -> list[Node]:
        """Every node of exactly this class."""
        return self._by_class.get(kind, [])  # type: ignore[return-value]

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        return self.parents.get(node)

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The parent, its parent, … up to the module."""
        above = self.parents.get(node)
        while above is not None:
            yield above
            above = self.parents.get(above)

    def below(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The node and everything under it, in the order of the source."""
        stack = [node]
        while stack:
            current = stack.pop()
            yield current
            stack.extend(reversed(list(children(current))))

    @cached_property
    def positions(self) -> dict[cst.CSTNode, tuple[tuple[int, int], tuple[int, int]]]:
        """Where each node starts and ends: (line from 1, column from 0 in characters). Costs twice the parse."""
        wrapper = MetadataWrapper(self.module, unsafe_skip_copy=True)
        ranges = wrapper.resolve(PositionProvider)
        return {
            node: ((where.start.line, where.start.column), (where.end.line, where.end.column))
            for node, where in ranges.items()
        }
