"""What a file gives to its names, by Python's scopes: a name is what its own function, or the one around, makes it.

Only the parts of the file are parsed that a question leads to. What flows where inside of a function is not asked.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from clipcheck.outline.outline import Outline, Site, last_name

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LEAVES = (ast.Name, ast.Constant, ast.expr_context)

Home: TypeAlias = "tuple[ast.AST, Home] | None"
"""A function or class, and what it stands in; None for the module."""
ANYWHERE: Home = (ast.Pass(), None)
"""The home of an expression of which nobody says where it stands."""

_BINDS = re.compile(
    rb"""[\s\\)]*(?::[^=\n]*)?=(?!=)    # x = 1, x: int = 1, (x := 1)
    |[\s\\]*,[^=()\[\]{}]*[)\]]?\s*=(?!=)  # x, y = 1, 2
    |[\s\\]*(?:,[^=()\[\]{}:]*)?[)\]]?\s+in\b  # for x, y in ...
    """,
    re.VERBOSE,
)
_AS = re.compile(rb"\bas[\s(]+\Z")
_DEFINES_OPTION = rb"\b(DEFINE_\w+)\s*\("


class Bound(NamedTuple):
    """What a name is given, and where that is worked out."""

    value: ast.expr
    home: Home


class Scopes:
    """Everything here raises CannotTellError where a part of the file cannot be parsed."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._read: set[ast.Module] = set()
        self._bound: dict[str, dict[ast.AST | None, list[Bound]]] = {}
        self._attributes: dict[str, list[Bound]] = {}
        self._returned: dict[str, list[Bound]] = {}
        self._parameters: dict[str, list[tuple[_Function, Home]]] = {}
        self._open: set[tuple[ast.AST | None, str]] = set()
        """The names that may also be those of a scope further out, or are only bound in a comprehension."""

    def home(self, site: Site) -> Home:
        """Where a call stands."""
        self._see(site.tree)
        around = [above for inner, above in pairwise((site.call, *site.above)) if _is_inside(above, inner)]
        home: Home = None
        for scope in reversed(around):
            home = (scope, home)
        return home

    def named(self, name: str, home: Home, *, handed_over: bool = True) -> list[Bound]:
        """What a name may be given that is used there; if it is a parameter, by calls too."""
        if home is ANYWHERE:
            return self._anywhere(name)
        found: list[Bound] = []
        while home is not None:
            scope, outer = home
            own = self._bound.get(name, {}).get(scope, [])
            is_parameter = isinstance(scope, (*_FUNCTIONS, ast.Lambda)) and name in _parameters(scope)
            found += own
            if handed_over and is_parameter and not isinstance(scope, ast.Lambda):
                found += self._handed_over(scope, name, outer)
            is_sure = (own or is_parameter) and (scope, name) not in self._open
            if is_sure and not isinstance(scope, ast.ClassDef):
                return found
            home = outer
        self._see_mentions(name)
        return [*found, *self._bound.get(name, {}).get(None, [])]

    def attribute(self, name: str) -> list[Bound]:
        """What an attribute may be given: by assignments to it, in the body of a class, on the command line."""
        self._see_mentions(name)
        return [*self._attributes.get(name, []), *self._option(name)]

    def returned(self, name: str) -> list[Bound]:
        """What functions of this name return."""
        for place in self._outline.defined.get(name, ()):
            self._see(self._outline.tree_at(place))
        return self._returned.get(name, [])

    def _anywhere(self, name: str) -> list[Bound]:
        for start, _ in self._outline.occurrences(frozenset({name})):
            self._see(self._outline.tree_at(start))
        found = [bound for own in self._bound.get(name, {}).values() for bound in own]
        for function, outer in self._parameters.get(name, ()):
            found += self._handed_over(function, name, outer)
        return [*found, *self._attributes.get(name, []), *self._option(name)]

    def _handed_over(self, function: ast.AST, name: str, outer: Home) -> Iterator[Bound]:
        """What the calls of a function hand over for a parameter, and its default."""
        assert isinstance(function, _FUNCTIONS)
        class_ = outer[0] if outer is not None else None
        is_method = isinstance(class_, ast.ClassDef)
        called = class_.name if isinstance(class_, ast.ClassDef) and function.name == "__init__" else function.name
        by_attribute = is_method and function.name != "__init__"
        position = list(_parameters(function)).index(name) - is_method
        for site in self._outline.calls({called}):
            if site.name == called and isinstance(site.call.func, ast.Attribute) is by_attribute:
                value = site.argument(position if position >= 0 else None, name)
                if value is not None:
                    yield Bound(value, self.home(site))
        default = _parameters(function)[name]
        if default is not None:
            yield Bound(default, outer)
        if any(isinstance(decorator, ast.Call) for decorator in function.decorator_list):
            yield from self._option(name)

    def _option(self, name: str) -> list[Bound]:
        return self._outline.once(_options).get(name, [])

    def _see_mentions(self, name: str) -> None:
        """Read the parts of the file in which the text gives something to a name."""
        data = self._outline.data
        for start, end in self._outline.occurrences(frozenset({name})):
            if _BINDS.match(data, end) or _AS.search(data, max(0, start - 20), start):
                self._see(self._outline.tree_at(start))

    def _see(self, tree: ast.Module) -> None:
        if tree in self._read:
            return
        self._read.add(tree)
        sent_out: list[tuple[Home, str]] = []
        todo: list[tuple[ast.AST, Home]] = [(tree, None)]
        while todo:
            node, home = todo.pop()
            if isinstance(node, (ast.Global, ast.Nonlocal)):
                sent_out += [(home, name) for name in node.names]
            else:
                self._bind_by(node, home)
            for child in ast.iter_child_nodes(node):
                if not isinstance(child, _LEAVES):
                    todo.append((child, (node, home) if _is_inside(node, child) else home))
        for home, name in sent_out:
            self._send_out(home, name)

    def _send_out(self, home: Home, name: str) -> None:
        """`global x`: what is given to it in a function is given to it outside."""
        if home is None:
            return
        own = self._bound.get(name, {}).get(home[0], [])
        self._open.add((home[0], name))
        while home is not None:
            home = home[1]
            self._bound.setdefault(name, {}).setdefault(home[0] if home else None, []).extend(own)

    def _bind_by(self, node: ast.AST, home: Home) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, node.value, home)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
            self._bind(node.target, node.value, home)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self._bind(node.target, _entry(node.iter), home, is_open=isinstance(node, ast.comprehension))
        elif isinstance(node, ast.withitem):
            self._bind(node.optional_vars, node.context_expr, home)
        elif isinstance(node, ast.Return) and node.value is not None and home is not None:
            self._returned.setdefault(getattr(home[0], "name", ""), []).append(Bound(node.value, home))
        elif isinstance(node, _FUNCTIONS):
            for name in _parameters(node):
                self._parameters.setdefault(name, []).append((node, home))

    def _bind(self, target: ast.AST | None, value: ast.expr | None, home: Home, *, is_open: bool = False) -> None:
        if value is None:
            return
        scope = home[0] if home is not None else None
        bound = Bound(value, home)
        if isinstance(target, ast.Name):
            self._bound.setdefault(target.id, {}).setdefault(scope, []).append(bound)
            if is_open:
                self._open.add((scope, target.id))
        if isinstance(target, ast.Attribute) or (isinstance(target, ast.Name) and isinstance(scope, ast.ClassDef)):
            self._attributes.setdefault(last_name(target), []).append(bound)
        if isinstance(target, (ast.Tuple, ast.List)):
            for index, part in enumerate(target.elts):
                self._bind(part, _entry(value, index), home, is_open=is_open)


def _is_inside(scope: ast.AST, child: ast.AST) -> bool:
    """Whether what stands in a definition is worked out in its scope: decorators, defaults and bases are not."""
    if isinstance(scope, ast.Lambda):
        return child is scope.body
    return isinstance(scope, (*_FUNCTIONS, ast.ClassDef)) and child in scope.body


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> dict[str, ast.expr | None]:
    """The parameters in their order, with their defaults."""
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    found: dict[str, ast.expr | None] = {each.arg: None for each in plain}
    found.update((each.arg, default) for each, default in zip(plain[::-1], given.defaults[::-1], strict=False))
    found.update({given.vararg.arg: None} if given.vararg else {})
    found.update((each.arg, default) for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True))
    return found | ({given.kwarg.arg: None} if given.kwarg else {})


def _entry(container: ast.expr, index: int | None = None) -> ast.expr:
    """The entry of a container at an index, or any."""
    if index is not None and isinstance(container, (ast.Tuple, ast.List)) and index < len(container.elts):
        return container.elts[index]
    return ast.Subscript(value=container, slice=ast.Constant(index), ctx=ast.Load())


def _options(outline: Outline) -> dict[str, list[Bound]]:
    """The defaults of the options of the command line, by the names that their values are read from."""
    if not outline.has(rb"add_argument|option|DEFINE_"):
        return {}
    found: dict[str, list[Bound]] = {}
    for site in outline.calls({"add_argument", "option", *outline.found(_DEFINES_OPTION)}):
        default = site.argument(1 if site.name.startswith("DEFINE") else None, "default", "default_value")
        if default is None:
            continue
        home = outline.once(Scopes).home(site)
        for argument in (*site.call.args, site.argument(None, "dest")):
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                found.setdefault(argument.value.lstrip("-").replace("-", "_"), []).append(Bound(default, home))
    return found
