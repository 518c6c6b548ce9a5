"""Gradients are clipped while they are still multiplied by the loss scale.

## What it does
Finds clips between `scaler.scale(loss).backward()` and `scaler.step(optimizer)` with no `scaler.unscale_(optimizer)`
before them; with Apex, clips inside `with amp.scale_loss(...)`; with Keras's `LossScaleOptimizer`, clips of the
gradients of the scaled loss.

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
Inserts `scaler.unscale_(optimizer)` before the clip, for each optimizer that a following `scaler.step` names; where the
script unscales after the clip, moves the clip behind that. Where the clip is shared with a branch without mixed
precision, it goes under the same `if` as the step. Unsafe: the updates change, to those that the code asks for. No fix
where clip and step stand in different functions, where the clip also runs at micro-batches that no step follows
(unscaling twice before one step raises), for Apex, and for Keras: clip what `get_unscaled_gradients` returns; in Keras
3, where the update unscales, give the wrapped optimizer its `clipnorm=` or `global_clipnorm=`.

## Not flagged
The branch without mixed precision; gradients that were unscaled on any path; clips behind the block of Apex's
`amp.scale_loss`, which unscales when it is left; a threshold that is multiplied by the scale; a threshold of infinity,
which only measures; a backward pass or a step that may happen in another file.

## Sources
https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-clipping
https://nvidia.github.io/apex/advanced.html#gradient-clipping
https://keras.io/api/optimizers/loss_scale_optimizer/
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeAlias

from clipcheck.edit import Fix, InsertBefore, MoveAfter, unsafe
from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.steps import Action, Event, Occurrence, TrainingStep, occurrences, shown
from clipcheck.outline import Outline, Site, last_name, walk
from clipcheck.outline.order import CLIPS_OF_GRADIENTS, gradient_clips, is_unscaled, meets, returning_clips
from clipcheck.outline.shapes import VALUE_CLIPS
from clipcheck.rule import Rule, note

from ._moving import unscale

_SCALING = (Action.BACKWARD, Action.UNSCALE, Action.UNKNOWN)
_DIVIDING = (Action.STEP, Action.UNSCALE)
_ADVICE = {
    Action.CLIP_GRADIENTS: "Call `scaler.unscale_(optimizer)` after the backward pass and before the clip.",
    Action.CLIP_VALUES: "Clip what `get_unscaled_gradients` returns; in Keras 3 there is none: give the optimizer that "
    "does the scaling, or the one in it, `global_clipnorm=`.",
}
Story: TypeAlias = tuple[Event, Event]


class ClipScaledGradients(Rule):
    code = "CLP203"
    name = "clip-scaled-gradients"
    screen = (
        rb"clip|clamp",
        rb"scale_loss|get_scaled_loss|scaler|Scaler|SCALER",
        rb"backward|gradient",
        rb"\.\s*(?:scale|scale_loss|get_scaled_loss)\s*\(",
    )
    why = (
        "With mixed precision the gradients stay multiplied by the loss scale (65536 at the start) until `scaler.step` "
        "divides them. Compared with an unscaled threshold nearly every gradient is clipped, and the update becomes "
        "tiny, or with Adam points elsewhere."
    )
    advice = "Call `scaler.unscale_(optimizer)` after the backward pass and before the clip."

    def candidate(self, outline: Outline) -> bool:
        clips = gradient_clips(outline) if all(map(outline.has, _SCALED)) else ()
        return (
            any(_may_be_scaled(site, outline) for site in clips)
            or any(_clips_inside(site, outline) for site in outline.calls({"scale_loss"}))
            or _may_divide(outline)
        )

    def check(self, script: Script) -> Iterator[Finding]:
        for clips in occurrences(script.all(TrainingStep), Action.CLIP_GRADIENTS, Action.CLIP_VALUES):
            told = [(clip, story) for clip in clips if (story := self.story(clip)) is not None]
            if told and not _threshold_knows(clips[0].event) and not self.is_unscaled(clips, told[0][1][0].scaler):
                yield self.tell(clips, told)

    def is_unscaled(self, clips: list[Occurrence], scaler: str | None) -> bool:
        """Whether the scaler's gradients are unscaled before the clip in any world."""
        before = (event for clip in clips for event in clip.previous(*_SCALING))
        return any(event.action is Action.UNSCALE and event.scaler == scaler for event in before)

    def story(self, clip: Occurrence) -> Story | None:
        """The backward pass whose scaled gradients the clip sees, and what divides them by the scale only after it."""
        before = clip.previous(*_SCALING)
        after = clip.next(Action.STEP, Action.UNSCALE, Action.BACKWARD, Action.UNKNOWN)
        if not before or not all(event.action is Action.BACKWARD and event.scaler for event in before):
            return None
        if clip.event.action is Action.CLIP_VALUES and clip.event.scaler != before[0].scaler:
            return None
        divisions = [e for e in after if e.action in _DIVIDING and e.scaler == before[0].scaler]
        if not divisions or any(e.action is not Action.BACKWARD for e in after if e not in divisions):
            return None
        return before[0], divisions[0]

    def tell(self, clips: list[Occurrence], told: list[tuple[Occurrence, Story]]) -> Finding:
        clip, (backward, division) = told[0]
        is_block = division.code in clip.event.contexts
        divides = f"the end of the block of {division.told}" if is_block else division.told
        return self.finding(
            clip.event.code,
            f"{clip.event.told} clips the gradients that {backward.told} has scaled, and only {divides} divides them "
            "by the scale again",
            evidence=[
                note(
                    backward.code,
                    f"`{shown(backward.scaler or 'scaler')}` multiplies the loss, and with it all gradients",
                ),
                note(division.code, "the gradients are divided by the scale only here, after the clip"),
            ],
            advice=_ADVICE[clip.event.action] if not is_block else "Clip behind the block, which unscales at its end.",
            fix=_move(clips, division) or self.fix(clips, [clip for clip, _ in told]),
        )

    def fix(self, clips: list[Occurrence], told: list[Occurrence]) -> Fix | None:
        """Only where the steps surely follow, and for the first of several clips: unscaling twice raises."""
        clip = clips[0].event
        if any(clip.next(Action.UNSCALE) or clip.event.action is Action.CLIP_VALUES for clip in told):
            return None
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


def _move(clips: list[Occurrence], division: Event) -> Fix | None:
    """Behind the call that unscales, where that stands alone under no test of its own."""
    clip, place = clips[0].event.code, division.code
    is_alone = clip.is_bare_statement or clip.assigned_to is not None
    if division.action is not Action.UNSCALE or not place.is_bare_statement or not is_alone:
        return None
    if clip.function != place.function or clip.loops != place.loops or place.own_condition(clip) != "":
        return None
    return (
        unsafe("Clip after unscaling", MoveAfter(clip.unit.node, place.node)) if clip.unit.may_move_to(place) else None
    )


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


_SCALED = (rb"backward", rb"scaler|Scaler|SCALER", rb"\.\s*scale\s*\(")
_CLIPS = VALUE_CLIPS | CLIPS_OF_GRADIENTS


def _may_divide(outline: Outline) -> bool:
    """Whether a `LossScaleOptimizer` may divide gradients that are values, which something clips."""
    if not outline.has(rb"get_unscaled_gradients|LossScaleOptimizer") or not outline.has(rb"gradient"):
        return False
    return any(_may_be_scaled(site, outline) for site in returning_clips(outline))


def _may_be_scaled(site: Site, outline: Outline) -> bool:
    return not is_unscaled(site, outline) and meets(site, outline, "backward")


def _clips_inside(scaling: Site, outline: Outline) -> bool:
    """Whether something may clip within the block that unscales at its end."""
    blocks = (above for above in scaling.above if isinstance(above, ast.With))
    called = {last_name(node.func) for block in blocks for node in walk(block) if isinstance(node, ast.Call)}
    return bool(called & outline.aliases(_CLIPS)) or any(
        outline.has(rb"\bdef\s+%s\b" % name.encode()) for name in called if name
    )
