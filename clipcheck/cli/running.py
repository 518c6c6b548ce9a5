"""Running the user's code, as `verify` and `fix --verify` do: the options for it, and the run itself."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

if TYPE_CHECKING:
    from clipcheck.source.document import Document
    from clipcheck.verify.claim import Claim
    from clipcheck.verify.trial import Options, Trial

UPDATES = 200


class Running(Struct, frozen=True):
    """How long a script is run, and on which data.

    updates: of what is watched, 0 for no limit. timeout: in seconds, None for none. seed: of the random data.
    """

    updates: int = UPDATES
    timeout: float | None = None
    fake_data: bool = False
    seed: int = 0


def running(command: Callable[..., None]) -> Callable[..., None]:
    """Hands the command a `running`, made of the options that this adds."""

    @functools.wraps(command)
    def collected(
        *arguments: Any, updates: int, timeout: float | None, fake_data: bool, seed: int, **others: Any
    ) -> None:
        command(*arguments, running=Running(updates, timeout, fake_data, seed), **others)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected


def check_wanted(context: click.Context, is_wanted: bool, by: str) -> None:
    """Raises UsageError where one of the options is given, and nothing is to be run."""
    for option in context.command.params:
        if option.name in Running.__struct_fields__ and not is_wanted:
            source = context.get_parameter_source(option.name)
            if source is click.core.ParameterSource.COMMANDLINE:
                raise click.UsageError(f"'{option.opts[0]}' needs '{by}'.")


def run_script(document: Document, claims: list[Claim], options: Options, what: str) -> Trial:
    """Says so before it runs the user's code; what nothing is claimed of is not run. what: to call it by."""
    from clipcheck.verify.trial import try_out

    if claims:
        click.echo(f"running {what} …", err=True)
    with _progress(options.updates) as told:
        return try_out(document, claims, options, told)


@contextmanager
def _progress(updates: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal. What it gives is called with the number of updates so far."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    steps = None if updates else itertools.count()
    with click.progressbar(steps, updates or None, label="updates", show_pos=True, file=sys.stderr) as bar:
        yield lambda count: bar.update(count - bar.pos)


_OPTIONS: list[Callable[..., Any]] = [
    click.option(
        "--updates",
        type=click.IntRange(min=0),
        default=UPDATES,
        show_default=True,
        metavar="N",
        help="End the run after so many updates of what is watched; 0: run the script to its end.",
    ),
    click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="End the run after so long."),
    click.option(
        "--fake-data", is_flag=True, help="Random data in place of the standard datasets: nothing is downloaded."
    ),
    click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="The seed of the random data."),
]
