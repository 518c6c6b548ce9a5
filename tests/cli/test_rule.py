from __future__ import annotations

import json

PAGE = """\
# snap-sound (HSE101)

Sounds are no names for a clip.

## What it does
Finds calls of `snap`, `crackle`, `pop` and `hiss`.

## Fix
Safe for `snap`, unsafe for `crackle`.
"""


def test_a_page_is_found_by_code_and_by_name(clipcheck):
    for name in ("HSE101", "hse101", "snap-sound"):
        result = clipcheck("rule", name)
        assert (result.exit_code, result.stdout) == (0, PAGE)


def test_a_rule_that_is_off_says_how_to_turn_it_on(clipcheck):
    assert "--extend-select HSE301" in clipcheck("rule", "HSE301").stdout


def test_a_page_as_json(clipcheck):
    assert json.loads(clipcheck("rule", "HSE101", "--output-format", "json").stdout) == {
        "code": "HSE101",
        "name": "snap-sound",
        "family": "house_rules",
        "summary": "Sounds are no names for a clip.",
        "severity": "error",
        "default": True,
        "fix": "safe, unsafe",
        "url": None,
        "explanation": PAGE.split("\n\n", 1)[1].rstrip(),
    }


def test_the_list_of_all(clipcheck):
    lines = clipcheck("rule", "--all").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["CLP001", "HSE101", "HSE102", "HSE201", "HSE301"]
    assert lines[1] == "HSE101  snap-sound          Sounds are no names for a clip."
    assert lines[4].endswith(" (off by default)")
    listed = json.loads(clipcheck("rule", "--all", "--output-format", "json").stdout)
    assert [record["code"] for record in listed] == ["CLP001", "HSE101", "HSE102", "HSE201", "HSE301"]


def test_an_unknown_rule_is_an_error(clipcheck):
    result = clipcheck("rule", "CLP999")
    assert result.exit_code == 2
    assert "CLP999" in result.stderr


def test_either_a_code_or_all(clipcheck):
    assert clipcheck("rule").exit_code == 2
    assert clipcheck("rule", "HSE101", "--all").exit_code == 2
