"""Which names and attributes stand for something that training learns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Binding, Kind, dotted_name
from clipcheck.frameworks.tensorflow import VARIABLES
from clipcheck.model.code import Call
from clipcheck.model.thresholds import Learnable
from clipcheck.model.value import Constant

_PARAMETERS = ("torch.nn.Parameter", "torch.nn.UninitializedParameter")
_ADD_WEIGHT = ("add_weight", "add_variable")
_NO_GRADIENT = frozenset({"torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad", "torch.set_grad_enabled"})
_OVERWRITES = re.compile(r"^(fill_|copy_|set_|mul_|add_|sub_|div_|lerp_|assign\w*|load)$")
_PROJECTIONS = re.compile(r"^(clamp\w*_|clip_|abs_|relu_|absolute_|assign|copy_|exp_)$")


class Learnables:
    """The learnables of one file, found from the places that use them."""

    def __init__(self, reading: FileReading) -> None:
        self.reading = reading

    def at(self, node: cst.CSTNode) -> Learnable | None:
        """The learnable that a name or `self.name` stands for, itself and nothing made of it."""
        if isinstance(node, cst.Attribute):
            return self._attribute(node)
        if isinstance(node, cst.Name):
            value = self.bound(node)
            if isinstance(value, cst.Call):
                return self._made(Call(value, self.reading), node.value)
            return self.at(value) if value is not None else None
        return None

    def bound(self, name: cst.Name) -> cst.BaseExpression | None:
        """What the one assignment that reaches a name binds it to."""
        bindings = self.reading.flow.reaching(name)
        if len(bindings) != 1 or bindings[0].kind is not Kind.ASSIGN or bindings[0].path:
            return None
        return bindings[0].value

    def _attribute(self, node: cst.Attribute) -> Learnable | None:
        if not isinstance(node.value, cst.Name):
            return None
        class_ = self.reading.scopes.class_of_self(node.value)
        if class_ is None:
            return None
        name = dotted_name(node) or node.attr.value
        bindings = [b for b in self.reading.values.attribute_bindings(class_, node.attr.value) if not _is_none(b)]
        made = [self._of_binding(binding, name) for binding in bindings] or [self._registered(class_, node, name)]
        return made[0] if None not in made else None

    def _of_binding(self, binding: Binding, name: str) -> Learnable | None:
        if binding.kind is not Kind.ASSIGN or binding.path or not isinstance(binding.value, cst.Call):
            return None
        return self._made(Call(binding.value, self.reading), name)

    def _registered(self, class_: cst.ClassDef, node: cst.Attribute, name: str) -> Learnable | None:
        """`self.register_parameter("alpha", nn.Parameter(…))`."""
        for call in self._registrations:
            named, handed = call.argument(0, "name"), call.argument(1, "param")
            if self.reading.class_of(call.node) is not class_ or named is None or handed is None:
                continue
            if named.code.value == Constant(node.attr.value) and isinstance(handed.node.value, cst.Call):
                return self._made(Call(handed.node.value, self.reading), name)
        return None

    @cached_property
    def _registrations(self) -> list[Call]:
        calls = (Call(node, self.reading) for node in self.reading.tree.all(cst.Call))
        return [call for call in calls if call.method == "register_parameter"]

    def _made(self, call: Call, name: str) -> Learnable | None:
        api = call.callee.api
        if call.has_star or any(attribute in self._frozen for attribute in name.split(".")[-1:]):
            return None
        if api in _PARAMETERS:
            return None if _is_switched_off(call, 1, "requires_grad") else Learnable(name, "torch", call)
        class_ = self.reading.class_of(call.node)
        if class_ is None or self.reading.classes.kind(class_) not in ("layer", "model"):
            return None
        adds = call.method in _ADD_WEIGHT and call.receiver is not None and call.receiver.text == "self"
        if (adds or api in VARIABLES) and not _is_switched_off(call, None, "trainable"):
            positional = sum(argument.keyword is None for argument in call.arguments)
            return Learnable(name, "keras", call) if positional <= 4 - 3 * (not adds) else None
        return None

    @cached_property
    def _frozen(self) -> frozenset[str]:
        """The attributes whose gradient is switched off by hand."""
        found = set()
        for assign in self.reading.tree.all(cst.Assign):
            for target in assign.targets:
                path = (dotted_name(target.target) or "").split(".")
                if path[-1] in ("requires_grad", "trainable", "_trainable") and len(path) > 1:
                    found.add(path[-2])
        for node in self.reading.tree.all(cst.Call):
            if isinstance(node.func, cst.Attribute) and node.func.attr.value == "requires_grad_" and node.args:
                found.add((dotted_name(node.func.value) or "").rpartition(".")[2])
        return frozenset(found)

    def in_no_grad(self, node: cst.CSTNode) -> bool:
        """Whether nothing is recorded for the gradient where a node stands."""
        for above in self.reading.tree.ancestors(node):
            if isinstance(above, cst.With) and any(self._is_no_grad(item.item) for item in above.items):
                return True
            if isinstance(above, cst.FunctionDef) and any(self._is_no_grad(d.decorator) for d in above.decorators):
                return True
            if isinstance(above, cst.ClassDef) and self.reading.classes.kind(above) == "function":
                return True
        return False

    def _is_no_grad(self, node: cst.BaseExpression) -> bool:
        return self.reading.api(node.func if isinstance(node, cst.Call) else node) in _NO_GRADIENT

    def is_overwritten(self, learnable: Learnable) -> bool:
        """Whether the file also sets the value by hand, so that it need not learn from a gradient."""
        return self._is_changed(learnable, _OVERWRITES) or self._is_assigned_data(learnable)

    def is_projected(self, learnable: Learnable) -> bool:
        """Whether something keeps the value in a range: a constraint, a parametrization, a clamp of the value."""
        attribute = learnable.name.rpartition(".")[2]
        if learnable.made.argument(None, "constraint") is not None:
            return True
        if self._is_changed(learnable, _PROJECTIONS) or self._is_assigned_data(learnable):
            return True
        return attribute in self._named_in_strings or attribute in self._compared

    def _is_changed(self, learnable: Learnable, how: re.Pattern[str]) -> bool:
        for node in self.reading.tree.all(cst.Call):
            if not isinstance(node.func, cst.Attribute) or not how.match(node.func.attr.value):
                continue
            if self._mentions(node.func.value, learnable) and not self._is_set_up(node):
                return True
        return False

    def _is_assigned_data(self, learnable: Learnable) -> bool:
        return any(
            (dotted_name(target.target) or "").endswith(f"{learnable.name.rpartition('.')[2]}.data")
            for assign in self.reading.tree.all(cst.Assign)
            for target in assign.targets
            if not self._is_set_up(assign)
        )

    def _is_set_up(self, node: cst.CSTNode) -> bool:
        function = self.reading.function(node)
        return function is not None and function.name.value in ("__init__", "build", "reset_parameters")

    def _mentions(self, node: cst.CSTNode, learnable: Learnable) -> bool:
        """Whether a chain of attributes holds the attribute: `layer.theta.data`."""
        return learnable.name.rpartition(".")[2] in (dotted_name(node) or "").split(".")

    @cached_property
    def _named_in_strings(self) -> frozenset[str]:
        """Names that strings in comparisons hold (`if "theta" in name: p.clamp_(…)`), or `register_parametrization`."""
        return frozenset(
            word
            for node in self.reading.tree.all(cst.SimpleString)
            if isinstance(self.reading.parent(node), cst.Comparison) or self._is_registration(node)
            for word in re.findall(r"\w+", str(node.evaluated_value))
        )

    def _is_registration(self, string: cst.SimpleString) -> bool:
        argument = self.reading.parent(string)
        call = self.reading.parent(argument) if isinstance(argument, cst.Arg) else None
        return isinstance(call, cst.Call) and (dotted_name(call.func) or "").endswith("register_parametrization")

    @cached_property
    def _compared(self) -> frozenset[str]:
        """The attributes that an `if` or `assert` looks at."""
        tests: list[cst.CSTNode] = [node.test for node in self.reading.tree.all(cst.If)]
        tests += [node.test for node in self.reading.tree.all(cst.Assert)]
        tests += [node.test for node in self.reading.tree.all(cst.IfExp)]
        return frozenset(
            found.attr.value
            for test in tests
            for found in self.reading.tree.below(test)
            if isinstance(found, cst.Attribute)
        )

    def uses(self, learnable: Learnable, within: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Every place in a class or module that reads the learnable."""
        for node in self.reading.tree.below(within):
            if not isinstance(node, (cst.Attribute, cst.Name)) or isinstance(
                self.reading.parent(node), (cst.AssignTarget, cst.AnnAssign)
            ):
                continue
            if dotted_name(node) == learnable.name and self.at(node) == learnable:
                yield node


def _is_none(binding: Binding) -> bool:
    return isinstance(binding.value, cst.Name) and binding.value.value == "None"


def _is_switched_off(call: Call, position: int | None, keyword: str) -> bool:
    argument = call.argument(position, keyword)
    return argument is not None and argument.code.value != Constant(True)
