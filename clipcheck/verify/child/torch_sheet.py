"""The extremes of tensors, look after look, kept beside the tensors: nothing waits for the device before the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, reduce
from itertools import groupby
from typing import TypeAlias

import torch
from msgspec import Struct

Bounds: TypeAlias = tuple[float, float]
"""The lowest and the highest value that is allowed; infinite on an open side."""

ROWS = 256
"""Looks before they are folded: a row costs a number or two for each tensor, a folded sheet a handful."""
NUMBERS = 1 << 22
"""At most so many numbers in the rows."""


@cache
def rounded(bounds: Bounds, dtype: torch.dtype) -> Bounds:
    """Bounds as values of that dtype, which is how a clip writes them."""
    low, high = torch.tensor(bounds, dtype=dtype, device="cpu").tolist()
    return low, high


class Column(Struct, frozen=True):
    """All looks at one tensor. Looks are named by the labels that they were given, in rising order.

    lowest: None where only the largest absolute value is known, which is `highest` then. excess: how far beyond a
    bound it was at most, negative if it never was; infinite for NaN, and seen at `extreme_at`. violated_at,
    violated_value: when it was first out of its bounds, and with which value.
    """

    looks: int
    lowest: float | None
    highest: float
    excess: float
    extreme_at: int
    violated_at: int | None
    violated_value: float | None
    last_is_out: bool

    def then(self, later: Column) -> Column:
        """Both in one."""
        worst = self if self.excess >= later.excess else later
        first = min(self, later, key=lambda column: math.inf if column.violated_at is None else column.violated_at)
        return Column(
            self.looks + later.looks,
            None if self.lowest is None or later.lowest is None else lower(self.lowest, later.lowest),
            higher(self.highest, later.highest),
            worst.excess,
            worst.extreme_at,
            first.violated_at,
            first.violated_value,
            later.last_is_out,
        )


class Sheet:
    """Looks at some tensors that share a device and a dtype.

    is_signed: the lowest and the highest value of each are kept; else the largest absolute one, which does for bounds
    that are symmetric.
    """

    def __init__(self, columns: int, device: torch.device, dtype: torch.dtype, is_signed: bool) -> None:
        rows = max(1, min(ROWS, NUMBERS // columns))
        self._highs = torch.empty(rows, columns, device=device, dtype=dtype)
        self._lows = torch.empty_like(self._highs) if is_signed else None
        self._labels: list[int] = []
        self._bounds: list[Sequence[Bounds]] = []
        self._folded: list[_Folded] = []

    def look(self, tensors: Sequence[torch.Tensor], bounds: Sequence[Bounds], label: int) -> None:
        """Measure the tensors, to be compared with their bounds. Queues work for the device, and returns.

        bounds: of each tensor, rounded to its dtype; the same object as long as they stay the same.
        """
        row = self._new_row(bounds, label)
        if self._lows is None:
            torch.stack(torch._foreach_norm(tensors, math.inf), out=self._highs[row])
        else:
            # Nothing is allocated: that would make the script's own allocations dearer, far more than it costs itself.
            places = zip(self._lows[row].unbind(), self._highs[row].unbind(), strict=True)
            for tensor, place in zip(tensors, places, strict=True):
                torch.aminmax(tensor, out=place)

    def note(self, values: torch.Tensor, bounds: Sequence[Bounds], label: int) -> None:
        """Take over what was measured elsewhere, in place of a look."""
        self._highs[self._new_row(bounds, label)] = values

    def divide(self, divisor: torch.Tensor) -> None:
        """Divide what the last look saw."""
        for rows in self._kept():
            rows[len(self._labels) - 1].div_(divisor.to(rows.device, non_blocking=True))

    def void(self, is_void: torch.Tensor) -> None:
        """What the last look saw counts as zero, if a condition holds that only the device knows."""
        for rows in self._kept():
            rows[len(self._labels) - 1].masked_fill_(is_void.to(rows.device, non_blocking=True), 0.0)

    def columns(self) -> list[Column]:
        """What was seen of each tensor. Waits for the device."""
        self._fold()
        each = [folded.columns() for folded in self._folded]
        return [reduce(Column.then, parts) for parts in zip(*each, strict=True)]

    def history(self) -> list[tuple[int, float]]:
        """At each look its label, and the largest absolute value of all tensors. Waits for the device."""
        self._fold()
        return [look for folded in self._folded for look in folded.history()]

    def _kept(self) -> list[torch.Tensor]:
        return [self._highs] if self._lows is None else [self._lows, self._highs]

    def _new_row(self, bounds: Sequence[Bounds], label: int) -> int:
        if len(self._labels) == len(self._highs):
            self._fold()
        self._labels.append(label)
        self._bounds.append(bounds)
        return len(self._labels) - 1

    def _fold(self) -> None:
        looks = len(self._labels)
        if looks:
            lows = None if self._lows is None else self._lows[:looks]
            self._folded.append(_Folded(self._labels, self._bounds, lows, self._highs[:looks]))
            self._labels, self._bounds = [], []


class _Folded:
    """What remains of rows: for each column some numbers, for each row one. On the device until it is asked for."""

    def __init__(
        self, labels: list[int], bounds: list[Sequence[Bounds]], lows: torch.Tensor | None, highs: torch.Tensor
    ) -> None:
        self._labels = labels
        is_out, excess = _compared(bounds, lows, highs)
        row = torch.arange(len(labels), device=highs.device)[:, None]
        never = len(labels)
        worst = excess.amax(0)
        first_out = torch.where(is_out, row, never).amin(0)
        at = first_out.clamp(max=never - 1)[None]
        self._magnitudes = (highs if lows is None else torch.maximum(highs.abs(), lows.abs())).amax(1)
        self._numbers = (
            highs.amax(0),
            worst,
            torch.where(excess == worst, row, never).amin(0),
            first_out,
            highs.gather(0, at)[0],
            is_out[-1].clone(),
        )
        self._low_numbers = None if lows is None else (lows.amin(0), lows.gather(0, at)[0])
        self._bounds_at = bounds

    def history(self) -> list[tuple[int, float]]:
        return list(zip(self._labels, self._magnitudes.tolist(), strict=True))

    def columns(self) -> list[Column]:
        labels = self._labels
        numbers = list(zip(*(number.tolist() for number in self._numbers), strict=True))
        if self._low_numbers is None:
            low_numbers: list[tuple[float | None, float | None]] = [(None, None)] * len(numbers)
        else:
            low_numbers = list(zip(*(number.tolist() for number in self._low_numbers), strict=True))
        columns = []
        for index, ((high, excess, worst, first, high_then, last), (low, low_then)) in enumerate(
            zip(numbers, low_numbers, strict=True)
        ):
            is_out = first < len(labels)
            value = _farther(low_then, high_then, self._bounds_at[first][index]) if is_out else None
            at = labels[first] if is_out else None
            columns.append(Column(len(labels), low, high, excess, labels[worst], at, value, last))
        return columns


def _compared(
    bounds: list[Sequence[Bounds]], lows: torch.Tensor | None, highs: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which values are out of their bounds (so is NaN), and how far. Bounds may change from look to look."""
    is_out, excess = [], []
    start = 0
    wide = torch.float64 if highs.dtype == torch.float64 else torch.float32
    for _, same in groupby(bounds, key=id):
        these = list(same)
        rows = slice(start, start + len(these))
        start += len(these)
        low, high = (_on(highs, side) for side in zip(*these[0], strict=True))
        out = ~(highs[rows] <= high)
        beyond = highs[rows].to(wide) - high.to(wide)
        if lows is not None:
            out |= ~(lows[rows] >= low)
            beyond = torch.maximum(beyond, low.to(wide) - lows[rows].to(wide))
        is_out.append(out)
        excess.append(beyond.nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf))
    return torch.cat(is_out), torch.cat(excess)


def _on(like: torch.Tensor, values: tuple[float, ...]) -> torch.Tensor:
    """The values on another tensor's device, without waiting for it."""
    if len(set(values)) == 1:
        return torch.full((len(values),), values[0], dtype=like.dtype, device=like.device)
    return torch.tensor(values, dtype=like.dtype, device="cpu").to(like.device, non_blocking=True)


def _farther(low: float | None, high: float, bounds: Bounds) -> float:
    """The one of two extremes that is farther out."""
    if low is None or math.isnan(high) or high - bounds[1] >= bounds[0] - low:
        return high
    return low


def lower(one: float, other: float) -> float:
    """The lower of two numbers, NaN if there is one."""
    return one if math.isnan(one) else -higher(-one, -other)


def higher(one: float, other: float) -> float:
    return one if math.isnan(one) or one > other else other
