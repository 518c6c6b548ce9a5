"""What expressions stand for: constants folded, objects traced to the call that made them, tensors by their role."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import libcst as cst

from clipcheck.analysis.calls import CallValues
from clipcheck.analysis.joining import assumed, element, join, operated, unpack
from clipcheck.analysis.parameters import ParameterValues
from clipcheck.analysis.scopes import Binding, Kind
from clipcheck.frameworks import canonical
from clipcheck.model.value import (
    UNKNOWN,
    Constant,
    Instance,
    Items,
    Many,
    Pair,
    Reference,
    Tensor,
    Value,
)

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading

_CONSTANTS: dict[str, float] = {
    "numpy.inf": math.inf,
    "numpy.Inf": math.inf,
    "numpy.infty": math.inf,
    "math.inf": math.inf,
    "torch.inf": math.inf,
    "numpy.pi": math.pi,
    "math.pi": math.pi,
    "torch.pi": math.pi,
    "numpy.nan": math.nan,
    "math.nan": math.nan,
}
_BINARY: dict[type[cst.BaseBinaryOp], Callable[[float, float], float]] = {
    cst.Add: operator.add,
    cst.Subtract: operator.sub,
    cst.Multiply: operator.mul,
    cst.Divide: operator.truediv,
    cst.FloorDivide: operator.floordiv,
    cst.Modulo: operator.mod,
    cst.Power: operator.pow,
}
_DETACHING = frozenset({"data", "detach"})
_SAME_TENSOR = frozenset({"T", "mT", "H", "real", "imag", "values", "value"})


class Values:
    """The evaluator of one file. Answers are kept; a value that depends on itself is unknown."""

    def __init__(self, reading: FileReading) -> None:
        self.reading = reading
        self.calls = CallValues(reading)
        self.parameters = ParameterValues(reading)
        self._known: dict[cst.CSTNode, Value] = {}

    def of(self, node: cst.CSTNode) -> Value:
        known = self._known.get(node)
        if known is None:
            self._known[node] = UNKNOWN  # the answer to whoever asks while it is being worked out
            known = self._known[node] = self._evaluate(node)
        return known

    def _evaluate(self, node: cst.CSTNode) -> Value:
        evaluate = _BY_CLASS.get(type(node))
        return evaluate(self, node) if evaluate else UNKNOWN

    def _number(self, node: cst.Integer | cst.Float) -> Value:
        return Constant(ast.literal_eval(node.value))

    def _string(self, node: cst.SimpleString | cst.ConcatenatedString) -> Value:
        value = node.evaluated_value
        return Constant(value) if isinstance(value, str) else UNKNOWN

    def _name(self, node: cst.Name) -> Value:
        if node.value in ("True", "False", "None"):
            return Constant({"True": True, "False": False, "None": None}[node.value])
        bindings = self.reading.flow.reaching(node)
        if not bindings:
            return self._named(node)
        return join(self.binding(binding) for binding in bindings)

    def _named(self, node: cst.CSTNode) -> Value:
        api = self.reading.api(node)
        if api is None:
            return UNKNOWN
        if api in _CONSTANTS:
            return Constant(_CONSTANTS[api])
        return Reference(api)

    def binding(self, binding: Binding) -> Value:
        """The value that a binding gives to its name."""
        if binding.kind is Kind.IMPORT:
            api = canonical(binding.imported or "")
            return Constant(_CONSTANTS[api]) if api in _CONSTANTS else Reference(api)
        if binding.kind in (Kind.FUNCTION, Kind.CLASS):
            return Reference(f"__main__.{binding.name}")
        if binding.kind is Kind.PARAMETER:
            return self.parameters.of(binding)
        if binding.value is None:
            return UNKNOWN
        if binding.kind is Kind.ASSIGN:
            return unpack(self.of(binding.value), binding.path)
        if binding.kind is Kind.LOOP:
            return unpack(element(self.of(binding.value)), binding.path)
        if binding.kind is Kind.WITH:
            return unpack(self.of(binding.value), binding.path)
        if binding.kind is Kind.AUGMENT and isinstance(binding.node, cst.Name):
            return self._augmented(binding)
        return UNKNOWN

    def _augmented(self, binding: Binding) -> Value:
        """`x -= y` leaves a tensor a tensor."""
        value = self.of(binding.value) if binding.value is not None else UNKNOWN
        others = [b for b in binding.scope.bindings[binding.name] if b.kind is not Kind.AUGMENT]
        return operated(join(self.binding(other) for other in others), value)

    def attribute_bindings(self, class_: cst.ClassDef, name: str, seen: frozenset[str] = frozenset()) -> list[Binding]:
        """What a class of this file, or its bases in this file, bind an attribute to."""
        bindings = self.reading.scopes.attributes.get(class_, {}).get(name, [])
        if bindings or class_.name.value in seen:
            return bindings
        for base in class_.bases:
            above = self.local_class(self.of(base.value))
            if above is not None:
                bindings = self.attribute_bindings(above, name, seen | {class_.name.value})
                if bindings:
                    return bindings
        return []

    def local_class(self, value: Value) -> cst.ClassDef | None:
        """The class of this file that a value is, or is an instance of."""
        name = None
        if isinstance(value, Reference) and value.name.startswith("__main__."):
            name = value.name.removeprefix("__main__.")
        elif isinstance(value, Instance) and value.local:
            name = value.of
        if name is None:
            return None
        return next((c for c in self.reading.tree.all(cst.ClassDef) if c.name.value == name), None)

    def _attribute(self, node: cst.Attribute) -> Value:
        api = self.reading.api(node)
        if api is not None:
            return self._named(node)
        name = node.attr.value
        receiver = self.of(node.value)
        class_ = self.local_class(receiver) if isinstance(receiver, Instance) else None
        if class_ is not None:
            bindings = self.attribute_bindings(class_, name)
            if bindings:
                values = [self.binding(binding) for binding in bindings]
                return join([v for v in values if v != Constant(None)] or values)
        if isinstance(receiver, Tensor):
            return self._tensor_attribute(receiver, name)
        return self.calls.attribute(node, receiver)

    def _tensor_attribute(self, tensor: Tensor, name: str) -> Value:
        if name in _DETACHING:
            return Tensor(tensor.library, tensor.role, tensor.owner, tensor.dtype, detached=True)
        if name == "grad":
            return Tensor(tensor.library, "gradient", tensor.owner, tensor.dtype)
        if name in _SAME_TENSOR:
            return tensor
        return UNKNOWN

    def _unary(self, node: cst.UnaryOperation) -> Value:
        value = self.of(node.expression)
        if isinstance(value, Constant) and value.number is not None and isinstance(node.operator, cst.Minus):
            assert isinstance(value.value, (int, float))
            return Constant(-value.value, value.assumed)
        if isinstance(value, Constant) and isinstance(node.operator, cst.Plus):
            return value
        return value if isinstance(value, Tensor) and not isinstance(node.operator, cst.Not) else UNKNOWN

    def _binary(self, node: cst.BinaryOperation) -> Value:
        left, right = self.of(node.left), self.of(node.right)
        if isinstance(left, Constant) and isinstance(right, Constant):
            return _folded(left, node.operator, right)
        if isinstance(node.operator, cst.Add) and isinstance(left, Many) and isinstance(right, Many):
            return join([left, right])
        return operated(left, right)

    def _comparison(self, node: cst.Comparison) -> Value:
        value = self.of(node.left)
        return Tensor(value.library) if isinstance(value, Tensor) else UNKNOWN

    def _conditional(self, node: cst.IfExp) -> Value:
        return join([self.of(node.body), self.of(node.orelse)])

    def _display(self, node: cst.List | cst.Tuple | cst.Set) -> Value:
        if any(isinstance(element, cst.StarredElement) for element in node.elements):
            return UNKNOWN
        return Items(tuple(self.reading.code(element.value) for element in node.elements))

    def _comprehension(self, node: cst.ListComp | cst.SetComp | cst.GeneratorExp) -> Value:
        return Many(self.of(node.elt), one_shot=isinstance(node, cst.GeneratorExp))

    def _subscript(self, node: cst.Subscript) -> Value:
        receiver = self.of(node.value)
        if isinstance(receiver, Tensor):
            return receiver
        index = node.slice[0].slice
        key = self.of(index.value) if isinstance(index, cst.Index) else UNKNOWN
        place = key.value if isinstance(key, Constant) and isinstance(key.value, int) else None
        if isinstance(receiver, Items) and place is not None:
            within = -len(receiver.elements) <= place < len(receiver.elements)
            return receiver.elements[place].value if within else UNKNOWN
        if isinstance(receiver, Many):
            return receiver if isinstance(index, cst.Slice) else receiver.element
        if isinstance(receiver, Pair) and place in (0, 1):
            return receiver.second if place else receiver.first
        return self._entry(node.value, key)

    def _entry(self, container: cst.BaseExpression, key: Value) -> Value:
        """The entry of a dict whose display (or `dict(…)` call) stands in the file."""
        if not isinstance(key, Constant) or not isinstance(container, cst.Name):
            return UNKNOWN
        values = []
        for binding in self.reading.flow.reaching(container):
            found = self._dict_entry(binding.value, key)
            if found is None:
                return UNKNOWN
            values.append(found)
        return assumed(join(values))

    def _dict_entry(self, display: cst.BaseExpression | None, key: Constant) -> Value | None:
        if isinstance(display, cst.Dict):
            for item in display.elements:
                if isinstance(item, cst.DictElement) and self.of(item.key) == key:
                    return self.of(item.value)
        if isinstance(display, cst.Call) and self.reading.name(display.func) == "builtins.dict":
            for arg in display.args:
                if arg.keyword is not None and arg.keyword.value == key.value:
                    return self.of(arg.value)
        return None

    def _call(self, node: cst.Call) -> Value:
        return self.calls.of(node)

    def _walrus(self, node: cst.NamedExpr) -> Value:
        return self.of(node.value)

    def _arg(self, node: cst.Arg) -> Value:
        return self.of(node.value)


_BY_CLASS: dict[type[cst.CSTNode], Callable[[Values, Any], Value]] = {
    cst.Integer: Values._number,
    cst.Float: Values._number,
    cst.SimpleString: Values._string,
    cst.ConcatenatedString: Values._string,
    cst.Name: Values._name,
    cst.Attribute: Values._attribute,
    cst.UnaryOperation: Values._unary,
    cst.BinaryOperation: Values._binary,
    cst.Comparison: Values._comparison,
    cst.IfExp: Values._conditional,
    cst.List: Values._display,
    cst.Tuple: Values._display,
    cst.Set: Values._display,
    cst.ListComp: Values._comprehension,
    cst.SetComp: Values._comprehension,
    cst.GeneratorExp: Values._comprehension,
    cst.Subscript: Values._subscript,
    cst.Call: Values._call,
    cst.NamedExpr: Values._walrus,
    cst.Arg: Values._arg,
}


def _folded(left: Constant, operation: cst.BaseBinaryOp, right: Constant) -> Value:
    fold = _BINARY.get(type(operation))
    if fold is None or not isinstance(left.value, (int, float)) or not isinstance(right.value, (int, float)):
        return UNKNOWN
    try:
        result = fold(left.value, right.value)
    except (ArithmeticError, ValueError):
        return UNKNOWN
    if isinstance(result, complex):
        return UNKNOWN
    return Constant(result, left.assumed or right.assumed)
