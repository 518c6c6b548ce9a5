"""Finds the clips of gradients that have one bound, and the calls that must have two."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind
from clipcheck.frameworks import CLIPS, library_of
from clipcheck.model.clips import OneSidedClip, ValueClip
from clipcheck.model.code import Call, Code
from clipcheck.model.value import Tensor

_UPPER = frozenset({"minimum", "minimum_"})
_LOWER = frozenset({"maximum"})
_LIBRARIES = frozenset({"torch", "tensorflow", "keras", "theano", "numpy", "jax"})
_GRADIENT = re.compile(r"(^|_|\.|d)grad(s|ient|ients)?(_?\d+)?$|^g(_?\d+)?$")
_GRADIENTS = re.compile(r"grad(s|ients)?(_?\d+)?$|^(gs|gvs)$")
_THRESHOLD = re.compile(r"clip|max|thresh|bound|limit|^c$", re.IGNORECASE)


def read_one_sided(reading: FileReading) -> Iterator[OneSidedClip]:
    """In the order of the source."""
    found = [*_incomplete_calls(reading), *_clamps(reading), *_minima(reading), *_masks(reading)]
    found = [each for each in found if each.raises or not _has_other_side(reading, each, found)]
    yield from sorted(found, key=lambda each: reading.tree.order[each.at.node])


def _incomplete_calls(reading: FileReading) -> Iterator[OneSidedClip]:
    """Calls such as `tf.clip_by_value(x, c)`, of functions that take no bound for granted."""
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        api = CLIPS.get(call.callee.api or "")
        if api is None or api.one_sided or api.value is None or call.has_star or _expects_error(reading, node):
            continue
        subject = call.argument(api.value.position, *api.value.keywords)
        low = call.argument(api.low.position, *api.low.keywords)
        high = call.argument(api.high.position, *api.high.keywords)
        given = low or high
        if subject is not None and given is not None and (low is None or high is None):
            yield OneSidedClip(call, subject.code, given.code, is_upper=low is None, raises=True)


def _clamps(reading: FileReading) -> Iterator[OneSidedClip]:
    """`p.grad.clamp_(max=c)`."""
    for clip in read_clips(reading):
        bound = clip.high or clip.low
        if bound is None or (clip.low is not None and clip.high is not None) or not _is_changed_gradient(clip):
            continue
        if bound.number != 0 and not _may_have_more(reading, clip):
            yield OneSidedClip(clip.call, clip.subject, bound.code, is_upper=clip.high is not None)


def _is_changed_gradient(clip: ValueClip) -> bool:
    """Whether a clip changes a gradient: in place, or by an assignment to it."""
    if clip.tensor is None or clip.tensor.role != "gradient":
        return False
    target = clip.call.assigned_to
    return clip.in_place or (target is not None and clip.subject.text.startswith(target.text))


def _may_have_more(reading: FileReading, clip: ValueClip) -> bool:
    """Whether the other bound may be there unseen, or be given as None for now."""
    return clip.call.has_star or len(clip.call.arguments) > 2


def _minima(reading: FileReading) -> Iterator[OneSidedClip]:
    """`T.minimum(g, c)`."""
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        library, _, name = (call.callee.api or "").rpartition(".")
        if name not in _UPPER | _LOWER or library_of(library) not in _LIBRARIES or len(call.node.args) != 2:
            continue
        first, second = (argument.code for argument in call.arguments)
        for subject, bound in ((first, second), (second, first)):
            is_upper = name in _UPPER
            if _is_gradient(reading, subject) and _is_threshold(bound, is_upper):
                yield OneSidedClip(call, subject, bound, is_upper)


def _masks(reading: FileReading) -> Iterator[OneSidedClip]:
    """`g[g > c] = c`."""
    for node in reading.tree.all(cst.Assign):
        target = node.targets[0].target
        if not isinstance(target, cst.Subscript) or len(target.slice) != 1:
            continue
        index = target.slice[0].slice
        test = index.value if isinstance(index, cst.Index) else None
        if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
            continue
        bound = test.comparisons[0].comparator
        if reading.text(test.left) != reading.text(target.value) or reading.text(bound) != reading.text(node.value):
            continue
        is_upper = isinstance(test.comparisons[0].operator, (cst.GreaterThan, cst.GreaterThanEqual))
        subject = reading.code(target.value)
        if _is_gradient(reading, subject) and _is_threshold(reading.code(bound), is_upper):
            yield OneSidedClip(reading.code(node), subject, reading.code(bound), is_upper)


def _is_gradient(reading: FileReading, code: Code) -> bool:
    """Whether something is a gradient by its name: what is differentiated for its own sake is seldom called so."""
    node = code.node
    if not isinstance(node, (cst.Name, cst.Attribute)):
        return False
    value = code.value
    if isinstance(value, Tensor) and value.role not in ("gradient", "data"):
        return False
    name = reading.dotted(node) or ""
    if not _GRADIENT.search(name):
        return False
    if name.startswith("g") and len(name) <= 3:
        return (isinstance(value, Tensor) and value.role == "gradient") or _goes_through_gradients(reading, node)
    return True


def _goes_through_gradients(reading: FileReading, node: cst.CSTNode) -> bool:
    bindings = reading.flow.reaching(node) if isinstance(node, cst.Name) else []
    iterated = [b.value for b in bindings if b.kind is Kind.LOOP and b.value is not None]
    return bool(iterated) and all(_mentions_gradients(reading, each) for each in iterated)


def _mentions_gradients(reading: FileReading, node: cst.CSTNode) -> bool:
    return any(isinstance(name, cst.Name) and _GRADIENTS.search(name.value) for name in reading.tree.below(node))


def _is_threshold(code: Code, is_upper: bool) -> bool:
    """Whether a bound is a number on its side of zero, or called like one."""
    if code.number is not None:
        return code.number > 0 if is_upper else code.number < 0
    name = code.text.lstrip("-").rpartition(".")[2]
    return code.text.startswith("-") is not is_upper and bool(_THRESHOLD.search(name)) and name.isidentifier()


def _has_other_side(reading: FileReading, clip: OneSidedClip, found: list[OneSidedClip]) -> bool:
    """Whether the function also bounds something from the other side."""
    if any(other.is_upper is not clip.is_upper and other.at.function == clip.at.function for other in found):
        return True
    wanted = _LOWER | {"max", "switch"} if clip.is_upper else _UPPER | {"min", "switch"}
    scope = clip.at.function
    calls = scope.calls if scope is not None else reading.code(reading.module).calls
    return any((call.method or call.callee.text) in wanted for call in calls)


def _expects_error(reading: FileReading, node: cst.CSTNode) -> bool:
    for above in reading.tree.ancestors(node):
        if isinstance(above, cst.With) and any("aises" in reading.text(item.item) for item in above.items):
            return True
        if isinstance(above, cst.Try):
            return True
    return False
