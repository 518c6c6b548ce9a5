"""Finds the uses of the functions that `clipcheck.frameworks.WATCHED` names, and their imports."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.guards import is_version_dependent
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import dotted_name
from clipcheck.frameworks import WATCHED, canonical
from clipcheck.frameworks.names import last_names
from clipcheck.model.code import Call
from clipcheck.model.uses import ApiImport, ApiUse

_LAST = last_names(WATCHED)


def read_uses(reading: FileReading) -> Iterator[ApiUse]:
    """Every use of a watched function, in the order of the source."""
    bound = _LAST | {alias.evaluated_alias or "" for alias in reading.tree.all(cst.ImportAlias)}
    nodes: list[cst.Name | cst.Attribute] = [n for n in reading.tree.all(cst.Attribute) if n.attr.value in _LAST]
    nodes += [n for n in reading.tree.all(cst.Name) if n.value in bound and _is_expression(reading, n)]
    for node in sorted(nodes, key=lambda node: reading.tree.order[node]):
        api = reading.api(node)
        if api in WATCHED:
            guarded = is_version_dependent(reading, node)
            yield ApiUse(api, reading.names(node), reading.code(node), _call(reading, node), guarded)


def _call(reading: FileReading, node: cst.CSTNode) -> Call | None:
    parent = reading.parent(node)
    if isinstance(parent, cst.Call) and parent.func is node:
        return Call(parent, reading)
    above = reading.parent(parent) if isinstance(parent, cst.Arg) else None
    if isinstance(above, cst.Call) and above.args[0] is parent and reading.name(above.func) == "functools.partial":
        return Call(above, reading)
    return None


def read_api_imports(reading: FileReading) -> Iterator[ApiImport]:
    """Every `from … import` that names a watched function."""
    uses: list[ApiUse] | None = None
    for statement in reading.tree.all(cst.ImportFrom):
        module = dotted_name(statement.module) if statement.module and not statement.relative else None
        if module is None or isinstance(statement.names, cst.ImportStar):
            continue
        for alias in statement.names:
            api = canonical(f"{module}.{alias.evaluated_name}")
            if api not in WATCHED:
                continue
            bound = alias.evaluated_alias or alias.evaluated_name
            uses = list(read_uses(reading)) if uses is None else uses
            yield ApiImport(
                api=api,
                module=module,
                original=reading.code(alias.name),
                bound=bound,
                statement=reading.code(statement),
                others=tuple(_written(other) for other in statement.names if other is not alias),
                uses=tuple(use for use in uses if use.code.text == bound),
                is_version_dependent=is_version_dependent(reading, statement),
            )


def _written(alias: cst.ImportAlias) -> str:
    name = alias.evaluated_name
    return f"{name} as {alias.evaluated_alias}" if alias.evaluated_alias else name


def _is_expression(reading: FileReading, name: cst.Name) -> bool:
    """Whether a name is read, and not a part of a dotted name, a keyword or what an import or an assignment binds."""
    parent = reading.parent(name)
    if isinstance(parent, (cst.ImportAlias, cst.AsName, cst.Param, cst.AssignTarget, cst.FunctionDef, cst.ClassDef)):
        return False
    if isinstance(parent, cst.Attribute):
        return parent.value is name
    return not (isinstance(parent, cst.Arg) and parent.keyword is name)
