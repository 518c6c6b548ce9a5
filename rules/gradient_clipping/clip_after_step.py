"""Gradients are clipped after the optimizer has used them.

## What it does
Finds clips that run after `optimizer.step()` and before the gradients are renewed; in TensorFlow and Keras, clips after
`apply_gradients` or `apply` whose result nothing uses; in Lightning, clips around the `optimizer.step(closure=...)` of
an overridden `optimizer_step`, whose closure zeroes the gradients and runs the backward pass.

## Why it is wrong
`optimizer.step()` has already updated the weights with the unclipped gradients. What the clip changes is zeroed before
the next backward pass: it has no effect at all, and nothing says so.

## Example
```python
loss.backward()
optimizer.step()
torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
optimizer.zero_grad()
```

## Use instead
```python
loss.backward()
torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
optimizer.step()
optimizer.zero_grad()
```

## Fix
Moves the clip before the step of its optimizer, together with the `if` that guards it and the comment above it. Where
the step is a scaler's, `scaler.unscale_(optimizer)` goes before it, if it is not there yet. Where the step runs a
closure, the clip goes behind the backward pass in that closure. Unsafe: the updates change, to those that the code asks
for. No fix where clip, backward pass and step do not meet in one function, where a name that the clip uses is assigned
in between, or where what a TensorFlow clip returns has another name than what is applied.

## Not flagged
`clip(a); opt_a.step(); clip(b); opt_b.step()`: the step before the clip is another optimizer's; a step in the other
branch; weights that are clamped after the step, which is right; a backward pass or a step that may happen in another
file; gradients that are never zeroed in sight; clipped gradients or norms that are returned, kept or logged; the engine
of DeepSpeed, which clips by its configuration; a threshold of infinity, which only measures, or of zero, which wipes
out.

## Sources
https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.edit import Fix
from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.steps import Action, Event, Occurrence, TrainingStep, occurrences
from clipcheck.outline import Outline
from clipcheck.outline.order import gradient_clips, may_be_misplaced, meets, returning_clips
from clipcheck.outline.shapes import is_surely_used
from clipcheck.rule import Rule, note

from ._moving import move_to_step


class ClipAfterStep(Rule):
    code = "CLP202"
    name = "clip-after-step"
    screen = (rb"clip|clamp", rb"step|apply|minimize")
    why = (
        "`step()` has already updated the weights with the unclipped gradients, and what the clip changes is thrown "
        "away before the next update: the clip has no effect."
    )
    advice = "Clip between the backward pass and the step."

    def candidate(self, outline: Outline) -> bool:
        if any(may_be_misplaced(site, outline, "step", "zero") for site in gradient_clips(outline)):
            return True
        if not outline.has(rb"tensorflow|keras") or not outline.has(rb"\.\s*(?:apply|apply_gradients|minimize)\b"):
            return False
        return any(not is_surely_used(site) and meets(site, outline, "step") for site in returning_clips(outline))

    def check(self, script: Script) -> Iterator[Finding]:
        yield from self.in_place(script)
        yield from self.returned(script)

    def in_place(self, script: Script) -> Iterator[Finding]:
        """Clips of the gradients that the parameters hold."""
        for clips in occurrences(script.all(TrainingStep), Action.CLIP_GRADIENTS):
            told = [(clip, story) for clip in clips if (story := self.story(clip)) is not None]
            updates = [event for _, (updates, _) in told for event in updates]
            renewals = [event for _, (_, renewals) in told for event in renewals]
            if updates and renewals and len(told) == len(clips) and not clips[0].event.bounds_nothing:
                fix = move_to_step((clip, updates) for clip, (updates, _) in told)
                clip = clips[0].event
                yield self.tell(clip, clip.nearest(updates), clip.nearest(renewals), fix)

    def returned(self, script: Script) -> Iterator[Finding]:
        """Clips that return other gradients, which nothing uses, when the given ones have been applied."""
        for clips in occurrences(script.all(TrainingStep), Action.CLIP_VALUES):
            told = [(clip, updates) for clip in clips if (updates := self.updates(clip))]
            if clips[0].event.is_lost and len(told) == len(clips):
                yield self.tell_lost(clips[0].event, told[0][1][0], move_to_step(told))

    def updates(self, clip: Occurrence) -> list[Event]:
        """The updates with the same variables before the clip, if there is nothing else on any path."""
        before = clip.previous(Action.STEP, Action.BACKWARD, Action.UNKNOWN)
        updated = all(e.action is Action.STEP and clip.step.concerns(clip.event, e) for e in before)
        return before if updated else []

    def tell_lost(self, clip: Event, update: Event, fix: Fix | None) -> Finding:
        return self.finding(
            clip.code,
            f"{clip.told} runs after {update.told}, and nothing uses what it returns: it has no effect",
            why="The update was made with the unclipped gradients; the clip returns other ones, which are thrown away.",
            advice="Clip between the computation of the gradients and the update, and apply what the clip returns.",
            evidence=[note(update.code, "the update is made here, with the gradients as they are")],
            fix=fix,
        )

    def story(self, clip: Occurrence) -> tuple[list[Event], list[Event]] | None:
        """The updates before the clip and what zeroes its gradients after it, if there is nothing else on any path."""
        before = clip.previous(Action.STEP, Action.BACKWARD, Action.UNKNOWN, Action.ZERO_GRAD)
        after = clip.next(Action.ZERO_GRAD, Action.STEP, Action.UNKNOWN)
        updated = all(event.action is Action.STEP and event.trainer is None for event in before)
        renewed = all(event.action is Action.ZERO_GRAD for event in after)
        return (before, after) if updated and renewed and clip.is_between(before, after) else None

    def tell(self, clip: Event, update: Event, renewal: Event, fix: Fix | None) -> Finding:
        return self.finding(
            clip.code,
            f"{clip.told} runs after {update.told}, and {renewal.told} zeroes the gradients before they are used "
            "again: it has no effect",
            evidence=[
                note(update.code, "the update is made here, with the gradients as they are"),
                note(renewal.code, "the clipped gradients are thrown away here"),
            ],
            fix=fix,
        )
