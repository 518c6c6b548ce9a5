"""What the outline of a file tells: which calls there are, under whatever name, and what stands around them."""

from __future__ import annotations

import ast

import pytest

from clipcheck.outline import CannotTellError, Outline


def called(code: str, *names: str) -> list[str]:
    return [ast.unparse(site.call) for site in Outline(code.encode()).calls(names or ("clip", "clamp"))]


def test_calls_are_found_by_their_last_name() -> None:
    assert called("torch.clamp(x)\nx.data.clip(0)\nclip(x)\nclipped(x)\nx.clip\n") == [
        "clip(x)",
        "x.data.clip(0)",
        "torch.clamp(x)",
    ]


@pytest.mark.parametrize(
    "code",
    [
        "from torch import clamp as c\nc(x)",
        "from torch import (\n    clamp as c,\n)\nc(x)",
        "c = torch.clamp\nc(x)",
        "c: object = torch . clamp  # the fast one\nc(x)",
        "b = c = torch.clamp\nc(x)",
        "b = clamp\nc = b\nc(x)",
        "c = \\\n    torch.clamp\nc(x)",
    ],
)
def test_calls_are_found_under_other_names(code: str) -> None:
    assert called(code) == ["c(x)"]


@pytest.mark.parametrize("code", ["x.clamp (0)", "x.clamp\\\n(0)", "(x.clamp)(0)", "(x.clamp  # soon\n (0))"])
def test_what_stands_before_the_parenthesis_does_not_matter(code: str) -> None:
    assert called(code) == ["x.clamp(0)"]


def test_comments_strings_and_definitions_are_no_calls() -> None:
    assert called('# clip(x)\n"clip(x)"\ndef clip(x): ...\nclass clamp(Base): ...\n') == []


def test_a_definition_inside_of_a_string_does_not_cut_the_code() -> None:
    code = 'a = """\ndef f():\n"""\nclip(1)\nb = """\nclip(2)\n"""\ndef g():\n    clip(3)\n'
    assert sorted(called(code)) == ["clip(1)", "clip(3)"]


def test_a_piece_that_is_no_code_by_itself_is_read_with_the_rest() -> None:
    assert called("if x:\n  def f():\n    clip(1)\n\nelse:\n  clip(2)\n") == ["clip(2)", "clip(1)"]
    assert called("try:\n    import a\nexcept E:\n    pass\n\n\ndef f():\n    pass\nclip(1)\n") == ["clip(1)"]


@pytest.mark.parametrize("code", ["clip(\n", "clip(x)\rclip(y)\n", "clip" + "(" * 3000 + ")" * 3000])
def test_what_cannot_be_read_is_not_judged(code: str) -> None:
    with pytest.raises(CannotTellError):
        called(code)


def test_what_stands_around_a_call() -> None:
    (site,) = Outline(b"def f(x):\n    for y in x:\n        z = torch.clamp(y, min=0)\n").calls(["clamp"])
    assert [type(node).__name__ for node in site.above] == ["Assign", "For", "FunctionDef", "Module"]
    assert (site.root, ast.unparse(site.statement)) == ("torch", "z = torch.clamp(y, min=0)")
    assert [ast.unparse(a) for a in (site.argument(0), site.argument(1, "min")) if a is not None] == ["y", "0"]
    assert site.argument(2, "max") is None


def test_imported_words() -> None:
    code = b"import a.b as c, d\nfrom e import (\n    f,\n    g as h,\n)\nif x: import i\nimportant = j\n"
    assert Outline(code).imported == set("abcdfghi") | {"as"}


def test_words_are_searched_and_patterns_too() -> None:
    outline = Outline(b"Clip(1)")
    assert [outline.has(p) for p in (rb"clip|Clip", rb"clip", rb"[cC]lip\(", rb"(?i)CLIP")] == [True, False, True, True]
