"""Comments: they may be evidence, never proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from clipcheck.model.code import Code

if TYPE_CHECKING:
    import libcst as cst


class Comment(Struct, frozen=True):
    """A comment: `text` without the hash, `code` the comment itself, `owner` the node that it stands at."""

    text: str
    code: Code
    owner: cst.CSTNode
