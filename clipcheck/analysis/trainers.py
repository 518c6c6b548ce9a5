"""What is a trainer, and which clips go past one."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from clipcheck.analysis.reading import FileReading
from clipcheck.analysis.scopes import Binding, Kind
from clipcheck.frameworks.trainers import TRAINERS, Trainer


def trainer_of(reading: FileReading, node: cst.CSTNode) -> Trainer | None:
    """The kind of trainer that an expression is, if it can only be one."""
    return next((trainer for trainer in TRAINERS if is_trainer(reading, node, trainer)), None)


def is_trainer(reading: FileReading, node: cst.CSTNode, trainer: Trainer) -> bool:
    """Whether an expression is surely this trainer: by the call that made it, else by the name that everybody uses."""
    made = made_by(reading, node)
    if made:
        return all(reading.api(call.func) in trainer.makers for call in made)
    name = (reading.dotted(node) or "").rpartition(".")[2]
    if name not in trainer.names or (reading.dotted(node) or "").count(".") > 1:
        return False
    return not trainer.packages or any(_imports(reading, package) for package in trainer.packages)


def made_by(reading: FileReading, node: cst.CSTNode) -> list[cst.Call]:
    """The calls that make an object; none if not all of them are known."""
    found: list[cst.Call] = []
    for binding in _bindings(reading, node):
        trainer = _tuple_maker(reading, binding)
        if trainer is not None and binding.path == (trainer.part,):
            assert isinstance(binding.value, cst.Call)
            found.append(binding.value)
    if found:
        return found
    origins = reading.origins.of(node)
    calls = [origin for origin in origins if isinstance(origin, cst.Call)]
    return calls if len(calls) == len(origins) else []


def _tuple_maker(reading: FileReading, binding: Binding) -> Trainer | None:
    if binding.kind is not Kind.ASSIGN or not isinstance(binding.value, cst.Call):
        return None
    api = reading.api(binding.value.func)
    return next((trainer for trainer in TRAINERS if trainer.part is not None and api in trainer.makers), None)


def _bindings(reading: FileReading, node: cst.CSTNode) -> list[Binding]:
    if isinstance(node, cst.Name):
        return reading.flow.reaching(node)
    class_ = reading.origins.class_of(node.value) if isinstance(node, cst.Attribute) else None
    if class_ is not None and isinstance(node, cst.Attribute):
        return reading.values.attribute_bindings(class_, node.attr.value)
    return []


def _imports(reading: FileReading, package: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for name in reading.scopes.imported_modules)


def bases_of(reading: FileReading, class_: cst.ClassDef) -> Iterator[str]:
    """The canonical names of the bases of a class that are not of this file."""
    for known in reading.classes.chain(class_):
        yield from (base for base in reading.classes.base_names(known) if not base.startswith("__main__."))
