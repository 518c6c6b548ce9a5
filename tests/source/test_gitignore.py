"""Patterns mean what they mean to git."""

from __future__ import annotations

import pytest

from clipcheck.source.gitignore import InvalidPatternError, Patterns, check_pattern


@pytest.mark.parametrize(
    ("line", "path", "matches"),
    [
        ("build", "src/build", True),
        ("/build", "src/build", False),
        ("src/build", "src/build", True),
        ("src/build", "deep/src/build", False),
        ("*.py", "deep/a.py", True),
        ("d/*.py", "d/deep/a.py", False),
        ("d/**/*.py", "d/a.py", True),
        ("**/d/a.py", "x/y/d/a.py", True),
        ("d/**", "d/x/y", True),
        ("d/**", "d", False),
        ("[a-c]?.py", "bx.py", True),
        ("\\!a", "!a", True),
        ("a\\ ", "a ", True),
        ("a ", "a", True),
        ("日*", "日本.py", True),
    ],
)
def test_one_pattern(line: str, path: str, matches: bool) -> None:
    assert bool(Patterns([line]).verdict(path, is_folder=False)) is matches


def test_a_slash_at_the_end_is_for_folders() -> None:
    patterns = Patterns(["a/"])
    assert patterns.verdict("a", is_folder=True) is True
    assert patterns.verdict("a", is_folder=False) is None
    assert patterns.leave_out("a/b", is_folder=False)


def test_the_last_pattern_that_matches_decides() -> None:
    patterns = Patterns(["*.py", "!/d/*.py", "d/x.py"])
    assert patterns.verdict("a.py", is_folder=False) is True
    assert patterns.verdict("d/a.py", is_folder=False) is False
    assert patterns.verdict("d/x.py", is_folder=False) is True
    assert patterns.verdict("d/a.txt", is_folder=False) is None


@pytest.mark.parametrize("line", ["!", "a\\"])
def test_patterns_that_make_no_sense_are_passed_over(line: str) -> None:
    with pytest.raises(InvalidPatternError):
        check_pattern(line)
    assert Patterns([line, "b"]).verdict("b", is_folder=False) is True


@pytest.mark.parametrize("line", ["", "   ", "# a"])
def test_lines_that_are_no_patterns(line: str) -> None:
    check_pattern(line)
    assert Patterns([line]).verdict("a", is_folder=False) is None
