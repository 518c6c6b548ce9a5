"""Lint one file: screens, then the parser, then the rules; what they find becomes diagnostics with places."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipcheck.analysis import read_script
from clipcheck.diagnostic import Diagnostic, FixText, NoteText, Problem, TextEdit
from clipcheck.edit import Applicability
from clipcheck.engine.deep import with_deep_stack
from clipcheck.engine.parse import parse
from clipcheck.engine.rewrite import CannotRewriteError, Patch, Source, resolve
from clipcheck.engine.unused_suppression import UnusedSuppression
from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.rule import Rule
from clipcheck.settings import Settings, is_match
from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError
from clipcheck.source.suppressions import Suppressions, Unused, read_suppressions


@dataclass(frozen=True)
class Result:
    """What was found in one file or in many, in the order in which it is reported, and what could not be done."""

    diagnostics: tuple[Diagnostic, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Found:
    """A diagnostic with its fix as changes of the text; `refusal` says why there is none although the rule has one."""

    diagnostic: Diagnostic
    patch: Patch | None = None
    refusal: str | None = None


@dataclass(frozen=True)
class Examination:
    """All that was found in one file, sorted."""

    found: tuple[Found, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return tuple(found.diagnostic for found in self.found)


def lint_bytes(
    path: str, data: bytes, rules: Sequence[Rule], settings: Settings, *, always_parse: bool = False
) -> Result:
    """Lint a file as it was read. One that no selected rule's screen lets through is not even decoded, unless it must
    be parsed always."""
    try:
        document = read(path, data, rules, settings, always=always_parse)
    except SourceError as error:
        return Result(problems=(Problem(path, error.message, error.position),))
    return lint_document(document, rules, settings, always_parse=always_parse) if document else Result()


def read(path: str, data: bytes, rules: Sequence[Rule], settings: Settings, *, always: bool = False) -> Document | None:
    """The document, unless there can be no finding in it. Raises SourceError."""
    # In a notebook's JSON, newlines and quotes are spelled in other ways than the screens expect.
    if always or path.endswith(".ipynb") or _screened(_running(rules, settings, path), data):
        return Document.from_bytes(path, data)
    return None


def lint_document(
    document: Document, rules: Sequence[Rule], settings: Settings, *, always_parse: bool = False
) -> Result:
    """Lint one document with those of the rules that the settings select."""
    examination = examine(document, rules, settings, always_parse=always_parse)
    return Result(examination.diagnostics, examination.problems)


def examine(
    document: Document, rules: Sequence[Rule], settings: Settings, *, always_parse: bool = False
) -> Examination:
    """Find what there is to find. `always_parse`: report a syntax error also where no rule needs the file parsed."""
    running = _running(rules, settings, document.path)
    screened = _screened(running, document.code.encode(errors="surrogatepass"))
    checking = [rule for rule in screened if rule.code != UnusedSuppression.code]
    suppressions = read_suppressions(document.code)
    found: list[Found] = []
    problems: list[Problem] = []
    if checking or always_parse:
        found, problems = with_deep_stack(lambda: _checked(document, checking, settings, suppressions))
    for rule in screened:
        if rule.code == UnusedSuppression.code and not problems:
            has_run = _has_run(rules, running)
            found += [_unused(unused, rule, document) for unused in suppressions.unused(has_run)]
    return Examination(_in_order(found), tuple(problems))


def _running(rules: Sequence[Rule], settings: Settings, path: str) -> list[Rule]:
    ignored = settings.ignores_for(Path(path))
    return [
        rule for rule in rules if settings.is_selected(rule.code, rule.default) and not is_match(rule.code, ignored)
    ]


def _screened(rules: Iterable[Rule], data: bytes) -> list[Rule]:
    return [rule for rule in rules if rule.screen.search(data)]


def _checked(
    document: Document, rules: Sequence[Rule], settings: Settings, suppressions: Suppressions
) -> tuple[list[Found], list[Problem]]:
    """What the rules find and nobody has silenced, and what kept them from it."""
    try:
        module = parse(document)
        script = read_script(
            module,
            target_keras=settings.target_keras,
            target_torch=settings.target_torch,
            weight_clip_style=settings.weight_clip_style,
            cell_lines=document.cell_lines,
        )
    except SourceError as error:
        return [], [Problem(document.path, error.message, error.position)]
    except Exception as error:
        return [], [Problem(document.path, f"internal error: {_told(error)}")]
    source = Source(document.code, module, script.reading)
    found: list[Found] = []
    problems: list[Problem] = []
    for rule in rules:
        try:
            found += _findings(rule, script, document, source, suppressions)
        except Exception as error:
            problems.append(Problem(document.path, f"internal error in {rule.code}: {_told(error)}"))
    return found, problems


def _findings(
    rule: Rule, script: Script, document: Document, source: Source, suppressions: Suppressions
) -> list[Found]:
    found = []
    for finding in rule.check(script):
        first, last = source.lines(finding.node)
        if not suppressions.covers(finding.code, first, last):
            found.append(_found(finding, document, source))
    return found


def _found(finding: Finding, document: Document, source: Source) -> Found:
    patch: Patch | None = None
    refusal: str | None = None
    if finding.fix is not None:
        try:
            patch = resolve(finding.fix, source)
        except CannotRewriteError as error:
            refusal = str(error)
    diagnostic = Diagnostic(
        path=document.path,
        code=finding.code,
        name=finding.name,
        span=document.span(source.bare_start(finding.node), source.end(finding.node)),
        message=finding.message,
        why=finding.why,
        advice=finding.advice,
        evidence=tuple(
            NoteText(document.span(source.bare_start(note.node), source.end(note.node)), note.words)
            for note in finding.evidence
        ),
        fix=_fix_text(finding.fix.message, finding.fix.applicability, patch, document) if finding.fix else None,
    )
    return Found(diagnostic, patch, refusal)


def _fix_text(message: str, applicability: Applicability, patch: Patch | None, document: Document) -> FixText | None:
    if patch is None:
        return None
    edits = (TextEdit(document.span(start, end), text) for start, end, text in patch.changes)
    return FixText(message, applicability, tuple(edits))


def _has_run(rules: Sequence[Rule], running: Sequence[Rule]) -> Callable[[str], bool]:
    """Whether the rules of a code or prefix have run; those that are off unless they are named do not count."""
    idle = {rule.code for rule in rules if rule.default} - {rule.code for rule in running}
    return lambda code: not any(own.startswith(code) for own in idle)


def _unused(unused: Unused, rule: Rule, document: Document) -> Found:
    patch = Patch((unused.change,)) if unused.change else None
    start = document.offset(unused.line, unused.column)
    end = document.offset(unused.line, unused.end_column)
    diagnostic = Diagnostic(
        path=document.path,
        code=rule.code,
        name=rule.name,
        span=document.span(start, end),
        message=unused.message,
        why=rule.why,
        advice=rule.advice,
        fix=_fix_text("Remove what silences nothing", Applicability.SAFE, patch, document),
    )
    return Found(diagnostic, patch)


def _in_order(found: Iterable[Found]) -> tuple[Found, ...]:
    """Sorted, and each finding once."""
    once = {(own.diagnostic.code, own.diagnostic.span, own.diagnostic.message): own for own in reversed(list(found))}
    return tuple(sorted(once.values(), key=lambda own: own.diagnostic.sort_key))


def _told(error: Exception) -> str:
    """An error and where it was raised, on one line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}".replace("\n", " ")
