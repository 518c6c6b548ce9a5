"""Which rules there are: those of the rule packs, which are packages named by their import path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from clipcheck.engine.cards import Card, card_of, cards_of_pack
from clipcheck.settings import Settings, SettingsError, is_match

if TYPE_CHECKING:
    from types import ModuleType

    from clipcheck.rule import Rule

_OWN = "clipcheck.engine.unused_suppression"
"""The rule of the engine itself."""
_CODE = re.compile(r"[A-Z]+[0-9]+")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class RulePackError(Exception):
    """A rule pack that cannot be used. The message names the pack and says why."""


@lru_cache(maxsize=8)
def load_cards(packs: tuple[str, ...] = ("clipcheck_rules",)) -> tuple[Card, ...]:
    """The rules of the packs and the engine's own, sorted by code. Raises RulePackError."""
    cards: dict[str, Card] = {}
    for pack in (_OWN, *packs):
        for card in cards_of_pack(pack, _cards_of):
            other = cards.setdefault(card.code, card)
            if other.where != card.where:
                raise RulePackError(f"{card.where} and {other.where} have the same code {card.code}")
    return tuple(cards[code] for code in sorted(cards))


def selected(cards: Iterable[Card], settings: Settings) -> tuple[Card, ...]:
    """The rules that are to run. Raises SettingsError if a selector matches no rule."""
    cards = tuple(cards)
    for key, selector in _selectors(settings):
        if not any(is_match(card.code, [selector]) for card in cards):
            raise SettingsError(f"`{selector}` in `{key}` matches no rule")
    return tuple(card for card in cards if settings.is_selected(card.code, card.default))


def _selectors(settings: Settings) -> Iterator[tuple[str, str]]:
    lists = {
        "select": settings.select or (),
        "extend-select": settings.extend_select,
        "ignore": settings.ignore,
        "per-file-ignores": [own for codes in settings.per_file_ignores.values() for own in codes],
    }
    return ((key, selector) for key, selectors in lists.items() for selector in selectors)


def _cards_of(pack: str) -> list[Card]:
    """By importing all of the pack."""
    cards = [card_of(_made(kind)) for module in _modules(pack) for kind in _rule_classes(module)]
    if not cards:
        raise RulePackError(f"rule pack `{pack}` holds no rule")
    return cards


def _modules(pack: str) -> Iterator[ModuleType]:
    import pkgutil

    module = _imported(pack, pack)
    yield module
    # A folder that cannot be imported fails below, when it is its turn.
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{pack}.", onerror=lambda name: None):
        yield _imported(found.name, pack)


def _imported(name: str, pack: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:
        where = "" if name == pack else f" ({name})"
        raise RulePackError(f"rule pack `{pack}`{where} cannot be imported: {type(error).__name__}: {error}") from error


def _rule_classes(module: ModuleType) -> Iterator[type[Rule]]:
    """The rules that a module defines; a class whose name starts with "_" is a base of some."""
    from clipcheck.rule import Rule

    for kind in vars(module).values():
        if (
            isinstance(kind, type)
            and issubclass(kind, Rule)
            and kind.__module__ == module.__name__
            and kind.check is not Rule.check
            and not kind.__name__.startswith("_")
        ):
            yield kind


def _made(kind: type[Rule]) -> Rule:
    where = f"{kind.__module__}.{kind.__name__}"
    for attribute in ("code", "name", "screen", "why", "advice"):
        if not hasattr(kind, attribute):
            raise RulePackError(f"rule {where} has no `{attribute}`")
    if not _CODE.fullmatch(kind.code):
        raise RulePackError(f"rule {where}: the code {kind.code!r} is not letters and digits, such as CLP301")
    if not _NAME.fullmatch(kind.name):
        raise RulePackError(f"rule {where}: the name {kind.name!r} is not in lower case with hyphens")
    if not _is_screen(kind.screen):
        raise RulePackError(f"rule {where}: the screen must be a pattern of bytes, or several")
    return kind()


def _is_screen(screen: object) -> bool:
    if isinstance(screen, re.Pattern):
        return isinstance(screen.pattern, bytes)
    return isinstance(screen, tuple) and bool(screen) and all(map(_is_condition, screen))


def _is_condition(condition: object) -> bool:
    return all(map(_is_pattern, condition if isinstance(condition, tuple) else (condition,)))


def _is_pattern(pattern: object) -> bool:
    try:
        return isinstance(pattern, bytes) and bool(re.compile(pattern))
    except re.error:
        return False
