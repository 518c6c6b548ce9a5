"""Changing single values of a JSON text while all its other bytes stay as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TypeAlias

from clipcheck.source.text import TextChange, replaced

Keys: TypeAlias = tuple[str | int, ...]
"""The way to a value: the keys of objects and the indexes of lists, from the outside in."""
Spans: TypeAlias = dict[Keys, tuple[int, int]]

_TOKEN = re.compile(r'\s*(?P<token>"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+)')


def with_texts(text: str, texts: Mapping[Keys, str]) -> str:
    """The JSON text with new values for some texts.

    A text is a string or, as notebooks have it, a list of lines; it stays what it is, and a line of a list that is in
    the old and in the new value keeps its spelling.
    """
    spans = _spans(text)
    changes: list[TextChange] = []
    for keys, new in texts.items():
        start, end = spans[keys]
        if "".join(json.loads(text[start:end])) != new:
            changes.append((start, end, _encoded(text, spans, keys, new)))
    return replaced(text, changes)


def _encoded(text: str, spans: Spans, keys: Keys, new: str) -> str:
    start, end = spans[keys]
    # A file in pure ASCII escapes the rest, or has none so far.
    escaped = text.isascii()
    if text[start] == '"':
        return json.dumps(new, ensure_ascii=escaped)
    items: list[tuple[int, int]] = []
    while item := spans.get((*keys, len(items))):
        items.append(item)
    if not new or not items:
        return "[]" if not new else json.dumps([new], ensure_ascii=escaped)
    known = {json.loads(text[first:last]): text[first:last] for first, last in items}
    # nbformat splits a source by str.splitlines.
    lines = [known.get(line) or json.dumps(line, ensure_ascii=escaped) for line in new.splitlines(keepends=True)]
    before, after = text[start : items[0][0]], text[items[-1][1] : end]
    return before + _separator(text, before, items).join(lines) + after


def _separator(text: str, before: str, items: list[tuple[int, int]]) -> str:
    """What stands between two items of a list; worked out from the style of the text where there is but one item."""
    if len(items) > 1:
        return text[items[0][1] : items[1][0]]
    indentation = before.removeprefix("[")
    return "," + (indentation or (" " if '": ' in text else ""))


def _spans(text: str) -> Spans:
    """Where every value stands. The text must be valid JSON."""
    spans: Spans = {}
    _read_value(text, 0, (), spans)
    return spans


def _read_value(text: str, at: int, keys: Keys, spans: Spans) -> int:
    token, start, end = _token(text, at)
    if token == "[":
        end = _read_items(text, end, keys, spans, closing="]")
    elif token == "{":
        end = _read_items(text, end, keys, spans, closing="}")
    spans[keys] = (start, end)
    return end


def _read_items(text: str, at: int, keys: Keys, spans: Spans, closing: str) -> int:
    token, start, end = _token(text, at)
    index = 0
    while token != closing:
        key: str | int = index
        if closing == "}":
            key = json.loads(token)
            _, _, start = _token(text, end)  # the colon
        end = _read_value(text, start, (*keys, key), spans)
        token, start, end = _token(text, end)
        if token == ",":
            token, start, end = _token(text, end)
        index += 1
    return end


def _token(text: str, at: int) -> tuple[str, int, int]:
    match = _TOKEN.match(text, at)
    if match is None:
        raise ValueError(f"no JSON at offset {at}")
    return match["token"], match.start("token"), match.end()
