"""A Keras constraint is given, and nothing applies it.

## What it does
Finds constraints of Keras models that have no effect: those of a model that an optimizer of PyTorch drives, or whose
weights are updated by hand; those that are set as an attribute of a layer that is built already; those that
`use_ema=True` overrules; and constraint classes that define `call` instead of `__call__`.

## Why it is wrong
Keras applies a constraint in the update of its own optimizers, and nowhere else. It takes the constraint from the
variable, which gets it when the layer is built: `layer.kernel_constraint` is not looked at again. With `use_ema=True`
the averages are those of the weights before the constraint, and the end of `fit` writes them over the weights. And it
calls a constraint, so that only `__call__` is ever run; the base class's `__call__` returns the weights as they are.

## Example
```python
model = keras.Sequential([layers.Input((8,)), layers.Dense(1)])
model.layers[0].kernel_constraint = WeightClip(0.01)
```

## Use instead
```python
model = keras.Sequential([layers.Input((8,)), layers.Dense(1, kernel_constraint=WeightClip(0.01))])
```

## Fix
Renames `call` to `__call__`: unsafe, the constraint takes effect then. Everything else is a decision about how the
model is trained: by hand.

## Not flagged
`self.kernel_constraint = constraints.get(kernel_constraint)` in a layer's `__init__`, which is before it is built;
models without a known input shape, which are built later; models that are made anew from their config; weights that
are updated by hand and then handed to their own constraint.

## Sources
https://keras.io/api/layers/constraints/
https://github.com/keras-team/keras/blob/master/keras/src/optimizers/base_optimizer.py
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from clipcheck.edit import Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.model.classes import CustomClass
from clipcheck.model.constraint_uses import UnappliedConstraint
from clipcheck.model.script import Script
from clipcheck.outline import Outline, Site
from clipcheck.outline.classes import clipping_pieces, may_be_constraint
from clipcheck.outline.shapes import names_in
from clipcheck.rule import Rule, note


class Case(NamedTuple):
    """What is said of one way not to apply a constraint."""

    message: str
    why: str
    advice: str


_CASES = {
    "late": Case(
        "`{at}` sets a constraint on a layer of `{model}` that is built already",
        "A variable gets its constraint when the layer is built. The attribute of the layer is not looked at again: "
        "the"
        "weights are not bounded.",
        "Give the constraint to the layer when it is made, or set `layer.kernel.constraint` before training.",
    ),
    "by hand": Case(
        "`{at}` updates the weights of `{model}` past the optimizer, and with it past their constraints",
        "Only a Keras optimizer applies constraints. An update by `assign_sub` leaves the weights where it takes them.",
        "Use `optimizer.apply_gradients`, or write `w.assign(w.constraint(w))` after the update.",
    ),
    "torch": Case(
        "`{at}` trains `{model}` and does not know of its constraints",
        "Keras's own optimizers apply constraints. An optimizer of PyTorch updates the tensors below the Keras "
        "variables"
        "and leaves them where the update takes them.",
        "Use an optimizer of Keras, or clip the weights under `torch.no_grad()` after each step.",
    ),
    "average": Case(
        "`{at}` overrules the constraints of `{model}`",
        "The averages are those of the weights before the constraint is applied, and the end of `fit` writes them over "
        "the weights: each batch stays in bounds, the trained model does not.",
        "Train without `use_ema`, or clip the weights once more after `fit`.",
    ),
}


class ConstraintNeverApplied(Rule):
    code = "CLP106"
    name = "constraint-never-applied"
    screen = (rb"keras", rb"onstraint")
    why = (
        "Keras calls a constraint like a function. The base class's `__call__` returns the weights as they are, and no "
        "other method is ever run: the weights are not bounded."
    )
    advice = "Call the method `__call__`."

    def candidate(self, outline: Outline) -> bool:
        if outline.has(rb"layer") and any(map(_is_set_on_layer, _before_constraints(outline))):
            return True
        if outline.has(rb"Sequential|Model|applications") and outline.has(_GIVEN) and _may_go_past(outline):
            return True
        return outline.has(_CALL) and any(
            may_be_constraint(class_, outline) for piece in clipping_pieces(outline) for class_ in piece.classes
        )

    def check(self, script: Script) -> Iterator[Finding]:
        for unapplied in script.all(UnappliedConstraint):
            case = _CASES[unapplied.way]
            yield self.finding(
                unapplied.at,
                case.message.format(at=unapplied.at.words, model=unapplied.model),
                why=case.why,
                advice=case.advice,
                evidence=[note(argument, "this constraint") for argument in unapplied.constraints[:3]],
            )
        for custom in script.all(CustomClass):
            method = custom.methods.get("call")
            if custom.kind == "constraint" and custom.plain_base and method and "__call__" not in custom.methods:
                yield self.finding(
                    method,
                    f"`{custom.name}` defines `call`, which nobody calls: it never changes a weight",
                    fix=unsafe("Rename `call` to `__call__`", Replace(method.node, "__call__")),
                )


_CALL = rb"def\s+call\b"
_GIVEN = rb"_constraint\s*=(?!=)"
_LAYER = re.compile(rb"(?:[)\]]|(?<![\w.])(?!self\b)[A-Za-z_]\w*)[\s\\]*\.[\s\\]*\w*\Z")
_FAR = 100


def _before_constraints(outline: Outline) -> Iterator[bytes]:
    """What stands before `kernel_constraint = …` and its like."""
    for given in outline.finditer(_GIVEN):
        yield outline.data[max(0, given.start() - _FAR) : given.start()]


def _is_set_on_layer(before: bytes) -> bool:
    """Whether it ends in an attribute of something that is no attribute itself, and not `self`."""
    return _LAYER.search(before) is not None


def _may_go_past(outline: Outline) -> bool:
    """Whether the file speaks of what updates weights past their constraints."""
    if outline.has(rb"use_ema"):
        return True
    if outline.has(rb"grad") and any(map(names_in, _arguments(outline.calls({"assign_sub", "assign_add"})))):
        return True
    return outline.has(rb"torch") and (outline.has(rb"\.[\s\\]*optim\b") or "optim" in outline.imported)


def _arguments(sites: tuple[Site, ...]) -> Iterator[ast.expr]:
    for site in sites:
        yield from (*site.call.args, *(keyword.value for keyword in site.call.keywords))
