"""What the classes of a file are: Keras layers, constraints, optimizers, torch modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from clipcheck.frameworks import BASES, LAYERS, OPTIMIZERS, canonical
from clipcheck.frameworks.keras import CONSTRAINTS
from clipcheck.model.value import Instance

if TYPE_CHECKING:
    from clipcheck.analysis.reading import FileReading


class Classes:
    """The kinds of the file's classes, through their bases in this file."""

    def __init__(self, reading: FileReading) -> None:
        self.reading = reading
        self._kinds: dict[str, str | None] = {}

    def kind(self, class_: cst.ClassDef) -> str | None:
        """ "layer", "model", "constraint", "optimizer", "module" …; None for a class of nobody's."""
        name = class_.name.value
        if name not in self._kinds:
            self._kinds[name] = None
            self._kinds[name] = self._kind_of_bases(class_)
        return self._kinds[name]

    def kind_of(self, instance: Instance) -> str | None:
        """What an object is: the kind of its class, of the frameworks or of this file."""
        if not instance.local:
            return kind_of_api(instance.of)
        for class_ in self.reading.tree.all(cst.ClassDef):
            if class_.name.value == instance.of:
                return self.kind(class_)
        return None

    def chain(self, class_: cst.ClassDef) -> list[cst.ClassDef]:
        """The class and its bases in this file, the nearest first."""
        found: list[cst.ClassDef] = [class_]
        for current in found:
            for base in current.bases:
                above = self.reading.values.local_class(self.reading.value(base.value))
                if above is not None and above not in found:
                    found.append(above)
        return found

    def method(self, class_: cst.ClassDef, name: str) -> cst.FunctionDef | None:
        """The method that runs when `name` is called on an instance; None where a subclass of this file may have its
        own, or where the method is there to be overridden."""
        for other in self.reading.tree.all(cst.ClassDef):
            if other is not class_ and class_ in self.chain(other) and own_method(other, name) is not None:
                return None
        for known in self.chain(class_):
            found = own_method(known, name)
            if found is not None:
                return None if _is_abstract(found) else found
        return None

    def base_names(self, class_: cst.ClassDef) -> list[str]:
        """The canonical names of the direct bases; those of this file begin with `__main__.`."""
        return [self.reading.api(base.value) or "" for base in class_.bases]

    def _kind_of_bases(self, class_: cst.ClassDef) -> str | None:
        for base in self.base_names(class_):
            if base.startswith("__main__."):
                above = self._named(base.removeprefix("__main__."), class_)
                kind = self.kind(above) if above is not None else None
            else:
                kind = kind_of_api(base)
            if kind is not None:
                return kind
        return None

    def _named(self, name: str, other_than: cst.ClassDef) -> cst.ClassDef | None:
        for class_ in self.reading.tree.all(cst.ClassDef):
            if class_.name.value == name and class_ is not other_than:
                return class_
        return None


def kind_of_api(name: str) -> str | None:
    """What instances of a framework's class are."""
    name = canonical(name)
    if name in BASES:
        return BASES[name]
    if name in OPTIMIZERS:
        return "optimizer"
    if name in CONSTRAINTS:
        return "constraint"
    namespace, _, last = name.rpartition(".")
    if not last[:1].isupper():
        return None
    if name in LAYERS or namespace == "keras.layers":
        return "layer"
    if namespace in ("torch.nn", "torchvision.models"):
        return None if last in ("Parameter", "ParameterList", "ParameterDict", "Buffer") else "module"
    if namespace == "keras.applications":
        return "model"
    return None


def own_method(class_: cst.ClassDef, name: str) -> cst.FunctionDef | None:
    """The method that the class's own body defines."""
    for statement in class_.body.body:
        if isinstance(statement, cst.FunctionDef) and statement.name.value == name:
            return statement
    return None


def _is_abstract(function: cst.FunctionDef) -> bool:
    """Whether a body does nothing but raise, or nothing at all."""
    statements = [
        small
        for line in function.body.body
        for small in (line.body if isinstance(line, cst.SimpleStatementLine) else (line,))
    ]
    return all(
        isinstance(small, (cst.Raise, cst.Pass))
        or (isinstance(small, cst.Expr) and not isinstance(small.value, cst.Call))
        for small in statements
    )
