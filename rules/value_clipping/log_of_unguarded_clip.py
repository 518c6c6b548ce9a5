"""A logarithm is taken of a value that is clipped to exactly 0.

## What it does
Finds `log(clip(p, 0, 1))`, also through a local variable, and `log(1 - clip(p, 0, 1))`: the clip does not keep the
value away from where the logarithm is infinite.

## Why it is wrong
Everything below the lower bound becomes exactly 0, and log 0 is -inf. Its gradient is infinite too, so a single such
value makes the loss and then all weights NaN. The clip turns values that were a NaN at worst into ones that always are
infinite.

## Example
```python
p = torch.clamp(model(x), 0, 1)
loss = -torch.log(p).mean()
```

## Use instead
```python
p = torch.clamp(model(x), 1e-7, 1)
loss = -torch.log(p).mean()
```

## Fix
Replaces the bound 0 with 1e-7 (the bound 1 with `1 - 1e-7` where the logarithm is of `1 - p`), if the other bound shows
that p is a probability. Unsafe: the loss is another one near 0.

## Not flagged
`log(clip(p, 0, 1) + eps)`, `log1p`, logarithms under `np.errstate`, and those whose infinity is dealt with around them
(`nan_to_num`, `maximum`, a `where` on the value itself).

## Sources
https://docs.pytorch.org/docs/stable/generated/torch.log.html
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.frameworks import infinite
from clipcheck.model.script import Script
from clipcheck.model.singularities import Singularity
from clipcheck.outline import Outline
from clipcheck.outline.constants import may_be
from clipcheck.outline.shapes import Clip, value_clips
from clipcheck.outline.traces import Interest, becomes
from clipcheck.rule import Rule, note

_LOGARITHMS = Interest(infinite.LOGS_BY_NAME, infinite.KEEPING_BY_NAME)


class LogOfUnguardedClip(Rule):
    code = "CLP306"
    name = "log-of-unguarded-clip"
    screen = (rb"clip|clamp", rb"log(?:2|10|1p)?\b")
    why = (
        "The clip moves everything that is out of range right onto its bound, where the logarithm is -inf and its "
        "gradient infinite. One such value is enough to make the loss NaN."
    )
    advice = "Clip to a small epsilon above 0 (and below 1 where the logarithm of `1 - p` is taken), such as 1e-7."

    def candidate(self, outline: Outline) -> bool:
        return any(_may_be_infinite(clip, outline) for clip in value_clips(outline))

    def check(self, script: Script) -> Iterator[Finding]:
        seen = set()
        for log in script.all(Singularity):
            if log.kind != "log" or (log.clip.call, log.at_one) in seen:
                continue
            seen.add((log.clip.call, log.at_one))
            bound = log.clip.high if log.at_one else log.clip.low
            assert bound is not None
            yield self.finding(
                log.at,
                f"`{log.at.words}` is -inf where {log.clip.words} is at its bound {bound.code.words}",
                evidence=[note(log.clip.call, "clipped here")],
                fix=_fix(log),
            )


def _may_be_infinite(clip: Clip, outline: Outline) -> bool:
    if may_be(outline, clip.low, lambda low: low == 0, clip.site):
        return becomes(clip, outline, _LOGARITHMS)
    is_to_one = may_be(outline, clip.high, lambda high: high == 1, clip.site)
    return is_to_one and becomes(clip, outline, _LOGARITHMS, turned=True)


def _fix(log: Singularity) -> Fix | None:
    low, high = log.clip.low, log.clip.high
    if low is None or high is None or low.number != 0 or high.number != 1:
        return None
    if log.at_one:
        return unsafe("Clip to 1 - 1e-7 at most", Replace(high.code.node, "1 - 1e-7"))
    return unsafe("Clip to 1e-7 at least", Replace(low.code.node, "1e-7"))
