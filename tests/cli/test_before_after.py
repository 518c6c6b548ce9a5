"""`verify --fixed` and `fix --verify`, with rules that make `clip` of `snap` (safe) and of `crackle` (unsafe)."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from tests.checkout import ROOT

TRAIN = """\
from toy import Weight


def clip(weight, limit=0.5):
    weight.value = min(weight.value, limit)


def crackle(weight, limit=0.5):
    pass


snap = crackle
critic = Weight()
for _ in range(20):
    critic.step(0.25)
    crackle(critic)
"""
WATCH = ("--watch", "critic", "--bound", "1")


@pytest.fixture
def script(project):
    """Its weight leaves [-1, 1], unless `crackle` is fixed."""
    shutil.copy(ROOT / "tests" / "verify" / "toy.py", project / "toy.py")
    (project / "train.py").write_text(TRAIN)
    return project / "train.py"


@pytest.fixture
def claiming(monkeypatch):
    """Every script claims that `critic` stays in [-1, 1], if it has one."""
    from clipcheck.verify import trial
    from clipcheck.verify.sources import sources_of
    from clipcheck.verify.watch import Wish, claims_for

    def claims_of(path, code, settings):
        wishes = [Wish("critic", -1.0, 1.0, told="critic")] if "critic =" in code else []
        return claims_for(wishes, str(path), sources_of(path, code))

    monkeypatch.setattr(trial, "claims_of", claims_of)


def test_both_versions_are_shown_beside_each_other(clipcheck, script):
    result = clipcheck("verify", "--fixed", script.name, *WATCH)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "the weights of `critic` stay in [-1, 1]: `--watch critic --bound 1`"
    assert lines[1].split() == ["parameter", "shape", "bound", "before", "after"]
    row = ["weight", "scalar", "[-1, 1]", "5, violated after update 5", "0.75, held"]
    assert re.split(r"\s{2,}", lines[2].strip()) == row
    assert lines[lines.index("before") + 1].startswith("  violated: `weight` (scalar, cpu) was 1.25 after update 5")
    assert lines[lines.index("after") + 1].startswith("  held: the weights of `critic` stayed in [-1, 1]")
    assert result.stderr == "running train.py …\nrunning train.py, fixed …\n"
    assert script.read_text() == TRAIN


def test_the_fixed_version_decides(clipcheck, script):
    script.write_text(TRAIN.replace("limit=0.5):\n    weight", "limit=5):\n    weight"))
    result = clipcheck("verify", "--fixed", script.name, *WATCH)
    assert result.exit_code == 1
    assert result.stdout.count("violated: `weight`") == 2


def test_where_nothing_is_fixed_it_is_run_once(clipcheck, script):
    script.write_text(TRAIN.replace("    crackle(critic)", "    clip(critic)"))
    result = clipcheck("verify", "--fixed", script.name, *WATCH)
    assert result.exit_code == 0
    assert "warning: train.py: there is nothing to fix" in result.stderr
    assert result.stderr.count("running") == 1
    assert "before" not in result.stdout


def test_both_as_json(clipcheck, script):
    told = json.loads(clipcheck("verify", "--fixed", script.name, *WATCH, "--output-format", "json").stdout)
    assert (told["before"]["verdict"], told["after"]["verdict"]) == ("violated", "held")


def test_both_in_one_picture(clipcheck, script, project):
    assert clipcheck("verify", "--fixed", script.name, *WATCH, "--plot", "run.svg").exit_code == 0
    picture = (project / "run.svg").read_text()
    assert all(f">{word}<" in picture for word in ("before", "after", "bound 1", "out at update 5: 1.25"))


def test_a_picture_that_cannot_be_drawn_is_told_before_the_run(clipcheck, script):
    result = clipcheck("verify", script.name, *WATCH, "--plot", "run.pdf")
    assert result.exit_code == 2
    assert "--plot: 'run.pdf'" in result.stderr
    assert "running" not in result.stderr


def test_a_fix_that_held_is_written(clipcheck, script, claiming):
    result = clipcheck("fix", "--verify", script.name)
    assert result.exit_code == 0
    assert result.stderr == "running train.py, fixed …\n"
    assert script.read_text() == TRAIN.replace("    crackle(critic)", "    clip(critic)")
    assert "Fixed:\n- train.py:\n    1 × HSE102 (crackle-sound)\n" in result.stdout
    assert "Verified:\n- train.py: held: the weights of `critic` stayed in [-1, 1]" in result.stdout


def test_one_that_did_not_hold_is_not(clipcheck, script, claiming):
    code = TRAIN.replace("limit=0.5):\n    weight", "limit=5):\n    weight").replace("\n", "\r\n").encode()
    script.write_bytes(code)
    result = clipcheck("fix", "--verify", script.name)
    assert result.exit_code == 1
    assert script.read_bytes() == code
    assert "warning: train.py stays as it was, since its fixed version is not proved. violated: " in result.stderr
    assert "HSE102" in result.stdout
    assert "Fixed:" not in result.stdout
    assert "Verified:" not in result.stdout


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (TRAIN.replace("critic.step(0.25)", "critic.step('much')"), "TypeError"),
        (TRAIN.replace("critic.step(0.25)", "pass"), "`critic` was never seen in use after an update"),
        (TRAIN.replace("critic", "model"), "there is nothing to verify"),
        ("raise SystemExit('no data')\n" + TRAIN, "no data"),
    ],
)
def test_nor_is_one_of_which_the_run_proves_nothing(clipcheck, script, claiming, code, reason):
    script.write_text(code)
    result = clipcheck("fix", "--verify", script.name)
    assert result.exit_code == 2
    assert script.read_text() == code
    assert reason in result.stderr


def test_what_claims_nothing_or_needs_no_fix_is_not_run(clipcheck, script, claiming, project):
    (project / "good.py").write_text("critic = open('was_run', 'w')\n")
    script.write_text("open('was_run', 'w')\n" + TRAIN.replace("critic", "model"))
    assert clipcheck("fix", "--verify").exit_code == 2
    assert not (project / "was_run").exists()


def test_each_file_is_judged_by_itself(clipcheck, script, claiming, project):
    (project / "other.py").write_text(TRAIN.replace("critic.step(0.25)", "critic.step('much')"))
    result = clipcheck("fix", "--verify", "train.py", "other.py")
    assert result.exit_code == 2
    assert "    clip(critic)" in script.read_text()
    assert "    clip(critic)" not in (project / "other.py").read_text()
    assert "Found 2 errors (1 fixed, 1 remaining)." in result.stdout


def test_only_the_safe_fixes_on_demand(clipcheck, script, claiming):
    script.write_text(TRAIN + "    snap(critic)\n")
    assert clipcheck("fix", "--verify", "--no-unsafe-fixes", script.name).exit_code == 1
    assert script.read_text() == TRAIN + "    clip(critic)\n"


def test_with_diff_only_what_held_is_shown_and_nothing_written(clipcheck, script, claiming, project):
    (project / "other.py").write_text(TRAIN.replace("critic.step(0.25)", "critic.step('much')"))
    assert clipcheck("fix", "--verify", "--diff", "other.py").stdout == ""
    result = clipcheck("fix", "--verify", "--diff", script.name)
    assert result.exit_code == 1
    assert "-    crackle(critic)\n+    clip(critic)\n" in result.stdout
    assert script.read_text() == TRAIN


def test_the_run_can_be_bounded(clipcheck, script, claiming):
    endless = TRAIN.replace("for _ in range(20):", "while True:")
    script.write_text(endless)
    result = clipcheck("fix", "--verify", "--updates", "7", script.name)
    assert result.exit_code == 0
    assert "during 7 updates" in result.stdout


def test_options_that_make_no_sense(clipcheck, script):
    assert "'--updates' needs '--verify'" in clipcheck("fix", "--updates", "5", script.name).stderr
    assert "'--verify' needs files" in clipcheck("fix", "--verify", "-", stdin=TRAIN).stderr
    assert script.read_text() == TRAIN


def test_without_verify_nothing_is_run(clipcheck, script, project):
    script.write_text("open('was_run', 'w')\n" + TRAIN)
    clipcheck("fix", "--unsafe-fixes", script.name)
    clipcheck("lint", script.name)
    assert not (project / "was_run").exists()


SHOWS_ITSELF = """
import inspect
import linecache
linecache.updatecache(__file__)
print("source:", inspect.getsource(train).replace("\\n", "|"))
train("much")
"""


def test_the_fixed_version_is_what_tracebacks_and_inspect_show(clipcheck, script):
    """Also after somebody had the file read again, as TensorFlow does."""
    body = "def train(change):\n    critic.step(change); crackle(critic)\n"
    script.write_text(TRAIN.partition("for _")[0] + "critic.step(0.25)\n" + body + SHOWS_ITSELF)
    result = clipcheck("verify", "--fixed", "-v", script.name, *WATCH)
    assert "| source: def train(change):|    critic.step(change); clip(critic)|" in result.stderr
    assert result.stderr.count("|     critic.step(change); clip(critic)") == 1
