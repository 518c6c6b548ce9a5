"""How to write an API's dotted name in a file, in the style of the imports that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from clipcheck.analysis.scopes import Binding, Kind, Scope
from clipcheck.model.code import Spelling

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading


def spell(reading: FileReading, dotted: str, at: cst.CSTNode) -> Spelling:
    """The shortest spelling through an import that is visible at a place, else the import that must be added.

    Without a fitting import, `a.b.c` is written `b.c` after ``from a import b``, and `a.b` as such after ``import a``.
    """
    found = [text for binding in _visible_imports(reading, at) if (text := _through(binding, dotted)) is not None]
    if found:
        return Spelling(min(found, key=len))
    parts = dotted.split(".")
    if len(parts) < 3:
        return Spelling(dotted, ((parts[0], None),))
    module, name = ".".join(parts[:-2]), parts[-2]
    if name[:1].isupper() or _is_taken(reading, name, at):
        return Spelling(dotted, ((".".join(parts[:-2]), None),))
    return Spelling(".".join(parts[-2:]), ((module, name),))


def _visible_imports(reading: FileReading, at: cst.CSTNode) -> list[Binding]:
    """The imports whose names mean the same at a place: imported once and bound by nothing else."""
    scopes = reading.scopes
    scope: Scope | None = scopes.of(at)
    visible = []
    while scope is not None:
        for name, bindings in scope.bindings.items():
            same = all(b.kind is Kind.IMPORT for b in bindings) and len({b.imported for b in bindings}) == 1
            if same and scopes.lookup(name, scopes.of(at)) is scope:
                visible.append(bindings[0])
        scope = scope.parent
    return visible


def _through(binding: Binding, dotted: str) -> str | None:
    """The spelling of a dotted name through one import, if that leads to it."""
    imported = binding.imported or ""
    if dotted == imported:
        return binding.name
    if dotted.startswith(imported + "."):
        return binding.name + dotted[len(imported) :]
    return None


def _is_taken(reading: FileReading, name: str, at: cst.CSTNode) -> bool:
    return reading.scopes.lookup(name, reading.scopes.of(at)) is not None
