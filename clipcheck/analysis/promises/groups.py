"""Weights that are reached through an optimizer: `for group in optimizer.param_groups: for p in group["params"]`."""

from __future__ import annotations

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Kind
from clipcheck.model.value import Constant

_DEPTH = 5


def group_owner(reading: FileReading, node: cst.CSTNode, depth: int = _DEPTH) -> cst.CSTNode | None:
    """The optimizer whose parameters an expression goes through, or is one of."""
    if depth == 0:
        return None
    if isinstance(node, cst.Subscript):
        return _of_key(reading, node)
    if isinstance(node, (cst.ListComp, cst.GeneratorExp)):
        return group_owner(reading, node.elt, depth - 1)
    if isinstance(node, cst.Name):
        for binding in reading.flow.reaching(node):
            if binding.kind in (Kind.LOOP, Kind.ASSIGN) and binding.value is not None and not binding.path:
                return group_owner(reading, binding.value, depth - 1)
    return None


def _of_key(reading: FileReading, node: cst.Subscript) -> cst.CSTNode | None:
    """The optimizer of `group["params"]`."""
    index = node.slice[0].slice
    if not isinstance(index, cst.Index) or reading.value(index.value) != Constant("params"):
        return None
    groups: cst.BaseExpression | None = node.value
    if isinstance(groups, cst.Name):
        bindings = reading.flow.reaching(groups)
        groups = bindings[0].value if len(bindings) == 1 and bindings[0].kind is Kind.LOOP else None
    is_groups = isinstance(groups, cst.Attribute) and groups.attr.value == "param_groups"
    return groups.value if is_groups and isinstance(groups, cst.Attribute) else None
