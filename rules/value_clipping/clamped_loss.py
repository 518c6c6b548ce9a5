"""A loss or an error is clipped before it is differentiated.

## What it does
Finds errors that are clipped between -c and c and then squared, and losses that are clipped from above, where the
result is what the gradient is taken of.

## Why it is wrong
Outside its bounds a clip is constant, so its gradient is exactly zero: the samples with the largest errors, those that
matter most, teach nothing, and a loss that starts above its bound never comes down. "Error clipping" as in the DQN
paper clips the gradient with respect to the error, which is what the Huber loss does.

## Example
```python
td_error = torch.clamp(target - q, -1, 1)
loss = 0.5 * td_error.pow(2).mean()
loss.backward()
```

## Use instead
```python
loss = torch.nn.functional.huber_loss(target, q, delta=1)
loss.backward()
```

## Fix
In torch, the mean of the square becomes the Huber loss, which is the same inside the bounds. Unsafe: what lies outside
of them is now learnt from. Otherwise, and for a clipped loss, manual: drop the clip, and clip the gradients if it was
to keep the steps small.

## Not flagged
Hinge losses and floors (a lower bound only), the clipped ratio and the clipped value of PPO (a maximum or minimum with
the unclipped one), a Huber loss that is built from a clip, a clipped error that is handed to `backward` as the
gradient, a clip before a logarithm, an infinite or very large bound, a clipped copy for the log, losses for each sample
that are cut off before their mean.

## Sources
https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.huber_loss.html
https://www.nature.com/articles/nature14236
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clipcheck.edit import Fix, NeedImport, Remove, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.losses import ClampedLoss
from clipcheck.model.script import Script
from clipcheck.rule import Rule, note


class ClampedLossRule(Rule):
    code = "CLP307"
    name = "clamped-loss"
    screen = re.compile(rb"clamp|clip")
    why = (
        "A clip is constant outside its bounds, so the gradient is exactly zero there: the largest errors, which "
        "matter most, change nothing."
    )
    advice = "Drop the clip; to keep the steps small, clip the gradients after the backward pass."

    def check(self, script: Script) -> Iterator[Finding]:
        for clamped in script.all(ClampedLoss):
            clip = clamped.clip
            if clamped.square is None:
                assert clip.high is not None
                yield self.finding(
                    clip.call,
                    f"`{clip.subject.words}` has no gradient any more where it is above `{clip.high.code.words}`",
                    evidence=[note(clamped.used, "the clipped loss is differentiated")],
                )
            else:
                yield self.finding(
                    clip.call,
                    f"`{clip.subject.words}` is clipped and then squared: outside the bounds its gradient is zero",
                    advice="Use the Huber loss (smooth L1): it is quadratic inside the bounds and linear outside.",
                    evidence=[note(clamped.square, "the clipped error is squared here")],
                    fix=_fix(clamped),
                )


def _fix(clamped: ClampedLoss) -> Fix | None:
    huber = clamped.huber
    if huber is None:
        return None
    return unsafe(
        f"Use `{huber.code.text}`",
        Replace(huber.replaces.node, huber.code.text),
        *(Remove(statement.node) for statement in huber.obsolete),
        *(NeedImport(module, name) for module, name in huber.code.imports),
    )
