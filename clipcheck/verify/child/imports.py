"""What happens when the script imports something: watchers are installed, notes are put into its own modules."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from clipcheck.verify.child.notes import Numbered, compiled

AfterImport = Callable[[ModuleType], None]


class NotedLoader(SourceFileLoader):
    """Loads a module with notes. Nothing of it is read from the byte code cache, or written there."""

    def __init__(self, name: str, path: str, notes: Sequence[Numbered]) -> None:
        super().__init__(name, path)
        self._notes = notes

    def get_code(self, fullname: str) -> CodeType:
        return compiled(self.get_data(self.path), self.path, self._notes)


class Finder(MetaPathFinder):
    """Leaves the finding to the others, and changes what they found where it is one of ours.

    callbacks: what to call with a module of that name right after its import. notes: by the real path of a file.
    """

    def __init__(self, callbacks: Mapping[str, AfterImport], notes: Mapping[str, Sequence[Numbered]]) -> None:
        self._callbacks = dict(callbacks)
        self._notes = dict(notes)
        self._stems = {_module_name(path) for path in notes}

    def install(self) -> None:
        sys.meta_path.insert(0, self)
        for name in self._callbacks.keys() & sys.modules.keys():  # by a `sitecustomize`, say
            self._callbacks[name](sys.modules[name])

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        callback = self._callbacks.get(fullname)
        if callback is None and fullname.rpartition(".")[2] not in self._stems:
            return None
        spec = self._found_by_others(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        notes = self._notes.get(os.path.realpath(spec.origin)) if spec.origin else None
        if notes and type(spec.loader) is SourceFileLoader:
            spec.loader = NotedLoader(fullname, spec.loader.path, notes)
        if callback is not None:
            _call_after(spec, callback)
        return spec

    def _found_by_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(fullname, path, target) if find and finder is not self else None
            if spec is not None:
                return spec
        return None


def _call_after(spec: ModuleSpec, callback: AfterImport) -> None:
    loader = spec.loader
    assert loader is not None
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        callback(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]  # of this one loader


def _module_name(path: str) -> str:
    """The last part of the name that a file has as a module."""
    file = Path(path)
    return file.parent.name if file.stem == "__init__" else file.stem
