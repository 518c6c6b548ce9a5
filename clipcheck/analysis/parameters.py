"""What the parameters of functions hold: by their annotation, their callers, their default, or the command line."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from clipcheck.analysis.joining import assumed, join
from clipcheck.analysis.scopes import Binding, parameters
from clipcheck.frameworks import TENSOR_METHODS, numpy, tensorflow, torch
from clipcheck.model.code import Call
from clipcheck.model.value import UNKNOWN, Constant, Instance, Tensor, Value

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading

_KERAS_LOSS_PARAMETERS = frozenset({"y_true", "y_pred"})
_OPTIONS = re.compile(r"^(add_argument|option|DEFINE_\w+)$")


class ParameterValues:
    def __init__(self, reading: FileReading) -> None:
        self.reading = reading

    def of(self, binding: Binding) -> Value:
        param = binding.node
        function = binding.scope.node
        assert isinstance(param, cst.Param)
        if not isinstance(function, cst.FunctionDef):
            return UNKNOWN
        for known in (
            self._self(param, function, binding),
            self._annotated(param),
            self._given(param, function),
            self._default(param),
            self._tensor(param, function),
            self._option(param.name.value, function),
        ):
            if known != UNKNOWN:
                return known
        return UNKNOWN

    def command_line(self, name: str) -> Value:
        """The default of a command line option, by the attribute that its value is read from."""
        found = self._options.get(name, [])
        return assumed(join(found)) if found else UNKNOWN

    def _self(self, param: cst.Param, function: cst.FunctionDef, binding: Binding) -> Value:
        class_ = binding.scope.parent.node if binding.scope.parent else None
        first = next(parameters(function), None)
        if isinstance(class_, cst.ClassDef) and param is first:
            return Instance(class_.name.value, self.reading.code(class_), local=True)
        return UNKNOWN

    def _annotated(self, param: cst.Param) -> Value:
        if param.annotation is None:
            return UNKNOWN
        api = self.reading.api(param.annotation.annotation)
        if api is None:
            return UNKNOWN
        if api in torch.TENSOR_ANNOTATIONS:
            return Tensor("torch")
        if api in tensorflow.TENSOR_ANNOTATIONS:
            return Tensor("keras" if api.startswith("keras") else "tensorflow")
        if api in numpy.ARRAY_ANNOTATIONS:
            return Tensor("numpy")
        if api.startswith(("torch.", "keras.")):
            return Instance(api, self.reading.code(param))
        return UNKNOWN

    def _given(self, param: cst.Param, function: cst.FunctionDef) -> Value:
        """What all calls in this file hand over; unknown if there are none, or one cannot be read."""
        calls = self._calls_of(function)
        if not calls:
            return UNKNOWN
        names = [p.name.value for p in parameters(function)]
        if self._is_method(function):
            names = names[1:]
        position = names.index(param.name.value) if param.name.value in names else None
        given = []
        for call in calls:
            if call.has_star:
                return UNKNOWN
            argument = call.argument(position, param.name.value)
            if argument is not None:
                given.append(argument.code.value)
            elif param.default is not None:
                given.append(self.reading.values.of(param.default))
            else:
                return UNKNOWN
        return join(given)

    def handed_over(self, param: cst.Param, function: cst.FunctionDef) -> list[cst.BaseExpression]:
        """The expressions that the calls of this file hand over; the default where one leaves the parameter out."""
        names = [p.name.value for p in parameters(function)]
        if self._is_method(function):
            names = names[1:]
        position = names.index(param.name.value) if param.name.value in names else None
        found = []
        for call in self._calls_of(function):
            argument = call.argument(position, param.name.value)
            if argument is not None:
                found.append(argument.node.value)
            elif param.default is not None:
                found.append(param.default)
        return found

    def _calls_of(self, function: cst.FunctionDef) -> list[Call]:
        target = function.name.value
        if self._is_method(function):
            class_ = self.reading.class_of(function)
            if target == "__init__" and class_ is not None:
                return self._calls_by_name.get(class_.name.value, [])
            return self._calls_by_method.get(target, [])
        return self._calls_by_name.get(target, [])

    def _is_method(self, function: cst.FunctionDef) -> bool:
        parent = self.reading.scopes.own(function).parent
        return parent is not None and parent.is_class

    @cached_property
    def _calls_by_name(self) -> dict[str, list[Call]]:
        found: dict[str, list[Call]] = {}
        for node in self.reading.tree.all(cst.Call):
            if isinstance(node.func, cst.Name):
                found.setdefault(node.func.value, []).append(Call(node, self.reading))
        return found

    @cached_property
    def _calls_by_method(self) -> dict[str, list[Call]]:
        found: dict[str, list[Call]] = {}
        for node in self.reading.tree.all(cst.Call):
            if isinstance(node.func, cst.Attribute):
                found.setdefault(node.func.attr.value, []).append(Call(node, self.reading))
        return found

    def _default(self, param: cst.Param) -> Value:
        if param.default is None:
            return UNKNOWN
        value = self.reading.values.of(param.default)
        return UNKNOWN if value == Constant(None) else assumed(value)

    def _tensor(self, param: cst.Param, function: cst.FunctionDef) -> Value:
        """The tensors that a framework hands to `forward`, `call` and losses."""
        if param.name.value in _KERAS_LOSS_PARAMETERS and not self._is_method(function):
            return Tensor("keras")
        class_ = self.reading.class_of(function)
        if class_ is None or not self._is_method(function):
            return UNKNOWN
        kind = self.reading.classes.kind(class_)
        if function.name.value in TENSOR_METHODS.get(kind or "", ()):
            library = "torch" if kind in ("module", "function") else "keras"
            return Tensor(library, "parameter" if kind == "constraint" else "data")
        return UNKNOWN

    def _option(self, name: str, function: cst.FunctionDef) -> Value:
        """The default of a click or typer option that decorates the function."""
        if any(isinstance(d.decorator, cst.Call) for d in function.decorators):
            return self.command_line(name)
        return UNKNOWN

    @cached_property
    def _options(self) -> dict[str, list[Value]]:
        """The defaults of all argparse, click and absl options of the file, by destination."""
        found: dict[str, list[Value]] = {}
        for node in self.reading.tree.all(cst.Call):
            name = node.func.attr.value if isinstance(node.func, cst.Attribute) else None
            if name is None or not _OPTIONS.match(name):
                continue
            call = Call(node, self.reading)
            default = call.argument(1 if name.startswith("DEFINE") else None, "default", "default_value")
            destination = self._destination(call)
            if default is not None and destination is not None:
                found.setdefault(destination, []).append(default.code.value)
        return found

    def _destination(self, call: Call) -> str | None:
        stated = call.argument(None, "dest")
        names = [stated.code] if stated else [a.code for a in call.arguments if a.keyword is None]
        flags = [name.value.value for name in names if isinstance(name.value, Constant)]
        texts = [flag for flag in flags if isinstance(flag, str)]
        if call.method and call.method.startswith("DEFINE"):
            texts = texts[:1]
        long = next((text for text in texts if text.startswith("--")), texts[0] if texts else None)
        return long.lstrip("-").replace("-", "_") if long else None
