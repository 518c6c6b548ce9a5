"""The training steps of one file, for a person to look at."""

from __future__ import annotations

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.steps import read_steps
from clipcheck.engine.deep import with_deep_stack
from clipcheck.engine.parse import parse
from clipcheck.model.steps import TrainingStep
from clipcheck.source.document import Document


def training_steps(document: Document) -> list[TrainingStep]:
    """All training steps, also those in which nothing is clipped. Raises SourceError."""
    return with_deep_stack(lambda: list(read_steps(FileReading(parse(document)), without_clips=True)))
