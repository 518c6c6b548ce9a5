"""Models that no optimizer of a file updates."""

from __future__ import annotations

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.stores import uses_of
from clipcheck.frameworks import OPTIMIZERS
from clipcheck.model.code import Call
from clipcheck.model.value import Instance


def is_untrained(reading: FileReading, model: cst.CSTNode) -> bool:
    """Whether a torch model surely is not among what this file's optimizers update: all of them are known, and the
    model is handed to nothing that could be a larger one."""
    if not isinstance(model, cst.Name) or not all(_is_plain_use(reading, use) for use in _uses(reading, model)):
        return False
    own = set(reading.origins.of(model))
    if not own or not all(_makes_module(reading, origin) for origin in own):
        return False
    optimizers = 0
    for node in reading.tree.all(cst.Call):
        call = Call(node, reading)
        api = OPTIMIZERS.get(call.callee.api or "")
        if api is None or api.parameters is None:
            continue
        optimizers += 1
        given = call.argument(api.parameters.position, *api.parameters.keywords)
        models, is_complete = reading.networks.whose_parameters(given.node.value) if given is not None else ([], False)
        if not is_complete or any(own & set(reading.origins.of(each.node)) for each in models):
            return False
    return optimizers > 0


def _makes_module(reading: FileReading, origin: cst.CSTNode) -> bool:
    value = reading.value(origin)
    return isinstance(value, Instance) and reading.classes.kind_of(value) == "module"


def _uses(reading: FileReading, name: cst.Name) -> list[cst.Name]:
    scope = reading.scopes.lookup(name.value, reading.scopes.of(name))
    return list(uses_of(reading, name.value, scope)) if scope is not None else []


def _is_plain_use(reading: FileReading, use: cst.Name) -> bool:
    """Whether a model is only bound, called, or asked for something."""
    above = reading.parent(use)
    if isinstance(above, cst.AssignTarget):
        return True
    if isinstance(above, cst.Call):
        return above.func is use
    return isinstance(above, cst.Attribute) and above.value is use
