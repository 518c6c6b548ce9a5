"""Fix one file: apply the fixes that do not collide, look again, until nothing changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct

from clipcheck.applicability import Applicability
from clipcheck.diagnostic import Diagnostic, Position, Problem
from clipcheck.engine.cards import Card
from clipcheck.engine.lint import Examination, Found, Opened, examine, open_document
from clipcheck.settings import Settings
from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError
from clipcheck.source.text import TextChange

_ROUNDS = 50


class Fixed(Struct, frozen=True):
    """How many findings of one rule were fixed."""

    code: str
    name: str
    count: int


class Dropped(Struct, frozen=True):
    """A fix that was not applied, and why."""

    code: str
    position: Position
    reason: str


class FixResult(Struct, frozen=True):
    """A file before and after its fixes, and what is left in it.

    The documents are None where there was nothing to read: the file could not be, or has nothing that a rule looks for.
    """

    before: Document | None = None
    document: Document | None = None
    fixed: tuple[Fixed, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    problems: tuple[Problem, ...] = ()
    unsafe_waiting: int = 0
    dropped: tuple[Dropped, ...] = ()

    @property
    def is_changed(self) -> bool:
        return self.before is not None and self.document is not None and self.before.code != self.document.code


class _State(Struct, frozen=True):
    """A document and what was found in it."""

    document: Document
    examination: Examination


_Key: TypeAlias = tuple[str, str, str]


def fix_document(
    document: Document,
    rules: Sequence[Card],
    settings: Settings,
    *,
    unsafe: bool = False,
    always_parse: bool = False,
) -> FixResult:
    """Apply the safe fixes of the selected rules, with `unsafe` also the unsafe ones. `always_parse`: tell a syntax
    error also where no rule looks for anything."""
    opened = open_document(document, rules, settings)
    return fix_opened(opened, rules, settings, unsafe=unsafe, always_parse=always_parse)


def fix_opened(
    opened: Opened, rules: Sequence[Card], settings: Settings, *, unsafe: bool = False, always_parse: bool = False
) -> FixResult:
    """The same for a file of which it is known already which rules it may concern."""
    return _Fixing(opened, rules, settings, unsafe).result(always_parse)


class _Fixing:
    """The work on one document: what was fixed so far, and which fixes turned out to be of no use."""

    def __init__(self, opened: Opened, rules: Sequence[Card], settings: Settings, unsafe: bool) -> None:
        self.opened = opened
        self.before = opened.document
        self.rules = rules
        self.settings = settings
        self.unsafe = unsafe
        self.fixed: Counter[tuple[str, str]] = Counter()
        self.dropped: dict[_Key, Dropped] = {}
        self.severe = {rule.code for rule in rules if rule.severity == "error"}

    def result(self, always_parse: bool) -> FixResult:
        state = _State(self.before, examine(self.opened, self.rules, self.settings, always_parse=always_parse))
        problems: tuple[Problem, ...] = ()
        for _ in range(_ROUNDS):
            after = self._round(state)
            if after is None:
                break
            state = after
        else:
            problems = (Problem(self.before.path, f"the fixes still change the file after {_ROUNDS} rounds"),)
        self._drop_refused(state)
        return FixResult(
            self.before,
            state.document,
            tuple(Fixed(code, name, count) for (code, name), count in sorted(self.fixed.items())),
            state.examination.diagnostics,
            state.examination.problems + problems,
            sum(_is_unsafe(found) for found in self._left(state)) if not self.unsafe else 0,
            tuple(sorted(self.dropped.values(), key=lambda dropped: (dropped.position, dropped.code))),
        )

    def _round(self, state: _State) -> _State | None:
        """The document after the fixes that can be made now; None if there are none."""
        wanted = [found for found in self._left(state) if self.unsafe or not _is_unsafe(found)]
        while wanted:
            taken, _ = _combined(wanted)
            for chosen in self._choices(state, [wanted[index] for index in taken]):
                after = self._applied(state, chosen)
                if isinstance(after, _State):
                    self.fixed.update((found.diagnostic.code, found.diagnostic.name) for found in chosen)
                    return after
            wanted = [found for found in self._left(state) if found in wanted]
        return None

    def _choices(self, state: _State, fixes: Sequence[Found]) -> Iterator[Sequence[Found]]:
        """All together first; where that fails, those that are good alone; where that fails too, one of them."""
        yield fixes
        good = [found for found in fixes if self._is_good_alone(found, state)]
        if 0 < len(good) < len(fixes):
            yield good
        if good:
            yield good[:1]

    def _is_good_alone(self, found: Found, state: _State) -> bool:
        """Whether it can be applied by itself; if not, it is dropped."""
        after = self._applied(state, [found])
        if isinstance(after, str):
            self._drop(found, after, state.document)
        return isinstance(after, _State)

    def _applied(self, state: _State, fixes: Sequence[Found]) -> _State | str:
        """The document after some fixes, or the reason for not making them."""
        _, changes = _combined(fixes)
        try:
            document = state.document.edited(changes)
            document.encode()
        except (ValueError, SourceError) as error:
            return str(error)
        opened = open_document(document, self.rules, self.settings)
        after = examine(opened, self.rules, self.settings, always_parse=True)
        before = {problem.message for problem in state.examination.problems}
        for problem in after.problems:
            if problem.message not in before:
                return f"the result cannot be checked: {problem.message}"
        if worse := self._worse(state.examination, after, {found.diagnostic.code for found in fixes}):
            return f"it would bring a new finding of {worse}"
        return _State(document, after)

    def _worse(self, before: Examination, after: Examination, being_fixed: set[str]) -> str | None:
        """A rule of class ERROR that finds more after the fixes than before."""
        more = Counter(own.code for own in after.diagnostics)
        more.subtract(own.code for own in before.diagnostics)
        return min((code for code in self.severe - being_fixed if more[code] > 0), default=None)

    def _left(self, state: _State) -> list[Found]:
        """The findings with a fix that was not dropped."""
        return [
            found
            for found in state.examination.found
            if _changes_something(found, state.document) and _key(found, state.document) not in self.dropped
        ]

    def _drop(self, found: Found, reason: str, document: Document) -> None:
        start = found.diagnostic.span.start
        self.dropped[_key(found, document)] = Dropped(found.diagnostic.code, start, reason)

    def _drop_refused(self, state: _State) -> None:
        for found in state.examination.found:
            if found.refusal is not None:
                self._drop(found, found.refusal, state.document)


def _combined(fixes: Iterable[Found]) -> tuple[list[int], list[TextChange]]:
    """Which of the fixes can be made together, and the changes that they are."""
    from clipcheck.engine.rewrite import combine

    return combine([found.patch for found in fixes if found.patch is not None])


def _changes_something(found: Found, document: Document) -> bool:
    return found.patch is not None and any(document.code[start:end] != new for start, end, new in found.patch.changes)


def _is_unsafe(found: Found) -> bool:
    fix = found.diagnostic.fix
    return fix is not None and fix.applicability is Applicability.UNSAFE


def _key(found: Found, document: Document) -> _Key:
    """What stays the same of a finding when lines move."""
    diagnostic = found.diagnostic
    return diagnostic.code, diagnostic.message, document.source_line(diagnostic.span.start).strip()
