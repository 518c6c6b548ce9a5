"""Comments: they may be evidence, never proof."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from clipcheck.model.code import Code


@dataclass(frozen=True)
class Comment:
    """A comment: `text` without the hash, `code` the comment itself, `owner` the node that it stands at."""

    text: str
    code: Code
    owner: cst.CSTNode
