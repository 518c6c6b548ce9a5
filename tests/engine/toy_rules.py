"""Rules that make every way through the engine easy to reach."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from collections.abc import Iterator
from typing import ClassVar

from clipcheck.edit import AddArgument, Fix, NeedDefinition, NeedImport, Remove, Replace, safe, unsafe
from clipcheck.engine.cards import Card, card_of
from clipcheck.engine.unused_suppression import UnusedSuppression
from clipcheck.finding import Finding
from clipcheck.model.code import Call
from clipcheck.model.script import Script
from clipcheck.rule import Rule, Severity, note


class _CallRule(Rule):
    """Finds the calls of one function."""

    function: ClassVar[str]
    why = "Because."
    advice = "Do not."

    def check(self, script: Script) -> Iterator[Finding]:
        for call in script.all(Call):
            if getattr(call.node.func, "value", None) == self.function:  # a plain name
                fix = self.fix(call)
                yield self.finding(call, f"{call.words} is wrong", evidence=[note(call.callee, "here")], fix=fix)

    def fix(self, call: Call) -> Fix | None:
        return None


class Unfixable(_CallRule):
    code = "TOY101"
    name = "unfixable"
    screen = re.compile(rb"unfixable")
    function = "unfixable"
    severity = Severity.ERROR


class Old(_CallRule):
    """A safe fix with an import."""

    code = "TOY201"
    name = "old"
    screen = re.compile(rb"old")
    function = "old"
    severity = Severity.WARNING

    def fix(self, call: Call) -> Fix:
        return safe("Replace `old`", Replace(call.node.func, "new.one"), NeedImport("new"))


class Risky(_CallRule):
    """An unsafe fix with a definition."""

    code = "TOY202"
    name = "risky"
    screen = re.compile(rb"risky")
    function = "risky"

    def fix(self, call: Call) -> Fix:
        definition = NeedDefinition("Guard", "class Guard:\n    def __call__(self):\n        return 1\n")
        return unsafe("Replace `risky`", Replace(call.node, "Guard()"), definition)


class Breaking(_CallRule):
    """A fix that leaves no valid Python behind."""

    code = "TOY301"
    name = "breaking"
    screen = re.compile(rb"breaking")
    function = "breaking"

    def fix(self, call: Call) -> Fix:
        return safe(
            "Break it", AddArgument(call.node, "k=1"), AddArgument(call.node, "k=1"), AddArgument(call.node, "1")
        )


class Worsening(_CallRule):
    """A fix that makes a new finding of an error class."""

    code = "TOY302"
    name = "worsening"
    screen = re.compile(rb"worsening")
    function = "worsening"

    def fix(self, call: Call) -> Fix:
        return safe("Make it worse", Replace(call.node, "unfixable()"))


class Removable(_CallRule):
    """A fix that is no longer possible when its neighbour was removed first."""

    code = "TOY303"
    name = "removable"
    screen = re.compile(rb"removable")
    function = "removable"

    def fix(self, call: Call) -> Fix:
        return safe("Remove it", Remove(call.node))


class Endless(_CallRule):
    """A fix after which there is as much to fix as before."""

    code = "TOY304"
    name = "endless"
    screen = re.compile(rb"endless")
    function = "endless"

    def fix(self, call: Call) -> Fix:
        return safe("Again", AddArgument(call.node, f"k{len(call.arguments)}=1"))


class Refused(_CallRule):
    """A fix that cannot be made where it is wanted."""

    code = "TOY305"
    name = "refused"
    screen = re.compile(rb"refused")
    function = "refused"

    def fix(self, call: Call) -> Fix:
        return safe("Impossible", Remove(call.node), Replace(call.node, "other()"))


class Crashing(_CallRule):
    code = "TOY901"
    name = "crashing"
    screen = re.compile(rb"crashing")
    function = "crashing"

    def check(self, script: Script) -> Iterator[Finding]:
        raise ZeroDivisionError("one by\nzero")
        yield


class Deadly(_CallRule):
    """Ends the process that it runs in. Not among the others."""

    code = "TOY903"
    name = "deadly"
    screen = re.compile(rb"deadly")
    function = "deadly"

    def check(self, script: Script) -> Iterator[Finding]:
        assert multiprocessing.parent_process() is not None
        os.kill(os.getpid(), signal.SIGKILL)
        yield


class OffByDefault(_CallRule):
    code = "TOY902"
    name = "off-by-default"
    screen = re.compile(rb"off")
    function = "off"
    default = False


RULES: tuple[Card, ...] = tuple(
    card_of(rule)
    for rule in (
        UnusedSuppression(),
        Unfixable(),
        Old(),
        Risky(),
        Breaking(),
        Worsening(),
        Removable(),
        Endless(),
        Refused(),
        Crashing(),
        OffByDefault(),
    )
)
DEADLY = card_of(Deadly())
