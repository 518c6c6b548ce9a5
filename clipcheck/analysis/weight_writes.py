"""Finds the clips of weights that are written back to a model at every training step."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst
from msgspec import Struct

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.repetition import is_repeated
from clipcheck.analysis.rewritings import read_rewriting
from clipcheck.analysis.scopes import Kind
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Call, Code
from clipcheck.model.value import Many, Tensor
from clipcheck.model.weight_writes import WeightWrite

_FILLING = frozenset({"append", "extend", "insert"})
_SINKS = {"get_weights": "set_weights", "state_dict": "load_state_dict"}
_WAYS = {"get_weights": "host", "state_dict": "reload"}
_STORING = frozenset({"assign", "copy_", "set_", "set_value"})
_CONDITIONS = (cst.If, cst.IfExp, cst.CompIf, cst.Continue, cst.Break, cst.Try)


def read_weight_writes(reading: FileReading) -> Iterator[WeightWrite]:
    """Every such clip, in the order of the source."""
    for clip in read_clips(reading):
        tensor = _weights(clip)
        if tensor is None or tensor.owner is None:
            continue
        found = _round_trip(reading, clip, tensor.owner) or _direct(reading, clip, tensor)
        if found is None or not is_repeated(reading, clip.call.node):
            continue
        model = model_of(reading, tensor.owner)
        yield WeightWrite(
            clip=clip,
            way=found.way,
            source=found.source,
            written=found.written,
            model=model.code,
            network=reading.networks.of(model.code.node),
            untrained=tensor.role in ("state", "buffer"),
            selected=model.is_part or _is_selected(reading, clip.call.node),
            frozen=_sets_trainable(reading),
            keras=_keras(reading) if tensor.library != "torch" and found.way != "reload" else None,
            rewriting=read_rewriting(reading, clip, found.source, found.written, tensor.owner, model.loop),
        )


class _Found(Struct, frozen=True):
    way: str
    source: Code
    written: Code


class _Model(Struct, frozen=True):
    """The model that an expression belongs to; the loop over its layers, if there is one."""

    code: Code
    loop: cst.For | None = None
    is_part: bool = False


def _weights(clip: ValueClip) -> Tensor | None:
    value = clip.subject.value
    if isinstance(value, Many):
        value = value.element
    return value if isinstance(value, Tensor) and value.role in ("state", "buffer", "parameter") else None


def _round_trip(reading: FileReading, clip: ValueClip, owner: Code) -> _Found | None:
    """`get_weights` … `set_weights`, `state_dict` … `load_state_dict` of one model in one function."""
    function = reading.function(clip.call.node)
    place = reading.module if function is None else function.body
    calls = [Call(node, reading) for node in reading.calls_in(place) if reading.function(node) is function]
    calls = [call for call in calls if call.receiver is not None and call.receiver.text == owner.text]
    for method, sink in _SINKS.items():
        source = _nearest(reading, clip, [call for call in calls if call.method == method], before=True)
        sinks = [
            call
            for call in calls
            if call.method == sink
            and any(_flows_into(reading, clip.call.node, argument.node) for argument in call.arguments)
        ]
        written = _nearest(reading, clip, sinks, before=False)
        if source is not None and written is not None:
            return _Found(_WAYS[method], source, written)
    return None


def _nearest(reading: FileReading, clip: ValueClip, calls: list[Call], before: bool) -> Call | None:
    """The call in the clip's own statement, else the last one before it or the first one behind it."""
    statement, order = reading.statement(clip.call.node), reading.tree.order
    for call in calls:
        if reading.statement(call.node) is statement:
            return call
    place = order[clip.call.node]
    near = [call for call in calls if (order[call.node] < place) == before]
    if before and near:
        return near[-1]
    return near[0] if near else None


def _flows_into(reading: FileReading, node: cst.CSTNode, sink: cst.CSTNode) -> bool:
    """Whether the value of an expression gets into another one, through variables of the same function."""
    function = reading.function(node)
    inside = set(reading.tree.below(sink))
    names: set[str] = set()
    todo = [node]
    while todo:
        current = todo.pop()
        if current in inside:
            return True
        for name in bound_by(reading, current):
            if name not in names:
                names.add(name)
                todo += [
                    use
                    for use in reading.tree.all(cst.Name)
                    if use.value == name and reading.function(use) is function and use is not current
                ]
    return False


def bound_by(reading: FileReading, node: cst.CSTNode) -> Iterator[str]:
    """The names that get the value of an expression, or get it put into what they hold."""
    statement = reading.statement(node)
    if isinstance(statement, cst.Assign):
        for target in statement.targets:
            yield from _base_name(target.target)
    elif isinstance(statement, (cst.AugAssign, cst.AnnAssign)):
        yield from _base_name(statement.target)
    elif isinstance(statement, cst.Expr) and isinstance(statement.value, cst.Call):
        func = statement.value.func
        if isinstance(func, cst.Attribute) and func.attr.value in _FILLING:
            yield from _base_name(func.value)
    for above in (node, *reading.tree.ancestors(node)):
        if isinstance(above, cst.Call):
            for arg in above.args:
                if arg.keyword is not None and arg.keyword.value == "out":
                    yield from _base_name(arg.value)
                    if isinstance(arg.value, cst.Name):
                        yield from _looped(reading, arg.value)
        if above is statement:
            break


def _base_name(target: cst.BaseExpression) -> Iterator[str]:
    while isinstance(target, cst.Subscript):
        target = target.value
    if isinstance(target, cst.Name):
        yield target.value


def _looped(reading: FileReading, name: cst.Name) -> Iterator[str]:
    """The list whose elements a loop variable goes through."""
    for binding in reading.flow.reaching(name):
        if binding.kind is Kind.LOOP and isinstance(binding.value, cst.Name):
            yield binding.value.value


def _direct(reading: FileReading, clip: ValueClip, tensor: Tensor) -> _Found | None:
    """The tensors of the model are changed one by one: in place, or by storing the clip's result in them."""
    call = clip.call
    source = _iterated(reading, clip.subject) or clip.subject
    through_numpy = clip.subject.value is tensor and tensor.library == "numpy" and ".numpy()" in clip.subject.text
    if clip.in_place and tensor.library == "torch":
        return _Found("direct", source, call)
    for above in reading.tree.ancestors(call.node):
        if isinstance(above, cst.Call) and isinstance(above.func, cst.Attribute):
            stores = above.func.attr.value in _STORING
            if stores and _is_base_of(reading, above.func.value, clip.subject):
                return _Found("numpy" if through_numpy else "direct", source, reading.code(above))
        if isinstance(above, cst.Assign):
            target = above.targets[0].target
            is_data = isinstance(target, cst.Attribute) and target.attr.value == "data"
            if is_data and _is_base_of(reading, target, clip.subject):
                return _Found("numpy" if through_numpy else "direct", source, reading.code(above))
            return None
        if isinstance(above, (cst.BaseCompoundStatement, cst.SimpleStatementLine)):
            return None
    return None


def _iterated(reading: FileReading, subject: Code) -> Code | None:
    """What the loop goes through whose variable is clipped."""
    node = subject.node
    while isinstance(node, cst.Attribute):
        node = node.value
    if isinstance(node, cst.Name):
        for binding in reading.flow.reaching(node):
            if binding.kind is Kind.LOOP and binding.value is not None:
                return reading.code(binding.value)
    return None


def _is_base_of(reading: FileReading, stored: cst.BaseExpression, subject: Code) -> bool:
    """Whether `p` (or `p.data`) is what `p.data.cpu().numpy()` was taken from."""
    text = reading.text(stored).removesuffix(".data")
    return re.match(rf"{re.escape(text)}(\.|\Z)", subject.text) is not None


def model_of(reading: FileReading, owner: Code) -> _Model:
    """`critic` for the layer `l` of `for l in critic.layers`."""
    node = owner.node
    if isinstance(node, cst.Subscript):
        return _Model(_without_layers(reading, node.value) or owner, is_part=True)
    if isinstance(node, cst.Name):
        for binding in reading.flow.reaching(node):
            if binding.kind is Kind.LOOP and binding.value is not None:
                over = binding.value
                if isinstance(over, cst.Call) and over.args and reading.api(over.func) == "builtins.enumerate":
                    over = over.args[0].value
                loop = binding.statement if isinstance(binding.statement, cst.For) else None
                is_part = isinstance(over, cst.Subscript)
                model = _without_layers(reading, over.value if isinstance(over, cst.Subscript) else over)
                return _Model(model or owner, loop if model is not None and not is_part else None, is_part)
    return _Model(owner)


def _without_layers(reading: FileReading, node: cst.BaseExpression) -> Code | None:
    if isinstance(node, cst.Attribute) and node.attr.value == "layers":
        return reading.code(node.value)
    return None


def _is_selected(reading: FileReading, clip: cst.CSTNode) -> bool:
    """Whether an `if` or the like within the loops over layers and weights may leave some out."""
    outermost: cst.CSTNode = reading.statement(clip)
    for above in reading.tree.ancestors(clip):
        if isinstance(above, cst.FunctionDef):
            break
        if isinstance(above, cst.For) and _is_over_weights(reading, above):
            outermost = above
    return any(isinstance(node, _CONDITIONS) for node in reading.tree.below(outermost))


def _is_over_weights(reading: FileReading, loop: cst.For) -> bool:
    return bool(re.search(r"layers|weights|params|parameters|state_dict|variables|buffers", reading.text(loop.iter)))


def _sets_trainable(reading: FileReading) -> bool:
    """Whether the script freezes or thaws anything."""
    sets = [node for node in reading.tree.all(cst.Attribute) if node.attr.value == "trainable"]
    if any(isinstance(reading.parent(node), cst.AssignTarget) for node in sets):
        return True
    names = [call.func.value for call in reading.tree.all(cst.Call) if isinstance(call.func, cst.Name)]
    return any(name == "setattr" or "trainable" in name.lower() for name in names)


def _keras(reading: FileReading) -> str | None:
    """Where the file takes Keras from."""
    found: set[str] = set()
    for bindings in reading.scopes.module.bindings.values():
        for binding in bindings:
            imported = binding.imported or ""
            if imported == "tensorflow" or imported.startswith("tensorflow."):
                found.add("tensorflow.keras")
            elif imported == "keras" or imported.startswith("keras."):
                found.add("keras")
    if found == {"keras", "tensorflow.keras"}:
        return "tensorflow.keras"
    return found.pop() if found else None
