"""Which rules there are: those of the rule packs, which are packages named by their import path."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from types import ModuleType

from clipcheck.engine.unused_suppression import UnusedSuppression
from clipcheck.rule import Rule
from clipcheck.settings import Settings, SettingsError, is_match

_CODE = re.compile(r"[A-Z]+[0-9]+")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class RulePackError(Exception):
    """A rule pack that cannot be used. The message names the pack and says why."""


@lru_cache(maxsize=8)
def load_rules(packs: tuple[str, ...] = ("clipcheck_rules",)) -> tuple[Rule, ...]:
    """The rules of the packs and the engine's own, sorted by code. Raises RulePackError."""
    rules: dict[str, Rule] = {UnusedSuppression.code: UnusedSuppression()}
    for pack in packs:
        for rule in _rules_of(pack):
            other = rules.setdefault(rule.code, rule)
            if type(other) is not type(rule):
                raise RulePackError(f"{_where(rule)} and {_where(other)} have the same code {rule.code}")
    return tuple(rules[code] for code in sorted(rules))


def selected(rules: Iterable[Rule], settings: Settings) -> tuple[Rule, ...]:
    """The rules that are to run. Raises SettingsError if a selector matches no rule."""
    rules = tuple(rules)
    for key, selector in _selectors(settings):
        if not any(is_match(rule.code, [selector]) for rule in rules):
            raise SettingsError(f"`{selector}` in `{key}` matches no rule")
    return tuple(rule for rule in rules if settings.is_selected(rule.code, rule.default))


def family(rule: Rule) -> str:
    """The folder that the rule's file lies in."""
    return type(rule).__module__.split(".")[-2]


def families(rules: Iterable[Rule]) -> dict[str, tuple[Rule, ...]]:
    """The rules of each family, in the order given."""
    grouped: dict[str, tuple[Rule, ...]] = {}
    for rule in rules:
        grouped[family(rule)] = (*grouped.get(family(rule), ()), rule)
    return grouped


def _selectors(settings: Settings) -> Iterator[tuple[str, str]]:
    lists = {
        "select": settings.select or (),
        "extend-select": settings.extend_select,
        "ignore": settings.ignore,
        "per-file-ignores": [own for codes in settings.per_file_ignores.values() for own in codes],
    }
    return ((key, selector) for key, selectors in lists.items() for selector in selectors)


def _rules_of(pack: str) -> list[Rule]:
    rules = [_made(kind) for module in _modules(pack) for kind in _rule_classes(module)]
    if not rules:
        raise RulePackError(f"rule pack `{pack}` holds no rule")
    return rules


def _modules(pack: str) -> Iterator[ModuleType]:
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
    for kind in vars(module).values():
        if (
            inspect.isclass(kind)
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
    if not isinstance(kind.screen.pattern, bytes):
        raise RulePackError(f"rule {where}: the screen must be a pattern of bytes")
    return kind()


def _where(rule: Rule) -> str:
    return f"{type(rule).__module__}.{type(rule).__name__}"
