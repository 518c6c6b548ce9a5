"""Finds the arguments that say how far gradients are to be clipped."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.guards import expects_error
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind
from clipcheck.frameworks import GRADIENT_CLIPS, OPTIMIZERS
from clipcheck.frameworks.keras import CLIP_ARGUMENTS, MISSPELT_CLIP_ARGUMENTS, OPTIMIZER_NAMES
from clipcheck.model.bounds import ClipThreshold, CompileCall, OptimizerCall
from clipcheck.model.code import Argument, Call
from clipcheck.model.value import Constant, Instance, Items

_BY = {"clipvalue": "value", "clipnorm": "norm", "global_clipnorm": "global norm"}
_MEANT = re.compile(r"#.*\b(zero|off|disabl|freez|no[- ]clip|no[- ]op|mask|reset|unlimited|not? clip)", re.IGNORECASE)


def read_optimizer_calls(reading: FileReading) -> Iterator[OptimizerCall]:
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        optimizer = OPTIMIZERS.get(call.callee.api or "")
        if optimizer is None or optimizer.library not in ("keras", "torch"):
            continue
        is_keras = optimizer.library == "keras"
        misspelt = [(a, MISSPELT_CLIP_ARGUMENTS[a.keyword]) for a in call.arguments if a.keyword and _is_misspelt(a)]
        if not is_keras:
            misspelt += [(arg, None) for arg in call.arguments if arg.keyword in CLIP_ARGUMENTS]
        clips = [arg for arg in call.arguments if is_keras and arg.keyword in CLIP_ARGUMENTS]
        yield OptimizerCall(
            call=call,
            library=optimizer.library,
            name=(call.callee.api or "").rpartition(".")[2],
            is_legacy=any(".legacy." in name or name.startswith("tf_keras.") for name in call.callee.names),
            expects_error=expects_error(reading, node),
            clips=tuple(clips),
            given=tuple(arg for arg in clips if _is_given(reading, arg.node.value)),
            misspelt=tuple(misspelt),
        )


def _is_given(reading: FileReading, node: cst.BaseExpression) -> bool:
    """Whether an argument is surely not None. An attribute may have been set to None by somebody else."""
    if any(isinstance(below, cst.Attribute) for below in reading.tree.below(node)):
        return False
    value = reading.value(node)
    is_constant = isinstance(value, Constant) and value.value is not None and not value.assumed
    return is_constant or isinstance(value, Items)


def _is_misspelt(argument: Argument) -> bool:
    return argument.keyword in MISSPELT_CLIP_ARGUMENTS


def read_clip_thresholds(reading: FileReading) -> Iterator[ClipThreshold]:
    for optimizer in read_optimizer_calls(reading):
        if not optimizer.is_legacy and not optimizer.expects_error:
            for argument in optimizer.clips:
                yield _bound(reading, "keras", _BY[argument.keyword or ""], optimizer.call, argument)
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        api = GRADIENT_CLIPS.get(call.callee.api or "")
        if api is None or expects_error(reading, node):
            continue
        bound = call.argument(api.bound.position, *api.bound.keywords)
        if bound is not None:
            yield _bound(reading, api.library, api.by, call, bound)


def _bound(reading: FileReading, library: str, by: str, call: Call, argument: Argument) -> ClipThreshold:
    node = argument.node.value
    return ClipThreshold(
        library=library,
        by=by,
        call=call,
        argument=argument,
        is_given_here=_is_literal(node),
        is_weighed=_is_weighed(reading, node) or _is_commented(reading, call.node),
    )


def _is_literal(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.UnaryOperation):
        node = node.expression
    return isinstance(node, (cst.Integer, cst.Float))


def _is_weighed(reading: FileReading, node: cst.BaseExpression) -> bool:
    """Whether a bound that is no plain number is compared, or is not this file's alone to say."""
    if _is_literal(node):
        return False
    if not isinstance(node, cst.Name):
        return True
    if any(b.kind is not Kind.ASSIGN for b in reading.flow.reaching(node)):
        return True
    tree = reading.tree
    askers: list[cst.If | cst.IfExp | cst.While] = [*tree.all(cst.If), *tree.all(cst.IfExp), *tree.all(cst.While)]
    below = [name for asker in askers for name in tree.below(asker.test)]
    return any(isinstance(name, cst.Name) and name.value == node.value for name in below)


def _is_commented(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether a comment on the statement, or right above it, says that nothing is to be left, or to be clipped."""
    for above in reading.tree.ancestors(node):
        if isinstance(above, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            return _MEANT.search(reading.module.code_for_node(above)) is not None
    return False


def read_compile_calls(reading: FileReading) -> Iterator[CompileCall]:
    """The `model.compile(…, clipvalue=…)` of models whose `compile` is Keras's own."""
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        clips = tuple(arg for arg in call.arguments if arg.keyword in CLIP_ARGUMENTS)
        if not clips or call.method != "compile" or call.receiver is None or expects_error(reading, node):
            continue
        if not is_plain_model(reading, call, "compile"):
            continue
        optimizer = call.argument(0, "optimizer")
        value = optimizer.code.value if optimizer else None
        made = value.made if isinstance(value, Instance) and value.of in OPTIMIZERS else None
        name = str(value.value).lower() if isinstance(value, Constant) else ""
        movable = all(_is_literal(clip.node.value) for clip in clips) or (
            optimizer is not None and made == optimizer.code
        )
        yield CompileCall(
            call=call,
            model=call.receiver,
            clips=clips,
            optimizer=optimizer.code if optimizer else None,
            made=made if isinstance(made, Call) and movable else None,
            by_name=OPTIMIZER_NAMES.get(name),
        )


def is_plain_model(reading: FileReading, call: Call, method: str) -> bool:
    """Whether the receiver is a Keras model, and its class has no method of that name in this file."""
    value = call.receiver.value if call.receiver else None
    if not isinstance(value, Instance) or reading.classes.kind_of(value) != "model":
        return False
    class_ = reading.values.local_class(value)
    if class_ is None:
        return True
    functions = [f for f in reading.tree.all(cst.FunctionDef) if f.name.value == method]
    return not any(reading.class_of(function) is not None for function in functions)
