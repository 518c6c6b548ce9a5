"""Expressions that can be evaluated beside a statement without doing anything, and which statement that may be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Binding, Kind
from clipcheck.analysis.stores import is_variable
from clipcheck.model.clips import Bound
from clipcheck.model.code import Code
from clipcheck.model.networks import Network
from clipcheck.model.promises import Interval, Spot, Written
from clipcheck.model.value import Constant

_Pair: TypeAlias = tuple[Code | None, Code | None]

_ARITHMETIC = (cst.Add, cst.Subtract, cst.Multiply, cst.Divide, cst.Power)
_LITERALS = (cst.Integer, cst.Float)
_OVER_WEIGHTS = re.compile(
    r"layers|weights|params|parameters|param_groups|state_dict|variables|modules|children|vars\b"
)
_TRAINING = frozenset("backward step zero_grad train_on_batch fit apply_gradients minimize train_step".split())


def is_plain(node: cst.CSTNode) -> bool:
    """Whether evaluating an expression does nothing else: names, attributes, fixed items, numbers and arithmetic."""
    if isinstance(node, (cst.Name, *_LITERALS)):
        return True
    if isinstance(node, cst.Attribute):
        return is_plain(node.value)
    if isinstance(node, cst.Subscript):
        index = node.slice[0].slice
        is_fixed = isinstance(index, cst.Index) and isinstance(index.value, (cst.Integer, cst.SimpleString))
        return is_fixed and len(node.slice) == 1 and is_plain(node.value)
    if isinstance(node, cst.UnaryOperation):
        return isinstance(node.operator, (cst.Minus, cst.Plus)) and is_plain(node.expression)
    if isinstance(node, cst.BinaryOperation):
        return isinstance(node.operator, _ARITHMETIC) and is_plain(node.left) and is_plain(node.right)
    return False


def one_line(reading: FileReading, node: cst.CSTNode) -> str:
    return " ".join(reading.text(node).split())


def negative(text: str) -> str:
    """The expression of the opposite number."""
    return f"-{text}" if re.fullmatch(r"[\w.]+", text) else f"-({text})"


def usable(reading: FileReading, node: cst.CSTNode, place: cst.CSTNode) -> bool:
    """Whether a plain expression means the same before the statement `place`, which it may be a part of."""
    if not is_plain(node):
        return False
    inside = set(reading.tree.below(place))
    if node in inside:
        names = _variables(reading, node)
        return not any(binding.node in inside for name in names for binding in reading.flow.reaching(name))
    return reading.means_same(node, place) or _is_unchanged_between(reading, node, place)


def _is_unchanged_between(reading: FileReading, node: cst.CSTNode, place: cst.CSTNode) -> bool:
    """Whether both stand in one function, and nothing between them binds a name of the expression."""
    if reading.function(node) is not reading.function(place):
        return False
    order = reading.tree.order
    first, last = sorted((order[node], order[place]))
    bindings = [binding for name in _variables(reading, node) for binding in reading.flow.reaching(name)]
    scope = reading.scopes.function_of(reading.scopes.of(place))
    is_seen = all(reading.scopes.function_of(b.scope) is b.scope for b in bindings)
    rebound = [
        other for b in bindings for other in scope.bindings.get(b.name, ()) if first <= order[other.node] <= last
    ]
    return bool(bindings) and is_seen and not rebound


def _variables(reading: FileReading, node: cst.CSTNode) -> Iterator[cst.Name]:
    for below in reading.tree.below(node):
        if isinstance(below, cst.Name) and is_variable(reading, below):
            yield below


def before_loops(reading: FileReading, node: cst.CSTNode, owner: cst.CSTNode | None) -> cst.CSTNode:
    """The statement of a node, or the outermost loop over weights around it at which `owner` has its meaning."""
    place = reading.statement(node)
    for above in reading.tree.ancestors(place):
        if isinstance(above, (cst.FunctionDef, cst.ClassDef)):
            break
        if isinstance(above, cst.For) and is_over_weights(reading, above):
            if owner is not None and not usable(reading, owner, above):
                break
            place = above
    return place


def is_over_weights(reading: FileReading, loop: cst.For) -> bool:
    """Whether a loop goes through the weights or the layers of a model, by what it says, and trains nothing."""
    return _OVER_WEIGHTS.search(reading.text(loop.iter)) is not None and not trains(reading, loop.body)


def trains(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether a part of a training step is called by its name."""
    return any(isinstance(c.func, cst.Attribute) and c.func.attr.value in _TRAINING for c in reading.calls_in(node))


def numbers(low: Code | None, high: Code | None) -> Interval:
    """The bounds as far as they are known."""
    return Interval(low.number if low is not None else None, high.number if high is not None else None)


def stated(code: Code | None) -> float | None:
    """The number of a bound that the script fixes: no default that somebody may override."""
    value = code.value if code is not None else None
    return value.number if isinstance(value, Constant) and not value.assumed else None


def written(reading: FileReading, low: Code | None, high: Code | None, place: cst.CSTNode) -> Written:
    """The bounds as they can be written before a statement; a number that is written as such needs no expression."""
    return Written(_written(reading, low, place), _written(reading, high, place))


def _written(reading: FileReading, bound: Code | None, place: cst.CSTNode) -> str | None:
    if bound is None or Bound(bound).is_literal or not usable(reading, bound.node, place):
        return None
    return one_line(reading, bound.node)


def in_order(low: Code | None, high: Code | None) -> _Pair:
    """The bounds, the lower one first even where the script has them in the wrong order."""
    if low is not None and high is not None:
        lower, upper = low.number, high.number
        if lower is not None and upper is not None and lower > upper:
            return high, low
    return low, high


def settings(reading: FileReading, owner: cst.CSTNode) -> Iterator[Spot]:
    """Behind every statement that gives an object its name: the name of `owner` there, and others of the same model."""
    seen: set[cst.CSTNode] = set()
    for binding in _bindings(reading, owner):
        if binding.kind is Kind.ASSIGN and not binding.path and isinstance(binding.statement, cst.Assign):
            seen.add(binding.statement)
            yield Spot(reading.code(binding.statement), one_line(reading, owner), after=True)
    network = reading.network(owner)
    if network is not None and not seen:
        yield from named(reading, network)


def named(reading: FileReading, network: Network) -> Iterator[Spot]:
    """Behind every statement that gives a model a name."""
    for assign in reading.tree.all(cst.Assign):
        name = reading.dotted(assign.targets[0].target) if len(assign.targets) == 1 else None
        if name is not None and reading.networks.of(assign.value) is network:
            yield Spot(reading.code(assign), name, after=True)


def _bindings(reading: FileReading, owner: cst.CSTNode) -> Iterable[Binding]:
    if isinstance(owner, cst.Name):
        return reading.flow.reaching(owner)
    if isinstance(owner, cst.Attribute) and isinstance(owner.value, cst.Name):
        class_ = reading.scopes.class_of_self(owner.value)
        return reading.values.attribute_bindings(class_, owner.attr.value) if class_ is not None else ()
    return ()


def spoken(reading: FileReading, node: cst.CSTNode) -> str:
    """What the user calls an object: the plainest name of the model that it is, or is a part of; an optimizer that is
    seen from within by its class."""
    class_ = reading.scopes.class_of_self(node) if isinstance(node, cst.Name) else None
    return class_.name.value if class_ is not None else _spoken(reading, node)


def _spoken(reading: FileReading, node: cst.CSTNode) -> str:
    network = reading.network(node)
    if network is not None and network.names and not _is_built_often(reading, network):
        return network.spoken_name
    given = _handed_over(reading, node)
    if given is not None:
        return _spoken(reading, given)
    if isinstance(node, (cst.Attribute, cst.Subscript)):
        base = node.value
        return _spoken(reading, base) + one_line(reading, node)[len(one_line(reading, base)) :]
    return one_line(reading, node)


def _handed_over(reading: FileReading, node: cst.CSTNode) -> cst.CSTNode | None:
    """The variable that all calls of this file hand over for a parameter."""
    bindings = reading.flow.reaching(node) if isinstance(node, cst.Name) else []
    binding = bindings[0] if len(bindings) == 1 else None
    if binding is None or binding.kind is not Kind.PARAMETER or not isinstance(binding.scope.node, cst.FunctionDef):
        return None
    assert isinstance(binding.node, cst.Param)
    if isinstance(node, cst.Name) and reading.scopes.class_of_self(node) is not None:
        return None
    given = reading.origins.given(binding.node, binding.scope.node)
    names = {reading.dotted(each) for each in given}
    is_other = len(names) == 1 and names != {None} and node not in reading.tree.below(given[0])
    return given[0] if is_other and reading.function(given[0]) is not binding.scope.node else None


def _is_built_often(reading: FileReading, network: Network) -> bool:
    """Whether a function builds several models, so that the names are not all of one."""
    builder = reading.function(network.made.node)
    if builder is None or builder.name.value == "__init__":
        return False
    names = [
        call.func.attr if isinstance(call.func, cst.Attribute) else call.func for call in reading.tree.all(cst.Call)
    ]
    return sum(isinstance(name, cst.Name) and name.value == builder.name.value for name in names) > 1


def around(reading: FileReading, node: cst.CSTNode) -> tuple[str, ...]:
    """The names of the function and the class that a node stands in."""
    function, class_ = reading.function(node), reading.class_of(node)
    return tuple(definition.name.value for definition in (function, class_) if definition is not None)
