"""Arguments are added to and dropped from a call in the layout that it has."""

from __future__ import annotations

import libcst as cst
import pytest

from clipcheck.edit import AddArgument, DropArgument, Replace
from clipcheck.engine.rewrite import CannotRewriteError
from tests.engine.rewriting import Nodes, rewritten

ADDED = [
    ("f()\n", "f(k=1)\n"),
    ("f( )\n", "f(k=1)\n"),
    ("f(\n)\n", "f(k=1)\n"),
    ("f(\n    # nothing yet\n)\n", "f(\n    # nothing yet\n    k=1,\n)\n"),
    ("f(a)\n", "f(a, k=1)\n"),
    ("f(a,)\n", "f(a, k=1,)\n"),
    ("f( a )\n", "f( a, k=1 )\n"),
    ("f(a, b)  # why\n", "f(a, b, k=1)  # why\n"),
    ("f(a, *args)\n", "f(a, *args, k=1)\n"),
    ("f(a, **kwargs)\n", "f(a, k=1, **kwargs)\n"),
    ("f(**kwargs, a=1)\n", "f(**kwargs, a=1, k=1)\n"),
    ("f(\n    a,\n    **kwargs,\n)\n", "f(\n    a,\n    k=1,\n    **kwargs,\n)\n"),
    ("f(x for x in y)\n", "f((x for x in y), k=1)\n"),
    ("f(\n    x for x in y\n)\n", "f(\n    (x for x in y),\n    k=1\n)\n"),
    ("f((x for x in y))\n", "f((x for x in y), k=1)\n"),
    ("(f)(a)\n", "(f)(a, k=1)\n"),
    ("((f)) (a)\n", "((f)) (a, k=1)\n"),
    ("(f)()\n", "(f)(k=1)\n"),
    ("f(\n    a,\n    b,\n)\n", "f(\n    a,\n    b,\n    k=1,\n)\n"),
    ("f(\n    a,\n    b\n)\n", "f(\n    a,\n    b,\n    k=1\n)\n"),
    ("f(\n    a,\n    b)\n", "f(\n    a,\n    b,\n    k=1)\n"),
    ("f(\n    a,\n    b,)\n", "f(\n    a,\n    b,\n    k=1,)\n"),
    ("f(a,\n  b)\n", "f(a,\n  b,\n  k=1)\n"),
    ("f(\n    a, b,\n    c, d\n)\n", "f(\n    a, b,\n    c, d, k=1\n)\n"),
    ("f(\n    a,  # the a\n    b,  # the b\n)\n", "f(\n    a,  # the a\n    b,  # the b\n    k=1,\n)\n"),
    ("f(\n    a,  # the a\n    b  # the b\n)\n", "f(\n    a,  # the a\n    b,  # the b\n    k=1\n)\n"),
    ("f(\n    a,\n    # c=3,\n)\n", "f(\n    a,\n    k=1,\n    # c=3,\n)\n"),
    ("f(\n\ta,\n\tb,\n)\n", "f(\n\ta,\n\tb,\n\tk=1,\n)\n"),
    ("f(\r\n    a,\r\n    b,\r\n)\r\n", "f(\r\n    a,\r\n    b,\r\n    k=1,\r\n)\r\n"),
    ("f(a, b=[\n    1,\n    2,\n])\n", "f(a, b=[\n    1,\n    2,\n], k=1)\n"),
    ("f(a)", "f(a, k=1)"),
]


@pytest.mark.parametrize(("before", "after"), ADDED)
def test_an_argument_is_added(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (AddArgument(nodes.call(_callee(nodes)), "k=1"),)) == after


DROPPED = [
    ("f(a)\n", [0], "f()\n"),
    ("f(a,)\n", [0], "f()\n"),
    ("f(\n    a,\n)\n", [0], "f()\n"),
    ("f(\n    a,  # the a\n)\n", [0], "f(\n)\n"),
    ("f(a, b, c)\n", [0], "f(b, c)\n"),
    ("f(a, b, c)\n", [1], "f(a, c)\n"),
    ("f(a, b, c)\n", [2], "f(a, b)\n"),
    ("f(a, b, c,)\n", [2], "f(a, b,)\n"),
    ("f(a, b, c)\n", [0, 1], "f(c)\n"),
    ("f(a, b, c)\n", [1, 2], "f(a)\n"),
    ("f(a, b, c)\n", [0, 2], "f(b)\n"),
    ("f(a, b, c)\n", [0, 1, 2], "f()\n"),
    ("f(\n    a,\n    b,\n)\n", [0], "f(\n    b,\n)\n"),
    ("f(\n    a,\n    b,\n)\n", [1], "f(\n    a,\n)\n"),
    ("f(\n    a,  # the a\n    b,  # the b\n)\n", [0], "f(\n    b,  # the b\n)\n"),
    ("f(\n    a,  # the a\n    b  # the b\n)\n", [1], "f(\n    a,  # the a\n)\n"),
    ("f(\n    a,\n    # about b\n    b,\n)\n", [0], "f(\n    # about b\n    b,\n)\n"),
    ("f(\n    a,\n    b)\n", [1], "f(\n    a)\n"),
    ("f(\n    a,  # the a\n    b)\n", [1], "f(\n    a,  # the a\n    )\n"),
    ("f(a,\n  b)\n", [0], "f(b)\n"),
    ("f(a,\n  b)\n", [1], "f(a)\n"),
    ("f(a, b,\n  c)\n", [1], "f(a,\n  c)\n"),
    ("f(a,  # the a\n  b)\n", [0], "f(  # the a\n  b)\n"),
    ("f(\n    a, b,\n    c,\n)\n", [0], "f(\n    b,\n    c,\n)\n"),
    ("f(a, b,  # why\n  c, d)\n", [0, 1, 2, 3], "f(  # why\n  )\n"),
    ("f(a, b,  # why\n  c, d)\n", [1, 2, 3], "f(a  # why\n  )\n"),
    ("f(a, b,  # why\n)\n", [0, 1], "f(  # why\n)\n"),
    ("f(a, k=dict(\n    x=1,\n), c=3)\n", [1], "f(a, c=3)\n"),
]


@pytest.mark.parametrize(("before", "dropped", "after"), DROPPED)
def test_an_argument_is_dropped(before: str, dropped: list[int], after: str) -> None:
    edits = lambda nodes: tuple(DropArgument(nodes.call("f"), nodes.arg("f", index)) for index in dropped)  # noqa: E731
    assert rewritten(before, edits) == after


COMPOSED = [
    ("f(a, b)\n", [1], ["k=1"], "f(a, k=1)\n"),
    ("f(a, b)\n", [0], ["k=1"], "f(b, k=1)\n"),
    ("f(a)\n", [0], ["k=1"], "f(k=1)\n"),
    ("f(a)\n", [0], ["k=1", "l=2"], "f(k=1, l=2)\n"),
    ("f(a, b, c)\n", [1, 2], ["k=1"], "f(a, k=1)\n"),
    ("f(a)\n", [], ["k=1", "l=2"], "f(a, k=1, l=2)\n"),
    ("f(\n    a,\n    b,  # the b\n)\n", [1], ["k=1", "l=2"], "f(\n    a,\n    k=1,  # the b\n    l=2,\n)\n"),
    ("f(\n    a\n)\n", [], ["k=1", "l=2"], "f(\n    a,\n    k=1,\n    l=2\n)\n"),
    ("f(a, **kw)\n", [0], ["k=1"], "f(k=1, **kw)\n"),
    ("f(\n    a,\n    **kw,\n)\n", [0], ["k=1"], "f(\n    k=1,\n    **kw,\n)\n"),
]


@pytest.mark.parametrize(("before", "dropped", "added", "after"), COMPOSED)
def test_edits_of_one_call_compose(before: str, dropped: list[int], added: list[str], after: str) -> None:
    def edits(nodes: Nodes) -> tuple[AddArgument | DropArgument, ...]:
        call = nodes.call("f")
        return (
            *(DropArgument(call, call.args[index]) for index in dropped),
            *(AddArgument(call, code) for code in added),
        )

    assert rewritten(before, edits) == after


def test_a_call_may_change_its_name_and_its_arguments() -> None:
    before = "x = np.clip(a, b=2)\n"
    after = rewritten(
        before,
        lambda nodes: (
            Replace(nodes.call("np.clip").func, "ops.clip"),
            Replace(nodes.arg("np.clip", 0), "x=a"),
            AddArgument(nodes.call("np.clip"), "c=3"),
        ),
    )
    assert after == "x = ops.clip(x=a, b=2, c=3)\n"


def test_a_call_within_the_arguments_of_another_has_its_own() -> None:
    before = "m.add(Dense(64, activation=relu(0.1)))\n"
    after = rewritten(
        before,
        lambda nodes: (AddArgument(nodes.call("Dense"), "k=1"), AddArgument(nodes.call("relu"), "a=2")),
    )
    assert after == "m.add(Dense(64, activation=relu(0.1, a=2), k=1))\n"


def test_the_argument_of_another_call_cannot_be_dropped() -> None:
    with pytest.raises(CannotRewriteError):
        rewritten("f(a)\ng(b)\n", lambda nodes: (DropArgument(nodes.call("f"), nodes.arg("g", 0)),))


def _callee(nodes: Nodes) -> str:
    return nodes.module.code_for_node(nodes.first(cst.Call).func)
