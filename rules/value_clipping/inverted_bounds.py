"""The lower bound of a clip is above the upper one, so everything becomes one and the same number.

## What it does
Finds clips whose lower bound is known to be above the upper one, such as `clip(x, 1, -1)` and `clip(x, c, -c)` with a
positive c, also where the numbers come from names, attributes or defaults of the command line; and clips that are given
the same variable for both bounds.

## Why it is wrong
There is no value between such bounds, and no framework complains: torch, JAX and NumPy return the upper bound
everywhere, TensorFlow the lower one. All weights, gradients or actions get the same value, whatever they were.

## Example
```python
for p in critic.parameters():
    p.data.clamp_(0.01, -0.01)
```

## Use instead
```python
for p in critic.parameters():
    p.data.clamp_(-0.01, 0.01)
```

## Fix
Swaps the bounds. Unsafe: the values are no longer all the same. Where both bounds are the same variable only the
author knows the other one: no fix.

## Not flagged
Bounds that are not known; infinite bounds and defaults such as `clip_min=0, clip_max=-1` that stand for "no bound";
a clip that runs only where an `if` has looked at the bounds; two equal numbers.

## Sources
https://docs.pytorch.org/docs/stable/generated/torch.clamp.html
https://numpy.org/doc/stable/reference/generated/numpy.clip.html
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from clipcheck.edit import Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.clips import Bound, ValueClip
from clipcheck.model.script import Script
from clipcheck.outline import Outline
from clipcheck.outline.constants import may_both, numbers
from clipcheck.outline.shapes import Clip, value_clips
from clipcheck.rule import Rule

_RETURNS = {
    "torch": "torch returns the upper bound",
    "numpy": "NumPy returns the upper bound",
    "jax": "JAX returns the upper bound",
    "tensorflow": "TensorFlow returns the lower bound",
    "keras": "Keras returns one of the bounds (which one, the backend decides)",
}


class InvertedBounds(Rule):
    code = "CLP303"
    name = "inverted-bounds"
    screen = (rb"clip|clamp",)
    why = (
        "No value lies between such bounds, and no framework raises an error: every element gets the same value, "
        "the upper bound in torch, JAX and NumPy, the lower one in TensorFlow."
    )
    advice = "Give the lower bound first and the upper bound second."

    def candidate(self, outline: Outline) -> bool:
        return any(_may_be_inverted_or_one(clip, outline) for clip in value_clips(outline))

    def check(self, script: Script) -> Iterator[Finding]:
        for clip in script.all(ValueClip):
            low, high = clip.low, clip.high
            if low is None or high is None:
                continue
            if _are_inverted(low, high) and (not clip.is_tested or _is_negative_of(high, low)):
                yield self.finding(
                    clip.call,
                    f"{clip.words} clips to at least {_shown(low)} and at most {_shown(high)}: {_returned(clip)}",
                    fix=unsafe(
                        f"Swap the bounds: {high.code.words}, {low.code.words}",
                        Replace(low.code.node, high.code.text),
                        Replace(high.code.node, low.code.text),
                    ),
                )
            elif low.is_variable and low.code.text == high.code.text and not clip.is_tested:
                yield self.finding(
                    clip.call,
                    f"Both bounds of {clip.words} are `{low.code.words}`: everything becomes that value",
                    advice="Give the other bound its own value.",
                )


def _are_inverted(low: Bound, high: Bound) -> bool:
    if low.number is None or high.number is None or low.number <= high.number:
        return False
    if not (math.isfinite(low.number) and math.isfinite(high.number)):
        return False
    is_certain = not (low.is_assumed or high.is_assumed)
    if low.is_variable or high.is_variable:  # `clip(x, -c, c)` with c = -1: a number that means "no bound"
        return not _is_negative_of(low, high) and (is_certain or low.number == -high.number)
    return is_certain or _is_negative_of(high, low)


def _is_negative_of(one: Bound, other: Bound) -> bool:
    return one.code.text.replace(" ", "") == f"-{other.code.text}"


def _shown(bound: Bound) -> str:
    text = bound.code.words
    value = f"{bound.number:g}"
    return f"`{text}`" if bound.is_literal else f"`{text}` ({value})"


def _returned(clip: ValueClip) -> str:
    return f"{_RETURNS.get(clip.library, 'it returns one of the bounds')} everywhere"


def _may_be_inverted_or_one(clip: Clip, outline: Outline) -> bool:
    if clip.low is None or clip.high is None:
        return False
    low, high = ast.unparse(clip.low), ast.unparse(clip.high)
    if low == high:
        return True
    if low == f"-{high}":
        return False
    lows, highs = numbers(outline, clip.low, clip.site), numbers(outline, clip.high, clip.site)
    return may_both(lows, highs, lambda low, high: math.inf > low > high > -math.inf)
