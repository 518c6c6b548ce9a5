"""Whether anything reads what a statement binds to a name."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Scope

_READS_EVERYTHING = frozenset({"locals", "vars", "eval", "exec", "globals"})


def is_read(reading: FileReading, target: cst.Name, statement: cst.CSTNode) -> bool:
    """Whether any use of the name may see the value that this statement binds to it."""
    scopes = reading.scopes
    scope = scopes.function_of(scopes.of(target))
    for name in reading.tree.below(scope.node):
        if not isinstance(name, cst.Name) or name is target or not is_variable(reading, name):
            continue
        if name.value in _READS_EVERYTHING and reading.name(name) == f"builtins.{name.value}":
            return True
        if name.value != target.value:
            continue
        if any(b.node is name for b in scope.bindings.get(name.value, ())) and not _is_augmented(reading, name):
            continue
        if scopes.lookup(name.value, scopes.of(name)) is not scope:
            continue
        if scopes.function_of(scopes.of(name)) is not scope:
            return True
        if any(b.statement is statement for b in reading.flow.reaching(name)):
            return True
    return False


def uses_of(reading: FileReading, name: str, scope: Scope) -> Iterator[cst.Name]:
    """Every place where a name stands for the variable of this scope, also from within inner functions."""
    for node in reading.tree.below(scope.node):
        if not isinstance(node, cst.Name) or node.value != name or not is_variable(reading, node):
            continue
        if reading.scopes.lookup(name, reading.scopes.of(node)) is scope:
            yield node


def is_variable(reading: FileReading, name: cst.Name) -> bool:
    """Whether a name stands for a variable: it is no attribute's, keyword's or parameter's own name."""
    parent = reading.parent(name)
    if isinstance(parent, cst.Attribute):
        return parent.value is name
    if isinstance(parent, cst.Arg):
        return parent.keyword is not name
    return not (isinstance(parent, (cst.Param, cst.FunctionDef, cst.ClassDef)) and parent.name is name)


def _is_augmented(reading: FileReading, name: cst.Name) -> bool:
    return isinstance(reading.parent(name), cst.AugAssign)
