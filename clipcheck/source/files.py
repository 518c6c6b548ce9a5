"""Which files to check: those that are named, and the Python files below folders that nobody asked to leave out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipcheck.diagnostic import Problem

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_SUFFIXES = frozenset({".py", ".pyw", ".ipynb"})
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


@dataclass(frozen=True)
class _Patterns:
    """Patterns in git's syntax, which hold below the folder `base`."""

    base: Path
    spec: GitIgnoreSpec

    def verdict(self, path: Path, is_folder: bool) -> bool | None:
        """True: left out; False: taken after all; None: the patterns do not say."""
        name = os.path.relpath(path, self.base).replace(os.sep, "/")
        return self.spec.check_file(name + "/" if is_folder else name).include


@dataclass(frozen=True)
class _Folder:
    """A folder to look through: under which name the user knows it, where it really is, what git ignores there."""

    path: Path
    real: Path
    ignores: tuple[_Patterns, ...]
    is_named: bool = False


def discover(
    paths: Iterable[Path],
    *,
    exclude: Sequence[str] = (),
    root: Path | None = None,
    respect_gitignore: bool = True,
) -> Iterator[Path | Problem]:
    """The files to check, each once, and what could not be looked at.

    A named file is taken whatever its suffix, and a named folder even where it is ignored or excluded. Below folders
    the Python files and notebooks are found in the order of their names, a folder's files before those of its folders;
    links to files are followed, links to folders are not. `exclude` has patterns in git's syntax, relative to `root`
    (the settings file's folder; default: the working directory).
    """
    excluded = _patterns((root or Path.cwd()).resolve(), exclude)
    seen: set[Path] = set()
    for path in paths:
        for found in _named(path, excluded, respect_gitignore):
            if isinstance(found, Problem):
                yield found
            elif (real := found.resolve()) not in seen:
                seen.add(real)
                yield found


def _named(path: Path, excluded: tuple[_Patterns, ...], respect_gitignore: bool) -> Iterator[Path | Problem]:
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        yield _problem(path, error)
        return
    if not is_folder:
        yield path
        return
    real = path.resolve()
    ignores = _repository_ignores(real) if respect_gitignore else ()
    start = _Folder(path, real, _unless_named(ignores, real), is_named=True)
    yield from _below(start, _unless_named(excluded, real), respect_gitignore)


def _below(start: _Folder, excluded: tuple[_Patterns, ...], respect_gitignore: bool) -> Iterator[Path | Problem]:
    folders = [start]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder.real) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield _problem(folder.path, error)
            continue
        names = {entry.name for entry in entries}
        if not folder.is_named and names & _ENVIRONMENT_MARKS:
            continue
        ignores = _ignores_in(folder, names) if respect_gitignore else ()
        below = []
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if not (_is_wanted_folder(entry) if is_folder else _is_wanted_file(entry)):
                continue
            real = folder.real / entry.name
            if _is_left_out(real, is_folder, excluded) or _is_left_out(real, is_folder, ignores):
                continue
            if is_folder:
                below.append(_Folder(folder.path / entry.name, real, ignores))
            else:
                yield folder.path / entry.name
        folders += reversed(below)


def _is_wanted_folder(entry: os.DirEntry[str]) -> bool:
    return entry.name not in _VENDORED


def _is_wanted_file(entry: os.DirEntry[str]) -> bool:
    if Path(entry.name).suffix not in _SUFFIXES:
        return False
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _is_left_out(path: Path, is_folder: bool, patterns: Sequence[_Patterns]) -> bool:
    """What the last, innermost patterns say that say anything."""
    verdicts = (own.verdict(path, is_folder) for own in reversed(patterns))
    return next((verdict for verdict in verdicts if verdict is not None), False)


def _unless_named(patterns: Sequence[_Patterns], folder: Path) -> tuple[_Patterns, ...]:
    """Without the patterns that would leave out a folder which the user has named."""
    return tuple(own for own in patterns if not own.verdict(folder, is_folder=True))


def _ignores_in(folder: _Folder, names: set[str]) -> tuple[_Patterns, ...]:
    """What git ignores in a folder; a repository inside of another one starts anew."""
    ignores = _info_exclude(folder.real) if ".git" in names else folder.ignores
    return ignores + _read_patterns(folder.real, folder.real / ".gitignore") if ".gitignore" in names else ignores


def _repository_ignores(folder: Path) -> tuple[_Patterns, ...]:
    """What the repository around a folder ignores, by the files in the folders above it."""
    above: list[Path] = []
    for parent in (folder, *folder.parents):
        if parent != folder:
            above.insert(0, parent)
        if (parent / ".git").exists():
            return sum((_read_patterns(own, own / ".gitignore") for own in above), _info_exclude(parent))
    return ()


def _info_exclude(repository: Path) -> tuple[_Patterns, ...]:
    return _read_patterns(repository, _git_folder(repository) / "info" / "exclude")


def _git_folder(repository: Path) -> Path:
    """The folder with the repository's own files: that of the main work tree, where this is a linked one."""
    dot_git = repository / ".git"
    if not dot_git.is_file():
        return dot_git
    own = repository / _read(dot_git).removeprefix("gitdir:").strip()
    return own / _read(own / "commondir").strip()


def _read_patterns(base: Path, file: Path) -> tuple[_Patterns, ...]:
    return _patterns(base, _read(file).splitlines())


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _patterns(base: Path, lines: Sequence[str]) -> tuple[_Patterns, ...]:
    """The patterns, without those that make no sense: git passes over them in silence, too."""
    if not lines:
        return ()
    from pathspec import GitIgnoreSpec

    try:
        return (_Patterns(base, GitIgnoreSpec.from_lines(lines)),)
    except ValueError:
        return _patterns(base, [line for line in lines if _is_pattern(line)])


def _is_pattern(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _problem(path: Path, error: OSError | ValueError) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem(str(path), "no such file or directory")
    return Problem(str(path), (error.strerror if isinstance(error, OSError) else None) or str(error))
