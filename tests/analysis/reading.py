"""Helpers: read a piece of source, and find an expression in it by its text."""

from __future__ import annotations

import textwrap

import libcst as cst

from clipcheck.analysis import read_script
from clipcheck.model.code import Code
from clipcheck.model.script import Script


def script_of(source: str, cell_lines: tuple[int, ...] = ()) -> Script:
    return read_script(cst.parse_module(textwrap.dedent(source)), cell_lines=cell_lines)


def last(script: Script, text: str) -> Code:
    """The last expression of the script that is written exactly like this."""
    found = [
        node
        for node in script.reading.tree.below(script.module)  # type: ignore[attr-defined]
        if isinstance(node, cst.BaseExpression) and script.reading.text(node) == text
    ]
    return script.code(found[-1])
