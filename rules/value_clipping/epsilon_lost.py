"""The upper bound `1 - eps` of a clip is exactly 1 in float32, and a logarithm or division is infinite there.

## What it does
Finds `clip(p, eps, 1 - eps)` with an epsilon so small that `1 - eps` is 1 in the tensor's number format, where the
result reaches `log(1 - p)`, a division by `1 - p`, a power of `1 - p` whose exponent may be below 1, or a function
such as `logit` or `atanh` that is infinite at 1. Also a helper that does nothing but clip its parameter so, and that no
call in its file uses.

## Why it is wrong
float32 holds 24 binary digits: between 1 - 6e-8 and 1 there is no number, and `1 - 1e-8` is rounded to 1. The clip
bounds nothing at the top. As soon as the model is sure enough for p to be 1, the loss or its gradient is infinite, and
the weights become NaN. It is lost for eps up to 3e-8 in float32, 2.4e-4 in float16 and 2e-3 in bfloat16.

## Example
```python
p = torch.clamp(torch.sigmoid(logits), 1e-8, 1 - 1e-8)
loss = -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()
```

## Use instead
```python
p = torch.clamp(torch.sigmoid(logits), 1e-7, 1 - 1e-7)
loss = -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()
```

or, better, a loss that takes logits: `binary_cross_entropy_with_logits`.

## Fix
Writes an epsilon that the format can hold: 1e-7 for float32, 1e-3 for float16, 1e-2 for bfloat16, in both bounds.
Unsafe: the loss is another one where p is near 0 or 1. There is no fix where the epsilon is a name or an attribute
that serves other purposes too.

## Not flagged
Clips of NumPy arrays, which are float64 unless the script says otherwise; a file that speaks of float64; a lower bound
only; results of which only `log(p)` is taken; `log(1 - p + eps)`; uniform noise from [0, 1), which is below 1 already;
`F.binary_cross_entropy`, which bounds its logarithms itself.

## Sources
https://docs.pytorch.org/docs/stable/type_info.html#torch.torch.finfo
https://keras.io/api/utils/config_utils/#epsilon-function
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.frameworks import infinite
from clipcheck.model.script import Script
from clipcheck.model.singularities import LostEpsilon, Singularity
from clipcheck.outline import Outline, last_name, walk
from clipcheck.outline.constants import may_be
from clipcheck.outline.shapes import Clip, value_clips
from clipcheck.outline.traces import Interest, becomes, returned_alone
from clipcheck.rule import Rule, note

_INFINITE_AT_ONE = Interest(infinite.AT_ONE_BY_NAME, infinite.KEEPING_BY_NAME)
_INFINITE_AT_ZERO = Interest(infinite.AT_ZERO_BY_NAME, infinite.KEEPING_BY_NAME, (ast.Div, ast.Pow))
_HELD = {"float32": "1e-7", "float16": "1e-3", "bfloat16": "1e-2"}


class EpsilonLost(Rule):
    code = "CLP305"
    name = "epsilon-lost"
    screen = (rb"clip|clamp",)
    why = (
        "Just below 1 the number format has too few digits for `1 - eps`: it is rounded to 1, so the clip lets p = 1 "
        "through, and what follows is infinite there. From then on the loss and the weights are NaN."
    )
    advice = "Use an epsilon that the format can hold (1e-7 in float32), or a loss that takes logits."

    def candidate(self, outline: Outline) -> bool:
        return any(_may_lose(clip, outline) and _may_be_infinite(clip, outline) for clip in value_clips(outline))

    def check(self, script: Script) -> Iterator[Finding]:
        for lost in script.all(LostEpsilon):
            high = lost.clip.high
            assert high is not None
            yield self.finding(
                lost.clip.call,
                f"The upper bound `{high.code.words}` is exactly 1 in {lost.dtype}: {_consequence(lost.at)}",
                evidence=[note(lost.at.at, "this is infinite at 1")] if lost.at else [],
                fix=_fix(lost),
            )


def _consequence(at: Singularity | None) -> str:
    if at is None:
        return "it keeps nothing below 1"
    if at.kind == "power":
        return f"the slope of `{at.at.words}` may be infinite"
    return f"`{at.at.words}` may be infinite"


def _fix(lost: LostEpsilon) -> Fix | None:
    held = _HELD.get(lost.dtype)
    if held is None or not lost.literals:
        return None
    return unsafe(
        f"Use {held} in place of {lost.literals[0].text}", *(Replace(literal.node, held) for literal in lost.literals)
    )


def _may_lose(clip: Clip, outline: Outline) -> bool:
    """Whether the upper bound may be 1 in the format, as far as the file speaks of formats."""
    if not may_be(outline, clip.high, lambda high: 0 < 1 - high <= 2**-9, clip.site):
        return False
    if any(isinstance(node, ast.Call) and last_name(node.func) in infinite.UNIFORM for node in walk(clip.subject)):
        return False
    if outline.has(rb"float16|\bhalf\b"):
        return True
    is_wide = clip.library in ("numpy", "theano") and not outline.has(rb"float32")
    return not is_wide and may_be(outline, clip.high, lambda high: 0 < 1 - high <= 2**-25, clip.site)


def _may_be_infinite(clip: Clip, outline: Outline) -> bool:
    if clip.low is not None and returned_alone(clip.site):
        return True
    return becomes(clip, outline, _INFINITE_AT_ONE) or becomes(clip, outline, _INFINITE_AT_ZERO, turned=True)
