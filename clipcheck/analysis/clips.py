"""Finds the clips of values."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Scope
from clipcheck.frameworks import CLIPS, METHOD_CLIPS
from clipcheck.frameworks.api import At, ClipValues
from clipcheck.model.clips import Bound, Fate, ValueClip
from clipcheck.model.code import Call, Code
from clipcheck.model.value import Constant, Tensor

_READS_EVERYTHING = frozenset({"locals", "vars", "eval", "exec"})


def read_clips(reading: FileReading) -> Iterator[ValueClip]:
    """Every call that clips values, in the order of the source."""
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
    elif call.method is not None and call.method.startswith("clamp"):
        library = "torch"
    else:
        return None
    if library in ("tensorflow", "keras"):
        return None
    return _clip(call, api, call.receiver, library)


def _clip(call: Call, api: ClipValues, subject: Code, library: str | None = None) -> ValueClip:
    out = call.argument(None, api.into) if api.into else None
    fate, rebound = _fate(call)
    return ValueClip(
        call=call,
        library=library or api.library,
        subject=subject,
        low=_bound(call, api.low),
        high=_bound(call, api.high),
        in_place=api.in_place or out is not None,
        fate=fate,
        rebound=rebound,
    )


def _bound(call: Call, at: At) -> Bound | None:
    argument = call.argument(at.position, *at.keywords)
    if argument is None or argument.code.value == Constant(None):
        return None
    return Bound(argument.code)


def _fate(call: Call) -> tuple[Fate, Code | None]:
    if call.is_bare_statement:
        return Fate.DISCARDED, None
    target = _rebound_name(call)
    if target is not None:
        return Fate.REBOUND, target
    return Fate.USED, None


def _rebound_name(call: Call) -> Code | None:
    """The local name that `name = clip(…)` binds, if nothing reads that value."""
    reading = call.reading
    assert isinstance(reading, FileReading)
    statement = reading.parent(call.node)
    if not isinstance(statement, cst.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0].target
    if not isinstance(target, cst.Name):
        return None
    scope = reading.scopes.function_of(reading.scopes.of(target))
    if not scope.is_function or target.value in scope.outer_names:
        return None
    if _is_read(reading, target, statement, scope):
        return None
    return reading.code(target)


def _is_read(reading: FileReading, target: cst.Name, statement: cst.Assign, scope: Scope) -> bool:
    """Whether any use of the name may see the value that this statement binds."""
    for name in reading.tree.below(scope.node):
        if not isinstance(name, cst.Name) or name is target:
            continue
        if name.value in _READS_EVERYTHING and reading.name(name) == f"builtins.{name.value}":
            return True
        if name.value != target.value:
            continue
        if any(b.node is name for b in scope.bindings.get(name.value, ())) and not _is_augmented(reading, name):
            continue
        if reading.scopes.lookup(name.value, reading.scopes.of(name)) is not scope:
            continue
        if reading.scopes.function_of(reading.scopes.of(name)) is not scope:
            return True
        if any(b.statement is statement for b in reading.flow.reaching(name)):
            return True
    return False


def _is_augmented(reading: FileReading, name: cst.Name) -> bool:
    return isinstance(reading.parent(name), cst.AugAssign)
