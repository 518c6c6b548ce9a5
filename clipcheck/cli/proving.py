"""`clipcheck fix --verify`: a file is written only if its fixed version was run, and its bounds held."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.cli.output import complain
from clipcheck.cli.running import Running, run_script
from clipcheck.cli.session import Session
from clipcheck.engine.fix import FixResult
from clipcheck.engine.many import unfixed, written
from clipcheck.report.verdict import message
from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError
from clipcheck.verify.trial import Options, claims_in
from clipcheck.verify.verdict import Ruling


class Proof(Struct, frozen=True):
    """What became of a file.

    result: of its fixes, which are not in it where they were not proved. ruling: on the run of its fixed version, None
    where there was nothing to run it for. words: what was seen.
    """

    result: FixResult
    ruling: Ruling | None = None
    words: str = ""

    @property
    def is_inconclusive(self) -> bool:
        return self.ruling is Ruling.INCONCLUSIVE

    @property
    def path(self) -> str:
        return self.result.before.path if self.result.before is not None else ""


def prove(result: FixResult, session: Session, running: Running, *, write_it: bool) -> Proof:
    """Run the fixed version of a file in the file's place, write it if it held, and say so where it did not."""
    fixed = result.document
    if fixed is None or not result.is_changed:
        return Proof(result)
    ruling, words = _tried(fixed, session, running)
    if ruling is not Ruling.HELD:
        complain(f"{fixed.path} stays as it was, since its fixed version is not proved. {words}", "warning")
        return Proof(unfixed(result, session.rules, session.settings), ruling, words)
    if write_it:
        result = written(fixed.path, result, session.rules, session.settings)
    return Proof(result, ruling, words)


def _tried(fixed: Document, session: Session, running: Running) -> tuple[Ruling, str]:
    """The ruling on a run of the fixed version, and the words for it."""
    options = Options(updates=running.updates, timeout=running.timeout, fake_data=running.fake_data, seed=running.seed)
    try:
        claims = claims_in(fixed, options, session.settings)
    except SourceError as error:
        return Ruling.INCONCLUSIVE, f"{error.message}."
    if not claims:
        return Ruling.INCONCLUSIVE, "It does not say that it bounds anything, so there is nothing to verify."
    trial = run_script(fixed, claims, options, f"{fixed.path}, fixed")
    verdict = trial.verdict
    hints = "".join(f" Hint: {hint}." for hint in verdict.hints)
    return verdict.ruling, f"{verdict.ruling.value}: {message(trial)}{hints}"
