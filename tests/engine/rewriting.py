"""Rewrites source text by edits whose nodes are found by their text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import libcst as cst

from clipcheck.analysis.tree import Tree
from clipcheck.edit import Edit, safe
from clipcheck.engine.rewrite import Source, combine, resolve
from clipcheck.source.document import Document

Node = TypeVar("Node", bound=cst.CSTNode)


class Nodes:
    """The nodes of a text, and where they stand."""

    def __init__(self, code: str) -> None:
        self.module = cst.parse_module(code)
        self.tree = Tree(self.module)

    def span(self, node: cst.CSTNode) -> tuple[tuple[int, int], tuple[int, int]]:
        return self.tree.positions[node]

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        return self.tree.parent(node)

    def of(self, kind: type[Node], text: str) -> Node:
        """The first node of a class with this text, not counting white space and comments around it."""
        for node in self.tree.below(self.module):
            if isinstance(node, kind) and self.module.code_for_node(node).split("#")[0].strip(" ;\n") == text:
                return node
        raise LookupError(f"no {kind.__name__} {text!r}")

    def call(self, function: str, nth: int = 0) -> cst.Call:
        """The nth call of a function."""
        calls = [call for call in self.tree.all(cst.Call) if self.module.code_for_node(call.func) == function]
        return calls[nth]

    def first(self, kind: type[Node]) -> Node:
        return self.tree.all(kind)[0]

    def arg(self, function: str, index: int) -> cst.Arg:
        return self.call(function).args[index]


EditsOf = Callable[[Nodes], tuple[Edit, ...]]


def rewritten(before: str, *fixes: EditsOf) -> str:
    """The text after all fixes that can be made together."""
    document = Document.from_bytes("script.py", before.encode())
    nodes = Nodes(document.code)
    source = Source(document.code, nodes.module, nodes)
    patches = [resolve(safe("Fix it", *edits(nodes)), source) for edits in fixes]
    _, changes = combine(patches)
    return document.edited(changes).encode().decode()
