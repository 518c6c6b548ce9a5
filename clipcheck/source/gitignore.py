"""Patterns as git has them in `.gitignore`. The library that knows them is imported where there are any."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class InvalidPatternError(ValueError):
    """A pattern that matches nothing, whatever there is."""


def check_pattern(line: str) -> None:
    """Raises InvalidPatternError."""
    if not _is_pattern(line):
        raise InvalidPatternError(line)


class Patterns:
    """The lines of one file. Of all that match, the last one decides. Those that make no sense are passed over, as git
    does."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = list(lines)

    @cached_property
    def _spec(self) -> GitIgnoreSpec:
        from pathspec import GitIgnoreSpec

        try:
            return GitIgnoreSpec.from_lines(self._lines)
        except ValueError:
            return GitIgnoreSpec.from_lines([line for line in self._lines if _is_pattern(line)])

    def verdict(self, path: str, is_folder: bool) -> bool | None:
        """True: left out; False: taken after all; None: not a word of it. The path is relative, with slashes."""
        return self._spec.check_file(path + "/" if is_folder else path).include

    def leave_out(self, path: str, is_folder: bool) -> bool:
        """Whether a path is left out, by itself or with a folder that it is in."""
        parts = path.split("/")
        above = ("/".join(parts[:count]) for count in range(1, len(parts)))
        return any(self.verdict(folder, True) for folder in above) or bool(self.verdict(path, is_folder))


def _is_pattern(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
