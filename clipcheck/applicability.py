"""How much a fix may change."""

from __future__ import annotations

import enum


class Applicability(enum.Enum):
    """How much a fix may change. The words are those of ruff."""

    SAFE = "safe"
    """What is trained stays as it is, except where the code raised, warned, was slower, or lost its state."""
    UNSAFE = "unsafe"
    """What is trained changes, even if for the better: applied with --unsafe-fixes only."""
