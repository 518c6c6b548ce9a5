"""`clipcheck fix`: rewrite what can be rewritten, and tell what is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from clipcheck.cli.options import Choices, Effort, choices, effort, output_format, quiet
from clipcheck.cli.output import complain, complain_of, write, write_bytes
from clipcheck.cli.running import Running, check_wanted, running

if TYPE_CHECKING:
    from clipcheck.cli.proving import Proof
    from clipcheck.cli.session import Session
    from clipcheck.engine.fix import FixResult
    from clipcheck.report import Report
    from clipcheck.report.colour import Paint


@click.command(short_help="Fix what can be fixed, tell what is left.")
@choices
@click.option(
    "--unsafe-fixes/--no-unsafe-fixes",
    default=None,
    help="Apply also the fixes that change what is trained.",
)
@click.option("--diff", is_flag=True, help="Show what would change, and write nothing; exit with 1 if something would.")
@click.option(
    "--verify",
    is_flag=True,
    help="Run each file that would change as `clipcheck verify` does, with its unsafe fixes too, and write it only if "
    "its bounds held.",
)
@running
@effort
@output_format
@quiet
@click.pass_context
def fix(
    context: click.Context,
    chosen: Choices,
    effort: Effort,
    running: Running,
    unsafe_fixes: bool | None,
    diff: bool,
    verify: bool,
    output_format: str,
    quiet: bool,
) -> None:
    """Fix misuse of clipping in files and folders (default: the working directory).

    With '-' the code is read from standard input, and the fixed code is written to standard output.

    With --verify your code is run. Exit codes then: 0 nothing is left, 1 something is, or a bound did not hold, 2 a run
    proved nothing.
    """
    from clipcheck.cli.session import Session

    check_wanted(context, verify, "--verify")
    if verify and chosen.from_stdin:
        raise click.UsageError("'--verify' needs files: what is on standard input cannot be run.")
    session = Session.open(chosen).with_effort(effort)
    if unsafe_fixes is not None:
        session = replace(session, settings=replace(session.settings, unsafe_fixes=unsafe_fixes))
    proofs = (
        _prove_files(session, effort, running, unsafe=unsafe_fixes is not False, write_them=not diff) if verify else []
    )
    results: Sequence[FixResult]
    if chosen.from_stdin:
        results = [_fix_stdin(session, diff)]
    elif verify:
        results = [proof.result for proof in proofs]
    else:
        results = _fix_files(session, effort, unsafe=session.settings.unsafe_fixes, write_them=not diff)

    aside = diff or chosen.from_stdin  # Standard output is for the diff or the code.
    report = session.report(
        [found for result in results for found in result.diagnostics],
        [problem for result in results for problem in result.problems],
        output_format,
        to_stderr=aside,
    )
    complain_of(report.problems)
    _complain_of_dropped(results)
    if diff:
        _show_diff(report, results, session.paint, quiet)
    else:
        _show_fixed(report, results, proofs, output_format, quiet=quiet, aside=aside)

    if report.problems or any(proof.is_inconclusive for proof in proofs):
        context.exit(2)
    context.exit(1 if (any(result.is_changed for result in results) if diff else report.diagnostics) else 0)


def _fix_files(session: Session, effort: Effort, *, unsafe: bool, write_them: bool) -> Sequence[FixResult]:
    from clipcheck.cli.caching import cache_for
    from clipcheck.engine.many import fix_files

    settings = session.settings
    return fix_files(
        session.files,
        session.rules,
        settings,
        unsafe=unsafe,
        write=write_them,
        parsed=session.named,
        jobs=effort.jobs,
        cache=cache_for(effort, settings, session.rules),
    )


def _prove_files(
    session: Session, effort: Effort, running: Running, *, unsafe: bool, write_them: bool
) -> Sequence[Proof]:
    from clipcheck.cli.proving import prove

    made = _fix_files(session, effort, unsafe=unsafe, write_them=False)
    return [prove(result, session, running, write_it=write_them) for result in made]


def _fix_stdin(session: Session, diff: bool) -> FixResult:
    """Writes the fixed code to standard output, or the code as it came where it cannot be fixed."""
    from clipcheck.diagnostic import Problem
    from clipcheck.engine.fix import FixResult, fix_document
    from clipcheck.engine.lint import read
    from clipcheck.source.errors import SourceError

    name, data = session.stdin
    settings = session.settings
    try:
        document = read(name, data, session.rules, settings, always=True)
    except SourceError as error:
        result = FixResult(problems=(Problem(name, error.message, error.position),))
    else:
        made = document and fix_document(
            document, session.rules, settings, unsafe=settings.unsafe_fixes, always_parse=True
        )
        result = made or FixResult()
    if not diff:
        write_bytes(result.document.encode() if result.document else data)
    return result


def _show_diff(report: Report, results: Sequence[FixResult], paint: Paint, quiet: bool) -> None:
    from clipcheck.report import diff_summary

    for result in results:
        write(_diff_of(result, paint))
    if not quiet:
        write(diff_summary(report, *_counts(results)), to_stderr=True)


def _show_fixed(
    report: Report,
    results: Sequence[FixResult],
    proofs: Sequence[Proof],
    output_format: str,
    *,
    quiet: bool,
    aside: bool,
) -> None:
    from clipcheck.report import FORMATS, fix_summary

    write(FORMATS[output_format](report), to_stderr=aside)
    if not quiet and output_format in ("full", "concise"):
        write(_fixed_list(results), to_stderr=aside)
        write(_proved_list(proofs), to_stderr=aside)
        write(fix_summary(report, *_counts(results)), to_stderr=aside)


def _counts(results: Sequence[FixResult]) -> tuple[int, int]:
    """How many findings were fixed, and how many wait for `--unsafe-fixes`."""
    fixed = sum(own.count for result in results for own in result.fixed)
    return fixed, sum(result.unsafe_waiting for result in results)


def _diff_of(result: FixResult, paint: Paint) -> Iterator[str]:
    from clipcheck.report import unified_diff

    before, after = result.before, result.document
    if before is None or after is None or not result.is_changed:
        return
    if before.notebook is None or after.notebook is None:
        yield from unified_diff(before.path, before.code, after.code, paint)
        return
    for cell in before.notebook.cells:
        name = f"{before.path}:cell {cell.number}"
        old, new = before.notebook.cell_text(cell.number), after.notebook.cell_text(cell.number)
        yield from unified_diff(name, old, new, paint)


def _fixed_list(results: Sequence[FixResult]) -> Iterator[str]:
    """What was fixed, by file and rule, as ruff shows it."""
    changed = [result for result in results if result.fixed]
    if changed:
        yield "Fixed:\n"
    for result in changed:
        yield f"- {result.before.path if result.before else '-'}:\n"
        for own in result.fixed:
            yield f"    {own.count} × {own.code} ({own.name})\n"


def _proved_list(proofs: Sequence[Proof]) -> Iterator[str]:
    """What was seen when the fixed files were run."""
    written = [proof for proof in proofs if proof.result.fixed]
    if written:
        yield "Verified:\n"
    yield from (f"- {proof.path}: {proof.words}\n" for proof in written)


def _complain_of_dropped(results: Sequence[FixResult]) -> None:
    from clipcheck.report.given import place

    for result in results:
        for dropped in result.dropped:
            where = place(result.before.path if result.before else "-", dropped.position)
            complain(f"{where}: the fix of {dropped.code} was not applied: {dropped.reason}", "warning")
