"""Which optimizer updates the parameters of which models."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.steps.keys import Env, local
from clipcheck.analysis.steps.recognize import Recognizer
from clipcheck.frameworks import OPTIMIZERS
from clipcheck.model.code import Call, Code
from clipcheck.model.value import Items, Many, Tensor


def owners_of(
    reading: FileReading, recognizer: Recognizer, body: cst.Module | cst.FunctionDef
) -> Mapping[str, frozenset[str]]:
    """For each optimizer, the keys of the models whose parameters its constructor takes, where all of them are known
    under names that hold in `body`."""
    owners: dict[str, frozenset[str] | None] = {}
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        given = call.argument(0, "params")
        if call.callee.api not in OPTIMIZERS or given is None:
            continue
        target = _seen(reading, _assigned(reading, call), node, body)
        if target is not None:
            models = _models(recognizer, given.code)
            seen = [_seen(reading, model, node, body) for model in models or ()]
            known = frozenset(model for model in seen if model is not None)
            sure = len(known) == len(seen) and (target not in owners or owners[target] == known)
            owners[target] = known if sure else None
    return {key: models for key, models in owners.items() if models}


def _assigned(reading: FileReading, call: Call) -> str | None:
    """The key of what a call's result is assigned to."""
    statement = reading.parent(call.node)
    if isinstance(statement, cst.Assign) and len(statement.targets) == 1:
        return reading.dotted(statement.targets[0].target)
    return None


def _models(recognizer: Recognizer, code: Code) -> frozenset[str] | None:
    """The models whose parameters an expression holds; None if it may hold others too."""
    value = code.value
    if isinstance(value, Many) and isinstance(value.element, Tensor) and value.element.owner is not None:
        key = recognizer.key(value.element.owner, Env())
        return frozenset({key}) if key is not None else None
    if not isinstance(value, Items):
        return None
    found = [_models(recognizer, element) for element in value.elements]
    return None if None in found else frozenset().union(*(models for models in found if models is not None))


def _seen(
    reading: FileReading, key: str | None, node: cst.CSTNode, body: cst.Module | cst.FunctionDef
) -> str | None:
    """The name in `body` of what has a name where `node` stands; None if that is not sure."""
    if key is None:
        return None
    function = reading.function(node)
    root, dot, rest = key.partition(".")
    if root == "self":
        return key if reading.class_of(node) is reading.class_of(body) else None
    if function is None or function is body:
        return key
    if reading.class_of(node) is not reading.class_of(body) or reading.class_of(node) is None:
        return local(function, key) if _is_local(reading, root, node) else key
    for assign in reading.tree.below(function.body):
        if isinstance(assign, cst.Assign) and reading.text(assign.value) == root:
            kept = reading.dotted(assign.targets[0].target)
            if kept is not None and kept.startswith("self."):
                return kept + dot + rest
    return None


def _is_local(reading: FileReading, name: str, node: cst.CSTNode) -> bool:
    scope = reading.scopes.lookup(name, reading.scopes.of(node))
    return scope is not None and scope is not reading.scopes.module
