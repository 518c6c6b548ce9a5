"""How new code is laid out in the file that it is put into."""

from __future__ import annotations

import ast
import io
import tokenize

from clipcheck.engine.rewrite.source import Source

_UNIT = "    "
_NOT_CODE = frozenset({tokenize.COMMENT, tokenize.NL})
_BEFORE_DOCSTRING = frozenset({None, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING})


def lay_out(code: str, indent: str, source: Source) -> str:
    """Code that a rule wrote, at an indentation, with the file's own newlines and steps of indentation.

    The first line gets no indentation. The inside of a string stays as it is, unless it is a docstring, and so do the
    lines of an expression that was taken over from the file.
    """
    lines = code.strip("\r\n").splitlines()
    in_strings, in_brackets = _continued(code.strip("\r\n"))
    if in_brackets and _is_taken_over(lines[min(in_brackets)], source):
        in_strings |= in_brackets
    laid = [line if number in in_strings else _indented(line, indent, source) for number, line in enumerate(lines)]
    return source.newline.join([lines[0], *laid[1:]]) if lines else ""


def lines_in_strings(code: str) -> set[int]:
    """The numbers, from 0, of the lines that start inside a string."""
    return _continued(code)[0]


def is_compound(code: str) -> bool:
    """Whether it holds a statement with a block of its own, which must start a line."""
    try:
        return any(hasattr(statement, "body") for statement in ast.parse(code).body)
    except SyntaxError:
        return False


def _indented(line: str, indent: str, source: Source) -> str:
    if not line.strip():
        return ""
    text = line.lstrip(" ")
    steps, rest = divmod(len(line) - len(text), len(_UNIT))
    return indent + source.unit * steps + " " * rest + text


def _is_taken_over(line: str, source: Source) -> bool:
    stem = line.rstrip(" ,)]}")
    return line[:1].isspace() and any(stem and f"{newline}{stem}" in source.code for newline in "\r\n")


def _continued(code: str) -> tuple[set[int], set[int]]:
    """The numbers, from 0, of the lines that start inside a string, and of those that start inside brackets."""
    in_strings: set[int] = set()
    in_brackets: set[int] = set()
    depth, row, before = 0, 0, None
    try:
        for token in tokenize.generate_tokens(io.StringIO(code + "\n").readline):
            (first, _), (last, _) = token.start, token.end
            if depth and first > row:
                in_brackets.add(first - 1)
            if token.type not in _NOT_CODE:
                if last > first and token.type != tokenize.NEWLINE and (depth or before not in _BEFORE_DOCSTRING):
                    in_strings.update(range(first, last))
                before = token.type
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
            row = last
    except (tokenize.TokenError, SyntaxError):
        pass
    return in_strings, in_brackets
