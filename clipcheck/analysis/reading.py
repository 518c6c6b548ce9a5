"""The reading of one file: what can be asked of each of its nodes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import libcst as cst

from clipcheck.analysis.classes import Classes
from clipcheck.analysis.flow import Flow
from clipcheck.analysis.names import Names
from clipcheck.analysis.scopes import Scopes, dotted_name
from clipcheck.analysis.spelling import spell
from clipcheck.analysis.tree import Tree
from clipcheck.analysis.values import Values
from clipcheck.frameworks import canonical
from clipcheck.model.code import Code, Spelling, as_code
from clipcheck.model.value import Value

_BLOCKS = (cst.IndentedBlock, cst.SimpleStatementSuite, cst.Module)
_STATEMENTS = (cst.BaseSmallStatement, cst.BaseCompoundStatement)
_FUNCTIONS = (cst.FunctionDef, cst.Lambda)


class FileReading:
    """Implements `clipcheck.model.code.Reading`. The tree, the scopes and the rest serve the readers of facts."""

    def __init__(self, module: cst.Module) -> None:
        self.module = module
        self.tree = Tree(module)

    @cached_property
    def scopes(self) -> Scopes:
        return Scopes(self.tree)

    @cached_property
    def flow(self) -> Flow:
        return Flow(self.tree, self.scopes)

    @cached_property
    def _names(self) -> Names:
        return Names(self.scopes, self.flow)

    @cached_property
    def values(self) -> Values:
        return Values(self)

    @cached_property
    def classes(self) -> Classes:
        return Classes(self)

    def code(self, node: cst.CSTNode) -> Code:
        return as_code(node, self)

    def text(self, node: cst.CSTNode) -> str:
        return self.module.code_for_node(node).strip()

    def span(self, node: cst.CSTNode) -> tuple[tuple[int, int], tuple[int, int]]:
        """Start and end as (line from 1, column from 0 in characters)."""
        return self.tree.positions[node]

    def line(self, node: cst.CSTNode) -> int:
        return self.span(node)[0][0]

    def names(self, node: cst.CSTNode) -> frozenset[str]:
        return self._names.of(node)

    def name(self, node: cst.CSTNode) -> str | None:
        return min(self.names(node), default=None)

    def api(self, node: cst.CSTNode) -> str | None:
        apis = {canonical(name) for name in self.names(node)}
        return apis.pop() if len(apis) == 1 else None

    def value(self, node: cst.CSTNode) -> Value:
        return self.values.of(node)

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        return self.tree.parent(node)

    def statement(self, node: cst.CSTNode) -> cst.CSTNode:
        current = node
        while not isinstance(current, _STATEMENTS):
            above = self.tree.parent(current)
            if above is None:
                return current
            current = above
        return current

    def function(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        scope = self.scopes.of(node)
        while not isinstance(scope.node, cst.FunctionDef):
            if scope.parent is None or scope.is_class:
                return None
            scope = scope.parent
        return scope.node

    def class_of(self, node: cst.CSTNode) -> cst.ClassDef | None:
        for above in self.tree.ancestors(node):
            if isinstance(above, cst.ClassDef):
                return above
        return None

    def loops(self, node: cst.CSTNode) -> tuple[cst.CSTNode, ...]:
        found = []
        child = node
        for above in self.tree.ancestors(node):
            if isinstance(above, (*_FUNCTIONS, cst.ClassDef)):
                break
            if isinstance(above, (cst.For, cst.While)) and child is above.body:
                found.append(above)
            child = above
        return tuple(found)

    def calls_in(self, node: cst.CSTNode) -> Iterator[cst.Call]:
        return (found for found in self.tree.below(node) if isinstance(found, cst.Call))

    def spell(self, dotted: str, at: cst.CSTNode) -> Spelling:
        return spell(self, dotted, at)

    def dotted(self, node: cst.CSTNode) -> str | None:
        """`self.critic` as text, if the node is nothing but names and dots."""
        return dotted_name(node)
