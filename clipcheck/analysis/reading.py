"""The reading of one file: what can be asked of each of its nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

import libcst as cst

from clipcheck.analysis import moving
from clipcheck.analysis.classes import Classes
from clipcheck.analysis.elsewhere import is_free, means_same
from clipcheck.analysis.flow import Flow
from clipcheck.analysis.names import Names
from clipcheck.analysis.networks import Networks
from clipcheck.analysis.origins import Origins
from clipcheck.analysis.scopes import Scopes, dotted_name
from clipcheck.analysis.spelling import spell
from clipcheck.analysis.tree import Tree
from clipcheck.analysis.values import Values
from clipcheck.frameworks import canonical
from clipcheck.model.code import Code, Spelling, as_code
from clipcheck.model.networks import Network
from clipcheck.model.value import Value

if TYPE_CHECKING:
    from clipcheck.analysis.critics import Critics
    from clipcheck.analysis.lipschitz import Lipschitz

Fact = TypeVar("Fact")

_BLOCKS = (cst.IndentedBlock, cst.SimpleStatementSuite, cst.Module)
_STATEMENTS = (cst.BaseSmallStatement, cst.BaseCompoundStatement)
_FUNCTIONS = (cst.FunctionDef, cst.Lambda)
_CELL = re.compile(r"#\s*(?:%%|In ?\[|<codecell>|\+ |COMMAND -)")


class FileReading:
    """Implements `clipcheck.model.code.Reading`. The tree, the scopes and the rest serve the readers of facts."""

    def __init__(self, module: cst.Module, cell_lines: tuple[int, ...] = ()) -> None:
        self.module = module
        self.tree = Tree(module)
        self.cell_lines = cell_lines
        self._read: dict[Callable[[FileReading], object], object] = {}

    def once(self, read: Callable[[FileReading], Fact]) -> Fact:
        """What a reader finds in the file, read when it is first asked for."""
        if read not in self._read:
            self._read[read] = read(self)
        return cast(Fact, self._read[read])

    def forget(self) -> None:
        """Drop everything. The parts refer to this object, and would otherwise be left to the garbage collector."""
        if "scopes" in self.__dict__:
            self.scopes.forget()
        self.__dict__.clear()

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

    @cached_property
    def origins(self) -> Origins:
        return Origins(self)

    @cached_property
    def networks(self) -> Networks:
        return Networks(self)

    @cached_property
    def lipschitz(self) -> Lipschitz:
        from clipcheck.analysis.lipschitz import Lipschitz

        return Lipschitz(self)

    @cached_property
    def critics(self) -> Critics:
        from clipcheck.analysis.critics import Critics

        return Critics(self)

    def code(self, node: cst.CSTNode) -> Code:
        return as_code(node, self)

    def text(self, node: cst.CSTNode) -> str:
        return self.module.code_for_node(node).strip()

    def span(self, node: cst.CSTNode) -> tuple[tuple[int, int], tuple[int, int]]:
        """Start and end as (line from 1, column from 0 in characters)."""
        return self.tree.positions[node]

    def line(self, node: cst.CSTNode) -> int:
        line = self.span(node)[0][0]
        return line - max((start for start in self.cell_lines if start <= line), default=1) + 1

    def names(self, node: cst.CSTNode) -> frozenset[str]:
        return self._names.of(node)

    def name(self, node: cst.CSTNode) -> str | None:
        return min(self.names(node), default=None)

    def api(self, node: cst.CSTNode) -> str | None:
        apis = {canonical(name) for name in self.names(node)}
        return apis.pop() if len(apis) == 1 else None

    def value(self, node: cst.CSTNode) -> Value:
        return self.values.of(node)

    def network(self, node: cst.CSTNode) -> Network | None:
        return self.networks.of(node)

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

    def means_same(self, node: cst.CSTNode, at: cst.CSTNode) -> bool:
        return means_same(self, node, at)

    def is_free(self, name: str, at: cst.CSTNode) -> bool:
        return is_free(self, name, at)

    def unit(self, node: cst.CSTNode) -> cst.CSTNode:
        return moving.unit(self, node)

    def enclosing(self, nodes: Iterable[cst.CSTNode]) -> cst.CSTNode:
        return moving.enclosing(self, nodes)

    def conditions(self, node: cst.CSTNode, within: cst.CSTNode) -> tuple[str, ...] | None:
        return moving.conditions(self, node, within)

    def stays_same(self, node: cst.CSTNode, at: cst.CSTNode) -> bool:
        return moving.stays_same(self, node, at)

    def may_move(self, statement: cst.CSTNode, target: cst.CSTNode, *, for_it: bool = False) -> bool:
        return moving.may_move(self, statement, target, for_it=for_it)

    def is_without_gradients(self, node: cst.CSTNode) -> bool:
        """Whether torch records no gradients there: under `with torch.no_grad():`, or in a function decorated so."""
        for above in self.tree.ancestors(node):
            if isinstance(above, cst.With) and any(_stops_gradients(self.api(_called(i.item))) for i in above.items):
                return True
            if isinstance(above, cst.FunctionDef):
                return any(_stops_gradients(self.api(_called(d.decorator))) for d in above.decorators)
        return False

    def is_shown(self, node: cst.CSTNode) -> bool:
        """Whether a statement's value is shown to the user: the last of a notebook's cell, or of a `# %%` cell."""
        line = self.parent(self.statement(node))
        if not isinstance(line, cst.SimpleStatementLine) or line not in self.module.body:
            return False
        below = self.module.body[list(self.module.body).index(line) + 1 :]
        if not below:
            return bool(self.cell_lines) or any(_is_cell(each) for each in self.module.body)
        if self.cell_lines:
            end, start = self.span(line)[1][0], self.span(below[0])[0][0]
            return any(end < cell <= start for cell in self.cell_lines)
        return _is_cell(below[0])

    def dotted(self, node: cst.CSTNode) -> str | None:
        """`self.critic` as text, if the node is nothing but names and dots."""
        return dotted_name(node)


def _called(node: cst.BaseExpression) -> cst.BaseExpression:
    return node.func if isinstance(node, cst.Call) else node


def _stops_gradients(api: str | None) -> bool:
    return api in ("torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad")


def _is_cell(statement: cst.CSTNode) -> bool:
    """Whether a line such as `# %%` or `# In[3]:` above a statement begins a cell."""
    lines = getattr(statement, "leading_lines", ())
    return any(line.comment is not None and _CELL.match(line.comment.value) for line in lines)
