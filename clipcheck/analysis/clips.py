"""Finds the clips of values."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.remedies import remedy
from clipcheck.analysis.stores import is_read
from clipcheck.frameworks import CLIPS, METHOD_CLIPS
from clipcheck.frameworks.api import At, ClipValues
from clipcheck.model.clips import Bound, Fate, ValueClip
from clipcheck.model.code import Argument, Call, Code
from clipcheck.model.value import UNKNOWN, Constant, Tensor

_EXPECTS_ERROR = re.compile(r"(?i)raises|warns|timeit|benchmark|profil")


def read_clips(reading: FileReading) -> tuple[ValueClip, ...]:
    """Every call that clips values, in the order of the source: many readers ask for them."""
    return reading.once(_read_clips)


def _read_clips(reading: FileReading) -> tuple[ValueClip, ...]:
    return tuple(_clips(reading))


def _clips(reading: FileReading) -> Iterator[ValueClip]:
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        clip = _function_clip(call) or _method_clip(call)
        if clip is not None:
            yield clip


def _function_clip(call: Call) -> ValueClip | None:
    api = CLIPS.get(call.callee.api or "")
    if api is None or api.value is None:
        return None
    subject = call.argument(api.value.position, *api.value.keywords)
    if subject is None:
        return None
    return _clip(call, api, subject.code)


def _method_clip(call: Call) -> ValueClip | None:
    """A clip spelled as a method. `.clip` alone is also a method of data frames: there the kind must be known."""
    api = METHOD_CLIPS.get(call.method or "")
    if api is None or call.receiver is None or call.callee.api is not None:
        return None
    value = call.receiver.value
    if isinstance(value, Tensor):
        library = value.library
    elif value == UNKNOWN and api is not METHOD_CLIPS["clip"] and _is_torch(call.receiver):
        library = "torch"
    else:
        return None
    if library in ("tensorflow", "keras"):
        return None
    return _clip(call, api, call.receiver, library)


def _is_torch(receiver: Code) -> bool:
    """Whether something unknown with a `clamp` is likely a tensor: a `.data` or `.grad`, or in a file with torch."""
    reading = receiver.reading
    assert isinstance(reading, FileReading)
    bindings = reading.flow.reaching(receiver.node) if isinstance(receiver.node, cst.Name) else []
    bound = [binding.value for binding in bindings if not binding.path]
    if any(isinstance(node, cst.Attribute) and node.attr.value in ("data", "grad") for node in (receiver.node, *bound)):
        return True
    return any("torch" in module for module in reading.scopes.imported_modules)


def _clip(call: Call, api: ClipValues, subject: Code, library: str | None = None) -> ValueClip:
    library = library or api.library
    fate, rebound = _fate(call)
    low, high = _bound(call, api.low), _bound(call, api.high)
    in_place = api.in_place or _out(call, api, library) is not None
    return ValueClip(
        call=call,
        library=library,
        subject=subject,
        low=low,
        high=high,
        in_place=in_place,
        fate=fate,
        rebound=rebound,
        is_over_itself=rebound is not None and rebound.text in _names_in(call, subject),
        is_tested=_is_tested(call, low, high),
        remedy=None if in_place or fate is Fate.USED else remedy(call, subject, library, rebound),
    )


def _is_tested(call: Call, low: Bound | None, high: Bound | None) -> bool:
    """Whether the clip runs under a condition on one of its bounds that is a variable."""
    texts = {bound.code.text.lstrip("-+ ") for bound in (low, high) if bound is not None and not bound.is_literal}
    reading = call.reading
    if not texts:
        return False
    assert isinstance(reading, FileReading)
    for above in reading.tree.ancestors(call.node):
        if isinstance(above, (cst.If, cst.IfExp)):
            inside = (reading.text(node) for node in reading.tree.below(above.test))
            if any(text in texts for text in inside):
                return True
        if isinstance(above, cst.FunctionDef):
            break
    return False


def _names_in(call: Call, subject: Code) -> set[str]:
    """The names that are clipped: of what the list is made from, where each of its elements is."""
    reading = call.reading
    assert isinstance(reading, FileReading)
    above = reading.parent(call.node)
    clipped: list[cst.CSTNode] = [subject.node]
    if isinstance(above, cst.ListComp):
        clipped.append(above.for_in.iter)
    return {node.value for each in clipped for node in reading.tree.below(each) if isinstance(node, cst.Name)}


def _out(call: Call, api: ClipValues, library: str) -> Argument | None:
    """The place that the call names for its result; NumPy takes it right after the upper bound too."""
    if api.into is None:
        return None
    after = api.high.position + 1 if library == "numpy" and api.high.position is not None else None
    return call.argument(after, api.into)


def _bound(call: Call, at: At) -> Bound | None:
    argument = call.argument(at.position, *at.keywords)
    if argument is None or argument.code.value == Constant(None):
        return None
    return Bound(argument.code)


def _fate(call: Call) -> tuple[Fate, Code | None]:
    if _is_thrown_away(call):
        return Fate.USED if _is_wanted_for_itself(call) else Fate.DISCARDED, None
    target = _rebound_name(call)
    if target is not None:
        return Fate.REBOUND, target
    return Fate.USED, None


def _is_thrown_away(call: Call) -> bool:
    """Whether the call is a statement, a branch of one, or what a list is made of that is one."""
    reading = call.reading
    node: cst.CSTNode | None = call.node
    while node is not None:
        above = reading.parent(node)
        if isinstance(above, cst.Expr):
            return True
        is_part = isinstance(above, (cst.ListComp, cst.GeneratorExp, cst.SetComp)) and above.elt is node
        is_branch = isinstance(above, cst.IfExp) and above.test is not node
        node = above if is_part or is_branch else None
    return False


def _is_wanted_for_itself(call: Call) -> bool:
    """Whether a bare call is there for its error, its time, or to be shown at the end of a notebook's cell."""
    reading = call.reading
    assert isinstance(reading, FileReading)
    for above in reading.tree.ancestors(call.node):
        if isinstance(above, cst.With) and any(_EXPECTS_ERROR.search(reading.text(item.item)) for item in above.items):
            return True
        if isinstance(above, cst.FunctionDef) and above.name.value.startswith("test"):
            return True
    return reading.is_shown(call.node)


def _rebound_name(call: Call) -> Code | None:
    """The local name that `name = clip(…)` binds, if nothing reads that value."""
    reading = call.reading
    assert isinstance(reading, FileReading)
    above = reading.parent(call.node)
    is_listed = isinstance(above, cst.ListComp) and above.elt is call.node
    statement = reading.parent(above) if above is not None and is_listed else above
    if not isinstance(statement, cst.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0].target
    if not isinstance(target, cst.Name):
        return None
    scope = reading.scopes.function_of(reading.scopes.of(target))
    if not (scope.is_function or reading.loops(statement)) or scope.is_class or target.value in scope.outer_names:
        return None
    if is_read(reading, target, statement):
        return None
    return reading.code(target)
