"""Which optimizer updates the parameters of which models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import libcst as cst
from msgspec import Struct

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.steps.keys import Env, local
from clipcheck.analysis.steps.recognize import Recognizer
from clipcheck.frameworks import OPTIMIZERS
from clipcheck.model.code import Call
from clipcheck.model.value import Instance


class Making(Struct, frozen=True):
    """What makes an optimizer: the key that it gets, and those of the models whose parameters it is given (none if
    some of them are not known)."""

    optimizer: str
    models: frozenset[str]


def making(recognizer: Recognizer, call: Call, env: Env) -> Making | None:
    """What a call makes, if that is an optimizer with a name."""
    given = call.argument(0, "params")
    target = call.assigned_to
    if call.callee.api not in OPTIMIZERS or given is None or target is None:
        return None
    key = recognizer.key(target, env)
    return Making(key, recognizer.owners(given.code, env)) if key is not None else None


def makers_of(reading: FileReading) -> list[cst.Call]:
    """All calls of the file that make optimizers."""
    return [node for node in reading.tree.all(cst.Call) if reading.api(node.func) in OPTIMIZERS]


def owners_of(
    reading: FileReading,
    recognizer: Recognizer,
    body: cst.Module | cst.FunctionDef,
    makers: Iterable[cst.Call],
    met: Mapping[cst.Call, Making],
) -> Mapping[str, frozenset[str]]:
    """For each optimizer, the keys of the models whose parameters its constructor takes, where all of them are known
    under names that hold in `body`.

    makers: what `makers_of` finds. met: what is made in the body itself, and in the helpers that it runs.
    """
    owners: dict[str, frozenset[str]] = {}
    for node in makers:
        made = met.get(node) or _made_elsewhere(reading, recognizer, node, body)
        if made is not None:
            is_new = owners.get(made.optimizer, made.models) == made.models
            owners[made.optimizer] = made.models if is_new else frozenset()
    return {key: models for key, models in owners.items() if models}


def _made_elsewhere(
    reading: FileReading, recognizer: Recognizer, node: cst.Call, body: cst.Module | cst.FunctionDef
) -> Making | None:
    made = making(recognizer, Call(node, reading), Env())
    optimizer = _seen(reading, made.optimizer, node, body) if made is not None else None
    if made is None or optimizer is None:
        return None
    seen = [_seen(reading, model, node, body) for model in made.models]
    known = frozenset(model for model in seen if model is not None)
    return Making(optimizer, known if None not in seen else frozenset())


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
        return None if _is_local(reading, root, node) else key
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
    if len(makers) != 1:
        return None
    name, function = _assigned(reading, Call(makers[0], reading)), reading.function(makers[0])
    if name is None:
        return _unnamed(reading, makers[0])
    # In a helper such as `main`, it has the name that it has where the helper is run.
    return name if function in (None, body) else local(function, name)


def _unnamed(reading: FileReading, made: cst.Call) -> str | None:
    """`Trainer(args).fit()`: an object without a name is the `self` of what is called on it."""
    attribute = reading.parent(made)
    if not isinstance(attribute, cst.Attribute):
        return None
    class_ = reading.values.local_class(reading.value(made))
    method = reading.classes.method(class_, attribute.attr.value) if class_ is not None else None
    return local(method, "self") if method is not None else None


def _makes(reading: FileReading, call: cst.Call, class_: cst.ClassDef | None) -> bool:
    value = reading.value(call)
    return isinstance(value, Instance) and value.made.node is call and reading.values.local_class(value) is class_


def _is_local(reading: FileReading, name: str, node: cst.CSTNode) -> bool:
    scope = reading.scopes.lookup(name, reading.scopes.of(node))
    return scope is not None and scope is not reading.scopes.module
