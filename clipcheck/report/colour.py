"""Colours, where they are welcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TextIO, TypeAlias

Paint: TypeAlias = Callable[[str, str], str]
"""Paints a text in a style of `STYLES`."""

STYLES = {
    "headline": "1",
    "code": "1;31",
    "primary": "1;31",
    "evidence": "1;36",
    "gutter": "1;34",
    "label": "1",
    "safe": "32",
    "unsafe": "33",
    "faint": "2",
    "added": "32",
    "removed": "31",
}


def plain(text: str, style: str) -> str:
    return text


def ansi(text: str, style: str) -> str:
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if text else text


PLAIN: Paint = plain


def paint_for(stream: TextIO, environment: Mapping[str, str]) -> Paint:
    """Colours on a terminal only; https://no-color.org and https://force-color.org have the last word."""
    if environment.get("NO_COLOR"):
        return plain
    if environment.get("FORCE_COLOR"):
        return ansi
    return ansi if stream.isatty() and environment.get("TERM") != "dumb" else plain
