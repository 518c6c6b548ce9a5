"""What only a process of its own can show: exit codes, pipes, signals, terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from clipcheck import __version__
from tests.checkout import ROOT
from tests.cli.conftest import process


@pytest.mark.parametrize(
    ("content", "arguments", "code"),
    [
        ("clip(x)\n", [], 0),
        ("pop(x)\n", [], 1),
        ("pop(x)\n", ["--exit-zero"], 0),
        ("pop(\n", ["--exit-zero"], 2),
        ("clip(x)\n", ["missing.py"], 2),
        ("clip(x)\n", ["--select", "NOPE"], 2),
    ],
)
def test_exit_codes(project, content, arguments, code):
    (project / "a.py").write_text(content)
    done = process("lint", "a.py", *arguments, cwd=project)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr


def test_the_version(project):
    assert process("--version", cwd=project).stdout.decode() == f"clipcheck, version {__version__}\n"


def test_a_reader_that_goes_away_is_no_error(project):
    (project / "a.py").write_text("pop(x)\n" * 20_000)
    command = [sys.executable, "-m", "clipcheck", "lint", "--output-format", "concise"]
    running = subprocess.Popen(
        command,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.stderr.read() == b""
    assert running.wait(timeout=60) == 141


def test_an_interrupt_ends_without_a_traceback(project):
    command = [sys.executable, "-m", "clipcheck", "lint", "-"]
    running = subprocess.Popen(
        command,
        cwd=project,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )
    with pytest.raises(subprocess.TimeoutExpired):  # It waits for its standard input.
        running.wait(timeout=3)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"Traceback" not in errors


def test_an_interrupt_ends_the_processes_that_were_started(project):
    (project / "clipcheck.toml").write_text('rule-packs = ["slow"]\n')
    (project / "slow.py").write_text(
        "import os, re, time\n"
        "from clipcheck.rule import Rule\n\n"
        "class Slow(Rule):\n"
        "    code, name, why, advice = 'HSE900', 'slow', 'why', 'do'\n"
        "    screen = re.compile(b'pop')\n"
        "    def check(self, script):\n"
        "        print(os.getpid(), flush=True)\n"
        "        time.sleep(600)\n"
        "        yield\n"
    )
    for number in range(4):
        (project / f"{number}.py").write_text("pop(x)\n# " + "so much " * 20_000)
    running = subprocess.Popen(
        [sys.executable, "-m", "clipcheck", "lint", "-j2"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert running.stdout is not None
    workers = [int(running.stdout.readline()) for _ in range(2)]
    assert running.pid not in workers
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)  # which also means that nobody holds its output open any more
    assert running.returncode == 130
    assert b"Traceback" not in errors
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_a_process_that_is_killed_is_told_and_the_others_are_checked(project):
    (project / "clipcheck.toml").write_text('rule-packs = ["deadly"]\n')
    (project / "deadly.py").write_text(
        "import os, re, signal\n"
        "from tests.cli.house_rules.sounds import Pop\n"
        "from clipcheck.rule import Rule\n\n"
        "class Deadly(Rule):\n"
        "    code, name, why, advice = 'HSE900', 'deadly', 'why', 'do'\n"
        "    screen = re.compile(b'bang')\n"
        "    def check(self, script):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "        yield\n\n"
        "class Louder(Pop):\n"
        "    pass\n"
    )
    for name in "abcd":
        (project / f"{name}.py").write_text(("bang(x)\n" if name == "b" else "pop(x)\n") + "# " + "so much " * 20_000)
    done = process("lint", "-j2", "--output-format=concise", cwd=project)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: b.py: not checked: the process that checked it was ended")
    assert [line[:4] for line in done.stdout.splitlines()[:3]] == [b"a.py", b"c.py", b"d.py"]


def test_a_bug_of_ours_is_no_finding(project):
    (project / "clipcheck.toml").write_text('rule-packs = ["broken"]\n')
    (project / "broken.py").write_text(
        "import re\n"
        "from clipcheck.rule import Rule\n\n"
        "class Broken(Rule):\n"
        "    code, name, why, advice = 'HSE900', 'broken', 'why', 'do'\n"
        "    screen = re.compile(b'pop')\n"
        "    def check(self, script):\n"
        "        raise RuntimeError('the rule is broken')\n"
    )
    (project / "a.py").write_text("pop(x)\n")
    done = process("lint", "a.py", cwd=project)
    assert done.returncode == 2
    assert b"error: a.py: " in done.stderr
    assert b"the rule is broken" in done.stderr


def test_colours_are_for_who_wants_them(project):
    (project / "a.py").write_text("pop(x)\n")
    assert b"\x1b" not in process("lint", cwd=project).stdout
    assert b"\x1b[1;31mHSE201\x1b[0m" in process("lint", cwd=project, FORCE_COLOR="1").stdout
    assert b"\x1b" not in process("lint", cwd=project, FORCE_COLOR="1", NO_COLOR="1").stdout
    assert b"\x1b" not in process("lint", "--output-format=json", cwd=project, FORCE_COLOR="1").stdout


def test_a_terminal_that_lacks_characters_is_no_error(project):
    (project / "a.py").write_text("pop('日本語')\n", encoding="utf-8")
    done = process("lint", cwd=project, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 1
    assert rb"pop('\u65e5" in done.stdout
