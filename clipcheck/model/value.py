"""What an expression stands for, as far as one file tells. Where it does not tell: `UNKNOWN`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from clipcheck.model.code import Code


@dataclass(frozen=True)
class Unknown:
    """Not known from this file. The default answer, and the reason for a rule to stay silent."""


@dataclass(frozen=True)
class Constant:
    """A number, string, bool or None.

    `assumed` says that it is a default (of a parameter, a command line option, a field) that a caller may override.
    """

    value: int | float | str | bool | None
    assumed: bool = False

    @property
    def number(self) -> float | None:
        """The value as a float, or None if it is no number (a bool is none)."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            return None
        return float(self.value)


@dataclass(frozen=True)
class Items:
    """A list, tuple or set display whose elements are known one by one."""

    elements: tuple[Code, ...]


@dataclass(frozen=True)
class Reference:
    """A function, class or module itself, by its canonical name ("keras.layers.Dense")."""

    name: str


@dataclass(frozen=True)
class Instance:
    """An object made by calling a class or a known factory.

    `of` is the canonical name of the class ("torch.optim.Adam"), or the plain name of a class of this file; `made` is
    the call, so that its arguments can be asked.
    """

    of: str
    made: Code
    local: bool = False


@dataclass(frozen=True)
class Tensor:
    """An array or tensor.

    library: "numpy", "torch", "tensorflow", "keras" or "theano".
    role: "parameter", "gradient", "buffer", "state" (a value of state_dict or get_weights: parameters and buffers
    mixed), or "data" for all else.
    owner: the expression of the model or parameter that it belongs to, where known.
    dtype: "float32", … where the script says it.
    detached: its value is used past the automatic differentiation (`.data`, `.detach()`, `.numpy()`).
    """

    library: str
    role: str = "data"
    owner: Code | None = None
    dtype: str | None = None
    detached: bool = False


@dataclass(frozen=True)
class Many:
    """A list or iterator of alike things (`model.parameters()`); `element` is what iterating gives."""

    element: Value
    one_shot: bool = False


@dataclass(frozen=True)
class Pair:
    """A tuple of unlike things, as iterating `named_parameters()` gives them."""

    first: Value
    second: Value


Value: TypeAlias = Unknown | Constant | Items | Reference | Instance | Tensor | Many | Pair

UNKNOWN = Unknown()
