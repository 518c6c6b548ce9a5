from __future__ import annotations

from clipcheck.applicability import Applicability
from clipcheck.diagnostic import NoteText
from clipcheck.report import FORMATS, Report
from clipcheck.report.colour import ansi
from tests.report.sample import diagnostic, span, told


def test_a_finding_shows_source_evidence_reason_and_remedy():
    found = diagnostic(
        span(11, 13, 11, 52),
        NoteText(span(5, 1, 5, 18), "the bound of the critic's weights"),
        NoteText(span(10, 18, 10, 37), "`p` is a parameter of `critic`"),
        applicability=Applicability.UNSAFE,
    )
    assert (
        told("full", found)
        == """\
CLP301 the result of `torch.clamp(p, ...)` is thrown away
  --> train.py:11:13
   |
 9 |     for real, fake in batches:
10 |         for p in critic.parameters():
   |                  ------------------- `p` is a parameter of `critic`
11 |             torch.clamp(p, -clip_value, clip_value)
   |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
  ::: evidence
   |
 5 | clip_value = 0.01
   | ----------------- the bound of the critic's weights
   |
   = why: `torch.clamp` returns a new tensor.
   = help: Clamp in place.
   = fix: Clamp `p` in place (unsafe: what is trained changes)
   = rule: discarded-clip, see `clipcheck rule CLP301`

"""
    )


def test_a_place_over_several_lines_gets_a_margin():
    source = ["x = 1", "torch.clamp(", "    p,", "    -c,", "    c,", ")", "y = 2"]
    lines = told("full", diagnostic(span(2, 1, 6, 2)), source=source).splitlines()
    assert lines[3:11] == [
        "1 |   x = 1",
        "2 | / torch.clamp(",
        "3 | |     p,",
        "4 | |     -c,",
        "5 | |     c,",
        "6 | | )",
        "  | |_^",
        "7 |   y = 2",
    ]


def test_a_place_that_begins_within_a_line_and_ends_lines_below():
    source = ["y = torch.clamp(", "    p)"]
    lines = told("full", diagnostic(span(1, 5, 2, 7)), source=source).splitlines()
    assert lines[3:7] == [
        "1 |   y = torch.clamp(",
        "  |  _____^",
        "2 | |     p)",
        "  | |______^",
    ]


def test_a_very_long_place_is_shown_at_its_ends():
    source = [f"line {row}" for row in range(1, 31)]
    text = told("full", diagnostic(span(1, 1, 30, 8)), source=source)
    assert "line 4\n" in text
    assert "line 15" not in text
    assert "line 30\n" in text
    assert "...  |" in text


def test_what_is_underlined_stands_below_its_source_behind_tabs_and_wide_characters():
    source = ['\tname = "日本語"; torch.clamp(p)']
    column = source[0].index("torch") + 1
    lines = told("full", diagnostic(span(1, column, 1, column + 5)), source=source).splitlines()
    shown, underlined = lines[3], lines[4]
    assert shown == '1 |     name = "日本語"; torch.clamp(p)'
    wide = 3
    assert underlined == "  |" + " " * (shown.index("torch") + wide - 3) + "^^^^^"


def test_long_lines_are_cut_around_the_place():
    source = ["x = [" + "1, " * 500 + "torch.clamp(p)" + ", 1" * 500 + "]"]
    column = source[0].index("torch") + 1
    lines = told("full", diagnostic(span(1, column, 1, column + 14)), source=source).splitlines()
    shown, underlined = lines[3], lines[4]
    assert len(shown) < 160
    assert shown.startswith("1 | …")
    assert shown.endswith("…")
    start = underlined.index("^")
    assert shown[start : start + underlined.count("^")] == "torch.clamp(p)"


def test_control_characters_in_the_source_do_not_reach_the_terminal():
    source = ["x = '\x1b[2J'; torch.clamp(p)\x0c"]
    text = told("full", diagnostic(span(1, 1, 1, 2)), source=source)
    assert "\x1b" not in text
    assert "\x0c" not in text


def test_evidence_in_another_cell_of_a_notebook_says_so():
    cells = {1: ["c = 0.01"], 3: ["torch.clamp(p, -c, c)"]}
    found = diagnostic(span(1, 1, 1, 22, cell=3), NoteText(span(1, 1, 1, 2, cell=1), "the bound"), path="a.ipynb")
    report = Report([found], lines=lambda path, cell: cells[cell or 0])
    text = "".join(FORMATS["full"](report))
    assert "--> a.ipynb:cell 3:1:1" in text
    assert " ::: evidence in cell 1" in text
    assert "1 | c = 0.01\n  | - the bound" in text


def test_a_file_that_became_shorter_is_told_without_source():
    text = told("full", diagnostic(span(11, 13, 11, 52)), source=[])
    assert "--> train.py:11:13" in text
    assert "= why:" in text


def test_safe_fixes_are_marked_and_unsafe_ones_where_they_are_applied():
    safe = diagnostic(span(11, 13, 11, 52), applicability=Applicability.SAFE)
    unsafe = diagnostic(span(11, 13, 11, 52), applicability=Applicability.UNSAFE)
    assert "CLP301 [*] the" in told("full", safe)
    assert "[*]" not in told("full", unsafe)
    assert "CLP301 [*] the" in told("full", unsafe, unsafe=True)


def test_colours_change_nothing_but_the_colours():
    import re

    found = diagnostic(span(10, 9, 11, 52), NoteText(span(5, 1, 5, 18), "the bound"))
    coloured = told("full", found, paint=ansi)
    assert "\x1b[1;31mCLP301\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == told("full", found)
