"""Clipped values that reach a function which is infinite right at a bound of the clip."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Code


class Singularity(Struct, frozen=True):
    """`log(p)`, `log(1 - p)`, `x / (1 - p)` … of a clipped p, with nothing between that keeps it off the bound.

    at: the call or division. kind: "log", "division", "power" (of an exponent that may be below 1) or "function"
    (logit, atanh …). at_one: whether it is infinite where p is 1, and not where it is 0.
    """

    clip: ValueClip
    at: Code
    kind: str
    at_one: bool


class LostEpsilon(Struct, frozen=True):
    """A clip whose upper bound is just below 1, and is 1 in the number format that it is computed in.

    dtype: that format. epsilon: what is left out below 1. literals: where the epsilon is written, once for each time,
    if it is written as a number for this clip alone. at: the first function that is infinite at 1; None for a helper
    that only clips its parameter, for callers in other files.
    """

    clip: ValueClip
    dtype: str
    epsilon: float
    literals: tuple[Code, ...]
    at: Singularity | None
