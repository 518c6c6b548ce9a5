from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.cli.conftest import process

TRAIN = """\
import sys
from toy import Weight

critic = Weight()
limit = float(sys.argv[1])
for _ in range(100):
    critic.step(0.25)
    critic.value = min(critic.value, limit)
print("trained")
"""
TOY = ROOT / "tests" / "verify" / "toy.py"
WATCH = ("--watch", "critic", "--bound", "1")


@pytest.fixture
def script(project):
    """A script whose weight ends within [-1, 1] if its argument is at most 0.75."""
    shutil.copy(TOY, project / "toy.py")
    (project / "train.py").write_text(TRAIN)
    return "train.py"


def test_held(clipcheck, script):
    result = clipcheck("verify", script, *WATCH, "--", "0.5")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith("held: the weights of `critic` stayed in [-1, 1]")
    assert result.stderr == "running train.py …\n"


def test_violated(clipcheck, script):
    result = clipcheck("verify", script, *WATCH, "--", "2")
    assert result.exit_code == 1
    assert "violated: `weight` (scalar, cpu) was 1.25 after update 5: it is" in result.stdout


def test_inconclusive(clipcheck, script):
    """The script's words are shown where it failed."""
    result = clipcheck("verify", script, *WATCH, "--", "much")
    assert result.exit_code == 2
    assert (
        "inconclusive: the script crashed before its first update was seen: ValueError: could not convert"
        in result.stdout
    )
    assert '  |   File "' in result.stderr
    assert "  | ValueError: could not convert string to float: 'much'\n" in result.stderr


def test_a_model_that_is_never_made(clipcheck, project):
    (project / "train.py").write_text("import sys\nif len(sys.argv) > 1:\n    critic = 1\n")
    result = clipcheck("verify", "train.py", *WATCH)
    assert result.exit_code == 2
    assert "inconclusive: nothing was ever assigned to `critic`." in result.stdout
    assert "`critic` is no model" in clipcheck("verify", "train.py", *WATCH, "--", "on").stdout


def test_verbose_shows_what_the_script_printed(clipcheck, script):
    assert "trained" not in clipcheck("verify", script, *WATCH, "--", "0.5").stderr
    assert "  | trained\n" in clipcheck("verify", script, *WATCH, "-v", "--", "0.5").stderr


def test_the_number_of_updates(clipcheck, script):
    assert clipcheck("verify", script, *WATCH, "--updates", "4", "--", "2").exit_code == 0
    assert clipcheck("verify", script, *WATCH, "--updates", "5", "--", "2").exit_code == 1


@pytest.mark.parametrize(
    ("options", "code"),
    [(["--low", "-1"], 0), (["--high", "1"], 1), (["--high", "3", "--low", "0"], 0), (["--low", "0.5"], 1)],
)
def test_one_sided_bounds(clipcheck, script, options, code):
    assert clipcheck("verify", script, "--watch", "critic", *options, "--", "2").exit_code == code


def test_another_device(clipcheck, script):
    result = clipcheck("verify", script, *WATCH, "--device", "cuda", "--", "0.5")
    assert result.exit_code == 2
    assert "inconclusive: `weight` is on cpu, not on cuda." in result.stdout


def test_json(clipcheck, script):
    result = clipcheck("verify", script, *WATCH, "--output-format", "json", "--", "2")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["claims"][0]["told"] == "--watch critic --bound 1"
    assert found["claims"][0]["parameters"][0]["violated_update"] == 5


def test_a_script_that_claims_nothing_is_not_run(clipcheck, project):
    (project / "train.py").write_text("open('ran', 'w')\n")
    result = clipcheck("verify", "train.py")
    assert result.exit_code == 2
    assert result.stdout.startswith("inconclusive: there is nothing to verify")
    assert (result.stderr, Path("ran").exists()) == ("", False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.py"], "'missing.py' does not exist"),
        (["train.py", "--watch", "critic"], "'--watch' needs a bound"),
        (["train.py", "--bound", "1"], "'--bound' needs '--watch NAME'"),
        (["train.py", "--parameters", "*.bias"], "'--parameters' needs '--watch NAME'"),
        (["train.py", *WATCH, "--low", "0"], "give one or the other"),
        (["train.py", "--watch", "critic", "--low", "2", "--high", "1"], "at least 2 and at most 1"),
        (["train.py", "--watch", "actor", "--bound", "1"], "nothing is ever assigned to `actor` in train.py"),
        (["train.py", "--watch", "*", "--bound", "1"], "does not begin with a name"),
        (["train.py", "--plot", "picture.gif"], "--plot"),
        (["."], "is a directory"),
    ],
)
def test_what_cannot_be_asked(clipcheck, script, arguments, words):
    result = clipcheck("verify", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "running" not in result.stderr


def test_broken_scripts(clipcheck, project):
    (project / "broken.py").write_text("x = (\n")
    (project / "latin.py").write_bytes(b"x = '\xe9'\n")
    result = clipcheck("verify", "broken.py")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: broken.py:1:5: '(' was never closed\n"
    assert clipcheck("verify", "latin.py").stderr.startswith("error: latin.py:1:6: not valid utf-8")


def test_notebooks(clipcheck, project):
    """Code cells run one after the other; magics are left out."""
    shutil.copy(TOY, project / "toy.py")
    sources = [
        "%matplotlib inline\nfrom toy import Weight\ncritic = Weight()",
        "# Notes",
        "!nvidia-smi\ncritic.step(0.5)",
    ]
    kinds = ["code", "markdown", "code"]
    cells = [
        {"cell_type": kind, "metadata": {}, "outputs": [], "source": source}
        for kind, source in zip(kinds, sources, strict=True)
    ]
    (project / "train.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}))
    result = clipcheck("verify", "train.ipynb", *WATCH)
    assert (result.exit_code, result.stderr) == (0, "running train.ipynb …\n")


def test_interrupted(script, project):
    """Ctrl-C gives the verdict so far, and leaves nothing running."""
    os.mkfifo(project / "updated")
    (project / "train.py").write_text(
        TRAIN.replace('print("trained")', "open('updated', 'w').close()\nimport time\ntime.sleep(600)")
    )
    command = [sys.executable, "-m", "clipcheck", "verify", script, *WATCH, "--", "0.5"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    ) as run:
        (project / "updated").open().close()  # waits until the script has come so far
        run.send_signal(signal.SIGINT)
        told, _ = run.communicate()
    assert run.returncode == 0
    assert "held so far" in told
    assert " ".join(told.split()).endswith("The script was interrupted after 100 updates.")


def test_as_a_process(script, project):
    """Nothing but the verdict on standard output, and nothing of the script's folder is changed."""
    before = sorted(project.rglob("*"))
    result = process("verify", script, *WATCH, "--", "2", cwd=project, PYTHONDONTWRITEBYTECODE="1")
    assert result.returncode == 1
    assert result.stdout.decode().startswith("the weights of `critic` stay in [-1, 1]: `--watch critic --bound 1`\n")
    assert sorted(project.rglob("*")) == before
