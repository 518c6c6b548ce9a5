"""A script and the modules of its own that it imports, found without running anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError

_MOST = 200
"""Files that are read at most."""
_LARGEST = 1 << 20
"""Bytes of a file that is read at most."""


def sources_of(path: Path, code: str | None = None) -> dict[str, str]:
    """The code of a script and of the modules beside it that it imports, also by way of each other, by path.

    code: what to take in place of what the script's file holds. The script comes first. A module that cannot be read is
    left out. Raises SourceError and OSError where the script itself cannot.
    """
    own = Document.from_bytes(str(path), path.read_bytes()).code if code is None else code
    folder = path.parent if path.parent.resolve() == path.resolve().parent else path.resolve().parent
    found = {str(path): own}
    todo = [(path, own)]
    known = {path.resolve()}
    while todo and len(found) < _MOST:
        importer, text = todo.pop(0)
        for module in _imported(text, importer, folder):
            if module.resolve() in known or len(found) >= _MOST:
                continue
            known.add(module.resolve())
            imported = _read(module)
            if imported is not None:
                found[str(module)] = imported
                todo.append((module, imported))
    return found


def _read(path: Path) -> str | None:
    try:
        if path.stat().st_size > _LARGEST:
            return None
        return Document.from_bytes(str(path), path.read_bytes()).code
    except (OSError, SourceError):
        return None


def _imported(code: str, importer: Path, folder: Path) -> Iterator[Path]:
    """The files in the folder of the script that a file may import."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(folder, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = folder
            if node.level:
                base = importer.parent.joinpath(*[".."] * (node.level - 1))
            parts = node.module.split(".") if node.module else []
            yield from _files(base, parts)
            for alias in node.names:
                yield from _files(base, [*parts, alias.name])


def _files(folder: Path, parts: list[str]) -> Iterator[Path]:
    """The files that run when a module is imported: those of its packages, and its own."""
    for depth, name in enumerate(parts):
        last = depth == len(parts) - 1
        package = folder / name / "__init__.py"
        module = folder / f"{name}.py"
        if package.is_file():
            yield package
        elif last and module.is_file():
            yield module
        folder = folder / name
