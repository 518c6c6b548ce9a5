"""What modules return, where they say that they clip it."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Mapping
from functools import cache

import torch
from torch import nn

from clipcheck.verify.child.session import Limits
from clipcheck.verify.child.torch_aside import aside, local
from clipcheck.verify.child.torch_looks import Sight, largest, seen_of
from clipcheck.verify.child.torch_sheet import Bounds, Sheet, rounded
from clipcheck.verify.child.torch_subjects import unwrapped
from clipcheck.verify.claim import Claim
from clipcheck.verify.record import Seen

SLACK = 8
"""Units in the last place that a result may lie beyond its bound: it is computed, not cut off."""


class Outputs:
    """One claim about what a module, or all modules of a class, return."""

    def __init__(self, number: int, claim: Claim) -> None:
        self._number, self._name = number, claim.subject
        self._classes: dict[type[nn.Module], Limits] = {}
        self._modules: dict[int, tuple[weakref.ref[nn.Module], Limits]] = {}
        self._sheets: dict[tuple[torch.device, torch.dtype], Sheet] = {}
        self._bounds: Bounds = (-math.inf, math.inf)
        self._updates = 0
        self._shape: tuple[int, ...] = ()

    def bind(self, subject: object, limits: Limits) -> bool:
        """Whether there is anything in it to watch."""
        if isinstance(subject, nn.Module):
            module = unwrapped(subject)
            self._modules[id(module)] = (weakref.ref(module), limits)
        elif isinstance(subject, type) and issubclass(subject, nn.Module):
            self._classes[subject] = limits
        else:
            return False
        return True

    def look(self, module: nn.Module, output: object, updates: int) -> None:
        """Look at what a module has returned after so many updates, if that is meant."""
        limits = self._limits_of(unwrapped(module))
        if limits is None:
            return
        self._updates = updates
        self._bounds = (
            -math.inf if limits.low is None else limits.low,
            math.inf if limits.high is None else limits.high,
        )
        with aside():
            for tensor in _tensors(output):
                kind = (tensor.device, tensor.dtype)
                sheet = self._sheets.get(kind) or Sheet(1, *kind, is_signed=True)
                self._sheets[kind] = sheet
                sheet.look([tensor], _with_slack(self._bounds, tensor.dtype), updates)
                self._shape = tuple(tensor.shape)

    def seen(self) -> Iterator[Seen]:
        for (device, dtype), sheet in self._sheets.items():
            (column,) = sheet.columns()
            bounds = rounded(self._bounds, dtype)
            sight = Sight(self._name, column, bounds, self._shape, dtype, device)
            yield seen_of(self._number, sight, self._updates)

    def history(self) -> list[tuple[int, float]]:
        return largest(look for sheet in self._sheets.values() for look in sheet.history())

    def _limits_of(self, module: nn.Module) -> Limits | None:
        own = self._modules.get(id(module))
        if own is not None and own[0]() is module:
            return own[1]
        return next((limits for kind, limits in self._classes.items() if isinstance(module, kind)), None)


@cache
def _with_slack(bounds: Bounds, dtype: torch.dtype) -> list[Bounds]:
    low, high = bounds
    slack = SLACK * torch.finfo(dtype).eps
    return [rounded((low - abs(low) * slack, high + abs(high) * slack), dtype)]


def _tensors(output: object) -> Iterator[torch.Tensor]:
    """The tensors of numbers in what a module has returned."""
    if isinstance(output, torch.Tensor):
        tensor = local(output)
        if tensor.is_floating_point() and tensor.numel() and not tensor.is_meta:
            yield tensor
    elif isinstance(output, Mapping):
        yield from _tensors(list(output.values()))
    elif isinstance(output, (list, tuple)):
        for part in output:
            yield from _tensors(part)
