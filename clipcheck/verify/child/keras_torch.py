"""Looks at numbers where Keras runs on torch: there is no graph, every update passes through Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from clipcheck.verify.child.keras_looks import Array, Looks, PlainMark, Tensor
from clipcheck.verify.child.torch_aside import uncompiled

SIZE = 256
"""Looks that stay on the device, before they are fetched together."""


class TorchTrace:
    def __init__(self, mark: PlainMark, resets: bool) -> None:
        self._mark, self._resets = mark, resets
        self._rows: list[torch.Tensor] = []
        self._marks: list[int] = []
        self._waiting: list[Looks] = []
        self._fetched = 0

    def look(self, row: torch.Tensor) -> None:
        self._rows.append(row)
        self._marks.append(self._mark.value)
        if self._resets:
            self._mark.value = 0
        if len(self._rows) == SIZE:
            self._bring()

    def count(self) -> int:
        return self._fetched + len(self._rows)

    def fetch(self) -> list[Looks]:
        self._bring()
        waiting, self._waiting = self._waiting, []
        return waiting

    def _bring(self) -> None:
        if self._rows:
            rows = torch.stack(self._rows).cpu().numpy()
            self._waiting.append(Looks(self._fetched, rows, np.array(self._marks)))
            self._fetched += len(rows)
            self._rows, self._marks = [], []


class Torch:
    def is_traced(self, optimizer: Any) -> bool:
        return False

    def is_functional(self, optimizer: Any) -> bool:
        return False

    def can_look(self, tensors: Sequence[Tensor]) -> bool:
        return not any(tensor.is_meta for tensor in tensors)

    def is_running(self) -> bool:
        return True

    def is_variable(self, subject: object) -> bool:
        return False  # A parameter may be anybody's.

    def value(self, variable: Any) -> torch.Tensor:
        value: torch.Tensor = variable if isinstance(variable, torch.Tensor) else variable.value
        return value.detach()

    def identity(self, variable: Any) -> int:
        return id(getattr(variable, "_value", variable))

    def device(self, tensor: torch.Tensor) -> str:
        return str(tensor.device)

    def extremes(self, values: Sequence[torch.Tensor]) -> torch.Tensor:
        row = torch.empty(2 * len(values), dtype=_wide(values), device=values[0].device)
        lows, highs = row.view(2, -1).unbind()
        for value, low, high in zip(values, lows.unbind(), highs.unbind(), strict=True):
            _measure(value.detach(), low, high)
        lows.neg_()
        return row

    def gradients(self, gradients: Sequence[torch.Tensor]) -> torch.Tensor:
        dense = [(each._values() if each.is_sparse else each).detach() for each in gradients]
        squares = _stacked([torch.linalg.vector_norm(each, dtype=_wide([each])) for each in dense]).square()
        return torch.cat([self.extremes(dense), squares])

    def mark(self, like: Tensor) -> PlainMark:
        return PlainMark()

    def trace(self, width: int, like: Tensor, mark: PlainMark, resets: bool) -> TorchTrace:
        return TorchTrace(mark, resets)

    def fetched(self, row: torch.Tensor) -> Array:
        return np.asarray(row.cpu().numpy())

    def settle(self) -> None:
        return

    def on_calls(self, step: Callable[[], None]) -> None:
        return

    def quietly(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return uncompiled(function)

    def as_written(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def version(self) -> dict[str, str]:
        return {"torch": str(torch.__version__)}


def _measure(value: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> None:
    """Put the extremes where they are to be. Where there is nothing to convert, nothing is allocated for them."""
    if (value.dtype, value.device) == (low.dtype, low.device):
        torch.aminmax(value, out=(low, high))
    else:
        lowest, highest = torch.aminmax(value)
        low.copy_(lowest)
        high.copy_(highest)


def _stacked(scalars: Sequence[torch.Tensor]) -> torch.Tensor:
    wide = _wide(scalars)
    return torch.stack([scalar.to(wide) for scalar in scalars])


def _wide(tensors: Sequence[torch.Tensor]) -> torch.dtype:
    """The smallest dtype that has all their values: halves are in float32."""
    return torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32
