"""Weights are clipped before the update that they should be bounded after.

## What it does
Finds weight clips that run before the backward pass and the step of their iteration instead of after the step, and
those that run between a forward pass and its backward pass. In TensorFlow and Keras: clips that are assigned before the
gradients are computed and applied, or before `train_on_batch`. Off by default: the reference code of WGAN does the
first.

## Why it is wrong
The step moves the weights out of the bounds again, and they stay there until the next clip: the generator's update, an
evaluation, the checkpoint at the end all see a critic that is not bounded. Between forward and backward the clip is
worse: through `.data` nothing notices, and the gradients are computed with other weights than the forward pass used.

## Example
```python
for real in loader:
    for p in critic.parameters():
        p.data.clamp_(-0.01, 0.01)
    critic.zero_grad()
    critic_loss(critic, real).backward()
    critic_optimizer.step()
```

## Use instead
```python
for real in loader:
    critic.zero_grad()
    critic_loss(critic, real).backward()
    critic_optimizer.step()
    for p in critic.parameters():
        p.data.clamp_(-0.01, 0.01)
```

## Fix
Moves the clip behind the step of its model's optimizer, together with the loop and the `if` around it and the comment
above it. Unsafe: what is trained changes. No fix where clip and step do not meet in one function, where several steps
follow one another, and where the weights are taken out by `get_weights` and put back by `set_weights`.

## Not flagged
A clip after the step; a clip once before training starts; weights that another clip bounds after the step; a step that
may happen in another file.

## Sources
Arjovsky, Chintala, Bottou: Wasserstein GAN, 2017, algorithm 1, https://arxiv.org/abs/1701.07875
https://github.com/martinarjovsky/WassersteinGAN/issues/50
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.edit import Fix, MoveAfter, unsafe
from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.steps import Action, Event, Occurrence, TrainingStep, occurrences
from clipcheck.rule import Rule, note

_SET = (Action.STEP, Action.CLIP_WEIGHTS)


class WeightClipOutOfOrder(Rule):
    code = "CLP102"
    name = "weight-clip-out-of-order"
    screen = (rb"clip|clamp",)
    default = False
    why = (
        "The step moves the weights out of the bounds again, and there they stay until the next clip: all that uses "
        "the model in between sees weights that are not bounded."
    )
    advice = "Clip the weights right after the step."

    def check(self, script: Script) -> Iterator[Finding]:
        for clips in occurrences(script.all(TrainingStep), Action.CLIP_WEIGHTS):
            updates = [updates for clip in clips if (updates := self.later_updates(clip))]
            if len(updates) == len(clips):
                yield self.tell(clips, updates)

    def later_updates(self, clip: Occurrence) -> list[Event]:
        """The steps of the clip's model that come after the next backward pass, if nothing bounds their outcome."""
        ahead = clip.next(Action.BACKWARD, Action.STEP, Action.UNKNOWN)
        steps = clip.next(Action.STEP, Action.UNKNOWN)
        if not ahead or not steps or any(event.action is not Action.BACKWARD for event in ahead):
            return []
        if any(e.action is not Action.STEP or clip.step.concerns(clip.event, e) is not True for e in steps):
            return []
        is_repeated = all(set(event.loops) <= set(clip.event.loops) for event in ahead)
        follows = clip.comes_after_all(Action.STEP, Action.BACKWARD, Action.FORWARD)
        is_after_step = bool(follows) and all(event.action is Action.STEP for event in follows)
        outcomes = [
            e for step in steps for e in clip.at(step).next(Action.CLIP_WEIGHTS, Action.FORWARD, Action.BACKWARD)
        ]
        is_bounded_after = any(e.action is Action.CLIP_WEIGHTS and e.code != clip.event.code for e in outcomes)
        return steps if is_repeated and not is_after_step and not is_bounded_after else []

    def tell(self, clips: list[Occurrence], updates: list[list[Event]]) -> Finding:
        clip, update = clips[0], updates[0][0]
        seen, made = self.between(clip)
        story = f"runs before {update.told}, which moves the weights out of the bounds again"
        if seen is not None and made is not None:
            story = f"changes the weights between {seen.told} and {made.told}: the gradients are those of other weights"
        return self.finding(
            clip.event.code,
            f"{clip.event.told} {story}",
            evidence=[note(update.code, "the weights are updated here, after the clip")],
            fix=self.fix(clips, updates),
        )

    def between(self, clip: Occurrence) -> tuple[Event | None, Event | None]:
        """The forward pass whose backward pass is still to come."""
        before = clip.comes_after_all(Action.FORWARD, Action.BACKWARD, Action.STEP)
        after = clip.next(Action.FORWARD, Action.BACKWARD, Action.STEP, Action.UNKNOWN)
        forward = bool(before) and all(event.action is Action.FORWARD for event in before)
        backward = bool(after) and all(event.action is Action.BACKWARD and not event.renews for event in after)
        return (before[0], after[0]) if forward and backward else (None, None)

    def fix(self, clips: list[Occurrence], updates: list[list[Event]]) -> Fix | None:
        clip, update = clips[0].event, updates[0][0]
        steps = {update.code for found in updates for update in found}
        beside = clip.beside(update)
        if len(steps) != 1 or beside != (clip.code, update.code) or not clip.is_all:
            return None
        follow = [e for c, found in zip(clips, updates, strict=True) for step in found for e in c.at(step).next(*_SET)]
        if any(e.action is Action.STEP and clips[0].step.concerns(clip, e) and e.code not in steps for e in follow):
            return None
        unit, step = clip.code.unit, update.code
        if not (step.is_bare_statement or step.assigned_to) or not unit.may_move_to(step):
            return None
        return unsafe("Move the clip behind the step", MoveAfter(unit.node, step.node))
