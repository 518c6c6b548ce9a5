"""Code that runs inside a TensorFlow graph: nothing beside its statements runs there but once, when it is traced."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst
from msgspec.structs import replace

from clipcheck.analysis.promises.places import is_plain, negative, one_line, settings, written
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import parameters
from clipcheck.model.code import Call, Code
from clipcheck.model.promises import Spot, Written

_DEPTH = 4
_TRACED = ("train_step", "call")


def graph_function(reading: FileReading, node: cst.CSTNode, depth: int = _DEPTH) -> cst.FunctionDef | None:
    """The function of this file that is traced, and runs the code at `node` in its graph."""
    function = reading.function(node)
    if function is None or depth == 0:
        return None
    if _is_traced(reading, function):
        return function
    for call in calls_of(reading, function):
        found = graph_function(reading, call.node, depth - 1)
        if found is not None:
            return found
    return graph_function(reading, function, depth - 1) if reading.function(function) is not None else None


def _is_traced(reading: FileReading, function: cst.FunctionDef) -> bool:
    for decorator in function.decorators:
        made = decorator.decorator.func if isinstance(decorator.decorator, cst.Call) else decorator.decorator
        if reading.api(made) == "tensorflow.function":
            return True
    class_ = reading.class_of(function)
    if class_ is not None and function.name.value in _TRACED and reading.classes.kind(class_) in ("model", "layer"):
        return True
    return any(
        isinstance(arg.value, cst.Name) and arg.value.value == function.name.value
        for call in reading.tree.all(cst.Call)
        if call.args and reading.api(call.func) == "tensorflow.function"
        for arg in call.args
    )


def calls_of(reading: FileReading, function: cst.FunctionDef) -> list[Call]:
    """The calls of a function of this file; those of a method by its name, through any object."""
    is_method = reading.scopes.own(function).parent is not reading.scopes.module
    name = function.name.value
    found = []
    for call in reading.tree.all(cst.Call):
        called = call.func.attr if isinstance(call.func, cst.Attribute) and is_method else call.func
        if isinstance(called, cst.Name) and called.value == name:
            found.append(Call(call, reading))
    return found


def behind_names(reading: FileReading, owner: cst.CSTNode, low: Code | None, high: Code | None) -> list[Spot]:
    """Behind the statements that give an object its name."""
    return [replace(spot, bounds=written(reading, low, high, spot.statement.node)) for spot in settings(reading, owner)]


def behind_calls(
    reading: FileReading, function: cst.FunctionDef, owner: cst.CSTNode, low: Code | None, high: Code | None
) -> Iterator[Spot]:
    """Behind the calls of a traced function from outside of any graph: what it calls `owner`, as it is called there."""
    for call in calls_of(reading, function):
        if graph_function(reading, call.node) is not None:
            return
        subject = at_call(reading, function, call, owner)
        if subject is not None:
            bounds = (
                at_call(reading, function, call, bound.node) if bound is not None else None for bound in (low, high)
            )
            yield Spot(call.statement, subject, after=True, bounds=Written(*bounds))


def at_call(reading: FileReading, function: cst.FunctionDef, call: Call, node: cst.CSTNode) -> str | None:
    """A plain expression of a function as a call of it has it: what is handed over for a parameter, `x.critic` for the
    `self.critic` of `x.train_step()`."""
    if not is_plain(node):
        return None
    if isinstance(node, cst.UnaryOperation):
        inner = at_call(reading, function, call, node.expression)
        return negative(inner) if inner is not None and isinstance(node.operator, cst.Minus) else inner
    if reading.means_same(node, call.node):
        return one_line(reading, node)
    root, rest = _split(node)
    given = _handed(reading, function, call, root) if isinstance(root, cst.Name) else None
    return f"{one_line(reading, given.node)}{rest}" if given is not None and is_plain(given.node) else None


def _split(node: cst.CSTNode) -> tuple[cst.CSTNode, str]:
    """`self` and ".critic.net" of `self.critic.net`."""
    if not isinstance(node, cst.Attribute):
        return node, ""
    root, rest = _split(node.value)
    return root, f"{rest}.{node.attr.value}"


def _handed(reading: FileReading, function: cst.FunctionDef, call: Call, name: cst.Name) -> Code | None:
    names = [param.name.value for param in parameters(function)]
    if name.value not in names or call.has_star:
        return None
    position: int | None = names.index(name.value)
    class_ = reading.class_of(function)
    if class_ is not None and reading.scopes.own(function).parent is reading.scopes.own(class_):
        if position == 0:
            return call.receiver
        position = position - 1 if position is not None else None
    argument = call.argument(position, name.value)
    return argument.code if argument is not None else None
