"""Where a script says how far gradients are to be clipped, and whether what it says can work."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.code import Argument, Call, Code


class OptimizerCall(Struct, frozen=True):
    """A call that makes an optimizer.

    library: "keras" or "torch". is_legacy: it is one of the legacy Keras optimizers, which follow other rules.
    expects_error: an error of the call is caught or wanted.
    clips: the arguments that bound gradients, of Keras optimizers. given: those of them that are surely not None.
    misspelt: arguments that are meant to, each with the right spelling, or with None where that is a guess.
    """

    call: Call
    library: str
    name: str
    is_legacy: bool
    expects_error: bool
    clips: tuple[Argument, ...]
    given: tuple[Argument, ...]
    misspelt: tuple[tuple[Argument, str | None], ...]


class ClipThreshold(Struct, frozen=True):
    """The argument that bounds gradients: of a Keras optimizer, or of a function that clips gradients.

    by: "value", "norm" or "global norm". is_given_here: the number stands in the call itself.
    is_weighed: the script compares the bound with something, or says in a comment that it is meant so.
    """

    library: str
    by: str
    call: Call
    argument: Argument
    is_given_here: bool
    is_weighed: bool


class CompileCall(Struct, frozen=True):
    """A `compile` of a Keras model that is given clip arguments, which belong to its optimizer.

    optimizer: the expression that stands for the optimizer there. made: the one call that makes it, if that is known
    and can take the argument. by_name: the class that an optimizer given as a string names.
    """

    call: Call
    model: Code
    clips: tuple[Argument, ...]
    optimizer: Code | None
    made: Call | None
    by_name: str | None


class LateSetting(Struct, frozen=True):
    """`optimizer.clipvalue = …` after training began. began: the call that began it, or the callback's method."""

    target: Code
    attribute: str
    began: Code
