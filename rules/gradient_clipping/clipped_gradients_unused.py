"""The clipped gradients are computed, and the raw ones are applied.

## What it does
Finds clips of a list of gradients (`tf.clip_by_global_norm`, or a clip of each gradient in a comprehension or a loop)
whose result nothing uses, where the unclipped list is applied afterwards: by `apply_gradients`, by `apply`, or by hand.

## Why it is wrong
These functions return clipped gradients and leave the list they are given as it is. The optimizer gets the list as it
was: nothing is clipped, and nothing says so.

## Example
```python
grads = tape.gradient(loss, model.trainable_variables)
clipped, _ = tf.clip_by_global_norm(grads, 1.0)
optimizer.apply_gradients(zip(grads, model.trainable_variables))
```

## Use instead
```python
grads = tape.gradient(loss, model.trainable_variables)
clipped, _ = tf.clip_by_global_norm(grads, 1.0)
optimizer.apply_gradients(zip(clipped, model.trainable_variables))
```

## Fix
Applies the clipped gradients; where the clip runs only under a condition, or its result has no name, gives the result
the name that is applied. Unsafe: the updates change. Manual where the clipped list is not surely of the same shape.

## Not flagged
Clipped gradients that are returned, logged or handed on; a list that gets a new value before it is applied; a clip in
one branch and the update in the other.

## Sources
https://www.tensorflow.org/api_docs/python/tf/clip_by_global_norm
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.gradients import UnusedGradientClip
from clipcheck.model.script import Script
from clipcheck.outline import Outline, Site, last_name
from clipcheck.outline.shapes import VALUE_CLIPS, is_surely_read
from clipcheck.rule import Rule, note


class ClippedGradientsUnused(Rule):
    code = "CLP204"
    name = "clipped-gradients-unused"
    screen = (
        rb"clip|clamp",
        rb"zip|apply",
        (rb"apply_gradients|autograd", rb"\.\s*(?:grad|apply)\b"),
    )
    why = (
        "The clip returns new gradients and leaves the ones that it is given as they are. The update is made with "
        "those: nothing is clipped."
    )
    advice = "Apply the clipped gradients."

    def candidate(self, outline: Outline) -> bool:
        return any(map(_may_be_unused, outline.calls(_RETURNING)))

    def check(self, script: Script) -> Iterator[Finding]:
        for unused in script.all(UnusedGradientClip):
            result = f"`{unused.clipped.text}`" if unused.clipped is not None else f"What `{unused.clip.words}` returns"
            yield self.finding(
                unused.clip,
                f"{result} is never used: the update (line {unused.applied.line}) is made with the unclipped "
                f"`{unused.applied.text}`",
                evidence=[note(unused.applied, "the unclipped gradients are applied here")],
                fix=_fix(unused),
            )


def _fix(unused: UnusedGradientClip) -> Fix | None:
    if unused.remedy is None:
        return None
    return unsafe("Apply the clipped gradients", Replace(unused.remedy.place.node, unused.remedy.code))


_RETURNING = frozenset({*VALUE_CLIPS, "clip_by_norm", "clip_by_average_norm", "clip_by_global_norm"})


_LISTERS = frozenset({"list", "tuple"})
_WALKERS = frozenset({"zip", "enumerate"})


def _may_be_unused(site: Site) -> bool:
    """Whether a list of gradients is clipped, and nothing reads what comes of it."""
    above = list(itertools.takewhile(lambda node: not isinstance(node, ast.stmt), site.above))
    walk = next((node for node in above if isinstance(node, (ast.ListComp, ast.GeneratorExp))), None)
    if walk is not None:
        is_list = len(walk.generators) == 1 and _is_named_list(walk.generators[0].iter)
        return is_list and _may_be_lost(above[above.index(walk) + 1 :], site)
    if any(isinstance(node, ast.For) and _is_named_list(node.iter) for node in site.above):
        if any(isinstance(node, ast.Call) and last_name(node.func) == "append" for node in above):
            return True
        if site.name not in VALUE_CLIPS and _may_be_lost(above, site):
            return True
    is_whole = site.name == "clip_by_global_norm" or site.name not in _RETURNING  # it may have another name
    return is_whole and isinstance(site.argument(0, "t_list"), ast.Name) and _may_be_lost(above, site)


def _may_be_lost(above: list[ast.AST], site: Site) -> bool:
    """Whether an expression, given what it stands in, becomes a list that nothing reads."""
    for node in above:
        called = last_name(node.func) if isinstance(node, ast.Call) else None
        if called == "append":
            return True
        if called not in _LISTERS and not isinstance(node, ast.Subscript):
            return False
    statement = site.statement
    return isinstance(statement, ast.Expr) or (isinstance(statement, ast.Assign) and not _is_read(statement, site))


def _is_named_list(node: ast.expr) -> bool:
    """`grads`, `zip(grads, variables)`."""
    if isinstance(node, ast.Call) and last_name(node.func) in _WALKERS and node.args:
        node = node.args[0]
    return isinstance(node, ast.Name)


def _is_read(statement: ast.Assign, site: Site) -> bool:
    target = statement.targets[0]
    if isinstance(target, (ast.Tuple, ast.List)) and target.elts:
        target = target.elts[0]
    if not isinstance(target, ast.Name) or len(statement.targets) > 1 or target.id.startswith("_"):
        return True
    return is_surely_read(site, target.id)
