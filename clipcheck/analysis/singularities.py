"""Follows clipped values to logarithms and divisions that are infinite at a bound of the clip."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst
from msgspec import Struct
from msgspec.structs import replace

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind, parameters
from clipcheck.analysis.stores import is_variable, uses_of
from clipcheck.frameworks import infinite
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Call, Code
from clipcheck.model.singularities import LostEpsilon, Singularity
from clipcheck.model.value import Constant

_FLOAT32_LIBRARIES = frozenset({"torch", "tensorflow", "keras", "jax"})
_MOST_STEPS = 400
_COPES = re.compile(
    r"\b(?:isinf|isneginf|isfinite|isnan|is_nan|is_inf|is_finite|nan_to_num|errstate|nansum|nanmean)\b|-\W*inf\b"
)


def read_singularities(reading: FileReading) -> Iterator[Singularity]:
    """The logarithms and the like of values that are clipped to exactly [0, …] or […, 1]."""
    for clip in read_clips(reading):
        low, high = _number(clip.low), _number(clip.high)
        if low != 0 and high != 1:
            continue
        for found in _Trace(reading, clip).run():
            if (high == 1) if found.at_one else (low == 0):
                yield found


def read_lost_epsilons(reading: FileReading) -> Iterator[LostEpsilon]:
    """The clips to just below 1 whose upper bound is 1 after all, where that makes something infinite."""
    for clip in read_clips(reading):
        high = _number(clip.high)
        if high is None or not 0.9 < high < 1:
            continue
        dtype = _dtype(reading, clip)
        if dtype is None or 1 - high > 2.0 ** -(infinite.MANTISSA[dtype] + 1) or _is_uniform_noise(reading, clip):
            continue
        found = next((at for at in _Trace(reading, clip).run() if at.at_one), None)
        epsilon, literals = _epsilon(reading, clip, 1 - high)
        if found is not None or (_number(clip.low) == epsilon and _is_helper(reading, clip)):
            yield LostEpsilon(clip, dtype, epsilon, literals, found)


def _number(bound: object) -> float | None:
    return getattr(bound, "number", None)


class _At(Struct, frozen=True):
    """An expression on the way: the clipped value itself, its complement `1 - p`, or the negative of either."""

    node: cst.CSTNode
    is_complement: bool = False
    is_negative: bool = False


class _Trace:
    """What becomes of a clipped value, as far as zeros and ones are kept."""

    def __init__(self, reading: FileReading, clip: ValueClip) -> None:
        self.reading = reading
        self.clip = clip
        self._todo = [_At(clip.call.node)]
        self._seen: set[tuple[cst.CSTNode, bool, bool]] = set()

    def run(self) -> Iterator[Singularity]:
        found: dict[tuple[cst.CSTNode, bool], Singularity] = {}
        if self.clip.in_place and isinstance(self.clip.subject.node, cst.Name):
            self._follow_in_place(self.clip.subject.node)
        while self._todo and len(self._seen) < _MOST_STEPS:
            at = self._todo.pop(0)
            key = (at.node, at.is_complement, at.is_negative)
            if key not in self._seen:
                self._seen.add(key)
                for singularity in self._step(at):
                    found.setdefault((singularity.at.node, singularity.at_one), singularity)
        order = self.reading.tree.order
        yield from sorted(found.values(), key=lambda singularity: order[singularity.at.node])

    def _go(self, at: _At, node: cst.CSTNode) -> None:
        self._todo.append(replace(at, node=node))

    def _step(self, at: _At) -> Iterator[Singularity]:
        parent = self.reading.parent(at.node)
        if isinstance(parent, cst.Arg):
            call = self.reading.parent(parent)
            if isinstance(call, cst.Call):
                yield from self._argument(at, Call(call, self.reading), parent)
        elif isinstance(parent, cst.Attribute) and parent.value is at.node:
            call = self.reading.parent(parent)
            if isinstance(call, cst.Call) and call.func is parent:
                yield from self._method(at, Call(call, self.reading))
        elif isinstance(parent, cst.BinaryOperation):
            yield from self._operation(at, parent)
        elif isinstance(parent, cst.UnaryOperation) and isinstance(parent.operator, cst.Minus):
            self._todo.append(_At(parent, at.is_complement, not at.is_negative))
        elif isinstance(parent, cst.Assign):
            target = parent.targets[0].target
            if len(parent.targets) == 1 and isinstance(target, cst.Name):
                self._follow(at, parent, target)
            elif len(parent.targets) == 1 and isinstance(target, cst.Attribute):
                self._follow_attribute(at, target)
        elif (isinstance(parent, cst.Subscript) and parent.value is at.node) or (
            isinstance(parent, cst.IfExp) and parent.test is not at.node
        ):
            self._go(at, parent)
        elif isinstance(parent, cst.Element):
            display = self.reading.parent(parent)
            if display is not None and isinstance(self.reading.parent(display), cst.Arg):
                self._go(at, display)
        elif isinstance(parent, cst.Return):
            self._to_callers(at, parent)

    def _follow(self, at: _At, statement: cst.Assign, target: cst.Name) -> None:
        """On to the uses of a name that can only have this value."""
        scopes = self.reading.scopes
        for name in uses_of(self.reading, target.value, scopes.function_of(scopes.of(target))):
            reaching = self.reading.flow.reaching(name)
            if name is not target and len(reaching) == 1 and reaching[0].statement is statement:
                self._go(at, name)

    def _follow_attribute(self, at: _At, target: cst.Attribute) -> None:
        """On to the uses of an attribute of `self` that nothing else is assigned to."""
        scopes = self.reading.scopes
        class_ = scopes.class_of_self(target.value) if isinstance(target.value, cst.Name) else None
        if class_ is None or len(scopes.attributes[class_].get(target.attr.value, ())) != 1:
            return
        for attribute in self.reading.tree.below(class_):
            if not isinstance(attribute, cst.Attribute) or not isinstance(attribute.value, cst.Name):
                continue
            is_same = attribute.attr.value == target.attr.value and attribute is not target
            if is_same and scopes.class_of_self(attribute.value) is class_:
                self._go(at, attribute)

    def _follow_in_place(self, subject: cst.Name) -> None:
        """On to the uses below of a name whose tensor is clipped in place."""
        scopes, order = self.reading.scopes, self.reading.tree.order
        bindings = self.reading.flow.reaching(subject)
        for name in uses_of(self.reading, subject.value, scopes.function_of(scopes.of(subject))):
            is_below = order[name] > order[subject]
            if is_below and len(bindings) == 1 and self.reading.flow.reaching(name) == bindings:
                self._go(_At(name), name)

    def _into(self, at: _At, call: Call, arg: cst.Arg) -> None:
        """On to the uses of a parameter that a function of this file is given the value for."""
        name = (call.callee.api or "").removeprefix("__main__.")
        same = [f for f in self.reading.tree.all(cst.FunctionDef) if f.name.value == name]
        if len(same) != 1 or call.has_star:
            return
        names = list(parameters(same[0]))
        if arg.keyword is not None:
            param = next((p for p in names if p.name.value == arg.keyword.value), None)
        else:
            index = call.node.args.index(arg)
            param = names[index] if index < len(names) else None
        if param is None or param.star:
            return
        for node in uses_of(self.reading, param.name.value, self.reading.scopes.own(same[0])):
            if [b.node for b in self.reading.flow.reaching(node)] == [param]:
                self._go(at, node)

    def _to_callers(self, at: _At, statement: cst.Return) -> None:
        """On to the calls of a function of this file that returns the value."""
        function = self.reading.function(statement)
        if function is None:
            return
        same = [f for f in self.reading.tree.all(cst.FunctionDef) if f.name.value == function.name.value]
        if len(same) != 1:
            return
        for call in self.reading.tree.all(cst.Call):
            if _calls(self.reading, call, function):
                self._go(at, call)

    def _argument(self, at: _At, call: Call, arg: cst.Arg) -> Iterator[Singularity]:
        api = call.callee.api or ""
        is_first = bool(call.node.args) and call.node.args[0] is arg
        if api in infinite.LOGS and is_first:
            yield from self._log(at, call)
        elif api in infinite.LOG1PS and is_first:
            if at.is_negative and not at.is_complement:
                yield self._found(call, "log", at_one=True)
        elif api in infinite.AT_ONE and is_first:
            if not at.is_complement:
                yield self._found(call, "function", at_one=True)
        elif api in infinite.DIVISIONS:
            if is_first:
                self._go(at, call.node)
            else:
                yield self._found(call, "division", at.is_complement)
        elif api in infinite.POWERS and is_first and len(call.node.args) > 1:
            yield from self._power(at, call.node, call.node.args[1].value)
        elif api.startswith("__main__."):
            self._into(at, call, arg)
        elif api in infinite.UNCHANGED and arg.keyword is None and not self._is_guard(call, arg):
            self._go(at, call.node)

    def _is_guard(self, call: Call, arg: cst.Arg) -> bool:
        """Whether a `where` picks values by the very value that is followed."""
        if (call.callee.api or "").rpartition(".")[2] not in ("where", "switch"):
            return False
        return call.node.args[0] is arg or self._mentions(call.node.args[0])

    def _mentions(self, node: cst.CSTNode) -> bool:
        mine = {n.value for n in self.reading.tree.below(self.clip.subject.node) if isinstance(n, cst.Name)}
        statement = self.reading.parent(self.clip.call.node)
        if isinstance(statement, cst.Assign) and isinstance(statement.targets[0].target, cst.Name):
            mine = {statement.targets[0].target.value} | mine
        return any(isinstance(n, cst.Name) and n.value in mine for n in self.reading.tree.below(node))

    def _method(self, at: _At, call: Call) -> Iterator[Singularity]:
        method = call.method or ""
        if method in infinite.LOG_METHODS:
            yield from self._log(at, call)
        elif method == "log1p":
            if at.is_negative and not at.is_complement:
                yield self._found(call, "log", at_one=True)
        elif method in infinite.AT_ONE_METHODS:
            if not at.is_complement:
                yield self._found(call, "function", at_one=True)
        elif method == "pow" and call.node.args:
            yield from self._power(at, call.node, call.node.args[0].value)
        elif method in infinite.UNCHANGED_METHODS:
            self._go(at, call.node)

    def _operation(self, at: _At, node: cst.BinaryOperation) -> Iterator[Singularity]:
        is_right = node.right is at.node
        if isinstance(node.operator, cst.Subtract):
            if is_right and not at.is_negative and self.reading.code(node.left).number == 1:
                self._todo.append(_At(node, not at.is_complement))
        elif isinstance(node.operator, cst.Multiply) or (isinstance(node.operator, cst.Divide) and not is_right):
            self._go(at, node)
        elif isinstance(node.operator, cst.Divide):
            yield self._found(self.reading.code(node), "division", at.is_complement)
        elif isinstance(node.operator, cst.Power) and not is_right:
            yield from self._power(at, node, node.right)

    def _power(self, at: _At, node: cst.CSTNode, exponent: cst.BaseExpression) -> Iterator[Singularity]:
        """Of an exponent of at least 1 a power keeps its zero; of one that is a setting, the slope may be infinite."""
        value = self.reading.value(exponent)
        if isinstance(value, Constant) and value.number is not None and value.number >= 1 and not value.assumed:
            self._go(at, node)
        elif at.is_complement:
            yield self._found(self.reading.code(node), "power", at_one=True)

    def _log(self, at: _At, call: Call) -> Iterator[Singularity]:
        if not at.is_negative and not self._is_bounded(call):
            yield self._found(call, "log", at.is_complement)

    def _is_bounded(self, call: Call) -> bool:
        """Whether the infinity is wanted, or made finite by what stands around the call."""
        node: cst.CSTNode = call.node
        function = self.reading.function(call.node) or self.reading.module
        if _COPES.search(self.reading.text(function)):
            return True
        for above in self.reading.tree.ancestors(call.node):
            if isinstance(above, cst.Arg):
                outer = self.reading.parent(above)
                if isinstance(outer, cst.Call):
                    if (self.reading.api(outer.func) or "") in infinite.BOUNDED:
                        return True
                    if self._is_guard(Call(outer, self.reading), above):
                        return True
            if (
                isinstance(above, cst.Attribute)
                and above.attr.value in infinite.BOUNDED_METHODS
                and above.value is node
            ):
                return True
            node = above
        return False

    def _found(self, at: Code, kind: str, at_one: bool) -> Singularity:
        return Singularity(self.clip, at, kind, at_one)


def _dtype(reading: FileReading, clip: ValueClip) -> str | None:
    """The format of the clipped numbers; None where it may be a wide one."""
    tensor = clip.tensor
    if tensor is not None and tensor.dtype in infinite.MANTISSA:
        return tensor.dtype
    words = _type_words(reading)
    if words & infinite.WIDE:
        return None
    if clip.library == "theano":
        return "float32" if "float32" in words else None
    return "float32" if clip.library in _FLOAT32_LIBRARIES else None


def _type_words(reading: FileReading) -> set[str]:
    """All names and strings of the file, but for those that something is compared with (`x.dtype == np.float64`)."""
    found = set()
    nodes: list[cst.Name | cst.SimpleString] = [*reading.tree.all(cst.Name), *reading.tree.all(cst.SimpleString)]
    for node in nodes:
        if not any(isinstance(above, cst.Comparison) for above in reading.tree.ancestors(node)):
            found.add(node.value if isinstance(node, cst.Name) else node.raw_value)
    return found


def _is_helper(reading: FileReading, clip: ValueClip) -> bool:
    """Whether a function for other files does nothing but clip its parameter: there it is made for logarithms."""
    statement, function = reading.parent(clip.call.node), reading.function(clip.call.node)
    if not isinstance(statement, cst.Return) or function is None or not isinstance(clip.subject.node, cst.Name):
        return False
    if len(function.body.body) > 2 or [b.kind for b in reading.flow.reaching(clip.subject.node)] != [Kind.PARAMETER]:
        return False
    return not any(_calls(reading, call, function) for call in reading.tree.all(cst.Call))


def _calls(reading: FileReading, call: cst.Call, function: cst.FunctionDef) -> bool:
    """Whether a call is one of a function of this file, or of a method through `self`."""
    parent, name = reading.scopes.own(function).parent, function.name.value
    if parent is None or not parent.is_class:
        return reading.name(call.func) == f"__main__.{name}"
    func = call.func
    if not isinstance(func, cst.Attribute) or func.attr.value != name:
        return False
    return isinstance(func.value, cst.Name) and func.value.value in ("self", "cls")


def _is_uniform_noise(reading: FileReading, clip: ValueClip) -> bool:
    """Whether what is clipped is drawn from [0, 1), and so below 1 as it is."""
    expressions: list[cst.CSTNode] = [clip.subject.node]
    if isinstance(clip.subject.node, cst.Name):
        expressions += [b.value for b in reading.flow.reaching(clip.subject.node) if b.value is not None]
    for expression in expressions:
        for call in reading.calls_in(expression):
            last = call.func.attr.value if isinstance(call.func, cst.Attribute) else getattr(call.func, "value", "")
            if last in infinite.UNIFORM:
                return True
    return False


def _epsilon(reading: FileReading, clip: ValueClip, left_out: float) -> tuple[float, tuple[Code, ...]]:
    """The epsilon of `1 - epsilon`, and the places of its digits if it is written as a number for this clip alone."""
    assert clip.high is not None
    node = clip.high.code.node
    if not isinstance(node, cst.BinaryOperation) or not isinstance(node.operator, cst.Subtract):
        return float(f"{left_out:.1g}"), ()
    epsilon = reading.code(node.right)
    number = epsilon.number
    if number is None:
        return float(f"{left_out:.1g}"), ()
    bounds = [bound.code for bound in (clip.low, clip.high) if bound is not None]
    if isinstance(node.right, cst.Float):
        floats = [n for bound in bounds for n in reading.tree.below(bound.node) if isinstance(n, cst.Float)]
        return number, tuple(reading.code(n) for n in floats if n.value == node.right.value)
    if isinstance(node.right, cst.Name):
        literal = _own_literal(reading, node.right, bounds)
        return number, (literal,) if literal else ()
    return number, ()


def _own_literal(reading: FileReading, name: cst.Name, bounds: list[Code]) -> Code | None:
    """The number that a name is bound to, if the name serves nothing but such bounds."""
    bindings = reading.flow.reaching(name)
    if len(bindings) != 1 or bindings[0].kind not in (Kind.ASSIGN, Kind.PARAMETER):
        return None
    binding = bindings[0]
    literal = binding.value
    if not isinstance(literal, cst.Float) or reading.code(literal).number != reading.code(name).number:
        return None
    for other in reading.tree.all(cst.Name):
        if other.value != name.value or other is binding.node or not is_variable(reading, other):
            continue
        if reading.scopes.lookup(other.value, reading.scopes.of(other)) is not binding.scope:
            continue
        if not any(reading.code(other).inside(bound) for bound in bounds):
            return None
    return reading.code(literal)
