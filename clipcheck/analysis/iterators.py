"""Finds iterators over parameters that are walked a second time, when nothing is left in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TypeAlias

import libcst as cst

from clipcheck.analysis.clip_targets import clip_target
from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Binding, Kind, parameters
from clipcheck.analysis.stores import is_variable
from clipcheck.frameworks import OPTIMIZERS
from clipcheck.model.code import Call
from clipcheck.model.gradients import ExhaustedIterator, Rewrite
from clipcheck.model.value import Constant, Many

_Use: TypeAlias = cst.Name | cst.Attribute
_BLOCKS = (cst.IndentedBlock, cst.SimpleStatementSuite, cst.Module)
_COMPREHENSIONS = (cst.ListComp, cst.SetComp, cst.DictComp)
_WRAPPERS = frozenset(f"builtins.{name}" for name in "filter map enumerate iter".split()) | frozenset(
    {"itertools.chain", "itertools.chain.from_iterable"}
)
"""What makes an iterator out of others, and walks them when it is walked itself."""
_WALKERS = frozenset(f"builtins.{name}" for name in "list tuple set sorted sum max min dict frozenset".split())
_OPTIMIZER = re.compile(r"optim|adam|sgd|rmsprop|lion|lamb|adafactor|prodigy", re.IGNORECASE)
_AVERAGE = re.compile(r"(^|[._])ema|_ema$|_ema[._]|EMA|[Ee]xponentialMovingAverage|averaged_")
_AVERAGING = frozenset({"step", "update", "copy_to", "store", "restore"})


def read_exhausted_iterators(reading: FileReading) -> Iterator[ExhaustedIterator]:
    """Every one-shot iterator of parameters that a clip, an average or a helper's second loop finds empty."""
    iterators = _Iterators(reading)
    found: dict[frozenset[Binding], list[tuple[cst.CSTNode, cst.CSTNode]]] = {}
    for use, place in iterators.harmed:
        roots = iterators.roots(use)
        if not roots or not all(iterators.is_one_shot_root(root) for root in roots):
            continue
        walkers = [iterators.walker_before(root, use) for root in roots]
        if all(walkers) and walkers[0] is not None:
            found.setdefault(roots, []).append((place, walkers[0]))
    for bindings, empty in found.items():
        if any(iterators.is_clip(place) for place, _ in empty):
            yield iterators.fact(sorted(bindings, key=lambda binding: reading.tree.order[binding.node]), empty)


class _Iterators:
    def __init__(self, reading: FileReading) -> None:
        self.reading = reading

    @cached_property
    def harmed(self) -> list[tuple[_Use, cst.CSTNode]]:
        """The uses of names that do harm where the name holds an empty iterator, and what stands there."""
        found: list[tuple[_Use, cst.CSTNode]] = []
        for node in self.reading.tree.all(cst.Call):
            call = Call(node, self.reading)
            target = clip_target(call)
            if target is None and _is_average(call) and call.method in _AVERAGING and call.arguments:
                target = call.arguments[0].code
            use = self._walked_in(target.node) if target is not None else None
            if use is not None:
                found.append((use, node))
        for loop in self.reading.tree.all(cst.For):
            if isinstance(loop.iter, cst.Name) and self._changes_gradients(loop):
                found.append((loop.iter, loop.iter))
        return sorted(found, key=lambda each: self.reading.tree.order[each[0]])

    def is_clip(self, place: cst.CSTNode) -> bool:
        """Whether what stands there clips gradients, and does not only average parameters."""
        return not isinstance(place, cst.Call) or clip_target(Call(place, self.reading)) is not None

    def _walked_in(self, node: cst.CSTNode) -> _Use | None:
        """The name that an expression walks: itself, or what it filters and lists."""
        if isinstance(node, (cst.Name, cst.Attribute)):
            return node
        if isinstance(node, (cst.ListComp, cst.GeneratorExp)):
            return self._walked_in(node.for_in.iter)
        if isinstance(node, cst.Call) and node.args and self.reading.name(node.func) in _WALKERS | _WRAPPERS:
            return self._walked_in(node.args[-1].value)
        return None

    def _changes_gradients(self, loop: cst.For) -> bool:
        """Whether a loop changes the gradients of what it goes through, in place."""
        if not isinstance(loop.target, cst.Name):
            return False
        for node in self.reading.tree.below(loop.body):
            if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
                words = self.reading.text(node.func)
                if re.match(rf"{loop.target.value}\.grad\.(\w+\.|detach\(\)\.)*(mul|div|clamp|clip)\w*_$", words):
                    return True
        return False

    def roots(self, use: cst.CSTNode, depth: int = 0) -> frozenset[Binding]:
        """The bindings that what a name holds can come from, through plain aliases; none where that is not known."""
        bindings = self._bindings(use)
        found: set[Binding] = set()
        for binding in bindings:
            if (
                binding.kind is Kind.ASSIGN
                and not binding.path
                and isinstance(binding.value, (cst.Name, cst.Attribute))
            ):
                above = self.roots(binding.value, depth + 1) if depth < 5 else frozenset()
                if not above:
                    return frozenset()
                found |= above
            else:
                found.add(binding)
        return frozenset(found)

    def _bindings(self, use: cst.CSTNode) -> list[Binding]:
        if isinstance(use, cst.Name):
            return self.reading.flow.reaching(use)
        if isinstance(use, cst.Attribute) and isinstance(use.value, cst.Name):
            class_ = self.reading.scopes.class_of_self(use.value)
            if class_ is not None:
                bindings = self.reading.scopes.attributes.get(class_, {}).get(use.attr.value, [])
                some = [b for b in bindings if b.value is None or self.reading.value(b.value) != Constant(None)]
                return some if len(some) == 1 else []
        return []

    def is_one_shot_root(self, root: Binding) -> bool:
        if root.kind is Kind.ASSIGN and not root.path and root.value is not None:
            return self.is_one_shot(root.value)
        return bool(self._given(root))

    def _given(self, root: Binding) -> list[cst.BaseExpression]:
        """The one-shot iterators that calls of this file hand over for a parameter of a helper."""
        function = root.scope.node
        if root.kind is not Kind.PARAMETER or not isinstance(function, cst.FunctionDef):
            return []
        assert isinstance(root.node, cst.Param)
        given = self.reading.values.parameters.handed_over(root.node, function)
        return [v for v in given if self._is_given_to(v, function) and self.is_one_shot(v)]

    def _is_given_to(self, value: cst.BaseExpression, function: cst.FunctionDef) -> bool:
        """Whether an argument surely stands in a call of this function, and not of one with the same name."""
        argument = self.reading.parent(value)
        call = self.reading.parent(argument) if isinstance(argument, cst.Arg) else None
        return isinstance(call, cst.Call) and self.reading.origins.function(call) is function

    def is_one_shot(self, node: cst.BaseExpression) -> bool:
        """Whether an expression surely makes an iterator that can be walked once."""
        if isinstance(node, cst.GeneratorExp):
            return True
        if isinstance(node, cst.IfExp):
            return self.is_one_shot(node.body) and self.is_one_shot(node.orelse)
        if not isinstance(node, cst.Call):
            return False
        if self.reading.name(node.func) in _WRAPPERS:
            return True
        function = self.reading.origins.function(node)
        if function is not None:
            returned = self.reading.origins.returns(function)
            return bool(returned) and all(self.is_one_shot(value) for value in returned)
        value = self.reading.value(node)
        return isinstance(node.func, cst.Attribute) and isinstance(value, Many) and value.one_shot

    def walker_before(self, root: Binding, use: _Use) -> cst.CSTNode | None:
        """What surely walks the iterator to its end after it is made and before it gets to a use."""
        for other, walker in self._walks_of(root):
            if other is not use and self._surely_precedes(root, other, use):
                return walker
        if self._comes_round(root, use):
            return self._walker(use)
        return None

    def _walks_of(self, root: Binding) -> Iterator[tuple[_Use, cst.CSTNode]]:
        """The uses of an iterator that walk it to its end, with what does."""
        return ((use, walker) for use, walker in self._walks if use is not root.node and root in self.roots(use))

    @cached_property
    def _walks(self) -> list[tuple[_Use, cst.CSTNode]]:
        """Every name and attribute that something walks to its end, in the order of the source."""
        uses: list[_Use] = [node for node in self.reading.tree.all(cst.Name) if is_variable(self.reading, node)]
        uses += self.reading.tree.all(cst.Attribute)
        walks = [(use, walker) for use in uses if (walker := self._walker(use)) is not None]
        return sorted(walks, key=lambda walk: self.reading.tree.order[walk[0]])

    def _walker(self, use: cst.BaseExpression) -> cst.CSTNode | None:
        """What walks an iterator to its end where it is used; None if nothing surely does."""
        parent = self.reading.parent(use)
        if isinstance(parent, cst.For):
            return use if parent.iter is use and not _may_leave(parent) else None
        if isinstance(parent, cst.CompFor) and parent.iter is use:
            comprehension = self.reading.parent(parent)
            if isinstance(comprehension, _COMPREHENSIONS):
                return comprehension
            return self._walker(comprehension) if isinstance(comprehension, cst.GeneratorExp) else None
        if isinstance(parent, cst.DictElement):
            return self._grouped(parent)
        if not isinstance(parent, cst.Arg):
            return None
        call = self.reading.parent(parent)
        return self._walking_call(Call(call, self.reading), parent) if isinstance(call, cst.Call) else None

    def _grouped(self, entry: cst.DictElement) -> cst.CSTNode | None:
        """The optimizer that takes `[{"params": parameters}]`."""
        if self.reading.value(entry.key) != Constant("params"):
            return None
        for above in self.reading.tree.ancestors(entry):
            if isinstance(above, cst.Call):
                return above if self._is_optimizer(Call(above, self.reading)) else None
            if not isinstance(above, (cst.Dict, cst.List, cst.Tuple, cst.Element, cst.Arg)):
                return None
        return None

    def _walking_call(self, call: Call, argument: cst.Arg) -> cst.CSTNode | None:
        name = call.callee.name
        if argument.star == "*" or name in _WALKERS:
            return call.node
        if name in _WRAPPERS:
            return self._walker(call.node)
        target = clip_target(call)
        if target is not None:
            return call.node if target.node is argument.value else None
        first = call.argument(0, "params", "parameters")
        if first is None or first.node is not argument:
            return None
        is_average = _is_average(call) and call.method in (None, "step", "update")
        walks = is_average or self._is_optimizer(call) or self._is_walking_helper(call)
        return call.node if walks else None

    def _is_optimizer(self, call: Call) -> bool:
        api = call.callee.api
        if api in OPTIMIZERS:
            return True
        last = call.callee.text.rpartition(".")[2]
        is_class = last[:1].isupper() or call.argument(None, "lr", "learning_rate") is not None
        return is_class and _OPTIMIZER.search(last) is not None and "sched" not in last.lower()

    def _is_walking_helper(self, call: Call) -> bool:
        """Whether a function of this file walks its first parameter, whatever else it does."""
        function = self.reading.origins.function(call.node)
        if (
            function is None
            or not isinstance(function.body, cst.IndentedBlock)
            or isinstance(call.node.func, cst.Attribute)
        ):
            return False
        first = next(parameters(function), None)
        uses = [
            use
            for use in self.reading.tree.below(function.body)
            if isinstance(use, cst.Name) and first is not None and use.value == first.name.value
        ]
        walks = {self.reading.statement(use) for use in uses if self._simple_walk(use)}
        return any(_surely_runs(statement, walks) for statement in function.body.body)

    def _simple_walk(self, use: cst.Name) -> bool:
        """Whether a name is walked by a loop, a comprehension or a built-in function."""
        parent = self.reading.parent(use)
        walked = isinstance(parent, (cst.For, cst.CompFor)) or (
            isinstance(parent, cst.Arg)
            and isinstance(call := self.reading.parent(parent), cst.Call)
            and self.reading.name(call.func) in _WALKERS
        )
        return walked and self._walker(use) is not None and len(self.reading.flow.reaching(use)) == 1

    def _surely_precedes(self, root: Binding, walk: cst.CSTNode, use: cst.CSTNode) -> bool:
        """Whether every path from where the iterator is made to the use passes the walk."""
        reading, order = self.reading, self.reading.tree.order
        home = reading.function(root.statement) if root.kind is not Kind.PARAMETER else root.scope.node
        if reading.function(walk) is not home or order[walk] < order[root.node]:
            return False
        is_same = reading.function(use) is home
        if is_same and order[use] < order[walk]:
            return False
        around = {*reading.tree.ancestors(root.node), home.body if isinstance(home, cst.FunctionDef) else home}
        if is_same:
            around |= set(reading.tree.ancestors(use))
        if not any(block in around and _surely_runs(child, {walk}) for child, block in self._places(walk)):
            return False
        return is_same or not self._runs_between(reading.function(use), root, walk)

    def _places(self, node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
        """Each statement around a node with the block that it stands in, the innermost first."""
        child = node
        for above in self.reading.tree.ancestors(node):
            if isinstance(above, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
                return
            if isinstance(above, _BLOCKS):
                yield child, above
            child = above

    def _runs_between(self, function: cst.CSTNode | None, root: Binding, walk: cst.CSTNode) -> bool:
        """Whether the function of a use is called after the iterator is made and before it is walked."""
        if not isinstance(function, cst.FunctionDef):
            return True
        order = self.reading.tree.order
        return any(
            order[root.node] < order[call] < order[walk] and _called_name(call) == function.name.value
            for call in self.reading.tree.all(cst.Call)
        )

    def _comes_round(self, root: Binding, use: _Use) -> bool:
        """Whether a loop leads from a use that walks the iterator back to that use, and not past its making."""
        if root.kind is Kind.PARAMETER or self._walker(use) is None:
            return False
        loops = [*self.reading.loops(use)]
        function, home = self.reading.function(use), self.reading.function(root.statement)
        if function is not home:
            calls = [c for c in self.reading.tree.all(cst.Call) if function and _called_name(c) == function.name.value]
            loops += [loop for call in calls for loop in self.reading.loops(call)]
            makers = self._names_of_maker(home)
            if function is None or self._calls_one_of(function, makers):
                return False
            loops = [loop for loop in loops if not self._calls_one_of(loop, makers)]
        outside = self.reading.loops(root.statement)
        return any(
            isinstance(each, (cst.For, cst.While)) and not _leaves(each) for each in loops if each not in outside
        )

    def _names_of_maker(self, function: cst.FunctionDef | None) -> set[str]:
        """The names by which the function is called that makes an iterator: a constructor by its class."""
        class_ = self.reading.class_of(function) if function is not None else None
        names = {function.name.value} if function is not None else set()
        return names | ({class_.name.value} if class_ is not None else set())

    def _calls_one_of(self, node: cst.CSTNode, names: set[str]) -> bool:
        return any(_called_name(call) in names for call in self.reading.calls_in(node))

    def fact(self, roots: list[Binding], empty: list[tuple[cst.CSTNode, cst.CSTNode]]) -> ExhaustedIterator:
        code = self.reading.code
        is_argument = roots[0].kind is Kind.PARAMETER
        makers: Iterable[cst.BaseExpression] = [root.value for root in roots if root.value is not None]
        if is_argument:
            makers = [value for root in roots for value in self._given(root)]
        name = roots[0].node
        return ExhaustedIterator(
            makers=tuple(code(maker) for maker in makers),
            name=code(name.name if isinstance(name, cst.Param) else name),
            walker=code(empty[0][1]),
            empty=tuple(code(place) for place, _ in empty),
            is_argument=is_argument,
            listed=tuple(_listed(self.reading, maker) for maker in makers),
        )


def _called_name(call: cst.Call) -> str | None:
    func = call.func
    return func.attr.value if isinstance(func, cst.Attribute) else getattr(func, "value", None)


def _is_average(call: Call) -> bool:
    """Whether a call makes a moving average of parameters, or is a method of one."""
    receiver = call.receiver
    if receiver is None:
        return _AVERAGE.search(call.callee.text) is not None and call.callee.text[:1].isupper()
    return _AVERAGE.search(receiver.text) is not None


def _may_leave(loop: cst.For | cst.While) -> bool:
    """Whether a loop may end before it has gone through everything."""
    return any(isinstance(node, (cst.Break, cst.Return, cst.Raise)) for node in _own_nodes(loop.body))


def _leaves(loop: cst.For | cst.While) -> bool:
    """Whether a loop is always left after its first pass."""
    body = loop.body.body
    return (
        bool(body)
        and isinstance(body[-1], cst.SimpleStatementLine)
        and any(isinstance(small, (cst.Break, cst.Return, cst.Raise)) for small in body[-1].body)
    )


def _own_nodes(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """What is below a node, but not in functions defined there."""
    yield node
    for child in node.children:
        if not isinstance(child, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
            yield from _own_nodes(child)


def _surely_runs(statement: cst.CSTNode, wanted: set[cst.CSTNode]) -> bool:
    """Whether a statement, when it runs to its end, has evaluated one of these nodes."""
    if statement in wanted:
        return True
    if isinstance(statement, cst.If):
        orelse = statement.orelse
        return _surely_runs(statement.test, wanted) or (
            orelse is not None and _surely_runs(statement.body, wanted) and _surely_runs(orelse, wanted)
        )
    if isinstance(statement, (cst.IfExp, cst.BooleanOperation)):
        first = statement.test if isinstance(statement, cst.IfExp) else statement.left
        return _surely_runs(first, wanted)
    if isinstance(statement, cst.For):
        return _surely_runs(statement.iter, wanted)
    if isinstance(statement, cst.While):
        return _surely_runs(statement.test, wanted)
    if isinstance(statement, cst.Try):
        return _surely_runs(statement.body, wanted)
    if isinstance(statement, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
        return False
    return any(_surely_runs(child, wanted) for child in statement.children)


def _listed(reading: FileReading, maker: cst.BaseExpression) -> Rewrite:
    """The maker as a list, without the parentheses that it may stand in."""
    text = reading.text(maker)
    inner = text[len("(") : -len(")")].strip() if maker.lpar else text
    listed = f"[{inner}]" if isinstance(maker, cst.GeneratorExp) else f"list({inner})"
    around = reading.parent(maker)
    if not maker.lpar or not isinstance(around, (cst.Arg, cst.Assign)):
        return Rewrite(reading.code(maker), listed)
    return Rewrite(reading.code(around), reading.code(around).text.removesuffix(text) + listed)
