"""`keras.backend.clip` does not exist in Keras 3.

## What it does
Finds calls and uses of `clip` from `keras.backend`.

## Why it is wrong
Keras 3 removed the tensor functions of `keras.backend`: `K.clip` raises an AttributeError when the line runs, which
for a constraint or a loss is in the middle of the first training step.

## Example
```python
from keras import backend as K

def clipped(x):
    return K.clip(x, -1.0, 1.0)
```

## Use instead
```python
from keras import ops

def clipped(x):
    return ops.clip(x, -1.0, 1.0)
```

## Fix
Rewrites the call to `keras.ops.clip` and renames its keywords. Safe: under Keras 3 the line raised before.

## Not flagged
`tensorflow.keras.backend.clip` and `tf_keras`, which still have it; files whose target is Keras 2.

## Sources
https://keras.io/guides/migrating_to_keras_3/
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clipcheck.edit import Fix, NeedImport, Replace, safe
from clipcheck.finding import Finding
from clipcheck.model.code import Call
from clipcheck.model.script import Script
from clipcheck.rule import Rule

_KEYWORDS = {"min_value": "x_min", "max_value": "x_max"}


class RemovedBackendClip(Rule):
    code = "CLP601"
    name = "removed-backend-clip"
    screen = re.compile(rb"backend")
    why = (
        "Keras 3 has no tensor functions in `keras.backend` any more: the line raises an AttributeError when it runs, "
        "in a constraint or a loss in the middle of the first training step."
    )
    advice = "Use `keras.ops.clip`, which works on every backend."

    def check(self, script: Script) -> Iterator[Finding]:
        if script.targets.keras_2:
            return
        for call in script.calls_to("keras.backend.clip"):
            if all(name.startswith("keras.") for name in call.callee.names):
                yield self.finding(call.callee, f"`{call.callee.words}` does not exist in Keras 3", fix=self.fix(call))

    def fix(self, call: Call) -> Fix:
        spelling = call.callee.spell("keras.ops.clip")
        renamed = [
            Replace(argument.node, f"{_KEYWORDS[argument.keyword]}={argument.code.text}")
            for argument in call.arguments
            if argument.keyword in _KEYWORDS
        ]
        return safe(
            f"Replace `{call.callee.words}` with `{spelling.text}`",
            Replace(call.callee.node, spelling.text),
            *renamed,
            *(NeedImport(module, name) for module, name in spelling.imports),
        )
