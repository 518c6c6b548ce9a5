"""Methods by which a class means to clip gradients, and which nothing calls any more, or ever."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.code import Call, Code


class ClippingOverride(Struct, frozen=True):
    """A method such as `get_updates` that clips gradients.

    kind: what the class is: "optimizer", "layer", "model" or "module". clip: the clip inside.
    label: the method's name where it is defined.
    is_legacy: the class stands on API that still calls such methods. is_called: the file calls the method itself.
    is_identity: what the class computes otherwise is its input.
    is_clipped_elsewhere: the file clips gradients outside this class.
    as_apply: the same clip as a Keras 3 optimizer's `apply`, where the shape is simple.
    wrappings: where it is a wrapper of an optimizer: all places that make one, each around a call that makes the
    optimizer. bound: the value from -bound to bound that it clips to.
    """

    kind: str
    class_: Code
    class_name: str
    base: str
    function: Code
    label: Code
    name: str
    clip: Call
    is_legacy: bool
    is_called: bool
    is_identity: bool
    is_clipped_elsewhere: bool
    as_apply: ApplyShape | None
    wrappings: tuple[Wrapping, ...]
    bound: Code | None


class ApplyShape(Struct, frozen=True):
    """What has to change for `get_gradients` to become `apply`.

    parameters: those for the loss and for the parameters. asked: the statement that asks the base for the gradients.
    gradients: the name that it gives them. returned: what is returned.
    """

    parameters: tuple[Code, Code]
    asked: Code
    gradients: str
    returned: Code


class Wrapping(Struct, frozen=True):
    """`ClippedOptimizer(Adam(1e-3))`: the whole call, and the call inside."""

    whole: Call
    optimizer: Call
