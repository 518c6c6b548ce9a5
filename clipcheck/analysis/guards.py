"""What the code around a place expects: an error, another version of a framework, another value."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import dotted_name

_EXPECTS = re.compile(r"assertRaises(Regex)?|raises|suppress")
_OWN_ERRORS = {"AttributeError", "ImportError", "ModuleNotFoundError", "TypeError", "ValueError"}
_VERSION = re.compile(r"version|hasattr", re.IGNORECASE)


def expects_error(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether an error is caught or wanted: under `try … except`, `pytest.raises`, `assertRaises`."""
    child = node
    for above in reading.tree.ancestors(node):
        if isinstance(above, cst.Try) and child is above.body and _handles(above):
            return True
        if isinstance(above, cst.With) and any(_is_expecting(item.item) for item in above.items):
            return True
        if isinstance(above, cst.Call) and _is_expecting(above):
            return True
        child = above
    return False


def is_version_dependent(reading: FileReading, node: cst.CSTNode) -> bool:
    """Whether a version, a `hasattr` or a caught error decides whether the code runs."""
    handlers = [above for above in reading.tree.ancestors(node) if isinstance(above, cst.ExceptHandler)]
    attempts = [reading.tree.parent(handler) for handler in handlers]
    if expects_error(reading, node) or any(isinstance(a, cst.Try) and _handles(a) for a in attempts):
        return True
    return any(_VERSION.search(reading.text(test)) for test in tests_around(reading, node))


def tests_around(reading: FileReading, node: cst.CSTNode) -> Iterator[cst.BaseExpression]:
    """The conditions of the `if`s, conditional expressions and `while`s around a place, in one branch or the other."""
    for above in reading.tree.ancestors(node):
        if isinstance(above, (cst.If, cst.IfExp, cst.While)):
            yield above.test


def _handles(attempt: cst.Try) -> bool:
    """Whether it catches the errors of a call that is wrong; for a catch-all, only if it is about one statement."""
    for handler in attempt.handlers:
        caught = handler.type
        kinds = [element.value for element in caught.elements] if isinstance(caught, cst.Tuple) else [caught]
        names = {dotted_name(kind) if kind is not None else "Exception" for kind in kinds}
        if names & _OWN_ERRORS or ("Exception" in names and len(attempt.body.body) == 1):
            return True
    return False


def _is_expecting(expression: cst.BaseExpression) -> bool:
    if not isinstance(expression, cst.Call):
        return False
    name = (dotted_name(expression.func) or "").rpartition(".")[2]
    return _EXPECTS.fullmatch(name) is not None
