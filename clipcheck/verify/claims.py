"""From what a script's code promises to the claims that its run must meet."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from clipcheck.analysis import read_script
from clipcheck.engine.deep import with_deep_stack
from clipcheck.engine.parse import parse
from clipcheck.model.code import Code
from clipcheck.model.promises import Promise, Promised, Spot, StepCall, When
from clipcheck.model.saving import SavedNetwork
from clipcheck.model.script import Script
from clipcheck.settings import Settings
from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError
from clipcheck.verify.claim import Claim, Constrained, Kind, Note, Since
from clipcheck.verify.sources import sources_of

_SPEAKS_OF_BOUNDS = re.compile(r"clip|clamp|constraint|bounded", re.IGNORECASE)
_CALLED_BY_FRAMEWORKS = re.compile(
    r"__\w+__|forward|call|(train|training|optimizer|update)_step|on_\w+|step|apply\w*|configure_\w+"
)
_KINDS = {Promised.WEIGHTS: Kind.WEIGHTS, Promised.GRADIENTS: Kind.GRADIENTS, Promised.OUTPUTS: Kind.OUTPUTS}
_SINCE = {When.CLIP: Since.CLIP, When.UPDATE: Since.UPDATE, When.USE: Since.USE}


def claims_of(path: Path, code: str | None = None, settings: Settings | None = None) -> list[Claim]:
    """What a script and the modules of its own promise, in the order of the sources.

    code: what to read in place of the script's file. Raises SourceError where the script is no Python.
    """
    files = _Files(sources_of(path, code), settings or Settings())
    return with_deep_stack(lambda: list(_merged(files.claims())))


def saves_models(path: Path, code: str | None = None) -> bool:
    """Whether a script saves a whole Keras model. Raises SourceError where it is no Python."""
    text = next(iter(sources_of(path, code).values()))
    if not re.search(r"save|Checkpoint", text):
        return False
    return with_deep_stack(lambda: bool(_script(str(path), text, Settings()).all(SavedNetwork)))


def _script(path: str, code: str, settings: Settings) -> Script:
    module = parse(Document(path, code, "utf-8", b""))
    return read_script(module, target_keras=settings.target_keras, target_torch=settings.target_torch)


class _Files(Struct, frozen=True, dict=True):
    """The files of a script.

    sources: their code by path, the script's own first.
    """

    sources: Mapping[str, str]
    settings: Settings

    def claims(self) -> Iterator[Claim]:
        for path, script in self._scripts.items():
            lines = self.sources[path].split("\n")
            for promise in script.all(Promise):
                if self._is_live(promise) and (promise.in_loop or self._is_called_each_step(promise)):
                    yield _claim(promise, path, lines)

    @cached_property
    def _scripts(self) -> dict[str, Script]:
        """Those files that speak of bounds, read."""
        found: dict[str, Script] = {}
        for path, code in self.sources.items():
            if _SPEAKS_OF_BOUNDS.search(code):
                try:
                    found[path] = _script(path, code, self.settings)
                except SourceError:
                    if not found and path == next(iter(self.sources)):
                        raise
        return found

    def _is_live(self, promise: Promise) -> bool:
        """Whether anything uses what a promise stands in."""
        return all(_CALLED_BY_FRAMEWORKS.fullmatch(name) or name in self._used for name in promise.runs_in)

    def _is_called_each_step(self, promise: Promise) -> bool:
        return not self._called_each_step.isdisjoint(promise.runs_in)

    @cached_property
    def _called_each_step(self) -> frozenset[str]:
        """What the training loops of all files call."""
        read = dict(self._scripts)
        for path, code in self.sources.items():
            if path not in read:
                try:
                    read[path] = _script(path, code, self.settings)
                except SourceError:
                    continue
        return frozenset(call.name for script in read.values() for call in script.all(StepCall))

    @cached_property
    def _used(self) -> frozenset[str]:
        """The names that any file uses outside of what they name."""
        return frozenset(name for code in self.sources.values() for name in _used_in(code))


def _used_in(code: str) -> Iterator[str]:
    try:
        todo: list[tuple[ast.AST, frozenset[str]]] = [(ast.parse(code), frozenset())]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    while todo:
        node, inside = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inside = inside | {node.name}
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
        if name is not None and name not in inside:
            yield name
        todo += [(child, inside) for child in ast.iter_child_nodes(node)]


def _claim(promise: Promise, path: str, lines: list[str]) -> Claim:
    known, by_object = promise.known, promise.by_object
    made_by = promise.made_by
    return Claim(
        _KINDS[promise.kind],
        promise.subject,
        _told(promise.at),
        path,
        promise.at.line,
        _SINCE[promise.when],
        low=known.low,
        high=known.high,
        norm=known.norm,
        parameters=promise.parameters,
        notes=tuple(_note(spot, path, lines) for spot in promise.spots),
        constrained=Constrained(made_by, by_object.low, by_object.high) if made_by is not None else None,
        as_clipped=promise.as_clipped,
    )


def _told(code: Code) -> str:
    return f"`class {code.defines}`" if code.defines is not None else f"`{code.words}`"


def _note(spot: Spot, path: str, lines: list[str]) -> Note:
    statement = spot.statement
    line, column = statement.reading.span(statement.node)[0]
    # LibCST counts characters, CPython the bytes of UTF-8.
    column = len(lines[line - 1][:column].encode())
    bounds = spot.bounds
    return Note(path, line, column, spot.after, spot.subject, bounds.low, bounds.high, bounds.norm)


def _merged(claims: Iterable[Claim]) -> Iterator[Claim]:
    """Each promise once: what says the same of the same subject is one claim, with the notes of all."""
    found: dict[Claim, Claim] = {}
    for claim in claims:
        key = replace(claim, told="", path="", line=0, notes=())
        first = found.setdefault(key, claim)
        if first is not claim:
            found[key] = replace(first, notes=tuple(dict.fromkeys((*first.notes, *claim.notes))))
    yield from found.values()
