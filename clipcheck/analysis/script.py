"""Which function finds which kind of fact."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import libcst as cst

from clipcheck.analysis.clips import read_clips
from clipcheck.analysis.comments import read_comments
from clipcheck.analysis.keras_version import is_keras_2_code
from clipcheck.analysis.reading import FileReading
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Call
from clipcheck.model.comments import Comment
from clipcheck.model.script import Script
from clipcheck.model.targets import Targets

_READERS: dict[type, Callable[[FileReading], Iterable[Any]]] = {
    Call: lambda reading: (Call(node, reading) for node in reading.tree.all(cst.Call)),
    Comment: read_comments,
    ValueClip: read_clips,
}


def read(
    module: cst.Module,
    *,
    target_keras: str | None = None,
    target_torch: str | None = None,
    weight_clip_style: str = "constraint",
) -> Script:
    """The facts of one module. Each kind of fact is read when a rule first asks for it."""
    reading = FileReading(module)
    readers = {kind: _bound(reader, reading) for kind, reader in _READERS.items()}
    readers[Targets] = lambda script: [Targets(target_keras, target_torch, is_keras_2_code(reading))]
    return Script(module, reading, readers, weight_clip_style)


def _bound(reader: Callable[[FileReading], Iterable[Any]], reading: FileReading) -> Callable[[Script], Iterable[Any]]:
    return lambda script: reader(reading)
