"""What a fix changes: small edits that point at nodes of the concrete syntax tree.

An edit is data. New code is given as source text, because that is what a reader of the rule wants to see;
`clipcheck.engine.rewrite` turns edits into replaced spans of the file, so that everything else stays byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from clipcheck.applicability import Applicability

if TYPE_CHECKING:
    import libcst as cst


class Replace(Struct, frozen=True):
    """Replace an expression, an argument or a whole statement by `code`."""

    node: cst.CSTNode
    code: str


class InsertBefore(Struct, frozen=True):
    """Put the lines of `code`, written without indentation, before the statement that `node` stands in."""

    node: cst.CSTNode
    code: str


class InsertAfter(Struct, frozen=True):
    """Put the lines of `code`, written without indentation, after the statement that `node` stands in."""

    node: cst.CSTNode
    code: str


class MoveBefore(Struct, frozen=True):
    """Move the statement that `node` stands in before the one that `target` stands in, and into its block.

    The comment right above it comes along. `lead` are lines, written without indentation, to put in front of it.
    """

    node: cst.CSTNode
    target: cst.CSTNode
    lead: str = ""


class MoveAfter(Struct, frozen=True):
    """Move the statement that `node` stands in behind the one that `target` stands in, and into its block.

    The comment right above it comes along. `lead` are lines, written without indentation, to put in front of it.
    """

    node: cst.CSTNode
    target: cst.CSTNode
    lead: str = ""


class PutUnder(Struct, frozen=True):
    """Put the statement that `node` stands in under a line that opens a block (``if sync:``)."""

    node: cst.CSTNode
    header: str


class AppendToBody(Struct, frozen=True):
    """Put the lines of `code`, written without indentation, at the end of the body of a class or function."""

    node: cst.ClassDef | cst.FunctionDef
    code: str


class Remove(Struct, frozen=True):
    """Remove the statement that `node` stands in; `pass` takes its place where the block would be left empty."""

    node: cst.CSTNode


class AddArgument(Struct, frozen=True):
    """Add `code` (``name=value``) as the last argument of a call, in the layout that the call already has."""

    call: cst.Call
    code: str


class DropArgument(Struct, frozen=True):
    """Remove one argument of a call together with its comma."""

    call: cst.Call
    argument: cst.Arg


class AddParameter(Struct, frozen=True):
    """Add `code` (``**kwargs``) as the last parameter of a function, in the layout that its head already has."""

    node: cst.FunctionDef
    code: str


class AddEntry(Struct, frozen=True):
    """Add `code` (``"key": value``) as the last entry of a dict display, in the layout that it already has."""

    display: cst.Dict
    code: str


class DropEntry(Struct, frozen=True):
    """Remove one entry of a dict display together with its comma."""

    display: cst.Dict
    entry: cst.BaseDictElement


class AddDecorator(Struct, frozen=True):
    """Decorate a class or function with ``@code``."""

    node: cst.ClassDef | cst.FunctionDef
    code: str


class NeedImport(Struct, frozen=True):
    """Make sure that the module holds ``import module`` or, with a name, ``from module import name``."""

    module: str
    name: str | None = None


class NeedDefinition(Struct, frozen=True):
    """Make sure that the module holds the class or function `name`; `code` is put after the imports if it does not."""

    name: str
    code: str


Edit: TypeAlias = (
    Replace
    | InsertBefore
    | InsertAfter
    | MoveBefore
    | MoveAfter
    | PutUnder
    | AppendToBody
    | Remove
    | AddArgument
    | DropArgument
    | AddParameter
    | AddEntry
    | DropEntry
    | AddDecorator
    | NeedImport
    | NeedDefinition
)


class Fix(Struct, frozen=True):
    """Edits that belong together: all of them are applied, or none.

    `message` says in one line what the fix does, as an order ("Replace `K.clip` with `keras.ops.clip`").
    """

    message: str
    applicability: Applicability
    edits: tuple[Edit, ...]


def safe(message: str, *edits: Edit) -> Fix:
    return Fix(message, Applicability.SAFE, edits)


def unsafe(message: str, *edits: Edit) -> Fix:
    return Fix(message, Applicability.UNSAFE, edits)
