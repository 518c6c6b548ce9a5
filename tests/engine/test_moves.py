"""Statements are moved into other blocks with the comment above them, and look as if they had been written there."""

from __future__ import annotations

import libcst as cst
import pytest

from clipcheck.edit import InsertBefore, MoveAfter, MoveBefore, PutUnder
from clipcheck.engine.rewrite import CannotRewriteError
from tests.engine.rewriting import rewritten

BEFORE = [
    ("step()\nclip()\n", "clip()\nstep()\n"),
    ("step()\nclip()", "clip()\nstep()"),
    ("clip()\na()\nstep()\n", "a()\nclip()\nstep()\n"),
    ("step()\r\n# why\r\nclip()\r\n", "# why\r\nclip()\r\nstep()\r\n"),
    ("step()\n# why\n# and how\nclip()  # now\nb()\n", "# why\n# and how\nclip()  # now\nstep()\nb()\n"),
    ("# update\nstep()\n# why\nclip()\n", "# why\nclip()\n# update\nstep()\n"),
    ("a()\nstep()\n\n# why\nclip()\n\nb()\n", "a()\n# why\nclip()\nstep()\n\nb()\n"),
    ("step()\n# of all\n\nclip()\nb()\n", "clip()\nstep()\n# of all\n\nb()\n"),
    ("clip()\nfor x in y:\n    a()\n    step()\n", "for x in y:\n    a()\n    clip()\n    step()\n"),
    ("# why\nclip()\nfor x in y:\n\tstep()\n", "for x in y:\n\t# why\n\tclip()\n\tstep()\n"),
    (
        "clip(\n    p,\n    1.0,\n)\nif x:\n    # update\n    step()\n",
        "if x:\n    clip(\n        p,\n        1.0,\n    )\n    # update\n    step()\n",
    ),
    (
        "def f():\n    if x:\n        clip()\n    step()\n",
        "def f():\n    if x:\n        pass\n    clip()\n    step()\n",
    ),
    ("if x:\n    # why\n    clip()\nstep()\n", "if x:\n    pass\n# why\nclip()\nstep()\n"),
    ("if x: step()\nclip()\n", "if x:\n    clip()\n    step()\n"),
    ("step(); clip(); b()\n", "clip()\nstep(); b()\n"),
    ("clip(); a(); step()\nb()\n", "a()\nclip()\nstep()\nb()\n"),
    ("if x: clip()\nstep()\n", "if x: pass\nclip()\nstep()\n"),
    ('clip("""\n  a\n""")\nif x:\n  step()\n', 'if x:\n  clip("""\n  a\n""")\n  step()\n'),
]


@pytest.mark.parametrize(("before", "after"), BEFORE)
def test_a_statement_moves_before_another(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (MoveBefore(nodes.call("clip"), nodes.call("step")),)) == after


AFTER = [
    ("clip()\nstep()\n", "step()\nclip()\n"),
    ("clip()\nstep()", "step()\nclip()"),
    ("# why\nclip()\nstep()  # now\nb()\n", "step()  # now\n# why\nclip()\nb()\n"),
    ("clip()\nif x:\n    step()\nelse:\n    a()\n", "if x:\n    step()\n    clip()\nelse:\n    a()\n"),
    ("clip()\nif x: step()\n", "if x:\n    step()\n    clip()\n"),
    ("clip()\na(); step(); b()\n", "a(); step()\nclip()\nb()\n"),
    ("if x:\n\tstep()\nclip()\n", "if x:\n\tstep()\n\tclip()\n"),
]


@pytest.mark.parametrize(("before", "after"), AFTER)
def test_a_statement_moves_behind_another(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (MoveAfter(nodes.call("clip"), nodes.call("step")),)) == after


UNDER = [
    ("clip()\nb()\n", "if x:\n    clip()\nb()\n"),
    ("def f():\n\t# why\n\tclip()  # now", "def f():\n\t# why\n\tif x:\n\t\tclip()  # now"),
    ("if y:\n  clip(\n    p,\n    1.0,\n  )\n", "if y:\n  if x:\n    clip(\n      p,\n      1.0,\n    )\n"),
    ("if y: clip()\n", "if y:\n    if x:\n        clip()\n"),
    ("a(); clip(); b()\n", "a()\nif x:\n    clip()\nb()\n"),
    ("for p in clip():\n    a()\n", "if x:\n    for p in clip():\n        a()\n"),
]


@pytest.mark.parametrize(("before", "after"), UNDER)
def test_a_statement_is_put_under_a_condition(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (PutUnder(nodes.call("clip"), "if x:"),)) == after


def test_a_loop_moves_with_its_block() -> None:
    before = (
        "for x in y:\n    step()\n    # bound them\n    for p in ps:\n        if p.grad:\n\n"
        "            p.clip()  # in place\n        # done\n    b()\n"
    )
    after = rewritten(before, lambda nodes: (MoveBefore(nodes.tree.all(cst.For)[1], nodes.call("step")),))
    assert after == (
        "for x in y:\n    # bound them\n    for p in ps:\n        if p.grad:\n\n"
        "            p.clip()  # in place\n        # done\n    step()\n    b()\n"
    )


def test_what_leads_a_moved_statement_takes_its_indentation() -> None:
    lead = "if amp:\n    unscale()"
    after = rewritten(
        "if x:\n  step()\n# why\nclip()\n",
        lambda nodes: (MoveBefore(nodes.call("clip"), nodes.call("step"), lead),),
    )
    assert after == "if x:\n  if amp:\n    unscale()\n  # why\n  clip()\n  step()\n"


def test_two_statements_move_to_one_place_in_their_order() -> None:
    after = rewritten(
        "if x:\n    step()\nclip()\nnoise()\n",
        lambda nodes: (
            MoveBefore(nodes.call("clip"), nodes.call("step")),
            MoveBefore(nodes.call("noise"), nodes.call("step")),
        ),
    )
    assert after == "if x:\n    clip()\n    noise()\n    step()\n"


def test_two_statements_that_empty_a_block_leave_one_pass() -> None:
    after = rewritten(
        "if x:\n    clip()\n    noise()\nstep()\n",
        lambda nodes: (
            MoveBefore(nodes.call("clip"), nodes.call("step")),
            MoveBefore(nodes.call("noise"), nodes.call("step")),
        ),
    )
    assert after == "if x:\n    pass\nclip()\nnoise()\nstep()\n"


def test_a_statement_is_not_moved_to_itself() -> None:
    with pytest.raises(CannotRewriteError):
        rewritten("step(clip())\n", lambda nodes: (MoveBefore(nodes.call("clip"), nodes.call("step")),))


def test_a_statement_is_not_moved_into_what_moves_away() -> None:
    def edits(nodes):  # type: ignore[no-untyped-def]
        return MoveBefore(nodes.first(cst.If), nodes.call("step")), InsertBefore(nodes.call("clip"), "new()")

    with pytest.raises(CannotRewriteError):
        rewritten("if x:\n    clip()\nstep()\n", edits)
