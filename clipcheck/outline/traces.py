"""What becomes of a clipped value: through the expressions around it to the uses of the names that it is bound to."""

from __future__ import annotations

import ast
from typing import NamedTuple

from msgspec import Struct

from clipcheck.frameworks.infinite import LOG_METHODS
from clipcheck.outline.constants import may_be
from clipcheck.outline.outline import Outline, Site, last_name, walk
from clipcheck.outline.pieces import CannotTellError
from clipcheck.outline.shapes import Clip, may_be_module, meanings

_MOST_STEPS = 400
_COPING = frozenset("isinf isneginf isfinite isnan is_nan is_inf is_finite nan_to_num errstate nansum nanmean".split())


class Interest(Struct, frozen=True):
    """What a value is followed for. functions: what ends the search when the value, or what it has become, is handed
    to it first or has it as a method; operations: the same for being a base or a divisor; squares: for being multiplied
    with itself, with nothing else done to it before. through: the functions and methods that hand the value on."""

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
            return self._squared(at, parent) if self._interest.squares else self._operand(at, parent)
        if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
            self._bound(at, parent.targets[0])
        elif isinstance(parent, ast.AnnAssign) and self._interest.squares:
            self._bound(at, parent.target)
        elif isinstance(parent, ast.Return):
            self._to_callers(at, parent)
        elif isinstance(parent, ast.UnaryOp):
            self._todo.append(_At(parent, at.tree, True))
        elif isinstance(parent, ast.Subscript):
            is_entry = parent.value is at.node and not self._interest.squares
            self._todo += [at._replace(node=parent)] * is_entry
        elif isinstance(parent, ast.IfExp) or (
            isinstance(parent, (ast.List, ast.Tuple)) and isinstance(above.get(parent), (ast.Call, ast.keyword))
        ):
            self._go(at, parent)
        return False

    def _squared(self, at: _At, operation: ast.BinOp) -> bool:
        """An error that becomes a part of something else before it is squared is not followed."""
        return _may_be_square(operation) and (operation.left is at.node or isinstance(operation.op, ast.Mult))

    def _operand(self, at: _At, operation: ast.BinOp) -> bool:
        is_left, operator = operation.left is at.node, operation.op
        if isinstance(operator, ast.Sub):
            if not is_left and may_be(self._outline, operation.left, lambda value: value == 1):
                self._todo.append(_At(operation, at.tree, True))
            return False
        if isinstance(operator, ast.Div) and not is_left:
            return at.is_turned and ast.Div in self._interest.operations
        if not isinstance(operator, (ast.Mult, ast.Div, ast.Pow)) or (isinstance(operator, ast.Pow) and not is_left):
            return False
        self._go(at, operation)
        return at.is_turned and isinstance(operator, ast.Pow) and ast.Pow in self._interest.operations

    def _argument(self, at: _At, call: ast.Call) -> bool:
        function = call.func
        if isinstance(function, ast.Attribute) and not may_be_module(function, self._outline):
            if function.attr == "append" and isinstance(function.value, ast.Name):
                self._use(function.value.id, at)
            if function.attr == "scale":
                self._go(at, call)
            return False
        if isinstance(function, ast.Name) and not self._interest.squares:
            self._into(at, function.id, call)
        is_first = [*call.args, *call.keywords][0] is at.node
        return self._handed(at, last_name(function), call, is_first)

    def _handed(self, at: _At, name: str, call: ast.Call, is_first: bool = True) -> bool:
        """To a function, or to a method of its own."""
        if self._is_one_of(name, self._interest.through):
            self._go(at, call)
        if not at.is_turned or not self._is_one_of(name, self._interest.functions):
            return False
        return (is_first or "div" in name) and not (name in LOG_METHODS and self._copes(at))

    def _is_one_of(self, name: str, names: frozenset[str]) -> bool:
        return name in names or (self._outline.is_renamed(name) and name in self._outline.aliases(names))

    def _copes(self, at: _At) -> bool:
        """Whether the function reckons with infinities."""
        function = self._function(at)
        return function is not None and any(last_name(inner) in _COPING for inner in walk(function))

    def _into(self, at: _At, name: str, call: ast.Call) -> None:
        """On to the uses of the parameter that a function of the file is given the value for."""
        for each in meanings(name, self._outline):
            for place in self._outline.defined.get(each, ()):
                tree = self._outline.tree_at(place)
                for function in walk(tree):
                    if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) and function.name == each:
                        self._use(_parameter(function, at.node, call), at._replace(tree=tree))

    def _bound(self, at: _At, target: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._use(target.id, at)
            if self._function(at) is None:  # what is bound outside of functions, all of them may read
                places = self._outline.occurrences(frozenset({target.id}))
                for tree in {self._outline.tree_at(start): None for start, _ in places}:
                    self._use(target.id, at._replace(tree=tree))
        elif isinstance(target, ast.Attribute):
            self._use_attribute(target.attr, at)

    def _use_attribute(self, name: str, at: _At) -> None:
        places = self._outline.finditer(rb"\.[\s\\]*%s\b" % name.encode())
        for tree in {self._outline.tree_at(place.start()): None for place in places}:
            for node in self._above(tree):
                if isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Load):
                    self._todo.append(_At(node, tree, at.is_turned))

    def _use(self, name: str, at: _At) -> None:
        for node in self._above(at.tree):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                self._go(at, node)

    def _to_callers(self, at: _At, statement: ast.Return) -> None:
        function = self._function(at._replace(node=statement))
        for site in self._outline.calls({function.name}) if function is not None else ():
            self._todo.append(_At(site.call, site.tree, at.is_turned))

    def _function(self, at: _At) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The function that something stands in."""
        above = self._above(at.tree)
        node: ast.AST | None = at.node
        while node is not None and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node = above.get(node)
        return node

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
