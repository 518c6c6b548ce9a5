from __future__ import annotations

import pytest

from clipcheck.source.suppressions import Unused, read_suppressions
from clipcheck.source.text import replaced


def covers(source: str, code: str = "CLP301", line: int = 1, last: int | None = None) -> bool:
    return read_suppressions(source).covers(code, line, last)


def unused(source: str, *found: tuple[str, int]) -> list[Unused]:
    suppressions = read_suppressions(source)
    for code, line in found:
        suppressions.covers(code, line)
    return suppressions.unused()


def cleaned(source: str, *found: tuple[str, int]) -> str:
    """The code without what is unused, which leaves nothing unused."""
    changes = [own.change for own in unused(source, *found) if own.change]
    text = replaced(source, changes)
    assert not [own for own in unused(text, *found) if own.change]
    return text


def test_a_comment_silences_its_line() -> None:
    source = "x = 1\ny = 2  # clipcheck: ignore\nz = 3\n"
    assert [covers(source, line=line) for line in (1, 2, 3)] == [False, True, False]


@pytest.mark.parametrize(
    ("comment", "silenced"),
    [
        ("# clipcheck: ignore[CLP301]", ["CLP301"]),
        ("# clipcheck: ignore[CLP3]", ["CLP301", "CLP302"]),
        ("#clipcheck:ignore[ CLP301 ,CLP4]", ["CLP301", "CLP401"]),
        ("# Clipcheck: ignore[ALL]", ["CLP301", "CLP302", "CLP401"]),
        ("# clipcheck: ignore", ["CLP301", "CLP302", "CLP401"]),
        ("# noqa: E501  # clipcheck: ignore[CLP302]  # why not", ["CLP302"]),
        ("# clipcheck: ignore[CLP302] because the paper does so", ["CLP302"]),
        ("# noqa", []),
        ("# see https://clipcheck.example", []),
    ],
)
def test_codes_and_prefixes(comment: str, silenced: list[str]) -> None:
    assert [code for code in ("CLP301", "CLP302", "CLP401") if covers(f"x = 1  {comment}", code)] == silenced


def test_at_the_end_of_a_statement_it_silences_all_of_it() -> None:
    source = "a\nf(\n    x,\n    y,\n)  # clipcheck: ignore\nb\n"
    assert [covers(source, line=line) for line in range(1, 7)] == [False, True, True, True, True, False]


def test_within_a_statement_it_silences_what_begins_or_ends_there() -> None:
    source = "f(\n    g(x),  # clipcheck: ignore\n    h(\n        y\n    ),  # clipcheck: ignore\n)\n"
    assert covers(source, line=2)
    assert covers(source, line=3, last=5)
    assert not covers(source, line=4)
    assert not covers(source, line=1)
    assert covers("f(  # clipcheck: ignore\n  x)", line=1, last=2)


def test_of_a_compound_statement_it_silences_the_header() -> None:
    source = "for x in f(\n    y\n):  # clipcheck: ignore\n    g()\n    h()  # clipcheck: ignore\n"
    assert [covers(source, line=line) for line in range(1, 6)] == [True, True, True, False, True]
    assert not covers("class A:\n    x = 1  # clipcheck: ignore\n", line=1, last=2)


def test_a_string_is_no_comment() -> None:
    source = "x = '# clipcheck: ignore'\ny = '''\n# clipcheck: ignore-file\n'''\n"
    assert not covers(source)
    assert unused(source) == []


def test_behind_a_string_over_several_lines_it_silences_the_statement() -> None:
    assert covers("x = '''\n'''  # clipcheck: ignore\n", line=1)


def test_ignore_file_silences_everything_or_its_codes() -> None:
    assert covers("x = 1\n# clipcheck: ignore-file\n", line=1)
    assert covers("x = 1\nif x:\n    # clipcheck: ignore-file[CLP3]\n    y = 2\n", line=1)
    assert not covers("# clipcheck: ignore-file[CLP4]\nx = 1\n", line=2)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_matter(newline: str) -> None:
    source = newline.join(["x = 1", "\x0c", "y = 2  # clipcheck: ignore", "z = 3  # clipcheck: ignore", "w"])
    assert covers(source, line=3)
    assert cleaned(source, ("CLP301", 3)) == source.replace("z = 3  # clipcheck: ignore", "z = 3")


@pytest.mark.parametrize("source", ["x = (  # clipcheck: ignore\n", "if x:\n  y  # clipcheck: ignore\n z\n", "'''"])
def test_broken_code_is_no_harm(source: str) -> None:
    read_suppressions(source).unused()


def test_a_comment_that_silences_nothing_is_unused() -> None:
    source = "x = 1  # clipcheck: ignore[CLP301]\ny = 2  # clipcheck: ignore\n"
    first, second = unused(source)
    assert (first.line, first.column, first.end_column, first.codes) == (1, 7, 34, ("CLP301",))
    assert (second.line, second.column, second.end_column, second.codes) == (2, 7, 26, ())
    assert "`# clipcheck: ignore[CLP301]`" in first.message
    assert unused(source, ("CLP301", 1), ("CLP101", 2)) == []


def test_of_several_codes_the_unused_are_named() -> None:
    source = "x = 1  # clipcheck: ignore[CLP301,CLP4, CLP501]\n"
    (report,) = unused(source, ("CLP401", 1))
    assert report.codes == ("CLP301", "CLP501")
    assert "CLP301, CLP501" in report.message
    assert cleaned(source, ("CLP401", 1)) == "x = 1  # clipcheck: ignore[CLP4]\n"


def test_a_comment_at_the_finding_is_used_before_one_for_the_file() -> None:
    source = "# clipcheck: ignore-file\nx = 1  # clipcheck: ignore\n"
    assert [report.line for report in unused(source, ("CLP301", 2))] == [1]
    assert unused(source, ("CLP301", 2), ("CLP301", 3)) == []


def test_nothing_is_said_of_rules_that_have_not_run() -> None:
    suppressions = read_suppressions("x  # clipcheck: ignore[CLP301, CLP4]\ny  # clipcheck: ignore\n")
    assert suppressions.unused(lambda code: False) == []
    assert [own.codes for own in suppressions.unused(lambda code: code == "CLP4")] == [("CLP4",)]
    assert [own.line for own in suppressions.unused(lambda code: code == "")] == [2]


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("x = 1  # clipcheck: ignore", "x = 1"),
        ("x = 1\t# clipcheck: ignore[CLP301]  ", "x = 1"),
        ("x = 1  # noqa: E501  # clipcheck: ignore", "x = 1  # noqa: E501"),
        ("x = 1  # clipcheck: ignore  # noqa: E501", "x = 1  # noqa: E501"),
        ("x = 1  # type: ignore  # clipcheck: ignore  # noqa", "x = 1  # type: ignore  # noqa"),
        ("x = 1  # clipcheck: ignore as in issue #3", "x = 1  # as in issue #3"),
        ("x = 1  # a # clipcheck: ignore b", "x = 1  # a # b"),
        ("x = 1  # clipcheck: ignore[CLP301]  # clipcheck: ignore[CLP4]", "x = 1"),
    ],
)
def test_other_words_of_the_comment_stay(line: str, left: str) -> None:
    text = cleaned(f"a\n{line}\nb\n")
    assert [own.rstrip() for own in text.split("\n")] == ["a", left, "b", ""]


def test_a_comment_alone_goes_with_its_line() -> None:
    assert cleaned("a\r\n    # clipcheck: ignore\r\nb\r\n") == "a\r\nb\r\n"
    assert cleaned("a\n# clipcheck: ignore-file") == "a\n"
    assert cleaned("f(\n  # clipcheck: ignore\n  x)\n") == "f(\n  x)\n"


@pytest.mark.parametrize(
    "comment",
    [
        "# clipcheck: ignore[CLP301",
        "# clipcheck: ignore[]",
        "# clipcheck: ignore[clp301]",
        "# clipcheck: ignore[CLP301 CLP302]",
        "# clipcheck: ignore CLP301",
        "# clipcheck: ignore: CLP301",
        "# clipcheck: ignore-line",
        "# clipcheck: disable=CLP301",
        "# clipcheck:",
        "# clipcheck: ignore-file",
    ],
)
def test_malformed_comments_are_reported_and_silence_nothing(comment: str) -> None:
    source = f"x = 1  {comment}\n"
    assert not covers(source)
    (report,) = unused(source)
    assert report.change is None
    assert comment in report.message
    assert (report.line, report.column) == (1, 7)
    assert read_suppressions(source).unused(lambda code: False) == [report]
