"""With gradient accumulation, the clip runs at every micro-batch while the step runs at every Nth.

## What it does
Finds clips that run after each backward pass of an accumulation, where the optimizer's step waits for several of them.

## Why it is wrong
The gradients of the micro-batches are summed up in `.grad`. Clipping after each of them clips the sum of all so far
again and again: early micro-batches are scaled down over and over, and the update is not the clipped gradient of the
large batch that accumulation is there to imitate.

## Example
```python
with accelerator.accumulate(model):
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
```

## Use instead
```python
with accelerator.accumulate(model):
    accelerator.backward(loss)
    if accelerator.sync_gradients:
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
```

## Fix
Under `accelerator.accumulate`: puts the clip under `if accelerator.sync_gradients:`. Else moves it before the step,
under the step's condition, together with the `if` that guards it and the comment above it. Unsafe: the updates change,
to those of the large batch. No fix where the gradients are unscaled for the clip, or where clip and step do not meet in
one function.

## Not flagged
A clip that stands under the condition of the step, whatever its name; gradients that are zeroed between two backward
passes; a threshold of infinity, which only measures, or of zero, which wipes
out.

## Sources
https://huggingface.co/docs/accelerate/usage_guides/gradient_accumulation
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from clipcheck.edit import PutUnder, unsafe
from clipcheck.finding import Finding
from clipcheck.model.code import Call
from clipcheck.model.script import Script
from clipcheck.model.steps import Action, Event, Occurrence, TrainingStep, occurrences
from clipcheck.outline import Outline, Site
from clipcheck.outline.order import gradient_clips, meets, precedes_step
from clipcheck.rule import Rule, note

from ._moving import move_to_step

_ACCUMULATION = re.compile(r"%|accum|sync", re.IGNORECASE)


class ClipEveryMicrobatch(Rule):
    code = "CLP211"
    name = "clip-every-microbatch"
    screen = (rb"clip_grad|clamp|clip_", rb"backward")
    why = (
        "The gradients of the micro-batches add up until the step. Clipped after each of them, the sum so far is "
        "scaled down again and again, and the update is not the clipped gradient of the whole batch."
    )
    advice = "Clip once for each step: under the condition that the step runs under."

    def candidate(self, outline: Outline) -> bool:
        sites = gradient_clips(outline)
        if outline.has(rb"\.\s*accumulate\s*\(") and not all(map(_is_guarded, sites)):
            return True
        return any(not precedes_step(site, outline) and meets(site, outline, "backward", "step") for site in sites)

    def check(self, script: Script) -> Iterator[Finding]:
        for clips in occurrences(script.all(TrainingStep), Action.CLIP_GRADIENTS):
            clip = clips[0].event
            if clip.bounds_nothing:
                continue
            manager = accumulating(clip)
            if manager is not None:
                if not any(_ACCUMULATION.search(key) for c in clips for key, _ in c.event.guards):
                    yield self.tell_managed(clip, manager)
            elif (update := self.waiting_step(clips)) is not None:
                yield self.tell(clips, update)

    def waiting_step(self, clips: list[Occurrence]) -> Event | None:
        """The step for which the clipped gradients wait over further backward passes, if nothing else befalls them."""
        after = [e for c in clips for e in c.next(Action.STEP, Action.BACKWARD, Action.ZERO_GRAD, Action.UNKNOWN)]
        before = [e for c in clips for e in c.previous(Action.BACKWARD, Action.ZERO_GRAD, Action.STEP, Action.UNKNOWN)]
        if not before or any(event.action is not Action.BACKWARD for event in before):
            return None
        if {event.action for event in after} != {Action.STEP, Action.BACKWARD}:
            return None
        guards = {guard for clip in clips for guard in clip.event.guards}
        for event in after:
            waits_for = [key for key, _ in set(event.guards) - guards if _ACCUMULATION.search(key)]
            if event.action is Action.STEP and (waits_for or len(event.loops) < len(clips[0].event.loops)):
                return event
        return None

    def tell(self, clips: list[Occurrence], update: Event) -> Finding:
        clip = clips[0]
        made = clip.previous(Action.BACKWARD)
        return self.finding(
            clip.event.code,
            f"{clip.event.told} runs after each {clip.event.nearest(made).told if made else 'backward pass'}, and "
            f"{update.told} only after several of them: it clips the sum of all gradients so far again and again",
            evidence=[note(update.code, "the step waits for several backward passes")],
            fix=move_to_step((clip, clip.next(Action.STEP)) for clip in clips if clip.next(Action.STEP)),
        )

    def tell_managed(self, clip: Event, manager: Call) -> Finding:
        guard = f"if {manager.receiver.text}.sync_gradients:" if manager.receiver else None
        is_simple = clip.code.is_bare_statement and clip.code.function == manager.function
        return self.finding(
            clip.code,
            f"{clip.told} runs at every micro-batch of `{manager.words}` (line {manager.line}), while the optimizer "
            "steps once in several: it clips the sum of all gradients so far again and again",
            evidence=[note(manager, "accumulates gradients over several backward passes")],
            advice="Clip where the accelerator has all gradients together: under `if accelerator.sync_gradients:`.",
            fix=unsafe(f"Clip under `{guard}`", PutUnder(clip.code.node, guard)) if guard and is_simple else None,
        )


def accumulating(clip: Event) -> Call | None:
    """The `accelerator.accumulate(…)` that the clip stands in."""
    return next((call for call in clip.contexts if call.method == "accumulate"), None)


def _is_guarded(site: Site) -> bool:
    """Whether it stands under a condition that tells of accumulation."""
    tests = (above.test for above in site.above if isinstance(above, ast.If))
    return any(_ACCUMULATION.search(ast.unparse(test)) for test in tests)
