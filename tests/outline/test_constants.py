"""Which numbers an expression may be, by the names of the file."""

from __future__ import annotations

import ast

import pytest

from clipcheck.outline import Outline
from clipcheck.outline.constants import numbers


def may_be(code: str, expression: str = "x") -> set[float] | None:
    """None: any number."""
    found = numbers(Outline(code.encode()), ast.parse(expression, mode="eval").body)
    return None if found.any else set(found.known)


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("", set()),
        ("x = 1\nx = -2.5", {1, -2.5}),
        ("x: int = 3", {3}),
        ("a, x = 1, 2", {2}),
        ("self.x = y\ny = 4", {4}),
        ("def f(x=5, *, y=6): ...", {5}),
        ("def f(a, x): ...\nf(1, 2)\nf(1, x=3)", {2, 3}),
        ("class A:\n    def f(self, a, x): ...\nb.f(1, 2)\nf(3, 4, 5)", {2}),
        ("class A(B):\n    def __init__(self, a, x):\n        super().__init__(1, 2)\n", set()),
        ("class A:\n    def __init__(self, x): ...\nA(7)", {7}),
        ("parser.add_argument('--x', default=8)", {8}),
        ("flags.DEFINE_float('x', 9, 'help')", {9}),
        ("x = 1 - y\ny = 1e-3", {0.999}),
        ("x = float(y)\ny = 2", {2}),
        ("x = float('inf')", {float("inf")}),
        ("x = [1, 2][0]", {1}),
        ("x = {'a': 1, 'b': 2}[key]", {1, 2}),
        ("for x in (1, 2): ...", {1, 2}),
        ("x = f()\ndef f(): return 1", {1}),
        ("x, y = f()\ndef f(): return 1, 2", {1}),
        ("for x, y in zip((1, 2), (3, 4)): ...", {1, 2, 3, 4}),
        ("x = f()\ndef f(): return f()", set()),
        ("x = y.size(0)", set()),
        ("x = x + 1", set()),
        ("x = y\ny = x\ny = 3", {3}),
        ("a = b\nb = a\nb = 1\na = 2\nx = b", {1, 2}),
        ("x = 1 if y else 2", {1, 2}),
        ("x = math.inf", {float("inf")}),
    ],
)
def test_a_name_is_what_the_file_gives_it(code: str, values: set[float] | None) -> None:
    assert may_be(code) == values


def test_what_would_take_too_long_may_be_anything() -> None:
    code = "\n".join(f"x{i} = x{i + 1}[0] + x{i + 2}[1] + x{i + 3}[2]" for i in range(40)) + "\nx42 = [1, 2, 3]"
    assert may_be(code, "x0") in (None, set())
