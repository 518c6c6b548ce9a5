"""Whether the models that a script has saved keep their bounds when a fresh process loads them and trains on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from msgspec.structs import replace

from clipcheck.verify import child
from clipcheck.verify.claim import Claim, Kind, Since
from clipcheck.verify.folder import RELOADED
from clipcheck.verify.job import Job
from clipcheck.verify.record import Seen
from clipcheck.verify.run import Outcome
from clipcheck.verify.wire import record_from

TIMEOUT = 300.0
"""Seconds: it takes little more than the imports of the script."""

_CHILD = str(Path(next(iter(child.__path__))) / "reload.py")


def with_reloads(job: Job, outcome: Outcome, *, python: str = sys.executable) -> tuple[Job, Outcome]:
    """The job with a claim more, and the outcome with what was seen of it, if the run has kept saved models.

    They are loaded where the script's definitions are known and nothing else of it has run.
    """
    first, *others = outcome.records
    if not first.saved:
        return job, outcome
    number = len(job.claims)
    seen, problems = _reloaded(Path(job.folder), python)
    seen = tuple(replace(one, claim=number) for one in seen)
    record = replace(
        first,
        seen=(*first.seen, *seen),
        bound=(*first.bound, number),
        problems=(*first.problems, *problems),
    )
    names = sorted({Path(path).name for path in first.saved})
    told = " and ".join(names)
    claim = Claim(Kind.RELOADED, told, f"what is saved as {told}", job.script, 0, Since.UPDATE)
    return replace(job, claims=(*job.claims, claim)), replace(outcome, records=(record, *others))


def _reloaded(folder: Path, python: str) -> tuple[tuple[Seen, ...], tuple[str, ...]]:
    try:
        process = subprocess.run(
            [python, _CHILD, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return (), (f"loading the saved models took longer than {TIMEOUT:g} s",)
    written = folder / RELOADED
    if not written.exists():
        return (), (f"loading the saved models failed: {process.stdout.strip()}",)
    return record_from(written.read_text(encoding="utf-8")).seen, ()
