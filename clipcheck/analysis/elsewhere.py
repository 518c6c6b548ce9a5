"""Whether an expression means the same at another place of the file: what a fix may carry there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from clipcheck.analysis.scopes import Binding, Kind, Scope, parameters

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading

_BLOCKS = (cst.IndentedBlock, cst.SimpleStatementSuite, cst.Module)
_LITERALS = (cst.Integer, cst.Float, cst.SimpleString)


def means_same(reading: FileReading, node: cst.CSTNode, at: cst.CSTNode) -> bool:
    """Whether `node`, written at `at`, surely has been given the same value by then. Errs towards no."""
    if isinstance(node, _LITERALS):
        return True
    if isinstance(node, cst.UnaryOperation):
        return means_same(reading, node.expression, at)
    if isinstance(node, cst.BinaryOperation):
        return means_same(reading, node.left, at) and means_same(reading, node.right, at)
    if isinstance(node, cst.Name):
        return _name(reading, node, at)
    if isinstance(node, cst.Attribute):
        return _attribute(reading, node, at)
    if isinstance(node, cst.Call):
        return all(means_same(reading, part, at) for part in (node.func, *(arg.value for arg in node.args)))
    if isinstance(node, cst.Lambda):
        return all(means_same(reading, name, at) for name in _free_names(reading, node))
    return False


def _free_names(reading: FileReading, function: cst.Lambda) -> list[cst.Name]:
    """The names that a lambda takes from around it."""
    own = {param.name.value for param in parameters(function)}
    found = []
    for name in reading.tree.below(function.body):
        above = reading.tree.parent(name)
        if not isinstance(name, cst.Name) or name.value in own:
            continue
        if (isinstance(above, cst.Attribute) and above.attr is name) or (
            isinstance(above, cst.Arg) and above.keyword is name
        ):
            continue
        found.append(name)
    return found


def is_free(reading: FileReading, name: str, at: cst.CSTNode) -> bool:
    """Whether a name may be bound at a place: nothing there uses it but loops of its own."""
    scopes = reading.scopes
    scope = scopes.lookup(name, scopes.of(at))
    if scope is None:
        return True
    around = set(reading.tree.ancestors(at))
    return all(b.kind is Kind.LOOP and b.statement not in around for b in scope.bindings[name])


def _name(reading: FileReading, node: cst.Name, at: cst.CSTNode) -> bool:
    scopes = reading.scopes
    home = scopes.lookup(node.value, scopes.of(node))
    if home is None or scopes.lookup(node.value, scopes.of(at)) is not home:
        return False
    bindings = home.bindings[node.value]
    if _is_near(reading, node, at, bindings):
        return True
    if len(bindings) != 1:
        return False
    if bindings[0].kind is Kind.PARAMETER:
        return True
    if scopes.function_of(scopes.of(at)) is not home:
        return home is scopes.module and _is_unconditional(reading, bindings[0], home)
    return _precedes(reading, bindings[0], at)


def _is_near(reading: FileReading, node: cst.CSTNode, at: cst.CSTNode, bindings: list[Binding]) -> bool:
    """Whether nothing can come between two places of the same loop of the same function."""
    if reading.function(node) is not reading.function(at) or reading.loops(at) != reading.loops(node):
        return False
    order = reading.tree.order
    first, last = sorted((order[node], order[at]))
    return not any(first <= order[binding.node] <= last for binding in bindings)


def _is_unconditional(reading: FileReading, binding: Binding, home: Scope) -> bool:
    statement = binding.statement
    above = reading.tree.parent(statement)
    if isinstance(above, cst.SimpleStatementLine):
        above = reading.tree.parent(above)
    return above is home.node


def _precedes(reading: FileReading, binding: Binding, at: cst.CSTNode) -> bool:
    """Whether every path to `at` passes the binding first."""
    order = reading.tree.order
    if order[binding.statement] >= order[at]:
        return False
    block = next((a for a in reading.tree.ancestors(binding.statement) if isinstance(a, _BLOCKS)), None)
    return block in set(reading.tree.ancestors(at))


def _attribute(reading: FileReading, node: cst.Attribute, at: cst.CSTNode) -> bool:
    if not isinstance(node.value, cst.Name):
        return means_same(reading, node.value, at)
    class_ = reading.scopes.class_of_self(node.value)
    if class_ is None:
        return _name(reading, node.value, at)
    method = reading.function(at)
    if method is None or reading.class_of(method) is not class_:
        return False
    first = next(parameters(method), None)
    if first is None or first.name.value != node.value.value:
        return False
    bindings = reading.values.attribute_bindings(class_, node.attr.value)
    if _is_near(reading, node, at, bindings):
        return True
    return len(bindings) == 1 and _is_set(reading, class_, bindings[0], method, at)


def _is_set(
    reading: FileReading, class_: cst.ClassDef, binding: Binding, method: cst.FunctionDef, at: cst.CSTNode
) -> bool:
    """Whether `__init__` has set an attribute by the time that a method gets to `at`."""
    setter = reading.function(binding.node)
    if binding.node in set(reading.tree.below(class_.body)) and setter is None:
        return True  # in the class's own body
    if setter is None or setter.name.value != "__init__":
        return False
    if setter is method:
        return _precedes(reading, binding, at)
    order = reading.tree.order
    calls = [
        node
        for node in reading.tree.below(setter.body)
        if isinstance(node, cst.Attribute) and node.attr.value == method.name.value
    ]
    return all(order[call] > order[binding.statement] for call in calls) and bool(calls)
