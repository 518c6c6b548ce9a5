"""What a rule is. A rule file needs this module and the facts of `clipcheck.model`, nothing else of the tool."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from clipcheck.finding import Finding, Note

if TYPE_CHECKING:
    from clipcheck.edit import Fix
    from clipcheck.model.code import Code
    from clipcheck.model.script import Script
    from clipcheck.outline import Outline


class Severity(enum.Enum):
    """How bad a finding is. A fix that would make a new finding of class ERROR is not applied."""

    ERROR = "error"
    """It raises, or it trains something else than the code says."""
    WARNING = "warning"
    """It trains what it says, but slower, through a deprecated name, or without surviving a save."""


class Rule:
    """One thing that clipcheck knows. The module's docstring is the rule's page.

    A subclass is found by the engine when its module lies in a rule pack (a package named in `rule-packs`).
    """

    code: ClassVar[str]
    """The stable public code, such as "CLP301"."""
    name: ClassVar[str]
    """The rule's name in lower case with hyphens, also the name of its file (with underscores)."""
    screen: ClassVar[re.Pattern[bytes] | tuple[bytes | tuple[bytes, ...], ...]]
    """What the bytes of a file must contain for the rule to be able to fire: a pattern, or several, all of them; of
    those in a tuple of their own, one.

    A pattern of plain words (`rb"clip|clamp"`) is the quickest, and asked once for all rules that share it.
    """
    severity: ClassVar[Severity] = Severity.ERROR
    default: ClassVar[bool] = True
    """Whether the rule is on unless it is selected by name."""
    why: ClassVar[str]
    """What happens at run time, for somebody who does not know the API: one to three sentences."""
    advice: ClassVar[str]
    """What to do, in one sentence."""

    def candidate(self, outline: Outline) -> bool:
        """Whether the file may concern the rule, as far as CPython's parser shows: asked where the screen lets a file
        pass. It must be true wherever `check` finds something; without one, the screen alone decides."""
        return True

    def check(self, script: Script) -> Iterator[Finding]:
        """Every misuse of this kind in the script."""
        raise NotImplementedError

    def finding(
        self,
        at: Code,
        message: str,
        *,
        evidence: Iterable[Note] = (),
        fix: Fix | None = None,
        why: str | None = None,
        advice: str | None = None,
    ) -> Finding:
        """A finding of this rule; `why` and `advice` may replace the rule's own where a case differs."""
        return Finding(
            code=self.code,
            name=self.name,
            node=at.node,
            message=message,
            why=why or self.why,
            advice=advice or self.advice,
            evidence=tuple(evidence),
            fix=fix,
        )


def note(at: Code, words: str) -> Note:
    """A piece of evidence: what the code at a place tells."""
    return Note(at.node, words)
