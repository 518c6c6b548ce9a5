"""A clip from zero to the largest number of the type is a ReLU.

## What it does
Finds clips whose lower bound is zero and whose upper bound is infinity or the largest float there is:
`tf.clip_by_value(x, 0, x.dtype.max)`. Off by default: it is a matter of style and speed.

## Why it is wrong
It works. But the reader has to find out that the upper bound bounds nothing, and the framework computes two
comparisons, and a gradient with two masks, where it has a fused kernel for one.

## Example
```python
x = tf.clip_by_value(x, 0.0, tf.float32.max)
```

## Use instead
```python
x = tf.nn.relu(x)
```

## Fix
Writes `tf.nn.relu`, `keras.ops.relu` or `torch.relu`. Safe: the values are the same.

## Not flagged
Clips with a real upper bound, such as `tf.uint8.max` or 6; `torch.clamp(x, min=0)`, which says what it does; clips of
parameters and gradients; NumPy, which has no `relu`.

## Sources
https://www.tensorflow.org/api_docs/python/tf/nn/relu
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.edit import Fix, NeedImport, Replace, safe
from clipcheck.finding import Finding
from clipcheck.model.clips import HalfOpenClip
from clipcheck.model.script import Script
from clipcheck.rule import Rule, Severity


class ReluSpelledAsClip(Rule):
    code = "CLP310"
    name = "relu-spelled-as-clip"
    screen = (rb"clip|clamp", rb"(?:type|float\w*|double|\))\s*\.\s*max\b|[iI]nf\b")
    severity = Severity.WARNING
    default = False
    why = "The upper bound is the largest number there is and bounds nothing: what is left is a ReLU in two steps."
    advice = "Use the framework's `relu`."

    def check(self, script: Script) -> Iterator[Finding]:
        for half_open in script.all(HalfOpenClip):
            clip = half_open.clip
            high = clip.high.code.words if clip.high is not None else ""
            yield self.finding(
                clip.call,
                f"`{high}` bounds nothing: `{clip.call.words}` is the ReLU of `{clip.subject.words}`",
                fix=self.fix(half_open),
            )

    def fix(self, half_open: HalfOpenClip) -> Fix | None:
        relu = half_open.relu
        if relu is None:
            return None
        return safe(
            f"Write `{relu.text}`",
            Replace(half_open.clip.call.node, relu.text),
            *(NeedImport(module, name) for module, name in relu.imports),
        )
