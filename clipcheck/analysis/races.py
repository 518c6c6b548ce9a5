"""Finds TensorFlow 1 updates and clips of the same variables that one `session.run` starts in no order."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst
from msgspec import Struct

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind
from clipcheck.analysis.stores import is_read
from clipcheck.frameworks import CLIPS
from clipcheck.model.code import Call, Code
from clipcheck.model.sessions import ClipRace

_ASSIGN = frozenset({"tensorflow.assign", "keras.backend.update"})
_ALL = "every trainable variable"


def read_clip_races(reading: FileReading) -> Iterator[ClipRace]:
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        fetches = call.argument(0, "fetches") if call.method == "run" else None
        if fetches is None:
            continue
        race = _race(reading, call, _fetched(reading, fetches.node.value))
        if race is not None:
            yield race


class _Op(Struct, frozen=True):
    """Something that a session can run: the call that makes it, and what stands for the variables that it changes."""

    made: cst.Call
    variables: frozenset[object]


def _race(reading: FileReading, run: Call, fetched: list[cst.BaseExpression]) -> ClipRace | None:
    for fetch in fetched:
        for clip in _clips(reading, fetch):
            for other in fetched:
                for update in _updates(reading, other):
                    if not clip.variables & update.variables and _ALL not in update.variables:
                        continue
                    if not _is_ordered(reading, clip.made) and not _is_ordered(reading, update.made):
                        code, without = reading.code, _without(reading, run, fetch)
                        return ClipRace(run, code(other), code(fetch), code(update.made), code(clip.made), without)
    return None


def _fetched(reading: FileReading, fetches: cst.BaseExpression) -> list[cst.BaseExpression]:
    """What a run fetches at once."""
    found: list[cst.BaseExpression] = []
    for origin in reading.origins.of(fetches):
        if isinstance(origin, (cst.List, cst.Tuple, cst.Dict)):
            found += [element.value for element in origin.elements]
    return found


def _updates(reading: FileReading, fetch: cst.BaseExpression) -> Iterator[_Op]:
    for origin in reading.origins.of(fetch):
        if isinstance(origin, cst.Call):
            call = Call(origin, reading)
            if call.method == "minimize" and call.arguments and not call.has_star:
                given = call.argument(2, "var_list")
                yield _Op(origin, frozenset({_ALL}) if given is None else _variables(reading, given.node.value))
            elif call.method == "apply_gradients" and call.arguments:
                yield _Op(origin, _differentiated(reading, call.arguments[0].node.value))


def _differentiated(reading: FileReading, gradients: cst.BaseExpression) -> frozenset[object]:
    """The variables that gradients are of: those that `compute_gradients` was given."""
    found: frozenset[object] = frozenset()
    for origin in reading.origins.of(gradients):
        iterated = origin.for_in.iter if isinstance(origin, cst.ListComp) else origin
        for made in reading.origins.of(iterated):
            call = Call(made, reading) if isinstance(made, cst.Call) else None
            if call is not None and call.method == "compute_gradients" and not call.has_star:
                given = call.argument(1, "var_list")
                found |= frozenset({_ALL}) if given is None else _variables(reading, given.node.value)
            elif call is not None and call.callee.api == "builtins.zip" and len(call.node.args) == 2:
                found |= _variables(reading, call.node.args[1].value)
    return found


def _clips(reading: FileReading, fetch: cst.CSTNode, depth: int = 0) -> Iterator[_Op]:
    """The weight clips that running something runs."""
    if isinstance(fetch, cst.Subscript):
        yield from _clips(reading, fetch.value, depth)
        return
    for origin in reading.origins.of(fetch):
        if depth > 4:
            return
        if isinstance(origin, cst.ListComp):
            yield from _clips(reading, origin.elt, depth + 1)
        elif isinstance(origin, (cst.List, cst.Tuple)):
            for element in (*(e.value for e in origin.elements), *_appended(reading, fetch)):
                yield from _clips(reading, element, depth + 1)
        elif isinstance(origin, cst.Call):
            variable = _clipped_variable(reading, Call(origin, reading))
            if variable is not None:
                yield _Op(origin, _variables(reading, variable))
            elif (reading.api(origin.func) or "") == "tensorflow.group":
                for argument in origin.args:
                    yield from _clips(reading, argument.value, depth + 1)


def _appended(reading: FileReading, fetch: cst.CSTNode) -> Iterator[cst.BaseExpression]:
    """What is appended to a list that begins empty."""
    name = reading.dotted(fetch)
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        if call.method == "append" and call.receiver is not None and name is not None and call.receiver.text == name:
            yield from (argument.value for argument in node.args)


def _clipped_variable(reading: FileReading, call: Call) -> cst.BaseExpression | None:
    """The variable of `v.assign(tf.clip_by_value(v, …))` and `tf.assign(v, tf.clip_by_value(v, …))`."""
    if call.callee.api in _ASSIGN and len(call.arguments) >= 2:
        variable, value = call.node.args[0].value, call.node.args[1].value
    elif call.method == "assign" and call.arguments and isinstance(call.node.func, cst.Attribute):
        variable, value = call.node.func.value, call.node.args[0].value
    else:
        return None
    for origin in reading.origins.of(value):
        subject = origin.args[0] if isinstance(origin, cst.Call) and reading.api(origin.func) in CLIPS else None
        if subject is not None and reading.text(subject.value) == reading.text(variable):
            return variable
    return None


def _variables(reading: FileReading, expression: cst.BaseExpression) -> frozenset[object]:
    """What stands for the variables (or lists of them) that an expression is made of: texts, calls that make one."""
    if isinstance(expression, cst.BinaryOperation) and isinstance(expression.operator, cst.Add):
        return _variables(reading, expression.left) | _variables(reading, expression.right)
    if isinstance(expression, (cst.List, cst.Tuple)):
        return frozenset().union(*(_variables(reading, element.value) for element in expression.elements))
    found: set[object] = {_text(reading, expression)}
    if isinstance(expression, cst.Name):
        for binding in reading.flow.reaching(expression):
            if binding.kind is Kind.LOOP and binding.value is not None and not binding.path:
                return _variables(reading, binding.value)
    for origin in reading.origins.of(expression):
        if isinstance(origin, (cst.List, cst.Tuple, cst.BinaryOperation)) and origin is not expression:
            found |= _variables(reading, origin)
        else:
            found.add(origin if isinstance(origin, cst.Call) else _text(reading, origin))
    return frozenset(found)


def _text(reading: FileReading, node: cst.CSTNode) -> str:
    return " ".join(reading.text(node).split())


def _is_ordered(reading: FileReading, made: cst.Call) -> bool:
    """Whether something is made under `with tf.control_dependencies(…):`."""
    for above in reading.tree.ancestors(made):
        if isinstance(above, cst.With):
            calls = (item.item for item in above.items if isinstance(item.item, cst.Call))
            if any("control_dependencies" in reading.text(call.func) for call in calls):
                return True
    return False


def _without(reading: FileReading, run: Call, fetch: cst.BaseExpression) -> tuple[tuple[Code, str], ...]:
    """What parts of a run's statement must become to do without one fetch, if nothing uses what that one returns."""
    display = run.node.args[0].value
    if not isinstance(display, (cst.List, cst.Tuple)) or len(display.elements) < 2 or "\n" in reading.text(display):
        return ()
    places = [place for place, element in enumerate(display.elements) if element.value is fetch]
    if len(places) != 1 or any(isinstance(element, cst.StarredElement) for element in display.elements):
        return ()
    texts = [reading.text(e.value) for e in display.elements if e.value is not fetch]
    fetches = (reading.code(display), texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    if run.is_bare_statement:
        return (fetches,)
    assign = reading.parent(run.node)
    targets = assign.targets[0].target if isinstance(assign, cst.Assign) and len(assign.targets) == 1 else None
    if not isinstance(targets, cst.Tuple) or len(targets.elements) != len(display.elements) or targets.lpar:
        return ()
    unused = targets.elements[places[0]].value
    assert assign is not None
    if not isinstance(unused, cst.Name) or (unused.value != "_" and is_read(reading, unused, assign)):
        return ()
    kept = [reading.text(e.value) for place, e in enumerate(targets.elements) if place != places[0]]
    return (reading.code(targets), ", ".join(kept)), fetches
