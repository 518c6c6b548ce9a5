"""Hooks on gradients: functions that torch calls with a gradient during the backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from clipcheck.model.code import Call, Code

if TYPE_CHECKING:
    import libcst as cst


class InPlaceHookClip(Struct, frozen=True):
    """A gradient that is clipped or rescaled in place inside a hook.

    at: the clip, a call or an augmented assignment. gradient: the hook's own name for the gradient, or an expression
    over it (`grad_input[0]`). function: the hook, unless it is a lambda. registration: the call that registers it.
    on_module: it is a module's hook, which gets tuples of gradients.
    out_of_place: the same clip as an expression that changes nothing, where it can be written.
    is_returned: its result is what the hook returns. is_statement: it stands alone. returns_gradient: the hook ends by
    returning the gradient. returns_nothing: it never returns a value.
    """

    at: Code
    gradient: Code
    function: cst.FunctionDef | None
    registration: Call
    on_module: bool
    out_of_place: str | None
    is_returned: bool
    is_statement: bool
    returns_gradient: bool
    returns_nothing: bool
