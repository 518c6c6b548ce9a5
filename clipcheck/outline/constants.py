"""Which numbers an expression may turn out to be: every place counts that gives a name a value in its scope, or an
attribute of that name anywhere."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator
from itertools import product
from typing import TypeAlias

from msgspec import Struct

from clipcheck.outline.outline import Outline, Site, last_name
from clipcheck.outline.scopes import ANYWHERE, Bound, Home, Scopes

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


def may_both(one: Numbers, other: Numbers, test: Callable[[float, float], bool]) -> bool:
    """Whether two things may be numbers that pass a test together."""
    if one.any or other.any:
        return bool((one.any or one.known) and (other.any or other.known))
    return any(test(first, second) for first, second in product(one.known, other.known))


_NONE = Numbers()
_ANY = Numbers(any=True)


def may_be(outline: Outline, node: ast.expr | None, test: Callable[[float], bool], site: Site | None = None) -> bool:
    """Whether an expression may be a number that passes a test, and that the analysis knows. Raises CannotTellError."""
    return numbers(outline, node, site).may(test) if node is not None else False


def numbers(outline: Outline, node: ast.expr, site: Site | None = None) -> Numbers:
    """All that an expression may be, of what the analysis could know; an argument of a call, if that is given. Raises
    CannotTellError."""
    home = outline.once(Scopes).home(site) if site is not None else ANYWHERE
    return outline.once(_Values).asked(Bound(node, home))


class _Values:
    """The numbers that the names of a file may be."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._scopes = outline.once(Scopes)
        self._known: dict[tuple[object, ...], Numbers] = {}
        self._unfinished: set[tuple[object, ...]] = set()
        self._is_partial = False
        self._budget = 0

    def asked(self, bound: Bound) -> Numbers:
        self._budget = _MOST_STEPS
        return self.of(*bound)

    def of(self, node: ast.expr, home: Home, depth: int = 0) -> Numbers:
        self._budget -= 1
        if depth > _DEEPEST or self._budget < 0:
            return _ANY
        if isinstance(node, ast.Constant):
            return _constant(node)
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._named(node, home, depth)
        if isinstance(node, ast.UnaryOp):
            inner = self.of(node.operand, home, depth + 1)
            return Numbers(frozenset(-v for v in inner.known), inner.any) if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.BinOp):
            return self._operated(node, home, depth)
        if isinstance(node, ast.IfExp):
            return _either(self.of(node.body, home, depth + 1), self.of(node.orelse, home, depth + 1))
        if isinstance(node, ast.NamedExpr):
            return self.of(node.value, home, depth + 1)
        if isinstance(node, ast.Call):
            return self._called(node, home, depth)
        return self._entry(node, home, depth) if isinstance(node, ast.Subscript) else _NONE

    def _named(self, node: ast.Name | ast.Attribute, home: Home, depth: int) -> Numbers:
        name = last_name(node)
        own = Numbers(frozenset({_NAMED[name]})) if name in _NAMED else _NONE
        key = (name, home) if isinstance(node, ast.Name) else (name,)
        return _either(own, self._kept(key, lambda: self._given(node, home), depth))

    def _given(self, node: ast.Name | ast.Attribute, home: Home) -> list[Bound]:
        if isinstance(node, ast.Attribute):
            return self._scopes.attribute(node.attr)
        return self._scopes.named(node.id, home)

    def _kept(self, key: tuple[object, ...], given: Callable[[], list[Bound]], depth: int) -> Numbers:
        """What any of several expressions may be: kept, unless it was found while something was still unfinished that
        it depends on."""
        known = self._known.get(key)
        if known is not None:
            return known
        if key in self._unfinished:  # what is made of itself adds nothing
            self._is_partial = True
            return _NONE
        before, self._is_partial = self._is_partial, False
        self._unfinished.add(key)
        found = _either(*(self.of(*bound, depth + 1) for bound in given()))
        self._unfinished.remove(key)
        if not self._is_partial or not self._unfinished:
            self._known[key] = found
        self._is_partial = (self._is_partial or before) and bool(self._unfinished)
        return found

    def _operated(self, node: ast.BinOp, home: Home, depth: int) -> Numbers:
        left, right = self.of(node.left, home, depth + 1), self.of(node.right, home, depth + 1)
        fold = _ARITHMETIC.get(type(node.op))
        if fold is None or (not left.any and not left.known) or (not right.any and not right.known):
            return _NONE
        if left.any or right.any or len(left.known) * len(right.known) > _MOST:
            return _ANY
        return Numbers(
            frozenset(v for a, b in product(left.known, right.known) if (v := _folded(fold, a, b)) is not None)
        )

    def _called(self, node: ast.Call, home: Home, depth: int) -> Numbers:
        name = last_name(node.func)
        if name in self._outline.defined:
            return self._kept((name, "()"), lambda: self._scopes.returned(name), depth)
        if name not in _CONVERTED or len(node.args) != 1:
            return _NONE
        inner = self.of(node.args[0], home, depth + 1)
        if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            inner = Numbers(frozenset({node.args[0].value}))  # type: ignore[arg-type] # float("inf")
        try:
            return Numbers(frozenset(map(_CONVERTED[name], inner.known)), inner.any)
        except (ValueError, OverflowError, TypeError):
            return _ANY

    def _entry(self, node: ast.Subscript, home: Home, depth: int) -> Numbers:
        """What an entry of a container may be: of the displays of the file that the container may be."""
        entries = self._entries(Bound(node, home))
        if entries is None:
            return _ANY
        key = ("[]", frozenset((id(entry.value), entry.home) for entry in entries))
        return self._kept(key, lambda: entries, depth)

    def _entries(self, bound: Bound) -> list[Bound] | None:
        """What `a[i]` or `a[i][j]` may stand for; None if that is too much."""
        found = []
        todo: list[_Way] = [(bound, ())]
        seen = set()
        while todo:
            bound, path = todo.pop()
            if (bound, path) in seen:
                continue
            seen.add((bound, path))
            self._budget -= 1
            if self._budget < 0:
                return None
            if len(path) > _MOST_LEVELS:  # `x = x[0]`: no display is that deep
                continue
            node = bound.value
            if isinstance(node, ast.Subscript):
                todo.append((Bound(node.value, bound.home), (_place(node.slice), *path)))
            elif not path or isinstance(node, (ast.Constant, ast.UnaryOp, ast.BinOp)):
                found.append(bound)
            elif isinstance(node, (ast.Name, ast.Attribute)):
                todo += [(value, path) for value in self._given(node, bound.home)]
            elif isinstance(node, ast.Call):
                todo += self._entries_of_call(node, bound.home, path)
            else:
                todo += [(Bound(entry, bound.home), path[1:]) for entry in _held(node, path[0])]
        return found

    def _entries_of_call(self, call: ast.Call, home: Home, path: _Path) -> Iterator[_Way]:
        name = last_name(call.func)
        if name in self._outline.defined:
            yield from ((value, path) for value in self._scopes.returned(name))
        elif name in _CONTAINERS:
            anywhere: _Path = (None,) * len(path)  # `zip` turns rows to columns
            yield from ((Bound(value, home), way) for value in call.args for way in (anywhere, anywhere[1:]))
            yield from ((Bound(keyword.value, home), path[1:]) for keyword in call.keywords)


_Path: TypeAlias = tuple[int | None, ...]
_Way: TypeAlias = tuple[Bound, _Path]
_CONTAINERS = frozenset({"dict", "list", "tuple", "zip", "enumerate"})


def _place(index: ast.expr) -> int | None:
    return index.value if isinstance(index, ast.Constant) and type(index.value) is int else None


def _held(display: ast.expr, place: int | None) -> list[ast.expr]:
    """The entries of a display that an index may mean: at a place that is known, or any."""
    if isinstance(display, ast.Dict):
        return display.values
    if isinstance(display, ast.IfExp):
        return [entry for branch in (display.body, display.orelse) for entry in _held(branch, place)]
    entries = display.elts if isinstance(display, (ast.List, ast.Tuple, ast.Set)) else []
    return entries if place is None else entries[place:][:1] or entries


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
