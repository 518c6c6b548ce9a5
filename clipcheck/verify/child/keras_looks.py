"""Looks at numbers that a framework keeps on its device: what there is of them in every framework under Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from msgspec import Struct

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.floating[Any]]]"
Tensor: TypeAlias = Any
"""A tensor of the framework at hand, be it a value or a symbol in a graph."""


class Looks(Struct, frozen=True):
    """Some looks, the oldest first: for each a row of numbers and a mark.

    first: how many looks were made before these. marks: what stood on the mark of the trace at each look.
    """

    first: int
    rows: Array
    marks: np.ndarray[Any, Any]


class Mark(Protocol):
    """A number that looks are marked with. Where the framework builds a graph, it is changed and read there."""

    def set(self) -> None:
        """Make it one."""
        ...

    def add(self) -> None:
        """Make it one more."""
        ...

    def is_set(self) -> bool:
        """Whether it is not zero. Waits for the device."""
        ...


class PlainMark:
    """A mark where Python sees everything."""

    def __init__(self) -> None:
        self.value = 0

    def set(self) -> None:
        self.value = 1

    def add(self) -> None:
        self.value += 1

    def is_set(self) -> bool:
        return self.value != 0


class Trace(Protocol):
    """Looks at some numbers. Looking waits for nothing; the rest does."""

    def look(self, row: Tensor) -> None:
        """Keep a row of numbers: where the framework builds a graph, whenever that part of it runs."""
        ...

    def count(self) -> int:
        """How many looks there were."""
        ...

    def fetch(self) -> list[Looks]:
        """The looks since the last fetch."""
        ...


class Backend(Protocol):
    """A framework under Keras."""

    def is_traced(self, optimizer: Any) -> bool:
        """Whether an optimizer updates no values now, but is traced for a graph."""
        ...

    def is_functional(self, optimizer: Any) -> bool:
        """Whether an optimizer updates values now that the script carries on by itself: its variables stay behind."""
        ...

    def can_look(self, tensors: Sequence[Tensor]) -> bool:
        """Whether a look at these, made here, would ever be carried out."""
        ...

    def is_running(self) -> bool:
        """Whether this is run, or traced to be run, and not to be exported."""
        ...

    def is_variable(self, subject: object) -> bool:
        """Whether something is a variable of the framework's own."""
        ...

    def value(self, variable: Any) -> Tensor:
        """What a variable is now."""
        ...

    def identity(self, variable: Any) -> int:
        """The same for a Keras variable and for the framework's variable in it."""
        ...

    def device(self, tensor: Tensor) -> str: ...

    def extremes(self, values: Sequence[Tensor]) -> Tensor:
        """A row: the negated lowest value of each, then the highest of each. NaN where there is one."""
        ...

    def gradients(self, gradients: Sequence[Tensor]) -> Tensor:
        """A row: as `extremes`, then the squared norm of each."""
        ...

    def mark(self, like: Tensor) -> Mark:
        """A mark of zero, beside a tensor."""
        ...

    def trace(self, width: int, like: Tensor, mark: Mark, resets: bool) -> Trace:
        """A trace for rows of so many numbers, beside a tensor. resets: each look makes the mark zero."""
        ...

    def fetched(self, row: Tensor) -> Array: ...

    def settle(self) -> None:
        """Wait until everything that was seen has arrived."""
        ...

    def on_calls(self, step: Callable[[], None]) -> None:
        """Have `step` called before each outermost call of what was traced."""
        ...

    def quietly(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of ours, which no compiler of the framework is to look into."""
        ...

    def as_written(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the script's, converted as it would be without one of ours between it and its caller."""
        ...

    def version(self) -> dict[str, str]: ...


def dtype_of(tensor: Any) -> str:
    """Of a tensor or a variable of any of the frameworks, as "float32"."""
    return str(getattr(tensor.dtype, "name", tensor.dtype)).removeprefix("torch.")


def shape_of(tensor: Any) -> tuple[int, ...]:
    """-1 where it is not known."""
    return tuple(-1 if size is None else int(size) for size in tensor.shape)


def is_watchable(variable: Any) -> bool:
    """Whether it holds floating point numbers."""
    return dtype_of(variable).startswith(("float", "bfloat")) and 0 not in tuple(variable.shape)
