"""A clip of each gradient meets a gradient that is None.

## What it does
Finds comprehensions that clip the gradients of `tape.gradient` or `compute_gradients` one by one without looking for
None, where one probably is None: the variables of a model are asked for that nothing under the tape calls, or the same
file looks for None elsewhere.

## Why it is wrong
The gradient of a variable that the loss does not reach is None, and `tf.clip_by_value(None, ...)` and
`tf.clip_by_norm(None, ...)` raise a ValueError. (`tf.clip_by_global_norm` skips None.)

## Example
```python
grads = tape.gradient(loss, encoder.trainable_variables + decoder.trainable_variables)
grads = [tf.clip_by_norm(g, 1.0) for g in grads]
```

## Use instead
```python
grads = tape.gradient(loss, encoder.trainable_variables + decoder.trainable_variables)
grads = [tf.clip_by_norm(g, 1.0) if g is not None else None for g in grads]
```

## Fix
Keeps None, which optimizers skip. Safe: the code raised where it mattered.

## Not flagged
Clips that filter or look at the gradient first; `unconnected_gradients=ZERO`; lists of gradients about which nothing
suggests that one may be None.

## Sources
https://www.tensorflow.org/guide/autodiff#getting_a_gradient_of_none
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import Replace, safe
from clipcheck.finding import Finding
from clipcheck.model.gradients import ClipOfNone
from clipcheck.model.script import Script
from clipcheck.outline import Outline, Site
from clipcheck.outline.order import CLIPS_OF_GRADIENTS
from clipcheck.outline.shapes import VALUE_CLIPS
from clipcheck.rule import Rule, note


class ClipNoneGradient(Rule):
    code = "CLP213"
    name = "clip-none-gradient"
    screen = (rb"clip|clamp", rb"gradient")
    why = (
        "The gradient of a variable that the loss does not depend on is None, and clipping None raises an error. "
        "Optimizers skip None."
    )
    advice = "Keep None as it is, and clip the other gradients."

    def candidate(self, outline: Outline) -> bool:
        if not outline.has(rb"\.\s*(?:gradient|compute_gradients)\b"):
            return False
        return any(map(_is_in_comprehension, outline.calls(VALUE_CLIPS | CLIPS_OF_GRADIENTS)))

    def check(self, script: Script) -> Iterator[Finding]:
        for clip in script.all(ClipOfNone):
            gradient = clip.gradient.text
            if clip.unreached is not None:
                reason = f"nothing under the tape uses `{clip.unreached.words}`"
                evidence = [note(clip.unreached, "its variables get no gradient")]
            else:
                assert clip.guard is not None
                reason = f"line {clip.guard.line} of the same file expects that"
                evidence = [note(clip.guard, "None is expected among gradients here")]
            yield self.finding(
                clip.clip,
                f"`{clip.clip.words}` raises where `{gradient}` is None, and {reason}",
                evidence=evidence,
                fix=safe("Keep gradients that are None", Replace(clip.clip.node, clip.guarded)),
            )


def _is_in_comprehension(site: Site) -> bool:
    return any(isinstance(above, (ast.ListComp, ast.GeneratorExp)) for above in site.above)
