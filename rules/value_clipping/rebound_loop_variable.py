"""A loop over weights binds its own variable to the clipped value, and the weights stay as they are.

## What it does
Finds loops that give their variable a clipped value which nothing reads: `for p in model.parameters():
p = p.clamp(-c, c)`, `for w in weights: w = np.clip(w, -c, c)`, also with `enumerate`, `zip` and
`named_parameters()`, and `v -= …` on variables of TensorFlow, which have no subtraction in place.

## Why it is wrong
An assignment to a name binds the name to another object; the parameter, list element or variable that the name stood
for is not touched. The next turn of the loop binds the name again, and the clipped value is gone.

## Example
```python
for p in critic.parameters():
    p = p.clamp(-0.01, 0.01)
```

## Use instead
```python
with torch.no_grad():
    for p in critic.parameters():
        p.clamp_(-0.01, 0.01)
```

## Fix
Parameters of torch are clipped in place under `torch.no_grad()`, gradients and `.data` with `clamp_`; variables of
TensorFlow and Keras get `v.assign(…)` (not in files for TF1, where somebody would have to run the operation); list
elements are set by index where the loop counts, or the list is built anew where the loop does nothing else. Unsafe:
from then on the weights are bounded. Where the kind of the elements is not known there is no fix.

## Not flagged
`p.data = p.data.clamp(…)`, `weights[i] = np.clip(w, …)`, clips in place, `x -= …` on arrays and torch tensors; a
variable whose new value is read, in the same turn or after the loop.

## Sources
https://docs.python.org/3/reference/simple_stmts.html#assignment-statements
https://docs.pytorch.org/docs/stable/generated/torch.Tensor.clamp_.html
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.rebindings import LoopRebinding
from clipcheck.model.script import Script
from clipcheck.outline import Outline, Site
from clipcheck.outline.shapes import is_surely_read, loop_names_bound, names_in, targets_of, value_clips
from clipcheck.rule import Rule, note


class ReboundLoopVariable(Rule):
    code = "CLP302"
    name = "rebound-loop-variable"
    screen = (rb"clip|clamp",)
    why = (
        "Assigning to the loop's variable gives that name another object. What the loop goes through is not changed, "
        "and the next turn binds the name again: the clipped value is lost, without any error."
    )
    advice = "Clip in place, assign to the element by its index, or build a new list."

    def candidate(self, outline: Outline) -> bool:
        return any(_may_be_lost(clip.site) for clip in value_clips(outline) if not clip.in_place)

    def check(self, script: Script) -> Iterator[Finding]:
        for rebinding in script.all(LoopRebinding):
            yield self.finding(
                rebinding.statement,
                f"`{rebinding.statement.words}` only rebinds the loop's name `{rebinding.name.text}`: "
                f"what is in `{rebinding.source.words}` stays as it is",
                evidence=[note(rebinding.source, f"`{rebinding.name.text}` comes from here")],
                fix=_fix(rebinding),
            )


def _fix(rebinding: LoopRebinding) -> Fix | None:
    if rebinding.remedy is None:
        return None
    return unsafe(f"Write `{rebinding.remedy.words}`", Replace(rebinding.remedy.replaces.node, rebinding.remedy.code))


def _may_be_lost(site: Site) -> bool:
    """Whether a clipped value may be bound to the variable of a loop, and nothing read it."""
    own = names_in(*targets_of(site.statement))
    return any(name not in own or not is_surely_read(site, name) for name in loop_names_bound(site))
