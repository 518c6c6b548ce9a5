"""Where objects come from: an expression traced back to the expressions that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from clipcheck.analysis.scopes import Binding, Kind, parameters
from clipcheck.model.value import Instance, Reference

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading

_SAME_OBJECT_METHODS = frozenset(
    "to cuda cpu double half float bfloat16 train eval apply requires_grad_ share_memory module to_empty".split()
)
_SAME_OBJECT_FUNCTIONS = frozenset(
    "torch.nn.DataParallel torch.nn.parallel.DataParallel torch.nn.parallel.DistributedDataParallel torch.compile "
    "torch.nn.parallel.distributed.DistributedDataParallel torch.jit.script torch.nn.utils.fusion".split()
)
_PREPARING_METHODS = frozenset({"prepare", "setup", "prepare_model", "setup_module"})


class Origins:
    """Traces expressions through names, attributes, parameters, functions and methods of the file.

    What cannot be traced any further is its own origin.
    """

    def __init__(self, reading: FileReading) -> None:
        self.reading = reading
        self._known: dict[tuple[cst.CSTNode, tuple[int, ...]], tuple[cst.CSTNode, ...]] = {}

    def of(self, node: cst.CSTNode, path: tuple[int, ...] = ()) -> tuple[cst.CSTNode, ...]:
        """The expressions that `node` (or the part of it at `path`) may come from, without a plain `None`."""
        key = (node, path)
        known = self._known.get(key)
        if known is None:
            self._known[key] = ()  # a value that depends on itself adds nothing to its origins
            found = dict.fromkeys(self._trace(node, path))
            known = tuple(origin for origin in found if not _is_none(origin))
            self._known[key] = known
        return known

    def only(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The one expression that `node` comes from."""
        found = self.of(node)
        return found[0] if len(found) == 1 else None

    def method(self, class_: cst.ClassDef, name: str) -> cst.FunctionDef | None:
        """A method of a class of this file, also from its bases in this file."""
        seen: set[cst.ClassDef] = set()
        todo = [class_]
        while todo:
            current = todo.pop(0)
            if current in seen:
                continue
            seen.add(current)
            for statement in current.body.body:
                if isinstance(statement, cst.FunctionDef) and statement.name.value == name:
                    return statement
            for base in current.bases:
                above = self.reading.values.local_class(self.reading.value(base.value))
                if above is not None:
                    todo.append(above)
        return None

    def function(self, call: cst.Call) -> cst.FunctionDef | None:
        """The function or method of this file that a call runs, if there is only one candidate."""
        func = call.func
        if isinstance(func, cst.Attribute):
            receiver = self.reading.value(func.value)
            class_ = self.reading.values.local_class(receiver)
            return self.method(class_, func.attr.value) if class_ is not None else None
        value = self.reading.value(func)
        if not isinstance(value, Reference) or not value.name.startswith("__main__."):
            return None
        name = value.name.removeprefix("__main__.")
        found = [f for f in self.reading.tree.all(cst.FunctionDef) if f.name.value == name]
        return found[0] if len(found) == 1 else None

    def returns(self, function: cst.FunctionDef) -> list[cst.BaseExpression]:
        """The expressions that a function returns."""
        return [
            node.value
            for node in self.reading.tree.below(function.body)
            if isinstance(node, cst.Return) and node.value is not None and self.reading.function(node) is function
        ]

    def given(self, parameter: cst.Param, function: cst.FunctionDef) -> list[cst.BaseExpression]:
        """What the calls of this file hand over for a parameter; its default where a call leaves it out."""
        return self.reading.values.parameters.handed_over(parameter, function)

    def _trace(self, node: cst.CSTNode, path: tuple[int, ...]) -> list[cst.CSTNode]:
        if isinstance(node, cst.Arg):
            return list(self.of(node.value, path))
        if isinstance(node, cst.Name):
            return self._name(node, path)
        if isinstance(node, cst.Attribute):
            return self._attribute(node, path)
        if isinstance(node, cst.Call):
            return self._call(node, path)
        if isinstance(node, cst.IfExp):
            return [*self.of(node.body, path), *self.of(node.orelse, path)]
        if isinstance(node, cst.NamedExpr):
            return list(self.of(node.value, path))
        if path and isinstance(node, (cst.Tuple, cst.List)) and path[0] < len(node.elements):
            return list(self.of(node.elements[path[0]].value, path[1:]))
        return [node] if not path else []

    def _name(self, node: cst.Name, path: tuple[int, ...]) -> list[cst.CSTNode]:
        bindings = self.reading.flow.reaching(node)
        if not bindings:
            return [node] if not path else []
        return [origin for binding in bindings for origin in self._binding(binding, path)]

    def _binding(self, binding: Binding, path: tuple[int, ...]) -> list[cst.CSTNode]:
        if binding.kind is Kind.ASSIGN and binding.value is not None:
            return list(self.of(binding.value, (*binding.path, *path)))
        if binding.kind is Kind.PARAMETER and isinstance(binding.scope.node, cst.FunctionDef):
            assert isinstance(binding.node, cst.Param)
            if self._is_self(binding):
                return [binding.node]
            given = self.given(binding.node, binding.scope.node)
            if given:
                return [origin for value in given for origin in self.of(value, path)]
        if binding.kind is Kind.LOOP and binding.value is not None:
            return self._elements(binding, path)
        return [binding.node]

    def _elements(self, binding: Binding, path: tuple[int, ...]) -> list[cst.CSTNode]:
        """What a loop variable goes through, where the list stands in the file."""
        assert binding.value is not None
        found: list[cst.CSTNode] = []
        for iterable in self.of(binding.value):
            if not isinstance(iterable, (cst.List, cst.Tuple)):
                return [binding.node]
            for element in iterable.elements:
                found.extend(self.of(element.value, (*binding.path, *path)))
        return found

    def _is_self(self, binding: Binding) -> bool:
        function = binding.scope.node
        parent = binding.scope.parent
        assert isinstance(function, cst.FunctionDef)
        return parent is not None and parent.is_class and next(parameters(function), None) is binding.node

    def _attribute(self, node: cst.Attribute, path: tuple[int, ...]) -> list[cst.CSTNode]:
        class_ = self.class_of(node.value)
        if class_ is not None:
            bindings = self.reading.values.attribute_bindings(class_, node.attr.value)
            if bindings:
                return [origin for binding in bindings for origin in self._binding(binding, path)]
        if node.attr.value == "module":
            return list(self.of(node.value, path))
        return [node] if not path else []

    def class_of(self, node: cst.CSTNode) -> cst.ClassDef | None:
        """The class of this file that an object is an instance of."""
        value = self.reading.value(node)
        return self.reading.values.local_class(value) if isinstance(value, Instance) else None

    def _call(self, node: cst.Call, path: tuple[int, ...]) -> list[cst.CSTNode]:
        function = self.function(node)
        if function is not None:
            found = [origin for value in self.returns(function) for origin in self.of(value, path)]
            return found or [node]
        if node.args and self.reading.api(node.func) in _SAME_OBJECT_FUNCTIONS:
            return list(self.of(node.args[0].value, path))
        if isinstance(node.func, cst.Attribute):
            method = node.func.attr.value
            if method in _SAME_OBJECT_METHODS:
                return list(self.of(node.func.value, path))
            if method in _PREPARING_METHODS and node.args and not any(arg.star for arg in node.args):
                index = path[0] if path else 0
                if index < len(node.args) and (path or len(node.args) == 1):
                    return list(self.of(node.args[index].value, path[1:]))
        return [node] if not path else []


def _is_none(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Name) and node.value == "None"
