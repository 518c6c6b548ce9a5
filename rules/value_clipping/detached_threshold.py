"""A learnable clipping threshold enters the clip as a plain number and never learns.

## What it does
Finds clips whose bound is a learnable threshold (an `nn.Parameter`, a trainable `add_weight`) taken by its present
value: through `.item()`, `.data`, `.detach()`, `float(…)`, `.numpy()`, `K.get_value` or `stop_gradient`.

## Why it is wrong
The gradient of a clip with respect to its bound is what teaches the threshold: it is 1 for every value that was
clipped. A number has no gradient, so the threshold keeps its initial value for the whole training, and nothing warns.
`K.get_value` inside a layer's `call` is read only once, while the graph is built: even an update by hand is not seen.

## Example
```python
class ClippedReLU(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(6.0))

    def forward(self, x):
        return torch.clamp(x, 0, self.alpha.item())
```

## Use instead
```python
    def forward(self, x):
        return torch.clamp(x, torch.zeros_like(self.alpha), self.alpha)
```

## Fix
Hands the threshold itself to the clip; where the other bound is a number it becomes a tensor too, because
`torch.clamp` takes either two numbers or two tensors. Unsafe: the threshold begins to learn. No fix where more than a
sign stands between the threshold and the bound, or where the detached value is also used for something else.

## Not flagged
Buffers, constants and scales computed from the data; thresholds with `requires_grad=False`; clips under
`torch.no_grad()` or inside a `torch.autograd.Function`, which writes its own backward pass; classes that use the same
threshold with its gradient elsewhere; thresholds that the class sets by hand; clips of values that are detached, such
as `weight.data.clamp_(…)`.

## Sources
Choi et al. 2018, PACT: Parameterized Clipping Activation for Quantized Neural Networks,
https://arxiv.org/abs/1805.06085
https://docs.pytorch.org/docs/stable/generated/torch.clamp.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.thresholds import DetachedThreshold
from clipcheck.outline import Outline, last_name
from clipcheck.outline.origins import learned, may_be_learned, parts_near
from clipcheck.outline.shapes import Clip, value_clips
from clipcheck.rule import Rule, note


class DetachedThresholdRule(Rule):
    code = "CLP308"
    name = "detached-threshold"
    screen = (rb"clip|clamp", rb"Parameter|add_weight|add_variable|ariable")
    why = (
        "A threshold learns through the gradient of the clip with respect to its bound. A plain number has none: the "
        "threshold keeps its initial value for the whole training, and nothing warns."
    )
    advice = "Hand the threshold itself to the clip, so that its gradient flows."

    def candidate(self, outline: Outline) -> bool:
        if not learned(outline) and not outline.has(rb"get_value|eval"):
            return False
        return any(_may_be_detached(clip, bound, outline) for clip in value_clips(outline) for bound in clip.bounds)

    def check(self, script: Script) -> Iterator[Finding]:
        for use in script.all(DetachedThreshold):
            name, lost = use.learnable.name, use.detached[0]
            evidence = [] if use.frozen else [note(use.learnable.made, f"`{name}` is made to be learned")]
            if lost.statement.node is not use.clip.call.statement.node:
                evidence.insert(0, note(lost, "its gradient ends here"))
            message = f"`{lost.words}` bounds `{use.clip.subject.words}` without its gradient: `{name}` never learns"
            if use.frozen:
                message = f"`{lost.words}` is read once, when the graph is built: `{name}` never changes in this clip"
            yield self.finding(use.clip.call, message, evidence=evidence, fix=self.fix(use))

    def fix(self, use: DetachedThreshold) -> Fix | None:
        if not use.replacements:
            return None
        return unsafe(
            f"Pass `{use.learnable.name}` itself to the clip",
            *(Replace(code.node, text) for code, text in use.replacements),
        )


_DETACHES = frozenset(
    "item detach numpy tolist float int get_value eval stop_gradient convert_to_numpy get_static_value float32 float64 "
    "array asarray".split()
)
_FROZEN = frozenset({"get_value", "eval"})


def _may_be_detached(clip: Clip, bound: ast.expr, outline: Outline) -> bool:
    """Whether a bound may be a learned one without its gradient, or what a graph has read once."""
    if isinstance(bound, ast.Constant):
        return False
    made = list(parts_near(outline, clip.site, bound))
    called = {last_name(part.func) for part in made if isinstance(part, ast.Call)}
    if called & outline.aliases(_FROZEN):
        return True
    is_detached = bool(called & outline.aliases(_DETACHES)) or any(
        isinstance(part, ast.Attribute) and part.attr == "data" for part in made
    )
    return is_detached and may_be_learned(outline, clip.site, bound)
