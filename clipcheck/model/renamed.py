"""Arguments that a framework has renamed."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.code import Argument, Code


class RenamedArgument(Struct, frozen=True):
    """An argument under a name that its layer does not take any more.

    layer: the layer's class, without its module. name: what the argument is called now. label: the old name in the
    code. is_given_too: the call has an argument of the new name as well.
    """

    layer: str
    argument: Argument
    label: Code
    name: str
    is_given_too: bool
