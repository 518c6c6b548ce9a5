"""The options and the command for the cache, and runs that share one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clipcheck.engine import many, work
from tests.checkout import ROOT
from tests.cli.conftest import process, settings

BOTH = "snap(x)\ncrackle(x)\n"


def refuse(*_, **__):
    raise AssertionError("this was known")


@pytest.fixture
def refused(monkeypatch):
    """No file is checked any more, from when this is called."""
    return lambda: monkeypatch.setattr(work, "lint_bytes", refuse)


@pytest.mark.parametrize("output_format", ["full", "concise", "json", "github"])
def test_a_second_run_tells_the_same(clipcheck, project, refused, output_format):
    (project / "bad.py").write_text(BOTH)
    first = clipcheck("lint", "--output-format", output_format)
    refused()
    second = clipcheck("lint", "--output-format", output_format)
    assert (second.exit_code, second.stdout, second.stderr) == (1, first.stdout, "")
    assert "crackle" in second.stdout


def test_a_named_file_is_known_too(clipcheck, project, refused):
    (project / "bad.py").write_text(BOTH)
    first = clipcheck("lint", "bad.py")
    refused()
    assert clipcheck("lint", "bad.py").stdout == first.stdout


def test_no_cache(clipcheck, project, refused):
    (project / "bad.py").write_text(BOTH)
    clipcheck("lint", "--no-cache")
    assert not (project / ".clipcheck_cache").exists()
    clipcheck("lint")
    refused()
    with pytest.raises(AssertionError, match="this was known"):
        clipcheck("lint", "--no-cache")


def test_the_cache_lies_beside_the_settings_or_where_it_is_wanted(clipcheck, project):
    (project / "deep").mkdir()
    (project / "deep/bad.py").write_text(BOTH)
    clipcheck("lint", "deep")
    assert (project / ".clipcheck_cache/CACHEDIR.TAG").exists()
    clipcheck("lint", "deep", "--cache-dir", "a/b")
    assert (project / "a/b/CACHEDIR.TAG").exists()
    settings(project, 'cache-dir = "c"')
    clipcheck("lint", "deep")
    assert (project / "c/CACHEDIR.TAG").exists()


def test_clean(clipcheck, project):
    (project / "bad.py").write_text(BOTH)
    clipcheck("lint")
    result = clipcheck("clean")
    assert (result.exit_code, result.stdout) == (0, f"Removed {project / '.clipcheck_cache'}\n")
    assert not (project / ".clipcheck_cache").exists()
    assert (clipcheck("clean").exit_code, clipcheck("clean").stdout) == (0, "")


def test_clean_removes_nothing_of_others(clipcheck, project):
    (project / "mine").mkdir()
    (project / "mine/precious.txt").write_text("x")
    result = clipcheck("clean", "--cache-dir", "mine")
    assert (result.exit_code, result.stderr) == (2, "error: mine is no cache of clipcheck\n")
    assert (project / "mine/precious.txt").exists()


def test_nothing_is_kept_in_a_folder_of_others(clipcheck, project):
    (project / "mine").mkdir()
    (project / "mine/bad.py").write_text(BOTH)
    result = clipcheck("lint", "--cache-dir", "mine", "--output-format=concise", "-q")
    assert result.stderr == "warning: nothing is kept: mine is not empty, and no cache of clipcheck\n"
    assert result.stdout.count("HSE") == 2
    assert [path.name for path in (project / "mine").iterdir()] == ["bad.py"]


def test_fixes_are_not_kept_from_being_made(clipcheck, project):
    script = project / "bad.py"
    script.write_text(BOTH)
    clipcheck("lint")
    assert clipcheck("fix").exit_code == 1
    assert script.read_text() == "clip(x)\ncrackle(x)\n"
    assert "HSE101" not in clipcheck("lint").stdout
    clipcheck("fix", "--unsafe-fixes")
    assert script.read_text() == "clip(x)\nclip(x)\n"
    assert clipcheck("lint").exit_code == 0


def test_a_rule_that_was_changed_is_asked_again(tmp_path):
    pack = (
        "import re\n"
        "from tests.cli.house_rules.sounds import _Sound\n\n\n"
        "class Bang(_Sound):\n"
        "    code, name, sound, screen = 'HSE401', 'bang', '{sound}', re.compile(b'bang|bing')\n"
    )
    (tmp_path / "clipcheck.toml").write_text('rule-packs = ["our_rules"]\n')
    (tmp_path / "bad.py").write_text("bang(x)\nbing(y)\n")
    for sound, line in (("bang", b"bad.py:1:1"), ("bing", b"bad.py:2:1")):
        (tmp_path / "our_rules.py").write_text(pack.format(sound=sound))
        for _ in range(2):
            done = process("lint", "--output-format=concise", "-q", cwd=tmp_path, PYTHONDONTWRITEBYTECODE="1")
            assert done.stdout.startswith(line), done.stderr
            assert done.stdout.count(b"HSE401") == 1


def test_runs_that_share_a_cache_tell_the_same(project):
    for number in range(30):
        (project / f"{number % 5}").mkdir(exist_ok=True)
        (project / f"{number % 5}/{number:02}.py").write_text(BOTH * (number % 3))
    command = [sys.executable, "-m", "clipcheck", "lint", "--output-format=json"]
    expected = process("lint", "--output-format=json", "--no-cache", cwd=project).stdout
    assert expected.count(b"HSE101") == 30
    for _ in range(2):
        runs = [
            subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)})
            for _ in range(3)
        ]
        assert [run.communicate(timeout=120)[0] for run in runs] == [expected] * 3
    assert not list(Path(project, ".clipcheck_cache").rglob("*.new"))


@pytest.mark.parametrize("command", [["lint"], ["lint", "--no-cache"], ["fix", "--diff"]])
def test_jobs_change_nothing(clipcheck, project, monkeypatch, command):
    monkeypatch.setattr(many, "_SHARE", 1)
    monkeypatch.setattr(many, "_BATCH_FILES", 2)
    for number in range(12):
        (project / f"{number:02}.py").write_text(f"snap({number})\npop(x)\n")
    alone = clipcheck(*command, "-j1")
    assert alone.stdout.count("snap") >= 12
    for jobs in ("2", "3"):
        clipcheck("clean")
        several = clipcheck(*command, "--jobs", jobs)
        assert (several.exit_code, several.stdout) == (alone.exit_code, alone.stdout)
