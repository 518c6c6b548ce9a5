"""One file is linted: screened, parsed, judged, silenced."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from unittest import mock

import libcst as cst
import pytest

from clipcheck.applicability import Applicability
from clipcheck.diagnostic import Position, Span, TextEdit
from clipcheck.engine.lint import Result, lint_bytes, lint_document
from clipcheck.engine.registry import load_cards
from clipcheck.settings import Settings
from clipcheck.source.document import Document
from tests.engine.notebooks import notebook
from tests.engine.toy_rules import RULES


def lint(code: str, path: str = "script.py", **settings: object) -> Result:
    return lint_bytes(path, code.encode(), RULES, Settings(**settings))  # type: ignore[arg-type]


def codes(result: Result) -> list[str]:
    return [diagnostic.code for diagnostic in result.diagnostics]


def test_a_finding_has_its_place_its_words_and_its_evidence() -> None:
    (found,) = lint("import os\nx = 1; unfixable(\n    2)\n").diagnostics
    assert (found.path, found.code, found.name) == ("script.py", "TOY101", "unfixable")
    assert found.span == Span(Position(2, 8), Position(3, 7))
    assert found.message == "unfixable( 2) is wrong"
    assert (found.why, found.advice) == ("Because.", "Do not.")
    assert [(note.span, note.words) for note in found.evidence] == [(Span(Position(2, 8), Position(2, 17)), "here")]
    assert found.fix is None


def test_columns_count_characters() -> None:
    (found,) = lint("s = 'äöü𝄞'; unfixable()\n").diagnostics
    assert found.span == Span(Position(1, 13), Position(1, 24))


def test_a_fix_is_told_as_text_edits() -> None:
    (found,) = lint("import os\nold()\n").diagnostics
    assert found.fix is not None
    assert (found.fix.message, found.fix.applicability) == ("Replace `old`", Applicability.SAFE)
    assert found.fix.edits == (
        TextEdit(Span(Position(1, 10), Position(1, 10)), "\nimport new"),
        TextEdit(Span(Position(2, 1), Position(2, 4)), "new.one"),
    )


def test_a_fix_that_cannot_be_made_is_none() -> None:
    (found,) = lint("refused()\n").diagnostics
    assert found.fix is None


def test_findings_are_sorted_by_their_place() -> None:
    assert codes(lint("risky()\nold(); unfixable()\nold()\n")) == ["TOY202", "TOY201", "TOY101", "TOY201"]


def test_a_file_that_no_screen_lets_through_is_not_even_decoded() -> None:
    assert lint_bytes("script.py", b"\xff\xfe def def", RULES, Settings()) == Result()


def test_only_selected_rules_run() -> None:
    code = "unfixable()\nold()\noff()\n"
    assert codes(lint(code)) == ["TOY101", "TOY201"]
    assert codes(lint(code, select=("TOY2",))) == ["TOY201"]
    assert codes(lint(code, ignore=("TOY2",))) == ["TOY101"]
    assert codes(lint(code, extend_select=("TOY902",))) == ["TOY101", "TOY201", "TOY902"]


def test_rules_are_ignored_in_some_files(tmp_path: Path) -> None:
    settings = {"per_file_ignores": {"tests/*": ("TOY1",)}, "root": tmp_path}
    assert codes(lint("unfixable()\nold()\n", str(tmp_path / "tests" / "a.py"), **settings)) == ["TOY201"]
    assert codes(lint("unfixable()\nold()\n", str(tmp_path / "a.py"), **settings)) == ["TOY101", "TOY201"]


def test_suppressed_findings_are_silent() -> None:
    assert codes(lint("unfixable()  # clipcheck: ignore[TOY101]\nunfixable()\n")) == ["TOY101"]
    assert codes(lint("unfixable(\n    1,\n)  # clipcheck: ignore\n")) == []
    assert codes(lint("# clipcheck: ignore-file\nunfixable()\nold()\n")) == []


def test_a_suppression_that_silences_nothing_is_reported() -> None:
    (found,) = lint("x = 1  # clipcheck: ignore[TOY101]\n").diagnostics
    assert (found.code, found.name, found.span) == (
        "CLP001",
        "unused-suppression",
        Span(Position(1, 8), Position(1, 35)),
    )
    assert found.fix is not None
    assert found.fix.applicability is Applicability.SAFE
    assert found.fix.edits == (TextEdit(Span(Position(1, 6), Position(1, 35)), ""),)


@pytest.mark.parametrize("code", ["x = 1  # clipcheck: ignore[TOY2]\n", "x = 1  # clipcheck: ignore\n"])
def test_a_suppression_of_rules_that_did_not_run_may_be_needed(code: str) -> None:
    assert codes(lint(code)) == ["CLP001"]
    assert codes(lint(code, ignore=("TOY201",))) == []
    assert codes(lint(code, ignore=("CLP001",))) == []


def test_unused_suppressions_are_not_told_where_a_rule_failed() -> None:
    result = lint("crashing()  # clipcheck: ignore[TOY901]\n")
    assert codes(result) == []
    assert len(result.problems) == 1


def test_a_rule_that_crashes_leaves_the_others_alone() -> None:
    result = lint("crashing()\nold()\n")
    assert codes(result) == ["TOY201"]
    (problem,) = result.problems
    assert problem.path == "script.py"
    assert problem.message.startswith("internal error in TOY901: ZeroDivisionError: one by zero (toy_rules.py:")


def test_an_analysis_that_crashes_is_a_problem_of_the_file() -> None:
    with mock.patch("clipcheck.engine.judge.read_script", side_effect=KeyError("x")):
        (problem,) = lint("old()\n").problems
    assert problem.message.startswith("internal error: KeyError: 'x'")


@pytest.mark.parametrize(
    ("code", "message", "position"),
    [
        ("old()\nx = = 1\n", "SyntaxError: invalid syntax", Position(2, 5)),
        (
            "print 'old'\n",
            "SyntaxError: Missing parentheses in call to 'print'. Did you mean print(...)?",
            Position(1, 1),
        ),
        ("old()\n  x = 1\n", "SyntaxError: unexpected indent", None),
    ],
)
def test_what_is_no_python_is_a_problem(code: str, message: str, position: Position | None) -> None:
    (problem,) = lint(code).problems
    assert problem.message == message
    assert position in (None, problem.position)


def test_undecodable_bytes_are_a_problem() -> None:
    (problem,) = lint_bytes("script.py", b"old()\nx = '\xff'\n", RULES, Settings()).problems
    assert problem.position == Position(2, 6)


@pytest.mark.parametrize(
    "code",
    [
        "x = " + " + ".join(["a"] * 1000),
        "x = a" + ".f()" * 300,
        "if a: pass\n" + "elif b: pass\n" * 1000,
        "x = " + "[" * 150 + "]" * 150,
        "x = " + "-" * 1000 + "a",
    ],
)
def test_deep_code_is_read(code: str) -> None:
    result = lint(f"{code}\nunfixable()\n")
    assert result.problems == ()
    assert codes(result) == ["TOY101"]


@pytest.mark.parametrize("code", ["x = " + "(" * 1500 + ")" * 1500, "x = " + "-" * 100_000 + "a"])
def test_code_that_is_too_deep_is_a_problem(code: str) -> None:
    (problem,) = lint(f"{code}\nunfixable()\n").problems
    assert "too" in problem.message


def test_warnings_of_the_parser_are_not_printed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert codes(lint("x = '\\d' is 1\nold()\n")) == ["TOY201"]


def test_the_cells_of_a_notebook_are_one_script() -> None:
    data = notebook("import os", "%time x\nold()")
    (found,) = lint(data, "note.ipynb").diagnostics
    assert found.span == Span(Position(2, 1, 2), Position(2, 6, 2))
    assert found.fix is not None
    assert found.fix.edits[0].span.start == Position(1, 10, 1)


def test_a_document_can_be_linted_without_a_file() -> None:
    assert codes(lint_document(Document.from_bytes("-", b"old()\n"), RULES, Settings())) == ["TOY201"]


def test_a_tree_goes_when_its_file_is_done() -> None:
    """What refers to itself would wait for the garbage collector, and files would add up in memory."""
    fixture = Path("fixtures/gradient_clipping/clip_after_step/gan_trainers.py")
    everything = [card.without_screens() for card in load_cards()]
    gc.collect()
    gc.disable()
    try:
        before = _count_trees()
        assert lint_bytes(str(fixture), fixture.read_bytes(), everything, Settings()).diagnostics
        assert _count_trees() == before
    finally:
        gc.enable()


def _count_trees() -> int:
    return sum(isinstance(thing, cst.Module) for thing in gc.get_objects())
