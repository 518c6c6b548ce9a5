from __future__ import annotations

import json

import pytest

from clipcheck.outline import Outline
from tests.cli.conftest import process, settings

BOTH = "snap(x)\ncrackle(x)\n"


def codes(result):
    return [line.split()[1] for line in result.stdout.splitlines() if ": HSE" in line]


def test_a_clean_folder_passes(clipcheck, project):
    (project / "good.py").write_text("clip(x)\n")
    result = clipcheck("lint")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "All checks passed!\n", "")


def test_findings_are_told_in_full_and_fail(clipcheck, project):
    (project / "bad.py").write_text(BOTH)
    result = clipcheck("lint")
    assert result.exit_code == 1
    assert "HSE101 [*] `snap` is a sound\n --> bad.py:1:1\n  |\n1 | snap(x)\n  | ^^^^\n" in result.stdout
    assert result.stdout.endswith("Found 2 errors.\n[*] 1 fixable with `clipcheck fix` (2 with `--unsafe-fixes`).\n")
    assert result.stderr == ""


def test_findings_come_sorted_by_file_and_place(clipcheck, project):
    (project / "b.py").write_text(BOTH)
    (project / "a").mkdir()
    (project / "a" / "c.py").write_text("if True:\n    crackle(x); snap(x)\n")
    result = clipcheck("lint", "--output-format", "concise", "-q", "b.py", "a")
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == [
        "a/c.py:2:5",
        "a/c.py:2:17",
        "b.py:1:1",
        "b.py:2:1",
    ]


def test_exit_zero(clipcheck, project):
    (project / "bad.py").write_text(BOTH)
    assert clipcheck("lint", "--exit-zero").exit_code == 0


def test_quiet_leaves_out_the_summary(clipcheck, project):
    (project / "bad.py").write_text("pop(x)\n")
    result = clipcheck("lint", "--quiet", "--output-format", "concise")
    assert result.stdout == "bad.py:1:1: HSE201 `pop` is a sound\n"
    (project / "bad.py").write_text("")
    assert clipcheck("lint", "--quiet").stdout == ""


def test_statistics(clipcheck, project):
    (project / "bad.py").write_text(BOTH + "pop(x)\npop(x)\n")
    result = clipcheck("lint", "--statistics")
    assert result.exit_code == 1
    assert result.stdout.startswith(
        "2  HSE201  [ ] pop-sound\n1  HSE101  [*] snap-sound\n1  HSE102  [ ] crackle-sound\nFound 4 errors.\n"
    )


def test_json(clipcheck, project):
    (project / "bad.py").write_text("snap(x)\n")
    (found,) = json.loads(clipcheck("lint", "--output-format", "json").stdout)
    assert found["filename"] == str(project / "bad.py")
    assert found["code"] == "HSE101"
    assert found["fix"]["edits"] == [
        {"content": "clip", "location": {"column": 1, "row": 1}, "end_location": {"column": 5, "row": 1}}
    ]
    assert found["url"] is None


def test_github(clipcheck, project):
    (project / "bad.py").write_text("pop(x)\n")
    assert clipcheck("lint", "--output-format", "github").stdout == (
        "::error title=clipcheck (HSE201),file=bad.py,line=1,col=1,endLine=1,endColumn=4"
        "::bad.py:1:1: HSE201 `pop` is a sound%0ACall it `clip`.\n"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["HSE101", "HSE102", "HSE201"]),
        (["--select", "HSE1"], ["HSE101", "HSE102"]),
        (["--select", "HSE1,HSE301"], ["HSE101", "HSE102", "HSE301"]),
        (["--select", "HSE1", "--select", "HSE301"], ["HSE101", "HSE102", "HSE301"]),
        (["--select", "HSE1", "--extend-select", "HSE301"], ["HSE101", "HSE102", "HSE301"]),
        (["--select", "ALL"], ["HSE101", "HSE102", "HSE201", "HSE301"]),
        (["--select", "ALL", "--ignore", "HSE1"], ["HSE201", "HSE301"]),
        (["--extend-select", "HSE301"], ["HSE101", "HSE102", "HSE201", "HSE301"]),
        (["--ignore", "HSE1, HSE2"], []),
    ],
)
def test_choosing_rules(clipcheck, project, options, expected):
    (project / "all.py").write_text("snap(x)\ncrackle(x)\npop(x)\nhiss(x)\n")
    result = clipcheck("lint", "--output-format", "concise", *options)
    assert codes(result) == expected
    assert result.exit_code == bool(expected)


def test_the_command_line_comes_before_the_settings(clipcheck, project):
    settings(project, 'select = ["HSE1"]', 'ignore = ["HSE101"]')
    (project / "all.py").write_text("snap(x)\ncrackle(x)\npop(x)\n")
    assert codes(clipcheck("lint", "--output-format", "concise")) == ["HSE102"]
    assert codes(clipcheck("lint", "--output-format", "concise", "--select", "HSE101")) == ["HSE101"]
    assert codes(clipcheck("lint", "--output-format", "concise", "--extend-select", "HSE101")) == ["HSE101", "HSE102"]
    assert codes(clipcheck("lint", "--output-format", "concise", "--ignore", "HSE102")) == []


def test_a_selector_that_matches_no_rule_is_an_error(clipcheck):
    result = clipcheck("lint", "--select", "HSE9")
    assert result.exit_code == 2
    assert "HSE9" in result.stderr


def test_settings_are_searched_from_the_first_path_upwards(clipcheck, project):
    inner = project / "inner" / "deep"
    inner.mkdir(parents=True)
    settings(project / "inner", 'ignore = ["HSE101"]')
    (inner / "bad.py").write_text(BOTH)
    assert codes(clipcheck("lint", "--output-format", "concise", inner / "bad.py")) == ["HSE102"]
    assert codes(clipcheck("lint", "--output-format", "concise", ".")) == ["HSE101", "HSE102"]


def test_config_and_isolated(clipcheck, project):
    (project / "bad.py").write_text(BOTH)
    other = project / "elsewhere"
    other.mkdir()
    settings(other, 'ignore = ["HSE102"]')
    assert codes(clipcheck("lint", "--output-format", "concise", "--config", other / "clipcheck.toml")) == ["HSE101"]
    assert clipcheck("lint", "--isolated").exit_code == 0
    assert clipcheck("lint", "--isolated", "--config", other / "clipcheck.toml").exit_code == 2


@pytest.mark.parametrize("content", ["select = 3\n", "selct = []\n", "select = [\n"])
def test_broken_settings_are_named(clipcheck, project, content):
    (project / "clipcheck.toml").write_text(content)
    result = clipcheck("lint")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "clipcheck.toml" in result.stderr
    assert result.stdout == ""


def test_missing_settings_are_named(clipcheck):
    result = clipcheck("lint", "--config", "missing.toml")
    assert result.exit_code == 2
    assert "missing.toml" in result.stderr


def test_a_rule_pack_that_is_not_there_is_named(clipcheck, project):
    (project / "clipcheck.toml").write_text('rule-packs = ["no_such_pack"]\n')
    result = clipcheck("lint")
    assert result.exit_code == 2
    assert "no_such_pack" in result.stderr


def test_a_rule_pack_may_lie_beside_the_settings(tmp_path):
    (tmp_path / "our_rules.py").write_text(
        "import re\n"
        "from tests.cli.house_rules.sounds import _Sound\n\n\n"
        "class Bang(_Sound):\n"
        "    code, name, sound, screen = 'HSE401', 'bang', 'bang', re.compile(b'bang')\n"
    )
    (tmp_path / "clipcheck.toml").write_text('rule-packs = ["our_rules"]\n')
    (tmp_path / "bad.py").write_text("bang(x)\n")
    done = process("lint", "--output-format=concise", cwd=tmp_path)
    assert b"HSE401" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("syntax.py", b"snap(\n", "syntax.py:1:"),
        ("binary.py", b"snap \x00", "binary.py: "),
        ("latin.py", b"snap('\xe9')\n", "latin.py:1:"),
        ("notes.ipynb", b"{ snap", "notes.ipynb:1:"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_the_others_checked(clipcheck, project, name, content, words):
    (project / name).write_bytes(content)
    (project / "bad.py").write_text("pop(x)\n")
    result = clipcheck("lint", "--output-format", "concise")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {words}")
    assert result.stdout == ("bad.py:1:1: HSE201 `pop` is a sound\nFound 1 error. 1 file could not be checked.\n")


def test_a_missing_path_is_named_and_the_others_checked(clipcheck, project):
    (project / "bad.py").write_text("pop(x)\n")
    result = clipcheck("lint", "missing", "bad.py", "--exit-zero")
    assert result.exit_code == 2
    assert result.stderr == "error: missing: no such file or directory\n"
    assert "HSE201" in result.stdout


def test_an_empty_folder_is_told(clipcheck, project):
    (project / "empty").mkdir()
    result = clipcheck("lint", "empty")
    assert result.exit_code == 0
    assert result.stderr == "warning: no Python files found under the given paths\n"


def test_standard_input(clipcheck, project):
    result = clipcheck("lint", "-", stdin="pop(x)\n")
    assert result.exit_code == 1
    assert " --> -:1:1\n  |\n1 | pop(x)\n" in result.stdout
    named = clipcheck("lint", "-", "--stdin-filename", "a/b.py", "--output-format", "concise", stdin="pop(x)\n")
    assert named.stdout.startswith("a/b.py:1:1: HSE201")


def test_standard_input_has_the_settings_of_its_name(clipcheck, project):
    settings(project, '[per-file-ignores]\n"tests/*" = ["HSE2"]')
    assert clipcheck("lint", "-", "--stdin-filename", "tests/a.py", stdin="pop(x)\n").exit_code == 0
    assert clipcheck("lint", "-", "--stdin-filename", "src/a.py", stdin="pop(x)\n").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [["-", "a.py"], ["a.py", "--stdin-filename", "b.py"], ["--output-format", "xml"], ["--no-such-option"]],
)
def test_options_that_make_no_sense(clipcheck, arguments):
    result = clipcheck("lint", *arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr


def test_a_notebook_is_told_by_cell(clipcheck, project):
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "text"},
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": "x = 1\npop(x)"},
    ]
    (project / "notes.ipynb").write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    assert "notes.ipynb:cell 2:2:1: HSE201" in clipcheck("lint", "--output-format", "concise").stdout
    assert "2 | pop(x)\n  | ^^^\n" in clipcheck("lint").stdout


@pytest.mark.parametrize("command", ["lint", "fix"])
def test_a_syntax_error_is_told_of_a_named_file_also_where_no_rule_looks(clipcheck, project, command):
    (project / "broken.py").write_text("def train(:\n")
    result = clipcheck(command, "broken.py")
    assert result.exit_code == 2
    assert "broken.py:1:" in result.stderr
    assert clipcheck(command, ".").exit_code == 0


def test_without_screens_every_rule_is_asked_about_every_file(clipcheck, project, monkeypatch):
    (project / "bad.py").write_text(BOTH)
    monkeypatch.setattr(Outline, "has", lambda *_: False)
    assert clipcheck("lint", "--no-cache", "-q").stdout == ""
    assert codes(clipcheck("lint", "--no-screen", "--output-format", "concise")) == ["HSE101", "HSE102"]
    clipcheck("fix", "--no-screen")
    assert (project / "bad.py").read_text() == "clip(x)\ncrackle(x)\n"
