"""What can be told of a file without reading it: what stands in its bytes, and which calls CPython's parser sees there.

Rules use it to say that a file cannot concern them. Everything errs towards "it may": what is said here must never be
surer than what the analysis finds out.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, TypeVar, cast

from clipcheck.outline.pieces import Piece, Pieces

_PLAIN = re.compile(rb"(?:[\w =,:/\"'@<>!%&;~`|-]|\\[.(\[*])+")
_OPENS_DEFINITION = re.compile(rb"(?:def|class)[ \t]+\Z")
_CALLED = re.compile(rb"(?:[\s\\)]|#[^\n]*\n)*\(")
_RENAMED = re.compile(rb"\s+as\s+(\w+)")
_GOES_ON = re.compile(rb"[ \t]*[\w(\[.]")
_DOTTED = re.compile(rb"[\s\\(]*(?:\w+[\s\\]*\.[\s\\]*)*")
_TARGET = re.compile(rb"([A-Za-z_]\w*)\s*(?::[^=\n]*)?\Z")
_FAR = 400
_LAST_WORD = re.compile(rb"(\w+)[\])\s]*\Z")
_IMPORTED = re.compile(rb"import\b\s*(\([^)]*\)|[^\n\\]*(?:\\\r?\n[^\n\\]*)*)")
_WORD = re.compile(rb"(?<![\w\x80-\xff])[A-Za-z_\x80-\xff][\w\x80-\xff]*")
_GIVEN = re.compile(rb"\s*(=)(?!=)")
_GIVEN_NAME = re.compile(rb"\s*(?::[^=\n]*)?=[\s\\(]*([A-Za-z_]\w*)[\w.]*[ \t)]*(?:[\n\r#;]|\Z)")


T = TypeVar("T")


class Site:
    """A call, and what stands around it in CPython's syntax tree."""

    def __init__(self, call: ast.Call, name: str, above: _Link) -> None:
        self.call = call
        self.name = name
        """The last part of what is called."""
        self._above = above

    @property
    def above(self) -> Iterator[ast.AST]:
        """What it stands in, from the inside out."""
        link: _Link = self._above
        while link is not None:
            node, link = link
            yield node

    @property
    def parent(self) -> ast.AST:
        return next(self.above)

    @property
    def statement(self) -> ast.stmt:
        return next(node for node in self.above if isinstance(node, ast.stmt))

    @property
    def function(self) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The function around it."""
        return next((n for n in self.above if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))), None)

    @property
    def home(self) -> ast.AST:
        """The function around it, else as much as was parsed of the module."""
        last: ast.AST = self.call
        for last in self.above:
            if isinstance(last, (ast.FunctionDef, ast.AsyncFunctionDef)):
                break
        return last

    @property
    def tree(self) -> ast.Module:
        """As much of the file as was parsed around it."""
        *_, last = self.above
        assert isinstance(last, ast.Module)
        return last

    @property
    def receiver(self) -> ast.expr | None:
        return self.call.func.value if isinstance(self.call.func, ast.Attribute) else None

    @property
    def root(self) -> str | None:
        """`np` of `np.linalg.norm(…)`; None where it is not called by names and dots alone."""
        node = self.receiver
        while isinstance(node, ast.Attribute):
            node = node.value
        return node.id if isinstance(node, ast.Name) else None

    @property
    def has_star(self) -> bool:
        return any(isinstance(a, ast.Starred) for a in self.call.args) or any(k.arg is None for k in self.call.keywords)

    def argument(self, position: int | None, *keywords: str) -> ast.expr | None:
        """The argument at a position (None: keyword only) or under one of the keywords."""
        for keyword in self.call.keywords:
            if keyword.arg in keywords:
                return keyword.value
        before = self.call.args[: position + 1] if position is not None else []
        if position is None or len(before) <= position or any(isinstance(a, ast.Starred) for a in before):
            return None
        return before[position]


_Link = tuple[ast.AST, "_Link"] | None


class Outline:
    """One file from outside. Every answer is kept: the conditions of many rules ask the same."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._found: dict[tuple[bytes, int], bool] = {}
        self._held: dict[bytes, bool] = {}
        self._behinds: dict[tuple[str, re.Pattern[bytes]], frozenset[str]] = {}
        self._words: dict[bytes, frozenset[str]] = {}
        self._calls: dict[tuple[frozenset[str], bytes], tuple[Site, ...]] = {}
        self._aliases: dict[frozenset[str], frozenset[str]] = {}
        self._pieces = Pieces(data)
        self._kept: dict[Callable[..., Any], Any] = {}

    def once(self, work: Callable[[Outline], T]) -> T:
        """What a function finds out about the file, worked out when it is first asked for."""
        if work not in self._kept:
            self._kept[work] = work(self)
        return cast(T, self._kept[work])

    def forget(self) -> None:
        """Drop what was found out. What refers to this object too would otherwise be left to the garbage collector."""
        self._kept.clear()

    def has(self, pattern: bytes, flags: int = 0) -> bool:
        """Whether a pattern is found somewhere in the bytes of the file."""
        key = (pattern, flags)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._search(pattern, flags)
        return found

    def has_any(self, patterns: Iterable[tuple[bytes, int]]) -> bool:
        """Whether one of several patterns is found."""
        return any(self.has(pattern, flags) for pattern, flags in patterns)

    def _search(self, pattern: bytes, flags: int) -> bool:
        words, search = _finder(pattern, flags)
        if search is not None:
            return search.search(self.data) is not None
        if flags:
            data = self.data.lower()
            return any(word in data for word in words)
        return any(map(self._holds, words))

    def _holds(self, word: bytes) -> bool:
        held = self._held.get(word)
        if held is None:
            held = self._held[word] = word in self.data
        return held

    def before(self, pattern: bytes) -> frozenset[str]:
        """The words that stand before what a pattern finds: for `.step(` what is stepped."""
        words = self._words.get(pattern)
        if words is None:
            found = (_LAST_WORD.search(self.data, max(0, m.start() - 80), m.start()) for m in self.finditer(pattern))
            words = self._words[pattern] = frozenset(word[1].decode() for word in found if word)
        return words

    def found(self, pattern: bytes) -> frozenset[str]:
        """What the group of a pattern holds, wherever it is found."""
        words = self._words.get(pattern)
        if words is None:
            found = (match[1] for match in self.finditer(pattern))
            words = self._words[pattern] = frozenset(word.decode(errors="replace") for word in found)
        return words

    def finditer(self, pattern: bytes) -> Iterator[re.Match[bytes]]:
        return re.finditer(pattern, self.data)

    @cached_property
    def imported(self) -> frozenset[str]:
        """Every word that stands in an import: among them all names that imports bind."""
        return frozenset(self._words_of_imports())

    def _words_of_imports(self) -> Iterator[str]:
        at = self.data.find(b"import")
        while at >= 0:
            names = _IMPORTED.match(self.data, at)
            if names:
                yield from (word.decode(errors="replace") for word in _WORD.findall(names[1]))
            at = self.data.find(b"import", at + 6)

    @property
    def defined(self) -> Mapping[str, list[int]]:
        """The names of the functions and classes that are defined in the file, perhaps in a string, and where."""
        return self.once(_definitions_of)

    def is_renamed(self, name: str) -> bool:
        """Whether a name may stand for something of another name, by `import … as` or a plain assignment."""
        return self.has(rb"as\s+%s\b" % name.encode()) or bool(self.names_given(name))

    def is_given(self, name: str) -> bool:
        """Whether something is assigned to a name, or to an attribute or keyword of that name."""
        return bool(self._behind(name, _GIVEN))

    def names_given(self, name: str) -> frozenset[str]:
        """The first words of dotted names that are assigned to a name: `numpy` for `xp = numpy.ma`."""
        return self._behind(name, _GIVEN_NAME)

    def _behind(self, name: str, pattern: re.Pattern[bytes]) -> frozenset[str]:
        """What the group of a pattern holds that is found right behind a name."""
        known = self._behinds.get((name, pattern))
        if known is None:
            found = (pattern.match(self.data, end) for _, end in self.occurrences(frozenset({name})))
            known = self._behinds[name, pattern] = frozenset(match[1].decode() for match in found if match)
        return known

    def calls(self, names: Iterable[str], near: bytes = b"") -> tuple[Site, ...]:
        """The calls of functions and methods of these names, also under other names that the file gives them.

        `near`: only those for which a pattern is found in the same function. Raises CannotTellError.
        """
        key = frozenset(names), near
        sites = self._calls.get(key)
        if sites is None:
            sites = self._calls[key] = tuple(self._sites(*key))
        return sites

    def _sites(self, names: frozenset[str], near: bytes) -> Iterator[Site]:
        places_of: dict[Piece, set[int]] = {}
        for at in self.call_places(names):
            places_of.setdefault(self._pieces.at(at), set()).add(at)
        for piece, places in places_of.items():
            if near and not _compiled(near).search(self.data, piece.start, piece.end):
                continue
            aliases = self.aliases(names)
            for node, above in self._nodes_in(piece, places):
                if isinstance(node, ast.Call) and (name := last_name(node.func)) in aliases:
                    yield Site(node, name, above)

    def nodes_at(self, pattern: bytes) -> Iterator[ast.AST]:
        """The nodes that stand on the lines on which a pattern is found, or around them. Raises CannotTellError."""
        places_of: dict[Piece, set[int]] = {}
        for found in self.finditer(pattern):
            places_of.setdefault(self._pieces.at(found.start()), set()).update((found.start(), found.end() - 1))
        for piece, places in places_of.items():
            yield from (node for node, _ in self._nodes_in(piece, places))

    def _nodes_in(self, piece: Piece, places: set[int]) -> Iterator[tuple[ast.AST, _Link]]:
        """The nodes on the lines of these places."""
        tree, start, first = self._pieces.part(piece)
        return _nodes_on(tree, sorted({self.data.count(b"\n", start, at) + first for at in places}))

    def tree_at(self, at: int) -> ast.Module:
        """The smallest part around an offset that was parsed by itself. Raises CannotTellError."""
        return self._pieces.part(self._pieces.at(at)).tree

    def call_places(self, names: frozenset[str]) -> Iterator[int]:
        """Where a name, or another one that the file gives to it, stands before a parenthesis and is not defined."""
        for start, end in self.occurrences(self.aliases(names)):
            if _CALLED.match(self.data, end) and not _OPENS_DEFINITION.search(self.data, max(0, start - 20), start):
                yield start

    def aliases(self, names: frozenset[str]) -> frozenset[str]:
        """The names, and those that `import … as` and plain assignments give them."""
        known = self._aliases.get(names)
        if known is None:
            known, todo = names, names
            while todo:
                found = {self._other_name(start, end) for start, end in self.occurrences(todo)}
                todo = frozenset(found) - known - {""}
                known |= todo
            self._aliases[names] = known
        return known

    def _other_name(self, start: int, end: int) -> str:
        """The name that `clamp as c` and `c = torch.clamp` give to what stands there; "" if it is something else."""
        renamed = _RENAMED.match(self.data, end)
        if renamed:
            return renamed[1].decode()
        if _GOES_ON.match(self.data, end):
            return ""
        before = self.data[max(0, start - _FAR) : start]
        equal = before.rfind(b"=")
        if equal < 0 or not _DOTTED.fullmatch(before, equal + 1):
            return ""
        target = _TARGET.search(before, max(0, equal - _FAR // 2), equal)
        return target[1].decode() if target else ""

    def occurrences(self, names: frozenset[str]) -> Iterator[tuple[int, int]]:
        """Where the names stand as whole words."""
        data, (stems, words) = self.data, _words(names)
        for stem in filter(self._holds, stems):
            at = data.find(stem)
            while at >= 0:
                found = _WORD.match(data, at)
                if found and found[0] in words:
                    yield at, found.end()
                at = data.find(stem, at + len(stem))

    @property
    def tree(self) -> ast.Module:
        """All of the file. Raises CannotTellError."""
        return self._pieces.whole


@lru_cache(maxsize=1024)
def _finder(pattern: bytes, flags: int) -> tuple[tuple[bytes, ...], re.Pattern[bytes] | None]:
    """A search for plain words is several times quicker than one for a pattern."""
    if flags in (0, re.IGNORECASE) and _PLAIN.fullmatch(pattern):
        return tuple((pattern.lower() if flags else pattern).replace(b"\\", b"").split(b"|")), None
    return (), re.compile(pattern, flags)


@lru_cache(maxsize=256)
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern)


def implies(condition: Iterable[tuple[bytes, int]], other: Iterable[tuple[bytes, int]]) -> bool:
    """Whether plain words show that wherever one condition holds, the other does."""
    words, others = _plain_words(condition), _plain_words(other)
    return bool(words) and all(any(inner in word for inner in others) for word in words)


def _plain_words(condition: Iterable[tuple[bytes, int]]) -> list[bytes]:
    """The words of which one is enough; none if a pattern is more than words."""
    words: list[bytes] = []
    for pattern, flags in condition:
        own, search = _finder(pattern, flags)
        if search is not None or flags:
            return []
        words += own
    return words


@lru_cache(maxsize=256)
def _words(names: frozenset[str]) -> tuple[tuple[bytes, ...], frozenset[bytes]]:
    """What all of the names begin with, which is quicker to find, and the names."""
    words = frozenset(name.encode() for name in names)
    return tuple(w for w in words if not any(w.startswith(other) for other in words if other != w)), words


def _definitions_of(outline: Outline) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for found in outline.finditer(rb"\b(?:def|class)\s+(\w+)"):
        places.setdefault(found[1].decode(), []).append(found.start())
    return places


def _nodes_on(tree: ast.Module, lines: list[int]) -> Iterator[tuple[ast.AST, _Link]]:
    """The nodes that reach over one of the lines, each with what it stands in."""
    todo: list[tuple[ast.AST, _Link]] = [(tree, None)]
    while todo:
        node, above = todo.pop()
        yield node, above
        link = (node, above)
        for child in ast.iter_child_nodes(node):
            if _reaches(child, lines):
                todo.append((child, link))


def _reaches(node: ast.AST, lines: list[int]) -> bool:
    """Whether a node stands on one of the lines; those that have no place of their own may."""
    last = getattr(node, "end_lineno", None)
    if last is None:
        return True
    first = node.lineno  # type: ignore[attr-defined]
    for decorator in getattr(node, "decorator_list", ()):
        first = min(first, decorator.lineno)
    index = bisect_left(lines, first)
    return index < len(lines) and lines[index] <= last


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all expressions, statements and their parts below it, in no particular order: several times as fast
    as `ast.walk`."""
    todo = [node]
    while todo:
        node = todo.pop()
        yield node
        for field in _INNER[node.__class__]:
            inner = getattr(node, field)
            if inner.__class__ is list:
                todo += [each for each in inner if each is not None]
            elif inner is not None:
                todo.append(inner)


_WORDS = frozenset(
    "arg asname attr conversion ctx id is_async kind kwd_attrs level module name names op ops rest simple type_comment "
    "type_ignores".split()
)
"""The fields of nodes that hold no expressions and statements."""
_INNER = {
    kind: () if kind in (ast.Constant, ast.MatchSingleton) else tuple(f for f in kind._fields if f not in _WORDS)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}


def last_name(node: ast.AST) -> str:
    """`clamp` for `x.data.clamp` and for `clamp`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
