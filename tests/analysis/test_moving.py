"""What belongs to a statement, and where else it would do the same."""

from __future__ import annotations

import textwrap

import pytest

from clipcheck.model.code import Code
from tests.analysis.reading import last, script_of


def unit(source: str) -> Code:
    return last(script_of(source), "clip(p)").unit


def test_a_statement_alone_under_its_conditions_and_loops_is_one_unit_with_them() -> None:
    alone = "if a:\n    for p in ps:\n        with no_grad():\n            clip(p)"
    assert unit(f"{alone}\nstep()").text == alone


@pytest.mark.parametrize(
    "source",
    [
        "if a:\n    clip(p)\nelse:\n    b()",
        "if a:\n    b()\nelif c:\n    clip(p)",
        "if a:\n    b()\nelse:\n    clip(p)",
        "for p in ps:\n    clip(p)\n    b()",
        "while a:\n    clip(p)",
        "try:\n    clip(p)\nfinally:\n    b()",
        "def f():\n    clip(p)",
        "b(); clip(p)",
    ],
)
def test_what_holds_something_else_is_left_behind(source: str) -> None:
    assert unit(source).text == "clip(p)"


def may_move(source: str) -> bool:
    script = script_of(textwrap.dedent(source))
    return last(script, "clip(p, c)").unit.may_move_to(last(script, "step()"))


MOVABLE = [
    "step()\nclip(p, c)\n",
    "def f(p, c):\n    step()\n    clip(p, c)\n",
    "c = 1\nclip(p, c)\nif a:\n    step()\n",
    "def f(self, p, c):\n    clip(p, c)\n    self.loss = g()\n    step()\n",
    "for x in xs:\n    if x:\n        clip(p, c)\n    b = x\n    step()\n",
    "norm = clip(p, c)\nb()\nstep()\nprint(norm)\n",
    "def f(p, c):\n    def closure():\n        step()\n    clip(p, c)\n",
    "for x in xs:\n    backward()\n    clip(p, c)\nstep()\n",
    "for p in ps:\n    clip(p, c)\nfor x in xs:\n    step()\n",
]
FIXED = [
    "step()\nc = limit()\nclip(p, c)\n",
    "clip(p, c)\np, c = new()\nstep()\n",
    "norm = clip(p, c)\nprint(norm)\nstep()\n",
    "for c in cs:\n    step()\nclip(p, c)\n",
    "for x in xs:\n    backward()\n    c = x\n    clip(p, c)\nstep()\n",
    "for p in ps:\n    backward(p)\n    clip(p, c)\nstep()\n",
    "def f():\n    step()\ndef g(p, c):\n    clip(p, c)\n",
    "def f(p, c):\n    clip(p, c)\n    def g(p):\n        step()\n",
    "if a:\n    b()\n    clip(p, c)\nstep()\n",
    "if a:\n    return_()\nelse:\n    clip(p, c)\nstep()\n",
    "p = filter(f, ps)\nclip(p, c)\nfor x in xs:\n    step()\n",
]


@pytest.mark.parametrize("source", MOVABLE)
def test_a_statement_may_move_where_all_it_names_means_the_same(source: str) -> None:
    assert may_move(source)


@pytest.mark.parametrize("source", FIXED)
def test_a_statement_stays_where_a_name_or_its_block_changes(source: str) -> None:
    assert not may_move(source)


def test_an_attribute_that_is_assigned_in_between_keeps_a_statement_in_place() -> None:
    script = script_of("def f(self):\n    step()\n    self.limit = g()\n    clip(self.limit)\n")
    assert not last(script, "clip(self.limit)").unit.may_move_to(last(script, "step()"))


CONDITIONS = [
    ("clip()\nstep()\n", ""),
    ("clip()\nif a:\n    step()\n", "a"),
    ("if a:\n    clip()\n    step()\n", ""),
    ("if a:\n    clip()\n    if b and c:\n        step()\n", "b and c"),
    ("if a:\n    clip()\nif b:\n    step()\n", "b"),
    ("if a:\n    clip()\nif a:\n    step()\n", ""),
    ("clip()\nif not a:\n    b()\nelse:\n    step()\n", "a"),
    ("clip()\nif a is None:\n    b()\nelse:\n    step()\n", "a is not None"),
    ("clip()\nif a.b:\n    b()\nelse:\n    step()\n", "not a.b"),
    ("clip()\nif a > 0:\n    b()\nelse:\n    step()\n", None),
    ("clip()\nif a:\n    if b:\n        step()\n", None),
    ("clip()\nfor a in b:\n    step()\n", None),
]


@pytest.mark.parametrize(("source", "condition"), CONDITIONS)
def test_the_condition_that_one_place_has_and_another_has_not(source: str, condition: str | None) -> None:
    script = script_of(source)
    assert last(script, "step()").own_condition(last(script, "clip()")) == condition
