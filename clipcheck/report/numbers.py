"""Numbers as people read them."""

from __future__ import annotations

import math


def number(value: float | None, beside: float | None = None) -> str:
    """Six digits, and more where they are needed to tell it from another number; "-" for None."""
    if value is None:
        return "-"
    for digits in (6, 9, 17):
        text = f"{value:.{digits}g}"
        if beside is None or value == beside or text != f"{beside:.{digits}g}":
            return text
    return repr(value)


def interval(low: float | None, high: float | None) -> str:
    """ "[-0.01, 0.01]", "at most 1", "at least 0"; "" where both sides are open."""
    is_low, is_high = (side is not None and math.isfinite(side) for side in (low, high))
    if is_low and is_high:
        return f"[{number(low)}, {number(high)}]"
    if is_high:
        return f"at most {number(high)}"
    return f"at least {number(low)}" if is_low else ""
