"""A layer or model defines a method that is to clip its gradients, and nothing ever calls it.

## What it does
Finds `get_updates`, `get_gradients` and the like with a clip inside, on Keras layers and models, and a clipping
`backward` on torch modules that pass their input through, where nothing in the file calls the method.

## Why it is wrong
Frameworks do not ask layers how their gradients are to be changed: `get_updates` and `get_gradients` were methods of
Keras 2's optimizers, and autograd calls `backward` on a `torch.autograd.Function` only. The method is dead code, and
the gradients are applied as they are.

## Example
```python
class GradientClip(layers.Layer):
    def call(self, x):
        return x

    def get_updates(self, loss, params):
        grads = self.optimizer.get_gradients(loss, params)
        return [ops.clip(g, -1.0, 1.0) for g in grads]
```

## Use instead
```python
model.compile(optimizer=keras.optimizers.Adam(clipvalue=1.0), loss="mse")
```

## Fix
Where the layer passes its input through and the file clips gradients in another place too, the dead method is removed.
Safe: nothing called it. Everywhere else manual, since removing it would hide that nothing is clipped.

## Not flagged
Methods that the file calls itself; methods of that name with parameters of their own; optimizers (CLP604).

## Sources
https://keras.io/guides/making_new_layers_and_models_via_subclassing/
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.edit import Remove, safe
from clipcheck.finding import Finding
from clipcheck.model.overrides import ClippingOverride
from clipcheck.model.script import Script
from clipcheck.outline import Outline
from clipcheck.outline.order import CLIPS_OF_GRADIENTS
from clipcheck.outline.shapes import VALUE_CLIPS
from clipcheck.rule import Rule, note


class ClipHookNeverCalled(Rule):
    code = "CLP212"
    name = "clip-hook-never-called"
    screen = (
        rb"clip|clamp",
        rb"keras|torch",
        rb"def\s+(?:get_updates|get_gradients|compute_gradients|backward)\b",
    )
    why = (
        "Keras never asks a layer or a model how to change gradients: the method is dead code, "
        "and the gradients are applied unclipped."
    )
    advice = "Clip where gradients are applied: give the optimizer `clipvalue=`, `clipnorm=` or `global_clipnorm=`."

    def candidate(self, outline: Outline) -> bool:
        sites = outline.calls(VALUE_CLIPS | CLIPS_OF_GRADIENTS)
        return any(getattr(above, "name", "") in _HOOKS for site in sites for above in site.above)

    def check(self, script: Script) -> Iterator[Finding]:
        for override in script.all(ClippingOverride):
            if override.kind == "optimizer" or override.is_called:
                continue
            if override.name in ("backward", "compute_gradients") and not override.is_identity:
                continue
            torch = override.kind == "module"
            fix = safe(f"Remove `{override.name}`, which nothing calls", Remove(override.function.node))
            yield self.finding(
                override.clip,
                f"`{override.clip.words}` never runs: nothing calls `{override.name}` of `{override.class_name}`",
                why=_TORCH_WHY if torch else None,
                advice=_TORCH_ADVICE if torch else None,
                evidence=[note(override.label, f"only optimizers of Keras 2 had a `{override.name}`")]
                if override.name.startswith("get_")
                else (),
                fix=fix if override.is_identity and override.is_clipped_elsewhere else None,
            )


_TORCH_WHY = (
    "Autograd calls `backward` of a `torch.autograd.Function`, never of a module: the gradients pass unclipped."
)
_TORCH_ADVICE = (
    "Register a hook in `forward` (`x.register_hook(lambda g: g.clamp(-c, c))`), or clip the parameters' gradients "
    "with `torch.nn.utils.clip_grad_value_` before the step."
)


_HOOKS = frozenset({"get_updates", "get_gradients", "compute_gradients", "backward"})
