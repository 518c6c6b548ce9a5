"""Finds clip attributes of optimizers that are set when the training step is compiled already."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.bounds import is_plain_model
from clipcheck.analysis.reading import FileReading
from clipcheck.frameworks import OPTIMIZERS
from clipcheck.frameworks.keras import CLIP_ARGUMENTS
from clipcheck.model.bounds import LateSetting
from clipcheck.model.code import Call
from clipcheck.model.value import Instance

_TRAINING = frozenset({"fit", "train_on_batch", "fit_generator"})
_AFTER_A_STEP = frozenset({"on_epoch_end", "on_train_batch_end", "on_batch_end"})
_NOT_COMPILED = re.compile(r"run_eagerly|run_functions_eagerly|train_function|KERAS_BACKEND.{0,20}torch")
_STRAIGHT = (
    cst.For, cst.While, cst.With, cst.IndentedBlock, cst.SimpleStatementLine, cst.Expr, cst.Assign, cst.Module,
    cst.SimpleStatementSuite, cst.AssignTarget, cst.Arg, cst.Call, cst.Attribute, cst.AnnAssign,
)  # fmt: skip


def read_late_settings(reading: FileReading) -> Iterator[LateSetting]:
    targets = [target.target for assign in reading.tree.all(cst.Assign) for target in assign.targets]
    targets += [augmented.target for augmented in reading.tree.all(cst.AugAssign)]
    settings = [t for t in targets if isinstance(t, cst.Attribute) and t.attr.value in CLIP_ARGUMENTS]
    if not settings or _NOT_COMPILED.search(reading.module.code):
        return
    for target in sorted(settings, key=lambda node: reading.tree.order[node]):
        began = _began_in_callback(reading, target) or _began(reading, target)
        if began is not None:
            yield LateSetting(reading.code(target), target.attr.value, reading.code(began))


def _began_in_callback(reading: FileReading, target: cst.Attribute) -> cst.CSTNode | None:
    function, class_ = reading.function(target), reading.class_of(target)
    if function is None or class_ is None or reading.classes.kind(class_) != "callback":
        return None
    if function.name.value not in _AFTER_A_STEP or reading.dotted(target.value) != "self.model.optimizer":
        return None
    if any(Call(call, reading).method == "compile" for call in reading.calls_in(class_)):
        return None
    return function.name


def _began(reading: FileReading, target: cst.Attribute) -> cst.Call | None:
    """The call that surely ran before, on a model that goes on training with the step compiled by then."""
    model = _model(reading, target)
    if model is None:
        return None
    order, function = reading.tree.order, reading.function(target)
    calls = [
        call
        for node in reading.tree.all(cst.Call)
        if (call := Call(node, reading)).receiver is not None
        and call.receiver.text == model
        and reading.function(node) is function
    ]
    loops = set(reading.loops(target))
    training = [c for c in calls if c.method in _TRAINING and is_plain_model(reading, c, c.method or "")]
    before = [c for c in training if order[c.node] < order[target] and _runs_before(reading, c.node, target)]
    later = [c for c in training if order[c.node] > order[target] or loops & set(reading.loops(c.node))]
    if not before or not later:
        return None
    compiled = [c for c in calls if c.method == "compile" and order[c.node] > order[before[0].node]]
    rebound = [c for c in calls if loops & set(reading.loops(c.node)) and c.method == "compile"]
    return before[0].node if not compiled and not rebound and _is_one(reading, before[0], later[-1]) else None


def _model(reading: FileReading, target: cst.Attribute) -> str | None:
    """The model whose optimizer a clip attribute is set on, as text."""
    optimizer = target.value
    if isinstance(optimizer, cst.Attribute) and optimizer.attr.value == "optimizer":
        return reading.text(optimizer.value)
    value = reading.value(optimizer)
    if not isinstance(value, Instance) or not value.of.startswith("keras.") or value.of not in OPTIMIZERS:
        return None
    models = set()
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        given = call.argument(0, "optimizer") if call.method == "compile" else None
        if given is not None and call.receiver is not None and given.code.text == reading.text(optimizer):
            models.add(call.receiver.text)
    return models.pop() if len(models) == 1 else None


def _runs_before(reading: FileReading, node: cst.CSTNode, target: cst.CSTNode) -> bool:
    """Whether nothing but loops stands between a call and the code that it has in common with the target."""
    common = set(reading.tree.ancestors(target))
    for above in reading.tree.ancestors(node):
        if above in common:
            return True
        if not isinstance(above, _STRAIGHT):
            return False
    return False


def _is_one(reading: FileReading, before: Call, later: Call) -> bool:
    """Whether both calls are made on the same model, and not on two that have the name in turn."""
    one, other = before.receiver, later.receiver
    if one is None or other is None or not isinstance(one.node, cst.Name) or not isinstance(other.node, cst.Name):
        return True
    bindings = reading.flow.reaching(one.node)
    return len(bindings) == 1 and reading.flow.reaching(other.node) == bindings
