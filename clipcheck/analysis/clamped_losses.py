"""Follows clipped losses and errors to where they are differentiated."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import libcst as cst
from msgspec import Struct
from msgspec.structs import replace

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.huber import huber
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.stores import is_variable
from clipcheck.frameworks import losses
from clipcheck.model.clips import Bound, ValueClip
from clipcheck.model.code import Call, Code
from clipcheck.model.losses import ClampedLoss
from clipcheck.model.value import Instance, Tensor

_LOSS = re.compile(r"(^|_)(loss|cost)(es)?(_?(\d+|sum|mean|total|value|fn|train))?$", re.IGNORECASE)
_LOSS_MAKER = re.compile(r"loss|objective|cost|criterion", re.IGNORECASE)
_ERROR = re.compile(r"(^|_)(td|td_?err(or)?s?|td_?delta|bellman_?err(or)?|err|error|residual)$", re.IGNORECASE)
_HUGE = 1e4
"""From here on a bound is there for infinities and not for a loss."""
_MOST_STEPS = 300


def read_clamped_losses(reading: FileReading) -> Iterator[ClampedLoss]:
    for clip in read_clips(reading):
        if clip.library == "numpy" or reading.is_without_gradients(clip.call.node) or _is_detached(clip.subject):
            continue
        if _is_clipped_error(reading, clip):
            trace = _Trace(reading, clip, is_error=True)
            trace.run()
            if trace.square is not None and trace.used is not None and not trace.is_part_of_more:
                yield ClampedLoss(clip, trace.used, trace.square, huber(reading, clip, trace.square))
        elif _is_clipped_loss(reading, clip):
            trace = _Trace(reading, clip, is_error=False)
            trace.run()
            if trace.used is not None and not trace.is_part_of_more:
                yield ClampedLoss(clip, trace.used)


def _is_detached(code: Code) -> bool:
    value = code.value
    return (isinstance(value, Tensor) and value.detached) or bool(
        re.search(r"\.(detach\(\)|data|item\(\))$", code.text)
    )


def _is_clipped_error(reading: FileReading, clip: ValueClip) -> bool:
    """Whether a clip cuts an error on both sides."""
    low, high = clip.low, clip.high
    if high is None or not _is_small(high):
        return False
    error, is_absolute = _without_abs(reading, clip.subject.node)
    if not _is_difference(reading, error) and not _ERROR.search(_last_name(reading, clip.subject.node)):
        return False
    if low is None or low.number == 0:
        return is_absolute
    return _are_symmetric(low, high)


def _are_symmetric(low: Bound, high: Bound) -> bool:
    if low.number is not None and high.number is not None:
        return low.number == -high.number
    texts = low.code.text.replace(" ", ""), high.code.text.replace(" ", "")
    return texts[0] == f"-{texts[1]}" or texts[0].replace("min", "max").replace("low", "high") == texts[1]


def _is_clipped_loss(reading: FileReading, clip: ValueClip) -> bool:
    """Whether a clip bounds a loss from above. One that only bounds it from below is a hinge, or a floor."""
    high = clip.high
    if high is None or high.number is None or not _is_small(high):
        return False
    if clip.low is not None and clip.low.number is not None and clip.low.number >= high.number:
        return False
    if _is_difference(reading, clip.subject.node):
        return False
    return _is_loss(reading, clip.subject.node) or bool(_reduced_loss(reading, clip.subject.node))


def _is_small(bound: Bound) -> bool:
    return bound.number is None or (math.isfinite(bound.number) and abs(bound.number) < _HUGE)


def _is_loss(reading: FileReading, node: cst.CSTNode) -> bool:
    if isinstance(node, (cst.Name, cst.Attribute)):
        return bool(_LOSS.search(_last_name(reading, node)))
    return _is_scalar_loss(reading, node)


def _is_scalar_loss(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether this is surely one number: what a loss function returns that is not told to return more."""
    if not isinstance(node, cst.Call):
        return False
    call = Call(node, reading)
    made: Call | None = call
    if call.callee.api not in losses.SCALAR_LOSSES:
        value = call.callee.value
        is_loss = isinstance(value, Instance) and value.of.startswith("torch.nn.") and value.of.endswith("Loss")
        made = value.made if is_loss and isinstance(value, Instance) and isinstance(value.made, Call) else None
    return made is not None and made.argument(None, "reduction", "reduce") is None and not made.has_star


def _reduced_loss(reading: FileReading, node: cst.CSTNode) -> cst.CSTNode | None:
    """The loss whose sum or mean this is."""
    if not isinstance(node, cst.Call):
        return None
    call = Call(node, reading)
    inner: cst.CSTNode | None = None
    if call.callee.api in losses.REDUCTIONS and call.arguments:
        inner = node.args[0].value
    elif call.method in losses.REDUCING_METHODS and call.receiver is not None and not call.arguments:
        inner = call.receiver.node
    return inner if inner is not None and _is_loss(reading, inner) else None


def _is_one_number(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether what is clipped is surely a single number already."""
    for origin in (node, *reading.origins.of(node)):
        if _is_scalar_loss(reading, origin) or _is_reduction(reading, origin):
            return True
    return False


def _is_reduction(reading: FileReading, node: cst.CSTNode) -> bool:
    if not isinstance(node, cst.Call):
        return False
    call = Call(node, reading)
    if call.callee.api in losses.REDUCTIONS:
        return len(call.arguments) == 1
    return call.method in losses.REDUCING_METHODS and not call.arguments


def _is_difference(reading: FileReading, node: cst.CSTNode) -> bool:
    origin = reading.origins.only(node)
    return isinstance(origin, cst.BinaryOperation) and isinstance(origin.operator, cst.Subtract)


def _without_abs(reading: FileReading, node: cst.CSTNode) -> tuple[cst.CSTNode, bool]:
    """What an absolute value is taken of."""
    origin = reading.origins.only(node)
    if isinstance(origin, cst.Call):
        call = Call(origin, reading)
        if call.callee.api in losses.ABSOLUTES | {"builtins.abs"} and call.arguments:
            return origin.args[0].value, True
        if call.method == "abs" and call.receiver is not None:
            return call.receiver.node, True
    return node, False


def _is_compiled(reading: FileReading, function: cst.FunctionDef) -> bool:
    """Whether a function is the loss that some model is compiled with."""
    compiled = (call for node in reading.tree.all(cst.Call) if (call := Call(node, reading)).method == "compile")
    given = (argument for call in compiled if (argument := call.argument(1, "loss")) is not None)
    return any(function in reading.origins.of(argument.code.node) for argument in given)


def _is_by_two(call: Call, position: int) -> bool:
    """Whether a power is the square."""
    exponent = call.argument(position, "exponent", "y")
    return exponent is not None and exponent.code.number == 2


def _last_name(reading: FileReading, node: cst.CSTNode) -> str:
    return (reading.dotted(node) or "").rpartition(".")[2]


class _At(Struct, frozen=True):
    """An expression on the way. is_reduced: a sum or mean has been taken since the clip."""

    node: cst.CSTNode
    is_squared: bool = False
    is_reduced: bool = False


class _Trace:
    """What becomes of a clipped loss or error."""

    def __init__(self, reading: FileReading, clip: ValueClip, *, is_error: bool) -> None:
        self.reading = reading
        self.clip = clip
        self.is_error = is_error
        self.square: Code | None = None
        self.used: Code | None = None
        self.is_part_of_more = False
        """Whether the clip is one part of a loss in which another part carries the gradient."""
        self._todo: list[_At] = []
        self._seen: set[cst.CSTNode] = set()

    def run(self) -> None:
        call = self.clip.call
        if self.clip.in_place and call.is_bare_statement:
            self._after_change(call)
        else:
            self._todo.append(_At(call.node))
        while self._todo and len(self._seen) < _MOST_STEPS:
            at = self._todo.pop(0)
            if at.node not in self._seen:
                self._seen.add(at.node)
                self._step(at)

    def _after_change(self, call: Call) -> None:
        """`loss.clamp_(max=c)`: on with the uses of the name that come later."""
        node = self.clip.subject.node
        if isinstance(node, cst.Name):
            order, scopes = self.reading.tree.order, self.reading.scopes
            scope = scopes.lookup(node.value, scopes.of(node))
            same = [
                n for n in self.reading.tree.all(cst.Name) if n.value == node.value and is_variable(self.reading, n)
            ]
            later = [name for name in same if order[name] > order[call.node]]
            self._todo += [_At(name) for name in later if scopes.lookup(name.value, scopes.of(name)) is scope]

    def _go(self, at: _At, node: cst.CSTNode) -> None:
        self._todo.append(replace(at, node=node))

    def _step(self, at: _At) -> None:
        parent = self.reading.parent(at.node)
        if isinstance(parent, cst.Arg):
            call = self.reading.parent(parent)
            if isinstance(call, cst.Call):
                self._argument(at, Call(call, self.reading), parent)
        elif isinstance(parent, cst.Attribute) and parent.value is at.node:
            call = self.reading.parent(parent)
            if isinstance(call, cst.Call) and call.func is parent:
                self._method(at, Call(call, self.reading))
        elif isinstance(parent, cst.BinaryOperation):
            self._operation(at, parent)
        elif isinstance(parent, cst.UnaryOperation) and isinstance(parent.operator, cst.Minus):
            self._go(at, parent)
        elif isinstance(parent, (cst.Assign, cst.AnnAssign, cst.AugAssign)) and parent.value is at.node:
            self._assigned(at, parent)
        elif isinstance(parent, cst.IfExp) and parent.test is not at.node:
            self._go(at, parent)
        elif isinstance(parent, (cst.Element, cst.Return, cst.DictElement)):
            self._given_back(at, parent)

    def _argument(self, at: _At, call: Call, arg: cst.Arg) -> None:
        api = call.callee.api or ""
        is_first = call.node.args[0] is arg
        if api in losses.REDUCTIONS and is_first:
            self._todo.append(_At(call.node, at.is_squared, is_reduced=True))
        elif is_first and (api in losses.SQUARES or (api in losses.POWERS and _is_by_two(call, 1))):
            self._squared(at, call.node)
        elif api in losses.LINEAR:
            self._combined(at, call.node)
        elif api in losses.DIFFERENTIATING or (call.method in losses.DIFFERENTIATING_METHODS and is_first):
            self._differentiated(at, call)
        elif call.method == "scale" and is_first:
            self._go(at, call.node)
        elif call.method == "append" and call.receiver is not None and isinstance(call.receiver.node, cst.Name):
            self._follow(at, call.receiver.node, None)
        elif api.rpartition(".")[2] in ("max", "min", "maximum", "minimum", "fmax", "fmin"):
            self.is_part_of_more = True

    def _method(self, at: _At, call: Call) -> None:
        method = call.method or ""
        if method in losses.REDUCING_METHODS:
            self._todo.append(_At(call.node, at.is_squared, is_reduced=True))
        elif method == "square" or (method == "pow" and _is_by_two(call, 0)):
            self._squared(at, call.node)
        elif method == "backward":
            if call.argument(0, "gradient") is None:
                self._differentiated(at, call)
        elif method in ("max", "min", "maximum", "minimum"):
            self.is_part_of_more = True
        elif method in losses.LINEAR_METHODS:
            self._go(at, call.node)

    def _operation(self, at: _At, node: cst.BinaryOperation) -> None:
        other = node.right if node.left is at.node else node.left
        if isinstance(node.operator, cst.Power):
            if node.left is at.node and self.reading.code(other).number == 2:
                self._squared(at, node)
        elif isinstance(node.operator, cst.Multiply) and self.reading.text(other) == self.reading.text(at.node):
            self._squared(at, node)
        elif isinstance(node.operator, (cst.Add, cst.Subtract, cst.Multiply)) or node.left is at.node:
            self._combined(at, node)

    def _combined(self, at: _At, node: cst.CSTNode) -> None:
        """On to a sum or product, unless it is one in which the same error also goes another way (Huber's loss)."""
        if (self.is_error and not at.is_squared) or self._mentions_subject(node, at.node):
            self.is_part_of_more = True
        else:
            self._go(at, node)

    def _mentions_subject(self, node: cst.CSTNode, but: cst.CSTNode) -> bool:
        """Whether an expression, apart from one part of it, goes by the names that the clip has clipped."""
        inside = set(self.reading.tree.below(but))
        mine = {self.reading.text(n) for n in self._names(self.clip.subject.node)}
        return any(n not in inside and self.reading.text(n) in mine for n in self._names(node))

    def _names(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        for below in self.reading.tree.below(node):
            if isinstance(below, cst.Attribute) and self.reading.dotted(below) and not self._is_called(below):
                yield below
            elif isinstance(below, cst.Name) and is_variable(self.reading, below) and not self._is_called(below):
                parent = self.reading.parent(below)
                is_whole = not isinstance(parent, cst.Attribute) or self._is_called(parent)
                if is_whole and self.reading.name(below) is None:  # no module
                    yield below

    def _is_called(self, node: cst.CSTNode) -> bool:
        parent = self.reading.parent(node)
        return isinstance(parent, cst.Call) and parent.func is node

    def _squared(self, at: _At, node: cst.CSTNode) -> None:
        if self.is_error:
            self.square = self.square or self.reading.code(node)
            self._todo.append(_At(node, is_squared=True, is_reduced=at.is_reduced))

    def _differentiated(self, at: _At, at_call: Code) -> None:
        if at.is_squared if self.is_error else not at.is_reduced or self._is_one_number():
            self.used = self.used or at_call

    def _is_one_number(self) -> bool:
        return _is_one_number(self.reading, self.clip.subject.node)

    def _assigned(self, at: _At, statement: cst.Assign | cst.AnnAssign | cst.AugAssign) -> None:
        if isinstance(statement, cst.Assign) and len(statement.targets) != 1:
            return
        target = statement.targets[0].target if isinstance(statement, cst.Assign) else statement.target
        if isinstance(statement, cst.AugAssign) and self.is_error and not at.is_squared:
            self.is_part_of_more = True
        if self.is_error and at.is_squared and _LOSS.search(_last_name(self.reading, target)):
            self.used = self.used or self.reading.code(target)
        if isinstance(target, cst.Name):
            self._follow(at, target, statement)
        elif isinstance(target, cst.Attribute) and self.reading.dotted(target):
            text = self.reading.text(target)
            class_ = self.reading.class_of(target)
            for other in self.reading.tree.all(cst.Attribute):
                if other is not target and self.reading.text(other) == text and self.reading.class_of(other) is class_:
                    self._go(at, other)

    def _follow(self, at: _At, target: cst.Name, statement: cst.CSTNode | None) -> None:
        """On to the uses of a name that see what a statement binds to it."""
        scopes = self.reading.scopes
        scope = scopes.lookup(target.value, scopes.of(target))
        if scope is None:
            return
        for name in self.reading.tree.below(scope.node):
            if not isinstance(name, cst.Name) or name.value != target.value or name is target:
                continue
            if not is_variable(self.reading, name) or scopes.lookup(name.value, scopes.of(name)) is not scope:
                continue
            if statement is None or any(b.statement is statement for b in self.reading.flow.reaching(name)):
                self._go(at, name)

    def _is_loss_class(self, class_: cst.ClassDef) -> bool:
        return self.reading.classes.kind(class_) == "loss" or bool(_LOSS_MAKER.search(class_.name.value))

    def _given_back(self, at: _At, parent: cst.CSTNode) -> None:
        """`return loss`, `return loss, logs` and `return {"loss": loss}` of something that works out a loss."""
        if isinstance(parent, cst.DictElement) and "loss" not in self.reading.text(parent.key):
            return
        outer = parent if isinstance(parent, cst.Return) else self.reading.parent(self.reading.parent(parent) or parent)
        if isinstance(parent, cst.Element) and isinstance(outer, cst.Arg):
            self._go(at, self.reading.tree.parents[parent])
        function = self.reading.function(at.node)
        if function is None or not isinstance(outer, cst.Return):
            return
        class_ = self.reading.class_of(function)
        name = function.name.value
        is_loss = class_ is not None and name in ("forward", "call", "__call__") and self._is_loss_class(class_)
        if name == "training_step":
            self._differentiated(at, self.reading.code(outer))
        elif is_loss or _LOSS_MAKER.search(name) or _is_compiled(self.reading, function):
            if self.is_error or self._is_one_number():
                self._differentiated(replace(at, is_reduced=False), self.reading.code(outer))
        elif parent is outer:
            for call in self.reading.tree.all(cst.Call):
                if self.reading.origins.function(call) is function:
                    self._go(at, call)
