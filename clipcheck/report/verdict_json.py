"""The verdict of `clipcheck verify` for other programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from msgspec.structs import asdict

from clipcheck.report.verdict import message, promise, word_of
from clipcheck.verify.record import Seen
from clipcheck.verify.trial import Trial
from clipcheck.verify.verdict import Judged

Json: TypeAlias = "str | int | float | dict[str, Json] | list[Json] | None"


def json_text(trials: Sequence[Trial]) -> Iterator[str]:
    """One verdict as an object, two as what was before a fix and after it."""
    first, *others = map(as_json, trials)
    yield json.dumps({"before": first, "after": others[0]} if others else first, indent=2) + "\n"


def as_json(trial: Trial) -> dict[str, Json]:
    """All of it. Numbers that JSON lacks are strings ("NaN", "Infinity", "-Infinity")."""
    verdict, outcome = trial.verdict, trial.outcome
    claims: list[Json] = [_claim_json(judged, trial) for judged in verdict.claims]
    versions = {name: version for record in outcome.records for name, version in record.versions.items()}
    reasons: list[Json] = [*verdict.reasons]
    hints: list[Json] = [*verdict.hints]
    return {
        "filename": trial.document.path,
        "verdict": verdict.ruling.value,
        "message": message(trial),
        "reasons": reasons,
        "hints": hints,
        "ended": verdict.ended.value,
        "updates": verdict.updates,
        "seconds": round(outcome.seconds, 3),
        "versions": dict(versions),
        "claims": claims,
    }


def _claim_json(judged: Judged, trial: Trial) -> Json:
    claim = judged.claim
    path, position = trial.position(claim)
    parameters: list[Json] = [_seen_json(seen, judged, trial) for seen in judged.seen]
    location: dict[str, Json] = {"row": position.row, "cell": position.cell}
    return {
        "kind": claim.kind.value,
        "subject": claim.subject,
        "promise": promise(judged),
        "told": claim.told,
        "filename": path,
        "location": location if claim.line else None,
        "verdict": judged.ruling.value,
        "reason": judged.reason or None,
        "parameters": parameters,
    }


def _seen_json(seen: Seen, judged: Judged, trial: Trial) -> Json:
    values: dict[str, Json] = {key: _plain(value) for key, value in asdict(seen).items() if key != "claim"}
    return {**values, "verdict": word_of(seen, judged, trial)[0]}


def _plain(value: object) -> Json:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    assert value is None or isinstance(value, (str, int, float))
    return value
