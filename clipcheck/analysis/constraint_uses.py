"""Finds weight constraints where Keras does not apply them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind, dotted_name
from clipcheck.frameworks.keras import CONSTRAINT_ARGUMENTS, CONSTRAINTS
from clipcheck.model.code import Argument, Call, Code
from clipcheck.model.constraint_uses import MisplacedConstraint, UnappliedConstraint
from clipcheck.model.networks import Network
from clipcheck.model.value import Constant, Instance, Tensor

_CLASSES = {"non_neg": "NonNeg", "nonneg": "NonNeg", "max_norm": "MaxNorm", "maxnorm": "MaxNorm"} | {
    "unit_norm": "UnitNorm",
    "unitnorm": "UnitNorm",
    "min_max_norm": "MinMaxNorm",
}
_NAMES = {f"keras.layers.{name.rpartition('.')[2]}": name.rpartition(".")[2] for name in CONSTRAINTS}
_INPUT_ARGUMENTS = ("input_shape", "input_dim", "batch_input_shape", "batch_shape")
_INPUTS = ("keras.layers.Input", "keras.layers.InputLayer")
# Where the model may be made anew from its config, which then holds the constraint.
_REBUILDS = re.compile(r"to_json|from_json|from_config|get_config|clone_model|\.build\(|to_yaml|load_model")


def read_constraints_as_layers(reading: FileReading) -> Iterator[MisplacedConstraint]:
    """`layers.NonNeg()`, and constraints in a Sequential model, in the order of the source."""
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        missing = _NAMES.get(call.callee.api or "")
        if missing is not None and _is_imported(reading, node.func):
            yield MisplacedConstraint(
                call, _CLASSES.get(missing, missing), True, _library(call.callee), _constraint_argument(reading, node)
            )
        elif missing is None and _is_constraint(reading, call) and _is_used_as_layer(reading, node):
            name = (call.callee.api or "").rpartition(".")[2]
            yield MisplacedConstraint(call, _CLASSES.get(name, name), False, _library(call.callee))


def _is_imported(reading: FileReading, callee: cst.BaseExpression) -> bool:
    """Whether an import names the module, so that the name is surely looked up there; no `import *` does that."""
    if not isinstance(callee, cst.Attribute):
        return False
    first = (dotted_name(callee) or "").partition(".")[0]
    scope = reading.scopes.lookup(first, reading.scopes.of(callee))
    return scope is not None and all(binding.kind is Kind.IMPORT for binding in scope.bindings[first])


def _library(callee: Code) -> str:
    name = callee.name or ""
    return next((package for package in ("tensorflow.keras", "tf_keras") if name.startswith(package)), "keras")


def _constraint_argument(reading: FileReading, node: cst.Call) -> Argument | None:
    parent = reading.parent(node)
    if isinstance(parent, cst.Arg) and parent.keyword is not None and parent.keyword.value.endswith("constraint"):
        return Argument(parent, reading)
    return None


def _is_constraint(reading: FileReading, call: Call) -> bool:
    value = call.value
    if not isinstance(value, Instance) or value.made.node is not call.node:
        return call.callee.api in CONSTRAINTS
    return reading.classes.kind_of(value) == "constraint"


def _is_used_as_layer(reading: FileReading, node: cst.Call) -> bool:
    """Whether a call stands in the list of a Sequential model, or is added to one."""
    parent = reading.parent(node)
    above = reading.parent(parent) if parent is not None else None
    if isinstance(parent, cst.Element) and isinstance(above, cst.List):
        arg = reading.parent(above)
        made = reading.parent(arg) if isinstance(arg, cst.Arg) else None
        return isinstance(made, cst.Call) and reading.api(made.func) == "keras.Sequential"
    if isinstance(parent, cst.Arg) and isinstance(above, cst.Call) and isinstance(above.func, cst.Attribute):
        network = reading.networks.of(above.func.value) if above.func.attr.value == "add" else None
        return network is not None and isinstance(network.made, Call) and network.made.callee.api == "keras.Sequential"
    return False


def read_unapplied(reading: FileReading) -> Iterator[UnappliedConstraint]:
    """The constraints of known models that nothing applies."""
    yield from _set_late(reading)
    for network in reading.networks.all:
        given = tuple(argument for layer in network.layers for argument in layer.given)
        if network.framework == "keras" and given:
            yield from _trained_past(reading, network, given)
    yield from _updated_by_hand(reading)


def _trained_past(reading: FileReading, network: Network, given: tuple[Argument, ...]) -> Iterator[UnappliedConstraint]:
    for training in network.trainings:
        if (training.at.callee.api or "").startswith("torch.optim."):
            yield UnappliedConstraint("torch", training.at, network.spoken_name, given)
        average = training.optimizer.argument(None, "use_ema") if training.optimizer is not None else None
        if average is not None and average.code.value == Constant(True):
            yield UnappliedConstraint("average", average, network.spoken_name, given)


def _set_late(reading: FileReading) -> Iterator[UnappliedConstraint]:
    """`layer.kernel_constraint = …` for the layers of a model that is built already."""
    for assign in reading.tree.all(cst.Assign):
        target = assign.targets[0].target
        if not isinstance(target, cst.Attribute) or target.attr.value not in CONSTRAINT_ARGUMENTS:
            continue
        if reading.value(assign.value) == Constant(None):
            continue
        model = _whose_layer(reading, target.value)
        if model is not None and _is_built_model(reading, model) and not _REBUILDS.search(reading.module.code):
            yield UnappliedConstraint("late", reading.code(assign), reading.text(model))


def _whose_layer(reading: FileReading, node: cst.BaseExpression) -> cst.BaseExpression | None:
    """The model of `model.layers[0]`, `model.get_layer("dense")`, and of `layer` in `for layer in model.layers`."""
    if isinstance(node, cst.Subscript):
        return _whose_layers(node.value)
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "get_layer":
        return node.func.value
    if isinstance(node, cst.Name):
        bindings = reading.flow.reaching(node)
        if len(bindings) == 1 and bindings[0].value is not None:
            value = bindings[0].value
            if bindings[0].kind is Kind.LOOP:
                return _whose_layers(value.value if isinstance(value, cst.Subscript) else value)
            if bindings[0].kind is Kind.ASSIGN and not isinstance(value, cst.Name):
                return _whose_layer(reading, value)
    return None


def _whose_layers(node: cst.BaseExpression) -> cst.BaseExpression | None:
    return node.value if isinstance(node, cst.Attribute) and node.attr.value == "layers" else None


def _is_built_model(reading: FileReading, model: cst.BaseExpression) -> bool:
    origin = reading.origins.only(model)
    if isinstance(origin, cst.Call) and (reading.api(origin.func) or "").startswith("keras.applications."):
        return True
    network = reading.networks.of(model)
    return network is not None and _is_built(reading, network)


def _is_built(reading: FileReading, network: Network) -> bool:
    """Whether a model has its weights as soon as it is made."""
    made = network.made
    if network.framework != "keras" or not isinstance(made, Call) or network.class_name is not None:
        return False
    if made.callee.api == "keras.Model":
        return len(made.arguments) >= 2
    if any(layer.call.argument(None, *_INPUT_ARGUMENTS) is not None for layer in network.layers):
        return True
    if any(call.callee.api in _INPUTS for call in made.calls):
        return True
    return _adds_input(reading, network)


def _adds_input(reading: FileReading, network: Network) -> bool:
    """`model.add(Input((8,)))`."""
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        if call.method == "add" and call.receiver is not None and len(call.arguments) == 1:
            added = call.arguments[0].code
            is_input = isinstance(added, Call) and added.callee.api in _INPUTS
            if is_input and reading.networks.of(call.receiver.node) is network:
                return True
    return False


def _updated_by_hand(reading: FileReading) -> Iterator[UnappliedConstraint]:
    """`w.assign_sub(rate * gradient)` for the weights of a model with constraints."""
    calls = [Call(node, reading) for node in reading.tree.all(cst.Call)]
    if any(call.method == "constraint" for call in calls):
        return  # `w.assign(w.constraint(w))`: by hand as well
    for call in calls:
        if call.method not in ("assign_sub", "assign_add") or call.receiver is None or not call.arguments:
            continue
        value = call.receiver.value
        if not isinstance(value, Tensor) or value.role != "parameter" or value.owner is None:
            continue
        if not any(_is_gradient(reading, node) for node in reading.tree.below(call.arguments[0].node)):
            continue
        network = reading.networks.of(value.owner.node)
        given = tuple(argument for layer in network.layers for argument in layer.given) if network is not None else ()
        if network is not None and given:
            yield UnappliedConstraint("by hand", call, network.spoken_name, given)


def _is_gradient(reading: FileReading, node: cst.CSTNode) -> bool:
    if not isinstance(node, cst.Name):
        return False
    value = reading.value(node)
    return isinstance(value, Tensor) and value.role == "gradient"
