"""Finds the methods by which layers and optimizers mean to clip gradients, as Keras 1 and 2 let them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.bounds import read_optimizer_calls
from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import parameters
from clipcheck.frameworks import GRADIENT_CLIPS, OPTIMIZERS
from clipcheck.frameworks.keras import CLIP_ARGUMENTS
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Call, Code
from clipcheck.model.overrides import ApplyShape, ClippingOverride, Wrapping
from clipcheck.model.value import Instance, Tensor

_HOOKS = {
    "optimizer": ("get_updates", "get_gradients"),
    "layer": ("get_updates", "get_gradients", "compute_gradients", "backward"),
    "model": ("get_updates", "get_gradients"),
    "module": ("backward",),
}
_GRADIENT = re.compile(r"\bg\b|grad", re.IGNORECASE)
_FORWARD = frozenset({"call", "forward"})
_SUPER = re.compile(r"super\(.*\)")


def read_overrides(reading: FileReading) -> Iterator[ClippingOverride]:
    for class_ in reading.tree.all(cst.ClassDef):
        kind = reading.classes.kind(class_)
        for function in class_.body.body:
            if isinstance(function, cst.FunctionDef) and function.name.value in _HOOKS.get(kind or "", ()):
                assert kind is not None
                clip = next(_clips(reading, function), None)
                if clip is not None and _is_meant_as_hook(kind, function):
                    yield _override(reading, kind, class_, function, clip)


def _is_meant_as_hook(kind: str, function: cst.FunctionDef) -> bool:
    """Whether it has the parameters that Keras or torch would call it with; a method of the author's own has others."""
    names = [param.name.value for param in parameters(function)]
    if function.name.value == "get_gradients" and kind != "optimizer":
        return "loss" in names and len(names) == 3
    return len(names) >= 2


def _clips(reading: FileReading, within: cst.CSTNode) -> Iterator[Call]:
    """The calls that clip what by its name or its kind is a gradient."""
    by_call = {clip.call.node: clip for clip in read_clips(reading)}
    for node in reading.tree.below(within):
        if not isinstance(node, cst.Call):
            continue
        call = Call(node, reading)
        clip = by_call.get(node)
        if call.callee.api in GRADIENT_CLIPS or (clip is not None and _is_of_gradient(clip)):
            yield call


def _is_of_gradient(clip: ValueClip) -> bool:
    if clip.tensor is not None and clip.tensor.role == "gradient":
        return True
    return _GRADIENT.search(clip.subject.text) is not None


def _override(
    reading: FileReading, kind: str, class_: cst.ClassDef, function: cst.FunctionDef, clip: Call
) -> ClippingOverride:
    bases = [name for base in class_.bases for name in reading.names(base.value)]
    apis = [reading.api(base.value) or "" for base in class_.bases]
    wrappings = tuple(_wrappings(reading, class_)) if kind == "optimizer" else ()
    return ClippingOverride(
        kind=kind,
        class_=reading.code(class_),
        class_name=class_.name.value,
        base=next((api.rpartition(".")[2] for api in apis if api), ""),
        function=reading.code(function),
        label=reading.code(function.name),
        name=function.name.value,
        clip=clip,
        is_legacy=any(".legacy." in name or name.startswith("tf_keras.") for name in bases),
        is_called=_is_called(reading, class_, function.name.value, _HOOKS[kind]),
        is_identity=_is_identity(class_),
        is_clipped_elsewhere=_is_clipped_elsewhere(reading, class_),
        as_apply=_as_apply(reading, class_, function) if apis and _is_concrete(apis[0]) else None,
        wrappings=wrappings,
        bound=_bound(reading, clip) if wrappings else None,
    )


def _is_concrete(api: str) -> bool:
    return api in OPTIMIZERS and api.startswith("keras.") and not api.endswith(".Optimizer")


def _is_called(reading: FileReading, class_: cst.ClassDef, name: str, hooks: tuple[str, ...]) -> bool:
    """Whether something in the file may call the method, other than a method that nothing calls itself."""
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        if call.method != name or call.receiver is None or _SUPER.fullmatch(call.receiver.text):
            continue
        value = call.receiver.value
        if isinstance(value, Tensor) or (name == "backward" and not node.args):
            continue
        if isinstance(value, Instance) and not (value.local and value.of == class_.name.value):
            continue
        function = reading.function(node)
        if reading.class_of(node) is class_ and function is not None and function.name.value in hooks:
            continue
        return True
    return False


def _is_identity(class_: cst.ClassDef) -> bool:
    """Whether what it computes is its first input, unchanged."""
    for function in class_.body.body:
        if isinstance(function, cst.FunctionDef) and function.name.value in _FORWARD:
            names = [param.name.value for param in parameters(function)]
            lines = [line for line in function.body.body if not _is_docstring(line)]
            only = lines[0].body[0] if len(lines) == 1 and isinstance(lines[0], cst.SimpleStatementLine) else None
            if not isinstance(only, cst.Return) or not isinstance(only.value, cst.Name):
                return False
            return len(names) > 1 and only.value.value == names[1]
    return False


def _is_clipped_elsewhere(reading: FileReading, class_: cst.ClassDef) -> bool:
    if any(optimizer.clips for optimizer in read_optimizer_calls(reading)):
        return True
    return any(reading.class_of(call.node) is not class_ for call in _clips(reading, reading.module))


def _as_apply(reading: FileReading, class_: cst.ClassDef, function: cst.FunctionDef) -> ApplyShape | None:
    """How a `get_gradients` that clips what the base's returns becomes an `apply` that hands it on to the base's.

    The shape: `grads = super().get_gradients(loss, params)`, any statements that only know `grads`, and a `return`.
    """
    if (
        function.name.value != "get_gradients"
        or function.decorators
        or not isinstance(function.body, cst.IndentedBlock)
    ):
        return None
    if any(isinstance(f, cst.FunctionDef) and f.name.value == "apply" for f in class_.body.body):
        return None
    lines = [line for line in function.body.body if not _is_docstring(line)]
    if len(lines) < 2 or not all(isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 for line in lines):
        return None
    first, *middle, last = [line.body[0] for line in lines if isinstance(line, cst.SimpleStatementLine)]
    if not isinstance(first, cst.Assign) or not isinstance(last, cst.Return) or last.value is None:
        return None
    given, target = first.value, first.targets[0].target
    if not isinstance(given, cst.Call) or not isinstance(given.func, cst.Attribute) or not isinstance(target, cst.Name):
        return None
    if given.func.attr.value != "get_gradients" or not _SUPER.fullmatch(reading.text(given.func.value)):
        return None
    rest = list(parameters(function))[1:]
    inner = {param.name.value for param in rest}
    names = {n.value for s in (*middle, last) for n in reading.tree.below(s) if isinstance(n, cst.Name)}
    if names & inner or len(rest) != 2 or any(param.star for param in rest):
        return None
    return ApplyShape(
        parameters=(reading.code(rest[0]), reading.code(rest[1])),
        asked=reading.code(first),
        gradients=target.value,
        returned=reading.code(last.value),
    )


def _is_docstring(line: cst.CSTNode) -> bool:
    if not isinstance(line, cst.SimpleStatementLine) or not isinstance(line.body[0], cst.Expr):
        return False
    return isinstance(line.body[0].value, (cst.SimpleString, cst.ConcatenatedString))


def _wrappings(reading: FileReading, class_: cst.ClassDef) -> list[Wrapping]:
    """All uses of a wrapper's name, if each of them wraps a call that makes a Keras optimizer that does not clip."""
    found = []
    name = class_.name.value
    for node in reading.tree.all(cst.Name):
        parent = reading.parent(node)
        if node.value != name or node is class_.name or class_ in reading.tree.ancestors(node):
            continue
        if not isinstance(parent, cst.Call) or parent.func is not node or not parent.args:
            return []
        inner = parent.args[0].value
        api = reading.api(inner.func) if isinstance(inner, cst.Call) else None
        if not isinstance(inner, cst.Call) or not _is_concrete(api or ""):
            return []
        if any(
            arg.star or (arg.keyword and arg.keyword.value in CLIP_ARGUMENTS) for arg in (*inner.args, *parent.args)
        ):
            return []
        found.append(Wrapping(Call(parent, reading), Call(inner, reading)))
    named = any(
        text.evaluated_value == name for text in reading.tree.all(cst.SimpleString)
    )  # `__all__`, custom_objects
    return [] if named else found


def _bound(reading: FileReading, clip: Call) -> Code | None:
    """The upper bound, if the lower one is surely its negative."""
    for value_clip in read_clips(reading):
        if value_clip.call.node is clip.node and value_clip.low and value_clip.high:
            low, high = value_clip.low.number, value_clip.high.number
            if low is not None and high is not None and low == -high < 0:
                return value_clip.high.code
    return None
