"""Gradients that are to be bounded when they reach the optimizer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from msgspec.structs import replace
from torch.optim import Optimizer

from clipcheck.verify.child.session import Limits
from clipcheck.verify.child.torch_aside import aside, local
from clipcheck.verify.child.torch_looks import Item, Looks, dtype_name, seen_of
from clipcheck.verify.child.torch_sheet import Sheet
from clipcheck.verify.child.torch_steps import Steps, Trainer, parameters_of
from clipcheck.verify.child.torch_subjects import Sources
from clipcheck.verify.claim import Claim
from clipcheck.verify.record import Seen

SLACK = 1e-3
"""A norm may be larger than its bound by that share: the script sums it in another order."""
OPEN = (-math.inf, math.inf)


class Gradients:
    """One claim about gradients. Judged are those that a step finds, or, where it makes them itself (by a closure),
    those that it leaves behind."""

    def __init__(self, number: int, claim: Claim, steps: Steps) -> None:
        self._number, self._name = number, claim.subject
        self._steps = steps
        self._sources = Sources(claim.subject, claim.parameters)
        self._limits = Limits()
        self._is_stale, self._news = False, 0
        self._items: dict[int, Item] = {}
        self._parts: dict[Trainer, _Part] = {}

    def bind(self, subject: object, limits: Limits) -> bool:
        """Whether there is anything in it to watch."""
        is_any, is_news = self._sources.add(subject, limits)
        self._limits = limits if is_any else self._limits
        self._is_stale |= is_news
        return is_any

    def look(self, optimizer: Optimizer, update: int) -> bool:
        """Look at what this optimizer gets for its update of that number; whether any of it is meant."""
        self._refresh()
        items = [self._items[id(each)] for each in parameters_of(optimizer) if id(each) in self._items]
        if not items:
            return False
        part = self._parts.setdefault(self._steps.trainer(optimizer), _Part())
        with aside():
            _correct(part.look(items, self._limits, update), optimizer)
        return True

    def seen(self) -> Iterator[Seen]:
        for trainer, part in self._parts.items():
            updates = trainer.updates()
            yield from (replace(seen, updates=updates) for seen in part.seen(self._number, self._name))

    def history(self) -> list[tuple[int, float]]:
        return sorted(look for part in self._parts.values() for look in part.history())

    def _refresh(self) -> None:
        if self._is_stale or self._news != self._steps.news:
            self._is_stale, self._news = False, self._steps.news
            self._items = {id(item.parameter()): replace(item, read=_gradient) for item in self._sources.items()}


class _Part:
    """The gradients that one optimizer gets."""

    def __init__(self) -> None:
        self._items: Sequence[Item] = ()
        self._extremes = Looks()
        self._norms = _Norms()

    def look(self, items: Sequence[Item], limits: Limits, update: int) -> Looks | _Norms:
        if limits.norm is not None:
            self._norms.look(items, limits.norm, update)
            return self._norms
        if items != self._items:
            self._items = items
            self._extremes.at(items)
        self._extremes.look(update)
        return self._extremes

    def seen(self, claim: int, name: str) -> Iterator[Seen]:
        for sight in self._extremes.sights().values():
            yield seen_of(claim, sight, updates=0)
        yield from self._norms.seen(claim, name)

    def history(self) -> list[tuple[int, float]]:
        return sorted(self._extremes.history() + self._norms.history())


class _Norms:
    """The norm of all gradients together, step after step. A part of it is kept on each device."""

    def __init__(self) -> None:
        self._bounds: dict[int, float] = {}
        self._sheets: dict[tuple[torch.device, torch.dtype], Sheet] = {}
        self._last: list[Sheet] = []

    def look(self, items: Sequence[Item], bound: float, update: int) -> None:
        self._bounds[update] = bound
        together: dict[tuple[torch.device, torch.dtype], list[torch.Tensor]] = defaultdict(list)
        for gradient in (item.value() for item in items):
            if gradient is not None and gradient.numel():
                together[gradient.device, gradient.dtype].append(gradient)
        self._last = []
        for (device, dtype), gradients in together.items():
            wide = torch.float64 if dtype == torch.float64 else torch.float32
            norms = torch._foreach_norm(gradients, 2, dtype=wide)
            sheet = self._sheets.get((device, dtype)) or Sheet(1, device, wide, is_signed=False)
            self._sheets[device, dtype] = sheet
            sheet.note(torch.linalg.vector_norm(torch.stack(norms)), [OPEN], update)
            self._last.append(sheet)

    def divide(self, divisor: torch.Tensor) -> None:
        for sheet in self._last:
            sheet.divide(divisor)

    def void(self, is_void: torch.Tensor) -> None:
        for sheet in self._last:
            sheet.void(is_void)

    def history(self) -> list[tuple[int, float]]:
        squares: dict[int, float] = defaultdict(float)
        for sheet in self._sheets.values():
            for update, norm in sheet.history():
                squares[update] += norm * norm
        return [(update, math.sqrt(square)) for update, square in sorted(squares.items())]

    def seen(self, claim: int, name: str) -> Iterator[Seen]:
        history = self.history()
        if not history:
            return
        (device, dtype), *_ = self._sheets
        out = [(update, norm) for update, norm in history if not norm <= self._bounds[update] * (1 + SLACK)]
        worst = max(history, key=lambda look: math.inf if math.isnan(look[1]) else look[1] - self._bounds[look[0]])
        norms = [norm for _, norm in history]
        has_nan = any(map(math.isnan, norms))
        violated_update, violated_value = out[0] if out else (None, None)
        yield Seen(
            claim,
            name,
            (),
            dtype_name(dtype),
            str(device),
            norm=self._bounds[worst[0]],
            looks=len(history),
            lowest=math.nan if has_nan else min(norms),
            highest=math.nan if has_nan else max(norms),
            extreme_update=worst[0],
            violated_update=violated_update,
            violated_value=violated_value,
            last_is_out=bool(out) and out[-1][0] == history[-1][0],
        )


def _correct(last: Looks | _Norms, optimizer: Optimizer) -> None:
    """Under a GradScaler a fused step divides the gradients itself, and updates nothing if one of them is infinite."""
    scale, found_inf = getattr(optimizer, "grad_scale", None), getattr(optimizer, "found_inf", None)
    if isinstance(scale, torch.Tensor):
        last.divide(scale)
    if isinstance(found_inf, torch.Tensor):
        last.void(found_inf > 0)


def _gradient(parameter: torch.Tensor) -> torch.Tensor:
    """What there is of a parameter's gradient on this rank; none at all is as good as zero."""
    gradient = parameter.grad
    if gradient is None:
        return torch.zeros((), device=parameter.device, dtype=parameter.dtype)
    gradient = local(gradient)
    return gradient.coalesce().values() if gradient.is_sparse else gradient
