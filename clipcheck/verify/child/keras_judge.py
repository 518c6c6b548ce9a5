"""How what was seen is judged, once it has been fetched from its device."""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np
from msgspec import Struct

from clipcheck.verify.child.keras_looks import Array
from clipcheck.verify.record import Seen


class Bounds(Struct, frozen=True):
    """low, high: as the dtype has them, infinite on an open side. slack: how far beyond them is within them, as a part
    of the bound. is_norm: the norm is meant."""

    low: float = -math.inf
    high: float = math.inf
    slack: float = 0.0
    is_norm: bool = False

    @property
    def widened(self) -> tuple[float, float]:
        low, high = self.low, self.high
        if self.slack and math.isfinite(low):
            low -= abs(low) * self.slack
        if self.slack and math.isfinite(high):
            high += abs(high) * self.slack
        return low, high


def rounded(low: float | None, high: float | None, dtype: str) -> Bounds:
    """Bounds as values of that dtype, which is how a clip writes them."""
    return Bounds(
        -math.inf if low is None else _rounded(low, dtype),
        math.inf if high is None else _rounded(high, dtype),
    )


def _rounded(bound: float, dtype: str) -> float:
    if dtype == "bfloat16":
        return float(import_module("ml_dtypes").bfloat16(bound))  # Keras needs it.
    with np.errstate(over="ignore"):
        return float(np.dtype(dtype).type(bound))


class Thing(Struct, frozen=True):
    """What is looked at for a claim, as it will be told."""

    claim: int
    name: str
    shape: tuple[int, ...]
    dtype: str


class Judge:
    """All looks at one thing for one claim."""

    def __init__(self, thing: Thing, bounds: Bounds) -> None:
        self.thing = thing
        self.bounds = bounds
        self.updates = 0
        self.looks = 0
        self.history: dict[int, float] = {}
        self._lowest = math.inf
        self._highest = -math.inf
        self._excess = -math.inf
        self._extreme_update: int | None = None
        self._violated: tuple[int, float] | None = None
        self.last_is_out = False

    def look(self, updates: np.ndarray[Any, Any], lows: Array, highs: Array) -> None:
        """updates: after how many updates each look was made, in rising order. lows, highs: what was seen."""
        if not len(updates):
            return
        bounds = self.bounds
        low, high = bounds.widened
        with np.errstate(invalid="ignore"):
            is_out = ~((lows >= low) & (highs <= high))
            above, below = highs - bounds.high, bounds.low - lows
        excess = np.nan_to_num(np.fmax(above, below), nan=-math.inf, posinf=math.inf, neginf=-math.inf)
        excess = np.where(np.isnan(lows + highs), math.inf, excess)
        worst = int(np.argmax(excess))
        if self._extreme_update is None or excess[worst] > self._excess:
            self._excess, self._extreme_update = float(excess[worst]), int(updates[worst])
        if self._violated is None and is_out.any():
            first = int(np.argmax(is_out))
            self._violated = int(updates[first]), _farther(lows[first], highs[first], bounds)
        self.looks += len(updates)
        self._lowest = float(np.minimum(self._lowest, lows.min()))
        self._highest = float(np.maximum(self._highest, highs.max()))
        self.last_is_out = bool(is_out[-1])
        self.history.update(zip(updates.tolist(), np.maximum(abs(lows), abs(highs)).tolist(), strict=True))

    def add(self, later: Judge) -> None:
        """Take over the looks of another judge of the same thing."""
        if not later.looks:
            return
        if later._excess > self._excess or self._extreme_update is None:
            self._excess, self._extreme_update = later._excess, later._extreme_update
        self._violated = self._violated or later._violated
        self.looks += later.looks
        self._lowest = float(np.minimum(self._lowest, later._lowest))
        self._highest = float(np.maximum(self._highest, later._highest))
        self.last_is_out = later.last_is_out
        self.history |= later.history

    def seen(self, device: str) -> Seen:
        thing, bounds = self.thing, self.bounds
        update, value = self._violated or (None, None)
        return Seen(
            thing.claim,
            thing.name,
            thing.shape,
            thing.dtype,
            device,
            low=None if bounds.is_norm else _finite(bounds.low),
            high=None if bounds.is_norm else _finite(bounds.high),
            norm=_finite(bounds.high) if bounds.is_norm else None,
            updates=self.updates,
            looks=self.looks,
            lowest=self._lowest if self.looks else None,
            highest=self._highest if self.looks else None,
            extreme_update=self._extreme_update,
            violated_update=update,
            violated_value=value,
            last_is_out=self.last_is_out,
        )


class ClippedJudge:
    """Looks at weights that the script clips by hand: it may make several updates before it clips again.

    A look counts if a clip has run since the one before. So does any other that comes later after a clip than the
    next clip ever did: there the clip was left out. When the clips are not known, every look counts.
    """

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._clips = 0
        self._gap = 1
        """The largest number of looks from one clip to the next so far."""
        self._since = 1
        """How many looks after the last clip the next look will be."""
        self._tail = self._new_tail()

    def look(self, updates: np.ndarray[Any, Any], lows: Array, highs: Array, armed: np.ndarray[Any, Any]) -> None:
        """armed: whether a clip had run since the look before."""
        last = -self._since
        for clipped in np.flatnonzero(armed).tolist():
            if self._clips:
                self._gap = max(self._gap, clipped - last)
            self._clips += 1
            last = clipped
        if armed.any():
            self._tail = self._new_tail()
            self.judge.look(updates[armed], lows[armed], highs[armed])
        behind = np.arange(len(updates)) - last
        late = (behind >= self._gap) & (np.arange(len(updates)) > last)
        self._tail.look(updates[late], lows[late], highs[late])
        self._since = len(updates) - last

    def close(self) -> None:
        """No clip will follow."""
        self.judge.add(self._tail)
        self._tail = self._new_tail()

    def _new_tail(self) -> Judge:
        return Judge(self.judge.thing, self.judge.bounds)


def history_of(judges: Iterable[tuple[int, Judge]]) -> dict[int, list[tuple[int, float]]]:
    """For each claim, by its number: at each look the update and the largest absolute value that any judge saw."""
    largest: dict[int, dict[int, float]] = {}
    for number, judge in judges:
        known = largest.setdefault(number, {})
        for update, value in judge.history.items():
            known[update] = float(np.maximum(known.get(update, 0.0), value))
    return {number: sorted(looks.items()) for number, looks in largest.items()}


def _farther(low: float, high: float, bounds: Bounds) -> float:
    """The one of two extremes that is farther out."""
    if math.isnan(low) or math.isnan(high):
        return math.nan
    return float(low if bounds.low - low > high - bounds.high else high)


def _finite(bound: float) -> float | None:
    return None if math.isinf(bound) else bound
