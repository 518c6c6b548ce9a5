"""Gradients are clipped once while setting up, as if that configured the optimizer.

## What it does
Finds calls of `clip_grad_norm_` and `clip_grad_value_` before the training loop, where no backward pass has run yet.

## Why it is wrong
The functions clip the gradients that are there when they are called, once. Before the first backward pass there are
none. Nothing is configured, and every update of the loop is made with unclipped gradients.

## Example
```python
optimizer = torch.optim.Adam(model.parameters())
torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
for batch in loader:
    optimizer.zero_grad()
    loss_of(model, batch).backward()
    optimizer.step()
```

## Use instead
```python
optimizer = torch.optim.Adam(model.parameters())
for batch in loader:
    optimizer.zero_grad()
    loss_of(model, batch).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
```

## Fix
Moves the call into the loop, before the step, together with the `if` that guards it and the comment above it. Where the
step is a scaler's, `scaler.unscale_(optimizer)` goes before it. Unsafe: the updates change, to those that the code asks
for. No fix where the loop stands in another function, where there are several steps, or where a name that the call uses
is assigned in between.

## Not flagged
A clip after a backward pass outside any loop; calls into other files, before the clip, that may run the backward pass;
hooks, which are set up once and run at each backward pass.

## Sources
https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.steps import Action, Event, Occurrence, TrainingStep, occurrences
from clipcheck.outline import Outline
from clipcheck.outline.order import gradient_clips, is_in_loop, may_be_misplaced
from clipcheck.rule import Rule, note

from ._moving import move_to_step


class ClipOutsideLoop(Rule):
    code = "CLP215"
    name = "clip-outside-loop"
    screen = (rb"clip_grad|clamp|clip_", rb"backward")
    why = (
        "The call clips the gradients that are there when it runs, once; it configures nothing. Before the first "
        "backward pass there are none, and every update of the loop uses unclipped gradients."
    )
    advice = "Clip in the loop, between the backward pass and the step."

    def candidate(self, outline: Outline) -> bool:
        sites = (site for site in gradient_clips(outline) if not is_in_loop(site))
        return any(may_be_misplaced(site, outline, "backward") for site in sites)

    def check(self, script: Script) -> Iterator[Finding]:
        for clips in occurrences(script.all(TrainingStep), Action.CLIP_GRADIENTS):
            passes = [event for clip in clips for event in self.later_passes(clip)]
            before = any(clip.previous(Action.BACKWARD, Action.STEP, Action.UNKNOWN) for clip in clips)
            clip = clips[0].event
            if passes and not before and not clip.loops and not clip.bounds_nothing:
                yield self.tell(clips, clip.nearest(passes))

    def later_passes(self, clip: Occurrence) -> list[Event]:
        """The backward passes in loops that come next, if there is nothing else on any path."""
        after = clip.next(Action.BACKWARD, Action.STEP, Action.UNKNOWN)
        in_loops = all(event.action is Action.BACKWARD and event.loops for event in after)
        return after if in_loops else []

    def tell(self, clips: list[Occurrence], made: Event) -> Finding:
        clip = clips[0].event
        updates = [(own, own.until(Action.STEP)) for own in clips]
        steps = [step for _, found in updates for step in found]
        applied = f"{clip.nearest(steps).told} applies" if steps else "the updates apply"
        return self.finding(
            clip.code,
            f"{clip.told} runs once, before the loop of line {made.loops[0].line}: nothing clips the gradients that "
            f"{made.told} makes and {applied}",
            evidence=[note(made.code, "the gradients are made here, and nothing clips them")],
            fix=move_to_step(updates, into_loop=True),
        )
