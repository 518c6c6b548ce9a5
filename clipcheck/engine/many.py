"""Many files, one after the other. The results come in the order of the paths, whatever the order of the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TypeVar

from clipcheck.diagnostic import Problem
from clipcheck.engine.fix import FixResult, fix_document
from clipcheck.engine.lint import Result, lint_bytes, lint_document, read
from clipcheck.engine.write import write_atomically
from clipcheck.rule import Rule
from clipcheck.settings import Settings
from clipcheck.source.errors import SourceError

T = TypeVar("T")


def lint_files(
    files: Iterable[Path | Problem],
    rules: Sequence[Rule],
    settings: Settings,
    *,
    parsed: frozenset[Path] = frozenset(),
    executor: Executor | None = None,
) -> Result:
    """Lint files; the problems of those that could not be found go along. An executor spreads the work.

    `parsed`: the files that are parsed, so that a syntax error is told, also where no rule looks for anything.
    """
    results = _each(partial(lint_file, rules=rules, settings=settings, parsed=parsed), files, Result, executor)
    return Result(
        tuple(diagnostic for result in results for diagnostic in result.diagnostics),
        tuple(problem for result in results for problem in result.problems),
    )


def fix_files(
    files: Iterable[Path | Problem],
    rules: Sequence[Rule],
    settings: Settings,
    *,
    unsafe: bool = False,
    write: bool = True,
    parsed: frozenset[Path] = frozenset(),
    executor: Executor | None = None,
) -> list[FixResult]:
    """Fix files, each in its place unless `write` is False. `parsed` and `executor` as in `lint_files`."""
    work = partial(fix_file, rules=rules, settings=settings, unsafe=unsafe, write=write, parsed=parsed)
    return _each(work, files, FixResult, executor)


def lint_file(
    path: Path, rules: Sequence[Rule], settings: Settings, *, parsed: frozenset[Path] = frozenset()
) -> Result:
    try:
        data = path.read_bytes()
    except OSError as error:
        return Result(problems=(_problem(path, error),))
    return lint_bytes(str(path), data, rules, settings, always_parse=path in parsed)


def fix_file(
    path: Path,
    rules: Sequence[Rule],
    settings: Settings,
    *,
    unsafe: bool,
    write: bool,
    parsed: frozenset[Path] = frozenset(),
) -> FixResult:
    try:
        document = read(str(path), path.read_bytes(), rules, settings, always=path in parsed)
    except SourceError as error:
        return FixResult(problems=(Problem(str(path), error.message, error.position),))
    except OSError as error:
        return FixResult(problems=(_problem(path, error),))
    if document is None:
        return FixResult()
    result = fix_document(document, rules, settings, unsafe=unsafe, always_parse=path in parsed)
    if not (write and result.is_changed and result.document):
        return result
    try:
        write_atomically(path, result.document.encode())
    except OSError as error:
        left = lint_document(document, rules, settings)
        problems = (*left.problems, _problem(path, error))
        return FixResult(document, document, diagnostics=left.diagnostics, problems=problems)
    return result


def _each(
    work: Callable[[Path], T], files: Iterable[Path | Problem], result: Callable[..., T], executor: Executor | None
) -> list[T]:
    """The results of all files, by path."""
    paths: list[Path] = []
    results: list[tuple[str, T]] = []
    for file in files:
        if isinstance(file, Problem):
            results.append((file.path, result(problems=(file,))))
        else:
            paths.append(file)
    done = executor.map(work, paths) if executor else map(work, paths)
    results += zip(map(str, paths), done, strict=True)
    return [own for _, own in sorted(results, key=lambda pair: pair[0])]


def _problem(path: Path, error: OSError) -> Problem:
    return Problem(str(path), error.strerror or str(error))
