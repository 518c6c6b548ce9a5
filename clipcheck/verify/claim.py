"""Claims: what a training script promises about its numbers, in a form that another process can be handed."""

from __future__ import annotations

import enum

from msgspec import Struct


class Kind(str, enum.Enum):
    """What is promised to be bounded."""

    WEIGHTS = "weights"
    """Every trainable weight of a model (or those that `parameters` names), at every update."""
    GRADIENTS = "gradients"
    """The gradients that reach the optimizer."""
    OUTPUTS = "outputs"
    """What a layer, a module or a function returns."""
    RELOADED = "reloaded"
    """Every weight of a saved model that was bounded when it was saved, once a fresh process has loaded the model and
    trains it on."""


class Since(str, enum.Enum):
    """From when on it must hold."""

    UPDATE = "update"
    """From the first update on, and as soon as the optimizer is through with it (a Keras constraint)."""
    CLIP = "clip"
    """From the first time that the clip runs, whenever the weights are used: in the next forward pass, in the next
    update, at the end of the run."""
    USE = "use"
    """From the first update on, whenever the weights are used, as with CLIP: what was asked for on the command line, of
    which no clip is known."""


class Note(Struct, frozen=True):
    """A place in the script where the live object behind a claim can be had, and its bounds.

    path, line, column: a statement of that file (line from 1, column from 0, as CPython's `ast` counts). after: behind
    the statement rather than before it. subject: the expression of the model, the parameter, or the optimizer there.
    low, high, norm: the expressions of the bounds, where they can be evaluated there without doing anything else.
    """

    path: str
    line: int
    column: int
    after: bool
    subject: str
    low: str | None = None
    high: str | None = None
    norm: str | None = None


class Constrained(Struct, frozen=True):
    """The live objects are all Keras variables (of the noted models, if there are any) whose constraint is of a class.

    constraint: the name of the class; for outputs that of the layer or module itself. low, high: the bounds as
    expressions over the object of that class, which is called `self` ("-self.c"); None where those of the claim count.
    """

    constraint: str
    low: str | None = None
    high: str | None = None


class Claim(Struct, frozen=True):
    """One promise.

    subject: what the user calls it ("critic", "self.critic"; for outputs the class or function).
    low, high: the bounds, None on a side that is open, or where only the run tells. norm: a bound on the norm of all
    gradients together. parameters: globs over parameter names ("*.weight"); none: all that are trained.
    told: the script's own words ("`p.data.clamp_(-c, c)`"). path, line: where they stand.
    notes, constrained: how the live objects are found. A claim without both is found by its subject's name.
    as_clipped: only those weights are meant that are handed to a note as its subject, not the whole model of each.
    """

    kind: Kind
    subject: str
    told: str
    path: str
    line: int
    since: Since = Since.CLIP
    low: float | None = None
    high: float | None = None
    norm: float | None = None
    parameters: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    constrained: Constrained | None = None
    as_clipped: bool = False
