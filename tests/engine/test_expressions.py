"""An expression is replaced by another one, which gets parentheses where it needs them."""

from __future__ import annotations

import libcst as cst
import pytest

from clipcheck.edit import Replace
from clipcheck.engine.rewrite import CannotRewriteError
from tests.engine.rewriting import rewritten

REPLACED = [
    ("x = old()\n", "new()", "x = new()\n"),
    ("x = old()\n", "a + b", "x = a + b\n"),
    ("x = (old())\n", "a + b", "x = (a + b)\n"),
    ("x = ((old()))\n", "a", "x = ((a))\n"),
    ("x = old() * 2\n", "a + b", "x = (a + b) * 2\n"),
    ("x = old() * 2\n", "(a + b)", "x = (a + b) * 2\n"),
    ("x = old() * 2\n", "(a) + (b)", "x = ((a) + (b)) * 2\n"),
    ("x = (old()) * 2\n", "a + b", "x = (a + b) * 2\n"),
    ("x = -old()\n", "a + b", "x = -(a + b)\n"),
    ("x = a - old()\n", "-0.01", "x = a - (-0.01)\n"),
    ("x = old().mean()\n", "a + b", "x = (a + b).mean()\n"),
    ("x = old().mean()\n", "1", "x = (1).mean()\n"),
    ("x = old().mean()\n", "a.b[0]", "x = a.b[0].mean()\n"),
    ("x = old()[0]\n", "a if b else c", "x = (a if b else c)[0]\n"),
    ("f(old())\n", "a + b", "f(a + b)\n"),
    ("f(k=old())\n", "a or b", "f(k=a or b)\n"),
    ("f(*old())\n", "a or b", "f(*(a or b))\n"),
    ("f(old())\n", "a, b", "f((a, b))\n"),
    ("f(old())\n", "(a, b)", "f((a, b))\n"),
    ("f(old())\n", "a := 1", "f((a := 1))\n"),
    ("f(old() for x in y)\n", "a + b", "f((a + b) for x in y)\n"),
    ("x = a < old()\n", "b == c", "x = a < (b == c)\n"),
    ("x = not old()\n", "b == c", "x = not (b == c)\n"),
    ("x = a if old() else b\n", "lambda: 1", "x = a if (lambda: 1) else b\n"),
    ("return_ = [old(), 2]\n", "-1", "return_ = [-1, 2]\n"),
    ("x = old(\n    1,\n    2,\n)  # why\n", "new(1, 2)", "x = new(1, 2)  # why\n"),
    ("x = old()\n", "a +\nb", "x = (a +\nb)\n"),
    ("if x:\n    x = old()\n", "new(\n    a,\n)", "if x:\n    x = new(\n        a,\n    )\n"),
    ("old()\n", "new()", "new()\n"),
]


@pytest.mark.parametrize(("before", "code", "after"), REPLACED)
def test_a_call_is_replaced(before: str, code: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (Replace(nodes.call("old"), code),)) == after


def test_the_parts_of_a_name_are_replaced() -> None:
    assert rewritten("x = K.clip(a)\n", lambda nodes: (Replace(nodes.call("K.clip").func, "keras.ops.clip"),)) == (
        "x = keras.ops.clip(a)\n"
    )


def test_a_single_generator_becomes_a_list() -> None:
    before = "f(x for x in y)\n"
    assert rewritten(before, lambda nodes: (Replace(nodes.first(cst.GeneratorExp), "[x for x in y]"),)) == (
        "f([x for x in y])\n"
    )


def test_an_argument_is_replaced_with_its_keyword() -> None:
    before = "f(a, W_constraint=c)  # why\n"
    assert rewritten(before, lambda nodes: (Replace(nodes.arg("f", 1), "kernel_constraint=c"),)) == (
        "f(a, kernel_constraint=c)  # why\n"
    )


def test_words_do_not_grow_together() -> None:
    before = "x = 1 if a in[1]else 2\n"
    assert rewritten(before, lambda nodes: (Replace(nodes.first(cst.List), "ones"),)) == "x = 1 if a in ones else 2\n"


def test_an_imported_name_is_replaced() -> None:
    before = "from m import (a,  # why\n  b)\n"
    assert rewritten(before, lambda nodes: (Replace(nodes.first(cst.ImportAlias), "c as a"),)) == (
        "from m import (c as a,  # why\n  b)\n"
    )


def test_what_the_user_wrote_keeps_its_layout() -> None:
    before = "def f():\n    x = old(\n        a,  # the a\n        b,\n    )\n"
    code = "new(\n        a,  # the a\n        b,\n    )"
    assert rewritten(before, lambda nodes: (Replace(nodes.call("old"), code),)) == before.replace("old", "new")


def test_no_expression_is_refused() -> None:
    with pytest.raises(CannotRewriteError):
        rewritten("x = old()\n", lambda nodes: (Replace(nodes.call("old"), "import a"),))
