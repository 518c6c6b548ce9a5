"""What CPython's syntax tree tells of the classes of a file."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import TypeAlias

from clipcheck.frameworks import CLIPS, GRADIENT_CLIPS, LAYERS, OPTIMIZERS
from clipcheck.frameworks.keras import CONSTRAINTS
from clipcheck.frameworks.names import last_names
from clipcheck.outline.outline import Outline, last_name, walk
from clipcheck.outline.pieces import CannotTellError

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_HEADER = re.compile(rb"^([ \t\f]*)class[ \t]+[\w\\]", re.MULTILINE)
_CLASS_NAME = re.compile(rb"\bclass[\s\\]+(\w+)")
_METHOD = re.compile(rb"^([ \t]+)(?:@|def\b|async\b)", re.MULTILINE)
_BASES = re.compile(rb"\bclass[\s\\]+\w+[\s\\]*\(((?:[^()#]|\([^()]*\)|#[^\n]*\n)*)")
_TOP_LEVEL = re.compile(rb"^[^\s#)\]}]", re.MULTILINE)
_CALLED = rb"(?:[\s\\)]|#[^\n]*\n)*\("
_LONE_RETURN = re.compile(rb"\r(?!\n)")
_IMPORT = re.compile(rb"import\b[ \t]*(?:\((?:[^)#]|#[^\n]*\n)*\)|[^\n\\]*(?:\\\r?\n[^\n\\]*)*)")
_LAYERS = re.compile(rb"\blayers\b")
_KERAS = re.compile(rb"\b(?:keras|tf_keras|tensorflow)\b")
_CONTINUED = re.compile(rb"\\\r?\n")
_NAME = re.compile(rb"[A-Za-z_]\w*|\*")
_GIVEN = rb"\b%s\s*(?::[^=\n]*)?=(?!=)[\s\\(]*([A-Za-z_][\w.]*)"
_FAR = 300
_CLIPS = last_names(CLIPS, GRADIENT_CLIPS)
_CONSTRAINTS = last_names(CONSTRAINTS, {"Constraint"})
_CLASSES = _CONSTRAINTS | last_names(LAYERS, OPTIMIZERS, {"Layer"})


class Piece:
    """A class on the top level of a file, with all that stands in it; or the whole file, where that is uncertain."""

    def __init__(self, data: bytes, outline: Outline) -> None:
        self.data = data
        self.outline = outline

    @cached_property
    def classes(self) -> tuple[ast.ClassDef, ...]:
        """The class, and those inside it. Raises CannotTellError."""
        return tuple(_classes_in(self._tree))

    @cached_property
    def heads(self) -> bytes:
        """The bases of the classes, as written."""
        return b"\n".join(_BASES.findall(self.data))

    @cached_property
    def names(self) -> frozenset[str]:
        """What the classes are called."""
        return frozenset(name.decode() for name in _CLASS_NAME.findall(self.data))

    def surely_defines(self, *names: bytes) -> bool:
        """Whether it is one class, and one of these methods is its own."""
        own = re.search(rb"^([ \t]+)def[ \t]+(?:%s)\b" % b"|".join(names), self.data, re.MULTILINE)
        first = _METHOD.search(self.data)
        if own is None or first is None or own[1] != first[1] or len(_HEADER.findall(self.data)) > 1:
            return False
        return not any(self.data.count(quotes, 0, own.start()) % 2 for quotes in (b'"""', b"'''"))

    @property
    def _tree(self) -> ast.Module:
        if len(self.data) == len(self.outline.data):
            return self.outline.tree
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.data)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return self.outline.tree


def pieces(outline: Outline) -> tuple[Piece, ...]:
    """Where the classes of a file stand."""
    return outline.once(_pieces)


def _pieces(outline: Outline) -> tuple[Piece, ...]:
    data = outline.data
    found: list[Piece] = []
    end = 0
    for header in _HEADER.finditer(data):
        if header.start() < end:
            continue
        if header[1] or _LONE_RETURN.search(data):  # within a function, or an `if`
            return (Piece(data, outline),)
        below = _TOP_LEVEL.search(data, header.end())
        end = below.start() if below else len(data)
        found.append(Piece(data[header.start() : end], outline))
    return tuple(found)


def clipping_pieces(outline: Outline) -> tuple[Piece, ...]:
    """Those of which the bytes do not rule out that they hold a constraint, a clip, or a class derived from these."""
    return outline.once(_clipping_pieces)


def _clipping_pieces(outline: Outline) -> tuple[Piece, ...]:
    clips, constraints = _any_of(outline.aliases(_CLIPS), _CALLED), _any_of(outline.aliases(_CONSTRAINTS))
    found = {piece for piece in pieces(outline) if clips.search(piece.data) or constraints.search(piece.heads)}
    while found:
        known = _any_of(outline.aliases(frozenset().union(*(piece.names for piece in found))))
        more = {piece for piece in pieces(outline) if piece not in found and known.search(piece.heads)}
        if not more:
            break
        found |= more
    return tuple(piece for piece in pieces(outline) if piece in found)


@lru_cache(maxsize=64)
def _any_of(names: frozenset[str], then: bytes = b"") -> re.Pattern[bytes]:
    return re.compile(rb"\b(?:%s)\b%s" % (b"|".join(name.encode() for name in names), then))


def _classes_in(tree: ast.Module) -> Iterator[ast.ClassDef]:
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.ClassDef):
            yield node
        if not isinstance(node, (ast.expr, ast.arguments)):
            todo += ast.iter_child_nodes(node)


def method(class_: ast.ClassDef, name: str) -> Function | None:
    """The method that a class's own body defines."""
    functions = (node for node in class_.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return next((function for function in functions if function.name == name), None)


def parameters(function: Function) -> list[ast.arg]:
    """What a method takes by name, beside `self`."""
    given = function.args
    return [*given.posonlyargs, *given.args, *given.kwonlyargs][1:]


def lineage(class_: ast.ClassDef, outline: Outline) -> list[ast.ClassDef]:
    """The class, and those of the file that it derives from, the nearest first. Raises CannotTellError."""
    found = [class_]
    for current in found:
        for base in current.bases:
            found += [above for above in _of_file(base, current, outline) if above not in found]
    return found


def inherited(class_: ast.ClassDef, name: str, outline: Outline) -> Function | None:
    """A method of the class or of one of its bases in this file. Raises CannotTellError."""
    return next((found for each in lineage(class_, outline) if (found := method(each, name)) is not None), None)


def _of_file(base: ast.expr, class_: ast.ClassDef, outline: Outline) -> list[ast.ClassDef]:
    """The class of the file that a base is, if it is one: in `class Dense(Dense)` it is not."""
    names = _meanings(last_name(base), outline) - {class_.name}
    within = [piece for piece in pieces(outline) if piece.names & names]
    found = [class_ for piece in within for class_ in piece.classes if class_.name in names]
    if len(found) > 1:
        raise CannotTellError
    return found


def _meanings(name: str, outline: Outline) -> set[str]:
    """The name, and the last names of what the file assigns to it."""
    found: set[str] = set()
    todo = {name}
    while todo:
        found |= todo
        values = (outline.found(_GIVEN % name.encode()) for name in todo if name)
        todo = {value.rpartition(".")[2] for each in values for value in each} - found
    return found


def may_be_of_keras(class_: ast.ClassDef, outline: Outline) -> bool:
    """Whether a class may be a constraint, a layer or an optimizer, and derive from nothing that is not Keras's. Raises
    CannotTellError."""
    framework = [
        base
        for each in lineage(class_, outline)
        for base in each.bases
        if last_name(base) != "object" and not _of_file(base, each, outline)
    ]
    return all(_may_be_from(_KERAS, base, outline) for base in framework) and any(
        last_name(base) in outline.aliases(_CLASSES) or _may_be_from(_LAYERS, base, outline) for base in framework
    )


def _may_be_from(module: re.Pattern[bytes], base: ast.expr, outline: Outline) -> bool:
    """Whether something comes from such a module by an import, or from where it is assigned to a name."""
    parts = []
    while isinstance(base, ast.Attribute):
        parts.append(base.attr)
        base = base.value
    if not isinstance(base, ast.Name):
        return False
    names = {name for statement in imports(outline) if module.search(statement) for name in _words(statement)}
    is_named = any(module.fullmatch(part.encode()) for part in parts)
    return is_named or base.id in names or "*" in names or len(_meanings(base.id, outline)) > 1


def imports(outline: Outline) -> tuple[bytes, ...]:
    """The import statements, each from where its line begins."""
    return outline.once(_imports)


def _imports(outline: Outline) -> tuple[bytes, ...]:
    found = []
    for imported in _IMPORT.finditer(outline.data):
        before = outline.data[max(0, imported.start() - _FAR) : imported.start()]
        line = _CONTINUED.sub(b" ", before).rpartition(b"\n")[2]
        if not line.lstrip().startswith(b">>>"):  # an example in a docstring
            found.append(line + imported[0])
    return tuple(found)


def _words(statement: bytes) -> list[str]:
    return [word.decode() for word in _NAME.findall(statement)]


def may_be_constraint(class_: ast.ClassDef, outline: Outline) -> bool:
    """Whether a class may derive from a constraint. Raises CannotTellError."""
    constraints = outline.aliases(_CONSTRAINTS)
    return any(last_name(base) in constraints for each in lineage(class_, outline) for base in each.bases)


def may_clip(class_: ast.ClassDef, outline: Outline) -> bool:
    """Whether a class may be a constraint, or clip something in a method of its own or of a base. Raises
    CannotTellError."""
    clips = outline.aliases(_CLIPS)
    return may_be_constraint(class_, outline) or any(
        isinstance(node, ast.Call) and last_name(node.func) in clips
        for each in lineage(class_, outline)
        for node in walk(each)
    )
