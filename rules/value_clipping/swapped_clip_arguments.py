"""The bounds of a clip stand where the array belongs.

## What it does
Finds clips whose first two arguments are numbers and whose third is not: `np.clip(0, 255, image)`.

## Why it is wrong
Every clip takes the array first and then the bounds. With the array last, NumPy clips the number 0 between 255 and
`image`, which is `minimum(255, image)`: the upper bound works, the lower one does not, and nothing warns. TensorFlow
does the same for a scalar and raises a ValueError for anything else; torch raises a TypeError.

## Example
```python
image = np.clip(0, 255, image + noise)
```

## Use instead
```python
image = np.clip(image + noise, 0, 255)
```

## Fix
Puts the third argument first; keywords stay where they are and hand over their new values. Safe for torch and
`keras.ops`, where the line raised before; unsafe for NumPy, JAX and TensorFlow, where values below the lower bound
passed so far.

## Not flagged
Clips of a number by design, whose bounds are not both numbers (`np.clip(0.5, low, high)`, `np.clip(1, 0, n)`), and
clips of three numbers.

## Sources
https://numpy.org/doc/stable/reference/generated/numpy.clip.html
https://www.tensorflow.org/api_docs/python/tf/clip_by_value
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, safe, unsafe
from clipcheck.finding import Finding
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Code
from clipcheck.model.script import Script
from clipcheck.model.value import Constant
from clipcheck.outline import Outline
from clipcheck.outline.shapes import is_number, value_clips
from clipcheck.rule import Rule

_LITERAL = re.compile(r"[-+]?[\d.][\w.]*(?:[eE][-+]\d+)?")


class SwappedClipArguments(Rule):
    code = "CLP311"
    name = "swapped-clip-arguments"
    screen = (rb"clip|clamp", rb"cl(?:am|i)p\w*\s*\(\s*(?:\w+\s*=\s*)?[-+]?[\d.]|\bas\s+\w|=\s*[\w.]*cl(?:am|i)p")
    why = (
        "A clip takes the array first, then the bounds. With the array last, a number is clipped by the array: values "
        "below the lower bound pass, or the line raises."
    )
    advice = "Put the array first: clip(array, low, high)."

    def candidate(self, outline: Outline) -> bool:
        return any(list(map(is_number, (c.subject, *c.bounds))) == [True, True, False] for c in value_clips(outline))

    def check(self, script: Script) -> Iterator[Finding]:
        for clip in script.all(ValueClip):
            if clip.low is None or clip.high is None or clip.call.has_star:
                continue
            first, second, third = clip.subject, clip.low.code, clip.high.code
            if not _is_literal(first) or not _is_literal(second) or isinstance(third.value, Constant):
                continue
            if (first.number or 0.0) >= (second.number or 0.0):
                continue
            yield self.finding(
                clip.call,
                f"`{clip.call.callee.words}` clips the number {first.text} between {second.text} and `{third.words}`: "
                f"`{third.words}` belongs first",
                fix=self.fix(clip, first, second, third),
            )

    def fix(self, clip: ValueClip, first: Code, second: Code, third: Code) -> Fix:
        raised = clip.library == "torch" or (clip.call.callee.api or "").startswith("keras.ops.")
        return (safe if raised else unsafe)(
            f"Clip `{third.words}` between {first.text} and {second.text}",
            Replace(first.node, third.text),
            Replace(second.node, first.text),
            Replace(third.node, second.text),
        )


def _is_literal(code: Code) -> bool:
    return code.number is not None and _LITERAL.fullmatch(code.text) is not None
