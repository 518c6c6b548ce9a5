"""What an expression stands for, as far as one file tells. Where it does not tell: `UNKNOWN`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from clipcheck.model.code import Code


class Unknown(Struct, frozen=True):
    """Not known from this file. The default answer, and the reason for a rule to stay silent."""


class Constant(Struct, frozen=True):
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


class Items(Struct, frozen=True):
    """A list, tuple or set display whose elements are known one by one."""

    elements: tuple[Code, ...]


class Reference(Struct, frozen=True):
    """A function, class or module itself, by its canonical name ("keras.layers.Dense")."""

    name: str


class Instance(Struct, frozen=True):
    """An object made by calling a class or a known factory.

    `of` is the canonical name of the class ("torch.optim.Adam"), or the plain name of a class of this file; `made` is
    the call, so that its arguments can be asked.
    """

    of: str
    made: Code
    local: bool = False


class Tensor(Struct, frozen=True):
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


class Many(Struct, frozen=True):
    """A list or iterator of alike things (`model.parameters()`); `element` is what iterating gives."""

    element: Value
    one_shot: bool = False


class Pair(Struct, frozen=True):
    """A tuple of unlike things, as iterating `named_parameters()` gives them."""

    first: Value
    second: Value


Value: TypeAlias = Unknown | Constant | Items | Reference | Instance | Tensor | Many | Pair

UNKNOWN = Unknown()
