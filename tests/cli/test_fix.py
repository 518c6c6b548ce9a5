from __future__ import annotations

import json

import pytest

from tests.cli.conftest import process, settings

BOTH = "snap(x)  # sound\ncrackle(x)\n"


def test_safe_fixes_are_applied_and_the_rest_is_told(clipcheck, project):
    script = project / "bad.py"
    script.write_text(BOTH)
    result = clipcheck("fix")
    assert script.read_text() == "clip(x)  # sound\ncrackle(x)\n"
    assert result.exit_code == 1
    assert "HSE102 `crackle` is a sound\n --> bad.py:2:1\n" in result.stdout
    assert result.stdout.endswith(
        "Fixed:\n- bad.py:\n    1 × HSE101 (snap-sound)\n"
        "Found 2 errors (1 fixed, 1 remaining).\n1 unsafe fix can be applied with `--unsafe-fixes`.\n"
    )


def test_unsafe_fixes_are_applied_when_asked_for(clipcheck, project):
    script = project / "bad.py"
    script.write_text(BOTH)
    result = clipcheck("fix", "--unsafe-fixes")
    assert script.read_text() == "clip(x)  # sound\nclip(x)\n"
    assert result.exit_code == 0
    assert result.stdout.endswith("Found 2 errors (2 fixed, 0 remaining).\n")


def test_the_settings_may_ask_for_unsafe_fixes(clipcheck, project):
    settings(project, "unsafe-fixes = true")
    script = project / "bad.py"
    script.write_text(BOTH)
    assert clipcheck("fix", "--no-unsafe-fixes").exit_code == 1
    assert script.read_text() == "clip(x)  # sound\ncrackle(x)\n"
    assert clipcheck("fix").exit_code == 0
    assert script.read_text() == "clip(x)  # sound\nclip(x)\n"


def test_only_selected_rules_are_fixed(clipcheck, project):
    script = project / "bad.py"
    script.write_text(BOTH)
    assert clipcheck("fix", "--unsafe-fixes", "--ignore", "HSE101").exit_code == 0
    assert script.read_text() == "snap(x)  # sound\nclip(x)\n"


def test_nothing_to_fix(clipcheck, project):
    (project / "good.py").write_text("clip(x)\n")
    result = clipcheck("fix")
    assert (result.exit_code, result.stdout) == (0, "All checks passed!\n")


def test_quiet(clipcheck, project):
    (project / "bad.py").write_text("snap(x)\npop(x)\n")
    assert clipcheck("fix", "-q", "--output-format", "concise").stdout == "bad.py:2:1: HSE201 `pop` is a sound\n"


def test_json_is_nothing_but_json(clipcheck, project):
    (project / "bad.py").write_text("snap(x)\npop(x)\n")
    (left,) = json.loads(clipcheck("fix", "--output-format", "json").stdout)
    assert left["code"] == "HSE201"


def test_a_diff_writes_nothing(clipcheck, project):
    script = project / "bad.py"
    script.write_text(BOTH)
    result = clipcheck("fix", "--diff")
    assert script.read_text() == BOTH
    assert result.exit_code == 1
    assert result.stdout == (
        "--- bad.py\n+++ bad.py\n@@ -1,2 +1,2 @@\n-snap(x)  # sound\n+clip(x)  # sound\n crackle(x)\n"
    )
    assert result.stderr == "Would fix 1 error.\n1 unsafe fix can be applied with `--unsafe-fixes`.\n"


def test_a_diff_of_nothing(clipcheck, project):
    (project / "bad.py").write_text("crackle(x)\npop(x)\n")
    result = clipcheck("fix", "--diff")
    assert (result.exit_code, result.stdout) == (0, "")


def test_a_diff_says_where_the_last_newline_is_missing(clipcheck, project):
    (project / "bad.py").write_text("snap(x)")
    assert clipcheck("fix", "--diff").stdout == (
        "--- bad.py\n+++ bad.py\n@@ -1 +1 @@\n"
        "-snap(x)\n\\ No newline at end of file\n+clip(x)\n\\ No newline at end of file\n"
    )


def test_a_notebook_is_fixed_and_its_diff_is_by_cell(clipcheck, project):
    notebook = project / "notes.ipynb"
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [{**cell, "source": "x = 1"}, {**cell, "source": ["%time y = 2\n", "snap(x)"]}]
    notebook.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    assert clipcheck("fix", "--diff").stdout == (
        "--- notes.ipynb:cell 2\n+++ notes.ipynb:cell 2\n@@ -1,2 +1,2 @@\n %time y = 2\n"
        "-snap(x)\n\\ No newline at end of file\n+clip(x)\n\\ No newline at end of file\n"
    )
    assert clipcheck("fix").exit_code == 0
    assert json.loads(notebook.read_text())["cells"][1]["source"] == ["%time y = 2\n", "clip(x)"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"snap(x)\r\ny = '\xc3\xa4'\r\n", b"clip(x)\r\ny = '\xc3\xa4'\r\n"),
        (b"\xef\xbb\xbfsnap(x)", b"\xef\xbb\xbfclip(x)"),
        (b"# coding: latin-1\nsnap('\xe4')\n", b"# coding: latin-1\nclip('\xe4')\n"),
    ],
)
def test_standard_input_is_fixed_byte_for_byte(project, before, after):
    done = process("fix", "-", cwd=project, stdin=before)
    assert done.stdout == after
    assert done.returncode == 0
    assert done.stderr.endswith(b"Found 1 error (1 fixed, 0 remaining).\n")


def test_what_is_left_in_standard_input_is_told_aside(project):
    done = process("fix", "-", "--output-format=concise", cwd=project, stdin=b"snap(x)\npop(x)\n")
    assert done.stdout == b"clip(x)\npop(x)\n"
    assert done.stderr.startswith(b"-:2:1: HSE201")
    assert done.returncode == 1


def test_standard_input_that_cannot_be_fixed_comes_out_as_it_went_in(project):
    done = process("fix", "-", cwd=project, stdin=b"snap(\r\n")
    assert (done.returncode, done.stdout) == (2, b"snap(\r\n")
    assert b"error: -:1:" in done.stderr


def test_a_diff_of_standard_input(clipcheck, project):
    result = clipcheck("fix", "-", "--diff", "--stdin-filename", "a.py", stdin="snap(x)\n")
    assert (result.exit_code, result.stdout) == (1, "--- a.py\n+++ a.py\n@@ -1 +1 @@\n-snap(x)\n+clip(x)\n")


def test_a_broken_file_is_named_and_the_others_fixed(clipcheck, project):
    (project / "a.py").write_text("snap(\n")
    script = project / "b.py"
    script.write_text("snap(x)\n")
    result = clipcheck("fix", "missing.py", ".")
    assert result.exit_code == 2
    assert "error: a.py:1:" in result.stderr
    assert "error: missing.py: no such file" in result.stderr
    assert script.read_text() == "clip(x)\n"
    assert (project / "a.py").read_text() == "snap(\n"
