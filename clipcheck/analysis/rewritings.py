"""Which statements do nothing else than clip weights and write them back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.stores import is_variable
from clipcheck.model.clips import ValueClip
from clipcheck.model.code import Call, Code
from clipcheck.model.weight_writes import Rewriting

_METHODS = frozenset("get_weights set_weights state_dict load_state_dict items keys append cpu numpy detach".split())
_FUNCTIONS = frozenset(f"builtins.{name}" for name in "list enumerate range len zip dict".split()) | frozenset(
    {"numpy.array", "numpy.asarray", "collections.OrderedDict"}
)
_DECIDING = (cst.If, cst.IfExp, cst.CompIf, cst.Continue, cst.Break, cst.Try, cst.Lambda, cst.Await, cst.Yield)


def read_rewriting(
    reading: FileReading, clip: ValueClip, source: Code, written: Code, owner: Code, layers: cst.For | None
) -> Rewriting | None:
    """The statements between taking the weights and putting them back, if that is all that they are for."""
    if not isinstance(source, Call) or not isinstance(written, Call) or not written.is_bare_statement:
        return None
    block, last = _place(reading, written.node)
    if block is None or last is None:
        return None
    chain = _chain(reading, block, last, written)
    if not all(_is_harmless(reading, statement, clip) for statement in chain):
        return None
    every = [node for statement in chain for node in reading.tree.below(statement)]
    if clip.call.node not in every or source.node not in every or not _is_private(reading, chain, owner):
        return None
    if not _bounds_stand_alone(reading, clip, chain, owner):
        return None
    element = clip.subject.text if isinstance(clip.subject.node, cst.Name) else "w"
    if layers is not None and list(layers.body.body) == list(chain) and layers.orelse is None:
        model = layers.iter
        if isinstance(model, cst.Attribute):
            return Rewriting(reading.code(layers), (), reading.text(model.value), element)
    return Rewriting(
        _statement(reading, last),
        tuple(_statement(reading, statement) for statement in chain[:-1]),
        owner.text,
        element,
    )


def _statement(reading: FileReading, node: cst.CSTNode) -> Code:
    """The statement of a line that holds only one."""
    return reading.code(node.body[0] if isinstance(node, cst.SimpleStatementLine) else node)


def _place(reading: FileReading, node: cst.CSTNode) -> tuple[Sequence[cst.CSTNode] | None, cst.CSTNode | None]:
    """The block that a node stands in, and the element of it."""
    child = node
    for above in reading.tree.ancestors(node):
        if isinstance(above, (cst.IndentedBlock, cst.Module)):
            return above.body, child
        child = above
    return None, None


def _chain(reading: FileReading, block: Sequence[cst.CSTNode], last: cst.CSTNode, written: Call) -> list[cst.CSTNode]:
    """The statements of a block, up to `last`, that work out what is written back."""
    wanted = {name for argument in written.arguments for name in _names(reading, argument.node)}
    chain = [last]
    for statement in reversed(block[: list(block).index(last)]):
        bound = set(_binds(statement))
        if bound & wanted:
            chain.insert(0, statement)
            wanted |= set(_names(reading, statement))
    return chain


def _names(reading: FileReading, node: cst.CSTNode) -> Iterator[str]:
    for below in reading.tree.below(node):
        if isinstance(below, cst.Name) and is_variable(reading, below):
            yield below.value


def _binds(statement: cst.CSTNode) -> Iterator[str]:
    """The names that a statement binds or fills: `w = …`, `for …: new.append(…)`, `for …: w[i] = …`."""
    if isinstance(statement, cst.SimpleStatementLine):
        for small in statement.body:
            if isinstance(small, cst.Assign) and len(small.targets) == 1:
                target: cst.BaseExpression = small.targets[0].target
                target = target.value if isinstance(target, cst.Subscript) else target
                if isinstance(target, cst.Name):
                    yield target.value
            elif isinstance(small, cst.Expr) and isinstance(small.value, cst.Call):
                func = small.value.func
                if isinstance(func, cst.Attribute) and func.attr.value == "append" and isinstance(func.value, cst.Name):
                    yield func.value.value
    elif isinstance(statement, cst.For) and isinstance(statement.body, cst.IndentedBlock):
        for inner in statement.body.body:
            yield from _binds(inner)


def _is_harmless(reading: FileReading, statement: cst.CSTNode, clip: ValueClip) -> bool:
    """Whether a statement only moves weights about: no condition, no slice, no other call."""
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) != 1:
        return False
    for node in reading.tree.below(statement):
        if isinstance(node, _DECIDING) or (isinstance(node, cst.For) and node.orelse is not None):
            return False
        if isinstance(node, cst.Subscript) and not _is_element(node):
            return False
        if isinstance(node, cst.Call) and node is not clip.call.node and not _is_within(reading, node, clip):
            method = node.func.attr.value if isinstance(node.func, cst.Attribute) else None
            if method not in _METHODS and reading.api(node.func) not in _FUNCTIONS:
                return False
    return True


def _is_within(reading: FileReading, node: cst.CSTNode, clip: ValueClip) -> bool:
    return any(above is clip.call.node for above in reading.tree.ancestors(node))


def _is_element(node: cst.Subscript) -> bool:
    """`weights[i]`, not `weights[:2]` or `weights[0]`."""
    index = node.slice[0].slice
    return len(node.slice) == 1 and isinstance(index, cst.Index) and isinstance(index.value, cst.Name)


def _is_private(reading: FileReading, chain: Sequence[cst.CSTNode], owner: Code) -> bool:
    """Whether nothing else reads what the statements bind."""
    inside = {node for statement in chain for node in reading.tree.below(statement)}
    bound = {
        binding.node
        for scope in [reading.scopes.function_of(reading.scopes.of(chain[0]))]
        for bindings in scope.bindings.values()
        for binding in bindings
        if binding.node in inside
    }
    texts = {reading.text(node) for node in bound}
    outside = [
        name
        for name in reading.tree.all(cst.Name)
        if name.value in texts and name not in inside and is_variable(reading, name)
    ]
    return not any(binding.node in bound for name in outside for binding in reading.flow.reaching(name))


def _bounds_stand_alone(reading: FileReading, clip: ValueClip, chain: Sequence[cst.CSTNode], owner: Code) -> bool:
    """Whether both bounds are given, and mean the same outside of the statements."""
    if clip.low is None or clip.high is None:
        return False
    inside = {node for statement in chain for node in reading.tree.below(statement)}
    names = [
        node
        for bound in (clip.low, clip.high)
        for node in reading.tree.below(bound.code.node)
        if isinstance(node, cst.Name) and is_variable(reading, node)
    ]
    return not any(binding.node in inside for name in names for binding in reading.flow.reaching(name))
