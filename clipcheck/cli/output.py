"""Writing to standard output and standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import click

from clipcheck.diagnostic import Problem

READER_GONE = 141
"""The exit code when nobody reads what we print: what a shell makes of a process that dies of SIGPIPE."""


def write(pieces: Iterable[str], *, to_stderr: bool = False) -> None:
    """Prints the pieces as they come."""
    stream = sys.stderr if to_stderr else sys.stdout
    try:
        for piece in pieces:
            stream.write(piece)
        stream.flush()
    except BrokenPipeError:
        _stop()


def write_bytes(content: bytes) -> None:
    """Prints code as it is, whatever its encoding and its line ends are."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _stop()


def complain(message: str, kind: str = "error") -> None:
    """One line on standard error."""
    colour = {"error": "red", "warning": "yellow"}[kind]
    click.echo(f"{click.style(kind, fg=colour, bold=True)}: {message}", err=True)


def complain_of(problems: Iterable[Problem]) -> None:
    from clipcheck.report.given import place

    for problem in problems:
        where = place(problem.path, problem.position) if problem.position else problem.path
        complain(f"{where}: {problem.message}")


def text_width() -> int:
    """How wide running text may be: as the terminal, and not wider than is good to read."""
    import shutil

    return min(100, max(40, shutil.get_terminal_size((100, 24)).columns))


def _stop() -> None:
    # What is still in the buffer goes nowhere, instead of raising once more at the interpreter's end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise click.exceptions.Exit(READER_GONE)
