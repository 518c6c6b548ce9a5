"""Results of earlier runs, so that a file is read again only if it changed, and checked again only if its bytes did.

A result is kept under all that it depends on: this program, the rule packs, the settings, and the file. A file counts
as unchanged while its times, its size and its inode are the same; else its bytes decide. Many runs may share a cache:
its files are replaced whole, so that the worst that can happen to one is that its results are worked out again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from zlib import adler32, crc32

from clipcheck import __version__
from clipcheck.applicability import Applicability
from clipcheck.diagnostic import Diagnostic, FixText, NoteText, Position, Span, TextEdit
from clipcheck.engine.cards import Card
from clipcheck.settings import Settings

FOLDER = ".clipcheck_cache"
"""The name of the folder, unless another one is chosen."""

_TAG = "CACHEDIR.TAG"  # https://bford.info/cachedir: programs for backups leave such a folder out
_TAG_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n# A cache of clipcheck, safe to delete.\n"
_FORMAT = 1
_SHARDS = 64
"""Into how many files the results are divided, by folder: a run over few files reads and writes few of them."""
_GENERATIONS = 8
"""For how many settings, rule packs and versions results are kept."""
_TICK = 2_000_000_000
"""A file that was written less than these nanoseconds ago may be written again without another time (FAT: 2 s)."""
_END = ";"  # of a stamp
_PARSED = "+"
_IRRELEVANT = {"cache_dir", "exclude", "root", "unsafe_fixes"}
"""The settings that change nothing about the findings in a file."""

_Json: TypeAlias = Any


class NotACacheError(Exception):
    """A folder that holds other things. The message names it."""


class Known(NamedTuple):
    """What is known of a file before it is read."""

    stamp: str
    """The file's times, size and inode; empty where it cannot be looked at."""
    state: str = ""
    """Of the file when it was checked: its stamp, a sign if it was parsed in any case, the digest of its bytes."""
    found: Sequence[_Json] = ()

    @property
    def is_unchanged(self) -> bool:
        return bool(self.stamp) and self.state.startswith(self.stamp)

    @property
    def is_clean(self) -> bool:
        """Whether it is unchanged, and had nothing in it that a rule looks for."""
        return self.stamp == self.state != ""

    @property
    def is_parsed(self) -> bool:
        """Whether it was parsed in any case; else there may be a syntax error in it that nobody has asked for."""
        return _PARSED in self.state

    @property
    def digest(self) -> str:
        """Of its bytes; empty if nothing in them was looked for by a rule."""
        return self.state.rpartition(_END)[2].removeprefix(_PARSED)

    def findings(self, path: str) -> tuple[Diagnostic, ...]:
        return tuple(_diagnostic(path, *found) for found in self.found)


class Cache:
    """The results for one set of settings and rules. Whatever goes wrong with its files, they are as good as absent."""

    def __init__(self, folder: Path, settings: Settings, cards: Iterable[Card]) -> None:
        """Raises NotACacheError."""
        if is_foreign(folder):
            raise NotACacheError(f"{folder} is not empty, and no cache of clipcheck")
        self._folder = folder
        self._generation = folder / _key(settings, cards)
        self._settled = time.time_ns() - _TICK
        self._working_directory = os.getcwd()
        self._shards: dict[int, _Shard] = {}
        self._results: dict[str, _Results] = {}

    def look(self, path: str) -> Known:
        folder, _, name = path.rpartition(os.sep)
        results = self._results.get(folder) or self._results_in(folder)
        return Known(_stamp(path), results.states.get(name, ""), results.findings.get(name, ()))

    def keep(
        self, path: str, stamp: str, digest: str = "", findings: Iterable[Diagnostic] = (), *, parsed: bool = False
    ) -> None:
        """Keep the result for a file that had this stamp before it was read."""
        folder, _, name = path.rpartition(os.sep)
        results = self._results_in(folder)
        results.findings.pop(name, None)
        results.states.pop(name, None)
        if stamp and _last_change(stamp) >= self._settled:
            stamp = _END if digest else ""
        if stamp:
            results.states[name] = stamp + (_PARSED if parsed else "") + digest
            if plain := [_plain(found) for found in findings]:
                results.findings[name] = plain
        results.shard.is_changed = True

    def save(self) -> None:
        """Write what is new; where that is not possible, it is worked out again the next time."""
        changed = [shard for shard in self._shards.values() if shard.is_changed]
        if changed:
            with suppress(OSError, ValueError):
                self._make_folders()
                for shard in changed:
                    shard.write()

    def _results_in(self, folder: str) -> _Results:
        if folder not in self._results:
            # Not made any shorter: where links are, `a/../b` need not be `b`.
            full = os.path.join(self._working_directory, folder)
            number = crc32(os.fsencode(full)) % _SHARDS
            if number not in self._shards:
                self._shards[number] = _Shard(self._generation / f"{number:02}")
            self._results[folder] = self._shards[number].results_in(full)
        return self._results[folder]

    def _make_folders(self) -> None:
        if self._generation.is_dir():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, text in ((_TAG, _TAG_TEXT), (".gitignore", "*\n")):
            if not (self._folder / name).exists():
                (self._folder / name).write_text(text, encoding="utf-8")
        self._generation.mkdir(exist_ok=True)
        generations = [path for path in self._folder.iterdir() if path.is_dir()]
        for old in sorted(generations, key=lambda path: -path.stat().st_mtime_ns)[_GENERATIONS:]:
            _remove(old)


def is_foreign(folder: Path) -> bool:
    """Whether a folder holds what is not ours."""
    try:
        return not (folder / _TAG).exists() and any(folder.iterdir())
    except (OSError, ValueError):
        return False


def clean(folder: Path) -> bool:
    """Remove a cache; False if there is none. Raises NotACacheError, and OSError if it cannot be removed."""
    if not folder.exists():
        return False
    if not folder.is_dir() or is_foreign(folder):
        raise NotACacheError(f"{folder} is no cache of clipcheck")
    import shutil

    shutil.rmtree(folder)
    return True


def digest_of(data: bytes) -> str:
    from hashlib import sha256

    return sha256(data).hexdigest()[:32]


class _Shard:
    """The results for some folders, which one file of the cache holds."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._folders = _read(file)
        self.is_changed = False

    def results_in(self, folder: str) -> _Results:
        states, findings = self._folders.setdefault(folder, [{}, {}])
        return _Results(states, findings, self)

    def write(self) -> None:
        """Raises OSError."""
        folders = {folder: kept for folder, kept in self._folders.items() if kept[0] and os.path.isdir(folder)}
        body = json.dumps(folders, separators=(",", ":")).encode()
        new = self._file.with_name(f"{os.urandom(8).hex()}.new")
        try:
            new.write_bytes(b"%08x\n" % crc32(body) + body)
            new.replace(self._file)
        finally:
            new.unlink(missing_ok=True)


class _Results(NamedTuple):
    """The results for the files in one folder, by their names."""

    states: dict[str, str]
    """See `Known.state`."""
    findings: dict[str, list[_Json]]
    shard: _Shard


def _read(file: Path) -> dict[str, list[Any]]:
    """What a file of the cache holds; nothing if it is not there or not whole."""
    try:
        checksum, _, body = file.read_bytes().partition(b"\n")
        folders: dict[str, list[Any]] = json.loads(body) if int(checksum, 16) == crc32(body) else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return folders


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _stamp(path: str) -> str:
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return ""
    return f"{state.st_ctime_ns} {state.st_mtime_ns} {state.st_size} {state.st_ino}{_END}"


def _last_change(stamp: str) -> int:
    return max(map(int, stamp.split()[:2]))


def _key(settings: Settings, cards: Iterable[Card]) -> str:
    """A name for all that results depend on, except for the files themselves."""
    chosen = [getattr(settings, name) for name in settings.__struct_fields__ if name not in _IRRELEVANT]
    if settings.per_file_ignores:
        chosen.append(settings.root)
    code = [_code_of(package) for package in ("clipcheck", "libcst", *settings.rule_packs)]
    text = repr([_FORMAT, __version__, sys.version, chosen, [tuple(card) for card in cards], code]).encode()
    return f"{crc32(text):08x}{adler32(text):08x}"


def _code_of(package: str) -> list[tuple[str, str]]:
    """The files of a package, with the stamps by which it shows that they were changed; of LibCST one is enough."""
    spec = find_spec(package)
    paths = [spec.origin or ""] if spec else []
    folders = list(spec.submodule_search_locations or ()) if spec and package != "libcst" else []
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.endswith(".py"):
                    paths.append(entry.path)
                elif entry.is_dir() and entry.name != "__pycache__":
                    folders.append(entry.path)
    # What cannot be looked at, in an archive for instance, is never the same as before.
    return [(path, _stamp(path) or str(time.time_ns())) for path in paths]


def _plain(found: Diagnostic) -> list[_Json]:
    """A finding without its path, as JSON can have it."""
    notes = [[_plain_span(note.span), note.words] for note in found.evidence]
    fix = found.fix and [
        found.fix.message,
        found.fix.applicability.value,
        [[_plain_span(edit.span), edit.content] for edit in found.fix.edits],
    ]
    return [found.code, found.name, _plain_span(found.span), found.message, found.why, found.advice, notes, fix]


def _plain_span(span: Span) -> list[int | None]:
    return [part for at in (span.start, span.end) for part in (at.row, at.column, at.cell)]


def _diagnostic(
    path: str, code: str, name: str, span: _Json, message: str, why: str, advice: str, notes: _Json, fix: _Json
) -> Diagnostic:
    return Diagnostic(
        path,
        code,
        name,
        _span(*span),
        message,
        why,
        advice,
        tuple(NoteText(_span(*at), words) for at, words in notes),
        _fix(*fix) if fix else None,
    )


def _fix(message: str, applicability: str, edits: _Json) -> FixText:
    changes = tuple(TextEdit(_span(*at), content) for at, content in edits)
    return FixText(message, Applicability(applicability), changes)


def _span(row: int, column: int, cell: int | None, end_row: int, end_column: int, end_cell: int | None) -> Span:
    return Span(Position(row, column, cell), Position(end_row, end_column, end_cell))
