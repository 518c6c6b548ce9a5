from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from clipcheck.applicability import Applicability
from clipcheck.diagnostic import Diagnostic, Position, Problem
from clipcheck.report import FORMATS, Report, diff_summary, fix_summary, statistics, statistics_json, summary
from clipcheck.report.colour import ansi, paint_for, plain
from tests.report.sample import diagnostic, span, told

PLACE = span(11, 13, 11, 52)
MANUAL = diagnostic(PLACE, code="CLP305")
SAFE = diagnostic(PLACE, applicability=Applicability.SAFE)
UNSAFE = diagnostic(PLACE, applicability=Applicability.UNSAFE)
BROKEN = Problem("broken.py", "invalid syntax", Position(3, 7))
MISSING = Problem("missing.py", "No such file")


def test_concise_is_one_line_a_finding():
    assert told("concise", SAFE, UNSAFE) == (
        "train.py:11:13: CLP301 [*] the result of `torch.clamp(p, ...)` is thrown away\n"
        "train.py:11:13: CLP301 the result of `torch.clamp(p, ...)` is thrown away\n"
    )


def test_concise_names_the_cell_of_a_notebook():
    assert told("concise", diagnostic(span(2, 1, 2, 5, cell=4), path="a.ipynb")).startswith("a.ipynb:cell 4:2:1: CLP")


def test_json_has_the_keys_of_ruff():
    report = Report([UNSAFE], url=lambda code: f"https://example.org/{code}")
    assert json.loads("".join(FORMATS["json"](report))) == [
        {
            "cell": None,
            "code": "CLP301",
            "end_location": {"column": 52, "row": 11},
            "filename": str(Path.cwd() / "train.py"),
            "fix": {
                "applicability": "unsafe",
                "edits": [
                    {
                        "content": "p.data.clamp_",
                        "end_location": {"column": 24, "row": 11},
                        "location": {"column": 13, "row": 11},
                    }
                ],
                "message": "Clamp `p` in place",
            },
            "location": {"column": 13, "row": 11},
            "message": "the result of `torch.clamp(p, ...)` is thrown away",
            "name": "discarded-clip",
            "noqa_row": None,
            "url": "https://example.org/CLP301",
        }
    ]


def test_json_of_nothing_is_an_empty_list():
    assert json.loads(told("json")) == []


def test_json_lists_what_could_not_be_checked_as_ruff_does():
    (syntax, missing) = json.loads("".join(FORMATS["json"](Report([], [BROKEN, MISSING]))))
    assert (syntax["code"], syntax["location"]) == ("invalid-syntax", {"column": 7, "row": 3})
    assert (missing["code"], missing["message"]) == ("error", "No such file")
    assert syntax["fix"] is syntax["url"] is None


def test_github_escapes_what_would_end_a_command():
    found = Diagnostic("a,b:c.py", "CLP301", "n", PLACE, "100 % of\nit", "why", "Do.")
    assert told("github", found) == (
        "::error title=clipcheck (CLP301),file=a%2Cb%3Ac.py,line=11,col=13,endLine=11,endColumn=52"
        "::a,b:c.py:11:13: CLP301 100 %25 of%0Ait%0ADo.\n"
    )


def test_github_has_no_row_for_the_cell_of_a_notebook():
    text = told("github", diagnostic(span(9, 1, 9, 5, cell=4), path="a.ipynb"))
    assert ",file=a.ipynb,line=1::a.ipynb:cell 4:9:1: " in text


def test_github_tells_what_could_not_be_checked():
    assert "".join(FORMATS["github"](Report([], [BROKEN, MISSING]))) == (
        "::error title=clipcheck (error),file=broken.py,line=3,col=7::broken.py:3:7: invalid syntax\n"
        "::error title=clipcheck (error),file=missing.py::missing.py: No such file\n"
    )


def test_statistics_count_by_rule_the_most_frequent_first():
    report = Report([MANUAL, SAFE, UNSAFE])
    assert "".join(statistics(report)) == "2  CLP301  [-] discarded-clip\n1  CLP305  [ ] discarded-clip\n"
    assert json.loads("".join(statistics_json(report)))[0] == {
        "code": "CLP301",
        "name": "discarded-clip",
        "count": 2,
        "fixable": False,
        "fixable_count": 1,
    }


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (Report([]), "All checks passed!\n"),
        (Report([MANUAL]), "Found 1 error.\n"),
        (Report([MANUAL, SAFE]), "Found 2 errors.\n[*] 1 fixable with `clipcheck fix`.\n"),
        (
            Report([SAFE, UNSAFE]),
            "Found 2 errors.\n[*] 1 fixable with `clipcheck fix` (2 with `--unsafe-fixes`).\n",
        ),
        (Report([UNSAFE]), "Found 1 error.\n1 fixable with `clipcheck fix --unsafe-fixes`.\n"),
        (Report([UNSAFE], unsafe_fixes=True), "Found 1 error.\n[*] 1 fixable with `clipcheck fix`.\n"),
        (Report([], [BROKEN]), "Found 0 errors. 1 file could not be checked.\n"),
        (Report([MANUAL], [BROKEN, BROKEN, MISSING]), "Found 1 error. 2 files could not be checked.\n"),
    ],
)
def test_the_summary(report, words):
    assert "".join(summary(report)) == words


@pytest.mark.parametrize(
    ("report", "fixed", "waiting", "words"),
    [
        (Report([]), 0, 0, "All checks passed!\n"),
        (Report([]), 2, 0, "Found 2 errors (2 fixed, 0 remaining).\n"),
        (
            Report([UNSAFE, UNSAFE]),
            1,
            2,
            "Found 3 errors (1 fixed, 2 remaining).\n2 unsafe fixes can be applied with `--unsafe-fixes`.\n",
        ),
        (Report([UNSAFE]), 0, 1, "Found 1 error.\n1 unsafe fix can be applied with `--unsafe-fixes`.\n"),
        (Report([], [BROKEN]), 1, 0, "Found 1 error (1 fixed, 0 remaining). 1 file could not be checked.\n"),
    ],
)
def test_the_summary_of_a_fix(report, fixed, waiting, words):
    assert "".join(fix_summary(report, fixed, waiting)) == words


def test_the_summary_of_a_diff():
    assert "".join(diff_summary(Report([]), 2)) == "Would fix 2 errors.\n"
    assert "".join(diff_summary(Report([UNSAFE]), 0, 1)) == (
        "No errors would be fixed.\n1 unsafe fix can be applied with `--unsafe-fixes`.\n"
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "paint"),
    [
        (io.StringIO(), {}, plain),
        (Terminal(), {}, ansi),
        (Terminal(), {"TERM": "dumb"}, plain),
        (Terminal(), {"NO_COLOR": "1"}, plain),
        (Terminal(), {"NO_COLOR": ""}, ansi),
        (io.StringIO(), {"FORCE_COLOR": "1"}, ansi),
        (Terminal(), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, plain),
    ],
)
def test_colours_are_for_terminals_that_want_them(stream, environment, paint):
    assert paint_for(stream, environment) is paint
