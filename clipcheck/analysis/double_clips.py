"""Finds gradients that are clipped twice: by two calls one after the other, or by a call and by who applies them."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.bounds import read_optimizer_calls
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind
from clipcheck.analysis.trainers import bases_of
from clipcheck.frameworks import CLIPS, GRADIENT_CLIPS
from clipcheck.frameworks.trainers import ACCELERATE, CLIPPING_TRAINERS, ClippingTrainer
from clipcheck.model.code import Argument, Call
from clipcheck.model.gradients import ClippedTwice
from clipcheck.model.value import Constant, Instance, Many, Tensor

_PASSED_ON = frozenset({"builtins.list", "builtins.tuple", "builtins.zip", "builtins.enumerate"})
_OWN_CLIPS = frozenset({ACCELERATE.norm, ACCELERATE.value})
_DEEPEST = 6


def read_double_clips(reading: FileReading) -> Iterator[ClippedTwice]:
    """Every clip of gradients that are values, or that the optimizer's or the trainer's own argument clips too.

    Gradients that lie in `.grad` are a matter of the training step's order.
    """
    yield from _one_after_the_other(reading)
    yield from _by_optimizer(reading)
    for trainer in CLIPPING_TRAINERS:
        yield from _by_trainer(reading, trainer)


def _one_after_the_other(reading: FileReading) -> Iterator[ClippedTwice]:
    for node in reading.tree.all(cst.Call):
        subject = _clipped(reading, node)
        first = _made_by_clip(reading, subject) if subject is not None else None
        if first is not None and first is not node:
            yield ClippedTwice(reading.code(first), reading.code(node))


def _by_optimizer(reading: FileReading) -> Iterator[ClippedTwice]:
    arguments = {own.call.node: own.given[0] for own in read_optimizer_calls(reading) if own.given}
    for node in reading.tree.all(cst.Call) if arguments else ():
        call = Call(node, reading)
        applied = call.argument(0, "grads_and_vars", "grads") if call.method in ("apply_gradients", "apply") else None
        if applied is None or call.receiver is None:
            continue
        optimizer = call.receiver.value
        argument = arguments.get(optimizer.made.node) if isinstance(optimizer, Instance) else None  # type: ignore[call-overload]
        first = _made_by_clip(reading, applied.node.value)
        if argument is not None and first is not None:
            yield ClippedTwice(reading.code(first), argument, "the optimizer")


def _by_trainer(reading: FileReading, trainer: ClippingTrainer) -> Iterator[ClippedTwice]:
    """A method that a trainer calls clips before the trainer does."""
    calls = (Call(node, reading) for node in reading.tree.all(cst.Call))
    arguments = [argument for call in calls if (argument := _threshold(call, trainer)) is not None]
    if len(arguments) != 1 or any(f.name.value in trainer.replaced_by for f in reading.tree.all(cst.FunctionDef)):
        return
    for node in reading.tree.all(cst.Call):
        function, class_ = reading.function(node), reading.class_of(node)
        if function is None or class_ is None or function.name.value not in trainer.hooks:
            continue
        if _clips_in_place(Call(node, reading)) and any(
            trainer.classes.match(base) for base in bases_of(reading, class_)
        ):
            yield ClippedTwice(reading.code(node), arguments[0], "the trainer")


def _threshold(call: Call, trainer: ClippingTrainer) -> Argument | None:
    """The argument of a call that surely tells the trainer to clip."""
    if not trainer.configured.match(call.callee.api or ""):
        return None
    argument = call.argument(None, trainer.argument)
    value = argument.code.value if argument is not None else None
    return argument if isinstance(value, Constant) and value.value and not value.assumed else None


def _clips_in_place(call: Call) -> bool:
    api = GRADIENT_CLIPS.get(call.callee.api or "")
    is_own = call.method in _OWN_CLIPS and call.receiver is not None and call.receiver.text.startswith("self.")
    return is_own or (api is not None and api.in_place)


def _clipped(reading: FileReading, node: cst.Call) -> cst.BaseExpression | None:
    """The gradients that a call clips, and gives back."""
    call = Call(node, reading)
    api = call.callee.api or ""
    own, value_clip = GRADIENT_CLIPS.get(api), CLIPS.get(api)
    if own is not None and not own.in_place:
        argument = call.argument(own.target.position, *own.target.keywords)
    elif value_clip is not None and value_clip.value is not None and not value_clip.in_place:
        argument = call.argument(value_clip.value.position, *value_clip.value.keywords)
        if argument is not None and not _is_gradient(reading, argument.node.value):
            return None
    else:
        return None
    return argument.node.value if argument is not None else None


def _is_gradient(reading: FileReading, node: cst.BaseExpression) -> bool:
    value = reading.value(node)
    value = value.element if isinstance(value, Many) else value
    return isinstance(value, Tensor) and value.role == "gradient"


def _made_by_clip(reading: FileReading, node: cst.BaseExpression, depth: int = 0) -> cst.Call | None:
    """The clip that gradients come straight from."""
    if depth > _DEEPEST:
        return None
    if isinstance(node, cst.Call):
        if _clipped(reading, node) is not None:
            return node
        is_passed_on = reading.name(node.func) in _PASSED_ON and node.args and not node.args[0].star
        return _made_by_clip(reading, node.args[0].value, depth + 1) if is_passed_on else None
    if isinstance(node, (cst.ListComp, cst.GeneratorExp)):
        element = node.elt.elements[0].value if isinstance(node.elt, cst.Tuple) and node.elt.elements else node.elt
        return _made_by_clip(reading, element, depth + 1)
    if isinstance(node, cst.IfExp):
        return _made_by_clip(reading, node.body, depth + 1)
    if isinstance(node, cst.Name):
        bindings = reading.flow.reaching(node)
        if len(bindings) != 1 or bindings[0].value is None or bindings[0].path not in ((), (0,)):
            return None
        if bindings[0].kind in (Kind.ASSIGN, Kind.LOOP):
            return _made_by_clip(reading, bindings[0].value, depth + 1)
    return None
