"""One file: its bytes, its Python text, and the way back from an edited text to bytes."""

from __future__ import annotations

import tokenize
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from clipcheck.diagnostic import Position, Span
from clipcheck.source.errors import SourceError
from clipcheck.source.text import NEWLINE, TextChange, line_starts, replaced

if TYPE_CHECKING:
    from clipcheck.source.notebook import Notebook


class Document(Struct, frozen=True, dict=True):
    """A file's Python text.

    Lines count from 1 and columns from 0 in characters of `code`, as LibCST has them; a `Position` is what a person
    sees, in the file or in a cell of the notebook.
    """

    path: str
    code: str
    """The text without its byte order mark; for a notebook that of its Python cells, one below the other."""
    encoding: str
    data: bytes
    """The file as it was read."""
    notebook: Notebook | None = None

    @classmethod
    def from_bytes(cls, path: str, data: bytes) -> Document:
        """Read a file, a notebook if its name says so.

        Raises SourceError where the bytes are no text in the encoding that they declare, or no notebook.
        """
        if path.endswith(".ipynb"):
            from clipcheck.source.notebook import Notebook

            encoding = "utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8"
            notebook = Notebook.read(_decoded(data, encoding))
            return cls(path, notebook.code, encoding, data, notebook)
        encoding = _encoding(data)
        return cls(path, _decoded(data, encoding), encoding, data)

    @cached_property
    def newline(self) -> str:
        """The line end that most lines have."""
        counts = Counter(NEWLINE.findall(self.code))
        return counts.most_common(1)[0][0] if counts else "\n"

    @property
    def cell_lines(self) -> tuple[int, ...]:
        """The lines of `code` on which the cells of a notebook begin; none for a file."""
        return self.notebook.cell_lines if self.notebook else ()

    def position(self, line: int, column: int) -> Position:
        """The place of a line (from 1) and a column (from 0) of `code`."""
        if self.notebook and self.notebook.cells:
            return self.notebook.position(line, column)
        return Position(line, column + 1)

    def position_at(self, offset: int) -> Position:
        """The place of an offset into `code`."""
        line = bisect_right(self._line_starts, offset)
        return self.position(line, offset - self._line_starts[line - 1])

    def span(self, start: int, end: int) -> Span:
        """The places of two offsets. Both lie in one cell, also where the end is the beginning of the next cell."""
        first, last = self.position_at(start), self.position_at(end)
        if end > start and last.cell != first.cell and self.position_at(end - 1).cell == first.cell:
            last = Position(self.position_at(end - 1).row + 1, 1, first.cell)
        return Span(first, last)

    def offset(self, line: int, column: int) -> int:
        """The index into `code` of a line (from 1) and a column (from 0)."""
        return self._line_starts[line - 1] + column

    def source_line(self, position: Position) -> str:
        """The line of a position as the user wrote it, without its end; "" where there is none."""
        text = self.notebook.cell_text(position.cell) if self.notebook else self.code
        lines = NEWLINE.split(text) if self.notebook else self._lines
        return lines[position.row - 1] if 0 < position.row <= len(lines) else ""

    def edited(self, changes: Iterable[TextChange]) -> Document:
        """The document with parts of its code replaced; new text gets the line ends of the file.

        Raises ValueError if changes overlap, or overwrite what is no Python in a notebook.
        """
        changes = [(start, end, NEWLINE.sub(self.newline, new)) for start, end, new in changes]
        if self.notebook is None:
            return replace(self, code=replaced(self.code, changes))
        replaced(self.code, changes)  # only to refuse changes that overlap where two cells meet
        notebook = self.notebook.changed(changes)
        return replace(self, code=notebook.code, notebook=notebook)

    def encode(self) -> bytes:
        """The document as a file: the very bytes that were read where nothing was edited.

        Raises SourceError if the text cannot be written in the file's encoding.
        """
        before = self.data.decode(self.encoding)
        after = self.notebook.text if self.notebook else self.code
        if after == before:
            return self.data
        # Some encodings (of the East, UTF-7) write one text in many ways; not ours to choose.
        if before.encode(self.encoding) != self.data:
            raise SourceError(f"cannot be written back in its encoding {self.encoding} without other changes")
        try:
            return after.encode(self.encoding)
        except UnicodeEncodeError as error:
            unfit = after[error.start : error.end]
            raise SourceError(f"the new text has {unfit!r}, which the file's encoding {error.encoding} lacks") from None

    @cached_property
    def _line_starts(self) -> list[int]:
        return line_starts(self.code)

    @cached_property
    def _lines(self) -> list[str]:
        return NEWLINE.split(self.code)


def _encoding(data: bytes) -> str:
    """The encoding by byte order mark, cookie or default, as the interpreter finds it."""
    lines = data.splitlines(keepends=True)[:2]
    try:
        return tokenize.detect_encoding(iter(lines).__next__)[0]
    except SyntaxError as error:
        _decoded(data, "utf-8")  # where it is no UTF-8 either, that error tells more
        raise SourceError(str(error), Position(1, 1)) from None


def _decoded(data: bytes, encoding: str) -> str:
    if b"\0" in data:
        raise SourceError(f"binary file: a NUL byte at offset {data.index(0)}")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        message = f"not valid {encoding}: byte 0x{data[error.start]:02x} at offset {error.start} ({error.reason})"
        raise SourceError(message, _position_in(data[: error.start], encoding)) from None
    except (LookupError, UnicodeError):
        raise SourceError(f"unknown encoding: {encoding}", Position(1, 1)) from None


def _position_in(before: bytes, encoding: str) -> Position:
    """The place behind some bytes."""
    text = before.decode(encoding, errors="replace")
    starts = line_starts(text)
    return Position(len(starts), len(text) - starts[-1] + 1)
