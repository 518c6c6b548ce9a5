"""Finds arguments of Keras layers that have been renamed."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.guards import is_version_dependent
from clipcheck.analysis.reading import FileReading
from clipcheck.frameworks import LAYERS
from clipcheck.frameworks.keras import REMOVED_CONSTRAINT_ARGUMENTS
from clipcheck.model.code import Call
from clipcheck.model.renamed import RenamedArgument


def read_renamed(reading: FileReading) -> Iterator[RenamedArgument]:
    for node in reading.tree.all(cst.Call):
        if not any(arg.keyword and arg.keyword.value in REMOVED_CONSTRAINT_ARGUMENTS for arg in node.args):
            continue
        call = Call(node, reading)
        api = call.callee.api or ""
        layer = LAYERS.get(api)
        if layer is None or is_version_dependent(reading, node):
            continue
        for argument in call.arguments:
            label = argument.label
            name = REMOVED_CONSTRAINT_ARGUMENTS.get(argument.keyword or "")
            if label is None or name is None:
                continue
            if name == "kernel_constraint" and name not in layer.constraints:
                name = next(iter(layer.constraints), None)  # an Embedding's only weights are its `W`
            if name in layer.constraints:
                given = call.argument(None, name) is not None
                yield RenamedArgument(api.rpartition(".")[2], argument, label, name, given)
