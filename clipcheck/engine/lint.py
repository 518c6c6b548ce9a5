"""Lint one file: screens, then the parser, then the rules; what they find becomes diagnostics with places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from clipcheck.diagnostic import Diagnostic, Problem
from clipcheck.engine.cards import Card
from clipcheck.engine.collecting import without_collecting
from clipcheck.engine.deep import with_deep_stack
from clipcheck.engine.parse import check_syntax
from clipcheck.engine.screen import Screens
from clipcheck.outline import Outline
from clipcheck.settings import Settings, is_match
from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError
from clipcheck.source.suppressions import Unused, read_suppressions

if TYPE_CHECKING:
    from clipcheck.engine.rewrite import Patch

_UNUSED_SUPPRESSION = "CLP001"
"""The rule that the engine itself judges: it alone knows what was silenced."""


class Result(Struct, frozen=True):
    """What was found in one file or in many, in the order in which it is reported, and what could not be done."""

    diagnostics: tuple[Diagnostic, ...] = ()
    problems: tuple[Problem, ...] = ()


class Found(Struct, frozen=True):
    """A diagnostic with its fix as changes of the text; `refusal` says why there is none although the rule has one."""

    diagnostic: Diagnostic
    patch: Patch | None = None
    refusal: str | None = None


class Examination(Struct, frozen=True):
    """All that was found in one file, sorted."""

    found: tuple[Found, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return tuple(found.diagnostic for found in self.found)


class Opened(Struct, frozen=True):
    """A file in which there may be findings: its text, and the rules that it may concern."""

    document: Document
    asked: tuple[Card, ...]


def lint_bytes(
    path: str, data: bytes, rules: Sequence[Card], settings: Settings, *, always_parse: bool = False
) -> Result:
    """Lint a file as it was read. One that concerns no selected rule is not even decoded, unless it must be parsed
    always."""
    try:
        opened = open_bytes(path, data, rules, settings, always=always_parse)
    except SourceError as error:
        return Result(problems=(Problem(path, error.message, error.position),))
    if opened is None:
        return Result()
    examination = examine(opened, rules, settings, always_parse=always_parse)
    return Result(examination.diagnostics, examination.problems)


def read(path: str, data: bytes, rules: Sequence[Card], settings: Settings, *, always: bool = False) -> Document | None:
    """The document, unless there can be no finding in it. Raises SourceError."""
    opened = open_bytes(path, data, rules, settings, always=always)
    return opened.document if opened else None


def open_bytes(
    path: str, data: bytes, rules: Sequence[Card], settings: Settings, *, always: bool = False
) -> Opened | None:
    """The document, unless there can be no finding in it. Raises SourceError."""
    # In a notebook's JSON, newlines and quotes are spelled in other ways than the screens expect.
    if path.endswith(".ipynb"):
        return open_document(Document.from_bytes(path, data), rules, settings)
    asked = _screens(rules, settings, path).passed(Outline(data))
    return Opened(Document.from_bytes(path, data), asked) if asked or always else None


def is_concerned(path: str, data: bytes, rules: Sequence[Card], settings: Settings) -> bool:
    """Whether a file's bytes leave it open that one of the rules finds something in it."""
    return path.endswith(".ipynb") or _screens(rules, settings, path).may_pass(Outline(data))


def open_document(document: Document, rules: Sequence[Card], settings: Settings) -> Opened:
    outline = Outline(document.code.encode(errors="surrogatepass"))
    return Opened(document, _screens(rules, settings, document.path).passed(outline))


def lint_document(
    document: Document, rules: Sequence[Card], settings: Settings, *, always_parse: bool = False
) -> Result:
    """Lint one document with those of the rules that the settings select."""
    examination = examine(open_document(document, rules, settings), rules, settings, always_parse=always_parse)
    return Result(examination.diagnostics, examination.problems)


def examine(opened: Opened, rules: Sequence[Card], settings: Settings, *, always_parse: bool = False) -> Examination:
    """Find what there is to find. `always_parse`: report a syntax error also where no rule needs the file parsed."""
    document = opened.document
    checking = [card for card in opened.asked if card.code != _UNUSED_SUPPRESSION]
    found: list[Found] = []
    problems: list[Problem] = []
    if not opened.asked:
        return Examination((), tuple(_syntax_problems(document))) if always_parse else Examination()
    suppressions = read_suppressions(document.code)
    if checking:
        from clipcheck.engine.judge import judged

        with without_collecting():
            found, problems = with_deep_stack(lambda: judged(document, checking, settings, suppressions))
    elif always_parse:
        problems = _syntax_problems(document)
    for card in opened.asked:
        if card.code == _UNUSED_SUPPRESSION and not problems:
            has_run = _has_run(rules, _screens(rules, settings, document.path).cards)
            found += _unused(suppressions.unused(has_run), card, document)
    return Examination(_in_order(found), tuple(problems))


_last: tuple[Sequence[Card], Settings, Screens] | None = None
"""What was asked for last: it is the same for all files of a run, but for those with ignores of their own."""


def _screens(rules: Sequence[Card], settings: Settings, path: str) -> Screens:
    """Those of the rules that are to run on a file."""
    global _last
    last = _last
    if last is None or last[0] is not rules or last[1] is not settings:
        selected = (card for card in rules if settings.is_selected(card.code, card.default))
        last = _last = rules, settings, Screens(selected)
    ignored = settings.ignores_for(Path(path))
    return Screens(card for card in last[2].cards if not is_match(card.code, ignored)) if ignored else last[2]


def _syntax_problems(document: Document) -> list[Problem]:
    try:
        check_syntax(document)
    except SourceError as error:
        return [Problem(document.path, error.message, error.position)]
    return []


def _has_run(rules: Sequence[Card], running: Sequence[Card]) -> Callable[[str], bool]:
    """Whether the rules of a code or prefix have run; those that are off unless they are named do not count."""
    idle = {rule.code for rule in rules if rule.default} - {rule.code for rule in running}
    return lambda code: not any(own.startswith(code) for own in idle)


def _unused(unused: Iterable[Unused], card: Card, document: Document) -> list[Found]:
    unused = list(unused)
    if not unused:
        return []
    from clipcheck.engine.judge import found_unused

    return [found_unused(each, card.rule, document) for each in unused]


def _in_order(found: Iterable[Found]) -> tuple[Found, ...]:
    """Sorted, and each finding once."""
    once = {(own.diagnostic.code, own.diagnostic.span, own.diagnostic.message): own for own in reversed(list(found))}
    return tuple(sorted(once.values(), key=lambda own: own.diagnostic.sort_key))
