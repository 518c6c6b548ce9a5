"""Jobs and records as JSON, between the tool and its child. NaN and infinities go through as Python writes them."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from clipcheck.verify.job import Job
from clipcheck.verify.record import Record

Message = TypeVar("Message", bound=msgspec.Struct)


def dumps(what: msgspec.Struct) -> str:
    return json.dumps(msgspec.to_builtins(what, enc_hook=_python_number))


def job_from(text: str) -> Job:
    return loads(text, Job)


def record_from(text: str) -> Record:
    return loads(text, Record)


def loads(text: str, kind: type[Message]) -> Message:
    return msgspec.convert(json.loads(text), kind, str_keys=True)


def _python_number(number: Any) -> Any:
    """NumPy's numbers pass for Python's, but not here."""
    return number.item()
