"""Values that need two bounds are clipped from one side only.

## What it does
Finds calls of functions that must have both bounds and are given one (`tf.clip_by_value(x, c)`), and clips of gradients
that bound one side (`T.minimum(g, c)`, `p.grad.clamp_(max=c)`, `g[g > c] = c`) with nothing for the other side.

## Why it is wrong
A function without its second bound raises a TypeError when the line runs. A gradient that is bounded from above only
still goes down without any limit, so it explodes as it did before, in one direction, and is now biased too.
`p.grad.clamp_(1.0)` is worse: a single positional bound is the lower one, and every gradient becomes 1 or more.

## Example
```python
for p in model.parameters():
    p.grad.data.clamp_(max=1.0)
```

## Use instead
```python
for p in model.parameters():
    p.grad.data.clamp_(-1.0, 1.0)
```

## Fix
Manual: only you know the other bound. For gradients it is nearly always the negative of the one that is there.

## Not flagged
A lower bound of 0 (guided backpropagation), a pair of one-sided clips in one function, activations and other values
that are meant to be bounded from one side, norms.

## Sources
https://www.tensorflow.org/api_docs/python/tf/clip_by_value
https://docs.pytorch.org/docs/stable/generated/torch.clamp.html
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import permutations

from clipcheck.finding import Finding
from clipcheck.model.clips import OneSidedClip
from clipcheck.model.script import Script
from clipcheck.outline import Outline, Site, last_name
from clipcheck.outline.constants import may_be
from clipcheck.outline.shapes import Clip, may_be_gradient, value_clips
from clipcheck.rule import Rule

_MASK = rb"\[[\s(]*([\w.]+)\s*[<>][^\]]*\]\s*=(?!=)"
"""`g[g > c] = c`."""


class OneSidedClipRule(Rule):
    code = "CLP304"
    name = "one-sided-clip"
    screen = (rb"torch|tensorflow|keras|theano|numpy|jax", (rb"clip|clamp|minimum|maximum", _MASK))
    why = (
        "Gradients have both signs: those beyond the side that is left open stay as large as they are, and training "
        "gets an unwanted direction on top."
    )
    advice = "Bound both sides: for gradients between minus the threshold and the threshold."

    def candidate(self, outline: Outline) -> bool:
        if outline.has(rb"clip|clamp") and any(_may_be_one_sided(clip, outline) for clip in value_clips(outline)):
            return True
        extremes = outline.calls(_UPPER | _LOWER, rb"grad|\bg(?:_?\d+)?\b") if outline.has(rb"minimum|maximum") else ()
        if any(_may_bound_gradient(site, outline) for site in extremes):
            return True
        return any(_GRADIENT.search(name) for name in outline.found(_MASK))

    def check(self, script: Script) -> Iterator[Finding]:
        for clip in script.all(OneSidedClip):
            missing = "lower" if clip.is_upper else "upper"
            if clip.raises:
                yield self.finding(
                    clip.at,
                    f"`{clip.at.words}` has no {missing} bound",
                    why="The function has no default for its bounds: the call raises a TypeError when it runs.",
                    advice="Give it both bounds, the lower one first.",
                )
            else:
                yield self.finding(
                    clip.at,
                    f"`{clip.at.words}` bounds `{clip.subject.words}` {_side(clip)} only: there is no {missing} bound",
                )


def _side(clip: OneSidedClip) -> str:
    return "from above" if clip.is_upper else "from below"


_UPPER = frozenset({"minimum", "minimum_"})
_LOWER = frozenset({"maximum"})
_THRESHOLD = re.compile(r"(?i)clip|max|thresh|bound|limit|^c$")
_GRADIENT = re.compile(r"grad(s|ient|ients)?(_?\d+)?$|^g(_?\d+)?$")


def _may_be_one_sided(clip: Clip, outline: Outline) -> bool:
    """A call without a bound that the function must have, or a gradient that is changed with one bound."""
    if not clip.is_complete and not clip.is_method and clip.bounds:
        return True
    if len(clip.bounds) != 1 or not outline.has(rb"grad"):
        return False
    statement = clip.site.statement
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if not clip.in_place and not any(ast.unparse(clip.subject).startswith(ast.unparse(target)) for target in targets):
        return False
    return may_be_gradient(clip, outline)


def _may_bound_gradient(site: Site, outline: Outline) -> bool:
    """`minimum(g, c)`, whichever comes first."""
    given = [*site.call.args, *(keyword.value for keyword in site.call.keywords)]
    pairs = permutations(given) if len(given) == 2 else ()
    return any(_GRADIENT.search(last_name(one)) and _may_be_threshold(other, site, outline) for one, other in pairs)


def _may_be_threshold(node: ast.expr, site: Site, outline: Outline) -> bool:
    """Whether a bound is called like one, or may be a number."""
    name = ast.unparse(node).lstrip("-").rpartition(".")[2]
    return _THRESHOLD.search(name) is not None or may_be(outline, node, lambda value: value != 0, site)
