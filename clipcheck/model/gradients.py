"""Gradients as values: what is clipped, what is applied, and what a one-shot iterator leaves of them."""

from __future__ import annotations

import enum

from msgspec import Struct

from clipcheck.model.code import Call, Code


class Rewrite(Struct, frozen=True):
    """New code for a place."""

    place: Code
    code: str


class ExhaustedIterator(Struct, frozen=True):
    """An iterator over parameters that can be walked once, and is walked again when nothing is left in it.

    makers: the expressions that make it. is_argument: they are what calls hand over to a helper that walks it twice.
    name: what it is bound to. walker: what walks it first; the same as the first of `empty` where a loop comes round.
    empty: what walks it afterwards, and gets nothing. listed: how the makers are written as lists.
    """

    makers: tuple[Code, ...]
    name: Code
    walker: Code
    empty: tuple[Code, ...]
    is_argument: bool
    listed: tuple[Rewrite, ...]

    @property
    def comes_round(self) -> bool:
        """Whether it is a loop's first pass that leaves nothing for the next."""
        return self.walker in self.empty


class UnusedGradientClip(Struct, frozen=True):
    """Gradients are clipped, and then the unclipped ones are applied.

    clip: the call or comprehension that clips. clipped: the name that the clipped gradients get, if they get one.
    applied: the gradients that it was given, where they are applied as they were.
    remedy: what to write so that the clipped ones are applied, where that is certain.
    """

    clip: Code
    clipped: Code | None
    applied: Code
    remedy: Rewrite | None


class PairAsGradients(Struct, frozen=True):
    """The (gradients, norm) pair of `tf.clip_by_global_norm` is used as if it were the gradients.

    use: where. name: what the pair is bound to, if it is. remedy: how to unpack it, where that is certain.
    """

    clip: Call
    name: Code | None
    use: Code
    remedy: Rewrite | None


class ClipOfNone(Struct, frozen=True):
    """A clip of one gradient after the other that raises where one of them is None, and probably one is.

    clip: the call. gradient: the loop's variable. unreached: the variables that the loss does not reach.
    guard: where the same file expects None among gradients. guarded: the clip that keeps None.
    """

    clip: Call
    gradient: Code
    unreached: Code | None
    guard: Code | None
    guarded: str


class NotParameters(enum.Enum):
    """What is handed to a gradient clip instead of parameters."""

    GRADIENTS = "gradients"
    STATE = "state"
    BUFFERS = "buffers"
    STATE_DICT = "state dict"
    NAMED = "named parameters"
    MODULE = "module"
    MODULES = "modules"
    OPTIMIZER = "optimizer"
    GROUPS = "groups"
    GROUP = "group"
    WRONG_KEY = "wrong key"


class MisdirectedClip(Struct, frozen=True):
    """A call that clips gradients is given something else than parameters.

    what: the part of the target that is wrong. remedy: how to hand over the parameters, where that is certain.
    is_silent: torch accepts it, and clips nothing.
    """

    clip: Call
    kind: NotParameters
    what: Code
    is_silent: bool
    remedy: Rewrite | None


class ClippedTwice(Struct, frozen=True):
    """Gradients that are clipped once more. first: the clip, or the argument that asks for one, that comes first;
    second: the other one. of: who makes the one that is asked for by an argument ("the optimizer", "the trainer")."""

    first: Code
    second: Code
    of: str | None = None
