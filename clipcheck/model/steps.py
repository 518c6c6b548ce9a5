"""The training step: what one iteration does to gradients and weights, in the order in which it runs."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from clipcheck.model.code import Call, Code
from clipcheck.model.value import Constant

_ZEROS = (Constant(0), Constant(0.0))


class Action(enum.Enum):
    """What an event does. The values are the words that `explain` prints."""

    ZERO_GRAD = "zero the gradients"
    FORWARD = "forward"
    """A call of a model whose weights are clipped."""
    BACKWARD = "backward"
    UNSCALE = "unscale"
    CLIP_GRADIENTS = "clip gradients"
    """In place: those that the parameters hold."""
    CLIP_VALUES = "return clipped"
    """Gradients that are values: the clip returns other ones, and leaves those that it is given."""
    CLIP_WEIGHTS = "clip weights"
    STEP = "optimizer step"
    UNKNOWN = "unknown"
    """A call that may do any of these where this file does not show it."""
    START = "start"
    """The step begins: what ran before it is not in this file."""
    END = "end"
    """The step ends: what runs after it is not in this file."""


class Event(Struct, frozen=True):
    """One thing that happens in a training step.

    code: the call (or statement) that does it. via: the calls into helpers that lead to it, the outermost first.
    optimizer, scaler, models: what it concerns, as keys that are the same for the same object ("self.optimizer"); None
    or empty where it is not known, or not a matter of this action. scaler on a backward pass: it scales the loss; on a
    clip of values: it has scaled what is clipped.
    guards: the tests of the `if`s around it, by key, with the outcome that leads here. loops: the innermost first.
    bound: the threshold of a clip. contexts: the calls in the `with` statements around it.
    renews: a backward pass whose gradients take the place of those that were there. is_lost: nothing reads the clipped
    gradients that the call returns. is_all: the code does all of it, so that moving the code moves the event; what a
    clip of values returns gets the name of what it clips. trainer: the name of the trainer that does it in the user's
    place.
    """

    action: Action
    code: Code
    via: tuple[Call, ...] = ()
    optimizer: str | None = None
    scaler: str | None = None
    models: frozenset[str] = frozenset()
    guards: tuple[tuple[str, bool], ...] = ()
    loops: tuple[Code, ...] = ()
    bound: Code | None = None
    contexts: tuple[Call, ...] = ()
    renews: bool = False
    is_lost: bool = False
    is_all: bool = True
    trainer: str | None = None

    @property
    def words(self) -> str:
        return self.code.words

    @property
    def line(self) -> int:
        return self.code.line

    @property
    def model(self) -> str | None:
        """The model, where there is just one."""
        return min(self.models) if len(self.models) == 1 else None

    @property
    def bounds_nothing(self) -> bool:
        """Whether this is a clip that is not meant to bound: an infinite threshold only measures the norm, and zero
        wipes the gradients out."""
        return self.bound is not None and (self.bound.number == math.inf or self.bound.value in _ZEROS)

    @property
    def told(self) -> str:
        """How a story of events names it: its words and its line."""
        return f"`{self.words}` (line {self.line})"

    @property
    def chain(self) -> tuple[Code, ...]:
        """The calls that lead to it, and it itself at the end."""
        return (*self.via, self.code)

    def nearest(self, events: Iterable[Event]) -> Event:
        """The one of these events to tell a reader of this one about: in its own loop and function, if there is one."""
        return min(events, key=lambda e: (e.via != self.via, -len({*e.loops} & {*self.loops}), e.line))

    def beside(self, other: Event) -> tuple[Code, Code] | None:
        """Where this event and another one are met in one function: the calls into helpers, or the events themselves.
        None if one of them happens in the middle of the other."""
        for ours, theirs in zip(self.chain, other.chain, strict=False):
            if ours != theirs:
                return ours, theirs
        return None


Passing: TypeAlias = Callable[[Event], bool]


class StepGraph:
    """The events of one function or module body in one world: an assignment of outcomes to the tests of its `if`s.

    events: the graph's places; None where paths only meet. followers: the places that may come next. The first place is
    the start.
    """

    def __init__(
        self, events: Sequence[Event | None], followers: Mapping[int, Iterable[int]], world: Mapping[str, bool]
    ) -> None:
        self.world = dict(world)
        self._events = tuple(events)
        self._places = {id(event): place for place, event in enumerate(events) if event is not None}
        self._after = {place: frozenset(following) for place, following in followers.items()}
        self._before: dict[int, set[int]] = {}
        for place, following in self._after.items():
            for follower in following:
                self._before.setdefault(follower, set()).add(place)
        self._reachable = self._reach()

    @property
    def events(self) -> list[Event]:
        """The events that this world reaches, in the order of the source."""
        return [e for place, e in enumerate(self._events) if e is not None and place in self._reachable]

    def all(self, *actions: Action) -> list[Event]:
        """The events of these kinds that this world reaches."""
        return [event for event in self.events if event.action in actions]

    def next(self, event: Event, *actions: Action, passing: Passing = lambda _: False) -> list[Event]:
        """The first events of these kinds on every path from `event` on, around loops too. START and END count.

        Those for which `passing` holds are passed over.
        """
        return self._first(event, self._after, actions, passing)

    def previous(self, event: Event, *actions: Action, passing: Passing = lambda _: False) -> list[Event]:
        """The last events of these kinds on every path to `event`, around loops too. START and END count."""
        return self._first(event, self._before, actions, passing)

    def _first(
        self, event: Event, edges: Mapping[int, Iterable[int]], actions: tuple[Action, ...], passing: Passing
    ) -> list[Event]:
        stops = {*actions, Action.START, Action.END}
        found: list[Event] = []
        seen: set[int] = set()
        todo = list(edges.get(self._places[id(event)], ()))
        while todo:
            place = todo.pop()
            if place in seen or place not in self._reachable:
                continue
            seen.add(place)
            here = self._events[place]
            if here is not None and here.action in stops and not passing(here):
                found.append(here)
            else:
                todo.extend(edges.get(place, ()))
        return found

    def _reach(self) -> set[int]:
        seen: set[int] = set()
        todo = [0]
        while todo:
            place = todo.pop()
            if place not in seen:
                seen.add(place)
                todo.extend(self._after.get(place, ()))
        return seen


class TrainingStep(Struct, frozen=True):
    """A body of code that trains: the module's, or a function's that nothing in this file calls.

    graphs: what runs in each world. owners: for each optimizer, the models whose parameters it updates, where known.
    """

    code: Code
    graphs: tuple[StepGraph, ...]
    owners: Mapping[str, frozenset[str]]

    @property
    def optimizers(self) -> set[str]:
        """The keys of all optimizers that are stepped."""
        return {e.optimizer for g in self.graphs for e in g.all(Action.STEP) if e.optimizer is not None}

    def concerns(self, event: Event, other: Event) -> bool | None:
        """Whether two events are about the same parameters; None where that is not known."""
        ours, theirs = self._models(event), self._models(other)
        if ours and theirs:
            return any(_same_model(a, b) for a in ours for b in theirs)
        if event.optimizer is not None and other.optimizer is not None:
            return event.optimizer == other.optimizer
        return True if len(self.optimizers) <= 1 else None

    def is_owned(self, event: Event) -> bool:
        """Whether all its models are known to be some optimizer's: one that is not may be another one's other name."""
        owned = [model for models in self.owners.values() for model in models]
        return all(any(_same_model(model, own) for own in owned) for model in self._models(event))

    def _models(self, event: Event) -> frozenset[str]:
        return event.models or self.owners.get(event.optimizer or "", frozenset())


def _same_model(one: str, other: str) -> bool:
    """Whether two keys name the same model, or one a part of the other (`model.module`, `model.encoder`)."""
    return one == other or one.startswith(other + ".") or other.startswith(one + ".")


def shown(key: str) -> str:
    """A key as a message names it: without the helper whose variable it is."""
    return key.rpartition("().")[2]


class Occurrence(Struct, frozen=True):
    """One time that an event is met: in which step, in which world."""

    step: TrainingStep
    graph: StepGraph
    event: Event

    def at(self, event: Event) -> Occurrence:
        """Another event of the same step in the same world."""
        return Occurrence(self.step, self.graph, event)

    def next(self, *actions: Action) -> list[Event]:
        """The first events of these kinds after it on every path of this file, but for those that surely concern
        other parameters."""
        return _inside(self.graph.next(self.event, *actions, passing=self._is_foreign))

    def previous(self, *actions: Action) -> list[Event]:
        """The last events of these kinds before it on every path of this file, but for those that surely concern
        other parameters."""
        return _inside(self.graph.previous(self.event, *actions, passing=self._is_foreign))

    def comes_after_all(self, *actions: Action) -> list[Event]:
        """What `previous` gives; nothing if a path begins without any of them."""
        before = self.graph.previous(self.event, *actions, passing=self._is_foreign)
        return before if all(event.action in actions for event in before) else []

    def until(self, action: Action, *ends: Action) -> list[Event]:
        """All events of one kind that come after it before one of the `ends`."""
        found: dict[int, Event] = {}
        todo = [self.event]
        while todo:
            for event in self.graph.next(todo.pop(), action, *ends, passing=self._is_foreign):
                if event.action is action and id(event) not in found:
                    found[id(event)] = event
                    todo.append(event)
        return list(found.values())

    def _is_foreign(self, event: Event) -> bool:
        step = self.step
        return step.concerns(self.event, event) is False and step.is_owned(self.event) and step.is_owned(event)

    def is_between(self, before: Iterable[Event], after: Iterable[Event]) -> bool:
        """Whether it surely concerns the same parameters as the events around it: by what is known of them, or because
        they are all one optimizer's."""
        around = [*before, *after]
        known = [self.step.concerns(self.event, event) for event in around]
        optimizers = {event.optimizer for event in around if event.action is not Action.BACKWARD}
        return all(known) or (False not in known and len(optimizers) == 1 and None not in optimizers)


def _inside(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if event.action not in (Action.START, Action.END)]


def occurrences(steps: Iterable[TrainingStep], *actions: Action) -> list[list[Occurrence]]:
    """All times that each piece of code does one of these: one list for each piece of code, in the order of the source.

    A rule that says something about the code must find it true of all of them.
    """
    found: dict[Code, list[Occurrence]] = {}
    for step in steps:
        for graph in step.graphs:
            for event in graph.all(*actions):
                found.setdefault(event.code, []).append(Occurrence(step, graph, event))
    return list(found.values())
