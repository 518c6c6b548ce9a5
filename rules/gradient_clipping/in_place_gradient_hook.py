"""A gradient hook clips in place, and with it gradients that share the tensor.

## What it does
Finds `register_hook` and `register_full_backward_hook` hooks that clamp or rescale in place the gradient that
they are given.

## Why it is wrong
During the backward pass one tensor often is the gradient of several parameters and activations. A hook that changes it
in place changes theirs too, silently, or fails where the tensor is an expanded view. Torch's documentation says that
a hook must not change its argument, and takes the gradient that it returns instead.

## Example
```python
for p in model.parameters():
    p.register_hook(lambda grad: grad.clamp_(-1.0, 1.0))
```

## Use instead
```python
for p in model.parameters():
    p.register_hook(lambda grad: grad.clamp(-1.0, 1.0))
```

## Fix
Clips out of place and returns the result. Unsafe: gradients that were changed along the way no longer are. Manual for a
module's hook that returns nothing: it must return a tuple of new gradients.

## Not flagged
Hooks that clip out of place or clip a copy; `register_post_accumulate_grad_hook`, where changing `p.grad` in place is
right.

## Sources
https://pytorch.org/docs/stable/generated/torch.Tensor.register_hook.html
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.edit import AppendToBody, Fix, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.hooks import InPlaceHookClip
from clipcheck.model.script import Script
from clipcheck.rule import Rule, note


class InPlaceGradientHook(Rule):
    code = "CLP214"
    name = "in-place-gradient-hook"
    screen = (rb"register_hook|register_full_backward_hook|register_backward_hook",)
    why = (
        "During the backward pass one tensor may be the gradient of several parameters: a hook that changes it in "
        "place changes them all, or fails where it is an expanded view."
    )
    advice = "Clip out of place and return the result: torch takes it in the gradient's place."

    def check(self, script: Script) -> Iterator[Finding]:
        for clip in script.all(InPlaceHookClip):
            evidence = (
                [] if clip.at.inside(clip.registration) else [note(clip.registration, "registered as a hook here")]
            )
            yield self.finding(
                clip.at,
                f"`{clip.at.words}` changes the gradient `{clip.gradient.words}` in place inside a hook",
                evidence=evidence,
                fix=_fix(clip),
            )


def _fix(clip: InPlaceHookClip) -> Fix | None:
    if clip.out_of_place is None:
        return None
    message = "Clip the gradient out of place"
    if clip.is_returned:
        return unsafe(message, Replace(clip.at.node, clip.out_of_place))
    if clip.on_module or not clip.is_statement:
        return None
    name = clip.gradient.text
    assigned = Replace(clip.at.statement.node, f"{name} = {clip.out_of_place}")
    if clip.returns_gradient:
        return unsafe(message, assigned)
    if clip.function is not None and clip.returns_nothing:
        return unsafe(f"{message} and return it", assigned, AppendToBody(clip.function, f"return {name}"))
    return None
