"""Which rules a file may concern: by its bytes first, then by what CPython's parser sees in it."""

from __future__ import annotations

from collections.abc import Iterable

from clipcheck.engine.cards import Card, Condition
from clipcheck.engine.collecting import without_collecting
from clipcheck.outline import CannotTellError, Outline


class Screens:
    """The conditions of the rules that are to run, by the first of each: most files are done with after one look at
    each of these."""

    def __init__(self, cards: Iterable[Card]) -> None:
        self.cards = tuple(cards)
        self._by_first: dict[Condition | None, list[Card]] = {}
        for card in self.cards:
            self._by_first.setdefault(card.screen[0] if card.screen else None, []).append(card)

    def may_pass(self, outline: Outline) -> bool:
        """Whether the bytes alone let a file pass."""
        return any(
            all(map(outline.has_any, card.screen[1:]))
            for first, cards in self._by_first.items()
            if first is None or outline.has_any(first)
            for card in cards
        )

    def passed(self, outline: Outline) -> tuple[Card, ...]:
        """The rules that a file may concern, sorted by code."""
        found = []
        for first, cards in self._by_first.items():
            if first is None or outline.has_any(first):
                found += [card for card in cards if all(map(outline.has_any, card.screen[1:]))]
        with without_collecting():
            return tuple(sorted(card for card in found if _is_candidate(card, outline)))


def _is_candidate(card: Card, outline: Outline) -> bool:
    try:
        return not card.has_candidate or card.rule.candidate(outline)
    except CannotTellError:
        return True
