"""The result of an out-of-place clip is thrown away, so nothing is clipped.

## What it does
Finds clips that return what they have clipped, and whose result nothing uses: `torch.clamp(w, 1e-6)`,
`p.grad.data.clamp(-1, 1)`, `np.clip(x, 0, 1)` or `tf.clip_by_value(v, -c, c)` as statements of their own, and
`x = np.clip(x, 0, 1)` in a function that never reads `x` again.

## Why it is wrong
These functions leave their argument as it is and return a clipped copy. As a statement the line computes the copy and
drops it: the weights, gradients or values that were meant to be bounded are not, and nothing tells.

## Example
```python
for p in actor.parameters():
    p.grad.data.clamp(-1, 1)
```

## Use instead
```python
for p in actor.parameters():
    p.grad.data.clamp_(-1, 1)
```

## Fix
Writes the clip so that it changes what it clips: `clamp_` for gradients and `.data`, `clamp_` under `torch.no_grad()`
for parameters (through `.data` inside `forward`), `assign` for the variables of TensorFlow and Keras, and
`x = np.clip(x, …)` where `x` is read below. Unsafe: from then on the values are bounded, which changes what is
trained. Where the result is bound to a name that is never read, there is no fix unless the name is a tensor's `.data`
or `.grad`: only the author knows what was to be returned.

## Not flagged
Clips in place (`clamp_`, `out=`); a `clamp()` without a bound; `p.data = p.data.clamp(…)`; calls that are there for
their error, for their time, or to be shown at the end of a notebook's cell; names that a nested function reads;
a clip bound to a new name that nothing uses, which any linter for unused variables tells; loop variables, which are
CLP302's.

## Sources
https://docs.pytorch.org/docs/stable/generated/torch.Tensor.clamp_.html
https://numpy.org/doc/stable/reference/generated/numpy.clip.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.clips import Fate, ValueClip
from clipcheck.model.rebindings import LoopRebinding
from clipcheck.model.script import Script
from clipcheck.outline import Outline, last_name, walk
from clipcheck.outline.shapes import Clip, is_surely_read, is_thrown_away, rebound_name, value_clips
from clipcheck.rule import Rule


class DiscardedClip(Rule):
    code = "CLP301"
    name = "discarded-clip"
    screen = (rb"clip|clamp",)
    why = (
        "The call does not change its argument, it returns a clipped copy. Nothing keeps the copy here, so the values "
        "that were to be bounded stay as they are, without any error."
    )
    advice = "Clip in place, or use the value that the call returns."

    def candidate(self, outline: Outline) -> bool:
        return any(_may_be_lost(clip) for clip in value_clips(outline) if not clip.in_place)

    def check(self, script: Script) -> Iterator[Finding]:
        in_loops = {rebinding.clip for rebinding in script.all(LoopRebinding)}
        for clip in script.all(ValueClip):
            if clip.in_place or clip.fate is Fate.USED or not _has_bound(clip):
                continue
            if clip.fate is Fate.DISCARDED:
                yield self.finding(clip.call, _discarded(clip), fix=_fix(clip))
            elif clip.is_over_itself and clip not in in_loops:
                yield self.finding(clip.call, _never_read(clip), fix=_fix(clip), advice=_ADVICE_NEVER_READ)


_ADVICE_NEVER_READ = "Return the clipped value, use it, or clip in place if the caller's own is meant."


def _has_bound(clip: ValueClip) -> bool:
    return clip.low is not None or clip.high is not None or clip.call.has_star


def _discarded(clip: ValueClip) -> str:
    return f"{clip.words} returns a new {clip.noun} that nothing uses: `{clip.subject.words}` stays as it is"


def _never_read(clip: ValueClip) -> str:
    assert clip.rebound is not None
    return f"Nothing reads `{clip.rebound.text}` after it is bound to {clip.words}: the clip has no effect"


def _fix(clip: ValueClip) -> Fix | None:
    if clip.remedy is None:
        return None
    return unsafe(f"Write `{clip.remedy.words}`", Replace(clip.remedy.replaces.node, clip.remedy.code))


def _may_be_lost(clip: Clip) -> bool:
    if is_thrown_away(clip.site):
        return True
    bound = rebound_name(clip.site)
    if bound is None:
        return False
    name, value = bound
    clipped = [*walk(clip.subject), *(walk(value.generators[0].iter) if isinstance(value, ast.ListComp) else ())]
    return name in map(last_name, clipped) and not is_surely_read(clip.site, name)
