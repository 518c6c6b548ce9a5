"""What a file gives to its names: by assignments, loops, arguments, defaults, and options of the command line.

Names are not resolved: every place that gives a name (or an attribute of that name) a value counts, in whatever scope.
Only the parts of the file are parsed in which the text shows such places.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from clipcheck.outline.outline import Outline, last_name, walk

_Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef"

_BINDS = re.compile(
    rb"""[\s\\)]*(?::[^=\n]*)?=(?!=)    # x = 1, x: int = 1, f(x=1), (x := 1)
    |[\s\\]*,[^=()\[\]{}]*[)\]]?\s*=(?!=)  # x, y = 1, 2
    |[\s\\]*(?:,[^=()\[\]{}:]*)?[)\]]?\s+in\b  # for x, y in ...
    |["'] """,
    re.VERBOSE,
)
_WORD = rb"[A-Za-z_]\w*"
_AS = re.compile(rb"\bas[\s(]+\Z")
_HEADER = rb"\bdef\s+\w+\s*\("
_HEADER_ENDS = re.compile(rb"\)\s*(?:->[^\n]*)?:")
_HANDS_OVER = re.compile(rb"\s*\(\s*(?!\)|\w+\s*=(?!=)|\*)")
_OPTIONS = frozenset({"default", "default_value"})


class Given:
    """Everything here raises CannotTellError where a part of the file cannot be parsed."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._parts: dict[ast.Module, _Part] = {}
        self._known: dict[str, list[ast.expr]] = {}

    def to(self, name: str) -> list[ast.expr]:
        """What a name or attribute is given; "" stands for none."""
        known = self._known.get(name)
        if known is None:
            self._known[name] = known = []
            for part in self._parts_at(self._mentions(name)):
                known += part.given.get(name, ())
                for parameter in part.parameters.get(name, ()):
                    known += self._handed_over(parameter)
        return known

    def near(self, name: str, tree: ast.Module) -> list[ast.expr]:
        """What a name is given that is used in a part of the file: there, unless it is a name from outside."""
        part = self._part(tree)
        return part.given.get(name, []) if name in part.given or name in part.parameters else self.to(name)

    def returned(self, name: str) -> list[ast.expr]:
        """What functions of this name return."""
        places = self._outline.defined.get(name, ())
        bodies = (body for part in self._parts_at(places) for body in part.functions.get(name, ()))
        returns = (node.value for body in bodies for node in walk(body) if isinstance(node, ast.Return))
        return [value for value in returns if value is not None]

    def _mentions(self, name: str) -> Iterator[int]:
        """Where the text may give a value to a name."""
        if not name:
            return
        data = self._outline.data
        for start in self._words.get(name.encode(), ()):
            end = start + len(name)
            is_bound = _BINDS.match(data, end) or _AS.search(data, max(0, start - 20), start)
            if is_bound or self._is_parameter(start):
                yield start
        option = name.replace("_", "-").encode()
        if "_" in name and option in data:
            yield from (found.start() for found in self._outline.finditer(re.escape(option)))

    def _is_parameter(self, at: int) -> bool:
        place = bisect_right(self._headers, at) - 1
        if place < 0:
            return False
        end = _HEADER_ENDS.search(self._outline.data, self._headers[place])
        return end is None or at < end.start()

    @cached_property
    def _words(self) -> dict[bytes, list[int]]:
        """Where each word stands."""
        places: dict[bytes, list[int]] = {}
        for found in self._outline.finditer(_WORD):
            places.setdefault(found[0], []).append(found.start())
        return places

    @cached_property
    def _headers(self) -> list[int]:
        """Where parameters begin."""
        return [found.end() for found in self._outline.finditer(_HEADER)]

    def _parts_at(self, places: Iterable[int]) -> Iterator[_Part]:
        yield from map(self._part, dict.fromkeys(self._outline.tree_at(at) for at in places))

    def _part(self, tree: ast.Module) -> _Part:
        part = self._parts.get(tree)
        if part is None:
            part = self._parts[tree] = _Part(tree)
        return part

    def _handed_over(self, parameter: _Parameter) -> Iterator[ast.expr]:
        """What calls by position hand over."""
        name, data = parameter.function, self._outline.data
        places = self._words.get(name.encode(), ())
        for part in self._parts_at(at for at in places if _HANDS_OVER.match(data, at + len(name))):
            for call in part.calls.get(name, ()):
                is_of_method = isinstance(call.func, ast.Attribute)
                if is_of_method == parameter.of_method and 0 <= parameter.position < len(call.args):
                    yield call.args[parameter.position]


class _Parameter(NamedTuple):
    """function: what is called, of `__init__` the class. position: without `self`. of_method: it is called as one."""

    function: str
    position: int
    of_method: bool


class _Part:
    """What stands in one part of a file: what is given to names, parameters with their functions and positions, and
    functions and calls by their names."""

    def __init__(self, tree: ast.Module) -> None:
        self.given: dict[str, list[ast.expr]] = {}
        self.parameters: dict[str, list[_Parameter]] = {}
        self.functions: dict[str, list[_Function]] = {}
        self.calls: dict[str, list[ast.Call]] = {}
        self._methods: dict[ast.stmt, ast.ClassDef] = {}
        for node in walk(tree):
            read = _READ.get(node.__class__)
            if read is not None:
                read(self, node)

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
        self._methods.update((inner, node) for inner in node.body)

    def _define(self, function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        parameters = _parameters(function)
        defaults = function.args.defaults
        for parameter, default in zip(parameters[len(parameters) - len(defaults) :], defaults, strict=True):
            self._add(parameter.arg, default)
        for parameter, kw_default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
            if kw_default is not None:
                self._add(parameter.arg, kw_default)
        if not isinstance(function, ast.Lambda):
            self._take(function)
            self.functions.setdefault(function.name, []).append(function)

    def _call(self, call: ast.Call) -> None:
        name = last_name(call.func)
        if call.args:
            self.calls.setdefault(name, []).append(call)
        for keyword in call.keywords:
            if keyword.arg is not None:
                self._add(keyword.arg, keyword.value)
                if keyword.arg in _OPTIONS:
                    self._option(call, keyword.value)
        if name.startswith("DEFINE") and len(call.args) > 1:
            self._option(call, call.args[1])

    def _option(self, call: ast.Call, default: ast.expr) -> None:
        """The default of an option of the command line, by the name that its value is read from."""
        for argument in (*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "dest")):
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                self._add(argument.value.lstrip("-").replace("-", "_"), default)

    def _take(self, function: _Function) -> None:
        class_ = self._methods.get(function)
        is_init = class_ is not None and function.name == "__init__"
        name = class_.name if class_ is not None and is_init else function.name
        for position, parameter in enumerate(_parameters(function), start=-1 if class_ is not None else 0):
            own = _Parameter(name, position, class_ is not None and not is_init)
            self.parameters.setdefault(parameter.arg, []).append(own)

    def _give(self, target: ast.expr | None, value: ast.expr | None) -> None:
        if target is None or value is None:
            return
        if isinstance(target, (ast.Tuple, ast.List)):
            if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
                values = value.elts
            else:
                values = [_entry(value)] * len(target.elts)
            for part, given in zip(target.elts, values, strict=True):
                self._give(part, given)
        elif name := last_name(target):
            self._add(name, value)

    def _add(self, name: str, value: ast.expr) -> None:
        self.given.setdefault(name, []).append(value)


_READ: dict[type[ast.AST], Callable[[_Part, Any], None]] = {
    ast.Call: _Part._call,
    ast.Assign: _Part._assign,
    ast.AnnAssign: _Part._assign_one,
    ast.NamedExpr: _Part._assign_one,
    ast.For: _Part._loop,
    ast.AsyncFor: _Part._loop,
    ast.comprehension: _Part._loop,
    ast.withitem: _Part._manage,
    ast.FunctionDef: _Part._define,
    ast.AsyncFunctionDef: _Part._define,
    ast.Lambda: _Part._define,
    ast.ClassDef: _Part._define_class,
}


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args]


def _entry(container: ast.expr) -> ast.expr:
    """Some entry of a container."""
    return ast.Subscript(value=container, slice=ast.Constant(None), ctx=ast.Load())
