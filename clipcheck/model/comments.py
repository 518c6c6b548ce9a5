"""Comments: they may be evidence, never proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipcheck.model.code import Code

if TYPE_CHECKING:
    import libcst as cst


@dataclass(frozen=True)
class Comment:
    """A comment: `text` without the hash, `code` the comment itself, `owner` the node that it stands at."""

    text: str
    code: Code
    owner: cst.CSTNode
