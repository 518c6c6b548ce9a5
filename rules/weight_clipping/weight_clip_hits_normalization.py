"""A weight clip also clips the moving statistics of batch normalisation.

## What it does
Finds weight clips in a training loop that go through all weights of a model (`get_weights`, `weights`, `state_dict`,
`buffers`) when that model has a layer with moving statistics, such as BatchNormalization.

## Why it is wrong
The moving mean and the moving variance are no weights that the optimizer trains. Clipped to 0.01, a moving variance of
5.5 makes the layer multiply by 22 what it should only normalise, as soon as the model runs in inference mode: when it
is evaluated, used for predictions, or frozen inside another model.

## Example
```python
critic = keras.Sequential([layers.Dense(64), layers.BatchNormalization(), layers.Dense(1)])
...
critic.set_weights([np.clip(w, -0.01, 0.01) for w in critic.get_weights()])
```

## Use instead
```python
for w in critic.trainable_weights:
    w.assign(keras.ops.clip(w, -0.01, 0.01))
```

## Fix
Goes through what is trained only. Where the script freezes a model, `trainable_weights` may be empty: then the moving
statistics are left out by name. Unsafe: they are not clipped any more, which is the point.

## Not flagged
Models of which it is not certain that they have such a layer, loops that choose among layers, clips that do not run at
each training step.

## Sources
https://arxiv.org/abs/1502.03167
https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.weight_writes import WeightWrite
from clipcheck.outline import Outline, last_name
from clipcheck.outline.shapes import Clip, called_in, value_clips
from clipcheck.rule import Rule, note

from .writing_back import in_place


class WeightClipHitsNormalization(Rule):
    code = "CLP104"
    name = "weight-clip-hits-normalization"
    screen = (
        rb"clip|clamp",
        rb"BatchNorm",
        rb"\.\s*(?:get_weights|state_dict|(?:named_)?buffers|(?:non_trainable_)?(?:weights|variables))\b",
    )
    why = (
        "The moving mean and variance of batch normalisation are among these weights. With a variance clipped to 0.01 "
        "the layer multiplies what it should normalise, as soon as the model is evaluated or used inside another one."
    )
    advice = "Clip only the weights that are trained."

    def candidate(self, outline: Outline) -> bool:
        return any(_may_be_written_back(clip, outline) for clip in value_clips(outline))

    def check(self, script: Script) -> Iterator[Finding]:
        for write in script.all(WeightWrite):
            if write.hits_statistics:
                shown = write.statistics[:3]
                yield self.finding(
                    write.clip.call,
                    f"`{write.clip.call.words}` also clips the moving statistics of "
                    f"`{shown[0].call.callee.words}` in `{write.name}`",
                    evidence=[note(layer.call, "this layer keeps moving statistics") for layer in shown],
                    fix=in_place(write, script),
                )


_SETTING = frozenset({"set_weights", "load_state_dict"})
_STORING = frozenset({"assign", "copy_", "set_", "set_value"})


def _may_be_written_back(clip: Clip, outline: Outline) -> bool:
    """Whether the clipped weights may get into the model: at once, or by a call in the same function."""
    site = clip.site
    if clip.in_place or (site.function is None and outline.has(rb"set_weights|load_state_dict")):
        return True
    statement = site.statement
    if isinstance(statement, ast.Assign) and last_name(statement.targets[0]) == "data":
        return True
    return bool(called_in(site) & _SETTING) or any(
        isinstance(above, ast.Call) and last_name(above.func) in _STORING for above in site.above
    )
