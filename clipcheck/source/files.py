"""Which files to check: those that are named, and the Python files below folders that nobody asked to leave out.

Paths are strings here, and what can be done once for a folder is: there may be very many files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from clipcheck.diagnostic import Problem
from clipcheck.source.gitignore import Patterns

_SUFFIXES = (".py", ".pyw", ".ipynb")
# Ruff's default excludes, and the caches of this tool and of CPython.
_VENDORED = frozenset(
    {
        ".bzr",
        ".clipcheck_cache",
        ".direnv",
        ".eggs",
        ".git",
        ".git-rewrite",
        ".hg",
        ".ipynb_checkpoints",
        ".mypy_cache",
        ".nox",
        ".pants.d",
        ".pyenv",
        ".pytest_cache",
        ".pytype",
        ".ruff_cache",
        ".svn",
        ".tox",
        ".venv",
        ".vscode",
        "__pycache__",
        "__pypackages__",
        "_build",
        "buck-out",
        "build",
        "dist",
        "node_modules",
        "site-packages",
        "venv",
    }
)
_ENVIRONMENT_MARKS = frozenset({"pyvenv.cfg", "conda-meta"})


class _Ignores(Struct, frozen=True):
    """Patterns that hold below the folder `base`."""

    base: str
    patterns: Patterns

    def name_of(self, path: str) -> str:
        """A path as the patterns see it."""
        return os.path.relpath(path, self.base).replace(os.sep, "/")

    def leave_out_with_parents(self, path: str) -> bool:
        name = self.name_of(path)
        return name != "." and self.patterns.leave_out(name, is_folder=True)


class _Folder(NamedTuple):
    """A folder to look through: under which name the user knows it, where it really is, what git ignores there."""

    path: str
    real: str
    ignores: tuple[_Ignores, ...]
    is_named: bool = False


def discover(
    paths: Iterable[str | Path],
    *,
    exclude: Sequence[str] = (),
    root: Path | None = None,
    respect_gitignore: bool = True,
) -> Iterator[str | Problem]:
    """The files to check, each once, and what could not be looked at.

    A named file is taken whatever its suffix, and a named folder even where it is ignored or excluded. Below folders
    the Python files and notebooks are found in the order of their names, a folder's files before those of its folders;
    links to files are followed, links to folders are not. `exclude` has patterns in git's syntax, relative to `root`
    (the settings file's folder; default: the working directory).
    """
    excluded = _ignores(os.path.realpath(root or os.getcwd()), exclude)
    seen: set[str] = set()
    for path in paths:
        for found, real in _named(str(Path(path)), excluded, respect_gitignore):
            if real not in seen:
                seen.add(real)
                yield found


def _named(path: str, excluded: tuple[_Ignores, ...], respect_gitignore: bool) -> Iterator[tuple[str | Problem, str]]:
    """What is found under a path, and where it really is."""
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError) as error:
        yield _problem(path, error), path
        return
    real = os.path.realpath(path)
    if not is_folder:
        yield path, real
        return
    ignores = _repository_ignores(Path(real)) if respect_gitignore else ()
    start = _Folder("" if path == "." else path, real, _unless_named(ignores, real), is_named=True)
    yield from _below(start, _unless_named(excluded, real), respect_gitignore)


def _below(
    start: _Folder, excluded: tuple[_Ignores, ...], respect_gitignore: bool
) -> Iterator[tuple[str | Problem, str]]:
    folders = [start]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder.real) as listing:
                entries = list(listing)
        except OSError as error:
            yield _problem(folder.path or ".", error), folder.real
            continue
        names = {entry.name for entry in entries}
        if not folder.is_named and names & _ENVIRONMENT_MARKS:
            continue
        ignores = _ignores_in(folder, names) if respect_gitignore else ()
        files, below = _wanted(entries, folder.real, [these for these in (excluded, ignores) if these])
        path, real = os.path.join(folder.path, ""), os.path.join(folder.real, "")
        for entry in files:
            own = real + entry.name
            yield path + entry.name, os.path.realpath(own) if entry.is_symlink() else own
        folders += [_Folder(path + entry.name, real + entry.name, ignores) for entry in reversed(below)]


def _wanted(
    entries: Iterable[os.DirEntry[str]], folder: str, ignores: Sequence[tuple[_Ignores, ...]]
) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
    """The files to check and the folders to look through, sorted, without those that any of the patterns leave out."""
    named = [[(own.patterns, own.name_of(folder) + "/") for own in reversed(these)] for these in ignores]
    files: list[os.DirEntry[str]] = []
    folders: list[os.DirEntry[str]] = []
    for entry in entries:
        name = entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if not (name not in _VENDORED if is_folder else name.endswith(_SUFFIXES) and _is_file(entry)):
            continue
        if not (named and any(_is_left_out(name, is_folder, these) for these in named)):
            (folders if is_folder else files).append(entry)
    files.sort(key=_name)
    folders.sort(key=_name)
    return files, folders


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _is_left_out(name: str, is_folder: bool, ignores: Sequence[tuple[Patterns, str]]) -> bool:
    """What the innermost patterns say that say anything; each with the name of the folder that it sees."""
    for patterns, folder in ignores:
        verdict = patterns.verdict(folder + name if folder != "./" else name, is_folder)
        if verdict is not None:
            return verdict
    return False


def _unless_named(ignores: tuple[_Ignores, ...], folder: str) -> tuple[_Ignores, ...]:
    """Without the patterns that would leave out a folder which the user has named."""
    return tuple(own for own in ignores if not own.leave_out_with_parents(folder))


def _ignores_in(folder: _Folder, names: set[str]) -> tuple[_Ignores, ...]:
    """What git ignores in a folder; a repository inside of another one starts anew."""
    ignores = _info_exclude(Path(folder.real)) if ".git" in names else folder.ignores
    return ignores + _read_ignores(Path(folder.real, ".gitignore")) if ".gitignore" in names else ignores


def _repository_ignores(folder: Path) -> tuple[_Ignores, ...]:
    """What the repository around a folder ignores, by the files in the folders above it."""
    above: list[Path] = []
    for parent in (folder, *folder.parents):
        if parent != folder:
            above.insert(0, parent)
        if (parent / ".git").exists():
            return sum((_read_ignores(own / ".gitignore") for own in above), _info_exclude(parent))
    return ()


def _info_exclude(repository: Path) -> tuple[_Ignores, ...]:
    return _ignores(str(repository), _lines(_git_folder(repository) / "info" / "exclude"))


def _git_folder(repository: Path) -> Path:
    """The folder with the repository's own files: that of the main work tree, where this is a linked one."""
    dot_git = repository / ".git"
    if not dot_git.is_file():
        return dot_git
    own = repository / _read(dot_git).removeprefix("gitdir:").strip()
    return own / _read(own / "commondir").strip()


def _read_ignores(file: Path) -> tuple[_Ignores, ...]:
    return _ignores(str(file.parent), _lines(file))


def _ignores(base: str, lines: Sequence[str]) -> tuple[_Ignores, ...]:
    return (_Ignores(base, Patterns(lines)),) if lines else ()


def _lines(file: Path) -> list[str]:
    return [line.removesuffix("\r") for line in _read(file).removeprefix("\ufeff").split("\n")]


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _problem(path: str, error: OSError | ValueError) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem(path, "no such file or directory")
    return Problem(path, (error.strerror if isinstance(error, OSError) else None) or str(error))
