"""What was found out is not found out again, and nothing that can happen to the cache changes what is told."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from msgspec.structs import replace

from clipcheck.engine import cache as caching
from clipcheck.engine import many, work
from clipcheck.engine.cache import Cache, NotACacheError, clean
from clipcheck.engine.cards import Card
from clipcheck.engine.lint import Result
from clipcheck.engine.many import fix_files, lint_files
from clipcheck.settings import Settings
from tests.engine.notebooks import notebook
from tests.engine.toy_rules import RULES

Lint: TypeAlias = Callable[..., Result]

CONTENTS = {
    "clean.py": "print(1)\n",
    "looked_at.py": "# old\n",
    "folder/bad.py": "import os\nold()\nunfixable()\n",
    "folder/worse.py": "risky()\nold()\n",
    "broken.py": "old(\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with files that were written long ago."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(caching, "_TICK", -(10**18))
    for name, text in CONTENTS.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    return tmp_path


def lint(
    *names: str, settings: Settings | None = None, rules: tuple[Card, ...] = RULES, folder: str = "cache", **more: Any
) -> Result:
    settings = settings or Settings()
    return lint_files(names or sorted(CONTENTS), rules, settings, cache=Cache(Path(folder), settings, rules), **more)


EXPECTED = ["folder/bad.py TOY201", "folder/bad.py TOY101", "folder/worse.py TOY202", "folder/worse.py TOY201"]


def told(result: Result) -> list[str]:
    return [f"{found.path} {found.code}" for found in result.diagnostics]


def refuse(*_: object, **__: object) -> Any:
    raise AssertionError("this was known")


def cache_files() -> list[Path]:
    return [path for path in Path("cache").rglob("*") if path.is_file() and path.parent != Path("cache")]


def test_unchanged_files_are_not_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "broken.py").unlink()
    names = sorted(set(CONTENTS) - {"broken.py"})
    first = lint(*names)
    assert told(first) == EXPECTED
    with monkeypatch.context() as patch:
        patch.setattr(
            many.Path, "read_bytes", lambda path: refuse() if path.suffix == ".py" else path.open("rb").read()
        )
        assert lint(*names) == first
    (project / "folder/bad.py").write_text("unfixable()\n")
    assert told(lint(*names)) == EXPECTED[1:]


def test_findings_come_back_whole(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("n.ipynb").write_text(notebook("x = 1", "risky()\nold()"))
    first = lint("n.ipynb")
    assert [found.span.start.cell for found in first.diagnostics] == [2, 2]
    assert all(found.fix and found.evidence for found in first.diagnostics)
    monkeypatch.setattr(work, "lint_bytes", refuse)
    assert lint("n.ipynb") == first


def test_a_file_that_was_only_touched_is_not_checked_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = lint("folder/bad.py")
    os.utime("folder/bad.py", (1, 1))
    monkeypatch.setattr(work, "lint_bytes", refuse)
    assert lint("folder/bad.py") == first


def test_a_change_shows_where_size_and_time_stay(project: Path) -> None:
    before = Path("folder/bad.py").stat()
    lint()
    Path("folder/bad.py").write_text("import os\nnew()\nunfixable()\n")
    os.utime("folder/bad.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Path("folder/bad.py").stat().st_size == before.st_size
    assert told(lint()) == EXPECTED[1:]


def test_a_change_shows_within_one_tick_of_the_clock(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "_TICK", 2_000_000_000)
    stamp = caching._stamp("folder/bad.py")
    monkeypatch.setattr(caching, "_stamp", lambda path: stamp)
    lint("folder/bad.py", "clean.py")
    Path("folder/bad.py").write_text("import os\nnew()\nunfixable()\n")
    Path("clean.py").write_text("unfixable()\n")
    assert told(lint("folder/bad.py", "clean.py")) == ["clean.py TOY101", "folder/bad.py TOY101"]


def test_what_can_not_be_parsed_is_told_each_time(project: Path) -> None:
    assert [lint().problems for _ in range(3)] == [lint().problems] * 3
    assert [problem.path for problem in lint().problems] == ["broken.py"]


def test_a_syntax_error_that_nobody_asked_for_is_told_when_it_is(project: Path) -> None:
    Path("clean.py").write_text("def (:\n")
    Path("looked_at.py").write_text("def old(:  # off\n")
    for name in ("clean.py", "looked_at.py"):
        assert lint(name, rules=RULES[:1]) == Result()
        assert len(lint(name, rules=RULES[:1], parsed=[name]).problems) == 1


def test_a_file_that_was_parsed_need_not_be_parsed_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lint("clean.py", parsed=["clean.py"])
    monkeypatch.setattr(work, "lint_bytes", refuse)
    assert lint("clean.py", parsed=["clean.py"]) == lint("clean.py") == Result()


@pytest.mark.parametrize(
    "changes",
    [
        {"ignore": ("TOY101",)},
        {"select": ("TOY2",)},
        {"per_file_ignores": {"bad.py": ("TOY101",)}},
    ],
)
def test_settings_that_matter_are_heeded(project: Path, changes: dict[str, Any]) -> None:
    lint()
    result = lint(settings=Settings(**changes))
    assert "folder/bad.py TOY101" not in told(result)
    assert "folder/bad.py TOY201" in told(result)
    assert told(lint()) == EXPECTED


def test_settings_that_do_not_matter_are_not_heeded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = lint("folder/bad.py")
    monkeypatch.setattr(work, "lint_bytes", refuse)
    assert lint("folder/bad.py", settings=Settings(exclude=("x",), unsafe_fixes=True)) == first


def test_other_rules_are_heeded(project: Path) -> None:
    lint()
    assert told(lint(rules=tuple(rule for rule in RULES if rule.code != "TOY101"))) == [EXPECTED[0], *EXPECTED[2:]]


@pytest.mark.parametrize("name", ["pack.py", "pack/__init__.py", "pack/deep/rule.py"])
def test_code_of_the_rule_packs_is_heeded(project: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.syspath_prepend(project)
    for file in {name, "pack/__init__.py"} if "/" in name else {name}:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text("a = 1\n")
    settings = replace(Settings(), rule_packs=("pack",))
    lint("folder/bad.py", settings=settings)
    with monkeypatch.context() as patch:
        patch.setattr(work, "lint_bytes", refuse)
        lint("folder/bad.py", settings=settings)
        Path(name).write_text("a = 2\n")
        with pytest.raises(AssertionError, match="this was known"):
            lint("folder/bad.py", settings=settings)


def test_the_version_is_heeded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lint("folder/bad.py")
    monkeypatch.setattr(caching, "__version__", "9")
    monkeypatch.setattr(work, "lint_bytes", lambda *_, **__: Result())
    assert lint("folder/bad.py") == Result()


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flip(data: bytes) -> bytes:
    """Still something that could be read."""
    return data.replace(b"TOY101", b"TOY102")


@pytest.mark.parametrize(
    "damage", [_cut, _flip, lambda data: b"", lambda data: b"\0" * len(data), lambda data: b"[" * 100_000]
)
def test_damage_is_no_harm_and_is_mended(
    project: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    first = lint()
    for file in cache_files():
        file.write_bytes(damage(file.read_bytes()))
    assert lint() == first
    monkeypatch.setattr(work, "lint_bytes", refuse)
    assert told(lint("folder/bad.py", "folder/worse.py")) == EXPECTED


def test_strange_contents_are_no_harm(project: Path) -> None:
    first = lint()
    for file in cache_files():
        folders = json.loads(file.read_bytes().partition(b"\n")[2])
        for _, findings in folders.values():
            findings.update({name: [["TOY1"]] for name in findings})
        body = json.dumps(folders).encode()
        file.write_bytes(b"%08x\n" % caching.crc32(body) + body)
    assert lint() == first


def test_a_full_disk_is_no_harm(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lint("clean.py")

    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:5])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert told(lint()) == EXPECTED
    assert not list(Path("cache").rglob("*.new"))
    assert told(lint()) == EXPECTED


@pytest.mark.parametrize("folder", ["clean.py", "clean.py/cache", "cache\0", "c" * 300])
def test_a_folder_that_cannot_be_is_no_harm(project: Path, folder: str) -> None:
    assert told(lint(folder=folder)) == EXPECTED


def test_a_folder_of_others_is_left_alone(project: Path) -> None:
    with pytest.raises(NotACacheError, match="folder is not empty"):
        lint(folder="folder")
    with pytest.raises(NotACacheError, match="folder is no cache"):
        clean(Path("folder"))
    with pytest.raises(NotACacheError):
        clean(Path("clean.py"))
    assert sorted(path.name for path in Path("folder").iterdir()) == ["bad.py", "worse.py"]


def test_an_empty_folder_is_taken(project: Path) -> None:
    Path("cache").mkdir()
    lint()
    assert cache_files()


def test_git_and_backups_leave_the_cache_out(project: Path) -> None:
    lint()
    assert Path("cache/.gitignore").read_text() == "*\n"
    assert Path("cache/CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")


def test_a_cache_can_be_removed(project: Path) -> None:
    lint()
    assert clean(Path("cache"))
    assert not Path("cache").exists()
    assert not clean(Path("cache"))


def test_runs_do_not_take_results_from_each_other(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs that have begun at the same time: who saves last knows what was saved before."""
    first, second = (Cache(Path("cache"), Settings(), RULES) for _ in range(2))
    lint_files(["folder/bad.py"], RULES, Settings(), cache=first)
    lint_files(["folder/worse.py"], RULES, Settings(), cache=second)
    monkeypatch.setattr(work, "lint_bytes", refuse)
    assert told(lint("folder/worse.py")) == EXPECTED[2:]


def test_old_generations_go(project: Path) -> None:
    for number in range(12):
        lint(settings=Settings(target_keras=str(number)))
    assert len([path for path in Path("cache").iterdir() if path.is_dir()]) == 8


def test_folders_that_are_gone_are_forgotten(project: Path) -> None:
    lint()
    for name in ("bad.py", "worse.py"):
        Path("folder", name).unlink()
    Path("folder").rmdir()
    for number in range(100):  # until each file of the cache was written again
        Path(f"new{number}").mkdir()
        Path(f"new{number}/a.py").touch()
    lint(*(f"new{number}/a.py" for number in range(100)))
    assert b"bad.py" not in b"".join(file.read_bytes() for file in cache_files())


def test_files_that_are_known_to_be_clean_are_not_fixed_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["clean.py", "looked_at.py", "folder/bad.py"]

    def fix() -> list[str]:
        results = fix_files(names, RULES, Settings(), cache=Cache(Path("cache"), Settings(), RULES))
        return [f"{own.code} {own.count}" for result in results for own in result.fixed]

    assert fix() == ["TOY201 1"]
    assert told(lint(*names)) == ["folder/bad.py TOY101"]
    names.remove("folder/bad.py")
    monkeypatch.setattr(work, "open_bytes", refuse)
    assert fix() == []
    names.append("folder/bad.py")
    with pytest.raises(AssertionError, match="this was known"):
        fix()
