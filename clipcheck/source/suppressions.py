"""The comments that silence findings: ``# clipcheck: ignore``, ``ignore[CLP301, CLP4]`` and ``ignore-file``."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Callable, Iterator

from msgspec import Struct, field

from clipcheck.source.text import NEWLINE, TextChange, line_starts

_DIRECTIVE = re.compile(r"(?<!#)#+[ \t]*clipcheck[ \t]*:[ \t]*(?P<words>[^#\r\n]*)", re.IGNORECASE)
_IGNORE = re.compile(r"(?P<verb>ignore(?:-file)?)(?:[ \t]*\[(?P<codes>[^\]]*)\])?(?P<reason>\s.*)?")
_CODE = re.compile(r"[A-Z]+[0-9]*")
_LOOKS_LIKE_CODES = re.compile(r"\W*[A-Z]+[0-9]")
_BESIDE_STATEMENTS = frozenset({tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER})


class Unused(Struct, frozen=True):
    """A suppression comment, or some of its codes, that silences nothing.

    `line` counts from 1 and the columns, those of the comment, from 0. `codes` are the ones to drop, () for a comment
    without codes. `change` removes them, as offsets into the code; it is None where the comment is malformed, because
    what its writer wanted it to say cannot be known.
    """

    line: int
    column: int
    end_column: int
    codes: tuple[str, ...]
    message: str
    change: TextChange | None


class _Directive(Struct):
    """One suppression comment, and what it was used for so far ("" where it names no codes)."""

    line: int
    column: int
    end_column: int
    codes: tuple[str, ...] = ()
    codes_column: int = 0
    codes_end: int = 0
    is_for_file: bool = False
    statement: tuple[int, int] | None = None
    error: str | None = None
    used: set[str] = field(default_factory=set)

    def reaches(self, first_line: int, last_line: int) -> bool:
        """At the end of a statement it holds for all of it, further up for what begins or ends on its line."""
        if self.is_for_file:
            return True
        if self.statement is None:
            return False
        start, end = self.statement
        return start <= first_line <= end and (self.line == end or self.line in (first_line, last_line))

    def silences(self, code: str) -> bool:
        if not self.codes:
            self.used.add("")
            return True
        matching = {own for own in self.codes if own == "ALL" or code.startswith(own)}
        self.used |= matching
        return bool(matching)

    def unused_codes(self, selected: Callable[[str], bool]) -> tuple[str, ...]:
        return tuple(code for code in self.codes or ("",) if code not in self.used and selected(code))


class Suppressions:
    """The suppression comments of one file. It remembers which of them were needed."""

    def __init__(self, code: str, directives: list[_Directive]) -> None:
        self._code = code
        self._directives = directives

    def covers(self, code: str, first_line: int, last_line: int | None = None) -> bool:
        """Whether a finding of rule `code` on these lines is silenced; the comment that does it counts as used.

        A comment at the finding goes before one for the whole file.
        """
        nearest_first = sorted(self._directives, key=lambda directive: directive.is_for_file)
        return any(
            directive.error is None
            and directive.reaches(first_line, last_line or first_line)
            and directive.silences(code)
            for directive in nearest_first
        )

    def unused(self, selected: Callable[[str], bool] = lambda code: True) -> list[Unused]:
        """What silenced nothing, once `covers` was asked for every finding of the file; and what is malformed.

        `selected` tells whether the rules of a code or prefix have run: nothing is said of those that have not. It is
        asked "" (the prefix of all codes) for a comment without codes.
        """
        reports = (self._unused(directive, selected) for directive in self._directives)
        return [report for report in reports if report is not None]

    def _unused(self, directive: _Directive, selected: Callable[[str], bool]) -> Unused | None:
        place = (directive.line, directive.column, directive.end_column)
        if directive.error:
            return Unused(*place, (), directive.error, None)
        codes = directive.unused_codes(selected)
        if not codes:
            return None
        start = line_starts(self._code)[directive.line - 1]
        text = self._code[start + directive.column : start + directive.end_column]
        if len(codes) < len(directive.codes):
            left = ", ".join(own for own in directive.codes if own not in codes)
            change = (start + directive.codes_column, start + directive.codes_end, left)
            return Unused(*place, codes, f"`{text}` silences nothing of {', '.join(codes)}", change)
        change = _removal(self._code, start, directive)
        return Unused(*place, tuple(filter(None, codes)), f"`{text}` silences nothing", change)


def read_suppressions(code: str) -> Suppressions:
    """The suppression comments of a file's code. What stands in strings is none."""
    if not _DIRECTIVE.search(code):
        return Suppressions(code, [])
    return Suppressions(
        code, [own for comment, statement in _comments(code) for own in _directives(comment, statement)]
    )


def _comments(code: str) -> Iterator[tuple[tokenize.TokenInfo, tuple[int, int] | None]]:
    """Every comment, with the first and last line of the statement in which or behind which it stands."""
    first: int | None = None
    waiting: list[tokenize.TokenInfo] = []
    for token in _tokens(code):
        if token.type == tokenize.COMMENT and first is None:
            yield token, None
        elif token.type == tokenize.COMMENT:
            waiting.append(token)
        elif token.type == tokenize.NEWLINE and first is not None:
            for comment in waiting:
                yield comment, (first, token.start[0])
            waiting.clear()
            first = None
        elif first is None and token.type not in _BESIDE_STATEMENTS:
            first = token.start[0]


def _tokens(code: str) -> Iterator[tokenize.TokenInfo]:
    """The tokens up to the first error: broken code has no findings to silence."""
    lines = io.StringIO(NEWLINE.sub("\n", code) + "\n")
    try:
        yield from tokenize.generate_tokens(lines.readline)
    except (tokenize.TokenError, SyntaxError):
        return


def _directives(comment: tokenize.TokenInfo, statement: tuple[int, int] | None) -> Iterator[_Directive]:
    line, column = comment.start
    is_alone = not comment.line[:column].strip()
    for directive in _DIRECTIVE.finditer(comment.string):
        yield _directive(line, column, directive, is_alone, statement)


def _directive(
    line: int, offset: int, match: re.Match[str], is_alone: bool, statement: tuple[int, int] | None
) -> _Directive:
    words = _IGNORE.fullmatch(match["words"].rstrip())
    column, words_column = offset + match.start(), offset + match.start("words")
    if words is None or _LOOKS_LIKE_CODES.match(words["reason"] or ""):
        return _Directive(line, column, offset + len(match[0].rstrip()) + match.start(), error=_malformed(match[0]))
    codes = tuple(code.strip() for code in words["codes"].split(",")) if words["codes"] is not None else ()
    is_for_file = words["verb"] == "ignore-file"
    end = max(words.end("verb"), words.end("codes") + 1)
    error = None
    if wrong := [code for code in codes if not _CODE.fullmatch(code)]:
        error = f"{wrong[0]!r} is no code: " + _malformed(match[0])
    elif is_for_file and not is_alone:
        error = "`# clipcheck: ignore-file` must stand on a line of its own"
    return _Directive(
        line,
        column,
        words_column + end,
        codes,
        words_column + words.start("codes"),
        words_column + words.end("codes"),
        is_for_file,
        statement,
        error,
    )


def _malformed(text: str) -> str:
    return (
        f"`{text.strip()}` is not understood: write `# clipcheck: ignore`, `# clipcheck: ignore[CLP301]`"
        " or `# clipcheck: ignore-file`"
    )


def _removal(code: str, line_start: int, directive: _Directive) -> TextChange:
    """Removes the directive; other words of the comment stay a comment."""
    newline = NEWLINE.search(code, line_start)
    line_end, next_line = newline.span() if newline else (len(code), len(code))
    start, end = line_start + directive.column, line_start + directive.end_column
    before, after = code[line_start:start].rstrip(), code[end:line_end]
    words = after.lstrip()
    if before and (not words or words.startswith("#")):
        return line_start + len(before), end if words else line_end, ""
    if words:
        return start, line_end - len(words), "" if words.startswith("#") else "# "
    return line_start, next_line, ""
