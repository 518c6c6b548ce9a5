"""What can go wrong between a file's bytes and its text."""

from __future__ import annotations

from clipcheck.diagnostic import Position


class SourceError(Exception):
    """A file that cannot be read as Python source, or text that cannot be written back to its file."""

    def __init__(self, message: str, position: Position | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
