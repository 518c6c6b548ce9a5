"""A rule's page: what its module's docstring says, and what its class says."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass

from clipcheck.engine.registry import family
from clipcheck.rule import Rule

OWN_PACK = "clipcheck_rules"
REPOSITORY = "https://github.com/clipcheck/clipcheck/blob/main"
_SECTION = re.compile(r"^## (?P<title>.+?)$\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_APPLICABILITY = re.compile(r"\b(un)?safe\b", re.IGNORECASE)


@dataclass(frozen=True)
class Page:
    """What can be told of a rule without a finding at hand."""

    code: str
    name: str
    family: str
    text: str
    """The whole page; its first paragraph says what is wrong."""
    severity: str
    default: bool
    """Whether the rule is on unless it is selected."""
    path: str | None
    """The file of a rule of our own, from the root of the repository."""

    @classmethod
    def of(cls, rule: Rule) -> Page:
        return cls(
            code=rule.code,
            name=rule.name,
            family=family(rule),
            text=_docstring(rule),
            severity=rule.severity.value,
            default=rule.default,
            path=_path(rule),
        )

    @property
    def summary(self) -> str:
        return self.text.partition("\n\n")[0].replace("\n", " ")

    @property
    def url(self) -> str | None:
        return f"{REPOSITORY}/{self.path}" if self.path else None

    @property
    def fix(self) -> str:
        """What kinds of fixes the page speaks of: "safe", "unsafe", "safe, unsafe" or ""."""
        sections = {found["title"]: found["text"] for found in _SECTION.finditer(self.text)}
        words = {found.group().lower() for found in _APPLICABILITY.finditer(sections.get("Fix", ""))}
        return ", ".join(sorted(words))


def _docstring(rule: Rule) -> str:
    """The docstring of the rule's module; without it (python -OO), at least the reason."""
    return inspect.cleandoc(sys.modules[type(rule).__module__].__doc__ or rule.why)


def _path(rule: Rule) -> str | None:
    pack, *below = type(rule).__module__.split(".")
    if pack == "clipcheck":
        return "/".join(["clipcheck", *below]) + ".py"
    return "/".join(["rules", *below]) + ".py" if pack == OWN_PACK else None
