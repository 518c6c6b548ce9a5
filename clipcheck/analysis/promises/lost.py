"""Clipped copies that never go back to where they came from."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.promises.places import before_loops
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.weight_writes import bound_by
from clipcheck.model.code import Call


def is_lost(reading: FileReading, clip: Call) -> bool:
    """Whether the result of a clip only gets into variables that nothing reads behind the loop that fills them."""
    if not _is_kept(reading, clip.node):
        return False
    filling = before_loops(reading, clip.node, None)
    inside = set(reading.tree.below(filling))
    names = set(bound_by(reading, clip.node))
    function = reading.function(clip.node)
    return bool(names) and not any(
        name.value in names and name not in inside and _reads(reading, name) for name in _names(reading, function)
    )


def _is_kept(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether a value itself gets into a variable or a list, and not something that is worked out from it."""
    for above in reading.tree.ancestors(node):
        if isinstance(above, cst.Assign):
            return True
        if isinstance(above, cst.Call):
            return isinstance(above.func, cst.Attribute) and above.func.attr.value == "append"
        if not isinstance(above, (cst.Arg, cst.ListComp, cst.Element, cst.List)):
            return False
    return False


def _names(reading: FileReading, function: cst.FunctionDef | None) -> Iterator[cst.Name]:
    """The names of one function, or of the module's own code and what is defined there."""
    body = reading.module if function is None else function
    return (node for node in reading.tree.below(body) if isinstance(node, cst.Name))


def _reads(reading: FileReading, name: cst.Name) -> bool:
    """Whether a name's value is looked at here: it is not bound, and nothing else's own name."""
    above = reading.parent(name)
    if isinstance(above, (cst.AssignTarget, cst.Param)) or (isinstance(above, cst.Attribute) and above.attr is name):
        return False
    return not (isinstance(above, cst.Arg) and above.keyword is name)
