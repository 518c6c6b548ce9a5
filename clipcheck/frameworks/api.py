"""The words in which the framework tables say what an API means."""

from __future__ import annotations

from msgspec import Struct


class At(Struct, frozen=True):
    """Where a call takes an argument: its position (None: by keyword only) and the keywords it goes by."""

    position: int | None
    keywords: tuple[str, ...] = ()


class ClipValues(Struct, frozen=True):
    """A function that bounds values from both sides.

    For a method, `value` is None: what is clipped is the receiver. `in_place` functions change it and also return it;
    the others only return. `one_sided` says that one bound alone is a proper call.
    """

    library: str
    value: At | None
    low: At
    high: At
    in_place: bool = False
    one_sided: bool = False
    into: str | None = None
    """The keyword that names a place for the result: `out`."""


class ClipGradients(Struct, frozen=True):
    """A function that bounds gradients. `by` is "value", "norm" or "global norm".

    `target` is what is clipped: parameters whose `.grad` changes in place, or gradients that are returned.
    """

    library: str
    by: str
    target: At
    bound: At
    in_place: bool


class Layer(Struct, frozen=True):
    """A Keras layer that owns weights: the constraint argument of each of its trainable weights."""

    constraints: tuple[str, ...]
    normalization: bool = False
    unconstrainable: bool = False
    """It owns trainable weights that no argument can constrain."""


class Optimizer(Struct, frozen=True):
    """An optimizer class. `parameters` is where the constructor takes what it is to update (None: Keras)."""

    library: str
    parameters: At | None = None


class Differentiation(Struct, frozen=True):
    """A call that returns gradients: where it takes the loss, and what the loss is differentiated by."""

    loss: At
    variables: At
