"""What would change, as `diff -u` shows it."""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.report.colour import PLAIN, Paint


def unified_diff(name: str, before: str, after: str, paint: Paint = PLAIN) -> Iterator[str]:
    """The changes of one text, for `patch -p0`; nothing where there are none."""
    import difflib

    lines = difflib.unified_diff(_lines(before), _lines(after), name, name)
    for line in lines:
        text = line.removesuffix("\n")
        style = _style(text)
        yield f"{paint(text, style) if style else text}\n"
        if text == line:
            yield "\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Lines as git counts them: the other line ends of Python are part of a line's text."""
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _style(line: str) -> str | None:
    if line.startswith(("---", "+++")):
        return "headline"
    return {"+": "added", "-": "removed", "@": "gutter"}.get(line[:1])
