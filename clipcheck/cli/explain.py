"""`clipcheck explain`: the training steps of a file, as the tool sees them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click

from clipcheck.cli.output import complain_of, write


@click.command(short_help="Show the training steps of a file as clipcheck sees them.")
@click.argument("where", metavar="FILE[:LINE]")
@click.pass_context
def explain(context: click.Context, where: str) -> None:
    """Show the training steps of FILE, or of the line that a finding names, as clipcheck sees them.

    What happens in one iteration, in its order: backward passes, clips, steps, and calls of which FILE does not show
    what they do; under which conditions, in which loops, through which helpers; which optimizer updates what. In a
    notebook, LINE is CELL:LINE.
    """
    from clipcheck.diagnostic import Problem
    from clipcheck.engine.explain import training_steps
    from clipcheck.report.colour import paint_for
    from clipcheck.report.steps import explained
    from clipcheck.source.document import Document
    from clipcheck.source.errors import SourceError

    path, wanted = _split(where)
    try:
        document = Document.from_bytes(path, Path(path).read_bytes())
        steps = training_steps(document)
    except OSError as error:
        complain_of([Problem(path, error.strerror or str(error))])
        context.exit(2)
    except SourceError as error:
        complain_of([Problem(path, error.message, error.position)])
        context.exit(2)

    def place(line: int) -> str:
        position = document.position(line, 0)
        return f"{position.cell}:{position.row}" if position.cell else str(position.row)

    lines = range(1, document.code.count("\n") + 2)
    line = next((line for line in lines if place(line) == wanted), None)
    if wanted is not None and line is None:
        raise click.UsageError(f"{path} has no line {wanted}.")
    write(explained(path, steps, place, line, paint_for(sys.stdout, os.environ)))


def _split(where: str) -> tuple[str, str | None]:
    """The file, and the line as `explain` prints it."""
    found = re.fullmatch(r"(.+?):(\d+(?::\d+)?):?", where)
    return (found[1], found[2]) if found else (where, None)
