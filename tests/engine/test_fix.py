"""One file is fixed until nothing changes, and what is not touched stays byte for byte."""

from __future__ import annotations

import pytest

from clipcheck.engine.fix import Dropped, Fixed, FixResult, fix_document
from clipcheck.settings import Settings
from clipcheck.source.document import Document
from tests.engine.notebooks import notebook
from tests.engine.toy_rules import RULES


def fix(code: str | bytes, *, unsafe: bool = False, path: str = "script.py", **settings: object) -> FixResult:
    data = code.encode() if isinstance(code, str) else code
    document = Document.from_bytes(path, data)
    return fix_document(document, RULES, Settings(**settings), unsafe=unsafe)  # type: ignore[arg-type]


def text(result: FixResult) -> str:
    assert result.document is not None
    return result.document.encode().decode()


def codes(result: FixResult) -> list[str]:
    return [diagnostic.code for diagnostic in result.diagnostics]


def test_safe_fixes_are_applied() -> None:
    result = fix("import os\nold(old(1))\nunfixable()\n")
    assert text(result) == "import os\nimport new\nnew.one(new.one(1))\nunfixable()\n"
    assert result.fixed == (Fixed("TOY201", "old", 2),)
    assert codes(result) == ["TOY101"]
    assert result.is_changed


def test_unsafe_fixes_wait_until_they_are_asked_for() -> None:
    waiting = fix("x = risky()\ny = risky()\n")
    assert not waiting.is_changed
    assert waiting.unsafe_waiting == 2
    result = fix("x = risky()\ny = risky()\n", unsafe=True)
    assert text(result) == "class Guard:\n    def __call__(self):\n        return 1\n\n\nx = Guard()\ny = Guard()\n"
    assert (result.fixed, result.unsafe_waiting) == ((Fixed("TOY202", "risky", 2),), 0)


def test_a_fixed_file_is_stable() -> None:
    result = fix("old()\nrisky()\n", unsafe=True)
    again = fix(text(result), unsafe=True)
    assert not again.is_changed
    assert again.fixed == ()


def test_only_selected_rules_fix() -> None:
    assert not fix("old()\n", ignore=("TOY201",)).is_changed


def test_suppressed_findings_are_not_fixed() -> None:
    assert not fix("old()  # clipcheck: ignore[TOY201]\n").is_changed


def test_an_unused_suppression_is_removed() -> None:
    assert text(fix("x = 1  # clipcheck: ignore\nold()\n")) == "import new\n\nx = 1\nnew.one()\n"


def test_a_fix_that_would_not_parse_is_dropped() -> None:
    result = fix("breaking()\nold()\n")
    assert text(result) == "import new\n\nbreaking()\nnew.one()\n"
    (dropped,) = result.dropped
    assert (dropped.code, dropped.position.row) == ("TOY301", 1)
    assert "SyntaxError" in dropped.reason
    assert codes(result) == ["TOY301"]


def test_a_fix_that_brings_an_error_is_dropped() -> None:
    result = fix("worsening()\nold()\n")
    assert "worsening()\nnew.one()\n" in text(result)
    assert [(own.code, own.reason) for own in result.dropped] == [("TOY302", "it would bring a new finding of TOY101")]


def test_a_fix_that_cannot_be_written_is_dropped() -> None:
    result = fix("refused()\n")
    assert result.dropped == (
        Dropped("TOY305", result.diagnostics[0].span.start, "two edits of the fix change the same text"),
    )


def test_fixes_that_are_good_alone_are_made_one_after_the_other() -> None:
    result = fix("if x:\n    removable()\n    removable()\n")
    assert text(result) == "if x:\n    pass\n"
    assert result.dropped == ()


def test_fixes_that_never_end_are_stopped() -> None:
    result = fix("endless()\n")
    assert [problem.message for problem in result.problems] == ["the fixes still change the file after 50 rounds"]


def test_a_file_that_cannot_be_parsed_is_left_alone() -> None:
    result = fix("old(\n")
    assert not result.is_changed
    assert len(result.problems) == 1


def test_a_rule_that_crashes_does_not_keep_others_from_fixing() -> None:
    result = fix("crashing()\nold()\n")
    assert text(result) == "import new\n\ncrashing()\nnew.one()\n"
    assert len(result.problems) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"import os\r\n\r\nold ( )\r\n", b"import os\r\nimport new\r\n\r\nnew.one ( )\r\n"),
        (b"\xef\xbb\xbfimport os\nold()", b"\xef\xbb\xbfimport os\nimport new\nnew.one()"),
        (b"\xef\xbb\xbfold()\n", b"\xef\xbb\xbfimport new\n\nnew.one()\n"),
        (
            b"# coding: latin-1\nimport os\ns = '\xe4'; old()\n",
            b"# coding: latin-1\nimport os\nimport new\ns = '\xe4'; new.one()\n",
        ),
        (
            b"import os\nif x:\n\told( 1 , )\t# why \n\n\n",
            b"import os\nimport new\nif x:\n\tnew.one( 1 , )\t# why \n\n\n",
        ),
        (b"import os\rold()\r", b"import os\rimport new\rnew.one()\r"),
        (b"import os\nx = '''\r\n'''\nold()\n", b"import os\nimport new\nx = '''\r\n'''\nnew.one()\n"),
        (b"import os\nx = 1\x0c\nold()\n", b"import os\nimport new\nx = 1\x0c\nnew.one()\n"),
        ("import os\ns = '\u2028𝄞'; old()\n".encode(), "import os\nimport new\ns = '\u2028𝄞'; new.one()\n".encode()),
    ],
)
def test_what_is_not_touched_stays_byte_for_byte(before: bytes, after: bytes) -> None:
    result = fix(before)
    assert result.document is not None
    assert result.document.encode() == after


def test_a_notebook_is_fixed_in_its_cells() -> None:
    before = notebook("import os", "%time x\nold()")
    after = before.replace("import os", "import os\\nimport new").replace("old()", "new.one()")
    assert text(fix(before, path="note.ipynb")) == after
