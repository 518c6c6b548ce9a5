"""Which rules a file may concern: by its bytes first, then by what CPython's parser sees in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clipcheck.engine.cards import Card, Condition
from clipcheck.engine.collecting import without_collecting
from clipcheck.outline import CannotTellError, Outline, implies


class Screens:
    """The conditions of the rules that are to run. The first of each rule are asked in such an order that most files
    are done with after few of them: where `clip` is not found, `clip_grad` need not be looked for."""

    def __init__(self, cards: Iterable[Card]) -> None:
        self.cards = tuple(cards)
        by_first: dict[Condition, list[Card]] = {}
        for card in self.cards:
            by_first.setdefault(card.screen[0] if card.screen else (), []).append(card)
        self._always = by_first.pop((), [])
        self._widest: list[_Branch] = []
        for first in sorted(by_first, key=lambda first: sum(implies(first, other) for other in by_first)):
            _put(_Branch(first, by_first[first], []), self._widest)

    def may_pass(self, outline: Outline) -> bool:
        """Whether the bytes alone let a file pass."""
        return next(self._by_bytes(outline), None) is not None

    def passed(self, outline: Outline) -> tuple[Card, ...]:
        """The rules that a file may concern, sorted by code."""
        left = list(self._by_bytes(outline))
        with without_collecting():
            found = tuple(sorted(card for card in left if _is_candidate(card, outline)))
            outline.forget()
        return found

    def _by_bytes(self, outline: Outline) -> Iterator[Card]:
        yield from self._always
        branches = list(self._widest)
        while branches:
            branch = branches.pop()
            if outline.has_any(branch.first):
                branches += branch.narrower
                yield from (card for card in branch.cards if all(map(outline.has_any, card.screen[1:])))


class _Branch(NamedTuple):
    """The rules with the same first condition, and the branches of the conditions that imply it."""

    first: Condition
    cards: list[Card]
    narrower: list[_Branch]


def _put(new: _Branch, branches: list[_Branch]) -> None:
    wider = next((branch for branch in branches if implies(new.first, branch.first)), None)
    if wider is None:
        branches.append(new)
    else:
        _put(new, wider.narrower)


def _is_candidate(card: Card, outline: Outline) -> bool:
    try:
        return not card.has_candidate or card.rule.candidate(outline)
    except CannotTellError:
        return True
