"""Judge one file: LibCST's tree, the rules that may find something, and the places of what they find.

Everything that needs LibCST is imported from here, so that a run over files in which there is nothing stays light.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from pathlib import Path

from clipcheck.analysis import read_script
from clipcheck.applicability import Applicability
from clipcheck.diagnostic import Diagnostic, FixText, NoteText, Problem, TextEdit
from clipcheck.engine.cards import Card
from clipcheck.engine.lint import Found
from clipcheck.engine.parse import parse
from clipcheck.engine.rewrite import CannotRewriteError, Patch, Source, resolve
from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.rule import Rule
from clipcheck.settings import Settings
from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError
from clipcheck.source.suppressions import Suppressions, Unused


def judged(
    document: Document, cards: Iterable[Card], settings: Settings, suppressions: Suppressions
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
    for card in cards:
        try:
            found += _findings(card.rule, script, document, source, suppressions)
        except Exception as error:
            problems.append(Problem(document.path, f"internal error in {card.code}: {_told(error)}"))
    script.reading.forget()
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


def found_unused(unused: Unused, rule: Rule, document: Document) -> Found:
    """A suppression comment that silences nothing."""
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


def _told(error: Exception) -> str:
    """An error and where it was raised, on one line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}".replace("\n", " ")
