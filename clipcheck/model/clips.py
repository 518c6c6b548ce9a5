"""Clips of values: what is clipped, between which bounds, and what becomes of the result."""

from __future__ import annotations

import enum
import re

from msgspec import Struct

from clipcheck.model.code import Call, Code, Spelling, brief
from clipcheck.model.value import Constant, Tensor


class Fate(enum.Enum):
    """What becomes of the result of an expression."""

    USED = enum.auto()
    """It is used, or nothing is known to the contrary."""
    DISCARDED = enum.auto()
    """It stands alone as a statement: nothing ever sees it."""
    REBOUND = enum.auto()
    """It is bound to a local name that nothing reads afterwards."""


class Bound(Struct, frozen=True):
    """One bound of a clip: the expression, and its number where that is known."""

    code: Code

    @property
    def number(self) -> float | None:
        return self.code.number

    @property
    def is_assumed(self) -> bool:
        """Whether its number is a default that somebody may override."""
        value = self.code.value
        return isinstance(value, Constant) and value.assumed

    @property
    def is_literal(self) -> bool:
        """Whether it is written as a number."""
        return re.fullmatch(r"[-+]?[\d._e+-]+", self.code.text) is not None

    @property
    def is_variable(self) -> bool:
        """Whether it is a name or an attribute."""
        return re.fullmatch(r"(?!None$)[^\W\d]\w*(\.\w+)*", self.code.text) is not None


class Remedy(Struct, frozen=True):
    """How a clip whose result is lost must be written to change what it clips.

    `replaces` is what `code` stands in for: the call, or the whole statement.
    """

    replaces: Code
    code: str

    @property
    def words(self) -> str:
        """The code on one line and not longer than a message can bear."""
        return brief(self.code)


class ValueClip(Struct, frozen=True):
    """A call that bounds values.

    library: "torch", "numpy", "tensorflow", "keras", "theano", "jax".
    subject: what is clipped. low, high: the bounds given (None: not given, or given as None).
    in_place: it changes the subject itself (`clamp_`, `out=` the subject).
    fate: what becomes of the result.
    rebound: the name that the result is bound to, where the fate is REBOUND.
    is_over_itself: whether that name is the one that is clipped (`p = p.data.clamp(…)`).
    is_tested: whether an `if` or `assert` around it or before it looks at one of the bounds.
    remedy: how to write a clip whose result is lost, where it is plain what was meant.
    """

    call: Call
    library: str
    subject: Code
    low: Bound | None
    high: Bound | None
    in_place: bool
    fate: Fate
    rebound: Code | None = None
    is_over_itself: bool = False
    is_tested: bool = False
    remedy: Remedy | None = None

    @property
    def words(self) -> str:
        """How messages name it."""
        return f"`{self.call.words}`"

    @property
    def noun(self) -> str:
        """What it returns."""
        return "array" if self.library == "numpy" else "tensor"

    @property
    def tensor(self) -> Tensor | None:
        """What the subject is, if it is known to be an array or tensor."""
        value = self.subject.value
        return value if isinstance(value, Tensor) else None


class HalfOpenClip(Struct, frozen=True):
    """A clip between zero and the largest number there is: what `relu` does.

    relu: the same in one word, as this file would write it ("tf.nn.relu(x)"), or None where that is not certain.
    """

    clip: ValueClip
    relu: Spelling | None


class OneSidedClip(Struct, frozen=True):
    """A clip that bounds from one side only what needs both.

    at: the call or assignment. subject: what is clipped. is_upper: whether the bound that is there is the upper one.
    raises: whether the function must have both bounds, so that the call is an error.
    """

    at: Code
    subject: Code
    bound: Code
    is_upper: bool
    raises: bool = False
