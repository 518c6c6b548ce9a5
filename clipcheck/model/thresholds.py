"""Thresholds that training learns, and how clips use them."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Call, Code


class Learnable(Struct, frozen=True):
    """A number or tensor that training changes: `self.alpha = nn.Parameter(…)`, `self.add_weight(…)`.

    name: as the code writes it ("self.alpha"). library: "torch" or "keras". made: the call that makes it.
    """

    name: str
    library: str
    made: Call


class DetachedThreshold(Struct, frozen=True):
    """A bound of a clip that holds a learnable only by its present value.

    detached: the expressions that lose the gradient (`self.alpha.item()`), one a bound.
    frozen: the value is taken once, when a graph is built (`K.get_value` inside `call`).
    replacements: what to write for which expression so that the clip sees the learnable itself; empty where the code
    does not tell that surely.
    """

    learnable: Learnable
    clip: ValueClip
    detached: tuple[Code, ...]
    frozen: bool
    replacements: tuple[tuple[Code, str], ...]


class DividingThreshold(Struct, frozen=True):
    """`θ * tanh(x / θ)`: the learnable divides and scales what a bounded function makes of the quotient."""

    learnable: Learnable
    division: Code
    squashed: Code


class MirroredThreshold(Struct, frozen=True):
    """A clip from -θ to θ, with a learnable θ that nothing keeps positive."""

    learnable: Learnable
    call: Code


class IntegerParameter(Struct, frozen=True):
    """`nn.Parameter(torch.tensor(1))`: an integer tensor cannot require a gradient.

    target: the name it is to be kept under, where the code says so. number: the integer as it is handed over.
    default: the parameter's default that makes `number` an integer, where it is a name.
    """

    call: Call
    target: str | None
    number: Code
    value: int
