"""Entries are added to and dropped from a dict display, and parameters to a function, in the layout that they have."""

from __future__ import annotations

import libcst as cst
import pytest

from clipcheck.edit import AddEntry, AddParameter, DropEntry
from clipcheck.engine.rewrite import CannotRewriteError
from tests.engine.rewriting import rewritten

ADDED = [
    ("x = {}\n", 'x = {"c": 1}\n'),
    ("x = {'a': 1}\n", "x = {'a': 1, \"c\": 1}\n"),
    ("x = {'a': 1,}\n", "x = {'a': 1, \"c\": 1,}\n"),
    ("x = ({'a': (1)})\n", "x = ({'a': (1), \"c\": 1})\n"),
    ("x = {\n    'a': 1,  # the a\n}\n", "x = {\n    'a': 1,  # the a\n    \"c\": 1,\n}\n"),
    ("x = {'a': 1,\n     **b}\n", "x = {'a': 1,\n     **b,\n     \"c\": 1}\n"),
]


@pytest.mark.parametrize(("before", "after"), ADDED)
def test_an_entry_is_added(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (AddEntry(nodes.first(cst.Dict), '"c": 1'),)) == after


DROPPED = [
    ("x = {'a': 1}\n", [0], "x = {}\n"),
    ("x = {'a': 1, 'b': 2}\n", [0], "x = {'b': 2}\n"),
    ("x = {'a': 1, 'b': 2}\n", [1], "x = {'a': 1}\n"),
    ("x = {'a': 1,\n     'b': 2}\n", [0], "x = {'b': 2}\n"),
    ("x = {\n    'a': 1,  # the a\n    'b': 2,  # the b\n}\n", [0], "x = {\n    'b': 2,  # the b\n}\n"),
    ("x = {'a': 1, **b, 'c': 3}\n", [0, 2], "x = {**b}\n"),
]


@pytest.mark.parametrize(("before", "dropped", "after"), DROPPED)
def test_an_entry_is_dropped(before: str, dropped: list[int], after: str) -> None:
    def edits(nodes):  # type: ignore[no-untyped-def]
        display = nodes.first(cst.Dict)
        return tuple(DropEntry(display, display.elements[index]) for index in dropped)

    assert rewritten(before, edits) == after


def test_a_new_entry_takes_the_place_of_a_dropped_last_one() -> None:
    def edits(nodes):  # type: ignore[no-untyped-def]
        display = nodes.first(cst.Dict)
        return DropEntry(display, display.elements[0]), AddEntry(display, "'b': 2")

    assert rewritten("x = {\n    'a': 1,\n}\n", edits) == "x = {\n    'b': 2,\n}\n"


PARAMETERS = [
    ("def f(): pass\n", "def f(**kwargs): pass\n"),
    ("def f(self): pass\n", "def f(self, **kwargs): pass\n"),
    ("def f(a, /): pass\n", "def f(a, /, **kwargs): pass\n"),
    ("def f(self, c: float = 0.5): pass\n", "def f(self, c: float = 0.5, **kwargs): pass\n"),
    ("def f(self, c=(0.5)): pass\n", "def f(self, c=(0.5), **kwargs): pass\n"),
    ("def f(self, *, c=1): pass\n", "def f(self, *, c=1, **kwargs): pass\n"),
    ("def f(self, *args): pass\n", "def f(self, *args, **kwargs): pass\n"),
    ("def f(\n    self,\n    c,\n): pass\n", "def f(\n    self,\n    c,\n    **kwargs,\n): pass\n"),
    ("def f(self,\n      c=1):\n    pass\n", "def f(self,\n      c=1,\n      **kwargs):\n    pass\n"),
]


@pytest.mark.parametrize(("before", "after"), PARAMETERS)
def test_a_parameter_is_added(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (AddParameter(nodes.first(cst.FunctionDef), "**kwargs"),)) == after


def test_a_second_kwargs_is_refused() -> None:
    with pytest.raises(CannotRewriteError):
        rewritten("def f(**kw): pass\n", lambda nodes: (AddParameter(nodes.first(cst.FunctionDef), "**kwargs"),))


def test_another_parameter_comes_before_kwargs() -> None:
    assert rewritten("def f(a, **kw): pass\n", lambda nodes: (AddParameter(nodes.first(cst.FunctionDef), "k=1"),)) == (
        "def f(a, k=1, **kw): pass\n"
    )
