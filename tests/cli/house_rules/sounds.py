"""Sounds are no names for a clip.

## What it does
Finds calls of `snap`, `crackle`, `pop` and `hiss`.

## Fix
Safe for `snap`, unsafe for `crackle`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from clipcheck.edit import Fix, Replace, safe, unsafe
from clipcheck.finding import Finding
from clipcheck.model.code import Call
from clipcheck.model.script import Script
from clipcheck.rule import Rule


class _Sound(Rule):
    sound: ClassVar[str]
    why = "Nobody knows what it does."
    advice = "Call it `clip`."

    def check(self, script: Script) -> Iterator[Finding]:
        for call in script.calls:
            if call.callee.text == self.sound:
                yield self.finding(call.callee, f"`{self.sound}` is a sound", fix=self.fix(call))

    def fix(self, call: Call) -> Fix | None:
        return None


class Snap(_Sound):
    code = "HSE101"
    name = "snap-sound"
    sound = "snap"
    screen = re.compile(rb"snap")

    def fix(self, call: Call) -> Fix | None:
        return safe("Call `clip`", Replace(call.callee.node, "clip"))


class Crackle(_Sound):
    code = "HSE102"
    name = "crackle-sound"
    sound = "crackle"
    screen = re.compile(rb"crackle")

    def fix(self, call: Call) -> Fix | None:
        return unsafe("Call `clip`", Replace(call.callee.node, "clip"))


class Pop(_Sound):
    code = "HSE201"
    name = "pop-sound"
    sound = "pop"
    screen = re.compile(rb"pop")


class Hiss(_Sound):
    code = "HSE301"
    name = "hiss-sound"
    sound = "hiss"
    screen = re.compile(rb"hiss")
    default = False
