"""Whether a clip in a loop over weights is for all of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import libcst as cst

from clipcheck.analysis.promises.places import is_over_weights
from clipcheck.analysis.reading import FileReading
from clipcheck.model.value import Constant

_DECIDING = (cst.If, cst.IfExp, cst.CompIf, cst.Try)
_LEAVING = (cst.Continue, cst.Break)
_ALL_TRAINED = re.compile(
    r"(\w+\.)?requires_grad|\w+\.trainable|hasattr\(.*\)|getattr\(.*\) is not None|\w+\.bias is not None"
)
"""What holds for every weight that is trained, or only asks whether there is one."""
_TRAINED = re.compile(r"lambda (\w+): ?\1\.requires_grad")


def selecting(reading: FileReading, clip: cst.CSTNode) -> list[cst.CSTNode]:
    """The conditions within the loops over weights by which some may be left out."""
    outermost: cst.CSTNode = reading.statement(clip)
    for above in reading.tree.ancestors(clip):
        if isinstance(above, cst.FunctionDef):
            break
        if isinstance(above, cst.For) and is_over_weights(reading, above):
            outermost = above
    inside = reading.tree.below(outermost)
    around = set(reading.tree.ancestors(clip))
    return [node for node in inside if isinstance(node, _DECIDING) and _decides(reading, node, around)]


def _decides(reading: FileReading, node: cst.CSTNode, around: set[cst.CSTNode]) -> bool:
    if isinstance(node, cst.If):
        text = " ".join(reading.text(node.test).split())
        leaves = any(isinstance(below, _LEAVING) for below in reading.tree.below(node))
        return leaves or (node in around and not _ALL_TRAINED.fullmatch(text))
    if isinstance(node, cst.CompIf):
        return not _ALL_TRAINED.fullmatch(" ".join(reading.text(node.test).split()))
    return node in around


def globs_of(reading: FileReading, tests: Sequence[cst.CSTNode], clip: cst.CSTNode) -> tuple[str, ...] | None:
    """The names that are meant, where the one condition is a test of the name; None if it is anything else."""
    only = tests[0] if len(tests) == 1 else None
    test = only.test if isinstance(only, (cst.If, cst.CompIf)) else None
    if test is None or (isinstance(only, cst.If) and not _is_in_body(reading, only, clip)):
        return None
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        is_in = isinstance(test.comparisons[0].operator, cst.In)
        part = _text(reading, test.left)
        return (f"*{part}*",) if is_in and part and isinstance(test.comparisons[0].comparator, cst.Name) else None
    if isinstance(test, cst.Call) and isinstance(test.func, cst.Attribute) and len(test.args) == 1:
        part = _text(reading, test.args[0].value)
        form = {"endswith": "*{}", "startswith": "{}*"}.get(test.func.attr.value)
        return (form.format(part),) if part and form and isinstance(test.func.value, cst.Name) else None
    return None


def _is_in_body(reading: FileReading, test: cst.If, clip: cst.CSTNode) -> bool:
    return test.body in set(reading.tree.ancestors(clip)) and not any(
        isinstance(below, _LEAVING) for below in reading.tree.below(test)
    )


def _text(reading: FileReading, node: cst.CSTNode) -> str | None:
    value = reading.value(node)
    text = value.value if isinstance(value, Constant) else None
    return text if isinstance(text, str) and not re.search(r"[\[\]*?]", text) else None


def is_whole(reading: FileReading, iterated: cst.BaseExpression) -> bool:
    """Whether a loop goes through all of a list of weights: no slice, no filter."""
    made = (iterated, *reading.origins.of(iterated))
    return not any(_leaves_out(reading, node) for origin in made for node in reading.tree.below(origin))


def _leaves_out(reading: FileReading, node: cst.CSTNode) -> bool:
    if isinstance(node, cst.Subscript):
        return any(isinstance(element.slice, cst.Slice) for element in node.slice)
    if isinstance(node, cst.CompIf):
        return _decides(reading, node, set())
    if isinstance(node, cst.Call) and reading.api(node.func) in ("builtins.filter", "itertools.islice"):
        return not node.args or not _TRAINED.fullmatch(" ".join(reading.text(node.args[0].value).split()))
    return False
