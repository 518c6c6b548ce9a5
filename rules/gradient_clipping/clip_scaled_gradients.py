"""Gradients are clipped while they are still multiplied by the loss scale.

## What it does
Finds clips between `scaler.scale(loss).backward()` and `scaler.step(optimizer)` with no `scaler.unscale_(optimizer)`
before them.

## Why it is wrong
With automatic mixed precision the loss is multiplied by a scale, 65536 at the start, and so are all gradients until
`scaler.step` divides them again. A clip in between compares scaled gradients with an unscaled threshold: with SGD the
update becomes up to 65536 times too small. Adam hides it, because it divides the scale out again, but the direction
of values clipped and the moments are wrong.

## Example
```python
scaler.scale(loss).backward()
torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
scaler.step(optimizer)
scaler.update()
```

## Use instead
```python
scaler.scale(loss).backward()
scaler.unscale_(optimizer)
torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
scaler.step(optimizer)
scaler.update()
```

## Fix
Inserts `scaler.unscale_(optimizer)` before the clip, for each optimizer that a following `scaler.step` names. Where the
clip is shared with a branch without mixed precision, it goes under the same `if` as the step. Unsafe: the updates
change, to those that the code asks for. No fix where clip and step stand in different functions, or where the clip also
runs at micro-batches that no step follows: unscaling twice before one step raises.

## Not flagged
The branch without mixed precision; gradients that were unscaled on any path; Apex's `amp.scale_loss`, which unscales
when its block is left; a threshold that is multiplied by the scale; a threshold of infinity, which only measures; a
backward pass or a step that may happen in another file.

## Sources
https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-clipping
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from clipcheck.edit import Fix, InsertBefore, unsafe
from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.steps import Action, Event, Occurrence, TrainingStep, occurrences, shown
from clipcheck.rule import Rule, note

from ._moving import unscale

_SCALING = (Action.BACKWARD, Action.UNSCALE, Action.UNKNOWN)
Story: TypeAlias = tuple[Event, Event]


class ClipScaledGradients(Rule):
    code = "CLP203"
    name = "clip-scaled-gradients"
    screen = re.compile(rb"clip_grad|clamp")
    why = (
        "With mixed precision the gradients stay multiplied by the loss scale (65536 at the start) until `scaler.step` "
        "divides them. Compared with an unscaled threshold nearly every gradient is clipped, and the update becomes "
        "tiny, or with Adam points elsewhere."
    )
    advice = "Call `scaler.unscale_(optimizer)` after the backward pass and before the clip."

    def check(self, script: Script) -> Iterator[Finding]:
        for clips in occurrences(script.all(TrainingStep), Action.CLIP_GRADIENTS):
            told = [(clip, story) for clip in clips if (story := self.story(clip)) is not None]
            if told and not _threshold_knows(clips[0].event) and not self.is_unscaled(clips, told[0][1][0].scaler):
                yield self.tell(clips, told)

    def is_unscaled(self, clips: list[Occurrence], scaler: str | None) -> bool:
        """Whether the scaler's gradients are unscaled before the clip in any world."""
        before = (event for clip in clips for event in clip.previous(*_SCALING))
        return any(event.action is Action.UNSCALE and event.scaler == scaler for event in before)

    def story(self, clip: Occurrence) -> Story | None:
        """The backward pass whose scaled gradients the clip sees, and the step of the same scaler that comes after."""
        before = clip.previous(*_SCALING)
        after = clip.next(Action.STEP, Action.UNSCALE, Action.BACKWARD, Action.UNKNOWN)
        if not before or not all(event.action is Action.BACKWARD and event.scaler for event in before):
            return None
        steps = [e for e in after if e.action is Action.STEP and e.scaler == before[0].scaler]
        if not steps or any(e.action is not Action.BACKWARD for e in after if e not in steps):
            return None
        return before[0], steps[0]

    def tell(self, clips: list[Occurrence], told: list[tuple[Occurrence, Story]]) -> Finding:
        clip, (backward, step) = told[0]
        return self.finding(
            clip.event.code,
            f"{clip.event.told} clips the gradients that {backward.told} has scaled, and only {step.told} divides them "
            "by the scale again",
            evidence=[
                note(
                    backward.code,
                    f"`{shown(backward.scaler or 'scaler')}` multiplies the loss, and with it all gradients",
                ),
                note(step.code, "the gradients are divided by the scale only here, after the clip"),
            ],
            fix=self.fix(clips, [clip for clip, _ in told]),
        )

    def fix(self, clips: list[Occurrence], told: list[Occurrence]) -> Fix | None:
        """Only where the steps surely follow, and for the first of several clips: unscaling twice raises."""
        clip = clips[0].event
        steps = [step for occurrence in told for step in _steps(occurrence)]
        follows = all(e.action is Action.STEP for c in told for e in c.next(Action.STEP, Action.BACKWARD))
        is_first = not any(step in steps for c in told for earlier in _clips_before(c) for step in _steps(earlier))
        others = [event for c in clips if c not in told for event in c.previous(Action.BACKWARD)]
        if not (follows and is_first) or any(step.code.function != clip.code.function for step in steps):
            return None
        loops = [loop for loop in clip.code.loops if loop not in steps[0].code.loops]
        place = loops[-1] if loops else clip.code
        lines = unscale(steps, place)
        if lines is None or any(event.scaler for event in others) or (others and not lines.startswith("if ")):
            return None
        first = lines.splitlines()[-1].strip()
        return unsafe(f"Insert `{first}` before the clip", InsertBefore(place.node, lines))


def _steps(clip: Occurrence) -> list[Event]:
    """The steps that use what is clipped."""
    return clip.until(Action.STEP, Action.BACKWARD)


def _clips_before(clip: Occurrence) -> list[Occurrence]:
    """The other clips, also those of other models, since the backward pass."""
    found = [clip.event]
    for event in found:
        before = clip.graph.previous(event, Action.CLIP_GRADIENTS, *_SCALING)
        found += [e for e in before if e.action is Action.CLIP_GRADIENTS and e not in found]
    return [clip.at(event) for event in found if event.code != clip.event.code]


def _threshold_knows(clip: Event) -> bool:
    """Whether the threshold is infinite, or is itself multiplied by the scale."""
    return clip.bounds_nothing or (clip.bound is not None and "scale" in clip.bound.text)
