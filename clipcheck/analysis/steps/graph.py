"""From a course to one graph of events for each world."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from clipcheck.analysis.steps.course import (
    Attempt,
    Choice,
    Course,
    Emit,
    Inlined,
    Jump,
    Loop,
    Sequence,
    keys,
    outcome,
    walk,
)
from clipcheck.model.steps import Event, StepGraph

_MOST_FLAGS = 6
"""Tests that are told apart: 2 to this power worlds at most. The outcome of all others is left open."""


def graphs(course: Sequence, start: Event, end: Event, *, repeats: bool) -> Iterator[StepGraph]:
    """The graph of each world. `repeats`: the body as a whole is one iteration, so that its end leads to its start."""
    for world in worlds(course):
        yield _Builder(world).build(course, start, end, repeats)


def worlds(course: Sequence) -> Iterator[dict[str, bool]]:
    counts: Counter[str] = Counter()
    for choice in walk(course):
        if isinstance(choice, Choice):
            events = sum(isinstance(item, Emit) for branch in (choice.then, choice.otherwise) for item in walk(branch))
            for key in set(keys(choice.test)):
                counts[key] += 1 + min(events, 3) * 2  # a test that decides on events before one that decides on jumps
    flags = [key for key, _ in counts.most_common(_MOST_FLAGS)]
    for outcomes in itertools.product((True, False), repeat=len(flags)):
        yield dict(zip(flags, outcomes, strict=True))


class _Targets(Struct):
    """Where the jumps of a loop or function come from."""

    continues: set[int] = field(default_factory=set)
    breaks: set[int] = field(default_factory=set)
    returns: set[int] = field(default_factory=set)


class _Builder:
    def __init__(self, world: Mapping[str, bool]) -> None:
        self.world = world
        self.events: list[Event | None] = []
        self.followers: dict[int, set[int]] = {}
        self.loops: list[_Targets] = []
        self.functions: list[_Targets] = []

    def build(self, course: Sequence, start: Event, end: Event, repeats: bool) -> StepGraph:
        function = _Targets()
        self.functions.append(function)
        begin = self.place(start, set())
        leaving = self.run(course, {begin}) | function.returns
        if repeats:
            meeting = self.place(None, leaving)
            self.followers.setdefault(meeting, set()).update(self.followers.get(begin, ()))
        else:
            self.place(end, leaving)
        return StepGraph(self.events, self.followers, self.world)

    def place(self, event: Event | None, coming: set[int]) -> int:
        """A new place in the graph, to which these lead."""
        place = len(self.events)
        self.events.append(event)
        for before in coming:
            self.followers.setdefault(before, set()).add(place)
        return place

    def run(self, course: Course, coming: set[int]) -> set[int]:
        """Go through a course; the places from which it goes on."""
        if isinstance(course, Emit):
            return {self.place(course.event, coming)} if coming else coming
        if isinstance(course, Sequence):
            for item in course.items:
                coming = self.run(item, coming)
            return coming
        if isinstance(course, Choice):
            return self.choose(course, coming)
        if isinstance(course, Loop):
            return self.repeat(course, coming)
        if isinstance(course, Attempt):
            return self.attempt(course, coming)
        if isinstance(course, Inlined):
            return self.inline(course, coming)
        return self.jump(course, coming)

    def choose(self, choice: Choice, coming: set[int]) -> set[int]:
        known = outcome(choice.test, self.world)
        leaving: set[int] = set()
        if known is not False:
            leaving |= self.run(choice.then, coming)
        if known is not True:
            leaving |= self.run(choice.otherwise, coming)
        return leaving

    def repeat(self, loop: Loop, coming: set[int]) -> set[int]:
        head = self.place(None, coming)
        targets = _Targets()
        self.loops.append(targets)
        around = self.run(loop.body, {head}) | targets.continues
        self.loops.pop()
        for place in around:
            self.followers.setdefault(place, set()).add(head)
        after = set() if loop.endless else self.run(loop.otherwise, around if loop.is_sure else {head})
        return after | targets.breaks

    def attempt(self, attempt: Attempt, coming: set[int]) -> set[int]:
        first = len(self.events)
        leaving = self.run(attempt.body, coming)
        inside = set(range(first, len(self.events)))
        done = self.run(attempt.otherwise, leaving)
        for handler in attempt.handlers:
            done |= self.run(handler, coming | inside)
        return self.run(attempt.final, done)

    def inline(self, inlined: Inlined, coming: set[int]) -> set[int]:
        targets, loops = _Targets(), self.loops
        self.functions.append(targets)
        self.loops = []
        leaving = self.run(inlined.body, coming)
        self.loops = loops
        self.functions.pop()
        return leaving | targets.returns

    def jump(self, jump: Jump, coming: set[int]) -> set[int]:
        if jump.kind == "return":
            self.functions[-1].returns |= coming
        elif self.loops and jump.kind == "continue":
            self.loops[-1].continues |= coming
        elif self.loops and jump.kind == "break":
            self.loops[-1].breaks |= coming
        return set()
