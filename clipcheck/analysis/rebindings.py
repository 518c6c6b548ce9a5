"""Finds loop variables that are given a clipped value which nothing reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import libcst as cst

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.keras_version import is_keras_2_code
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.remedies import is_read_below, leaf_in_place, numpy_in_place, torch_in_place
from clipcheck.analysis.scopes import Binding, Kind
from clipcheck.analysis.stores import is_read
from clipcheck.model.clips import Remedy, ValueClip
from clipcheck.model.rebindings import LoopRebinding
from clipcheck.model.value import Many, Tensor


def read_rebindings(reading: FileReading) -> Iterator[LoopRebinding]:
    """Every loop variable that is bound to a clipped value in its loop, and not read from then on."""
    clips: dict[cst.CSTNode, ValueClip] = {clip.call.node: clip for clip in read_clips(reading) if not clip.in_place}
    if not clips:
        return
    nodes: list[cst.Assign | cst.AugAssign] = [*reading.tree.all(cst.Assign), *reading.tree.all(cst.AugAssign)]
    for node in nodes:
        target = _target(node)
        if target is None:
            continue
        loop = _loop_binding(reading, target)
        clip = _clip_in(reading, node.value, clips) if loop is not None else None
        if loop is None or clip is None or is_read(reading, target, node) or _may_be_in_place(reading, node):
            continue
        yield LoopRebinding(
            clip=clip,
            statement=reading.code(node),
            name=reading.code(target),
            source=reading.code(_source(loop)),
            operator="=" if isinstance(node, cst.Assign) else reading.text(node.operator),
            remedy=_remedy(reading, node, target, loop, clip),
        )


def _target(node: cst.Assign | cst.AugAssign) -> cst.Name | None:
    if isinstance(node, cst.AugAssign):
        return node.target if isinstance(node.target, cst.Name) else None
    target = node.targets[0].target
    return target if len(node.targets) == 1 and isinstance(target, cst.Name) else None


def _loop_binding(reading: FileReading, target: cst.Name) -> Binding | None:
    """What makes the name a loop's, if the loop stands around the target."""
    scope = reading.scopes.function_of(reading.scopes.of(target))
    if target.value in scope.outer_names:
        return None
    for loop in reading.loops(target):
        for binding in scope.bindings.get(target.value, ()):
            if binding.kind is Kind.LOOP and binding.statement is loop:
                return binding
    return None


def _clip_in(
    reading: FileReading, value: cst.BaseExpression, clips: Mapping[cst.CSTNode, ValueClip]
) -> ValueClip | None:
    """The clip that a value is made of, directly or through one name."""
    for node in reading.tree.below(value):
        if node in clips:
            return clips[node]
        if isinstance(node, cst.Name):
            bindings = reading.flow.reaching(node)
            value_of_name = bindings[0].value if len(bindings) == 1 else None
            if value_of_name is not None and value_of_name in clips:
                return clips[value_of_name]
    return None


def _may_be_in_place(reading: FileReading, node: cst.Assign | cst.AugAssign) -> bool:
    """Whether `x -= y` may change x itself: as it does for arrays and torch's tensors, not for those of TensorFlow."""
    if isinstance(node, cst.Assign):
        return False
    value = reading.value(node.value)
    return not (isinstance(value, Tensor) and value.library in ("tensorflow", "keras"))


def _source(loop: Binding) -> cst.BaseExpression:
    """What the loop takes the values of the name from."""
    assert loop.value is not None
    value = loop.value
    if isinstance(value, cst.Call) and isinstance(value.func, cst.Name) and loop.path:
        index = loop.path[0] - 1 if value.func.value == "enumerate" else loop.path[0]
        if value.func.value == "enumerate" and len(loop.path) == 1 and value.args:
            return value.args[0].value
        if value.func.value == "zip" and 0 <= index < len(value.args) and len(loop.path) == 1:
            return value.args[index].value
    return value


def _remedy(
    reading: FileReading, node: cst.Assign | cst.AugAssign, target: cst.Name, loop: Binding, clip: ValueClip
) -> Remedy | None:
    statement, source = reading.code(node), _source(loop)
    element = reading.values.binding(loop)
    role = element.role if isinstance(element, Tensor) else None
    is_clip_of_it = node.value is clip.call.node and _is_of(clip.subject.node, target)
    if clip.library in ("tensorflow", "keras"):
        return _assigned(reading, node, target, role) or _in_list(reading, node, loop, source)
    if clip.library == "torch" and is_clip_of_it and role is not None:
        if role == "parameter" and isinstance(clip.subject.node, cst.Name):
            return leaf_in_place(clip.call, clip.subject, statement)
        if role in ("parameter", "gradient", "buffer"):
            return Remedy(statement, torch_in_place(clip.call, clip.subject))
    if clip.library == "numpy" and is_clip_of_it and role == "state" and isinstance(source, cst.Name):
        in_list = _in_list(reading, node, loop, source)
        return in_list or Remedy(statement, numpy_in_place(clip.call, clip.subject))
    return _in_list(reading, node, loop, source)


def _assigned(
    reading: FileReading, node: cst.Assign | cst.AugAssign, target: cst.Name, role: str | None
) -> Remedy | None:
    """A variable's own `assign`. In a TF1 graph that is an operation which somebody must run: there no remedy."""
    if role != "parameter" or is_keras_2_code(reading):
        return None
    value = reading.text(node.value)
    if isinstance(node, cst.Assign):
        return Remedy(reading.code(node), f"{target.value}.assign({value})")
    method = {"-=": "assign_sub", "+=": "assign_add"}.get(reading.text(node.operator))
    return Remedy(reading.code(node), f"{target.value}.{method}({value})") if method else None


def _in_list(
    reading: FileReading, node: cst.Assign | cst.AugAssign, loop: Binding, source: cst.BaseExpression
) -> Remedy | None:
    """By index where the loop counts, as a new list where the loop does nothing else."""
    if not isinstance(node, cst.Assign) or not isinstance(source, cst.Name) or not isinstance(loop.statement, cst.For):
        return None
    listed = reading.value(source)
    if isinstance(listed, Tensor) or (isinstance(listed, Many) and listed.one_shot):
        return None
    return _by_index(reading, node, loop, source) or _as_list(reading, node, loop.statement, source)


def _as_list(reading: FileReading, node: cst.Assign, loop: cst.For, source: cst.Name) -> Remedy | None:
    """`xs = [… for x in xs]`, where xs is a local list that is used further down, and nobody else holds it."""
    body, text = loop.body.body, reading.text(loop)
    line = body[0]
    alone = node in line.body if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else line is node
    has_comments = "#" in text.rpartition("\n")[0]
    if len(body) != 1 or not alone or loop.orelse is not None or has_comments or loop.iter is not source:
        return None
    bindings = reading.flow.reaching(source)
    scope = reading.scopes.function_of(reading.scopes.of(source))
    own = all(b.kind is Kind.ASSIGN and b.scope is scope and _is_fresh(b.value) for b in bindings)
    if not own or not isinstance(loop.target, cst.Name) or not is_read_below(reading, source, loop):
        return None
    name = source.value
    code = f"{name} = [{reading.text(node.value)} for {loop.target.value} in {name}]"
    return Remedy(reading.code(loop), code)


def _is_fresh(value: cst.CSTNode | None) -> bool:
    return isinstance(value, (cst.Call, cst.List, cst.ListComp))


def _by_index(reading: FileReading, node: cst.Assign, loop: Binding, source: cst.Name) -> Remedy | None:
    """`xs[i] = …`, where the loop counts and `xs` is a list by its name."""
    value = loop.value
    if not isinstance(value, cst.Call) or reading.name(value.func) != "builtins.enumerate":
        return None
    if len(value.args) != 1 or loop.path != (1,):
        return None
    assert isinstance(loop.statement, cst.For)
    counter = loop.statement.target
    first = counter.elements[0].value if isinstance(counter, cst.Tuple) else None
    if not isinstance(first, cst.Name):
        return None
    return Remedy(reading.code(node), f"{source.value}[{first.value}] = {reading.text(node.value)}")


def _is_of(subject: cst.CSTNode, target: cst.Name) -> bool:
    """Whether what is clipped is the name itself, or its `.data` or `.grad`."""
    while isinstance(subject, cst.Attribute) and subject.attr.value in ("data", "grad"):
        subject = subject.value
    return isinstance(subject, cst.Name) and subject.value == target.value
