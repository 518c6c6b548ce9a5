"""One `session.run` updates variables and clips them, in no particular order.

## What it does
Finds TensorFlow 1 code that fetches a train operation and the clip of the variables that it trains in a single
`session.run`, with no control dependency between the two.

## Why it is wrong
`session.run` starts everything that it is asked for at once; the order of the list means nothing. In one step the clip
comes after the update, in the next one before it, or in the middle of it: then the weights leave the run unclipped, and
whatever uses them next (the generator's step, a summary) sees them out of bounds.

## Example
```python
clip = [w.assign(tf.clip_by_value(w, -0.01, 0.01)) for w in critic_weights]
for step in range(steps):
    _, loss, _ = sess.run([train_critic, critic_loss, clip], feed_dict=batch())
```

## Use instead
```python
clip = [w.assign(tf.clip_by_value(w, -0.01, 0.01)) for w in critic_weights]
for step in range(steps):
    _, loss = sess.run([train_critic, critic_loss], feed_dict=batch())
    sess.run(clip)
```

## Fix
Takes the clip out of the run and puts a second `run` for it behind. Unsafe: the clip then always sees the update. Only
where nothing uses what the clip returns.

## Not flagged
A clip in a `session.run` of its own; a clip or an update that is made under `tf.control_dependencies`; the clip of
other variables than those that are updated in the same run.

## Sources
https://www.tensorflow.org/api_docs/python/tf/Graph#control_dependencies
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import Fix, InsertAfter, Replace, unsafe
from clipcheck.finding import Finding
from clipcheck.frameworks import CLIPS
from clipcheck.frameworks.names import last_names
from clipcheck.model.script import Script
from clipcheck.model.sessions import ClipRace
from clipcheck.outline import Outline, Site
from clipcheck.rule import Rule, note


class WeightClipRace(Rule):
    code = "CLP108"
    name = "weight-clip-race"
    screen = (
        rb"clip",
        rb"minimize|apply_gradients",
        rb"assign|update",
        rb"tensorflow|keras",
        rb"\.\s*run\s*\((?:\s|#[^\n]*\n)*[\w\[({]",
    )
    why = (
        "A session starts everything that one `run` fetches at once, whatever its place in the list. The clip may come "
        "before the update, and the weights are then out of bounds until the next step."
    )
    advice = "Run the clip by itself after the update, or make it under `tf.control_dependencies([update])`."

    def candidate(self, outline: Outline) -> bool:
        clipped = {_first(site) for site in outline.calls(_CLIPS)} - {""}
        return any(not clipped.isdisjoint((_first(site), _text(site.receiver))) for site in outline.calls(_ASSIGN))

    def check(self, script: Script) -> Iterator[Finding]:
        for race in script.all(ClipRace):
            yield self.finding(
                race.run,
                f"this run fetches the update `{race.update.words}` and the clip `{race.clip.words}` in no order",
                evidence=[
                    note(race.updated_at, "the weights are updated by this"),
                    note(race.clipped_at, "and clipped by this, with no control dependency between them"),
                ],
                fix=self.fix(race),
            )

    def fix(self, race: ClipRace) -> Fix | None:
        if not race.without:
            return None
        second = f"{race.run.callee.text}({race.clip.text})"
        edits = (Replace(code.node, text) for code, text in race.without)
        return unsafe(f"Put `{second}` behind it", *edits, InsertAfter(race.run.node, second))


_CLIPS = last_names(CLIPS)
_ASSIGN = frozenset({"assign", "update"})


def _first(site: Site) -> str:
    """What a call is given first: the variable of `tf.assign(v, tf.clip_by_value(v, …))`, twice."""
    given = [*site.call.args, *(keyword.value for keyword in site.call.keywords)]
    return _text(given[0]) if given else ""


def _text(node: ast.expr | None) -> str:
    return ast.unparse(node) if node is not None else ""
