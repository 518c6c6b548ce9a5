"""The pair that `tf.clip_by_global_norm` returns is used as if it were the gradients.

## What it does
Finds calls of `tf.clip_by_global_norm` whose result is not unpacked, and zipped, iterated or applied as it is.

## Why it is wrong
The function returns (list of clipped gradients, global norm). Zipped with the variables, the first variable is paired
with the whole list and the second one with the norm: it raises, or, for one or two variables of the right shapes,
trains with the norm as a gradient.

## Example
```python
grads = tf.clip_by_global_norm(grads, 1.0)
optimizer.apply_gradients(zip(grads, model.trainable_variables))
```

## Use instead
```python
grads, _ = tf.clip_by_global_norm(grads, 1.0)
optimizer.apply_gradients(zip(grads, model.trainable_variables))
```

## Fix
Unpacks the pair where it is bound, or takes its first part where it is used at once. Safe: the code raised before. None
where other uses of the same name take the pair apart.

## Not flagged
A pair that is indexed or unpacked later; `optax.clip_by_global_norm`, which returns a transformation; functions and
methods of the same name in other libraries and in the file itself.

## Sources
https://www.tensorflow.org/api_docs/python/tf/clip_by_global_norm
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, safe
from clipcheck.finding import Finding
from clipcheck.model.gradients import PairAsGradients
from clipcheck.model.script import Script
from clipcheck.outline import Outline, Site
from clipcheck.rule import Rule, note


class GlobalNormNotUnpacked(Rule):
    code = "CLP206"
    name = "global-norm-not-unpacked"
    screen = (rb"clip_by_global_norm",)
    why = (
        "`tf.clip_by_global_norm` returns the list of clipped gradients and their norm. Used as one list, the pair "
        "gives the first variable all gradients and the second the norm, which raises an error at the first step."
    )
    advice = "Unpack it: `clipped, norm = tf.clip_by_global_norm(...)`."

    def candidate(self, outline: Outline) -> bool:
        return not all(map(_is_taken_apart, outline.calls({"clip_by_global_norm"})))

    def check(self, script: Script) -> Iterator[Finding]:
        for pair in script.all(PairAsGradients):
            if pair.name is None:
                message = f"`{pair.clip.words}` is a pair of gradients and norm, and used as the gradients"
                yield self.finding(pair.clip, message, fix=_fix(pair))
            else:
                yield self.finding(
                    pair.clip,
                    f"`{pair.name.text}` is the pair of gradients and norm that `{pair.clip.words}` returns, and line "
                    f"{pair.use.line} uses it as the gradients",
                    evidence=[note(pair.use, "used as the gradients here")],
                    fix=_fix(pair),
                )


def _is_taken_apart(site: Site) -> bool:
    """`grads, norm = clip_by_global_norm(…)` and `clip_by_global_norm(…)[0]`."""
    if isinstance(site.parent, ast.Subscript):
        return True
    return isinstance(site.parent, ast.Assign) and all(isinstance(t, ast.Tuple) for t in site.parent.targets)


def _fix(pair: PairAsGradients) -> Fix | None:
    if pair.remedy is None:
        return None
    return safe("Take the gradients out of the pair", Replace(pair.remedy.place.node, pair.remedy.code))
