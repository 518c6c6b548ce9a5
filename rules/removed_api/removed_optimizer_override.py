"""An optimizer clips in `get_updates` or `get_gradients`, which Keras 3 does not call.

## What it does
Finds subclasses of Keras optimizers that clip gradients in an override of `get_updates` or `get_gradients`.

## Why it is wrong
Keras 3 has neither method. On top of `Adam` or another ready optimizer the override is never called, silently, and the
gradients are applied unclipped; on top of `Optimizer` training stops with a NotImplementedError.

## Example
```python
class ClippedAdam(keras.optimizers.Adam):
    def get_gradients(self, loss, params):
        grads = super().get_gradients(loss, params)
        return [ops.clip(g, -0.5, 0.5) for g in grads]
```

## Use instead
```python
optimizer = keras.optimizers.Adam(clipvalue=0.5)
```

## Fix
Unsafe, since gradients are clipped from then on. An override of `get_gradients` that clips what the base's returns
becomes an override of `apply`. A wrapper around an optimizer that only this file makes is replaced by the optimizer
with its own `clipvalue=`. Manual where the class computes its own updates.

## Not flagged
Optimizers on `keras.optimizers.legacy` or `tf_keras`; files whose target is Keras 2; methods that the file calls
itself.

## Sources
https://keras.io/api/optimizers/
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.edit import Fix, Remove, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.overrides import ClippingOverride
from clipcheck.model.script import Script
from clipcheck.rule import Rule, note


class RemovedOptimizerOverride(Rule):
    code = "CLP604"
    name = "removed-optimizer-override"
    screen = (rb"clip|clamp", rb"get_updates|get_gradients", rb"def\s+(?:get_updates|get_gradients)\b")
    why = (
        "Keras 3 calls neither `get_updates` nor `get_gradients`: on top of `Adam` and its like the override is dead "
        "code and nothing is clipped, on top of `Optimizer` training raises a NotImplementedError."
    )
    advice = (
        "Give an optimizer of Keras `clipvalue=`, `clipnorm=` or `global_clipnorm=`, "
        "or override `apply(self, grads, trainable_variables=None)`."
    )

    def check(self, script: Script) -> Iterator[Finding]:
        if script.targets.keras_2:
            return
        for override in script.all(ClippingOverride):
            if override.kind != "optimizer" or override.is_legacy or override.is_called:
                continue
            yield self.finding(
                override.label,
                f"`{override.class_name}` clips in `{override.name}`, which Keras 3 does not call",
                evidence=[note(override.clip, "the clip that does not run")],
                fix=_fix(override),
            )


def _fix(override: ClippingOverride) -> Fix | None:
    shape = override.as_apply
    if shape is not None:
        return unsafe(
            "Clip in `apply`",
            Replace(override.label.node, "apply"),
            Replace(shape.parameters[0].node, shape.gradients),
            Replace(shape.parameters[1].node, "trainable_variables=None"),
            Remove(shape.asked.node),
            Replace(shape.returned.node, f"super().apply({shape.returned.text}, trainable_variables)"),
        )
    if not override.wrappings or override.bound is None or override.base != "Optimizer":
        return None
    bound = f"{override.bound.number:g}" if override.bound.number is not None else override.bound.text
    made = [Replace(w.whole.node, _with_argument(w.optimizer.text, f"clipvalue={bound}")) for w in override.wrappings]
    return unsafe("Give the optimizer its own `clipvalue=`", *made, Remove(override.class_.node))


def _with_argument(call: str, argument: str) -> str:
    """The call with one more argument at its end."""
    inside = call[:-1].rstrip().removesuffix(",")
    return f"{inside}{argument})" if inside.endswith("(") else f"{inside}, {argument})"
