"""A suppression comment silences nothing.

## What it does
Reports `# clipcheck: ignore` comments, and codes in them, that no finding needs, and comments that are malformed.

## Why it is wrong
A comment that silences nothing today silences tomorrow's mistake on the same line.

## Example
```python
layer = Dense(64)  # clipcheck: ignore[CLP301]
```

## Use instead
```python
layer = Dense(64)
```

## Fix
Safe: removes the comment, or the codes that are not needed. A malformed one stays, because what its writer wanted it
to say cannot be known.

## Not flagged
Codes of rules that did not run because they are not selected, and a comment without codes unless all rules did.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.rule import Rule, Severity


class UnusedSuppression(Rule):
    """The engine itself judges this one: it alone knows what was silenced."""

    code = "CLP001"
    name = "unused-suppression"
    screen = re.compile(rb"clipcheck", re.IGNORECASE)
    severity = Severity.WARNING
    why = "A comment that silences nothing today silences tomorrow's mistake on the same line."
    advice = "Remove it."

    def check(self, script: Script) -> Iterator[Finding]:
        yield from ()
