"""Statements are inserted, removed, replaced and decorated where they stand, whatever their block looks like."""

from __future__ import annotations

import libcst as cst
import pytest

from clipcheck.edit import AddDecorator, AppendToBody, InsertAfter, InsertBefore, Remove, Replace
from clipcheck.engine.rewrite import CannotRewriteError
from tests.engine.rewriting import Nodes, rewritten

BEFORE = [
    ("step()\n", "new()\nstep()\n"),
    ("# why\nstep()\n", "# why\nnew()\nstep()\n"),
    ("for x in y:\n    a()\n    step()\n", "for x in y:\n    a()\n    new()\n    step()\n"),
    ("for x in y:\n\ta()\n\tstep()", "for x in y:\n\ta()\n\tnew()\n\tstep()"),
    ("a(); step(); b()\n", "a()\nnew()\nstep(); b()\n"),
    ("if x: step()\n", "if x:\n    new()\n    step()\n"),
    ("if x: step()  # why\nb()\n", "if x:\n    new()\n    step()  # why\nb()\n"),
    ("if x: a(); step()\n", "if x:\n    a()\n    new()\n    step()\n"),
    ("if x:\n  if y: step()\n", "if x:\n  if y:\n    new()\n    step()\n"),
    ("if x:\n\tif y: step()\n\telse: a()\n", "if x:\n\tif y:\n\t\tnew()\n\t\tstep()\n\telse: a()\n"),
    ("if x: a()\nelse: step()\n", "if x: a()\nelse:\n    new()\n    step()\n"),
    ("if x: a()\nelif step(): b()\n", "new()\nif x: a()\nelif step(): b()\n"),
    ("@step()\n@other\ndef f(): pass\n", "new()\n@step()\n@other\ndef f(): pass\n"),
    ("while step():\n    a()\n", "new()\nwhile step():\n    a()\n"),
    ("x = [step() for _ in y]\n", "new()\nx = [step() for _ in y]\n"),
    ("x = 1\r\nstep()\r\n", "x = 1\r\nnew()\r\nstep()\r\n"),
    ("\ufeffstep()\n", "\ufeffnew()\nstep()\n"),
]


@pytest.mark.parametrize(("before", "after"), BEFORE)
def test_a_statement_is_put_before_another(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (InsertBefore(nodes.call("step"), "new()"),)) == after


AFTER = [
    ("step()\n", "step()\nnew()\n"),
    ("step()", "step()\nnew()"),
    ("step()  # why\na()\n", "step()  # why\nnew()\na()\n"),
    ("step();  # why\na()\n", "step();  # why\nnew()\na()\n"),
    ("step()\r\na()\r\n", "step()\r\nnew()\r\na()\r\n"),
    ("step(); a()\n", "step()\nnew()\na()\n"),
    ("if x: step()\n", "if x:\n    step()\n    new()\n"),
    ("if x: step(); a()  # why\n", "if x:\n    step()\n    new()\n    a()  # why\n"),
    ("if x:\n    step()\nelse:\n    a()\n", "if x:\n    step()\n    new()\nelse:\n    a()\n"),
    ("while step():\n    a()  # why\nb()\n", "while step():\n    a()  # why\nnew()\nb()\n"),
    (
        "while step():\n    a()\n\n    # inside\n# outside\nb()\n",
        "while step():\n    a()\n\n    # inside\nnew()\n# outside\nb()\n",
    ),
    ("if step():\n    a()\nelse: b(); c()\n", "if step():\n    a()\nelse: b(); c()\nnew()\n"),
    ("def f():\n    x = step()\n    return x\n", "def f():\n    x = step()\n    new()\n    return x\n"),
    ('x = step("""\n  text\n""")  # why\n', 'x = step("""\n  text\n""")  # why\nnew()\n'),
]


@pytest.mark.parametrize(("before", "after"), AFTER)
def test_a_statement_is_put_after_another(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (InsertAfter(nodes.call("step"), "new()"),)) == after


def test_nested_code_takes_the_indentation_of_the_file() -> None:
    before = "class A:\n  def f(self):\n    step()\n"
    code = "with no_grad():\n    for p in ps:\n        p.clamp_(\n            -c,\n            c,\n        )\n"
    after = rewritten(before, lambda nodes: (InsertAfter(nodes.call("step"), code),))
    assert after == before + (
        "    with no_grad():\n      for p in ps:\n        p.clamp_(\n          -c,\n          c,\n        )\n"
    )


def test_a_statement_taken_from_the_file_keeps_its_layout() -> None:
    clip = "clip(\n        p,\n        1.0,\n    )"
    before = f"def f():\n    step()\n    {clip}\n    done()\n"
    after = rewritten(before, lambda nodes: (Remove(nodes.call("clip")), InsertBefore(nodes.call("step"), clip)))
    assert after == f"def f():\n    {clip}\n    step()\n    done()\n"


def test_the_inside_of_a_string_is_not_indented() -> None:
    before = "if x:\n    step()\n"
    code = 's = """\n  a\nb"""\ndef g():\n    """One.\n\n    Two.\n    """\n'
    after = rewritten(before, lambda nodes: (InsertAfter(nodes.call("step"), code),))
    assert after == before + ('    s = """\n  a\nb"""\n    def g():\n        """One.\n\n        Two.\n        """\n')


REMOVED = [
    ("a()\nstep()\nb()\n", "a()\nb()\n"),
    ("a()\nstep()  # why\nb()\n", "a()\nb()\n"),
    ("a()\n# above\nstep()\nb()\n", "a()\n# above\nb()\n"),
    ("a()\nstep()", "a()"),
    ("a()\r\nstep()\r\nb()\r\n", "a()\r\nb()\r\n"),
    ("step()\n", ""),
    ("a(); step(); b()\n", "a(); b()\n"),
    ("a(); step()  # why\n", "a()  # why\n"),
    ("step(); b()\n", "b()\n"),
    ("if x:\n    step()\n", "if x:\n    pass\n"),
    ("if x:\n    # above\n    step()  # why\n", "if x:\n    # above\n    pass\n"),
    ("if x: step()\n", "if x: pass\n"),
    ("if x: step(); a()\n", "if x: a()\n"),
    ("if x: a(); step()\n", "if x: a()\n"),
    ("if x:\n    a(); step()\n", "if x:\n    a()\n"),
    ("for x in step():\n    a()\n    b()\n    # end\nc()\n", "c()\n"),
    ("if x:\n    for x in step():\n        a()\n", "if x:\n    pass\n"),
    ("a()\n\nstep()\n\nb()\n", "a()\n\nb()\n"),
    ("a()\n\nstep()\n\n\ndef f(): pass\n", "a()\n\n\ndef f(): pass\n"),
    ("a()\n\nstep()\nb()\n", "a()\n\nb()\n"),
    ("if x:\n    step()\n\n    b()\n", "if x:\n    b()\n"),
    ("if x:\n    step()\n\nb()\n", "if x:\n    pass\n\nb()\n"),
    ("a()\nstep(\n    1,\n    2,\n)\nb()\n", "a()\nb()\n"),
    ("try:\n    a()\nexcept E:\n    step()\n", "try:\n    a()\nexcept E:\n    pass\n"),
]


@pytest.mark.parametrize(("before", "after"), REMOVED)
def test_a_statement_is_removed(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (Remove(nodes.call("step")),)) == after


REMOVED_TOGETHER = [
    ("if x:\n    step()\n    step()\n", "if x:\n    pass\n"),
    ("if x: step(); step()\n", "if x: pass\n"),
    ("if x:\n    step(); step()\n", "if x:\n    pass\n"),
    ("if x:\n    a(); step(); step()\n", "if x:\n    a()\n"),
    ("step(); a(); step(); b()\n", "a(); b()\n"),
    ("step(); step()\nb()\n", "b()\n"),
]


@pytest.mark.parametrize(("before", "after"), REMOVED_TOGETHER)
def test_statements_are_removed_together(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (Remove(nodes.call("step")), Remove(nodes.call("step", 1)))) == after


REPLACED = [
    ("if x:\n    step()  # why\n", "new()", "if x:\n    new()  # why\n"),
    ("if x:\n    step()\n", "with a:\n    b()", "if x:\n    with a:\n        b()\n"),
    ("if x: step()\n", "new()", "if x: new()\n"),
    ("if x: step()\n", "new()\nold()", "if x:\n    new()\n    old()\n"),
    ("a(); step(); b()\n", "new()", "a(); new(); b()\n"),
    ("a(); step(); b()\n", "for x in y: z()", "a()\nfor x in y: z()\nb()\n"),
]


@pytest.mark.parametrize(("before", "code", "after"), REPLACED)
def test_a_statement_is_replaced(before: str, code: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (Replace(nodes.of(cst.Expr, "step()"), code),)) == after


def test_a_compound_statement_is_replaced_with_its_block() -> None:
    before = "def f():\n    for p in ps:\n        p.clamp_()  # why\n    b()\n"
    after = rewritten(before, lambda nodes: (Replace(nodes.first(cst.For), "clamp(ps)"),))
    assert after == "def f():\n    clamp(ps)  # why\n    b()\n"


def test_a_branch_is_no_statement_to_replace() -> None:
    with pytest.raises(CannotRewriteError):
        rewritten("if x: a()\nelif y: b()\n", lambda nodes: (Replace(nodes.tree.all(cst.If)[1], "c()"),))


def test_a_statement_moves() -> None:
    before = "for x in y:\n    opt.step()\n    if x: clip()\n"
    after = rewritten(
        before, lambda nodes: (Remove(nodes.call("clip")), InsertBefore(nodes.call("opt.step"), "clip()"))
    )
    assert after == "for x in y:\n    clip()\n    opt.step()\n    if x: pass\n"


def test_insertions_at_one_place_keep_their_order() -> None:
    after = rewritten(
        "if x: step()\n",
        lambda nodes: (
            InsertBefore(nodes.call("step"), "one()"),
            InsertBefore(nodes.call("step"), "two()"),
            InsertAfter(nodes.call("step"), "three()"),
            InsertAfter(nodes.call("step"), "four()"),
        ),
    )
    assert after == "if x:\n    one()\n    two()\n    step()\n    three()\n    four()\n"


APPENDED = [
    (
        "class A:\n    def f(self):\n        pass\n",
        "class A:\n    def f(self):\n        pass\n\n    def g(self):\n        return 1\n",
    ),
    (
        "class A:\n    x = 1\n    # end\n\n\nb()\n",
        "class A:\n    x = 1\n    # end\n\n    def g(self):\n        return 1\n\n\nb()\n",
    ),
    ("class A: pass\n", "class A:\n    def g(self):\n        return 1\n"),
    ("class A: x = 1\n", "class A:\n    x = 1\n\n    def g(self):\n        return 1\n"),
    ("class A:\n    pass\n", "class A:\n    def g(self):\n        return 1\n"),
    ("class A: ...", "class A:\n    def g(self):\n        return 1"),
    ("class A:\n\tx = 1", "class A:\n\tx = 1\n\n\tdef g(self):\n\t\treturn 1"),
    ('class A:\n    """Doc."""\n', 'class A:\n    """Doc."""\n\n    def g(self):\n        return 1\n'),
]


@pytest.mark.parametrize(("before", "after"), APPENDED)
def test_a_method_is_put_at_the_end_of_a_class(before: str, after: str) -> None:
    method = "def g(self):\n    return 1\n"
    assert rewritten(before, lambda nodes: (AppendToBody(nodes.first(cst.ClassDef), method),)) == after


DECORATED = [
    ("class A:\n    pass\n", "@register()\nclass A:\n    pass\n"),
    ("# about A\n@other\nclass A:\n    pass\n", "# about A\n@register()\n@other\nclass A:\n    pass\n"),
    ("if x:\n    class A: pass\n", "if x:\n    @register()\n    class A: pass\n"),
]


@pytest.mark.parametrize(("before", "after"), DECORATED)
def test_a_class_is_decorated(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (AddDecorator(nodes.first(cst.ClassDef), "register()"),)) == after


def test_an_async_function_is_decorated() -> None:
    assert rewritten("async def f(): pass\n", lambda nodes: (AddDecorator(nodes.first(cst.FunctionDef), "d"),)) == (
        "@d\nasync def f(): pass\n"
    )


def test_edits_of_the_same_text_are_refused() -> None:
    def edits(nodes: Nodes) -> tuple[Replace, Remove]:
        return Replace(nodes.call("step"), "new()"), Remove(nodes.call("step"))

    with pytest.raises(CannotRewriteError):
        rewritten("a()\nstep()\n", edits)
