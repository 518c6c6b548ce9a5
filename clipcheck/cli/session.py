"""What every command needs before it starts: the settings, the rules, the files. Imports all that is heavy."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import click
from msgspec import Struct
from msgspec.structs import replace

from clipcheck.cli.options import Choices, Effort
from clipcheck.cli.output import complain, text_width
from clipcheck.cli.page import url_of
from clipcheck.diagnostic import Diagnostic, Problem
from clipcheck.engine.cards import Card
from clipcheck.engine.registry import RulePackError, load_cards, selected
from clipcheck.report import Report
from clipcheck.report.colour import PLAIN, Paint, paint_for
from clipcheck.settings import Settings, SettingsError, find_settings, load_settings
from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError
from clipcheck.source.files import discover
from clipcheck.source.text import NEWLINE


class CannotStartError(click.ClickException):
    """The settings or the rules are broken: nothing can be checked."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        complain(self.message)


class Session(Struct, frozen=True, dict=True):
    """One run of a command."""

    chosen: Choices
    settings: Settings
    rules: tuple[Card, ...]
    """All rules of the rule packs; the settings say which of them are on."""

    @classmethod
    def open(cls, chosen: Choices) -> Session:
        """Raises CannotStartError."""
        settings = settings_for(chosen)
        rules = rules_for(settings)
        try:
            selected(rules, settings)
        except SettingsError as error:
            raise CannotStartError(str(error)) from None
        return cls(chosen, settings, rules)

    def with_effort(self, effort: Effort) -> Session:
        """Without screens, where the user doubts them."""
        if effort.screens:
            return self
        return replace(self, rules=tuple(card.without_screens() for card in self.rules))

    @cached_property
    def files(self) -> list[str | Problem]:
        """The files to check, and the paths that are none."""
        found = list(discover(self.chosen.paths, exclude=self.settings.exclude, root=self.settings.root))
        if not found:
            complain("no Python files found under the given paths", "warning")
        return found

    @cached_property
    def stdin(self) -> tuple[str, bytes]:
        """The name and the bytes of standard input."""
        return self.chosen.stdin_filename or "-", sys.stdin.buffer.read()

    @property
    def named(self) -> frozenset[str]:
        """The files that are named one by one: who does that wants to hear of a syntax error in any of them."""
        return frozenset(str(path) for path in map(Path, self.chosen.paths) if path.is_file())

    @property
    def paint(self) -> Paint:
        """The colours of standard output."""
        return paint_for(sys.stdout, os.environ)

    def report(
        self,
        diagnostics: Sequence[Diagnostic],
        problems: Sequence[Problem],
        output_format: str,
        *,
        to_stderr: bool = False,
    ) -> Report:
        """What is to be told, with the sources at hand."""
        stream = sys.stderr if to_stderr else sys.stdout
        for_people = output_format in ("full", "concise")
        sources = Sources(dict([self.stdin]) if self.chosen.from_stdin else {})
        cards = {card.code: card for card in self.rules}
        return Report(
            diagnostics=diagnostics,
            problems=problems,
            lines=sources.lines,
            url=lambda code: url_of(cards[code]) if code in cards else None,
            unsafe_fixes=self.settings.unsafe_fixes,
            paint=paint_for(stream, os.environ) if for_people else PLAIN,
            width=text_width,
        )


def settings_for(chosen: Choices) -> Settings:
    """The settings file's, overridden by the command line. Raises CannotStartError."""
    try:
        return _overridden(_from_file(chosen), chosen)
    except SettingsError as error:
        raise CannotStartError(str(error)) from None


def rules_for(settings: Settings) -> tuple[Card, ...]:
    """All rules of the rule packs. Raises CannotStartError."""
    # A team's own pack may lie beside its settings; at the end of the path it can hide no module of others.
    if str(settings.root) not in sys.path:
        sys.path.append(str(settings.root))
    try:
        return load_cards(settings.rule_packs)
    except RulePackError as error:
        raise CannotStartError(str(error)) from None


def _from_file(chosen: Choices) -> Settings:
    if chosen.isolated:
        return Settings()
    first = (chosen.stdin_filename or ".") if chosen.from_stdin else chosen.paths[0]
    file = chosen.config or find_settings(Path(first))
    return load_settings(file) if file else Settings()


def _overridden(settings: Settings, chosen: Choices) -> Settings:
    if chosen.select is not None:  # Who selects on the command line wants just that, whatever the file says.
        return replace(settings, select=chosen.select, extend_select=chosen.extend_select, ignore=chosen.ignore)
    still_ignored = tuple(code for code in settings.ignore if code not in chosen.extend_select)
    return replace(
        settings,
        extend_select=(*settings.extend_select, *chosen.extend_select),
        ignore=(*still_ignored, *chosen.ignore),
    )


class Sources:
    """The lines of files, read again when a finding in them is shown, one file at a time."""

    def __init__(self, given: dict[str, bytes]) -> None:
        self._given = given
        self._document = lru_cache(maxsize=1)(self._read)

    def lines(self, path: str, cell: int | None) -> Sequence[str]:
        document = self._document(path)
        if document is None:
            return ()
        if document.notebook is None or cell is None:
            return NEWLINE.split(document.code)
        return NEWLINE.split(document.notebook.cell_text(cell))

    def _read(self, path: str) -> Document | None:
        try:
            data = self._given[path] if path in self._given else Path(path).read_bytes()
            return Document.from_bytes(path, data)
        except (OSError, SourceError):
            return None
