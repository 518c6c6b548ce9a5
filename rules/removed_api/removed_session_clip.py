"""`tf.Session` is gone from TensorFlow 2, where a clip is worked out at once.

## What it does
Finds `tf.Session()` and `tf.InteractiveSession()` that run a clip, in files that are not TensorFlow 1 code throughout.

## Why it is wrong
TensorFlow 2 has no `tf.Session`: the line raises an AttributeError. It works out operations as they are called, so that
there is nothing left for a session to do.

## Example
```python
clipped = tf.clip_by_value(x, -1.0, 1.0)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    print(sess.run(clipped))
```

## Use instead
```python
clipped = tf.clip_by_value(x, -1.0, 1.0)
print(clipped.numpy())
```

## Fix
Where all that the session does is to initialise variables and to read tensors, its block becomes eager code:
`x.numpy()` for `sess.run(x)`. Safe: the line raised before. Manual where values are fed, variables are assigned or
optimizers run.

## Not flagged
`tf.compat.v1`, also as `import tensorflow.compat.v1 as tf`; files that build their graph with placeholders,
`tf.get_variable`, `tf.train` optimizers and their like, which are written for TensorFlow 1 as a whole.

## Sources
https://www.tensorflow.org/guide/migrate
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import Remove, Replace, safe
from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.sessions import ClipSession
from clipcheck.outline import Outline, Site, last_name
from clipcheck.rule import Rule, note


class RemovedSessionClip(Rule):
    code = "CLP605"
    name = "removed-session-clip"
    screen = (rb"clip|clamp", rb"Session", rb"tensorflow", rb"run")
    why = (
        "TensorFlow 2 has no sessions: the line raises an AttributeError. Operations are worked out as they are called."
    )
    advice = "Drop the session and read the tensor's value with `.numpy()`."

    def candidate(self, outline: Outline) -> bool:
        return any(_may_be_removed(site, outline) for site in outline.calls(_SESSIONS))

    def check(self, script: Script) -> Iterator[Finding]:
        for session in script.all(ClipSession):
            fix = None
            if session.block is not None:
                gone = [Remove(statement.node) for statement in session.obsolete]
                fix = safe("Work it out eagerly", Replace(session.block.node, session.eager), *gone)
            yield self.finding(
                session.made.callee,
                f"`{session.made.callee.words}`, which runs `{session.clip.words}`, does not exist in TensorFlow 2",
                evidence=[note(session.clip, "the clip that it works out")],
                fix=fix,
            )


_SESSIONS = frozenset({"Session", "InteractiveSession"})


def _may_be_removed(site: Site, outline: Outline) -> bool:
    """Whether a name is bound to a session that may be looked up in `tensorflow` itself."""
    if not isinstance(site.parent, (ast.withitem, ast.Assign)):
        return False
    module = site.receiver
    if module is None:
        return outline.has(rb"tensorflow\s+import\b")
    name = last_name(module).encode() if isinstance(module, ast.Name) else b""
    return name == b"tensorflow" or (
        bool(name) and outline.has(rb"tensorflow\s+as\s+%s\b|\b%s\s*(?::[^=\n]*)?=(?!=)" % (name, name))
    )
