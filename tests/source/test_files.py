from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipcheck.diagnostic import Problem
from clipcheck.source.files import discover

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Makes a folder with empty files."""

    def make(*names: str) -> Path:
        root = tmp_path / "project"
        for name in names:
            write(root / name, "")
        return root

    return make


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def names(root: Path, *paths: Path, **options: Any) -> list[str]:
    """What is found below the root, by its name from there."""
    found = discover(paths or [root], **{"root": root, **options})
    return [os.path.relpath(file, root) if isinstance(file, str) else f"{file.message}!" for file in found]


def test_python_files_and_notebooks_are_found_in_order(tree: Tree) -> None:
    root = tree("b.py", "a.ipynb", "c.pyw", "stub.pyi", "notes.txt", "z/a.py", "m/y.py", "m/x/q.py")
    assert names(root) == ["a.ipynb", "b.py", "c.pyw", "m/y.py", "m/x/q.py", "z/a.py"]


def test_a_file_is_found_once(tree: Tree) -> None:
    root = tree("a/x.py", "b/y.py")
    (root / "b/link.py").symlink_to(root / "a/x.py")
    assert names(root, root / "a/x.py", root, root / "b", root / "a/../a/x.py") == ["a/x.py", "b/y.py"]


def test_names_are_as_the_user_wrote_them(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree("a/x.py"))
    assert list(discover([Path()])) == ["a/x.py"]
    assert list(discover(["a", "../project/a"])) == ["a/x.py"]
    assert list(discover(["./a/"])) == ["a/x.py"]


def test_a_named_file_is_taken_whatever_it_is(tree: Tree) -> None:
    root = tree("script", "venv/x.py", "stub.pyi")
    write(root / ".gitignore", "*\n")
    paths = [root / "script", root / "venv/x.py", root / "stub.pyi"]
    assert names(root, *paths, exclude=["*"]) == ["script", "venv/x.py", "stub.pyi"]


def test_a_named_folder_is_looked_through_even_if_it_is_ignored(tree: Tree) -> None:
    root = tree(".git/HEAD", "build/x.py", "build/out/y.py", "build/sub/z.py")
    write(root / ".gitignore", "build/\n*.py[cod]\n")
    write(root / "build/.gitignore", "out\n")
    assert names(root, root / "build", exclude=["build"]) == ["build/x.py", "build/sub/z.py"]
    assert names(root) == []


@pytest.mark.parametrize(
    "folder", [".venv", "venv", "node_modules", "__pycache__", ".tox", "build", ".ipynb_checkpoints"]
)
def test_vendored_folders_are_left_out(tree: Tree, folder: str) -> None:
    assert names(tree(f"{folder}/x.py", f"deep/{folder}/x.py", "x.py")) == ["x.py"]


def test_an_environment_is_known_by_its_configuration(tree: Tree) -> None:
    root = tree("my-env/pyvenv.cfg", "my-env/lib/x.py", "conda/conda-meta/history", "conda/y.py", "env/z.py")
    assert names(root) == ["env/z.py"]


def test_a_missing_path_is_a_problem_and_the_others_are_checked(tree: Tree) -> None:
    root = tree("x.py")
    missing = root / "no.py"
    assert list(discover([missing, root / "x.py"])) == [
        Problem(str(missing), "no such file or directory"),
        str(root / "x.py"),
    ]


def test_a_path_that_cannot_be_is_a_problem(tree: Tree) -> None:
    found = list(discover([Path("x\0y"), tree("x.py") / "x.py/y", Path("x" * 5000)]))
    assert [type(one) for one in found] == [Problem, Problem, Problem]


def test_an_unreadable_folder_is_a_problem(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("a/x.py", "b/y.py")
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if path.endswith("a"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(discover([root])) == [Problem(str(root / "a"), "Permission denied"), str(root / "b/y.py")]


def test_links_to_files_are_followed_and_links_to_folders_are_not(tree: Tree, tmp_path: Path) -> None:
    root = tree("a/x.py")
    write(tmp_path / "elsewhere/far.py", "")
    (root / "a/loop").symlink_to(root, target_is_directory=True)
    (root / "elsewhere").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "far.py").symlink_to(tmp_path / "elsewhere/far.py")
    (root / "gone.py").symlink_to(root / "nowhere.py")
    (root / "self.py").symlink_to(root / "self.py")
    assert names(root) == ["far.py", "a/x.py"]
    assert names(root, root / "elsewhere") == ["elsewhere/far.py"]


def test_what_is_no_file_is_left_out(tree: Tree) -> None:
    root = tree("x.py")
    os.mkfifo(root / "pipe.py")
    (root / "folder.py").mkdir()
    assert names(root) == ["x.py"]


def test_very_deep_folders_are_no_harm(tree: Tree) -> None:
    root = tree("x.py")
    folder = root
    for _ in range(300):
        folder /= "d"
    folder.mkdir(parents=True)
    write(folder / "y.py", "")
    assert len(names(root)) == 2


def test_what_git_ignores_is_left_out(tree: Tree) -> None:
    root = tree(".git/HEAD", "keep.py", "gen_a.py", "gen_b.py", "out/x.py", "sub/out/y.py", "sub/gen_c.py", "sub/z.py")
    write(root / ".gitignore", "# made\n\ngen_*.py\n!gen_b.py\n/out/\n!\n")
    assert names(root) == ["gen_b.py", "keep.py", "sub/z.py", "sub/out/y.py"]
    assert "out/x.py" in names(root, respect_gitignore=False)


def test_the_innermost_gitignore_decides(tree: Tree) -> None:
    root = tree(".git/HEAD", "a/x_pb2.py", "b/x_pb2.py")
    write(root / ".gitignore", "*_pb2.py\n")
    write(root / "b/.gitignore", "!x_pb2.py\n")
    assert names(root) == ["b/x_pb2.py"]


def test_gitignores_above_the_named_folder_hold(tree: Tree) -> None:
    root = tree(".git/HEAD", "src/pkg/x.py", "src/pkg/skip.py", "src/pkg/local.py")
    write(root / ".gitignore", "skip.py\n")
    write(root / "src/.gitignore", "pkg/local.py\n")
    write(root.parent / ".gitignore", "x.py\n")
    assert names(root, root / "src/pkg") == ["src/pkg/x.py"]


def test_a_folder_that_git_ignores_cannot_be_taken_back_from_inside(tree: Tree) -> None:
    root = tree(".git/HEAD", "out/keep.py")
    write(root / ".gitignore", "out/\n")
    write(root / "out/.gitignore", "!keep.py\n")
    assert names(root) == []


def test_a_repository_inside_of_another_has_its_own_rules(tree: Tree) -> None:
    root = tree(".git/HEAD", "inner/.git/HEAD", "inner/local.py", "inner/x.py", "local.py")
    write(root / ".gitignore", "local.py\n")
    write(root / "inner/.gitignore", "x.py\n")
    assert names(root) == ["inner/local.py"]


def test_info_exclude_holds_also_in_a_linked_work_tree(tree: Tree) -> None:
    root = tree("main/x.py", "main/.git/HEAD", "linked/x.py", "linked/y.py", "main/.git/worktrees/linked/HEAD")
    write(root / "main/.git/info/exclude", "x.py\n")
    write(root / "main/.git/worktrees/linked/commondir", "../..\n")
    write(root / "linked/.git", f"gitdir: {root}/main/.git/worktrees/linked\n")
    assert names(root, root / "main", root / "linked") == ["linked/y.py"]


def test_excludes_are_relative_to_their_root(tree: Tree) -> None:
    root = tree("a/x.py", "a/b/x.py", "x.py", "legacy/y.py", "a/legacy/y.py")
    assert names(root, exclude=["/x.py", "legacy"]) == ["a/x.py", "a/b/x.py"]
    assert names(root, root / "a", exclude=["a/x.py", "legacy/"]) == ["a/b/x.py"]
    assert names(root, exclude=["a/**/x.py"]) == ["x.py", "a/legacy/y.py", "legacy/y.py"]


def test_git_and_clipcheck_agree(tree: Tree) -> None:
    root = tree("a b.py", "x/y/z.py", "x/y.py", "foo/bar/q.py", "foo/q.py", "[a].py", "doc/a/b.py", "doc/b.py")
    write(root / ".gitignore", "a\\ b.py\nx/*/z.py\nfoo/*\n!foo/bar/\n\\[a].py\ndoc/**/b.py\n")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    listing = ["git", "-c", "core.quotePath=false", "ls-files", "-o", "--exclude-standard", "--", "*.py"]
    expected = subprocess.run(listing, cwd=root, check=True, capture_output=True, text=True).stdout.splitlines()
    assert sorted(names(root)) == sorted(expected)
