"""What belongs to a statement, and where else it would do the same: what a fix needs to know before it moves one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import libcst as cst

from clipcheck.model.value import Many

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading

_BLOCKS = (cst.IndentedBlock, cst.SimpleStatementSuite, cst.Module)
_COURSES = (cst.For, cst.While, cst.Try, cst.TryStar, cst.Match, cst.FunctionDef, cst.Lambda)
_JUMPS = (cst.Return, cst.Continue, cst.Break, cst.Raise, cst.Yield)


def unit(reading: FileReading, node: cst.CSTNode) -> cst.CSTNode:
    """The largest statement that does nothing but what `node` does: with the `if`, `for` and `with` around its own
    that hold nothing else."""
    statement = _element(reading, node)
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) > 1:
        return reading.statement(node)
    while True:
        block = reading.parent(statement)
        owner = reading.parent(block) if block is not None else None
        if not isinstance(block, _BLOCKS) or len(block.body) != 1 or not isinstance(owner, (cst.If, cst.For, cst.With)):
            return statement
        if isinstance(owner, cst.If) and isinstance(reading.parent(owner), cst.If):
            return statement
        if not isinstance(owner, cst.With) and owner.orelse is not None:
            return statement
        statement = owner


def enclosing(reading: FileReading, nodes: Iterable[cst.CSTNode]) -> cst.CSTNode:
    """The innermost element of a block that all of the nodes stand in."""
    first, *others = nodes
    around = [{other, *reading.tree.ancestors(other)} for other in others]
    current = _element(reading, first)
    while not all(current in above for above in around):
        above = reading.parent(current)
        if above is None:
            return current
        current = _element(reading, above)
    return current


def conditions(reading: FileReading, node: cst.CSTNode, within: cst.CSTNode) -> tuple[str, ...] | None:
    """The tests under which `node` runs when `within` does, the outermost first; None if it is not so simple."""
    tests: list[str] = []
    child = node
    for above in reading.tree.ancestors(node):
        if child is within:
            break
        test: str | None = ""
        if isinstance(above, cst.If) and child is above.body:
            test = reading.text(above.test)
        elif isinstance(above, cst.If) and child is above.orelse:
            test = _negated(reading, above.test)
        elif isinstance(above, _COURSES) and above is not within:
            test = None
        if test is None:
            return None
        tests += [test] if test else []
        child = above
    return tuple(reversed(tests))


def stays_same(reading: FileReading, node: cst.CSTNode, at: cst.CSTNode, *, for_it: bool = False) -> bool:
    """Whether code means at another place of its function, or of a function inside that, what it means at its own.

    for_it: what stands there may use what the code binds.
    """
    functions = [reading.function(at)]
    while functions[-1] is not None:
        functions.append(reading.function(functions[-1]))
    if reading.function(node) not in functions:
        return False
    inside = set(reading.tree.below(node))
    user = set(reading.tree.below(at)) if for_it else set()
    first, last = _range(reading, node, at)
    order = reading.tree.order

    def is_between(other: cst.CSTNode) -> bool:
        return first <= order[other] <= last and other not in inside

    scopes = reading.scopes
    for name in _variables(reading, inside):
        home = scopes.lookup(name.value, scopes.of(name))
        if home is None:
            continue
        bindings = home.bindings[name.value]
        if any(binding.node in inside for binding in bindings):
            uses = (use for use in _uses(reading, name.value) if use not in user)
            if _is_kept(reading, name) and any(is_between(use) for use in uses):
                return False
        elif (
            scopes.lookup(name.value, scopes.of(at)) is not home
            or any(is_between(b.node) for b in bindings)
            or (set(reading.loops(at)) - set(reading.loops(node)) and _is_one_shot(reading, name))
        ):
            return False
    changed = [reading.text(target) for target in _changed_attributes(reading) if is_between(target)]
    read = {reading.text(found) for found in inside if isinstance(found, cst.Attribute)}
    return not any(text == target or text.startswith(f"{target}.") for text in read for target in changed)


def may_move(reading: FileReading, statement: cst.CSTNode, target: cst.CSTNode, *, for_it: bool = False) -> bool:
    """Whether a statement may stand beside `target` and do there what it does here, but more or less often.

    `target` is in the same block or deeper, or behind loops that the statement stands in. for_it: `target` may use
    what the statement binds.
    """
    above = set(reading.tree.ancestors(target))
    block = _block(reading, statement)
    while block not in above:
        loop = reading.parent(block) if block is not None else None
        if not isinstance(loop, (cst.For, cst.While)) or loop.body is not block:
            return False
        block = _block(reading, loop)
    jumps = any(isinstance(inner, _JUMPS) for inner in reading.tree.below(statement))
    return statement not in above and not jumps and stays_same(reading, statement, target, for_it=for_it)


def _block(reading: FileReading, statement: cst.CSTNode) -> cst.CSTNode | None:
    above = reading.parent(statement)
    return reading.parent(above) if isinstance(above, cst.SimpleStatementLine) else above


def _element(reading: FileReading, node: cst.CSTNode) -> cst.CSTNode:
    """The element of a block that a node stands in: a compound statement, or the line of a simple one."""
    above = reading.parent(node)
    while above is not None and not isinstance(above, _BLOCKS):
        node, above = above, reading.parent(above)
    return node


def _range(reading: FileReading, node: cst.CSTNode, at: cst.CSTNode) -> tuple[int, int]:
    """From one place to the other, with the whole of the loops that only one of them stands in."""
    order = reading.tree.order
    loops = set(reading.loops(at)) ^ set(reading.loops(node))
    places = [order[node], order[at]]
    if not loops:
        return min(places), max(places)
    starts = [order[loop] for loop in loops]
    ends = [max(order[inner] for inner in reading.tree.below(loop)) for loop in loops]
    return min(*places, *starts), max(*places, *ends)


def _variables(reading: FileReading, nodes: Iterable[cst.CSTNode]) -> Iterator[cst.Name]:
    for node in nodes:
        above = reading.parent(node)
        is_label = isinstance(above, cst.Attribute) and above.attr is node
        is_label = is_label or (isinstance(above, cst.Arg) and above.keyword is node)
        if isinstance(node, cst.Name) and not is_label:
            yield node


def _uses(reading: FileReading, name: str) -> Iterator[cst.Name]:
    return (node for node in _variables(reading, reading.tree.all(cst.Name)) if node.value == name)


def _is_kept(reading: FileReading, name: cst.Name) -> bool:
    """Whether a name is bound for later, and not just a loop's own."""
    return any(isinstance(above, (cst.AssignTarget, cst.NamedExpr, cst.AnnAssign)) for above in _up(reading, name))


def _up(reading: FileReading, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for above in reading.tree.ancestors(node):
        if isinstance(above, _BLOCKS):
            return
        yield above


def _is_one_shot(reading: FileReading, name: cst.Name) -> bool:
    value = reading.value(name)
    return isinstance(value, Many) and value.one_shot


def _changed_attributes(reading: FileReading) -> Iterator[cst.CSTNode]:
    """Every attribute or item that something is assigned to."""
    for assign in reading.tree.all(cst.AssignTarget):
        yield from (t for t in reading.tree.below(assign.target) if isinstance(t, (cst.Attribute, cst.Subscript)))
    yield from (changed.target for changed in reading.tree.all(cst.AugAssign))
    yield from (changed.target for changed in reading.tree.all(cst.AnnAssign))


def _negated(reading: FileReading, test: cst.BaseExpression) -> str | None:
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return reading.text(test.expression)
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        comparison = test.comparisons[0]
        for one, other in (("is", "is not"), ("is not", "is"), ("==", "!="), ("!=", "==")):
            if type(comparison.operator) is _OPERATORS[one]:
                return f"{reading.text(test.left)} {other} {reading.text(comparison.comparator)}"
    return f"not {reading.text(test)}" if isinstance(test, (cst.Name, cst.Attribute, cst.Call)) else None


_OPERATORS: dict[str, type[cst.BaseCompOp]] = {"is": cst.Is, "is not": cst.IsNot, "==": cst.Equal, "!=": cst.NotEqual}
