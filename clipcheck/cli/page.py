"""A rule's page: what its module's docstring says, and what its class says."""

from __future__ import annotations

import inspect
import re
import sys

from msgspec import Struct

from clipcheck.engine.cards import Card

OWN_PACK = "clipcheck_rules"
REPOSITORY = "https://github.com/clipcheck/clipcheck/blob/main"
_SECTION = re.compile(r"^## (?P<title>.+?)$\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_APPLICABILITY = re.compile(r"\b(un)?safe\b", re.IGNORECASE)


class Page(Struct, frozen=True):
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
    def of(cls, card: Card) -> Page:
        return cls(
            code=card.code,
            name=card.name,
            family=card.family,
            text=_docstring(card),
            severity=card.severity,
            default=card.default,
            path=_path(card),
        )

    @property
    def summary(self) -> str:
        return self.text.partition("\n\n")[0].replace("\n", " ")

    @property
    def url(self) -> str | None:
        return _url(self.path)

    @property
    def fix(self) -> str:
        """What kinds of fixes the page speaks of: "safe", "unsafe", "safe, unsafe" or ""."""
        sections = {found["title"]: found["text"] for found in _SECTION.finditer(self.text)}
        words = {found.group().lower() for found in _APPLICABILITY.finditer(sections.get("Fix", ""))}
        return ", ".join(sorted(words))


def url_of(card: Card) -> str | None:
    """Where a rule of our own can be read."""
    return _url(_path(card))


def _url(path: str | None) -> str | None:
    return f"{REPOSITORY}/{path}" if path else None


def _docstring(card: Card) -> str:
    """The docstring of the rule's module; without it (python -OO), at least the reason."""
    rule = card.rule
    return inspect.cleandoc(sys.modules[card.module].__doc__ or rule.why)


def _path(card: Card) -> str | None:
    pack, *below = card.module.split(".")
    if pack == "clipcheck":
        return "/".join(["clipcheck", *below]) + ".py"
    return "/".join(["rules", *below]) + ".py" if pack == OWN_PACK else None
