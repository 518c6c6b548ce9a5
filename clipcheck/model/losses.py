"""Losses and errors that are clipped on their way to the gradient."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Code, Spelling


class Huber(Struct, frozen=True):
    """The Huber loss that a clipped and squared error stands for.

    replaces: the mean of the square. code: the same within the bounds, and linear outside. obsolete: statements that
    nothing needs any more.
    """

    replaces: Code
    code: Spelling
    obsolete: tuple[Code, ...] = ()


class ClampedLoss(Struct, frozen=True):
    """A clip through which a loss is differentiated.

    clip: the clip. square: where the clipped value is squared, if it is an error and not a loss. used: where the
    gradient is taken, or where what is differentiated leaves this file's sight as a loss.
    """

    clip: ValueClip
    used: Code
    square: Code | None = None
    huber: Huber | None = None
