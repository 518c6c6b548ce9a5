"""Claims from the command line: `--watch critic --bound 0.01`."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from msgspec import Struct

from clipcheck.verify.claim import Claim, Kind, Note, Since

COMMAND_LINE = 0
"""The line of a claim that stands on the command line."""

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_GLOB = frozenset("*?[")

_Place: TypeAlias = "tuple[ast.stmt, bool]"
"""A statement, and whether the place behind it is meant rather than before it."""
_Function = (ast.FunctionDef, ast.AsyncFunctionDef)


class WatchError(ValueError):
    """What is to be watched cannot be told from the script."""


class Wish(Struct, frozen=True):
    """One thing to watch.

    name: of a model or a parameter ("critic", "self.critic", "critic.conv1"), maybe with a glob over the names of its
    parameters behind it ("critic.*.weight"). low, high: the bounds, None on an open side. parameters: more globs.
    told: the user's words.
    """

    name: str
    low: float | None
    high: float | None
    parameters: tuple[str, ...] = ()
    told: str = ""

    @property
    def subject(self) -> str:
        """What is before the first part with a wildcard. Raises WatchError if that is no name."""
        parts = self.name.split(".")
        first = next((index for index, part in enumerate(parts) if _GLOB & set(part)), len(parts))
        subject = ".".join(parts[:first])
        if not _NAME.fullmatch(subject):
            raise WatchError(f"'{self.name}' does not begin with a name of the script's")
        return subject

    @property
    def globs(self) -> tuple[str, ...]:
        return self.parameters if self.subject == self.name else (self.name, *self.parameters)


def claims_for(wishes: Iterable[Wish], script: str, sources: Mapping[str, str]) -> list[Claim]:
    """A claim for each wish, noted wherever its name gets a value.

    sources: the code of the script and of its own modules, by path. Raises WatchError where a name never gets one.
    """
    trees = dict(_parsed(sources))
    return [_claim(wish, script, trees) for wish in wishes]


def _parsed(sources: Mapping[str, str]) -> Iterator[tuple[str, ast.Module]]:
    for path, code in sources.items():
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):  # The run will show it.
            yield path, ast.parse(code, path)


def _claim(wish: Wish, script: str, trees: Mapping[str, ast.Module]) -> Claim:
    notes = tuple(note for path, tree in trees.items() for note in _notes(wish.subject, path, tree))
    if not notes:
        raise WatchError(f"nothing is ever assigned to `{wish.subject}` in {', '.join(trees)}")
    return Claim(
        Kind.WEIGHTS,
        wish.subject,
        wish.told,
        script,
        COMMAND_LINE,
        Since.USE,
        low=wish.low,
        high=wish.high,
        parameters=wish.globs,
        notes=notes,
    )


def _notes(name: str, path: str, tree: ast.Module) -> Iterator[Note]:
    for target, (statement, is_after) in _targets(tree):
        subject = _subject(name, target)
        if subject is not None:
            yield Note(path, statement.lineno, statement.col_offset, is_after, subject)


def _subject(name: str, target: str) -> str | None:
    """The expression of what is watched, where `target` has just got a value; None if it is no part of it.

    An attribute of that name is meant too, whosever it is: `critic` is also `self.critic`.
    """
    first, dot, rest = name.partition(".")
    if f"{name}.".startswith(f"{target}."):
        return name
    return f"{target}{dot}{rest}" if target.endswith(f".{first}") else None


def _targets(tree: ast.Module) -> Iterator[tuple[str, _Place]]:
    """Everything that gets a value, and where it has it first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            yield from ((name, (node, True)) for target in node.targets for name in _names(target))
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield from ((name, (node, True)) for name in _names(node.target))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((alias.asname or alias.name, (node, True)) for alias in node.names)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            yield from ((name, (node.body[0], False)) for name in _names(node.target))
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            given = (item.optional_vars for item in node.items if item.optional_vars is not None)
            yield from ((name, (node.body[0], False)) for target in given for name in _names(target))
        elif isinstance(node, _Function):
            yield from ((name, _start(node)) for name in _arguments(node.args))


def _names(target: ast.expr) -> Iterator[str]:
    """The names and attributes in the target of an assignment ("critic", "self.critic")."""
    if isinstance(target, (ast.Tuple, ast.List)):
        for element in target.elts:
            yield from _names(element)
    elif isinstance(target, ast.Starred):
        yield from _names(target.value)
    elif _NAME.fullmatch(text := ast.unparse(target)):
        yield text


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield argument.arg


def _start(function: ast.FunctionDef | ast.AsyncFunctionDef) -> _Place:
    """Behind its docstring, which must stay its first statement."""
    return function.body[0], ast.get_docstring(function) is not None
