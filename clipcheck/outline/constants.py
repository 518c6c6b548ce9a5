"""Which numbers an expression may turn out to be, by the names alone: every place that gives a name a value counts,
in whatever scope."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator
from itertools import product

from msgspec import Struct

from clipcheck.outline.given import Given
from clipcheck.outline.outline import Outline, last_name

_NAMED = {"inf": math.inf, "Inf": math.inf, "infty": math.inf, "pi": math.pi, "nan": math.nan}
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_CONVERTED: dict[str, Callable[[float], float]] = {"float": float, "int": math.trunc, "abs": abs}
_MOST = 64
_DEEPEST = 12
_MOST_STEPS = 500
_MOST_LEVELS = 4


class Numbers(Struct, frozen=True):
    """The numbers that something may be; `any`: or any other."""

    known: frozenset[float] = frozenset()
    any: bool = False

    def may(self, test: Callable[[float], bool]) -> bool:
        return self.any or any(test(value) for value in self.known)


_NONE = Numbers()
_ANY = Numbers(any=True)


def may_be(outline: Outline, node: ast.expr | None, test: Callable[[float], bool]) -> bool:
    """Whether an expression may be a number that passes a test, and that the analysis knows. Raises CannotTellError."""
    return numbers(outline, node).may(test) if node is not None else False


def numbers(outline: Outline, node: ast.expr) -> Numbers:
    """All that an expression may be, of what the analysis could know. Raises CannotTellError."""
    return outline.once(_Values).asked(node)


class _Values:
    """The numbers that the names of a file may be."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._given = outline.once(Given)
        self._known: dict[tuple[str, object], Numbers] = {}
        self._open: set[tuple[str, object]] = set()
        self._is_partial = False
        self._budget = 0

    def asked(self, node: ast.expr) -> Numbers:
        self._budget = _MOST_STEPS
        return self.of(node)

    def of(self, node: ast.expr, depth: int = 0) -> Numbers:
        self._budget -= 1
        if depth > _DEEPEST or self._budget < 0:
            return _ANY
        if isinstance(node, ast.Constant):
            return _constant(node)
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._named(last_name(node), depth)
        if isinstance(node, ast.UnaryOp):
            inner = self.of(node.operand, depth + 1)
            return Numbers(frozenset(-v for v in inner.known), inner.any) if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.BinOp):
            return self._operated(node, depth)
        if isinstance(node, ast.IfExp):
            return _either(self.of(node.body, depth + 1), self.of(node.orelse, depth + 1))
        if isinstance(node, ast.NamedExpr):
            return self.of(node.value, depth + 1)
        if isinstance(node, ast.Call):
            return self._called(node, depth)
        return self._entry(node, depth) if isinstance(node, ast.Subscript) else _NONE

    def _named(self, name: str, depth: int) -> Numbers:
        given = self._given.to(name)
        own = Numbers(frozenset({_NAMED[name]})) if name in _NAMED else _NONE
        return _either(own, self._kept((name, self), lambda: _either(*(self.of(value, depth + 1) for value in given))))

    def _kept(self, key: tuple[str, object], work: Callable[[], Numbers]) -> Numbers:
        """An answer that is kept, unless it was found while another one was still open that it depends on."""
        known = self._known.get(key)
        if known is not None:
            return known
        if key in self._open:  # what is made of itself adds nothing
            self._is_partial = True
            return _NONE
        before, self._is_partial = self._is_partial, False
        self._open.add(key)
        found = work()
        self._open.remove(key)
        if not self._is_partial or not self._open:
            self._known[key] = found
        self._is_partial = (self._is_partial or before) and bool(self._open)
        return found

    def _operated(self, node: ast.BinOp, depth: int) -> Numbers:
        left, right = self.of(node.left, depth + 1), self.of(node.right, depth + 1)
        fold = _ARITHMETIC.get(type(node.op))
        if fold is None or (not left.any and not left.known) or (not right.any and not right.known):
            return _NONE
        if left.any or right.any or len(left.known) * len(right.known) > _MOST:
            return _ANY
        return Numbers(
            frozenset(v for a, b in product(left.known, right.known) if (v := _folded(fold, a, b)) is not None)
        )

    def _called(self, node: ast.Call, depth: int) -> Numbers:
        name = last_name(node.func)
        if name in self._outline.defined:
            returned = self._given.returned(name)
            return self._kept((name, "()"), lambda: _either(*(self.of(value, depth + 1) for value in returned)))
        if name not in _CONVERTED or len(node.args) != 1:
            return _NONE
        inner = self.of(node.args[0], depth + 1)
        if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            inner = Numbers(frozenset({node.args[0].value}))  # type: ignore[arg-type] # float("inf")
        try:
            return Numbers(frozenset(map(_CONVERTED[name], inner.known)), inner.any)
        except (ValueError, OverflowError, TypeError):
            return _ANY

    def _entry(self, node: ast.Subscript, depth: int) -> Numbers:
        """What an entry of a container may be: of the displays of the file that the container may be."""
        entries = self._entries(node)
        if entries is None:
            return _ANY
        key = ("[]", frozenset(map(id, entries)))
        return self._kept(key, lambda: _either(*(self.of(entry, depth + 1) for entry in entries)))

    def _entries(self, node: ast.expr) -> list[ast.expr] | None:
        """What `a[i]` or `a[i][j]` may stand for; None if that is too much."""
        found = []
        todo: list[tuple[ast.expr, tuple[ast.expr, ...]]] = [(node, ())]
        seen = set()
        while todo:
            node, path = todo.pop()
            key = (node, path)
            if key in seen:
                continue
            seen.add(key)
            self._budget -= 1
            if self._budget < 0:
                return None
            if len(path) > _MOST_LEVELS:  # `x = x[0]`: no display is that deep
                continue
            if isinstance(node, ast.Subscript):
                todo.append((node.value, (node.slice, *path)))
            elif not path or isinstance(node, (ast.Constant, ast.UnaryOp, ast.BinOp)):
                found.append(node)
            elif isinstance(node, (ast.Name, ast.Attribute)):
                todo += [(value, path) for value in self._given.to(last_name(node))]
            elif isinstance(node, ast.Call):
                todo += self._entries_of_call(node, path)
            else:
                todo += [(entry, path[1:]) for entry in _held(node, path[0])]
        return found

    def _entries_of_call(
        self, call: ast.Call, path: tuple[ast.expr, ...]
    ) -> Iterator[tuple[ast.expr, tuple[ast.expr, ...]]]:
        name = last_name(call.func)
        if name in self._outline.defined:
            yield from ((value, path) for value in self._given.returned(name))
        elif name in _CONTAINERS:
            yield from ((value, way) for value in call.args for way in (path, path[1:]))
            yield from ((keyword.value, path[1:]) for keyword in call.keywords)


_CONTAINERS = frozenset({"dict", "list", "tuple", "zip", "enumerate"})


def _held(display: ast.expr, at: ast.expr) -> list[ast.expr]:
    """The entries of a display that an index may mean."""
    if isinstance(display, ast.Dict):
        return display.values
    if isinstance(display, ast.IfExp):
        return [entry for branch in (display.body, display.orelse) for entry in _held(branch, at)]
    entries = display.elts if isinstance(display, (ast.List, ast.Tuple, ast.Set)) else []
    if isinstance(at, ast.Constant) and isinstance(at.value, int):
        return entries[at.value :][:1] or entries
    return entries


def _constant(node: ast.Constant) -> Numbers:
    is_number = isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
    return Numbers(frozenset({node.value})) if is_number else _NONE  # type: ignore[arg-type]


def _either(*values: Numbers) -> Numbers:
    return Numbers(frozenset().union(*(value.known for value in values)), any(value.any for value in values))


def _folded(fold: Callable[[float, float], float], one: float, other: float) -> float | None:
    try:
        value = fold(one, other)
    except (ArithmeticError, ValueError):
        return None
    return None if isinstance(value, complex) else value
