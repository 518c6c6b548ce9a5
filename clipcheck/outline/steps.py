"""What is called in one training step, going by what functions mention."""

from __future__ import annotations

import ast
from collections import Counter

from clipcheck.outline.outline import Outline, Site, last_name

_MODULE = ""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def called_in_steps(site: Site, outline: Outline) -> frozenset[str]:
    """What is called in the functions that may run in one step with a call: the one that it stands in, those that lead
    there, and those to which these lead. Raises CannotTellError."""
    function = site.function
    return outline.once(_Steps).around(function.name if function is not None else _MODULE)


def called_below(names: set[str], outline: Outline) -> frozenset[str]:
    """What is called in functions of the file, and in those to which they lead. Raises CannotTellError."""
    return outline.once(_Steps).below(names)


def callers(site: Site, outline: Outline) -> tuple[Site, ...]:
    """The calls of the function that a call stands in; none if it may also be run in another way. Raises
    CannotTellError."""
    function = site.function
    if function is None or outline.once(_Steps).is_handed_on(function.name):
        return ()
    return outline.calls({function.name})


def stepped(outline: Outline) -> list[ast.expr]:
    """What a method `step` is called of. Raises CannotTellError."""
    return outline.once(_Steps).stepped


class _Steps:
    """The names that the functions of each name mention, and those that they call; "" stands for the module."""

    def __init__(self, outline: Outline) -> None:
        self._mentioned: dict[str, Counter[str]] = {}
        self._called: dict[str, Counter[str]] = {}
        self.stepped: list[ast.expr] = []
        self._known: dict[str, frozenset[str]] = {}
        self._read(outline.tree)

    def _read(self, tree: ast.Module) -> None:
        todo: list[tuple[ast.AST, str]] = [(tree, _MODULE)]
        while todo:
            node, owner = todo.pop()
            if isinstance(node, _FUNCTIONS):
                owner = node.name
                self._mentioned.setdefault(owner, Counter())
            elif isinstance(node, (ast.Name, ast.Attribute)):
                self._mentioned.setdefault(owner, Counter())[last_name(node)] += 1
            elif isinstance(node, ast.Call):
                self._called.setdefault(owner, Counter())[last_name(node.func)] += 1
                if isinstance(node.func, ast.Attribute) and node.func.attr == "step":
                    self.stepped.append(node.func.value)
            todo += ((child, owner) for child in ast.iter_child_nodes(node))

    def is_handed_on(self, function: str) -> bool:
        """Whether something else is done with a function than to call it."""
        mentions = sum(names[function] for names in self._mentioned.values())
        return mentions > sum(names[function] for names in self._called.values())

    def around(self, function: str) -> frozenset[str]:
        if function not in self._known:
            self._known[function] = self.below(self._above(function))
        return self._known[function]

    def below(self, functions: set[str]) -> frozenset[str]:
        called: set[str] = set()
        seen, todo = set(functions), list(functions)
        while todo:
            name = todo.pop()
            called |= self._called.get(name, Counter()).keys()
            more = (self._mentioned.get(name, Counter()).keys() & self._mentioned.keys()) - seen
            seen |= more
            todo += more
        return frozenset(called)

    def _above(self, function: str) -> set[str]:
        """The functions that lead to one, and it itself."""
        found, todo = {function}, [function]
        while todo:
            name = todo.pop()
            more = {user for user, mentioned in self._mentioned.items() if name in mentioned} - found
            found |= more
            todo += more
        return found
