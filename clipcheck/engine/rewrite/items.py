"""Lists between brackets, such as a call's arguments and a dict's entries: add to them, drop from them.

A list that has an element to a line goes on like that, with or without a comma behind the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import libcst as cst
from msgspec import Struct

from clipcheck.engine.rewrite.layout import lay_out
from clipcheck.engine.rewrite.source import Source
from clipcheck.source.text import TextChange


class Item(Struct, frozen=True):
    """An element: from where to where it goes, and where its comma ends if it has one."""

    start: int
    end: int
    comma: int | None

    @property
    def full_end(self) -> int:
        return self.end if self.comma is None else self.comma


class Items(Struct, frozen=True):
    """The elements of one list. `open` is behind its opening bracket, `close` before the closing one."""

    source: Source
    items: Sequence[Item]
    open: int
    close: int
    bracketed: bool = True

    def changed(self, dropped: set[int], added: Sequence[str], at: int | None = None) -> list[TextChange]:
        """Drop elements, and put new ones before the element at an index, or behind the last one.

        A new element takes the place of a last one that is dropped.
        """
        changes: list[TextChange] = []
        indent = self.source.indent(self.items[-1].start if self.items else self.open)
        codes = [lay_out(code, indent, self.source) for code in added]
        last = len(self.items) - 1
        if codes and last in dropped:
            changes.append((self.items[last].start, self.items[last].end, codes.pop(0)))
            dropped = dropped - {last}
        if codes:
            changes += self.append(codes) if at is None else self.insert(at, codes)
        return changes + self.drop(dropped)

    def append(self, codes: Sequence[str]) -> list[TextChange]:
        """Put new elements behind the last one."""
        if not self.items:
            return self._fill(codes)
        last = self.items[-1]
        if not self._starts_line(last):
            if last.comma is None:
                return [(last.end, last.end, "".join(f", {code}" for code in codes))]
            return [(last.comma, last.comma, "".join(f" {code}," for code in codes))]
        step = self.source.newline + self.source.indent(last.start)
        at = self.source.comment_end(last.full_end)
        if last.comma is not None:
            return [(at, at, "".join(f"{step}{code}," for code in codes))]
        lines = step + f",{step}".join(codes)
        return [(at, at, f",{lines}")] if at == last.end else [(last.end, last.end, ","), (at, at, lines)]

    def insert(self, index: int, codes: Sequence[str]) -> list[TextChange]:
        """Put new elements before the one at an index."""
        item = self.items[index]
        gap = self.source.newline + self.source.indent(item.start) if self._starts_line(item) else " "
        return [(item.start, item.start, "".join(f"{code},{gap}" for code in codes))]

    def drop(self, dropped: set[int]) -> list[TextChange]:
        """Take elements away, each with its comma, and with its comment if it has a line of its own."""
        if 0 < len(dropped) == len(self.items) and "#" not in self._text(self.open, self.close):
            return [(self.open, self.close, "")]
        return _united(self._drop(index, dropped) for index in sorted(dropped))

    def _drop(self, index: int, dropped: set[int]) -> tuple[int, int]:
        item = self.items[index]
        if self._has_own_line(item):
            return self.source.line_start(item.start), self.source.next_line(item.full_end)
        before = self.items[index - 1] if index else None
        if all(later in dropped for later in range(index, len(self.items))):
            if before is None or "#" in self._text(before.end, item.start):
                return item.start, item.full_end
            stays = item is self.items[-1] and len(dropped) < len(self.items)  # the last comma closes what is left
            return before.end, item.end if stays else item.full_end
        between = self._text(item.end, self.items[index + 1].start)
        if before is not None and ("#" in between or "\n" in between or "\r" in between):
            return before.full_end, item.full_end
        return item.start, item.full_end if "#" in between else self.items[index + 1].start

    def _fill(self, codes: Sequence[str]) -> list[TextChange]:
        inner = self._text(self.open, self.close)
        text = ", ".join(codes)
        if "#" not in inner:
            return [(self.open, self.close, text)]
        indent = self.source.indent(self.close)
        at = self.open + len(inner.rstrip())
        return [(at, at, f"{self.source.newline}{indent}{self.source.unit}{text},")]

    def _starts_line(self, item: Item) -> bool:
        return self.bracketed and self.source.starts_line(item.start)

    def _has_own_line(self, item: Item) -> bool:
        end = self.source.comment_end(item.full_end)
        return self._starts_line(item) and not self._text(end, self.source.line_end(end)).strip()

    def _text(self, start: int, end: int) -> str:
        return self.source.code[start:end]


def item(node: cst.Arg | cst.BaseDictElement | cst.ImportAlias | cst.Param, source: Source) -> Item:
    comma = source.end(node.comma) if isinstance(node.comma, cst.Comma) else None
    return Item(source.start(node), source.end(node), comma)


def _united(ranges: Iterable[tuple[int, int]]) -> list[TextChange]:
    """Ranges to be deleted, without overlaps."""
    united: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if united and start <= united[-1][1]:
            start, end = united[-1][0], max(end, united.pop()[1])
        united.append((start, end))
    return [(start, end, "") for start, end in united]
