"""The last lines of a run: how much was found, and what can be done about it."""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.report.given import Report


def summary(report: Report) -> Iterator[str]:
    """What `clipcheck lint` ends with."""
    found = len(report.diagnostics)
    if found == 0 and not report.problems:
        yield "All checks passed!\n"
        return
    yield f"Found {counted(found, 'error')}.{_unchecked(report)}\n"
    yield from _fixable(report)


def fix_summary(report: Report, fixed: int, waiting: int = 0) -> Iterator[str]:
    """What `clipcheck fix` ends with: the report holds what is left, of which so many wait for `--unsafe-fixes`."""
    left = len(report.diagnostics)
    if fixed + left == 0 and not report.problems:
        yield "All checks passed!\n"
    elif fixed == 0:
        yield f"Found {counted(left, 'error')}.{_unchecked(report)}\n"
    else:
        yield f"Found {counted(fixed + left, 'error')} ({fixed} fixed, {left} remaining).{_unchecked(report)}\n"
    yield from _waiting(waiting)


def diff_summary(report: Report, fixed: int, waiting: int = 0) -> Iterator[str]:
    """What `clipcheck fix --diff` ends with."""
    what = f"Would fix {counted(fixed, 'error')}" if fixed else "No errors would be fixed"
    yield f"{what}.{_unchecked(report)}\n"
    yield from _waiting(waiting)


def counted(number: int, one: str, many: str | None = None) -> str:
    """ "1 error", "2 errors"."""
    return f"{number} {one}" if number == 1 else f"{number} {many or one + 's'}"


def _unchecked(report: Report) -> str:
    files = len({problem.path for problem in report.problems})
    return f" {counted(files, 'file')} could not be checked." if files else ""


def _fixable(report: Report) -> Iterator[str]:
    fixable = sum(report.is_fixed_by_default(found) for found in report.diagnostics)
    every = sum(found.fix is not None for found in report.diagnostics)
    more = f"{every} with `--unsafe-fixes`"
    if fixable:
        yield f"[*] {fixable} fixable with `clipcheck fix`{f' ({more})' if every > fixable else ''}.\n"
    elif every:
        yield f"{every} fixable with `clipcheck fix --unsafe-fixes`.\n"


def _waiting(waiting: int) -> Iterator[str]:
    if waiting:
        yield f"{counted(waiting, 'unsafe fix', 'unsafe fixes')} can be applied with `--unsafe-fixes`.\n"
