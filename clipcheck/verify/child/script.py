"""Runs a file as `__main__`, the way `python FILE` does."""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from clipcheck.verify.child.notes import Numbered, compiled


def run_as_main(script: Path, code: str | None, arguments: Sequence[str], notes: Sequence[Numbered]) -> None:
    """Returns or raises as the script does.

    script: its path as the user gave it. code: what to run in place of what the file holds.
    """
    path = str(script.absolute())
    module = ModuleType("__main__")
    module.__dict__.update(
        __annotations__={},
        __builtins__=sys.modules["builtins"],
        __cached__=None,
        __file__=path,
        __loader__=SourceFileLoader("__main__", path),
        __package__=None,
    )
    sys.modules["__main__"] = module
    sys.argv[:] = [str(script), *arguments]
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, str(script.resolve().parent))
    exec(compiled(_source(path, code), path, notes), module.__dict__)


def begin_in_script(error: BaseException, script: Path) -> None:
    """Takes our own frames off the traceback: it is to begin in the script, as it does under `python FILE`."""
    error.__traceback__ = _since(error.__traceback__, str(script.absolute()))


def traceback_text(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _source(path: str, code: str | None) -> bytes | str:
    if code is None:
        return Path(path).read_bytes()
    _show_as_source(path, code)
    return code


def _show_as_source(path: str, code: str) -> None:
    """Tracebacks, `inspect` and what translates functions are to see what runs, and not what the file holds.

    TensorFlow's autograph has the lines of a file read again before it asks for those of a function.
    """
    lines = code.splitlines(keepends=True)
    read = linecache.updatecache

    def updatecache(filename: str, module_globals: dict[str, Any] | None = None) -> list[str]:
        if filename != path:
            return read(filename, module_globals)
        # Without a time of change it is never compared with the file.
        linecache.cache[path] = (len(code), None, lines, path)
        return lines

    linecache.updatecache = updatecache
    updatecache(path)


def _since(frames: TracebackType | None, path: str) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_code.co_filename != path:
        frames = frames.tb_next
    return frames
