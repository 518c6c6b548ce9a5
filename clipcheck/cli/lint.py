"""`clipcheck lint`: find, and change nothing."""

from __future__ import annotations

import click

from clipcheck.cli.options import Choices, Effort, choices, effort, output_format, quiet
from clipcheck.cli.output import complain_of, write


@click.command(short_help="Find misuse of clipping, change nothing.")
@choices
@effort
@output_format
@click.option("--statistics", is_flag=True, help="Only count the findings of each rule.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 also where something was found.")
@quiet
@click.pass_context
def lint(
    context: click.Context,
    chosen: Choices,
    effort: Effort,
    output_format: str,
    statistics: bool,
    exit_zero: bool,
    quiet: bool,
) -> None:
    """Find misuse of clipping in files and folders (default: the working directory; '-': standard input).

    Below folders, Python files and notebooks are checked that neither git nor the settings leave out. The settings
    are those of the nearest clipcheck.toml or pyproject.toml with [tool.clipcheck], searched upwards from the first
    path.
    """
    from clipcheck import report as formats
    from clipcheck.cli.caching import cache_for
    from clipcheck.cli.session import Session
    from clipcheck.engine.lint import lint_bytes
    from clipcheck.engine.many import lint_files

    session = Session.open(chosen).with_effort(effort)
    if chosen.from_stdin:
        result = lint_bytes(*session.stdin, session.rules, session.settings, always_parse=True)
    else:
        result = lint_files(
            session.files,
            session.rules,
            session.settings,
            parsed=session.named,
            jobs=effort.jobs,
            cache=cache_for(effort, session.settings, session.rules),
        )
    complain_of(result.problems)

    report = session.report(result.diagnostics, result.problems, output_format)
    if not statistics:
        write(formats.FORMATS[output_format](report))
    elif output_format == "json":
        write(formats.statistics_json(report))
    else:
        write(formats.statistics(report))
    if not quiet and output_format in ("full", "concise"):
        write(formats.summary(report))

    if result.problems:
        context.exit(2)
    context.exit(1 if result.diagnostics and not exit_zero else 0)
