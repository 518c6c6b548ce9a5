"""Which optimizer updates the parameters of which models."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.steps.keys import Env, local
from clipcheck.analysis.steps.recognize import Recognizer
from clipcheck.frameworks import OPTIMIZERS
from clipcheck.model.code import Call
from clipcheck.model.value import Instance


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
            seen = [_seen(reading, model, node, body) for model in recognizer.owners(given.code, Env())]
            known = frozenset(model for model in seen if model is not None)
            sure = None not in seen and (target not in owners or owners[target] == known)
            owners[target] = known if sure else None
    return {key: models for key, models in owners.items() if models}


def _assigned(reading: FileReading, call: Call) -> str | None:
    """The key of what a call's result is assigned to."""
    statement = reading.parent(call.node)
    if isinstance(statement, cst.Assign) and len(statement.targets) == 1:
        return reading.dotted(statement.targets[0].target)
    return None


def _seen(reading: FileReading, key: str | None, node: cst.CSTNode, body: cst.Module | cst.FunctionDef) -> str | None:
    """The name in `body` of what has a name where `node` stands; None if that is not sure."""
    if key is None:
        return None
    function = reading.function(node)
    root, dot, rest = key.partition(".")
    if root == "self":
        made = root if reading.class_of(node) is reading.class_of(body) else _only_instance(reading, node, body)
        return made + dot + rest if made is not None else None
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


def _only_instance(reading: FileReading, node: cst.CSTNode, body: cst.Module | cst.FunctionDef) -> str | None:
    """The name in `body` of the object whose method `node` stands in, if the file makes just one of its class."""
    class_ = reading.class_of(node)
    makers = [call for call in reading.tree.all(cst.Call) if _makes(reading, call, class_)]
    name = _assigned(reading, Call(makers[0], reading)) if len(makers) == 1 else None
    is_there = name is not None and reading.function(makers[0]) in (None, body)
    return name if is_there else None


def _makes(reading: FileReading, call: cst.Call, class_: cst.ClassDef | None) -> bool:
    value = reading.value(call)
    return isinstance(value, Instance) and value.made.node is call and reading.values.local_class(value) is class_


def _is_local(reading: FileReading, name: str, node: cst.CSTNode) -> bool:
    scope = reading.scopes.lookup(name, reading.scopes.of(node))
    return scope is not None and scope is not reading.scopes.module
