"""Clips of values: what is clipped, between which bounds, and what becomes of the result."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from clipcheck.model.code import Call, Code
from clipcheck.model.value import Constant, Tensor


class Fate(enum.Enum):
    """What becomes of the result of an expression."""

    USED = enum.auto()
    """It is used, or nothing is known to the contrary."""
    DISCARDED = enum.auto()
    """It stands alone as a statement: nothing ever sees it."""
    REBOUND = enum.auto()
    """It is bound to a local name that nothing reads afterwards."""


@dataclass(frozen=True)
class Bound:
    """One bound of a clip: the expression, and its number where that is known."""

    code: Code

    @property
    def number(self) -> float | None:
        return self.code.number

    @property
    def is_none(self) -> bool:
        value = self.code.value
        return isinstance(value, Constant) and value.value is None


@dataclass(frozen=True)
class ValueClip:
    """A call that bounds values.

    library: "torch", "numpy", "tensorflow", "keras", "theano", "jax".
    subject: what is clipped. low, high: the bounds given (None: not given, or given as None).
    in_place: it changes the subject itself (`clamp_`, `out=` the subject).
    fate: what becomes of the result.
    rebound: the name that the result is bound to, where the fate is REBOUND.
    """

    call: Call
    library: str
    subject: Code
    low: Bound | None
    high: Bound | None
    in_place: bool
    fate: Fate
    rebound: Code | None = None

    @property
    def tensor(self) -> Tensor | None:
        """What the subject is, if it is known to be an array or tensor."""
        value = self.subject.value
        return value if isinstance(value, Tensor) else None
