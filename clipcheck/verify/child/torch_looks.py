"""Looks at named tensors, whatever devices and dtypes they have, and what was seen of each under its name."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from msgspec import Struct
from msgspec.structs import replace
from torch.utils.weak import TensorWeakRef

from clipcheck.verify.child.session import Limits
from clipcheck.verify.child.torch_aside import local
from clipcheck.verify.child.torch_sheet import Bounds, Column, Sheet, higher, rounded
from clipcheck.verify.record import Seen


class Item(Struct, frozen=True):
    """A parameter to look at. It is not kept alive.

    read: what of it is compared (its values on this rank, its gradient …).
    """

    name: str
    parameter: TensorWeakRef
    limits: Limits
    read: Callable[[torch.Tensor], torch.Tensor] = local

    def value(self) -> torch.Tensor | None:
        parameter = self.parameter()
        return None if parameter is None else self.read(parameter)

    def bounds(self, dtype: torch.dtype) -> Bounds:
        return rounded(bounds_of(self.limits), dtype)


class Sight(Struct, frozen=True):
    """What was seen under a name, and of what it was seen last."""

    name: str
    column: Column
    bounds: Bounds
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


class Looks:
    """All looks at the items of one claim."""

    def __init__(self) -> None:
        self._items: Sequence[Item] = ()
        self._groups: list[_Group] = []
        self._past: list[_Group] = []

    def at(self, items: Sequence[Item]) -> None:
        """What is looked at from now on."""
        self._items = items
        self._regroup()

    def look(self, label: int) -> bool:
        """Look at everything that is still there; whether there was anything."""
        if not all(group.gather() for group in self._groups):  # Something is gone, or has moved.
            self._regroup()
        for group in self._groups:
            group.look(label)
        return bool(self._groups)

    def divide(self, divisor: torch.Tensor) -> None:
        """Divide what the last look saw."""
        for group in self._groups:
            group.sheet.divide(divisor)

    def void(self, is_void: torch.Tensor) -> None:
        """What the last look saw counts as zero, if a condition holds that only the device knows."""
        for group in self._groups:
            group.sheet.void(is_void)

    def sights(self) -> dict[str, Sight]:
        """What was seen, by name. Waits for the devices."""
        return merged(sight for group in [*self._past, *self._groups] for sight in group.sights())

    def history(self) -> list[tuple[int, float]]:
        """The largest absolute value at each look. Waits for the devices."""
        return largest(look for group in [*self._past, *self._groups] for look in group.sheet.history())

    def _regroup(self) -> None:
        together: dict[_Kind, list[Item]] = defaultdict(list)
        for item in self._items:
            value = item.value()
            if value is not None and value.numel() and not value.is_meta:
                together[_Kind(value.device, value.dtype, _is_signed(value, item))].append(item)
        before = {group.kind: group for group in self._groups}
        self._groups = [
            group.renewed(items) if (group := before.get(kind)) and group.is_of(items) else _Group(kind, items)
            for kind, items in together.items()
        ]
        self._past += [group for group in before.values() if all(group is not other for other in self._groups)]


class _Kind(Struct, frozen=True):
    device: torch.device
    dtype: torch.dtype
    is_signed: bool


class _Group:
    """Items whose tensors are of one kind, and their sheet."""

    def __init__(self, kind: _Kind, items: Sequence[Item]) -> None:
        self.kind = kind
        self.sheet = Sheet(len(items), kind.device, kind.dtype, kind.is_signed)
        self._tensors: list[torch.Tensor] = []
        self._shapes: list[tuple[int, ...]] = []
        self.renewed(items)

    def is_of(self, items: Sequence[Item]) -> bool:
        """Whether these are the same parameters, under the same names."""
        return len(items) == len(self._items) and all(
            item.name == own.name and item.parameter() is own.parameter()
            for item, own in zip(items, self._items, strict=True)
        )

    def renewed(self, items: Sequence[Item]) -> _Group:
        """The same group, with the bounds that the items have now."""
        self._items = items
        self._bounds = [item.bounds(self.kind.dtype) for item in items]
        return self

    def gather(self) -> bool:
        """Get hold of the tensors; whether they are all there, and of this kind."""
        device, dtype = self.kind.device, self.kind.dtype
        tensors = [item.value() for item in self._items]
        self._tensors = [each for each in tensors if each is not None and each.device == device and each.dtype == dtype]
        return len(self._tensors) == len(tensors)

    def look(self, label: int) -> None:
        if not self._tensors:
            self.gather()
        self._shapes = self._shapes or [_shape(item.parameter()) for item in self._items]
        self.sheet.look(self._tensors, self._bounds, label)
        self._tensors = []

    def sights(self) -> Iterator[Sight]:
        if self._shapes:
            for item, column, bounds, shape in zip(
                self._items, self.sheet.columns(), self._bounds, self._shapes, strict=True
            ):
                yield Sight(item.name, column, bounds, shape, self.kind.dtype, self.kind.device)


def merged(sights: Iterable[Sight]) -> dict[str, Sight]:
    """By name. Of those with the same name the older ones come first."""
    found: dict[str, Sight] = {}
    for sight in sights:
        before = found.get(sight.name)
        found[sight.name] = replace(sight, column=before.column.then(sight.column)) if before else sight
    return found


def largest(history: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    """For each label the largest of its values, by label."""
    found: dict[int, float] = {}
    for label, value in history:
        found[label] = higher(found.get(label, 0.0), value)
    return sorted(found.items())


def _shape(parameter: torch.Tensor | None) -> tuple[int, ...]:
    return () if parameter is None else tuple(parameter.shape)


def _is_signed(value: torch.Tensor, item: Item) -> bool:
    """Whether lowest and highest are kept apart. On a CPU that costs no more than the largest absolute value, and is 16
    times faster than its norm; elsewhere the norm of all tensors is one operation that reads each of them once."""
    low, high = item.limits.low, item.limits.high
    return value.device.type == "cpu" or low is None or high is None or low != -high


def bounds_of(limits: Limits) -> Bounds:
    return -math.inf if limits.low is None else limits.low, math.inf if limits.high is None else limits.high


def seen_of(claim: int, sight: Sight, updates: int) -> Seen:
    """A sight as a record has it."""
    column = sight.column
    low, high = (None if math.isinf(bound) else bound for bound in sight.bounds)
    return Seen(
        claim,
        sight.name,
        sight.shape,
        dtype_name(sight.dtype),
        str(sight.device),
        low,
        high,
        updates=updates,
        looks=column.looks,
        lowest=-column.highest if column.lowest is None else column.lowest,
        highest=column.highest,
        extreme_update=column.extreme_at,
        violated_update=column.violated_at,
        violated_value=column.violated_value,
        last_is_out=column.last_is_out,
    )


def unseen(claim: int, item: Item, updates: int = 0) -> Seen | None:
    """An item that was never looked at."""
    parameter = item.parameter()
    if parameter is None:
        return None
    limits = item.limits
    place = (dtype_name(parameter.dtype), str(parameter.device))
    return Seen(claim, item.name, tuple(parameter.shape), *place, limits.low, limits.high, limits.norm, updates)


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
