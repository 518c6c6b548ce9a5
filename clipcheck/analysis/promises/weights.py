"""Weights that are clipped by hand while a model is trained, whether or not the clip has any effect."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst
from msgspec import Struct
from msgspec.structs import replace

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.partial_clips import read_partial_clips
from clipcheck.analysis.promises.graphs import behind_calls, behind_names, graph_function
from clipcheck.analysis.promises.groups import group_owner
from clipcheck.analysis.promises.loops import is_occasional, runs_each_step
from clipcheck.analysis.promises.lost import is_lost
from clipcheck.analysis.promises.places import (
    around,
    before_loops,
    in_order,
    is_over_weights,
    is_plain,
    numbers,
    one_line,
    spoken,
    usable,
    written,
)
from clipcheck.analysis.promises.selection import globs_of, is_whole, selecting
from clipcheck.analysis.promises.untrained import is_untrained
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind, parameters
from clipcheck.analysis.stores import uses_of
from clipcheck.analysis.weight_writes import model_of, read_weight_writes
from clipcheck.frameworks import TENSOR_METHODS
from clipcheck.model.clips import Fate, ValueClip
from clipcheck.model.code import Call, Code
from clipcheck.model.critics import PartialWeightClip
from clipcheck.model.promises import Promise, Promised, Spot, When, Written
from clipcheck.model.value import Many, Tensor

_LIBRARIES = ("torch", "numpy", "tensorflow", "keras")
_GRAPHS = ("tensorflow", "keras")
_SAME = frozenset("detach cpu cuda to numpy read_value value".split())
_MEMBERS = frozenset({"weight", "bias"})
_STORING = frozenset({"assign", "copy_", "set_"})
_SETTING = frozenset({"load_state_dict", "set_weights"})
_FOREACH = {"torch._foreach_clamp_min_": "low", "torch._foreach_clamp_max_": "high"}


class _Weights(Struct, frozen=True):
    """What a clip is given. element: the one weight, as the code names it. owner: the model, layer or optimizer whose
    it is, where the code names that. each: all that the owner has are gone through, one by one. is_copy: these are
    copies of the values, no weights themselves."""

    element: cst.CSTNode
    owner: cst.CSTNode | None = None
    each: bool = False
    is_copy: bool = False


class _Clip(Struct, frozen=True):
    at: Call
    library: str
    low: Code | None
    high: Code | None
    weights: _Weights


def read_weight_promises(reading: FileReading) -> Iterator[Promise]:
    """One promise for each clip, and one for a critic of which only a part is clipped where all of it is meant."""
    clips = [*_value_clips(reading), *_foreach_clips(reading)]
    if not clips:
        return
    partial = list(read_partial_clips(reading))
    applied = _applied(reading)
    for clip in clips:
        owner = clip.weights.owner
        if clip.library == "torch" and owner is not None and is_untrained(reading, owner):
            continue  # its weights stay as the first clip leaves them
        if is_occasional(reading, clip.at.node):
            continue
        yield from _promises(reading, clip, partial, applied, clips)


def _value_clips(reading: FileReading) -> Iterator[_Clip]:
    stored = {write.clip.call.node for write in read_weight_writes(reading)}
    for clip in read_clips(reading):
        if clip.library not in _LIBRARIES or (clip.low is None and clip.high is None):
            continue
        if not _is_meant(reading, clip, clip.call.node in stored) or _is_in_forward(reading, clip):
            continue
        weights = _whose(reading, clip.subject)
        if weights is not None:
            low, high = in_order(clip.low.code if clip.low else None, clip.high.code if clip.high else None)
            yield _Clip(clip.call, clip.library, low, high, weights)


def _foreach_clips(reading: FileReading) -> Iterator[_Clip]:
    """`torch._foreach_clamp_max_(parameters, c)`."""
    for node in reading.tree.all(cst.Call):
        side = _FOREACH.get(reading.api(node.func) or "")
        weights = _whose(reading, reading.code(node.args[0].value)) if side and len(node.args) == 2 else None
        if weights is not None:
            bound = reading.code(node.args[1].value)
            low, high = (bound, None) if side == "low" else (None, bound)
            yield _Clip(Call(node, reading), "torch", low, high, replace(weights, each=weights.owner is not None))


def _is_meant(reading: FileReading, clip: ValueClip, is_stored: bool) -> bool:
    """Whether a clip is there to change what it clips, even if it fails to."""
    if clip.in_place or is_stored or clip.fate in (Fate.DISCARDED, Fate.REBOUND):
        return True
    return _is_stored(reading, clip) or (clip.library == "numpy" and is_lost(reading, clip.call))


def _is_stored(reading: FileReading, clip: ValueClip) -> bool:
    """`w.assign(clip(w, …))`, `module.weight.data = w.clamp(…)`, also by way of a variable."""
    element = reading.text(_element(reading, clip.subject.node))
    for above in reading.tree.ancestors(clip.call.node):
        if _is_store(reading, above, element):
            return True
        if isinstance(above, cst.Assign) and isinstance(above.targets[0].target, cst.Name):
            handed_on = _handed_on(reading, above.targets[0].target, above)
            return any(_is_store(reading, holder, element) for holder in handed_on)
        if isinstance(above, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            return False
    return False


def _is_store(reading: FileReading, node: cst.CSTNode, element: str) -> bool:
    """Whether a call or an assignment puts something into a weight."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        if node.func.attr.value in _SETTING:
            return True
        stored = node.func.value if node.func.attr.value in _STORING else None
    else:
        stored = node.targets[0].target if isinstance(node, cst.Assign) else None
    if stored is None or (isinstance(node, cst.Assign) and not isinstance(stored, cst.Attribute)):
        return False
    return reading.text(_element(reading, stored)) == element


def _handed_on(reading: FileReading, name: cst.Name, statement: cst.Assign) -> Iterator[cst.CSTNode]:
    """The assignments and calls that are given the value of a variable as it is."""
    scope = reading.scopes.function_of(reading.scopes.of(name))
    for use in uses_of(reading, name.value, scope):
        if any(binding.statement is statement for binding in reading.flow.reaching(use)):
            above = reading.parent(use)
            holder = reading.parent(above) if isinstance(above, cst.Arg) else above
            if holder is not None:
                yield holder


def _is_in_forward(reading: FileReading, clip: ValueClip) -> bool:
    """Whether it stands in a forward pass, where weights may be out of bounds until the clip is reached."""
    function, class_ = reading.function(clip.call.node), reading.class_of(clip.call.node)
    kind = reading.classes.kind(class_) if class_ is not None else None
    names = TENSOR_METHODS.get(kind or "", ())
    return function is not None and function.name.value in ("forward", *names)


def _whose(reading: FileReading, subject: Code) -> _Weights | None:
    """Whose weights something is; None if it is not known to be weights."""
    value = subject.value
    is_list = isinstance(value, Many)
    if isinstance(value, Many):
        value = value.element
    element = _element(reading, subject.node)
    optimizer = group_owner(reading, element)
    if isinstance(value, Tensor):
        if value.role not in ("parameter", "state"):
            return None
        owner = value.owner.node if value.owner is not None else None
        each = owner is not None and (is_list or _is_variable_of_loop(reading, element))
        return _Weights(element, owner, each, is_copy=value.role == "state" or value.library == "numpy")
    if optimizer is not None:
        return _Weights(element, optimizer, each=True)
    is_member = isinstance(element, cst.Attribute) and element.attr.value in _MEMBERS
    return _Weights(element) if is_member and (_is_torch(reading) or element is not subject.node) else None


def _is_torch(reading: FileReading) -> bool:
    return any(module.partition(".")[0] == "torch" for module in reading.scopes.imported_modules)


def _element(reading: FileReading, node: cst.CSTNode) -> cst.CSTNode:
    """The weight itself: `p` for `p.data.cpu().numpy()`, `module.weight` for the `w` of `w = module.weight.data`."""
    while True:
        if isinstance(node, cst.Attribute) and node.attr.value == "data":
            node = node.value
        elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value in _SAME:
            node = node.func.value
        elif isinstance(node, cst.Name):
            values = [b.value for b in reading.flow.reaching(node) if b.kind is Kind.ASSIGN and not b.path]
            bare = _bare(values[0]) if len(values) == 1 and values[0] is not None else None
            if bare is None or len(reading.flow.reaching(node)) != 1:
                return node
            node = bare
        else:
            return node


def _bare(value: cst.BaseExpression) -> cst.BaseExpression | None:
    """What `module.weight.data` is the data of."""
    if isinstance(value, cst.Attribute) and value.attr.value == "data":
        return value.value
    return value if isinstance(value, cst.Attribute) and value.attr.value in _MEMBERS else None


def _is_variable_of_loop(reading: FileReading, element: cst.CSTNode) -> bool:
    """Whether a weight is the variable of a loop, or of a function that is mapped over weights."""
    if not isinstance(element, cst.Name):
        return isinstance(element, cst.Subscript) and not is_plain(element)
    kinds = {binding.kind for binding in reading.flow.reaching(element)}
    return bool(kinds) and kinds <= {Kind.LOOP, Kind.ASSIGN, Kind.PARAMETER}


def _promises(
    reading: FileReading,
    clip: _Clip,
    partial: list[PartialWeightClip],
    applied: dict[cst.CSTNode, list[Call]],
    clips: list[_Clip],
) -> Iterator[Promise]:
    function = reading.function(clip.at.node)
    calls = applied.get(function, []) if function is not None else []
    found = (
        _of_partial(reading, clip, partial)
        or _of_applied(reading, clip, calls, clips)
        or _of_owner(reading, clip)
        or _of_element(reading, clip)
    )
    if found is not None:
        in_loop = any(runs_each_step(reading, node) for node in (clip.at.node, *(call.node for call in calls)))
        yield replace(found, in_loop=in_loop, runs_in=around(reading, clip.at.node))


def _promise(reading: FileReading, clip: _Clip, subject: str, spots: tuple[Spot, ...]) -> Promise:
    return Promise(Promised.WEIGHTS, subject, clip.at, numbers(clip.low, clip.high), spots=spots)


def _of_partial(reading: FileReading, clip: _Clip, partial: list[PartialWeightClip]) -> Promise | None:
    """All of a critic, where the file shows that all of it is meant."""
    for fact in partial:
        owner = _named_there(reading, fact) if fact.at.function == clip.at.function else None
        if owner is not None and reading.text(clip.weights.owner or clip.weights.element).startswith(fact.model or ""):
            return _whole(reading, clip, owner)
    return None


def _named_there(reading: FileReading, fact: PartialWeightClip) -> cst.CSTNode | None:
    """The model of a partial clip, in its statement or in what the loops around it go through."""
    loops = [above.iter for above in reading.tree.ancestors(fact.at.node) if isinstance(above, cst.For)]
    for place in (reading.statement(fact.at.node), *loops):
        for node in reading.tree.below(place):
            if isinstance(node, (cst.Name, cst.Attribute)) and reading.text(node) == fact.model:
                return node
    return None


def _whole(reading: FileReading, clip: _Clip, owner: cst.CSTNode) -> Promise:
    place = before_loops(reading, clip.at.node, owner)
    spot = Spot(reading.code(place), one_line(reading, owner), bounds=written(reading, clip.low, clip.high, place))
    return _promise(reading, clip, spoken(reading, owner), (spot,))


def _of_owner(reading: FileReading, clip: _Clip) -> Promise | None:
    """All weights of a model, a layer, or all that an optimizer updates."""
    if clip.weights.owner is None or not clip.weights.each:
        return None
    model = model_of(reading, reading.code(clip.weights.owner))
    owner = clip.weights.owner if model.is_part else model.code.node
    tests = selecting(reading, clip.at.node)
    globs = globs_of(reading, tests, clip.at.node) if tests else ()
    if globs is None or not all(is_whole(reading, each) for each in _iterated(reading, clip.at.node)):
        return None
    graph = graph_function(reading, clip.at.node) if clip.library in _GRAPHS else None
    if graph is not None:
        behind = list(behind_calls(reading, graph, owner, clip.low, clip.high))
        spots = tuple(behind or behind_names(reading, owner, clip.low, clip.high))
        found = _promise(reading, clip, spoken(reading, owner), spots)
        return replace(found, when=When.CLIP if behind else When.USE, parameters=globs) if spots else None
    if not usable(reading, owner, before_loops(reading, clip.at.node, owner)):
        return None
    return replace(_whole(reading, clip, owner), parameters=globs)


def _iterated(reading: FileReading, node: cst.CSTNode) -> Iterator[cst.BaseExpression]:
    """What the loops over weights around a node go through."""
    for above in reading.tree.ancestors(node):
        if isinstance(above, (cst.ListComp, cst.GeneratorExp)):
            yield above.for_in.iter
        elif isinstance(above, cst.For) and is_over_weights(reading, above):
            yield above.iter


def _of_element(reading: FileReading, clip: _Clip) -> Promise | None:
    """The weights that the clip is given, and no others."""
    place, element, owner = reading.statement(clip.at.node), clip.weights.element, clip.weights.owner
    is_graph = clip.library in _GRAPHS and graph_function(reading, clip.at.node) is not None
    if clip.weights.is_copy or is_graph or not usable(reading, element, place):
        return None
    name = spoken(reading, owner if owner is not None and clip.weights.each else element)
    spot = Spot(reading.code(place), one_line(reading, element), bounds=written(reading, clip.low, clip.high, place))
    return replace(_promise(reading, clip, name, (spot,)), as_clipped=True)


def _applied(reading: FileReading) -> dict[cst.CSTNode, list[Call]]:
    """The functions that `model.apply(…)` runs for each part of a torch module, with these calls."""
    found: dict[cst.CSTNode, list[Call]] = {}
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        if call.method != "apply" or len(node.args) != 1 or call.receiver is None:
            continue
        for function in _functions(reading, node.args[0].value):
            found.setdefault(function, []).append(call)
    return found


def _functions(reading: FileReading, node: cst.BaseExpression) -> Iterator[cst.FunctionDef]:
    """The function of this file that an expression stands for, or the `__call__` of its class."""
    class_ = reading.values.local_class(reading.value(node))
    called = reading.classes.method(class_, "__call__") if class_ is not None else None
    if called is not None:
        yield called
    elif isinstance(node, cst.Name):
        for binding in reading.flow.reaching(node):
            if isinstance(binding.node, cst.FunctionDef):
                yield binding.node


def _of_applied(reading: FileReading, clip: _Clip, calls: list[Call], clips: list[_Clip]) -> Promise | None:
    """All of a model whose parts are handed to a function that clips every weight and bias of a part."""
    if not calls or not _clips_whole_part(reading, clip, clips):
        return None
    spots = tuple(spot for call in calls for spot in _at_apply(reading, clip, call))
    receiver = calls[0].receiver
    if len(spots) < len(calls) or receiver is None:
        return None
    return _promise(reading, clip, spoken(reading, receiver.node), spots)


def _clips_whole_part(reading: FileReading, clip: _Clip, clips: list[_Clip]) -> bool:
    """Whether the function of a clip clips the weight and the bias of the part that it is given, or all it has."""
    function = reading.function(clip.at.node)
    names = [param.name.value for param in parameters(function)] if function is not None else []
    own = [each for each in clips if reading.function(each.at.node) is function]
    part = names[-1] if names else ""
    if any(selecting(reading, each.at.node) for each in own) or _tests_kind(reading, clip.at.node, part):
        return False
    if clip.weights.owner is not None and clip.weights.each:
        return reading.text(clip.weights.owner) == part
    return {f"{part}.{member}" for member in _MEMBERS} <= {reading.text(each.weights.element) for each in own}


def _tests_kind(reading: FileReading, node: cst.CSTNode, part: str) -> bool:
    """Whether a clip depends on what the part is, beyond what it has."""
    tests = [above.test for above in reading.tree.ancestors(node) if isinstance(above, cst.If)]
    return any(part in reading.text(test) and "attr(" not in reading.text(test) for test in tests)


def _at_apply(reading: FileReading, clip: _Clip, call: Call) -> Iterator[Spot]:
    """The place before `model.apply(clipper)`: the bounds `self.c` of the function are `clipper.c` there."""
    receiver, given, place = call.receiver, call.arguments[0].code, call.statement
    if receiver is None or not usable(reading, receiver.node, place.node):
        return
    bounds = written(reading, clip.low, clip.high, place.node)
    if isinstance(given.node, (cst.Name, cst.Attribute)):
        low, high = (_of_clipper(reading, bound, given.text) for bound in (clip.low, clip.high))
        bounds = Written(bounds.low or low, bounds.high or high)
    yield Spot(place, one_line(reading, receiver.node), bounds=bounds)


def _of_clipper(reading: FileReading, bound: Code | None, clipper: str) -> str | None:
    """`-self.c` as `-clipper.c`."""
    if bound is None or not is_plain(bound.node):
        return None
    names = [node for node in reading.tree.below(bound.node) if isinstance(node, cst.Name)]
    roots = [name for name in names if reading.scopes.class_of_self(name) is not None]
    attributes = [node for node in reading.tree.below(bound.node) if isinstance(node, cst.Attribute)]
    if len(roots) + len(attributes) != len(names):
        return None
    return re.sub(rf"\b{roots[0].value}\.", f"{clipper}.", one_line(reading, bound.node)) if roots else None
