"""A piece of the user's code: a node of the tree, with what the analysis can tell of it.

Rules hold `Code` and ask it; they never look at the tree's own classes. Everything is worked out when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from clipcheck.model.value import Constant, Value

if TYPE_CHECKING:
    import libcst as cst

    from clipcheck.model.networks import Network
else:

    class _LibCST:
        """LibCST, imported when a first node is looked at: rules are known, and most files judged, without it."""

        def __getattr__(self, name: str) -> Any:
            import libcst

            value = self.__dict__[name] = getattr(libcst, name)
            return value

    cst = _LibCST()


class Reading(Protocol):
    """What the analysis can tell of the nodes of one file."""

    def text(self, node: cst.CSTNode) -> str: ...
    def span(self, node: cst.CSTNode) -> tuple[tuple[int, int], tuple[int, int]]: ...
    def line(self, node: cst.CSTNode) -> int: ...
    def name(self, node: cst.CSTNode) -> str | None: ...
    def names(self, node: cst.CSTNode) -> frozenset[str]: ...
    def api(self, node: cst.CSTNode) -> str | None: ...
    def value(self, node: cst.CSTNode) -> Value: ...
    def network(self, node: cst.CSTNode) -> Network | None: ...
    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None: ...
    def statement(self, node: cst.CSTNode) -> cst.CSTNode: ...
    def forget(self) -> None: ...
    def function(self, node: cst.CSTNode) -> cst.FunctionDef | None: ...
    def class_of(self, node: cst.CSTNode) -> cst.ClassDef | None: ...
    def loops(self, node: cst.CSTNode) -> tuple[cst.CSTNode, ...]: ...
    def calls_in(self, node: cst.CSTNode) -> Iterator[cst.Call]: ...
    def spell(self, dotted: str, at: cst.CSTNode) -> Spelling: ...
    def means_same(self, node: cst.CSTNode, at: cst.CSTNode) -> bool: ...
    def is_free(self, name: str, at: cst.CSTNode) -> bool: ...
    def unit(self, node: cst.CSTNode) -> cst.CSTNode: ...
    def enclosing(self, nodes: Iterable[cst.CSTNode]) -> cst.CSTNode: ...
    def conditions(self, node: cst.CSTNode, within: cst.CSTNode) -> tuple[str, ...] | None: ...
    def stays_same(self, node: cst.CSTNode, at: cst.CSTNode) -> bool: ...
    def may_move(self, statement: cst.CSTNode, target: cst.CSTNode, *, for_it: bool = False) -> bool: ...


class Spelling(Struct, frozen=True):
    """How to write an API's name in this file: the text, and the imports that must be there for it.

    Each import is (module, name) for ``from module import name``, or (module, None) for ``import module``.
    """

    text: str
    imports: tuple[tuple[str, str | None], ...] = ()


class Code(Struct, frozen=True):
    """A node and the reading of the file it stands in. Two are equal when they are the same place."""

    node: cst.CSTNode
    reading: Reading

    @property
    def text(self) -> str:
        """The source text, as written."""
        return self.reading.text(self.node)

    @property
    def words(self) -> str:
        """The source text on one line and not longer than a message can bear."""
        return brief(self.text)

    @property
    def line(self) -> int:
        """The line that it starts on, from 1; in a notebook, that of its cell."""
        return self.reading.line(self.node)

    @property
    def defines(self) -> str | None:
        """The name of the function or class that it is the definition of."""
        return self.node.name.value if isinstance(self.node, (cst.FunctionDef, cst.ClassDef)) else None

    @property
    def last_line(self) -> int:
        """The line that it ends on."""
        return self.reading.span(self.node)[1][0]

    @property
    def name(self) -> str | None:
        """The dotted name as imports and assignments resolve it: `K.clip` is "tensorflow.keras.backend.clip"."""
        return self.reading.name(self.node)

    @property
    def names(self) -> frozenset[str]:
        """All dotted names it may have, where a `try` or an `if` imports it from one place or the other."""
        return self.reading.names(self.node)

    @property
    def api(self) -> str | None:
        """The name under which the framework tables know it, the same for every way to import it:
        "keras.layers.Dense" for `tf.keras.layers.Dense` and for `keras.layers.core.Dense`."""
        return self.reading.api(self.node)

    @property
    def value(self) -> Value:
        """What it stands for."""
        return self.reading.value(self.node)

    @property
    def network(self) -> Network | None:
        """The model that it is, if it can only be one that this file makes."""
        return self.reading.network(self.node)

    @property
    def number(self) -> float | None:
        """Its value where that is a known number."""
        value = self.value
        return value.number if isinstance(value, Constant) else None

    @property
    def statement(self) -> Code:
        """The innermost statement that it stands in: an element of a block's body."""
        return self.at(self.reading.statement(self.node))

    @property
    def function(self) -> Code | None:
        """The function whose body it stands in."""
        return self._optional(self.reading.function(self.node))

    @property
    def class_(self) -> Code | None:
        """The class whose body it stands in, also from within a method."""
        return self._optional(self.reading.class_of(self.node))

    @property
    def loops(self) -> tuple[Code, ...]:
        """The `for` and `while` loops around it in the same function, the innermost first."""
        return tuple(self.at(loop) for loop in self.reading.loops(self.node))

    @property
    def is_bare_statement(self) -> bool:
        """Whether it is an expression that stands alone as a statement, so that its value is thrown away."""
        parent = self.reading.parent(self.node)
        return isinstance(parent, cst.Expr)

    @property
    def is_lambda(self) -> bool:
        return isinstance(self.node, cst.Lambda)

    @property
    def calls(self) -> Iterator[Call]:
        """Every call inside it, itself included, in the order of the source."""
        return (Call(node, self.reading) for node in self.reading.calls_in(self.node))

    def at(self, node: cst.CSTNode) -> Code:
        """The code of another node of the same file."""
        return as_code(node, self.reading)

    def spell(self, dotted: str) -> Spelling:
        """How to write a dotted name ("keras.ops.clip") at this place, with the imports that the file has."""
        return self.reading.spell(dotted, self.node)

    @property
    def assigned_to(self) -> Code | None:
        """The variable or attribute of `target = <this>`, where it is all of the statement's value."""
        parent = self.reading.parent(self.node)
        if not isinstance(parent, cst.Assign) or len(parent.targets) != 1:
            return None
        target = parent.targets[0].target
        return self.at(target) if isinstance(target, (cst.Name, cst.Attribute)) else None

    def means_same_at(self, place: Code) -> bool:
        """Whether the expression, written at another place, surely has the same value there."""
        return self.reading.means_same(self.node, place.node)

    def free_name(self, *candidates: str) -> str:
        """The first of these names that can be bound at this place without shadowing anything, else a made-up one."""
        for name in candidates:
            if self.reading.is_free(name, self.node):
                return name
        return self.free_name(candidates[-1] + "_")

    def inside(self, other: Code) -> bool:
        """Whether it stands within `other`, or is it."""
        node: cst.CSTNode | None = self.node
        while node is not None and node is not other.node:
            node = self.reading.parent(node)
        return node is not None

    @property
    def unit(self) -> Code:
        """The largest statement that does nothing but this: with the `if`, `for` and `with` that hold nothing else."""
        return self.at(self.reading.unit(self.node))

    def enclosing(self, *others: Code) -> Code:
        """The innermost statement that it and the others stand in."""
        return self.at(self.reading.enclosing([self.node, *(other.node for other in others)]))

    def own_condition(self, other: Code) -> str | None:
        """The one test under which this runs where `other` does; "" if it always does, None if it is not so simple."""
        common = self.enclosing(other)
        ours, theirs = (self.reading.conditions(each.node, common.node) for each in (self, other))
        if ours is None or theirs is None:
            return None
        shared = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), len(theirs))
        own = ours[shared:]
        return None if len(own) > 1 else "".join(own)

    def stays_same_at(self, place: Code) -> bool:
        """Whether it means the same at another place of its function: nothing it uses is assigned in between."""
        return self.reading.stays_same(self.node, place.node)

    def may_move_to(self, place: Code, *, for_it: bool = False) -> bool:
        """Whether this statement may stand beside `place`, in the same block or deeper, and do what it does here.

        for_it: `place` may use what the statement binds.
        """
        return self.reading.may_move(self.node, place.node, for_it=for_it)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.words!r})"

    def _optional(self, node: cst.CSTNode | None) -> Code | None:
        return None if node is None else self.at(node)


class Argument(Code, frozen=True):
    """One argument of a call; `node` is the tree's Arg, `value_code` the expression that is handed over."""

    node: cst.Arg

    @property
    def text(self) -> str:
        """The argument as written, without the comma and the comment behind it."""
        keyword = f"{self.keyword}=" if self.keyword else ""
        return f"{self.node.star}{keyword}{self.code.text}"

    @property
    def keyword(self) -> str | None:
        return self.node.keyword.value if self.node.keyword else None

    @property
    def label(self) -> Code | None:
        """The keyword itself, as a place in the code."""
        return self.at(self.node.keyword) if self.node.keyword else None

    @property
    def code(self) -> Code:
        """The expression that is handed over."""
        return self.at(self.node.value)


class Call(Code, frozen=True):
    """A call: what is called, and with what."""

    node: cst.Call

    @property
    def callee(self) -> Code:
        return self.at(self.node.func)

    @property
    def method(self) -> str | None:
        """The last part of a dotted callee: `clamp_` in `p.data.clamp_(…)`."""
        return self.node.func.attr.value if isinstance(self.node.func, cst.Attribute) else None

    @property
    def receiver(self) -> Code | None:
        """What a dotted callee is taken from: `p.data` in `p.data.clamp_(…)`."""
        return self.at(self.node.func.value) if isinstance(self.node.func, cst.Attribute) else None

    @property
    def arguments(self) -> tuple[Argument, ...]:
        return tuple(Argument(arg, self.reading) for arg in self.node.args)

    @property
    def has_star(self) -> bool:
        """Whether it hands over `*args` or `**kwargs`, so that an argument may be there without being seen."""
        return any(arg.star for arg in self.node.args)

    def argument(self, position: int | None, *keywords: str) -> Argument | None:
        """The argument at `position` (from 0, None: keyword only) or under one of the keywords, if it is given."""
        for index, arg in enumerate(self.node.args):
            if arg.star == "*":
                position = None
            elif arg.keyword is not None:
                if arg.keyword.value in keywords:
                    return Argument(arg, self.reading)
            elif index == position:
                return Argument(arg, self.reading)
        return None


def brief(text: str) -> str:
    """Source text on one line and not longer than a message can bear."""
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else flat[:57] + "..."


def as_code(node: cst.CSTNode, reading: Reading) -> Code:
    """The handle for a node, of the most telling class."""
    if isinstance(node, cst.Call):
        return Call(node, reading)
    if isinstance(node, cst.Arg):
        return Argument(node, reading)
    return Code(node, reading)
