"""What is known of rules without importing them: their cards, kept in the user's folder for such things.

Not beside the bytecode: what an installer does not know stays when it uninstalls, and hides what is installed next.
"""

from __future__ import annotations

import marshal
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from zlib import crc32

from clipcheck import __version__

if TYPE_CHECKING:
    from clipcheck.rule import Rule

Condition: TypeAlias = tuple[tuple[bytes, int], ...]
"""Patterns, one of which must be found, with the flags that they are compiled with."""


class Card(NamedTuple):
    """A rule, as far as it must be known to select it, and to say that a file does not concern it."""

    code: str
    name: str
    severity: str
    default: bool
    screen: tuple[Condition, ...]
    has_candidate: bool
    """Whether the rule has a say over the file's outline."""
    module: str
    kind: str
    """The name of the rule's class in the module."""

    @property
    def family(self) -> str:
        """The folder that the rule's file lies in."""
        return self.module.split(".")[-2] if "." in self.module else self.module

    @property
    def where(self) -> str:
        return f"{self.module}.{self.kind}"

    @property
    def rule(self) -> Rule:
        """The rule itself: imports its module."""
        return _rule(self.module, self.kind)

    def without_screens(self) -> Card:
        """The same rule, asked of every file."""
        return self._replace(screen=(), has_candidate=False)


@lru_cache(maxsize=512)
def _rule(module: str, kind: str) -> Rule:
    rule: Rule = getattr(import_module(module), kind)()
    return rule


def card_of(rule: Rule) -> Card:
    from clipcheck.rule import Rule

    kind = type(rule)
    conditions = kind.screen if isinstance(kind.screen, tuple) else (kind.screen,)
    return Card(
        kind.code,
        kind.name,
        kind.severity.value,
        kind.default,
        tuple(map(_condition, conditions)),
        kind.candidate is not Rule.candidate,
        kind.__module__,
        kind.__qualname__,
    )


def _condition(words: bytes | re.Pattern[bytes] | tuple[bytes, ...]) -> Condition:
    if isinstance(words, re.Pattern):
        return ((words.pattern, int(words.flags)),)
    return tuple(map(_with_flags, words if isinstance(words, tuple) else (words,)))


def _with_flags(pattern: bytes) -> tuple[bytes, int]:
    """Words in any case are still plain words where that is not part of the pattern."""
    bare = pattern.removeprefix(b"(?i)")
    return bare, int(re.IGNORECASE) if bare != pattern else 0


def cards_of_pack(pack: str, make: Callable[[str], list[Card]]) -> list[Card]:
    """The cards of a pack as they were kept, or `make`s and keeps them."""
    place = _place_of(pack)
    if place is None:
        return make(pack)
    file, state = place
    kept = _kept(file, state)
    if kept is None:
        kept = make(pack)
        _keep(file, state, kept)
    return kept


def _place_of(pack: str) -> tuple[Path, Any] | None:
    """The file for a pack's cards, and what they depend on; None where a pack is no plain files."""
    try:
        spec = find_spec(pack)
        source = _source_of(spec)
        if source is None:
            return None
        name = f"{pack}-{crc32(str(source).encode()):08x}.{sys.implementation.cache_tag}.cards"
        return _folder() / name, [__version__, sys.version, str(source), *_files_of(spec, source)]
    except Exception:  # whatever is wrong with the pack, its import tells it better
        return None


def _folder() -> Path:
    """Where programs of the user keep what they can make again."""
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen, "clipcheck")
    if sys.platform == "win32":
        return Path(os.environ["LOCALAPPDATA"], "clipcheck", "Cache")
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "clipcheck"


def _source_of(spec: ModuleSpec | None) -> Path | None:
    if spec is None or spec.origin is None or not spec.has_location:
        return None
    source = Path(spec.origin)
    return source if source.suffix == ".py" else None


def _files_of(spec: ModuleSpec | None, source: Path) -> Iterator[tuple[str, int, int]]:
    """Each Python file of a pack with the time and size by which a change of it shows, and what a rule is."""
    for path in (str(source), str(Path(__file__)), str(Path(__file__).parents[1] / "rule.py")):
        yield _stamp(path)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.endswith(".py"):
                    yield _stamp(entry.path)
                elif entry.is_dir() and entry.name != "__pycache__":
                    folders.append(entry.path)


def _stamp(path: str) -> tuple[str, int, int]:
    state = Path(path).stat()
    return path, state.st_mtime_ns, state.st_size


def _kept(file: Path, state: Any) -> list[Card] | None:
    """The cards in a file; None if there are none, or they are of other files, or not whole."""
    try:
        of, cards = marshal.loads(file.read_bytes())
        return [Card(*card) for card in cards] if of == state else None
    except (OSError, EOFError, ValueError, TypeError):
        return None


def _keep(file: Path, state: Any, cards: list[Card]) -> None:
    """Whoever cannot write there does without."""
    own = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        own.write_bytes(marshal.dumps((state, [tuple(card) for card in cards])))
        own.replace(file)
    except (OSError, ValueError):
        with suppress(OSError):
            own.unlink(missing_ok=True)
