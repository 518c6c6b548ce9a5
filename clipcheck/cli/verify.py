"""`clipcheck verify`: run a training script, and see whether what should be bounded is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from clipcheck.cli.output import complain, complain_of, text_width, write
from clipcheck.cli.running import Running, run_script, running
from clipcheck.diagnostic import Problem

if TYPE_CHECKING:
    from clipcheck.settings import Settings
    from clipcheck.source.document import Document
    from clipcheck.source.errors import SourceError
    from clipcheck.verify.claim import Claim
    from clipcheck.verify.trial import Options, Trial
    from clipcheck.verify.watch import Wish

TAIL = 30
"""How many lines of a failed script's output are shown unless all are asked for."""


@click.command(short_help="Run a script, and see whether its clips hold.")
@click.argument("script", type=click.Path(exists=True, dir_okay=False))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--watch",
    multiple=True,
    metavar="NAME",
    help="Watch this model or parameter, as the script calls it, instead of what the script itself claims; "
    "with a glob over its parameters: 'critic.*.weight'. May be given more than once.",
)
@click.option("--bound", type=click.FloatRange(min=0), metavar="C", help="What is watched must stay in [-C, C].")
@click.option("--low", type=float, metavar="C", help="What is watched must not fall below C.")
@click.option("--high", type=float, metavar="C", help="What is watched must not rise above C.")
@click.option("--parameters", multiple=True, metavar="GLOB", help="Only these parameters of what is watched.")
@running
@click.option("--device", metavar="DEVICE", help="The weights must be on this device ('cuda', 'cpu').")
@click.option("--nproc", type=click.IntRange(min=1), metavar="N", help="Start N processes of it through torchrun.")
@click.option("--fixed", is_flag=True, help="Run it again as `clipcheck fix --unsafe-fixes` would leave it.")
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the extremes over the updates (png or svg)."
)
@click.option(
    "--output-format",
    type=click.Choice(["full", "json"]),
    default="full",
    show_default=True,
    help="How the verdict is printed.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show all parameters, and what the script printed.")
@click.pass_context
def verify(
    context: click.Context,
    script: str,
    arguments: tuple[str, ...],
    watch: tuple[str, ...],
    bound: float | None,
    low: float | None,
    high: float | None,
    parameters: tuple[str, ...],
    running: Running,
    device: str | None,
    nproc: int | None,
    fixed: bool,
    plot: Path | None,
    output_format: str,
    verbose: bool,
) -> None:
    """Run SCRIPT, with the ARGUMENTS behind '--', and see at every update whether its clips keep their bounds.

    Which weights, gradients or outputs are to stay in which bounds is read from the script. It runs as `python SCRIPT`
    would, with all that it does. Exit codes: 0 the bounds held, 1 one was violated, 2 the run proves nothing.
    """
    from clipcheck.verify.trial import Options

    wishes = _wishes(watch, bound, low, high, parameters)
    options = Options(
        arguments,
        running.updates,
        running.timeout,
        running.fake_data,
        running.seed,
        device,
        nproc,
        wishes,
    )
    _check_plot(plot)
    document, settings = _read(script), _settings(script)
    versions = {script: document}
    if fixed and (after := _fixed(document, settings)) is not None:
        versions[f"{script}, fixed"] = after
    claims = [_claims(version, options, settings) for version in versions.values()]
    trials = [
        run_script(version, own, options, what) for (what, version), own in zip(versions.items(), claims, strict=True)
    ]
    _show(trials, output_format, verbose=verbose)
    if plot is not None:
        _draw(plot, trials)
    context.exit(trials[-1].verdict.ruling.exit_code)


def _wishes(
    watch: tuple[str, ...], bound: float | None, low: float | None, high: float | None, parameters: tuple[str, ...]
) -> tuple[Wish, ...]:
    from clipcheck.verify.watch import Wish

    given = {"--bound": bound, "--low": low, "--high": high}
    told = " ".join(f"{option} {value:g}" for option, value in given.items() if value is not None)
    if not watch:
        if told or parameters:
            raise click.UsageError(f"'{told.split()[0] if told else '--parameters'}' needs '--watch NAME'.")
        return ()
    if not told:
        raise click.UsageError("'--watch' needs a bound: '--bound C', '--low C' or '--high C'.")
    if bound is not None:
        if low is not None or high is not None:
            raise click.UsageError("'--bound C' means '--low -C --high C': give one or the other.")
        low, high = -bound, bound
    if low is not None and high is not None and low > high:
        raise click.UsageError(f"nothing is both at least {low:g} and at most {high:g}.")
    return tuple(Wish(name, low, high, parameters, f"--watch {name} {told}") for name in watch)


def _read(script: str) -> Document:
    """Ends the command where the script cannot be read."""
    from clipcheck.source.document import Document
    from clipcheck.source.errors import SourceError

    try:
        return Document.from_bytes(script, Path(script).read_bytes())
    except SourceError as error:
        _end(script, error)
    except OSError as error:
        _end(script, SourceError(error.strerror or str(error)))


def _settings(script: str) -> Settings:
    from clipcheck.cli.options import Choices
    from clipcheck.cli.session import settings_for

    return settings_for(Choices(paths=(script,)))


def _fixed(document: Document, settings: Settings) -> Document | None:
    """The document after all fixes; None, and a word about it, where there are none."""
    from clipcheck.cli.session import rules_for
    from clipcheck.engine.fix import fix_document

    result = fix_document(document, rules_for(settings), settings, unsafe=True)
    if not result.is_changed:
        complain(f"{document.path}: there is nothing to fix, so it is run as it is only", "warning")
        return None
    return result.document


def _claims(document: Document, options: Options, settings: Settings) -> list[Claim]:
    """Ends the command where the script is no Python, or does not have what is to be watched."""
    from clipcheck.source.errors import SourceError
    from clipcheck.verify.trial import claims_in
    from clipcheck.verify.watch import WatchError

    try:
        return claims_in(document, options, settings)
    except SourceError as error:
        _end(document.path, error)
    except WatchError as error:
        raise click.UsageError(f"--watch: {error}.") from None


def _show(trials: list[Trial], output_format: str, *, verbose: bool) -> None:
    from clipcheck.report.before_and_after import before_and_after
    from clipcheck.report.colour import paint_for
    from clipcheck.report.verdict import full
    from clipcheck.report.verdict_json import json_text

    for trial in trials:
        _show_output(trial, verbose=verbose)
    if output_format == "json":
        write(json_text(trials))
        return
    paint, width = paint_for(sys.stdout, os.environ), text_width()
    if len(trials) > 1:
        write(before_and_after(trials[0], trials[1], paint, width, every_row=verbose))
    else:
        write(full(trials[0], paint, width, every_row=verbose))


def _show_output(trial: Trial, *, verbose: bool) -> None:
    """What the script printed, where it failed or when it was asked for; and what went wrong on our side."""
    for record in trial.outcome.records:
        for problem in record.problems:
            complain(f"this is a bug in clipcheck, please report it: {problem}")
    if not verbose and not trial.verdict.is_failure:
        return
    lines = trial.outcome.output.splitlines()
    left = 0 if verbose else max(0, len(lines) - TAIL)
    if lines:
        above = f", without the {left} lines above (all with -v)" if left else ""
        click.echo(f"the output of {trial.document.path}{above}:", err=True)
    for line in lines[left:]:
        click.echo(f"  | {line}", err=True)


def _check_plot(plot: Path | None) -> None:
    from clipcheck.verify.plot import CannotDrawError, check

    try:
        if plot is not None:
            check(plot)
    except CannotDrawError as error:
        raise click.UsageError(f"--plot: {error}.") from None


def _draw(plot: Path, trials: list[Trial]) -> None:
    from clipcheck.verify.plot import CannotDrawError, Run, draw

    try:
        draw(plot, *(Run(trial.job.claims, trial.outcome.records) for trial in trials))
    except (CannotDrawError, OSError) as error:
        complain(f"{plot}: {error}", "warning")


def _end(path: str, error: SourceError) -> NoReturn:
    complain_of([Problem(path, error.message, error.position)])
    raise click.exceptions.Exit(2)
