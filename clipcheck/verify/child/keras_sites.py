"""Where updates are made: an optimizer with the variables that it updates together, and what was seen of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clipcheck.verify.child.keras_looks import Array, Backend, Looks, Mark, Tensor, Trace, dtype_of


class Site:
    """Its traces are begun with the first look.

    is_watched: some claim is about it. is_functional: the variables do not have the values that were looked at.
    """

    def __init__(self, backend: Backend, optimizer: Any, variables: Sequence[Any]) -> None:
        self.optimizer = optimizer
        self.variables = list(variables)
        self.is_watched = False
        self.is_functional = backend.is_functional(optimizer) if optimizer is not None else False
        self._backend = backend
        self._before: Trace | None = None
        self._after: Trace | None = None
        self._gradients: Trace | None = None
        like = backend.value(self.variables[0])
        self._clipped = backend.mark(like)
        self._unmarked = backend.mark(like)

    def look_before(self) -> None:
        """Look at the variables, an update of which is about to be made."""
        values = self._values()
        if self._before is None:
            self._before = self._trace(2 * len(values), values, self._clipped, resets=True)
        self._before.look(self._backend.extremes(values))

    def look_after(self) -> None:
        values = self._values()
        if self._after is None:
            self._after = self._trace(2 * len(values), values, self._unmarked, resets=False)
        self._after.look(self._backend.extremes(values))

    def look_at_gradients(self, gradients: Sequence[Tensor]) -> None:
        """gradients: of the variables, one by one."""
        if self._gradients is None:
            self._gradients = self._trace(3 * len(gradients), gradients, self._unmarked, resets=False)
        self._gradients.look(self._backend.gradients(gradients))

    def clip(self) -> None:
        """A clip of the variables is about to run, or has just run."""
        self._clipped.set()

    def is_clipped(self) -> bool:
        """Whether one has, since the last update."""
        return self._clipped.is_set()

    def updates(self) -> int:
        trace = self._after or self._before
        return trace.count() if trace is not None else 0

    def fetch_before(self) -> list[Looks]:
        return self._before.fetch() if self._before is not None else []

    def fetch_after(self) -> list[Looks]:
        return self._after.fetch() if self._after is not None else []

    def fetch_gradients(self) -> list[Looks]:
        return self._gradients.fetch() if self._gradients is not None else []

    def now(self) -> Array:
        """A row of extremes as they are now."""
        return self._backend.fetched(self._backend.extremes(self._values()))

    def device(self) -> str:
        return self._backend.device(self._backend.value(self.variables[0]))

    def _values(self) -> list[Tensor]:
        return [self._backend.value(variable) for variable in self.variables]

    def _trace(self, width: int, values: Sequence[Tensor], mark: Mark, resets: bool) -> Trace:
        widest = next((value for value in values if dtype_of(value) == "float64"), values[0])
        return self._backend.trace(width, widest, mark, resets)
