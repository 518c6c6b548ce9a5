"""Code with the notes of the claims in it: where a note stands, the live object is handed to the watchers."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Sequence
from types import CodeType
from typing import TypeAlias

from clipcheck.verify.claim import Claim, Note

Numbered: TypeAlias = tuple[int, Note]
"""A note, and the number of its claim in the job."""

SESSION = "__clipcheck__"
"""What the inserted code calls the `Session`; a builtin, so that every scope of every module sees it."""


def notes_by_path(claims: Iterable[Claim]) -> dict[str, list[Numbered]]:
    """The notes of all claims, by the file that they name."""
    notes: dict[str, list[Numbered]] = defaultdict(list)
    for number, claim in enumerate(claims):
        for note in claim.notes:
            notes[note.path].append((number, note))
    return notes


def compiled(source: bytes | str, path: str, notes: Sequence[Numbered] = ()) -> CodeType:
    """The code object of a file. Line numbers, and so tracebacks, are those of the file, with or without notes."""
    if not notes:
        return compile(source, path, "exec", dont_inherit=True)
    tree = ast.parse(source, path)
    _Inserter(notes).visit(tree)
    return compile(tree, path, "exec", dont_inherit=True)


class _Inserter(ast.NodeVisitor):
    """Puts each note before or behind its statement."""

    def __init__(self, notes: Sequence[Numbered]) -> None:
        self._notes: dict[tuple[int, int], list[Numbered]] = defaultdict(list)
        for number, note in notes:
            self._notes[note.line, note.column].append((number, note))

    def generic_visit(self, node: ast.AST) -> None:
        super().generic_visit(node)
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                value[:] = [new for statement in value for new in self._with_notes(statement)]

    def _with_notes(self, statement: ast.stmt) -> Iterable[ast.stmt]:
        notes = self._notes.get((statement.lineno, statement.col_offset), ())
        yield from (_binding(number, note, statement.lineno) for number, note in notes if not note.after)
        yield statement
        line = statement.end_lineno or statement.lineno
        yield from (_binding(number, note, line) for number, note in notes if note.after)


def _binding(number: int, note: Note, line: int) -> ast.stmt:
    """The statement that binds a claim. What goes wrong in the user's expressions is not to be seen in the script."""
    bounds = {"low": note.low, "high": note.high, "norm": note.norm}
    keywords = "".join(f", {name}=({bound})" for name, bound in bounds.items() if bound is not None)
    bind = f"{SESSION}.note({number})(({note.subject}){keywords})"
    try:
        (statement,) = ast.parse(f"try:\n    {bind}\nexcept Exception:\n    pass").body
    except (SyntaxError, ValueError):  # An expression that spans lines may not stand in parentheses with a comment.
        return ast.Pass(lineno=line, col_offset=0, end_lineno=line, end_col_offset=0)
    for node in ast.walk(statement):
        if isinstance(node, (ast.expr, ast.stmt, ast.excepthandler, ast.keyword)):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
    return statement
