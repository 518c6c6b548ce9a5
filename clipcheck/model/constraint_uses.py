"""Weight constraints where Keras does not apply them: as layers, and past the optimizer."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.code import Argument, Call, Code


class MisplacedConstraint(Struct, frozen=True):
    """A constraint that is used as a layer, or taken from `keras.layers`.

    constraint: its class, such as "NonNeg". is_missing: it is taken from `keras.layers`, where it does not exist.
    argument: the constraint argument that it is given for, where it is given for one. library: where the file takes
    Keras from there.
    """

    call: Call
    constraint: str
    is_missing: bool
    library: str
    argument: Argument | None = None


class UnappliedConstraint(Struct, frozen=True):
    """A constraint of a layer that nothing applies.

    way: "late" (set as an attribute after the layer is built), "by hand" (the weights are updated past the optimizer),
    "torch" (an optimizer of PyTorch drives the model), "average" (`use_ema=True` writes averages over the weights).
    at: what is wrong. model: what a message calls the model. constraints: the constraint arguments that are given, for
    all but "late".
    """

    way: str
    at: Code
    model: str
    constraints: tuple[Argument, ...] = ()
