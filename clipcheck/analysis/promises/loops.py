"""What runs at every training step, also by way of an optimizer's hooks and methods."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.promises.places import trains
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.repetition import is_repeated
from clipcheck.model.code import Call
from clipcheck.model.promises import StepCall

_HOOKS = re.compile(r"register_(optimizer_)?step_(pre|post)_hook$")
_CALLED_BY_OPTIMIZERS = frozenset("step apply apply_gradients update_step _resource_apply_dense".split())
_CALLED_BY_TRAINERS = re.compile(
    r"^on_(train_)?(batch|epoch)_(end|begin|start)$|^optimizer_step$|^on_before_zero_grad$"
)
_BUILDING = re.compile(r"^(__init__|build\w*|init\w*|_init\w*|reset\w*|create\w*|make\w*)$")


def runs_each_step(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether code runs again and again while a model is trained, as far as this file tells."""
    function, class_ = reading.function(node), reading.class_of(node)
    if any(isinstance(loop, (cst.For, cst.While)) and trains(reading, loop.body) for loop in reading.loops(node)):
        return True
    if function is None:
        return is_repeated(reading, node)
    name = function.name.value
    if _BUILDING.match(name):
        return False
    if class_ is not None and name in _CALLED_BY_OPTIMIZERS and reading.classes.kind(class_) == "optimizer":
        return True
    if class_ is not None and _CALLED_BY_TRAINERS.match(name):
        return True
    return name in _hooked(reading) or is_repeated(reading, node)


def is_occasional(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether a clip runs after some updates only: under `if step % n == 0:`, with the update outside of it."""
    for above in reading.tree.ancestors(node):
        if isinstance(above, cst.FunctionDef):
            break
        if isinstance(above, cst.If) and any(isinstance(n, cst.Modulo) for n in _operators(reading, above.test)):
            return not trains(reading, above.body)
    return False


def _operators(reading: FileReading, test: cst.CSTNode) -> Iterator[cst.BaseBinaryOp]:
    return (node.operator for node in reading.tree.below(test) if isinstance(node, cst.BinaryOperation))


def _hooked(reading: FileReading) -> set[str]:
    return {
        name
        for node in reading.tree.all(cst.Call)
        if _HOOKS.search(_last(node.func))
        for arg in node.args
        for name in [_last(arg.value)]
    }


def read_step_calls(reading: FileReading) -> Iterator[StepCall]:
    """What this file calls at every training step, also what it hands to `model.apply(…)` or to an optimizer's hook."""
    seen: set[str] = set()
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        names = {_last(node.func)}
        is_hook = _HOOKS.search(call.method or "") is not None
        if call.method == "apply" or is_hook:
            names |= {
                _last(origin.func if isinstance(origin, cst.Call) else origin)
                for arg in node.args
                for origin in reading.origins.of(arg.value)
            }
        names -= {"", *seen}
        if names and (is_hook or is_repeated(reading, node)):
            seen |= names
            yield from (StepCall(name) for name in sorted(names))


def _last(node: cst.CSTNode) -> str:
    """The last part of a dotted name."""
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""
