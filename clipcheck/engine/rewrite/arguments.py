"""Edits of what stands between brackets: arguments of calls, entries of dicts, parameters of functions."""

from __future__ import annotations

import re
from collections.abc import Sequence

import libcst as cst
from msgspec.structs import replace

from clipcheck.edit import AddArgument, AddEntry, AddParameter, DropArgument, DropEntry
from clipcheck.engine.rewrite.items import Item, Items, item
from clipcheck.engine.rewrite.source import CannotRewriteError, Source
from clipcheck.source.text import TextChange

_FILLER = re.compile(r"(?:\s|\\|#[^\r\n]*)*")


def change_arguments(call: cst.Call, edits: Sequence[AddArgument | DropArgument], source: Source) -> list[TextChange]:
    """All edits of one call together."""
    items = Items(source, [item(arg, source) for arg in call.args], _open(call, source), source.end(call) - 1)
    dropped = {_index(edit.argument, call.args) for edit in edits if isinstance(edit, DropArgument)}
    added = [edit.code for edit in edits if isinstance(edit, AddArgument)]
    generator = _enclosed_generator(call, source) if added and not dropped else []
    return generator + items.changed(dropped, added, _trailing_keywords(call))


def change_entries(display: cst.Dict, edits: Sequence[AddEntry | DropEntry], source: Source) -> list[TextChange]:
    """All edits of one dict display together."""
    entries = [item(entry, source) for entry in display.elements]
    items = Items(source, entries, source.start(display) + 1, source.end(display) - 1)
    dropped = {_index(edit.entry, display.elements) for edit in edits if isinstance(edit, DropEntry)}
    return items.changed(dropped, [edit.code for edit in edits if isinstance(edit, AddEntry)])


def add_parameters(function: cst.FunctionDef, edits: Sequence[AddParameter], source: Source) -> list[TextChange]:
    """New parameters come last, but before ``**kwargs``."""
    parameters = _parameters(function.params, source)
    generics = getattr(function, "type_parameters", None)  # LibCST 1.1, Python 3.12
    start = _behind_bracket(source.end(generics or function.name), source)
    close = _behind_filler(start, source)
    items = Items(source, parameters, start, close)
    at = len(parameters) - 1 if function.params.star_kwarg else None
    if at is not None and any(edit.code.startswith("**") for edit in edits):
        raise CannotRewriteError("the function takes any keyword already")
    return items.changed(set(), [edit.code for edit in edits], at)


def _parameters(parameters: cst.Parameters, source: Source) -> list[Item]:
    stars = [star for star in (parameters.star_arg, parameters.star_kwarg) if isinstance(star, cst.Param)]
    named = [*parameters.posonly_params, *parameters.params, *parameters.kwonly_params, *stars]
    items = [_parameter(parameter, source) for parameter in named]
    slash = parameters.posonly_ind
    if isinstance(slash, cst.ParamSlash):
        at = source.start(slash)
        items.append(Item(at, at + 1, source.end(slash.comma) if isinstance(slash.comma, cst.Comma) else None))
    return sorted(items, key=lambda own: own.start)


def _parameter(parameter: cst.Param, source: Source) -> Item:
    """What LibCST tells as its place ends behind its name."""
    named = item(parameter, source)
    last = parameter.default or (parameter.annotation.annotation if parameter.annotation else None)
    return replace(named, end=_end(last, source)) if last else named


def _trailing_keywords(call: cst.Call) -> int | None:
    """The index of the first of the ``**kwargs`` that the call ends with, if it does."""
    index = len(call.args)
    while index and call.args[index - 1].star == "**":
        index -= 1
    return index if index < len(call.args) else None


def _enclosed_generator(call: cst.Call, source: Source) -> list[TextChange]:
    """A generator may do without parentheses only as the single argument."""
    if len(call.args) != 1:
        return []
    value = call.args[0].value
    if not isinstance(value, cst.GeneratorExp) or value.lpar:
        return []
    start, end = source.start(value), source.end(value)
    return [(start, start, "("), (end, end, ")")]


def _index(element: cst.CSTNode, among: Sequence[cst.CSTNode]) -> int:
    for index, other in enumerate(among):
        if other is element:
            return index
    raise CannotRewriteError("what is to be dropped is not there")


def _open(call: cst.Call, source: Source) -> int:
    """The place behind the opening parenthesis of a call."""
    return _behind_bracket(_end(call.func, source), source)


def _end(expression: cst.BaseExpression, source: Source) -> int:
    """The end of an expression with the parentheses around it."""
    at = source.end(expression)
    for _ in expression.rpar:
        at = _behind_bracket(at, source)
    return at


def _behind_bracket(at: int, source: Source) -> int:
    return _behind_filler(at, source) + 1


def _behind_filler(at: int, source: Source) -> int:
    filler = _FILLER.match(source.code, at)
    return filler.end() if filler else at
