"""Fixes as changes of the text, and which of them can be made together."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise

import libcst as cst
from msgspec import Struct

from clipcheck import edit as edits
from clipcheck.edit import (
    AddArgument,
    AddEntry,
    AddParameter,
    DropArgument,
    DropEntry,
    Edit,
    Fix,
    MoveAfter,
    MoveBefore,
    NeedDefinition,
    NeedImport,
    PutUnder,
    Remove,
)
from clipcheck.engine.rewrite.arguments import add_parameters, change_arguments, change_entries
from clipcheck.engine.rewrite.expressions import replace_expression, replace_other
from clipcheck.engine.rewrite.moves import move_after, move_before, put_under
from clipcheck.engine.rewrite.needs import Need, missing, provide
from clipcheck.engine.rewrite.source import CannotRewriteError, Source
from clipcheck.engine.rewrite.statements import (
    append_to_body,
    decorate,
    insert_after,
    insert_before,
    remove,
    replace_statement,
)
from clipcheck.source.text import TextChange


class Patch(Struct, frozen=True):
    """A fix as changes of the text, in its order and without overlaps.

    `needs` are the imports and definitions that it brings along, `provided` the changes which do that.
    """

    changes: tuple[TextChange, ...]
    needs: frozenset[Need] = frozenset()
    provided: frozenset[TextChange] = frozenset()


def resolve(fix: Fix, source: Source) -> Patch:
    """A fix as changes of the text. Raises CannotRewriteError where its edits cannot be made, or not together."""
    changes = list(_changes(fix.edits, source))
    needs = missing((edit for edit in fix.edits if isinstance(edit, (NeedImport, NeedDefinition))), source)
    before = min((start for start, _, _ in changes), default=sys.maxsize)
    provided = provide(needs, before, source)
    return Patch(_in_order([*provided, *changes]), frozenset(needs), frozenset(provided))


def combine(patches: Iterable[Patch]) -> tuple[list[int], list[TextChange]]:
    """The changes of all patches that can be made together, and the indices of those patches.

    A patch that collides with an earlier one is left out. What several of them need is brought once.
    """
    taken: list[int] = []
    changes: dict[TextChange, None] = {}
    needs: set[Need] = set()
    for index, patch in enumerate(patches):
        new = [change for change in patch.changes if change not in changes]
        if any(_collide(change, other) for change in new for other in changes):
            continue
        if needs & patch.needs and not patch.provided <= changes.keys():
            continue
        taken.append(index)
        changes.update(dict.fromkeys(new))
        needs |= patch.needs
    return taken, sorted(changes, key=lambda change: change[:2])


def _changes(fix_edits: Sequence[Edit], source: Source) -> Iterable[TextChange]:
    """The changes of all edits but the needs. Those of one list, and those that remove statements, go together."""
    calls: dict[cst.Call, list[AddArgument | DropArgument]] = {}
    displays: dict[cst.Dict, list[AddEntry | DropEntry]] = {}
    functions: dict[cst.FunctionDef, list[AddParameter]] = {}
    removed: list[cst.CSTNode] = []
    moved: list[cst.CSTNode] = []
    for edit in fix_edits:
        match edit:
            case AddArgument() | DropArgument():
                calls.setdefault(edit.call, []).append(edit)
            case AddEntry() | DropEntry():
                displays.setdefault(edit.display, []).append(edit)
            case AddParameter():
                functions.setdefault(edit.node, []).append(edit)
            case Remove():
                removed.append(edit.node)
            case MoveBefore() | MoveAfter():
                moved.append(edit.node)
                yield from _change(edit, source)
            case _:
                yield from _change(edit, source)
    for call, of_call in calls.items():
        yield from change_arguments(call, of_call, source)
    for display, of_display in displays.items():
        yield from change_entries(display, of_display, source)
    for function, of_function in functions.items():
        yield from add_parameters(function, of_function, source)
    yield from remove([*removed, *moved], source, commented=moved)


def _change(edit: Edit, source: Source) -> list[TextChange]:
    match edit:
        case edits.Replace(node=cst.BaseExpression() as node, code=code):
            return replace_expression(node, code, source)
        case edits.Replace(
            node=cst.BaseSmallStatement() | cst.SimpleStatementLine() | cst.BaseCompoundStatement() as node, code=code
        ):
            return replace_statement(node, code, source)
        case edits.Replace(node=node, code=code):
            return replace_other(node, code, source)
        case edits.InsertBefore(node=node, code=code):
            return insert_before(node, code, source)
        case edits.InsertAfter(node=node, code=code):
            return insert_after(node, code, source)
        case MoveBefore():
            return move_before(edit, source)
        case MoveAfter():
            return move_after(edit, source)
        case PutUnder():
            return put_under(edit, source)
        case edits.AppendToBody(node=node, code=code):
            return append_to_body(node, code, source)
        case edits.AddDecorator(node=node, code=code):
            return decorate(node, code, source)
    return []


def _in_order(changes: Iterable[TextChange]) -> tuple[TextChange, ...]:
    ordered = sorted(dict.fromkeys(changes), key=lambda change: change[:2])
    for (_, end, _), (start, _, _) in pairwise(ordered):
        if start < end:
            raise CannotRewriteError("two edits of the fix change the same text")
    return tuple(ordered)


def _collide(one: TextChange, other: TextChange) -> bool:
    """Two ranges collide if they overlap, two insertions at the same place always: their order would be a guess."""
    if one[:2] == other[:2]:
        return True
    return one[0] < other[1] and other[0] < one[1]
