"""Finds how clips use thresholds that training learns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import libcst as cst
from msgspec import Struct

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.learnables import Learnables
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Binding, dotted_name
from clipcheck.frameworks import tensor_library
from clipcheck.model.clips import Bound, ValueClip
from clipcheck.model.code import Call, Code
from clipcheck.model.thresholds import (
    DetachedThreshold,
    DividingThreshold,
    IntegerParameter,
    Learnable,
    MirroredThreshold,
)
from clipcheck.model.value import Constant, Instance, Tensor

_DETACHING_METHODS = frozenset({"item", "detach", "numpy", "tolist", "cpu", "clone"})
_DETACHING_FUNCTIONS = frozenset(
    "builtins.float builtins.int keras.backend.get_value keras.backend.eval keras.backend.stop_gradient "
    "tensorflow.stop_gradient keras.ops.stop_gradient keras.ops.convert_to_numpy tensorflow.get_static_value "
    "numpy.float32 numpy.float64 numpy.array numpy.asarray".split()
)
_FROZEN = frozenset({"keras.backend.get_value", "keras.backend.eval"})
_BOUNDED = frozenset({"tanh", "softplus", "softsign", "erf", "atan", "arctan", "hard_tanh", "hardtanh"})
_BOUNDED_MODULES = frozenset({"torch.nn.Tanh", "torch.nn.Softplus", "torch.nn.Softsign", "torch.nn.Hardtanh"})
_DIVIDE = frozenset({"div", "divide", "true_divide", "truediv"})
_MULTIPLY = frozenset({"mul", "multiply"})
_RESHAPING = frozenset("view reshape unsqueeze squeeze expand expand_as view_as to type_as cuda cpu flatten".split())
_SMALLER = frozenset({"min", "minimum"})
_LARGER = frozenset({"max", "maximum"})
_METADATA = frozenset({"shape", "dtype", "device", "grad", "requires_grad", "name", "data"})
_NOT_TRAINING = frozenset("__init__ build reset_parameters get_config extra_repr __repr__ __str__".split())
_TENSOR_MAKERS = frozenset({"torch.tensor", "torch.as_tensor", "torch.full"})


class _Detached(Struct, frozen=True):
    """Where a bound loses a learnable: `node` is `self.alpha.item()`, `kept` is `self.alpha`.

    direct: nothing but a sign stands between the bound and the node. alias: the name that carries it to the bound.
    """

    learnable: Learnable
    node: cst.BaseExpression
    kept: cst.BaseExpression | None
    direct: bool
    alias: Binding | None
    frozen: bool


class _Bounds:
    """Looks through the expressions of bounds."""

    def __init__(self, reading: FileReading) -> None:
        self.reading = reading
        self.learnables = Learnables(reading)

    def detached(
        self, node: cst.BaseExpression, direct: bool = True, alias: Binding | None = None, depth: int = 0
    ) -> Iterator[_Detached]:
        """Every learnable that a bound takes by its value only."""
        if depth > 12:
            return
        frozen = isinstance(node, cst.Call) and self.reading.api(node.func) in _FROZEN
        inner = self._detaches(node)
        if inner is not None:
            kept = self._stripped(inner)
            held = list(self.inside(inner)) or ([self._frozen(node, inner)] if frozen and self._in_call(node) else [])
            for learnable in held:
                whole = None if self._loses_more(kept) else kept
                yield _Detached(learnable, node, whole, direct, alias, frozen)
        elif isinstance(node, cst.Name):
            bindings = self.reading.flow.reaching(node)
            value = self.learnables.bound(node)
            if value is not None:
                yield from self.detached(value, direct and alias is None, bindings[0], depth + 1)
        elif isinstance(node, cst.UnaryOperation):
            yield from self.detached(node.expression, direct, alias, depth + 1)
        else:
            for part in self._parts(node):
                yield from self.detached(part, False, alias, depth + 1)

    def _in_call(self, node: cst.CSTNode) -> bool:
        """Whether a node stands in the `call` of a Keras layer or model."""
        function, class_ = self.reading.function(node), self.reading.class_of(node)
        if function is None or class_ is None or function.name.value != "call":
            return False
        return self.reading.classes.kind(class_) in ("layer", "model")

    def _frozen(self, node: cst.BaseExpression, variable: cst.BaseExpression) -> Learnable:
        """A variable that need not be learned to change: whatever sets it, the graph keeps its first value."""
        assert isinstance(node, cst.Call)
        return Learnable(self.reading.text(variable), "keras", Call(node, self.reading))

    def _parts(self, node: cst.BaseExpression) -> list[cst.BaseExpression]:
        """The operands that a value is made of, one level down."""
        if isinstance(node, cst.BinaryOperation):
            return [node.left, node.right]
        if isinstance(node, cst.Subscript):
            return [node.value]
        if isinstance(node, cst.Call):
            receiver = [node.func.value] if isinstance(node.func, cst.Attribute) else []
            return [*receiver, *(arg.value for arg in node.args)]
        return []

    def _detaches(self, node: cst.BaseExpression) -> cst.BaseExpression | None:
        """What an expression hands over without its gradient: `self.alpha` for `self.alpha.item()`."""
        if isinstance(node, cst.Attribute) and node.attr.value == "data":
            return node.value
        if not isinstance(node, cst.Call):
            return None
        api = self.reading.api(node.func)
        if api in _DETACHING_FUNCTIONS:
            return node.args[0].value if len(node.args) == 1 and node.args[0].keyword is None else None
        if isinstance(node.func, cst.Attribute) and node.func.attr.value in ("item", "detach", "numpy", "tolist"):
            return None if node.args else node.func.value
        return None

    def _stripped(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """`self.alpha` for `self.alpha.detach().cpu()`."""
        while True:
            if isinstance(node, cst.Attribute) and node.attr.value == "data":
                node = node.value
            elif (
                isinstance(node, cst.Call)
                and isinstance(node.func, cst.Attribute)
                and node.func.attr.value in _DETACHING_METHODS
                and not node.args
            ):
                node = node.func.value
            else:
                return node

    def _loses_more(self, node: cst.BaseExpression) -> bool:
        return any(isinstance(b, cst.BaseExpression) and self._detaches(b) for b in self.reading.tree.below(node))

    def inside(self, node: cst.BaseExpression, depth: int = 0) -> Iterator[Learnable]:
        """Every learnable that a value is made of."""
        learnable = self.learnables.at(node)
        if learnable is not None:
            yield learnable
        elif depth < 8:
            value = self.learnables.bound(node) if isinstance(node, cst.Name) else self._detaches(node)
            for part in [value] if value is not None else self._parts(node):
                yield from self.inside(part, depth + 1)

    def bare(self, node: cst.CSTNode) -> Learnable | None:
        """The learnable that an expression is, as it stands or in another shape."""
        while True:
            if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
                if node.func.attr.value not in _RESHAPING:
                    return None
                node = node.func.value
            elif isinstance(node, cst.Subscript):
                node = node.value
            else:
                learnable = self.learnables.at(node)
                value = self.learnables.bound(node) if isinstance(node, cst.Name) else None
                if learnable is not None or value is None:
                    return learnable
                node = value

    def origin(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """The expression that a name was assigned, if only one can be meant."""
        for _ in range(5):
            value = self.learnables.bound(node) if isinstance(node, cst.Name) else None
            if value is None:
                break
            node = value
        return node


def read_detached(reading: FileReading) -> Iterator[DetachedThreshold]:
    """Every clip that a learnable enters by its value only."""
    bounds = _Bounds(reading)
    for clip in read_clips(reading):
        tensor = clip.tensor
        if clip.library in ("numpy", "jax") or (tensor is not None and tensor.detached):
            continue
        if clip.in_place and (tensor is None or tensor.role != "data"):
            continue
        sides = [side for side in (clip.low, clip.high) if side is not None]
        found = [
            lost
            for side in sides
            if isinstance(side.code.node, cst.BaseExpression)
            for lost in bounds.detached(side.code.node)
        ]
        if not found or bounds.learnables.in_no_grad(clip.call.node):
            continue
        learnable = found[0].learnable
        frozen = any(lost.frozen for lost in found)
        if _learns_elsewhere(bounds, learnable, found) or (bounds.learnables.is_overwritten(learnable) and not frozen):
            continue
        nodes = {lost.node: reading.code(lost.node) for lost in found if lost.learnable == learnable}
        yield DetachedThreshold(
            learnable, clip, tuple(nodes.values()), frozen, tuple(_replacements(bounds, clip, found))
        )


def _learns_elsewhere(bounds: _Bounds, learnable: Learnable, found: list[_Detached]) -> bool:
    """Whether another expression of the class (or file) takes the learnable with its gradient."""
    reading = bounds.reading
    home: cst.CSTNode = reading.class_of(found[0].node) or reading.module
    if not learnable.name.startswith("self."):
        home = reading.function(learnable.made.node) or reading.module
    for use in bounds.learnables.uses(learnable, home):
        function = reading.function(use)
        if function is not None and function.name.value in _NOT_TRAINING:
            continue
        if not _is_value_only(bounds, use):
            return True
    return False


def _is_value_only(bounds: _Bounds, use: cst.CSTNode) -> bool:
    """Whether a use can hand no gradient on: `.item()`, `.shape`, something under `no_grad`."""
    reading = bounds.reading
    if bounds.learnables.in_no_grad(use):
        return True
    node = use
    for above in reading.tree.ancestors(use):
        if isinstance(above, cst.BaseExpression):
            if bounds._detaches(above) is not None:
                return True
            if isinstance(above, cst.Attribute) and above.attr.value in _METADATA and above.value is node:
                return True
            if isinstance(above, (cst.FormattedString, cst.Comparison)):
                return True
            if isinstance(above, cst.Call) and _only_looks(reading.api(above.func) or ""):
                return True
        elif isinstance(above, cst.FormattedStringExpression):
            return True
        elif isinstance(above, cst.Assign) and above.value is use and len(above.targets) == 1:
            return _reads_only_value(bounds, above.targets[0].target)
        elif not isinstance(above, (cst.Arg, cst.Element, cst.Index, cst.SubscriptElement)):
            return False
        node = above
    return False


def _reads_only_value(bounds: _Bounds, target: cst.BaseExpression) -> bool:
    """Whether no use of a local name hands a gradient on."""
    if not isinstance(target, cst.Name):
        return False
    scope = bounds.reading.scopes.of(target).node
    uses = [
        node
        for node in bounds.reading.tree.below(scope)
        if isinstance(node, cst.Name) and node.value == target.value and node is not target
    ]
    return all(_is_value_only(bounds, use) for use in uses)


def _only_looks(api: str) -> bool:
    """Whether a function is known to take no part in the forward pass."""
    return api in ("builtins.print", "builtins.len", "builtins.isinstance") or api.startswith(
        ("torch.nn.init.", "torch.optim.", "logging.")
    )


def _replacements(bounds: _Bounds, clip: ValueClip, found: list[_Detached]) -> Iterator[tuple[Code, str]]:
    """The expressions to write so that the clip sees the learnable, or nothing if that is not certain."""
    reading = bounds.reading
    edits: dict[cst.CSTNode, str] = {}
    for lost in found:
        if not lost.direct or lost.kept is None or (lost.alias and not _serves_only(reading, lost.alias, clip)):
            return
        edits[lost.node] = reading.text(lost.kept)
    if clip.library == "torch":
        lowered = {lost.node for lost in found}
        for side in (clip.low, clip.high):
            if side is None or _holds(bounds, side, lowered):
                continue
            like = reading.text(found[0].kept) if found[0].kept is not None else ""
            if side.number is not None:
                zero = side.number == 0
                edits[side.code.node] = (
                    f"torch.zeros_like({like})" if zero else f"torch.full_like({like}, {side.code.text})"
                )
            elif not isinstance(side.code.value, Tensor):
                return
        if (
            any(text.startswith("torch.") for text in edits.values())
            and reading.spell("torch.zeros_like", clip.call.node).text != "torch.zeros_like"
        ):
            return
    yield from ((reading.code(node), text) for node, text in edits.items())


def _holds(bounds: _Bounds, side: Bound, nodes: set[cst.BaseExpression]) -> bool:
    assert isinstance(side.code.node, cst.BaseExpression)
    return any(lost.node in nodes for lost in bounds.detached(side.code.node))


def _serves_only(reading: FileReading, alias: Binding, clip: ValueClip) -> bool:
    """Whether a name is used for nothing but the bounds of a clip."""
    sides = {side.code.node for side in (clip.low, clip.high) if side is not None}
    for name in reading.tree.below(alias.scope.node):
        if not isinstance(name, cst.Name) or name.value != alias.name or name is alias.node:
            continue
        if isinstance(reading.parent(name), cst.Attribute) and reading.parent(name).attr is name:  # type: ignore[union-attr]
            continue
        if not any(above in sides for above in (name, *reading.tree.ancestors(name))):
            return False
    return True


def read_dividing(reading: FileReading) -> Iterator[DividingThreshold]:
    """Every `θ * f(x / θ)`; one for each function and learnable."""
    bounds = _Bounds(reading)
    seen: set[tuple[str, cst.CSTNode | None]] = set()
    for product, (one, other) in _products(reading):
        for factor, rest in ((one, other), (other, one)):
            learnable = bounds.bare(factor)
            squashed = bounds.origin(rest)
            if learnable is None or not _is_bounded(reading, squashed):
                continue
            assert isinstance(squashed, cst.Call)
            division = _division(bounds, squashed, learnable)
            key = (learnable.name, reading.function(product))
            if division is None or key in seen or bounds.learnables.is_projected(learnable):
                continue
            seen.add(key)
            yield DividingThreshold(learnable, reading.code(division), reading.code(squashed))


def _products(reading: FileReading) -> Iterator[tuple[cst.CSTNode, tuple[cst.BaseExpression, cst.BaseExpression]]]:
    for node in reading.tree.all(cst.BinaryOperation):
        if isinstance(node.operator, cst.Multiply):
            yield node, (node.left, node.right)
    for call in reading.tree.all(cst.Call):
        operands = _operands(call, _MULTIPLY)
        if operands is not None:
            yield call, operands


def _operands(call: cst.Call, names: frozenset[str]) -> tuple[cst.BaseExpression, cst.BaseExpression] | None:
    """The two operands of `torch.mul(a, b)` or `a.mul(b)`."""
    if not isinstance(call.func, cst.Attribute) or call.func.attr.value not in names:
        return None
    values = [arg.value for arg in call.args if arg.keyword is None]
    if len(values) == 2:
        return values[0], values[1]
    return (call.func.value, values[0]) if len(values) == 1 else None


def _is_bounded(reading: FileReading, node: cst.BaseExpression) -> bool:
    if not isinstance(node, cst.Call):
        return False
    value = reading.value(node.func)
    if isinstance(value, Instance):
        return value.of in _BOUNDED_MODULES
    name = node.func.attr.value if isinstance(node.func, cst.Attribute) else (reading.api(node.func) or "")
    return name.rpartition(".")[2] in _BOUNDED


def _division(bounds: _Bounds, squashed: cst.Call, learnable: Learnable) -> cst.BaseExpression | None:
    """The division by the learnable whose quotient a function is called with."""
    inputs = [arg.value for arg in squashed.args[:1]]
    if isinstance(squashed.func, cst.Attribute) and not inputs:
        inputs = [squashed.func.value]
    for given in inputs:
        node = bounds.origin(given)
        divisor = None
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Divide):
            divisor = node.right
        elif isinstance(node, cst.Call):
            operands = _operands(node, _DIVIDE)
            divisor = operands[1] if operands is not None else None
        if divisor is not None and bounds.bare(divisor) == learnable:
            return node
    return None


def read_mirrored(reading: FileReading) -> Iterator[MirroredThreshold]:
    """Every clip from -θ to θ of an unguarded learnable."""
    bounds = _Bounds(reading)
    for call, low, high in _two_sided(reading):
        low, high = bounds.origin(low), bounds.origin(high)
        if not isinstance(low, cst.UnaryOperation) or not isinstance(low.operator, cst.Minus):
            continue
        learnable = bounds.bare(high)
        if learnable is None or bounds.bare(low.expression) != learnable:
            continue
        if not bounds.learnables.is_projected(learnable):
            yield MirroredThreshold(learnable, call)


def _two_sided(reading: FileReading) -> Iterator[tuple[Code, cst.BaseExpression, cst.BaseExpression]]:
    for clip in read_clips(reading):
        if clip.low is not None and clip.high is not None and clip.library not in ("numpy", "jax"):
            yield clip.call, clip.low.code.node, clip.high.code.node  # type: ignore[misc]
    for node in reading.tree.all(cst.Call):
        yield from _by_extremes(reading, node)


def _by_extremes(
    reading: FileReading, outer: cst.Call
) -> Iterator[tuple[Code, cst.BaseExpression, cst.BaseExpression]]:
    """`torch.max(torch.min(x, θ), -θ)` and its relatives."""
    for names, inner_names in ((_LARGER, _SMALLER), (_SMALLER, _LARGER)):
        for inner, bound in _extreme(reading, outer, names):
            if isinstance(inner, cst.Call):
                for _, other in _extreme(reading, inner, inner_names):
                    low, high = (bound, other) if names is _LARGER else (other, bound)
                    yield reading.code(outer), low, high


def _extreme(
    reading: FileReading, call: cst.Call, names: frozenset[str]
) -> Iterator[tuple[cst.BaseExpression, cst.BaseExpression]]:
    """The operands of `torch.min(a, b)`, both ways round."""
    namespace, _, name = (reading.api(call.func) or "").rpartition(".")
    if name in names and len(call.args) == 2 and tensor_library(f"{namespace}.{name}") not in (None, "numpy"):
        one, other = call.args[0].value, call.args[1].value
        yield one, other
        yield other, one


def read_integers(reading: FileReading) -> Iterator[IntegerParameter]:
    """Every `nn.Parameter` made of an integer tensor that is to clip something, by its name or its use."""
    bounding = None
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        if call.callee.api != "torch.nn.Parameter" or call.has_star or not call.arguments:
            continue
        switch = call.argument(1, "requires_grad")
        made = call.arguments[0].code
        if not isinstance(made, Call) or made.callee.api not in _TENSOR_MAKERS:
            continue
        if switch is not None and switch.code.value != Constant(True):
            continue
        number = made.argument(1, "fill_value") if made.callee.api == "torch.full" else made.argument(0, "data")
        if number is None or made.argument(None, "dtype") is not None:
            continue
        value = number.code.value
        if not isinstance(value, Constant) or type(value.value) is not int:
            continue
        target = _target(reading, node)
        if bounding is None:
            bounding = frozenset(_bounding_names(reading))
        if target is not None and (target in bounding or _tells_of_clipping(target)):
            yield IntegerParameter(call, target, number.code, value.value)


def _target(reading: FileReading, node: cst.CSTNode) -> str | None:
    assign = reading.parent(node)
    if isinstance(assign, cst.Assign) and len(assign.targets) == 1:
        return dotted_name(assign.targets[0].target)
    if isinstance(assign, cst.AnnAssign):
        return dotted_name(assign.target)
    return None


def _tells_of_clipping(target: str) -> bool:
    return any(word in target.lower() for word in ("clip", "clamp", "thresh", "bound", "limit"))


def _bounding_names(reading: FileReading) -> Iterable[str]:
    """The names that stand in the bounds of clips, or divide beneath a bounded function."""
    roots: list[cst.CSTNode] = [
        side.code.node for clip in read_clips(reading) for side in (clip.low, clip.high) if side is not None
    ]
    roots += [node for node in reading.tree.all(cst.Call) if _is_bounded(reading, node)]
    for root in roots:
        for node in reading.tree.below(root):
            name = dotted_name(node)
            if name is not None:
                yield name
