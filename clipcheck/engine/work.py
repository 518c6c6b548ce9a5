"""What is done with each of many files, as data that can be sent to other processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from msgspec import Struct

from clipcheck.diagnostic import Diagnostic, Problem
from clipcheck.engine.cache import digest_of
from clipcheck.engine.cards import Card
from clipcheck.engine.fix import FixResult, fix_opened
from clipcheck.engine.lint import Result, is_concerned, lint_bytes, open_bytes
from clipcheck.settings import Settings
from clipcheck.source.errors import SourceError

T = TypeVar("T", bound="Result | FixResult")


class Done(Struct, Generic[T], frozen=True):
    """A file that was worked on, and the digest of the bytes that were."""

    path: str
    digest: str
    result: T


class Work(Struct, Generic[T], frozen=True):
    """What is done with each file. It is sent to other processes, so it is plain data."""

    rules: tuple[Card, ...]
    settings: Settings
    parsed: frozenset[str]

    def __call__(self, path: str) -> Done[T]:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            return Done(path, "", self.failed(problem_of(path, error)))
        return Done(path, digest_of(data), self.result(path, data))

    def is_wanted(self, path: str, data: bytes) -> bool:
        """Whether a file must be looked at more closely than by its bytes."""
        return path in self.parsed or is_concerned(path, data, self.rules, self.settings)

    def lost(self, path: str, error: Exception) -> Done[T]:
        """What is told of a file whose process or machine is gone."""
        return Done(path, "", self.failed(Problem(path, f"not checked: {_told(error)}")))

    def result(self, path: str, data: bytes) -> T:
        raise NotImplementedError

    def failed(self, problem: Problem) -> T:
        raise NotImplementedError

    def known(self, findings: tuple[Diagnostic, ...]) -> T | None:
        """The result for a file in which these were found before; None if there is something to do."""
        raise NotImplementedError

    def findings(self, result: T) -> tuple[Diagnostic, ...] | None:
        """What is in the file, to be known the next time; None if that is not sure."""
        raise NotImplementedError


class Lint(Work[Result], frozen=True):
    @classmethod
    def of(cls, rules: Sequence[Card], settings: Settings, parsed: Iterable[str | os.PathLike[str]]) -> Lint:
        return cls(tuple(rules), settings, frozenset(os.fspath(path) for path in parsed))

    def result(self, path: str, data: bytes) -> Result:
        return lint_bytes(path, data, self.rules, self.settings, always_parse=path in self.parsed)

    def failed(self, problem: Problem) -> Result:
        return Result(problems=(problem,))

    def known(self, findings: tuple[Diagnostic, ...]) -> Result | None:
        return Result(findings)

    def findings(self, result: Result) -> tuple[Diagnostic, ...] | None:
        return None if result.problems else result.diagnostics


class Fix(Work[FixResult], frozen=True):
    unsafe: bool

    @classmethod
    def of(
        cls, rules: Sequence[Card], settings: Settings, parsed: Iterable[str | os.PathLike[str]], unsafe: bool
    ) -> Fix:
        return cls(tuple(rules), settings, frozenset(os.fspath(path) for path in parsed), unsafe)

    def result(self, path: str, data: bytes) -> FixResult:
        always = path in self.parsed
        try:
            opened = open_bytes(path, data, self.rules, self.settings, always=always)
        except SourceError as error:
            return self.failed(Problem(path, error.message, error.position))
        if opened is None:
            return FixResult()
        result = fix_opened(opened, self.rules, self.settings, unsafe=self.unsafe, always_parse=always)
        # The documents need not travel where there is nothing to tell.
        return result if result.fixed or result.diagnostics or result.problems or result.dropped else FixResult()

    def failed(self, problem: Problem) -> FixResult:
        return FixResult(problems=(problem,))

    def known(self, findings: tuple[Diagnostic, ...]) -> FixResult | None:
        return None if findings else FixResult()

    def findings(self, result: FixResult) -> tuple[Diagnostic, ...] | None:
        return () if result == FixResult() else None


def problem_of(path: str, error: OSError) -> Problem:
    return Problem(path, error.strerror or str(error))


def _told(error: Exception) -> str:
    from concurrent.futures import BrokenExecutor

    if isinstance(error, BrokenExecutor):
        return "the process that checked it was ended from outside (for want of memory?)"
    return f"{type(error).__name__}: {error}".replace("\n", " ")
