"""What the user has set, in ``[tool.clipcheck]`` of pyproject.toml or in clipcheck.toml."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

from clipcheck.source.gitignore import InvalidPatternError, Patterns, check_pattern

WeightClipStyle = Literal["constraint", "optimizer"]

_SELECTOR = re.compile(r"[A-Z]+[0-9]*")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")


class SettingsError(Exception):
    """Settings that cannot be read. The message names the file and the key."""


class Settings(Struct, frozen=True):
    """The settings of one run. `select` is None where nothing was selected, so that the rules on by default run."""

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    unsafe_fixes: bool = False
    rule_packs: tuple[str, ...] = ("clipcheck_rules",)
    weight_clip_style: WeightClipStyle = "constraint"
    target_keras: str | None = None
    target_torch: str | None = None
    cache_dir: Path | None = None
    root: Path = field(default_factory=Path.cwd)
    """The folder of the settings file, which all patterns are relative to."""

    def is_selected(self, code: str, on_by_default: bool = True) -> bool:
        """Whether a rule is to run: of all selectors that match its code the longest decides, `ignore` before others.

        As in ruff, `select` replaces what is on by default, and `extend_select` adds to it.
        """
        wanted = _longest_match(code, (*(self.select or ()), *self.extend_select))
        unwanted = _longest_match(code, self.ignore)
        if wanted == unwanted == _NO_MATCH:
            return self.select is None and on_by_default
        return wanted > unwanted

    def ignores_for(self, path: Path) -> tuple[str, ...]:
        """The selectors that `per_file_ignores` has for a file.

        The patterns are those of git, relative to the root; one that begins with "!" stands for all other files.
        """
        if not self.per_file_ignores:
            return ()
        name = os.path.relpath(path.resolve(), self.root.resolve()).replace(os.sep, "/")
        return tuple(
            code for pattern, codes in self.per_file_ignores.items() if _is_match(name, pattern) for code in codes
        )


def is_match(code: str, selectors: Iterable[str]) -> bool:
    """Whether one of the selectors (codes, prefixes or "ALL") matches a code."""
    return _longest_match(code, selectors) > _NO_MATCH


_NO_MATCH = -1


def _longest_match(code: str, selectors: Iterable[str]) -> int:
    """The length of the most specific selector that matches; "ALL" is less specific than any other."""
    lengths = (0 if own == "ALL" else len(own) for own in selectors if own == "ALL" or code.startswith(own))
    return max(lengths, default=_NO_MATCH)


def _is_match(name: str, pattern: str) -> bool:
    is_match = Patterns([pattern.removeprefix("!")]).leave_out(name, is_folder=False)
    return is_match != pattern.startswith("!")


def find_settings(start: Path) -> Path | None:
    """The settings file for a file or folder: the nearest one upwards, clipcheck.toml before pyproject.toml.

    Raises SettingsError if a pyproject.toml that speaks of clipcheck on the way is broken.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        own, project = folder / "clipcheck.toml", folder / "pyproject.toml"
        if own.is_file():
            return own
        if project.is_file() and _has_table(project):
            return project
    return None


def load_settings(path: Path) -> Settings:
    """The settings in a file; raises SettingsError for everything in it that is not understood."""
    document = _read_toml(path)
    table = _tool_table(path, document) if path.name == "pyproject.toml" else document
    root = path.resolve().parent
    values = {key.replace("-", "_"): _read(path, key, table[key]) for key in table}
    if "cache_dir" in values:
        values["cache_dir"] = root / values["cache_dir"]
    return Settings(root=root, **values)


def _has_table(project: Path) -> bool:
    # Others may break their own pyproject.toml; it is not for us to complain of it.
    try:
        if b"clipcheck" not in project.read_bytes():
            return False
    except OSError:
        return False
    tool = _read_toml(project).get("tool")
    return isinstance(tool, dict) and "clipcheck" in tool


def _tool_table(path: Path, document: Mapping[str, object]) -> Mapping[str, object]:
    tool = document.get("tool", {})
    table = tool.get("clipcheck", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: tool.clipcheck must be a table, not {_kind(table)}")
    return table


def _read_toml(path: Path) -> dict[str, object]:
    # By name, so that mypy does not need the one that this Python does not have.
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        with path.open("rb") as file:
            document: dict[str, object] = toml.load(file)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:  # syntax or encoding; the message has the line
        raise SettingsError(f"{path}: {error}") from None
    return document


class _UnfitError(Exception):
    """A value of the wrong type or form; says what was expected."""


def _read(path: Path, key: str, value: object) -> Any:
    if key not in _READERS:
        import difflib

        nearest = difflib.get_close_matches(key, _READERS, n=1)
        hint = f"did you mean `{nearest[0]}`?" if nearest else f"known are {', '.join(_READERS)}"
        raise SettingsError(f"{path}: unknown key `{key}`; {hint}")
    try:
        return _READERS[key](value)
    except _UnfitError as expected:
        raise SettingsError(f"{path}: `{key}` must be {expected}, not {_kind(value)}") from None


def _kind(value: object) -> str:
    """A wrong value in the words of TOML."""
    kinds = {bool: "boolean", int: "integer", float: "float", str: "string", list: "array", dict: "table"}
    return f"the {kinds[type(value)]} {value!r}" if type(value) in kinds else f"{value}"


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _UnfitError("an array of strings")
    return tuple(value)


def _selectors(value: object) -> tuple[str, ...]:
    expected = 'an array of codes, prefixes or "ALL", such as ["CLP301", "CLP4"]'
    if not isinstance(value, list) or not all(isinstance(item, str) and _SELECTOR.fullmatch(item) for item in value):
        raise _UnfitError(expected)
    return tuple(value)


def _selectors_by_pattern(value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise _UnfitError('a table such as {"tests/*" = ["CLP301"]}')
    return {_patterns([pattern])[0]: _selectors(codes) for pattern, codes in value.items()}


def _patterns(value: object) -> tuple[str, ...]:
    patterns = _strings(value)
    try:
        for pattern in patterns:
            check_pattern(pattern)
    except InvalidPatternError:
        raise _UnfitError("patterns as in .gitignore") from None
    return patterns


def _modules(value: object) -> tuple[str, ...]:
    modules = _strings(value)
    if not all(part.isidentifier() for module in modules for part in module.split(".")):
        raise _UnfitError('an array of import paths, such as ["clipcheck_rules"]')
    return modules


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _UnfitError("true or false")
    return value


def _weight_clip_style(value: object) -> WeightClipStyle:
    if value not in ("constraint", "optimizer"):
        raise _UnfitError('"constraint" or "optimizer"')
    return value


def _folder(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _UnfitError("a folder")
    return value


def _version(value: object) -> str:
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        raise _UnfitError('a version as a string, such as "3" or "3.4"')
    return value


_READERS: Mapping[str, Callable[[object], object]] = {
    "select": _selectors,
    "extend-select": _selectors,
    "ignore": _selectors,
    "per-file-ignores": _selectors_by_pattern,
    "exclude": _patterns,
    "unsafe-fixes": _boolean,
    "rule-packs": _modules,
    "weight-clip-style": _weight_clip_style,
    "target-keras": _version,
    "target-torch": _version,
    "cache-dir": _folder,
}
