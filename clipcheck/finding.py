"""What a rule says of a script: findings that point at nodes of the tree, with their evidence and their fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from clipcheck.edit import Fix

if TYPE_CHECKING:
    import libcst as cst


class Note(Struct, frozen=True):
    """A piece of evidence: a place in the user's code, and what it tells us."""

    node: cst.CSTNode
    words: str


class Finding(Struct, frozen=True):
    """One misuse.

    `message` is one sentence with the user's own names that says what is wrong. `why` tells somebody who did not know
    the API what happens at run time. `advice` says what to do. `node` is what gets underlined.
    """

    code: str
    name: str
    node: cst.CSTNode
    message: str
    why: str
    advice: str
    evidence: tuple[Note, ...] = ()
    fix: Fix | None = None
