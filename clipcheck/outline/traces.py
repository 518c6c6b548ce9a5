"""What becomes of a clipped value: through the expressions around it to the uses of the names that it is bound to."""

from __future__ import annotations

import ast
import builtins
from typing import NamedTuple

from msgspec import Struct

from clipcheck.outline.outline import Outline, Site, last_name, walk
from clipcheck.outline.pieces import CannotTellError
from clipcheck.outline.shapes import Clip

_MOST_STEPS = 400


class Interest(Struct, frozen=True):
    """What a value is followed for. functions: what ends the search when the value, or what it has become, is handed
    to it or has it as a method; operations: the same for being a base or a divisor; squares: for being multiplied
    with itself. through: the functions and methods that hand the value on."""

    functions: frozenset[str]
    through: frozenset[str]
    operations: tuple[type[ast.operator], ...] = ()
    squares: bool = False


def becomes(clip: Clip, outline: Outline, interest: Interest, *, turned: bool = False) -> bool:
    """Whether the clipped value may come to what is of interest, or (if `turned`) its complement or negative.

    Raises CannotTellError.
    """
    return _Trace(outline, interest, turned).run(clip)


class _At(NamedTuple):
    """An expression on the way; is_turned: something has been subtracted from a number, or negated, to come to it."""

    node: ast.AST
    tree: ast.Module
    is_turned: bool


class _Trace:
    def __init__(self, outline: Outline, interest: Interest, turned: bool) -> None:
        self._outline = outline
        self._interest = interest
        self._must_be_turned = turned
        self._parents: dict[ast.Module, dict[ast.AST, ast.AST]] = {}
        self._todo: list[_At] = []

    def run(self, clip: Clip) -> bool:
        start = _At(clip.site.call, clip.site.tree, not self._must_be_turned)
        self._todo.append(start)
        if clip.in_place and isinstance(clip.subject, ast.Name):
            self._use(clip.subject.id, start)
        seen: set[_At] = set()
        while self._todo:
            at = self._todo.pop()
            if at in seen:
                continue
            seen.add(at)
            if len(seen) > _MOST_STEPS:
                raise CannotTellError
            if self._step(at):
                return True
        return False

    def _go(self, at: _At, node: ast.AST) -> None:
        self._todo.append(at._replace(node=node))

    def _step(self, at: _At) -> bool:
        """One step up; whether it is the last one."""
        above = self._above(at.tree)
        parent = above.get(at.node)
        if isinstance(parent, ast.keyword):
            call = above.get(parent)
            return isinstance(call, ast.Call) and self._argument(at._replace(node=parent), call)
        if isinstance(parent, ast.Call):
            return at.node is not parent.func and self._argument(at, parent)
        if isinstance(parent, ast.Attribute):
            call = above.get(parent)
            return isinstance(call, ast.Call) and call.func is parent and self._handed(at, parent.attr, call)
        if isinstance(parent, ast.BinOp):
            return self._operand(at, parent)
        if isinstance(parent, ast.Assign):
            return any(self._bound(at, target) for target in parent.targets)
        if isinstance(parent, (ast.AugAssign, ast.AnnAssign)):
            return self._bound(at, parent.target)
        if isinstance(parent, ast.Return):
            self._to_callers(at, parent)
        elif isinstance(parent, ast.UnaryOp):
            self._todo.append(_At(parent, at.tree, True))
        elif isinstance(parent, (ast.Subscript, ast.IfExp, ast.List, ast.Tuple, ast.NamedExpr)):
            self._go(at, parent)
        return False

    def _operand(self, at: _At, operation: ast.BinOp) -> bool:
        is_left, operator = operation.left is at.node, operation.op
        if isinstance(operator, ast.Sub):
            if not is_left:
                self._todo.append(_At(operation, at.tree, True))
            return False
        if isinstance(operator, ast.Div) and not is_left:
            return ast.Div in self._interest.operations
        if not isinstance(operator, (ast.Mult, ast.Div, ast.Pow)) or (isinstance(operator, ast.Pow) and not is_left):
            return False
        self._go(at, operation)
        if self._interest.squares:
            return _may_be_square(operation)
        return isinstance(operator, ast.Pow) and ast.Pow in self._interest.operations

    def _argument(self, at: _At, call: ast.Call) -> bool:
        name = last_name(call.func)
        if self._handed(at, name, call):
            return True
        if not isinstance(call.func, ast.Name):
            return False
        self._into(at, name, call)
        return not hasattr(builtins, name) and self._outline.is_renamed(name)

    def _handed(self, at: _At, name: str, call: ast.Call) -> bool:
        if name in self._interest.through:
            self._go(at, call)
        return at.is_turned and name in self._interest.functions

    def _into(self, at: _At, name: str, call: ast.Call) -> None:
        """On to the uses of the parameter that a function of the file is given the value for."""
        for place in self._outline.defined.get(name, ()):
            tree = self._outline.tree_at(place)
            for function in walk(tree):
                if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) and function.name == name:
                    self._use(_parameter(function, at.node, call), at._replace(tree=tree))

    def _bound(self, at: _At, target: ast.expr) -> bool:
        if isinstance(target, ast.Name):
            self._use(target.id, at)
        # An attribute may be used in the whole class.
        return isinstance(target, ast.Attribute)

    def _use(self, name: str, at: _At) -> None:
        for node in self._above(at.tree):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                self._go(at, node)

    def _to_callers(self, at: _At, statement: ast.Return) -> None:
        above = self._above(at.tree)
        node: ast.AST = statement
        while not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node not in above:
                return
            node = above[node]
        for site in self._outline.calls({node.name}):
            self._todo.append(_At(site.call, site.tree, at.is_turned))

    def _above(self, tree: ast.Module) -> dict[ast.AST, ast.AST]:
        """What each node of a part of the file stands in."""
        known = self._parents.get(tree)
        if known is None:
            known = {child: node for node in walk(tree) for child in ast.iter_child_nodes(node)}
            self._parents[tree] = known
        return known


def _may_be_square(operation: ast.BinOp) -> bool:
    if isinstance(operation.op, ast.Pow):
        return not isinstance(operation.right, ast.Constant) or operation.right.value == 2
    return isinstance(operation.op, ast.Mult) and ast.dump(operation.left) == ast.dump(operation.right)


def _parameter(function: ast.FunctionDef | ast.AsyncFunctionDef, argument: ast.AST, call: ast.Call) -> str:
    if isinstance(argument, ast.keyword):
        return argument.arg or ""
    names = [parameter.arg for parameter in (*function.args.posonlyargs, *function.args.args)]
    position = next(index for index, each in enumerate(call.args) if each is argument)
    return names[position] if position < len(names) else ""


def returned_alone(site: Site) -> bool:
    """Whether a function of hardly more than that returns what the call does."""
    function = site.function
    return isinstance(site.parent, ast.Return) and function is not None and len(function.body) <= 2
