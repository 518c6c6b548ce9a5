"""The same gradients are clipped twice, by two calls or by a call and by who applies them.

## What it does
Finds gradients that are clipped and then clipped again: by two calls one after the other, by a call and the argument of
the Keras optimizer that applies them (`clipnorm=`, `clipvalue=`, `global_clipnorm=`), by a hook of a LightningModule
and its trainer's `gradient_clip_val`, by the `training_step` of a Transformers Trainer and its `max_grad_norm`. Off by
default: some do it on purpose.

## Why it is wrong
The second clip sees what the first has left. Clipped by value, or variable by variable, a gradient has another
direction, and its global norm is no longer the one that the second threshold was chosen for. Where both are of one kind
only the tighter of the two does anything.

## Example
```python
grads = [tf.clip_by_norm(g, 1.0) for g in grads]
grads, _ = tf.clip_by_global_norm(grads, 1.0)
optimizer.apply_gradients(zip(grads, model.trainable_variables))
```

## Use instead
```python
grads, _ = tf.clip_by_global_norm(grads, 1.0)
optimizer.apply_gradients(zip(grads, model.trainable_variables))
```

## Fix
None: which of the two is meant only you know. Remove the other one.

## Not flagged
Clips in different branches; clips of different models; an infinite threshold, which only measures; a LightningModule
that defines `configure_gradient_clipping`, which takes the place of the trainer's clip.

## Sources
https://keras.io/api/optimizers/
https://lightning.ai/docs/pytorch/stable/advanced/training_tricks.html#gradient-clipping
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.finding import Finding
from clipcheck.frameworks import GRADIENT_CLIPS
from clipcheck.model.gradients import ClippedTwice
from clipcheck.model.script import Script
from clipcheck.model.steps import Action, Event, Occurrence, TrainingStep, occurrences
from clipcheck.outline import Outline
from clipcheck.outline.order import gradient_clips
from clipcheck.outline.shapes import may_be_gradient, value_clips
from clipcheck.rule import Rule, Severity, note


class DoubleGradientClip(Rule):
    code = "CLP207"
    name = "double-gradient-clip"
    screen = (
        rb"clip|clamp",
        rb"grad",
        (
            rb"clip_grad|clip_by_norm|clip_by_global_norm|clip_by_average_norm",
            rb"\.\s*grad\b|gradients?\s*\(|\bgrad\s*\(",
        ),
    )
    severity = Severity.WARNING
    default = False
    why = (
        "The second clip sees what the first one has left of the gradients, so that its threshold bounds something "
        "else than it was chosen for; where both are of one kind, only the tighter one does anything."
    )
    advice = "Keep the clip that is meant, and remove the other one."

    def candidate(self, outline: Outline) -> bool:
        in_place = len(gradient_clips(outline))
        if in_place > 1 or (in_place and outline.has(rb"gradient_clip_val|max_grad_norm")):
            return True
        values = (clip for clip in value_clips(outline) if not clip.in_place and may_be_gradient(clip, outline))
        returning = {site.call for site in (*outline.calls(_RETURNING), *(clip.site for clip in values))}
        return len(returning) > 1 or (bool(returning) and outline.has(rb"clipnorm|clipvalue"))

    def check(self, script: Script) -> Iterator[Finding]:
        for twice in script.all(ClippedTwice):
            by = f" of {twice.of}" if twice.of else ""
            yield self.finding(
                twice.second,
                f"`{twice.second.words}`{by} (line {twice.second.line}) clips the gradients that `{twice.first.words}` "
                f"(line {twice.first.line}) has clipped already",
                evidence=[note(twice.first, "the gradients are clipped here first")],
            )
        for clips in occurrences(script.all(TrainingStep), Action.CLIP_GRADIENTS):
            earlier = [event for clip in clips for event in self.earlier(clip)]
            if earlier and all(self.earlier(clip) for clip in clips):
                yield self.tell(clips[0].event, earlier[0])

    def earlier(self, clip: Occurrence) -> list[Event]:
        """The clips of surely the same gradients that come straight before it on all paths."""
        before = clip.comes_after_all(*_CHANGES)
        others = [event for event in before if event.code != clip.event.code]
        clipped = all(e.action is Action.CLIP_GRADIENTS and _is_same(clip, e) for e in others)
        return others if clipped and not clip.event.bounds_nothing else []

    def tell(self, clip: Event, first: Event) -> Finding:
        return self.finding(
            clip.code,
            f"{clip.told} clips the gradients that {first.told} has clipped already",
            evidence=[note(first.code, "the gradients are clipped here first")],
        )


_RETURNING = frozenset(name.rpartition(".")[2] for name, api in GRADIENT_CLIPS.items() if not api.in_place)
_CHANGES = (Action.CLIP_GRADIENTS, Action.BACKWARD, Action.STEP, Action.ZERO_GRAD, Action.UNKNOWN)


def _is_same(clip: Occurrence, other: Event) -> bool:
    return bool(clip.event.models) and clip.event.models == other.models and not other.bounds_nothing
