"""The Huber loss in place of a clipped and squared error."""

from __future__ import annotations

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Binding, Kind
from clipcheck.analysis.stores import is_variable
from clipcheck.frameworks.losses import MEANS
from clipcheck.frameworks.tensorflow import BUILDS_GRAPHS
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Call, Code, Spelling
from clipcheck.model.losses import Huber

_KERAS = "keras.losses.huber"


def huber(reading: FileReading, clip: ValueClip, square: Code) -> Huber | None:
    """`F.huber_loss(q, target, delta=c)` for the mean of the square of `clamp(q - target, -c, c)`; in Keras, where it
    is `huber(…)`, only for the mean over the last axis, which is what that returns."""
    mean = _mean(reading, square.node)
    api = _api(reading, clip)
    if api is None or clip.high is None or mean is None or _is_over_last_axis(reading, mean) != api.endswith(_KERAS):
        return None
    difference, bindings = _difference(reading, clip.subject.node)
    steps = [clip.call.node, *bindings]
    if difference is None or not _is_only_used_by(reading, clip, square):
        return None
    left, right = reading.text(difference.left), reading.text(difference.right)
    spelling = reading.spell(api, mean)
    loss = f"{spelling.text}({left}, {right}, delta={clip.high.code.text})"
    half = _half(reading, mean)
    replaces, code = (half, loss) if half is not None else (mean, f"2 * {loss}")
    obsolete = [_statement(reading, node) for node in steps]
    gone = tuple(reading.code(node) for node in dict.fromkeys(obsolete) if node is not None and node is not square.node)
    if any(node is None for node in obsolete[:1]) and clip.call.statement != square.statement:
        return None
    return Huber(reading.code(replaces), Spelling(code, spelling.imports), gone)


def _api(reading: FileReading, clip: ValueClip) -> str | None:
    """The Huber loss of what is surely there: Keras has had the function since there was `keras.ops`, and not in the
    days of TensorFlow 1."""
    if clip.library == "torch":
        return "torch.nn.functional.huber_loss"
    if clip.library == "tensorflow":
        names = {node.attr.value for node in reading.tree.all(cst.Attribute)}
        return None if names & BUILDS_GRAPHS else f"tensorflow.{_KERAS}"
    package, ops, _ = (clip.call.callee.name or "").rpartition(".ops.clip")
    return f"{package.removesuffix('keras')}{_KERAS}" if ops else None


def _mean(reading: FileReading, square: cst.CSTNode) -> cst.CSTNode | None:
    """The mean that is taken of a square, of all of it."""
    parent = reading.parent(square)
    call = reading.parent(parent) if parent is not None else None
    if not isinstance(call, cst.Call):
        return None
    known = Call(call, reading)
    if isinstance(parent, cst.Arg) and known.callee.api in MEANS and call.args[0] is parent and len(call.args) < 3:
        return call if len(call.args) == 1 or _is_over_last_axis(reading, call) else None
    return call if isinstance(parent, cst.Attribute) and known.method == "mean" and not call.args else None


def _is_over_last_axis(reading: FileReading, mean: cst.CSTNode) -> bool:
    axis = Call(mean, reading).argument(1, "axis") if isinstance(mean, cst.Call) else None
    return axis is not None and axis.code.number == -1


def _half(reading: FileReading, mean: cst.CSTNode) -> cst.CSTNode | None:
    """`0.5 * mean`."""
    parent = reading.parent(mean)
    if isinstance(parent, cst.BinaryOperation) and isinstance(parent.operator, cst.Multiply):
        other = parent.right if parent.left is mean else parent.left
        if reading.code(other).number == 0.5:
            return parent
    return None


def _difference(reading: FileReading, node: cst.CSTNode) -> tuple[cst.BinaryOperation | None, list[cst.CSTNode]]:
    """The difference that is clipped, and the name that it goes by where it has one."""
    if isinstance(node, cst.BinaryOperation):
        return (node, []) if isinstance(node.operator, cst.Subtract) else (None, [])
    if not isinstance(node, cst.Name):
        return None, []
    binding = _only_binding(reading, node)
    if binding is None or not isinstance(binding.value, cst.BinaryOperation):
        return None, []
    if not isinstance(binding.value.operator, cst.Subtract) or not reading.means_same(binding.value, node):
        return None, []
    return binding.value, [binding.value] if _uses(reading, binding) == [node] else []


def _only_binding(reading: FileReading, node: cst.Name) -> Binding | None:
    bindings = reading.flow.reaching(node)
    if len(bindings) == 1 and bindings[0].kind is Kind.ASSIGN and not bindings[0].path:
        return bindings[0]
    return None


def _is_only_used_by(reading: FileReading, clip: ValueClip, square: Code) -> bool:
    """Whether nothing but the square needs the clipped error."""
    if clip.call.inside(square):
        return True
    statement = reading.parent(clip.call.node)
    if not isinstance(statement, cst.Assign) or len(statement.targets) != 1:
        return False
    target = statement.targets[0].target
    if not isinstance(target, cst.Name):
        return False
    bindings = [b for b in reading.scopes.of(target).bindings.get(target.value, ()) if b.statement is statement]
    uses = _uses(reading, bindings[0]) if bindings else []
    if not uses or any(_only_binding(reading, use) is None for use in uses):
        return False
    return all(reading.code(use).inside(square) for use in uses) and reading.means_same(clip.subject.node, square.node)


def _uses(reading: FileReading, binding: Binding) -> list[cst.Name]:
    """The uses of a name that may see one binding of it."""
    return [
        name
        for name in reading.tree.below(binding.scope.node)
        if isinstance(name, cst.Name)
        and name.value == binding.name
        and name is not binding.node
        and is_variable(reading, name)
        and binding in reading.flow.reaching(name)
    ]


def _statement(reading: FileReading, value: cst.CSTNode) -> cst.CSTNode | None:
    """The assignment whose whole value this is."""
    parent = reading.parent(value)
    return parent if isinstance(parent, cst.Assign) else None
