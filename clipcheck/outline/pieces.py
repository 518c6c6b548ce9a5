"""A file in pieces that can be parsed by themselves: what is asked of one function need not cost the whole file."""

from __future__ import annotations

import ast
import re
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

# That a line begins is said by the newline before it: a pattern that begins with a letter is searched much quicker.
_METHOD = re.compile(rb"\n([ \t]+)(?:async[ \t]+)?def\b")
_CLASS = re.compile(rb"(?:@[^\n]*\n|[ \t]*#[^\n]*\n|\s*\n)*class\s+(\w+)")
_QUOTES = (b'"""', b"'''")
_LONE_RETURN = rb"\r(?!\n)"


class CannotTellError(Exception):
    """The file cannot be judged from outside: it must be read."""


class Piece(NamedTuple):
    """A part of the bytes, and what it is a method of."""

    start: int
    end: int
    outer: Piece | None = None


class Part(NamedTuple):
    """What was parsed by itself. start: where it begins in the file; first: the number of its first line in the
    tree."""

    tree: ast.Module
    start: int
    first: int


class Pieces:
    """The pieces of one file, parsed when they are asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._trees: dict[Piece, ast.Module | None] = {}

    @cached_property
    def whole(self) -> ast.Module:
        """All of the file. Raises CannotTellError."""
        return _parsed(self._data)

    def at(self, place: int) -> Piece:
        """The method or top-level definition that an offset lies in (with the statements below it)."""
        return self._pieces[bisect_right(self._starts, place) - 1]

    def part(self, piece: Piece) -> Part:
        """The piece or, if it is no code by itself, what it is a piece of. Raises CannotTellError."""
        around: Piece | None = piece
        while around is not None:
            tree = self._tree_of(around)
            if tree is not None:
                return Part(tree, around.start, 2 if around.outer else 1)
            around = around.outer
        return Part(self.whole, 0, 1)

    @cached_property
    def _pieces(self) -> list[Piece]:
        return list(_pieces(self._data))

    @cached_property
    def _starts(self) -> list[int]:
        return [piece.start for piece in self._pieces]

    def _tree_of(self, piece: Piece) -> ast.Module | None:
        """The tree of a piece; None if it is no code by itself. A method has a class of one line above it."""
        if piece not in self._trees:
            code = self._data[piece.start : piece.end]
            try:
                self._trees[piece] = _parsed(self._head_of(piece.outer) + code if piece.outer else code)
            except CannotTellError:
                self._trees[piece] = None
        return self._trees[piece]

    def _head_of(self, piece: Piece) -> bytes:
        found = _CLASS.match(self._data, piece.start)
        return b"class %s:\n" % (found[1] if found else b"_")


def _pieces(data: bytes) -> Iterator[Piece]:
    """Definitions on the top level, classes split into what comes before their methods, and these."""
    for start, end in _split(data, _definitions(b""), 0, len(data)):
        piece = Piece(start, end)
        method = _METHOD.search(data, start, end)
        if method is None or not _CLASS.match(data, start):
            yield piece
            continue
        inner = _split(data, _definitions(method[1]), start, end)
        yield from (piece if len(inner) == 1 else Piece(*part, piece if part[0] != start else None) for part in inner)


def _split(data: bytes, definition: re.Pattern[bytes], start: int, end: int) -> list[tuple[int, int]]:
    """The bytes before the first definition, and from each to the next: all in one where these may stand in a string.

    Decorators belong to what they decorate.
    """
    starts = [start]
    is_decorated = start == 0 and data.startswith(b"@")
    for found in definition.finditer(data, start, end):
        if not is_decorated:
            starts.append(found.start() + 1)
        is_decorated = found.group().endswith(b"@")
    parts = list(pairwise([*starts, end]))
    return [(start, end)] if any(data.count(quotes, *part) % 2 for quotes in _QUOTES for part in parts) else parts


@lru_cache(maxsize=64)
def _definitions(indent: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"\n%s(?:(?:def|class|async[ \t]+def)\b|@)" % indent)


def _parsed(data: bytes) -> ast.Module:
    if b"\r" in data and re.search(_LONE_RETURN, data):
        raise CannotTellError  # lines are counted by their newlines here
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CannotTellError from None
