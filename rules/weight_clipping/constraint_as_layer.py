"""A weight constraint stands where a layer belongs.

## What it does
Finds `layers.NonNeg()`, `layers.MaxNorm()` and their like, which do not exist, and constraints that are put into a
Sequential model as if they were layers.

## Why it is wrong
Keras has constraints for weights: they are given to a layer (`kernel_constraint=NonNeg()`) and change its weights after
each update. They are no layers: `keras.layers` has no such names (AttributeError), and a Sequential model refuses their
objects (ValueError). What is wanted behind a layer is an activation.

## Example
```python
model = keras.Sequential([
    layers.Dense(10, activation="relu"),
    layers.Dense(5),
    layers.NonNeg(),
])
```

## Use instead
```python
model = keras.Sequential([
    layers.Dense(10, activation="relu"),
    layers.Dense(5),
    layers.ReLU(),
])
```

## Fix
Replaces `layers.NonNeg()` with `layers.ReLU()` where it stands as a layer, and with the constraint where it is given as
one (`kernel_constraint=layers.NonNeg()`). Safe: the line raised before. The other constraints have no layer that does
the same to outputs.

## Not flagged
Layers of one's own, whatever they are called; `layers.UnitNormalization`, which is a layer.

## Sources
https://keras.io/api/layers/constraints/
https://keras.io/api/layers/activation_layers/relu/
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import Fix, NeedImport, Replace, safe
from clipcheck.finding import Finding
from clipcheck.frameworks.keras import CONSTRAINTS
from clipcheck.frameworks.names import last_names
from clipcheck.model.code import Call
from clipcheck.model.constraint_uses import MisplacedConstraint
from clipcheck.model.script import Script
from clipcheck.outline import Outline, Site, last_name
from clipcheck.outline.classes import clipping_pieces, may_be_constraint
from clipcheck.rule import Rule


class ConstraintAsLayer(Rule):
    code = "CLP107"
    name = "constraint-as-layer"
    screen = (
        rb"keras",
        rb"Constraint|NonNeg|MaxNorm|UnitNorm|non_neg|max_norm|unit_norm|nonneg|maxnorm|unitnorm",
        rb"layers|Sequential",
    )
    why = (
        "Constraints bound the weights of a layer after each update. They are no layers and do not see outputs: "
        "`keras.layers` has no such name, and a model refuses their objects, so that this line raises an error."
    )
    advice = "Use `layers.ReLU()` to bound an output; to bound weights, give the constraint as `kernel_constraint=`."

    def candidate(self, outline: Outline) -> bool:
        if any(_may_be_missing(site, outline) for site in outline.calls(_CONSTRAINTS)):
            return True
        return outline.has(rb"Sequential") and any(_may_be_constraint(node, outline) for node in _layers(outline))

    def check(self, script: Script) -> Iterator[Finding]:
        for use in script.all(MisplacedConstraint):
            what = f"`{use.call.callee.words}` does not exist" if use.is_missing else f"`{use.call.words}` is no layer"
            yield self.finding(
                use.call,
                f"{what}: {use.constraint} is a constraint for weights"
                + ("" if use.argument is not None else ", as in `kernel_constraint=`"),
                fix=self.fix(use),
            )

    def fix(self, use: MisplacedConstraint) -> Fix | None:
        call = use.call
        if use.argument is not None:
            return self.renamed(call, f"{use.library}.constraints.{use.constraint}") if use.is_missing else None
        if use.constraint != "NonNeg" or call.arguments:
            return None
        return self.renamed(call, f"{use.library}.layers.ReLU")

    def renamed(self, call: Call, name: str) -> Fix:
        spelling = call.callee.spell(name)
        return safe(
            f"Write `{spelling.text}()`",
            Replace(call.callee.node, spelling.text),
            *(NeedImport(module, imported) for module, imported in spelling.imports),
        )


_MODULES = frozenset({"constraints"})
_CONSTRAINTS = last_names(CONSTRAINTS)


def _may_be_missing(site: Site, outline: Outline) -> bool:
    """Whether a constraint may be looked up among the layers."""
    return site.receiver is not None and last_name(site.receiver) not in outline.aliases(_MODULES)


def _layers(outline: Outline) -> Iterator[ast.Call]:
    """The calls in the list of a Sequential model, and those that are added to something."""
    for site in outline.calls({"Sequential", "add"}):
        given = [*site.call.args, *(keyword.value for keyword in site.call.keywords)]
        if site.name != "add":
            given = [element for each in given if isinstance(each, ast.List) for element in each.elts]
        yield from (each for each in given if isinstance(each, ast.Call))


def _may_be_constraint(call: ast.Call, outline: Outline) -> bool:
    """Whether a call may make a constraint: by its name, or because nothing says what the name stands for."""
    name = last_name(call.func)
    if name in outline.aliases(_CONSTRAINTS) or name in outline.once(_own_constraints):
        return True
    is_defined = name in outline.imported or outline.has(rb"\b(?:class|def)\s+%s\b" % name.encode())
    return isinstance(call.func, ast.Name) and not is_defined


def _own_constraints(outline: Outline) -> frozenset[str]:
    classes = (class_ for piece in clipping_pieces(outline) for class_ in piece.classes)
    return outline.aliases(frozenset(class_.name for class_ in classes if may_be_constraint(class_, outline)))
