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
The mean of the square becomes the Huber loss, which is the same inside the bounds: in torch, and in Keras, where it is
the mean over the last axis. Unsafe: what lies outside of them is now learnt from. Otherwise, and for a clipped loss,
manual: drop the clip, and clip the gradients if it was to keep the steps small.

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

import ast
import re
from collections.abc import Iterator

from clipcheck.edit import Fix, NeedImport, Remove, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.frameworks.losses import KEEPING_ERRORS_BY_NAME, REDUCTIONS, SCALAR_LOSSES, SQUARES_BY_NAME
from clipcheck.frameworks.names import last_names
from clipcheck.model.losses import ClampedLoss
from clipcheck.model.script import Script
from clipcheck.outline import Outline, last_name
from clipcheck.outline.constants import may_be, may_both, numbers
from clipcheck.outline.origins import given, origins
from clipcheck.outline.shapes import Clip, value_clips
from clipcheck.outline.traces import Interest, becomes
from clipcheck.rule import Rule, note


class ClampedLossRule(Rule):
    code = "CLP307"
    name = "clamped-loss"
    screen = (rb"clip|clamp", rb"(?i)loss|cost|\btd|err|residual|objective|criterion|-")
    why = (
        "A clip is constant outside its bounds, so the gradient is exactly zero there: the largest errors, which "
        "matter most, change nothing."
    )
    advice = "Drop the clip; to keep the steps small, clip the gradients after the backward pass."

    def candidate(self, outline: Outline) -> bool:
        clips = (clip for clip in value_clips(outline) if clip.site.root not in ("np", "numpy"))
        return any(_may_be_clipped_loss(clip, outline) or _may_be_clipped_error(clip, outline) for clip in clips)

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


_LOSS = re.compile(r"(?i)loss|cost")
_ERROR = re.compile(r"(?i)td|err|residual")
_SQUARE = rb"\*\*|pow|square|sqr"
_PRODUCT = rb"\b([\w.]+)\s*\*\s*\1\b"
_SQUARED = Interest(SQUARES_BY_NAME, KEEPING_ERRORS_BY_NAME, squares=True)
_LOSSES = last_names(SCALAR_LOSSES)
_SUMS = last_names(REDUCTIONS)


def _may_be_clipped_loss(clip: Clip, outline: Outline) -> bool:
    """A loss, by its name or by what makes it, under a bound that is known."""
    is_loss = _may_be_loss(clip.subject, outline)
    return is_loss and may_be(outline, clip.high, lambda high: True, clip.site)


def _may_be_loss(node: ast.expr, outline: Outline) -> bool:
    if not isinstance(node, ast.Call):
        return _LOSS.search(last_name(node)) is not None
    name = last_name(node.func)
    if name in _SUMS:
        inner = [*node.args[:1], *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
        return any(_may_be_loss(each, outline) for each in inner)
    makers = [node.func, *given(outline, name)] if outline.has(rb"Loss\b") else []
    return name in outline.aliases(_LOSSES) or any(
        isinstance(maker, ast.Call) and last_name(maker.func).endswith("Loss") for maker in makers
    )


_HUGE = 1e4
_KEEPING_ERRORS = frozenset(
    "to cuda cpu double half float bfloat16 train eval apply requires_grad_ share_memory module to_empty prepare setup "
    "prepare_model setup_module abs absolute".split()
)


def _may_be_clipped_error(clip: Clip, outline: Outline) -> bool:
    """A difference, or an error by its name, that is clipped on both sides and may be squared."""
    if clip.high is None or not (outline.has(_SQUARE) or outline.has(_PRODUCT)):
        return False
    if isinstance(clip.high, ast.Constant) and isinstance(clip.high.value, (int, float)) and clip.high.value >= _HUGE:
        return False
    is_floored = clip.low is None or may_be(outline, clip.low, lambda low: low == 0, clip.site)
    if not (outline.has(rb"abs") if is_floored else _may_be_symmetric(clip, outline)):
        return False
    if not becomes(clip, outline, _SQUARED):
        return False
    made_of = list(origins(outline, clip.site, clip.subject, _KEEPING_ERRORS))
    if is_floored and not any(map(_is_absolute, made_of)):
        return False
    is_difference = any(isinstance(each, ast.BinOp) and isinstance(each.op, ast.Sub) for each in made_of)
    return is_difference or _ERROR.search(last_name(clip.subject)) is not None


def _is_absolute(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and "abs" in last_name(node.func)


def _may_be_symmetric(clip: Clip, outline: Outline) -> bool:
    """Whether the bounds may be -c and c."""
    assert clip.low is not None
    assert clip.high is not None
    low, high = (ast.unparse(bound).replace(" ", "") for bound in (clip.low, clip.high))
    if low == f"-{high}" or low.replace("min", "max").replace("low", "high") == high:
        return True
    lows, highs = numbers(outline, clip.low, clip.site), numbers(outline, clip.high, clip.site)
    return may_both(lows, highs, lambda low, high: low == -high)
