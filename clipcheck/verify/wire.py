"""Jobs and records as JSON, between the tool and its child. NaN and infinities go through as Python writes them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from clipcheck.verify.claim import Claim, Constrained, Kind, Note, Since
from clipcheck.verify.job import Job
from clipcheck.verify.record import Ended, Record, Seen


def dumps(what: Job | Record) -> str:
    return json.dumps(asdict(what))


def job_from(text: str) -> Job:
    data: dict[str, Any] = json.loads(text)
    data["claims"] = tuple(_claim(claim) for claim in data["claims"])
    data["arguments"] = tuple(data["arguments"])
    return Job(**data)


def record_from(text: str) -> Record:
    data: dict[str, Any] = json.loads(text)
    data["ended"] = Ended(data["ended"])
    data["seen"] = tuple(Seen(**{**seen, "shape": tuple(seen["shape"])}) for seen in data["seen"])
    data["reached"] = tuple(data["reached"])
    data["bound"] = tuple(data["bound"])
    data["saved"] = tuple(data["saved"])
    data["problems"] = tuple(data["problems"])
    data["history"] = {int(claim): tuple((u, v) for u, v in looks) for claim, looks in data["history"].items()}
    return Record(**data)


def _claim(data: dict[str, Any]) -> Claim:
    data["kind"] = Kind(data["kind"])
    data["since"] = Since(data["since"])
    data["parameters"] = tuple(data["parameters"])
    data["notes"] = tuple(Note(**note) for note in data["notes"])
    data["constrained"] = Constrained(**data["constrained"]) if data["constrained"] else None
    return Claim(**data)
