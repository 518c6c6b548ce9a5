"""One file as the rules see it: its facts, by kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from clipcheck.model.code import Call, Code, Reading, as_code
from clipcheck.model.targets import Targets

if TYPE_CHECKING:
    import libcst as cst

Fact = TypeVar("Fact")
Reader = Callable[["Script"], Iterable[Any]]


class Script:
    """The facts of one file. Each kind is read when it is first asked for, and then kept.

    `readers` maps a kind of fact (a class of `clipcheck.model`) to the function of the analysis that finds all facts
    of that kind in a script. `weight_clip_style` ("constraint" or "optimizer") is the user's setting.
    """

    def __init__(
        self,
        module: cst.Module,
        reading: Reading,
        readers: Mapping[type, Reader],
        weight_clip_style: str = "constraint",
    ) -> None:
        self.module = module
        self.weight_clip_style = weight_clip_style
        self.reading = reading
        self._readers = readers
        self._facts: dict[type, tuple[Any, ...]] = {}

    def all(self, kind: type[Fact]) -> tuple[Fact, ...]:
        """Every fact of a kind, in the order of the source."""
        if kind not in self._facts:
            self._facts[kind] = tuple(self._readers[kind](self))
        return self._facts[kind]

    @property
    def targets(self) -> Targets:
        """The versions of the frameworks that the file is written for."""
        return self.all(Targets)[0]

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call of the file, in the order of the source."""
        return self.all(Call)

    def code(self, node: cst.CSTNode) -> Code:
        return as_code(node, self.reading)
