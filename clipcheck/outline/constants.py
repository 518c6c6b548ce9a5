"""Which numbers an expression may turn out to be, by the names alone: every place that gives a name a value counts,
in whatever scope."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from clipcheck.outline.outline import CannotTellError, Outline, last_name, walk

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
_MOST_SOURCES = 500
_MOST_PARTS = 5000
_MOST_STEPS = 500


@dataclass(frozen=True)
class Numbers:
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
    if isinstance(node, ast.Constant):  # the file need not be parsed for that
        return _constant(node)
    return outline.once(_Values).asked(node)


def _constant(node: ast.Constant) -> Numbers:
    is_number = isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
    return Numbers(frozenset({node.value})) if is_number else _NONE  # type: ignore[arg-type]


def given(outline: Outline, name: str) -> list[ast.expr]:
    """What the file gives to a name or attribute. Raises CannotTellError."""
    return outline.once(_Values).given.get(name, [])


def sources(outline: Outline, node: ast.expr) -> list[ast.expr]:
    """The expressions that a value may come from, itself included. Raises CannotTellError."""
    return outline.once(_Values).sources(node)


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


def may_be_learned(outline: Outline, node: ast.expr) -> bool:
    """Whether a value may be made of something that training learns. Raises CannotTellError."""
    makers = outline.aliases(_LEARNED)
    return any(isinstance(part, ast.Call) and last_name(part.func) in makers for part in parts(outline, node))


_LEARNED = frozenset("Parameter UninitializedParameter add_weight add_variable Variable variable get_variable".split())


class _Values:
    """What each name of a file is given, and what comes of that."""

    def __init__(self, outline: Outline) -> None:
        self.given: dict[str, list[ast.expr]] = {}
        self.functions: dict[str, list[list[str]]] = {}
        self.bodies: dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]] = {}
        calls: list[ast.Call] = []
        for node in walk(outline.tree):
            if isinstance(node, ast.Call):
                calls.append(node)
            elif (read := _READ.get(type(node))) is not None:
                read(self, node)
        for call in calls:
            self._hand_over(call)
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
        return self._entries(node.value, node.slice, depth) if isinstance(node, ast.Subscript) else _NONE

    def _named(self, name: str, depth: int) -> Numbers:
        given = self.given.get(name, ())
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
        if name in self.functions:
            return _ANY
        if name not in _CONVERTED or len(node.args) != 1:
            return _NONE
        if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            return _ANY  # float("inf")
        inner = self.of(node.args[0], depth + 1)
        try:
            return Numbers(frozenset(map(_CONVERTED[name], inner.known)), inner.any)
        except (ValueError, OverflowError):
            return _ANY

    def _entries(self, node: ast.expr, at: ast.expr, depth: int) -> Numbers:
        """What an entry of a container may be: of the displays of the file that the container may be."""
        self._budget -= 1
        if depth > _DEEPEST or self._budget < 0:
            return _ANY
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            elements = node.elts
            if isinstance(at, ast.Constant) and isinstance(at.value, int):
                elements = elements[at.value :][:1] or elements
            return _either(*(self.of(element, depth + 1) for element in elements))
        if isinstance(node, ast.Dict):
            return _either(*(self.of(value, depth + 1) for value in node.values))
        if isinstance(node, ast.Call):
            name = last_name(node.func)
            return _ANY if name in ("dict", "list", "tuple", "zip", "enumerate") or name in self.functions else _NONE
        if isinstance(node, ast.Subscript):
            return _ANY
        name, place = last_name(node), at.value if isinstance(at, ast.Constant) else None
        given = self.given.get(name, ())
        return self._kept((name, place), lambda: _either(*(self._entries(v, at, depth + 1) for v in given)))

    def sources(self, node: ast.expr) -> list[ast.expr]:
        found: list[ast.expr] = []
        seen: set[int] = set()
        todo = [node]
        while todo and len(found) < _MOST_SOURCES:
            node = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            found.append(node)
            if isinstance(node, (ast.Name, ast.Attribute)):
                todo += self.given.get(last_name(node), ())
            elif isinstance(node, ast.Call):
                todo += [*node.args, *self._returned(last_name(node.func))]
                todo += [node.func.value] if isinstance(node.func, ast.Attribute) else []
            elif isinstance(node, ast.IfExp):
                todo += [node.body, node.orelse]
            elif isinstance(node, (ast.NamedExpr, ast.Subscript, ast.Starred)):
                todo.append(node.value)
            elif isinstance(node, (ast.List, ast.Tuple)):
                todo += node.elts
        return found

    def _returned(self, name: str) -> list[ast.expr]:
        returns = (n for body in self.bodies.get(name, ()) for n in walk(body) if isinstance(n, ast.Return))
        return [node.value for node in returns if node.value is not None]

    # -- what gives names their values

    def _assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._give(target, node.value)

    def _assign_one(self, node: ast.AnnAssign | ast.NamedExpr) -> None:
        self._give(node.target, node.value)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.comprehension) -> None:
        self._give(node.target, _entry(node.iter))

    def _manage(self, node: ast.withitem) -> None:
        self._give(node.optional_vars, node.context_expr)

    def _define_class(self, node: ast.ClassDef) -> None:
        inits = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
        self.functions.setdefault(node.name, []).extend([a.arg for a in _arguments(init)] for init in inits)

    def _give(self, target: ast.expr | None, value: ast.expr | None) -> None:
        if target is None or value is None:
            return
        if isinstance(target, (ast.Tuple, ast.List)):
            same = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
            parts = (
                value.elts if same and isinstance(value, (ast.Tuple, ast.List)) else [_entry(value)] * len(target.elts)
            )
            for part, given in zip(target.elts, parts, strict=True):
                self._give(part, given)
        elif name := last_name(target):
            self.given.setdefault(name, []).append(value)

    def _define(self, function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        names = [argument.arg for argument in _arguments(function)]
        defaults = function.args.defaults
        for name, default in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            self.given.setdefault(name, []).append(default)
        for argument, kw_default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
            if kw_default is not None:
                self.given.setdefault(argument.arg, []).append(kw_default)
        if not isinstance(function, ast.Lambda):
            self.functions.setdefault(function.name, []).append(names)
            self.bodies.setdefault(function.name, []).append(function)

    def _hand_over(self, call: ast.Call) -> None:
        for keyword in call.keywords:
            if keyword.arg is not None:
                self.given.setdefault(keyword.arg, []).append(keyword.value)
                if keyword.arg in ("default", "default_value"):
                    self._option(call, keyword.value)
        for names in self.functions.get(last_name(call.func), ()):
            for own in (names, names[1:]):  # a method is not handed its `self`
                for name, value in zip(own, call.args, strict=False):
                    self.given.setdefault(name, []).append(value)
        if last_name(call.func).startswith("DEFINE") and len(call.args) > 1:
            self._option(call, call.args[1])

    def _option(self, call: ast.Call, default: ast.expr) -> None:
        """The default of an option of the command line, by the name that its value is read from."""
        for argument in (*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "dest")):
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                self.given.setdefault(argument.value.lstrip("-").replace("-", "_"), []).append(default)


_READ: dict[type[ast.AST], Callable[[_Values, Any], None]] = {
    ast.Assign: _Values._assign,
    ast.AnnAssign: _Values._assign_one,
    ast.NamedExpr: _Values._assign_one,
    ast.For: _Values._loop,
    ast.AsyncFor: _Values._loop,
    ast.comprehension: _Values._loop,
    ast.withitem: _Values._manage,
    ast.FunctionDef: _Values._define,
    ast.AsyncFunctionDef: _Values._define,
    ast.Lambda: _Values._define,
    ast.ClassDef: _Values._define_class,
}


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[ast.arg]:
    yield from function.args.posonlyargs
    yield from function.args.args


def _entry(container: ast.expr) -> ast.expr:
    """Some entry of a container."""
    return ast.Subscript(value=container, slice=ast.Constant(None), ctx=ast.Load())


def _either(*values: Numbers) -> Numbers:
    return Numbers(frozenset().union(*(value.known for value in values)), any(value.any for value in values))


def _folded(fold: Callable[[float, float], float], one: float, other: float) -> float | None:
    try:
        value = fold(one, other)
    except (ArithmeticError, ValueError):
        return None
    return None if isinstance(value, complex) else value
