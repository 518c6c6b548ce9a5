"""IPython's own syntax, hidden so that Python can read a cell: ``%magic``, ``!command``, ``name?``, ``%%time``.

What is hidden becomes a name of underscores of the same length. A name, because it may stand alone, in a block or
behind ``x =``, and says nothing about its value; the same length, because every offset and column then stays true.
"""

from __future__ import annotations

import re
import warnings

from clipcheck.source.text import NEWLINE

# Comments may stand before it: Colab's form titles do.
_CELL_MAGIC = re.compile(r"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n?|\n))*%%(?P<name>\S*)[^\r\n]*(?:\r\n?|\n|\Z)")
# The magics of IPython that run the rest of their cell as Python in the notebook's own namespace.
_PYTHON_CELL_MAGICS = frozenset({"capture", "debug", "prun", "time", "timeit"})

_MAGIC = re.compile(
    r"""
    (?P<python> [ \t]* (?= [%!?] )
              | [\w.,*()\[\]"' \t]+ = [ \t]* (?= [%!] )
              | (?= [^\r\n\#"']* \? [ \t]* (?: [\r\n] | \Z ) ) [ \t]* )
    (?P<magic> [^\r\n]* (?: (?<= \\) (?: \r\n? | \n ) [^\r\n]* )* (?: \r\n? | \n )? )
    """,
    re.VERBOSE,
)
# What decides where a logical line of Python ends.
_PIECE = re.compile(
    r"""
      (?P<string> \"{3} (?: \\. | [^\\] )*? (?: \"{3} | \Z )
                | '{3}  (?: \\. | [^\\] )*? (?: '{3}  | \Z )
                | " (?: \\ (?: \r\n | . ) | [^"\\\r\n] )* "?
                | ' (?: \\ (?: \r\n | . ) | [^'\\\r\n] )* '? )
    | (?P<comment> \# [^\r\n]* )
    | (?P<joined> \\ (?: \r\n? | \n ) )
    | (?P<open> [(\[{] )
    | (?P<close> [)\]}] )
    | (?P<newline> \r\n? | \n )
    """,
    re.VERBOSE | re.DOTALL,
)


def split_cell_magic(source: str) -> tuple[str, str]:
    """The ``%%magic`` line that a cell begins with, and the Python below it ("" where that is another language)."""
    magic = _CELL_MAGIC.match(source)
    if magic is None:
        return "", source
    if magic["name"] not in _PYTHON_CELL_MAGICS:
        return source, ""
    return magic[0], source[magic.end() :]


def mask(source: str) -> str:
    """The text of a cell as plain Python of the same length.

    Raises SyntaxError, ValueError (NUL, lone surrogates), RecursionError or MemoryError where it is none even so.
    """
    try:
        _parse(source)
    except SyntaxError:
        source = _without_magics(source)
        _parse(source)
    return source


def _parse(source: str) -> None:
    import ast

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes are no concern of ours
        ast.parse(source)


def _without_magics(source: str) -> str:
    pieces = []
    at = 0
    while at < len(source):
        magic = _MAGIC.match(source, at)
        if magic:
            pieces += [magic["python"], _hidden(magic["magic"])]
            at = magic.end()
        else:
            end = _end_of_logical_line(source, at)
            pieces.append(source[at:end])
            at = end
    return "".join(pieces)


def _hidden(magic: str) -> str:
    """A name in place of the first line, blanks in place of the lines that continue it."""
    newline = NEWLINE.search(magic)
    first = newline.start() if newline else len(magic)
    return "_" * first + re.sub(r"[^\r\n]", " ", magic[first:])


def _end_of_logical_line(source: str, start: int) -> int:
    depth = 0
    for piece in _PIECE.finditer(source, start):
        if piece.lastgroup == "open":
            depth += 1
        elif piece.lastgroup == "close":
            depth -= 1
        elif piece.lastgroup == "newline" and depth <= 0:
            return piece.end()
    return len(source)
