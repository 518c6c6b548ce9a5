"""Finds the Keras constraints of a file that clip weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.scopes import parameters
from clipcheck.model.clips import ValueClip
from clipcheck.model.critics import ClippingConstraint

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading


def read_clipping_constraints(reading: FileReading) -> Iterator[ClippingConstraint]:
    """The constraint classes whose objects clip to [-c, c]."""
    classes = [c for c in reading.tree.all(cst.ClassDef) if reading.classes.kind(c) == "constraint"]
    clips = list(read_clips(reading)) if classes else []
    for class_ in classes:
        own = [clip for clip in clips if clip.call.class_ is not None and clip.call.class_.node is class_]
        if len(own) == 1:
            constraint = _constraint(class_, own[0], reading)
            if constraint is not None:
                yield constraint


def _constraint(class_: cst.ClassDef, clip: ValueClip, reading: FileReading) -> ClippingConstraint | None:
    function = clip.call.function
    if clip.low is None or clip.high is None or function is None:
        return None
    if not isinstance(function.node, cst.FunctionDef) or function.node.name.value != "__call__":
        return None
    low, high = clip.low.code, clip.high.code
    name = class_.name.value
    code = reading.code(class_)
    init = reading.origins.method(class_, "__init__")
    taken = [p for p in parameters(init) if not p.star][1:] if init is not None else []
    taken = [p for p in taken if p.name.value != "name"]
    if len(taken) == 1 and low.text.replace(" ", "") == f"-{high.text}" and high.text.startswith("self."):
        bindings = reading.values.attribute_bindings(class_, high.text.removeprefix("self."))
        if len(bindings) == 1 and reading.text(bindings[0].value or class_) == taken[0].name.value:
            return ClippingConstraint(name, code, takes_bound=True)
        return None
    needed = [p for p in taken if p.default is None]
    if not needed and high.number is not None and low.number == -high.number:
        return ClippingConstraint(name, code, takes_bound=False, fixed_bound=high.number)
    return None
