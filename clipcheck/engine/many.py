"""Many files: what is known of them from earlier runs, what their bytes tell, and the work that is left, spread over
processes where that pays. Results come in the order of the paths, whatever the order of the work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeAlias, TypeVar

from clipcheck.diagnostic import Problem
from clipcheck.engine.cache import Cache, Known, digest_of
from clipcheck.engine.cards import Card
from clipcheck.engine.fix import FixResult
from clipcheck.engine.lint import Result, lint_document
from clipcheck.engine.work import Done, Fix, Lint, Work, problem_of
from clipcheck.engine.write import write_atomically
from clipcheck.settings import Settings

if TYPE_CHECKING:
    from concurrent.futures import Executor

T = TypeVar("T", bound="Result | FixResult")
File: TypeAlias = "str | os.PathLike[str] | Problem"
"""A path, or what `discover` has to say of one that is none."""

_SHARE = 150_000
"""How many bytes of files that a rule may concern there must be for each process: to check them takes longer than to
start it."""
_BATCH_BYTES = 100_000
_BATCH_FILES = 64
_AHEAD = 256


def lint_files(
    files: Iterable[File],
    rules: Sequence[Card],
    settings: Settings,
    *,
    parsed: Iterable[str | os.PathLike[str]] = (),
    jobs: int | None = 1,
    cache: Cache | None = None,
    executor: Executor | None = None,
) -> Result:
    """Lint files; the problems of those that could not be found go along.

    `parsed`: the files that are parsed, so that a syntax error is told, also where no rule looks for anything. `jobs`:
    how many processes may be started, None for one on each core; an executor takes their place.
    """
    work = Lint.of(rules, settings, parsed)
    return _joined(_results(work, files, jobs, cache, executor))


def lint_stream(
    files: Iterable[File],
    rules: Sequence[Card],
    settings: Settings,
    *,
    executor: Executor,
    batch: int = _BATCH_FILES,
    ahead: int = _AHEAD,
) -> Iterator[Result]:
    """Lint any number of files on any number of machines, and yield what was found, in the order of the files.

    Batches of so many paths are handed to the executor, of which at most `ahead` are on their way at a time; nothing
    else is held in memory. The machines read the files under the same paths.
    """
    work = Lint.of(rules, settings, ())
    for done in _streamed(work, files, executor, batch, ahead):
        found = _joined([(own.path, own.result) for own in done])
        if found != Result():
            yield found


def fix_files(
    files: Iterable[File],
    rules: Sequence[Card],
    settings: Settings,
    *,
    unsafe: bool = False,
    write: bool = True,
    parsed: Iterable[str | os.PathLike[str]] = (),
    jobs: int | None = 1,
    cache: Cache | None = None,
    executor: Executor | None = None,
) -> list[FixResult]:
    """Fix files, each in its place unless `write` is False; the results are those of files of which there is something
    to tell. The other arguments are those of `lint_files`."""
    work = Fix.of(rules, settings, parsed, unsafe)
    results = sorted(_results(work, files, jobs, cache, executor), key=_path)
    return [written(path, result, rules, settings) if write else result for path, result in results]


class _Left(NamedTuple):
    """A file that must be worked on."""

    path: str
    size: int


def _results(
    work: Work[T], files: Iterable[File], jobs: int | None, cache: Cache | None, executor: Executor | None
) -> list[tuple[str, T]]:
    """All that there is to tell, with the paths."""
    if executor is not None:
        batches = _streamed(work, files, executor, _BATCH_FILES, _AHEAD)
        return [(done.path, done.result) for batch in batches for done in batch if done.result != type(done.result)()]
    return _Run(work, cache).results(files, jobs)


def _streamed(
    work: Work[T], files: Iterable[File], executor: Executor, batch: int, ahead: int
) -> Iterator[list[Done[T]]]:
    aside: list[Done[T]] = []

    def paths() -> Iterator[str]:
        for file in files:
            if isinstance(file, Problem):
                aside.append(Done(file.path, "", work.failed(file)))
            else:
                yield os.fspath(file)

    left = paths()
    batches = iter(lambda: list(islice(left, batch)), [])
    from clipcheck.engine.jobs import on_executor

    for done in on_executor(work, batches, executor, ahead=ahead, lost=work.lost):
        yield aside + done
        aside.clear()
    yield aside


class _Run(Generic[T]):
    """One run over many files on this machine."""

    def __init__(self, work: Work[T], cache: Cache | None) -> None:
        self._work = work
        self._cache = cache
        self._stamps: dict[str, str] = {}
        self._told: list[tuple[str, T]] = []

    def results(self, files: Iterable[File], jobs: int | None) -> list[tuple[str, T]]:
        try:
            for done in _worked_off(self._work, self._left(files), jobs):
                self._add(done.path, done.result)
                self._keep(done)
        finally:
            if self._cache is not None:
                self._cache.save()
        return self._told

    def _left(self, files: Iterable[File]) -> Iterator[_Left]:
        """The files of which neither the cache nor their bytes tell the result."""
        cache, parsed = self._cache, self._work.parsed
        for file in files:
            if isinstance(file, Problem):
                self._add(file.path, self._work.failed(file))
                continue
            path = os.fspath(file)
            known = cache.look(path) if cache is not None else Known("")
            if known.is_clean and path not in parsed:
                continue
            if not (known.is_unchanged and self._is_known(path, known)):
                yield from self._looked_at(path, known)

    def _looked_at(self, path: str, known: Known) -> Iterator[_Left]:
        """The file, unless its bytes tell that nothing can be found in it, or that it is the same as before."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            self._add(path, self._work.failed(problem_of(path, error)))
            return
        if not self._work.is_wanted(path, data):
            if self._cache is not None:
                self._cache.keep(path, known.stamp)
        elif known.digest and known.digest == digest_of(data) and self._is_known(path, known):
            if self._cache is not None:
                self._cache.keep(path, known.stamp, known.digest, known.findings(path), parsed=known.is_parsed)
        else:
            self._stamps[path] = known.stamp
            yield _Left(path, len(data))

    def _is_known(self, path: str, known: Known) -> bool:
        """Whether all is known of a file that is as it was. Then it is told."""
        if path in self._work.parsed and not known.is_parsed:
            return False
        try:
            result = self._work.known(known.findings(path))
        except (TypeError, ValueError):  # it is not what this version has written
            return False
        if result is None:
            return False
        self._add(path, result)
        return True

    def _keep(self, done: Done[T]) -> None:
        findings = self._work.findings(done.result)
        if self._cache is not None and findings is not None and done.digest:
            parsed = done.path in self._work.parsed
            self._cache.keep(done.path, self._stamps[done.path], done.digest, findings, parsed=parsed)

    def _add(self, path: str, result: T) -> None:
        if result != type(result)():
            self._told.append((path, result))


def _worked_off(work: Work[T], left: Iterator[_Left], jobs: int | None) -> Iterator[Done[T]]:
    """The results, worked out in processes if there is so much to do that it pays."""
    if jobs != 1:
        first = list(_up_to(2 * _SHARE, left))
        left = chain(first, left)
        if _shares(first) > 1:
            yield from _worked_off_together(work, left, jobs)
            return
    for file in left:
        yield work(file.path)


def _worked_off_together(work: Work[T], left: Iterator[_Left], jobs: int | None) -> Iterator[Done[T]]:
    from clipcheck.engine.jobs import available_cores, in_processes

    most = jobs or available_cores()
    first = list(_up_to(most * _SHARE, left))
    left = chain(first, left)
    if most == 1:
        yield from (work(file.path) for file in left)
        return
    for batch in in_processes(work, _batches(left), min(most, _shares(first)), lost=work.lost):
        yield from batch


def _shares(files: Iterable[_Left]) -> int:
    return sum(file.size for file in files) // _SHARE


def _up_to(size: int, left: Iterator[_Left]) -> Iterator[_Left]:
    """As many files as have so many bytes."""
    for file in left:
        yield file
        size -= file.size
        if size <= 0:
            return


def _batches(left: Iterable[_Left]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for file in left:
        batch.append(file.path)
        size += file.size
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_FILES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _joined(results: Iterable[tuple[str, Result]]) -> Result:
    """By path."""
    ordered = [result for _, result in sorted(results, key=_path)]
    return Result(
        tuple(diagnostic for result in ordered for diagnostic in result.diagnostics),
        tuple(problem for result in ordered for problem in result.problems),
    )


def _path(result: tuple[str, object]) -> str:
    return result[0]


def written(path: str, result: FixResult, rules: Sequence[Card], settings: Settings) -> FixResult:
    """The result after the file was written, or why that could not be done."""
    if not (result.is_changed and result.before and result.document):
        return result
    try:
        write_atomically(Path(path), result.document.encode())
    except OSError as error:
        return unfixed(result, rules, settings, problem_of(path, error))
    return result


def unfixed(result: FixResult, rules: Sequence[Card], settings: Settings, *problems: Problem) -> FixResult:
    """The result for a file that stays as it was after all."""
    if result.before is None:
        return result
    left = lint_document(result.before, rules, settings)
    return FixResult(result.before, result.before, diagnostics=left.diagnostics, problems=(*left.problems, *problems))
