"""Gradients are clipped before the backward pass of their step has made them.

## What it does
Finds clips that run after the gradients were zeroed (or at the top of the iteration) and before the backward pass.

## Why it is wrong
The clip sees no gradient, or zeros: `clip_grad_norm_` returns 0 without a word. The backward pass then makes the
gradients, and the step applies them unclipped.

## Example
```python
optimizer.zero_grad()
torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
loss.backward()
optimizer.step()
```

## Use instead
```python
optimizer.zero_grad()
loss.backward()
torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
optimizer.step()
```

## Fix
Moves the clip before the step of its optimizer, together with the `if` that guards it and the comment above it. Where
the step is a scaler's, `scaler.unscale_(optimizer)` goes before it. Where the step runs a closure, the clip goes behind
the backward pass in that closure. Unsafe: the updates change, to those that the code asks for. No fix where the
gradients are unscaled before the clip as well, where clip, backward pass and step do not meet in one function, or where
a name that the clip uses is assigned in between.

## Not flagged
A backward pass that may be hidden in a call into another file; gradients that are accumulated over several backward
passes and not zeroed before the clip; a threshold of infinity, which only measures, or of zero, which wipes
out.

## Sources
https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.steps import Action, Event, Occurrence, TrainingStep, occurrences
from clipcheck.outline import Outline
from clipcheck.outline.order import gradient_clips, may_be_misplaced
from clipcheck.rule import Rule, note

from ._moving import move_to_step


class ClipBeforeBackward(Rule):
    code = "CLP201"
    name = "clip-before-backward"
    screen = (rb"clip_|clamp_", rb"backward", rb"zero_grad|step")
    why = (
        "When the clip runs there is no gradient to clip: they were zeroed, and the backward pass that makes them "
        "comes later. The step then applies them unclipped."
    )
    advice = "Clip between the backward pass and the step."

    def candidate(self, outline: Outline) -> bool:
        return any(may_be_misplaced(site, outline, "zero", "backward") for site in gradient_clips(outline))

    def check(self, script: Script) -> Iterator[Finding]:
        for clips in occurrences(script.all(TrainingStep), Action.CLIP_GRADIENTS):
            told = [(clip, story) for clip in clips if (story := self.story(clip)) is not None]
            zeroed = [event for _, (zeroed, _) in told for event in zeroed]
            made = [event for _, (_, made) in told for event in made]
            if zeroed and made and len(told) == len(clips) and not clips[0].event.bounds_nothing:
                clip = clips[0].event
                yield self.tell(clips, clip.nearest(zeroed), clip.nearest(made))

    def story(self, clip: Occurrence) -> tuple[list[Event], list[Event]] | None:
        """What zeroed the gradients before the clip and what makes them after it, if nothing else is on any path."""
        before = clip.previous(Action.ZERO_GRAD, Action.BACKWARD, Action.UNKNOWN)
        after = clip.next(Action.BACKWARD, Action.STEP, Action.UNKNOWN)
        steps = clip.next(Action.STEP)
        zeroed = all(event.action is Action.ZERO_GRAD for event in before)
        made = all(event.action is Action.BACKWARD for event in after) and not any(step.trainer for step in steps)
        return (before, after) if zeroed and made and clip.is_between(before, steps) else None

    def tell(self, clips: list[Occurrence], zeroed: Event, made: Event) -> Finding:
        clip = clips[0].event
        steps = [step for occurrence in clips for step in occurrence.next(Action.STEP)]
        applied = f"{clip.nearest(steps).told} applies" if steps else "the step applies"
        return self.finding(
            clip.code,
            f"{zeroed.told} leaves no gradients for {clip.told} to clip; {made.told} makes those that {applied}, and "
            "nothing clips them",
            evidence=[
                note(zeroed.code, "the gradients are zeroed here"),
                note(made.code, "the gradients that the step applies are made here, after the clip"),
            ],
            fix=move_to_step((clip, clip.next(Action.STEP)) for clip in clips),
        )
