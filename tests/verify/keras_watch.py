"""Runs scripts with Keras under watch."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from clipcheck.verify.claim import Claim, Constrained, Kind, Note, Since
from clipcheck.verify.job import Job
from clipcheck.verify.record import Record, Seen
from clipcheck.verify.run import Outcome, run

SCRIPTS = Path(__file__).parent / "keras_scripts"


@dataclass(frozen=True)
class Watched:
    """What came of a run, by the subjects of the claims. printed: what the script printed."""

    record: Record
    claims: tuple[Claim, ...]
    printed: list[str]

    def seen(self, subject: str) -> dict[str, Seen]:
        """By the parameters' names in their layers."""
        (number,) = [number for number, claim in enumerate(self.claims) if claim.subject == subject]
        seen = [seen for seen in self.record.seen if seen.claim == number]
        return {".".join(one.name.split(".")[-2:]): one for one in seen}


def watch_job(
    script: Path,
    claims: Iterable[Claim],
    backend: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    updates: int = 0,
    reload: bool = False,
) -> tuple[Job, Outcome]:
    environment = {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    job = Job(str(script), (), tuple(claims), str(folder), updates=updates, reload=reload)
    return job, run(job, timeout=600)


def watch(
    script: Path,
    claims: Iterable[Claim],
    backend: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    updates: int = 0,
) -> Watched:
    job, outcome = watch_job(script, claims, backend, folder, monkeypatch, updates=updates)
    (record,) = outcome.records
    assert record.error is None, outcome.output
    assert not record.problems, record.problems
    printed = re.findall(r"^.* -?0x[01]\.[0-9a-f]+p.*$", outcome.output, re.MULTILINE)
    return Watched(record, job.claims, printed)


def by_class(constraint: str, kind: Kind = Kind.WEIGHTS, low: str = "-self.c", high: str = "self.c") -> Claim:
    """The claim of a constraint, or of a layer."""
    return Claim(kind, constraint, "", "", 1, Since.UPDATE, constrained=Constrained(constraint, low, high))


def by_note(
    script: Path,
    statement: str,
    subject: str,
    bound: float | None = None,
    *,
    kind: Kind = Kind.WEIGHTS,
    since: Since = Since.UPDATE,
    after: bool = True,
    norm: float | None = None,
    name: str | None = None,
) -> Claim:
    """A claim about a model that has its name beside a statement."""
    lines = script.read_text(encoding="utf-8").splitlines()
    (line,) = [number for number, text in enumerate(lines, 1) if text.strip() == statement]
    column = len(lines[line - 1]) - len(lines[line - 1].lstrip())
    note = Note(str(script), line, column, after, subject)
    low = None if bound is None else -bound
    return Claim(kind, name or subject, "", str(script), line, since, low, bound, norm, notes=(note,))
