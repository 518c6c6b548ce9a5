"""Moves a clip to where it belongs: between the backward pass and the step, on gradients that are no longer scaled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from clipcheck.edit import Fix, MoveAfter, MoveBefore, unsafe
from clipcheck.model.code import Call, Code
from clipcheck.model.steps import Action, Event, Occurrence

_MADE = (Action.BACKWARD, Action.ZERO_GRAD, Action.STEP, Action.UNKNOWN)


class Meeting(Struct, frozen=True):
    """A clip, a step that must see it, and the backward passes that make the gradients for it, in one world."""

    clip: Occurrence
    step: Occurrence
    backwards: Sequence[Event]


def move_to_step(clips: Iterable[tuple[Occurrence, Sequence[Event]]], *, into_loop: bool = False) -> Fix | None:
    """The fix that moves a clip before the steps which must see it; None where that place is not certain.

    clips: every time that the clip is met, with those steps. into_loop: the clip may go into the loop that trains.
    """
    meetings = []
    for clip, steps in clips:
        for step in map(clip.at, steps):
            if step.event.trainer is not None:
                return None
            made = step.comes_after_all(*_MADE)
            backwards = [event for event in made if event.action is Action.BACKWARD]
            is_apart = all(event.code != step.event.code for event in made)
            if _is_unscaled(clip) or not backwards or len(backwards) != len(made) or not is_apart:
                return None
            meetings.append(Meeting(clip, step, backwards))
    return (_before_step(meetings, into_loop) or _behind_backward(meetings)) if meetings else None


def unscale(steps: Iterable[Event], at: Code) -> str | None:
    """The lines that unscale the gradients of steps, to be put before `at`: under the test that only the step runs
    under, if there is one. None if that is not so simple, or if names mean something else there."""
    calls: dict[str, list[str]] = {}
    for code in dict.fromkeys(step.code for step in steps):
        test = code.own_condition(at)
        if not isinstance(code, Call) or code.receiver is None or not code.arguments or code.has_star:
            return None
        if test is None or not code.stays_same_at(at):
            return None
        line = f"{code.receiver.text}.unscale_({code.arguments[0].code.text})"
        calls.setdefault(test, []).append(line)
    return "\n".join(
        f"if {test}:\n" + "\n".join(f"    {line}" for line in lines) if test else "\n".join(lines)
        for test, lines in calls.items()
    )


def _before_step(meetings: Sequence[Meeting], into_loop: bool) -> Fix | None:
    """Before the one statement that holds all the steps, and no loop but those of the backward pass."""
    pairs = [pair for own in meetings if (pair := own.clip.event.beside(own.step.event)) is not None]
    target = _common([step for _, step in pairs], {loop for own in meetings for b in own.backwards for loop in b.loops})
    unit = _unit({clip for clip, _ in pairs}, meetings)
    returns = all(own.clip.event.action is Action.CLIP_VALUES for own in meetings)
    if len(pairs) != len(meetings) or target is None or unit is None or not unit.may_move_to(target, for_it=returns):
        return None
    if not into_loop and not set(target.loops) <= set(unit.loops):
        return None
    scaled = [own.step for own in meetings if _needs_unscaling(own)]
    lead = unscale([step.event for step in scaled], target)
    inside = {event for own in meetings for event in own.step.previous(Action.BACKWARD, Action.UNSCALE)}
    if lead is None or any(code.inside(target) for event in inside for code in event.chain):
        return None
    return unsafe("Move the clip before the step", MoveBefore(unit.node, target.node, lead))


def _behind_backward(meetings: Sequence[Meeting]) -> Fix | None:
    """Behind the one backward pass, where the step stands in another function or runs it as its closure."""
    backwards = {backward.code: backward for own in meetings for backward in own.backwards}
    unit = _unit({own.clip.event.code for own in meetings}, meetings)
    follows = [e for own in meetings for b in own.backwards for e in own.clip.at(b).next(*_MADE)]
    if len(backwards) != 1 or unit is None or any(event.action is not Action.STEP for event in follows):
        return None
    ((place, backward),) = backwards.items()
    if backward.scaler is not None or not place.is_bare_statement or not unit.may_move_to(place):
        return None
    if any(not set(backward.loops) <= set(own.clip.event.loops) for own in meetings):
        return None
    return unsafe("Move the clip behind the backward pass", MoveAfter(unit.node, place.node))


def _unit(calls: set[Code], meetings: Sequence[Meeting]) -> Code | None:
    """What has to move: the clip, or the one call of a helper that does nothing else."""
    if len(calls) != 1:
        return None
    (call,) = calls
    events = [event for own in meetings for event in own.clip.graph.events if call in event.chain]
    is_alone = all(event.action in (Action.CLIP_GRADIENTS, Action.CLIP_VALUES) for event in events)
    is_statement = (
        call.is_bare_statement
        or call.assigned_to is not None
        or all(event.is_lost and event.is_all for event in events)
    )
    return call.unit if is_alone and is_statement else None


def _common(steps: Sequence[Code], trained: set[Code]) -> Code | None:
    """The statement that holds all steps, with the loops around them in which no backward pass runs."""
    if not steps or len({step.function for step in steps}) != 1:
        return None
    loops = [loop for loop in steps[0].loops if loop not in trained]
    return loops[-1] if loops else steps[0].enclosing(*steps[1:])


def _needs_unscaling(meeting: Meeting) -> bool:
    before = meeting.step.previous(Action.UNSCALE, Action.BACKWARD)
    return any(event.action is Action.BACKWARD and event.scaler is not None for event in before)


def _is_unscaled(clip: Occurrence) -> bool:
    """Whether a call unscales the gradients for the clip: it would have to move too, unscaling twice raises."""
    before = clip.previous(Action.UNSCALE, Action.BACKWARD, Action.STEP)
    return any(isinstance(event.code, Call) and event.code.method == "unscale_" for event in before)
