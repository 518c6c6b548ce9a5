"""Promises: what a script means to keep within bounds, as its code says it, and where the objects can be had."""

from __future__ import annotations

import enum

from msgspec import Struct, field

from clipcheck.model.code import Code


class Promised(enum.Enum):
    """What is to stay within bounds."""

    WEIGHTS = enum.auto()
    GRADIENTS = enum.auto()
    OUTPUTS = enum.auto()


class When(enum.Enum):
    """From when on it holds, and at which moments."""

    CLIP = enum.auto()
    """From the time that the clip runs, when the weights are used next."""
    UPDATE = enum.auto()
    """From the first update on, right after each."""
    USE = enum.auto()
    """From the first update on, when the weights are used next."""


class Interval(Struct, frozen=True):
    """Bounds as numbers, None on a side that is open or not known. norm: a bound on the norm of everything together."""

    low: float | None = None
    high: float | None = None
    norm: float | None = None


class Written(Struct, frozen=True):
    """The same bounds as expressions that do nothing when they are evaluated, None where there is none."""

    low: str | None = None
    high: str | None = None
    norm: str | None = None


class Spot(Struct, frozen=True):
    """A statement beside which an object has a name. after: behind the statement. subject: the expression of it there.
    bounds: expressions that hold there."""

    statement: Code
    subject: str
    after: bool = False
    bounds: Written = field(default_factory=Written)


class Promise(Struct, frozen=True):
    """One thing that is to stay within bounds.

    subject: what the user calls it. at: the code that says so. known: the bounds as far as the file tells.
    spots: where the objects can be had. made_by: the class of this file whose objects carry the bound (a constraint, a
    layer), with `by_object` as expressions over such an object, called `self`.
    parameters: globs over the names of those that are meant, all if there are none. as_clipped: only those weights are
    meant that the spots name.
    in_loop: it stands in a training loop, as far as this file tells. runs_in: the names of the function and the class
    that it stands in, the innermost first: one of them must be used for it to run.
    """

    kind: Promised
    subject: str
    at: Code
    known: Interval
    when: When = When.CLIP
    spots: tuple[Spot, ...] = ()
    made_by: str | None = None
    by_object: Written = field(default_factory=Written)
    parameters: tuple[str, ...] = ()
    as_clipped: bool = False
    in_loop: bool = True
    runs_in: tuple[str, ...] = ()


class StepCall(Struct, frozen=True):
    """A call in a training loop, by the last name of what is called: helpers of other files run at every step."""

    name: str
