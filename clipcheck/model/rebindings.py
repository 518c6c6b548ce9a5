"""Loop variables that are given a clipped value which nothing reads."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.clips import Remedy, ValueClip
from clipcheck.model.code import Code


class LoopRebinding(Struct, frozen=True):
    """`for p in parameters: p = p.clamp(…)`: the name of the loop is bound anew, and its new value never read.

    clip: the clip that the value is made of. statement: the assignment. name: the loop's name. source: what the loop
    takes the name's values from (`parameters`, also out of `enumerate(parameters)`). operator: the assignment's own
    ("=", "-="). remedy: how to write it so that it changes what the loop goes through.
    """

    clip: ValueClip
    statement: Code
    name: Code
    source: Code
    operator: str
    remedy: Remedy | None
