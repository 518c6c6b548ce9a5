"""Finds the training steps of a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import parameters
from clipcheck.analysis.steps import course as c
from clipcheck.analysis.steps.graph import graphs
from clipcheck.analysis.steps.keys import Env
from clipcheck.analysis.steps.owners import Making, makers_of, making, owners_of
from clipcheck.analysis.steps.recognize import APEX, Recognizer
from clipcheck.analysis.steps.seen import Seen
from clipcheck.analysis.tree import children
from clipcheck.frameworks.tensorflow import COMPILER, RUNNERS
from clipcheck.frameworks.trainers import DIVIDES_LATER
from clipcheck.model.code import Call, Code
from clipcheck.model.steps import Action, Event, TrainingStep

_DEEPEST = 5
"""How far helpers are inlined."""
_MOST = 200
"""How many calls are inlined into one body."""
_TRAINING = re.compile(
    r"backward|zero_grad|^step$|unscale_|clip_grad|clamp|^gradient$|gradients$|^minimize$|^train_on_batch$|^clip|^assign$"
)
"""What a helper that is not inlined must not call to be passed over."""


def read_steps(reading: FileReading, *, without_clips: bool = False) -> Iterator[TrainingStep]:
    """The training step of the module's body, and of every function that nothing in the file calls.

    Rules speak of clips; `without_clips`: also the steps in which there are none.
    """
    reader = _Reader(reading)
    bodies: list[cst.Module | cst.FunctionDef] = [reading.module, *reading.tree.all(cst.FunctionDef)]
    if not without_clips:
        clipping = _reaching(reading, reader.recognizer.clip_calls)
        bodies = [body for body in bodies if body in clipping]
    makers = makers_of(reading)
    courses = [(body, reader.course(body), reader.met) for body in bodies if body not in reader.inlined]
    for body, course, met in courses:
        if body in reader.inlined or not _trains(course, without_clips):
            continue
        code = reading.code(body)
        start, end = Event(Action.START, code), Event(Action.END, code)
        repeats = isinstance(body, cst.FunctionDef) and _is_one_iteration(course)
        found = tuple(graphs(course, start, end, repeats=repeats))
        made = owners_of(reading, reader.recognizer, body, makers, met)
        yield TrainingStep(code, found, {**_updated(course), **made})


def _reaching(reading: FileReading, calls: Iterable[cst.Call]) -> set[cst.CSTNode]:
    """The bodies that may make one of these calls, by themselves or through functions that they name."""
    tree = reading.tree
    uses: dict[str, list[cst.Name]] = {}
    found: set[cst.CSTNode] = set()
    todo: list[cst.CSTNode] = list(calls)
    for name in tree.all(cst.Name) if todo else ():
        uses.setdefault(name.value, []).append(name)
    while todo:
        for above in tree.ancestors(todo.pop()):
            if isinstance(above, (cst.FunctionDef, cst.Module)) and above not in found:
                found.add(above)
                todo += uses.get(above.name.value, ()) if isinstance(above, cst.FunctionDef) else ()
    return found


def _trains(course: c.Sequence, without_clips: bool) -> bool:
    """Whether anything here clips, or at least steps."""
    actions = {item.event.action for item in c.walk(course) if isinstance(item, c.Emit)}
    clips = actions & {Action.CLIP_GRADIENTS, Action.CLIP_VALUES, Action.CLIP_WEIGHTS}
    return bool(clips or (without_clips and actions & {Action.BACKWARD, Action.STEP}))


def _updated(course: c.Sequence) -> dict[str, frozenset[str]]:
    """For each optimizer, the models whose variables it is handed at its steps, where all of them are known."""
    events = (item.event for item in c.walk(course) if isinstance(item, c.Emit))
    found: dict[str, list[frozenset[str]]] = {}
    for event in events:
        if event.action is Action.STEP and event.optimizer is not None:
            found.setdefault(event.optimizer, []).append(event.models)
    return {optimizer: frozenset().union(*models) for optimizer, models in found.items() if all(models)}


def _is_one_iteration(course: c.Sequence) -> bool:
    """Whether a body is a whole step by itself, so that whoever calls it calls it again and again."""
    outside = [item.event for item in c.walk(course) if isinstance(item, c.Emit) and not item.event.loops]
    renewed = any(event.action is Action.ZERO_GRAD or event.renews for event in outside)
    return renewed and {Action.BACKWARD, Action.STEP} <= {event.action for event in outside}


def _called(call: cst.Call) -> str:
    """The last name of what is called."""
    name = call.func.attr if isinstance(call.func, cst.Attribute) else call.func
    return name.value if isinstance(name, cst.Name) else ""


class _Reader:
    def __init__(self, reading: FileReading) -> None:
        self.reading = reading
        self.recognizer = Recognizer(reading)
        self.inlined: set[cst.CSTNode] = set()
        """The functions that were met as helpers of others: they are read there, with what they are given."""
        self.left = _MOST
        """How many more helpers may be inlined into the body that is being read."""
        self.met: dict[cst.Call, Making] = {}
        """The optimizers that the body makes that is being read."""

    @cached_property
    def training(self) -> set[cst.CSTNode]:
        """The functions that may do something to gradients or weights."""
        calls = self.reading.tree.all(cst.Call)
        return _reaching(self.reading, (call for call in calls if _TRAINING.search(_called(call))))

    def course(self, body: cst.Module | cst.FunctionDef) -> c.Sequence:
        function = body if isinstance(body, cst.FunctionDef) else None
        self.left, self.met = _MOST, {}
        return _Course(self, Env(function=function), ()).block(body if function is None else function.body)


class _Course:
    """Reads one body; a helper is read by another one of these."""

    def __init__(
        self,
        reader: _Reader,
        env: Env,
        via: tuple[Call, ...],
        guards: tuple[tuple[str, bool], ...] = (),
        loops: tuple[Code, ...] = (),
        contexts: tuple[Call, ...] = (),
    ) -> None:
        self.reader = reader
        self.reading = reader.reading
        self.env = env
        self.via = via
        self.guards = guards
        self.loops = loops
        self.contexts = contexts

    def block(self, block: cst.CSTNode) -> c.Sequence:
        """The course of the statements of a body."""
        sequence = c.Sequence()
        statements = block.body if isinstance(block, (cst.Module, cst.IndentedBlock, cst.SimpleStatementSuite)) else ()
        for statement in statements:
            self.statement(statement, sequence)
        return sequence

    def statement(self, node: cst.CSTNode, into: c.Sequence) -> None:
        if isinstance(node, cst.SimpleStatementLine):
            for small in node.body:
                self.statement(small, into)
        elif isinstance(node, cst.If):
            self.branch(node, into)
        elif isinstance(node, (cst.For, cst.While)):
            self.loop(node, into)
        elif isinstance(node, cst.With):
            self.managed(node, into)
        elif isinstance(node, (cst.Try, cst.TryStar)):
            self.attempt(node, into)
        elif isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            return
        else:
            self.expressions(node, into)
            jump = _JUMPS.get(type(node))
            if jump is not None:
                into.items.append(c.Jump(jump))

    def branch(self, node: cst.If, into: c.Sequence) -> None:
        self.expressions(node.test, into)
        test = self.test(node.test)
        then = self._guarded(test, True).block(node.body)
        otherwise = c.Sequence()
        if isinstance(node.orelse, cst.Else):
            otherwise = self._guarded(test, False).block(node.orelse.body)
        elif node.orelse is not None:
            self._guarded(test, False).statement(node.orelse, otherwise)
        if c.matters(then) or c.matters(otherwise):
            into.items.append(c.Choice(test, then, otherwise))

    def loop(self, node: cst.For | cst.While, into: c.Sequence) -> None:
        self.expressions(node.iter if isinstance(node, cst.For) else node.test, into)
        inner = self._with(loops=(self.reading.code(node), *self.loops))
        body = inner.block(node.body)
        otherwise = self.block(node.orelse.body) if node.orelse is not None else c.Sequence()
        endless = isinstance(node, cst.While) and self.reading.text(node.test) in ("True", "1")
        if c.matters(body) or c.matters(otherwise):
            into.items.append(c.Loop(body, otherwise, endless, isinstance(node, cst.For)))

    def managed(self, node: cst.With, into: c.Sequence) -> None:
        """A `with` block; Apex's `scale_loss` unscales the gradients when it is left."""
        managers = [call for item in node.items if isinstance(call := self.reading.code(item.item), Call)]
        for item in node.items:
            self.expressions(item.item, into)
        into.items.append(self._with(contexts=(*self.contexts, *managers)).block(node.body))
        for call in managers:
            if call.method == "scale_loss":
                is_later = call.argument(None, DIVIDES_LATER) is not None
                into.items.append(self.emit(Seen(Action.UNKNOWN if is_later else Action.UNSCALE, call, scaler=APEX)))

    def attempt(self, node: cst.Try | cst.TryStar, into: c.Sequence) -> None:
        attempt = c.Attempt(
            self.block(node.body),
            tuple(self.block(handler.body) for handler in node.handlers),
            self.block(node.orelse.body) if node.orelse is not None else c.Sequence(),
            self.block(node.finalbody.body) if node.finalbody is not None else c.Sequence(),
        )
        if c.matters(attempt):
            into.items.append(attempt)

    def expressions(self, node: cst.CSTNode, into: c.Sequence) -> None:
        """The events of the calls in an expression, the inner calls first."""
        for call in reversed([found for found in self._evaluated(node) if isinstance(found, cst.Call)]):
            helper = self.helper(call)
            if helper is not None:
                into.items.append(helper)
                continue
            made = making(self.reader.recognizer, Call(call, self.reading), self.env)
            if made is not None:
                self.reader.met[call] = made
            for event in self.reader.recognizer.events(call, self.env):
                closure = self.closure(call) if event.action is Action.STEP else None
                if closure is not None:
                    into.items.append(closure)
                into.items.append(self.emit(event))

    def _evaluated(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """What runs when an expression is evaluated: not the bodies of lambdas."""
        yield node
        for child in children(node):
            if not isinstance(child, cst.Lambda):
                yield from self._evaluated(child)

    def emit(self, seen: Seen) -> c.Emit:
        return c.Emit(
            Event(
                seen.action,
                seen.code,
                self.via,
                seen.optimizer,
                seen.scaler,
                seen.models,
                self.guards,
                self.loops,
                seen.bound,
                self.contexts,
                seen.renews,
                seen.is_lost,
                seen.is_all,
                seen.trainer,
            )
        )

    def closure(self, call: cst.Call) -> c.Course | None:
        """What `optimizer.step(closure)` runs before it updates."""
        for argument in call.args:
            function = self._function(argument.value)
            if function is not None:
                return None if self._is_running(function) else self._inlined(function, call, {})
        return None

    def _is_running(self, function: cst.FunctionDef) -> bool:
        """Whether this stands in the function, or in what that calls."""
        env: Env | None = self.env
        while env is not None and env.function is not function:
            env = env.caller
        return env is not None

    def helper(self, call: cst.Call) -> c.Course | None:
        """The body of a function or method of this file that a call runs."""
        callee = self._callee(call)
        function = self._function(callee)
        if function is None or self._is_running(function):
            return None
        if len(self.via) >= _DEEPEST or not self.reader.left:
            unknown = Seen(Action.UNKNOWN, Call(call, self.reading))
            return self.emit(unknown) if function in self.reader.training else None
        self.reader.left -= 1
        arguments = call if callee is call.func else call.with_changes(func=callee, args=())
        return self._inlined(function, call, self._bound(function, arguments))

    def _callee(self, call: cst.Call) -> cst.BaseExpression:
        """What a call runs: the function itself, or the one that `strategy.run(train_step, …)` is handed."""
        is_handed = isinstance(call.func, cst.Attribute) and call.func.attr.value in RUNNERS and call.args
        if not is_handed or not self.reader.recognizer.tensorflow.is_used:
            return call.func
        return call.args[0].value if self._function(call.args[0].value) is not None else call.func

    def _function(self, callee: cst.BaseExpression) -> cst.FunctionDef | None:
        if isinstance(callee, cst.Call) and self.reading.api(callee.func) == COMPILER and callee.args:
            return self._function(callee.args[0].value)
        if isinstance(callee, cst.Name):
            for binding in self.reading.flow.reaching(callee):
                if isinstance(binding.value, cst.Call):
                    return self._function(binding.value)
                return binding.node if isinstance(binding.node, cst.FunctionDef) else None
        if isinstance(callee, cst.Attribute):
            class_ = self.reading.values.local_class(self.reading.value(callee.value))
            return self.reading.classes.method(class_, callee.attr.value) if class_ is not None else None
        return None

    def _inlined(self, function: cst.FunctionDef, call: cst.Call, bound: dict[str, str]) -> c.Course:
        self.reader.inlined.add(function)
        via = (*self.via, Call(call, self.reading))
        inner = _Course(self.reader, Env(bound, function, self.env), via, self.guards, self.loops, self.contexts)
        return c.Inlined(inner.block(function.body))

    def _bound(self, function: cst.FunctionDef, call: cst.Call) -> dict[str, str]:
        """What the parameters of a helper stand for, as keys of the caller."""
        keys = self.reader.recognizer.keys
        names = [param.name.value for param in parameters(function) if param.star not in ("*", "**")]
        bound: dict[str, str | None] = {}
        if self.reading.tree.parent(self.reading.tree.parents[function]) is not None and isinstance(
            call.func, cst.Attribute
        ):
            if names:
                bound[names[0]] = keys.of(call.func.value, self.env)
            names = names[1:]
        for name, argument in zip(names, [a for a in call.args if a.keyword is None and not a.star], strict=False):
            bound[name] = keys.of(argument.value, self.env)
        for argument in call.args:
            if argument.keyword is not None:
                bound[argument.keyword.value] = keys.of(argument.value, self.env)
        return {name: key for name, key in bound.items() if key is not None}

    def _guarded(self, test: c.Test, holds: bool) -> _Course:
        guards = (*self.guards, *((key, holds) for key in c.keys(test)))
        return self._with(guards=guards)

    def _with(
        self,
        *,
        guards: tuple[tuple[str, bool], ...] | None = None,
        loops: tuple[Code, ...] | None = None,
        contexts: tuple[Call, ...] | None = None,
    ) -> _Course:
        """The reader of a block inside this one."""
        return _Course(
            self.reader,
            self.env,
            self.via,
            self.guards if guards is None else guards,
            self.loops if loops is None else loops,
            self.contexts if contexts is None else contexts,
        )

    def test(self, node: cst.BaseExpression) -> c.Test:
        """A test by the flags that decide it. `x`, `x is not None`, `x > 0` and `x != 0` are one flag."""
        if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
            return c.Not(self.test(node.expression))
        if isinstance(node, cst.BooleanOperation):
            kind = c.Both if isinstance(node.operator, cst.And) else c.Either
            return kind(self.test(node.left), self.test(node.right))
        if isinstance(node, cst.Comparison) and len(node.comparisons) == 1:
            return self._comparison(node, node.comparisons[0])
        return c.Flag(self._key(node))

    def _comparison(self, node: cst.Comparison, target: cst.ComparisonTarget) -> c.Test:
        other = self.reading.text(target.comparator)
        flag = c.Flag(self._key(node.left))
        if other in ("None", "False", "True", "0", "0.0", "0."):
            positive = isinstance(target.operator, (cst.Is, cst.Equal)) == (other == "True")
            if isinstance(target.operator, (cst.Is, cst.IsNot, cst.Equal, cst.NotEqual)):
                return flag if positive else c.Not(flag)
            if isinstance(target.operator, cst.GreaterThan):
                return flag
        return c.Flag(self._key(node))

    def _key(self, node: cst.BaseExpression) -> str:
        return self.reader.recognizer.keys.of(node, self.env) or " ".join(self.reading.text(node).split())


_JUMPS: dict[type[cst.CSTNode], str] = {
    cst.Continue: "continue",
    cst.Break: "break",
    cst.Return: "return",
    cst.Raise: "raise",
}
