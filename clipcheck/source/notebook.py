"""Jupyter notebooks: their code cells as one Python text, and changes of that text written back into the cells."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate

from msgspec import Struct
from msgspec.structs import replace

from clipcheck.diagnostic import Position
from clipcheck.source.errors import SourceError
from clipcheck.source.json_text import Keys, with_texts
from clipcheck.source.magics import mask, split_cell_magic
from clipcheck.source.text import NEWLINE, TextChange, line_starts, replaced


class Cell(Struct, frozen=True):
    """A cell of Python code.

    `number` counts among all cells from 1, `keys` is the way to its source in the notebook's JSON. `head` is the line
    of its cell magic (``%%time``), which is kept out of the code: nothing may ever be put before it.
    `source` is what the user wrote below, `code` the same with what is not Python hidden, character for character.
    """

    number: int
    keys: Keys
    head: str
    source: str
    code: str

    @property
    def text(self) -> str:
        """What it adds to the notebook's code."""
        return self.code + "\n"

    def changed(self, changes: Sequence[TextChange]) -> Cell:
        for start, end, _ in changes:
            if self.code[start:end] != self.source[start:end]:
                raise ValueError(f"the change would overwrite a magic of cell {self.number}")
        source, code = (replaced(text + "\n", changes).removesuffix("\n") for text in (self.source, self.code))
        return replace(self, source=source, code=code)


class Notebook(Struct, frozen=True, dict=True):
    """A notebook's JSON as it was read, and its Python cells as they are now.

    Cells that are blank, in another language or broken are left out; a finding in the others is worth having.
    """

    json: str
    cells: tuple[Cell, ...]

    @classmethod
    def read(cls, text: str) -> Notebook:
        """Raises SourceError if the text is no notebook, or has code and not one cell of it parses."""
        return cls(text, tuple(_python_cells(_load(text))))

    @cached_property
    def code(self) -> str:
        return "".join(cell.text for cell in self.cells)

    @property
    def text(self) -> str:
        """The notebook as JSON, equal to what was read but for the cells that have changed."""
        return with_texts(self.json, {cell.keys: cell.head + cell.source for cell in self.cells})

    def changed(self, changes: Iterable[TextChange]) -> Notebook:
        """The notebook after changes of its code.

        What is put at the join of two cells lands in the second. Raises ValueError if a change overwrites a magic.
        """
        changes = list(changes)
        cells = []
        for index, cell in enumerate(self.cells):
            start, end = self._starts[index : index + 2]
            is_last = index == len(self.cells) - 1
            own = list(_within(changes, start, end, end + is_last))
            cells.append(cell.changed(own) if own else cell)
        return replace(self, cells=tuple(cells))

    def position(self, line: int, column: int) -> Position:
        """The place in its cell of a line and column of the code."""
        index = bisect_right(self._first_lines, line, hi=len(self.cells)) - 1
        cell = self.cells[index]
        head_lines = len(NEWLINE.findall(cell.head))
        return Position(line - self._first_lines[index] + head_lines + 1, column + 1, cell.number)

    @property
    def cell_lines(self) -> tuple[int, ...]:
        """The line of the code on which each cell begins."""
        return tuple(self._first_lines[:-1])

    def cell_text(self, number: int | None) -> str:
        """What the user wrote in a cell, magics and all."""
        return next((cell.head + cell.source for cell in self.cells if cell.number == number), "")

    @cached_property
    def _starts(self) -> list[int]:
        """The offset in the code of each cell, and the end of the last."""
        return list(accumulate((len(cell.text) for cell in self.cells), initial=0))

    @cached_property
    def _first_lines(self) -> list[int]:
        return list(accumulate((len(line_starts(cell.text)) - 1 for cell in self.cells), initial=1))


def _within(changes: Iterable[TextChange], start: int, end: int, limit: int) -> Iterator[TextChange]:
    """The parts of the changes between `start` and `end`: the new text belongs to the part where the change begins."""
    for first, last, new in changes:
        if start <= first < limit:
            yield first - start, min(last, end) - start, new
        elif first < start < last:
            yield 0, min(last, end) - start, ""


def _load(text: str) -> Mapping[str, object]:
    try:
        notebook = json.loads(text)
    except json.JSONDecodeError as error:
        raise SourceError(f"not a notebook: {error.msg}", Position(error.lineno, error.colno)) from None
    except (ValueError, RecursionError) as error:
        raise SourceError(f"not a notebook: {error}") from None
    if not isinstance(notebook, dict) or not ("cells" in notebook or "worksheets" in notebook):
        raise SourceError("not a notebook: it has no cells")
    return notebook


def _python_cells(notebook: Mapping[str, object]) -> Iterator[Cell]:
    if not _is_python(_mapping(notebook.get("metadata"))):
        return
    error: SourceError | None = None
    is_readable = False
    for number, keys, text in _code_cells(notebook):
        head, source = split_cell_magic(text)
        if not source.strip():
            continue
        try:
            code = mask(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as reason:
            error = error or _unreadable(number, head, reason)
        else:
            is_readable = True
            yield Cell(number, keys, head, source, code)
    if error and not is_readable:
        raise error


def _unreadable(number: int, head: str, reason: Exception) -> SourceError:
    row = len(NEWLINE.findall(head)) + (getattr(reason, "lineno", None) or 1)
    column = getattr(reason, "offset", None) or 1
    message = reason.msg if isinstance(reason, SyntaxError) else str(reason) or type(reason).__name__
    return SourceError(f"no cell of the notebook is valid Python: {message}", Position(row, column, number))


def _is_python(metadata: Mapping[str, object]) -> bool:
    """Whether the kernel is one of Python; notebooks that do not say are."""
    kernel, info = _mapping(metadata.get("kernelspec")), _mapping(metadata.get("language_info"))
    language = info.get("name") or kernel.get("language")
    return not isinstance(language, str) or language.lower().startswith(("python", "ipython"))


def _code_cells(notebook: Mapping[str, object]) -> Iterator[tuple[int, Keys, str]]:
    """Number, way and text of every cell of Python code. Format 3 has worksheets, and calls the source "input"."""
    number = 0
    for way, cells in _cell_lists(notebook):
        for index, cell in enumerate(map(_mapping, cells)):
            number += 1
            key = "source" if "source" in cell else "input"
            text = _text(cell.get(key))
            if cell.get("cell_type") == "code" and text is not None and _is_python_cell(cell):
                yield number, (*way, index, key), text


def _cell_lists(notebook: Mapping[str, object]) -> Iterator[tuple[Keys, Sequence[object]]]:
    yield ("cells",), _sequence(notebook.get("cells"))
    for index, sheet in enumerate(_sequence(notebook.get("worksheets"))):
        yield ("worksheets", index, "cells"), _sequence(_mapping(sheet).get("cells"))


def _is_python_cell(cell: Mapping[str, object]) -> bool:
    """Format 3 names the language of each cell, VS Code that of cells in another language than the kernel's."""
    language = _mapping(_mapping(cell.get("metadata")).get("vscode")).get("languageId") or cell.get("language")
    return language in (None, "python")


def _text(source: object) -> str | None:
    if isinstance(source, str):
        return source
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        return "".join(source)
    return None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
