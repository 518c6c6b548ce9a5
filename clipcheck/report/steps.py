"""Training steps as the tool sees them: what happens, in which order, and what is not known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from clipcheck.model.code import Code
from clipcheck.model.steps import Action, Event, StepGraph, TrainingStep
from clipcheck.report.colour import PLAIN, Paint

Place = Callable[[int], str]
"""How a line of the code is called: "84", or "3:12" for a line in a notebook's cell."""

_UNKNOWN = "this file does not show whether it clips, steps or runs the backward pass: rules stay silent across it"
_OF_SOMETHING = frozenset({Action.CLIP_GRADIENTS, Action.CLIP_WEIGHTS, Action.STEP})
_SCALING = {Action.BACKWARD: "the loss is scaled by", Action.CLIP_VALUES: "scaled by"}
_STYLES = {
    Action.CLIP_GRADIENTS: "headline",
    Action.CLIP_VALUES: "headline",
    Action.CLIP_WEIGHTS: "headline",
    Action.UNKNOWN: "unsafe",
}
_ACTIONS = tuple(Action)


def explained(
    path: str, steps: Sequence[TrainingStep], place: Place = str, line: int | None = None, paint: Paint = PLAIN
) -> Iterator[str]:
    """The steps of a file, or only those to which a line belongs, which is then marked."""
    shown = steps if line is None else _steps_of(steps, line)
    if not shown:
        where = path if line is None else f"{path}:{place(line)}"
        yield f"{where}: no training step is seen here: no backward pass, no optimizer's step, no clip\n"
    for step in shown:
        yield from _Step(path, step, place, line, paint).lines()


def _steps_of(steps: Sequence[TrainingStep], line: int) -> list[TrainingStep]:
    """The steps in which something happens on a line, or else around it."""
    for lines in (_event_lines, _function_lines):
        found = [step for step in steps if line in lines(step)]
        if found:
            return found
    return []


def _event_lines(step: TrainingStep) -> set[int]:
    return {code.line for graph in step.graphs for event in _events(graph) for code in event.chain}


def _function_lines(step: TrainingStep) -> set[int]:
    """All lines of the functions in which something happens; a step at the top of the file has only its events."""
    codes = (code for graph in step.graphs for event in _events(graph) for code in event.chain)
    functions = {function for code in codes if (function := code.function) is not None}
    return {line for function in functions for line in range(function.line, function.last_line + 1)}


def _happens(event: Event) -> bool:
    return event.action not in (Action.START, Action.END)


class _Step(Struct, frozen=True):
    path: str
    step: TrainingStep
    place: Place
    line: int | None
    paint: Paint

    def lines(self) -> Iterator[str]:
        name, class_ = self.step.code.defines, self.step.code.class_
        owner = f"{class_.defines}." if class_ is not None else ""
        head = f"{owner}{name}()" if name else "the body of the module"
        at = f":{self.place(self.step.code.line)}" if name else ""
        yield self.paint(f"{self.path}{at}: {head}", "headline") + "\n"
        for worlds in self.same_worlds():
            yield from self.world(worlds)
        yield from self.owners()
        yield "\n"

    def same_worlds(self) -> list[list[StepGraph]]:
        """The worlds in which the same things happen in the same order, together."""
        found: dict[object, list[StepGraph]] = {}
        for graph in self.step.graphs:
            story = tuple((event.action, event.chain, self.follows(graph, event)) for event in _events(graph))
            if story:
                found.setdefault(story, []).append(graph)
        return list(found.values())

    def world(self, worlds: list[StepGraph]) -> Iterator[str]:
        known = _decided(worlds)
        if len(worlds) < len(self.step.graphs):
            yield f"  {self.paint('if ' + (_tests(known.items()) or 'other tests hold'), 'label')}\n"
        graph = worlds[0]
        events = _events(graph)
        around: tuple[Code, ...] = ()
        for number, event in enumerate(events):
            loops = tuple(reversed(event.loops))
            for depth, loop in enumerate(loops):
                if loops[: depth + 1] != around[: depth + 1]:
                    yield self.row(loop.line, depth, f"{_head(loop)} …")
            around = loops
            following = events[number + 1] if number + 1 < len(events) else None
            yield self.row(event.line, len(loops), self.action(event))
            remarks = [*self.about(event, known), *self.after(graph, event, following)]
            if remarks:
                yield f"{' ' * (31 + 2 * len(loops))}{self.paint('; '.join(remarks), 'faint')}\n"

    def row(self, line: int, depth: int, text: str) -> str:
        mark = ">" if line == self.line else " "
        return f"  {mark} {self.place(line):>5}  {'  ' * depth}{text}\n"

    def action(self, event: Event) -> str:
        return f"{self.paint(f'{event.action.value:<18}', _STYLES.get(event.action, 'label'))}  {event.words}"

    def about(self, event: Event, known: Mapping[str, bool]) -> Iterator[str]:
        """What is known of an event beside what the code says."""
        if event.action is Action.UNKNOWN:
            yield _UNKNOWN
        if event.scaler is not None:
            yield f"{_SCALING.get(event.action, 'by')} `{event.scaler}`"
        if event.trainer is not None:
            yield f"run by {event.trainer}"
        concerns = event.optimizer or event.model
        if concerns is not None:
            yield f"of `{concerns}`"
        elif event.action in _OF_SOMETHING:
            yield "of parameters that are not known here"
        if event.is_lost:
            yield "nothing uses what it returns"
        if event.bounds_nothing:
            yield "bounds nothing"
        open_tests = [(key, holds) for key, holds in dict.fromkeys(event.guards) if key not in known]
        if open_tests:
            yield f"if {_tests(open_tests)}"
        if event.contexts:
            yield f"with {', '.join(call.words for call in event.contexts)}"
        if event.via:
            calls = (f"`{call.callee.words}()` (line {self.place(call.line)})" for call in event.via)
            yield f"through {', '.join(calls)}"

    def after(self, graph: StepGraph, event: Event, following: Event | None) -> Iterator[str]:
        """Where it goes on, unless it goes on with the next row."""
        after = self.follows(graph, event)
        usual = (self.place(following.line),) if following is not None else ("the end",)
        if after != usual:
            yield "then " + (" or ".join(after) or "nothing")

    def follows(self, graph: StepGraph, event: Event) -> tuple[str, ...]:
        following = graph.next(event, *_ACTIONS)
        lines = sorted({each.line for each in following if _happens(each)})
        end = () if all(_happens(each) for each in following) else ("the end",)
        return (*(self.place(line) for line in lines), *end)

    def owners(self) -> Iterator[str]:
        for optimizer in sorted(self.step.optimizers):
            models = sorted(self.step.owners.get(optimizer, ()))
            owned = ", ".join(f"`{model}`" for model in models)
            known = f"updates the parameters of {owned}" if models else "updates parameters that are not known here"
            yield f"  `{optimizer}` {known}\n"


def _events(graph: StepGraph) -> list[Event]:
    return [event for event in graph.events if _happens(event)]


def _decided(worlds: Sequence[StepGraph]) -> dict[str, bool]:
    """The tests that come out the same in all these worlds."""
    first, *others = (graph.world for graph in worlds)
    return {key: holds for key, holds in first.items() if all(world.get(key) is holds for world in others)}


def _tests(outcomes: Iterable[tuple[str, bool]]) -> str:
    return " and ".join(key if holds else f"not {key}" for key, holds in outcomes)


def _head(loop: Code) -> str:
    """The line that a loop begins with."""
    found = re.search(r"^\s*((?:async )?(?:for|while)\b.*?):?\s*$", loop.text, re.MULTILINE)
    return found[1] if found else loop.words
