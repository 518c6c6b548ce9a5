"""What follows from what was seen. Inconclusive is never a pass."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from clipcheck.verify.claim import Claim, Kind, Note, Since
from clipcheck.verify.job import Job
from clipcheck.verify.record import Ended, Record, Seen
from clipcheck.verify.run import Outcome
from clipcheck.verify.verdict import Ruling, farthest, judge

CLAIM = Claim(Kind.WEIGHTS, "critic", "`p.clamp_()`", "train.py", 9, low=-0.1, high=0.1)
WITHIN = Seen(0, "critic.weight", (3,), "float32", "cpu", -0.1, 0.1, updates=5, looks=5, lowest=-0.1, highest=0.05)
OUT = replace(WITHIN, name="critic.bias", highest=0.7, violated_update=2, violated_value=0.3, extreme_update=4)


def verdict(*seen: Seen, ended: Ended = Ended.ENOUGH, claims=(CLAIM,), exit_code: int = 0, device=None, **record):
    record = Record(ended, **{"updates": 5, "bound": (0,), "seen": seen, **record})
    return judge(Job("train.py", (), claims, "", device=device), Outcome((record,), exit_code=exit_code))


def test_held_violated_inconclusive():
    assert verdict(WITHIN).ruling is Ruling.HELD
    assert verdict(WITHIN, OUT).ruling is Ruling.VIOLATED
    assert verdict().ruling is Ruling.INCONCLUSIVE
    assert [ruling.exit_code for ruling in (Ruling.HELD, Ruling.VIOLATED, Ruling.INCONCLUSIVE)] == [0, 1, 2]


@pytest.mark.parametrize(
    "seen",
    [
        replace(WITHIN, violated_update=1, violated_value=0.2),
        replace(WITHIN, last_is_out=True),
        replace(WITHIN, lowest=math.nan, highest=math.nan),
    ],
    ids=["after an update", "at the end", "not a number"],
)
def test_what_is_out_of_bounds(seen):
    assert verdict(seen).ruling is Ruling.VIOLATED


@pytest.mark.parametrize(
    ("ended", "ruling"),
    [
        (Ended.FINISHED, Ruling.HELD),
        (Ended.ENOUGH, Ruling.HELD),
        (Ended.INTERRUPTED, Ruling.HELD),
        (Ended.CRASHED, Ruling.INCONCLUSIVE),
        (Ended.TIMED_OUT, Ruling.INCONCLUSIVE),
        (Ended.VANISHED, Ruling.INCONCLUSIVE),
    ],
)
def test_how_it_ended(ended, ruling):
    """A violation that was seen stays one, however the run went on."""
    assert verdict(WITHIN, ended=ended).ruling is ruling
    assert verdict(WITHIN, OUT, ended=ended).ruling is Ruling.VIOLATED
    assert verdict(ended=ended).ruling is Ruling.INCONCLUSIVE


@pytest.mark.parametrize(
    ("seen", "record", "reason"),
    [
        ((), {"bound": ()}, "`critic` was never made, or never trained"),
        ((), {"bound": (), "reached": (0,)}, "`critic` is no model, layer, parameter or optimizer"),
        ((), {}, "nothing of `critic` was updated"),
        ((replace(WITHIN, looks=0),), {}, "`critic` was never seen in use after an update"),
        ((replace(WITHIN, updates=0),), {}, "no update of `critic` was seen"),
        (
            (WITHIN, replace(OUT, looks=0, violated_update=None, highest=None)),
            {},
            "`critic.bias` was never seen in use",
        ),
        ((WITHIN,), {"problems": ("watching failed: Traceback\nZeroDivisionError: x",)}, "ZeroDivisionError: x"),
    ],
)
def test_what_is_missing(seen, record, reason):
    judged = verdict(*seen, **record)
    assert judged.ruling is Ruling.INCONCLUSIVE
    assert reason in " ".join([*judged.reasons, *(claim.reason for claim in judged.claims)])


@pytest.mark.parametrize(
    ("claim", "ended", "record", "reason"),
    [
        ({}, Ended.FINISHED, {}, "line 9 of train.py never ran, so its claim about `critic` could not be judged"),
        ({}, Ended.ENOUGH, {}, "line 9 of train.py never ran within 5 updates, so"),
        ({"since": Since.UPDATE}, Ended.FINISHED, {}, "line 4 of nets.py never ran, so"),
        ({"line": 0}, Ended.FINISHED, {}, "nothing was ever assigned to `critic`"),
        ({}, Ended.FINISHED, {"has_processes": True}, "line 9 of train.py never ran in the process that was watched"),
        ({}, Ended.FINISHED, {"versions": {"tensorflow": "2"}}, "never ran (or in a graph of TensorFlow only"),
    ],
)
def test_a_clip_that_is_switched_off(claim, ended, record, reason):
    claims = (replace(CLAIM, notes=(Note("nets.py", 4, 0, True, "critic"),), **claim),)
    judged = verdict(ended=ended, claims=claims, bound=(), **record)
    assert judged.ruling is Ruling.INCONCLUSIVE
    assert reason in judged.claims[0].reason


def test_processes_of_the_script():
    """What they update is not seen; where all was seen, nothing is said of them."""
    assert "--nproc" in verdict(has_processes=True).hints[0]
    assert verdict(WITHIN, has_processes=True).hints == ()
    assert verdict().hints == ()


def test_nothing_is_claimed():
    judged = verdict(claims=())
    assert judged.ruling is Ruling.INCONCLUSIVE
    assert "--watch" in judged.hints[0]


def test_a_parameter_that_is_not_trained_holds_with_the_others():
    assert verdict(WITHIN, replace(WITHIN, name="critic.frozen", updates=0, looks=0)).ruling is Ruling.HELD


def test_outputs_need_no_update():
    claim = replace(CLAIM, kind=Kind.OUTPUTS)
    assert verdict(replace(WITHIN, updates=0), claims=(claim,)).ruling is Ruling.HELD


def test_one_claim_of_two():
    claims = (CLAIM, replace(CLAIM, subject="actor"))
    judged = verdict(WITHIN, claims=claims)
    assert [claim.ruling for claim in judged.claims] == [Ruling.HELD, Ruling.INCONCLUSIVE]
    assert judged.ruling is Ruling.INCONCLUSIVE
    assert verdict(OUT, claims=claims).ruling is Ruling.VIOLATED


@pytest.mark.parametrize(
    ("demanded", "device", "is_on"),
    [
        ("cuda", "cuda:0", True),
        ("cuda", "cuda:1", True),
        ("cuda:1", "cuda:0", False),
        ("cuda:0", "cuda", True),
        ("cuda", "cpu", False),
        ("cpu", "cpu", True),
        ("cpu", "cuda:0", False),
        ("CUDA", "/job:localhost/replica:0/task:0/device:GPU:0", True),
        ("cpu", "/job:localhost/replica:0/task:0/device:CPU:0", True),
        ("gpu", "/job:localhost/replica:0/task:0/device:CPU:0", False),
    ],
)
def test_another_device_than_the_demanded_proves_nothing(demanded, device, is_on):
    judged = verdict(replace(WITHIN, device=device), device=demanded)
    assert judged.ruling is (Ruling.HELD if is_on else Ruling.INCONCLUSIVE)
    assert is_on or judged.claims[0].reason == f"`critic.weight` is on {device}, not on {demanded}"
    assert verdict(replace(OUT, device=device), device=demanded).ruling is Ruling.VIOLATED


def test_what_another_watcher_never_looked_at_does_not_count():
    stranger = replace(WITHIN, looks=0, updates=0, lowest=None, highest=None)
    assert verdict(WITHIN, stranger).claims[0].seen == (WITHIN,)
    assert verdict(stranger).claims[0].seen == (stranger,)


def test_the_first_out_is_the_one_to_tell():
    later = replace(OUT, name="critic.last", violated_update=4)
    at_end = replace(OUT, name="critic.end", violated_update=None, last_is_out=True)
    assert verdict(at_end, later, OUT, WITHIN).claims[0].worst == OUT


def test_several_processes():
    held, lost = Record(Ended.ENOUGH, 5, (WITHIN,), (0,)), Record(Ended.VANISHED, rank=1)
    job = Job("train.py", (), (CLAIM,), "")
    assert judge(job, Outcome((held, replace(held, rank=1)))).ruling is Ruling.HELD
    assert judge(job, Outcome((held, lost))).ruling is Ruling.INCONCLUSIVE
    out = replace(held, rank=1, seen=(replace(OUT, rank=1),))
    assert judge(job, Outcome((held, out))).ruling is Ruling.VIOLATED


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        ("Exception: URL fetch failure on https://…/mnist.npz: None", "--fake-data"),
        ("urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>", "--fake-data"),
        ("RuntimeError: Dataset not found. You can use download=True to download it", "--fake-data"),
        ("ModuleNotFoundError: No module named 'wandb.sdk'", "`wandb.sdk`"),
    ],
)
def test_hints(error, hint):
    judged = verdict(ended=Ended.CRASHED, error=f"Traceback (most recent call last):\n{error}")
    assert hint in judged.hints[0]
    assert error in judged.reasons[0]


def test_how_a_process_was_lost():
    assert "SIGKILL: out of memory?" in verdict(ended=Ended.VANISHED, exit_code=-9).reasons[0]
    assert "SIGSEGV" in verdict(ended=Ended.VANISHED, exit_code=-11).reasons[0]
    assert "exit code 3" in verdict(ended=Ended.VANISHED, exit_code=3).reasons[0]


@pytest.mark.parametrize(
    ("low", "high", "lowest", "highest", "expected"),
    [
        (-0.1, 0.1, -0.3, 0.2, -0.3),
        (-0.1, 0.1, -0.05, 0.09, 0.09),
        (None, 1.0, -50.0, 0.9, 0.9),
        (0.0, None, -0.01, 90.0, -0.01),
        (None, None, -5.0, 4.0, -5.0),
        (-1.0, 1.0, math.nan, 0.0, math.nan),
        (-1.0, 1.0, None, None, None),
    ],
)
def test_farthest(low, high, lowest, highest, expected):
    seen = replace(WITHIN, low=low, high=high, lowest=lowest, highest=highest)
    assert farthest(seen) == pytest.approx(expected, nan_ok=True)
