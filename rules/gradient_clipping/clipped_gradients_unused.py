"""The clipped gradients are computed, and the raw ones are applied.

## What it does
Finds clips of a list of gradients (`tf.clip_by_global_norm`, or a clip of each gradient in a comprehension or a loop)
whose result nothing uses, where the unclipped list is applied afterwards: by `apply_gradients`, by `apply`, or by hand.

## Why it is wrong
These functions return clipped gradients and leave the list they are given as it is. The optimizer gets the list as it
was: nothing is clipped, and nothing says so.

## Example
```python
grads = tape.gradient(loss, model.trainable_variables)
clipped, _ = tf.clip_by_global_norm(grads, 1.0)
optimizer.apply_gradients(zip(grads, model.trainable_variables))
```

## Use instead
```python
grads = tape.gradient(loss, model.trainable_variables)
clipped, _ = tf.clip_by_global_norm(grads, 1.0)
optimizer.apply_gradients(zip(clipped, model.trainable_variables))
```

## Fix
Applies the clipped gradients; where the clip runs only under a condition, or its result has no name, gives the result
the name that is applied. Unsafe: the updates change. Manual where the clipped list is not surely of the same shape.

## Not flagged
Clipped gradients that are returned, logged or handed on; a list that gets a new value before it is applied; a clip in
one branch and the update in the other.

## Sources
https://www.tensorflow.org/api_docs/python/tf/clip_by_global_norm
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.gradients import UnusedGradientClip
from clipcheck.model.script import Script
from clipcheck.outline import Outline, Site, last_name
from clipcheck.outline.shapes import VALUE_CLIPS
from clipcheck.rule import Rule, note


class ClippedGradientsUnused(Rule):
    code = "CLP204"
    name = "clipped-gradients-unused"
    screen = (rb"clip|clamp", rb"apply|autograd")
    why = (
        "The clip returns new gradients and leaves the ones that it is given as they are. The update is made with "
        "those: nothing is clipped."
    )
    advice = "Apply the clipped gradients."

    def candidate(self, outline: Outline) -> bool:
        return any(map(_may_clip_a_list, outline.calls(_RETURNING)))

    def check(self, script: Script) -> Iterator[Finding]:
        for unused in script.all(UnusedGradientClip):
            result = f"`{unused.clipped.text}`" if unused.clipped is not None else f"What `{unused.clip.words}` returns"
            yield self.finding(
                unused.clip,
                f"{result} is never used: the update (line {unused.applied.line}) is made with the unclipped "
                f"`{unused.applied.text}`",
                evidence=[note(unused.applied, "the unclipped gradients are applied here")],
                fix=_fix(unused),
            )


def _fix(unused: UnusedGradientClip) -> Fix | None:
    if unused.remedy is None:
        return None
    return unsafe("Apply the clipped gradients", Replace(unused.remedy.place.node, unused.remedy.code))


_RETURNING = frozenset({*VALUE_CLIPS, "clip_by_norm", "clip_by_average_norm", "clip_by_global_norm"})


def _may_clip_a_list(site: Site) -> bool:
    """Whether it clips a list of gradients, or each of one in a comprehension or a loop."""
    if site.name == "clip_by_global_norm":
        return True
    above = list(site.above)
    if any(isinstance(node, (ast.ListComp, ast.GeneratorExp)) for node in above):
        return True
    is_appended = any(isinstance(node, ast.Call) and last_name(node.func) == "append" for node in above)
    is_in_loop = any(isinstance(node, (ast.For, ast.AsyncFor)) for node in above)
    return is_in_loop and (is_appended or site.name not in VALUE_CLIPS)
