"""`W_constraint=` and its like are Keras 1's names of the constraint arguments.

## What it does
Finds the arguments `W_constraint=`, `b_constraint=` and `U_constraint=` of Keras layers.

## Why it is wrong
Keras 2 renamed them, and Keras 3 does not know them any more: making the layer raises a ValueError.

## Example
```python
model.add(layers.Dense(30, W_constraint=MaxNorm(2)))
```

## Use instead
```python
model.add(layers.Dense(30, kernel_constraint=MaxNorm(2)))
```

## Fix
Renames the argument: `kernel_constraint=` (`embeddings_constraint=` for an Embedding), `bias_constraint=`,
`recurrent_constraint=`. Safe: the call raised before. None where the layer has the new argument too.

## Not flagged
Parameters and arguments of that name of other functions and of the file's own layers.

## Sources
https://github.com/keras-team/keras/wiki/Keras-2.0-release-notes
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.edit import Replace, safe
from clipcheck.finding import Finding
from clipcheck.model.renamed import RenamedArgument
from clipcheck.model.script import Script
from clipcheck.rule import Rule


class RemovedConstraintArgument(Rule):
    code = "CLP603"
    name = "removed-constraint-argument"
    screen = (rb"_constraint", rb"\b[WbU]_constraint\b")
    why = (
        "Keras 2 renamed the constraint arguments of Keras 1, and Keras 3 does not know the old names: "
        "making the layer raises a ValueError."
    )
    advice = "Use the argument's present name."

    def check(self, script: Script) -> Iterator[Finding]:
        for renamed in script.all(RenamedArgument):
            old, new = renamed.label.text, renamed.name
            fix = safe(f"Rename `{old}=` to `{new}=`", Replace(renamed.label.node, new))
            yield self.finding(
                renamed.argument,
                f"`{renamed.layer}` takes no `{old}=` any more: it is `{new}=`",
                fix=None if renamed.is_given_too else fix,
            )
