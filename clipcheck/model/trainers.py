"""Clips that go past the trainer that owns the gradients."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.code import Call, Code


class BypassedClip(Struct, frozen=True):
    """A clip of torch's own on gradients that a trainer owns.

    trainer: "Accelerate", "DeepSpeed", "Fabric", "FSDP" or "Lightning". owner: what shows that it does: the backward
    pass that it runs, the wrapped model, the method that it calls. instead: what parts of the call become to be the
    trainer's own; none where that is not certain.
    """

    clip: Call
    trainer: str
    owner: Code
    instead: tuple[tuple[Code, str], ...] = ()
